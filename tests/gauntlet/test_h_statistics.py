"""H: what is said of few pictures, of many, and of none is true."""

import numpy as np
import pandas as pd
import pytest

from cnnkit import evaluation
from tests.test_comparison import answers, table


def patients(rng, number, each, *, skill=0.8, sameness=2.0):
    """Labels, answers and patients: the pictures of one are alike easy or hard."""
    easy = rng.beta(skill * sameness, (1 - skill) * sameness, number)
    whose = np.repeat(np.arange(number), each)
    labels = rng.integers(0, 3, number)[whose]
    wrong = rng.random(len(whose)) > easy[whose]
    said = (labels + wrong * rng.integers(1, 3, len(whose))) % 3
    return labels, np.eye(3)[said], whose


def test_four_pictures_do_not_make_a_model_better():
    labels = np.repeat([0, 1], [96, 4])
    good, bad = labels, np.zeros(100, int)  # b never names the rare class
    a, b = (table(labels, np.eye(2)[said] * 0.8 + 0.1) for said in (good, bad))
    found = evaluation.compare(a, b)
    assert found.loc["balanced accuracy", "difference"] == 0.5
    assert (found["verdict"] == "cannot tell").all()
    assert (found["low"] <= 0).all() and (found["high"] > found["difference"]).any()
    assert found["p"].min() == pytest.approx(4 * 0.125)  # 2 of 16 ways, four rows
    agree = evaluation.compare(a.tail(4), a.tail(4)).iloc[:3]
    assert (agree["low"] < -0.2).all() and (agree["high"] > 0.2).all()


@pytest.mark.parametrize("sizes", [(1, 1, 1), (18, 2)])
def test_of_two_equally_good_models_no_row_calls_one_better_too_often(sizes):
    rng, alarms = np.random.default_rng(0), 0
    shares = np.array(sizes) / sum(sizes)
    for _ in range(100):
        labels = rng.choice(len(sizes), 60, p=shares)
        pair = [table(labels, answers(rng, labels, len(sizes), 0.6)) for _ in "ab"]
        found = evaluation.compare(*pair, replicates=300)
        alarms += (found["verdict"] != "cannot tell").any()
    assert alarms <= 100 * 0.05


def test_ten_pictures_of_a_patient_are_not_ten_patients():
    rng, held, alarms = np.random.default_rng(1), np.zeros((2, 2)), np.zeros(2)
    for _ in range(40):
        labels, said, whose = patients(rng, 25, 8)
        _, other, _ = patients(rng, 25, 8)
        other = np.eye(3)[(labels + (other.argmax(axis=1) != 0)) % 3]
        for i, groups in enumerate((None, whose)):
            scores = evaluation.scores(labels, said, groups=groups, replicates=100)
            rows = scores.iloc[:2]
            held[i] += (rows["low"] <= 0.8) & (rows["high"] >= 0.8)
        sites = table(labels, said).assign(patient=whose, site=(whose % 4).astype(str))
        for i, groups in enumerate((None, "patient")):
            found = evaluation.slices(sites, "site", groups=groups)
            alarms[i] += (found["verdict"] != "cannot tell").any()
    assert (held[0] < 40 * 0.85).all() and (held[1] >= 40 * 0.93).all()
    assert alarms[0] > 40 * 0.15 and alarms[1] <= 40 * 0.08


N = 60
COLUMNS = {
    "moments": 1_700_000_000.0 + np.arange(N),
    "whole numbers of 19 digits": 2**62 + np.arange(N),
    "close together": 1 + np.arange(N) * 1e-12,
    "endless": np.where(np.arange(N) < 50, np.arange(N), np.inf),
    "times": pd.date_range("2026-01-01", periods=N, freq="min"),
    "times of a zone": pd.date_range("2026-01-01", periods=N, tz="Asia/Tokyo"),
    "spans": pd.to_timedelta(np.arange(N), unit="s"),
    "nearly one value": np.r_[np.zeros(N - 9), np.arange(1, 10)],
    "with gaps": pd.array([None, *range(1, N)], dtype="Int64"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_any_ordered_column_is_cut_into_parts_with_names_of_their_own(name):
    labels = np.arange(N) % 3
    said = np.eye(3)[np.where(np.arange(N) < 20, labels, 0)]
    cases = table(labels, said).assign(facts=COLUMNS[name], words=[*map(str, range(N))])
    found = evaluation.slices(cases, ["facts", "words"], minimum=5)
    assert found.index.is_unique and set(found.index.get_level_values(0)) == {"facts"}
    assert found["pictures"].sum() == N - (name == "with gaps")
    assert found.attrs["too_small"] == N  # words that name pictures are no groups
    assert len(found) in (2, 3)


def test_class_thresholds_keep_the_promise_for_a_rare_class_too():
    rng = np.random.default_rng(4)
    held = {"one": [], "own": []}
    for _ in range(60):
        labels = rng.choice(2, 800, p=[0.9, 0.1])
        of_class = np.where(labels == 0, rng.beta(9, 1, 800), rng.beta(1, 1.5, 800))
        said = np.stack([of_class, 1 - of_class], axis=1)
        said[labels == 1] = said[labels == 1][:, ::-1]
        known, new = (labels[:400], said[:400]), (labels[400:], said[400:])
        one = evaluation.conformal_threshold(*known)
        own = evaluation.class_thresholds(*known)
        for name, least in (("one", one), ("own", own)):
            sets = evaluation.prediction_sets(new[1], least)
            held[name].append(evaluation.set_scores(new[0], sets)["value"])
    one, own = (np.mean(values, axis=0) for values in held.values())
    assert one[2] < 0.5  # of the rare class
    assert (own > 0.88).all() and own[2] < 0.95
    few = evaluation.class_thresholds([0] * 20 + [1] * 8, np.full((28, 2), 0.5))
    assert few.tolist() == [0.5, 0.0]


@pytest.mark.parametrize("rare", [5, 20, 100])
def test_the_interval_of_a_threshold_holds_the_one_that_finds_so_many(rare):
    rng, held = np.random.default_rng(5), 0
    labels = np.repeat([1, 0], [rare, 200])
    for _ in range(200):
        values = np.concatenate([rng.random(rare) ** 0.5, rng.random(200) ** 2])
        said = np.stack([1 - values, values], axis=1)
        low, high = evaluation.threshold_interval(labels, said, 1)
        held += low <= 0.05**0.5 <= high  # the share of u ** 0.5 over t is 1 - t ** 2
        chosen = evaluation.choose_threshold(labels, said, 1)
        assert low <= chosen <= high
        assert (low == 0) == (rare < 72)
    assert held >= 200 * 0.93
