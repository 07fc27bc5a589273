"""What the filters of a convolution respond to: from edges to parts."""

from contextlib import nullcontext

import keras
import numpy as np
import tensorflow as tf

from cnnkit import explain, plots
from cnnkit.explain.tapping import (
    check_images,
    find_layer,
    layers_of,
    slices,
    standing_in,
    tap,
)

MOST_UNITS, PATCHES = 8, 3
PIXELS = 2**18  # that run at a time: early maps are large
NOISES = 4  # pictures of noise that show what a value sees
CONVOLUTIONS = keras.layers.Conv2D, keras.layers.DepthwiseConv2D


def filters(model, layer=None, *, images=None, units=None, steps=128, seed=0):
    """Draws filters of a convolution, and what each responds to.

    Below each kernel stand a picture that `explain.maximise_activation` painted to
    excite it, and those places of `images` to which it responded most, at most one a
    picture. An early layer finds edges and colours, a late one parts of things: call it
    with both. While painting, a leaky ReLU stands behind the filter: a ReLU silences
    many a filter on the noise where painting begins, and with neither the mean of a map
    is a matter of brightness alone. After Zeiler and Fergus, "Visualizing and
    Understanding Convolutional Networks", ECCV 2014, https://arxiv.org/abs/1311.2901,
    figure 2.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape (n, k).
        layer: a Conv2D or DepthwiseConv2D of the model, or its name ("model/name" in a
            model inside); None takes the first.
        images: None, or array of pixels in [0, 255], shape (n, h, w, c), such as the
            training set, where the strongest patches are looked for.
        units: 1 to 8 whole numbers, the filters to draw; None takes 8: those that
            respond most to `images`, or without any 8 spread evenly.
        steps: int, 1 or more, of `explain.maximise_activation`.
        seed: int, for noise.

    Returns:
        A matplotlib `Figure`, a column for each filter.

    Raises:
        ValueError: there is no such convolution or unit, or the pictures do not fit.

    Example:
        >>> photos, _ = data.to_arrays(signs, "train")
        >>> filters(model, images=photos)
        >>> filters(model, "features", images=photos)
    """
    path, layer = _convolution(model, layer)
    kernels = explain.filters(model, layer=layer)
    count = kernels.shape[-1]
    if images is not None:
        images = check_images(model, images)
        values, places = strongest(model, layer, images)
    if units is None and images is not None:
        units = np.sort(np.argsort(-values.max(axis=0), kind="stable")[:MOST_UNITS])
    elif units is None:
        units = np.unique(np.linspace(0, count - 1, MOST_UNITS).round().astype(int))
    units = _units(units, count, path)

    shape = model.input_shape[1:] if images is None else images.shape[1:]
    if None in shape:
        raise ValueError(
            "The model takes pictures of any size: pass `images`, and theirs is taken. "
            f"Received: images=None, and a model for {model.input_shape}"
        )
    with _activation(layer, lambda values: tf.nn.leaky_relu(values, 0.1)):
        excited = [
            explain.maximise_activation(
                model, layer, unit, steps=steps, size=shape[:2], seed=seed
            )
            for unit in units
        ]
    reached, _ = strongest(model, layer, np.stack(excited))

    patches = None
    if images is not None:
        first = np.argsort(-values[:, units], axis=0, kind="stable")[:PATCHES]
        found = [(i, unit) for unit, best in zip(units, first.T, strict=True)
                 for i in best]  # fmt: skip
        boxes = seen_from(model, layer, shape, [places[x] for x in found], seed=seed)
        patches = [
            (images[i, top:bottom, left:right], values[i, unit], i)
            for (i, unit), (top, left, bottom, right) in zip(found, boxes, strict=True)
        ]
    return plots.filter_view(
        kernels[..., units], excited, reached[range(len(units)), units], patches,
        units=units, filters=count, layer=path,
    )  # fmt: skip


def strongest(model, layer, images):
    """Finds where in each picture each channel of a layer is largest.

    Args:
        model: `keras.Model` as for `filters`.
        layer: `keras.layers.Layer` of the model that puts out maps.
        images: float32 array of pixels in [0, 255], shape (n, h, w, c).

    Returns:
        float32 array of shape (n, channels), the largest values, and an int array of
        shape (n, channels, 2), the row and the column in the map where they stand.
    """
    run, values, places = tap(model, layer), [], []
    for part in slices(len(images), images, PIXELS):
        maps = tf.cast(run(tf.constant(images[part]))[0], "float32").numpy()
        flat = maps.reshape(len(maps), -1, maps.shape[3])
        values.append(flat.max(axis=1))
        places.append(np.stack(np.divmod(flat.argmax(axis=1), maps.shape[2]), axis=-1))
    return np.concatenate(values), np.concatenate(places)


def seen_from(model, layer, shape, places, *, seed=0):
    """Finds the part of a picture that a value in a map has seen: its receptive field.

    No formula knows every layer, the gradient does: where a pixel can make a
    difference, the value's gradient is not zero. It is taken on a few pictures of noise
    and over all channels, because a ReLU or a maximum hides part of it in each.

    Args:
        model: `keras.Model` as for `filters`.
        layer: `keras.layers.Layer` of the model that puts out maps.
        shape: (height, width, channels) of the picture.
        places: sequence of (row, column) in the map.
        seed: int, for the noise.

    Returns:
        int array of shape (places, 4): top, left, bottom and right, where bottom and
        right are the first row and column not seen; clipped at the edge of the picture.
    """
    rng, run = np.random.default_rng(seed), tap(model, layer)
    noise = tf.constant(rng.uniform(0, 255, (NOISES, *shape)).astype("float32"))
    places = [tuple(map(int, place)) for place in places]
    boxes = {}
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(noise)
        with _activation(layer, tf.identity):  # else noise may silence all channels
            maps = tf.cast(run(noise)[0], "float32")
        weights = rng.normal(size=(len(noise), maps.shape[-1])).astype("float32")
        answers = {
            place: tf.reduce_sum(maps[:, place[0], place[1]] * weights)
            for place in places
        }
    for place, answer in answers.items():
        gradient = tape.gradient(answer, noise)
        seen = np.ones(shape[:2], bool)  # where no gradient comes through
        if gradient is not None and np.any(gradient):
            seen = (gradient.numpy() != 0).any(axis=(0, 3))
        rows, columns = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
        boxes[place] = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
    return np.array([boxes[place] for place in places])


def convolutions(model):
    """Lists (path, layer) for each convolution whose kernels can be drawn.

    Args:
        model: `keras.Model`; models inside it are opened.
    """
    return [(path, x) for path, x in layers_of(model) if isinstance(x, CONVOLUTIONS)]


def _activation(layer, function):
    """A block in which a layer has another activation function, where it has one."""
    if not hasattr(layer, "activation"):
        return nullcontext()
    return standing_in(layer, "activation", lambda original, values: function(values))


def _convolution(model, layer):
    """The path and the layer of a convolution: the one named, else the first."""
    found = convolutions(model)
    wanted = None if layer is None else find_layer(model, layer)
    for path, one in found:
        if wanted is None or one is wanted:
            return path, one
    raise ValueError(
        "`layer` must be a convolution of the model, a Conv2D or a DepthwiseConv2D: "
        f"one of {[path for path, _ in found]}. Received: layer={layer!r}"
    )


def _units(units, count, path):
    """Units as a list of int, or what is wrong with them."""
    given = np.asarray(units)
    whole = given.ndim == 1 and given.dtype.kind in "iu"
    if not whole or not 1 <= len(given) <= MOST_UNITS or (
        given.min() < 0 or given.max() >= count
    ):  # fmt: skip
        raise ValueError(
            f"`units` must be 1 to {MOST_UNITS} whole numbers from 0 to {count - 1}, "
            f"the filters of {path!r}. Received: units={units!r}"
        )
    return given.tolist()
