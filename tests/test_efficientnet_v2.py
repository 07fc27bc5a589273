import functools

import keras
import numpy as np
import pytest
from scipy.signal import correlate, correlate2d
from scipy.special import expit

from cnnkit.models.blocks import squeeze_excite
from cnnkit.models.efficientnet_v2 import (
    VARIANTS,
    efficientnet_v2,
    fused_mbconv_block,
    mbconv_block,
)

# All parameters, as keras.applications counts its EfficientNetV2B0 to B3 of Keras 3.15.
KERAS_PARAMS = {
    "b0": 7_200_312,
    "b1": 8_212_124,
    "b2": 10_178_374,
    "b3": 14_467_622,
}
# Millions of trainable parameters and thousand millions of multiply-adds: the table of
# the authors' code, github.com/google/automl/blob/master/efficientnetv2/README.md.
AUTHORS = {"b0": (7.1, 0.72), "b1": (8.1, 1.2), "b2": (10.1, 1.7), "b3": (14.4, 3.0)}


@functools.cache
def full_size(variant):
    return efficientnet_v2(variant)


def test_every_variant_has_a_published_size():
    assert list(VARIANTS) == list(KERAS_PARAMS) == list(AUTHORS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameter_count_matches_the_published_model(variant):
    model = full_size(variant)
    assert model.count_params() == KERAS_PARAMS[variant]
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trainable / 1e6 == pytest.approx(AUTHORS[variant][0], abs=0.05)


@pytest.mark.parametrize("variant", VARIANTS)
def test_multiply_adds_match_the_publication(variant):
    convolutions = keras.layers.Conv2D, keras.layers.DepthwiseConv2D
    model = full_size(variant)
    total = np.prod(model.get_layer("logits").kernel.shape) + sum(
        np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:3])
        for layer in model.layers
        if isinstance(layer, convolutions)
    )
    digits = 0.005 if variant == "b0" else 0.05
    assert total / 1e9 == pytest.approx(AUTHORS[variant][1], abs=digits)


def test_each_variant_takes_pictures_of_its_own_resolution():
    sizes = [full_size(variant).input_shape for variant in VARIANTS]
    # of the authors' code, for prediction
    assert sizes == [(None, side, side, 3) for side in (224, 240, 260, 300)]


def skip_rates(model):
    return [
        layer.rate
        for layer in model.layers
        if isinstance(layer, keras.layers.Dropout) and layer.noise_shape is not None
    ]


@pytest.fixture
def in_64_bits():
    """So that rounding, which a deep network magnifies, hides no real difference."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def make_lively(model, images, rng):
    """No 0s and 1s, and the statistics of these pictures: all layers see them."""
    for weight in model.weights:
        weight.assign(np.asarray(weight) + rng.normal(0, 0.1, weight.shape))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    model(images, training=True)


def test_logits_equal_keras_applications_on_the_same_weights(in_64_bits):
    ours = efficientnet_v2("b0", input_shape=(None, None, 3))
    rescale, logits = ours.get_layer("rescale"), ours.get_layer("logits")
    logits = keras.Model(ours.input, logits.output)
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    for height, width in [(48, 48), (45, 51)]:
        theirs = keras.applications.EfficientNetV2B0(
            weights=None,
            input_shape=(height, width, 3),
            classifier_activation=None,
            include_preprocessing=False,
        )
        images = rng.uniform(0, 255, (4, height, width, 3))
        scaled = rescale(images)
        assert skip_rates(ours) == pytest.approx(skip_rates(theirs))
        make_lively(theirs, scaled, rng)
        ours.set_weights(theirs.get_weights())
        expected = np.asarray(theirs(scaled))
        np.testing.assert_allclose(np.asarray(logits(images)), expected, atol=1e-4)
        assert (expected[0] - expected[1]).std() > 0.1  # not blind to the pictures
    assert len(skip_rates(ours)) == 15  # blocks of b0 that keep the shape


def test_blocks_are_skipped_more_often_the_deeper_they_lie():
    rates = skip_rates(full_size("b3"))
    assert rates == sorted(rates) and 0 < rates[0] < 0.02 and 0.18 < rates[-1] < 0.2


def filled(outputs, inputs, rng):
    """A model with random weights: the model, its weights in 64 bits."""
    model = keras.Model(inputs, outputs)
    for weight in model.weights:
        values = rng.normal(0, 0.5, weight.shape)
        weight.assign(abs(values) if "variance" in weight.path else values)
    return model, [np.float64(w) for w in model.get_weights()]


def norm(x, gamma, beta, mean, variance):
    return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def swish(x):
    return x * expit(x)


def excited(x, reduce, reduce_bias, expand, expand_bias):
    squeezed = swish(x.mean(axis=(0, 1)) @ reduce[0, 0] + reduce_bias)
    return x * expit(squeezed @ expand[0, 0] + expand_bias)


def padded(x, strides):
    """Zeros for a 3x3 window on a map of 5 x 6: at the even size, after it only."""
    columns = (1, 1) if strides == 1 else (0, 1)
    return np.pad(x, ((1, 1), columns, (0, 0)))


def test_squeeze_and_excite_is_what_numpy_computes():
    rng = np.random.default_rng(2)
    inputs = keras.Input((5, 6, 4))
    model, weights = filled(squeeze_excite(inputs, 2, name="se"), inputs, rng)
    images = rng.normal(0, 1, (3, 5, 6, 4)).astype("float32")
    expected = [excited(np.float64(image), *weights) for image in images]
    np.testing.assert_allclose(np.asarray(model(images)), expected, atol=1e-5)


@pytest.mark.parametrize("strides", [1, 2])
def test_a_block_is_what_numpy_computes(strides):
    rng = np.random.default_rng(3)
    inputs = keras.Input((5, 6, 8))
    outputs = mbconv_block(inputs, 8, strides, expansion=3, drop=0.5, name="block")
    model, weights = filled(outputs, inputs, rng)
    image = rng.normal(0, 1, (5, 6, 8)).astype("float32")

    x = padded(swish(norm(image @ weights[0][0, 0], *weights[1:5])), strides)
    x = np.stack(
        [correlate2d(x[..., i], weights[5][..., i, 0], "valid") for i in range(24)],
        axis=-1,
    )[::strides, ::strides]
    x = excited(swish(norm(x, *weights[6:10])), *weights[10:14])
    assert weights[10].shape == (1, 1, 24, 2)  # a quarter of the input's channels
    x = norm(x @ weights[14][0, 0], *weights[15:])
    if strides == 1:
        x = x + image
    output = np.asarray(model(image[None]))[0]
    np.testing.assert_allclose(output, x, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("expansion", [1, 3])
@pytest.mark.parametrize("strides", [1, 2])
def test_a_fused_block_is_what_numpy_computes(expansion, strides):
    rng = np.random.default_rng(4)
    inputs = keras.Input((5, 6, 8))
    outputs = fused_mbconv_block(
        inputs, 8, strides, expansion=expansion, drop=0.5, name="block"
    )
    model, weights = filled(outputs, inputs, rng)
    image = rng.normal(0, 1, (5, 6, 8)).astype("float32")

    kernel, *statistics = weights[:5]
    maps = [
        correlate(padded(image, strides), kernel[..., i], "valid")[..., 0]
        for i in range(8 * expansion)
    ]
    x = swish(norm(np.stack(maps, axis=-1)[::strides, ::strides], *statistics))
    if expansion > 1:
        x = norm(x @ weights[5][0, 0], *weights[6:])
    else:
        assert len(weights) == 5
    if strides == 1:
        x = x + image
    output = np.asarray(model(image[None]))[0]
    np.testing.assert_allclose(output, x, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("variant", ["b4", "s", 0, None])
def test_an_unknown_variant_is_named_and_the_known_ones_are_listed(variant):
    with pytest.raises(ValueError, match=r"\['b0', 'b1', 'b2', 'b3'\]") as error:
        efficientnet_v2(variant)
    assert str(error.value).endswith(f"Received: variant={variant!r}")


def test_a_picture_under_32_pixels_is_sent_to_the_small_network():
    with pytest.raises(ValueError, match="32 pixels.*`mobilenet_cifar`") as error:
        efficientnet_v2(input_shape=(28, 28, 1))
    assert str(error.value).endswith("Received: input_shape=(28, 28, 1)")
