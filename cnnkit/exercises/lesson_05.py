"""Lesson 05: the best epoch of a run, and the gap there."""

import numpy as np

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def best_epoch(history):
    """The epoch, from 1, of the lowest validation loss, and the accuracy gap there."""
    best = int(np.argmin(history["val_loss"]))
    return best + 1, history["accuracy"][best] - history["val_accuracy"][best]


def _run(loss, val_loss, accuracy, val_accuracy):
    return {
        "loss": loss,
        "val_loss": val_loss,
        "accuracy": accuracy,
        "val_accuracy": val_accuracy,
    }


CASES = [
    (
        _run(
            [2.0, 1.2, 0.7, 0.2, 0.4],
            [2.1, 1.5, 1.3, 1.4, 1.7],
            [0.3, 0.6, 0.8, 0.9, 1.0],
            [0.25, 0.5, 0.6, 0.65, 0.62],
        ),
    ),
    (_run([2.2, 2.0, 1.9], [2.3, 2.1, 2.0], [0.2, 0.3, 0.31], [0.15, 0.25, 0.28]),),
    (_run([1.0, 0.4, 0.1], [0.8, 0.9, 1.5], [0.7, 0.9, 1.0], [0.65, 0.75, 0.7]),),
    (_run([1.5], [1.4], [0.5], [0.55]),),
]


def _at(choose, history):
    best = choose(history)
    return best + 1, history["accuracy"][best] - history["val_accuracy"][best]


def _best(history):
    return int(np.argmin(history["val_loss"]))


USUAL_MISTAKES = [
    (
        lambda h: (_best(h), best_epoch(h)[1]),
        "The place is right. Lists begin with 0, and epochs are counted from 1.",
    ),
    (
        lambda h: _at(lambda h: int(np.argmax(h["val_accuracy"])), h),
        "That is the highest validation accuracy. It moves in steps of one picture; "
        "take the lowest validation loss, which also sees how sure the net is.",
    ),
    (
        lambda h: _at(lambda h: int(np.argmin(h["loss"])), h),
        "The training loss falls to the end, also while the net learns by heart. Look "
        "at the loss on pictures that it does not learn from.",
    ),
    (
        lambda h: _at(lambda h: int(np.argmax(h["val_loss"])), h),
        "That is the worst epoch: of a loss, less is better.",
    ),
    (
        lambda h: _at(lambda h: len(h["val_loss"]) - 1, h),
        "That is the last epoch. The best is where validation loss was lowest.",
    ),
    (
        lambda h: (_best(h) + 1, -best_epoch(h)[1]),
        "Upside down: the gap is training less validation, so it is positive where a "
        "net does better on the pictures that it knows.",
    ),
    (
        lambda h: (_best(h) + 1, h["accuracy"][-1] - h["val_accuracy"][-1]),
        "The epoch is right, and the gap is that of the last epoch. Take both "
        "accuracies at the best one.",
    ),
    (
        lambda h: (_best(h) + 1, h["val_loss"][_best(h)] - h["loss"][_best(h)]),
        "The epoch is right. That is the gap between the losses; it is asked between "
        "the accuracies.",
    ),
    (
        lambda h: (_best(h) + 1, 100 * best_epoch(h)[1]),
        "The gap is a share from -1 to 1 here, not percent.",
    ),
    (
        lambda h: best_epoch(h)[::-1],
        "Both numbers are right, in the wrong order: first the epoch, then the gap.",
    ),
]


def check_best_epoch(answer):
    """Checks the exercise of lesson 05."""
    compare(answer, right=best_epoch, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "`training.fit` keeps the weights of that epoch and calls it "
        'history.params["best_epoch"]. A best epoch that is the last one says: train '
        "longer. A best epoch that is the first says: the rate may be too high."
    )


CHECKS = {"05": check_best_epoch}

QUESTIONS = {
    "05-loss": Question(
        "Validation loss is lowest in epoch 6 and has doubled by epoch 20. In the same "
        "time validation accuracy has risen from 0.78 to 0.79. What has happened?",
        right="b",
        options={
            "a": (
                "Nothing is wrong: accuracy counts, and it has risen.",
                "One point is less than what a seed changes. And whoever uses the "
                "probabilities now gets worse ones.",
            ),
            "b": (
                "The net makes about as many mistakes, and is much surer of them.",
                "Accuracy counts mistakes. The loss weighs each by how sure the net "
                "was, and a net that learns by heart grows sure of everything.",
            ),
            "c": (
                "The learning rate is too high, so the loss explodes.",
                "Then the training loss would jump as well. Look at it first: here it "
                "falls, smoothly.",
            ),
            "d": (
                "The gradients vanish after epoch 6.",
                "Then nothing would change any more, and the loss would stand still. "
                "It rises, because the weights go on changing.",
            ),
        },
    )
}
