import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from references import of_kind, part, without_random_start
from scipy.signal import correlate

from cnnkit.models.alexnet import (
    OFFSET,
    STRENGTH,
    alexnet,
    alexnet_pooled,
    conv_halves,
)
from cnnkit.models.alexnet_cifar import alexnet_cifar
from cnnkit.models.blocks import response_norm

# Section 3.5 of the paper: filters and the size of one (its second, fourth and fifth
# convolution see half of the channels before them), and how many positions there are.
PAPER_KERNELS = {
    "conv1": (96, 11 * 11 * 3, 55 * 55),
    "conv2": (256, 5 * 5 * 48, 27 * 27),
    "conv3": (384, 3 * 3 * 256, 13 * 13),
    "conv4": (384, 3 * 3 * 192, 13 * 13),
    "conv5": (256, 3 * 3 * 192, 13 * 13),
    "hidden": (4096, 6 * 6 * 256, 1),
    "pooled": (4096, 4096, 1),
    "logits": (1000, 4096, 1),
}
# Caption of figure 2: neurons of the second to the last layer. (It counts 253,440 in
# the first, which no map of 96 channels has: 55 x 55 x 96 = 290,400.)
PAPER_NEURONS = {
    "conv2": 186_624,
    "conv3": 64_896,
    "conv4": 64_896,
    "conv5": 43_264,
    "hidden": 4096,
    "pooled": 4096,
    "logits": 1000,
}
# Netscope's count for bvlc_alexnet, which is the paper's network in Caffe. The paper
# itself says "60 million"; Sze et al. 2017 (table 2) "61M weights, 724M MACs", of them
# 2.3M and 666M in the convolutions.
PUBLISHED_PARAMS = 60_965_224
PUBLISHED_MULTIPLY_ADDS = 724_406_816
# Zhang et al. 2017, table 1, "Alexnet", for crops of 28 pixels and ten classes.
PUBLISHED_CIFAR_PARAMS = 1_387_786


@functools.cache
def full_size(builder):
    with without_random_start():
        return builder()


def weighted(model):
    """Our layers with weights by the paper's name: two halves are one layer."""
    found = {}
    for layer in model.layers:
        if layer.weights:
            found.setdefault(layer.name.split("_")[0], []).append(layer)
    return found


def randomise(model, seed):
    """Gives every weight a value of its own, biases too, and large enough to see."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        is_kernel = len(weight.shape) > 1
        spread = np.sqrt(8 / np.prod(weight.shape[:-1])) if is_kernel else 0.1
        weight.assign(rng.normal(0, spread, weight.shape))


def pictures(*shape, seed=0):
    """Noise, brighter in one picture and channel than in another."""
    rng = np.random.default_rng(seed)
    light = rng.uniform(0, 1, (shape[0], 1, 1, shape[-1]))
    return (light * rng.uniform(0, 255, shape)).astype("float32")


def logits_of(model, images):
    return np.asarray(part(model, "logits")(images))


def test_parameter_counts_match_the_published_networks():
    assert full_size(alexnet).count_params() == PUBLISHED_PARAMS
    assert alexnet_cifar().count_params() == PUBLISHED_CIFAR_PARAMS
    convolutions = PUBLISHED_PARAMS - 37_752_832 - 16_781_312 - 4_097_000
    pooled = full_size(alexnet_pooled).count_params()
    assert pooled == convolutions + 256 * 1000 + 1000


def test_each_layer_has_the_kernels_and_neurons_of_the_paper():
    layers = weighted(full_size(alexnet))
    assert list(layers) == list(PAPER_KERNELS)
    multiply_adds = 0
    for name, (filters, size, positions) in PAPER_KERNELS.items():
        outputs = sum(layer.output.shape[-1] for layer in layers[name])
        assert (name, outputs) == (name, filters)
        for layer in layers[name]:
            assert np.prod(layer.kernel.shape[:-1]) == size
            assert np.prod(layer.output.shape[1:-1], dtype=int) == positions
            multiply_adds += layer.kernel.shape.num_elements() * positions
        if name in PAPER_NEURONS:
            assert filters * positions == PAPER_NEURONS[name]
    assert multiply_adds == PUBLISHED_MULTIPLY_ADDS


def test_the_maps_shrink_as_in_the_paper():
    model = full_size(alexnet)
    names = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "features")
    sides = [model.get_layer(name).output.shape[1] for name in names]
    assert sides == [55, 27, 27, 13, 13, 13, 13, 6]
    assert model.get_layer("features").output.shape == (None, 6, 6, 256)
    assert [x.rate for x in of_kind(model, keras.layers.Dropout)] == [0.5, 0.5]


def test_response_norm_is_the_formula_of_the_paper():
    """Section 3.3 with its own constants, on maps that reach as far as its pixels."""
    maps = np.random.default_rng(0).normal(0, 60, (2, 3, 4, 7))
    expected = np.empty_like(maps)
    for i in range(7):
        near = maps[..., max(0, i - 2) : min(6, i + 2) + 1]
        expected[..., i] = maps[..., i] / (2 + 1e-4 * (near**2).sum(-1)) ** 0.75
    ours = keras.ops.convert_to_tensor(maps / 127.5, "float32")
    ours = response_norm(ours, OFFSET, STRENGTH, name="n")
    np.testing.assert_allclose(np.asarray(ours) * 127.5, expected, rtol=1e-5)
    assert np.ptp(expected / maps) > 0.1  # it does more than divide by a constant


def test_each_half_of_a_layer_sees_its_own_half():
    rng = np.random.default_rng(0)
    inputs = keras.Input((9, 8, 6))
    model = keras.Model(inputs, conv_halves(inputs, 4, 5, name="conv"))
    randomise(model, seed=0)
    maps = rng.normal(size=(1, 9, 8, 6)).astype("float32")
    kernels, biases = model.get_weights()[::2], model.get_weights()[1::2]
    padded = np.pad(maps[0], ((2, 2), (2, 2), (0, 0)))
    expected = [
        correlate(half, kernels[i][..., k], "valid")[..., 0] + biases[i][k]
        for i, half in enumerate(np.split(padded, 2, axis=-1))
        for k in range(2)
    ]
    expected = np.maximum(np.stack(expected, axis=-1), 0)
    np.testing.assert_allclose(model(maps)[0], expected, atol=1e-5)
    assert (expected > 0).any(axis=(0, 1)).all()


@pytest.mark.parametrize("size", [(67, 67), (99, 84)])
def test_logits_equal_tensorflows_operations_on_the_pixels_of_the_paper(size):
    """The reference sees pixels of up to 127.5 and the constants as they are printed.

    So its biases are 127.5 times as large, and its logits come out as much larger.
    """
    model = alexnet(num_classes=5, input_shape=(*size, 3))
    randomise(model, seed=1)
    images = pictures(2, *size, 3)

    x = images - 127.5
    layers = weighted(model)
    for name in layers:
        kernels = [layer.kernel.numpy() for layer in layers[name]]
        biases = np.concatenate([layer.bias.numpy() for layer in layers[name]]) * 127.5
        if "conv" in name:
            stride, padding = (4, "VALID") if name == "conv1" else (1, "SAME")
            parts = tf.split(x, len(kernels), axis=-1)
            parts = [
                tf.nn.conv2d(part, kernel, stride, padding)
                for part, kernel in zip(parts, kernels, strict=True)
            ]
            x = tf.nn.relu(tf.concat(parts, axis=-1) + biases)
            if name in ("conv1", "conv2"):
                x = tf.nn.local_response_normalization(
                    x, depth_radius=2, bias=2, alpha=1e-4, beta=0.75
                )
            if name in ("conv1", "conv2", "conv5"):
                x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        else:
            x = tf.reshape(x, (2, -1)) @ kernels[0] + biases
            x = x if name == "logits" else tf.nn.relu(x)
    expected = x.numpy() / 127.5
    np.testing.assert_allclose(logits_of(model, images), expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.1  # the pictures make a difference


def test_the_small_network_equals_tensorflows_operations():
    model = alexnet_cifar(num_classes=4, input_shape=(13, 9, 1))
    randomise(model, seed=3)
    images = pictures(2, 13, 9, 1)
    x = images / 127.5 - 1
    for name in ("conv1", "conv2"):
        kernel, bias = model.get_layer(name).get_weights()
        x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias)
        x = tf.nn.max_pool2d(x, 3, 2, "SAME")
        x = tf.nn.local_response_normalization(x, 2, 2, 1e-4 * 127.5**2, 0.75)
    x = tf.reshape(x, (2, -1))
    for name in ("hidden", "pooled", "logits"):
        kernel, bias = model.get_layer(name).get_weights()
        x = x @ kernel + bias
        x = x if name == "logits" else tf.nn.relu(x)
    np.testing.assert_allclose(logits_of(model, images), x, atol=1e-4)
    assert np.ptp(x, axis=0).max() > 0.1


def test_the_pooled_network_averages_the_same_features_at_any_size():
    flat = alexnet(num_classes=5, input_shape=(99, 84, 3))
    pooled = alexnet_pooled(num_classes=5, input_shape=(None, None, 3))
    randomise(flat, seed=5)
    for name in weighted(pooled):
        if name != "logits":
            for ours in weighted(pooled)[name]:
                ours.set_weights(flat.get_layer(ours.name).get_weights())
    images = pictures(1, 99, 84, 3)
    expected = np.asarray(part(flat, "features")(images)).mean(axis=(1, 2))
    np.testing.assert_allclose(part(pooled, "pooled")(images), expected, atol=1e-5)
    assert expected.std() > 0.01
    assert pooled(images[:, :67, :80]).shape == (1, 5)


@pytest.mark.parametrize("builder", [alexnet, alexnet_cifar])
@pytest.mark.parametrize("shape", [(None, None, 3), (227, None, 1)])
def test_any_size_is_refused_and_the_pooled_variant_named(builder, shape):
    with pytest.raises(ValueError, match="take `alexnet_pooled`") as error:
        builder(input_shape=shape)
    assert str(error.value).endswith(f"Received: input_shape={shape}")


@pytest.mark.parametrize(
    "builder, shape, smallest, remedy",
    [
        (alexnet, (66, 227, 3), 67, "or take `alexnet_cifar`"),
        (alexnet_pooled, (None, 66, 3), 67, "or take `alexnet_cifar`"),
        (alexnet_cifar, (7, 28, 1), 8, "enlarge the pictures"),
    ],
)
def test_a_picture_that_is_too_small_is_refused(builder, shape, smallest, remedy):
    with pytest.raises(ValueError, match=f"at least {smallest} pixels") as error:
        builder(input_shape=shape)
    assert str(error.value).endswith(f"{remedy}. Received: input_shape={shape}")
