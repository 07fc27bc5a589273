"""`training.preflight`: every sabotage is named, good settings are left alone.

Each fault is made by the test, one at a time, and exactly its code must be found: a
list of false alarms would teach people to look away.
"""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, losses, optimizers

from cnnkit import data, models, saving, training, transfer
from cnnkit.models import anatomy
from cnnkit.training import preflight_costs
from cnnkit.training.preflight_codes import CODES
from cnnkit.training.preflight_costs import peak_bytes
from cnnkit.training.trial import Trial

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 16, 16, 3)).astype("float32")
LABELS = np.arange(60, dtype="int32") % 3
ONE_HOT = np.eye(3, dtype="float32")[LABELS]


@pytest.fixture(scope="module")
def photos():
    names = ["cat", "dog", "$_{ <b>薔薇"]
    return data.from_arrays(IMAGES.astype("uint8"), LABELS, class_names=names)


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def pipeline(images=IMAGES, labels=LABELS, *, valid=True):
    both = tf.data.Dataset.from_tensor_slices((images, labels)).batch(20)
    return both, both if valid else None


def net(last="softmax", *, width=3, first=None, middle=(), shape=(16, 16, 3)):
    first = [layers.Rescaling(1 / 127.5, offset=-1)] if first is None else first
    return keras.Sequential(
        [
            keras.Input(shape), *first,
            layers.Conv2D(8, 4, strides=4, name="conv"), *middle, layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(width, activation=last, name="logits"),
        ]
    )  # fmt: skip


def compiled(model, loss="sparse_categorical_crossentropy", optimizer="adam"):
    model.compile(optimizer, loss)
    return model


def codes(model, given, **options):
    return list(training.preflight(model, given, verbose=False, **options)["code"])


BINARY = pipeline(labels=(LABELS > 0).astype("int32"))
GOOD = {
    "uncompiled": lambda: (net(), pipeline()),
    "grey": lambda: (net(shape=(16, 16, 1)), pipeline(IMAGES[..., :1])),
    "any size": lambda: (net(shape=(None, None, 3)), pipeline()),
    "no validation": lambda: (net(), pipeline(valid=False)),
    "labels in a column": lambda: (net(), pipeline(labels=LABELS[:, None])),
    "one-hot": lambda: (
        compiled(net(), "categorical_crossentropy"), pipeline(labels=ONE_HOT)
    ),
    "smoothed": lambda: (
        compiled(net(), losses.CategoricalCrossentropy(label_smoothing=0.1)),
        pipeline(labels=ONE_HOT),
    ),
    "logits": lambda: (
        compiled(net(None), losses.SparseCategoricalCrossentropy(from_logits=True)),
        pipeline(),
    ),
    "focal": lambda: (compiled(net(), training.losses.SparseFocalCrossentropy()),
                      pipeline()),
    "binary": lambda: (
        compiled(net("sigmoid", width=1), "binary_crossentropy"), BINARY
    ),
    "pixels from 0 to 1": lambda: (net(first=[]), pipeline(IMAGES / 255)),
    "pixels from -1 to 1": lambda: (net(first=[]), pipeline(IMAGES / 127.5 - 1)),
    "standardised outside": lambda: (
        net(first=[]), pipeline((IMAGES - IMAGES.mean()) / IMAGES.std())
    ),
    "BatchNorm first": lambda: (
        net(first=[layers.BatchNormalization()]), pipeline()
    ),
    "schedule": lambda: (
        compiled(net(), optimizer=optimizers.SGD(training.schedules.OneCycle(0.1, 9))),
        pipeline(),
    ),
    "compiled, then frozen": lambda: (frozen_base(compile_first=True), pipeline()),
    "dropout and BatchNorm": lambda: (
        net(middle=[layers.BatchNormalization(), layers.Dropout(0.5)]), pipeline()
    ),
}  # fmt: skip


def frozen_base(*, compile_first=False, norm=(), moves=False):
    """A head on a nested backbone, frozen but for what `moves`."""
    base = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Rescaling(1 / 255),
         layers.Conv2D(8, 3, name="early"), *norm,
         layers.Conv2D(8, 3, name="late"), layers.GlobalAveragePooling2D()],
        name="base",
    )  # fmt: skip
    inputs = keras.Input((16, 16, 3))
    # `training=False` does not hold BatchNorm still (Keras issue 20285).
    x = base(inputs, training=False)
    x = layers.BatchNormalization(name="norm_of_head")(x)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    if compile_first:
        compiled(model)
    base.trainable = moves
    if moves:
        base.get_layer("early").trainable = False
    return model


@pytest.mark.parametrize("name", GOOD)
def test_good_settings_are_left_alone(name, capsys):
    model, given = GOOD[name]()
    findings = training.preflight(model, given)
    assert findings.empty, findings.to_string()
    assert list(findings.columns) == ["code", "severity", "detail", "remedy"]
    assert "nothing is wrong" in capsys.readouterr().out
    assert findings.attrs["seconds_an_epoch"] > 0


def trained_then(change):
    base = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 8),
         layers.Flatten()],
    )  # fmt: skip
    base.trainable = change
    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(base(inputs)))
    compiled(model, optimizer="sgd").fit(IMAGES, LABELS, verbose=0)
    base.trainable = not change
    return model


def broken_weight():
    model = net()
    kernel = model.get_layer("conv").kernel
    kernel.assign(np.where(np.arange(kernel.shape[-1]) == 3, np.nan, kernel.numpy()))
    return model


def with_kernel(model, factor):
    kernel = model.get_layer("logits").kernel
    kernel.assign(kernel * factor)
    return model


def knowing():
    model = compiled(net(), optimizer=optimizers.Adam(0.02))
    images = np.where(LABELS[:, None, None, None] == np.arange(3), 255.0, 0.0)
    images = np.broadcast_to(images, IMAGES.shape).astype("float32")
    model.fit(images, LABELS, epochs=60, batch_size=60, verbose=0)
    return model, pipeline(images)


def with_pixel(value):
    images = IMAGES.copy()
    images[50, 3, 3, 0] = value  # in the third batch
    return pipeline(images)


def shuffled():
    train, _ = pipeline()
    both = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    return train, both.shuffle(60).batch(20)


def random_validation():
    both, draws = pipeline()[0], tf.random.Generator.from_seed(0)
    return both, both.map(lambda x, y: (x + draws.uniform((16, 16, 3)), y))


def logits(loss, **options):
    return compiled(net(None, **options), loss)


SPARSE_LOGITS = losses.SparseCategoricalCrossentropy(from_logits=True)
SABOTAGE = {
    "another size": ("wrong_shape", lambda: (net(shape=(24, 24, 3)), pipeline())),
    "grey into colour": ("wrong_shape", lambda: (net(), pipeline(IMAGES[..., :1]))),
    "no batch": (
        "not_batched", lambda: (net(), (pipeline()[0].unbatch(), None)),
    ),
    "NaN": ("nonfinite_pixels", lambda: (net(), (with_pixel(np.nan)[0], None))),
    "infinity": ("nonfinite_pixels", lambda: (net(), (with_pixel(np.inf)[0], None))),
    "NaN weight": ("nonfinite_weights", lambda: (broken_weight(), pipeline())),
    "no scaling": ("unscaled_pixels", lambda: (net(first=[]), pipeline())),
    "nested, no scaling": (
        "unscaled_pixels",
        lambda: (keras.Sequential([keras.Input((16, 16, 3)), net(first=[])]),
                 pipeline()),
    ),
    "0 to 1": ("faint_pixels", lambda: (net(), pipeline(IMAGES / 255))),
    "-1 to 1": ("faint_pixels", lambda: (net(), pipeline(IMAGES / 127.5 - 1))),
    "two scalings": (
        "scaled_twice",
        lambda: (net(first=[layers.Rescaling(1 / 255), layers.Rescaling(1 / 127.5)]),
                 pipeline()),
    ),
    "one column more": (
        "wrong_width",
        lambda: (compiled(net(width=4), "categorical_crossentropy"),
                 pipeline(labels=ONE_HOT)),
    ),
    "Dense(1, softmax)": ("one_output", lambda: (net(width=1), BINARY)),
    "Dense(1, softmax), binary": (
        "one_output", lambda: (compiled(net(width=1), "binary_crossentropy"), BINARY)
    ),
    "logits": (
        "logits_as_probabilities",
        lambda: (logits("sparse_categorical_crossentropy"), pipeline()),
    ),
    "logits, uncompiled": ("logits_as_probabilities", lambda: (net(None), pipeline())),
    "logits, binary": (
        "logits_as_probabilities",
        lambda: (logits("binary_crossentropy", width=1), BINARY),
    ),
    "two softmaxes": (
        "probabilities_as_logits",
        lambda: (compiled(net(), SPARSE_LOGITS), pipeline()),
    ),
    "sigmoid": ("not_probabilities", lambda: (net("sigmoid"), pipeline())),
    "missing class": (
        "missing_in_training",
        lambda: (net(), (pipeline(IMAGES, LABELS // 2)[0], None)),
    ),
    "missing in validation": (
        "missing_in_validation",
        lambda: (net(), (pipeline()[0], pipeline(IMAGES, LABELS // 2)[0])),
    ),
    "frozen": ("nothing_trains", lambda: (frozen(net()), pipeline())),
    "unfrozen after fit": ("stale_compile", lambda: (trained_then(False), pipeline())),
    "frozen after fit": ("stale_compile", lambda: (trained_then(True), pipeline())),
    "BatchNorm moves": (
        "batchnorm_moves",
        lambda: (frozen_base(norm=[layers.BatchNormalization()], moves=True),
                 pipeline()),
    ),
    "augmentation": (
        "augmentation_inside",
        lambda: (net(middle=[layers.RandomFlip()]), pipeline()),
    ),
    "shuffled": ("shuffled_validation", lambda: (net(), shuffled())),
    "augmented validation": (
        "shuffled_validation", lambda: (net(), random_validation())
    ),
    "large weights": ("high_loss", lambda: (with_kernel(net(), 200), pipeline())),
    "known pictures": ("low_loss", knowing),
    "zero weights": ("constant_output", lambda: (with_kernel(net(), 0), pipeline())),
    "Adam with 1": (
        "high_rate",
        lambda: (compiled(net(), optimizer=optimizers.Adam(1.0)), pipeline()),
    ),
    "SGD with 1e4": (
        "high_rate",
        lambda: (compiled(net(), optimizer=optimizers.SGD(1e4)), pipeline()),
    ),
    "Adam with 1e-8": (
        "low_rate",
        lambda: (compiled(net(), optimizer=optimizers.Adam(1e-8)), pipeline()),
    ),
    "SGD with 1e-8": (
        "low_rate",
        lambda: (compiled(net(), optimizer=optimizers.SGD(1e-8)), pipeline()),
    ),
    "loss not finite": (
        "loss_not_finite",
        lambda: (compiled(net(), lambda y, p: p[:, 0] / tf.zeros(())), pipeline()),
    ),
    "one-hot with sparse": (
        "one_hot_labels", lambda: (net(), pipeline(labels=ONE_HOT))
    ),
    "whole with categorical": (
        "whole_labels",
        lambda: (compiled(net(), "categorical_crossentropy"), pipeline()),
    ),
    "label 7": ("label_out_of_range", lambda: (net(), odd_label(7))),
    "label -1": ("label_out_of_range", lambda: (net(), odd_label(-1))),
    "label 0.5": ("label_out_of_range", lambda: (net(), odd_label(0.5))),
}  # fmt: skip


def frozen(model):
    model.trainable = False
    return model


def odd_label(value):
    labels = LABELS.astype("float32")
    labels[41] = value
    return pipeline(labels=labels)[0], None


@pytest.mark.parametrize("name", SABOTAGE)
def test_each_sabotage_is_found_and_nothing_else(name, capsys):
    code, make = SABOTAGE[name]
    findings = training.preflight(*make())
    assert findings["code"].tolist() == [code], findings.to_string()
    row, printed = findings.iloc[0], capsys.readouterr().out
    assert row["severity"] == CODES[code].severity
    assert row["detail"] in printed and row["remedy"] in printed
    assert CODES[code].meaning in printed


def test_every_code_has_a_sabotage():
    assert set(CODES) == {code for code, _ in SABOTAGE.values()}


def test_classes_of_image_data_are_named_and_counted(photos, capsys):
    assert codes(net(), photos) == []
    assert codes(net(width=4), photos) == ["wrong_width"]
    few = photos.manifest[
        (photos.manifest["label"] != 2) | (photos.manifest["split"] != "valid")
    ]
    import dataclasses

    rest = dataclasses.replace(photos, manifest=few, pixels=photos.pixels[few.index])
    findings = training.preflight(net(), rest, verbose=False)
    assert findings["code"].tolist() == ["missing_in_validation"]
    assert repr("$_{ <b>薔薇") in findings["detail"][0]


@pytest.mark.slow("a network of 80 layers, which takes steps twice")
def test_a_backbone_that_unfreeze_top_prepares_is_well(digits):
    base = transfer.backbone("mobilenet", (32, 32, 1), weights=None, width=0.25)
    model = transfer.classifier(base, 10)
    images, _ = data.to_arrays(digits, "valid")
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.5
    for _ in range(20):  # statistics that fit, as those of a trained backbone
        model(images[:64], training=True)
    for layer in model.layers[:-4]:
        layer.trainable = False
    training.unfreeze_top(model, 0.3)
    assert codes(model, digits) == []
    for layer in model.layers[-20:]:
        layer.trainable = True  # BatchNorm as well
    assert codes(model, digits) == ["batchnorm_moves"]


def state(model):
    python, (_, numpy, *place) = random.getstate(), np.random.get_state()
    values = [np.array(v.value) for v in [*model.variables, *model.optimizer.variables]]
    kept = [model.optimizer, model.loss, model.train_function, model._compile_metrics]
    return values, [*map(id, kept)], python, numpy.tolist(), place


def test_nothing_changes_not_even_what_a_training_does_afterwards(digits):
    """Weights, BatchNorm, dropout's state, optimizer, compilation, random numbers."""
    ends = []
    for careful in (True, False):
        keras.utils.set_random_seed(1)
        model = models.small_cnn(
            input_shape=(32, 32, 1), widths=(4, 8), dropout=0.3, num_classes=10
        )
        compiled(model, optimizer=optimizers.SGD(0.05, momentum=0.9))
        images, labels = data.to_arrays(digits, "valid")
        model.fit(images, labels, verbose=0)
        if careful:
            before = state(model)
            training.preflight(model, digits, verbose=False)
            training.find_learning_rate(model, digits, steps=12, verbose=0)
            after = state(model)
            for old, new in zip(before[0], after[0], strict=True):
                np.testing.assert_array_equal(old, new)
            assert before[1:] == after[1:]
        model.fit(images, labels, verbose=0)
        other = models.small_cnn(input_shape=(32, 32, 1), widths=(4,))
        ends.append([*model.get_weights(), *other.get_weights()])
    for careful, plain in zip(*ends, strict=True):
        np.testing.assert_array_equal(careful, plain)


def test_an_epoch_takes_as_long_as_all_its_batches(digits, monkeypatch):
    """How near that comes to a clock is measured by `tests/benchmarks/preflight.py`."""
    monkeypatch.setattr(preflight_costs, "seconds", lambda *of_a_batch: 60.0)
    model = models.small_cnn(num_classes=10, input_shape=(32, 32, 1))
    said = training.preflight(model, digits, verbose=False).attrs["seconds_an_epoch"]
    assert said == 60 * (len(digits.train) + len(digits.valid))


def test_the_file_is_as_large_as_was_said(digits, tmp_path):
    model = models.small_cnn(num_classes=10, input_shape=(32, 32, 1))
    said = training.preflight(model, digits, verbose=False).attrs["file_megabytes"]
    file = saving.save(model, tmp_path / "m.keras", [*map(str, range(10))])
    assert said == pytest.approx(file.stat().st_size / 1e6, rel=0.1)


def memory(model, batch):
    optimizer = keras.optimizers.Adam()
    trial = Trial(model, losses.get("sparse_categorical_crossentropy"), optimizer)
    images = tf.zeros((batch, *model.input_shape[1:]))
    return peak_bytes(trial, images, tf.zeros((batch,), "int32"))


def test_memory_is_weights_gradients_two_moments_and_activations():
    """Adam keeps two numbers a weight (Kingma and Ba, 2015); one is the gradient."""
    inputs = keras.Input((1000,))
    model = keras.Model(inputs, layers.Dense(1000, activation="softmax")(inputs))
    weights = 4 * model.count_params()
    assert 4 * weights < memory(model, 1) < 6 * weights

    model = models.small_cnn(num_classes=10, input_shape=(32, 32, 1))
    kept = anatomy.totals(anatomy.table(model))["activation_bytes"]
    slope = (memory(model, 64) - memory(model, 32)) / 32
    assert 0.5 * kept < slope < 3 * kept


def test_a_summary_says_what_to_do(capsys):
    given = pipeline(IMAGES / 255, labels=ONE_HOT)
    training.preflight(net(), given)
    printed = capsys.readouterr().out
    assert "must be mended before training" in printed
    assert printed.count("->") == 2
    assert max(map(len, printed.splitlines())) < 200


@pytest.mark.parametrize(
    ("model", "given", "options", "message"),
    [
        (net(), IMAGES, {}, "Received: ndarray"),
        (net(), (pipeline()[0], IMAGES), {}, "Received: tuple"),
        (net(), pipeline(), {"loss": {"a": "mse"}}, "Received: 1 losses"),
        (net(), pipeline(), {"optimizer": "adagrad"}, "optimizer='adagrad'"),
        (net(), pipeline(), {"learning_rate": 0}, "learning_rate=0"),
        (None, pipeline(), {}, "Received: NoneType"),
        (net(), (pipeline()[0].take(0), None), {}, "empty training pipeline"),
        (net(), (pipeline()[0].map(lambda x, y: x), None), {}, "from the training"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(model, given, options, message):
    with pytest.raises(ValueError, match=message):
        training.preflight(model, given, **options)
