"""Intervals: a score on 90 pictures is itself a measurement.

Ninety other pictures would have given another value. An interval says within which
bounds the value on all such pictures plausibly lies.
"""

import numpy as np
import pandas as pd
from scipy import sparse, stats


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


def share(right, groups=None, *, confidence=0.95):
    """[value, low, high, pictures] of a bool array; NaN where it is empty."""
    n = len(right)
    if groups is None or not n:
        hits, worth = np.sum(right), n
    else:
        members = membership(groups)
        (worth,) = worth_of(
            members @ np.c_[np.float64(right)], members @ np.ones((n, 1))
        )
        hits = np.mean(right) * worth
    low, high = wilson(hits, worth, confidence=confidence)
    return [np.mean(right) if n else np.nan, float(low), float(high), n]


def membership(groups):
    """Which picture is of which group: a sparse array of 0 and 1, (groups, pictures).

    A picture whose group is missing is a group of its own.
    """
    codes = pd.factorize(pd.Series(np.asarray(groups, dtype=object)))[0]
    alone = np.flatnonzero(codes < 0)
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(len(alone))
    n = len(codes)
    return sparse.csr_array((np.ones(n), (codes, np.arange(n))), (codes.max() + 1, n))


def worth_of(hits, n):
    """How many independent pictures shares of grouped ones are worth, shape (m,).

    The variance of a share over whole groups, divided by that of as many independent
    pictures, is the design effect; n is divided by it, and by what a variance from few
    groups may be off (Korn and Graubard, Survey Methodology 1998). Where errors are few
    it can hardly be seen: there a group counts as little more than one picture.

    `hits` and `n` are counts of each group and share, (groups, m), dense or sparse.
    """
    hits, n = sparse.csc_array(hits), sparse.csc_array(n)
    found, total, groups = hits.sum(axis=0), n.sum(axis=0), (n > 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = found / total
        squares = (
            (hits * hits).sum(0) - 2 * p * (hits * n).sum(0) + p**2 * (n * n).sum(0)
        )
        effect = squares * groups / (groups - 1) / (p * (1 - p) * total)
        seen = np.minimum(found, total - found)
        seen = seen / (seen + 2)  # the 2 by simulation: covers 95 % from 8 groups on
        worst = (1 - seen) * total / groups
        worth = total / (worst + np.where(seen > 0, seen * effect, 0))
        few = stats.norm.ppf(0.975) / stats.t.ppf(0.975, groups - 1)
        worth = np.where(groups > 1, worth * few**2, 1)
    return np.where(total > 0, np.clip(worth, 1, np.maximum(total, 1)), 0)


def bootstrap(
    counts, measure, *, confidence=0.95, replicates=2000, seed=0, centred=None, value=()
):
    """Returns percentile intervals for scores that are computed from counts.

    Drawing n pictures again, with replacement, is drawing n times which cell of the
    confusion matrix a picture falls into. That is one multinomial draw over the cells:
    2,000 replicates take milliseconds, however many pictures there are. Efron,
    "Bootstrap methods: another look at the jackknife", Annals of Statistics 1979.

    Args:
        counts: int array of shape (cells,), how many pictures each cell holds; or of
            shape (groups, cells), dense or sparse: then whole groups are drawn.
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
    grouped = counts.ndim == 2
    units = np.ones(counts.shape[0]) if grouped else counts
    n = units.sum()
    rows = max(1, 1_000_000 // counts.shape[-1])  # at most 8 MB of draws at once
    scores = []
    for start in range(0, replicates, rows):
        drawn = rng.multinomial(n, units / n, size=min(rows, replicates - start))
        scores.append(measure(drawn @ counts if grouped else drawn))
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


def chance(measure, units, *, size, replicates=2000, seed=0):
    """Returns p: how often luck alone, which swaps units, makes as large ones.

    `measure` goes from ways, 0 and 1 of shape (r, units), where 1 is swapped, to
    differences, (r, m). All ways are tried where these are few, else so many at random;
    the first is that nothing is swapped. `size` numbers of a row are held at once.
    """
    few = units <= np.log2(replicates)
    total, rows = 2**units if few else replicates, max(1, 1_000_000 // max(size, 1))
    rng, found = np.random.default_rng(seed), []
    for start in range(0, total, rows):
        which = np.arange(start, min(start + rows, total))[:, np.newaxis]
        drawn = rng.integers(0, 2, (len(which), units)) * (which > 0)
        found.append(measure(which >> np.arange(units) & 1 if few else drawn))
    found = abs(np.concatenate(found))
    return (found >= found[0] * (1 - 1e-9)).mean(axis=0)


def holm(p):
    """p-values such that all those under 5 % hold together, 95 times in 100.

    Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = np.argsort(p)
    scaled = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return corrected
