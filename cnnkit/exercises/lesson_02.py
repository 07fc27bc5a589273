"""Lesson 02: how many windows fit along a side."""

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def output_side(side, kernel, stride=1, padding=0):
    """The side of a feature map, with a border of `padding` pixels on each side."""
    return (side + 2 * padding - kernel) // stride + 1


# (side, kernel, stride, padding); the last ones are left out where they are 1 and 0
CASES = [
    (5, 3, 2, 0),
    (3, 3),
    (6, 3, 2, 0),
    (28, 5, 1),
    (28, 5, 1, 2),
    (32, 3, 2, 1),
    (224, 7, 3, 3),
]

USUAL_MISTAKES = [
    (
        lambda side, kernel, stride=1, padding=0: (side - kernel) // stride + 1,
        "Right without padding. With padding=1 the picture is wider on both sides.",
    ),
    (
        lambda side, kernel, stride=1, padding=0: (
            (side + padding - kernel) // stride + 1
        ),
        "The border is added left *and* right: padding=1 makes a picture of 5 pixels "
        "one of 7.",
    ),
    (
        lambda side, kernel, stride=1, padding=0: (
            (side + 2 * padding - kernel) / stride + 1
        ),
        "Side 6, kernel 3, stride 2 gives 2.5 pixels. The window that does not fit is "
        "dropped: a map has whole pixels.",
    ),
    (
        lambda side, kernel, stride=1, padding=0: (
            -(-(side + 2 * padding - kernel) // stride) + 1
        ),
        "You round up. Keras drops the last window that does not fit (padding "
        '"valid"); you kept it.',
    ),
    (
        lambda side, kernel, stride=1, padding=0: (
            (side + 2 * padding - kernel) // stride
        ),
        "Count the windows for side 3, kernel 3: there is one, not none. Steps are one "
        "fewer than windows.",
    ),
    (
        lambda side, kernel, stride=1, padding=0: (
            (side + 2 * padding - kernel + 1) // stride
        ),
        "The 1 is the first window, which needs no step. Divide the steps by the "
        "stride, and add it after that.",
    ),
    (
        lambda side, kernel, stride=1, padding=0: side + 2 * padding - kernel + 1,
        "Right for stride 1. With stride 2 every second of these places is left out.",
    ),
    (
        lambda side, kernel, stride=1, padding=0: -(-side // stride),
        'That is the rule of Keras for padding="same", whatever the kernel. Here the '
        "border is given in pixels, and it may be none.",
    ),
    (
        lambda side, kernel, stride=1, padding=0: (
            ((side + 2 * padding - kernel) // stride + 1) ** 2
        ),
        "That is how many pixels the whole map has. The question is its side.",
    ),
]


def check_output_side(answer):
    """Checks the exercise of lesson 02."""
    compare(answer, right=output_side, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "With a kernel of 3, stride 1 and padding 1 the side stays as it is: that is "
        "why you will meet these three numbers so often."
    )


CHECKS = {"02": check_output_side}

QUESTIONS = {
    "02-stack": Question(
        "A 7×7 kernel and three 3×3 kernels, one layer after the other, see the same "
        "window of 7×7 pixels. With 64 channels in and out of each layer and no bias, "
        "which has fewer weights?",
        right="c",
        options={
            "a": (
                "The 7×7 kernel: one layer has fewer weights than three.",
                "Count them: 7·7·64·64 is 200,704, and three times 3·3·64·64 is "
                "110,592.",
            ),
            "b": (
                "Neither: the same window, the same weights.",
                "The windows of the three layers overlap and share what they see. "
                "Three times 9 places are fewer than 49.",
            ),
            "c": (
                "The three 3×3 kernels: 110,592 against 200,704.",
                "27 places against 49, each with 64·64 weights. And between the layers "
                "there is room for two more ReLUs.",
            ),
            "d": (
                "The three 3×3 kernels: 1,728 against 3,136.",
                "That counts 64 channels once. Each of the 64 kernels of a layer has "
                "weights of its own in each of the 64 channels that come in.",
            ),
        },
    )
}
