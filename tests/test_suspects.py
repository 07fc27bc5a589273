import numpy as np
import pytest
from cleanlab.filter import find_label_issues

from cnnkit import data


def noisy(n, num_classes, noise, *, seed, skew=1.0, sharpness=3.0):
    """Made-up pictures: (labels as given, which are wrong, probabilities)."""
    rng = np.random.default_rng(seed)
    shares = np.geomspace(1, 1 / skew, num_classes)
    truth = rng.choice(num_classes, n, p=shares / shares.sum())
    logits = rng.normal(0, 1, (n, num_classes))
    logits[np.arange(n), truth] += sharpness
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrong = rng.random(n) < noise
    shift = rng.integers(1, num_classes, n)
    return np.where(wrong, (truth + shift) % num_classes, truth), wrong, probabilities


def precision_recall(found, wrong):
    hits = wrong[found].sum()
    return np.array([hits / max(len(found), 1), hits / max(wrong.sum(), 1)])


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("skew", [1, 10])
@pytest.mark.parametrize("num_classes", [2, 10])
def test_as_good_as_cleanlab_on_the_same_probabilities(noise, skew, num_classes):
    labels, wrong, probabilities = noisy(4000, num_classes, noise, seed=1, skew=skew)
    ours = data.label_suspects(labels, probabilities)["position"].to_numpy()
    theirs = find_label_issues(
        labels, probabilities, filter_by="low_self_confidence", n_jobs=1
    )
    both = (
        precision_recall(ours, wrong),
        precision_recall(np.flatnonzero(theirs), wrong),
    )
    np.testing.assert_allclose(*both, atol=0.02)
    assert both[0][1] > 0.3  # not a comparison of nothing with nothing


def test_the_surest_come_first_with_what_they_probably_are():
    labels, wrong, probabilities = noisy(2000, 5, 0.1, seed=0, sharpness=6)
    table = data.label_suspects(labels, probabilities, class_names=list("abcde"))
    assert wrong[table["position"][:100]].mean() > 0.9
    assert table["confidence"].is_monotonic_increasing
    assert (table["suggested"] == probabilities[table["position"]].argmax(axis=1)).all()
    assert table["label_name"][0] == "abcde"[labels[table["position"][0]]]


def test_clean_labels_are_not_suspected():
    labels = np.repeat(np.arange(3), 50)
    probabilities = np.eye(3)[labels] * 0.9 + 0.1 / 3
    assert data.label_suspects(labels, probabilities).empty
    alone = data.label_suspects(labels[:50], probabilities[:50])  # two classes absent
    assert alone.empty


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1, 2], np.full((3, 2), 0.5), "0 to 1.*0 to 2"),
        ([0, 1], np.full((3, 2), 0.5), r"\(2,\) and \(3, 2\)"),
        ([0, 1], [[2.0, -1.0], [0, 1]], "not logits"),
        ([0.5, 1], np.full((2, 2), 0.5), "float64"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        data.label_suspects(labels, probabilities)
