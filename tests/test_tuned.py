import sys

import numpy as np
import pandas as pd
import pytest

from cnnkit import plots, tuning


@pytest.fixture
def table():
    """Forty trials whose score follows from the rate alone, but for some noise."""
    rng = np.random.default_rng(0)
    rate = 10 ** rng.uniform(-4, -1, 40)
    found = pd.DataFrame({
        "rate": rate,
        "only with sgd": np.where(np.arange(40) % 2, rng.uniform(0, 1, 40), np.nan),
        "頭 $_{<b>": rng.choice(["平均", "$\\frac{"], 40),
        "flag": rng.random(40) < 0.5,
    })  # fmt: skip
    found["score"] = 0.9 - 0.1 * (np.log10(rate) + 2) ** 2 + rng.normal(0, 0.003, 40)
    found["at"], found["status"], found["reason"] = np.arange(40.0) + 1, "COMPLETED", ""
    found.loc[7, ["score", "status"]] = np.nan, "FAILED"
    found.attrs = {"objective": "val_accuracy", "direction": "max"}
    return found


def test_the_line_of_trials_is_the_best_so_far(table):
    figure = plots.trials(table.sample(frac=1, random_state=0))
    _, best, failed = figure.axes[0].get_lines()
    scores = table["score"].drop(7).to_numpy()
    np.testing.assert_array_equal(best.get_ydata(), np.maximum.accumulate(scores))
    assert list(failed.get_xdata()) == [8.0]
    assert figure.axes[0].get_ylabel() == "validation accuracy"
    table.attrs |= {"objective": "val_loss", "direction": "min"}
    _, best, _ = plots.trials(table).axes[0].get_lines()
    np.testing.assert_array_equal(best.get_ydata(), np.minimum.accumulate(scores))


def test_a_score_is_drawn_against_a_number_or_a_name(table):
    axes = plots.score_against(table, "rate").axes[0]
    assert axes.get_xscale() == "log"
    assert len(axes.get_lines()[0].get_xdata()) == 39  # one has failed
    axes = plots.score_against(table, "only with sgd").axes[0]
    assert len(axes.get_lines()[0].get_xdata()) == 19  # of those where it was active
    for name in ("頭 $_{<b>", "flag"):
        figure = plots.score_against(table, name)
        figure.draw_without_rendering()
        assert len(figure.axes[0].get_xticks()) == 2
    with pytest.raises(ValueError, match="name='momentum'"):
        plots.score_against(table, "momentum")


def test_each_trial_is_a_line_through_all_uprights(table):
    figure = plots.parallel_coordinates(table)
    figure.draw_without_rendering()
    lines = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 5]
    assert len(lines) == 39
    first = np.array([line.get_ydata()[0] for line in lines])
    rates = np.sort(np.log10(table["rate"].drop(7)))
    heights = (rates - rates[0]) / (rates[-1] - rates[0])
    np.testing.assert_allclose(np.sort(first), heights, atol=1e-9)
    with pytest.raises(ValueError, match="1 to 10 of"):
        plots.parallel_coordinates(table, names=["momentum"])


def test_what_decides_the_score_is_the_most_important(table, monkeypatch):
    # Fewer trees and deals: the answer is plain.
    monkeypatch.setattr(sys.modules["cnnkit.tuning.importance"], "TREES", 30)
    monkeypatch.setattr(sys.modules["cnnkit.tuning.importance"], "REPEATS", 5)
    found = tuning.importance(table)
    assert found.index[0] == "rate" and found["importance"].iloc[0] > 0.5
    assert (found["importance"].iloc[1:].abs() < 0.1).all()
    assert found.attrs["r2"] > 0.5
    noise = table.assign(score=np.random.default_rng(1).normal(size=40))
    assert tuning.importance(noise).attrs["r2"] < 0.2  # it knows nothing, and says so
    plots.importance(found).draw_without_rendering()
    with pytest.raises(ValueError, match="10 trials with a score"):
        tuning.importance(table.head(9))


def test_ticks_show_how_many_values_were_tried(table):
    grid = table.head(9).drop(7)
    grid = grid.assign(rate=np.repeat([1e-3, 1e-2], 4), flag=0.5)
    figure = plots.coverage({"grid": grid, "random": table}, "rate", "flag")
    figure.draw_without_rendering()
    tried = [len(set(axes.get_lines()[0].get_xdata())) for axes in figure.axes[:2]]
    assert tried == [2, 39] and figure.axes[0].get_xscale() == "log"
    with pytest.raises(ValueError, match="of which .*grid.* lack one"):
        plots.coverage({"grid": grid}, "rate", "momentum")
