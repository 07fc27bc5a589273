"""The same training with several seeds: what it gives, and how much of that is luck."""

import keras
import numpy as np
import pandas as pd
from scipy import stats

from cnnkit import evaluation, training
from cnnkit.data.surroundings import say
from cnnkit.training.phases import BROKEN_OFF

SCORES = ("accuracy", "balanced accuracy", "macro F1", "log loss")


def repeat(
    build,
    photos,
    seeds=(0, 1, 2, 3, 4),
    *,
    train=training.fit,
    epochs=None,
    minutes=None,
    part="valid",
    confidence=0.95,
    verbose=1,
):
    """Trains a model once for each seed, and returns mean, spread and interval.

    A seed decides the weights to begin with, dropout, augmentation and the order of the
    pictures. Two trainings that differ in it alone may be further apart than two
    recipes (Bouthillier et al., MLSys 2021, https://arxiv.org/abs/2103.03098), so a
    claim about a recipe needs several.

    Args:
        build: function without arguments that returns an uncompiled `keras.Model`.
        photos: `ImageData`; all runs have its split.
        seeds: sequence of int, at least two, no two alike.
        train: `training.fit` or `training.fine_tune`.
        epochs: int, as for `train`.
        minutes: float, for each seed; this, or `epochs`, or both.
        part: "valid", or "test" where all choices have been made.
        confidence: float between 0 and 1, of the intervals.
        verbose: 0 or 1, whether to print a line for each seed.

    Returns:
        (summary, runs): two `pandas.DataFrame`. `runs` has a row for each seed that was
        finished and a column for each score; `summary` has a row for each score
        ("accuracy", "balanced accuracy", "macro F1", "log loss" in nats) with "mean",
        "spread" (the standard deviation over the seeds), "low" and "high" (Student's
        interval of the mean) and "seeds". The interval is about other seeds on these
        pictures, not about other pictures. With Ctrl-C you get the seeds so far, if
        there are two.

    Raises:
        ValueError: there are fewer than two seeds, or as for `train`.

    Example:
        >>> build = functools.partial(
        ...     models.small_cnn, num_classes=10, input_shape=(28, 28, 1)
        ... )
        >>> summary, runs = experiments.repeat(build, photos, epochs=5)
    """
    seeds = list(seeds)
    if len(seeds) < 2 or len(set(seeds)) < len(seeds) or not 0 < confidence < 1:
        raise ValueError(
            "`seeds` are two or more, no two alike; `confidence` lies between 0 and 1. "
            f"Received: seeds={seeds!r}, confidence={confidence!r}"
        )
    runs = {}
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        model = build()
        history = train(
            model, photos, epochs=epochs, minutes=minutes, seed=seed, verbose=0
        )
        if history.params["stopped"] in BROKEN_OFF:
            say(f"You stopped it after {len(runs)} of {len(seeds)} seeds.")
            if len(runs) < 2:
                raise KeyboardInterrupt
            break
        runs[seed] = _scores(model, photos, part)
        if verbose:
            said = f"{runs[seed]['accuracy']:.1%}"
            say(f"seed {seed}: accuracy {said} ({part})")
    runs = pd.DataFrame.from_dict(runs, orient="index").rename_axis("seed")
    n = len(runs)
    spread = runs.std(ddof=1)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * spread / np.sqrt(n)
    summary = pd.DataFrame(
        {
            "mean": runs.mean(),
            "spread": spread,
            "low": runs.mean() - half,
            "high": runs.mean() + half,
            "seeds": n,
        }
    )
    return summary.rename_axis("score"), runs


def _scores(model, photos, part):
    labels, probabilities = evaluation.arrays(evaluation.predict(model, photos, part))
    table = evaluation.scores(labels, probabilities, replicates=100)["value"]
    honest = evaluation.probability_scores(labels, probabilities, replicates=100)
    values = {**table["all classes"], **honest["value"]["all classes"]}
    return {name: float(values[name]) for name in SCORES}
