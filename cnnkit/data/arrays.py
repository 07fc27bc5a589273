"""Takes pictures that are already arrays."""

import hashlib

import numpy as np
import pandas as pd

from cnnkit.data import assembly, folders, manifests
from cnnkit.data.labels import classes, text
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
        labels: integers of shape (n,) or (n, 1), or names of shape (n,).
        class_names: sequence of str, one for each of the labels 0, 1, 2 and so on.
            None takes the names or numbers that are there, in order.
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
    """Pictures as uint8, or an error with the line that mends them."""
    images = _plain(images)
    try:
        images = np.asarray(images)
        if images.dtype == object and images.ndim:
            images = np.stack(images)
    except (TypeError, ValueError) as error:
        sizes = sorted({str(np.shape(image)) for image in images})
        raise ValueError(
            "`images` holds pictures of one size. Bring them to it with cv2.resize, or "
            "write them as files: data.from_folder and from_table do it. Received: "
            f"{folders.few(sizes)}"
        ) from error
    images = images[..., np.newaxis] if images.ndim == 3 else images
    values = images if images.dtype.kind in "iuf" and images.size else np.zeros(1)
    low, high = values.min(), values.max()
    for wrong, line in _mending(images, low, high):
        if wrong:
            raise ValueError(
                "`images` has the shape (n, height, width) or (n, height, width, 1 or "
                "3) and values in [0, 255]; models scale them inside. "
                f"{line}. Received: {images.dtype} of shape {images.shape}, values "
                f"from {low} to {high}"
            )
    return images if images.dtype == "uint8" else np.rint(images).astype("uint8")


def _mending(images, low, high):
    """Pairs: whether something is wrong with pictures, and the line that mends it."""
    shape, kind = (*images.shape, 0, 0, 0, 0), images.dtype.kind
    yield kind in "US", "These are names of files, which data.from_table reads"
    flat = "Unroll them: images.reshape(-1, {0}, {0})"
    for channels, line in ((1, flat), (3, flat.replace("1,", "1, 3,"))):
        side = round((shape[1] / channels) ** 0.5)
        fits = images.ndim == 2 and side > 4 and channels * side**2 == shape[1]
        yield fits, line.format(side) + ".transpose(0, 2, 3, 1)" * (channels == 3)
    yield kind not in "iufb", "They are no numbers"
    yield images.ndim == 2, "A single picture is images[np.newaxis]"
    yield images.ndim != 4 or not len(images), "Reshape them, or add some"
    last = "The channels come last: images.transpose(0, 2, 3, 1)"
    yield shape[1] in (1, 3, 4) and shape[3] not in (1, 3), last
    clear = f"Leave transparency out: images[..., :{shape[3] - 1}]"
    yield shape[3] in (2, 4), clear
    yield shape[3] not in (1, 3), "Choose one or three of the channels"
    yield kind == "b", "Make them black and white: images.astype('uint8') * 255"
    bad = np.sum(~np.isfinite(images)) if kind == "f" else 0
    yield bad, f"Leave pictures out that have NaN or infinity: {bad:,} values are such"
    yield -1.5 <= low < 0 and high <= 1.5, "Bring [-1, 1] to it: (images + 1) * 127.5"
    yield low < 0, "Undo the normalisation: images * std + mean"
    times = "(images * 255).astype('uint8')"
    yield high <= 1.5, f"Multiply [0, 1] by 255, before it becomes uint8: {times}"
    yield low == high, "All pixels are alike"
    bits = int(high).bit_length()
    line = f"Bring {bits} bits to 8: (images // {2.0 ** (bits - 8):g}).astype('uint8')"
    yield high > 255, line


def _plain(values):
    """A tensor of PyTorch on the CPU, anything else as it is; no data set."""
    if hasattr(values, "element_spec"):
        raise ValueError(
            "Arrays are needed. Make them of a tf.data.Dataset with images, labels = "
            "map(np.stack, zip(*dataset.unbatch().as_numpy_iterator())). Received: "
            f"{type(values).__name__}"
        )
    return values.detach().cpu() if hasattr(values, "detach") else values


def _flat(labels):
    labels = _plain(labels)
    try:
        labels = np.asarray(labels)
    except ValueError:  # several for some
        labels = np.asarray(labels, dtype=object)
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _checked_labels(labels, num_pictures, class_names):
    """Integer labels and the class names, or an error that says what does not fit."""
    several = labels.dtype == object and any(np.ndim(label) for label in labels)
    if labels.shape != (num_pictures,) or several:
        one_hot = labels.ndim == 2 and len(labels) == num_pictures
        line = "; make them of one-hot rows with labels.argmax(axis=1)" * one_hot
        raise ValueError(
            f"Each picture has one label: an integer or a name{line}. Received: "
            f"{'several for one, ' * several}labels of shape {labels.shape} for "
            f"{num_pictures} pictures"
        )
    if (known := ~pd.isna(labels)).sum() < num_pictures:
        raise ValueError(
            "Each picture has a label; leave out the others: known = ~pd.isna(labels), "
            "images[known], labels[known]. Received: none for the pictures "
            f"{folders.few(np.flatnonzero(~known).tolist())}"
        )
    if labels.dtype.kind == "f" and (labels % 1 == 0).all():
        labels = labels.astype("int64")
    if labels.dtype.kind in "iu" and class_names is not None:
        numbers, names = labels.astype("int64"), class_names
    else:
        words = [text(label) for label in labels]
        names = classes(words) if class_names is None else class_names
        number = {text(name): i for i, name in enumerate(names)}
        unknown = sorted(set(words) - set(number))
        if unknown:
            raise ValueError(
                "Each label is one of `class_names`. Received: " + folders.few(unknown)
            )
        numbers = np.array([number[word] for word in words])
    names = tuple(text(name) for name in names)
    if len(names) < 2 or len(set(names) - {""}) != len(names):
        raise ValueError(
            "A classifier needs at least two classes with different names, none of "
            f"them empty. Received: {folders.few([repr(name) for name in names])}"
        )
    if numbers.min() < 0 or numbers.max() >= len(names):
        raise ValueError(
            f"Labels go from 0 to {len(names) - 1} for {len(names)} classes; give "
            "labels - 1 where they begin with 1. "
            f"Received: labels from {numbers.min()} to {numbers.max()}"
        )
    return numbers, names
