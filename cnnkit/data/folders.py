"""Finds the classes and picture files of a folder, and says what was left out."""

import difflib
import os
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cnnkit.data import reading

# Names of part folders, in lower case, to our names of the parts.
PARTS = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Survey:
    """What a folder holds, found without opening a picture.

    Attributes:
        root: `pathlib.Path` of the folder; all paths below are relative to it, as str
            with forward slashes.
        class_folders: pandas.DataFrame, a row for each class folder, also an empty
            one: path, class (the name in Unicode form NFC), part ("train", "valid",
            "test", or None where the folder does not say).
        files: pandas.DataFrame, a row for each picture file: path, class, part,
            nested (whether it lies in a folder inside the class folder).
        left_out: pandas.DataFrame, a row for each file or folder that is not read:
            path, why (a key of `reading.LEFT_OUT`, or "loose" for a file that is in
            no class folder).
    """

    root: Path
    class_folders: pd.DataFrame
    files: pd.DataFrame
    left_out: pd.DataFrame


def existing(folder):
    """Returns the folder as a full path, or an error that suggests near names.

    Args:
        folder: str or path; `~` is the home folder.

    Returns:
        `pathlib.Path`.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it is a file.
    """
    folder = Path(folder).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if folder.exists():
        raise ValueError(
            "A folder with one subfolder for each class is needed, or a .zip or .tar "
            f"of such a folder. Received: the file {str(folder)!r}"
        )
    siblings = folder.parent.iterdir() if folder.parent.is_dir() else ()
    near = difflib.get_close_matches(folder.name, [p.name for p in siblings])
    hint = f" Near names there: {', '.join(map(repr, near))}." if near else ""
    raise FileNotFoundError(f"There is no such folder.{hint} Received: {str(folder)!r}")


def only_folder(folder):
    """Returns the one folder that an archive holds, or the folder itself.

    Args:
        folder: `pathlib.Path` of an unpacked archive.

    Returns:
        `pathlib.Path`; as long as there is one subfolder and no picture beside it,
        that one, unless it is a class beside nothing.
    """
    while True:
        folders, _ = _inside(folder)
        if len(folders) != 1 or not _inside(folders[0])[0]:
            return folder
        folder = folders[0]


def survey(folder):
    """Lists the classes, the picture files and what is left out; raises nothing.

    Args:
        folder: `pathlib.Path` from `existing`, with a subfolder for each class, or
            with the part folders of `PARTS` that have such subfolders.

    Returns:
        `Survey`.
    """
    folders, left_out = _inside(folder)
    parts = {sub: PARTS.get(sub.name.lower()) for sub in folders}
    classes = [(sub, None) for sub in folders]
    if "train" in parts.values() and None not in parts.values():
        classes = []
        for sub, part in parts.items():
            inner, more = _inside(sub)
            classes += [(class_folder, part) for class_folder in inner]
            left_out += more
    files = []
    for class_folder, part in classes:
        pictures, more = reading.picture_files(class_folder, folder)
        name, left_out = _name(class_folder), left_out + more
        files += [(p, name, part, p.parent != class_folder) for p in pictures]

    def table(rows, *columns):
        rows = [(relative(path, folder), *rest) for path, *rest in rows]
        return pd.DataFrame(rows, columns=["path", *columns], dtype=object)

    return Survey(
        folder,
        table([(c, _name(c), part) for c, part in classes], "class", "part"),
        table(files, "class", "part", "nested"),
        table(left_out, "why"),
    )


def scan(folder):
    """Finds the picture files of each class.

    Args:
        folder: `pathlib.Path`, as for `survey`.

    Returns:
        A table with the columns path (relative to `folder`), label and split (None
        where the folder does not say); the class names in order; a list of sentences
        on what was left out.

    Raises:
        ValueError: fewer than two classes, a class without pictures, a class of
            the test that is not in training, or class names that look the same.
        PermissionError: a folder may not be read.
    """
    found = survey(folder)
    denied = found.left_out.loc[found.left_out["why"] == "denied", "path"]
    if len(denied):
        raise PermissionError(
            "Every folder must be readable, or its pictures would be missing without "
            f"a word; change its permissions. Received: {few(denied)}"
        )
    classes = found.class_folders
    learned = sorted(set(classes.loc[classes["part"].isin((None, "train")), "class"]))
    if len(learned) < 2:
        raise ValueError(
            "A classifier needs at least two classes: put the pictures of each class "
            f"into a subfolder of {folder.name!r} that has the name of the class. "
            f"Received: {len(learned)} class folders {learned}, and "
            f"{len(reading.picture_files(folder, folder)[0])} picture files in all"
        )
    for clash in same_looking(found):
        raise ValueError(
            "These class folders have names that differ only by case, width, spaces "
            "or Unicode form, so they are probably one class: rename or join them. "
            f"Received: {few(clash)}"
        )
    unlearned = classes.loc[~classes["class"].isin(learned)]
    for path, part in zip(unlearned["path"], unlearned["part"], strict=True):
        raise ValueError(
            f"The {part} part has a class that is not in training, so it can never be "
            f"predicted: add it to training or remove it. Received: {path!r}"
        )
    files = pd.DataFrame(
        {
            "path": found.files["path"].astype(str),
            "label": [learned.index(name) for name in found.files["class"]],
            "split": found.files["part"],
        }
    )
    check_classes(files, learned, folder)
    return files, tuple(learned), _notes(found)


def same_looking(found):
    """Finds class folders whose names a person would take for one.

    Args:
        found: `Survey`.

    Returns:
        A list of lists of paths (str), each of two or more class folders.
    """
    looks = {}
    for path in found.class_folders["path"]:
        name = path.rpartition("/")[2]
        looks.setdefault(look(name), {}).setdefault(name, []).append(path)
    clashes = []
    for names in looks.values():
        if len(names) > 1:
            clashes.append(sorted(path for paths in names.values() for path in paths))
    return clashes


def look(name):
    """What a person sees of a name: no case, width, spaces or Unicode form."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def check_classes(files, class_names, folder):
    """Checks that each class has pictures to learn from.

    Args:
        files: table as `scan` returns it.
        class_names: sequence of str.
        folder: `pathlib.Path`, for the message.

    Raises:
        ValueError: some classes have none; each is named.
    """
    with_pictures = set(files.loc[files["split"] != "test", "label"])
    empty = [n for i, n in enumerate(class_names) if i not in with_pictures]
    if empty:
        raise ValueError(
            "Each class needs pictures to learn from: add some, or remove the class. "
            f"Received: no picture that can be read in {folder.name!r} for {few(empty)}"
        )


def few(names):
    """Returns the first ten names as text, safe to print, and how many more.

    Args:
        names: sequence of str.

    Returns:
        A str.
    """
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(repr, list(names)[:10])) + more


def relative(path, folder):
    r"""Returns a path inside a folder as text.

    Args:
        path: `pathlib.Path` in `folder`.
        folder: `pathlib.Path`.

    Returns:
        str with forward slashes; a byte that is no UTF-8 is written as \xNN.
    """
    name = path.relative_to(folder).as_posix()
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _name(class_folder):
    return unicodedata.normalize("NFC", class_folder.name)


def _inside(folder):
    """The subfolders that may be classes, and (path, why) of all else."""
    folders, left_out = [], []
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return [], [(folder, "denied")]
    for path in entries:
        if reading.is_junk(path):
            left_out.append((path, "hidden"))
        elif not path.is_dir():
            left_out.append((path, "loose"))
        elif path.is_symlink():
            left_out.append((path, "link"))
        elif not reading.is_unicode(path):
            left_out.append((path, "name"))
        else:
            folders.append(path)
    return folders, left_out


def _notes(found):
    """Sentences on what was left out or taken in an unexpected way."""
    notes = []
    for why, group in found.left_out.groupby("why", sort=False):
        kinds = Counter(Path(p).suffix.lower() or "no suffix" for p in group["path"])
        counts = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common(5))
        reason = reading.LEFT_OUT.get(why, "in no class folder")
        notes.append(
            f"{len(group)} left out ({counts}), {reason}: {few(group['path'])}"
        )
    nested = found.files.loc[found.files["nested"].astype(bool), "path"]
    if len(nested):
        inner = sorted({path.rpartition("/")[0] for path in nested})
        notes.append(
            f"{len(nested)} pictures lie in folders inside a class folder and count "
            f"for that class: {few(inner)}"
        )
    return notes
