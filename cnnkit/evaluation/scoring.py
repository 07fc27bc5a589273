"""Scores: labels and probabilities to numbers, each with its interval."""

import numpy as np
import pandas as pd
from scipy import sparse

from cnnkit.evaluation.intervals import bootstrap, membership, wilson, worth_of


def scores(
    labels, probabilities, *, class_names=None, groups=None, confidence=0.95,
    replicates=2000, seed=0,
):  # fmt: skip
    """Returns accuracy, precision, recall and F1 with intervals, as a table.

    Accuracy counts pictures, so large classes rule it. Balanced accuracy (the mean of
    the recalls, so also called macro recall), macro F1 and macro precision (the means
    of F1 and precision) count every class alike.

    Where there is nothing to count the value is NaN: precision of a class that was
    never predicted (scikit-learn says 0 and warns), recall and F1 of a class without
    pictures. Classes without pictures are left out of the means, as scikit-learn's
    `balanced_accuracy_score` leaves them out; the precision of a class with pictures
    that was never predicted counts 0 there. All other values equal scikit-learn's.

    The intervals are Wilson's for accuracy, precision and recall. F1 = 2J / (1 + J),
    where J is the share of hits among the pictures that are of the class or were taken
    for it, so Wilson's serves there too. The means over classes get bootstrap
    percentiles, with a smallest width (see the comment in the code); a class without
    pictures is left out of their value, and in their interval its part is anything
    from 0 to 1. They describe the luck in the choice of these test pictures and nothing
    else: not another training run, nor pictures of another kind.

    Ten pictures of one patient say less than ten of ten patients: name the `groups`,
    and the intervals are about the choice of these.

    Args:
        labels: int array of shape (n,), the true classes, 0 to num_classes - 1.
        probabilities: float array of shape (n, num_classes), rows summing to 1. Of
            equal probabilities the first class counts as predicted.
        class_names: one str a class, in the order of the columns; None numbers them:
            "class 0", "class 1", ...
        groups: which patient, animal or film each picture is of, shape (n,), such as a
            column "group" of `predict`; None where each stands for itself.
        confidence: float between 0 and 1, the share of such intervals that contain
            the true value.
        replicates: int, bootstrap samples, at least 100.
        seed: int, for the bootstrap.

    Returns:
        A `pandas.DataFrame` indexed by ("class", "score"), with columns "value",
        "low", "high" (all in [0, 1]) and "pictures", how many pictures the value rests
        on (precision: those predicted as the class; recall and F1: those of the
        class). The first rows are ("all classes", "accuracy"), "balanced accuracy",
        "macro F1" and "macro precision"; then "precision", "recall" and "F1" of each
        class.

    Raises:
        ValueError: labels, probabilities, names, confidence or replicates are not as
            above.

    Example:
        >>> table = scores([0, 0, 1], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
        >>> float(table.loc[("class 1", "precision"), "value"])
        0.5
    """
    labels, probabilities = checked(labels, probabilities)
    num_classes = probabilities.shape[1]
    names = checked_names(class_names, num_classes)
    if not 0 < confidence < 1 or replicates < 100:
        raise ValueError(
            "`confidence` must lie between 0 and 1, such as 0.95, and `replicates` be "
            "at least 100, or the ends of the interval are noise. "
            f"Received: confidence={confidence!r}, replicates={replicates!r}"
        )

    # The confusion matrix as a list of its non-empty cells: with 3,000 classes it has
    # 9,000,000 cells, but never more non-empty ones than there are pictures.
    cells, where, counts = np.unique(
        labels * num_classes + probabilities.argmax(axis=1),
        return_inverse=True, return_counts=True,
    )  # fmt: skip
    by_class = class_counts(*np.divmod(cells, num_classes), num_classes)
    members = counts
    if groups is not None:
        members = membership(checked_groups(groups, len(labels)))
        members = members @ sparse.eye_array(len(cells), format="csr")[where]

    hits, of_class, as_class = (count[0] for count in by_class(counts[None]))
    present = of_class > 0
    either = np.where(present, of_class + as_class - hits, 0)
    with np.errstate(invalid="ignore"):
        precision, recall, overlap = hits / as_class, hits / of_class, hits / either
    worth = [as_class, of_class, either, np.array([len(labels)])]
    if groups is not None:  # whole groups were drawn, not pictures
        right, true, taken = by_class(members)
        worth = [worth_of(right, n) for n in (taken, true, true + taken - right)]
        worth.append(worth_of(np.c_[right.sum(axis=1)], np.c_[true.sum(axis=1)]))
    shares = (precision, recall, overlap, np.array([hits.sum() / len(labels)]))
    precision_ends, recall_ends, overlap_ends, accuracy_ends = (
        wilson(share * n, n, confidence=confidence)
        for share, n in zip(shares, worth, strict=True)
    )
    f1, *f1_ends = (2 * share / (1 + share) for share in (overlap, *overlap_ends))

    low, high = bootstrap(
        members, lambda drawn: class_means(*by_class(drawn)),
        confidence=confidence, replicates=replicates, seed=seed,
    )  # fmt: skip
    # A class that was right in 5 of 5 pictures is right in every bootstrap sample, as
    # if it could not fail. Wilson knows better: 0.57 to 1. So an interval reaches at
    # least as far as the recalls' margins together, added like independent errors: the
    # root of the sum of squares (Zou and Donner, "Construction of confidence limits
    # about effect measures", Statistics in Medicine 2008).
    mean = class_means(hits, of_class, as_class)
    below, above = recall - recall_ends[0], recall_ends[1] - recall
    low = np.minimum(low, mean - np.linalg.norm(below[present]) / present.sum())
    high = np.maximum(high, mean + np.linalg.norm(above[present]) / present.sum())
    known = present.mean()
    low, high = np.clip([low, high], 0, 1) * known + [[0], [1 - known]]

    n = len(labels)
    rows = [
        [hits.sum() / n, *np.ravel(accuracy_ends), n],
        [mean[0], low[0], high[0], n],
        [mean[1], low[1], high[1], n],
        [mean[2], low[2], high[2], n],
    ]
    of_classes = [
        [precision, *precision_ends, as_class],
        [recall, *recall_ends, of_class],
        [f1, *f1_ends, of_class],
    ]
    rows += [*np.array(of_classes).transpose(2, 0, 1).reshape(-1, 4)]
    kinds = ["accuracy", "balanced accuracy", "macro F1", "macro precision"]
    index = [("all classes", kind) for kind in kinds]
    index += [(name, kind) for name in names for kind in ("precision", "recall", "F1")]
    return pd.DataFrame(
        np.array(rows, "float64"),
        index=pd.MultiIndex.from_tuples(index, names=["class", "score"]),
        columns=["value", "low", "high", "pictures"],
    ).astype({"pictures": "int64"})


def class_counts(true, taken, num_classes):
    """A function from counts of cells, (r, cells), to hits, pictures of and as a class.

    A cell holds pictures of the class `true` that were taken for `taken`.
    """
    here, shape = np.arange(len(true)), (len(true), num_classes)
    to_true, to_taken = (
        sparse.csr_array((np.ones(len(here)), (here, classes)), shape)
        for classes in (true, taken)
    )
    to_hit = sparse.diags_array(1.0 * (true == taken)) @ to_true
    return lambda counts: (counts @ to_hit, counts @ to_true, counts @ to_taken)


def class_means(hits, of_class, as_class):
    """Macro recall, F1 and precision, shape (r, 3), of counts of shape (r, classes)."""
    present = of_class > 0  # in a bootstrap sample a rare class may be missing
    recalls = hits / np.maximum(of_class, 1)  # 0 where missing: adds nothing
    f1s = 2 * hits / np.maximum(of_class + as_class, 1)
    precisions = hits / np.maximum(as_class, 1) * present
    sums = np.stack([x.sum(axis=-1) for x in (recalls, f1s, precisions)], axis=-1)
    return sums / present.sum(axis=-1, keepdims=True)


def confusion_matrix(labels, probabilities):
    """Counts how often each class was taken for each class.

    Args:
        labels: int array of shape (n,), the true classes.
        probabilities: float array of shape (n, num_classes), rows summing to 1.

    Returns:
        int64 array of shape (num_classes, num_classes): row i, column j counts the
        pictures of class i that the model took for class j.

    Raises:
        ValueError: `labels` or `probabilities` are not as above.
    """
    labels, probabilities = checked(labels, probabilities)
    k = probabilities.shape[1]
    pairs = labels * k + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=k * k).reshape(k, k)


def top_losses(labels, probabilities, k=9):
    """Finds the pictures that surprised the model most.

    The loss of a picture is its cross-entropy, -log(probability of the true class):
    0.7 nats for even odds, and the more, the surer the model was of something else.
    Look at these pictures first: many are mislabelled, cut off or ambiguous.

    Args:
        labels: int array of shape (n,), the true classes.
        probabilities: float array of shape (n, num_classes), rows summing to 1.
        k: int, how many pictures, at least 1.

    Returns:
        `indices`, int64, shape (min(k, n),), highest loss first, equal losses in the
        order of the pictures; and `losses`, float64 of the same shape, in nats. A
        probability of 0 counts as the smallest ordinary float32, which is 87.3 nats.

    Raises:
        ValueError: `labels`, `probabilities` or `k` are not as above.
    """
    labels, probabilities = checked(labels, probabilities)
    if k < 1:
        raise ValueError(f"`k` must be at least 1 picture. Received: k={k!r}")
    of_truth = probabilities[np.arange(len(labels)), labels].astype("float64")
    losses = -np.log(np.clip(of_truth, np.finfo("float32").tiny, 1))
    indices = np.argsort(-losses, kind="stable")[:k]
    return indices, losses[indices]


def checked(labels, probabilities):
    """Returns labels (int64) and probabilities as arrays, or says what is wrong."""
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2 or not len(probabilities):
        raise ValueError(
            "`probabilities` must have shape (n, num_classes), with at least 1 picture "
            "and 2 classes. One number p a picture, from a sigmoid, becomes two: "
            f"[1 - p, p]. Received: shape {probabilities.shape}"
        )
    n, num_classes = probabilities.shape
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"`labels` must be whole numbers, one a picture, shape ({n},). One-hot "
            "labels become numbers by labels.argmax(axis=1). "
            f"Received: shape {labels.shape}, dtype {labels.dtype}"
        )
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        raise ValueError(
            f"`labels` must lie between 0 and {num_classes - 1}, as there are "
            f"{num_classes} columns of probabilities. Received: label "
            f"{labels[outside][0]} at row {outside.argmax()}"
        )
    broken = ~np.isfinite(probabilities).all(axis=1)
    if broken.any():
        raise ValueError(
            "`probabilities` must be finite. NaN means that the training diverged: "
            "train again with a smaller learning rate, and look for NaN in the "
            f"pictures. Received: NaN or infinity in {broken.sum()} of {n} rows, first "
            f"in row {broken.argmax()}"
        )
    sums = probabilities.sum(axis=1, dtype="float64")
    wrong = (abs(sums - 1) > 1e-3) | (probabilities < 0).any(axis=1)
    if wrong.any():
        row = wrong.argmax()
        raise ValueError(
            "Each row of `probabilities` must be 0 or more and sum to 1. For a model "
            "that ends in logits, apply keras.ops.softmax first. Received: row "
            f"{row} from {probabilities[row].min():.4g} to "
            f"{probabilities[row].max():.4g}, sum {sums[row]:.4g}"
        )
    return labels.astype("int64"), probabilities


def checked_groups(groups, n):
    """Groups as an array of n, or an error that says what is wrong."""
    groups = np.asarray(groups, dtype=object)
    if groups.shape != (n,):
        raise ValueError(
            "`groups` names the patient, animal or film of each picture, shape "
            f"({n},), such as table['group']. Received: shape {groups.shape}"
        )
    return groups


def column(table, groups):
    """The column of a table that says which group a picture is of, None for none."""
    if groups is not None and (
        not isinstance(groups, str) or groups not in table.columns
    ):
        raise ValueError(
            "`groups` names a column of the table, such as 'group'; "
            "evaluation.predict(..., columns=['group']) takes it along. Received: "
            f"groups={groups!r}, not among {[str(c) for c in table.columns][:10]}"
        )
    return None if groups is None else table[groups]


def checked_names(class_names, num_classes):
    """Returns a list of names, "class 0", ... for None, or says what is wrong."""
    if class_names is None:
        return [f"class {i}" for i in range(num_classes)]
    names = list(class_names)
    if len(names) != num_classes or len(set(names)) != num_classes:
        raise ValueError(
            "`class_names` must be one name a column of `probabilities`, no two alike. "
            f"Received: {len(names)} names, {len(set(names))} of them different, for "
            f"{num_classes} columns"
        )
    return names
