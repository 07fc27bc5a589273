from functools import partial

import keras
import numpy as np
import pytest
from scipy.stats import binomtest, sem, t
from sklearn import metrics
from sklearn.datasets import load_digits

from cnnkit import data, evaluation, experiments, models, training
from cnnkit.experiments import FAMILIES, Family

TINY = {
    "small": Family(1998, "pooling", partial(models.small_cnn, widths=(8, 8))),
    "hostile $_{ <b>": Family(2000, "a", partial(models.small_cnn, widths=(4, 4))),
}


@pytest.fixture(scope="module")
def digits():
    scans = load_digits()
    images = np.kron(scans.images[:300] * 15.9, np.ones((4, 4)))[..., None]
    names = [str(digit) for digit in range(10)]
    return data.from_arrays(
        images.astype("uint8"), scans.target[:300], class_names=names, together="same"
    )


def test_the_table_has_what_was_measured_and_intervals_of_scipy(digits, capsys, clock):
    table = experiments.compare_families(digits, TINY, minutes=0.06, seeds=(0, 1))
    assert list(table.index) == list(TINY)
    row = table.iloc[0]
    model = TINY["small"].build(num_classes=10, input_shape=(32, 32, 1))
    assert row["parameters"] == model.count_params()
    # 3x3 windows: (32^2 * 1 + 16^2 * 8 + 8^2 * 8) * 9 * 8, and the dense layer
    assert row["multiply_adds"] == (1024 * 1 + 256 * 8 + 64 * 8) * 72 + 80
    assert row["receptive_field"] == 1 + 2 + 1 + 4 + 2 + 8
    n = int((digits.manifest["split"] == "valid").sum())
    assert (row["pictures"], row["seeds"]) == (n, 2)
    right = row["accuracy"] * n
    ends = binomtest(round(right), n).proportion_ci(method="wilson")
    if right == round(right):
        np.testing.assert_allclose((row["low"], row["high"]), ends, atol=1e-6)
    assert row["low"] < row["accuracy"] < row["high"] or row["accuracy"] == 1
    assert row["epochs"] >= 1 and row["spread"] >= 0
    assert (table[["ms_1", "ms_32", "train_ms"]] > 0).all(axis=None)
    said = capsys.readouterr().out
    assert all(name in said for name in TINY)


def test_stopping_it_leaves_the_families_that_were_done(
    digits, monkeypatch, capsys, clock
):
    whole_fit, fits = keras.Model.fit, []

    def fit(self, *arguments, **options):
        fits.append(self)
        if len(fits) == 2:
            raise KeyboardInterrupt
        return whole_fit(self, *arguments, **options)

    monkeypatch.setattr(keras.Model, "fit", fit)
    table = experiments.compare_families(digits, TINY, minutes=0.01)
    assert list(table.index) == ["small"]
    assert "1 of 2 families" in capsys.readouterr().out


def test_a_family_that_does_not_fit_the_pictures_is_said_before_any_training(digits):
    large = {"large": Family(2012, "dropout", models.alexnet)}
    with pytest.raises(ValueError, match="at least 67 pixels"):
        experiments.compare_families(digits, TINY | large)
    with pytest.raises(ValueError, match=r"Received: \(\)"):
        experiments.compare_families(digits, TINY, seeds=())


def test_the_families_of_the_report_are_there_in_the_order_of_their_years():
    years = [family.year for family in FAMILIES.values()]
    assert years == sorted(years) and (years[0], years[-1]) == (2012, 2020)
    assert {"AlexNet", "VGG", "GoogLeNet", "ResNet", "DenseNet"} < set(FAMILIES)
    for family in FAMILIES.values():
        model = family.build(num_classes=12, input_shape=(32, 32, 3))
        assert model.output_shape == (None, 12)


@pytest.fixture(scope="module")
def bases():
    """Two backbones as if they had weights: one that sees, one that sees nothing."""
    inputs = keras.Input((32, 32, 1))
    keras.utils.set_random_seed(0)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    sees = keras.layers.Conv2D(32, 8, strides=8, activation="relu")(x)
    sees = keras.Model(inputs, keras.layers.Reshape((1, 1, 512))(sees))
    blind = keras.Model(inputs, keras.layers.AveragePooling2D(32)(x))
    sees.trainable = blind.trainable = False
    return {"sees": sees, "blind $_{": blind}


def test_backbones_are_compared_by_heads_that_share_their_features(
    digits, bases, monkeypatch, clock
):
    whole, passes = keras.Model.predict_on_batch, []

    def counted(self, images):
        passes.append(len(images))
        return whole(self, images)

    monkeypatch.setattr(keras.Model, "predict_on_batch", counted)
    table = experiments.compare_backbones(
        digits, bases, minutes=0.5, seeds=(0, 1), part="test", verbose=0
    )
    assert list(table.index) == list(bases)
    known = len(digits.rows("valid")) + len(digits.rows("test"))
    steps = -(-known // 64) - (-len(digits.rows("train")) // 64)
    assert passes.count(64) == 2 * steps  # one pass for each, not one for each seed
    sees, blind = table.loc["sees"], table.loc["blind $_{"]
    assert sees["accuracy"] > 0.6 > 0.3 > blind["accuracy"]
    assert sees["parameters"] == 8 * 8 * 32 + 32 + 512 * 10 + 10
    assert sees["megabytes"] == pytest.approx(4e-6 * sees["parameters"])
    n = len(digits.rows("test"))
    assert (table["pictures"] == n).all() and (table["seeds"] == 2).all()
    assert (table["learnt"] == len(digits.rows("train"))).all()
    ends = binomtest(round(sees["accuracy"] * n), n).proportion_ci(method="wilson")
    np.testing.assert_allclose((sees["low"], sees["high"]), ends, atol=0.02)


def test_backbones_without_weights_are_refused_before_any_work(digits):
    with pytest.raises(ValueError, match="frozen, can be compared.*'mobilenet'"):
        base = experiments.backbones.transfer.backbone(
            "mobilenet", (32, 32, 1), weights=None, width=0.25
        )
        experiments.compare_backbones(digits, {"mobilenet": base})
    with pytest.raises(ValueError, match="`names` is a list.*'mobilenet'"):
        experiments.compare_backbones(digits, "mobilenet")
    with pytest.raises(ValueError, match=r"Received: \(\)"):
        experiments.compare_backbones(digits, ["mobilenet"], seeds=())


def build():
    return models.small_cnn(num_classes=10, input_shape=(32, 32, 1), widths=(4, 8))


def test_repeated_trainings_are_those_of_fit_and_the_interval_that_of_scipy(digits):
    summary, runs = experiments.repeat(
        build, digits, (3, 5, 8), epochs=8, part="test", verbose=0
    )
    assert list(runs.index) == [3, 5, 8]
    keras.utils.set_random_seed(5)
    model = build()
    training.fit(model, digits, epochs=8, seed=5, verbose=0)
    labels, said = evaluation.arrays(evaluation.predict(model, digits, "test"))
    assert runs.loc[5, "accuracy"] == np.mean(said.argmax(axis=1) == labels)
    said = said / said.sum(axis=1, keepdims=True)
    assert runs.loc[5, "log loss"] == pytest.approx(metrics.log_loss(labels, said))
    for score, row in summary.iterrows():
        values = runs[score]
        ends = t.interval(0.95, 2, values.mean(), sem(values))
        np.testing.assert_allclose(row[["low", "high"]].astype(float), ends)
        assert row["mean"] == values.mean() and row["spread"] == values.std()
    assert len(set(runs["log loss"])) == 3 and (summary["seeds"] == 3).all()
    for seeds in ((1,), (1, 1)):
        with pytest.raises(ValueError, match="Received: seeds="):
            experiments.repeat(build, digits, seeds, epochs=1)


def test_a_repetition_that_is_stopped_keeps_the_seeds_so_far(
    digits, monkeypatch, capsys
):
    whole_fit, fits = keras.Model.fit, []

    def fit(self, *arguments, **options):
        fits.append(self)
        if len(fits) == 3:
            raise KeyboardInterrupt
        return whole_fit(self, *arguments, **options)

    monkeypatch.setattr(keras.Model, "fit", fit)
    summary, runs = experiments.repeat(build, digits, epochs=1)
    assert list(runs.index) == [0, 1] and (summary["seeds"] == 2).all()
    assert "You stopped it after 2 of 5 seeds" in capsys.readouterr().out
