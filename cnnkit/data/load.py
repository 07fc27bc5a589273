"""Loads pictures: a folder, arrays, or a set with a name, all to `ImageData`."""

import hashlib
import tempfile

import numpy as np
import pandas as pd

from cnnkit.data import folders, reading
from cnnkit.data.image_data import ImageData
from cnnkit.data.split import split

LARGEST = 224  # pixels a side where none is asked for: what most backbones have seen


def from_folder(
    folder,
    *,
    image_size=None,
    grey=False,
    seed=0,
    unreadable="error",
    memory_limit=2**31,
):
    """Reads a folder in which each class is a subfolder of pictures.

    A folder with train/, val/ and test/ (each with one subfolder a class) keeps its
    split. With train/ and val/ only, val/ is the test part, and a validation part is
    cut from train/. Without such folders, each class is split 70/15/15. What was
    done is printed and kept in `notes`.

    Args:
        folder: str or path.
        image_size: int or (height, width), pixels that each picture is resized to,
            from 8 to 1024; the aspect ratio is not kept. None takes the usual
            longer side of the pictures, at least 28 and at most 224.
        grey: bool, True reads one channel of grey, False three of RGB.
        seed: int, of the split.
        unreadable: "error" names every file that cannot be read in one error;
            "skip" goes on without them and names them in a note.
        memory_limit: int, bytes of pixels that are kept in memory; more go to a
            temporary file on disk, which is removed with the data.

    Returns:
        `ImageData`. In plain Keras it stands for three calls of
        `keras.utils.image_dataset_from_directory`.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: there are fewer than two classes, or a class without pictures,
            or a class of the test that is not in training, or a bad argument.
        UnreadablePictureError: some files cannot be read.

    Example:
        >>> photos = data.from_folder("photos", image_size=128)
        >>> photos.counts()
    """
    folder = folders.existing(folder)
    if unreadable not in ("error", "skip"):
        raise ValueError(
            f"`unreadable` is 'error' or 'skip'. Received: unreadable={unreadable!r}"
        )
    files, class_names, notes = folders.scan(folder)
    paths = [folder / path for path in files["path"]]
    if image_size is None:
        image_size = min(_usual_side(paths), LARGEST)
    height, width = _sides(image_size)
    shape = (height, width, 1 if grey else 3)
    pixels = _empty_pixels((len(paths), *shape), memory_limit)

    files["content_hash"], reasons = reading.decode_all(paths, pixels, grey=grey)
    if reasons and unreadable == "error":
        raise reading.unreadable(paths, reasons, folder)
    if reasons:
        names = folders.few(files["path"].iloc[list(reasons)])
        notes.append(f"{len(reasons)} files cannot be read and were skipped: {names}")
        kept = np.setdiff1d(np.arange(len(paths)), list(reasons))
        for new, old in enumerate(kept):  # in place: `pixels` may lie on disk
            pixels[new] = pixels[old]
        files, pixels = files.iloc[kept].reset_index(drop=True), pixels[: len(kept)]
        folders.check_classes(files, class_names, folder)
    return _complete(
        files, pixels, class_names, source=folder.name, notes=notes, seed=seed
    )


def from_arrays(
    images, labels, *, class_names=None, test=None, source="arrays", seed=0
):
    """Takes pictures that are already arrays.

    Args:
        images: uint8 array of shape (n, height, width), (n, height, width, 1) or
            (n, height, width, 3), values in [0, 255]; floats are taken where they
            are in that range too, and rounded.
        labels: integers of shape (n,) or (n, 1) from 0, or names of shape (n,).
        class_names: sequence of str in the order of the labels. None takes the
            names, or the numbers as names.
        test: None, or (images, labels) that are kept as the test part, while a
            validation part is cut from the others. Without it, each class is split
            70/15/15.
        source: str, what the pictures are, for titles and reports.
        seed: int, of the split.

    Returns:
        `ImageData`.

    Raises:
        ValueError: shapes, values or labels do not fit; the message says how.
    """
    images, labels = _checked_images(images), _flat(labels)
    files = pd.DataFrame({"path": [f"{source}[{i}]" for i in range(len(images))]})
    files["split"] = None
    if test is not None:
        test_images, test_labels = _checked_images(test[0]), _flat(test[1])
        if test_images.shape[1:] != images.shape[1:]:
            raise ValueError(
                "Training and test pictures need one shape. Received: "
                f"{images.shape[1:]} and {test_images.shape[1:]}"
            )
        names = [f"{source} test[{i}]" for i in range(len(test_images))]
        more = pd.DataFrame({"path": names, "split": "test"})
        files = pd.concat([files.assign(split="train"), more], ignore_index=True)
        images = np.concatenate([images, test_images])
        labels = np.concatenate([labels, test_labels])
    files["label"], class_names = _checked_labels(labels, len(images), class_names)
    files["content_hash"] = [
        hashlib.sha256(image.tobytes()).hexdigest() for image in images
    ]
    return _complete(files, images, class_names, source=source, notes=(), seed=seed)


def _complete(files, pixels, class_names, *, source, notes, seed):
    """Fills in the missing parts of the split, says what was done, returns the data."""
    height, width, channels = (int(side) for side in pixels.shape[1:])
    colour = "grey" if channels == 1 else "RGB"
    given = set(files["split"].dropna())
    undecided = files["split"].isna()
    if given in ({"train", "valid"}, {"train", "test"}):
        undecided |= files["split"] == "train"
        files.loc[files["split"] == "valid", "split"] = "test"
        how = "a validation part was cut from train"
        if "valid" in given:
            how = f"val is the test part; {how}"
    elif given == {"train", "valid", "test"}:
        how = "the given split into train, valid and test was kept"
    else:
        undecided[:] = True
        how = "each class was split 70/15/15"
    if undecided.any():
        files.loc[undecided, "split"] = split(
            files.loc[undecided, "label"],
            files.loc[undecided, "content_hash"],
            test=0 if "test" in set(files["split"][~undecided]) else 0.15,
            seed=seed,
        )
    sizes = files["split"].value_counts()
    notes = (
        f"{len(files):,} pictures of {len(class_names)} classes, "
        f"{height} x {width} pixels, {colour}",
        *notes,
        f"{how}: "
        + ", ".join(f"{sizes.get(p, 0):,} {p}" for p in ("train", "valid", "test")),
    )
    for note in notes:
        print(f"{source!r}: {note}")
    manifest = files[["path", "label", "split", "content_hash"]]
    shape = (height, width, channels)
    return ImageData(tuple(class_names), shape, manifest, pixels, source, notes)


def usual_side(folder):
    """Returns the usual longer side of the pictures in a folder, from a sample.

    Args:
        folder: str or path, as for `from_folder`.

    Returns:
        int, pixels, at least 28.

    Raises:
        FileNotFoundError, ValueError: as for `from_folder`.
    """
    folder = folders.existing(folder)
    files, _, _ = folders.scan(folder)
    return _usual_side([folder / path for path in files["path"]])


def _usual_side(paths):
    sides = []
    for path in paths[:: max(1, len(paths) // 200)]:
        try:
            sides.append(max(reading.open_picture(path.read_bytes()).size))
        except (OSError, ValueError):
            continue  # `decode_all` names it
    return max(28, int(np.median(sides))) if sides else LARGEST


def _sides(image_size):
    sides = (image_size,) * 2 if np.isscalar(image_size) else tuple(image_size)
    whole = all(isinstance(side, int | np.integer) for side in sides)
    if len(sides) != 2 or not whole or not all(8 <= side <= 1024 for side in sides):
        raise ValueError(
            "`image_size` is a number of pixels or (height, width), from 8 to 1024. "
            f"Received: image_size={image_size!r}"
        )
    return int(sides[0]), int(sides[1])


def _empty_pixels(shape, memory_limit):
    if np.prod(shape, dtype="int64") <= memory_limit:
        return np.empty(shape, "uint8")
    file = tempfile.TemporaryFile(prefix="cnnkit-")  # gone when the array is
    return np.memmap(file, "uint8", "w+", shape=shape)


def _checked_images(images):
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
        raise ValueError(
            "`images` has the shape (n, height, width), (n, height, width, 1) or "
            f"(n, height, width, 3). Received: {images.shape}"
        )
    if images.dtype == "uint8":
        return images
    if images.dtype.kind not in "iuf" or not np.isfinite(images).all():
        raise ValueError(
            "`images` holds finite numbers in [0, 255]. Received: "
            f"{images.dtype} with {np.sum(images != images)} NaN"
        )
    low, high = images.min(), images.max()
    if low < 0 or high > 255 or (images.dtype.kind == "f" and 0 < high <= 1.5):
        raise ValueError(
            "`images` holds values in [0, 255], as in picture files; models scale them "
            "inside. Multiply pictures in [0, 1] by 255. Received: values from "
            f"{low} to {high}"
        )
    return np.rint(images).astype("uint8")


def _flat(labels):
    labels = np.asarray(labels)
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _checked_labels(labels, num_pictures, class_names):
    """Integer labels and the class names, or an error that says what does not fit."""
    if labels.shape != (num_pictures,):
        raise ValueError(
            "Each picture has one label: an integer or a name (not one-hot). Received: "
            f"labels of shape {labels.shape} for {num_pictures} pictures"
        )
    if labels.dtype.kind in "iu":
        names = class_names or [str(i) for i in range(int(labels.max()) + 1)]
        numbers = labels.astype("int64")
    else:
        words = [str(label) for label in labels]
        names = class_names or sorted(set(words))
        unknown = sorted(set(words) - set(names))
        if unknown:
            raise ValueError(
                "Each label is one of `class_names`. Received: " + folders.few(unknown)
            )
        numbers = np.array([list(names).index(word) for word in words])
    names = tuple(str(name) for name in names)
    if len(names) < 2 or len(set(names)) != len(names):
        raise ValueError(
            f"A classifier needs at least two classes with different names. Received: "
            f"{folders.few(names)}"
        )
    if numbers.min() < 0 or numbers.max() >= len(names):
        raise ValueError(
            f"Labels go from 0 to {len(names) - 1} for {len(names)} classes. "
            f"Received: labels from {numbers.min()} to {numbers.max()}"
        )
    return numbers, names
