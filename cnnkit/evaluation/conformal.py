"""Conformal prediction: sets of classes that hold the true one as often as was asked.

No assumption on the model is needed, only that new pictures come from where those of
the calibration came from. Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random
World", 2005; the score is that of Sadinle, Lei and Wasserman, JASA 2019,
https://arxiv.org/abs/1609.00451; Angelopoulos and Bates, https://arxiv.org/abs/2107.07511,
is an introduction.
"""

import numpy as np
import pandas as pd

from cnnkit.evaluation.intervals import share
from cnnkit.evaluation.scoring import checked, checked_names


def conformal_threshold(labels, probabilities, *, coverage=0.9):
    """Returns the probability from which on a class belongs into the set.

    Args:
        labels: int array of shape (n,), the true classes, of pictures that the model
            has not learnt from: the validation part.
        probabilities: float array of shape (n, num_classes), rows summing to 1.
        coverage: float between 0 and 1, how many of the sets shall hold the true class.

    Returns:
        float, for `prediction_sets`. On average over calibration sets, between
        `coverage` and `coverage` + 1 / (n + 1) of new pictures have their class in the
        set (ties aside). With n under coverage / (1 - coverage) pictures (9 for 0.9)
        that can only be promised of sets with all classes, and it is 0.

    Raises:
        ValueError: an argument is not as above.
    """
    labels, probabilities = checked(labels, probabilities)
    return _least(probabilities[np.arange(len(labels)), labels], coverage)


def class_thresholds(labels, probabilities, *, coverage=0.9):
    """Returns for each class the probability from which on it belongs into the set.

    `conformal_threshold` keeps its promise for all pictures together, and may break it
    for a rare class. Here it is kept for each class, at the price of larger sets
    (Vovk, "Conditional validity of inductive conformal predictors", ACML 2012).

    Args:
        labels: int array of shape (n,), as for `conformal_threshold`.
        probabilities: float array of shape (n, num_classes), rows summing to 1.
        coverage: float between 0 and 1, how many pictures of each class shall have it
            in their set.

    Returns:
        float64 array of shape (num_classes,), for `prediction_sets`. A class with fewer
        than coverage / (1 - coverage) pictures (9 for 0.9) has 0: it is in every set.

    Raises:
        ValueError: an argument is not as above.
    """
    labels, probabilities = checked(labels, probabilities)
    own = [probabilities[labels == i, i] for i in range(probabilities.shape[1])]
    return np.array([_least(values, coverage) for values in own])


def _least(of_truth, coverage):
    """The probability that so many new pictures of this kind reach, 0 if none can."""
    if not 0 < coverage < 1:
        raise ValueError(
            f"`coverage` lies between 0 and 1. Received: coverage={coverage!r}"
        )
    # The epsilon: 0.9 * 10 must not become 9.000000000000002, and so 10.
    rank = int(np.ceil((len(of_truth) + 1) * coverage - 1e-9))
    return float(-np.sort(-of_truth)[rank - 1]) if rank <= len(of_truth) else 0.0


def prediction_sets(probabilities, threshold):
    """Returns which classes are plausible for each picture.

    Args:
        probabilities: float array of shape (n, num_classes).
        threshold: float, from `conformal_threshold`, or `class_thresholds`.

    Returns:
        bool array of shape (n, num_classes). A row may be empty: for a picture that is
        like none of the calibration, no class is plausible.
    """
    return np.asarray(probabilities) >= threshold


def set_scores(labels, sets, *, class_names=None, confidence=0.95):
    """Returns how often the sets hold the true class, and how large they are.

    The promise of `conformal_threshold` is about all classes together. A rare one may
    be covered less: that is what the rows of the classes are for, and the remedy is
    `class_thresholds`.

    Args:
        labels: int array of shape (n,), the true classes.
        sets: bool array of shape (n, num_classes), from `prediction_sets`.
        class_names: one str a class, as for `scores`.
        confidence: float between 0 and 1, of Wilson's intervals.

    Returns:
        A `pandas.DataFrame`, the first row "all classes", then one for each class:
        "value" (share of its pictures whose set holds it), "low", "high", "size" (mean
        number of classes in a set), "pictures".

    Raises:
        ValueError: the shapes do not fit, or the names are not one for each class.
    """
    labels, sets = np.asarray(labels), np.asarray(sets, bool)
    if sets.ndim != 2 or labels.shape != (len(sets),) or not len(sets):
        raise ValueError(
            "`labels` has shape (n,) and `sets` (n, num_classes), with n of 1 or more. "
            f"Received: shapes {labels.shape} and {sets.shape}"
        )
    names = checked_names(class_names, sets.shape[1])
    held = sets[np.arange(len(labels)), labels]
    groups = [("all classes", np.ones(len(labels), bool))]
    groups += [(name, labels == i) for i, name in enumerate(names)]
    rows = []
    for name, among in groups:
        value, low, high, n = share(held[among], confidence=confidence)
        size = sets[among].sum(axis=1).mean() if n else np.nan
        rows.append([name, value, low, high, size, n])
    columns = ["class", "value", "low", "high", "size", "pictures"]
    return pd.DataFrame(rows, columns=columns).set_index("class")
