import functools

import keras
import numpy as np
import pytest
from scipy.signal import correlate2d
from scipy.special import expit

from cnnkit.models.blocks import squeeze_excite
from cnnkit.models.efficientnet import (
    VARIANTS,
    efficientnet,
    mbconv_block,
)

# All parameters: the table on keras.io/api/applications, which includes the 7 numbers
# of a Normalization layer (3 means, 3 variances, a count) that ours has not.
KERAS_PARAMS = {
    "b0": 5_330_571,
    "b1": 7_856_239,
    "b2": 9_177_569,
    "b3": 12_320_535,
    "b4": 19_466_823,
    "b5": 30_562_527,
    "b6": 43_265_143,
    "b7": 66_658_687,
}
# Trainable ones: torchvision's `EfficientNet_B0_Weights` and so on.
TORCHVISION_PARAMS = {
    "b0": 5_288_548,
    "b1": 7_794_184,
    "b2": 9_109_994,
    "b3": 12_233_232,
    "b4": 19_341_616,
    "b5": 30_389_784,
    "b6": 43_040_704,
    "b7": 66_347_960,
}
# Thousand millions of multiply-adds at the variant's resolution: torchvision's weights
# table; for b2, which has other pictures there, table 2 of the paper.
OPERATIONS = {
    "b0": 0.4,
    "b1": 0.7,
    "b2": 1.0,
    "b3": 1.8,
    "b4": 4.4,
    "b5": 10.3,
    "b6": 19.1,
    "b7": 37.7,
}
# The paper's table 2: millions of parameters, thousand millions of operations.
PAPER = {
    "b0": (5.3, 0.39),
    "b1": (7.8, 0.70),
    "b2": (9.2, 1.0),
    "b3": (12, 1.8),
    "b4": (19, 4.2),
    "b5": (30, 9.9),
    "b6": (43, 19),
    "b7": (66, 37),
}
RESOLUTIONS = [224, 240, 260, 300, 380, 456, 528, 600]  # of the authors' code


@functools.cache
def full_size(variant):
    return efficientnet(variant)


def trainable(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def multiply_adds(model):
    convolutions = keras.layers.Conv2D, keras.layers.DepthwiseConv2D
    return np.prod(model.get_layer("logits").kernel.shape) + sum(
        np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:3])
        for layer in model.layers
        if isinstance(layer, convolutions)
    )


def test_every_variant_has_a_published_size():
    for published in (KERAS_PARAMS, TORCHVISION_PARAMS, OPERATIONS, PAPER):
        assert list(VARIANTS) == list(published)


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameter_count_matches_the_published_model(variant):
    model = full_size(variant)
    assert model.count_params() == KERAS_PARAMS[variant] - 7
    assert trainable(model) == TORCHVISION_PARAMS[variant]


@pytest.mark.parametrize("variant", VARIANTS)
def test_multiply_adds_match_the_publication(variant):
    total = multiply_adds(full_size(variant)) / 1e9
    assert total == pytest.approx(OPERATIONS[variant], abs=0.051)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_paper_gives_nearly_the_same_numbers(variant):
    model = full_size(variant)
    parameters, operations = PAPER[variant]
    assert trainable(model) / 1e6 == pytest.approx(parameters, rel=0.03)
    assert multiply_adds(model) / 1e9 == pytest.approx(operations, rel=0.05)


def test_each_variant_takes_pictures_of_its_own_resolution():
    sizes = [full_size(variant).input_shape for variant in VARIANTS]
    assert sizes == [(None, side, side, 3) for side in RESOLUTIONS]


def test_b0_has_the_stages_of_table_1():
    # input size; kernel, expansion, channels and layers of the stage
    table = [
        (112, 3, 1, 16, 1),
        (112, 3, 6, 24, 2),
        (56, 5, 6, 40, 2),
        (28, 3, 6, 80, 3),
        (14, 5, 6, 112, 3),
        (14, 5, 6, 192, 4),
        (7, 3, 6, 320, 1),
    ]
    model = full_size("b0")
    names = {layer.name for layer in model.layers}
    before = 32
    for stage, row in enumerate(table, start=1):
        size, kernel, expansion, channels, blocks = row
        prefix = f"stage{stage}_block"
        depthwise = model.get_layer(f"{prefix}1_depthwise_conv")
        assert depthwise.input.shape[1:] == (size, size, expansion * before)
        assert depthwise.kernel_size == (kernel, kernel)
        assert model.get_layer(f"{prefix}{blocks}_project_conv").filters == channels
        assert f"{prefix}{blocks + 1}_project_conv" not in names
        before = channels
    assert model.get_layer("features").output.shape[1:] == (7, 7, 1280)


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
    for weight in model.weights[3:]:
        weight.assign(np.asarray(weight) + rng.normal(0, 0.1, weight.shape))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    model(images, training=True)


def test_logits_equal_keras_applications_on_the_same_weights(in_64_bits):
    ours = efficientnet("b0", input_shape=(None, None, 3))
    rescale, logits = ours.get_layer("rescale"), ours.get_layer("logits")
    logits = keras.Model(ours.input, logits.output)
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    for height, width in [(48, 48), (45, 51)]:
        theirs = keras.applications.EfficientNetB0(
            weights=None, input_shape=(height, width, 3), classifier_activation=None
        )
        images = rng.uniform(0, 255, (4, height, width, 3))
        # Theirs multiplies by 1/255 in 32 bits; its Normalization layer, to which the
        # first three weights belong, does nothing untrained.
        scaled = rescale(images) / float(np.float32(1 / 255))
        assert skip_rates(ours) == pytest.approx(skip_rates(theirs))
        make_lively(theirs, scaled, rng)
        ours.set_weights(theirs.get_weights()[3:])
        expected = np.asarray(theirs(scaled))
        np.testing.assert_allclose(np.asarray(logits(images)), expected, atol=1e-4)
        assert (expected[0] - expected[1]).std() > 0.1  # not blind to the pictures
    assert len(skip_rates(ours)) == 9  # blocks of b0 that keep the shape


def test_blocks_are_skipped_more_often_the_deeper_they_lie():
    rates = skip_rates(full_size("b4"))
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


def test_squeeze_and_excite_is_what_numpy_computes():
    rng = np.random.default_rng(2)
    inputs = keras.Input((5, 6, 4))
    model, weights = filled(squeeze_excite(inputs, 2, name="se"), inputs, rng)
    images = rng.normal(0, 1, (3, 5, 6, 4)).astype("float32")
    expected = [excited(np.float64(image), *weights) for image in images]
    np.testing.assert_allclose(np.asarray(model(images)), expected, atol=1e-5)


@pytest.mark.parametrize("strides, rows, columns", [(1, 2, 2), (2, (2, 2), (1, 2))])
def test_a_block_is_what_numpy_computes(strides, rows, columns):
    rng = np.random.default_rng(3)
    inputs = keras.Input((5, 6, 8))
    outputs = mbconv_block(
        inputs, 8, strides, expansion=3, kernel_size=5, drop=0.5, name="block"
    )
    model, weights = filled(outputs, inputs, rng)
    image = rng.normal(0, 1, (5, 6, 8)).astype("float32")

    x = swish(norm(image @ weights[0][0, 0], *weights[1:5]))
    x = np.pad(x, (np.broadcast_to(rows, 2), np.broadcast_to(columns, 2), (0, 0)))
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


def test_in_training_a_block_is_skipped_for_whole_pictures():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 8))
    outputs = mbconv_block(
        inputs, 8, expansion=1, kernel_size=3, drop=0.75, name="block"
    )
    model = keras.Model(inputs, outputs)
    for layer in model.layers:  # the averages of a batch would hide the skipping
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    picture = np.random.default_rng(0).normal(0, 1, (4, 4, 8)).astype("float32")
    images = np.stack([picture] * 200)
    change = np.asarray(model(images, training=False))[0] - picture
    found = np.asarray(model(images, training=True)) - images
    skipped = np.all(np.isclose(found, 0, atol=1e-6), axis=(1, 2, 3))
    # Those that are not skipped count four times, so the mean stays.
    np.testing.assert_allclose(
        found[~skipped], np.broadcast_to(4 * change, found[~skipped].shape), atol=1e-4
    )
    assert 0.65 < skipped.mean() < 0.85 and abs(change).max() > 0.01


@pytest.mark.parametrize("variant", ["b8", 0, None])
def test_an_unknown_variant_is_named_and_the_known_ones_are_listed(variant):
    with pytest.raises(ValueError, match=r"\['b0', 'b1', .*, 'b7'\]") as error:
        efficientnet(variant)
    assert str(error.value).endswith(f"Received: variant={variant!r}")


def test_a_picture_under_32_pixels_is_sent_to_the_small_network():
    with pytest.raises(ValueError, match="32 pixels.*`mobilenet_cifar`") as error:
        efficientnet(input_shape=(28, 28, 1))
    assert str(error.value).endswith("Received: input_shape=(28, 28, 1)")
