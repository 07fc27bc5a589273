"""Lesson 06: a threshold chosen on validation pictures and measured on the test."""

import numpy as np

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def honest(truth, p, test_truth, test_p, wanted):
    """The highest threshold that finds enough, and the share it finds in the test."""
    threshold = _highest(truth, p, wanted)
    return threshold, _found(test_truth, test_p, threshold)


def _found(truth, p, threshold):
    """Sensitivity: of the pictures of the class, the share from the threshold on."""
    return (p[truth == 1] >= threshold).mean()


def _highest(truth, p, wanted, share=_found):
    """The highest of `p` at which a share is large enough, or else the lowest."""
    enough = [t for t in p if share(truth, p, t) >= wanted]
    return max(enough, default=p.min())


def _accuracy(truth, p, threshold):
    return ((p >= threshold) == truth).mean()


def _precision(truth, p, threshold):
    return truth[p >= threshold].mean() if (p >= threshold).any() else 0.0


def _specificity(truth, p, threshold):
    return (p[truth == 0] < threshold).mean()


def _above(truth, p, threshold):
    return (p[truth == 1] > threshold).mean()


def _called(truth, p, threshold):
    return (p >= threshold).mean()


def _of_all(truth, p, threshold):
    return ((p >= threshold) & (truth == 1)).mean()


def _chosen_by(share):
    """An answer that chooses by another share, and measures as it should."""

    def answer(truth, p, test_truth, test_p, wanted):
        threshold = _highest(truth, p, wanted, share)
        return threshold, _found(test_truth, test_p, threshold)

    return answer


def _measured_by(share):
    """An answer that chooses as it should, and measures another share."""

    def answer(truth, p, test_truth, test_p, wanted):
        threshold = _highest(truth, p, wanted)
        return threshold, share(test_truth, test_p, threshold)

    return answer


def _at(threshold_of):
    """An answer with another threshold, of (truth, p, wanted)."""

    def answer(truth, p, test_truth, test_p, wanted):
        threshold = threshold_of(truth, p, wanted)
        return threshold, _found(test_truth, test_p, threshold)

    return answer


def _one_too_few(truth, p, wanted):
    of_class = np.sort(p[truth == 1])[::-1]
    return of_class[max(int(wanted * len(of_class)), 1) - 1]


def _one_place_further(truth, p, wanted):
    of_class = np.sort(p[truth == 1])[::-1]
    return of_class[min(int(wanted * len(of_class)), len(of_class) - 1)]


def _case(truth, p, test_truth, test_p, wanted):
    return (*map(np.array, (truth, p, test_truth, test_p)), wanted)


CASES = [
    _case(
        [1, 1, 0, 1, 0, 1], [0.9, 0.6, 0.7, 0.4, 0.3, 0.2],
        [1, 0, 1, 1, 0], [0.8, 0.5, 0.4, 0.1, 0.2], 0.75,
    ),
    _case(
        [1, 0, 1, 0, 1, 0], [0.8, 0.1, 0.5, 0.6, 0.3, 0.2],
        [0, 1, 0, 1, 1, 1], [0.7, 0.9, 0.2, 0.5, 0.4, 0.6], 0.5,
    ),
    _case(
        [0, 0, 1, 0, 1, 0], [0.1, 0.7, 0.6, 0.2, 0.3, 0.4],
        [1, 1, 0, 0, 1, 0], [0.5, 0.3, 0.1, 0.8, 0.2, 0.4], 1.0,
    ),
    _case(
        [1, 1, 1, 1, 1, 0, 0, 0], [0.95, 0.8, 0.65, 0.5, 0.1, 0.9, 0.4, 0.05],
        [1, 1, 1, 1, 0, 0, 0, 0], [0.85, 0.65, 0.6, 0.45, 0.7, 0.5, 0.3, 0.2], 0.5,
    ),
]  # fmt: skip

USUAL_MISTAKES = [
    (
        lambda truth, p, test_truth, test_p, wanted: honest(
            test_truth, test_p, test_truth, test_p, wanted
        ),
        "You chose the threshold on the test pictures. There it finds what was wanted, "
        "since it was chosen for that; on new pictures nobody knows. Choose with "
        "`truth` and `p`.",
    ),
    (
        lambda truth, p, test_truth, test_p, wanted: honest(truth, p, truth, p, wanted),
        "The threshold is right. The share is that of validation, where the threshold "
        "was chosen, so it is never under `wanted`. Measure with `test_truth` and "
        "`test_p`.",
    ),
    (
        _measured_by(_above),
        "The threshold is right. In the test you count p > threshold; a picture that "
        "has exactly the threshold counts as found too: >=.",
    ),
    (
        _chosen_by(_above),
        "In validation you count p > threshold. The picture that sits on the threshold "
        "is then missed, and the threshold becomes lower than it must be. Take >=.",
    ),
    (
        lambda truth, p, test_truth, test_p, wanted: (
            _highest(truth, p, wanted, _above),
            _above(test_truth, test_p, _highest(truth, p, wanted, _above)),
        ),
        "A picture counts as found *from* the threshold on: >=, not >, when you choose "
        "and when you measure.",
    ),
    (
        _measured_by(_of_all),
        "The threshold is right. You divide what was found by the number of all test "
        "pictures; sensitivity is a share of the pictures of the class alone.",
    ),
    (
        _measured_by(_called),
        "The threshold is right. You count all test pictures from it on; among those "
        "are false alarms. Look only at pictures whose `test_truth` is 1.",
    ),
    (
        _measured_by(_accuracy),
        "The threshold is right. You measured accuracy, where the rest counts as well. "
        "Here the share of the class that is found is asked.",
    ),
    (
        _measured_by(_precision),
        "The threshold is right. You measured precision: of the pictures that were "
        "called, the share that deserves it. Asked is: of the class, the share found.",
    ),
    (
        _measured_by(_specificity),
        "The threshold is right. You measured specificity, the share of the rest that "
        "is left alone. Asked is the share of the class that is found.",
    ),
    (
        _chosen_by(_called),
        "You let `wanted` of *all* validation pictures through. Look only at those of "
        "the class: p[truth == 1].",
    ),
    (
        _chosen_by(_of_all),
        "You divide what is found by the number of all validation pictures, so "
        "`wanted` is hardly ever reached. Divide by the pictures of the class.",
    ),
    (
        _at(lambda truth, p, wanted: max(p, key=lambda t: _accuracy(truth, p, t))),
        "That is the threshold of the best accuracy. It does not know `wanted`: where "
        "a class is rare, it may miss most of it.",
    ),
    (
        _at(lambda truth, p, wanted: p.min()),
        "The lowest threshold finds all of the class, and calls everything else too. "
        "Of all that find enough, take the highest: it has the fewest false alarms.",
    ),
    (
        _at(lambda truth, p, wanted: 0.5),
        "0.5 is a habit. It does not know `wanted`. Let validation choose.",
    ),
    (
        _at(lambda truth, p, wanted: wanted),
        "`wanted` is a share of pictures, not a probability. At a threshold of 0.95 "
        "you do not find 95 %.",
    ),
    (
        _at(_one_too_few),
        "Rounded down: half of 3 pictures is 1.5, and one found is too few for it. "
        "Round up.",
    ),
    (
        _at(_one_place_further),
        "Count from 0: if 3 pictures are needed, the third is number 2. Where `wanted` "
        "of the class is no whole number of pictures, round up.",
    ),
    (
        _at(lambda truth, p, wanted: np.quantile(p[truth == 1], 1 - wanted)),
        "np.quantile takes a value between two pictures. Take the highest probability "
        "in `p` that finds enough.",
    ),
    (
        lambda *case: honest(*case)[::-1],
        "The two numbers are right, in the wrong order: first the threshold.",
    ),
    (
        lambda *case: (honest(*case)[0], 100 * honest(*case)[1]),
        "That is in percent. Return a share, from 0 to 1.",
    ),
    (
        lambda *case: honest(*case)[0],
        "The threshold is right. Return the share that it finds in the test as well: "
        "return threshold, share.",
    ),
    (
        lambda *case: honest(*case)[1],
        "The share is right. Return the threshold before it: return threshold, share.",
    ),
]


def check_honest(answer):
    """Checks the exercise of lesson 06."""
    compare(answer, right=honest, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "It is what `choose_threshold` and `at_threshold` do. The second number may be "
        "under `wanted`, and that is the honest one. With few pictures of the class in "
        "validation it often is: then ask for a little more there."
    )


CHECKS = {"06": check_honest}

QUESTIONS = {
    "06-rare": Question(
        "A network for tissue pictures has a sensitivity of 0.95 and a specificity of "
        "0.95, measured on as many pictures with a tumour as without. In a hospital, 1 "
        "picture of 100 has a tumour. Of the pictures that it calls, how many have "
        "one?",
        right="c",
        options={
            "a": (
                "About 95 %.",
                "So it was in the test, where half of all pictures had a tumour. In "
                "the hospital there are 99 without for each one with, and each of "
                "them can raise a false alarm.",
            ),
            "b": (
                "About 90 %: sensitivity times specificity.",
                "The two are shares of different pictures, so their product is no "
                "share of anything. Count: of 10,000 pictures, how many of each kind "
                "are called?",
            ),
            "c": (
                "About 16 %.",
                "Of 10,000 pictures 100 have a tumour, and 95 of these are called. Of "
                "the other 9,900 one in twenty is called: 495. 95 of 590 are 16 %. As "
                "a first look that may be good; a report must say it.",
            ),
            "d": (
                "About 1 %, as in the hospital.",
                "That would be so if it called at random. Among the pictures that it "
                "calls, tumours are far more frequent than in the hospital; how much?",
            ),
        },
    )
}
