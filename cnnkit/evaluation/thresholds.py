"""Thresholds: when to say "this class", and when to say nothing.

The likeliest class is the right answer where all errors cost the same. Where a missed
tumour costs more than a false alarm, the probability at which to call it is a choice,
and it is made on validation pictures, never on those of the test.
"""

import numpy as np
import pandas as pd
from scipy import stats

from cnnkit.evaluation.intervals import share, wilson
from cnnkit.evaluation.probabilities import confidence_of
from cnnkit.evaluation.scoring import checked


def threshold_curve(labels, probabilities, positive):
    """Returns sensitivity, specificity and precision at every threshold, as a table.

    The ROC curve is sensitivity over 1 - specificity, the PR curve precision over
    sensitivity; see `plots.threshold_curves`.

    Args:
        labels: int array of shape (n,), the true classes.
        probabilities: float array of shape (n, num_classes), rows summing to 1.
        positive: int, the class that is looked for; all others are the rest.

    Returns:
        A `pandas.DataFrame` with a row for each different probability of the class,
        the highest first: "threshold", "sensitivity", "specificity", "precision". A
        picture counts as found where its probability is at least the threshold.

    Raises:
        ValueError: there is no such class, or no picture of it, or none of the rest.
    """
    labels, probabilities = checked(labels, probabilities)
    true, values = _of_class(labels, probabilities, positive)
    order = np.argsort(-values, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(values[order]), -1))  # ties go together
    found = np.cumsum(true[order])[ends]
    taken = ends + 1
    return pd.DataFrame(
        {
            "threshold": values[order][ends],
            "sensitivity": found / true.sum(),
            "specificity": 1 - (taken - found) / (~true).sum(),
            "precision": found / taken,
        }
    )


def choose_threshold(labels, probabilities, positive, *, sensitivity=0.95):
    """Returns the highest threshold that still finds so many pictures of a class.

    It is a choice, so it is made on validation pictures; `at_threshold` then says on
    test pictures what it is worth. On new pictures it finds a little less than was
    asked for: of those of a class with 10 validation pictures 91 of 100 on average, not
    95. `threshold_interval` says how sure the choice is.

    Args:
        labels: int array of shape (n,), the true classes.
        probabilities: float array of shape (n, num_classes), rows summing to 1.
        positive: int, the class that is looked for.
        sensitivity: float in (0, 1], share of its pictures to be found.

    Returns:
        float, a probability of one of the pictures.

    Raises:
        ValueError: as for `threshold_curve`, or `sensitivity` is out of its range.
    """
    if not 0 < sensitivity <= 1:
        raise ValueError(
            "`sensitivity` is a share above 0 and at most 1. "
            f"Received: sensitivity={sensitivity!r}"
        )
    curve = threshold_curve(labels, probabilities, positive)
    enough = curve["sensitivity"] >= sensitivity - 1e-12
    return float(curve.loc[enough.idxmax(), "threshold"])


def threshold_interval(
    labels, probabilities, positive, *, sensitivity=0.95, confidence=0.95
):
    """Returns between which thresholds the one lies that finds so many new pictures.

    It is the interval of a quantile, which holds whatever the model is like
    (`scipy.stats.quantile_test`). Who must not miss any takes its lower end.

    Args:
        labels: int array of shape (n,), as for `choose_threshold`.
        probabilities: float array of shape (n, num_classes), rows summing to 1.
        positive: int, the class that is looked for.
        sensitivity: float in (0, 1), share of its pictures to be found.
        confidence: float between 0 and 1, the share of such intervals that contain
            the true value.

    Returns:
        (low, high), floats from 0 to 1. `low` is 0 where the class has too few pictures
        to promise anything: under 72 for a sensitivity of 0.95.

    Raises:
        ValueError: as for `choose_threshold`.
    """
    choose_threshold(labels, probabilities, positive, sensitivity=sensitivity)
    true, values = _of_class(*checked(labels, probabilities), positive)
    if sensitivity == 1:
        return 0.0, float(values[true].min())
    found = stats.quantile_test(values[true], q=0.5, p=1 - sensitivity)
    ends = found.confidence_interval(confidence)
    return float(np.nan_to_num(ends.low, nan=0)), float(np.nan_to_num(ends.high, nan=1))


def at_threshold(labels, probabilities, positive, threshold, *, confidence=0.95):
    """Returns how well a class is found at a threshold, with Wilson's intervals.

    Args:
        labels: int array of shape (n,), the true classes.
        probabilities: float array of shape (n, num_classes), rows summing to 1.
        positive: int, the class that is looked for.
        threshold: float; a picture is called positive from this probability on.
        confidence: float between 0 and 1, as for `wilson`.

    Returns:
        A `pandas.DataFrame` with the rows "sensitivity" (of the pictures of the class,
        the share that is found; also called recall), "specificity" (of the rest, the
        share that is left alone), "precision" (of those called positive, the share
        that is; also positive predictive value) and "negative predictive value" (of
        those left alone, the share that is right), and the columns "value", "low",
        "high" and "pictures". The last two rows hold only where the class is as
        frequent as here.

    Raises:
        ValueError: as for `threshold_curve`.
    """
    labels, probabilities = checked(labels, probabilities)
    true, values = _of_class(labels, probabilities, positive)
    called = values >= threshold
    shares = {
        "sensitivity": (called & true, true),
        "specificity": (~called & ~true, ~true),
        "precision": (called & true, called),
        "negative predictive value": (~called & ~true, ~called),
    }
    rows = {
        name: share(hits[among], confidence=confidence)
        for name, (hits, among) in shares.items()
    }
    columns = ["value", "low", "high", "pictures"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("score").astype({"pictures": "int64"})


def abstain(probabilities, below):
    """Answers only where the model is sure enough.

    Args:
        probabilities: float array of shape (n, num_classes).
        below: float in [0, 1]; with a lower confidence (largest probability) than this
            there is no answer.

    Returns:
        int64 array of shape (n,): the likeliest class, or -1 for no answer.
    """
    probabilities = np.asarray(probabilities)
    sure = probabilities.max(axis=1) >= below
    return np.where(sure, probabilities.argmax(axis=1), -1)


def abstaining(labels, probabilities, *, steps=20, confidence=0.95):
    """Returns what is gained by not answering where the model is least sure.

    Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS
    2017, https://arxiv.org/abs/1705.08500, call the two columns coverage and (1 -)
    selective risk.

    Args:
        labels: int array of shape (n,), the true classes.
        probabilities: float array of shape (n, num_classes), rows summing to 1.
        steps: int, rows of the table.
        confidence: float between 0 and 1, of Wilson's intervals.

    Returns:
        A `pandas.DataFrame`, the first row with all pictures answered: "below" (the
        argument of `abstain`), "answered" (share of the pictures), and "value" (the
        accuracy on these), "low", "high", "pictures".

    Raises:
        ValueError: labels, probabilities or steps are not as above.
    """
    labels, probabilities = checked(labels, probabilities)
    if steps < 1:
        raise ValueError(f"`steps` is 1 or more. Received: steps={steps!r}")
    sure, right = confidence_of(labels, probabilities)
    below = np.unique(np.quantile(sure, np.arange(steps) / steps, method="higher"))
    among = (sure >= below[:, np.newaxis]).sum(axis=1)
    hits = np.array([right[sure >= least].sum() for least in below])
    low, high = wilson(hits, among, confidence=confidence)
    return pd.DataFrame(
        {
            "below": below,
            "answered": among / len(labels),
            "value": hits / among,
            "low": low,
            "high": high,
            "pictures": among,
        }
    )


def unsure_below(labels, probabilities, *, accuracy=0.95):
    """Chooses the confidence under which a model had better say "unsure".

    It is a choice, so it is made on validation pictures; `saving.save` takes it.

    Args:
        labels: int array of shape (n,), the true classes.
        probabilities: float array of shape (n, num_classes), rows summing to 1.
        accuracy: float in (0, 1], the share of the answers that are to be right.

    Returns:
        float, the lowest confidence from which on so many answers are right. Where
        all of them together are, the lowest that was seen, at most 0.5, as then most
        of the probability lies elsewhere. None where under 20 answers remain, of
        which one error would already make 5 %.

    Raises:
        ValueError: labels, probabilities or accuracy are not as above.
    """
    labels, probabilities = checked(labels, probabilities)
    if not 0 < accuracy <= 1:
        raise ValueError(
            f"`accuracy` is above 0 and at most 1. Received: accuracy={accuracy!r}"
        )
    sure, right = confidence_of(labels, probabilities)
    order = np.argsort(-sure, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(sure[order]), -1))  # ties go together
    shares = np.cumsum(right[order])[ends] / (ends + 1)
    enough = ends[shares >= accuracy - 1e-12]
    if len(enough) and enough[-1] + 1 == len(labels):
        return min(float(sure.min()), 0.5)
    enough = enough[enough + 1 >= 20]
    return float(sure[order][enough[-1]]) if len(enough) else None


def _of_class(labels, probabilities, positive):
    """Which pictures are of the class, and its probabilities."""
    num_classes = probabilities.shape[1]
    if not 0 <= positive < num_classes:
        raise ValueError(
            f"`positive` is the number of a class, 0 to {num_classes - 1}. "
            f"Received: positive={positive!r}"
        )
    true = labels == positive
    if true.all() or not true.any():
        raise ValueError(
            "Pictures of the class and of the rest are needed to tell them apart. "
            f"Received: {true.sum()} of class {positive} among {len(labels)} pictures"
        )
    return true, probabilities[:, positive]
