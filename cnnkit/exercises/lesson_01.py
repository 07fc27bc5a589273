"""Lesson 01: how much of a test is known from training."""

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def leaked(train, test):
    """The share of test pictures whose content is in training as well."""
    known = set(train)
    return sum(picture in known for picture in test) / len(test)


CASES = [  # (train, test)
    (["a", "b"], ["a", "a", "c", "d"]),
    (["a", "b", "c", "c"], ["c", "d", "e"]),
    (["a", "b", "c"], ["d", "e"]),
    (["a", "a", "b"], ["b", "a"]),
    (["a", "b", "c", "d", "e"], ["e", "f", "f", "g"]),
]

USUAL_MISTAKES = [
    (
        lambda train, test: len(set(train) & set(test)) / len(test),
        "A set keeps each picture once. If the test holds the same known picture "
        "twice, it was answered from memory twice.",
    ),
    (
        lambda train, test: len(set(train) & set(test)) / len(set(test)),
        "A set keeps each picture once, but a score counts every picture of the test, "
        "also the second copy.",
    ),
    (
        lambda train, test: sum(p in train for p in test),
        "That is how many. A share is that number divided by something.",
    ),
    (
        lambda train, test: len(set(train) & set(test)),
        "That is how many different ones. A share is from 0 to 1.",
    ),
    (
        lambda train, test: sum(p in train for p in test) / len(train),
        "You divide by the training pictures. Which pictures does the score count?",
    ),
    (
        lambda train, test: sum(p in test for p in train) / len(train),
        "That is the share of training that is in the test. Here the question is the "
        "other way round.",
    ),
    (
        lambda train, test: 1 - sum(p in train for p in test) / len(test),
        "That is the share of the test that is clean.",
    ),
    (
        lambda train, test: sum(p in train for p in test) / (len(train) + len(test)),
        "You divide by all pictures. The score counts only those of the test.",
    ),
    (
        lambda train, test: 100 * sum(p in train for p in test) / len(test),
        "That is in percent. A share goes from 0 to 1.",
    ),
]


def check_leaked(answer):
    """Checks the exercise of lesson 01."""
    compare(answer, right=leaked, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "You did it with equal content. Pictures that were saved again, smaller or "
        "brighter, have another hash and leak all the same: `data.check` finds both."
    )


CHECKS = {"01": check_leaked}

QUESTIONS = {
    "01-clinic": Question(
        "A clinic has 10 X-rays of each of 200 patients, healthy or ill. You split the "
        "2,000 pictures at random into training and test; no two pictures are equal. "
        "The test accuracy is 97 %. What can you say about new patients?",
        right="c",
        options={
            "a": (
                "97 %, as the test has hundreds of pictures.",
                "Many pictures, but nearly every patient of the test is in training "
                "too: their bones, their scars, the mark of their machine.",
            ),
            "b": (
                "97 %, since no two pictures are equal.",
                "They need not be equal to give the patient away. The ten pictures of "
                "one person have more in common than the illness.",
            ),
            "c": (
                "Little. The patients should have been split, not the pictures.",
                'With groups="patient" nobody is on both sides. Then the test asks '
                "about people whom the network has never seen.",
            ),
            "d": (
                "Somewhat less than 97 %, say 95 %.",
                "It may be 95 or 60. A leak has no usual size: the only way to know is "
                "to split by patient and measure again.",
            ),
        },
    )
}
