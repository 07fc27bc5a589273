"""Rows B14, B15 and B17 in figures: names that people could give to a class."""

import io
import logging
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.text import Text

from cnnkit import evaluation, plots
from cnnkit.plots import names

HOSTILE = [
    "$", "$$", "$_{", "$\\frac{1}", "cost $5 and a_{ $", "\\", "\\alpha", "a_b^c", "_x",
    "{", "%s %d", "#&~", "{0}", "<script>alert(1)</script>", "<img src=x onerror=y>",
    "a\nb", "\r\n", "tab\tbed", "\x00", "\x1b[31mred\x1b[0m", "\u202eevil", "\ud800",
    "", " ", "x" * 200, "薔薇", "か\u3099", "ガラス　窓", "سلام", "हिन्दी", "😀", "🇯🇵",
    "Z\u0351\u036b\u0343a\u035fl", "\U000f0000", "=HYPERLINK(1)", "class 1", "~2",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_every_figure_draws_every_name(name, caplog):
    names._warned.clear()
    values = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5]}
    images = np.zeros((2, 4, 4), "uint8")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figures = [
            plots.training_curves(values, marks={2: name}),
            plots.confusion_matrix(np.eye(2, dtype=int), [name, "other"]),
            plots.image_grid(images, titles=[name, (name, "line two")]),
        ]
        shown = set(plots.legible([name]))
        for figure in figures:
            file = io.BytesIO()
            figure.savefig(file, dpi=40)
            assert file.getvalue().startswith(b"\x89PNG")
            texts = {t.get_text(): t for t in figure.findobj(Text)}
            found = [t for text, t in texts.items() if text and text in shown]
            assert not any(t.get_parse_math() or t.get_usetex() for t in found)
            assert not any("\x1b" in text or "\r" in text for text in texts)
    # Where no font has the letters, one sentence of ours may say so, and nothing else.
    assert len(caught) <= 1
    assert all("No installed font" in str(w.message) for w in caught)
    assert not (name.isascii() and caught)
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert pyplot.get_fignums() == []


def test_no_two_hostile_names_look_alike():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shown = plots.legible([*HOSTILE, "が", "x" * 201, "a\\nb", "class 29"])
    assert len(set(shown)) == len(shown)
    assert all(text.isprintable() for text in shown)


WORST = [
    "$_{",
    "\\frac{1}",
    "<b>$x$</b>",
    "a\nb\x1b[31m",
    "%s {0}",
    "_x",
]


def rows(names, **columns):
    return pd.DataFrame(columns, index=pd.Index(names, name=names[0]))


def trials_of(names):
    tried = {name: [0.1, 0.2, 0.3] for name in names[:3]} | {names[3]: names[:3]}
    went = {"score": [0.5, 0.4, 0.3], "epochs": 2, "seconds": 1.0, "at": [1.0, 2, 3]}
    return pd.DataFrame(tried | went | {"status": "COMPLETED", "reason": names[4]})


def drawn(names):
    """Every figure in which people's words stand, with these words."""
    six = {"value": 0.5, "low": 0.4, "high": 0.6}
    lines = pd.MultiIndex.from_product([names[:4], [10, 100]])
    pictures, heats = np.zeros((6, 4, 4, 3)), np.zeros((6, 4, 4))
    run = {"loss": [2.0, 1.0], "accuracy": [0.1, 0.2]}
    labels = np.arange(40) % 2
    said = np.eye(2)[labels] * 0.8 + 0.1
    honest = evaluation.reliability(labels, said)
    yield plots.heat_maps(pictures, heats, titles=names)
    yield plots.intervals(rows(names, **six), label=names[0])
    yield plots.learning_curves(pd.DataFrame(six, lines), across=names[0])
    yield plots.reliability({name: honest for name in names[:4]})
    yield plots.runs_side_by_side({n: run for n in names})
    yield plots.softmax_terms([1.0] * 6, [1.0] * 6, [1 / 6] * 6, names)
    yield plots.threshold_curves(
        evaluation.threshold_curve(labels, said, 0), class_name=names[0]
    )
    dots = rows(names, accuracy=[0.5] * 6, **{names[1]: [1.0, 2, 3, 4, 5, 6]})
    yield plots.trade_off(dots, names[1], gain_label=names[0])
    yield plots.score_against(trials_of(names), names[0])
    yield plots.score_against(trials_of(names), names[3])
    yield plots.parallel_coordinates(trials_of(names))
    yield plots.pixels(np.ones((2, 2)), title=names[0])
    yield plots.flatten_map(
        np.ones((1, 2)), np.ones((1, 2)), np.ones(2), channel=0, others=0.0,
        class_name=names[0],
    )  # fmt: skip
    one_in_six, unchanged = np.full((2, 6), 1 / 6), dict.fromkeys(["rotation"], 0.0)
    yield plots.change_view(
        pictures[:2], np.ones((2, 2, 2, 1)), one_in_six, names, change="none",
        channels=[0], layer=names[0], amounts=unchanged,
    )  # fmt: skip
    layers = [(1, names[0], "Dense", np.ones(6), [], 1.0)]
    yield plots.network_view(
        pictures[0], layers, one_in_six[0], names, count=1, colours="layer"
    )
    yield plots.importance(rows(names, importance=[0.1] * 6, deviation=[0.01] * 6))
    yield plots.coverage({n: trials_of(names) for n in names[:3]}, names[0], names[1])


def test_every_other_figure_draws_names_as_they_are():
    tame = [f"name {i}" for i in range(6)]
    for figures in zip(drawn(WORST), drawn(tame), strict=True):
        named = []
        for figure, names_of in zip(figures, (WORST, tame), strict=True):
            figure.savefig(io.BytesIO(), dpi=40)
            shown = {*names_of, *plots.legible(names_of)}
            texts = figure.findobj(Text)
            named.append([t for t in texts if any(x in t.get_text() for x in shown)])
        hostile, harmless = named
        assert len(hostile) == len(harmless) > 0  # "_x" is in the legend, too
        assert not any(t.get_parse_math() or t.get_usetex() for t in hostile)
        assert not any("\x1b" in t.get_text() for t in figures[0].findobj(Text))
