"""Slices: the groups of pictures on which a good average hides bad answers."""

import numpy as np
import pandas as pd
from scipy import stats

from cnnkit.evaluation.intervals import wilson
from cnnkit.evaluation.table import arrays

MOST_VALUES = 6  # of a column of numbers; with more it is cut into thirds
ALL, WITHOUT, ONLY = "all pictures", "without leaks", "leaks alone"


def slices(table, by, *, minimum=10, confidence=0.95):
    """Returns the accuracy on groups of pictures, the worst first.

    Each slice is compared with all other pictures by Fisher's exact test. Who looks at
    20 slices sees one with p < 0.05 by luck alone, so p is corrected for the number of
    looks (Holm, Scandinavian Journal of Statistics 1979), and the words follow that.

    Args:
        table: `pandas.DataFrame` from `predict(..., columns=by)`, or with columns that
            you have put beside it, one value a picture.
        by: str or sequence of str, such as "light" or ["light", "site"]. Numbers with
            more than 6 different values, such as brightness or width, are cut into
            thirds of equally many pictures.
        minimum: int; smaller slices are left out, as their scores are noise.
        confidence: float between 0 and 1, of Wilson's intervals, and for the words.

    Returns:
        A `pandas.DataFrame` indexed by ("column", "slice"), with "value" (accuracy),
        "low", "high", "pictures", "rest" (accuracy on all other pictures), "p" (Holm's)
        and "verdict": "worse", "better" or "cannot tell", than the rest. Its
        `attrs["too_small"]` counts the slices that were left out. Pictures without a
        value are in no slice, and what is true of all pictures is none.

    Raises:
        ValueError: `table` has no such column.

    Example:
        >>> table = evaluation.predict(model, photos, columns=["light"])
        >>> slices(table, "light")
    """
    by = [by] if isinstance(by, str) else list(by)
    missing = [name for name in by if name not in table.columns]
    if missing or not by:
        raise ValueError(
            "`by` names columns of the table; evaluation.predict(..., columns=...) "
            f"takes them along from the manifest. Received: by={by!r}, of which "
            f"{missing} are not among {[str(c) for c in table.columns]}"
        )
    labels, probabilities = arrays(table)
    right = probabilities.argmax(axis=1) == labels
    rows, too_small = {}, 0
    for name in by:
        groups = _grouped(table[name])
        for value in groups.dropna().unique():
            inside = (groups == value).to_numpy()
            if inside.sum() < minimum:
                too_small += 1
            elif not inside.all():
                rows[(name, value)] = _row(right[inside], right[~inside], confidence)
    index = pd.MultiIndex.from_tuples(list(rows), names=["column", "slice"])
    columns = ["value", "low", "high", "pictures", "rest", "p"]
    found = pd.DataFrame(list(rows.values()), index=index, columns=columns)
    found["p"] = _holm(found["p"].to_numpy(float))
    found["verdict"] = np.where(
        found["p"] < 1 - confidence,
        np.where(found["value"] < found["rest"], "worse", "better"),
        "cannot tell",
    )
    found = found.sort_values("value", kind="stable").astype({"pictures": "int64"})
    found.attrs["too_small"] = too_small
    return found


def leaks(table, pairs, *, confidence=0.95):
    """Returns the accuracy with and without pictures that have a twin elsewhere.

    A test picture whose near-duplicate was trained on is no test: the model may
    remember it.

    Args:
        table: `pandas.DataFrame` from `predict`, of the test part.
        pairs: `pandas.DataFrame` with columns "path" and "other", files that show the
            same: what `data.check(photos)` found, in rows of any code. Pairs of
            which both, or none, are in the table do not count; nor do rows without
            "other".
        confidence: float between 0 and 1, of Wilson's intervals.

    Returns:
        A `pandas.DataFrame` with the rows "all pictures", "without leaks" and "leaks
        alone", and the columns "value" (accuracy, NaN without pictures), "low", "high",
        "pictures".

    Raises:
        ValueError: a column is missing.
    """
    missing = [name for name in ("path", "other") if name not in pairs.columns]
    if missing:
        raise ValueError(
            "`pairs` needs the columns 'path' and 'other', as data.check gives them. "
            f"Received: columns {[str(c) for c in pairs.columns]}"
        )
    labels, probabilities = arrays(table)
    right = probabilities.argmax(axis=1) == labels
    tested = set(table["file"])
    leaked = {
        one
        for a, b in pairs[["path", "other"]].dropna().itertuples(index=False)
        for one, twin in ((a, b), (b, a))
        if one in tested and twin not in tested
    }
    is_leak = table["file"].isin(leaked).to_numpy()
    rows = {}
    for name, some in (
        (ALL, np.ones(len(table), bool)), (WITHOUT, ~is_leak), (ONLY, is_leak),
    ):  # fmt: skip
        n = int(some.sum())
        low, high = wilson(right[some].sum(), n, confidence=confidence)
        rows[name] = [right[some].mean() if n else np.nan, float(low), float(high), n]
    columns = ["value", "low", "high", "pictures"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _grouped(column):
    """The slice of each picture: its value, or the third that its number falls into."""
    is_number = pd.api.types.is_numeric_dtype(column)
    is_number &= not pd.api.types.is_bool_dtype(column)
    if not is_number or column.nunique() <= MOST_VALUES:
        return column.astype(object)
    ends = np.unique(column.quantile([0, 1 / 3, 2 / 3, 1]))
    names = [f"{a:.4g} to {b:.4g}" for a, b in zip(ends, ends[1:], strict=False)]
    return pd.cut(column, ends, labels=names, include_lowest=True).astype(object)


def _row(inside, outside, confidence):
    hits, n = int(inside.sum()), len(inside)
    low, high = wilson(hits, n, confidence=confidence)
    of_rest = int(outside.sum())
    table = [[hits, n - hits], [of_rest, len(outside) - of_rest]]
    p = stats.fisher_exact(table).pvalue
    return [hits / n, float(low), float(high), n, outside.mean(), p]


def _holm(p):
    """p-values such that all those under 5 % hold together, 95 times in 100."""
    order = np.argsort(p)
    scaled = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return corrected
