"""Few pictures: each is tested once, by a model that has not seen it."""

from dataclasses import replace

import numpy as np
import pandas as pd

from cnnkit.data.split import folds
from cnnkit.evaluation.table import predict


def cross_validate(learn, photos, k=5, *, columns=(), seed=0):
    """Returns answers about every picture, by models that have not seen it.

    For few pictures: a test part of 30 says little, and here all of them are tested.
    `k` models are trained; each is tested on one fold, chooses its epoch by the next,
    and learns from the others. What belongs together (`alike`, `group`) is in one fold.

    Args:
        learn: function of an `ImageData` to a `keras.Model` that was trained on its
            parts "train" and "valid", and on nothing else.
        photos: `ImageData`; its own split does not matter.
        k: int from 3, how many folds and models.
        columns: as for `predict`.
        seed: int, another seed gives other folds.

    Returns:
        A `pandas.DataFrame` as from `predict`, of all pictures in the order of the
        manifest, with a further column "fold". For
        `evaluation.scores(*evaluation.arrays(table))`: the intervals have the luck of
        these pictures in them and not that of the training, so they are a little
        narrow (Bates, Hastie and Tibshirani, 2023, https://arxiv.org/abs/2104.00673).

    Raises:
        ValueError: `k` is under 3, or there are too few pictures for k folds.

    Example:
        >>> def learn(photos):
        ...     model = models.small_cnn(num_classes=5, input_shape=photos.image_shape)
        ...     training.fit(model, photos, epochs=30)
        ...     return model
        >>> table = cross_validate(learn, photos)
    """
    if k < 3:
        raise ValueError(
            "One fold is tested, one chooses the epoch, the others are learnt from: "
            f"`k` is 3 or more. Received: k={k!r}"
        )
    fold_of, tables = folds(photos.manifest, k, seed=seed), []
    for fold in range(k):
        away = (fold_of - fold) % k
        parts = np.select([away == 0, away == 1], ["test", "valid"], "train")
        version = replace(photos, manifest=photos.manifest.assign(split=parts))
        table = predict(learn(version), version, columns=columns)
        tables.append(table.set_axis(np.flatnonzero(away == 0)).assign(fold=fold))
    return pd.concat(tables).sort_index()
