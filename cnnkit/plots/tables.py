"""Panels that the figures of the explorer share: a map, a table of numbers, a frame."""

import numpy as np
from matplotlib.patches import Rectangle

from cnnkit.plots.names import ems

WINDOW = "#D55E00"  # the window and the value that comes of it
NEXT = "#0072B2"  # the window after it
BAR = "#56B4E9"
MOST_NUMBERS = 7  # rows and columns of numbers that can be read from the back
LARGEST, SMALLEST = 13, 8  # of the letters in a table, in points


def frame(axes, box, *, colour=WINDOW, style="solid"):
    """Draws a frame around pixels of a panel.

    Args:
        axes: matplotlib `Axes` that shows a table.
        box: (top, left, bottom, right) in pixels.
        colour: str.
        style: str, a matplotlib line style.
    """
    top, left, bottom, right = box
    axes.add_patch(
        Rectangle(
            (left - 0.5, top - 0.5), right - left, bottom - top,
            fill=False, ec=colour, lw=3, ls=style, zorder=3,
        )
    )  # fmt: skip


def picture(axes, values, title, like=None):
    """Draws a map in grey, from its lowest value to its highest.

    Args:
        axes: matplotlib `Axes`.
        values: float array of shape (rows, columns); NaN is not known yet.
        title: str; the shape is written behind it.
        like: None, or the array whose lowest and highest value count.
    """
    span = values if like is None else like
    axes.imshow(values, cmap="gray", vmin=np.nanmin(span), vmax=np.nanmax(span) or 1)
    axes.set_title(f"{title}, {values.shape[0]} × {values.shape[1]}", fontsize=12)
    axes.set(xticks=[], yticks=[])
    axes.set_facecolor("#e8eef4")  # what is not known yet


def signed(axes, values, title, *, most):
    """Draws a map whose sign matters: blue below 0, white, red above.

    Args:
        axes: matplotlib `Axes`.
        values: float array of shape (rows, columns); up to `MOST_NUMBERS` rows and
            columns the numbers are written in.
        title: str.
        most: float above 0, the value of the deepest red.
    """
    if max(values.shape) <= MOST_NUMBERS:
        numbers(axes, values, title, two_ways=True, most=most)
        return
    axes.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most)
    axes.set_title(title, fontsize=12)
    axes.set(xticks=[], yticks=[])


def numbers(axes, values, title, *, two_ways=False, most=None):
    """Draws a small table, each number over its colour.

    Args:
        axes: matplotlib `Axes`.
        values: float array of shape (rows, columns); what is infinite stays empty.
        title: str.
        two_ways: bool, whether the sign matters: blue below 0, white, red above.
        most: None, or the value of the deepest red.
    """
    finite = values[np.isfinite(values)]
    most = most or abs(finite).max() or 1
    low = -most if two_ways else finite.min()
    axes.imshow(
        np.where(np.isfinite(values), values, np.nan),
        cmap="RdBu_r" if two_ways else "gray", vmin=low,
        vmax=most if two_ways else max(finite.max(), low + 1e-9), alpha=0.45,
    )  # fmt: skip
    places = np.argwhere(np.isfinite(values))
    texts = [short(values[i, j]) for i, j in places]
    size = fitting(axes, values.shape, texts)
    if size < SMALLEST:
        texts = [_shorter(values[i, j]) for i, j in places]
        size = fitting(axes, values.shape, texts)
    for (i, j), text in zip(places, texts, strict=True):
        axes.text(
            j, i, text, ha="center", va="center", fontsize=size, parse_math=False,
            in_layout=False,
        )  # fmt: skip
    axes.set_title(title, fontsize=12)
    axes.set(xticks=[], yticks=[])


def bars(axes, values, texts, title, *, stands_out=None, room):
    """Draws numbers as bars, from the first at the top on, each with its text.

    Args:
        axes: matplotlib `Axes`; upside down is for the figure to say.
        values: float array of shape (n,).
        texts: n str, behind the bars.
        title: str.
        stands_out: None, or int, which bar has another colour.
        room: float, for the texts, as a share of the span of the values.
    """
    low, high = min(*values, 0), max(*values, 0)
    span = high - low or 1
    colours = [WINDOW if i == stands_out else BAR for i in range(len(values))]
    axes.barh(range(len(values)), values, color=colours, height=0.7)
    for i, (value, text) in enumerate(zip(values, texts, strict=True)):
        axes.text(max(value, 0) + 0.02 * span, i, text, va="center", fontsize=10)
    axes.axvline(0, color="0.6", lw=0.8)
    axes.set_xlim(low, high + room * span)
    axes.set_title(title, fontsize=12)
    axes.set_xticks([])
    axes.tick_params(left=False)


def fitting(axes, shape, texts):
    """Returns the size of letters with which each text fits into its cell.

    Args:
        axes: matplotlib `Axes`. A layout that is still to come enlarges them by a
            fifth or more.
        shape: (rows, columns).
        texts: sequence of str.

    Returns:
        float, in points.
    """
    place, figure = axes.get_position(), axes.get_figure()
    sides = place.width * figure.get_figwidth(), place.height * figure.get_figheight()
    growth = 1.0 if figure.get_layout_engine() is None else 1.2
    cell = 72 * growth * min(sides[0] / shape[1], sides[1] / shape[0])
    return min(LARGEST, 0.5 * cell, 0.8 * cell / max(map(ems, texts), default=1))


def short(value):
    """Writes a number for a cell of a table: two or three figures.

    Args:
        value: float.
    """
    value = value + 0.0  # -0.0 is 0
    if abs(value) >= 100 or value == round(value):
        text = f"{value:.0f}"
    elif abs(value) >= 1:
        text = f"{value:.1f}"
    else:
        text = f"{value:.2g}" if abs(value) >= 0.001 else f"{value:.4f}"
    return text.replace("-", "−")


def exact(value):
    """Writes a number with all that a reader can check: four places after the point.

    Args:
        value: float.
    """
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return ("0" if text == "-0" else text).replace("-", "−")


def number(value):
    """Returns a number in at most six letters or so, with up to three digits.

    Args:
        value: float.
    """
    text = f"{value:.0f}" if 100 <= abs(value) < 1e5 else f"{value:.3g}"
    text = f"{value:.0e}" if "e" in text else text
    return text.replace("-", "−")


def _shorter(value):
    """Writes a number where there is room for four letters."""
    text = short(value)
    if len(text) > 4 and abs(value) < 1:
        text = f"{value:.2f}".replace("0.", ".").replace("-", "−")
    return "~0" if text.strip("−") == ".00" else text
