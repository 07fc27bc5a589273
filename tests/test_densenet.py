import functools

import keras
import numpy as np
import pytest
from keras.applications.densenet import preprocess_input
from references import (
    conv,
    convolutions,
    multiply_adds,
    norm,
    of_kind,
    part,
    random_model,
    relu,
    trainable,
    without_random_start,
)

from cnnkit.models.densenet import (
    VARIANTS,
    basic_layer,
    bottleneck_layer,
    densenet,
    transition,
)
from cnnkit.models.densenet_cifar import densenet_cifar

# Trainable parameters of torchvision's models, and their multiply-adds at 224 x 224
# pixels in thousands of millions.
TORCHVISION = {
    121: (7_978_856, 2.834),
    169: (14_149_480, 3.360),
    201: (20_013_928, 4.291),
}
# All parameters of keras.applications, with the averages of BatchNorm.
KERAS_PARAMS = {121: 8_062_504, 169: 14_307_880, 201: 20_242_984}
# Table 2 of the paper, rows without bottleneck: (depth, growth): millions.
TABLE_2 = {(40, 12): 1.0, (100, 24): 27.2}


@functools.cache
def full_size(depth):
    with without_random_start():
        return densenet(depth)


def bn_relu_conv(model, name, x):
    """One step of a layer by scipy: normalisation, ReLU, convolution."""
    x = relu(norm(x, *model.get_layer(f"{name}_bn").get_weights(), 1.001e-5))
    return conv(x, *model.get_layer(f"{name}_conv").get_weights())


def test_every_variant_has_a_published_size():
    assert set(VARIANTS) == set(TORCHVISION) == set(KERAS_PARAMS)


BUILT = [121, 201]


@pytest.mark.parametrize("depth", BUILT)
def test_parameters_and_multiply_adds_match_the_published_model(depth):
    model = full_size(depth)
    assert trainable(model) == TORCHVISION[depth][0]
    assert model.count_params() == KERAS_PARAMS[depth]
    assert multiply_adds(model) / 1e9 == pytest.approx(TORCHVISION[depth][1], abs=6e-4)


@pytest.mark.parametrize("depth", BUILT)
def test_the_depth_counts_the_weighted_layers(depth):
    assert len(convolutions(full_size(depth))) + 1 == depth  # and the dense layer


@pytest.mark.parametrize("depth, channels", [(121, [1024, 1024]), (201, [1792, 1920])])
def test_maps_have_the_sizes_of_table_1(depth, channels):
    """The growth rate k is 32: each layer adds 32 channels, a transition halves."""
    model = full_size(depth)
    blocks = [f"block{i}_layer{n}_out" for i, n in enumerate(VARIANTS[depth], 1)]
    names = ["stem_relu", "stem_pool", blocks[0], "transition1_pool", blocks[1]]
    names += ["transition2_pool", blocks[2], "transition3_pool", blocks[3]]
    names += ["features"]
    shapes = [model.get_layer(name).output.shape[2:] for name in names]
    third, last = channels
    early = [(112, 64), (56, 64), (56, 256), (28, 128), (28, 512), (14, 256)]
    late = [(14, third), (7, third // 2), (7, last), (7, last)]
    assert shapes == early + late


def test_logits_equal_keras_applications_on_the_same_weights():
    shape = (75, 40, 3)
    ours = densenet(121, num_classes=20, input_shape=shape)
    theirs = keras.applications.DenseNet121(
        weights=None, classes=20, input_shape=shape, classifier_activation=None
    )
    rng = np.random.default_rng(0)
    for variable in theirs.variables:  # scales and averages leave 0 and 1
        variable.assign(variable.numpy() + rng.normal(0, 0.02, variable.shape))
    ours.set_weights(theirs.get_weights())
    logits = part(ours, "logits")

    images = rng.uniform(0, 255, (3, *shape)).astype("float32")
    images *= np.reshape([0.1, 0.5, 1], (3, 1, 1, 1))  # dark, dim and bright
    wanted = preprocess_input(images.copy())  # the docstring says how to undo ours
    expected = np.asarray(theirs(wanted))
    np.testing.assert_allclose(logits(127.5 * (wanted + 1)), expected, atol=1e-4)
    assert expected.std(axis=1).min() > 0.01  # the classes differ,
    assert expected.std(axis=0).mean() > 0.01  # and so do the pictures


@pytest.mark.parametrize("depth, growth", TABLE_2)
def test_the_small_net_has_the_parameters_of_table_2(depth, growth):
    with without_random_start():
        model = densenet_cifar(depth, growth)
    assert round(trainable(model) / 1e6, 1) == TABLE_2[depth, growth]
    assert len(convolutions(model)) + 1 == depth


def test_the_small_net_has_the_count_that_others_report_and_the_maps_of_section_3():
    model = densenet_cifar()
    # Implementations of L=40, k=12 for 10 classes report 1,019,722.
    assert trainable(model) == 1_019_722
    assert not of_kind(model, keras.layers.Dropout)
    names = ["stem_conv", "block1_layer12_out", "transition1_pool"]
    names += ["block2_layer12_out", "transition2_pool", "block3_layer12_out"]
    shapes = [model.get_layer(name).output.shape[2:] for name in names]
    assert shapes == [(32, 16), (32, 160), (16, 160), (16, 304), (8, 304), (8, 448)]


def test_a_basic_layer_equals_scipy():
    model, x, result = random_model(basic_layer, (6, 5, 3), 2)
    expected = np.concatenate([x, bn_relu_conv(model, "it", x)], -1)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_a_bottleneck_layer_equals_scipy():
    model, x, result = random_model(bottleneck_layer, (6, 5, 3), 2)
    inner = bn_relu_conv(model, "it_1", x)
    assert inner.shape == (6, 5, 8)  # four times the growth
    expected = np.concatenate([x, bn_relu_conv(model, "it_2", inner)], -1)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_a_transition_equals_scipy_and_leaves_an_odd_row_out():
    model, x, result = random_model(transition, (6, 5, 4), 2)
    full = bn_relu_conv(model, "it", x)[:, :4]
    expected = full.reshape(3, 2, 2, 2, 2).mean((1, 3))
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("depth", [40, "121", None])
def test_an_unknown_depth_is_named_and_the_known_ones_are_listed(depth):
    with pytest.raises(ValueError, match=r"\[121, 169, 201\]") as error:
        densenet(depth)
    assert str(error.value).endswith(f"Received: depth={depth!r}")


@pytest.mark.parametrize("depth", [4, 41, "40", None])
def test_a_small_net_whose_depth_is_not_3n_plus_4_is_refused(depth):
    with pytest.raises(ValueError, match="3n [+] 4.*40 or 100") as error:
        densenet_cifar(depth)
    assert str(error.value).endswith(f"Received: depth={depth!r}")


@pytest.mark.parametrize("growth", [0, -1, 1.5, "12", None])
def test_a_growth_under_one_channel_is_refused(growth):
    with pytest.raises(ValueError, match="from 1 up") as error:
        densenet_cifar(40, growth)
    assert str(error.value).endswith(f"Received: growth={growth!r}")


def test_small_pictures_are_refused_and_sent_to_the_small_net():
    with pytest.raises(ValueError, match="32 pixels.*`densenet_cifar`") as error:
        densenet(input_shape=(None, 31, 3))
    assert str(error.value).endswith("Received: input_shape=(None, 31, 3)")
    with pytest.raises(ValueError, match=r"8 pixels.*input_shape=\(7, 28, 1\)"):
        densenet_cifar(input_shape=(7, 28, 1))
