import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from scipy import special
from sklearn import metrics

from cnnkit import data, evaluation, models, saving, transfer

LABELS = np.arange(6) % 3


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (120, 32, 32, 3), dtype="uint8")
    return data.from_arrays(images, np.arange(120) % 3, class_names=["a", "b", "c"])


def loss(labels, logits, hot):
    logs = special.log_softmax(logits / hot, axis=1)
    return -logs[np.arange(len(labels)), labels].mean()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    skill=st.floats(0, 3),
    scale=st.floats(0.1, 30),
)
def test_the_temperature_is_the_minimum_that_scipy_finds(seed, skill, scale):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 60)
    logits = scale * (rng.normal(0, 1, (60, 4)) + skill * np.eye(4)[labels])
    ours = evaluation.temperature(labels, logits)
    low, high = evaluation.temperature_interval(labels, logits)
    assert low <= 1 <= high or loss(labels, logits, ours) <= loss(labels, logits, 1.0)
    logs = np.linspace(np.log(0.05), np.log(20), 601)
    losses = 60 * np.array([loss(labels, logits, hot) for hot in np.exp(logs)])
    if ours != 1.0:
        shrunk = logs[(losses + 2 * logs**2).argmin()]  # log(T) as from N(0, 0.5)
        assert np.log(ours) == pytest.approx(shrunk, abs=0.011)
    likely = logs[losses <= losses.min() + 1.9207]  # 3.841 / 2
    np.testing.assert_allclose(np.log([low, high]), likely[[0, -1]], atol=0.011)
    shifted = evaluation.temperature(labels, special.log_softmax(logits, axis=1))
    assert shifted == pytest.approx(ours, rel=1e-4)


def test_few_pictures_do_not_spoil_a_calibrated_model_and_still_mend_another():
    rng = np.random.default_rng(0)
    logits = 8 * rng.normal(0, 1, (4000, 5))
    drawn = rng.random((4000, 1)) < special.softmax(logits, axis=1).cumsum(axis=1)
    labels = drawn.argmax(axis=1)
    for boast, most in ((1.0, 1.08), (2.5, 0.95)):  # of the loss without a temperature
        for n in (15, 30, 100):
            after = [
                loss(labels, boast * logits, evaluation.temperature(
                    labels[rows], boast * logits[rows]
                )) for rows in rng.integers(0, 4000, (40, n))
            ]  # fmt: skip
            assert np.mean(after) <= most * loss(labels, boast * logits, 1.0), (
                boast,
                n,
            )
    sure = evaluation.temperature(np.arange(15) % 5, 9 * np.eye(5)[np.arange(15) % 5])
    assert sure == 1.0  # all right: nothing is known but that they are


def dense_softmax():
    return keras.Sequential([
        keras.Input((32, 32, 3)), layers.Rescaling(1 / 255), layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ])  # fmt: skip


def dense_then_softmax():
    inputs = keras.Input((32, 32, 3))
    x = layers.Dense(3)(layers.Flatten()(layers.Rescaling(1 / 255)(inputs)))
    return keras.Model(inputs, layers.Activation("softmax")(x))


def cosine():
    base = models.small_cnn(num_classes=3, input_shape=(32, 32, 3), widths=(4, 8))
    body = keras.Model(base.input, base.get_layer("features").output)
    return transfer.classifier(body, 3, head="cosine", dropout=0.1)


def small():
    return models.small_cnn(num_classes=3, input_shape=(32, 32, 3), widths=(4, 8))


@pytest.mark.parametrize("build", [small, dense_softmax, dense_then_softmax, cosine])
def test_the_copy_divides_the_logits_and_is_an_ordinary_file(build, photos, tmp_path):
    model = build()
    last = model.layers[-1 if build is dense_softmax else -2]
    noise = keras.random.normal(last.weights[0].shape, seed=1)
    last.weights[0].assign_add((8 if build is small else 1) * noise)  # too sure
    before = [w.copy() for w in model.get_weights()]
    calibrated, hot = evaluation.calibrate(model, photos)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    images, labels = data.to_arrays(photos, "test")
    p = model.predict(images.astype("float32"), verbose=0)
    expected = special.softmax(np.log(p.astype("float64")) / hot, axis=1)
    now = calibrated.predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(now, expected, atol=2e-5)
    assert hot != pytest.approx(1, abs=0.01)  # not a comparison of equals

    of_valid = []
    for one in (model, calibrated):
        truth, p = evaluation.arrays(evaluation.predict(one, photos, "valid"))
        of_valid.append(metrics.log_loss(truth, p / p.sum(axis=1, keepdims=True)))
    assert of_valid[1] <= of_valid[0] + 1e-6
    saving.save(calibrated, tmp_path / "m.keras", photos.class_names)
    loaded, _ = saving.load(tmp_path / "m.keras")
    again = loaded.predict(images.astype("float32"), verbose=0)
    np.testing.assert_array_equal(again, now)


def test_a_model_that_ends_otherwise_is_refused(photos):
    inputs = keras.Input((32, 32, 3))
    x = layers.Dense(3, activation="softmax")(layers.Flatten()(inputs))
    model = keras.Model(inputs, layers.Rescaling(1.0)(x))
    with pytest.raises(ValueError, match="softmax.*Received: a model whose last"):
        evaluation.calibrate(model, photos)
    with pytest.raises(ValueError, match=r"Received: shapes \(3,\) and \(2, 2\)"):
        evaluation.temperature([0, 1, 1], np.zeros((2, 2)))
    with pytest.raises(ValueError, match="Received: 1 that are not"):
        evaluation.temperature([0, 1], [[0, -np.inf], [0, 0]])


def test_on_an_overfitted_model_the_calibration_error_at_least_halves():
    try:
        fashion = data.load("fashion_mnist")
    except FileNotFoundError as error:
        pytest.skip(f"needs Fashion-MNIST: {error}")
    rng = np.random.default_rng(0)
    rows = [
        rng.permutation(fashion.rows("train"))[:800],
        rng.permutation(fashion.rows("valid"))[:800],
        rng.permutation(fashion.rows("test"))[:2500],
    ]
    fashion = fashion.take(np.sort(np.concatenate(rows)))
    model = keras.Sequential([
        keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Flatten(),
        layers.Dense(256, activation="relu"), layers.Dense(128, activation="relu"),
        layers.Dense(10, name="logits"), layers.Softmax(),
    ])  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    images, labels = data.to_arrays(fashion, "train")
    model.fit(images.astype("float32"), labels, epochs=30, batch_size=64, verbose=0)
    calibrated, hot = evaluation.calibrate(model, fashion)
    tables = [
        evaluation.probability_scores(
            *evaluation.arrays(evaluation.predict(m, fashion)), replicates=100
        ).loc["all classes", "value"]
        for m in (model, calibrated)
    ]
    before, after = tables
    print(f"temperature {hot:.2f}", before, after, sep="\n")
    assert hot > 1.5
    for score in ("calibration error, equal width", "calibration error, equal mass"):
        assert after[score] < before[score] / 2
    assert after["log loss"] < before["log loss"]
    assert after["top-3 accuracy"] == pytest.approx(before["top-3 accuracy"])
