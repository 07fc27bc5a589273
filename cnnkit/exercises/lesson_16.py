"""Lesson 16: what a stack of convolutions sees and weighs, and the size of a photo."""

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def stacked(n, kernel, channels):
    """The side of the window that a stack sees, and the weights of its kernels."""
    return n * (kernel - 1) + 1, n * kernel**2 * channels**2


# (n, kernel, channels): also a single layer, and windows of one pixel
CASES = [(2, 3, 64), (3, 3, 64), (1, 5, 8), (4, 1, 16), (2, 5, 10), (5, 3, 1)]

USUAL_MISTAKES = [
    (
        lambda n, k, c: (n * k, n * k**2 * c**2),
        "The weights are right. The windows overlap: two of 3×3 see 5 pixels in a row, "
        "not 6. How many new ones does each layer add?",
    ),
    (
        lambda n, k, c: (k**n, n * k**2 * c**2),
        "The weights are right. A field that grows by a factor with every layer would "
        "need strides: with stride 1 each layer adds the same number of pixels.",
    ),
    (
        lambda n, k, c: (n * (k - 1), n * k**2 * c**2),
        "The weights are right. The window grows by kernel − 1 with every layer, but "
        "from what does it start? Before the first layer a place sees one pixel.",
    ),
    (
        lambda n, k, c: ((n * (k - 1) + 1) ** 2, n * k**2 * c**2),
        "The weights are right. Your first number is the area of the window; its side "
        "is asked for, so 5 and not 25.",
    ),
    (
        lambda n, k, c: (n * (k - 1) + 1, n * k**2 * c),
        "The window is right. Each of the `channels` filters reaches through all the "
        "channels that come in, so they count twice.",
    ),
    (
        lambda n, k, c: (n * (k - 1) + 1, n * k**2),
        "The window is right. You count one channel: each of the `channels` filters "
        "has a window in each of the channels that come in.",
    ),
    (
        lambda n, k, c: (n * (k - 1) + 1, k**2 * c**2),
        "The window is right. Those are the weights of one layer. Each of the `n` "
        "layers has weights of its own.",
    ),
    (
        lambda n, k, c: (n * (k - 1) + 1, ((n * (k - 1) + 1) * c) ** 2),
        "The window is right. You weigh the one large convolution that sees as much. "
        "The stack is made of small ones.",
    ),
    (
        lambda n, k, c: (n * (k - 1) + 1, n * k**2 * c**2 + n * c),
        "The window is right. You count the biases as well; here only the weights of "
        "the kernels are asked for.",
    ),
    (
        lambda n, k, c: (n * k**2 * c**2, n * (k - 1) + 1),
        "Both numbers are right, in the wrong order: first the side of the window, "
        "then the weights.",
    ),
]


def check_stacked(answer):
    """Checks the exercise of lesson 16."""
    compare(answer, right=stacked, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "The window grows with n, and the weights as well. In one convolution that "
        "sees as much the weights grow with the square of the window: a 7×7 weighs "
        "49, three 3×3 weigh 27."
    )


CHECKS = {"16": check_stacked}

QUESTIONS = {
    "16-photo": Question(
        "Your network ends in GlobalAveragePooling2D. You trained it on photographs "
        "that were squeezed from about 1600×1200 to 160×160 pixels. Now a new "
        "photograph of 1600×1200 comes in. What do you give to the network?",
        right="c",
        options={
            "a": (
                "The photograph as it is: the network takes every size.",
                "It will answer, and without a warning. But all things are ten times "
                "as large as in training; no place of the last map sees more than a "
                "piece of one.",
            ),
            "b": (
                "The middle 160×160 pixels, since 160 is what it was trained on.",
                "The number of pixels is that of training, and the scale is not: you "
                "show a hundredth of the photograph, with all things ten times as "
                "large.",
            ),
            "c": (
                "The photograph squeezed to 160×160, as in training.",
                "Things then look as they did in training. If you want more pixels, "
                "train again with more.",
            ),
            "d": (
                "The photograph on a square of 1600×1600 with a grey border: so its "
                "shape is kept.",
                "The shape is the smaller problem, and the border solves no other: "
                "all things are still ten times as large as in training.",
            ),
        },
    )
}
