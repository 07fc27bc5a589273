"""BatchNorm in the kernels: the same answers, and a refusal where it cannot be read."""

import keras
import numpy as np
import pytest
from keras import layers

from cnnkit import models, transfer
from cnnkit.models.folding import fold_batchnorm


def disturbed(model):
    """The model with weights as after training; fresh ones would hide mistakes."""
    rng = np.random.default_rng(0)
    for norm in model.layers:
        if isinstance(norm, layers.BatchNormalization):
            norm.set_weights(
                [rng.uniform(0.5, 1.5, w.shape) for w in norm.get_weights()]
            )
        elif "normalization" in norm.name:
            norm.set_weights([w + 0.1 for w in norm.get_weights()])
            norm.finalize_state()
    return model


def norms(model):
    return sum(isinstance(v, layers.BatchNormalization) for v in model.layers)


def small():
    return models.small_cnn(input_shape=(32, 32, 3), widths=(8, 16))


def applications(name):
    build = getattr(keras.applications, name)
    options = {"alpha": 0.25} if name == "MobileNet" else {}
    return build(include_top=False, weights=None, input_shape=(32, 32, 3), **options)


MODELS = {
    "small_cnn": (small, 2),  # two stages pool before they normalise
    "resnet20": (lambda: models.resnet_cifar(20), 0),
    "mobilenet": (lambda: applications("MobileNet"), 0),
    "mobilenet_v3": (lambda: applications("MobileNetV3Small"), 0),
    "efficientnet": (lambda: applications("EfficientNetB0"), 0),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_answers_are_the_same_and_the_model_too(name):
    build, left = MODELS[name]
    keras.utils.set_random_seed(0)
    model = disturbed(build())
    before = model.get_weights()
    height, width, channels = model.input_shape[1:]
    images = np.random.default_rng(1).uniform(0, 255, (3, height, width, channels))
    folded = fold_batchnorm(model)
    assert norms(model) > norms(folded) and norms(folded) == left
    expected = np.asarray(model(images))
    np.testing.assert_allclose(
        np.asarray(folded(images)),
        expected,
        rtol=1e-3,
        atol=1e-4 * expected.max(),
    )
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert all(len(layer._inbound_nodes) == 1 for layer in model.layers)  # not reused


@pytest.mark.parametrize("multiplier", [1, 2])
def test_one_pixel_by_hand(multiplier):
    inputs = keras.Input((1, 1, 2))
    x = layers.DepthwiseConv2D(1, depth_multiplier=multiplier)(inputs)
    x = layers.BatchNormalization(scale=False, epsilon=1.0)(x)
    model = disturbed(keras.Model(inputs, x))
    kernel, bias = model.layers[1].get_weights()
    beta, mean, variance = model.layers[2].get_weights()
    pixel = np.array([2.0, 3.0])
    through = (pixel[:, None] * kernel[0, 0]).ravel() + bias
    expected = (through - mean) / np.sqrt(variance + 1) + beta
    folded = fold_batchnorm(model)
    assert len(folded.layers) == 2
    said = folded.predict(pixel.reshape(1, 1, 1, 2), verbose=0)
    np.testing.assert_allclose(said.ravel(), expected, rtol=1e-5)


def test_a_convolution_that_something_else_reads_keeps_its_norm():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same")(inputs)
    activated = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    ends = [x, layers.BatchNormalization()(x), layers.BatchNormalization()(activated)]
    model = disturbed(keras.Model(inputs, layers.Concatenate()(ends)))
    folded = fold_batchnorm(model)
    assert norms(folded) == 2
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    np.testing.assert_allclose(
        folded.predict(images, verbose=0), model.predict(images, verbose=0), rtol=1e-5
    )


def test_a_convolution_that_is_an_output_keeps_its_norm():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(inputs)
    ends = [x, layers.BatchNormalization()(x)]
    model = disturbed(keras.Model(inputs, ends))
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    expected = model.predict(images, verbose=0)
    for said, right in zip(
        fold_batchnorm(model).predict(images, verbose=0), expected, strict=True
    ):
        np.testing.assert_allclose(said, right, rtol=1e-5)


def test_a_model_with_a_model_inside_is_refused_and_features_come_all_the_same():
    outer = keras.Sequential([keras.Input((32, 32, 3)), small()])
    with pytest.raises(ValueError, match="without models inside. Received: .*with "):
        fold_batchnorm(outer)
    assert transfer.features.predicting(outer) is outer
