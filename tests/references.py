"""What the tests of the model families share: random weights, and sums by others.

NumPy and SciPy compute here, slowly and in plain sight, what the package leaves to
Keras.
"""

import contextlib
from unittest import mock

import keras
import numpy as np
from scipy.signal import correlate2d
from scipy.special import expit


@contextlib.contextmanager
def in_64_bits():
    """So that rounding, which a deep network magnifies, hides no real difference."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def without_random_start():
    """Weights of 0, for counts alone: a random start of millions takes seconds."""
    zeros = keras.initializers.Zeros()
    return mock.patch.object(
        keras.initializers.VarianceScaling,
        "__call__",
        lambda self, shape, dtype=None, **settings: zeros(shape, dtype),
    )


def of_kind(model, *kinds):
    return [layer for layer in model.layers if isinstance(layer, kinds)]


def convolutions(model):
    return of_kind(model, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def trainable(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def multiply_adds(model):
    """Those of convolutions and dense layers: weights times positions."""
    weighted = [*convolutions(model), *of_kind(model, keras.layers.Dense)]
    return sum(
        np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:-1])
        for layer in weighted
    )


def skip_rates(model):
    """How often training skips each block: dropout of one draw a picture."""
    dropouts = of_kind(model, keras.layers.Dropout)
    return [layer.rate for layer in dropouts if layer.noise_shape is not None]


def part(model, *names):
    """The model from the same pictures to the outputs of one or more layers."""
    outputs = [model.get_layer(name).output for name in names]
    return keras.Model(model.input, outputs if len(outputs) > 1 else outputs[0])


def random_model(block, shape, *arguments, low=-1, high=1, **options):
    """A block as a model: its weights, a map from low to high, what it makes of it."""
    inputs = keras.Input(shape)
    model = keras.Model(inputs, block(inputs, *arguments, **options, name="it"))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        lowest = 0.5 if "variance" in weight.path else -1
        weight.assign(rng.uniform(lowest, 1, weight.shape))
    x = rng.uniform(low, high, shape).astype("float32")
    return model, x, np.asarray(model(x[None]))[0]


def conv(x, kernel, bias=0):
    """A convolution with zeros around: (h, w, c) to (h, w, k)."""
    maps = [
        sum(
            correlate2d(x[..., c], kernel[..., c, k], mode="same")
            for c in range(x.shape[-1])
        )
        for k in range(kernel.shape[-1])
    ]
    return np.stack(maps, axis=-1) + bias


def depthwise(x, kernel, rows, columns, strides=1):
    """Zeros (before, after) around rows and columns, then each channel alone."""
    x = np.pad(x, (rows, columns, (0, 0)))
    maps = [correlate2d(x[..., i], kernel[..., i, 0], "valid") for i in range(len(x.T))]
    return np.stack(maps, axis=-1)[::strides, ::strides]


def norm(x, gamma, beta, mean, variance, epsilon=1e-3):
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def relu(x):
    return np.maximum(x, 0)


def swish(x):
    return x * expit(x)


def hard_sigmoid(x):
    return np.clip(x + 3, 0, 6) / 6


def excited(x, reduce, reduce_bias, expand, expand_bias, first=swish, second=expit):
    """Squeeze-and-excitation of (h, w, c), with the kernels of 1x1 convolutions."""
    squeezed = first(x.mean(axis=(0, 1)) @ reduce[0, 0] + reduce_bias)
    return x * second(squeezed @ expand[0, 0] + expand_bias)


def compare_logits(ours, build_theirs, prepare=lambda images: images, own=0):
    """Our logits equal theirs on the same weights, at an even and an odd side.

    `prepare` gives theirs the pixels that it expects; the first `own` weights of
    theirs belong to a layer that ours has not.
    """
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    theirs = build_theirs((48, 45, 3))
    images = rng.uniform(0, 255, (4, 48, 45, 3))
    wanted = prepare(images)
    make_lively(theirs, wanted, rng, own)
    ours.set_weights(transplanted(theirs.get_weights()[own:], ours))
    expected = np.asarray(theirs(wanted))
    logits = part(ours, "logits")(images)
    np.testing.assert_allclose(np.asarray(logits), expected, atol=1e-4)
    assert (expected[0] - expected[1]).std() > 0.1  # not blind to the pictures


def make_lively(model, images, rng, own=0):
    """No 0s and 1s, and the statistics of these pictures: all layers see them."""
    for weight in model.weights[own:]:
        weight.assign(np.asarray(weight) + rng.normal(0, 0.1, weight.shape))
    for layer in of_kind(model, keras.layers.BatchNormalization):
        layer.momentum = 0.0
    for layer in of_kind(model, keras.layers.Dropout):
        layer.rate = 0.0
    model(images, training=True)


def transplanted(weights, model):
    """Where theirs has a 1x1 convolution after the pooling, ours has a dense layer."""
    pairs = zip(weights, model.get_weights(), strict=True)
    return [w[0, 0] if w.ndim == 4 and mine.ndim == 2 else w for w, mine in pairs]
