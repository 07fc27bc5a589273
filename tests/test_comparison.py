import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

from cnnkit import evaluation


def table(labels, probabilities, files=None):
    """As `evaluation.predict` writes it."""
    k = probabilities.shape[1]
    answers = pd.DataFrame(probabilities, columns=[f"p(k{i})" for i in range(k)])
    files = [f"{i}.png" for i in range(len(labels))] if files is None else files
    names = [f"k{i}" for i in labels]
    return pd.concat([pd.DataFrame({"file": files, "label": names}), answers], axis=1)


def answers(rng, labels, k, skill):
    probabilities = rng.dirichlet(np.ones(k), len(labels))
    knows = rng.random(len(labels)) < skill
    probabilities[knows] = 0.3 * probabilities[knows] + 0.7 * np.eye(k)[labels[knows]]
    return probabilities


def test_values_equal_scikit_learn_and_p_that_of_the_binomial():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    pair = [answers(rng, labels, 4, skill) for skill in (0.7, 0.6)]
    found = evaluation.compare(*(table(labels, p) for p in pair))
    for name, probabilities in zip("ab", pair, strict=True):
        said = probabilities.argmax(axis=1)
        expected = [
            metrics.accuracy_score(labels, said),
            metrics.balanced_accuracy_score(labels, said),
            metrics.f1_score(labels, said, average="macro"),
            metrics.log_loss(labels, probabilities),
        ]
        np.testing.assert_allclose(found[name], expected)
    right = [p.argmax(axis=1) == labels for p in pair]
    only_a, only_b = np.sum(right[0] & ~right[1]), np.sum(~right[0] & right[1])
    tail = stats.binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)
    by_holm = pytest.approx(min(1, 2 * tail)), pytest.approx(min(1, 8 * tail))
    assert found.loc["accuracy", "p"] in by_holm or found["p"].min() > 2 * tail

    # Of means over pictures the bootstrap's interval is close to the normal one.
    losses = [-np.log(p[np.arange(300), labels]) for p in pair]
    for score, d in (
        ("accuracy", right[0].astype(float) - right[1]),
        ("log loss", losses[0] - losses[1]),
    ):
        half = 1.96 * d.std() / 300**0.5
        row = found.loc[score]
        np.testing.assert_allclose(
            row[["low", "high"]].astype(float), [d.mean() - half, d.mean() + half],
            atol=0.12 * half,
        )  # fmt: skip


def test_better_worse_and_cannot_tell():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 400)
    good, bad = (table(labels, answers(rng, labels, 4, x)) for x in (0.9, 0.5))
    assert (evaluation.compare(good, bad)["verdict"] == "better").all()
    assert (evaluation.compare(bad, good)["verdict"] == "worse").all()
    same = evaluation.compare(good, good)
    assert (same["verdict"] == "cannot tell").all()
    assert same.loc["accuracy", "p"] == 1 and (same["difference"] == 0).all()


def test_rows_are_matched_by_their_file():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 90)
    a, b = (table(labels, answers(rng, labels, 3, x)) for x in (0.8, 0.7))
    mixed = b.sample(frac=1, random_state=0)[
        ["label", "p(k2)", "p(k0)", "p(k1)", "file"]
    ]
    pd.testing.assert_frame_equal(
        evaluation.compare(a, b), evaluation.compare(a, mixed)
    )


def test_tables_of_other_pictures_are_refused():
    labels = np.array([0, 1, 2])
    a = table(labels, np.eye(3))
    with pytest.raises(ValueError, match="3 and 2 rows, 1 files"):
        evaluation.compare(a, a.iloc[:2])
    with pytest.raises(ValueError, match="'k0' and 'k1' for '0.png'"):
        evaluation.compare(a, table(np.array([1, 1, 2]), np.eye(3)))
    with pytest.raises(ValueError, match="3 and 2 classes"):
        evaluation.compare(a, table(labels % 2, np.eye(3)[:, :2] * 0 + 0.5))
    twice = table(labels, np.eye(3), files=["x", "x", "y"])
    with pytest.raises(ValueError, match="1 repeated files"):
        evaluation.compare(twice, twice.iloc[::-1])
    with pytest.raises(ValueError, match="replicates=1"):
        evaluation.compare(a, a, replicates=1)
