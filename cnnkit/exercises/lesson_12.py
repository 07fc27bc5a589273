"""Lesson 12: which layers learn after unfreezing, and what fine-tuning can spoil."""

from cnnkit.exercises import Question, compare

__all__ = ["CHECKS", "QUESTIONS"]

NORM = "BatchNormalization"


def who_learns(kinds, count):
    """Whether each layer of a backbone learns when the last `count` are unfrozen."""
    first = len(kinds) - count
    return [i >= first and kind != NORM for i, kind in enumerate(kinds)]


def _norms_not_counted(kinds, count):
    others = [i for i, kind in enumerate(kinds) if kind != NORM]
    opened = others[len(others) - count :] if count <= len(others) else others
    return [i in opened for i in range(len(kinds))]


def _sliced_from_minus(kinds, count):
    opened = list(range(len(kinds)))[-count:]
    return [i in opened and kind != NORM for i, kind in enumerate(kinds)]


BLOCK = ["Conv2D", NORM, "ReLU"]
CASES = [
    (BLOCK * 2 + ["Conv2D", NORM], 4),
    (BLOCK * 2, 1),
    (BLOCK + ["MaxPooling2D", "Conv2D", NORM], 5),
    (BLOCK * 2, 0),
    (BLOCK, 3),
]

USUAL_MISTAKES = [
    (
        lambda kinds, count: [
            i < count and kind != NORM for i, kind in enumerate(kinds)
        ],
        "You open the layers at the input. Those see edges and colours, which serve "
        "for other pictures too: keep them, and open the last ones.",
    ),
    (
        lambda kinds, count: [i >= len(kinds) - count for i in range(len(kinds))],
        "The right layers, but their BatchNormalization is open too, so its averages "
        "move. Keep each of them frozen, wherever it stands.",
    ),
    (
        _norms_not_counted,
        "You pass over BatchNormalization while you count, and so open layers further "
        "down. It counts as a layer; it does not learn.",
    ),
    (
        _sliced_from_minus,
        "Right, but for count=0: in Python kinds[-0:] is the whole list, so "
        "everything is opened where nothing should be.",
    ),
    (
        lambda kinds, count: [not learns for learns in who_learns(kinds, count)],
        "Upside down: you say which layers are frozen. True stands for those that "
        "learn, as in `layer.trainable`.",
    ),
    (
        lambda kinds, count: [
            i > len(kinds) - count and kind != NORM for i, kind in enumerate(kinds)
        ],
        "One layer too few. Of 6 layers, counted from 0, the last 4 begin at number 2.",
    ),
    (
        lambda kinds, count: [
            i >= count and kind != NORM for i, kind in enumerate(kinds)
        ],
        "You keep `count` layers frozen and open the rest. It is the other way round: "
        "`count` says how many are opened.",
    ),
    (
        lambda kinds, count: [
            i >= len(kinds) - count and kind == "Conv2D" for i, kind in enumerate(kinds)
        ],
        "Layers without weights are missing. It does no harm to a ReLU, but a list "
        "that names the kinds which may learn forgets the next kind: name the one "
        "that may not.",
    ),
]


def check_who_learns(answer):
    """Checks the exercise of lesson 12."""
    compare(answer, right=who_learns, cases=CASES, usual=USUAL_MISTAKES)
    return (
        "Set this for each layer and compile again: Keras reads `trainable` when it "
        "compiles, and says nothing if you forget it."
    )


CHECKS = {"12": check_who_learns}

QUESTIONS = {
    "12-spoilt": Question(
        "20 pictures a class. A head on a frozen ImageNet network reaches 0.81 in "
        "validation. You unfreeze everything, BatchNorm stays frozen, you compile "
        "with a learning rate of 0.003 and train: 1.00 on the training pictures, 0.74 "
        "in validation. What do you try first?",
        right="c",
        options={
            "a": (
                "Ten times as many epochs: 0.74 is not the end yet.",
                "The training pictures are all right already. There is nothing left "
                "in them that more passes could teach.",
            ),
            "b": (
                "Random weights: those of ImageNet do not suit these pictures.",
                "They reached 0.81 with nothing but a linear head. A start that good "
                "is what 20 pictures cannot give you.",
            ),
            "c": (
                "A rate ten to a hundred times smaller, and only the upper layers.",
                "0.003 is a rate for random weights. Here it overwrote in a few steps "
                "what a million photographs had taught, and 20 pictures a class were "
                "learnt by heart instead. If the head alone stays better, keep it.",
            ),
            "d": (
                "BatchNorm must learn too, so that its averages fit these pictures.",
                "With few pictures its averages become worse, not better: they are "
                "taken over small batches. And they cannot explain the 1.00.",
            ),
        },
    )
}
