"""For classes of unequal size: weights for the loss, and more or fewer pictures.

A network that sees a hundred healthy leaves for each ill one is right in 99 of 100
cases when it always says "healthy". Either the few count more, or they are seen more
often. Do one of the two, not both, and never touch validation and test.
"""

import dataclasses

import numpy as np

METHODS = ("balanced", "effective")
REPETITION = "repetition"  # column: 0 for a picture itself, 1 for its first repetition


def class_weights(photos, *, method="balanced", beta=0.999):
    """Returns what each class should count in the loss, for `training.fit`.

    Args:
        photos: `ImageData`; its training part is counted.
        method: "balanced" weighs a class by n / (k * n_class), as scikit-learn does;
            "effective" by (1 - beta) / (1 - beta**n_class), scaled to a mean of 1
            over classes: less extreme, as pictures of one class overlap (Cui et al.,
            "Class-Balanced Loss Based on Effective Number of Samples", 2019,
            https://arxiv.org/abs/1901.05555, equation 4).
        beta: float from 0 to under 1, of "effective"; with 0 all classes count
            alike, near 1 the weights are as for "balanced".

    Returns:
        dict from label (int) to weight (float), as the argument `class_weight` of
        `training.fit`, or of `fit` in plain Keras.

    Raises:
        ValueError: a class without training pictures, an unknown method, or a bad
            `beta`.

    Example:
        >>> weights = data.balance.class_weights(photos)
        >>> history = training.fit(model, photos, epochs=10, class_weight=weights)
    """
    if method not in METHODS:
        raise ValueError(f"`method` is one of {METHODS}. Received: method={method!r}")
    if not 0 <= beta < 1:
        raise ValueError(f"`beta` is from 0 to under 1. Received: beta={beta!r}")
    counts = _counts(photos)
    if method == "balanced":
        weights = counts.sum() / (len(counts) * counts)
    else:
        weights = 1 / -np.expm1(counts * np.log(beta)) if beta else np.ones(len(counts))
        weights *= len(counts) / weights.sum()
    return {label: float(weight) for label, weight in enumerate(weights)}


def oversample(photos, *, seed=0):
    """Repeats training pictures until each class has as many as the largest.

    Nothing new is learnt from a repeated picture: use it with augmentation. Each
    picture is repeated equally often, give or take one.

    Args:
        photos: `ImageData`.
        seed: int, which pictures are repeated once more than others.

    Returns:
        `ImageData` with the same validation and test part.

    Raises:
        ValueError: a class without training pictures, or pictures that were
            oversampled before.
    """
    return _sampled(photos, _counts(photos).max(), "repeated", seed)


def undersample(photos, *, seed=0):
    """Leaves out training pictures until each class has as few as the smallest.

    Quick to train on, but most pictures of the large classes are not seen.

    Args:
        photos: `ImageData`.
        seed: int, which pictures are kept.

    Returns:
        `ImageData` with the same validation and test part.

    Raises:
        ValueError: a class without training pictures, or pictures that were
            oversampled before.
    """
    return _sampled(photos, _counts(photos).min(), "left out", seed)


def is_repeated(photos):
    """Tells whether training pictures were repeated by `oversample`.

    Args:
        photos: `ImageData`.

    Returns:
        bool.
    """
    manifest = photos.manifest
    return REPETITION in manifest and bool((manifest[REPETITION] > 0).any())


def _counts(photos):
    """Training pictures of each class, float array of shape (k,)."""
    labels = photos.manifest.loc[photos.manifest["split"] == "train", "label"]
    counts = np.bincount(labels, minlength=photos.num_classes).astype(float)
    missing = [photos.class_names[i] for i in np.flatnonzero(counts == 0)]
    if missing:
        raise ValueError(
            "Every class needs training pictures: nothing makes up for none. Add some, "
            f"or remove the class. Received: none of {missing[:10]}"
        )
    return counts


def _sampled(photos, number, done, seed):
    if is_repeated(photos):
        raise ValueError(
            "These pictures were balanced before: start from the data as it was loaded."
            f" Received: {photos.notes[-1]!r}"
        )
    rng, number, manifest = np.random.default_rng(seed), int(number), photos.manifest
    labels, split = manifest["label"].to_numpy(), manifest["split"].to_numpy()
    rows, copies = [np.flatnonzero(split != "train")], []
    copies.append(np.zeros(len(rows[0]), int))
    for label in range(photos.num_classes):
        mine = rng.permutation(np.flatnonzero((split == "train") & (labels == label)))
        positions = np.arange(number)
        rows.append(mine[positions % len(mine)])
        copies.append(positions // len(mine))
    rows, copies = np.concatenate(rows), np.concatenate(copies)
    order = np.lexsort((copies, rows))
    rows, copies = rows[order], copies[order]
    changed = abs((split == "train").sum() - number * photos.num_classes)
    note = (
        f"{changed:,} training pictures were {done}, so that each class has {number:,}"
    )
    taken = photos.take(rows)
    manifest = taken.manifest.assign(**{REPETITION: copies})
    notes = (*photos.notes, note)
    return dataclasses.replace(taken, manifest=manifest, notes=notes)
