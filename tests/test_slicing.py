import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cnnkit import data, evaluation
from cnnkit.evaluation.intervals import holm
from tests.test_comparison import table


def case(rng, n, wrong_share, **columns):
    labels = rng.integers(0, 3, n)
    wrong = rng.random(n) < wrong_share
    said = np.eye(3)[(labels + wrong) % 3]
    return table(labels, said).assign(**columns), ~wrong


def test_a_weak_slice_is_found_with_its_numbers():
    rng = np.random.default_rng(0)
    light = rng.choice(["day", "night", "雨"], 300, p=[0.6, 0.37, 0.03])
    brightness = rng.uniform(0, 255, 300)
    cases, right = case(rng, 300, np.where(light == "night", 0.4, 0.05),
                        light=light, brightness=brightness)  # fmt: skip
    found = evaluation.slices(cases, ["light", "brightness"], minimum=15)
    assert found.index[0] == ("light", "night") and found.attrs["too_small"] == 1
    row, night = found.iloc[0], light == "night"
    assert row["verdict"] == "worse" and row["pictures"] == night.sum()
    assert row["value"] == right[night].mean() and row["rest"] == right[~night].mean()
    ends = evaluation.wilson(right[night].sum(), night.sum())
    np.testing.assert_allclose(row[["low", "high"]].astype(float), ends)
    fourfold = [[right[x].sum(), (~right[x]).sum()] for x in (night, ~night)]
    p = stats.fisher_exact(fourfold).pvalue
    assert p * 4 <= row["p"] <= p * 5 * (1 + 1e-9)  # the first or second of five
    thirds = found.loc["brightness"]
    assert len(thirds) == 3 and set(thirds["pictures"]) == {100}
    assert (thirds["verdict"] == "cannot tell").all()
    assert found["value"].is_monotonic_increasing


def test_corrected_p_values_are_those_of_r():
    # p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") in R
    np.testing.assert_allclose(
        holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02]
    )


def test_among_twenty_slices_without_a_difference_few_searches_find_one():
    rng, alarms = np.random.default_rng(1), 0
    for _ in range(150):
        cases, _ = case(rng, 400, 0.2, site=rng.integers(0, 20, 400).astype(str))
        alarms += (evaluation.slices(cases, "site")["verdict"] != "cannot tell").any()
    assert alarms <= 150 * 0.1  # uncorrected it is about half of the searches


def test_missing_values_flags_and_one_slice_alone():
    rng = np.random.default_rng(2)
    wet = np.array([True, False] * 20)
    site = np.where(np.arange(40) < 20, "a", None)
    cases, right = case(rng, 40, 0.2, wet=wet, site=site, all="x")
    found = evaluation.slices(cases, ["wet", "site", "all"])
    assert found.loc["wet"].index.tolist() in ([True, False], [False, True])
    assert found.loc[("site", "a"), "pictures"] == 20
    assert len(found) == 3  # what is true of all pictures is no slice
    none = evaluation.slices(cases, "wet", minimum=1000)
    assert len(none) == 0 and none.attrs["too_small"] == 2
    with pytest.raises(ValueError, match="by=.'weather'."):
        evaluation.slices(cases, "weather")


def test_planted_leaks_are_taken_out_of_the_score():
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (60, 32, 32, 3), dtype="uint8")
    labels = np.arange(60) % 3
    split = np.array((["train"] * 30) + ["valid"] * 15 + ["test"] * 15)
    images[45:50] = images[0:5]  # five of the test part were trained on
    images[50] = images[51]  # two of the test part are alike: no leak
    labels[45:50], labels[50] = labels[0:5], labels[51]
    photos = data.from_arrays(images, labels)
    photos.manifest["split"] = split
    findings = data.check(photos, verbose=False)
    files = photos.manifest["path"][split == "test"].tolist()
    said = labels[split == "test"].copy()
    said[5:] = (said[5:] + 1) % 3  # what was trained on is right, all else wrong
    cases = table(labels[split == "test"], np.eye(3)[said], files)
    found = evaluation.leaks(cases, findings)
    assert found["pictures"].tolist() == [15, 10, 5]
    np.testing.assert_allclose(found["value"], [1 / 3, 0, 1])
    clean = evaluation.leaks(cases, findings.iloc[:0])
    assert clean.loc["leaks alone", "pictures"] == 0
    assert np.isnan(clean.loc["leaks alone", "value"])
    assert clean.loc["without leaks"].equals(clean.loc["all pictures"])
    with pytest.raises(ValueError, match="columns .'a'."):
        evaluation.leaks(cases, pd.DataFrame({"a": []}))
