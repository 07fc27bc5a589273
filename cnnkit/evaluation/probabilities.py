"""Probabilities: whether 90 % means nine of ten, and whether the order is right.

Accuracy looks at the largest probability alone. Who acts on the others, or waits until
the model is sure, needs more: that they are honest (log loss, Brier score, calibration
error), and that the pictures of a class get more of it than the rest (ROC, PR).
"""

import numpy as np
import pandas as pd

from cnnkit.evaluation.intervals import bootstrap, wilson
from cnnkit.evaluation.scoring import checked, checked_names

SMALLEST = np.finfo("float32").tiny  # a probability of 0 would cost infinitely much


def probability_scores(
    labels,
    probabilities,
    *,
    class_names=None,
    top=3,
    bins=15,
    confidence=0.95,
    replicates=1000,
    seed=0,
):
    """Returns what the probabilities are worth, with intervals, as a table.

    - top-k accuracy: the true class is among the k likeliest (of equal probabilities
      the first classes count).
    - log loss: mean of -log(probability of the true class), in nats, from 0 up; that of
      guessing is log(num_classes). The only one here that a single wrong certainty can
      spoil. A probability of 0 counts as the smallest float32.
    - Brier score: mean squared distance from the true one-hot vector, 0 to 2 (Brier,
      Monthly Weather Review 1950).
    - calibration error: mean distance between confidence and accuracy, in bins of the
      confidence, 0 to 1. Bins of equal width follow Guo et al., ICML 2017,
      https://arxiv.org/abs/1706.04599, equation 3; those of equal mass hold equally
      many pictures, so that none is empty (Nguyen and O'Connor, EMNLP 2015).
    - ROC area: how often a picture of the class gets more of its probability than
      another, a tie counting half (Hanley and McNeil, Radiology 1982). PR area: average
      precision. For all classes their means, classes without pictures left out.

    The interval of top-k accuracy is Wilson's; the others are bootstrap percentiles
    over the pictures. A calibration error is 0 or more, so noise only adds to it: too
    high with few pictures, it is higher still in the samples (Kumar et al., NeurIPS
    2019, https://arxiv.org/abs/1909.10155). So its percentiles are moved until their
    median is the value; they say how far it spreads, and not that it is too high. An
    area of 1 has an interval without width, as every resampled set is separated too.
    For 10,000 pictures of 100 classes all this takes half a minute; fewer replicates
    are faster.

    Args:
        labels: int array of shape (n,), the true classes, 0 to num_classes - 1.
        probabilities: float array of shape (n, num_classes), rows summing to 1.
        class_names: one str a class, as for `scores`.
        top: int, the k of top-k accuracy; left out where all classes are among k.
        bins: int, of the calibration error.
        confidence: float between 0 and 1, as for `scores`.
        replicates: int, bootstrap samples, at least 100.
        seed: int, for the bootstrap.

    Returns:
        A `pandas.DataFrame` as from `scores`: indexed by ("class", "score"), with
        columns "value", "low", "high" and "pictures". The first rows are those of
        "all classes"; then "ROC area" and "PR area" of each class, NaN where it has no
        pictures or nothing but pictures of it is there.

    Raises:
        ValueError: an argument is not as above.

    Example:
        >>> table = probability_scores([0, 1], [[0.8, 0.2], [0.4, 0.6]])
        >>> round(float(table.loc[("all classes", "log loss"), "value"]), 4)  # nats
        0.367
    """
    labels, probabilities = checked(labels, probabilities)
    names = checked_names(class_names, probabilities.shape[1])
    if top < 1 or bins < 1 or replicates < 100 or not 0 < confidence < 1:
        raise ValueError(
            "`top` and `bins` are 1 or more, `replicates` 100 or more, `confidence` "
            f"lies between 0 and 1. Received: top={top!r}, bins={bins!r}, "
            f"replicates={replicates!r}, confidence={confidence!r}"
        )
    n, num_classes = probabilities.shape
    picture = np.arange(n)
    of_truth = probabilities[picture, labels].astype("float64")
    true = labels[:, np.newaxis] == np.arange(num_classes)
    sure, right = confidence_of(labels, probabilities)

    # All but the areas are sums over pictures, and of sums over bins: one product.
    columns = [
        -np.log(np.clip(of_truth, SMALLEST, 1)),
        ((probabilities.astype("float64") - true) ** 2).sum(axis=1),
    ]
    for edges in (_edges(sure, bins, "width"), _edges(sure, bins, "mass")):
        inside = _bin(sure, edges)[:, np.newaxis] == np.arange(bins)
        columns += [*(inside * (right - sure)[:, np.newaxis]).T]
    columns = np.stack(columns, axis=1)
    areas = _Areas(true, probabilities)

    def measure(counts):
        sums = counts @ columns / n
        by_width, by_mass = abs(sums[:, 2:]).reshape(-1, 2, bins).sum(axis=2).T
        by_class = areas(counts)  # (r, num_classes, 2)
        with np.errstate(invalid="ignore"):
            means = np.nansum(by_class, axis=1) / (~np.isnan(by_class)).sum(axis=1)
        firsts = [sums[:, 0], sums[:, 1], by_width, by_mass, *means.T]
        return np.column_stack([*firsts, by_class.reshape(len(counts), -1)])

    value = measure(np.ones((1, n)))[0]
    ends = bootstrap(
        np.ones(n), measure, confidence=confidence, replicates=replicates, seed=seed,
        centred=slice(2, 4), value=value,
    )  # fmt: skip
    kinds = ["log loss", "Brier score", "calibration error, equal width"]
    kinds += ["calibration error, equal mass", "ROC area", "PR area"]
    index = [("all classes", kind) for kind in kinds]
    index += [(name, kind) for name in names for kind in ("ROC area", "PR area")]
    pictures = [n] * len(kinds) + [*np.repeat(true.sum(axis=0), 2)]
    rows = np.column_stack([value, *ends, pictures])
    if top < num_classes:
        likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        hits = (likeliest == labels[:, np.newaxis]).sum()
        low, high = wilson(hits, n, confidence=confidence)
        index = [("all classes", f"top-{top} accuracy"), *index]
        rows = np.vstack([[hits / n, low, high, n], rows])
    return pd.DataFrame(
        rows,
        index=pd.MultiIndex.from_tuples(index, names=["class", "score"]),
        columns=["value", "low", "high", "pictures"],
    ).astype({"pictures": "int64"})


def reliability(labels, probabilities, *, bins=15, equal="mass", confidence=0.95):
    """Returns how often the model is right where it is so and so sure, as a table.

    Args:
        labels: int array of shape (n,), the true classes.
        probabilities: float array of shape (n, num_classes), rows summing to 1.
        bins: int, of the confidence, which is the largest probability of a picture.
        equal: "width" (Guo et al., 2017, figure 1) or "mass", equally many pictures.
        confidence: float between 0 and 1, of Wilson's intervals.

    Returns:
        A `pandas.DataFrame` with a row for each bin that has pictures, and columns
        "from" and "to" (its ends), "confidence" (the mean in it), "value" (accuracy),
        "low", "high" and "pictures". A calibrated model has "confidence" within "low"
        and "high" in 95 % of its bins; of 10 bins one lies outside by luck in 4 of 10
        such models. The calibration error is the mean of abs(value - confidence),
        weighted with "pictures".

    Raises:
        ValueError: an argument is not as above.
    """
    labels, probabilities = checked(labels, probabilities)
    if bins < 1 or equal not in ("width", "mass"):
        raise ValueError(
            "`bins` is 1 or more, and `equal` is 'width' or 'mass'. "
            f"Received: bins={bins!r}, equal={equal!r}"
        )
    sure, right = confidence_of(labels, probabilities)
    edges = _edges(sure, bins, equal)
    inside = _bin(sure, edges)
    pictures = np.bincount(inside, minlength=bins)
    hits = np.bincount(inside, right, bins)
    low, high = wilson(hits, pictures, confidence=confidence)
    with np.errstate(invalid="ignore"):
        table = pd.DataFrame(
            {
                "from": edges[:-1],
                "to": edges[1:],
                "confidence": np.bincount(inside, sure, bins) / pictures,
                "value": hits / pictures,
                "low": low,
                "high": high,
                "pictures": pictures,
            }
        )
    return table[table["pictures"] > 0].reset_index(drop=True)


def confidence_of(labels, probabilities):
    """Returns how sure the model is of each picture, and whether it is right.

    Args:
        labels: int array of shape (n,), the true classes.
        probabilities: float array of shape (n, num_classes).

    Returns:
        Two float64 arrays of shape (n,): the largest probability, and 1 where its class
        is the true one, else 0.
    """
    predicted = probabilities.argmax(axis=1)
    sure = probabilities[np.arange(len(labels)), predicted].astype("float64")
    return sure, (predicted == labels).astype("float64")


def _edges(sure, bins, equal):
    places = np.linspace(0, 1, bins + 1)
    return places if equal == "width" else np.quantile(sure, places)


def _bin(sure, edges):
    """The bin of each confidence; a bin holds its upper edge, the first both."""
    return np.searchsorted(edges[1:-1], sure)


class _Areas:
    """Areas under the ROC and the PR curve of each class, for pictures with counts."""

    def __init__(self, true, probabilities):
        self.classes = []
        for k in range(true.shape[1]):
            order = np.argsort(-probabilities[:, k], kind="stable")
            values = probabilities[order, k]
            ends = np.flatnonzero(np.append(np.diff(values), -1))  # ties go together
            self.classes.append((order, true[order, k], ends))

    def __call__(self, counts):
        """Counts (r, n) to areas (r, num_classes, 2); NaN where one side is empty."""
        areas = np.empty((len(counts), len(self.classes), 2))
        for k, (order, true, ends) in enumerate(self.classes):
            ranked = counts[:, order]
            found = np.cumsum(ranked * true, axis=1)[:, ends]  # of the class, so far
            taken = np.cumsum(ranked, axis=1)[:, ends]
            false = taken - found
            steps = np.diff(found, axis=1, prepend=0)
            wide = np.diff(false, axis=1, prepend=0)
            with np.errstate(invalid="ignore", divide="ignore"):
                under = (wide * (found - steps / 2)).sum(axis=1)
                areas[:, k, 0] = under / (found[:, -1] * false[:, -1])
                precision = np.where(taken > 0, found / taken, 0)
                areas[:, k, 1] = (steps * precision).sum(axis=1) / found[:, -1]
        return areas
