"""Comparison: whether one model is better than another, or luck made it look so.

Both models answer the same pictures, and that is what makes a comparison sharp: on most
of them they agree, so the luck of the choice of pictures is mostly shared.
"""

import numpy as np
import pandas as pd
from scipy import sparse, stats

from cnnkit.evaluation.intervals import bootstrap
from cnnkit.evaluation.probabilities import SMALLEST
from cnnkit.evaluation.table import arrays


def compare(a, b, *, confidence=0.95, replicates=2000, seed=0):
    """Says of two models, asked about the same pictures, which one is better.

    The interval of a difference is a bootstrap over pictures, both models together.
    For accuracy McNemar's exact test decides: of the pictures that one names right and
    the other wrong, do clearly more than half speak for one? (McNemar, Psychometrika
    1947; recommended by Dietterich, Neural Computation 1998.)

    It is about these two trained models. That another training, with another seed,
    would decide alike is a claim about the recipe: see `experiments.repeat`.

    Args:
        a: `pandas.DataFrame` from `predict`.
        b: another one, of the same pictures in any order.
        confidence: float between 0 and 1, of the intervals, and for the words.
        replicates: int, bootstrap samples, at least 100.
        seed: int, for the bootstrap.

    Returns:
        A `pandas.DataFrame` with the rows "accuracy", "balanced accuracy", "macro F1"
        and "log loss" (in nats, the lower the better), and the columns "a", "b",
        "difference" (a - b), "low", "high" (its interval), "p" (of McNemar's test, NaN
        in the other rows), "verdict" ("better", "worse" or "cannot tell", of a) and
        "pictures".

    Raises:
        ValueError: the tables are of different pictures, or of different classes.

    Example:
        >>> of_small = evaluation.predict(small, photos)
        >>> compare(of_small, evaluation.predict(large, photos))
    """
    labels, of_a, of_b = aligned(a, b)
    if replicates < 100 or not 0 < confidence < 1:
        raise ValueError(
            "`replicates` is 100 or more, `confidence` lies between 0 and 1. "
            f"Received: replicates={replicates!r}, confidence={confidence!r}"
        )
    n, k = of_a.shape
    measures = [_measure(labels, p) for p in (of_a, of_b)]

    def both(counts):
        return np.concatenate([measure(counts) for measure in measures], axis=1)

    values = both(np.ones((1, n)))[0].reshape(2, -1)
    low, high = bootstrap(
        np.ones(n), lambda counts: np.subtract(*np.split(both(counts), 2, axis=1)),
        confidence=confidence, replicates=replicates, seed=seed,
    )  # fmt: skip
    right_a, right_b = of_a.argmax(axis=1) == labels, of_b.argmax(axis=1) == labels
    only_a, only_b = (right_a & ~right_b).sum(), (right_b & ~right_a).sum()
    p = 1.0
    if only_a + only_b:
        p = stats.binomtest(int(only_a), int(only_a + only_b)).pvalue

    table = pd.DataFrame(
        {
            "a": values[0],
            "b": values[1],
            "difference": values[0] - values[1],
            "low": low,
            "high": high,
            "p": [p, np.nan, np.nan, np.nan],
        },
        index=pd.Index(
            ["accuracy", "balanced accuracy", "macro F1", "log loss"], name="score"
        ),
    )
    clear = (table["low"] > 0) | (table["high"] < 0)
    clear["accuracy"] = p < 1 - confidence
    gain = table["difference"] * [1, 1, 1, -1]  # of log loss less is more
    words = np.where(gain > 0, "better", "worse")
    table["verdict"] = np.where(clear, words, "cannot tell")
    table["pictures"] = n
    return table


def aligned(a, b):
    """Returns the answers of two models about the same pictures, in the order of `a`.

    Args:
        a: `pandas.DataFrame` from `predict`.
        b: another one, of the same pictures and classes in any order.

    Returns:
        Labels, int64 of shape (n,), and the probabilities of `a` and of `b`, float64 of
        shape (n, num_classes).

    Raises:
        ValueError: the tables are of different pictures, or of different classes.
    """
    if set(a["file"]) != set(b["file"]) or len(a) != len(b):
        only = sorted(set(a["file"]) ^ set(b["file"]))
        raise ValueError(
            "Both tables must be of the same pictures, one row for each: ask both "
            "models with evaluation.predict about the same part. Received: "
            f"{len(a)} and {len(b)} rows, {len(only)} files in only one of them"
            + (f", such as {only[0]!r}" if only else "")
        )
    if a["file"].duplicated().any():  # of arrays: the order is all there is
        same = list(a["file"]) == list(b["file"])
        if not same:
            raise ValueError(
                "Files that stand in a table more than once cannot be matched, unless "
                "both tables have one order. Received: "
                f"{a['file'].duplicated().sum()} repeated files"
            )
    else:
        b = b.set_index("file").loc[a["file"]].reset_index()
    classes = [[c for c in map(str, t.columns) if c.startswith("p(")] for t in (a, b)]
    if sorted(classes[0]) != sorted(classes[1]):
        raise ValueError(
            "Both models must know the same classes. Received: "
            f"{len(classes[0])} and {len(classes[1])} classes, which differ"
        )
    labels, of_a = arrays(a)
    others, of_b = arrays(b[["label", *classes[0]]])
    if (labels != others).any():
        row = int((labels != others).argmax())
        raise ValueError(
            "The true class of a picture must be the same in both tables. Received: "
            f"{a['label'].iloc[row]!r} and {b['label'].iloc[row]!r} for "
            f"{a['file'].iloc[row]!r}"
        )
    return labels, of_a, of_b


def _measure(labels, probabilities):
    """A function from counts of pictures, shape (r, n), to four scores, (r, 4)."""
    n, k = probabilities.shape
    rows = np.arange(n)
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    loss = -np.log(np.clip(probabilities[rows, labels], SMALLEST, 1))
    of_class = sparse.csr_array((np.ones(n), (rows, labels)), (n, k))
    as_class = sparse.csr_array((np.ones(n), (rows, predicted)), (n, k))

    def measure(counts):
        total = counts.sum(axis=1)
        hits, true, taken = (
            counts * right @ of_class,
            counts @ of_class,
            counts @ as_class,
        )
        present = (true > 0).sum(axis=1)
        recalls = (hits / np.maximum(true, 1)).sum(axis=1) / present
        f1s = 2 * hits / np.maximum(true + taken, 1)
        macro = f1s.sum(axis=1) / present
        return np.stack(
            [counts @ right / total, recalls, macro, counts @ loss / total], axis=1
        )

    return measure
