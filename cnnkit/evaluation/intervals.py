"""Intervals: a score on 90 pictures is itself a measurement.

Ninety other pictures would have given another value. An interval says within which
bounds the value on all such pictures plausibly lies.
"""

import numpy as np
from scipy import stats


def wilson(hits, n, *, confidence=0.95):
    """Returns Wilson's score interval for shares such as 81 right of 263.

    The textbook's share +- 1.96 standard errors has no width at 5 right of 5, as if the
    sixth picture could not fail; this one says 0.57 to 1. Wilson, "Probable inference,
    the law of succession, and statistical inference", JASA 1927; recommended by
    Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
    Medicine 1998 (his method 3).

    It keeps its promise on average, not everywhere. With 300 pictures and a true share
    from 0.5 to 0.95, intervals of 95 % hold it in 93.9 to 96 % of cases. With few
    pictures and a share near 1 they may not: 84 % with 10 pictures and a share of 0.98,
    90 % with 100 and 0.999.

    Args:
        hits: array of counts, 0 to n.
        n: array of counts of the same shape.
        confidence: float between 0 and 1, the share of such intervals that contain
            the true value.

    Returns:
        `low` and `high`, float64 arrays of the same shape, in [0, 1]; NaN where n is 0.
    """
    hits, n = np.asarray(hits, "float64"), np.asarray(n, "float64")
    z = stats.norm.ppf((1 + confidence) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = hits / n
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        spread = np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    # With no hit the lower end is 0, with all hits the upper is 1: so in exact
    # arithmetic, and rounding must not move it.
    low = np.where((hits == 0) & (n > 0), 0.0, centre - z * spread)
    high = np.where((hits == n) & (n > 0), 1.0, centre + z * spread)
    return low, high


def bootstrap(
    counts, measure, *, confidence=0.95, replicates=2000, seed=0, centred=None, value=()
):
    """Returns percentile intervals for scores that are computed from counts.

    Drawing n pictures again, with replacement, is drawing n times which cell of the
    confusion matrix a picture falls into. That is one multinomial draw over the cells:
    2,000 replicates take milliseconds, however many pictures there are. Efron,
    "Bootstrap methods: another look at the jackknife", Annals of Statistics 1979.

    Args:
        counts: int array of shape (cells,), how many pictures each cell holds.
        measure: function from counts of shape (r, cells) to scores of shape (r, m).
        confidence: float between 0 and 1, as in `wilson`.
        replicates: int, how often the pictures are drawn again.
        seed: int, for the draws.
        centred: slice of the scores that only grow by noise, and are 0 or more: their
            percentiles are moved until their median is `value`. None moves none.
        value: float array of shape (m,), the scores themselves; only for `centred`.

    Returns:
        `low` and `high`, float64 arrays of shape (m,). Samples in which a score is not
        defined (NaN) are left out; where it is in none, the ends are NaN.
    """
    rng = np.random.default_rng(seed)
    n = counts.sum()
    rows = max(1, 1_000_000 // len(counts))  # at most 8 MB of draws at once
    scores = [
        measure(rng.multinomial(n, counts / n, size=min(rows, replicates - start)))
        for start in range(0, replicates, rows)
    ]
    tail = (1 - confidence) / 2
    scores = np.concatenate(scores)
    ends = np.full((2, scores.shape[1]), np.nan)
    defined = ~np.isnan(scores)
    for i in np.flatnonzero(defined.any(axis=0)):
        ends[:, i] = np.quantile(scores[defined[:, i], i], [tail, 1 - tail])
    if centred is not None:
        moved = value[centred] - np.median(scores[:, centred], axis=0)
        ends[:, centred] = np.maximum(ends[:, centred] + moved, 0)
    return ends[0], ends[1]
