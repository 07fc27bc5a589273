"""Lesson 17: how many weights a dense block has."""

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def dense_weights(channels, num_layers, growth):
    """The weights of all 3x3 kernels of a dense block, without biases."""
    return sum(9 * (channels + i * growth) * growth for i in range(num_layers))


CASES = [(16, 2, 12), (16, 12, 12), (64, 6, 32), (3, 1, 5), (24, 4, 1)]

USUAL_MISTAKES = [
    (
        lambda c, n, k: 9 * c * k * n,
        "The first layer reads `channels`. The second reads those and what the first "
        "has added, so its filters have more weights.",
    ),
    (
        lambda c, n, k: 9 * c * k + 9 * k * k * (n - 1),
        "So it is in a plain net, where a layer reads the one before it. Here each "
        "reads all maps so far: the block's input as well.",
    ),
    (
        lambda c, n, k: sum(9 * (c + (i + 1) * k) * k for i in range(n)),
        "Each layer reads its own output in your sum. Begin with what comes in: the "
        "first layer reads `channels` and no more.",
    ),
    (
        lambda c, n, k: sum(9 * (c + i * k) * (c + (i + 1) * k) for i in range(n)),
        "A layer makes only `growth` new channels. The old ones are laid beside them "
        "by Concatenate, which has no weights.",
    ),
    (
        lambda c, n, k: 9 * (c + n * k) * k * n,
        "So many channels leave the block. Only what follows it reads them all; the "
        "layers inside read fewer.",
    ),
    (
        lambda c, n, k: sum((c + i * k) * k for i in range(n)),
        "The channels are right. A window of 3×3 has a weight at each of its places, "
        "for each pair of a channel in and a channel out.",
    ),
    (
        lambda c, n, k: sum(3 * (c + i * k) * k for i in range(n)),
        "The channels are right. A window of 3×3 has 9 places, not 3.",
    ),
    (
        lambda c, n, k: sum(9 * (c + i * k) for i in range(n)),
        "That is one filter a layer. Each layer has `growth` of them, with weights of "
        "their own.",
    ),
    (
        lambda c, n, k: sum(9 * (c + i * k) * k + k for i in range(n)),
        "Right but for the biases. BatchNormalization would take them out again, so "
        "these convolutions have none.",
    ),
    (
        lambda c, n, k: c + n * k,
        "That is how many channels leave the block, and it is right. The question is "
        "how many weights its convolutions have.",
    ),
]


def check_dense_weights(answer):
    """Checks the exercise of lesson 17."""
    compare(answer, right=dense_weights, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "In a long block, twice as many layers make nearly four times the weights, "
        "since the later ones read more. That is why DenseNet-121 puts a 1×1 "
        "convolution before each 3×3, as the Inception block does."
    )


CHECKS = {"17": check_dense_weights}

QUESTIONS = {
    "17-deeper": Question(
        "A plain net of 20 layers with BatchNormalization has an accuracy of 0.93 on "
        "its training pictures and 0.88 on others. With 56 layers and the same recipe "
        "it has 0.81 and 0.79. What do you conclude?",
        right="c",
        options={
            "a": (
                "The deep net overfits. It needs more pictures, or dropout.",
                "Overfitting is good on training pictures and poor on others. This "
                "net is worse on the pictures that it learns from.",
            ),
            "b": (
                "The task needs no more than 20 layers, so 56 cannot fit it.",
                "They can: 20 of them could do what the small net does, and 36 pass "
                "it on. Such weights exist. They were not found.",
            ),
            "c": (
                "Training does not find what the deep net could do. Try shortcuts.",
                "That is degradation: the solution exists and is hard to reach. "
                "Shortcuts make passing on what came in the easy thing.",
            ),
            "d": (
                "Its gradients vanish, so the first layers learn nothing.",
                "Nobody has measured them yet. In this lesson a plain net with "
                "BatchNormalization had its largest gradients in the first layers.",
            ),
        },
    )
}
