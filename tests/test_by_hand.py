"""Each layer by hand gives what Keras gives, on hundreds of random cases."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from cnnkit.explorer import by_hand, windows

MANY = settings(max_examples=200, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


def picture(seed, height, width, channels):
    return np.random.default_rng(seed).normal(0, 2, (height, width, channels))


def keras_says(layer, image):
    return np.asarray(layer(image[np.newaxis].astype("float32")))[0]


@MANY
@given(
    seed=SEEDS,
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    filters=st.integers(1, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    padding=st.sampled_from(["valid", "same"]),
)
def test_convolution(
    seed, height, width, channels, kernel, filters, stride, dilation, padding
):
    dilation = 1 if stride > 1 else dilation  # Keras takes only one of them
    reach = [dilation * (k - 1) + 1 for k in kernel]
    image = picture(seed, height, width, channels)
    rng = np.random.default_rng(seed)
    kernels = rng.normal(0, 1, (*kernel, channels, filters))
    bias = rng.normal(0, 1, filters)
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    if padding == "valid" and (reach[0] > height or reach[1] > width):
        with pytest.raises(ValueError, match="does not fit"):
            by_hand.convolve(image, kernels, bias, **how)
        return
    theirs = ops.conv(
        image[np.newaxis].astype("float32"), kernels.astype("float32"), stride,
        padding, dilation_rate=dilation,
    )  # fmt: skip
    ours = by_hand.convolve(image, kernels, bias, **how)
    np.testing.assert_allclose(ours, np.asarray(theirs)[0] + bias, atol=1e-4)
    sides = [
        windows.output_side(side, k, **how)
        for side, k in zip((height, width), kernel, strict=True)
    ]
    assert list(ours.shape[:2]) == sides


@MANY
@given(
    seed=SEEDS, groups=st.integers(1, 4), deep=st.integers(1, 2), own=st.integers(1, 2)
)
def test_groups(seed, groups, deep, own):
    # A grouped convolution is several small ones side by side.
    image = picture(seed, 5, 6, groups * deep)
    kernels = np.random.default_rng(seed).normal(0, 1, (3, 3, deep, groups * own))
    ours = by_hand.convolve(image, kernels, groups=groups)
    parts = [
        ops.conv(
            image[np.newaxis, :, :, g * deep : (g + 1) * deep].astype("float32"),
            kernels[..., g * own : (g + 1) * own].astype("float32"), 1, "valid",
        )
        for g in range(groups)
    ]  # fmt: skip
    np.testing.assert_allclose(ours, np.concatenate(parts, axis=3)[0], atol=1e-4)
    if deep == own == 1:
        depthwise = layers.DepthwiseConv2D(3, use_bias=False)
        depthwise.build((None, 5, 6, groups))
        depthwise.set_weights([np.moveaxis(kernels, 3, 2).reshape(3, 3, groups, 1)])
        np.testing.assert_allclose(ours, keras_says(depthwise, image), atol=1e-4)


@MANY
@given(
    seed=SEEDS,
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    size=st.integers(1, 4),
    stride=st.one_of(st.none(), st.integers(1, 4)),
    padding=st.sampled_from(["valid", "same"]),
)
def test_pooling(seed, height, width, size, stride, padding):
    image = picture(seed, height, width, 2)
    how = {"stride": stride, "padding": padding}
    for ours, theirs in (
        (by_hand.max_pool, layers.MaxPooling2D),
        (by_hand.average_pool, layers.AveragePooling2D),
    ):
        if padding == "valid" and size > min(height, width):
            with pytest.raises(ValueError, match="does not fit"):
                ours(image, size, **how)
            continue
        expected = keras_says(theirs(size, stride, padding), image)
        np.testing.assert_allclose(ours(image, size, **how), expected, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, units=st.integers(2, 5))
def test_what_works_on_values(seed, units):
    rng = np.random.default_rng(seed)
    image = picture(seed, 3, 4, 2)
    for ours, theirs in (
        (by_hand.relu, ops.relu),
        (by_hand.leaky_relu, layers.LeakyReLU()),
        (by_hand.elu, ops.elu),
        (by_hand.gelu, lambda x: ops.gelu(x, approximate=False)),
        (by_hand.sigmoid, ops.sigmoid),
        (by_hand.flatten, lambda x: layers.Flatten()(x[None])[0]),
    ):
        expected = np.asarray(theirs(image.astype("float32")))
        np.testing.assert_allclose(ours(image), expected, atol=1e-5)

    layer = layers.Dense(units)
    layer.build((None, 24))
    weights, bias = rng.normal(0, 1, (24, units)), rng.normal(0, 1, units)
    layer.set_weights([weights, bias])
    values = by_hand.flatten(image)
    ours = by_hand.dense(values, weights, bias)
    np.testing.assert_allclose(ours, keras_says(layer, values), atol=1e-4)
    np.testing.assert_allclose(by_hand.dense(values, weights), ours - bias, atol=1e-9)
    for temperature in (0.5, 1, 3):
        said = by_hand.softmax(ours, temperature)
        expected = np.asarray(ops.softmax(ours / temperature))
        np.testing.assert_allclose(said, expected, atol=1e-6)

    norm = layers.BatchNormalization()
    norm.build((None, 3, 4, 2))
    facts = [rng.normal(0, 1, 2) for _ in range(3)] + [rng.uniform(0.1, 2, 2)]
    norm.set_weights(facts)  # gamma, beta, moving mean, moving variance
    gamma, beta, mean, variance = facts
    ours = by_hand.batch_norm(image, mean, variance, gamma, beta)
    np.testing.assert_allclose(ours, keras_says(norm, image), atol=1e-5)


@MANY
@given(
    side=st.integers(1, 30),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
)
def test_the_dropped_border_is_what_no_window_sees(side, kernel, stride, dilation):
    reach = dilation * (kernel - 1) + 1
    if reach > side:
        return
    image = np.arange(side * side, dtype=float).reshape(side, side, 1)
    places = windows.output_side(side, kernel, stride=stride, dilation=dilation)
    corner = windows.window_at(
        image, places - 1, places - 1, (kernel, kernel), stride=stride,
        dilation=dilation,
    )  # fmt: skip
    assert corner.shape[:2] == (kernel, kernel)
    seen = int(corner[-1, -1, 0]) % side + 1
    left = windows.dropped(side, kernel, stride=stride, dilation=dilation)
    assert left == side - seen and 0 <= left < stride


@settings(max_examples=20, deadline=None)
@given(
    chain=st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_the_receptive_field_is_where_a_pixel_makes_a_difference(chain):
    side = 64
    inputs = x = keras.Input((side, side, 1))
    for kernel, stride, dilation in chain:
        # Keras takes stride or dilation; a stride after a dilation is the same.
        x = layers.Conv2D(
            1, kernel, dilation_rate=dilation, kernel_initializer="ones"
        )(x)  # fmt: skip
        x = x[:, ::stride, ::stride]
    middle = x.shape[1] // 2
    picture = tf.Variable(tf.ones((1, side, side, 1)))
    with tf.GradientTape() as tape:
        value = keras.Model(inputs, x)(picture)[0, middle, middle, 0]
    seen = np.flatnonzero(tape.gradient(value, picture).numpy().sum(axis=(0, 2, 3)))
    assert windows.receptive_field(chain) == seen[-1] - seen[0] + 1


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"shape \(4, 4\)"):
        by_hand.convolve(np.ones((4, 4)), np.ones((3, 3, 1, 1)))
    with pytest.raises(ValueError, match=r"\(4, 4, 2\).*\(3, 3, 1, 1\)"):
        by_hand.convolve(np.ones((4, 4, 2)), np.ones((3, 3, 1, 1)))
    with pytest.raises(ValueError, match="padding='full'"):
        by_hand.max_pool(np.ones((4, 4, 1)), padding="full")
    with pytest.raises(ValueError, match=r"\(3,\).*\(4, 2\)"):
        by_hand.dense(np.ones(3), np.ones((4, 2)))
    with pytest.raises(ValueError, match="Received: 0"):
        by_hand.softmax([1, 2], 0)
