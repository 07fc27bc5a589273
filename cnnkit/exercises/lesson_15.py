"""Lesson 15: which channel tipped the balance between two classes, and zeros."""

import numpy as np

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def tipped(values, weights, said, truth):
    """The channel that widens the gap between two logits most, and by how much."""
    gaps = values * (weights[:, said] - weights[:, truth])
    return int(gaps.argmax()), gaps.max()


def case(values, weights, said, truth):
    """Small whole numbers, so that the result is exact."""
    return np.array(values, "float64"), np.array(weights, "float64"), said, truth


# As many channels as classes: weights that are read the wrong way round then give
# numbers, and no error that would hide the reason.
CASES = [
    case(
        [2, 1, 6, 4], [[1, -2, 2, 0], [5, 1, -3, 2], [4, 3, 4, 1], [1, 2, 5, 3]], 0, 1
    ),
    case(
        [3, 5, 1, 2], [[0, 2, 3, 1], [1, 1, 2, -4], [6, 0, -2, 4], [2, 3, 0, 6]], 3, 2
    ),
    case([7, 2, 3, 1], [[2, 1, 0, 3], [1, 5, 4, 0], [6, 2, 1, 1], [9, 1, 2, -1]], 1, 3),
]


def ways(name):
    """A wrong answer by its name: a wrong channel, a wrong number, or a part."""

    def answer(values, weights, said, truth):
        ours, theirs = values * weights[:, said], values * weights[:, truth]
        gaps, best = ours - theirs, int((ours - theirs).argmax())
        strongest, own = int(values.argmax()), int(ours.argmax())
        bare = weights[:, said] - weights[:, truth]
        rows = values * (weights[said] - weights[truth])
        largest = int(abs(gaps).argmax())
        return {
            "own": (own, ours[own]),
            "own, gap": (own, gaps[own]),
            "bare": (int(bare.argmax()), bare.max()),
            "bare, gap": (int(bare.argmax()), gaps[bare.argmax()]),
            "turned": (int(gaps.argmin()), -gaps.min()),
            "least": (int(gaps.argmin()), gaps.min()),
            "size": (largest, abs(gaps[largest])),
            "size, signed": (largest, gaps[largest]),
            "strongest": (strongest, gaps[strongest]),
            "rows": (int(rows.argmax()), rows.max()),
            "whole": (best, gaps.sum()),
            "value": (best, values[best]),
            "half": (best, ours[best]),
            "difference": (best, bare[best]),
            "order": (gaps[best], best),
            "index": best,
            "amount": gaps[best],
        }[name]

    return answer


RIGHT_GAP = "The gap is that of your channel, and the channel is another."
ALONE = (
    "You looked at what speaks for `said` alone. A channel that adds as much to "
    "`truth` has decided nothing: take the difference of the two weights."
)
NO_VALUES = (
    "You compared weights alone. A channel that is nearly 0 in this picture adds "
    "nearly nothing, however large its weights are: multiply with its value."
)
SIZE = (
    "You took the largest in size. It may be negative, and then it speaks for `truth`. "
    "Asked is what speaks for `said`: the largest, with its sign."
)
USUAL_MISTAKES = [
    (ways("own"), ALONE),
    (ways("own, gap"), f"{RIGHT_GAP} {ALONE}"),
    (ways("bare"), NO_VALUES),
    (ways("bare, gap"), f"{RIGHT_GAP} {NO_VALUES}"),
    (
        ways("turned"),
        "That is the channel that speaks most for `truth`: the two weights are "
        "subtracted the wrong way round.",
    ),
    (
        ways("least"),
        "That is the channel with the smallest gap, the one that speaks most for "
        "`truth`. Take the largest.",
    ),
    (ways("size"), SIZE),
    (ways("size, signed"), f"{RIGHT_GAP} {SIZE}"),
    (
        ways("strongest"),
        "The channel with the largest value may add as much to both classes. Multiply "
        "with the difference of the weights first, then look for the largest.",
    ),
    (
        ways("rows"),
        "weights[said] is the row of a channel. A class has a column of weights: "
        "weights[:, said].",
    ),
    (
        ways("whole"),
        "The channel is right. The second number is the gap that all channels make "
        "together; asked is the part of this one.",
    ),
    (
        ways("value"),
        "The channel is right. Its value alone does not say by how much it widens the "
        "gap: multiply with the difference of its two weights.",
    ),
    (
        ways("half"),
        "The channel is right. The second number is what it adds to `said`; it adds "
        "something to `truth` too, and that is to be taken off.",
    ),
    (
        ways("difference"),
        "The channel is right. The second number is the difference of its weights, not "
        "yet multiplied with its value.",
    ),
    (ways("order"), "Both numbers are right, in the wrong order: first the channel."),
    (ways("index"), "The channel is right. Return two numbers: it, and by how much."),
    (ways("amount"), "That is by how much. Return two numbers: the channel, and this."),
]


def check_tipped(answer):
    """Checks the exercise of lesson 15."""
    compare(answer, right=tipped, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "A class wins by differences, so this one channel did more for the answer than "
        "any other. Open it in the picture: what it found there is what the network "
        "took for the other sign."
    )


CHECKS = {"15": check_tipped}

QUESTIONS = {
    "15-zero": Question(
        "For your picture, channel 7 of the last maps is 0 everywhere. Its weight for "
        "'stop' is the largest of all weights. What does it add to the logit of "
        "'stop'?",
        right="b",
        options={
            "a": (
                "More than any other channel, because of its weight.",
                "A weight says what a channel would be worth. What it adds is value "
                "times weight, and the value is 0.",
            ),
            "b": (
                "Nothing for this picture. For another one it may decide.",
                "0 times any weight is 0. What the channel looks for is not in this "
                "picture; where it is, so large a weight speaks loudly for 'stop'.",
            ),
            "c": (
                "Nothing, ever: the channel is dead and can be taken out.",
                "One picture does not tell. A channel is dead if it is 0 for all "
                "pictures; look at many before you take it out.",
            ),
            "d": (
                "Its bias: that is added even where the value is 0.",
                "The bias of the logit belongs to the class. It is added once, "
                "whatever the channels say, and no channel has a share in it.",
            ),
        },
    )
}
