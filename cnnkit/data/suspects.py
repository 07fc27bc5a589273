"""Finds labels that are probably wrong, by confident learning.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels", JAIR 2021, https://arxiv.org/abs/1911.00068. The probabilities must come from
models that have not seen the picture (`ImageData.folds`): a model that has learnt a
wrong label by heart finds nothing wrong with it.
"""

import numpy as np
import pandas as pd


def label_suspects(labels, probabilities, *, class_names=None):
    """Ranks the pictures whose label is probably wrong, the surest first.

    A picture is confidently of class j if the probability of j is at least the mean
    that pictures labelled j get for j (equation 2 of the paper). As many pictures are
    suspected as are confidently of another class than their label; those whose own
    label gets the lowest probability. On Fashion-MNIST with 10 % of uniform noise this
    order finds more, and accuses fewer, than the paper's "prune by noise rate"
    (cleanlab's default). It is cleanlab's `filter_by="low_self_confidence"`, which
    also names pictures whose label is the likeliest class to the model; here these are
    left out.

    Args:
        labels: int array of shape (n,), as given.
        probabilities: array of shape (n, k), each row from a model that was not trained
            on that picture; rows sum to 1.
        class_names: sequence of k str, or None.

    Returns:
        pandas.DataFrame with a row for each suspect: `position` in `labels`, `label`,
        `suggested` (the likeliest class), `confidence` (probability of the label, from
        0 to 1), lowest confidence first. With `class_names` also `label_name`
        and `suggested_name`.

    Raises:
        ValueError: shapes, labels or probabilities do not fit.
    """
    labels, probabilities = _checked(labels, probabilities, class_names)
    rows = np.arange(len(labels))
    number = _confidently_another(labels, probabilities)
    own = probabilities[rows, labels]
    suggested = probabilities.argmax(axis=1)
    table = pd.DataFrame(
        {
            "position": rows,
            "label": labels,
            "suggested": suggested,
            "confidence": own,
        }
    )
    if class_names is not None:
        names = np.asarray(class_names, dtype=object)
        table["label_name"], table["suggested_name"] = names[labels], names[suggested]
    table = table.sort_values("confidence", kind="stable").head(number)
    # A label that the model itself finds likeliest is no suspect.
    return table[table["suggested"] != table["label"]].reset_index(drop=True)


def _confidently_another(labels, probabilities):
    """How many pictures are confidently of another class than their label."""
    num_classes = probabilities.shape[1]
    thresholds = np.full(num_classes, np.inf)  # of a class that no picture is labelled
    for j in np.unique(labels):
        thresholds[j] = probabilities[labels == j, j].mean()
    confident = probabilities >= thresholds
    likeliest = np.where(confident, probabilities, -1).argmax(axis=1)
    another = (likeliest != labels) & (probabilities.argmax(axis=1) != labels)
    return int((confident.any(axis=1) & another).sum())


def _checked(labels, probabilities, class_names):
    labels = np.asarray(labels)
    probabilities = np.asarray(probabilities, dtype="float64")
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            "`labels` has the shape (n,) and `probabilities` (n, k). Received: "
            f"{labels.shape} and {probabilities.shape}"
        )
    num_classes = probabilities.shape[1]
    if labels.dtype.kind not in "iu" or not len(labels):
        raise ValueError(
            f"`labels` are integers. Received: {len(labels)} of {labels.dtype}"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"Labels go from 0 to {num_classes - 1}, one for each column of the "
            f"probabilities. Received: {labels.min()} to {labels.max()}"
        )
    sums = probabilities.sum(axis=1)
    if not (probabilities >= 0).all() or not np.allclose(sums, 1, atol=1e-3):
        raise ValueError(
            "Each row of `probabilities` holds shares that sum to 1 (not logits). "
            f"Received: values from {probabilities.min():.3g}, sums from "
            f"{sums.min():.3g} to {sums.max():.3g}"
        )
    if class_names is not None and len(class_names) != num_classes:
        raise ValueError(
            f"`class_names` has a name for each of {num_classes} columns. Received: "
            f"{len(class_names)} names"
        )
    return labels.astype("int64"), probabilities
