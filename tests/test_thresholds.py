import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from cnnkit import evaluation
from tests.test_probabilities import case


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), digits=st.sampled_from([None, 1]))
def test_the_curve_equals_scikit_learn(seed, digits):
    labels, probabilities = case(seed, 60, 3, digits)
    true, values = labels == 1, probabilities[:, 1]
    curve = evaluation.threshold_curve(labels, probabilities, 1)
    false, found, at = metrics.roc_curve(true, values, drop_intermediate=False)
    np.testing.assert_allclose(curve["threshold"], at[1:])
    np.testing.assert_allclose(curve["sensitivity"], found[1:])
    np.testing.assert_allclose(curve["specificity"], 1 - false[1:], atol=1e-12)
    precision, recall, at = metrics.precision_recall_curve(true, values)
    np.testing.assert_allclose(curve["precision"][::-1], precision[:-1])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), sensitivity=st.floats(0.01, 1))
def test_a_chosen_threshold_finds_enough_and_a_higher_one_does_not(seed, sensitivity):
    labels, probabilities = case(seed, 60, 3, 1)
    chosen = evaluation.choose_threshold(
        labels, probabilities, 2, sensitivity=sensitivity
    )
    values = probabilities[labels == 2, 2]
    assert np.mean(values >= chosen) >= sensitivity - 1e-12
    assert np.mean(values > chosen) < sensitivity


def test_scores_at_a_threshold_are_those_of_the_fourfold_table():
    # 100 pictures of the class, 90 found; 300 others, 270 left alone.
    labels = np.repeat([1, 1, 0, 0], [90, 10, 30, 270])
    positive = np.repeat([0.8, 0.2, 0.8, 0.2], [90, 10, 30, 270])
    probabilities = np.stack([1 - positive, positive], axis=1)
    table = evaluation.at_threshold(labels, probabilities, 1, 0.5)
    expected = {
        "sensitivity": (90, 100), "specificity": (270, 300), "precision": (90, 120),
        "negative predictive value": (270, 280),
    }  # fmt: skip
    for name, (hits, n) in expected.items():
        row = table.loc[name]
        assert row["value"] == hits / n and row["pictures"] == n
        ends = evaluation.wilson(hits, n)
        np.testing.assert_allclose(row[["low", "high"]].astype(float), ends)
    none = evaluation.at_threshold(labels, probabilities, 1, 0.9)
    assert np.isnan(none.loc["precision", "value"])
    assert none.loc["precision", "pictures"] == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), digits=st.sampled_from([None, 1]))
def test_abstaining_answers_the_surest(seed, digits):
    labels, probabilities = case(seed, 50, 3, digits)
    table = evaluation.abstaining(labels, probabilities, steps=8)
    assert table["answered"].iloc[0] == 1
    for row in table.itertuples():
        said = evaluation.abstain(probabilities, row.below)
        answered = said >= 0
        assert row.pictures == answered.sum() == round(row.answered * 50)
        right = metrics.accuracy_score(labels[answered], said[answered])
        assert row.value == pytest.approx(right)
    assert (evaluation.abstain([[0.4, 0.6], [0.5, 0.5]], 0.6) == [1, -1]).all()


def test_what_cannot_be_asked_is_said():
    labels, probabilities = [0, 0, 1], np.eye(3)[[0, 1, 1]]
    with pytest.raises(ValueError, match="0 to 2. Received: positive=3"):
        evaluation.threshold_curve(labels, probabilities, 3)
    with pytest.raises(ValueError, match="Received: 0 of class 2 among 3 pictures"):
        evaluation.threshold_curve(labels, probabilities, 2)
    with pytest.raises(ValueError, match="Received: sensitivity=0"):
        evaluation.choose_threshold(labels, probabilities, 1, sensitivity=0)
    with pytest.raises(ValueError, match="Received: steps=0"):
        evaluation.abstaining(labels, probabilities, steps=0)
