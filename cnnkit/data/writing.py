"""Writes an `ImageData` as a folder of PNG files that any program can read."""

import tempfile
from pathlib import Path

import numpy as np

from cnnkit.data import names, reading

FOLDERS = {"train": "train", "valid": "val", "test": "test"}


def write(photos, folder):
    """Writes the pictures as part/class/number.png; the folder appears at the end.

    `from_folder` reads the same pixels, split and classes again, with the classes in
    the order of the alphabet.

    Args:
        photos: `ImageData`.
        folder: str or path of a folder that is new or empty.

    Returns:
        The `pathlib.Path` of the folder.

    Raises:
        FileExistsError: the folder has something in it.
        ValueError: a class has a name that cannot be that of a folder everywhere.
    """
    folder = Path(folder).expanduser().resolve()
    check_unused(folder)
    seen = {}
    for name in photos.class_names:
        safe = names.portable(name)
        why = "" if safe == name else f"not every system can hold it; {safe!r} it can"
        if "/" in name or reading.is_junk(Path(name)):
            why = "it has a slash, or is hidden"
        twin = seen.setdefault(name.casefold(), name)
        if not why and twin != name:
            why = f"on many systems it is the same as {twin!r}"
        if why:
            raise ValueError(
                f"A class name cannot be the name of a folder: {why}. Make data with "
                f"other class_names. Received: {name!r}"
            )
    folder.parent.mkdir(parents=True, exist_ok=True)
    digits = len(str(len(photos.pixels)))
    parts = photos.manifest["split"].to_numpy()
    labels = photos.manifest["label"].to_numpy(int)
    with tempfile.TemporaryDirectory(prefix=".cnnkit-", dir=folder.parent) as temporary:
        draft = Path(temporary) / "pictures"
        for part in np.unique(parts):
            for name in photos.class_names:
                if part == "train" or ((parts == part) & _is(photos, name)).any():
                    (draft / FOLDERS[part] / name).mkdir(parents=True)
        for position, pixels in enumerate(photos.pixels):
            name = photos.class_names[labels[position]]
            place = draft / FOLDERS[parts[position]] / name
            image = reading.as_picture(pixels)
            image.save(place / f"{position:0{digits}}.png")
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    return folder


def check_unused(folder):
    """Raises FileExistsError unless a folder is new or empty.

    Args:
        folder: `pathlib.Path`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            "Pictures are written to a new or empty folder only, so that nothing of "
            f"yours is mixed up. Received: {str(folder)!r}"
        )


def _is(photos, name):
    return (photos.manifest["label"] == photos.class_names.index(name)).to_numpy()
