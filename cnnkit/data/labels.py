"""Labels, as people and programs write them: one for each picture, as text."""

import re

import numpy as np
import pandas as pd

from cnnkit.data import folders, layouts

NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,20})?(e[+-]\d\d+)?")  # as written
SEPARATORS = ("|", ";", ",", " ")


def single(labels, paths, text):
    """The one label of each picture as text, or the error that names the others."""
    several = [
        path
        for path, label in zip(paths, labels, strict=True)
        if not isinstance(label, str | bytes) and np.ndim(label)
        or isinstance(label, set | dict)
    ]  # fmt: skip
    if not several:
        labels = ["" if pd.isna(label) else text(label) for label in labels]
        known = set(labels)
        for path, label in zip(paths, labels, strict=True):
            listed = re.fullmatch(r"[\[({].*[\])}]", label, re.DOTALL)
            for separator in SEPARATORS:
                each = [part.strip() for part in label.split(separator)]
                listed = listed or len(each) > 1 and known.issuperset(each)
            several += [path] * bool(listed and text is not str)
    again = pd.Series(paths).duplicated(keep=False)
    if not several and again.any():
        named = pd.DataFrame({"path": paths, "label": labels})[again]
        several = named.groupby("path")["label"].nunique().loc[lambda n: n > 1]
        several = list(several.index)
        if not several:
            raise ValueError(
                "Each picture has one row. Remove the other rows. Received: "
                f"{folders.few(sorted(set(named['path'])))} more than once"
            )
    if several:
        raise ValueError(
            "Each picture has one label here, no list: this is single-label "
            "classification. Keep the main label of each, make one class of each "
            "combination (a_b), or train a classifier for each label. Received: "
            f"several for {folders.few(several)}"
        )
    empty = [path for path, label in zip(paths, labels, strict=True) if not label]
    if empty or "" in paths:
        raise ValueError(
            "Each row needs a path and a label: fill them in, or drop the row (pandas "
            "reads the texts NA and None as empty, unless keep_default_na=False). "
            f"Received: {paths.count('')} rows without a path, and no label for "
            f"{folders.few(empty)}"
        )
    return labels


def classes(labels):
    """The class names of labels (str) in order: numbers by size, or the alphabet.

    Args:
        labels: list of str, one a picture.

    Returns:
        A list of str.

    Raises:
        ValueError: two names look the same, or the labels are no classes.
    """
    names, looks = sorted(set(labels)), {}
    if all(NUMBER.fullmatch(name) for name in names):
        names.sort(key=float)
        whole = all(float(name).is_integer() for name in names)
        most = max(20, len(labels) / 2) if whole else 10
        if len(names) > most:
            raise ValueError(
                "Classes are needed, and here each picture has a number of its own, "
                "which is a task of regression. Make classes of ranges, such as "
                "pd.cut(numbers, 3, labels=['low', 'middle', 'high']). Received: "
                f"{len(names)} different numbers for {len(labels)} pictures, "
                f"{names[0]} to {names[-1]}"
            )
    for name in names:
        looks.setdefault(folders.look(name), []).append(name)
    for alike in looks.values():
        if len(alike) > 1:
            raise ValueError(
                "These classes have names that differ only by case, width, spaces or "
                "Unicode form, so they are probably one class: write them in one way. "
                f"Received: {folders.few(alike)}"
            )
    return names


def text(label):
    """A label as text; the number 3.0, as pandas makes of a 3, is "3"."""
    if isinstance(label, bytes):
        return label.decode("utf-8", "backslashreplace")
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    return str(label).strip()


def parts(table):
    """The part of each picture in our words, or None."""
    if "split" not in table:
        return None
    words = [None if pd.isna(w) or w == "" else str(w) for w in table["split"]]
    found = [w and layouts.part_of(w)[0] for w in words]
    unknown = {w for w, part in zip(words, found, strict=True) if w and not part}
    if unknown:
        raise ValueError(
            "The column `split` says train, val or test, or is empty. Received: "
            f"{folders.few(sorted(unknown))}"
        )
    return found
