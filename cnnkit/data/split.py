"""Decides which picture is for training, which for validation, which for the test.

The decision follows from the content of each picture, not from its name or its place
in a list: a renamed or copied file stays on its side, and the same pictures are split
the same way on every machine.
"""

import hashlib

import numpy as np

PARTS = ("train", "valid", "test")


def split(labels, content_hashes, *, valid=0.15, test=0.15, seed=0):
    """Splits pictures into training, validation and test parts, class by class.

    In each class the different contents are put in an order that depends on their
    hash and `seed` alone, and the first of that order become the test part, the next
    the validation part. Copies of one picture always stay together.

    Args:
        labels: integers, shape (n,), the class of each picture.
        content_hashes: strings, shape (n,), equal where the content is equal.
        valid: float in [0, 1), share of each class for validation. Each class
            with at least three different pictures gives at least one.
        test: float in [0, 1), share of each class for the test, likewise. A class
            with two different pictures gives one to the test and none to validation;
            a class with one keeps it for training.
        seed: int, another seed gives another split.

    Returns:
        An array of shape (n,) with the strings "train", "valid" and "test".

    Raises:
        ValueError: the shares leave nothing to train on, or the two inputs differ
            in length.

    Example:
        >>> split([0, 0, 0], ["a", "b", "c"]).tolist()
        ['train', 'valid', 'test']
    """
    labels, content_hashes = np.asarray(labels), np.asarray(content_hashes)
    if labels.shape != content_hashes.shape:
        raise ValueError(
            "Each picture needs one label and one content hash. Received: "
            f"{labels.shape} labels and {content_hashes.shape} hashes"
        )
    if valid < 0 or test < 0 or valid + test >= 1:
        raise ValueError(
            "`valid` and `test` are shares that leave something to train on: "
            f"valid + test < 1. Received: valid={valid}, test={test}"
        )
    parts = np.full(labels.shape, "train", dtype="<U5")
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = sorted(set(content_hashes[members]), key=lambda h: _rank(h, seed))
        num_test = _share(len(order), test, keep=1)
        num_valid = _share(len(order), valid, keep=1 + num_test)
        side = dict.fromkeys(order[:num_test], "test")
        side |= dict.fromkeys(order[num_test : num_test + num_valid], "valid")
        parts[members] = [side.get(h, "train") for h in content_hashes[members]]
    return parts


def _share(num_pictures, share, *, keep):
    """The share in whole pictures: at least one where `keep` others remain."""
    if share == 0 or num_pictures <= keep:
        return 0
    return min(max(1, round(num_pictures * share)), num_pictures - keep)


def _rank(content_hash, seed):
    return hashlib.sha256(f"{seed}:{content_hash}".encode()).digest()
