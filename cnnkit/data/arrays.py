"""Takes pictures that are already arrays."""

import hashlib

import numpy as np
import pandas as pd

from cnnkit.data import assembly, folders, manifests
from cnnkit.data.memory import keep_freed_memory


def from_arrays(
    images,
    labels,
    *,
    class_names=None,
    test=None,
    groups=None,
    together="alike",
    previous=None,
    source="arrays",
    seed=0,
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
        groups: None, or the group of each picture, shape (n,), such as a patient; a
            group stays on one side of the split.
        together: "alike" keeps near duplicates on one side as well, "same" only
            copies.
        previous: None, or a manifest (or the path of a saved one) whose pictures stay
            where they are.
        source: str, what the pictures are, for titles and reports.
        seed: int, of the split.

    Returns:
        `ImageData`.

    Raises:
        ValueError: shapes, values or labels do not fit; the message says how.
    """
    keep_freed_memory()
    images, labels = _checked_images(images), _flat(labels)
    files = pd.DataFrame({"path": [f"{source}[{i}]" for i in range(len(images))]})
    files["split"] = None
    if groups is not None:
        if np.shape(groups) != (len(images),):
            raise ValueError(
                "Each picture has one group, or None. Received: groups of shape "
                f"{np.shape(groups)} for {len(images)} pictures"
            )
        files["group"] = np.asarray(groups, dtype=object)
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
    return assembly.complete(
        files, images, class_names, source=source, together=together,
        previous=manifests.load(previous), seed=seed,
    )  # fmt: skip


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
