"""Reaching into a model while it runs: what a layer puts out, and the logits.

Building a second model that ends in a layer fails where the layer is in a model inside
the model. So no model is built here: while the model runs, a stand-in takes the place
of one function of one layer, calls it, and keeps what came out. Then the layer is as
before. That works in every kind of model, and leaves no trace in it.
"""

from contextlib import ExitStack, contextmanager
from functools import partial
from weakref import WeakKeyDictionary, ref

import keras
import numpy as np
import tensorflow as tf

# Model: how many layers it had, and which one a search has found. No model is kept.
_FOUND = WeakKeyDictionary()


def tap(model, layer=None):
    """Makes a function that runs a model and tells what passed by on the way.

    Logits are what the final softmax takes: of a Softmax layer, or of a layer with
    softmax as its activation. A model that ends otherwise, or that is Python code, has
    a layer "logits", or its logits are the logarithms of its probabilities.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities (n, k).
        layer: `keras.layers.Layer` of the model, or None for logits alone.

    Returns:
        A function from pixels, float32 of shape (n, h, w, c), and `watch`, the method
        of a `tf.GradientTape` that is to watch the layer, or None, to three tensors:
        what the layer put out (of several calls, in the last; None without a layer),
        the logits in float32, shape (n, k), and the probabilities, shape (n, k).
    """
    owner, function = _softmax(model)
    named = [x for _, x in layers_of(model) if x.name == "logits"]

    def run(pixels, watch=None):
        seen = {}

        def keep(original, *args, **kwargs):
            outputs = tf.identity(original(*args, **kwargs))
            if watch is not None:
                watch(outputs)  # a new tensor: a layer may return what it was given
            seen["outputs"] = outputs
            return outputs

        def keep_inputs(original, inputs, *args, **kwargs):
            seen["logits"] = inputs
            return original(inputs, *args, **kwargs)

        def keep_logits(original, *args, **kwargs):
            seen["logits"] = original(*args, **kwargs)
            return seen["logits"]

        with ExitStack() as stack:
            if layer is not None:
                stack.enter_context(standing_in(layer, "call", keep))
            if owner is not None:
                stack.enter_context(standing_in(owner, function, keep_inputs))
            elif named:
                stack.enter_context(standing_in(named[-1], "call", keep_logits))
            probabilities = model(pixels, training=False)
        if layer is not None and "outputs" not in seen:
            raise ValueError(
                "`layer` must be a layer that the model runs through. Give its name, "
                f"not a layer of another model. Received: {layer.name!r}"
            )
        if len(getattr(probabilities, "shape", ())) != 2:
            raise ValueError(
                "`model` must have one output, probabilities of shape (n, classes). "
                f"Received: {model.name!r}, which puts out {probabilities}"
            )
        probabilities = tf.cast(probabilities, "float32")
        logits = seen.get("logits")
        if logits is None:
            tiny = np.finfo("float32").tiny
            logits = tf.math.log(tf.maximum(probabilities, tiny))
        return seen.get("outputs"), tf.cast(logits, "float32"), probabilities

    return run


def feature_layer(model, layer, images):
    """Finds the layer whose maps are explained.

    Args:
        model: `keras.Model`; models inside it are opened.
        layer: the layer, or its name, or "model/name" in a model inside; or None for
            the layer "features", else the last one after a convolution that puts out
            maps of shape (n, h, w, c).
        images: float32 array, shape (n, h, w, c). The first is run through the model
            where the layer has to be searched, once for each model.

    Returns:
        A `keras.layers.Layer`.

    Raises:
        ValueError: there is no such layer, several of that name, or none with maps.
    """
    if layer is not None or any(x.name == "features" for _, x in layers_of(model)):
        return find_layer(model, "features" if layer is None else layer)
    count, known = _FOUND.get(model, (0, None))
    if count == len(layers_of(model)) and known() is not None:
        return known()
    calls = []

    def note(inner, original, *args, **kwargs):
        outputs = original(*args, **kwargs)
        calls.append((inner, getattr(outputs, "shape", ())))
        return outputs

    with ExitStack() as stack:
        for inner in {id(x): x for _, x in layers_of(model)}.values():
            stack.enter_context(standing_in(inner, "call", partial(note, inner)))
        model(tf.constant(images[:1]), training=False)
    found, convolved = None, False
    for inner, shape in calls:
        convolved |= any(len(weight.shape) == 4 for weight in inner.weights)
        # An average that keeps its axes is 1 x 1: no map any more.
        if convolved and len(shape) == 4 and shape[1] * shape[2] > 1:
            found = inner
    if found is None:
        raise ValueError(
            "The model has no layer with maps of shape (n, height, width, channels) "
            "after a convolution, so there is nothing to lay over the picture: take "
            "`saliency` or `occlusion`. Received: a model with the layers "
            f"{some([path for path, _ in layers_of(model)])}"
        )
    _FOUND[model] = len(layers_of(model)), ref(found)
    return found


def find_layer(model, layer):
    """Finds a layer by its name.

    Args:
        model: `keras.Model`; models inside it are opened.
        layer: str, a name, or "model/name" in a model inside; or a layer of the model.

    Returns:
        A `keras.layers.Layer`.

    Raises:
        ValueError: the model has no such layer, or several of that name.
    """
    if isinstance(layer, keras.layers.Layer):
        return layer
    every = layers_of(model)
    found = {id(x): x for path, x in every if layer in (path, x.name)}
    if len(found) != 1:
        paths = [path for path, x in every if not found or id(x) in found]
        raise ValueError(
            f"`layer` must name one layer of the model: one of {some(paths)}. "
            f"Received: layer={layer!r}, the name of {len(found)} layers"
        )
    return next(iter(found.values()))


def layers_of(model, prefix=""):
    """Lists (path, layer) for each layer of a model, and of the models inside it.

    Args:
        model: `keras.Model`.
        prefix: str, what stands before each path.
    """
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += layers_of(layer, f"{prefix}{layer.name}/")
        if not isinstance(layer, keras.layers.InputLayer):
            found.append((prefix + layer.name, layer))
    return found


@contextmanager
def standing_in(owner, name, stand_in):
    """Puts a function in the place of a method while a block runs.

    Args:
        owner: object that has the method, such as a layer.
        name: str, of the method, such as "call".
        stand_in: function of the method itself and its arguments.
    """
    before = vars(owner).get(name)  # None where the method is the class's
    setattr(owner, name, partial(stand_in, getattr(owner, name)))
    try:
        yield
    finally:
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


def check_images(model, images):
    """Returns pictures as float32, or says what is wrong.

    Args:
        model: `keras.Model` that is to take them.
        images: array-like of pixels in [0, 255], shape (n, h, w, c).

    Raises:
        ValueError: shape, size, channels or range are wrong, or a pixel is not finite.
    """
    images = np.asarray(images)
    wanted = getattr(model, "input_shape", None)
    wanted = wanted if isinstance(wanted, tuple) else (None,) * 4
    fits = (
        images.ndim == 4 == len(wanted)
        and len(images)
        and all(
            side in (None, given)
            for side, given in zip(wanted[1:], images.shape[1:], strict=False)
        )
    )
    if not fits:
        raise ValueError(
            "`images` must have the shape that the model takes, (n, height, width, "
            f"channels) = {('n', *wanted[1:])}; one picture is images[:1]. "
            f"Received: shape {images.shape}"
        )
    low, high = images.min(), images.max()
    small = images.dtype.kind == "f" and 0 < high <= 1
    if images.dtype.kind not in "fiu" or small or not (low > -1 and high < 256):
        raise ValueError(
            "Pixels must be numbers from 0 to 255; multiply pictures in [0, 1] by 255. "
            f"Received: dtype {images.dtype}, from {low} to {high}"
        )
    return images.astype("float32")


def check_classes(classes, images, num_classes):
    """Returns the class to explain in each picture, int64 of shape (n,).

    Args:
        classes: int, or int array of shape (n,), from 0 to num_classes - 1.
        images: array of n pictures.
        num_classes: int.

    Raises:
        ValueError: `classes` is not as above.
    """
    given = np.asarray(classes)
    shapes = ((), (len(images),))
    whole = given.dtype.kind in "iu" and given.shape in shapes
    if not whole or given.min() < 0 or given.max() >= num_classes:
        raise ValueError(
            "`classes` must be whole numbers, one for all pictures or one for each of "
            f"the {len(images)}, from 0 to {num_classes - 1}. Received: {classes!r}"
        )
    return np.broadcast_to(given, len(images)).astype("int64")


def slices(n, images, pixels):
    """Cuts n runs of the model into batches of about so many pixels.

    Args:
        n: int, how many pictures run.
        images: array of shape (m, h, w, c), for the size of one.
        pixels: int, how many pixels fit into the memory of a batch.

    Returns:
        A list of slices.
    """
    size = max(1, pixels // (images.shape[1] * images.shape[2]))
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _softmax(model):
    """The function that makes probabilities of logits: (its layer, its name)."""
    last = model
    while hasattr(last, "operations") or isinstance(last, keras.Sequential):
        last = getattr(last, "operations", None) or last.layers
        last = last[-1]
    if isinstance(last, keras.layers.Softmax):
        return last, "call"
    if getattr(last, "activation", None) is keras.activations.softmax:
        return last, "activation"
    return None, None


def some(names):
    """Returns the last 20 of many names: those near the end are wanted most.

    Args:
        names: list of str.
    """
    return names if len(names) <= 20 else ["...", *names[-20:]]
