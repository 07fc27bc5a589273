"""Validation that leaves time to train: on some pictures, where all take long."""

import dataclasses
import time

from cnnkit.data.surroundings import say

MOST = 0.15  # of the seconds that are left, for one validation
LOOKS = 2  # batches that are timed


def affordable(model, batches, left, fewer, *, verbose):
    """Measures what a validation costs, and takes fewer pictures where it is too much.

    The first batches compile the graph that validation needs in any case.

    Args:
        model: `keras.Model`, compiled.
        batches: `tf.data.Dataset` of all validation batches.
        left: function without arguments that returns the seconds that are left.
        fewer: function of a number of batches that returns a `tf.data.Dataset` of so
            many, of all classes.
        verbose: 0 or 1, whether to say that there are fewer.

    Returns:
        The batches to validate on, and the seconds that this takes.
    """
    some, number = batches.take(LOOKS), len(batches)
    for _ in range(2):
        start = time.monotonic()
        model.evaluate(some, verbose=0)
    each = (time.monotonic() - start) / len(some)
    possible = int(MOST * left() / each) if each else number
    if possible >= number:
        return batches, number * each
    possible = max(possible, 1)
    if verbose:
        say(
            f"Epochs are validated on {possible} of {number} batches, drawn from all "
            f"classes: all of them would take {number * each:.0f} s each time."
        )
    return fewer(possible), possible * each


def some_of(data, share):
    """Returns data with a share of its validation pictures, of each class alike."""
    rows = data.manifest.iloc[data.rows("valid")].sample(frac=1, random_state=0)
    by_class = rows.groupby("label")["label"]
    place = by_class.cumcount() / by_class.transform("size")  # in its class, from 0
    spared = place.sort_values(kind="stable").index[max(1, round(share * len(rows))) :]
    parts = data.manifest["split"].astype(object).copy()
    parts.loc[spared] = "spared"
    return dataclasses.replace(data, manifest=data.manifest.assign(split=parts))
