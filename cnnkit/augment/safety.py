"""Label safety: does an operation turn a 6 into a 9?

Augmentation claims that the changed picture is still of its class. Nobody checks that,
and a mirrored "turn left" teaches a network that both arrows are one. Here a judge who
has never seen changed pictures says what they look like: a trained classifier, or the
nearest neighbour among other pictures.
"""

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.neighbors import KNeighborsClassifier

from cnnkit.augment.pipeline import checked

COLUMNS = ["pictures", "becomes", "share", "low", "high", "verdict"]
VERDICTS = ("taken for another", "unclear", "keeps the class")


def label_safety(
    policies, images, labels, predict, *, class_names=None, limit=0.1, draws=4, seed=0
):
    """Finds operations that make one class look like another.

    Counted are pictures that the judge gets right as they are, and draws that change
    the picture. A class that scatters over many others is harder after the operation;
    one that goes to a single other class may have become it. So the table gives, for
    each operation and class, the other class that is named most often. A judge must
    name some class, even for what is none, such as a mirrored 3: look at the pictures
    of each flagged row. A judge that flags small shifts is too weak.

    Args:
        policies: dict from a name to a policy, such as {"flip": flip()}; or a sequence
            of policies, named by their `repr`.
        images: uint8 array of shape (n, height, width, c), which the judge did not
            learn from.
        labels: int array of shape (n,), positions in the classes.
        predict: the judge, a function of float32 images in [0, 255] that returns
            probabilities, shape (n, k), or labels, shape (n,): `model.predict`, or what
            `nearest_neighbour` makes. It must not have been trained with the operation.
        class_names: None or a sequence of str.
        limit: float between 0 and 1: the share from which an operation does harm.
        draws: int from 1, how often each operation is drawn for each picture.
        seed: int.

    Returns:
        pandas.DataFrame with a row for each (operation, class): `pictures` that were
        counted; `becomes`, the other class that is named most often ("" where none
        is); `share` of them that became it, averaged over draws, with Wilson's 95 %
        interval from `low` to `high` as if each picture had been drawn once; and
        `verdict`: "taken for another" where `low` is above `limit`, "keeps the class"
        where `high` is below, else "unclear": more pictures would tell.

    Raises:
        ValueError: images and labels that do not fit, no policy, or an argument
            outside its range.

    Example:
        >>> judge = nearest_neighbour(images[:900], labels[:900])
        >>> half_turn = {"half turn": lambda images, generator: images[:, ::-1, ::-1]}
        >>> label_safety(half_turn, images[900:], labels[900:], judge)  # 6 becomes 9
    """
    labels = np.asarray(labels)
    if labels.shape != (len(checked(images)),) or labels.dtype.kind not in "iu":
        raise ValueError(
            "Each picture has one label, a whole number. Received: labels of shape "
            f"{labels.shape} and type {labels.dtype} for {len(images)} pictures"
        )
    if not isinstance(policies, dict):
        policies = {repr(one): one for one in policies}
    if not policies or not 0 < limit < 1 or draws < 1:
        raise ValueError(
            "Give at least one policy, a `limit` between 0 and 1, and one draw or more."
            f" Received: {len(policies)} policies, limit={limit!r}, draws={draws!r}"
        )
    right = np.flatnonzero(_said(predict, images) == labels)
    images, labels = images[right], labels[right]
    names = range(labels.max(initial=0) + 1) if class_names is None else class_names
    rows = {}
    for k, (operation, change) in enumerate(policies.items()):
        votes = np.zeros((len(images), len(names)))  # of each picture's changed draws
        for draw in range(draws):
            changed = change(images, np.random.default_rng((seed, k, draw)))
            differ = np.flatnonzero((changed != images).any(axis=(1, 2, 3)))
            if len(differ):
                said = _said(predict, changed[differ])
                np.add.at(votes, (differ, said), 1)
        counted = votes.sum(axis=1) > 0
        shares = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)
        for label, name in enumerate(names):
            mine = shares[counted & (labels == label)]
            rows[operation, name] = _judged(mine, label, names, limit)
    index = pd.MultiIndex.from_tuples(rows, names=["operation", "class"])
    return pd.DataFrame(list(rows.values()), index, COLUMNS)


def nearest_neighbour(images, labels, *, neighbours=1):
    """Makes a judge that needs no training: what does the most similar picture show?

    Good where pictures of a class lie on each other, as digits and cut-out signs do.
    Photographs need a trained classifier.

    Args:
        images: array of shape (n, height, width, c), the pictures it knows.
        labels: int array of shape (n,).
        neighbours: int from 1, how many of them vote.

    Returns:
        A function from images of the same size to int labels.
    """
    judge = KNeighborsClassifier(neighbours).fit(_flat(images), labels)
    return lambda others: judge.predict(_flat(others))


def _flat(images):
    """Pixels in a row, without differences in brightness and contrast."""
    flat = np.asarray(images, "float32").reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def _said(predict, images):
    """The judge's labels, int array of shape (n,)."""
    said = np.asarray(predict(images.astype("float32")))
    return (said.argmax(axis=1) if said.ndim == 2 else said).astype(int)


def _judged(shares, label, names, limit):
    """One row of the table, from shares of shape (n, k) of pictures of one class."""
    n = len(shares)
    if not n:
        return 0, "", np.nan, np.nan, np.nan, VERDICTS[1]
    others = shares.sum(axis=0)
    others[label] = 0
    low, high = _wilson(others.max(), n)
    harm = VERDICTS[0] if low > limit else VERDICTS[2] if high < limit else VERDICTS[1]
    becomes = names[int(others.argmax())] if others.max() else ""
    return n, becomes, others.max() / n, low, high, harm


def _wilson(hits, n):
    """Wilson's 95 % interval for a share, where hits need not be whole."""
    z, share = stats.norm.ppf(0.975), hits / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    spread = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, middle - spread), min(1.0, middle + spread)
