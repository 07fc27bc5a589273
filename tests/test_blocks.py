import keras
import numpy as np
import pytest
from references import excited, hard_sigmoid, part, random_model, relu, swish
from scipy.signal import correlate2d
from scipy.special import expit, softmax

from cnnkit.models.blocks import classify, conv_bn, pixels, squeeze_excite


@pytest.fixture
def bfloat16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def tiny(shape=(8, 8, 3), num_classes=4, **options):
    inputs, x = pixels(shape)
    x = conv_bn(x, 6, 3, strides=2, name="one")
    return classify(inputs, x, num_classes, name="tiny", **options)


def test_pixels_go_to_minus_one_to_one():
    inputs, x = pixels((None, None, 1))
    model = keras.Model(inputs, x)
    image = np.array([0, 127.5, 255, 51], "float32").reshape(1, 2, 2, 1)
    expected = np.array([-1, 0, 1, -0.6]).reshape(1, 2, 2, 1)
    np.testing.assert_allclose(model.predict(image, verbose=0), expected, atol=1e-6)
    assert inputs.name == "pixels"


@pytest.mark.parametrize(
    "shape",
    [
        (28, 28),
        (None, 28, 28, 1),
        (28, 28, 2),
        (28, 28, 4),
        (3, 28, 28),
        (28, 28, None),
        (28.0, 28, 3),
        (0, 28, 3),
        (-1, 28, 3),
        ("28", 28, 3),
        "abc",
        28,
        None,
        [],
    ],
)
def test_what_is_no_image_shape_is_refused_by_name(shape):
    with pytest.raises(ValueError, match="channels for colour") as error:
        pixels(shape)
    assert str(error.value).endswith(f"Received: input_shape={shape!r}")


def test_image_shapes_may_come_as_lists_and_numpy_integers():
    inputs, _ = pixels([np.int64(9), None, np.int32(3)])
    assert inputs.shape == (None, 9, None, 3)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize(
    "kernel_size, strides", [(1, 1), (3, 1), (1, 2), (3, 2), (7, 2)]
)
@pytest.mark.parametrize("side", [8, 9])
def test_conv_bn_equals_scipy_and_the_formula(side, kernel_size, strides, relu):
    inputs = keras.Input((side, side, 2))
    x = conv_bn(inputs, 3, kernel_size, strides, relu=relu, name="it")
    model = keras.Model(inputs, x)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(rng.uniform(0.2, 1.5, variable.shape))
    kernel = rng.normal(size=(kernel_size, kernel_size, 2, 3))
    model.get_layer("it_conv").kernel.assign(kernel)
    bias = model.get_layer("it_conv").bias.numpy()
    bn = model.get_layer("it_bn")
    gamma, beta, mean, variance = (w.numpy() for w in bn.weights)

    image = rng.normal(size=(side, side, 2))
    padded = np.pad(image, [(kernel_size // 2,) * 2] * 2 + [(0, 0)])
    maps = [
        sum(correlate2d(padded[..., i], kernel[..., i, o], "valid") for i in range(2))
        for o in range(3)
    ]
    z = np.stack(maps, axis=-1)[::strides, ::strides] + bias
    expected = gamma * (z - mean) / np.sqrt(variance + 1.001e-5) + beta
    assert expected.min() < 0 < expected.max()  # so the ReLU is seen to work
    if relu:
        expected = np.maximum(expected, 0)
    actual = model.predict(image[None].astype("float32"), verbose=0)[0]
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_conv_bn_refuses_an_even_window():
    with pytest.raises(ValueError, match="odd.*Received: kernel_size=4"):
        conv_bn(keras.Input((8, 8, 3)), 4, 4, name="even")


@pytest.mark.parametrize(
    "names, functions",
    [
        (("swish", "sigmoid"), (swish, expit)),  # EfficientNet
        (("relu", "hard_sigmoid"), (relu, hard_sigmoid)),  # MobileNetV3
    ],
)
def test_squeeze_and_excite_is_what_numpy_computes(names, functions):
    model, image, found = random_model(squeeze_excite, (5, 6, 4), 3, names)
    expected = excited(image, *model.get_weights(), *functions)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(found / image) > 0.1  # a weight for each channel


def test_the_four_layers_follow_from_each_other():
    model = tiny(dropout=0.5)  # prediction must not drop anything
    assert [layer.name for layer in model.layers][-5:] == [
        "features",
        "pooled",
        "dropout",
        "logits",
        "probabilities",
    ]
    images = np.random.default_rng(0).uniform(0, 255, (5, 8, 8, 3)).astype("float32")
    parts = part(model, "one_relu", "features", "pooled", "logits")
    last_map, features, pooled, logits = parts.predict(images, verbose=0)
    kernel, bias = model.get_layer("logits").get_weights()
    np.testing.assert_array_equal(features, last_map)
    np.testing.assert_allclose(pooled, features.mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(logits, pooled @ kernel + bias, atol=1e-5)
    actual = model.predict(images, verbose=0)
    np.testing.assert_allclose(actual, softmax(logits, axis=1), atol=1e-6)


def test_dropout_zeroes_that_share_of_the_pooled_features_in_training_only():
    inputs, x = pixels((4, 4, 3))
    x = conv_bn(x, 4000, 1, name="wide")
    model = classify(inputs, x, 2, name="wide", dropout=0.3)
    assert "dropout" not in [layer.name for layer in tiny().layers]
    layer, ones = model.get_layer("dropout"), np.ones((1, 4000), "float32")
    dropped = np.asarray(layer(ones, training=True)) == 0
    assert 0.26 < dropped.mean() < 0.34
    assert np.all(np.asarray(layer(ones, training=False)) == 1)


def test_logits_and_probabilities_are_float32_under_bfloat16(bfloat16):
    model = tiny()
    assert model.get_layer("one_conv").compute_dtype == "bfloat16"
    assert model.get_layer("logits").output.dtype == "float32"
    assert model.output.dtype == "float32"
    totals = model.predict(np.full((3, 8, 8, 3), 200.0), verbose=0).sum(axis=1)
    np.testing.assert_allclose(totals, 1, atol=1e-6)  # bfloat16 would be off by 1e-3


def test_classify_closes_a_backbone_of_keras_applications_flat():
    inputs, x = pixels((32, 32, 3))
    backbone = keras.applications.MobileNet(
        alpha=0.25, include_top=False, weights=None, input_tensor=x
    )
    model = classify(inputs, backbone.output, 5, name="with_backbone", dropout=0.2)
    assert model.get_layer("features").output.shape == (None, 1, 1, 256)
    assert model.output_shape == (None, 5)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)


@pytest.mark.parametrize("num_classes", [1, 0, -3, 2.0, "10", None, True])
def test_classify_refuses_what_is_no_number_of_classes(num_classes):
    with pytest.raises(ValueError, match="at least 2") as error:
        tiny(num_classes=num_classes)
    assert str(error.value).endswith(f"Received: num_classes={num_classes!r}")


@pytest.mark.parametrize("dropout", [1, 1.5, -0.1])
def test_classify_refuses_what_is_no_share(dropout):
    with pytest.raises(ValueError, match=f"share.*Received: dropout={dropout}"):
        tiny(dropout=dropout)


def test_classify_refuses_pooled_features():
    inputs, x = pixels((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(x)
    with pytest.raises(ValueError, match=r"before any pooling.*\(None, 3\)"):
        classify(inputs, x, 4, name="pooled_twice")
