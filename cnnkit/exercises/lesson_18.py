"""Lesson 18: what a convolution in two steps leaves of the operations of a full one."""

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def share_left(kernel, channels_in, channels_out):
    """Multiply-adds of a depthwise and a 1x1 convolution, for one of the full one."""
    full = kernel * kernel * channels_in * channels_out
    return (kernel * kernel * channels_in + channels_in * channels_out) / full


CASES = [(3, 64, 64), (3, 64, 128), (5, 32, 48), (3, 3, 32), (7, 16, 4), (1, 8, 24)]

USUAL_MISTAKES = [
    (
        lambda k, c, n: 1 / c + 1 / k**2,
        "Right where as many channels go out as come in. The channels that come in "
        "stand in all three products and cancel; those that go out do not.",
    ),
    (
        lambda k, c, n: 1 / k**2,
        "That is the 1×1 step alone. The windows before it cost something as well.",
    ),
    (
        lambda k, c, n: 1 / n,
        "That is the depthwise step alone. Mixing the channels comes after it, and "
        "costs most.",
    ),
    (
        lambda k, c, n: 1 / n + 1 / k,
        "`kernel` is the side of the window. How many weights lie in a window of 3×3?",
    ),
    (
        lambda k, c, n: k**2 * c * n / (k**2 * c + c * n),
        "Upside down: that says how many times as much the full convolution does.",
    ),
    (
        lambda k, c, n: 1 - (1 / n + 1 / k**2),
        "That share is saved. The question is which share is left.",
    ),
    (
        lambda k, c, n: 1 / (n * k**2),
        "You multiply the two steps. One comes after the other: their operations add.",
    ),
    (
        lambda k, c, n: 1 / n + 1,
        "Your second step still looks through a window of k×k. It looks at one place: "
        "`channels_in` weights for each channel that goes out.",
    ),
    (
        lambda k, c, n: 1 / (c * n) + 1 / k**2,
        "You count one window for all channels together. In the depthwise step each "
        "channel that comes in has a window of its own.",
    ),
    (
        lambda k, c, n: 100 * (1 / n + 1 / k**2),
        "Right in percent. Give the share itself: 0.127, not 12.7.",
    ),
]


def check_share_left(answer):
    """Checks the exercise of lesson 18."""
    compare(answer, right=share_left, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "In short: 1 / channels_out + 1 / kernel². With many channels a 3×3 window "
        "leaves a ninth, a 5×5 window a twenty-fifth. With a 1×1 window there is "
        "nothing to split: you pay more."
    )


CHECKS = {"18": check_share_left}

QUESTIONS = {
    "18-phone": Question(
        "Network A does 300 million multiply-adds for a picture, network B 600 "
        "million. Both are accurate enough. Your app must answer fast on one kind of "
        "phone. Which do you take?",
        right="d",
        options={
            "a": (
                "A: half the operations, so about half the time.",
                "Operations of two kinds do not take equally long. You have seen one "
                "eighth of them take far more than one eighth of the time.",
            ),
            "b": (
                "B: it keeps the processor busier.",
                "A busy processor is not the aim. B would have to be more than twice "
                "as fast for each operation, and nothing here says that it is.",
            ),
            "c": (
                "The one with fewer parameters.",
                "Parameters say how large the file is. A convolution uses each of its "
                "own at every place of the map, so they say little about the time.",
            ),
            "d": (
                "I measure both on that phone, one picture at a time.",
                "The time depends on the kinds of layers, on the chip and on the "
                "batch. MobileNetV3 was searched with times from a phone, not counts.",
            ),
        },
    )
}
