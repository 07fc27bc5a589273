"""Lesson 10: numbers drawn on a logarithmic scale, and what a best score is worth."""

import math

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def log_uniform(low, high, share):
    """The number that lies `share` of the way from `low` to `high`, in ratios."""
    return low * (high / low) ** share


CASES = [
    (1e-4, 1e-1, 0.0), (1e-4, 1e-1, 1.0), (1e-4, 1e-1, 0.5), (1.0, 16.0, 0.25),
    (1e-5, 1e-3, 0.9), (2.0, 8.0, 0.5),
]  # fmt: skip

USUAL_MISTAKES = [
    (
        lambda low, high, share: low + share * (high - low),
        "That is even in differences: half-way from 0.0001 to 0.1 you have 0.05, and "
        "nine tenths of all rates lie above 0.01. Make it even in ratios.",
    ),
    (
        lambda low, high, share: (
            math.log(low) + share * (math.log(high) - math.log(low))
        ),
        "You are half-way, in logarithms. Take the exponential of it to come back.",
    ),
    (
        lambda low, high, share: (
            10 ** (math.log(low) + share * (math.log(high) - math.log(low)))
        ),
        "Two bases are mixed: math.log is the natural logarithm, so it wants math.exp; "
        "10 ** wants math.log10.",
    ),
    (
        lambda low, high, share: high * (low / high) ** share,
        "It runs from `high` down to `low`. A share of 0 is `low`.",
    ),
    (
        lambda low, high, share: (high / low) ** share,
        "The ratio is right; now start from `low`.",
    ),
    (
        lambda low, high, share: low * high**share,
        "Right only where `low` is 1: the whole way is a factor of high / low.",
    ),
    (
        lambda low, high, share: math.sqrt(low * high),
        "That is the middle, whatever `share` is.",
    ),
]


def check_log_uniform(answer):
    """Checks the exercise of lesson 10."""
    compare(answer, right=log_uniform, cases=CASES, usual=USUAL_MISTAKES)
    return (
        'That is what hp.Float(..., sampling="log") does with a random share: each '
        "factor of ten gets as many trials."
    )


CHECKS = {"10": check_log_uniform}

QUESTIONS = {
    "10-best": Question(
        "A search of 200 trials ends with 91.5 % on 300 validation pictures; the ten "
        "best lie within a point of each other. You train the best again with three "
        "other seeds and get 89.9, 90.3 and 90.1 %. What do you write in the report?",
        right="b",
        options={
            "a": (
                "91.5 %: that is what the search measured.",
                "It was measured, and chosen for being high among 200. Part of it is "
                "luck with these 300 pictures, and luck does not come along.",
            ),
            "b": (
                "About 90 %, once more from the test part, with its interval.",
                "Training again takes the luck of the seed away, and pictures that "
                "chose nothing take away the rest.",
            ),
            "c": (
                "The mean of all 200 trials.",
                "That says what the space is like, not what this model can do.",
            ),
            "d": (
                "Nothing: something is broken, since 91.5 % cannot be reached again.",
                "Nothing is broken. On 300 pictures one standard error is 1.7 points: "
                "the best of 200 tries is expected to lie above what it is worth.",
            ),
        },
    )
}
