import subprocess
import sys
import warnings

import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager, pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from nbclient import NotebookClient

from cnnkit import plots
from cnnkit.plots import names

JAPANESE = ("薔薇", "向日葵", "ガラス", "チューリップ")


@pytest.fixture(autouse=True)
def nothing_left_open_and_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert pyplot.get_fignums() == []


def drawn(figure):
    """The figure as the pixels of a notebook, shape (height, width, 4)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def history(epochs, seed=0):
    rng = np.random.default_rng(seed)
    keys = ("loss", "val_loss", "accuracy", "val_accuracy")
    return {key: rng.uniform(0.1, 0.9, epochs).tolist() for key in keys}


@pytest.mark.parametrize("epochs", [1, 2, 50])
def test_curves_show_every_value_and_ring_the_best(epochs):
    values = history(epochs)
    figure = plots.training_curves(values)
    drawn(figure)
    for axes, key, best in zip(
        figure.axes, ("loss", "accuracy"), (np.argmin, np.argmax), strict=True
    ):
        training, validation, ring = axes.lines
        x = np.arange(1, epochs + 1)
        np.testing.assert_array_equal(training.get_xydata(), np.c_[x, values[key]])
        validation_values = values[f"val_{key}"]
        np.testing.assert_array_equal(
            validation.get_xydata(), np.c_[x, validation_values]
        )
        i = best(validation_values)
        np.testing.assert_array_equal(
            ring.get_xydata(), [[i + 1, validation_values[i]]]
        )
        assert f"{validation_values[i]:.3f}, epoch {i + 1}" in axes.get_title()
        assert axes.get_xlabel() == "epoch" and key in axes.get_ylabel()
        low, high = axes.get_ylim()
        assert low <= min(values[key]) and max(validation_values) <= high
        assert all(tick % 1 == 0 for tick in axes.get_xticks())
    assert "nats" in figure.axes[0].get_ylabel()


def test_curves_take_a_history_object_and_what_a_short_fit_leaves_out():
    class History:  # as keras.callbacks.History: the attribute is what counts
        history = {"loss": [2.0, 1.0, np.nan, np.nan]}

    figure = plots.training_curves(History())
    assert len(figure.axes) == 1
    assert figure.axes[0].get_title() == "not a number in epoch 3"
    rare = {"loss": [4.0, 3, 2, 1], "val_loss": [3.0, 2.0]}  # validation_freq=2
    line = plots.training_curves(rare).axes[0].lines[1]
    np.testing.assert_array_equal(line.get_xydata(), [[2, 3.0], [4, 2.0]])
    for nothing in ({}, {"loss": []}):
        with pytest.raises(ValueError, match="at least one epoch"):
            plots.training_curves(nothing)


def test_a_mark_stands_where_its_epoch_begins():
    figure = plots.training_curves(history(10), marks={4: "$_{ 薔"})
    for axes in figure.axes:
        assert axes.lines[-1].get_xdata() == [3.5, 3.5]
        assert axes.texts[0].xy[0] == 3.5


@pytest.mark.parametrize("k", [2, 10, 30])
def test_confusion_matrix_writes_each_count_and_colours_its_share_of_the_row(k):
    matrix = np.random.default_rng(k).integers(0, 200, (k, k))
    matrix[0] = 0  # a class without pictures
    figure = plots.confusion_matrix(matrix, [f"class of things {i}" for i in range(k)])
    drawn(figure)
    axes = figure.axes[0]
    shares = axes.images[0].get_array()
    assert shares.mask[0].all() and not shares.mask[1:].any()
    np.testing.assert_allclose(
        shares[1:], matrix[1:] / matrix[1:].sum(axis=1, keepdims=True)
    )
    written = np.zeros_like(matrix)
    for text in axes.texts:
        column, row = text.get_position()
        written[row, column] = int(text.get_text())
    np.testing.assert_array_equal(written, matrix)
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == [text.get_text() for text in axes.get_xticklabels()]
    assert labels == [f"class of things {i}" for i in range(k)]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted class")
    assert min(t.get_fontsize() for t in figure.findobj(Text) if t.get_text()) >= 10


def test_of_3000_classes_the_most_confused_30_are_shown():
    k = 3000
    matrix = np.diag(np.full(k, 5))
    confused = [(7, 2999, 4), (1500, 3, 3), (20, 21, 2)]
    for true, taken, count in confused:
        matrix[true, taken] = count
    figure = plots.confusion_matrix(matrix, [f"person {i}" for i in range(k)])
    drawn(figure)
    axes = figure.axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert len(labels) == 30
    assert {f"person {i}" for pair in confused for i in pair[:2]} <= set(labels)
    assert "30" in axes.get_title() and "3,000" in axes.get_title()
    row, column = labels.index("person 7"), labels.index("person 2999")
    assert axes.images[0].get_array()[row, column] == pytest.approx(4 / 9)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((3, 2), int), r"\(3, 2\)"),
        (np.ones((3, 3), int), r"\(3, 3\)"),
        (np.ones((2, 2)) / 2, "float64"),
        (-np.ones((2, 2), int), "counts"),
    ],
)
def test_what_is_no_confusion_matrix_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        plots.confusion_matrix(matrix, ["a", "b"])


def test_intervals_stand_where_the_table_says():
    index = pd.MultiIndex.from_product([["before", "after"], ["薔薇", "$_{x}", "a"]])
    value = np.array([0.5, 0.6, np.nan, 0.7, 0.8, 0.9])
    table = pd.DataFrame(
        {"value": value, "low": value - 0.1, "high": value + 0.05}, index
    )
    figure = plots.intervals(table, label="recall")
    drawn(figure)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "recall"
    for k, (line, bars) in enumerate(zip(axes.lines, axes.collections, strict=True)):
        x, y = line.get_xdata(), line.get_ydata()
        np.testing.assert_array_equal(x, value[3 * k : 3 * k + 3])
        assert (np.rint(y) == [0, 1, 2]).all()  # each in its row
        for i, segment in enumerate(bars.get_segments()):
            if len(segment) and np.isfinite(x[i]):
                np.testing.assert_allclose(
                    segment, [[x[i] - 0.1, y[i]], [x[i] + 0.05, y[i]]]
                )
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["before", "after"]
    assert len(axes.get_yticklabels()) == 3
    one = plots.intervals(table.loc["before"].dropna())
    drawn(one)
    assert not one.legends and len(one.axes[0].lines) == 1


@pytest.mark.parametrize("change", [{"low": "Low"}, {}])
def test_what_has_no_intervals_is_refused(change):
    table = pd.DataFrame({"value": [0.5], "low": [0.4], "high": [0.6]}, ["a"])
    table = table.rename(columns=change) if change else table.iloc[:0]
    with pytest.raises(ValueError, match="value, low and high.*Received: columns"):
        plots.intervals(table)


def test_learning_curves_stand_where_the_table_says_with_their_bands():
    index = pd.MultiIndex.from_product([["薔薇", "$_{x}"], [100, 5, 20]])
    value = np.array([0.9, 0.5, 0.7, 0.8, 0.2, 0.6])
    table = pd.DataFrame(
        {"value": value, "low": value - 0.1, "high": value + 0.05}, index
    )
    figure = plots.learning_curves(table, across="pictures a class")
    drawn(figure)
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_xlabel()) == ("log", "pictures a class")
    assert [t.get_text() for t in axes.get_xticklabels()] == ["5", "20", "100"]
    for line, band, part in zip(
        axes.lines, axes.collections, (value[:3], value[3:]), strict=True
    ):
        climbing = part[[1, 2, 0]]  # from few pictures to many
        np.testing.assert_array_equal(line.get_xydata(), np.c_[[5, 20, 100], climbing])
        corners = {(x, round(y, 6)) for x, y in band.get_paths()[0].vertices}
        for x, y in zip([5, 20, 100], climbing, strict=True):
            assert {(x, round(y - 0.1, 6)), (x, round(y + 0.05, 6))} <= corners
    for wrong in (table.loc["薔薇"], table.drop(columns="low"), table.iloc[:0]):
        with pytest.raises(ValueError, match="Received: columns"):
            plots.learning_curves(wrong)


@pytest.mark.parametrize("scale", [1, 1e7])
@pytest.mark.parametrize("most", [1.5, 300])
def test_a_trade_off_names_each_dot_inside_the_axes_and_none_over_another(scale, most):
    cost = scale * np.r_[np.linspace(1, 1.04, 6), most]
    table = pd.DataFrame({"ms": cost, "score": np.r_[np.full(6, 0.5), 0.9]})
    table = table.assign(low=table["score"] - 0.1, high=table["score"] + 0.05)
    table.index = [*JAPANESE, "$_{x}", "two\nlines", "a network of a long name"]
    figure = plots.trade_off(table, "ms", gain="score", cost_label="ms a picture")
    drawn(figure)
    (axes,) = figure.axes
    dots = axes.lines[0].get_xydata()
    np.testing.assert_array_equal(dots, table[["ms", "score"]])
    ends = [segment[:, 1] for segment in axes.collections[0].get_segments()]
    np.testing.assert_array_equal(ends, table[["low", "high"]])
    assert axes.get_xlabel() == "ms a picture"
    assert axes.get_xscale() == ("log" if most > 20 else "linear")
    boxes = [text.get_window_extent() for text in axes.texts]
    frame = axes.get_window_extent()
    for i, box in enumerate(boxes):
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1
        assert not any(box.overlaps(other) for other in boxes[:i])
    with pytest.raises(ValueError, match="Received: cost='ms', gain='accuracy'"):
        plots.trade_off(table, "ms")
    with pytest.raises(ValueError, match="all above 0"):
        plots.trade_off(table.assign(ms=0), "ms", gain="score")


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_image_grid_shows_the_pixels_as_they_are(kind, channels):
    shape = (5, 12, 9) if channels is None else (5, 12, 9, channels)
    images = np.random.default_rng(0).integers(0, 256, shape).astype(kind)
    figure = plots.image_grid(images, titles=[f"picture {i}" for i in range(5)])
    drawn(figure)
    for axes, image, i in zip(figure.axes, images, range(5), strict=True):
        shown = axes.images[0]
        np.testing.assert_array_equal(shown.get_array(), np.squeeze(image))
        assert shown.get_clim() == (0, 255)
        assert axes.get_title() == f"picture {i}"


def test_image_grid_says_how_many_pictures_it_leaves_out():
    images = np.zeros((600, 4, 4), "uint8")
    figure = plots.image_grid(images)
    assert len(figure.axes) == 64
    assert [text.get_text() for text in figure.texts] == [
        "the first 64 of 600 pictures"
    ]
    assert plots.image_grid(images[:64]).texts == []


@pytest.mark.parametrize("columns", [None, 3, 8])
@pytest.mark.parametrize(
    "name", ["W" * 60, "a name of many short words " * 4, "薔" * 40]
)
def test_titles_overlap_neither_each_other_nor_the_pictures(name, columns):
    images = [np.zeros((30, 30 + 10 * (i % 3)), "uint8") for i in range(10)]
    titles = [name if i % 2 else (name, f"{i} {name}", "0.93") for i in range(10)]
    for chosen in (titles, [name] * 10):
        figure = plots.image_grid(images, titles=chosen, columns=columns)
        drawn(figure)
        boxes = [axes.title.get_window_extent() for axes in figure.axes]
        boxes += [axes.images[0].get_window_extent() for axes in figure.axes]
        page = figure.bbox
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[i + 1 :])
            assert page.x0 <= box.x0 and box.x1 <= page.x1
            assert page.y0 <= box.y0 and box.y1 <= page.y1


@pytest.mark.parametrize(
    ("images", "titles", "message"),
    [
        (np.zeros((0, 4, 4)), None, "0 pictures"),
        (np.zeros((2, 4, 4), "uint8"), ["a"], "2 pictures, 1 titles"),
        (np.zeros((2, 4, 4, 2), "uint8"), None, r"\(4, 4, 2\)"),
        (np.full((2, 4, 4, 3), 0.5), None, "multiply"),
        (np.full((2, 4, 4, 3), np.nan), None, "nan"),
        (np.full((2, 4, 4, 3), 300.0), None, "300"),
    ],
)
def test_what_cannot_be_shown_is_refused(images, titles, message):
    with pytest.raises(ValueError, match=message):
        plots.image_grid(images, titles=titles)


def test_names_become_short_and_stay_different():
    alike = [f"{'a' * 30}{i}{'b' * 30}" for i in range(50)]
    ends = [f"{'long_common_beginning_of_' * 2}{i}" for i in range(50)]
    middle = [f"species_{i:02d}_of_the_northern_forest" for i in range(50)]
    for many in (alike, ends, middle, [*alike, "a" * 30 + "b" * 30, "aaaaaaaaaaa…~2"]):
        short = plots.legible(many)
        assert len(set(short)) == len(many)
        assert max(map(names.ems, short)) <= 24 * 0.6 + 1e-9
    assert all(str(i) in text for i, text in enumerate(plots.legible(ends)))
    assert all(f"{i:02d}" in text for i, text in enumerate(plots.legible(middle)))
    assert plots.legible(["cat", "dog", "cat"]) == ("cat", "dog", "cat")


def test_invisible_characters_are_written_out():
    written = plots.legible(
        ["a\nb", "\x1b[31m", "\u202eevil", "\ud800", "a\u00a0b", ""]
    )
    assert written == ("a\\nb", "\\x1b[31m", "\\u202eevil", "\\ud800", "a b", "")
    assert plots.legible(["\u30ab\u3099"]) == ("\u30ac",)


def test_where_no_font_has_the_letters_classes_are_numbered_with_one_warning(
    monkeypatch,
):
    monkeypatch.setattr(names, "_installed", lambda: ())
    names._warned.clear()
    some = ["cat", *JAPANESE]
    images = np.zeros((5, 8, 8), "uint8")
    with pytest.warns(UserWarning, match="Install the Noto Sans font") as caught:
        figures = [
            plots.confusion_matrix(np.eye(5, dtype=int), some),
            plots.image_grid(images, titles=plots.legible(some)),
            plots.training_curves(history(3), marks={2: "薔薇"}),
        ]
        for figure in figures:
            drawn(figure)
    assert len(caught) == 1
    shown = [text.get_text() for text in figures[0].axes[0].get_yticklabels()]
    assert shown == ["cat", "class 1", "class 2", "class 3", "class 4"]
    assert [axes.get_title() for axes in figures[1].axes] == shown


def test_the_font_that_has_a_box_for_every_letter_is_not_taken():
    installed = {font.name for font in font_manager.fontManager.ttflist}
    boxes = {name for name in installed if "Last Resort" in name}
    if not boxes:
        pytest.skip("this matplotlib has no Last Resort font")
    assert boxes.isdisjoint(names._installed())


def test_japanese_is_drawn_where_no_font_is_installed_beside_those_of_pip():
    code = f"""
import matplotlib, numpy as np
from matplotlib import font_manager
font_manager.findSystemFonts = lambda *a, **how: []
known = font_manager.fontManager.ttflist
known[:] = [f for f in known if f.fname.startswith(matplotlib.get_data_path())]
settings = dict(matplotlib.rcParams)
from cnnkit import plots
figure = plots.image_grid(np.zeros((4, 8, 8), "uint8"), titles={JAPANESE})
assert tuple(axes.get_title() for axes in figure.axes) == {JAPANESE}
figure.canvas.draw()  # a letter that its font lacks is a warning, here an error
assert settings == dict(matplotlib.rcParams)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_style_of_the_user_changes_no_figure():
    def pages():
        images = np.full((2, 8, 8), 99, "uint8")
        return [
            drawn(plots.training_curves(history(5))),
            drawn(plots.confusion_matrix(np.eye(2, dtype=int), ["a", "b"])),
            drawn(plots.image_grid(images, titles=["a", "b"])),
        ]

    plain = pages()
    with pyplot.style.context(["dark_background", {"font.size": 20}]):
        styled = pages()
        assert pyplot.rcParams["font.size"] == 20
    for ours, theirs in zip(plain, styled, strict=True):
        assert ours.shape == theirs.shape
        assert (ours != theirs).any(axis=2).mean() < 0.01
        assert (ours[0, 0] == 255).all()


def test_a_notebook_shows_each_figure_once():
    cells = [
        "from cnnkit import plots\nimport numpy as np\n"
        "plots.training_curves({'loss': [2, 1]})",
        "plots.confusion_matrix(np.eye(2, dtype=int), ['a', '薔'])",
        "figure = plots.image_grid(np.zeros((2, 8, 8), 'uint8'))",
        "figure",
    ]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "", "language": ""}
        },
    )
    NotebookClient(notebook).execute()
    pictures = [
        [output for output in cell.outputs if "image/png" in output.get("data", {})]
        for cell in notebook.cells
    ]
    assert [len(found) for found in pictures] == [1, 1, 0, 1]


def test_importing_plots_loads_no_tensorflow():
    code = "import sys, cnnkit.plots; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
