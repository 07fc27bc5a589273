import numpy as np
import pytest

from cnnkit import evaluation
from tests.test_probabilities import case


def test_confused_pairs_are_the_cells_of_the_matrix():
    labels, probabilities = case(0, 300, 5)
    matrix = evaluation.confusion_matrix(labels, probabilities)
    found = evaluation.most_confused(labels, probabilities, class_names="abcde", k=100)
    wrong = matrix.sum() - np.trace(matrix)
    assert found["count"].sum() == wrong and found["count"].is_monotonic_decreasing
    for row in found.itertuples():
        i, j = "abcde".index(row.label), "abcde".index(row.predicted)
        assert i != j
        assert matrix[i, j] == found.loc[row.Index, "count"] > 0
        assert row.pictures == matrix[i].sum()
        assert row.value == matrix[i, j] / matrix[i].sum()
        ends = evaluation.wilson(matrix[i, j], row.pictures)
        np.testing.assert_allclose([row.low, row.high], np.ravel(ends))
    assert len(evaluation.most_confused(labels, probabilities, k=2)) == 2
    assert len(evaluation.most_confused([0, 1], np.eye(2))) == 0
    with pytest.raises(ValueError, match="k=0"):
        evaluation.most_confused([0, 1], np.eye(2), k=0)


def test_errors_of_one_kind_are_in_one_group():
    rng = np.random.default_rng(1)
    kinds = np.repeat([0, 1, 2], [30, 20, 10])
    embeddings = 5 * np.eye(8)[kinds] + rng.normal(0, 0.3, (60, 8))
    embeddings *= rng.uniform(0.5, 2, (60, 1))  # length says nothing about the look
    labels, probabilities = np.zeros(60, int), np.tile([0.1, 0.9], (60, 1))
    probabilities[::2] = [0.9, 0.1]  # every other one is right
    found = evaluation.error_groups(labels, probabilities, embeddings, groups=3)
    assert sorted(found["picture"]) == list(range(1, 60, 2))
    kind = kinds[found["picture"]]
    assert (found["group"] == kind).all()  # the largest first
    for _, group in found.groupby("group"):
        assert group["distance"].is_monotonic_increasing
    few = evaluation.error_groups(labels[:4], probabilities[:4], embeddings[:4])
    assert few["group"].nunique() == 2  # two errors: no six groups
    none = evaluation.error_groups(labels[:1], probabilities[:1], embeddings[:1])
    assert len(none) == 0
    with pytest.raises(ValueError, match=r"shape \(3, 8\)"):
        evaluation.error_groups(labels, probabilities, embeddings[:3])
