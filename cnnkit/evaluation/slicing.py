"""Slices: the groups of pictures on which a good average hides bad answers."""

import numpy as np
import pandas as pd
from scipy import stats

from cnnkit.evaluation.intervals import chance, holm, membership, share
from cnnkit.evaluation.scoring import column
from cnnkit.evaluation.table import arrays

MOST_VALUES = 6  # of a column of numbers; with more it is cut into thirds
ALL, WITHOUT, ONLY = "all pictures", "without leaks", "leaks alone"


def slices(table, by, *, groups=None, minimum=10, confidence=0.95):
    """Returns the accuracy on groups of pictures, the worst first.

    Each slice is compared with all other pictures by Fisher's exact test. Who looks at
    20 slices sees one with p < 0.05 by luck alone, so p is corrected for the number of
    looks (Holm, Scandinavian Journal of Statistics 1979), and the words follow that.

    Args:
        table: `pandas.DataFrame` from `predict(..., columns=by)`, or with columns that
            you have put beside it, one value a picture.
        by: str or sequence of str, such as "light" or ["light", "site"]. Numbers and
            times with more than 6 different values, such as brightness or width, are
            cut into thirds of equally many pictures.
        groups: str, a column that says which patient, animal or film each picture is
            of, such as "group": intervals are then about the choice of these, and
            instead of Fisher's test whole groups change sign at random (the wild
            bootstrap of Cameron, Gelbach and Miller, Review of Economics and Statistics
            2008), so that one patient alone makes no slice worse.
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
    units = column(table, groups)
    rows, too_small = {}, 0
    for name in by:
        codes, values = pd.factorize(_grouped(table[name]))
        for code, value in enumerate(values):
            inside = codes == code
            if inside.sum() < minimum:
                too_small += 1
            elif not inside.all():
                rows[(name, value)] = _row(right, inside, units, confidence)
    index = pd.MultiIndex.from_tuples(list(rows), names=["column", "slice"])
    columns = ["value", "low", "high", "pictures", "rest", "p"]
    found = pd.DataFrame(list(rows.values()), index=index, columns=columns)
    found["p"] = holm(found["p"].to_numpy(float))
    found["verdict"] = np.where(
        found["p"] < 1 - confidence,
        np.where(found["value"] < found["rest"], "worse", "better"),
        "cannot tell",
    )
    found = found.sort_values("value", kind="stable").astype({"pictures": "int64"})
    found.attrs["too_small"] = too_small
    return found


def leaks(table, pairs, *, groups=None, confidence=0.95):
    """Returns the accuracy with and without pictures that have a twin elsewhere.

    A test picture whose near-duplicate was trained on is no test: the model may
    remember it.

    Args:
        table: `pandas.DataFrame` from `predict`, of the test part.
        pairs: `pandas.DataFrame` with columns "path" and "other", files that show the
            same: what `data.check(photos)` found, in rows of any code. Pairs of
            which both, or none, are in the table do not count; nor do rows without
            "other".
        groups: str, as for `slices`.
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
    units = column(table, groups)
    rows = {
        name: share(
            right[some], None if units is None else units[some], confidence=confidence
        )
        for name, some in (
            (ALL, np.ones(len(table), bool)), (WITHOUT, ~is_leak), (ONLY, is_leak),
        )
    }  # fmt: skip
    columns = ["value", "low", "high", "pictures"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _grouped(column):
    """The slice of each picture: its value, or the third that its number falls into."""
    kind = pd.api.types
    ordered = kind.is_numeric_dtype(column) or kind.is_datetime64_any_dtype(column)
    ordered |= kind.is_timedelta64_dtype(column)
    if not ordered or kind.is_bool_dtype(column) or column.nunique() <= MOST_VALUES:
        return column.astype(object)
    ends = column.quantile([0, 1 / 3, 2 / 3, 1], interpolation="lower").unique()
    ends = [ends[0], *ends[-2:]] if len(ends) == 2 else [*ends]  # mostly one value
    places = sum((column > end).fillna(False).astype(int) for end in ends[1:-1])
    texts = [str(end) for end in ends]
    for digits in range(4, 18) if kind.is_numeric_dtype(column) else ():
        short = [f"{end:.{digits}g}" for end in ends]
        if len(set(short)) == len(set(ends)):  # as few as keep the ends apart
            texts = short
            break
    names = [f"{a} to {b}" for a, b in zip(texts, texts[1:], strict=False)]
    return places.map(dict(enumerate(names))).where(column.notna())


def _row(right, inside, units, confidence):
    """Accuracy in a slice and outside, and p of their being one."""
    of_rest = right[~inside].mean()
    if units is None:
        fourfold = [[(right & x).sum(), (~right & x).sum()] for x in (inside, ~inside)]
        p = stats.fisher_exact(fourfold).pvalue
        units_inside = None
    else:
        units_inside = units[inside]
        weight = np.where(inside, 1 / inside.sum(), -1 / (~inside).sum())
        parts = membership(units) @ np.c_[(right - right.mean()) * weight]
        p = chance(lambda ways: (1 - 2 * ways) @ parts, len(parts), size=len(parts))[0]
    return [*share(right[inside], units_inside, confidence=confidence), of_rest, p]
