"""One picture on its way through a model: each layer that it passes, with its numbers.

No second model is built: while the model runs, a stand-in for each layer keeps what
goes in and what comes out (see `explain.tapping`). So it works in every kind of model.
"""

from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from cnnkit.explain.tapping import check_images, layers_of, standing_in, tap


class Passed(NamedTuple):
    """A layer that a picture has passed. Arrays are float32 and have no batch axis.

    path: its name, "model/name" in a model inside; "name (2)" the second time.
    layer: the `keras.layers.Layer`.
    inputs: list of arrays, what it was given; most layers take one.
    before: array, what its `activation=` was given; None where it has none.
    output: array of shape (rows, columns, channels), (tokens, channels), (units,) ...
    """

    path: str
    layer: keras.layers.Layer
    inputs: list
    before: np.ndarray | None
    output: np.ndarray


def run(model, image):
    """Runs a model on one picture and keeps what happens in each layer.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape (n, k);
            models inside it are opened. A layer that is called twice is passed twice.
        image: array of pixels in [0, 255], shape (height, width, channels), or (height,
            width) where the model takes grey pictures.

    Returns:
        The picture, float32 of shape (height, width, channels); a list of `Passed` in
        the order of running; and the probabilities, float32 of shape (k,).

    Raises:
        ValueError: the picture does not fit the model, the model does not put out
            probabilities, none of its layers can be seen at work, or one puts out
            numbers that are not finite.
    """
    pixels = tf.constant(as_batch(model, image))
    if not model.built:
        model(pixels, training=False)  # a Sequential without an Input
    passed, times, before = [], Counter(), {}

    def note(path, layer, original, *args, **kwargs):
        before.pop(layer, None)
        output = original(*args, **kwargs)
        if tf.executing_eagerly() and _tensors(output):
            times[path] += 1
            count = f" ({times[path]})" if times[path] > 1 else ""
            inputs = [_array(x) for x in _tensors((args, kwargs))]
            shown = _array(_tensors(output)[0])
            passed.append(
                Passed(path + count, layer, inputs, before.pop(layer, None), shown)
            )
        return output

    def keep(layer, original, values):
        if tf.executing_eagerly():
            before[layer] = _array(values)
        return original(values)

    layers = {id(x): (path, x) for path, x in reversed(layers_of(model))}
    with ExitStack() as stack:
        for path, layer in layers.values():
            if getattr(layer, "layers", None):
                continue  # a model: its layers are in the list
            stack.enter_context(standing_in(layer, "call", partial(note, path, layer)))
            activation = getattr(layer, "activation", None)
            if activation not in (None, keras.activations.linear):
                stack.enter_context(
                    standing_in(layer, "activation", partial(keep, layer))
                )
        probabilities = tap(model)(pixels)[2]
    if not passed:
        raise ValueError(
            "`model` must run its layers one by one, so that they can be seen: take "
            f"away `@tf.function`. Received: {model.name!r}"
        )
    broken = next((x for x in passed if not np.isfinite(x.output).all()), None)
    if broken is not None:
        raise ValueError(
            "Every layer must put out finite numbers. Weights that are not are often "
            "left by a training with too high a learning rate: train anew with a lower "
            f"one. Received: {broken.path!r} puts out NaN or infinity first"
        )
    return pixels[0].numpy(), passed, probabilities[0].numpy()


def as_batch(model, image):
    """Returns one picture as a batch of one, or says what is wrong with it.

    Args:
        model: `keras.Model` that is to take it.
        image: array of pixels in [0, 255], shape (height, width, channels), or (height,
            width) where the model takes grey pictures.

    Returns:
        float32 array of shape (1, height, width, channels).

    Raises:
        ValueError: it is not as above, or does not fit the model.
    """
    image = np.asarray(image)
    image = image[..., np.newaxis] if image.ndim == 2 else image
    if image.ndim != 3:
        raise ValueError(
            "`image` is one picture of shape (height, width, channels). Received: "
            f"shape {image.shape}"
        )
    return check_images(model, image[np.newaxis])


def names_of(class_names, count):
    """Returns a name for each class, or says what is wrong with those that were given.

    Args:
        class_names: None, or one str a class.
        count: int, how many classes there are.

    Returns:
        A list of str, "class 0", "class 1" ... where none were given.

    Raises:
        ValueError: there is not one a class.
    """
    if class_names is None:
        return [f"class {i}" for i in range(count)]
    if len(class_names) != count:
        raise ValueError(
            f"`class_names` must be {count} names, one a class. "
            f"Received: {len(class_names)} names"
        )
    return [str(name) for name in class_names]


def strongest(maps, count):
    """Finds the channels with the largest mean size, and puts them in their order.

    Args:
        maps: float array of shape (rows, columns, channels).
        count: int, how many at most.

    Returns:
        int array of shape (min(count, channels),).
    """
    sizes = abs(maps).mean(axis=(0, 1))
    return np.sort(np.argsort(-sizes, kind="stable")[:count])


def _tensors(structure):
    """All tensors in arguments or in what came out, that have a batch of pictures."""
    return [
        x for x in keras.tree.flatten(structure) if tf.is_tensor(x) and x.shape.rank
    ]


def _array(tensor):
    """The numbers for the one picture of the batch."""
    return np.atleast_1d(np.asarray(tensor)[0]).astype("float32", copy=False)
