"""Tables of pictures, as people and programs write them: read with care and checked."""

import io
import re
import unicodedata
from pathlib import PurePath

import numpy as np
import pandas as pd

from cnnkit.data import folders, labels, names, reading
from cnnkit.data.assembly import UnreadablePictureError

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins so
PIXEL = re.compile(r"(pix(el)?[ _-]?)?\d+(x\d+)?", re.IGNORECASE)
COMMA = r"-?\d+(,\d+)?"  # a number beside semicolons
# What columns are called, without signs and capitals.
PATHS = set(
    "path image images file files filename filepath img id imageid imagename imagepath "
    "imagefile imgpath imgname picture photo ファイル名 画像".split()
)
LABELS = set(
    "class label target category species diagnosis dx breed emotion classname classid "
    "variety finding ラベル クラス 分類".split()
)


def read_csv(path):
    """Reads a CSV file in any usual encoding; text stays text, "" where it is empty.

    Args:
        path: `pathlib.Path`; separators are commas, semicolons, tabs or bars.

    Returns:
        pandas.DataFrame of str, but of numbers where each column is a pixel; a list
        of sentences on how it was read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no table, or cannot be told in which encoding.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no such table. Received: {str(path)!r}")
    content, found = path.read_bytes(), {}
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ("utf-16",) if wide else ("utf-8-sig",):
        if (text := names.text_in(content, encoding)) is not None:
            found = {encoding: text}
    found = found or names.readings(content)
    if content[:4] in (b"PK\3\4", b"\xd0\xcf\x11\xe0"):
        raise ValueError(
            "This is a file of Excel: save it as CSV UTF-8, or give the table that "
            "pd.read_excel(path, dtype=str) reads, and folder=. "
            f"Received: {str(path)!r}"
        )
    if len(found) != 1:
        odd = next(line for line in content.splitlines() if not line.isascii())
        raise ValueError(
            "A table is a CSV file, best in UTF-8; one cannot tell in what this is. "
            "Give folder= and the table of pd.read_csv(path, encoding=..., dtype=str, "
            f"keep_default_na=False); {names.offers(odd, found)}. "
            f"Received: {str(path)!r}"
        )
    ((encoding, text),) = found.items()
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep="):  # a line for Excel
        first, text = rest.partition("\n")[0], rest
    separator = max(",;\t|", key=first.count)
    cells = first.strip().split(separator)
    wide = len(cells) > 64 or "pixels" in cells
    try:
        table = pd.read_csv(
            io.StringIO(text, newline=""),
            sep=separator,
            header=None if wide and all(map(labels.NUMBER.fullmatch, cells)) else 0,
            dtype={c: str for c in cells if not PIXEL.fullmatch(c)} if wide else str,
            keep_default_na=False,
        )
        if not isinstance(table.index, pd.RangeIndex):  # rows longer than the first
            if table.index.nlevels > 1 or (table.iloc[:, -1] != "").any():
                raise pd.errors.ParserError(
                    "rows have more values than there are names"
                )
            table = table.reset_index().iloc[:, :-1].set_axis(table.columns, axis=1)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(
            "A table is a CSV file with one row of names on top and as many values in "
            f"each row. Received: {str(path)!r} ({error})"
        ) from error
    table.attrs["comma"] = separator == ";"
    notes = [] if encoding == "utf-8-sig" else [f"the table was read as {encoding}"]
    for column in _texts(table):
        table[column] = table[column].map(_as_written)
    return table, notes


def with_numbers(table, text=()):
    """Makes numbers of columns whose every value says one, "" being missing.

    Text stays text where a number would not: "007" is not 7, and "1.0" beside "1"
    would be the same.
    """
    table = table.copy()
    for column in _texts(table).difference(text, sort=False):
        values = table[column].mask(table[column] == "")
        table[column] = values
        if table.attrs.get("comma") and values.dropna().str.fullmatch(COMMA).all():
            values = values.str.replace(",", ".")
        written = values.dropna().unique()
        if len(written) and all(map(labels.NUMBER.fullmatch, written)):
            numbers = pd.to_numeric(values)
            if numbers.nunique() == len(written):
                table[column] = numbers
    return table


def _texts(table):
    return table.columns.difference(table.select_dtypes("number").columns, sort=False)


def drawn(table, path_column, label_column):
    """Pictures, labels, and columns left out of a table of pixels; or None."""
    if path_column in table:
        return None
    columns = [column for column in table if PIXEL.fullmatch(str(column))]
    others = [column for column in table if column not in columns]
    texts = "".join(map(str, table.get("pixels", ())[:1]))
    if texts.count(" ") > 62:  # one text of numbers a picture, as in FER2013
        others.remove("pixels")
        rows = [np.array(row.split(), "float32") for row in table["pixels"]]
        values = np.stack(rows) if len({len(row) for row in rows}) == 1 else None
    elif len(columns) < 64:
        return None
    else:
        if not others and not isinstance(columns[0], str):  # the label comes first
            columns, others = columns[1:], columns[:1]
        values = table[columns].to_numpy("float32")
    usual = [c for c in others if _plain(c) in LABELS]
    named = [label_column] if label_column in others else usual or others
    if values is None or len(named) != 1:
        raise ValueError(
            "A table of pixels has one column of labels, which label_column= names, "
            "and as many pixels in each row. Received: beside the pixels "
            f"{folders.few(others)}"
        )
    for channels in (1, 3):
        side = round((values.shape[1] / channels) ** 0.5)
        if side * side * channels == values.shape[1]:
            unused = [column for column in others if column != named[0]]
            return values.reshape(-1, side, side, channels), table[named[0]], unused
    raise ValueError(
        "The pixels of a square picture are needed, such as 784 for 28 x 28. Received: "
        f"{values.shape[1]} columns of pixels"
    )


def checked(table, folder, *, path_column, label_column, groups, unreadable):
    """Checks a table of pictures and brings it to the form of a manifest.

    Args:
        table: pandas.DataFrame.
        folder: `pathlib.Path` that the paths start from.
        path_column: str.
        label_column: str or None, as for `from_table`.
        groups: str or None, as for `from_table`.
        unreadable: str, as for `from_table`.

    Returns:
        The files (path, label, split, perhaps group, and all further columns); the
        class names in order; sentences on what was taken for what.

    Raises:
        ValueError: as for `from_table`.
    """
    table, notes = table.reset_index(drop=True), []
    if label_column is None:
        usual = [c for c in ("class", "label") if c in table][:1]
        usual = usual or [c for c in table if _plain(c) in LABELS]
        label_column = usual[0] if len(usual) == 1 else None
        if label_column not in (None, "class", "label"):
            notes.append(f"the column {label_column!r} was taken for the classes")
    if path_column == "path" and "path" not in table:
        likely = [c for c in table if _plain(c) in PATHS and c != label_column]
        there = [c for c in likely if not _paths(table[c][:5], folder)[1]]
        for one in (there, likely):
            path_column = one[0] if len(one) == 1 else path_column
        notes.append(f"the column {path_column!r} was taken for the paths")
    wanted = [path_column, label_column] + ([] if groups is None else [groups])
    missing = [column or "label" for column in wanted if column not in table]
    if missing or not len(table):
        raise ValueError(
            "The table needs rows, and the columns that path_column=, label_column= "
            f"and groups= name{_one_hot(table)}. Received: {len(table)} rows, no "
            f"column {missing} among {folders.few(list(map(str, table)))}"
        )
    paths, lost, found = _paths(table[path_column], folder)
    if "comma" in table.attrs:  # of a CSV file
        table = with_numbers(table, (path_column, label_column))
    if lost and unreadable == "error":
        raise UnreadablePictureError(
            f"{len(lost)} of {len(table)} files of the table are not in the folder, or "
            "more than one fits: give the right folder=, or go on without them with "
            f"unreadable='skip'. Received: {', '.join(lost[:3])}"
            f"{' and more' * (len(lost) > 3)}, in {str(folder)!r}"
        )
    if found:
        notes.append(
            f"{len(found)} names of files were completed, such as {found[0][0]!r} to "
            f"{found[0][1]!r}"
        )
    saved = {"class", "label", "content_hash"} <= set(table)
    named = labels.single(table[label_column], paths, str if saved else labels.text)
    if label_column == "class" and "label" in table:  # the order of a saved manifest
        number = dict(zip(named, table["label"], strict=True))
        order = sorted(set(named), key=lambda name: (number[name], name))
    else:
        order = labels.classes(named)
    if len(order) < 2:
        raise ValueError(
            "A classifier needs at least two classes. Received: "
            f"{folders.few(order)} alone in the column {label_column!r}"
        )
    number = {name: position for position, name in enumerate(order)}
    files = table.drop(columns=[path_column, label_column]).assign(
        path=paths, label=[number[name] for name in named], split=labels.parts(table)
    )
    if groups is not None:
        files["group"] = table[groups]
    return files, tuple(order), notes


def _plain(column):
    return re.sub(r"[\W_]", "", folders.look(str(column)))


def _one_hot(table):
    """A hint where the classes are columns of 0 and 1."""
    bits = {"0", "1", "0.0", "1.0"}
    columns = [c for c in table if bits.issuperset(map(str, table[c].unique()))]
    if len(columns) < 2 or not len(table):
        return ""
    if (table[columns].astype(float).sum(axis=1) == 1).all():
        names = f"[{folders.few(columns)}]"
        return f"; of columns of 0 and 1 make table['label'] = table[{names}].idxmax(1)"
    return "; columns of 0 and 1 are several labels here, and one is needed"


def _paths(values, folder):
    """The paths in a folder that texts stand for; what is lost; (text, path) found.

    A table may be from Windows, from another machine, or name pictures by numbers: so
    the longest end of a path that fits exactly one file is taken, with its suffix or
    without.
    """
    written = ["" if pd.isna(value) else str(value) for value in values]
    slashed = [w if (folder / w).is_file() else w.replace("\\", "/") for w in written]
    paths, lost, found, ends = [], [], [], {}
    for path in slashed:
        if path and not (folder / path).is_file():
            for file in [] if ends else reading.picture_files(folder, folder)[0]:
                file = folders.relative(file, folder)
                stem = file.removesuffix(PurePath(file).suffix)
                for name in {file, stem, re.sub(r"(^|/)0+(\d+)$", r"\1\2", stem)}:
                    for end in _ends(name):
                        ends.setdefault(end, set()).add(file)
            fits = next((ends[end] for end in _ends(path) if end in ends), ())
            if len(fits) == 1:
                found.append((path, *fits))
                path = found[-1][1]
            else:
                more = f" ({folders.few(sorted(fits))} fit)" if fits else ""
                lost.append(f"{path!r}{more}")
        paths.append(path)
    return paths, lost, found


def _ends(path):
    """The ends of a path, longest first, as they look."""
    parts = unicodedata.normalize("NFC", path).casefold().split("/")
    return ["/".join(parts[i:]) for i in range(len(parts))]


def _as_written(value):
    after = value[1:].startswith((*FORMULA, "'"))
    return value[1:] if value.startswith("'") and after else value
