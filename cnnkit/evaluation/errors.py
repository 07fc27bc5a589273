"""Errors: which classes are confused, and what wrong answers have in common."""

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from cnnkit.evaluation.intervals import wilson
from cnnkit.evaluation.scoring import checked, checked_names, confusion_matrix


def most_confused(labels, probabilities, *, class_names=None, k=10, confidence=0.95):
    """Returns the pairs of classes that are confused most often.

    Args:
        labels: int array of shape (n,), the true classes.
        probabilities: float array of shape (n, num_classes), rows summing to 1.
        class_names: one str a class, as for `scores`.
        k: int, how many pairs at most, from 1.
        confidence: float between 0 and 1, of Wilson's intervals.

    Returns:
        A `pandas.DataFrame`, the most frequent first: "label", "predicted", "count",
        "pictures" (of the true class), "value" (their share), "low", "high". Pairs
        that never happened are not in it. The first were chosen for being high, so by
        luck too: their true share may lie under "low" (4 of 10, where all are alike).

    Raises:
        ValueError: labels, probabilities, names or `k` are not as above.
    """
    matrix = confusion_matrix(labels, probabilities)
    names = checked_names(class_names, len(matrix))
    if k < 1:
        raise ValueError(f"`k` is 1 or more. Received: k={k!r}")
    wrong = matrix * (1 - np.eye(len(matrix), dtype=int))
    order = np.argsort(-wrong, axis=None, kind="stable")[:k]
    true, taken = np.unravel_index(order[wrong.ravel()[order] > 0], wrong.shape)
    count, of_class = wrong[true, taken], matrix.sum(axis=1)[true]
    low, high = wilson(count, of_class, confidence=confidence)
    return pd.DataFrame(
        {
            "label": [names[i] for i in true],
            "predicted": [names[i] for i in taken],
            "count": count,
            "pictures": of_class,
            "value": count / of_class,
            "low": low,
            "high": high,
        }
    )


def error_groups(labels, probabilities, embeddings, *, groups=6, seed=0):
    """Groups the wrongly named pictures by how they look to the network.

    Ten errors of one kind (too dark, cut off, a second thing in the picture) are one
    remedy. k-means on the embeddings puts alike ones together; what they share, a
    person has to see: `plots.image_grid(photos.pixels[rows], titles=...)`.

    Args:
        labels: int array of shape (n,), the true classes.
        probabilities: float array of shape (n, num_classes), rows summing to 1.
        embeddings: float array of shape (n, d), the outputs of the layer "pooled".
        groups: int, at most; fewer where there are fewer errors.
        seed: int, of k-means.

    Returns:
        A `pandas.DataFrame` with a row for each error, the largest group first and in
        it the most typical: "picture" (its position, 0 to n - 1), "group" (from 0) and
        "distance" (from the middle of the group, of embeddings of length 1).

    Raises:
        ValueError: labels, probabilities, embeddings or `groups` are not as above.
    """
    labels, probabilities = checked(labels, probabilities)
    embeddings = np.asarray(embeddings, "float64")
    fits = embeddings.ndim == 2 and len(embeddings) == len(labels)
    if groups < 1 or not fits or not np.isfinite(embeddings).all():
        raise ValueError(
            f"`embeddings` has shape ({len(labels)}, d), all finite, and `groups` is 1 "
            f"or more. Received: shape {embeddings.shape}, groups={groups!r}"
        )
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    if not len(wrong):
        return pd.DataFrame({"picture": wrong, "group": wrong, "distance": wrong * 1.0})
    lengths = np.linalg.norm(embeddings[wrong], axis=1, keepdims=True)
    points = embeddings[wrong] / np.maximum(lengths, 1e-12)
    groups = min(groups, len(np.unique(points, axis=0)))
    found = KMeans(groups, n_init=10, random_state=seed).fit(points)
    distance = np.linalg.norm(points - found.cluster_centers_[found.labels_], axis=1)
    sizes = np.bincount(found.labels_, minlength=groups)
    rank = np.argsort(np.argsort(-sizes, kind="stable"))  # the largest group is 0
    table = pd.DataFrame(
        {"picture": wrong, "group": rank[found.labels_], "distance": distance}
    )
    return table.sort_values(["group", "distance"], kind="stable", ignore_index=True)
