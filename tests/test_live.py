"""Curves that follow a run, and runs side by side."""

import IPython.display
import nbformat
import numpy as np
import pytest
from IPython.core.events import EventManager, available_events
from matplotlib.figure import Figure
from nbclient import NotebookClient

from cnnkit import plots
from cnnkit.plots import live


class Notebook:
    """A notebook's shell, its screen and a clock, as far as live curves use them."""

    kernel = "a kernel"

    def __init__(self):
        self.events = EventManager(self, available_events)
        self.screen, self.drawn, self.time = [], 0, 100.0

    def display(self, figure, display_id):
        assert display_id is True
        self.screen.append(None)
        place, notebook = len(self.screen) - 1, self

        class Handle:
            def update(self, figure):
                assert isinstance(figure, Figure)
                notebook.screen[place] = figure
                notebook.drawn += 1
                notebook.time += notebook.costs

        Handle().update(figure)
        return Handle()

    costs = 0.01

    def lengths(self):
        """How many epochs each figure on the screen shows."""
        return [len(figure.axes[0].lines[0].get_xdata()) for figure in self.screen]


@pytest.fixture
def notebook(monkeypatch):
    shell = Notebook()
    monkeypatch.setattr(live, "_notebook", lambda: shell)
    monkeypatch.setattr(live, "monotonic", lambda: shell.time)
    monkeypatch.setattr(IPython.display, "display", shell.display)
    return shell


def logs(epoch):
    return {"loss": 2 / (epoch + 1), "val_loss": 2.0, "accuracy": 0.5}


def test_one_figure_follows_the_run_at_most_twice_a_second(notebook):
    redraw, begin = plots.live_curves(), notebook.time
    for epoch in range(200):
        redraw(epoch, logs(epoch))
        notebook.time += 0.1
    assert notebook.drawn <= 2 * (notebook.time - begin) + 1
    assert notebook.drawn >= 30
    notebook.events.trigger("post_execute")
    assert notebook.lengths() == [200]
    (axes, _), drawn = notebook.screen[0].axes, notebook.drawn
    np.testing.assert_array_equal(
        axes.lines[0].get_ydata(), [logs(k)["loss"] for k in range(200)]
    )
    notebook.events.trigger("post_execute")  # of the next cell
    assert notebook.drawn == drawn


def test_slow_drawing_takes_a_tenth_of_the_time(notebook):
    redraw, begin = plots.live_curves(), notebook.time
    notebook.costs = 2.0
    for epoch in range(300):
        redraw(epoch, logs(epoch))
        notebook.time += 1
    assert notebook.drawn * notebook.costs <= 0.11 * (notebook.time - begin) + 2


def test_the_next_run_gets_a_figure_of_its_own(notebook):
    redraw = plots.live_curves()
    for epoch in (0, 1, 2, 0, 1):
        notebook.time += 10
        redraw(epoch, logs(epoch))
    assert notebook.lengths() == [3, 2]


@pytest.mark.parametrize("nothing", [None, {}, {"accuracy": 0.5}])
def test_without_a_loss_there_is_nothing_to_draw(notebook, nothing):
    plots.live_curves()(0, nothing)
    assert notebook.screen == []


def test_outside_a_notebook_nothing_is_shown(capfd):
    redraw = plots.live_curves()
    for epoch in range(3):
        redraw(epoch, logs(epoch))
    assert capfd.readouterr() == ("", "")


def test_a_real_notebook_keeps_one_figure_and_shows_the_last_epoch():
    cell = (
        "from cnnkit import plots\nfrom cnnkit.plots import live\n"
        "drawn, whole = [], live.training_curves\n"
        "def note(history):\n"
        "    drawn.append(len(history['loss']))\n"
        "    return whole(history)\n"
        "live.training_curves = note\n"
        "redraw = plots.live_curves()\n"
        "for epoch in range(30):\n"
        "    redraw(epoch, {'loss': 2 / (epoch + 1), 'accuracy': 0.5})\n"
        "drawn = drawn"
    )
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(c) for c in (cell, "drawn")],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "", "language": ""}
        },
    )
    NotebookClient(book).execute()
    trained, told = book.cells
    assert [o.output_type for o in trained.outputs] == ["display_data"]
    assert "image/png" in trained.outputs[0].data
    assert told.outputs[0].data["text/plain"] == "[1, 30]"


def run(epochs, seed):
    rng = np.random.default_rng(seed)
    keys = ("loss", "val_loss", "accuracy", "val_accuracy")
    return {key: rng.uniform(0.1, 0.9, epochs).tolist() for key in keys}


def test_runs_side_by_side_show_every_value_on_one_scale():
    runs = {"$_{ 薔": run(3, 0), "calm": run(12, 1)}
    runs["explodes"] = run(5, 2) | {"loss": [0.9, np.nan, 1e9, 1e9, np.inf]}
    figure = plots.runs_side_by_side(runs)
    figure.canvas.draw()
    panels = np.reshape(figure.axes, (2, 3))
    for row, key in zip(panels, ("loss", "accuracy"), strict=True):
        assert len({axes.get_ylim() for axes in row}) == 1
        for axes, values in zip(row, runs.values(), strict=True):
            for line, name in zip(axes.lines, (key, f"val_{key}"), strict=True):
                x = np.arange(1, len(values[name]) + 1)
                np.testing.assert_array_equal(line.get_xydata(), np.c_[x, values[name]])
    first = [values["loss"][0] for values in runs.values()]
    assert panels[0, 0].get_ylim() == (0, 2 * np.median(first))
    assert [axes.get_title() for axes in panels[0, 1:]] == ["calm", "explodes"]


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({}, "0 runs"),
        ({k: run(2, 0) for k in "abcdefg"}, "7 runs"),
        ({"good": run(2, 0), "poor": {"loss": [1.0]}}, "'poor'"),
        ({"empty": {"loss": [], "accuracy": []}}, "'empty'"),
    ],
)
def test_what_cannot_be_compared_is_refused(runs, message):
    with pytest.raises(ValueError, match=f"(?s)1 to 6 runs.*{message}"):
        plots.runs_side_by_side(runs)
