"""Comparison: whether one model is better than another, or luck made it look so.

Both models answer the same pictures, and that is what makes a comparison sharp: on most
of them they agree, so the luck of the choice of pictures is mostly shared.
"""

import numpy as np
import pandas as pd
from scipy import sparse, stats

from cnnkit.evaluation.intervals import bootstrap, chance, holm, membership, worth_of
from cnnkit.evaluation.probabilities import SMALLEST
from cnnkit.evaluation.scoring import class_counts, class_means, column
from cnnkit.evaluation.table import arrays


def compare(a, b, *, groups=None, confidence=0.95, replicates=2000, seed=0):
    """Says of two models, asked about the same pictures, which one is better.

    The verdicts follow a permutation test: if the models were equally good, what one
    said of a picture might as well have been said by the other, so answers change
    places at random (in all ways, where few differ), and p says how often that makes as
    large a difference. For accuracy it is McNemar's exact test (Psychometrika 1947;
    recommended by Dietterich, Neural Computation 1998). Who looks at four rows finds
    one by luck more often, so p is corrected for that (Holm 1979): of equally good
    models, at most 5 of 100 pairs get a verdict in any row.

    It is about these two trained models. That another training, with another seed,
    would decide alike is a claim about the recipe: see `experiments.repeat`.

    Args:
        a: `pandas.DataFrame` from `predict`.
        b: another one, of the same pictures in any order.
        groups: str, a column of `a` that says which patient, animal or film each
            picture is of, such as "group"; these then change places and are drawn as a
            whole. None where each picture stands for itself.
        confidence: float between 0 and 1, of the intervals, and for the words.
        replicates: int, permutations and bootstrap samples, at least 100.
        seed: int, for both.

    Returns:
        A `pandas.DataFrame` with the rows "accuracy", "balanced accuracy", "macro F1"
        and "log loss" (in nats, the lower the better), and the columns "a", "b",
        "difference" (a - b), "low", "high" (its interval, of this row alone), "p"
        (Holm's, of all rows together), "verdict" ("better", "worse" or "cannot tell",
        of a) and "pictures".

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
    said = np.stack([of_a.argmax(axis=1), of_b.argmax(axis=1)])
    losses = -np.log(
        np.clip([p[np.arange(n), labels] for p in (of_a, of_b)], SMALLEST, 1)
    )
    gaps = losses[0] - losses[1]
    settings = {"replicates": replicates, "seed": seed}

    # Pictures that both models answer alike are one cell: there are far fewer of these.
    cells, where, counts = np.unique(
        (labels * k + said[0]) * k + said[1], return_inverse=True, return_counts=True
    )
    truth, answers = cells // k // k, np.concatenate([cells // k % k, cells % k])
    by_class = class_counts(np.tile(truth, 2), answers, k)
    of_cell = sparse.eye_array(len(cells), format="csr")[where]

    def measure(*of_models):
        """Counts of cells that speak for each model, (r, cells), to three scores."""
        hits, true, taken = by_class(np.concatenate(of_models, axis=1))
        share = hits.sum(axis=1) / true.sum(axis=1)
        return np.column_stack([share, class_means(hits, true, taken)[:, :2]])

    def apart(counts, swapped=0):
        """The scores of a less those of b, where some answers changed places."""
        pair = counts - swapped, swapped + 0 * counts
        return measure(*pair) - measure(*pair[::-1])

    one, none = counts[np.newaxis], 0 * counts[np.newaxis]
    values = [
        np.append(measure(*pair)[0], loss.mean())
        for pair, loss in zip([(one, none), (none, one)], losses, strict=True)
    ]
    members = None if groups is None else membership(column(a, groups))
    units = sparse.eye_array(n, format="csr") if members is None else members
    drawn = (counts, np.ones(n)) if members is None else (members @ of_cell, members)
    ends = [
        bootstrap(of, score, **settings, confidence=confidence)
        for of, score in zip(
            drawn, (apart, lambda c: (c @ gaps / c.sum(axis=1))[:, None]), strict=True
        )
    ]
    low, high = np.concatenate(ends, axis=1)

    some = units[units @ (said[0] != said[1]) > 0]
    to_cells, many = some @ of_cell, max(some.shape[0], 2 * len(cells))
    p = np.empty(4)
    p[:3] = chance(
        lambda ways: apart(one, ways @ to_cells), some.shape[0], size=many, **settings
    )
    parts = units @ gaps
    parts = parts[parts != 0, np.newaxis]
    p[3] = chance(
        lambda ways: (1 - 2 * ways) @ parts, len(parts), size=len(parts), **settings
    )[0]
    gain = (said[0] == labels) * 1 - (said[1] == labels)
    if members is None and gain.any():
        p[0] = stats.binomtest(int((gain > 0).sum()), int((gain != 0).sum())).pvalue

    table = pd.DataFrame(
        {
            "a": values[0],
            "b": values[1],
            "difference": values[0] - values[1],
            "low": low,
            "high": high,
            "p": holm(p),
        },
        index=pd.Index(
            ["accuracy", "balanced accuracy", "macro F1", "log loss"], name="score"
        ),
    )
    below, above = _smallest(gain, labels, k, units, confidence)
    table["low"] = np.minimum(low, table["difference"] - below)
    table["high"] = np.maximum(high, table["difference"] + above)
    # An interval without 0 would say what the test of its row cannot.
    unsure = p >= 1 - confidence
    table["low"] = table["low"].mask(unsure, np.minimum(table["low"], 0))
    table["high"] = table["high"].mask(unsure, np.maximum(table["high"], 0))
    more = table["difference"] * [1, 1, 1, -1]  # of log loss less is more
    words = np.where(more > 0, "better", "worse")
    table["verdict"] = np.where(table["p"] < 1 - confidence, words, "cannot tell")
    table["pictures"] = n
    return table


def aligned(a, b):
    """Returns labels and both probabilities of the same pictures, ordered as `a`."""
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


def _smallest(gain, labels, k, units, confidence):
    """How far an interval of each row reaches at least: below and above, two (4,).

    Two models that agree on all of 4 pictures agree in every bootstrap sample. So, as
    in `scores`, the margins of the recalls of classes, which here are those of Bonett
    and Price (Journal of Educational and Behavioral Statistics 2012): as if one more
    picture spoke for each model.
    """
    reach = np.zeros((2, 4))
    for row, classes, count in ((0, np.zeros_like(labels), 1), (1, labels, k)):
        of_class = sparse.csr_array(
            (np.ones(len(labels)), (np.arange(len(labels)), classes)),
            (len(labels), count),
        )
        for_a, for_b = (units @ (of_class * (sign * gain > 0)[:, np.newaxis])
                        for sign in (1, -1))  # fmt: skip
        n = (units @ of_class).sum(axis=0)
        worth = n
        if units.shape[0] < len(labels):
            worth = worth_of(for_a + for_b, units @ of_class)
        present = n > 0
        n, worth = n[present], worth[present]
        for_a, for_b = (x.sum(axis=0)[present] * worth / n for x in (for_a, for_b))
        middle = (for_a - for_b) / (worth + 2)
        spread = ((for_a + for_b + 2) / (worth + 2) - middle**2) / (worth + 2)
        half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(spread)
        off = (for_a - for_b) / worth - middle
        reach[:, row] = np.linalg.norm([half + off, half - off], axis=1) / len(n)
    reach[:, 2] = reach[:, 1]  # F1, as in `scores`
    return reach
