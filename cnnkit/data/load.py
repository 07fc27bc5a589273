"""Loads pictures from files: a folder, an archive or a table, all to `ImageData`."""

from pathlib import Path

import pandas as pd

from cnnkit.data import archives, assembly, folders, manifests, tables
from cnnkit.data.arrays import from_arrays
from cnnkit.data.reader import Reader
from cnnkit.data.surroundings import say

LARGEST = assembly.LARGEST


def from_folder(
    folder,
    *,
    labels=None,
    image_size=None,
    grey=False,
    fit="resize",
    background="white",
    groups=None,
    links=None,
    together="alike",
    previous=None,
    seed=0,
    unreadable="error",
    memory_limit=2**31,
    cache=None,
    encoding=None,
):
    """Reads a folder, or an archive of one, in which each class is a subfolder.

    A folder with train/, val/ and test/ (each with one subfolder a class; other words
    for them, such as Training_set or 学習, are known) keeps its split. With train/ and
    val/ only, val/ is the test part, and a validation part is cut from train/. Without
    such folders, each class is split 70/15/15. What was done is printed and kept in
    `notes`.

    Args:
        folder: str or path of a folder, or of a .zip or .tar archive (which is
            unpacked for the time of reading; `unpack` keeps the files).
        labels: what names the class of a picture, where the folders can be read in two
            ways: "first" the outer folder, "last" the folder that holds the picture,
            "name" the file's name before its number ("cat" for cat.12.jpg), or a
            function from a path in the folder (str, with forward slashes) to a name
            (None leaves the picture out). None reads the outer folders, and asks
            where they are not plainly the classes.
        image_size: int or (height, width), pixels that each picture is brought to,
            from 8 to 1024. None takes the usual longer side of the pictures, at
            least 28 and at most 224.
        grey: bool, True reads one channel of grey, False three of RGB.
        fit: "resize" squeezes each picture into the size, so shapes are lost;
            "crop" cuts off the sides that have no place, so what is there is lost;
            "pad" adds `background`, so pixels are lost. `notes` say how much.
        background: str, the colour behind transparent and around padded pictures:
            a name, or "#rrggbb".
        groups: None, or "folder", or a function from a path in the folder (str, with
            forward slashes) to its group, such as a patient or a camera; a group stays
            on one side of the split. None for a path means no group. "folder" takes
            the other folders on the path: those inside the class folder (patient_07
            of cat/patient_07/1.jpg), also where two classes have one of that name.
        links: None, or the path of a folder: links to files and folders are followed
            where they stay inside it (the store of DVC, git-annex or a model hub).
            Without it, links that lead out of the folder are left out.
        together: "alike" keeps near duplicates on one side of the split as well,
            "same" only exact copies (for the frames of films, which are all alike).
        previous: None, or the manifest (or the path of a saved one) of an earlier
            split: its pictures stay where they are, also when others have come.
        seed: int, of the split.
        unreadable: "error" names every file that cannot be read in one error;
            "skip" goes on without them and names them in a note.
        memory_limit: int, bytes of pixels that are kept in memory; more go to a
            temporary file on disk, which is removed with the data.
        cache: None, or the path of a folder that keeps the decoded pixels: the next
            call with the same files, as they are now, opens them in a second. What is
            not needed there any more may be deleted.
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
        OSError: the disk has no place for the pixels.

    Example:
        >>> photos = data.from_folder("photos", image_size=128)
        >>> photos.counts()
    """
    reader = Reader(image_size, grey, fit, background)
    if cache is not None and Path(folder).is_file():
        raise ValueError(
            "`cache` knows files again that stay where they are: unpack the archive "
            "with data.unpack(archive, folder), and read the folder. Received: "
            f"cache={str(cache)!r} with {str(folder)!r}"
        )
    with archives.as_folder(folder, encoding) as (folder, source, unpacked):
        files, class_names, notes = folders.scan(folder, labels=labels, links=links)
        files, more = _grouped(files, groups, labels)
        notes = [*unpacked, *notes, *more]
        files, pixels, reader, more = assembly.read(
            folder, files, reader, unreadable=unreadable, memory_limit=memory_limit,
            cache=cache,
        )  # fmt: skip
    folders.check_classes(files, class_names, folder)
    return assembly.complete(
        files, pixels, class_names, source=source, notes=[*notes, *more],
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
    cache=None,
):
    """Reads the pictures that a table names; its other columns stay in the manifest.

    Args:
        table: pandas.DataFrame, or the path of a CSV file with a row of names on top.
            A row a picture: its path, or a column for each of its pixels (label,
            pixel0 to pixel783). A column `split` with train, val and test is kept as
            the split of a folder is; where it is empty, it is decided.
        folder: str or path that the paths in the table start from. None is the
            folder of the CSV file, or the current one for a DataFrame.
        path_column: str; where there is no "path", the one column that is called
            "image", "filename", "id" or the like is taken, and this is said. A path
            that is no file stands for the one file in the folder that ends so, with
            its suffix or without.
        label_column: str; None takes "class" if there is such a column, else "label",
            else the one that is called "target", "category" or the like.
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
        cache: None, str or path, likewise.

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
    source, place, read = "table", Path.cwd(), []
    if not isinstance(table, pd.DataFrame):
        path = Path(table).expanduser()
        (table, read), source, place = tables.read_csv(path), path.stem, path.parent
    found = tables.drawn(table, path_column, label_column)
    if found is not None:
        return _from_pixels(
            *found, reader, source=source, together=together, seed=seed,
            previous=previous, groups=groups and table[groups],
        )  # fmt: skip
    place = folders.existing(place if folder is None else folder)
    files, class_names, taken = tables.checked(
        table, place, path_column=path_column, label_column=label_column,
        groups=groups, unreadable=unreadable,
    )  # fmt: skip
    files, pixels, reader, notes = assembly.read(
        place, files, reader, unreadable=unreadable, memory_limit=memory_limit,
        cache=cache,
    )  # fmt: skip
    folders.check_classes(files, class_names, place)
    return assembly.complete(
        files, pixels, class_names, source=source, notes=[*read, *taken, *notes],
        previous=manifests.load(previous), seed=seed, together=together, reader=reader,
    )  # fmt: skip


def _from_pixels(pixels, labels, unused, reader, *, source, **options):
    """Takes a table that has a pixel in each column, and says which side that means."""
    side = pixels.shape[1]
    if reader.image_size not in (None, (side, side)):
        raise ValueError(
            f"The pixels of the table are pictures of {side} x {side}: leave out "
            f"image_size=. Received: image_size={reader.image_size}"
        )
    left_out = f"; left out: {folders.few(unused)}" if unused else ""
    say(f"{source!r}: the pixels of each row were read as {side} x {side}{left_out}")
    return from_arrays(pixels, labels, source=source, **options)


def usual_side(folder, *, labels=None, links=None):
    """Returns the usual longer side of the pictures in a folder, from a sample.

    Args:
        folder: str or path of a folder or archive, as for `from_folder`.
        labels: likewise.
        links: likewise.

    Returns:
        int, pixels, at least 28.

    Raises:
        FileNotFoundError, ValueError: as for `from_folder`.
    """
    with archives.as_folder(folder) as (folder, *_):
        files, *_ = folders.scan(folder, labels=labels, links=links)
        return assembly.usual_side([folder / path for path in files["path"]])


def _grouped(files, groups, labels):
    """The files with the groups that were asked for, and what to say of them."""
    inner = files["group"].dropna()
    known = inner.unique()
    if groups is None:
        files = files.drop(columns="group")
        if not len(known):
            return files, []
        many = f"{len(known):,} folders such as " if len(known) > 1 else ""
        said = f"{len(inner):,} pictures lie deeper, in {many}{folders.few(known[:3])}"
        if many:
            said += ". If these are patients, days or machines, write groups='folder', "
            said += "which keeps each on one side of the split"
            said += "" if labels else "; if they are the classes, labels='last'"
        return files, [said]
    if callable(groups):
        files["group"] = [groups(path) for path in files["path"]]
    elif groups != "folder" or not len(known):
        raise ValueError(
            "`groups` is a function from a path to its group, or 'folder', which takes "
            "the folders inside the class folders, such as cat/patient_07. Received: "
            f"groups={groups!r}, and {len(inner):,} pictures in such folders"
        )
    number, without = files["group"].nunique(), files["group"].isna().sum()
    rest = f" ({without:,} pictures are in none)" if without else ""
    return files, [f"{number:,} groups{rest}; each stays on one side of the split"]
