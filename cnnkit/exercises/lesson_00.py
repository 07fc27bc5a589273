"""Lesson 00: what the laziest classifier reaches, and what 100 pictures can tell."""

import numpy as np

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def baseline(counts):
    """The accuracy of always naming the class that has the most pictures."""
    return max(counts) / sum(counts)


CASES = [
    (np.array([90, 10]),),
    (np.array([10, 90]),),
    (np.array([20, 50, 30]),),
    (np.array([7, 7, 7, 7]),),
    (np.array([3, 0, 9, 4, 1]),),
]

USUAL_MISTAKES = [
    (
        lambda counts: 1 / len(counts),
        "One over the number of classes is what guessing at random gets. The lazy "
        "classifier does not guess: with 90 cats and 10 dogs it says 'cat' each time "
        "and is right 90 times in 100, not 50.",
    ),
    (
        max,
        "You return a number of pictures. An accuracy is a share of all pictures, "
        "from 0 to 1: what do you divide by?",
    ),
    (
        lambda counts: max(counts) / len(counts),
        "You divide by the number of classes. Divide by the number of pictures: an "
        "accuracy is right answers over all answers.",
    ),
    (
        lambda counts: min(counts) / sum(counts),
        "That is the accuracy of always naming the rarest class. A lazy classifier "
        "picks the class that makes it right most often.",
    ),
    (
        lambda counts: counts[0] / sum(counts),
        "You always name the first class. With 10 cats and 90 dogs that is right 10 "
        "times in 100; naming the second class would be right 90 times.",
    ),
    (
        lambda counts: sum((counts / sum(counts)) ** 2),
        "You guess each class as often as it occurs. With 90 cats and 10 dogs that is "
        "right 82 times in 100; saying 'cat' each time is right 90 times.",
    ),
    (
        lambda counts: 100 * max(counts) / sum(counts),
        "The idea is right, the unit is not: return a share from 0 to 1, not percent.",
    ),
    (
        lambda counts: round(max(counts) / sum(counts)),
        "Your result is rounded to a whole number. Is there a `//` or a `round` where "
        "you want `/`?",
    ),
    (
        lambda counts: max(counts) // sum(counts),
        "`//` drops everything after the decimal point. Divide with `/`.",
    ),
]


def check_baseline(answer):
    """Checks the exercise of lesson 00."""
    compare(answer, right=baseline, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "Say this number whenever you say an accuracy: 0.90 is excellent where the "
        "baseline is 0.10, and worthless where it is 0.90."
    )


CHECKS = {"00": check_baseline}

QUESTIONS = {
    "00-better": Question(
        "Two models were tested on the same 100 new pictures. Yours names 88 of them "
        "correctly, your friend's 85. What do you know?",
        right="c",
        options={
            "a": (
                "Yours is better: 88 is more than 85.",
                "It did better on these 100 pictures. On another 100 the order may "
                "turn: for 88 of 100 the interval goes from about 0.80 to 0.93, and "
                "0.85 lies well inside it.",
            ),
            "b": (
                "Both are equally good: the difference is small.",
                "Not finding a difference is not the same as finding that there is "
                "none. With 100 pictures a gap of several points stays invisible.",
            ),
            "c": (
                "Too little to name a winner: three pictures may be luck.",
                "Three pictures in 100 are well within luck. You need more pictures, "
                "or a test that compares the two models picture by picture.",
            ),
            "d": (
                "Yours is better if you train three times and keep the best score.",
                "Keeping the best of several test scores picks the luckiest run, not "
                "the best model, and the score you then report is too high. Choose on "
                "the validation pictures; use the test pictures once.",
            ),
        },
    )
}
