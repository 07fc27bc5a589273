"""How large gradients are, from the last layer back to the first: do they arrive?"""

import keras
import numpy as np
import pandas
import tensorflow as tf
from keras import tree

from cnnkit.training.losses import LOSSES


def gradient_flow(model, batch, *, loss="crossentropy"):
    """Measures the gradients and the outputs of each layer on one batch.

    The model runs as in a training step: BatchNorm takes the statistics of the batch,
    dropout drops. But nothing is changed, neither weights nor statistics nor the state
    of random numbers. Each size is a root mean square, so that layers with few and
    with many numbers can be compared.

    Args:
        model: `keras.Model` with a graph, such as the builders of `models` return;
            models inside it are opened.
        batch: (images, labels), as an element of `photos.train`: float array of shape
            (n, height, width, channels), and what the loss takes, mostly an int array
            of shape (n,).
        loss: str or Keras loss, as for `fit`.

    Returns:
        A `pandas.DataFrame`, one row for each layer with a trainable kernel (weights
        of two or more axes), in the order of the graph. Its index "layer" is a name,
        or "model/name" in a model inside. Its columns:

        - depth: int, 1 for the first row, and so on.
        - kernel_gradient: of the loss, regularisation included, by the kernel.
        - relative_gradient: that, divided by the root mean square of the kernel. Times
          the learning rate, it is how far a step of plain SGD moves the kernel.
        - output: what the layer puts out, with its own activation function.
        - output_gradient: of the loss, by that output. NaN where the loss does not go
          through it: of a dense layer with softmax inside, Keras takes the logits.

    Raises:
        ValueError: the model has no graph or no trainable kernel, `batch` is no pair,
            or `loss` is not known.

    Example:
        >>> batch = next(iter(photos.train))
        >>> table = gradient_flow(model, batch)
        >>> table["kernel_gradient"].iloc[0] / table["kernel_gradient"].iloc[-1]
    """
    images, labels = _check(model, batch, loss)
    loss = keras.losses.get(LOSSES[loss] if isinstance(loss, str) else loss)
    calls = []
    copy = _copy(model, calls)
    with tf.GradientTape() as tape:
        weights = [(v, v.value) for v in model.trainable_variables]
        # In such a scope, what a layer wants to remember is put aside, then dropped.
        with keras.StatelessScope(weights, collect_losses=True):
            predictions = copy(tf.cast(images, "float32"), training=True)
            value = tf.reduce_mean(loss(labels, predictions)) + sum(model.losses)
    rows, seen = [], set()
    for name, layer, outputs in calls:
        kernels = [w for w in layer.trainable_weights if _is_kernel(w)]
        if kernels and id(layer) not in seen:  # a layer called twice: the first call
            seen.add(id(layer))
            rows.append((name, [w.value for w in kernels], outputs))
    kernels = [kernels for _, kernels, _ in rows]
    outputs = [outputs for _, _, outputs in rows]
    kernel_gradients, output_gradients = tape.gradient(value, (kernels, outputs))
    table = pandas.DataFrame(
        {
            "layer": [name for name, _, _ in rows],
            "depth": np.arange(1, len(rows) + 1),
            "kernel_gradient": map(_size, kernel_gradients),
            "output": map(_size, outputs),
            "output_gradient": map(_size, output_gradients),
        }
    ).set_index("layer")
    relative = table["kernel_gradient"] / [_size(values) for values in kernels]
    table.insert(2, "relative_gradient", relative)
    return table


class _Recorder(keras.Operation):
    """Takes the place of a layer in a copy of its graph, and keeps its output."""

    def __init__(self, layer, name, calls):
        super().__init__()
        self.layer, self.path, self.calls = layer, name, calls

    def compute_output_spec(self, *args, **kwargs):
        outputs = self.layer.compute_output_spec(*args, **kwargs)
        # New ones: a layer that changes nothing may return what it was given.
        return tree.map_structure(
            lambda x: keras.KerasTensor(x.shape, x.dtype), outputs
        )

    def call(self, *args, **kwargs):
        kwargs.pop("training", None)  # of the day the model was made; now we train
        outputs = self.layer(*args, **kwargs)
        if isinstance(self.layer, keras.layers.Layer):
            self.calls.append((self.path, self.layer, outputs))
        return outputs


def _copy(model, calls, prefix=""):
    """The graph of a model, with a recorder for each layer."""

    def passage(layer):
        name = prefix + layer.name
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            return _copy(layer, calls, f"{name}/")
        return _Recorder(layer, name, calls)

    graph = keras.Model(model.inputs, model.outputs)  # a Sequential has none itself
    return keras.models.clone_model(graph, clone_function=passage)


def _check(model, batch, loss):
    if not getattr(model, "inputs", None) or not any(
        map(_is_kernel, model.trainable_weights)
    ):
        raise ValueError(
            "`model` must have a graph, as from keras.Model(inputs, outputs), and "
            "layers with kernels that are trainable. Received: "
            f"{type(model).__name__} {model.name!r} with "
            f"{len(model.trainable_weights)} trainable weights"
        )
    if isinstance(loss, str) and loss not in LOSSES:
        raise ValueError(
            f"`loss` is one of {tuple(LOSSES)} or a Keras loss. Received: loss={loss!r}"
        )
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise ValueError(
            "`batch` is a pair (images, labels), such as next(iter(photos.train)). "
            f"Received: {type(batch).__name__}"
        )
    return batch


def _is_kernel(weight):
    return len(weight.shape) >= 2 and weight.name != "bias"


def _size(tensors):
    """The root mean square of all numbers in some tensors; NaN where there are none."""
    tensors = [x for x in tree.flatten(tensors) if x is not None]
    values = [np.asarray(tf.cast(x, "float32"), "float64").ravel() for x in tensors]
    return float(np.sqrt(np.mean(np.concatenate(values) ** 2))) if values else np.nan
