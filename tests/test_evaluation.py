import dataclasses
import warnings
from io import StringIO

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from sklearn import metrics

from cnnkit import data, evaluation
from cnnkit.evaluation.intervals import bootstrap, wilson


def case(seed, n, k, skill=0.7, present=None):
    """Random labels, drawn from `present` classes, and probabilities that know them."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.arange(k) if present is None else present, n)
    probabilities = rng.dirichlet(np.ones(k), n)
    knows = rng.random(n) < skill
    probabilities[knows] = 0.3 * probabilities[knows] + 0.7 * np.eye(k)[labels[knows]]
    return labels, probabilities


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 60),
    k=st.integers(2, 7),
    skill=st.floats(0, 1),
)
def test_scores_and_confusion_matrix_equal_scikit_learn(seed, n, k, skill):
    labels, probabilities = case(seed, n, k, skill)
    predicted = probabilities.argmax(axis=1)
    table = evaluation.scores(labels, probabilities, replicates=100)
    overall = table.loc["all classes", "value"]
    present = np.unique(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of absent classes
        balanced = metrics.balanced_accuracy_score(labels, predicted)
        precision, recall, f1, support = metrics.precision_recall_fscore_support(
            labels, predicted, labels=range(k), zero_division=np.nan
        )
        of_present = {"labels": present, "average": "macro", "zero_division": 0}
        macro = metrics.f1_score(labels, predicted, **of_present)
        exact = metrics.precision_score(labels, predicted, **of_present)
    np.testing.assert_allclose(
        overall, [metrics.accuracy_score(labels, predicted), balanced, macro, exact]
    )
    f1[support == 0] = np.nan  # the one documented difference beside precision
    by_class = table["value"].to_numpy()[4:].reshape(k, 3)
    np.testing.assert_allclose(by_class, np.stack([precision, recall, f1], axis=1))

    matrix = evaluation.confusion_matrix(labels, probabilities)
    np.testing.assert_array_equal(
        matrix, metrics.confusion_matrix(labels, predicted, labels=range(k))
    )
    pictures = table["pictures"].to_numpy()[4:].reshape(k, 3)
    np.testing.assert_array_equal(pictures[:, 0], matrix.sum(axis=0))
    np.testing.assert_array_equal(pictures[:, 1], support)
    defined = table.dropna()
    assert (defined["low"] >= 0).all() and (defined["high"] <= 1).all()
    assert (defined["low"] <= defined["value"]).all()
    assert (defined["value"] <= defined["high"]).all()


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_intervals_of_newcombe_1998_table_1(hits, n, low, high):
    np.testing.assert_allclose(wilson(hits, n), (low, high), atol=5e-5)


def test_intervals_of_proportions_equal_scipy_and_f1_follows_from_its_overlap():
    labels, probabilities = case(1, 80, 4)
    table = evaluation.scores(labels, probabilities, confidence=0.9)
    matrix = evaluation.confusion_matrix(labels, probabilities)

    def theirs(hits, n):
        ends = binomtest(int(hits), int(n)).proportion_ci(0.9, method="wilson")
        return np.array([ends.low, ends.high])

    assert table.dtypes.tolist() == ["float64"] * 3 + ["int64"]
    ends = table[["low", "high"]]
    np.testing.assert_allclose(
        ends.loc[("all classes", "accuracy")], theirs(np.trace(matrix), 80)
    )
    for i in range(4):
        hits, true, taken = matrix[i, i], matrix[i].sum(), matrix[:, i].sum()
        ours = ends.loc[f"class {i}"]
        np.testing.assert_allclose(ours.loc["precision"], theirs(hits, taken))
        np.testing.assert_allclose(ours.loc["recall"], theirs(hits, true))
        overlap = theirs(hits, true + taken - hits)
        np.testing.assert_allclose(ours.loc["F1"], 2 * overlap / (1 + overlap))


def test_multinomial_bootstrap_equals_drawing_the_pictures_again():
    labels, probabilities = case(2, 150, 3, skill=0.6)
    predicted = probabilities.argmax(axis=1)
    rng = np.random.default_rng(3)
    direct = []
    for _ in range(800):
        rows = rng.integers(0, 150, 150)
        direct.append(metrics.f1_score(labels[rows], predicted[rows], average="macro"))
    cells = np.bincount(labels * 3 + predicted, minlength=9)

    def macro_f1(counts):
        matrix = counts.reshape(-1, 3, 3)
        hits = np.diagonal(matrix, axis1=1, axis2=2)
        return (2 * hits / (matrix.sum(1) + matrix.sum(2))).mean(1, keepdims=True)

    ours = np.ravel(bootstrap(cells, macro_f1))
    np.testing.assert_allclose(ours, np.quantile(direct, [0.025, 0.975]), atol=0.015)
    row = evaluation.scores(labels, probabilities).loc[("all classes", "macro F1")]
    np.testing.assert_allclose(row[["low", "high"]], ours, atol=0.015)


def test_balanced_accuracy_interval_keeps_its_promise_where_classes_are_small():
    # 8 classes, 90 pictures, one class of four fifths, errors rare: bootstrap
    # percentiles alone hold the true value in 4 of 10 such tests.
    rng = np.random.default_rng(4)
    recall = rng.uniform(0.955, 0.985, 8)
    share = np.array([0.8] + [0.2 / 7] * 7)
    held = 0
    for _ in range(150):
        labels = rng.choice(8, 90, p=share)
        wrong = rng.random(90) > recall[labels]
        predicted = (labels + wrong * rng.integers(1, 8, 90)) % 8
        table = evaluation.scores(labels, np.eye(8)[predicted], replicates=200)
        row = table.loc[("all classes", "balanced accuracy")]
        of_present = recall[np.unique(labels)].mean()
        held += row["low"] <= of_present <= row["high"]
    assert held >= 0.93 * 150


def test_at_300_pictures_95_percent_intervals_hold_the_truth_93_to_97_times_in_100():
    # Wilson at a share of 0.8: exact, by summing over all outcomes.
    hits = np.arange(301)
    low, high = wilson(hits, np.full(301, 300))
    held = ((low <= 0.8) & (0.8 <= high)) @ binom.pmf(hits, 300, 0.8)
    assert 0.93 <= held <= 0.97

    # Macro F1: 400 test sets drawn from one matrix of confusions.
    rng = np.random.default_rng(6)
    shares = np.array([[20, 3, 2, 0], [2, 22, 4, 1], [3, 2, 18, 2], [1, 2, 2, 16]])
    shares = shares / shares.sum()
    hits, both = np.diag(shares), shares.sum(axis=0) + shares.sum(axis=1)
    truth, held = np.mean(2 * hits / both), 0
    for counts in rng.multinomial(300, shares.ravel(), 400):
        cells = np.repeat(np.arange(16), counts)
        table = evaluation.scores(
            cells // 4, np.eye(4)[cells % 4], replicates=200, seed=counts[0]
        )
        row = table.loc[("all classes", "macro F1")]
        held += row["low"] <= truth <= row["high"]
    assert 0.93 <= held / 400 <= 0.97


def test_same_seed_gives_the_same_intervals_and_another_seed_others():
    labels, probabilities = case(5, 300, 3, skill=0.5)
    ends = [
        evaluation.scores(labels, probabilities, seed=seed).loc["all classes", "low"]
        for seed in (0, 0, 1)
    ]
    assert ends[0].equals(ends[1]) and not ends[0].equals(ends[2])


def test_a_class_without_pictures_and_one_never_predicted_are_nan_and_counted():
    probabilities = np.eye(3)[[0, 0, 2, 0]]
    table = evaluation.scores([0, 0, 1, 1], probabilities, class_names=["a", "b", "c"])
    assert np.isnan(table.loc[("b", "precision"), "value"])
    assert table.loc[("b", "F1"), "value"] == 0
    assert table.loc["c", "value"].isna().tolist() == [False, True, True]
    assert table.loc["c", "pictures"].tolist() == [1, 0, 0]
    assert table.loc[("all classes", "balanced accuracy"), "value"] == 0.5


def test_scores_of_3000_classes_take_seconds_not_gigabytes():
    labels, probabilities = case(6, 3000, 3000)
    table = evaluation.scores(labels, probabilities, replicates=100)
    assert len(table) == 4 + 3 * 3000


def test_top_losses_are_the_cross_entropy_and_ties_keep_their_order():
    labels, probabilities = case(7, 50, 4)
    indices, losses = evaluation.top_losses(labels, probabilities, k=1000)
    assert sorted(indices) == list(range(50))
    assert (np.diff(losses) <= 0).all()
    np.testing.assert_allclose(losses.mean(), metrics.log_loss(labels, probabilities))
    np.testing.assert_allclose(
        losses[:1], -np.log(probabilities[indices[0], labels[indices[0]]])
    )
    indices, losses = evaluation.top_losses([1, 0, 1, 0], np.eye(2)[[1, 1, 0, 0]], k=3)
    assert indices.tolist() == [1, 2, 0]
    assert np.isfinite(losses).all() and losses[2] == 0
    labels = np.random.default_rng(0).integers(0, 2, 999)  # half of them surprise
    indices, _ = evaluation.top_losses(labels, np.tile([0.9, 0.1], (999, 1)), k=50)
    assert indices.tolist() == np.flatnonzero(labels)[:50].tolist()


GOOD = np.array([[0.9, 0.1], [0.2, 0.8]])


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 2], GOOD, "between 0 and 1, .* label 2 at row 1"),
        ([-1, 0], GOOD, "label -1 at row 0"),
        ([0.0, 1.0], GOOD, "whole numbers.*float64"),
        (np.eye(2, dtype=int), GOOD, r"argmax.*\(2, 2\)"),
        ([0, 1, 1], GOOD, r"shape \(3,\)"),
        ([0, 1], GOOD[:, 1], "sigmoid"),
        ([0, 1], GOOD[:, 1:], "sigmoid"),
        ([], GOOD[:0], "at least 1 picture"),
        ([0, 1], [[0.9, 0.1], [np.nan, np.nan]], "NaN.* 1 of 2 rows, first in row 1"),
        ([0, 1], [[0.9, 0.1], [-1.2, 3.4]], "logits.*row 1 from -1.2 to 3.4"),
        ([0, 1], [[0.9, 0.1], [1.5, -0.5]], "0 or more"),
    ],
)
def test_wrong_input_is_named(labels, probabilities, message):
    for function in (
        evaluation.scores,
        evaluation.confusion_matrix,
        evaluation.top_losses,
    ):
        with pytest.raises(ValueError, match=f"(?s){message}"):
            function(labels, probabilities)


def test_wrong_names_and_settings_are_named():
    for arguments, message in [
        ({"class_names": ["a"]}, "1 names"),
        ({"class_names": ["a", "a"]}, "1 of them different"),
        ({"confidence": 95}, "confidence=95"),
        ({"replicates": 10}, "replicates=10"),
    ]:
        with pytest.raises(ValueError, match=message):
            evaluation.scores([0, 1], GOOD, **arguments)
    with pytest.raises(ValueError, match="k=0"):
        evaluation.top_losses([0, 1], GOOD, k=0)


NAMES = ("薔薇, 「赤」", "$_{\n", 'p(")')


@pytest.fixture(scope="module")
def photos():
    """Grey pictures in 3 classes; the test part has no picture of the last class."""
    rng = np.random.default_rng(8)
    labels = rng.integers(0, 3, 60)
    splits = rng.choice(["train", "valid", "test"], 60)
    splits[(splits == "test") & (labels == 2)] = "train"
    manifest = pd.DataFrame(
        {
            "path": [f"{i:02d}.png" for i in range(60)],
            "label": labels,
            "split": splits,
            "content_hash": [f"{i:064x}" for i in range(60)],
        }
    )
    pixels = (labels * 85 + rng.integers(10, 75, 60))[:, None, None, None]
    pixels = np.broadcast_to(pixels, (60, 8, 8, 1)).astype("uint8")
    return data.ImageData(NAMES, (8, 8, 1), manifest, pixels)


def brightness_model(num_classes=3, input_shape=(8, 8, 1), activation="softmax"):
    """Class i where the mean is nearest to 85 i + 42: the true class of `photos`."""
    inputs = keras.Input(input_shape)
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    outputs = keras.layers.Dense(num_classes, activation=activation)(x)
    model = keras.Model(inputs, outputs)
    centres = 85 * np.arange(num_classes) + 42.0  # -(x - c)^2, without its x^2
    weights = np.tile(2 * centres, (input_shape[-1] or 1, 1)) / input_shape[-1]
    model.set_weights([weights / 4000, -(centres**2) / 4000])
    return model


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_every_answer_stands_beside_its_file(photos, part):
    model = brightness_model()
    table = evaluation.predict(model, photos, part, batch_size=7)
    rows = photos.manifest[photos.manifest["split"] == part]
    images, labels = data.to_arrays(photos, part)
    expected = model(images.astype("float32")).numpy()
    assert expected[:, 0].std() > 0.01  # pictures differ, so order shows

    assert table["file"].tolist() == rows["path"].tolist()
    assert table["label"].tolist() == [NAMES[i] for i in labels]
    assert table["predicted"].tolist() == [NAMES[i] for i in labels]
    assert tuple(table["predicted"].cat.categories) == NAMES
    read_labels, read = evaluation.arrays(table)
    np.testing.assert_array_equal(read_labels, labels)
    np.testing.assert_allclose(read, expected, atol=1e-6)
    np.testing.assert_allclose(table["confidence"], expected.max(axis=1), atol=1e-6)


def test_a_class_missing_from_the_test_part_shifts_no_index(photos):
    table = evaluation.predict(brightness_model(), photos)
    labels, probabilities = evaluation.arrays(table)
    assert set(labels) == {0, 1} and probabilities.shape[1] == 3
    scores = evaluation.scores(labels, probabilities, class_names=NAMES)
    assert scores.loc[("all classes", "balanced accuracy"), "value"] == 1
    assert scores.loc[(NAMES[2], "recall"), "pictures"] == 0


def test_a_table_survives_csv_and_selection(photos):
    table = evaluation.predict(brightness_model(), photos)
    again = pd.read_csv(StringIO(table.to_csv(index=False)))
    for part in (again, again.iloc[::-2]):
        labels, probabilities = evaluation.arrays(part)
        kept = table.loc[part.index]
        np.testing.assert_array_equal(labels, evaluation.arrays(kept)[0])
        np.testing.assert_allclose(probabilities, evaluation.arrays(kept)[1], atol=1e-6)
    with pytest.raises(ValueError, match="'label', and"):
        evaluation.arrays(table.drop(columns="label"))
    with pytest.raises(ValueError, match="without one"):
        evaluation.arrays(table.drop(columns=f"p({NAMES[0]})"))


def test_the_last_of_several_outputs_counts(photos):
    model = brightness_model()
    both = keras.Model(model.input, [model.layers[1].output, model.output])
    pd.testing.assert_frame_equal(
        evaluation.predict(both, photos), evaluation.predict(model, photos)
    )


def test_what_does_not_fit_is_said_before_predicting(photos):
    cases = [
        (brightness_model(input_shape=(32, 32, 1)), "test", "image_size=32.*8x8x1"),
        (brightness_model(input_shape=(32, 16, 1)), "test", r"image_size=\(32, 16\)"),
        (brightness_model(input_shape=(8, 8, 3)), "test", "8x8x3.*grey=False"),
        (brightness_model(num_classes=4), "test", "num_classes=3.*4"),
        (brightness_model(activation=None), "test", "logits"),
        (brightness_model(), "Test", "'test': .*part='Test'"),
    ]
    for model, part, message in cases:
        with pytest.raises(ValueError, match=f"(?s){message}"):
            evaluation.predict(model, photos, part)
    any_size = brightness_model(input_shape=(None, None, 1))
    assert len(evaluation.predict(any_size, photos)) > 5


def test_further_columns_and_views_come_along(photos):
    manifest = photos.manifest.assign(light=np.where(np.arange(60) % 2, "day", "夜"))
    lit = dataclasses.replace(photos, manifest=manifest)
    table = evaluation.predict(brightness_model(), lit, columns=["light"])
    rows = manifest[manifest["split"] == "test"]
    assert table.columns[-1] == "light" and list(table["light"]) == list(rows["light"])
    np.testing.assert_array_equal(evaluation.arrays(table)[0], rows["label"])
    with pytest.raises(ValueError, match="Received: columns=.'weather'."):
        evaluation.predict(brightness_model(), lit, columns=["weather"])
    with pytest.raises(ValueError, match="columns='light'"):
        evaluation.predict(brightness_model(), lit, columns="light")

    images, _ = data.to_arrays(photos, "test")
    inputs = keras.Input((8, 8, 1))
    model = keras.Sequential([
        inputs, keras.layers.Flatten(), keras.layers.Rescaling(1 / 255),
        keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    noisy = dataclasses.replace(
        photos, pixels=np.random.default_rng(9).integers(0, 256, photos.pixels.shape)
        .astype("uint8"),
    )  # fmt: skip
    images, _ = data.to_arrays(noisy, "test")
    images = images.astype("float32")
    views = [evaluation.mirrored, lambda x: 255 - x]
    said = evaluation.arrays(evaluation.predict(model, noisy, views=views))[1]
    each = [model(x).numpy() for x in (images, images[:, :, ::-1], 255 - images)]
    np.testing.assert_allclose(said, np.mean(each, axis=0), atol=1e-6)


def test_each_picture_is_answered_by_a_model_that_has_not_seen_it():
    luck = np.random.default_rng(0)
    images = luck.integers(0, 256, (42, 8, 8, 1), dtype="uint8")
    groups = np.arange(42) // 2
    photos = data.from_arrays(images, np.arange(42) // 2 % 3, groups=groups)
    seen = []

    def learn(version):
        seen.append(version.manifest.groupby("split")["path"].agg(set))
        inputs = keras.Input((8, 8, 1))
        x = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(inputs))
        return keras.Model(inputs, x)

    table = evaluation.cross_validate(learn, photos, 4)
    assert table["file"].tolist() == photos.manifest["path"].tolist()
    for fold, parts in enumerate(seen):
        assert set(table.loc[table["fold"] == fold, "file"]) == parts["test"]
        assert not parts["test"] & (parts["valid"] | parts["train"])
    by_group = table["fold"].groupby(photos.manifest["group"].to_numpy()).nunique()
    assert (by_group == 1).all()
    labels, answers = evaluation.arrays(table)
    expected = metrics.accuracy_score(labels, answers.argmax(axis=1))
    found = evaluation.scores(labels, answers).loc[("all classes", "accuracy"), "value"]
    assert found == pytest.approx(expected)
    with pytest.raises(ValueError, match="k=2"):
        evaluation.cross_validate(learn, photos, 2)


def test_looks_at_the_test_part_are_counted():
    luck = np.random.default_rng(1)
    images = luck.integers(0, 256, (40, 8, 8, 1), dtype="uint8")
    photos = data.from_arrays(images, np.arange(40) % 2)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    for _ in "ab":
        answers = keras.layers.Dense(2, activation="softmax")(x)
        model = keras.Model(inputs, answers)
        for part in ("test", "valid", "train", "test"):
            evaluation.predict(model, photos, part)
    assert evaluation.times_tested(photos) == 2
    assert evaluation.times_tested(photos.take(photos.rows("test")[1:])) == 0
