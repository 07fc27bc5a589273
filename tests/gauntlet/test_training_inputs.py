"""Pictures, labels and losses that do not fit the model: rows D14 to D19, D22, E12.

Plain Keras trains on most of these without a word. `training.preflight` names each.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cnnkit import models, training

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 32, 32, 3)).astype("float32")
LABELS = np.arange(40) % 3


def found(model, images=PIXELS, labels=LABELS, **options):
    train = tf.data.Dataset.from_tensor_slices((images, labels)).batch(20)
    return training.preflight(model, (train, None), verbose=False, **options)


def head(base, *before):
    x = inputs = keras.Input((32, 32, 3))
    for layer in before:
        x = layer(x)
    x = layers.GlobalAveragePooling2D()(base(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def small(**options):
    options = {"num_classes": 3, "input_shape": (32, 32, 3), "widths": (4,)} | options
    return models.small_cnn(**options)


@pytest.mark.slow("two networks of Keras take their steps")
def test_d14_the_range_of_pixels_and_the_rescaling_of_the_model_fit():
    apps = keras.applications
    shared = {"weights": None, "include_top": False, "input_shape": (32, 32, 3)}
    scale = layers.Rescaling(1 / 127.5, offset=-1)
    plain = apps.MobileNet(alpha=0.25, **shared)  # wants -1 to 1, does not say so
    assert found(head(plain, scale)).empty
    inside = apps.MobileNetV3Small(alpha=0.35, minimalistic=True, **shared)
    assert "scaled_twice" in found(head(inside, scale))["code"].tolist()


@pytest.mark.parametrize(
    ("images", "wanted", "message", "remedy"),
    [
        (PIXELS[:, :20, :20], (32, 32, 3), "model wants 32x32x3, got 20x20x3",
         "use photos.resized(32), or build the model with input_shape=(20, 20, 3)"),
        (PIXELS, (32, 32, 1), "model wants 32x32x1, got 32x32x3", "grey=True"),
        (PIXELS[..., :1], (32, 32, 3), "model wants 32x32x3, got 32x32x1",
         "np.repeat(images, 3, axis=-1)"),
        (np.moveaxis(PIXELS, -1, 1), (32, 32, 3), "got 3x32x32",
         "np.moveaxis(images, 1, -1)"),
        (PIXELS[..., 0], (32, 32, 1), "got 32x32", "np.expand_dims(images, -1)"),
    ],
)  # fmt: skip
def test_d15_d16_another_size_or_order_of_channels(images, wanted, message, remedy):
    findings = found(small(input_shape=wanted), images)
    assert findings["code"].tolist() == ["wrong_shape"]
    assert message in findings["detail"][0] and remedy in findings["remedy"][0]


@pytest.mark.parametrize("label", [7, 3, -1])
def test_d17_labels_that_are_no_class(label):
    findings = found(small(), labels=np.where(np.arange(40) == 33, label, LABELS))
    assert findings["code"].tolist() == ["label_out_of_range"]
    assert f"label {label}," in findings["detail"][0]
    assert "labels 0 to 2" in findings["detail"][0]


@pytest.mark.parametrize("loss", ["binary_crossentropy", None])
def test_d18_one_output_with_softmax(loss):
    inputs = keras.Input((32, 32, 3))
    x = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, layers.Dense(1, activation="softmax")(x))
    findings = found(model, labels=LABELS % 2, loss=loss)
    assert findings["code"].tolist() == ["one_output"]
    assert "Dense(2, 'softmax')" in findings["remedy"][0]
    with pytest.raises(ValueError, match="num_classes=1"):
        small(num_classes=1)


LAST = {"softmax": "softmax", "logits": None, "sigmoid": "sigmoid"}
WRONG_OUTPUT = {
    ("softmax", False): set(),
    ("softmax", True): {"probabilities_as_logits"},
    ("logits", False): {"logits_as_probabilities"},
    ("logits", True): set(),
    ("sigmoid", False): {"not_probabilities"},
    ("sigmoid", True): set(),  # unusual, and works: numbers that are logits
}


@pytest.mark.parametrize("last", LAST)
def test_d19_every_label_with_every_loss_and_activation(last):
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 8, strides=8)(layers.Rescaling(1 / 127.5, -1)(inputs))
    x = layers.Dense(3, activation=LAST[last])(layers.Flatten()(x))
    model = keras.Model(inputs, x)
    for hot, sparse, logits in itertools.product((False, True), repeat=3):
        kind = keras.losses.SparseCategoricalCrossentropy
        kind = kind if sparse else keras.losses.CategoricalCrossentropy
        labels = np.eye(3, dtype="float32")[LABELS] if hot else LABELS
        codes = set(found(model, labels=labels, loss=kind(from_logits=logits))["code"])
        expected = set(WRONG_OUTPUT[last, logits])
        if hot and sparse:
            expected |= {"one_hot_labels"}
        elif not hot and not sparse:
            expected |= {"whole_labels"}
        assert codes == expected, (hot, sparse, logits)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_d22_pixels_that_are_no_numbers(value):
    images = PIXELS.copy()
    images[35, 1, 2, 0] = value
    findings = found(small(), images)
    assert findings["code"].tolist() == ["nonfinite_pixels"]
    assert "in 1 of 2 training batches" in findings["detail"][0]


def test_e12_a_loss_that_is_not_finite_stops_and_leaves_the_weights():
    def broken(labels, outputs):
        return outputs[:, 0] / tf.zeros(())

    model = small()
    before = model.get_weights()
    assert found(model, loss=broken)["code"].tolist() == ["loss_not_finite"]
    train = tf.data.Dataset.from_tensor_slices((PIXELS, LABELS)).batch(20)
    table = training.find_learning_rate(model, train, loss=broken, verbose=0)
    assert not len(table) and "not finite" in table.attrs["stopped"]
    assert table.attrs["suggestion"] is None
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
