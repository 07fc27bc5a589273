"""What the figures of an evaluation show is what the tables say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from cnnkit import evaluation, plots
from tests.test_probabilities import case

LABELS, PROBABILITIES = case(0, 400, 4)


def points(axes, number):
    return np.array(axes.lines[number].get_xydata(), float)


def test_a_reliability_diagram_has_a_dot_for_each_bin(tmp_path):
    table = evaluation.reliability(LABELS, PROBABILITIES, bins=8, equal="width")
    figure = plots.reliability({"較正 <b>$_{": table, "other": table.iloc[:4]})
    figure.savefig(tmp_path / "figure.png")
    above, below = figure.axes
    np.testing.assert_allclose(points(above, 1), table[["confidence", "value"]])
    np.testing.assert_allclose(points(above, 0), [[0, 0], [1, 1]])
    heights = [s[1, 1] for s in below.collections[0].get_segments()]
    np.testing.assert_array_equal(heights, table["pictures"])
    assert below.get_xlabel().startswith("confidence")
    equal = evaluation.reliability(LABELS, PROBABILITIES, bins=8)
    [axes] = plots.reliability(equal).axes  # all bins alike: nothing to draw below
    assert axes.get_xlabel().startswith("confidence")
    with pytest.raises(ValueError, match="Received: 5 tables"):
        plots.reliability({i: table for i in range(5)})


def test_threshold_curves_are_roc_and_pr():
    curve = evaluation.threshold_curve(LABELS, PROBABILITIES, 2)
    figure = plots.threshold_curves(curve, class_name="止まれ")
    left, right = figure.axes
    expected = np.column_stack([1 - curve["specificity"], curve["sensitivity"]])
    np.testing.assert_allclose(points(left, 0), [[0, 0], *expected])
    np.testing.assert_allclose(points(right, 0), curve[["sensitivity", "precision"]])
    share = np.mean(LABELS == 2)
    assert points(right, 1)[0, 1] == pytest.approx(share)  # to call all of them
    marked = [tuple(line.get_xydata()[0]) for line in left.lines[2:]]
    called = PROBABILITIES[:, 2] >= 0.5
    expected = np.mean(called[LABELS != 2]), np.mean(called[LABELS == 2])
    assert any(np.allclose(dot, expected) for dot in marked)
    with pytest.raises(ValueError, match="Received: .*, 0 rows"):
        plots.threshold_curves(curve.iloc[:0])


def test_invariance_has_a_panel_for_each_change():
    index = [("translation", 0.0), ("translation", 0.1), ("scale", 1.0), ("scale", 2.0)]
    table = pd.DataFrame(
        {
            "value": [0.9, 0.7, 0.9, 0.4],
            "low": 0.3,
            "high": 0.95,
            "same": [1, 0.8, 1, 0.5],
        },
        index=pd.MultiIndex.from_tuples(index),
    )
    table.attrs["units"] = {"translation": "share of the side"}
    figure = plots.invariance(table)
    assert [axes.get_title() for axes in figure.axes] == ["translation", "scale"]
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "share of the side",
        "amount",
    ]
    np.testing.assert_allclose(points(figure.axes[1], 0), [[1, 0.9], [2, 0.4]])
    np.testing.assert_allclose(points(figure.axes[0], 1), [[0, 1], [0.1, 0.8]])
    with pytest.raises(ValueError, match="Received: 0 changes"):
        plots.invariance(table.iloc[:0])


def test_abstaining_draws_accuracy_over_coverage_with_its_band():
    table = evaluation.abstaining(LABELS, PROBABILITIES, steps=10)
    [axes] = plots.abstaining(table).axes
    np.testing.assert_allclose(points(axes, 0), table[["answered", "value"]])
    [band] = [c for c in axes.collections if isinstance(c, PolyCollection)]
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(table["low"].min())
    with pytest.raises(ValueError, match="no rows"):
        plots.abstaining(table.iloc[:0])
