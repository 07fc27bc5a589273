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
from scipy.signal import correlate

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


BUILT = ["b0", "b3"]  # the last row of the table is the largest


@functools.cache
def full_size(variant):
    with without_random_start():
        return efficientnet_v2(variant)


def test_every_variant_has_a_published_size():
    assert list(VARIANTS) == list(KERAS_PARAMS) == list(AUTHORS)


@pytest.mark.parametrize("variant", BUILT)
def test_parameter_count_matches_the_published_model(variant):
    model = full_size(variant)
    assert model.count_params() == KERAS_PARAMS[variant]
    assert trainable(model) / 1e6 == pytest.approx(AUTHORS[variant][0], abs=0.05)


@pytest.mark.parametrize("variant", BUILT)
def test_multiply_adds_match_the_publication(variant):
    total = multiply_adds(full_size(variant))
    digits = 0.005 if variant == "b0" else 0.05
    assert total / 1e9 == pytest.approx(AUTHORS[variant][1], abs=digits)


def test_each_variant_takes_pictures_of_its_own_resolution():
    # of the authors' code, for prediction
    assert [row[2] for row in VARIANTS.values()] == [224, 240, 260, 300]
    assert full_size("b3").input_shape == (None, 300, 300, 3)


@in_64_bits()
def test_logits_equal_keras_applications_on_the_same_weights():
    ours = efficientnet_v2("b0", input_shape=(None, None, 3))
    assert len(skip_rates(ours)) == 15  # blocks of b0 that keep the shape

    def build(shape):
        theirs = keras.applications.EfficientNetV2B0(
            weights=None,
            input_shape=shape,
            classifier_activation=None,
            include_preprocessing=False,
        )
        assert skip_rates(ours) == pytest.approx(skip_rates(theirs))
        return theirs

    compare_logits(ours, build, prepare=ours.get_layer("rescale"))


def test_blocks_are_skipped_more_often_the_deeper_they_lie():
    rates = skip_rates(full_size("b3"))
    assert rates == sorted(rates) and 0 < rates[0] < 0.02 and 0.18 < rates[-1] < 0.2


def edges(strides):
    """Zeros for a 3x3 window on a map of 5 x 6: at the even size, after it only."""
    return (1, 1), (1, 1) if strides == 1 else (0, 1)


@pytest.mark.parametrize("strides", [1, 2])
def test_a_block_is_what_numpy_computes(strides):
    model, image, output = random_model(
        mbconv_block, (5, 6, 8), 8, strides, expansion=3, drop=0.5
    )
    weights = model.get_weights()
    x = swish(norm(image @ weights[0][0, 0], *weights[1:5]))
    x = swish(norm(depthwise(x, weights[5], *edges(strides), strides), *weights[6:10]))
    x = excited(x, *weights[10:14])
    assert weights[10].shape == (1, 1, 24, 2)  # a quarter of the input's channels
    x = norm(x @ weights[14][0, 0], *weights[15:])
    if strides == 1:
        x = x + image
    np.testing.assert_allclose(output, x, atol=1e-4, rtol=1e-4)
    assert x.std() > 0.1


@pytest.mark.parametrize("expansion", [1, 3])
@pytest.mark.parametrize("strides", [1, 2])
def test_a_fused_block_is_what_numpy_computes(expansion, strides):
    model, image, output = random_model(
        fused_mbconv_block, (5, 6, 8), 8, strides, expansion=expansion, drop=0.5
    )
    kernel, *weights = model.get_weights()
    padded = np.pad(image, (*edges(strides), (0, 0)))
    maps = [
        correlate(padded, kernel[..., i], "valid")[..., 0] for i in range(8 * expansion)
    ]
    x = swish(norm(np.stack(maps, axis=-1)[::strides, ::strides], *weights[:4]))
    if expansion > 1:
        x = norm(x @ weights[4][0, 0], *weights[5:])
    else:
        assert len(weights) == 4
    if strides == 1:
        x = x + image
    np.testing.assert_allclose(output, x, atol=1e-4, rtol=1e-4)
    assert x.std() > 0.1


@pytest.mark.parametrize("variant", ["b4", "s", 0, None])
def test_an_unknown_variant_is_named_and_the_known_ones_are_listed(variant):
    with pytest.raises(ValueError, match=r"\['b0', 'b1', 'b2', 'b3'\]") as error:
        efficientnet_v2(variant)
    assert str(error.value).endswith(f"Received: variant={variant!r}")


def test_a_picture_under_32_pixels_is_sent_to_the_small_network():
    with pytest.raises(ValueError, match="32 pixels.*`mobilenet_cifar`") as error:
        efficientnet_v2(input_shape=(28, 28, 1))
    assert str(error.value).endswith("Received: input_shape=(28, 28, 1)")
