import functools

import keras
import numpy as np
import pytest
from references import (
    compare_logits,
    depthwise,
    excited,
    hard_sigmoid,
    in_64_bits,
    multiply_adds,
    norm,
    random_model,
    relu,
    trainable,
    without_random_start,
)

from cnnkit.models.mobilenet_v3 import (
    VARIANTS,
    inverted_residual_block,
    mobilenet_v3,
)

# (size, width): all parameters, as keras.applications counts its MobileNetV3Large and
# MobileNetV3Small (alpha=width) of Keras 3.15; millions of trainable parameters and of
# multiply-adds, from github.com/d-li14/mobilenetv3.pytorch.
PUBLISHED = {
    ("large", 1.0): (5_507_432, 5.483, 216.60),
    ("large", 0.75): (4_012_616, 3.994, 154.57),
    ("small", 1.0): (2_554_968, 2.543, 56.52),
    ("small", 0.75): (2_051_552, 2.042, 43.40),
}
# Trainable ones, from torchvision's `MobileNet_V3_Large_Weights` and `..._Small_...`.
TORCHVISION_PARAMS = {"large": 5_483_032, "small": 2_542_856}
# The paper's table 3: millions of parameters and multiply-adds of the large network.
PAPER_LARGE = {1.0: (5.4, 219), 0.75: (4.0, 155)}


@functools.cache
def full_size(size, width):
    with without_random_start():
        return mobilenet_v3(size, width=width)


def test_every_size_has_a_published_count():
    assert set(VARIANTS) == {size for size, _ in PUBLISHED} == set(TORCHVISION_PARAMS)


@pytest.mark.parametrize("size, width", PUBLISHED)
def test_parameter_count_matches_the_published_model(size, width):
    model = full_size(size, width)
    everything, learnt, _ = PUBLISHED[size, width]
    assert model.count_params() == everything
    assert trainable(model) / 1e6 == pytest.approx(learnt, abs=0.0005)


@pytest.mark.parametrize("size", VARIANTS)
def test_trainable_parameters_are_those_of_torchvision(size):
    assert trainable(full_size(size, 1.0)) == TORCHVISION_PARAMS[size]


@pytest.mark.parametrize("size, width", PUBLISHED)
def test_multiply_adds_match_the_publication(size, width):
    total = multiply_adds(full_size(size, width)) / 1e6
    assert total == pytest.approx(PUBLISHED[size, width][2], abs=0.02)


@pytest.mark.parametrize("width", PAPER_LARGE)
def test_the_large_network_is_about_as_large_as_in_the_paper(width):
    model = full_size("large", width)
    parameters, operations = PAPER_LARGE[width]
    assert trainable(model) / 1e6 == pytest.approx(parameters, abs=0.1)
    assert multiply_adds(model) / 1e6 == pytest.approx(operations, abs=3)


# Tables 1 and 2, the column "Input" of the blocks and of the convolution after them.
TABLES = {
    "large": [(112, 16)] * 2
    + [(56, 24)] * 2
    + [(28, 40)] * 3
    + [(14, 80)] * 4
    + [(14, 112)] * 2
    + [(7, 160)] * 3,
    "small": [(112, 16), (56, 16)]
    + [(28, 24)] * 2
    + [(14, 40)] * 3
    + [(14, 48)] * 2
    + [(7, 96)] * 3,
}
# Their column "SE", the numbers of the blocks that are ticked.
TICKED = {
    "large": [4, 5, 6, 11, 12, 13, 14, 15],
    "small": [1, 4, 5, 6, 7, 8, 9, 10, 11],
}


@pytest.mark.parametrize("size", VARIANTS)
def test_the_blocks_have_the_inputs_of_the_paper(size):
    model = full_size(size, 1.0)
    names = [layer.name for layer in model.layers]
    blocks = len(TABLES[size]) - 1
    first = [f"block{i}_expand_conv" for i in range(1, blocks + 1)]
    first[0] = "block1_depthwise_conv"  # nothing to expand
    shapes = [model.get_layer(name).input.shape[1:] for name in [*first, "top_conv"]]
    assert [(h, c) for h, _, c in shapes] == TABLES[size]
    excited = [i for i in range(1, blocks + 1) if f"block{i}_se_scale" in names]
    assert excited == TICKED[size]
    assert f"block{blocks + 1}_project_conv" not in names


@pytest.mark.parametrize(
    "size, features, hidden", [("large", 960, 1280), ("small", 576, 1024)]
)
def test_the_last_layers_have_the_promised_shapes(size, features, hidden):
    model = full_size(size, 1.0)
    shapes = [
        model.get_layer(name).output.shape[1:]
        for name in ("features", "pooled", "hidden", "logits", "probabilities")
    ]
    assert shapes == [(7, 7, features), (features,), (hidden,), (1000,), (1000,)]


@pytest.mark.parametrize("size", VARIANTS)
@in_64_bits()
def test_logits_equal_keras_applications_on_the_same_weights(size):
    build = {
        "large": keras.applications.MobileNetV3Large,
        "small": keras.applications.MobileNetV3Small,
    }[size]
    compare_logits(
        mobilenet_v3(size, input_shape=(None, None, 3)),
        lambda shape: build(
            weights=None, input_shape=shape, classifier_activation=None
        ),
    )


def hard_swish(x):
    return x * hard_sigmoid(x)


@pytest.mark.parametrize("strides, rows, columns", [(1, 2, 2), (2, (2, 2), (1, 2))])
def test_a_block_is_what_numpy_computes(strides, rows, columns):
    model, image, output = random_model(
        inverted_residual_block,
        (5, 6, 4),
        4,
        strides,
        expanded=16,
        kernel_size=5,
        excite=True,
        activation="hard_swish",
    )
    weights = model.get_weights()
    x = hard_swish(norm(image @ weights[0][0, 0], *weights[1:5]))
    edges = np.broadcast_to(rows, 2), np.broadcast_to(columns, 2)
    x = hard_swish(norm(depthwise(x, weights[5], *edges, strides), *weights[6:10]))
    x = excited(x, *weights[10:14], relu, hard_sigmoid)
    assert weights[10].shape == (1, 1, 16, 8)  # a quarter, but at least 8
    x = norm(x @ weights[14][0, 0], *weights[15:])
    if strides == 1:
        x = x + image
    np.testing.assert_allclose(output, x, atol=1e-4, rtol=1e-4)
    assert x.std() > 0.1


@pytest.mark.parametrize("size", ["medium", 1, None])
def test_an_unknown_size_is_named_and_the_known_ones_are_listed(size):
    with pytest.raises(ValueError, match=r"\['large', 'small'\]") as error:
        mobilenet_v3(size)
    assert str(error.value).endswith(f"Received: size={size!r}")


@pytest.mark.parametrize("width", [0, 5, float("nan"), "0.5", None])
def test_a_width_out_of_range_is_refused(width):
    with pytest.raises(ValueError, match="from 0.05 to 4") as error:
        mobilenet_v3("small", width=width)
    assert str(error.value).endswith(f"Received: width={width!r}")


@pytest.mark.parametrize("size", VARIANTS)
def test_a_picture_under_32_pixels_is_sent_to_the_small_variant(size):
    with pytest.raises(ValueError, match="32 pixels.*`mobilenet_cifar`") as error:
        mobilenet_v3(size, input_shape=(28, 28, 1))
    assert str(error.value).endswith("Received: input_shape=(28, 28, 1)")
