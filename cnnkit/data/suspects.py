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

    A picture counts as confidently of class j if the probability of j is at least the
    mean that pictures labelled j get for j (equation 2). Counting confident classes
    against labels gives the share of each class that is mislabelled, and as which
    class (equation 1). So many pictures are then suspected, those that lean most
    towards the other class (the paper's "prune by noise rate").

    Args:
        labels: int array of shape (n,), as given.
        probabilities: array of shape (n, k), each row from a model that was not trained
            on that picture; rows sum to 1.
        class_names: sequence of k str, or None.

    Returns:
        pandas.DataFrame with a row for each suspect: `position` in `labels`, `label`,
        `suggested` (the likeliest class), `confidence` (probability of the label, from
        0 to 1), `margin` (probability of the label less that of the likeliest other
        class, from -1 to 1), lowest margin first. With `class_names` also `label_name`
        and `suggested_name`.

    Raises:
        ValueError: shapes, labels or probabilities do not fit.
    """
    labels, probabilities = _checked(labels, probabilities, class_names)
    noise = estimated_noise(labels, probabilities)
    rows, suspected = np.arange(len(labels)), np.zeros(len(labels), bool)
    for given in range(len(noise)):
        members = np.flatnonzero(labels == given)
        for true in range(len(noise)):
            number = noise[given, true] if true != given else 0
            lean = probabilities[members, true] - probabilities[members, given]
            suspected[members[np.argsort(-lean, kind="stable")[:number]]] = True
    others = probabilities.copy()
    others[rows, labels] = -1
    suggested = others.argmax(axis=1)
    own = probabilities[rows, labels]
    table = pd.DataFrame(
        {
            "position": rows,
            "label": labels,
            "suggested": suggested,
            "confidence": own,
            "margin": own - others.max(axis=1),
        }
    )
    if class_names is not None:
        names = np.asarray(class_names, dtype=object)
        table["label_name"], table["suggested_name"] = names[labels], names[suggested]
    # A label that the model itself finds likeliest is no suspect.
    table = table[suspected & (table["margin"] < 0)]
    return table.sort_values("margin", kind="stable").reset_index(drop=True)


def estimated_noise(labels, probabilities):
    """Estimates how many pictures with each label are truly of each class.

    Args:
        labels: int array of shape (n,).
        probabilities: array of shape (n, k).

    Returns:
        int array of shape (k, k), row: label as given, column: true class; each row
        sums to the number of pictures with that label (equation 3, in whole pictures).
    """
    num_classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=num_classes)
    thresholds = np.array(
        [
            probabilities[labels == j, j].mean() if counts[j] else np.inf
            for j in range(num_classes)
        ]
    )
    confident = probabilities >= thresholds
    likeliest = np.where(confident, probabilities, -1).argmax(axis=1)
    sure = confident.any(axis=1)
    joint = np.zeros((num_classes, num_classes))
    np.add.at(joint, (labels[sure], likeliest[sure]), 1)
    empty = (joint.sum(axis=1) == 0) & (counts > 0)
    joint[empty, empty] = 1  # nobody is sure: nothing to complain about
    shares = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1)
    exact = shares * counts[:, np.newaxis]
    whole = np.floor(exact + 1e-9).astype(int)
    for row, missing in enumerate(counts - whole.sum(axis=1)):  # largest remainders
        most = np.argsort(whole[row] - exact[row], kind="stable")[:missing]
        whole[row, most] += 1
    return whole


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
