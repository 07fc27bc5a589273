"""Manifests: tables of pictures and their split, saved and loaded again."""

from pathlib import Path

import numpy as np
import pandas as pd

from cnnkit.data.tables import FORMULA, read_csv, with_numbers


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
    text = table.to_csv(index=False)
    if "\r" in text:  # it is quoted only where it may end a line
        text = table.to_csv(index=False, lineterminator="\r\n")
    temporary.write_text(text, encoding="utf-8", newline="")
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
        manifest = with_numbers(read_csv(Path(manifest).expanduser())[0])
    missing = {"split", "content_hash"} - set(manifest.columns)
    if missing:
        raise ValueError(
            "A manifest has a row a picture, with its split and content_hash; "
            "data.save_manifest writes one. Received: a table without "
            f"{sorted(missing)}"
        )
    return manifest


def _harmless(value):
    if isinstance(value, str) and value.startswith((*FORMULA, "'")):
        return "'" + value
    return value
