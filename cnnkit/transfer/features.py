"""Features that are computed once: what a frozen backbone makes of every picture.

A frozen backbone answers the same picture with the same numbers in every epoch. Kept,
they turn the training of a head from hours into seconds.
"""

import dataclasses
import time

import keras
import numpy as np
import pandas as pd

from cnnkit.models.folding import fold_batchnorm
from cnnkit.transfer import feature_files
from cnnkit.transfer.heads import body_of

TALK = 15  # seconds between two lines on how far it is


def cache_features(
    model,
    data,
    *,
    folder=None,
    augment=None,
    copies=0,
    batch_size=64,
    seed=0,
    verbose=1,
):
    """Runs a backbone once over all pictures and keeps what comes out.

    In plain Keras it stands for `body_of(model).predict(images)`, written to a file
    batch by batch and read back as a memory-mapped array, so that features may be
    larger than memory.

    Args:
        model: `keras.Model`: a classifier with the layers "features" and "pooled", of
            which the part before its head is run (`body_of`); or a backbone, of whose
            feature map the average over all positions is kept.
        data: `ImageData`.
        folder: str or path of a folder in which the features stay for the next time,
            or None for a file without a name, which is gone with the result. A file
            is found again by what is in it: the weights and layers of the backbone,
            the pictures, the copies and the version of Keras. Another model never
            gets it.
        augment: None, or a function as for `ImageData.batches`, for the copies.
        copies: int from 0, how many augmented copies of each training picture are
            added to the picture as it is.
        batch_size: int, pictures that are computed together.
        seed: int, of the augmentation.
        verbose: 0 or 1, whether to say how far it is.

    Returns:
        `ImageData` whose `pixels` are float32 features: shape (n, c) with image_shape
        (c,) or, where the head learns from the feature map, (n, h, w, c). Its manifest
        has the rows of `data`, then those of the copies, and a further column "copy":
        0 for the picture as it is, else the number of the copy.

    Raises:
        ValueError: the model does not take such pictures, layers of the backbone are
            not frozen, or `copies` and `augment` do not go together.
        OSError: the folder cannot be written or the disk is full; nothing unfinished
            is left behind.

    Example:
        >>> features = transfer.cache_features(model, photos)
        >>> training.fit(transfer.head_of(model), features, epochs=30)
    """
    if copies < 0 or bool(copies) != (augment is not None):
        raise ValueError(
            "`copies` says how many copies of each training picture are added, and "
            "`augment` how they are changed: give both or none. Received: "
            f"copies={copies!r}, augment={augment!r}"
        )
    body = frozen_body(model, data)
    rows = [np.arange(len(data.manifest))] + [data.rows("train")] * copies
    manifest = pd.concat(
        [data.manifest.iloc[r].assign(copy=i) for i, r in enumerate(rows)],
        ignore_index=True,
    )
    shape = (len(manifest), *body.output.shape[1:])
    key = None
    if folder is not None:
        key = feature_files.key_of(body, data, augment, copies, seed)

    def batches():
        told, fast = Progress("features", len(manifest), verbose), predicting(body)
        for copy, chosen in enumerate(rows):
            change = augment if copy else None
            for part in computed(fast, data, chosen, batch_size, change, (seed, copy)):
                yield part
                told.add(len(part))

    features = feature_files.written(folder, key, shape, batches(), verbose=verbose)
    return dataclasses.replace(
        data, image_shape=shape[1:], manifest=manifest, pixels=features
    )


def frozen_body(model, data):
    """The part of a model whose output is kept; it has to be frozen.

    Args:
        model: `keras.Model`, as for `cache_features`.
        data: `ImageData`.

    Returns:
        `keras.Model`, as `body_of` returns it, or a backbone with an average.

    Raises:
        ValueError: it takes other pictures, or is not frozen.
    """
    takes = model.input_shape[1:]
    if len(takes) != 3 or any(
        want not in (None, side)
        for want, side in zip(takes, data.image_shape, strict=True)
    ):
        raise ValueError(
            f"The model takes pictures of {takes}; load them in that size or build it "
            f"for these. Received: pictures of {data.image_shape}"
        )
    if any(layer.name == "pooled" for layer in model.layers):
        body = body_of(model)
    else:
        pooled = keras.layers.GlobalAveragePooling2D()(model.output)
        body = keras.Model(model.input, pooled)
    if body.trainable_variables:
        raise ValueError(
            "Features stay true only while the backbone stays as it is: freeze its "
            "layers first, with `layer.trainable = False` for each. Received: "
            f"{model.name!r} with {len(body.trainable_variables)} trainable weights "
            "before its head"
        )
    return body


def predicting(body):
    """A network that says what `body` says, in less time where that is possible.

    Args:
        body: `keras.Model`, frozen.

    Returns:
        A copy with BatchNorm folded into its convolutions; `body` itself where other
        code than a graph of layers says how it is computed.
    """
    try:
        return fold_batchnorm(body)
    except ValueError:
        return body


def computed(body, data, rows, batch_size, augment=None, seed=()):
    """Yields the features of some pictures, batch by batch.

    Args:
        body: `keras.Model`.
        data: `ImageData`.
        rows: int array, positions of pictures.
        batch_size: int.
        augment: None or a function, as for `ImageData.batches`.
        seed: tuple of int, from which `augment` gets its luck, with the batch's number.

    Yields:
        float32 arrays of shape (b, ...), in the order of `rows`.
    """
    for number, start in enumerate(range(0, len(rows), batch_size)):
        chosen = rows[start : start + batch_size]
        images = data.pixels[chosen]
        if augment is not None:
            images = augment(images, np.random.default_rng((*seed, number)))
        # The last batch is filled up, since another size would be traced anew.
        full = images[np.arange(batch_size) % len(images)].astype("float32")
        yield np.asarray(body.predict_on_batch(full))[: len(chosen)]


class Progress:
    """Says now and then how far it is.

    Args:
        what: str, what is computed.
        total: int, pictures in all.
        verbose: 0 or 1.
    """

    def __init__(self, what, total, verbose):
        self.what, self.total, self.verbose = what, total, verbose
        self.done, self.told = 0, time.monotonic()

    def add(self, pictures):
        """Counts pictures that are done.

        Args:
            pictures: int.
        """
        self.done += pictures
        if self.verbose and time.monotonic() - self.told > TALK:
            self.told = time.monotonic()
            print(f"{self.what}: {self.done / self.total:.0%} of the pictures")


def seen_in_time(body, data, batch_size, seed, *, enough, whole=("valid",), verbose=1):
    """The features of whole parts, and of as many training pictures as time allows.

    Args:
        body: `keras.Model`, frozen.
        data: `ImageData`.
        batch_size: int.
        seed: int, of the order in which training pictures come.
        enough: function without arguments: whether to stop before the next batch of
            training pictures.
        whole: the parts that are computed in full, before.
        verbose: 0 or 1.

    Returns:
        `ImageData` of features in a file without a name, in the order in which they
        were computed.

    Raises:
        OSError: the disk is full.
    """
    known = np.concatenate([data.rows(part) for part in whole])
    train = np.random.default_rng(seed).permutation(data.rows("train"))
    told = Progress("features", len(known) + len(train), verbose)
    sizes = []

    def batches():
        fast = predicting(body)
        for rows in (known, train):
            for part in computed(fast, data, rows, batch_size):
                yield part
                told.add(len(part))
                sizes.append(len(part))
                if rows is train and enough():
                    return

    features = feature_files.written(
        None, None, (None, *body.output.shape[1:]), batches()
    )
    seen = np.concatenate([known, train])[: sum(sizes)]
    return dataclasses.replace(
        data,
        image_shape=features.shape[1:],
        manifest=data.manifest.iloc[seen].reset_index(drop=True),
        pixels=features,
    )
