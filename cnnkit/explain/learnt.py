"""What layers have learnt: their filters, their maps, what excites them, neighbours."""

import numpy as np
import tensorflow as tf

from cnnkit.explain.cams import PIXELS
from cnnkit.explain.tapping import (
    check_images,
    feature_layer,
    find_layer,
    layers_of,
    slices,
    tap,
)


def feature_maps(model, images, *, layer=None):
    """Returns what a layer puts out for some pictures.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape (n, k).
        images: array of pixels in [0, 255], shape (n, h, w, c).
        layer: a layer, or its name ("model/name" in a model inside); None takes
            "features", else the last one with maps.

    Returns:
        float32 array of shape (n, rows, columns, channels), or of what shape the layer
        puts out.

    Raises:
        ValueError: the pictures do not fit the model, or it has no such layer.
    """
    images = check_images(model, images)
    run = tap(model, feature_layer(model, layer, images))
    parts = [
        tf.cast(run(tf.constant(images[part]))[0], "float32").numpy()
        for part in slices(len(images), images, PIXELS)
    ]
    return np.concatenate(parts)


def filters(model, *, layer=None):
    """Returns the kernels of a convolution.

    Args:
        model: `keras.Model`; models inside it are opened.
        layer: a layer, or its name; None takes the first convolution, whose filters
            look at pixels and can be seen as small pictures.

    Returns:
        float32 array of shape (height, width, channels in, filters); of a depthwise
        convolution (height, width, 1, channels), a filter for each.

    Raises:
        ValueError: there is no such layer, or it is no convolution of pictures.
    """
    chosen = [x for _, x in layers_of(model)] if layer is None else []
    chosen = chosen or [find_layer(model, layer)]
    for one in chosen:
        kernels = [w for w in one.weights if len(w.shape) == 4]
        # A model is a layer, too, and has the kernels of all of its layers.
        if kernels and not hasattr(one, "layers"):
            kernel = np.array(kernels[0], "float32")
            depthwise = "depthwise" in type(one).__name__.lower()
            return kernel.reshape(*kernel.shape[:2], 1, -1) if depthwise else kernel
    paths = [
        path
        for path, x in layers_of(model)
        if not hasattr(x, "layers") and any(len(w.shape) == 4 for w in x.weights)
    ]
    raise ValueError(
        "`layer` must be a convolution, with a kernel of shape (height, width, "
        f"channels in, filters): one of {paths}. Received: layer={layer!r}"
    )


def maximise_activation(model, layer, unit, *, steps=128, size=None, seed=0):
    """Paints a picture that excites one unit of a layer as much as it can.

    From grey noise, each step moves all pixels up the gradient of the unit. Left alone,
    that ends in noise which excites the unit and shows nothing. So the picture is
    shifted a little before each step (what excites must not hang on single pixels), and
    blurred a little after it. Erhan, Bengio, Courville and Vincent, "Visualizing
    Higher-Layer Features of a Deep Network", 2009; Olah, Mordvintsev and Schubert,
    "Feature Visualization", Distill 2017, https://doi.org/10.23915/distill.00007.

    A unit that is silent on grey noise has no gradient to climb: take the layer before
    its ReLU.

    Args:
        model: `keras.Model` as for `feature_maps`.
        layer: a layer, or its name, such as "logits" for a class.
        unit: int, the position in the last axis of what the layer puts out: a channel
            (its mean over all places counts), or a class.
        steps: int, 1 or more.
        size: (height, width) of the picture, where the model takes any size.
        seed: int, for the noise and the shifts.

    Returns:
        float32 array of shape (h, w, c) in [0, 255].

    Raises:
        ValueError: there is no such layer or unit, or the size is not known.
    """
    layer = find_layer(model, layer)
    height, width, channels = model.input_shape[1:]
    height, width = size or (height, width)
    if None in (height, width):
        raise ValueError(
            "The model takes pictures of any size: say which with size=(height, "
            f"width). Received: size={size!r}"
        )
    run, rng = tap(model, layer), np.random.default_rng(seed)
    pixels = rng.normal(127.5, 12, (1, height, width, channels)).astype("float32")
    pixels = tf.constant(pixels)
    count = run(pixels)[0].shape[-1]
    if not 0 <= unit < count:
        raise ValueError(
            f"`unit` must be 0 to {count - 1}, one of the {count} channels of "
            f"{layer.name!r}. Received: unit={unit!r}"
        )

    @tf.function
    def climb(pixels, shift, rate):
        pixels = tf.roll(pixels, shift, axis=(1, 2))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            value = tf.reduce_mean(tf.cast(run(pixels)[0], "float32")[..., unit])
        gradient = tape.gradient(value, pixels)
        length = tf.sqrt(tf.reduce_mean(gradient**2))
        pixels += rate * tf.math.divide_no_nan(gradient, length)
        edges = tf.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), "SYMMETRIC")
        across = edges[:, :, :-2] + 2 * edges[:, :, 1:-1] + edges[:, :, 2:]
        blurred = (across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]) / 16
        pixels = tf.clip_by_value(0.8 * pixels + 0.2 * blurred, 0, 255)
        return tf.roll(pixels, -shift, axis=(1, 2))

    reach = max(1, min(height, width) // 16)
    for step in range(steps):
        shift = rng.integers(-reach, reach + 1, 2)
        # Large steps find the shape, small ones the detail.
        rate = np.float32(12 * (1 - step / steps) + 2)
        pixels = climb(pixels, tf.constant(shift, "int32"), tf.constant(rate))
    return pixels[0].numpy()


def nearest(model, images, reference_images, *, k=5, layer=None):
    """Finds the pictures that the model takes for most alike.

    Two pictures are alike where their embeddings point the same way. What the nearest
    training pictures have in common is often why the model said what it said, and
    shows wrong labels and copies.

    Args:
        model: `keras.Model` as for `feature_maps`.
        images: array of pixels in [0, 255], shape (n, h, w, c).
        reference_images: array of pixels, shape (m, h, w, c), such as the training set.
        k: int, how many neighbours, 1 to m.
        layer: a layer, or its name, whose output is the embedding; None takes "pooled",
            else the last maps. Maps are averaged over their places.

    Returns:
        `indices` into `reference_images`, int64 of shape (n, k), the nearest first, and
        `distances`, float64 of shape (n, k): 1 minus the cosine, from 0 (alike) to 2.

    Raises:
        ValueError: pictures, layer or k are not as above.
    """
    if not 1 <= k <= len(reference_images):
        raise ValueError(
            f"`k` must be 1 to {len(reference_images)}, the number of reference "
            f"pictures. Received: k={k!r}"
        )
    if layer is None and any(x.name == "pooled" for _, x in layers_of(model)):
        layer = "pooled"

    def directions(pictures):
        found = feature_maps(model, pictures, layer=layer).astype("float64")
        found = found.mean(axis=(1, 2)) if found.ndim == 4 else found
        found = found.reshape(len(found), -1)
        length = np.linalg.norm(found, axis=1, keepdims=True)
        return found / np.maximum(length, np.finfo("float64").tiny)

    apart = 1 - directions(images) @ directions(reference_images).T
    indices = np.argsort(apart, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(apart, indices, axis=1).clip(0, 2)
