"""Decides which picture is for training, which for validation, which for the test.

The decision follows from the content of each picture, not from its name or its place
in a list: a renamed or copied file stays on its side, and the same pictures are split
the same way on every machine. What belongs together stays on one side: copies, near
duplicates (column `alike`), and groups, such as all pictures of one patient.
"""

import hashlib
import itertools
from collections import Counter

import numpy as np
import pandas as pd

from cnnkit.data import duplicates

PARTS = ("train", "valid", "test")


def split(table, *, valid=0.15, test=0.15, previous=None, seed=0):
    """Splits pictures into training, validation and test parts, class by class.

    Pictures that belong together make one unit. The units are put in an order that
    depends on their content and `seed` alone; in that order a unit becomes part of the
    test when this brings the number of pictures of its classes nearer to the share
    that the test should have, then likewise of the validation part.

    Where no pictures belong together, each class is split to within one picture. A new
    picture can then move old ones of its class, three at most, at the borders of the
    order. To move none at all, give the manifest of the earlier split as `previous`;
    the shares still hold to within one picture.

    Args:
        table: pandas.DataFrame, one row a picture: `label` (int), `content_hash`
            (str), and, if there are such columns, `group` and `alike`: pictures with
            equal values stay on one side; missing values belong to nobody.
        valid: float in [0, 1), share of each class for validation. Each class
            with at least three units gives at least one.
        test: float in [0, 1), share of each class for the test, likewise. A class
            with two units gives one to the test and none to validation; a class with
            one keeps it for training.
        previous: None, or a manifest with `content_hash` and `split`, whose pictures
            stay where they are. A new picture that belongs to old ones of two parts
            goes into training.
        seed: int, another seed gives another split.

    Returns:
        A copy of `table` with the column `split`: "train", "valid" or "test".

    Raises:
        ValueError: the shares leave nothing to train on, or a column is missing.

    Example:
        >>> table = pd.DataFrame({"label": [0, 0, 0], "content_hash": list("abc")})
        >>> split(table)["split"].tolist()
        ['train', 'valid', 'test']
    """
    if not 0 <= valid < 1 or not 0 <= test < 1 or valid + test >= 1:
        raise ValueError(
            "`valid` and `test` are shares that leave something to train on: "
            f"valid + test < 1. Received: valid={valid}, test={test}"
        )
    unit_of, units, order = _units(table, seed)
    parts, pinned = [""] * len(units), _pinned(table, previous)
    for unit, part in zip(unit_of[pinned != ""], pinned[pinned != ""], strict=True):
        parts[unit] = part if parts[unit] in ("", part) else "train"
    # A class gives to the test only what leaves units for validation and training.
    _fill("test", parts, units, order, share=test, leave=1 + (valid > 0), least=2)
    _fill("valid", parts, units, order, share=valid, leave=1, least=2 + (test > 0))
    decided = np.array([part or "train" for part in parts], dtype="<U5")[unit_of]
    return table.assign(split=np.where(pinned == "", decided, pinned))


def folds(table, k=5, *, seed=0):
    """Deals pictures into `k` folds of equal size, class by class, as `split` does.

    Args:
        table: pandas.DataFrame, as for `split`.
        k: int from 2, how many folds.
        seed: int, another seed gives other folds.

    Returns:
        An int array of shape (n,), the fold of each picture, from 0 to k - 1. Where
        no pictures belong together, the folds of a class differ by one picture at
        most; what belongs together lies in one fold.

    Raises:
        ValueError: a class has too few pictures for training and validation both, or
            there are more folds than pictures.
    """
    unit_of, units, order = _units(table, seed)
    if not 2 <= k <= len(units):
        raise ValueError(
            f"`k` goes from 2 to the number of pictures (or groups), {len(units)}. "
            f"Received: k={k!r}"
        )
    num_units = Counter(label for unit in units for label in unit)
    alone = sorted(label for label, number in num_units.items() if number == 1)
    if alone:
        raise ValueError(
            "Each class needs two pictures that do not belong together, one to learn "
            "from and one to measure with: add some, or leave the class out. "
            f"Received: labels {alone} with one"
        )
    fold_of, filled = [0] * len(units), [Counter() for _ in range(k)]
    for unit in order:
        own = units[unit]

        def fullness(fold, own=own):
            return sum(filled[fold][label] for label in own), filled[fold].total()

        fold_of[unit] = min(range(k), key=fullness)
        filled[fold_of[unit]].update(own)
    return np.array(fold_of)[unit_of]


def _units(table, seed):
    """What stays together.

    Returns the unit of each picture (n,), for each unit a `Counter` of its labels, and
    the units in an order that depends on content alone.
    """
    missing = {"label", "content_hash"} - set(table.columns)
    if missing:
        raise ValueError(
            "`table` has one row a picture with `label` and `content_hash`. Received: "
            f"no column {sorted(missing)} among {list(table.columns)}"
        )
    pairs = []
    for column in ("content_hash", "group", "alike"):
        if column in table:
            codes = pd.factorize(table[column])[0]  # -1 where the value is missing
            _, first, codes = np.unique(codes, return_index=True, return_inverse=True)
            both = np.column_stack([first[codes], np.arange(len(codes))])
            pairs.append(both[table[column].notna()])
    unit_of = duplicates.components(len(table), np.concatenate(pairs))
    units = [Counter() for _ in range(unit_of.max(initial=-1) + 1)]
    names = [None] * len(units)  # a unit is called after its least content hash
    rows = zip(unit_of, table["label"], table["content_hash"], strict=True)
    for unit, label, content_hash in rows:
        units[unit][int(label)] += 1
        names[unit] = min(names[unit] or content_hash, content_hash)
    order = sorted(range(len(units)), key=lambda unit: _rank(names[unit], seed))
    return unit_of, units, order


def _pinned(table, previous):
    """The part that each picture had before, or ""."""
    if previous is None:
        return np.full(len(table), "", dtype="<U5")
    before = dict(zip(previous["content_hash"], previous["split"], strict=True))
    unknown = set(before.values()) - set(PARTS)
    if unknown:
        raise ValueError(
            f"`previous` is a manifest whose `split` is one of {PARTS}. Received: "
            f"{sorted(map(str, unknown))}"
        )
    return np.array([before.get(h, "") for h in table["content_hash"]], dtype="<U5")


def _fill(part, parts, units, order, *, share, leave, least):
    """Sends undecided units to `part`, until each class has its share of pictures.

    A class takes part if it has `least` units, and keeps `leave` of them for the other
    parts (one, if it has only two).
    """
    if share == 0:
        return
    num_units, pictures, free, had = Counter(), Counter(), Counter(), Counter()
    for unit, where in zip(units, parts, strict=True):
        num_units.update(unit.keys())
        pictures.update(unit)
        free.update(unit.keys() if where in ("", "train") else ())
        had.update(unit if where == part else ())
    wanted = {
        label: max(1, round(share * pictures[label])) if number >= least else 0
        for label, number in num_units.items()
    }
    kept = {label: leave if n >= 3 else 1 for label, n in num_units.items()}

    def can_go(unit):
        own = units[unit]
        return parts[unit] == "" and all(free[label] > kept[label] for label in own)

    def go(unit):
        parts[unit] = part
        had.update(units[unit])
        free.subtract(units[unit].keys())

    for unit in order:
        gain = sum(
            abs(had[label] - wanted[label]) - abs(had[label] + n - wanted[label])
            for label, n in units[unit].items()
        )
        if gain > 0 and can_go(unit):
            go(unit)
    # Where each unit of a class is larger than the share, the smallest one goes.
    by_size = sorted(order, key=lambda unit: units[unit].total())
    for label in sorted(label for label in wanted if wanted[label] and not had[label]):
        smallest = (unit for unit in by_size if label in units[unit] and can_go(unit))
        for unit in itertools.islice(smallest, 1):
            go(unit)


def _rank(content_hash, seed):
    return hashlib.sha256(f"{seed}:{content_hash}".encode()).digest()
