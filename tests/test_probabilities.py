import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

from cnnkit import evaluation

ALL = "all classes"


def case(seed, n, k, digits=None):
    """Random labels, and probabilities that know a little; rounded, they have ties."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    probabilities = rng.dirichlet(np.ones(k), n) + 0.5 * np.eye(k)[labels]
    if digits is not None:
        probabilities = np.round(probabilities, digits) + 1e-3
    return labels, probabilities / probabilities.sum(axis=1, keepdims=True)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 80),
    k=st.integers(2, 6),
    digits=st.sampled_from([None, 1]),
)
def test_probability_scores_equal_scikit_learn(seed, n, k, digits):
    labels, probabilities = case(seed, n, k, digits)
    table = evaluation.probability_scores(labels, probabilities, top=1, replicates=100)
    value = table["value"]
    predicted = probabilities.argmax(axis=1)
    classes = np.arange(k)
    assert value[(ALL, "top-1 accuracy")] == pytest.approx(np.mean(predicted == labels))
    loss = metrics.log_loss(labels, probabilities, labels=classes)
    assert value[(ALL, "log loss")] == pytest.approx(loss)
    brier = metrics.brier_score_loss(labels, probabilities, labels=classes,
                                     scale_by_half=False)  # fmt: skip
    assert value[(ALL, "Brier score")] == pytest.approx(brier)
    roc, pr = [], []
    for c in classes:
        true, own = labels == c, value[f"class {c}"]
        if not true.any():
            assert own.isna().all()
            continue
        pr.append(metrics.average_precision_score(true, probabilities[:, c]))
        assert own["PR area"] == pytest.approx(pr[-1])
        if true.all():
            assert np.isnan(own["ROC area"])
            continue
        roc.append(metrics.roc_auc_score(true, probabilities[:, c]))
        assert own["ROC area"] == pytest.approx(roc[-1])
    assert value[(ALL, "PR area")] == pytest.approx(np.mean(pr))
    if roc:
        assert value[(ALL, "ROC area")] == pytest.approx(np.mean(roc))
    defined = table.dropna()
    assert (defined["low"] <= defined["high"]).all()
    errors = defined[[name.startswith("calibration") for _, name in defined.index]]
    assert (errors["low"] <= errors["value"]).all() and (errors["low"] >= 0).all()
    assert (errors["value"] <= errors["high"]).all()


@pytest.mark.parametrize("k", [3, 5])
def test_top_k_accuracy_equals_scikit_learn_and_is_left_out_where_it_says_nothing(k):
    labels, probabilities = case(1, 200, 5)
    table = evaluation.probability_scores(labels, probabilities, top=k, replicates=100)
    if k == 5:
        assert not any("top" in score for _, score in table.index)
        return
    row = table.loc[(ALL, "top-3 accuracy")]
    theirs = metrics.top_k_accuracy_score(labels, probabilities, k=3)
    assert row["value"] == pytest.approx(theirs)
    ends = evaluation.wilson(row["value"] * 200, 200)
    np.testing.assert_allclose(row[["low", "high"]].astype(float), np.ravel(ends))


@pytest.mark.parametrize(
    ("equal", "theirs"), [("width", "uniform"), ("mass", "quantile")]
)
def test_bins_of_the_confidence_equal_scikit_learn(equal, theirs):
    labels, probabilities = case(2, 500, 4)
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    share, mean = calibration_curve(right, sure, n_bins=10, strategy=theirs)
    table = evaluation.reliability(labels, probabilities, bins=10, equal=equal)
    np.testing.assert_allclose(table["value"], share)
    np.testing.assert_allclose(table["confidence"], mean)
    assert table["pictures"].sum() == 500
    if equal == "mass":
        assert table["pictures"].min() == table["pictures"].max() == 50
    error = (abs(table["value"] - table["confidence"]) * table["pictures"]).sum() / 500
    whole = evaluation.probability_scores(labels, probabilities, bins=10)["value"]
    assert whole[(ALL, f"calibration error, equal {equal}")] == pytest.approx(error)


def test_an_honest_model_has_a_small_calibration_error_and_a_boaster_a_large_one():
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.full(5, 0.5), 20_000)
    drawn = (rng.random((20_000, 1)) < probabilities.cumsum(axis=1)).argmax(axis=1)
    boast = np.where(probabilities == probabilities.max(axis=1, keepdims=True), 1.0, 0)
    names = [(ALL, f"calibration error, equal {x}") for x in ("width", "mass")]
    honest = evaluation.probability_scores(drawn, probabilities, replicates=100)
    loud = evaluation.probability_scores(drawn, boast, replicates=100)
    assert (honest.loc[names, "value"] < 0.015).all()  # 0, but for the luck of drawing
    wrong = 1 - np.mean(probabilities.argmax(axis=1) == drawn)
    np.testing.assert_allclose(loud.loc[names, "value"], wrong)


def test_intervals_of_the_bootstrap_are_those_of_drawing_the_pictures_again():
    labels, probabilities = case(4, 200, 3)
    table = evaluation.probability_scores(labels, probabilities, replicates=2000)
    rng, direct = np.random.default_rng(5), []
    for _ in range(150):
        rows = rng.integers(0, 200, 200)
        some = labels[rows], probabilities[rows]
        direct.append([
            metrics.log_loss(*some),
            metrics.roc_auc_score(*some, multi_class="ovr"),
            metrics.average_precision_score(np.eye(3)[some[0]], some[1]),
        ])  # fmt: skip
    low, high = np.quantile(direct, [0.025, 0.975], axis=0)
    rows = table.loc[[(ALL, x) for x in ("log loss", "ROC area", "PR area")]]
    np.testing.assert_allclose(rows["low"], low, atol=0.02)  # of a width of 0.1
    np.testing.assert_allclose(rows["high"], high, atol=0.02)


def test_a_class_without_pictures_leaves_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = evaluation.probability_scores([0, 0, 1], np.full((3, 3), 1 / 3))
    assert table.loc["class 2", ["value", "low"]].isna().all(axis=None)
    assert table.loc[(ALL, "ROC area"), "value"] == 0.5  # all ties
    assert table.loc[("class 2", "ROC area"), "pictures"] == 0


@pytest.mark.parametrize(
    "wrong", [{"top": 0}, {"bins": 0}, {"replicates": 10}, {"confidence": 1.0}]
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match="Received: top="):
        evaluation.probability_scores([0, 1], [[1, 0], [0, 1]], **wrong)
    with pytest.raises(ValueError, match="equal='all'"):
        evaluation.reliability([0, 1], [[1, 0], [0, 1]], equal="all")
