import math
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import scipy.optimize
from sklearn import metrics

from cnnkit import augment, data, models, training
from cnnkit.training import in_time, precision
from cnnkit.training.metrics import BalancedAccuracy
from cnnkit.training.phases import CALIBRATED
from cnnkit.training.schedules import Cosine, OneCycle
from cnnkit.training.watch import KeepBest


@pytest.fixture(scope="module")
def digits():
    everything = data.load("digits")
    images, labels = data.to_arrays(everything, "train")
    return data.from_arrays(images[:300], labels[:300], source="digits")


def small(seed=0):
    keras.utils.set_random_seed(seed)
    return models.small_cnn(
        num_classes=10, input_shape=(32, 32, 1), widths=(8, 16), dropout=0.1
    )


def test_fit_learns_repeats_exactly_and_leaves_the_best_weights(digits, capsys):
    runs = []
    for _ in range(2):
        model = small()
        history = training.fit(model, digits, epochs=12)
        runs.append((model.get_weights(), history))
    for first, second in zip(runs[0][0], runs[1][0], strict=True):
        np.testing.assert_array_equal(first, second)
    losses = history.history["val_loss"]
    assert len(losses) == len(history.history["learning_rate"]) == 12
    assert history.params["best_epoch"] == 1 + int(np.argmin(losses))
    loss, accuracy = model.evaluate(digits.valid, verbose=0)
    assert loss == pytest.approx(min(losses), rel=1e-2)  # may be 16 bits
    assert accuracy > 0.5  # chance is 0.1
    assert history.history["loss"][-1] < 0.9 * history.history["loss"][0]
    lines = capsys.readouterr().out.splitlines()
    assert sum("epoch" in line for line in lines) <= 30


def test_a_training_step_is_traced_once(digits):
    traced = []

    class Watched(keras.layers.Layer):
        def call(self, x, training=False):
            traced.append(training)
            return x

    steps = [keras.Input((32, 32, 1)), Watched(), keras.layers.Flatten()]
    model = keras.Sequential([*steps, keras.layers.Dense(10, "softmax")])
    training.fit(model, digits, epochs=2, verbose=0)
    assert traced.count(True) == 1


@pytest.mark.parametrize("patience, stopped_at", [(None, None), (3, 4)])
def test_a_run_ends_early_only_where_patience_is_asked_for(patience, stopped_at):
    best = KeepBest(patience)
    best.set_model(small())
    best.model.stop_training = False
    best.on_train_begin()
    for epoch in range(300):
        best.on_epoch_end(epoch, {"loss": 1, "val_loss": 1 + epoch})
        if best.model.stop_training:
            break
    assert best.epoch == 0
    assert best.model.stop_training == (stopped_at is not None)
    assert stopped_at is None or epoch + 1 == stopped_at


def test_the_kept_epoch_is_the_best_calibrated_one_where_classes_count_alike(digits):
    """By scikit-learn's log loss, weighted, and SciPy's best temperature."""
    weights = {k: 1.0 + k for k in range(10)}
    model = small()
    history = training.fit(
        model, digits, epochs=4, class_weight=weights, monitor=CALIBRATED, verbose=0,
        precision="float32", learning_rate=0.02,
    )  # fmt: skip
    values = history.history[CALIBRATED]
    assert history.params["best_epoch"] == 1 + int(np.argmin(values))
    labels = np.concatenate([y.numpy() for _, y in digits.valid])
    logits = np.log(model.predict(digits.valid, verbose=0))
    by_class = [weights[label] for label in labels]

    def log_loss(step):
        answers = scipy.special.softmax(logits / 2**step, axis=1)
        return metrics.log_loss(
            labels, answers, sample_weight=by_class, labels=range(10)
        )

    found = scipy.optimize.minimize_scalar(log_loss, bounds=(-2, 4), method="bounded")
    assert found.fun <= min(values) * (1 + 1e-4) < found.fun * 1.02
    best = history.params["best_epoch"] - 1
    plain = metrics.log_loss(labels, np.exp(logits), labels=range(10))
    assert history.history["val_log_loss"][best] == pytest.approx(plain, rel=1e-4)
    weighted = log_loss(0) * np.mean(by_class)  # as Keras weighs: over the pictures
    assert history.history["val_loss"][best] == pytest.approx(weighted, rel=1e-4)
    assert len(model.evaluate(digits.valid, verbose=0)) == 2  # loss and accuracy


@pytest.mark.parametrize("one_hot", [False, True])
def test_balanced_accuracy_is_that_of_scikit_learn(one_hot):
    luck = np.random.default_rng(0)
    labels, answers = luck.integers(0, 4, 50), luck.dirichlet(np.ones(4), 50)
    metric = BalancedAccuracy(4)
    for part in (slice(30), slice(30, 50)):
        given = np.eye(4)[labels[part]] if one_hot else labels[part]
        metric.update_state(given, answers[part])
    expected = metrics.balanced_accuracy_score(labels, answers.argmax(axis=1))
    assert float(metric.result()) == pytest.approx(expected)


PLAIN_LOSS = "sparse_categorical_crossentropy"


def plain_keras(photos, optimizer, loss=PLAIN_LOSS, **more):
    """A model that is trained for two epochs without cnnkit."""
    model = small()
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False, **more)
    best = keras.callbacks.EarlyStopping(patience=9, restore_best_weights=True)
    model.fit(
        photos.train, validation_data=photos.valid, epochs=2, callbacks=[best],
        shuffle=False, verbose=0,
    )  # fmt: skip
    return model


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_fit_is_the_plain_keras_that_its_docstring_shows(digits, optimizer):
    ours = small()
    steps = 2 * len(digits.train)
    if optimizer == "adamw":
        options = {"weight_decay": 1.0}
        theirs = keras.optimizers.AdamW(OneCycle(3e-3, steps), weight_decay=1.0)
    elif optimizer == "muon":
        options = {"weight_decay": 1.0}
        theirs = training.Muon(OneCycle(1e-2, steps), weight_decay=1.0)
    else:
        options = {
            "learning_rate": 0.05, "weight_decay": 0.1, "schedule": "cosine",
            "clip": 0.5,
        }  # fmt: skip
        theirs = keras.optimizers.SGD(
            Cosine(0.05, steps), 0.9, True, weight_decay=0.1, global_clipnorm=0.5
        )
    training.fit(
        ours, digits, epochs=2, optimizer=optimizer, patience=9, verbose=0,
        precision="float32", monitor="val_loss", **options,
    )  # fmt: skip
    plain, start = plain_keras(digits, theirs), small()
    for mine, other, before in zip(
        ours.variables, plain.variables, start.variables, strict=True
    ):
        # BatchNorm takes a bias before it out again: its gradient is a rounding error,
        # of which Adam makes whole steps. So it does of the few weights that have next
        # to no gradient, and so a variable is looked at as a whole: where a decay is
        # missing or the schedule is another, it is off by a fifth of its way or more.
        if not mine.path.endswith(("seed_generator_state", "conv/bias")):
            way = np.linalg.norm(other - before)
            assert way > 1e-3 and np.linalg.norm(mine - other) < 0.05 * way, mine.path


@pytest.mark.parametrize("schedule, top", [(OneCycle, 0.25), (Cosine, 0.05)])
def test_the_learning_rate_rises_to_its_peak_and_falls_to_nearly_nothing(schedule, top):
    shares = np.linspace(0, 1, 101)
    rates = [schedule(2.0).at(share) for share in shares]
    assert rates[0] < 0.1 and max(rates) == rates[round(100 * top)] == 2.0
    assert rates[-1] == pytest.approx(0.002)
    down = shares[shares >= top]  # SGDR, equation 5
    cosine = (1 + np.cos(np.pi * (down - top) / (1 - top))) / 2
    np.testing.assert_allclose(rates[-len(down) :], 2 * cosine, atol=0.0021)
    assert np.all(np.diff(rates[: round(100 * top) + 1]) > 0)
    restored = keras.optimizers.schedules.deserialize(
        keras.optimizers.schedules.serialize(schedule(2.0, 100))
    )
    steps = [float(restored(step)) for step in range(101)]
    np.testing.assert_allclose(steps, rates, atol=1e-6)  # 32 bits of up to 2
    with pytest.raises(ValueError, match="steps"):
        keras.optimizers.SGD(schedule(1.0)).learning_rate  # noqa: B018


def test_averaged_weights_are_those_of_the_closed_form(digits):
    """k e + (1 - k) w, of weights and of BatchNorm's statistics, k small at first."""
    seen = []
    follow = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(arrays())
    )
    model = small()

    def arrays():
        return [v.numpy() for v in model.weights if v.dtype == "float32"]  # no seeds

    averages = arrays()
    training.fit(
        model, digits, epochs=1, ema=0.6, callbacks=[follow], verbose=0,
        precision="float32",
    )  # fmt: skip
    for step, weights in enumerate(seen, start=1):
        kept = min(0.6, (1 + step) / (10 + step))
        averages = [
            kept * e + (1 - kept) * w for e, w in zip(averages, weights, strict=True)
        ]
    for left, average in zip(arrays(), averages, strict=True):
        np.testing.assert_allclose(left, average, atol=1e-5, rtol=1e-5)
    assert any("moving" in v.path for v in model.weights)
    assert np.abs(averages[0] - seen[-1][0]).max() > 1e-4

    two = small()
    training.fit(two, digits, epochs=2, ema=0.9, verbose=0, precision="float32")
    without = small()
    history = training.fit(without, digits, epochs=2, verbose=0, precision="float32")
    assert len(history.epoch) == 2
    for average, latest in zip(
        two.trainable_variables, without.trainable_variables, strict=True
    ):  # training itself went on from the latest weights, so the averages are near
        assert 0 < np.abs(average - latest).max() < 0.1


def test_sixteen_bits_are_used_in_training_only_and_where_they_pay(digits, monkeypatch):
    monkeypatch.setattr(precision, "_machine_has_bfloat16", lambda: True)
    assert precision.choose(small()) == "mixed_bfloat16"
    depthwise = models.mobilenet_cifar(2, num_classes=10, input_shape=(32, 32, 1))
    assert precision.choose(depthwise) == "float32"
    used = []
    spy = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: used.append(
            model.get_layer("features").compute_dtype
        )
    )
    model = small()
    history = training.fit(model, digits, epochs=4, callbacks=[spy], verbose=0)
    assert set(used) == {"bfloat16"} and history.params["precision"] == "mixed_bfloat16"
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert model.predict_on_batch(digits.pixels[:2]).dtype == "float32"
    exact = small()
    training.fit(exact, digits, epochs=4, verbose=0, precision="float32")
    losses = [m.evaluate(digits.valid, verbose=0)[0] for m in (model, exact)]
    assert losses[0] == pytest.approx(losses[1], rel=0.2)  # 8 bits of digits, 28 steps
    monkeypatch.setattr(precision, "_machine_has_bfloat16", lambda: False)
    assert precision.choose(small()) == "float32"


def test_smoothed_and_mixed_labels_have_their_loss(digits):
    model = small()
    history = training.fit(
        model, digits, epochs=1, label_smoothing=0.1, verbose=0, precision="float32"
    )
    images, labels = data.to_arrays(digits, "valid")
    log_p = np.log(np.asarray(model(images.astype("float32"))))
    right = log_p[np.arange(len(labels)), labels]
    expected = -(0.9 * right + 0.1 * log_p.mean(axis=1)).mean()  # section 7
    assert history.history["val_loss"][0] == pytest.approx(expected, rel=1e-4)

    mixed = small()
    history = training.fit(
        mixed, digits, epochs=8, mix=augment.mixup(), verbose=0, label_smoothing=0.1
    )
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert mixed.evaluate(digits.batches("valid", one_hot=True), verbose=0)[1] > 0.3


@pytest.mark.parametrize(
    "options, message",
    [
        ({"label_smoothing": 1.0}, "label_smoothing=1.0"),
        ({"label_smoothing": 0.1, "loss": "focal"}, "loss='focal' with label_smooth"),
        ({"mix": max, "class_weight": {}}, "class_weight with mix"),
        ({"optimizer": "adam"}, "optimizer='adam'"),
        ({"schedule": "flat"}, "schedule='flat'"),
        ({"precision": "float16"}, "precision='float16'"),
        ({"ema": 1.0}, "ema=1.0"),
        ({"clip": 0}, "clip=0"),
        ({"learning_rate": 0}, "learning_rate=0"),
    ],
)
def test_a_setting_that_cannot_be_is_named(digits, options, message):
    with pytest.raises(ValueError, match=message):
        training.fit(small(), digits, epochs=1, **options)


def test_minutes_are_kept_and_reported(digits, clock):
    history = training.fit(small(), digits, minutes=0.1, verbose=0)
    assert 5.5 < clock.now < 6.5
    assert history.params["stopped"] == "the time was up"
    assert history.history["learning_rate"][-1] < 2e-3


def test_a_validation_too_long_for_the_minutes_takes_some_of_each_class(
    digits, clock, capsys
):
    history = training.fit(small(), digits, minutes=0.002)
    lines = capsys.readouterr().out
    assert "validated on 1 of 2 batches, drawn from all classes" in lines
    assert "It took" in lines and len(history.epoch) == 1
    table = in_time.some_of(digits, 0.5).manifest
    number = table.loc[table["split"] == "valid", "label"].value_counts()
    assert sorted(number.index) == list(range(10)) and set(number) <= {2, 3}
    same = table["split"] == digits.manifest["split"]
    assert set(digits.manifest.loc[~same, "split"]) == {"valid"}


def test_an_interrupt_leaves_the_best_weights_and_a_history(digits, monkeypatch):
    class Impatient(KeepBest):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if epoch == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr("cnnkit.training.phases.KeepBest", Impatient)
    model = small()
    history = training.fit(model, digits, epochs=5, verbose=0)
    assert history.params["stopped"] == "you stopped it"
    assert np.isfinite(model.evaluate(digits.valid, verbose=0)[0])


def test_a_loss_that_is_not_finite_stops_the_run_and_is_never_best(digits):
    model = small()
    history = training.fit(model, digits, epochs=5, learning_rate=1e30, verbose=0)
    assert "not finite" in history.params["stopped"]
    best = KeepBest()
    best.set_model(small())
    best.on_epoch_end(0, {"loss": 1.0, "val_loss": math.nan})
    assert best.weights is None and best.model.stop_training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Say how long"),
        ({"epochs": 0}, "epochs=0"),
        ({"minutes": -1}, "minutes=-1"),
    ],
)
def test_a_duration_is_needed(digits, options, message):
    with pytest.raises(ValueError, match=message):
        training.fit(small(), digits, **options)


def test_models_that_do_not_fit_the_pictures_are_refused(digits):
    with pytest.raises(ValueError, match=r"pictures of \(32, 32, 1\)"):
        training.fit(models.small_cnn(num_classes=10), digits, epochs=1)
    with pytest.raises(ValueError, match="3 outputs and 10 classes"):
        wrong = models.small_cnn(num_classes=3, input_shape=(32, 32, 1))
        training.fit(wrong, digits, epochs=1)
    with pytest.raises(ValueError, match="data.from_folder"):
        training.fit(small(), digits.train, epochs=1)
    frozen = small()
    frozen.trainable = False
    with pytest.raises(ValueError, match="No layer is trainable"):
        training.fit(frozen, digits, epochs=1)


def test_freed_memory_is_kept_for_the_next_step():
    faults = """
import resource, sys
from cnnkit.data.memory import keep_freed_memory
print(keep_freed_memory() if sys.argv[1] == "kept" else None)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(30):
    sys.argv[0][:1] * 48_000_000  # bytes, as the buffers of a step
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    given_back, kept = (
        subprocess.run(
            [sys.executable, "-c", faults, way], capture_output=True, text=True,
            check=True, env=environment,
        ).stdout.split()
        for way in ("given back", "kept")
    )  # fmt: skip
    if kept[0] == "False":
        pytest.skip("not a Linux with glibc")
    assert int(kept[1]) < int(given_back[1]) / 5
