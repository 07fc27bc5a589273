"""Rows B14, B15 and B17 in figures: names that people could give to a class."""

import io
import logging
import warnings

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.text import Text

from cnnkit import plots
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
