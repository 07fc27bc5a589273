import functools

import keras
import numpy as np
import pytest
from references import multiply_adds, of_kind, part, without_random_start

from cnnkit.models.vgg import VARIANTS, vgg, vgg_pooled

# Parameters of torchvision's vgg11, vgg13, vgg16 and vgg19 (without "_bn"), which are
# the columns A, B, D and E of table 1; the paper's table 2 rounds them to 133, 133, 138
# and 144 million.
TORCHVISION_PARAMS = {
    11: 132_863_336,
    13: 133_047_848,
    16: 138_357_544,
    19: 143_667_240,
}
# Thousand millions of multiply-adds at 224 x 224 pixels, as torchvision's
# documentation of the weights gives them ("GFLOPS").
TORCHVISION_OPERATIONS = {11: 7.61, 13: 11.31, 16: 15.47, 19: 19.63}
# Table 1 of the paper, columns A, B, D and E: "conv3-64" and so on, "maxpool" as "|".
PAPER_TABLE = {
    11: "64 | 128 | 256 256 | 512 512 | 512 512 |",
    13: "64 64 | 128 128 | 256 256 | 512 512 | 512 512 |",
    16: "64 64 | 128 128 | 256 256 256 | 512 512 512 | 512 512 512 |",
    19: "64 64 | 128 128 | 256 256 256 256 | 512 512 512 512 | 512 512 512 512 |",
}


@functools.cache
def full_size(depth):
    """Facts of the network at 224 pixels; its weights (600 MB) are not kept."""
    with without_random_start():
        model = vgg(depth)
    rows = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            assert layer.kernel_size == (3, 3)
            rows.append(str(layer.filters))
        elif isinstance(layer, keras.layers.MaxPooling2D):
            rows.append("|")
    return {
        "parameters": model.count_params(),
        "table": " ".join(rows),
        "weighted": sum(1 for layer in model.layers if layer.weights),
        "operations": multiply_adds(model),
        "shapes": {layer.name: layer.output.shape[1:] for layer in model.layers[1:]},
    }


def randomised(model, seed=0):
    """Every weight leaves its start; the dense ones keep the size of the logits."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        variable.assign(variable.numpy() + rng.normal(0, 0.02, variable.shape))
    return model


def pictures(*shape):
    return np.random.default_rng(1).uniform(0, 255, shape).astype("float32")


def outputs_of(model, layer, images):
    return np.asarray(part(model, layer)(images))


def test_every_variant_has_a_published_size():
    assert set(VARIANTS) == set(TORCHVISION_PARAMS) == set(TORCHVISION_OPERATIONS)


@pytest.mark.parametrize("depth", VARIANTS)
def test_parameter_count_and_multiply_adds_match_torchvision(depth):
    facts = full_size(depth)
    assert facts["parameters"] == TORCHVISION_PARAMS[depth]
    assert round(facts["operations"] / 1e9, 2) == TORCHVISION_OPERATIONS[depth]


@pytest.mark.parametrize("depth", VARIANTS)
def test_layers_stand_as_in_the_table_of_the_paper(depth):
    facts = full_size(depth)
    assert facts["table"] == PAPER_TABLE[depth]
    assert facts["weighted"] == depth
    shapes = facts["shapes"]
    sides = [shapes[f"stage{stage}_pool"][0] for stage in range(1, 6)]
    assert sides == [112, 56, 28, 14, 7]
    named = [shapes[name] for name in ("features", "hidden", "pooled", "logits")]
    assert named == [(7, 7, 512), (4096,), (4096,), (1000,)]


def test_logits_equal_keras_applications_on_the_same_weights():
    shape = (71, 40, 3)
    theirs = randomised(
        keras.applications.VGG16(
            weights=None, input_shape=shape, classes=10, classifier_activation=None
        )
    )
    ours = vgg(16, num_classes=10, input_shape=shape)
    ours.set_weights(theirs.get_weights())
    images = pictures(2, *shape)
    expected = np.asarray(theirs(images / 127.5 - 1))
    np.testing.assert_allclose(outputs_of(ours, "logits", images), expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.01  # the pictures make a difference


@functools.cache
def pooled_pair():
    theirs = randomised(
        keras.applications.VGG16(weights=None, include_top=False, pooling="avg")
    )
    ours = vgg_pooled(16, num_classes=2, input_shape=(None, None, 3))
    ours.set_weights(theirs.get_weights() + ours.get_weights()[-2:])
    return ours, theirs


@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_the_pooled_network_equals_keras_applications_at_multiples_of_32(size):
    ours, theirs = pooled_pair()
    images = pictures(2, *size, 3)
    expected = np.asarray(theirs(images / 127.5 - 1))
    np.testing.assert_allclose(outputs_of(ours, "pooled", images), expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.01


def test_a_halving_of_the_pooled_network_keeps_the_rim_of_an_odd_map():
    ours, _ = pooled_pair()
    images = pictures(1, 28, 35, 3)
    before = outputs_of(ours, "stage3_conv3", images)  # 7 x 9
    assert before.shape == (1, 7, 9, 256)
    padded = np.pad(before, ((0, 0), (0, 1), (0, 1), (0, 0)))  # zeros never beat a ReLU
    expected = padded.reshape(1, 4, 2, 5, 2, 256).max(axis=(2, 4))
    np.testing.assert_array_equal(outputs_of(ours, "stage3_pool", images), expected)
    features = outputs_of(ours, "features", images)
    assert features.shape == (1, 1, 2, 512)
    np.testing.assert_allclose(
        outputs_of(ours, "pooled", images), features.mean(axis=(1, 2)), atol=1e-5
    )


@pytest.mark.parametrize("shape", [(28, 28, 1), (17, 40, 3)])
def test_small_pictures_pass_all_five_halvings(shape):
    model = vgg_pooled(11, num_classes=4, input_shape=shape)
    expected = (None, -(-shape[0] // 32), -(-shape[1] // 32), 512)
    assert model.get_layer("features").output.shape == expected
    assert model(pictures(1, *shape)).shape == (1, 4)


def test_the_picture_is_still_felt_after_sixteen_convolutions():
    """Keras' own start lets it fade: the reason for the other one."""
    keras.utils.set_random_seed(0)
    ours = vgg_pooled(19, num_classes=2, input_shape=(32, 32, 3))
    theirs = keras.applications.VGG19(
        weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    images = pictures(4, 32, 32, 3)
    assert 0.1 < outputs_of(ours, "stage5_conv4", images).std() < 10
    assert outputs_of(theirs, "block5_conv4", images / 127.5 - 1).std() < 0.01


def test_half_of_the_hidden_neurons_is_switched_off_in_training():
    with without_random_start():
        model = vgg(11, num_classes=2, input_shape=(32, 32, 1))
    rates = [x.rate for x in of_kind(model, keras.layers.Dropout)]
    assert rates == [0.5, 0.5]


@pytest.mark.parametrize("builder", [vgg, vgg_pooled])
@pytest.mark.parametrize("depth", [15, "16", None])
def test_an_unknown_depth_is_named_and_the_known_ones_are_listed(builder, depth):
    with pytest.raises(ValueError, match=r"\[11, 13, 16, 19\]") as error:
        builder(depth)
    assert str(error.value).endswith(f"Received: depth={depth!r}")


@pytest.mark.parametrize("shape", [(None, None, 3), (224, None, 1)])
def test_any_size_is_refused_and_the_pooled_variant_named(shape):
    with pytest.raises(ValueError, match="take `vgg_pooled`") as error:
        vgg(input_shape=shape)
    assert str(error.value).endswith(f"Received: input_shape={shape}")


@pytest.mark.parametrize(
    "builder, shape, smallest, remedy",
    [
        (vgg, (31, 64, 3), 32, "or take `vgg_pooled` or `tiny_vgg`"),
        (vgg_pooled, (None, 16, 1), 17, "or take `alexnet_cifar`"),
    ],
)
def test_a_picture_that_is_too_small_is_refused(builder, shape, smallest, remedy):
    with pytest.raises(ValueError, match=f"at least {smallest} pixels") as error:
        builder(input_shape=shape)
    assert str(error.value).endswith(f"{remedy}. Received: input_shape={shape}")
