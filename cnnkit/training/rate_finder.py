"""Looks for a learning rate: what does the loss do while the rate rises?

The range test of Smith, "Cyclical Learning Rates for Training Neural Networks", WACV
2017, https://arxiv.org/abs/1506.01186 (section 3.3), with rates that rise by a factor
instead of a summand, so that it finds the order of magnitude as well. The suggestion is
the rate at which the loss falls fastest: Gugger, "How Do You Find A Good Learning
Rate", 2018, and the "steep" rule of fastai.
"""

import itertools

import numpy as np
import pandas
from scipy.signal import savgol_filter

from cnnkit.data.surroundings import say
from cnnkit.training.trial import (
    Trial,
    check_graph,
    loss_of,
    optimizer_of,
    parts,
    same_chance,
)

EXPLODED = 3.0  # times the loss at the start
MEMORY = 0.8  # of the running loss that decides when to stop; the table's has no lag
FEWEST = 12  # steps from which something can be said


def find_learning_rate(
    model,
    data,
    *,
    lowest=1e-6,
    highest=10.0,
    steps=100,
    batch_size=32,
    optimizer=None,
    loss=None,
    seed=0,
    verbose=1,
):
    """Trains for some steps at rates from tiny to huge, and suggests one.

    The model is left as it is: the steps change copies of its weights, and its
    optimizer, compilation and random numbers are not touched. (A pipeline of your own
    that shuffles goes on to its next order.) It takes one training step for each row.
    Ctrl-C, or the stop button of a notebook, ends it with what was measured.

    Args:
        model: `keras.Model` with a graph; compiled or not.
        data: `ImageData`, or a `tf.data.Dataset` of (images, labels), or a pair of
            them, of which the first is taken. Pictures come again where one pass is
            shorter than `steps`.
        lowest: float, the rate of the first step.
        highest: float, that of the last; it stops earlier if the loss explodes, which
            is where it is 3 times what it was at the start, or not finite.
        steps: int, at least 12.
        batch_size: int, pictures in a step, of an `ImageData`.
        optimizer: None for the model's own where it is compiled, else that of `fit`;
            or a str as for `fit`; or a Keras optimizer, which is copied.
        loss: None, or a str or Keras loss; likewise.
        seed: int, of the order of the pictures.
        verbose: 0 is silent, 1 prints one line.

    Returns:
        A `pandas.DataFrame` with a row for each step: rate; loss, of its batch before
        the step was made; smoothed, the same without most of the noise from batch to
        batch. Its `attrs` are suggestion (float, or None where none can be made), why
        (str, how it was chosen or what is missing), stopped (str). Draw it with
        `plots.learning_rates`.

    Raises:
        ValueError: the rates do not rise, there are too few steps, or the model or the
            data are of another kind.

    Example:
        >>> table = find_learning_rate(model, photos)
        >>> fit(model, photos, epochs=10, learning_rate=table.attrs["suggestion"])
    """
    if not 0 < lowest < highest or not steps >= FEWEST:
        raise ValueError(
            f"The rates rise from `lowest` above 0 to `highest` in at least {FEWEST} "
            f"steps. Received: lowest={lowest!r}, highest={highest!r}, steps={steps!r}"
        )
    check_graph(model)
    rates = np.geomspace(lowest, highest, steps)
    with same_chance():
        train, _ = parts(data, batch_size, seed)
        optimizer = optimizer_of(model, optimizer, lowest)
        trial = Trial(model, loss_of(model, loss), optimizer)
        losses, stopped = _measure(trial, _again_and_again(train), rates)
    table = pandas.DataFrame({"rate": rates[: len(losses)], "loss": losses})
    table["smoothed"] = _smoothed(table["loss"].to_numpy())
    suggestion, why = _suggest(table)
    table.attrs = {"suggestion": suggestion, "why": why, "stopped": stopped}
    if verbose:
        word = (
            "No suggestion" if suggestion is None else f"Suggestion: {suggestion:.1e}"
        )
        say(f"{word}, since {why} ({len(table)} steps; {stopped})")
    return table


def _again_and_again(train):
    for number in itertools.count():
        batch = None
        for batch in train:
            yield batch[:2]
        if batch is None:
            raise ValueError(
                "There is no picture to train on. Received: an empty pipeline "
                f"in pass {number + 1}"
            )


def _measure(trial, batches, rates):
    """The losses at rising rates, and why there are no more of them."""
    losses, running, start = [], 0.0, None
    try:
        for number, (rate, (images, labels)) in enumerate(
            zip(rates, batches, strict=False), start=1
        ):
            trial.optimizer.learning_rate = rate
            value, added, _ = trial.step(images, labels)
            value = float(value + added)
            if not np.isfinite(value):
                return losses, "the loss was not finite any more"
            losses.append(value)
            running = MEMORY * running + (1 - MEMORY) * value
            level = running / (1 - MEMORY**number)  # as if it had begun at the start
            if number <= 5:
                start = level
            elif level > EXPLODED * start:
                return losses, f"the loss was {EXPLODED:g} times that of the start"
    except KeyboardInterrupt:
        return losses, "you stopped it"
    return losses, "all rates were tried"


def _width(losses):
    return max(5, len(losses) // 8 | 1)


def _smoothed(losses):
    """A straight line through the steps around each: it lags behind nothing."""
    if len(losses) < FEWEST:
        return losses
    return savgol_filter(losses, _width(losses), 1)


def _suggest(table):
    """The rate of the steepest fall, or None; and why, as the end of a sentence."""
    if len(table) < FEWEST:
        return None, f"{len(table)} steps are too few: begin with a lower rate"
    smoothed = table["smoothed"].to_numpy()
    low = int(smoothed.argmin())
    start = smoothed[: max(3, len(table) // 10)].mean()
    # By the median, which an explosion at the end does not move; and the lowest of many
    # means that only vary lies about two deviations under the others.
    noise = 1.5 * np.median(np.abs(table["loss"] - smoothed)) / _width(table) ** 0.5
    if low < 3 or smoothed[low] > start - max(4 * noise, 0.02 * abs(start)):
        return None, (
            "the loss fell at no rate by more than it varies from batch to batch: run "
            "training.preflight, take a larger batch_size, or more steps"
        )
    width = min(len(table) // 4 | 1, low)  # a narrow one would find some steep noise
    slopes = savgol_filter(table["loss"][: low + 1], width, 1, deriv=1)
    rate = float(table["rate"].iloc[int(slopes.argmin())])
    return rate, "there the loss falls fastest, and higher rates still lower it"
