"""What `preflight` sees of the pictures and labels, in seconds."""

import time
from dataclasses import dataclass, field

import numpy as np

from cnnkit.training.trial import parts

MOST_BATCHES = 64  # of a pipeline, in each part: enough to meet every class
MOST_SECONDS = 5.0


@dataclass
class Seen:
    """What was seen of one part of the data.

    Attributes:
        images: float array of the first batch, shape (b, height, width, channels).
        labels: its labels, of shape (b,) or (b, ...).
        all_labels: labels of all pictures that were looked at.
        whole: bool, whether that were all of the part.
        steps: int, batches in a pass; None where the pipeline does not say.
        load_seconds: float, the time that a batch takes to arrive.
        rows: list of (code, detail, None), findings.
    """

    images: np.ndarray
    labels: np.ndarray
    all_labels: np.ndarray
    whole: bool = True
    steps: int | None = None
    load_seconds: float = 0.0
    rows: list = field(default_factory=list)


def look(data, batch_size):
    """Looks at both parts of the data.

    Args:
        data: `ImageData`, or a pair of `tf.data.Dataset`.
        batch_size: int, of an `ImageData`.

    Returns:
        Two `Seen`, for training and validation, the second None where there is none.

    Raises:
        ValueError: the training part is empty, or its elements are no pairs.
    """
    batches = parts(data, batch_size)
    if not hasattr(data, "batches"):
        return _pipeline(batches[0], "training"), _pipeline(batches[1], "validation")
    seen = []
    for name, part in zip(("train", "valid"), batches, strict=True):
        seen.append(part and _pipeline(part, name, most=3))
        if part is not None:
            seen[-1].all_labels = data.manifest["label"].to_numpy()[data.rows(name)]
            seen[-1].whole, seen[-1].steps = True, len(part)
    return seen


def _pipeline(part, name, most=MOST_BATCHES):
    if part is None:
        return None
    labels, rows, taken, first, bad = [], [], [], None, 0
    start = last = time.monotonic()
    steps = int(part.cardinality())
    whole = False
    for number, element in enumerate(part):
        if number == most or last - start > MOST_SECONDS:
            break
        images, batch_labels = _pair(element, name)
        if first is None:
            first = images, batch_labels
            alone = images.ndim == 3 and batch_labels.shape[:1] != images.shape[:1]
            if alone:
                rows.append(("not_batched", f"{name} pictures of {images.shape}", None))
        bad += not np.isfinite(images).all()
        labels.append(np.atleast_1d(batch_labels))
        now = time.monotonic()
        taken.append(now - last)
        last = now
    else:
        whole = True
    if first is None:
        raise ValueError(
            f"There is no picture to look at. Received: an empty {name} pipeline"
        )
    if bad:
        where = f"in {bad} of {len(labels)} {name} batches"
        rows.append(("nonfinite_pixels", where, None))
    if name == "validation" and not _comes_again(part, first):
        rows.append(("shuffled_validation", "two passes began differently", None))
    if whole:
        steps = len(labels)
    images, first_labels = first
    if alone:
        images, first_labels = images[None], first_labels[None]
    all_labels = _joined(labels)
    later = float(np.median(taken[1:])) if len(taken) > 1 else 0.0
    return Seen(
        images, first_labels, all_labels, whole, steps if steps > 0 else None, later,
        rows,
    )  # fmt: skip


def _pair(element, name):
    """Images and labels of an element, as arrays."""
    if not isinstance(element, (tuple, list)) or len(element) not in (2, 3):
        raise ValueError(
            "A pipeline gives (images, labels), or these and weights of the pictures. "
            f"Received: {type(element).__name__} from the {name} pipeline"
        )
    return np.asarray(element[0].numpy(), "float32"), element[1].numpy()


def _comes_again(part, first):
    again = _pair(next(iter(part)), "validation")
    return all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        for a, b in zip(first, again, strict=True)
    )


def _joined(labels):
    """All labels in one array; of the first shape, where shapes differ."""
    same = [x for x in labels if x.shape[1:] == labels[0].shape[1:]]
    return np.concatenate(same)


def missing(seen, num_classes):
    """Returns the classes that no label names.

    Args:
        seen: `Seen`.
        num_classes: int.

    Returns:
        A list of int.
    """
    labels = seen.all_labels
    if labels.ndim == 2 and labels.shape[1] > 1:
        there = np.flatnonzero((labels > 0).any(axis=0))
    else:
        there = labels.ravel()
    return sorted(set(range(num_classes)) - set(np.asarray(there, int).tolist()))
