"""Lesson 09: a learning rate that warms up, then falls along a cosine."""

import math

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def cosine_rate(step, steps, warmup, peak):
    """The rate of a step: a straight rise to the peak, then half a cosine to 0."""
    if step < warmup:
        return peak * step / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


CASES = [(0, 100, 10, 0.1), (5, 100, 10, 0.1), (10, 100, 10, 0.1)]
CASES += [(55, 100, 10, 0.1), (70, 100, 20, 1.0), (100, 100, 10, 0.1), (3, 8, 4, 0.4)]


def _after_warmup(fall):
    """A schedule with the right rise and another fall."""

    def rate(step, steps, warmup, peak):
        return (
            peak * step / warmup if step < warmup else fall(step, steps, warmup, peak)
        )

    return rate


USUAL_MISTAKES = [
    (
        lambda s, n, w, p: p * (1 + math.cos(math.pi * s / n)) / 2,
        "There is no warm-up yet: before step `warmup` the rate is a straight line "
        "from 0 to `peak`.",
    ),
    (
        _after_warmup(lambda s, n, w, p: p * (1 + math.cos(math.pi * s / n)) / 2),
        "At the end of the warm-up the rate jumps down. The cosine begins there, so "
        "count its steps from `warmup`.",
    ),
    (
        _after_warmup(lambda s, n, w, p: p * (1 + math.cos(math.pi * (s - w) / n)) / 2),
        "The cosine begins at the right step and does not reach 0: it has only "
        "`steps - warmup` steps for its way down.",
    ),
    (
        _after_warmup(
            lambda s, n, w, p: p * (1 + math.cos(math.pi * (s - w) / (n - w)))
        ),
        "Twice too high after the warm-up: 1 + cos goes from 2 to 0.",
    ),
    (
        _after_warmup(lambda s, n, w, p: p * math.cos(math.pi * (s - w) / (n - w))),
        "The rate falls below 0 in the second half, and then the steps go uphill. Add "
        "1 to the cosine, and halve.",
    ),
    (
        _after_warmup(lambda s, n, w, p: p * math.cos(math.pi / 2 * (s - w) / (n - w))),
        "That is a quarter of a cosine: it arrives at full speed. Half of one, lifted "
        "above 0, comes down gently at both ends.",
    ),
    (
        _after_warmup(
            lambda s, n, w, p: p * (1 + math.cos(180 * (s - w) / (n - w))) / 2
        ),
        "math.cos takes radians: half a turn is math.pi, not 180.",
    ),
    (
        _after_warmup(
            lambda s, n, w, p: p * (1 - math.cos(math.pi * (s - w) / (n - w))) / 2
        ),
        "After the warm-up your rate rises, from 0 to the peak. It should fall: take "
        "1 + cos.",
    ),
    (
        _after_warmup(lambda s, n, w, p: p * (1 - (s - w) / (n - w))),
        "That is a straight line down. It is a schedule too (linear decay), and here a "
        "cosine is asked for.",
    ),
    (
        lambda s, n, w, p: (
            p * (s + 1) / w
            if s < w
            else p * (1 + math.cos(math.pi * (s - w) / (n - w))) / 2
        ),
        "The first step is number 0, and there the rate is 0: step / warmup.",
    ),
    (
        lambda s, n, w, p: (
            s / w if s < w else (1 + math.cos(math.pi * (s - w) / (n - w))) / 2
        ),
        "The shape is right. Its highest point is `peak`, not 1.",
    ),
]


def check_cosine_rate(answer):
    """Checks the exercise of lesson 09."""
    compare(answer, right=cosine_rate, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "Half of the way down it is at half of the peak. It spends as many steps above "
        "as below: time to travel, and time to settle."
    )


CHECKS = {"09": check_cosine_rate}

QUESTIONS = {
    "09-restless": Question(
        "A run of 20 passes at a constant rate of 0.02. The training loss falls. The "
        "validation loss jumps from pass to pass, between 0.2 and 0.7. What first?",
        right="b",
        options={
            "a": (
                "Take 0.002 for the whole run.",
                "It would be calm, and slow: the first passes, in which large steps do "
                "no harm, would bring a tenth of the way.",
            ),
            "b": (
                "Keep the rate in the middle of the run and let it fall at the end.",
                "Large steps travel and do not settle. The last passes at small rates "
                "settle, and the validation loss becomes calm and low.",
            ),
            "c": (
                "Add dropout: it overfits.",
                "Overfitting rises slowly and stays. A loss that jumps up and comes "
                "back in the next pass is a matter of the steps' size.",
            ),
            "d": (
                "Take the weights of whichever pass had 0.2.",
                "That is better than nothing, and `fit` does it. But the best of "
                "twenty jumps is partly luck on these validation pictures, and the "
                "run has not settled anywhere.",
            ),
        },
    )
}
