"""Lesson 08: when early stopping stops, and which epoch it keeps."""

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]


def early_stopping(losses, patience):
    """How many epochs are trained, and the best of them, counted from 1."""
    return _stopped(losses, patience)


def _stopped(losses, patience, better=lambda new, old: new < old):
    best = 0
    for epoch, loss in enumerate(losses):
        if better(loss, losses[best]):
            best = epoch
        elif epoch - best >= patience:
            return epoch + 1, best + 1
    return len(losses), best + 1


def _against_previous(losses, patience):
    waited = 0
    for epoch in range(1, len(losses)):
        waited = 0 if losses[epoch] < losses[epoch - 1] else waited + 1
        if waited >= patience:
            return epoch + 1, _lowest(losses[: epoch + 1])
    return len(losses), _lowest(losses)


def _all_counted(losses, patience):
    waited, best = 0, 0
    for epoch in range(1, len(losses)):
        if losses[epoch] < losses[best]:
            best = epoch
        else:
            waited += 1
        if waited >= patience:
            return epoch + 1, best + 1
    return len(losses), best + 1


def _lowest(losses):
    return losses.index(min(losses)) + 1


CASES = [
    ([3.0, 2.0, 1.5, 1.6, 1.4, 1.5, 1.6, 1.7, 1.0], 3),
    ([5.0, 4.0, 4.5, 4.4, 4.3, 4.2, 3.9, 3.0], 3),
    ([2.0, 1.0, 1.0, 1.0, 1.0, 0.5], 2),
    ([3.0, 2.0, 1.0], 5),
    ([1.0, 2.0, 1.5, 0.5], 2),
]

USUAL_MISTAKES = [
    (
        _against_previous,
        "You compare each epoch with the one before it. A loss that has jumped up and "
        "creeps down again is no new best: compare with the lowest so far.",
    ),
    (
        lambda losses, patience: _stopped(losses, patience + 1),
        "It waits one epoch too long. With patience 1, the first epoch that is not "
        "better is the last.",
    ),
    (
        lambda losses, patience: _stopped(losses, patience - 1),
        "It stops one epoch too soon. With patience 3, three epochs without a new "
        "best must have passed.",
    ),
    (
        lambda losses, patience: _stopped(losses, patience, lambda a, b: a <= b),
        "A loss that equals the best is not better, or a net that stands still would "
        "train for ever.",
    ),
    (
        _all_counted,
        "The patience begins anew with each new best. You count all poor epochs.",
    ),
    (
        lambda losses, patience: tuple(n - 1 for n in _stopped(losses, patience)),
        "Right, but counted from 0. Epochs are counted from 1, and the first number "
        "says how many were trained.",
    ),
    (
        lambda losses, patience: (_stopped(losses, patience)[0],) * 2,
        "The last epoch is where the waiting ended. The best came before it: those "
        "are the weights to go back to.",
    ),
    (
        lambda losses, patience: (_stopped(losses, patience)[0], _lowest(losses)),
        "The best epoch of the whole list may lie after the stop. Nobody has trained "
        "that one.",
    ),
    (
        lambda losses, patience: (len(losses), _lowest(losses)),
        "That run trains to the end. Where is the patience?",
    ),
    (
        lambda losses, patience: _stopped(losses, patience)[::-1],
        "Both numbers are right, in the wrong order: first how many epochs are "
        "trained, then the best of them.",
    ),
]


def check_early_stopping(answer):
    """Checks the exercise of lesson 08."""
    compare(answer, right=early_stopping, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "So does keras.callbacks.EarlyStopping. It leaves the weights of the *last* "
        "epoch in the model, unless you say restore_best_weights=True. In the second "
        "case the best loss of all came three epochs after the stop: patience is a bet."
    )


CHECKS = {"08": check_early_stopping}

QUESTIONS = {
    "08-underfits": Question(
        "A net has 0.62 on its training pictures and 0.60 on validation, after its "
        "curves have become flat. What do you try first?",
        right="c",
        options={
            "a": (
                "Dropout, as it works nearly always.",
                "The gap is two points: there is next to nothing that dropout could "
                "close. It would make training, the weak side, harder.",
            ),
            "b": (
                "A stronger weight decay.",
                "Small weights make a smoother net. This one is too smooth already: it "
                "does not even fit what it sees.",
            ),
            "c": (
                "A larger net or a better learning rate, and less regularisation.",
                "It underfits. All methods of this lesson trade training accuracy for "
                "a smaller gap, and here the gap is small.",
            ),
            "d": (
                "Early stopping, to keep the best epoch.",
                "The curves are flat: every late epoch is about as good. Stopping "
                "helps where validation gets worse again.",
            ),
        },
    )
}
