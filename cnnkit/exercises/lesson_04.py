"""Lesson 04: where the parameters of a CNN are, and what they depend on."""

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def conv_parameters(kernel, channels_in, filters, bias=True):
    """The number of weights that training can change in one `Conv2D` layer."""
    return (kernel * kernel * channels_in + bias) * filters


# (kernel, channels_in, filters, bias); the last one is left out where it is True
CASES = [
    (3, 3, 24),
    (3, 24, 48),
    (1, 64, 16),
    (5, 1, 6, True),
    (3, 24, 48, False),
    (7, 3, 64, False),
]

USUAL_MISTAKES = [
    (
        lambda k, c, f, bias=True: (k * k + bias) * f,
        "Each filter reaches through all the channels that come in: on a colour "
        "picture a 3×3 filter has 27 weights, not 9.",
    ),
    (
        lambda k, c, f, bias=True: (k * c + bias) * f,
        "`kernel` is the side of the window. How many weights lie in a window of 3×3?",
    ),
    (
        lambda k, c, f, bias=True: k * k * c * f,
        "Right without bias. With bias=True each filter also adds one number of its "
        "own to its sum.",
    ),
    (
        lambda k, c, f, bias=True: (k * k * c + 1) * f,
        "Right with bias, but bias=False must make a difference: then no filter has "
        "that extra number. Layers that stand before BatchNormalization often leave "
        "it out.",
    ),
    (
        lambda k, c, f, bias=True: k * k * c * f + bias,
        "You add one bias for the whole layer. Each filter has its own.",
    ),
    (
        lambda k, c, f, bias=True: k * k * c * f + bias * c,
        "You add one bias for each channel that comes in. It is added to the finished "
        "sum, so there is one for each filter, which is each channel that goes out.",
    ),
    (
        lambda k, c, f, bias=True: (k * k + bias) * c * f,
        "You add a bias in every channel of every filter. A filter adds up its window "
        "over all channels first and then adds its bias once.",
    ),
    (
        lambda k, c, f, bias=True: k * k * c + bias,
        "That is one filter. The layer has `filters` of them, each with weights of its "
        "own.",
    ),
]


def check_conv_parameters(answer):
    """Checks the exercise of lesson 04."""
    compare(answer, right=conv_parameters, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "Look at what is missing: the picture's height and width. The same few weights "
        "are used at every place of the picture."
    )


CHECKS = {"04": check_conv_parameters}

QUESTIONS = {
    "04-size": Question(
        "Your network takes pictures of 64×64 pixels and ends in "
        "GlobalAveragePooling2D and Dense. You build it again for 128×128. What "
        "happens to the number of parameters, and to the work for one picture?",
        right="b",
        options={
            "a": (
                "Four times the parameters, four times the work.",
                "The work grows, the parameters do not: no filter has more weights "
                "than before. (With Flatten in place of the pooling you would be "
                "nearly right: its Dense layer grows with the area.)",
            ),
            "b": (
                "The same parameters, about four times the work.",
                "The same filters slide over four times as many places.",
            ),
            "c": (
                "The same parameters, the same work.",
                "The parameters stay, but each filter now visits four times as many "
                "places, and each visit costs the same.",
            ),
            "d": (
                "Twice the parameters, about four times the work.",
                "Nothing doubles inside a layer: a 3×3 filter keeps its weights "
                "whatever the size of the picture. Only the work grows with the area.",
            ),
        },
    )
}
