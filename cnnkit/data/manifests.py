"""Tables of pictures: read with care, checked, saved and loaded again."""

from pathlib import Path

import numpy as np
import pandas as pd

from cnnkit.data import folders, layouts

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins so
SEPARATORS = ("|", ";", ",")


def save(photos, path):
    """Saves the manifest of an `ImageData` as a CSV file that `load` reads.

    Beside the columns of the manifest it has `class`, the name of each label, so that
    `from_table` can read the same pictures again, in the same split. Text that a
    spreadsheet would run as a formula gets an apostrophe in front.

    Args:
        photos: `ImageData`.
        path: str or path, ending in .csv; an older file of that name is replaced.

    Returns:
        The `pathlib.Path` of the file.

    Raises:
        ValueError: `path` does not end in .csv.
    """
    names = np.array(photos.class_names, dtype=object)
    table = photos.manifest.copy()
    table.insert(2, "class", names[table["label"].to_numpy(int)])
    return write_csv(table, path)


def write_csv(table, path):
    """Writes a table as CSV, whole or not at all, with no cell that is a formula.

    Args:
        table: pandas.DataFrame.
        path: str or path, ending in .csv; an older file of that name is replaced.

    Returns:
        The `pathlib.Path` of the file.

    Raises:
        ValueError: `path` does not end in .csv.
    """
    path, table = Path(path).expanduser(), table.copy()
    if path.suffix.lower() != ".csv":
        raise ValueError(f"`path` must end in .csv. Received: path={str(path)!r}")
    for column in table.columns.difference(table.select_dtypes("number").columns):
        table[column] = [_harmless(value) for value in table[column]]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    table.to_csv(temporary, index=False)
    temporary.replace(path)
    return path


def load(manifest):
    """Returns a manifest that was saved; a table is returned as it is.

    Args:
        manifest: str or path of a CSV file by `save`, a pandas.DataFrame, or None.

    Returns:
        pandas.DataFrame with path, label, split, content_hash and more; or None.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no manifest.
    """
    if manifest is None:
        return None
    if not isinstance(manifest, pd.DataFrame):
        manifest = read_csv(Path(manifest).expanduser())
    missing = {"split", "content_hash"} - set(manifest.columns)
    if missing:
        raise ValueError(
            "A manifest has a row a picture, with its split and content_hash; "
            "data.save_manifest writes one. Received: a table without "
            f"{sorted(missing)}"
        )
    return manifest


def read_csv(path):
    """Reads a CSV file: text stays text, numbers become numbers, "" is missing.

    Args:
        path: `pathlib.Path`; separators are commas, semicolons or tabs.

    Returns:
        pandas.DataFrame. Columns whose every value is a number are numbers; a class
        called NA or None keeps its name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a table in UTF-8.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no such table. Received: {str(path)!r}")
    try:
        with open(path, encoding="utf-8-sig") as file:
            first = file.readline()
        separator = max(",;\t", key=first.count)
        table = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as e:
        raise ValueError(
            "A table is a CSV file in UTF-8 with one row of names on top and as many "
            f"values in each row. Received: {str(path)!r} ({e})"
        ) from e
    for column in table:
        values = table[column].mask(table[column] == "")
        numbers = pd.to_numeric(values, errors="coerce")
        is_number = numbers.notna().equals(values.notna()) and values.notna().any()
        text = values.map(_as_written, na_action="ignore")
        table[column] = numbers if is_number else text
    return table


def checked(table, folder, *, path_column, label_column, groups):
    """Checks a table of pictures and brings it to the form of a manifest.

    Args:
        table: pandas.DataFrame.
        folder: `pathlib.Path` that the paths start from.
        path_column: str.
        label_column: str or None, as for `from_table`.
        groups: str or None, as for `from_table`.

    Returns:
        The files (path, label, split, perhaps group, and all further columns), and
        the class names in order.

    Raises:
        ValueError: as for `from_table`.
    """
    table = table.reset_index(drop=True)
    if label_column is None:
        label_column = "class" if "class" in table else "label"
    wanted = [path_column, label_column] + ([] if groups is None else [groups])
    missing = [column for column in wanted if column not in table]
    if missing or not len(table):
        raise ValueError(
            "The table needs rows, and the columns that path_column=, label_column= "
            f"and groups= name. Received: {len(table)} rows, no column {missing} among "
            f"{[str(column) for column in table.columns]}"
        )
    paths = [_found(path, folder) for path in table[path_column]]
    labels = _single(table[label_column], paths)
    order = sorted(set(labels))
    if label_column == "class" and "label" in table:  # the order of a saved manifest
        numbers = dict(zip(labels, table["label"], strict=True))
        order = sorted(order, key=lambda name: (numbers[name], name))
    elif pd.api.types.is_numeric_dtype(table[label_column]):
        order = sorted(order, key=float)
    if len(order) < 2:
        raise ValueError(
            "A classifier needs at least two classes. Received: "
            f"{folders.few(order)} alone in the column {label_column!r}"
        )
    files = table.drop(columns=[path_column, label_column]).assign(
        path=paths, label=[order.index(label) for label in labels], split=_split(table)
    )
    if groups is not None:
        files["group"] = table[groups]
    return files, tuple(order)


def _found(path, folder):
    """A path as text with forward slashes, as in a table that Windows wrote."""
    path = "" if pd.isna(path) else str(path)
    if "\\" in path and not (folder / path).exists():
        path = path.replace("\\", "/")
    return path


def _single(labels, paths):
    """The one label of each picture as text, or the error that names the others."""
    several = [
        path
        for path, label in zip(paths, labels, strict=True)
        if not isinstance(label, str) and np.ndim(label)
        or isinstance(label, set | dict)
    ]  # fmt: skip
    if not several:
        text = ["" if pd.isna(label) else _text(label) for label in labels]
        known = set(text)
        for path, label in zip(paths, text, strict=True):
            for separator in SEPARATORS:
                each = [part.strip() for part in label.split(separator)]
                if len(each) > 1 and known.issuperset(each):
                    several.append(path)
    again = pd.Series(paths).duplicated(keep=False)
    if not several and again.any():
        named = pd.DataFrame({"path": paths, "label": text})[again]
        twice = sorted(set(named["path"]))
        several = [
            p for p in twice if named.loc[named["path"] == p, "label"].nunique() > 1
        ]
        if not several:
            raise ValueError(
                "Each picture has one row. Remove the other rows. Received: "
                f"{folders.few(twice)} more than once"
            )
    if several:
        raise ValueError(
            "Each picture has one label here: this is single-label classification. "
            "Keep the main label of each, make one class of each combination, or train "
            f"a classifier for each label. Received: several for {folders.few(several)}"
        )
    empty = [path for path, label in zip(paths, text, strict=True) if not label]
    if empty or "" in paths:
        raise ValueError(
            "Each row needs a path and a label: fill them in, or drop the row. "
            f"Received: {paths.count('')} rows without a path, and no label for "
            f"{folders.few(empty)}"
        )
    return text


def _text(label):
    """A label as text; the number 3.0, as pandas makes of a 3, is "3"."""
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    return str(label).strip()


def _split(table):
    """The part of each picture in our words, or None."""
    if "split" not in table:
        return None
    words = [None if pd.isna(w) or w == "" else str(w) for w in table["split"]]
    parts = [w and layouts.part_of(w)[0] for w in words]
    unknown = sorted(
        {w for w, part in zip(words, parts, strict=True) if w and not part}
    )
    if unknown:
        raise ValueError(
            "The column `split` says train, val or test, or is empty. Received: "
            f"{folders.few(unknown)}"
        )
    return parts


def _harmless(value):
    if isinstance(value, str) and value.startswith((*FORMULA, "'")):
        return "'" + value
    return value


def _as_written(value):
    after = value[1:].startswith((*FORMULA, "'"))
    return value[1:] if value.startswith("'") and after else value
