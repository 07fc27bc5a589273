"""Lesson 07: from where a pixel comes."""

import numpy as np

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def source(x, side, enlarge, shift):
    """The place in the old row from which pixel x of the new one comes."""
    middle = (side - 1) / 2
    return (x - shift - middle) / enlarge + middle


CASES = [
    (4, 5, 2, 0),
    (20, 32, 1.5, 4),
    (5, 9, 0.8, -3),
    (10, 12, 1, 2),
    (31, 32, 3, 9),
]


def middle(side):
    """The middle of pixels that are counted from 0."""
    return (side - 1) / 2


USUAL_MISTAKES = [
    (
        lambda x, n, e, s: (x - s) / e,
        "You enlarge about the left edge, pixel 0. The pixel that stays where it is "
        "is the one in the middle.",
    ),
    (
        lambda x, n, e, s: (x - s - n / 2) / e + n / 2,
        "Nearly. Of 5 pixels, counted from 0, number 2 is in the middle, and 5 / 2 is "
        "not 2.",
    ),
    (
        lambda x, n, e, s: (x + s - middle(n)) / e + middle(n),
        "The wrong way: if everything moves to the right, the new pixel comes from "
        "further left.",
    ),
    (
        lambda x, n, e, s: (x - s - middle(n)) * e + middle(n),
        "If things become twice as large, two neighbours in the new row come from "
        "places half a pixel apart. Yours are two pixels apart.",
    ),
    (
        lambda x, n, e, s: (x - middle(n)) * e + middle(n) + s,
        "That is where the old pixel x goes. Asked is where the new pixel x comes "
        "from: undo each step.",
    ),
    (
        lambda x, n, e, s: (x - middle(n)) / e + middle(n) - s,
        "Both steps are undone, in the wrong order. The shift came last, so it is "
        "undone first, as you take off shoes before socks.",
    ),
    (
        lambda x, n, e, s: np.rint(source(x, n, e, s)),
        "Do not round: the place may lie between pixels, and its neighbours are then "
        "weighed.",
    ),
    (
        lambda x, n, e, s: (x - s - middle(n)) / e,
        "That is the way from the middle. Add the middle again to get a place in the "
        "row.",
    ),
    (
        lambda x, n, e, s: np.clip(source(x, n, e, s), 0, n - 1),
        "Right inside the row. A place outside it is a right answer too: what lies "
        "there is for the border to say.",
    ),
]


def check_source(answer):
    """Checks the exercise of lesson 07."""
    compare(answer, right=source, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "With a second axis and a rotation it is what `augment` does for each picture: "
        "it multiplies the undoing of each step into one matrix."
    )


CHECKS = {"07": check_source}

QUESTIONS = {
    "07-harder": Question(
        "You add augmentation to the training pictures. Training accuracy falls from "
        "0.99 to 0.82, validation accuracy rises from 0.74 to 0.86, above that of "
        "training. What do you conclude?",
        right="b",
        options={
            "a": (
                "Validation pictures have leaked into training.",
                "A leak raises validation towards training. Here training came down, "
                "in the epoch in which its pictures became harder.",
            ),
            "b": (
                "The network now learns from harder pictures than those of validation.",
                "Training accuracy is measured on rotated and darkened pictures, "
                "validation on plain ones. Only the second is the score.",
            ),
            "c": (
                "The network underfits: take the augmentation away.",
                "Then validation would have come down as well. It rose by 12 points, "
                "and that is what you are after.",
            ),
            "d": (
                "To compare the two, validation must be augmented too.",
                "Its pictures stand for those that will come, and nobody will rotate "
                "those. To compare, evaluate on plain training pictures.",
            ),
        },
    )
}
