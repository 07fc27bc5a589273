import functools

import keras
import numpy as np
import pytest
from references import (
    conv,
    convolutions,
    multiply_adds,
    norm,
    of_kind,
    random_model,
    trainable,
    without_random_start,
)

from cnnkit.models.blocks import conv_bn
from cnnkit.models.resnet_cifar import (
    DEPTHS,
    conv_without_norm,
    plain_block,
    plain_cifar,
    residual_block,
    resnet_cifar,
    subsample,
)

# Table 6 of the paper in millions of parameters, and the exact number that
# implementations with its shortcuts report, which have no biases in convolutions (such
# as github.com/akamaster/pytorch_resnet_cifar10).
TABLE_6 = {
    20: (0.27, 269_722),
    32: (0.46, 464_154),
    44: (0.66, 658_586),
    56: (0.85, 853_018),
    110: (1.7, 1_727_962),
}
# Li, Kadav, Durdanovic, Samet and Graf, "Pruning Filters for Efficient ConvNets", 2017
# (table 1): multiply-adds at 32 x 32 pixels, before pruning.
PUBLISHED_OPERATIONS = {56: 1.25e8, 110: 2.53e8}

both_nets = pytest.mark.parametrize("build", [plain_cifar, resnet_cifar])
both_convs = pytest.mark.parametrize("conv", [conv_bn, conv_without_norm])


@functools.cache
def full_size(depth, build=resnet_cifar):
    with without_random_start():
        return build(depth)


def conv_by_scipy(model, name, x, strides=1):
    """One step of a block: convolution, and the norm if there is one."""
    x = conv(x, *model.get_layer(f"{name}_conv").get_weights())[::strides, ::strides]
    for layer in of_kind(model, keras.layers.BatchNormalization):
        if layer.name == f"{name}_bn":
            x = norm(x, *layer.get_weights(), 1.001e-5)
    return x


BUILT = [20, 56, 110]  # the depth is a sum: others between them tell nothing new


@pytest.mark.parametrize("depth", BUILT)
def test_parameters_match_table_6(depth):
    model = full_size(depth)
    biases = sum(x.filters for x in convolutions(model))
    millions, exact = TABLE_6[depth]
    assert trainable(model) - biases == exact
    assert round(exact / 1e6, 1 if depth == 110 else 2) == millions


@pytest.mark.parametrize("depth", PUBLISHED_OPERATIONS)
def test_multiply_adds_match_what_others_published(depth):
    """Parameters do not show where a map is halved; operations do."""
    total = multiply_adds(full_size(depth))
    assert total == pytest.approx(PUBLISHED_OPERATIONS[depth], rel=0.005)


@pytest.mark.parametrize("depth", [8, *BUILT])
def test_the_depth_counts_the_weighted_layers(depth):
    assert len(convolutions(full_size(depth))) + 1 == depth  # and the dense layer


def test_maps_are_as_many_and_as_large_as_in_section_4_2():
    for build in (plain_cifar, resnet_cifar):
        shapes = [x.output.shape[2:] for x in convolutions(full_size(20, build))]
        # output map size: layers, 1 + 2n, 2n and 2n for n = 3
        assert shapes == 7 * [(32, 16)] + 6 * [(16, 32)] + 6 * [(8, 64)]


@pytest.mark.parametrize("depth", [8, 20])
def test_shortcuts_add_no_weights(depth):
    with_shortcuts = full_size(depth).weights
    without = full_size(depth, plain_cifar).weights
    assert [w.shape for w in with_shortcuts] == [w.shape for w in without]


@both_nets
@both_convs
def test_two_choices_give_four_nets_that_differ_in_nothing_else(build, conv):
    model = build(14, conv=conv)
    norms = of_kind(model, keras.layers.BatchNormalization)
    sums = of_kind(model, keras.layers.Add)
    assert len(norms) == (13 if conv is conv_bn else 0)
    assert len(sums) == (6 if build is resnet_cifar else 0)
    shapes = [x.kernel.shape for x in convolutions(model)]
    assert shapes == [x.kernel.shape for x in convolutions(full_size(14))]
    assert len(of_kind(model, keras.layers.ReLU)) == 13
    assert model.name == f"{build.__name__}14"


@both_convs
@pytest.mark.parametrize("strides, filters", [(1, 2), (2, 4)])
def test_a_residual_block_equals_scipy(conv, strides, filters):
    options = dict(strides=strides, filters=filters, conv=conv)
    model, x, result = random_model(residual_block, (7, 6, 2), **options)
    change = np.maximum(conv_by_scipy(model, "it_1", x, strides), 0)
    change = conv_by_scipy(model, "it_2", change)
    shortcut = np.zeros_like(change)
    shortcut[..., :2] = x[::strides, ::strides]
    expected = np.maximum(shortcut + change, 0)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
    assert (result == 0).any() and (result > 0).any()


@both_convs
@pytest.mark.parametrize("strides", [1, 2])
def test_a_plain_block_equals_scipy(conv, strides):
    options = dict(strides=strides, filters=4, conv=conv)
    model, x, result = random_model(plain_block, (7, 6, 2), **options)
    expected = np.maximum(conv_by_scipy(model, "it_1", x, strides), 0)
    expected = np.maximum(conv_by_scipy(model, "it_2", expected), 0)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
    assert (result == 0).any() and (result > 0).any()


def test_a_shortcut_picks_every_second_pixel_and_adds_zeros():
    inputs = keras.Input((5, 4, 3))
    model = keras.Model(inputs, subsample(inputs, name="it"))
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype("float32")
    expected = np.pad(x[:, ::2, ::2], [(0, 0)] * 3 + [(0, 3)])
    np.testing.assert_array_equal(model(x), expected)
    assert not model.weights


@pytest.mark.parametrize("depth", [2, 18, 57, 1208, "20", None, 20.5])
@both_nets
def test_a_depth_that_is_not_6n_plus_2_is_refused(build, depth):
    with pytest.raises(ValueError, match="20, 32, 44, 56 or 110") as error:
        build(depth)
    assert str(error.value).endswith(f"Received: depth={depth!r}")


def test_the_depths_of_the_paper_are_allowed():
    assert {*TABLE_6, 1202} <= set(DEPTHS)


@both_nets
def test_small_pictures_and_bad_shapes_are_refused(build):
    with pytest.raises(ValueError, match=r"8 pixels.*input_shape=\(7, None, 1\)"):
        build(8, input_shape=(7, None, 1))
    with pytest.raises(ValueError, match=r"Received: input_shape=\(28, 28\)"):
        build(8, input_shape=(28, 28))
    with pytest.raises(ValueError, match="Received: num_classes=0$"):
        build(8, num_classes=0)
