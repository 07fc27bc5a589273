import math
import os
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from cnnkit import data, models, training, transfer
from cnnkit.training.watch import Course, KeepBest, OneCycle


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
    assert loss == pytest.approx(min(losses), rel=1e-3)
    assert accuracy > 0.5  # chance is 0.1
    assert history.history["loss"][-1] < 0.9 * history.history["loss"][0]
    lines = capsys.readouterr().out.splitlines()
    assert sum("epoch" in line for line in lines) <= 30


def test_fit_is_the_plain_keras_that_its_docstring_shows(digits):
    ours = small()
    training.fit(ours, digits, epochs=2, learning_rate=1e-3, patience=9, verbose=0)

    steps = len(digits.train)

    class Schedule(keras.callbacks.Callback):
        done = 0

        def on_train_batch_begin(self, batch, logs=None):
            rate = OneCycle(1e-3, None).rate(self.done / (2 * steps))
            self.model.optimizer.learning_rate = rate
            self.done += 1

    plain = small()
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.02)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    plain.compile(
        optimizer,
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    best = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=9, restore_best_weights=True
    )
    plain.fit(
        digits.train,
        validation_data=digits.valid,
        epochs=2,
        callbacks=[Schedule(), best],
        shuffle=False,
        verbose=0,
    )
    for mine, theirs in zip(ours.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nearly_nothing():
    cycle = OneCycle(1.0, None)
    rates = [cycle.rate(share) for share in np.linspace(0, 1, 101)]
    assert rates[0] < 0.05 and rates[25] == pytest.approx(1.0) and rates[-1] < 0.01
    assert np.all(np.diff(rates[:26]) > 0) and np.all(np.diff(rates[25:]) < 0)


def test_minutes_are_kept_and_reported(digits):
    start = time.monotonic()
    history = training.fit(small(), digits, minutes=0.2, verbose=0)
    assert time.monotonic() - start < 12 * 1.35
    assert history.params["stopped"] in (
        "the time was up",
        "no better validation loss for 10 epochs",
    ) or history.params["stopped"].startswith("no better")
    assert history.history["learning_rate"][-1] < 2e-3


def test_an_interrupt_leaves_the_best_weights_and_a_history(digits, monkeypatch):
    class Impatient(KeepBest):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if epoch == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr("cnnkit.training.recipe.KeepBest", Impatient)
    model = small()
    history = training.fit(model, digits, epochs=5, verbose=0)
    assert history.params["stopped"] == "you stopped it"
    assert np.isfinite(model.evaluate(digits.valid, verbose=0)[0])


def test_a_loss_that_is_not_finite_stops_the_run_and_is_never_best(digits):
    model = small()
    history = training.fit(model, digits, epochs=5, learning_rate=1e30, verbose=0)
    assert "not finite" in history.params["stopped"]
    best = KeepBest(Course())
    best.set_model(small())
    best.on_epoch_end(0, {"loss": 1.0, "val_loss": math.nan})
    assert best.weights is None and best.model.stop_training


def test_fine_tuning_moves_the_head_and_the_top_and_no_batch_norm(digits):
    keras.utils.set_random_seed(0)
    base = transfer.backbone("mobilenet", (32, 32, 1), weights=None, width=0.25)
    base.trainable = False  # as one with weights comes
    model = transfer.classifier(base, 10)
    before = {v.path: v.numpy() for v in model.variables}
    history = training.fine_tune(
        model, digits, epochs=1, unfreeze=0.3, learning_rate=1e-2, verbose=0
    )
    phases = [name for name, _ in history.params["phases"]]
    assert phases[0] == "head" and phases[1].startswith("top ")
    assert len(history.history["loss"]) == sum(n for _, n in history.params["phases"])
    layers = [layer for layer in model.layers if layer.weights]
    for layer in layers:
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        for variable in layer.variables:
            if is_norm or not layer.trainable:
                np.testing.assert_array_equal(before[variable.path], variable.numpy())
    assert model.get_layer("logits").trainable


def test_unfreezing_counts_from_the_top():
    model = transfer.classifier(
        "mobilenet", 3, image_shape=(32, 32, 3), weights=None, width=0.25
    )
    assert training.unfreeze_top(model, 0) == 0
    some, every = (training.unfreeze_top(model, share) for share in (0.5, 1))
    assert 0 < some < every == 27  # the convolutions of MobileNet (table 1)


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
