"""Lesson 14: the class activation map, and what heat on the right place proves."""

import numpy as np

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def cam(maps, kernel, label):
    """Where the features are that speak for a class: rows x columns, 0 or more."""
    return np.maximum(maps @ kernel[:, label], 0)


def case(maps, kernel, label):
    """Small whole numbers, so that the result is exact."""
    return np.array(maps, "float64"), np.array(kernel, "float64"), label


# As many channels as classes: a kernel that is read the wrong way round then gives
# numbers, and no error that would hide the reason.
CASES = [
    case([[[1, 2], [3, 0]]], [[2, 1], [-1, 1]], 0),
    case([[[4, 1], [0, 2]], [[1, 3], [2, 2]]], [[1, -2], [-2, 3]], 1),
    case([[[0, 5, 1]], [[2, 0, 4]]], [[3, 1, -1], [-2, 0, 2], [1, -4, 1]], 2),
]

USUAL_MISTAKES = [
    (
        lambda maps, kernel, label: maps @ kernel[:, label],
        "The sums are right. Where one is below 0 the place speaks against the class: "
        "make it 0, so that the heat shows what speaks for it.",
    ),
    (
        lambda maps, kernel, label: np.maximum((maps * kernel[:, label]).mean(-1), 0),
        "The shape of the heat is right and its scale is not: add the weighted "
        "channels, do not average them.",
    ),
    (
        lambda maps, kernel, label: np.maximum(maps * kernel[:, label], 0).sum(-1),
        "You made negative parts 0 before adding, so a channel that speaks against "
        "the class has no say. Add first, then cut at 0.",
    ),
    (
        lambda maps, kernel, label: np.maximum(maps @ kernel[label], 0),
        "kernel[label] is the row of a channel. A class has a column of the kernel: "
        "one weight for each channel.",
    ),
    (
        lambda maps, kernel, label: np.maximum(maps @ kernel.sum(axis=1), 0),
        "The weights of all classes are added. Then the heat is the same whichever "
        "class you ask about.",
    ),
    (
        lambda maps, kernel, label: np.maximum(maps @ kernel, 0),
        "That is one heat for each class, and `label` has not been used yet. Return "
        "that of the class alone.",
    ),
    (
        lambda maps, kernel, label: (
            np.maximum(maps @ kernel[:, label], 0) / (maps @ kernel[:, label]).max()
        ),
        "You divided by the highest. That helps the eye, but here it was not asked "
        "for: whether a class has much heat or little is then lost.",
    ),
    (
        lambda maps, kernel, label: maps.sum(axis=-1),
        "That is how much there is at each place, for any class. Weigh each channel "
        "for this class before you add.",
    ),
    (
        lambda maps, kernel, label: abs(maps @ kernel[:, label]),
        "The absolute value makes heat of what speaks against the class. Below 0 "
        "becomes 0.",
    ),
    (
        lambda maps, kernel, label: (maps @ kernel[:, label]).mean(),
        "That is the logit of the class (without its bias): one number. Leave out the "
        "average over the places, then you keep where it comes from.",
    ),
    (
        lambda maps, kernel, label: np.maximum(maps * kernel[:, label], 0),
        "These are the weighted channels, each by itself. Add them up.",
    ),
    (
        lambda maps, kernel, label: np.maximum((maps * kernel[:, label]).sum(0), 0),
        "You added over the rows of the picture. The channels are the last axis.",
    ),
]


def check_cam(answer):
    """Checks the exercise of lesson 14."""
    compare(answer, right=cam, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "Its mean over the places, without the cut at 0 and with the bias, is the "
        "logit. In a network that ends in an average and one dense layer, Grad-CAM "
        "gives this same map, divided by the number of places."
    )


CHECKS = {"14": check_cam}

QUESTIONS = {
    "14-lungs": Question(
        "A network finds pneumonia on X-ray pictures. On 200 test pictures, all from "
        "the hospital whose pictures it was trained on, Layer-CAM lies on the lungs in "
        "19 of 20. What do you say?",
        right="c",
        options={
            "a": (
                "It looks at the lungs, so it has learnt what a doctor knows.",
                "Heat says where, not what. On the lungs there are also tubes, letters "
                "and the grain of one machine.",
            ),
            "b": (
                "It has no shortcut: else the heat would lie beside the lungs.",
                "Only a shortcut that lies beside the thing shows in this way. One "
                "that lies on the lungs, or all over the picture, does not.",
            ),
            "c": (
                "Not enough. I shuffle its weights and look again, compare with a spot "
                "that is always in the middle, and test on another hospital.",
                "Three ways to be fooled, three tests: heat that comes from the "
                "picture alone, lungs that are always in the middle, and a clue that "
                "belongs to one hospital.",
            ),
            "d": (
                "I add Grad-CAM++. If both maps agree, they are right.",
                "They use the same feature maps, so they agree also where both are "
                "wrong. A test that could fail says more than a second picture.",
            ),
        },
    )
}
