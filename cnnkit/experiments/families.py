"""Architectures from AlexNet to the Vision Transformer, under one budget, as a table.

They come in the variants that their papers or followers use for small pictures, so that
a laptop can train them all.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from cnnkit import data, models, training
from cnnkit.data.surroundings import say
from cnnkit.experiments.measuring import latency, summary, training_cost
from cnnkit.models import anatomy
from cnnkit.training.phases import INTERRUPTED


class Family(NamedTuple):
    """One architecture: how to build it, and what it brought.

    Attributes:
        year: int, of its publication.
        idea: str, a few words.
        build: function of `num_classes` and `input_shape`, such as the builders of
            `models`, to an uncompiled `keras.Model`.
        learning_rate: float, the peak for `training.fit` from random weights.
    """

    year: int
    idea: str
    build: Callable
    learning_rate: float = 3e-3


# Networks without normalisation, and those of attention, break at the rate of others.
GENTLE = 5e-4
FAMILIES = {
    "AlexNet": Family(2012, "ReLU, dropout", models.alexnet_cifar, GENTLE),
    "VGG": Family(2014, "small windows only", partial(models.vgg_pooled, 11), GENTLE),
    "GoogLeNet": Family(2014, "windows side by side", models.googlenet_cifar),
    "ResNet": Family(2015, "shortcuts", partial(models.resnet_cifar, 20)),
    "DenseNet": Family(
        2016, "all earlier maps joined", partial(models.densenet_cifar, 22)
    ),
    "YOLO's Darknet": Family(2016, "narrow between wide", models.darknet19),
    "MobileNet": Family(
        2018, "each channel alone", partial(models.mobilenet_cifar, 2, width=0.5)
    ),
    "EfficientNet": Family(2019, "scaled in proportion", models.efficientnet),
    "Vision Transformer": Family(
        2020, "attention to patches", partial(models.vit_cifar, 2), GENTLE
    ),
}


def compare_families(
    photos,
    families=FAMILIES,
    *,
    minutes=1.0,
    seeds=(0,),
    part="valid",
    batch_size=32,
    verbose=1,
):
    """Trains each family for the same time on your pictures, and measures all of it.

    Each is trained from random weights with the same recipe, and its accuracy is that
    of a short training on few pictures: it says what this budget buys here, and not
    which family is best on a million photographs.

    Interrupting it (Ctrl-C, or the stop button of a notebook) ends the comparison and
    returns the families that were done.

    Args:
        photos: `ImageData` of 28 pixels or more (32 for some of the families).
        families: dict from a name to `Family`.
        minutes: float, wall-clock minutes of training for each family and seed.
        seeds: sequence of int, one training each.
        part: "valid" where the table helps to choose, "test" for the last word.
        batch_size: int, pictures in a training step.
        verbose: 0 is silent, 1 prints a line for each training.

    Returns:
        A `pandas.DataFrame`, a row for each family in the order of `families`, the
        index "family". Its columns:

        - year, idea: as in `Family`.
        - parameters, multiply_adds (for one picture), receptive_field (pixels of the
          side that a position of "features" can see): from `models.anatomy`.
        - ms_1, ms_32: milliseconds for one picture in prediction, alone and among 32:
          the fastest of 10 runs.
        - train_ms: milliseconds for one picture in training, the fastest of 3 steps.
        - epochs: passes over the training pictures in the time, mean over the seeds.
        - accuracy: on `part`, mean over the seeds; low and high: Wilson's interval of
          95 % for that many pictures; pictures: how many.
        - spread: standard deviation of the accuracy over the seeds, NaN for one seed.
        - seeds: int, how many.

    Raises:
        ValueError: a family cannot be built for such pictures (its message says what
            to take), or `seeds` is empty.

    Example:
        >>> table = compare_families(photos, minutes=0.5, seeds=(0, 1, 2))
        >>> table[["parameters", "accuracy", "low", "high"]]
    """
    if not len(seeds):
        raise ValueError(
            f"`seeds` needs a number for each training. Received: {seeds!r}"
        )
    shape = {"num_classes": photos.num_classes, "input_shape": photos.image_shape}
    facts = {name: _facts(family, shape) for name, family in families.items()}
    done = {}
    try:
        for name, family in families.items():
            model = family.build(**shape)
            speed = latency(model, photos) | training_cost(model, photos)
            runs = [
                _train(name, family, shape, photos, minutes, seed, part, batch_size)
                for seed in seeds
            ]
            if verbose:
                say(_in_words(name, runs, part))
            done[name] = facts[name] | speed | _summary(runs)
    except KeyboardInterrupt:
        say(f"You stopped it: the table has {len(done)} of {len(families)} families.")
    return pd.DataFrame.from_dict(done, orient="index").rename_axis("family")


def _facts(family, shape):
    """What can be said without training."""
    rows = anatomy.table(family.build(**shape))
    return {
        "year": family.year,
        "idea": family.idea,
        **anatomy.totals(rows)[["parameters", "multiply_adds"]],
        "receptive_field": rows.loc["features", "receptive_field"],
    }


def _train(name, family, shape, photos, minutes, seed, part, batch_size):
    """One training: (right answers, pictures, epochs)."""
    keras.utils.set_random_seed(seed)
    model = family.build(**shape)
    history = training.fit(
        model, photos, minutes=minutes, batch_size=batch_size, seed=seed, verbose=0,
        learning_rate=family.learning_rate,
    )  # fmt: skip
    if history.params["stopped"] == INTERRUPTED:
        raise KeyboardInterrupt
    images, labels = data.to_arrays(photos, part)
    said = model.predict(images, batch_size=64, verbose=0).argmax(axis=1)
    return int((said == labels).sum()), len(labels), len(history.epoch)


def _summary(runs):
    right, pictures, epochs = zip(*runs, strict=True)
    return {"epochs": np.mean(epochs), **summary(right, pictures)}


def _in_words(name, runs, part):
    scores = ", ".join(f"{right / pictures:.1%}" for right, pictures, _ in runs)
    epochs = np.mean([epochs for *_, epochs in runs])
    return f"{name}: {scores} of the {part} pictures after {epochs:.0f} epochs"
