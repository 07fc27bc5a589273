"""Finds the classes and picture files of a folder, and says what was left out."""

import difflib
from collections import Counter
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
            "A folder with one subfolder for each class is needed; unpack an "
            f"archive first. Received: the file {str(folder)!r}"
        )
    siblings = folder.parent.iterdir() if folder.parent.is_dir() else ()
    near = difflib.get_close_matches(folder.name, [p.name for p in siblings])
    hint = f" Near names there: {', '.join(map(repr, near))}." if near else ""
    raise FileNotFoundError(f"There is no such folder.{hint} Received: {str(folder)!r}")


def scan(folder):
    """Finds the picture files of each class.

    Args:
        folder: `pathlib.Path`, with a subfolder for each class, or with the part
            folders of `PARTS` that have such subfolders.

    Returns:
        A table with the columns path (relative to `folder`), label and split (None
        where the folder does not say); the class names in order; a list of sentences
        on what was left out.

    Raises:
        ValueError: fewer than two classes, a class without pictures, or a class of
            the test that is not in training.
    """
    parts = {sub: PARTS.get(sub.name.lower()) for sub in _subfolders(folder)}
    if "train" in parts.values() and None not in parts.values():
        classes = [(c, part) for sub, part in parts.items() for c in _subfolders(sub)]
        tops = [folder, *parts]
    else:
        classes, tops = [(sub, None) for sub in parts], [folder]
    class_names = tuple(
        sorted({c.name for c, part in classes if part in (None, "train")})
    )
    if len(class_names) < 2:
        raise ValueError(
            "A classifier needs at least two classes: put the pictures of each class "
            f"into a subfolder of {folder.name!r} that has the name of the class. "
            f"Received: {len(class_names)} class folders {list(class_names)}, and "
            f"{len(reading.picture_files(folder)[0])} picture files in all"
        )
    rows, others = [], []
    for class_folder, part in classes:
        if class_folder.name not in class_names:
            raise ValueError(
                f"The {part} part has a class that is not in training, so it can "
                "never be predicted: add it to training or remove it. Received: "
                f"{str(class_folder.relative_to(folder))!r}"
            )
        pictures, left_out = reading.picture_files(class_folder)
        others += left_out
        label = class_names.index(class_folder.name)
        rows += [(p.relative_to(folder).as_posix(), label, part) for p in pictures]
    files = pd.DataFrame(rows, columns=["path", "label", "split"])
    check_classes(files, class_names, folder)

    loose = sorted(p for top in tops for p in top.iterdir() if not p.is_dir())
    junk = sorted(p for top in tops for p in top.iterdir() if _junk_folder(p))
    notes = [
        _left_out(folder, others, "in a format that is not read here"),
        _left_out(folder, loose, "in no class folder"),
        _left_out(folder, junk, "hidden or made by a system"),
    ]
    return files, class_names, [note for note in notes if note]


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


def _subfolders(folder):
    return sorted(p for p in folder.iterdir() if p.is_dir() and not reading.is_junk(p))


def _junk_folder(path):
    return path.is_dir() and reading.is_junk(path)


def _left_out(folder, paths, why):
    if not paths:
        return None
    kinds = Counter(p.suffix.lower() or "no suffix" for p in paths)
    counts = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common(5))
    names = few([p.relative_to(folder).as_posix() for p in paths])
    return f"{len(paths)} left out ({counts}), {why}: {names}"
