import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from references import (
    conv,
    norm,
    of_kind,
    part,
    random_model,
    relu,
    trainable,
    without_random_start,
)
from scipy.ndimage import maximum_filter
from scipy.special import softmax

from cnnkit.models.blocks import response_norm
from cnnkit.models.googlenet import (
    OFFSET,
    ROWS,
    STRENGTH,
    auxiliary_head,
    googlenet,
    googlenet_with_auxiliary_heads,
    inception_block,
)
from cnnkit.models.googlenet_cifar import (
    downsample_block,
    googlenet_cifar,
    small_inception_block,
)

# Table 1 of the paper: output size; weights in units of 1,024 (114,688 are "112K");
# millions of multiply-adds.
PAPER_ROWS = {
    "conv1": ((112, 112, 64), 2.7, 34),
    "conv2": ((56, 56, 192), 112, 360),
    "3a": ((28, 28, 256), 159, 128),
    "3b": ((28, 28, 480), 380, 304),
    "4a": ((14, 14, 512), 364, 73),
    "4b": ((14, 14, 512), 437, 88),
    "4c": ((14, 14, 512), 463, 100),
    "4d": ((14, 14, 528), 580, 119),
    "4e": ((14, 14, 832), 840, 170),
    "5a": ((7, 7, 832), 1072, 54),
    "5b": ((7, 7, 1024), 1388, 71),
    "linear": ((1000,), 1000, 1),
}
# Six rows whose weights cannot be those of the filters in the same row:
# input * (1x1 filters) + 9 * (3x3) + 25 * (5x5). In 4c, 4d, 4e and 5b the printed
# multiply-adds fit the filters; in 5a they repeat the mistake (1072 * 1024 * 49 is 54
# million). The sums over all rows, which others have counted, are tested below.
MISPRINTED = {
    "4a": 480 * (192 + 96 + 16 + 64) + 9 * 96 * 208 + 25 * 16 * 48,
    "4c": 512 * (128 + 128 + 24 + 64) + 9 * 128 * 256 + 25 * 24 * 64,
    "4d": 512 * (112 + 144 + 32 + 64) + 9 * 144 * 288 + 25 * 32 * 64,
    "4e": 528 * (256 + 160 + 32 + 128) + 9 * 160 * 320 + 25 * 32 * 128,
    "5a": 832 * (256 + 160 + 32 + 128) + 9 * 160 * 320 + 25 * 32 * 128,
    "5b": 832 * (384 + 192 + 48 + 128) + 9 * 192 * 384 + 25 * 48 * 128,
}
# torchvision's GoogLeNet without heads: parameters, and multiply-adds in thousands
# of millions. It has BatchNorm, and 3x3 windows where the paper has 5x5.
TORCHVISION = (6_624_904, 1.498)


@functools.cache
def full_size(build=googlenet):
    with without_random_start():
        return build()


def with_weights(model):
    return [layer for layer in model.layers if layer.weights]


def weights_of(layer):
    return int(np.prod(layer.kernel.shape))


def operations_of(layer):
    return weights_of(layer) * int(np.prod(layer.output.shape[1:-1]))


def layers_of_row(row):
    if row in ROWS:
        prefix = f"inception_{row}"
    else:
        prefix = "logits" if row == "linear" else row
    return [x for x in with_weights(full_size()) if x.name.startswith(prefix)]


def test_all_parameters_are_those_that_others_count():
    # Caffe's bvlc_googlenet, as drawn by Netscope: 27 layers, 6,998,552 parameters.
    assert full_size().count_params() == 6_998_552
    # Keras and PyTorch versions without BatchNorm, both heads: 13,378,280.
    with_heads = full_size(googlenet_with_auxiliary_heads)
    assert with_heads.count_params() == 13_378_280


def test_the_sums_become_those_of_torchvision_with_batch_norm_and_smaller_windows():
    five = [x for x in full_size().layers if x.name.endswith("_5x5")]
    convs = [x for x in with_weights(full_size()) if x.name != "logits"]
    parameters = full_size().count_params()
    parameters -= sum(weights_of(x) * 16 // 25 for x in five)  # 25 to 9 in a window
    parameters += sum(x.filters for x in convs)  # a bias becomes gamma and beta
    operations = sum(map(operations_of, with_weights(full_size())))
    operations -= sum(operations_of(x) * 16 // 25 for x in five)
    assert (parameters, round(operations / 1e9, 3)) == TORCHVISION


@pytest.mark.parametrize("row", sorted(set(PAPER_ROWS) - {"conv1", *MISPRINTED}))
def test_weights_of_each_row_match_table_1(row):
    weights = sum(map(weights_of, layers_of_row(row)))
    assert weights / 1024 == pytest.approx(PAPER_ROWS[row][1], abs=1)


@pytest.mark.parametrize("row", MISPRINTED)
def test_weights_of_a_misprinted_row_follow_from_its_filters(row):
    weights = sum(map(weights_of, layers_of_row(row)))
    assert weights == MISPRINTED[row]
    assert abs(weights / 1024 - PAPER_ROWS[row][1]) > 2


@pytest.mark.parametrize("row", sorted(set(PAPER_ROWS) - {"conv1", "5a"}))
def test_multiply_adds_of_each_row_match_table_1(row):
    operations = sum(map(operations_of, layers_of_row(row)))
    assert operations / 1e6 == pytest.approx(PAPER_ROWS[row][2], abs=1)


def test_the_first_row_of_table_1_counts_7_plus_7_where_the_window_has_7_by_7():
    (conv1,) = layers_of_row("conv1")
    assert weights_of(conv1) == 49 * 3 * 64
    assert round(weights_of(conv1) * 14 / 49 / 1e3, 1) == PAPER_ROWS["conv1"][1]
    assert round(operations_of(conv1) * 14 / 49 / 1e6) == PAPER_ROWS["conv1"][2]


def test_each_row_has_the_output_size_of_table_1():
    named = {"conv1": "conv1", "conv2": "conv2", "linear": "logits"}
    for row, (shape, _, _) in PAPER_ROWS.items():
        layer = full_size().get_layer(named.get(row, f"inception_{row}_out"))
        assert layer.output.shape[1:] == shape, row
    pooled = ["conv1_pool", "stage3_pool", "stage4_pool", "stage5_pool", "pooled"]
    shapes = [full_size().get_layer(name).output.shape[1:] for name in pooled]
    last = [(7, 7, 832), (1024,)]
    assert shapes == [(56, 56, 64), (28, 28, 192), (14, 14, 480), *last]
    assert full_size().get_layer("dropout").rate == 0.4


def test_an_inception_block_equals_scipy():
    model, x, result = random_model(inception_block, (6, 7, 3), (2, 3, 4, 2, 3, 5))

    def step(x, name):
        return relu(conv(x, *model.get_layer(f"it_{name}").get_weights()))

    pooled = maximum_filter(x, (3, 3, 1), mode="constant", cval=-np.inf)
    paths = [
        step(x, "1x1"),
        step(step(x, "3x3_reduce"), "3x3"),
        step(step(x, "5x5_reduce"), "5x5"),
        step(pooled, "pool_projection"),
    ]
    assert [path.shape[-1] for path in paths] == [2, 4, 3, 5]
    np.testing.assert_allclose(result, np.concatenate(paths, -1), rtol=1e-4, atol=1e-4)


def test_the_response_norm_is_that_of_tensorflow_on_pixels_up_to_255():
    _, x, result = random_model(response_norm, (3, 4, 9), OFFSET, STRENGTH, low=0)
    # TensorFlow takes the sum of five squares and Caffe their mean: alpha / 5.
    expected = tf.nn.local_response_normalization(
        127.5 * x[None], depth_radius=2, bias=1, alpha=1e-4 / 5, beta=0.75
    )
    np.testing.assert_allclose(result, expected[0] / 127.5, rtol=1e-5)
    assert (result < 0.9 * x).any()  # it does something at this scale


def test_an_auxiliary_head_equals_numpy():
    model, x, result = random_model(auxiliary_head, (8, 9, 2), 3)
    windows = [x[i : i + 5, j : j + 5].mean((0, 1)) for i in (0, 3) for j in (0, 3)]
    pooled = np.reshape(windows, (2, 2, 2))
    reduced = relu(conv(pooled, *model.get_layer("it_conv").get_weights())).reshape(-1)
    kernel, bias = model.get_layer("it_dense").get_weights()
    hidden = relu(reduced @ kernel + bias)
    kernel, bias = model.get_layer("it_logits").get_weights()
    expected = hidden @ kernel + bias
    logits = part(model, "it_logits")(x[None])[0]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(result, softmax(expected), atol=1e-4)


def test_heads_pool_14_to_4_drop_out_and_can_be_thrown_away():
    model = full_size(googlenet_with_auxiliary_heads)
    for row, channels in [("4a", 512), ("4d", 528)]:
        # Section 5: "an average pooling layer [...] resulting in an 4x4x512 output
        # for the (4a), and 4x4x528 for the (4d) stage".
        pool = model.get_layer(f"head_{row}_pool")
        assert pool.input is model.get_layer(f"inception_{row}_out").output
        assert pool.output.shape[1:] == (4, 4, channels)
        assert model.get_layer(f"head_{row}_dense").units == 1024
        assert model.get_layer(f"head_{row}_dropout").rate == 0.7
    without = keras.Model(model.input, model.outputs[0])
    assert [w.shape for w in without.weights] == [w.shape for w in full_size().weights]


def test_losses_of_the_heads_count_0_3_each_as_the_docstring_says():
    model = googlenet_with_auxiliary_heads(num_classes=4, input_shape=(65, 65, 3))
    model.compile(
        "sgd",
        loss=["sparse_categorical_crossentropy"] * 3,
        loss_weights=[1, 0.3, 0.3],
    )
    images = np.random.default_rng(0).uniform(0, 255, (3, 65, 65, 3))
    labels = np.array([0, 1, 3])
    total = model.test_on_batch(images, [labels] * 3, return_dict=True)["loss"]
    losses = [-np.log(np.asarray(p)[range(3), labels]).mean() for p in model(images)]
    assert total == pytest.approx(losses @ np.array([1, 0.3, 0.3]), rel=1e-3)
    assert len(set(losses)) == 3


def test_the_small_net_has_the_published_parameters():
    # Table 1 of Zhang et al. gives 1,649,402 at 10 classes: the kernels, one offset a
    # filter (where we have a bias and a beta) and no gamma.
    model = googlenet_cifar()
    norms = of_kind(model, keras.layers.BatchNormalization)
    assert trainable(model) - 2 * sum(x.gamma.shape[0] for x in norms) == 1_649_402


def test_the_small_net_has_the_maps_of_figure_3():
    model = googlenet_cifar()
    ends = ["stem_relu", *(x.name for x in model.layers if x.name.endswith("_out"))]
    shapes = [model.get_layer(name).output.shape[2:] for name in ends]
    first = [(28, 96), (28, 64), (28, 80)]
    middle = [(14, 160), (14, 160), (14, 160), (14, 160), (14, 144)]
    assert shapes == [*first, *middle, (7, 240), (7, 336), (7, 336)]


def test_the_small_blocks_equal_scipy():
    def step(x, name):
        x = conv(x, *model.get_layer(f"it_{name}_conv").get_weights())
        return norm(x, *model.get_layer(f"it_{name}_bn").get_weights(), 1.001e-5)

    model, x, result = random_model(small_inception_block, (5, 6, 2), (3, 4))
    expected = relu(np.concatenate([step(x, "1x1"), step(x, "3x3")], -1))
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)

    model, x, result = random_model(downsample_block, (7, 6, 2), 3, low=0)
    pooled = maximum_filter(x, (3, 3, 1), mode="constant")
    paths = [relu(step(x, "3x3")), pooled]  # each at every second place
    expected = np.concatenate(paths, -1)[::2, ::2]
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(31, 64, 3), (None, 8, 1)])
def test_a_picture_under_32_pixels_is_sent_to_the_small_net(shape):
    with pytest.raises(ValueError, match="32 pixels.*`googlenet_cifar`") as error:
        googlenet(input_shape=shape)
    assert str(error.value).endswith(f"Received: input_shape={shape}")


@pytest.mark.parametrize("shape", [(64, 224, 3), (224, None, 3), (None, None, 1)])
def test_heads_refuse_what_they_cannot_pool_and_flatten(shape):
    with pytest.raises(ValueError, match="65 pixels.*`googlenet`") as error:
        googlenet_with_auxiliary_heads(input_shape=shape)
    assert str(error.value).endswith(f"Received: input_shape={shape}")


def test_the_small_net_refuses_under_8_pixels():
    with pytest.raises(ValueError, match=r"8 pixels.*input_shape=\(28, 7, 3\)"):
        googlenet_cifar(input_shape=(28, 7, 3))


def test_heads_refuse_bad_shapes_and_numbers_of_classes():
    with pytest.raises(ValueError, match=r"Received: input_shape=\(224, 224\)"):
        googlenet_with_auxiliary_heads(input_shape=(224, 224))
    with pytest.raises(ValueError, match="Received: num_classes=1$"):
        googlenet_with_auxiliary_heads(num_classes=1, input_shape=(65, 65, 3))
