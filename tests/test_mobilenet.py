import functools

import keras
import numpy as np
import pytest
from references import (
    compare_logits,
    convolutions,
    depthwise,
    in_64_bits,
    multiply_adds,
    norm,
    random_model,
    trainable,
    without_random_start,
)

from cnnkit.models.mobilenet import (
    VARIANTS,
    inverted_residual_block,
    mobilenet,
    separable_block,
)
from cnnkit.models.mobilenet_cifar import mobilenet_cifar

# (version, width): parameters as keras.applications counts them, those of its
# MobileNet(alpha=width) and MobileNetV2(alpha=width) of Keras 3.15; millions of
# multiply-adds, from table 6 of the first paper and, for version 2, from the table of
# the authors' code, github.com/tensorflow/models, slim/nets/mobilenet/README.md.
PUBLISHED = {
    (1, 1.0): (4_253_864, 569),
    (1, 0.75): (2_601_976, 325),
    (1, 0.5): (1_342_536, 149),
    (1, 0.25): (475_544, 41),
    (2, 1.4): (6_156_712, 582),
    (2, 1.3): (5_431_048, 509),
    (2, 1.0): (3_538_984, 300),
    (2, 0.75): (2_663_064, 209),
    (2, 0.5): (1_987_224, 97),
    (2, 0.35): (1_691_208, 59),
}
# Trainable ones, from torchvision's `MobileNet_V2_Weights`.
TORCHVISION_PARAMS = 3_504_872
# github.com/kuangliu/pytorch-cifar, 10 classes. Its version 2 has five more 1x1
# convolutions with normalisation than the paper: one in the first block (32 to 32), and
# one in the shortcut of each block that changes the channels only.
CIFAR_PARAMS = {1: 3_217_226, 2: 2_296_922}
CIFAR_EXTRA = {1: (), 2: ((32, 32), (32, 16), (16, 24), (64, 96), (160, 320))}


BUILT = [(1, 1.0), (1, 0.75), (2, 1.4), (2, 1.0), (2, 0.35)]  # rounded in all ways


@functools.cache
def full_size(version, width):
    with without_random_start():
        return mobilenet(version, width=width)


def test_every_version_has_published_sizes():
    assert set(VARIANTS) == {version for version, _ in PUBLISHED}


@pytest.mark.parametrize("version, width", BUILT)
def test_parameter_count_matches_the_published_model(version, width):
    assert full_size(version, width).count_params() == PUBLISHED[version, width][0]


def test_trainable_parameters_are_those_of_torchvision():
    assert trainable(full_size(2, 1.0)) == TORCHVISION_PARAMS


@pytest.mark.parametrize("version, width", BUILT)
def test_multiply_adds_match_the_publication(version, width):
    total = multiply_adds(full_size(version, width))
    # The second paper writes 300 for 300.8; the others are rounded.
    digits = 0.8 if (version, width) == (2, 1.0) else 0.5
    assert total / 1e6 == pytest.approx(PUBLISHED[version, width][1], abs=digits)


def test_version_1_has_the_layers_of_table_1():
    # size and channels that each layer gives to the next: the column "Input Size"
    rows = 2 * [(112, 32)] + [(112, 64), (56, 64)] + 3 * [(56, 128)] + [(28, 128)]
    rows += 3 * [(28, 256)] + [(14, 256)] + 11 * [(14, 512)] + [(7, 512)]
    rows += 3 * [(7, 1024)]
    outputs = [conv.output.shape[1:] for conv in convolutions(full_size(1, 1.0))]
    assert [(height, channels) for height, _, channels in outputs] == rows


def test_version_2_has_the_stages_of_table_2():
    # input size and channels; expansion, channels and blocks of the stage
    table = [
        (112, 32, 1, 16, 1),
        (112, 16, 6, 24, 2),
        (56, 24, 6, 32, 3),
        (28, 32, 6, 64, 4),
        (14, 64, 6, 96, 3),
        (14, 96, 6, 160, 3),
        (7, 160, 6, 320, 1),
    ]
    model = full_size(2, 1.0)
    names = {layer.name for layer in model.layers}
    for stage, (size, before, expansion, channels, blocks) in enumerate(table, start=1):
        prefix = f"stage{stage}_block"
        first = f"{prefix}1_{'expand' if expansion > 1 else 'depthwise'}_conv"
        assert model.get_layer(first).input.shape[1:] == (size, size, before)
        depthwise = model.get_layer(f"{prefix}1_depthwise_conv")
        assert depthwise.input.shape[-1] == expansion * before
        last = model.get_layer(f"{prefix}{blocks}_project_conv")
        assert last.filters == channels
        assert f"{prefix}{blocks + 1}_project_conv" not in names
    assert model.get_layer("top_conv").input.shape[1:] == (7, 7, 320)
    assert model.get_layer("features").output.shape[1:] == (7, 7, 1280)


@pytest.mark.parametrize("version", VARIANTS)
@in_64_bits()
def test_logits_equal_keras_applications_on_the_same_weights(version):
    build = {1: keras.applications.MobileNet, 2: keras.applications.MobileNetV2}
    ours = mobilenet(version, width=0.5, input_shape=(None, None, 3))
    compare_logits(
        ours,
        lambda shape: build[version](
            weights=None, alpha=0.5, input_shape=shape, classifier_activation=None
        ),
        prepare=ours.get_layer("rescale"),
    )


@pytest.mark.parametrize("version", VARIANTS)
def test_the_small_variant_has_the_size_of_the_common_cifar_network(version):
    extra = sum(c * k + 2 * k for c, k in CIFAR_EXTRA[version])
    with without_random_start():
        model = mobilenet_cifar(version)
    assert trainable(model) == CIFAR_PARAMS[version] - extra


@pytest.mark.parametrize("version", VARIANTS)
def test_the_small_variant_halves_three_times_and_late(version):
    """The sizes of the same network of pytorch-cifar at 32 pixels."""
    model = mobilenet_cifar(version)
    sizes = {
        1: {"stage1": 32, "stage2": 32, "stage3": 16, "stage4": 8, "stage5": 4},
        2: {"stage2": 32, "stage3": 16, "stage4": 8, "stage5": 8, "stage6": 4},
    }
    last = {1: "pointwise", 2: "project"}[version]
    for stage, size in sizes[version].items():
        output = model.get_layer(f"{stage}_block1_{last}_conv").output
        assert output.shape[1:3] == (size, size)
    assert model.get_layer("stem_conv").output.shape[1:] == (32, 32, 32)
    assert model.get_layer("features").output.shape[1:3] == (4, 4)


@pytest.mark.parametrize("version, size", [(1, 3), (2, 4)])
def test_grey_pictures_of_28_pixels_go_through_the_small_variant(version, size):
    model = mobilenet_cifar(version, width=0.25, input_shape=(28, 28, 1))
    assert model.get_layer("features").output.shape[1:3] == (size, size)
    answer = np.asarray(model(np.full((2, 28, 28, 1), 200.0, "float32")))
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "strides, rows, columns", [(1, (1, 1), (1, 1)), (2, (0, 1), (0, 1))]
)
def test_a_separable_block_is_what_numpy_computes(strides, rows, columns):
    model, image, output = random_model(
        separable_block, (5, 6, 4), 7, strides, low=-9, high=9
    )
    spatial, *first, mixing = model.get_weights()[:6]
    x = depthwise(image, spatial, rows, columns, strides)
    x = np.clip(norm(x, *first), 0, 6)
    assert x.max() == 6  # the limit is at work
    x = np.clip(norm(x @ mixing[0, 0], *model.get_weights()[6:]), 0, 6)
    np.testing.assert_allclose(output, x, atol=1e-4)


@pytest.mark.parametrize(
    "filters, strides, rows, columns",
    [(4, 1, (1, 1), (1, 1)), (6, 1, (1, 1), (1, 1)), (4, 2, (1, 1), (0, 1))],
)
def test_an_inverted_residual_block_is_what_numpy_computes(
    filters, strides, rows, columns
):
    model, image, output = random_model(
        inverted_residual_block,
        (5, 6, 4),
        filters,
        strides,
        expansion=3,
        low=-9,
        high=9,
    )
    weights = model.get_weights()
    x = np.clip(norm(image @ weights[0][0, 0], *weights[1:5]), 0, 6)
    assert x.shape[-1] == 12 and x.max() == 6
    x = depthwise(x, weights[5], rows, columns, strides)
    x = np.clip(norm(x, *weights[6:10]), 0, 6)
    x = norm(x @ weights[10][0, 0], *weights[11:])
    if filters == 4 and strides == 1:
        x = x + image
    np.testing.assert_allclose(output, x, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("build", [mobilenet, mobilenet_cifar])
@pytest.mark.parametrize("version", [3, "1", None])
def test_an_unknown_version_is_named_and_the_third_is_shown(build, version):
    with pytest.raises(ValueError, match="must be 1 or 2.*`mobilenet_v3`") as error:
        build(version)
    assert str(error.value).endswith(f"Received: version={version!r}")


@pytest.mark.parametrize("build", [mobilenet, mobilenet_cifar])
@pytest.mark.parametrize("width", [0, -1, 0.04, 5, float("nan"), "0.5", None])
def test_a_width_out_of_range_is_refused(build, width):
    with pytest.raises(ValueError, match="from 0.05 to 4") as error:
        build(1, width=width)
    assert str(error.value).endswith(f"Received: width={width!r}")


@pytest.mark.parametrize("version, width", [(1, 0.05), (2, 0.05), (2, 4)])
def test_a_width_at_either_end_builds(version, width):
    with without_random_start():
        assert mobilenet_cifar(version, width=width, input_shape=(8, 8, 1)).built


@pytest.mark.parametrize("version", VARIANTS)
def test_a_picture_under_32_pixels_is_sent_to_the_small_variant(version):
    with pytest.raises(ValueError, match="32 pixels.*`mobilenet_cifar`") as error:
        mobilenet(version, input_shape=(28, 28, 1))
    assert str(error.value).endswith("Received: input_shape=(28, 28, 1)")


def test_a_picture_under_8_pixels_is_refused_by_the_small_variant():
    with pytest.raises(ValueError, match="at least 8 pixels") as error:
        mobilenet_cifar(input_shape=(None, 7, 3))
    assert str(error.value).endswith("Received: input_shape=(None, 7, 3)")
