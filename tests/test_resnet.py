import functools

import keras
import numpy as np
import pytest
from references import (
    convolutions,
    multiply_adds,
    part,
    trainable,
    without_random_start,
)

from cnnkit.models.resnet import VARIANTS, resnet

# Trainable parameters of torchvision's models, which have no biases in convolutions.
TORCHVISION_PARAMS = {
    18: 11_689_512,
    34: 21_797_672,
    50: 25_557_032,
    101: 44_549_160,
    152: 60_192_808,
}
# Table 1 of the paper: thousand millions of multiply-adds at 224 x 224 pixels. (Its
# 34 layers were counted without projections, so ours has 0.02 more.)
PAPER_OPERATIONS = {18: 1.8, 34: 3.6, 50: 3.8, 101: 7.6, 152: 11.3}


BUILT = [18, 50, 152]  # both kinds of block, and the deepest


@functools.cache
def full_size(depth):
    with without_random_start():
        return resnet(depth)


def test_every_variant_has_a_published_size():
    assert set(VARIANTS) == set(TORCHVISION_PARAMS) == set(PAPER_OPERATIONS)


@pytest.mark.parametrize("depth", BUILT)
def test_parameter_count_matches_the_published_model(depth):
    model = full_size(depth)
    biases = sum(conv.filters for conv in convolutions(model))
    assert trainable(model) - biases == TORCHVISION_PARAMS[depth]


@pytest.mark.parametrize("depth", BUILT)
def test_multiply_adds_match_the_paper(depth):
    """Parameters do not show where a map is halved; operations do."""
    total = multiply_adds(full_size(depth))
    assert total / 1e9 == pytest.approx(PAPER_OPERATIONS[depth], abs=0.07)


@pytest.mark.parametrize("depth", BUILT)
def test_the_depth_counts_the_weighted_layers_on_the_long_path(depth):
    convs = convolutions(full_size(depth))
    on_the_path = [conv for conv in convs if "project" not in conv.name]
    assert len(on_the_path) + 1 == depth  # and the dense layer


@pytest.mark.parametrize("depth, channels", [(18, 512), (50, 2048)])
def test_the_four_layers_have_the_promised_shapes(depth, channels):
    model = full_size(depth)
    shapes = [
        model.get_layer(name).output.shape[1:]
        for name in ("features", "pooled", "logits", "probabilities")
    ]
    assert shapes == [(7, 7, channels), (channels,), (1000,), (1000,)]


def test_logits_equal_keras_applications_on_the_same_weights():
    shape = (64, 64, 3)
    ours = resnet(50, input_shape=shape)
    theirs = keras.applications.ResNet50(
        weights=None, input_shape=shape, classifier_activation=None
    )
    rng = np.random.default_rng(0)
    for variable in theirs.variables:  # biases and statistics leave 0 and 1
        variable.assign(variable.numpy() + rng.normal(0, 0.02, variable.shape))
    ours.set_weights(theirs.get_weights())

    images = rng.uniform(0, 255, (2, *shape)).astype("float32")
    expected = np.asarray(theirs(images / 127.5 - 1))
    np.testing.assert_allclose(part(ours, "logits")(images), expected, atol=1e-4)
    assert expected.std() > 0.01  # not a comparison of constants


def test_one_model_takes_small_odd_and_larger_pictures():
    model = resnet(18, num_classes=7, input_shape=(None, None, 3))
    for height, width in [(32, 32), (33, 65), (97, 40)]:
        images = np.full((1, height, width, 3), 100.0, "float32")
        expected = (1, -(-height // 32), -(-width // 32), 512)
        assert part(model, "features")(images).shape == expected


@pytest.mark.parametrize("depth", [20, "50", None])
def test_an_unknown_depth_is_named_and_the_known_ones_are_listed(depth):
    with pytest.raises(ValueError, match=r"\[18, 34, 50, 101, 152\]") as error:
        resnet(depth)
    assert str(error.value).endswith(f"Received: depth={depth!r}")


@pytest.mark.parametrize("shape", [(31, 64, 3), (None, 8, 3)])
def test_a_picture_under_32_pixels_is_refused(shape):
    with pytest.raises(ValueError, match="at least 32 pixels") as error:
        resnet(18, input_shape=shape)
    assert str(error.value).endswith(f"Received: input_shape={shape}")


def test_a_shape_without_channels_is_refused():
    with pytest.raises(ValueError, match=r"Received: input_shape=\(64, 64\)"):
        resnet(18, input_shape=(64, 64))
