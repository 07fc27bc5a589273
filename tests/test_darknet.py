import functools

import keras
import numpy as np
import pytest
from references import (
    conv,
    convolutions,
    multiply_adds,
    norm,
    part,
    random_model,
    trainable,
    without_random_start,
)

from cnnkit.models.darknet import conv_leaky, darknet19

# Table 6 of the paper, row by row, at 224 pixels: filters, window and output side of a
# convolution; the output side alone of a 2x2 max pooling. Its last convolution, of 1000
# filters of 1x1, is our dense layer.
TABLE_6 = [
    *[(32, 3, 224), 112],
    *[(64, 3, 112), 56],
    *[(128, 3, 56), (64, 1, 56), (128, 3, 56), 28],
    *[(256, 3, 28), (128, 1, 28), (256, 3, 28), 14],
    *[(512, 3, 14), (256, 1, 14), (512, 3, 14), (256, 1, 14), (512, 3, 14), 7],
    *[(1024, 3, 7), (512, 1, 7), (1024, 3, 7), (512, 1, 7), (1024, 3, 7)],
]
# Thousand millions of operations (two for each multiply-add) that the authors' program
# prints for each convolution at 256 pixels, https://pjreddie.com/darknet/imagenet/
PRINTED = [0.113, 0.604, 0.604, 0.067, 0.604, 0.604, 0.067, 0.604]
PRINTED += [0.604, 0.067, 0.604, 0.067, 0.604] * 2
# Trainable parameters, from the test of `darknet19` in pytorchcv
# (https://github.com/osmr/imgclsmob), whose convolutions have no biases.
PYTORCHCV_PARAMS = 20_842_376


@functools.cache
def full_size():
    with without_random_start():
        return darknet19()


def test_parameter_count_matches_the_published_model():
    biases = sum(conv.filters for conv in convolutions(full_size()))
    assert trainable(full_size()) - biases == PYTORCHCV_PARAMS


def test_the_layers_are_those_of_table_6():
    rows = []
    for layer in full_size().layers:
        side = layer.output.shape[1]
        if isinstance(layer, keras.layers.Conv2D):
            rows.append((layer.filters, *set(layer.kernel_size), side))
        elif isinstance(layer, keras.layers.MaxPooling2D):
            rows.append(side)
    assert rows == TABLE_6


def test_nineteen_layers_have_weights():
    assert len(convolutions(full_size())) + 1 == 19  # and the dense layer


def test_each_convolution_needs_the_operations_that_the_authors_program_prints():
    operations = [
        2 * np.prod(conv.kernel.shape) * (conv.output.shape[1] * 256 / 224) ** 2 / 1e9
        for conv in convolutions(full_size())
    ]
    np.testing.assert_allclose(operations, PRINTED, atol=0.0005)


def test_operations_sum_to_those_of_the_paper():
    """Section 3: 5.58 thousand millions, with the classes decided at 7 x 7 places."""
    classes = 1024 * 1000
    operations = 2 * (multiply_adds(full_size()) + (7 * 7 - 1) * classes)
    assert operations / 1e9 == pytest.approx(5.58, abs=0.005)


def test_averaging_before_the_classes_equals_averaging_after_them():
    keras.utils.set_random_seed(0)
    model = darknet19(num_classes=5, input_shape=(96, 64, 3))
    images = np.random.default_rng(0).uniform(0, 255, (2, 96, 64, 3)).astype("float32")
    outputs = part(model, "features", "logits")(images)
    features, logits = (np.asarray(x) for x in outputs)
    assert features.shape == (2, 3, 2, 1024)
    kernel, bias = model.get_layer("logits").get_weights()
    at_each_place = np.einsum("bhwc,ck->bhwk", features, kernel) + bias  # a 1x1 window
    np.testing.assert_allclose(logits, at_each_place.mean((1, 2)), atol=1e-5)
    assert logits.std() > 0.01


def test_one_block_equals_scipy():
    model, image, ours = random_model(conv_leaky, (6, 5, 3), 4, 3)
    expected = conv(image, *model.get_layer("it_conv").get_weights())
    expected = norm(expected, *model.get_layer("it_bn").get_weights(), 1.001e-5)
    assert (expected < -0.5).any() and (expected > 0.5).any()
    expected = np.where(expected < 0, 0.1 * expected, expected)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


def test_odd_sides_are_rounded_up_at_each_pooling():
    model = darknet19(num_classes=2, input_shape=(33, 65, 1))
    assert model.get_layer("features").output.shape == (None, 2, 3, 1024)


@pytest.mark.parametrize("shape", [(31, 64, 3), (None, 28, 1)])
def test_a_picture_under_32_pixels_is_refused_with_a_way_out(shape):
    with pytest.raises(ValueError, match="at least 32 pixels.*`resnet_cifar`") as error:
        darknet19(input_shape=shape)
    assert str(error.value).endswith(f"Received: input_shape={shape}")
