"""Loads pictures from files: a folder, an archive or a table, all to `ImageData`."""

from pathlib import Path

import pandas as pd

from cnnkit.data import archives, assembly, folders, manifests
from cnnkit.data.reader import Reader

LARGEST = assembly.LARGEST


def from_folder(
    folder,
    *,
    image_size=None,
    grey=False,
    fit="resize",
    background="white",
    groups=None,
    together="alike",
    previous=None,
    seed=0,
    unreadable="error",
    memory_limit=2**31,
    encoding=None,
):
    """Reads a folder, or an archive of one, in which each class is a subfolder.

    A folder with train/, val/ and test/ (each with one subfolder a class) keeps its
    split. With train/ and val/ only, val/ is the test part, and a validation part is
    cut from train/. Without such folders, each class is split 70/15/15. What was
    done is printed and kept in `notes`.

    Args:
        folder: str or path of a folder, or of a .zip or .tar archive (which is
            unpacked for the time of reading; `unpack` keeps the files).
        image_size: int or (height, width), pixels that each picture is brought to,
            from 8 to 1024. None takes the usual longer side of the pictures, at
            least 28 and at most 224.
        grey: bool, True reads one channel of grey, False three of RGB.
        fit: "resize" squeezes each picture into the size, so shapes are lost;
            "crop" cuts off the sides that have no place, so what is there is lost;
            "pad" adds `background`, so pixels are lost. `notes` say how much.
        background: str, the colour behind transparent and around padded pictures:
            a name, or "#rrggbb".
        groups: None, or a function from a path in the folder (str, with forward
            slashes) to its group, such as a patient or a camera; a group stays on
            one side of the split. None for a path means no group.
        together: "alike" keeps near duplicates on one side of the split as well,
            "same" only exact copies (for the frames of films, which are all alike).
        previous: None, or the manifest (or the path of a saved one) of an earlier
            split: its pictures stay where they are, also when others have come.
        seed: int, of the split.
        unreadable: "error" names every file that cannot be read in one error;
            "skip" goes on without them and names them in a note.
        memory_limit: int, bytes of pixels that are kept in memory; more go to a
            temporary file on disk, which is removed with the data.
        encoding: str, of the names in an archive, as for `unpack`.

    Returns:
        `ImageData`. In plain Keras it stands for three calls of
        `keras.utils.image_dataset_from_directory`.

    Raises:
        FileNotFoundError: there is no such folder.
        PermissionError: a folder may not be read.
        ValueError: there are fewer than two classes, or a class without pictures,
            or a class of the test that is not in training, or a bad argument.
        UnreadablePictureError: some files cannot be read.
        UnsafeArchiveError: the archive is refused.

    Example:
        >>> photos = data.from_folder("photos", image_size=128)
        >>> photos.counts()
    """
    reader = Reader(image_size, grey, fit, background)
    with archives.as_folder(folder, encoding) as (folder, source, unpacked):
        files, class_names, notes = folders.scan(folder)
        if groups is not None:
            files["group"] = [groups(path) for path in files["path"]]
        files, pixels, reader, more = assembly.read(
            folder, files, reader, unreadable=unreadable, memory_limit=memory_limit
        )
    folders.check_classes(files, class_names, folder)
    return assembly.complete(
        files, pixels, class_names, source=source, notes=[*unpacked, *notes, *more],
        previous=manifests.load(previous), seed=seed, together=together, reader=reader,
    )  # fmt: skip


def from_table(
    table,
    *,
    folder=None,
    path_column="path",
    label_column=None,
    groups=None,
    image_size=None,
    grey=False,
    fit="resize",
    background="white",
    together="alike",
    previous=None,
    seed=0,
    unreadable="error",
    memory_limit=2**31,
):
    """Reads the pictures that a table names; its other columns stay in the manifest.

    Args:
        table: pandas.DataFrame, or the path of a CSV file with a row of names on top.
            A row a picture. A column `split` with train, val and test is kept as the
            split of a folder is; where it is empty, it is decided.
        folder: str or path that the paths in the table start from. None is the
            folder of the CSV file, or the current one for a DataFrame.
        path_column: str.
        label_column: str; None takes "class" if there is such a column, else "label".
        groups: str, the column of patients, cameras or sites that must each stay on
            one side of the split; None takes "group" if there is such a column.
        image_size: int, (height, width) or None, as for `from_folder`.
        grey: bool, likewise.
        fit: str, likewise.
        background: str, likewise.
        together: str, likewise.
        previous: manifest, path or None, likewise.
        seed: int, likewise.
        unreadable: str, likewise; a missing file cannot be read either.
        memory_limit: int, likewise.

    Returns:
        `ImageData`. Its classes are in alphabetical order, or in that of the numbers
        in `label` where the table has both columns, as a saved manifest has.

    Raises:
        FileNotFoundError: there is no such table or folder.
        ValueError: a column is missing, a picture has no label or several.
        UnreadablePictureError: some files are missing or cannot be read.

    Example:
        >>> scans = data.from_table("scans.csv", label_column="finding",
        ...                         groups="patient")
    """
    reader = Reader(image_size, grey, fit, background)
    source, place = "table", Path.cwd()
    if not isinstance(table, pd.DataFrame):
        path = Path(table).expanduser()
        table, source, place = manifests.read_csv(path), path.stem, path.parent
    place = folders.existing(place if folder is None else folder)
    files, class_names = manifests.checked(
        table, place, path_column=path_column, label_column=label_column, groups=groups
    )
    files, pixels, reader, notes = assembly.read(
        place, files, reader, unreadable=unreadable, memory_limit=memory_limit
    )
    folders.check_classes(files, class_names, place)
    return assembly.complete(
        files, pixels, class_names, source=source, notes=notes,
        previous=manifests.load(previous), seed=seed, together=together, reader=reader,
    )  # fmt: skip


def usual_side(folder):
    """Returns the usual longer side of the pictures in a folder, from a sample.

    Args:
        folder: str or path of a folder or archive, as for `from_folder`.

    Returns:
        int, pixels, at least 28.

    Raises:
        FileNotFoundError, ValueError: as for `from_folder`.
    """
    with archives.as_folder(folder) as (folder, *_):
        files, _, _ = folders.scan(folder)
        return assembly.usual_side([folder / path for path in files["path"]])
