"""A figure of what is gained against what it costs, a dot for each name."""

import numpy as np
from matplotlib.ticker import EngFormatter

from cnnkit.plots.canvas import WIDTH, is_wide, new_figure
from cnnkit.plots.names import legible, text_style

DOT, LINE = "#0072B2", "#0072B280"
APART = 1.05  # how far labels keep from each other, in their height
MANY = 10_000  # from here numbers are written with k, M and G


def trade_off(table, cost, *, gain="accuracy", cost_label=None, gain_label=None):
    """Draws each row as a dot: its cost across, its gain upwards, with its interval.

    What stands above and to the left of another is better in both.

    Args:
        table: `pandas.DataFrame`, such as from `experiments.compare_families`; its
            index names the dots. Where it has the columns "low" and "high", they are
            drawn as the interval of the gain.
        cost: str, a column of numbers above 0. If they span more than a factor of 20,
            the axis is logarithmic.
        gain: str, a column of numbers.
        cost_label: str, for the axis, with its unit; the column's name if None.
        gain_label: str, likewise.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: there is no such column, no row, or a cost is not above 0.
    """
    missing = [name for name in (cost, gain) if name not in table.columns]
    if missing or table.empty or not (table[cost] > 0).all():
        raise ValueError(
            "`table` needs the columns of `cost`, all above 0, and of `gain`, and at "
            f"least one row. Received: cost={cost!r}, gain={gain!r}, {len(table)} "
            f"rows of {list(table.columns)}"
        )
    x, y = table[cost].to_numpy(float), table[gain].to_numpy(float)
    names = legible(map(str, table.index), kind="row")
    with new_figure(WIDTH, 4.6) as figure:
        axes = figure.subplots()
        if {"low", "high"} <= set(table.columns):
            axes.vlines(x, table["low"], table["high"], color=LINE, linewidth=2)
        axes.plot(x, y, "o", color=DOT, markersize=8)
        if is_wide(x):
            axes.set_xscale("log")
            axes.set_xlim(x.min() / 1.6, x.max() * 1.6)
        else:
            axes.set_xlim(0, 1.1 * x.max())
        if x.max() >= MANY:
            axes.xaxis.set_major_formatter(EngFormatter(sep=" "))  # 10 M, not 1e7
        axes.margins(y=0.12)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        across, up = cost_label or cost, gain_label or gain
        axes.set_xlabel(across, **text_style([across]))
        axes.set_ylabel(up, **text_style([up]))
        figure.draw_without_rendering()  # places are known only now
        _name_dots(axes, x, y, names)
    return figure


def _name_dots(axes, x, y, names):
    """Writes each name beside its dot, inside the axes, and none over another."""
    frame, to_pixels, taken = axes.get_window_extent(), axes.transData, []
    for i in np.argsort(y):
        text = axes.annotate(
            names[i], (x[i], y[i]), (9, 0), textcoords="offset points", va="center",
            fontsize=10, **text_style([names[i]]),
        )  # fmt: skip
        box = text.get_window_extent()
        if box.x1 > frame.x1:
            text.set_ha("right")
            text.xyann = (-9, 0)
            box = text.get_window_extent()
        up = _least_way(box, frame, taken)
        if up:
            text.xyann = (text.xyann[0], up * 72 / axes.figure.dpi)
            box = box.translated(0, up)
            dot = to_pixels.transform((x[i], y[i]))
            above = to_pixels.inverted().transform(dot + [0, up])
            axes.plot([x[i], x[i]], [y[i], above[1]], color="0.7", lw=0.8, zorder=0)
        taken.append(box)


def _least_way(box, frame, taken):
    """How many pixels up, or down where negative, a box is free and in the frame."""
    height = int(frame.height)
    for up in sorted(range(-height, height), key=abs):
        moved = box.translated(0, up)
        inside = frame.y0 <= moved.y0 and moved.y1 <= frame.y1
        if inside and not any(_meet(moved, other) for other in taken):
            return up
    return 0


def _meet(box, other):
    apart = APART * (box.y1 - box.y0)
    across = box.x0 < other.x1 and other.x0 < box.x1
    return across and abs((box.y0 + box.y1) - (other.y0 + other.y1)) / 2 < apart
