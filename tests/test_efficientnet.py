import functools

import keras
import numpy as np
import pytest
from references import (
    compare_logits,
    depthwise,
    excited,
    in_64_bits,
    multiply_adds,
    norm,
    random_model,
    skip_rates,
    swish,
    trainable,
    without_random_start,
)

from cnnkit.models.efficientnet import VARIANTS, efficientnet, mbconv_block

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


BUILT = ["b0", "b7"]  # the last row of the table is the largest


@functools.cache
def full_size(variant):
    with without_random_start():
        return efficientnet(variant)


def test_every_variant_has_a_published_size():
    for published in (KERAS_PARAMS, TORCHVISION_PARAMS, OPERATIONS, PAPER):
        assert list(VARIANTS) == list(published)


@pytest.mark.parametrize("variant", BUILT)
def test_parameter_count_matches_the_published_model(variant):
    model = full_size(variant)
    assert model.count_params() == KERAS_PARAMS[variant] - 7
    assert trainable(model) == TORCHVISION_PARAMS[variant]


@pytest.mark.parametrize("variant", BUILT)
def test_multiply_adds_match_the_publication(variant):
    total = multiply_adds(full_size(variant)) / 1e9
    assert total == pytest.approx(OPERATIONS[variant], abs=0.051)


@pytest.mark.parametrize("variant", BUILT)
def test_the_paper_gives_nearly_the_same_numbers(variant):
    model = full_size(variant)
    parameters, operations = PAPER[variant]
    assert trainable(model) / 1e6 == pytest.approx(parameters, rel=0.03)
    assert multiply_adds(model) / 1e9 == pytest.approx(operations, rel=0.05)


def test_each_variant_takes_pictures_of_its_own_resolution():
    assert [row[2] for row in VARIANTS.values()] == RESOLUTIONS
    for variant in BUILT:
        side = VARIANTS[variant][2]
        assert full_size(variant).input_shape == (None, side, side, 3)


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


@in_64_bits()
def test_logits_equal_keras_applications_on_the_same_weights():
    ours = efficientnet("b0", input_shape=(None, None, 3))
    assert len(skip_rates(ours)) == 9  # blocks of b0 that keep the shape

    def build(shape):
        theirs = keras.applications.EfficientNetB0(
            weights=None, input_shape=shape, classifier_activation=None
        )
        assert skip_rates(ours) == pytest.approx(skip_rates(theirs))
        return theirs

    def prepare(images):
        # Theirs multiplies by 1/255 in 32 bits; its Normalization layer, to which the
        # first three weights belong, does nothing untrained.
        return ours.get_layer("rescale")(images) / float(np.float32(1 / 255))

    compare_logits(ours, build, prepare, own=3)


def test_blocks_are_skipped_more_often_the_deeper_they_lie():
    rates = skip_rates(full_size("b4"))
    assert rates == sorted(rates) and 0 < rates[0] < 0.02 and 0.18 < rates[-1] < 0.2


@pytest.mark.parametrize("strides, rows, columns", [(1, 2, 2), (2, (2, 2), (1, 2))])
def test_a_block_is_what_numpy_computes(strides, rows, columns):
    model, image, output = random_model(
        mbconv_block, (5, 6, 8), 8, strides, expansion=3, kernel_size=5, drop=0.5
    )
    weights = model.get_weights()
    x = swish(norm(image @ weights[0][0, 0], *weights[1:5]))
    edges = np.broadcast_to(rows, 2), np.broadcast_to(columns, 2)
    x = swish(norm(depthwise(x, weights[5], *edges, strides), *weights[6:10]))
    x = excited(x, *weights[10:14])
    assert weights[10].shape == (1, 1, 24, 2)  # a quarter of the input's channels
    x = norm(x @ weights[14][0, 0], *weights[15:])
    if strides == 1:
        x = x + image
    np.testing.assert_allclose(output, x, atol=1e-4, rtol=1e-4)
    assert x.std() > 0.1


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
