"""Lesson 13: what a small window and shared weights save, each by itself."""

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def weights(side, window, channels, filters):
    """Weights for a map of side x side places: shared, own for each place, dense."""
    shared = window * window * channels * filters
    places = side * side
    return shared, shared * places, places * channels * places * filters


CASES = [(5, 3, 2, 4), (6, 3, 1, 2), (4, 1, 3, 5), (8, 5, 2, 3)]

USUAL_MISTAKES = [
    (
        lambda s, w, c, f: (w * w * c * f, w * w * c * f, (s * s) ** 2 * c * f),
        "The second has a small window, and other weights at each place of the map. "
        "You counted those of a single place.",
    ),
    (
        lambda s, w, c, f: (w * w * c * f, w * w * c * f * s, (s * s) ** 2 * c * f),
        "`side` is the side of the map. How many places has it, then?",
    ),
    (
        lambda s, w, c, f: (
            w * w * c * f,
            w * w * c * f * (s - w + 1) ** 2,
            (s * s) ** 2 * c * f,
        ),
        "The map is as large as the picture, as with padding='same': the window also "
        "stands at the edges.",
    ),
    (
        lambda s, w, c, f: (w * w * c * f, w * w * c * f * s * s, s * s * c * f),
        "A dense layer has many outputs, one for each place of each filter, and each "
        "of them sees every pixel. You counted one output for each filter.",
    ),
    (
        lambda s, w, c, f: (w * w * c * f, w * w * c * f * s, s * s * c * f),
        "A map has side x side places, and so many pixels has the picture. You took "
        "`side` of them, in the second and in the third.",
    ),
    (
        lambda s, w, c, f: (w * w * f, w * w * f * s * s, (s * s) ** 2 * f),
        "A window reaches through all the channels that come in.",
    ),
    (
        lambda s, w, c, f: (w * w * c, w * w * c * s * s, (s * s) ** 2 * c),
        "That is for one filter. There are `filters` of them.",
    ),
    (
        lambda s, w, c, f: (w * c * f, w * c * f * s * s, (s * s) ** 2 * c * f),
        "`window` is a side: a window of 3 has 9 places.",
    ),
    (
        lambda s, w, c, f: (
            (w * w * c + 1) * f,
            (w * w * c + 1) * f * s * s,
            (s * s * c + 1) * s * s * f,
        ),
        "You counted biases as well. They are right in Keras; here they are left out.",
    ),
    (
        lambda s, w, c, f: (
            w * w * c * f,
            w * w * c * f * s * s,
            w * w * c * f * (s * s) ** 2,
        ),
        "A dense layer has no window: each output sees each pixel once.",
    ),
    (
        lambda s, w, c, f: (
            (s * s) ** 2 * c * f,
            w * w * c * f * s * s,
            w * w * c * f,
        ),
        "The three numbers are right, in the wrong order: shared, own, dense.",
    ),
    (
        lambda s, w, c, f: (w * w * c * f, (s * s) ** 2 * c * f),
        "Shared and dense are right. Between them stands the small window that has "
        "weights of its own at each place: return three numbers.",
    ),
]


def check_weights(answer):
    """Checks the exercise of lesson 13."""
    compare(answer, right=weights, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "Two ideas save weights: from dense to own, the window looks at the "
        "neighbourhood alone; from own to shared, what was learnt at one place is "
        "known at all. For 48 x 48 pixels in colour and 16 filters of 3 x 3 that is "
        "255 million, 995,328 and 432."
    )


CHECKS = {"13": check_weights}

QUESTIONS = {
    "13-shift": Question(
        "A camera is moved by one pixel, and a network with convolutions and pooling "
        "changes its answer for 8 of 100 pictures. A colleague says: impossible, "
        "convolution is invariant to shifts. What do you say?",
        right="b",
        options={
            "a": (
                "He is right. There must be a mistake in the measurement.",
                "You have measured the same in this lesson, on a network without any "
                "mistake in it.",
            ),
            "b": (
                "A convolution is equivariant: its map moves along. With pooling that "
                "holds for shifts by whole steps, and at the border not at all.",
                "One pixel is no whole step of pooling by 2, 4 and 8, so the later "
                "maps are not moved but changed. Where two classes are close, that is "
                "enough for another answer.",
            ),
            "c": (
                "The weights are not really shared between the places.",
                "They are: the first map moves along exactly. Sharing makes a map "
                "move. It does not make an answer stay.",
            ),
            "d": (
                "Take dense layers: they see the whole picture at once.",
                "A dense layer shares nothing, so it has to learn each sign at each "
                "place by itself. Shifts would hurt it far more.",
            ),
        },
    )
}
