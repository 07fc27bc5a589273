"""Lesson 03: from logits to probabilities, at any temperature."""

import numpy as np

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def softmax(logits, temperature=1.0):
    """Probabilities, shape (classes,): exponentials, divided by their sum."""
    logits = np.asarray(logits, "float64") / temperature
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


# (logits, temperature); it is left out where it is 1
CASES = [
    (np.array([2.0, 1.0, 0.0]),),
    (np.array([2.0, 1.0, 0.0]), 2.0),
    (np.array([-1.0, 3.0, 0.5, 0.0]), 0.5),
    (np.array([4.0, -2.0]), 10.0),
    (np.array([1000.0, 999.0, 998.0]), 1.0),
]


def _exponentials(logits, temperature):
    """What stands over the fraction's line, the largest scaled to 1."""
    return np.exp((logits - logits.max()) / temperature)


USUAL_MISTAKES = [
    (
        lambda logits, temperature=1.0: softmax(logits),
        "Right for temperature 1. Another temperature must make a difference: divide "
        "the logits by it, before anything else.",
    ),
    (
        lambda logits, temperature=1.0: softmax(logits, 1 / temperature),
        "You multiply by the temperature. A high one should make them alike, so it "
        "divides the logits.",
    ),
    (
        lambda logits, temperature=1.0: softmax(logits) / temperature,
        "You divide the probabilities, and their sum is no longer 1. Divide the "
        "logits, before anything else.",
    ),
    (
        lambda logits, temperature=1.0: softmax(logits) ** (1 / temperature),
        "A power of the probabilities is a good idea, but their sum is no longer 1: "
        "divide by it.",
    ),
    (
        lambda logits, temperature=1.0: _exponentials(logits, temperature),
        "These are the exponentials, and they do not add up to 1. Divide by their sum.",
    ),
    (
        lambda logits, temperature=1.0: (
            _exponentials(logits, temperature) / len(logits)
        ),
        "Divide the exponentials by their sum, not their number.",
    ),
    (
        lambda logits, temperature=1.0: logits / logits.sum(),
        "Logits may be below 0, and a probability may not. What of the exponential?",
    ),
    (
        lambda logits, temperature=1.0: abs(logits) / abs(logits).sum(),
        "The sign of a logit matters: −3 speaks against the class. The exponential "
        "makes it small and positive.",
    ),
    (
        lambda logits, temperature=1.0: 1 / (1 + np.exp(-logits / temperature)),
        "That is the sigmoid: each class by itself, and no sum of 1.",
    ),
    (
        lambda logits, temperature=1.0: (logits == logits.max()).astype(float),
        "That names the winner. Softmax says by how much it wins, and gives the others "
        "their share.",
    ),
    (
        lambda logits, temperature=1.0: np.log(softmax(logits, temperature)),
        "These are the logarithms of the probabilities.",
    ),
    (
        lambda logits, temperature=1.0: 100 * softmax(logits, temperature),
        "That is in percent. Probabilities add up to 1.",
    ),
]


def check_softmax(answer):
    """Checks the exercise of lesson 03."""
    compare(answer, right=softmax, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "Also for 1,000, where exp is beyond all numbers: you subtracted the largest "
        "logit first. Keras does the same."
    )


CHECKS = {"03": check_softmax}

QUESTIONS = {
    "03-cat": Question(
        "You show the network for handwritten digits a photograph of a cat, scaled to "
        '8 × 8 pixels. It says "2" with a probability of 0.97. What does that mean?',
        right="d",
        options={
            "a": (
                "The cat looks like a 2, by 97 %.",
                "Nobody compared the cat with a 2. Ten sums were computed, and one was "
                "larger than the other nine.",
            ),
            "b": (
                "The network is broken: it should have said 0.1 for each digit.",
                "It was never asked to. Equal probabilities come of equal logits, and "
                "nothing in training made the logits of cats equal.",
            ),
            "c": (
                "A higher temperature would have shown that it is no digit.",
                "It would have made all ten probabilities more alike, those of true "
                "digits too. It adds nothing that the logits do not know.",
            ),
            "d": (
                "Of ten logits, that of the 2 was the largest, by 3 or more.",
                "Softmax shares out 1 among the classes that it has. There is none for "
                '"none of these", so the cat must be a digit.',
            ),
        },
    )
}
