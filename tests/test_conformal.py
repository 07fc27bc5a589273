import numpy as np
import pytest

from cnnkit import evaluation
from cnnkit.evaluation.conformal import conformal_threshold, prediction_sets


def test_sets_keep_the_coverage_of_the_theorem():
    # The probability of the truth is uniform, so a threshold t covers 1 - t; over
    # calibration sets the mean is exactly ceil((n + 1) * coverage) / (n + 1).
    rng = np.random.default_rng(0)
    for n, coverage, exact in ((19, 0.9, 18 / 20), (29, 0.9, 27 / 30), (24, 0.8, 0.8)):
        covered = []
        for _ in range(4000):
            of_truth = rng.random(n)
            probabilities = np.stack([of_truth, 1 - of_truth], axis=1)
            t = conformal_threshold(np.zeros(n, int), probabilities, coverage=coverage)
            covered.append(1 - t)
        error = np.std(covered) / 4000**0.5
        assert abs(np.mean(covered) - exact) < 4 * error


def test_a_model_that_knows_nothing_gets_large_sets_and_not_less_coverage():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 5, 4000)
    sure = 0.2 * rng.dirichlet(np.ones(5), 4000) + 0.8 * np.eye(5)[labels]
    blind = rng.dirichlet(np.ones(5), 4000)
    sizes = []
    for probabilities in (sure, blind):
        t = conformal_threshold(labels[:2000], probabilities[:2000])
        sets = prediction_sets(probabilities[2000:], t)
        table = evaluation.set_scores(labels[2000:], sets)
        assert abs(table.loc["all classes", "value"] - 0.9) < 0.035  # 4 sigma
        hits = sets[np.arange(2000), labels[2000:]]
        for c in range(5):
            row = table.loc[f"class {c}"]
            of_class = labels[2000:] == c
            assert row["value"] == pytest.approx(hits[of_class].mean())
            assert row["pictures"] == of_class.sum()
        assert table.loc["all classes", "size"] == sets.sum(axis=1).mean()
        sizes.append(table.loc["all classes", "size"])
    assert sizes[0] < 1.1 and sizes[1] > 3


def test_too_few_pictures_promise_only_sets_of_all_classes():
    probabilities = np.tile([0.9, 0.1], (8, 1))
    assert conformal_threshold(np.zeros(8, int), probabilities) == 0
    nine = np.tile([0.9, 0.1], (9, 1))  # 9 is 0.9 * 10: the lowest of nine
    assert conformal_threshold(np.zeros(9, int), nine) == 0.9
    assert prediction_sets(probabilities, 0.0).all()


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="Received: coverage=1"):
        conformal_threshold([0, 1], np.eye(2), coverage=1)
    with pytest.raises(ValueError, match=r"Received: shapes \(3,\) and \(2, 2\)"):
        evaluation.set_scores([0, 1, 1], np.eye(2, dtype=bool))
