"""Figures of where numbers stand: in a picture, under windows, in a flattened row."""

import numpy as np
from matplotlib.colors import ListedColormap

from cnnkit.plots.canvas import new_figure
from cnnkit.plots.names import legible, text_style
from cnnkit.plots.tables import BAR, NEXT, WINDOW, exact, fitting, frame, short, signed

MOST_PIXELS = 32  # rows and columns of numbers on a page
GROUND = ListedColormap(["#e4e4e4", "#c3d9ee", "#6aa5d8"])  # border, picture, window


def pixels(image, *, values=False, title=None):
    """Draws one picture with its rows and columns counted.

    Args:
        image: array of shape (height, width), drawn from its lowest value, black, to
            its highest, white; or pixels in [0, 255] of shape (height, width, 3).
        values: bool, whether to write each number into its pixel.
        title: None, or a str above it.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: the shape is another, or there are more numbers than can be read.
    """
    image = np.asarray(image)
    grey = image.ndim == 2
    if not grey and image.shape[2:] != (3,):
        raise ValueError(
            "`image` has shape (height, width) or (height, width, 3). "
            f"Received: shape {image.shape}"
        )
    if values and not (grey and max(image.shape) <= MOST_PIXELS):
        raise ValueError(
            "Numbers can be read on a grey picture of at most "
            f"{MOST_PIXELS} x {MOST_PIXELS} pixels. Received: shape {image.shape}"
        )
    side = 7.6 if values and max(image.shape) > 12 else 4.6
    high, wide = (side * x / max(image.shape[:2]) for x in image.shape[:2])
    with new_figure(max(wide, 1) + 0.7, max(high, 1) + 0.6 + 0.3 * grey) as figure:
        axes = figure.subplots()
        if grey:
            low, top = float(image.min()), float(image.max())
            axes.imshow(image, cmap="gray", vmin=low, vmax=max(top, low + 1e-9))
            ends = f"black {short(low)}, white {short(top)}"
            figure.supxlabel(ends, fontsize=11)
        else:
            axes.imshow(np.clip(np.asarray(image, float), 0, 255) / 255)
        if values:
            _write(axes, np.asarray(image, float))
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.locator_params(integer=True)
        axes.set(xlabel="column", ylabel="row")
        axes.spines[:].set_visible(False)
        if title is not None:
            [title] = legible([title], width=60, kind="picture")
            axes.set_title(title, fontsize=12, **text_style([title]))
    return figure


def flatten_map(
    values, weights, flattened, *, channel, others, bias=0.0, class_name="the class"
):
    """Draws one of the last maps, its weights for a class, and the sum of all products.

    Args:
        values: float array of shape (rows, columns), one channel of the last maps.
        weights: float array of the same shape, the weights over it for the class.
        flattened: float array of shape (rows * columns * channels,), all maps in a row.
        channel: int, which one it is.
        others: float, the sum of the products of all other channels.
        bias: float.
        class_name: str.

    Returns:
        A matplotlib `Figure`: values, weights, products; the terms of the logit; where
        in the row of flattened values the channel stands.

    Raises:
        ValueError: the shapes do not fit.
    """
    values, weights, flattened = (
        np.asarray(x, float) for x in (values, weights, flattened)
    )
    channels, rest = divmod(flattened.size, max(values.size, 1))
    if values.shape != weights.shape or rest or not 0 <= channel < channels:
        raise ValueError(
            "`values` and `weights` are maps of one shape, and `flattened` has as many "
            f"values for each channel. Received: shapes {values.shape}, "
            f"{weights.shape}, {flattened.shape}, channel={channel}"
        )
    products = values * weights
    [name] = legible([class_name], width=20, kind="class")
    with new_figure(11, 6.3, layout="none") as figure:
        grid = figure.add_gridspec(
            2, 3, height_ratios=(2.2, 1), left=0.02, right=0.98, bottom=0.1, top=0.94,
            wspace=0.07, hspace=0.3,
        )  # fmt: skip
        panels = [figure.add_subplot(grid[0, i]) for i in range(3)]
        titles = f"channel {channel}", "× its weights", "= the products"
        for panel, table, title in zip(
            panels, (values, weights, products), titles, strict=True
        ):
            most = abs(table).max() or 1
            signed(panel, table, title, most=most)
            panel.set_xlabel(f"blue −{short(most)}, red {short(most)}", fontsize=11)
        panels[2].set_xlabel(f"sum {exact(products.sum())}", fontsize=13, color=WINDOW)
        _row(figure.add_subplot(grid[1, :2]), flattened, values.shape, channel)
        terms = {f"channel {channel}": products.sum(), "all others": others}
        terms |= {"bias": bias, "logit": products.sum() + others + bias}
        _terms(figure.add_subplot(grid[1, 2]), terms, name)
    return figure


def convolution_geometry(side, seen, *, border=(0, 0), lines=()):
    """Draws where windows stand on a square picture.

    Args:
        side: int, pixels of the picture along a side.
        seen: int array of shape (windows, kernel), the pixels that each window sees
            along a side; from 0, below 0 and from `side` on in the border.
        border: (before, after), how many pixels of zeros stand around.
        lines: str, written below.

    Returns:
        A matplotlib `Figure` with three panels: the picture, with the first two windows
        of the first row; each window along a side; the output.
    """
    seen, (before, after) = np.asarray(seen), border
    count, whole = len(seen), side + before + after
    pixel = np.arange(-before, side + after)
    inside = (pixel >= 0) & (pixel < side)
    under = (pixel == seen[:, :, np.newaxis]).any(axis=1)  # (windows, pixels)
    missed = inside & ~under.any(axis=0)
    square = np.logical_and.outer(inside, inside)
    first = np.logical_and.outer(under[0], under[0])
    unseen = square & np.logical_or.outer(missed, missed)
    low = 0.28 * len(lines) + 0.75
    with new_figure(11, 3.6 + low, layout="none") as figure:
        panels = figure.subplots(1, 3)
        bottom = low / (3.6 + low)
        figure.subplots_adjust(0.05, bottom, 0.98, 1 - 0.4 / (3.6 + low), wspace=0.2)
        _ground(panels[0], square, first, unseen, corner=(before, before))
        inside, missed = (np.tile(x, (count, 1)) for x in (inside, missed))
        _ground(panels[1], inside, under, missed, corner=(0, before))
        output = np.ones((count, count), bool)
        _ground(panels[2], output, output, ~output, corner=(0, 0))
        looks = (WINDOW, "solid"), (NEXT, "dashed")
        for i, (colour, style) in list(enumerate(looks))[:count]:
            top, left, right = seen[0, 0], seen[i, 0], seen[i, -1] + 1
            down = seen[0, -1] + 1
            for panel, box in zip(
                panels,
                ((top, left, down, right), (i, left, i + 1, right), (0, i, 1, i + 1)),
                strict=True,
            ):
                frame(panel, box, colour=colour, style=style)
        size = f", bordered {whole} × {whole}" if before + after else ""
        panels[0].set_title(f"picture {side} × {side}{size}", fontsize=12)
        panels[1].set_title("one side: a row for each window", fontsize=12)
        panels[2].set_title(f"output {count} × {count}", fontsize=12)
        panels[0].set_xlabel("0: border, ×: no window sees it", fontsize=11)
        panels[1].set_xlabel("pixel", fontsize=11)
        panels[2].set_xlabel("solid: first window, dashed: next", fontsize=11)
        for i, line in enumerate(reversed(lines)):
            figure.text(0.05, (0.12 + 0.28 * i) / (3.6 + low), line, fontsize=12)
    return figure


def _ground(axes, inside, under, missed, *, corner):
    """Cells of the border and of the picture, those under a window, those unseen."""
    rows, columns = inside.shape
    top, left = -corner[0] - 0.5, -corner[1] - 0.5
    axes.imshow(
        np.where(under, 2, inside), cmap=GROUND, vmin=0, vmax=2,
        extent=(left, left + columns, top + rows, top),
    )  # fmt: skip
    axes.hlines(np.arange(rows + 1) + top, left, left + columns, color="w", lw=1.2)
    axes.vlines(np.arange(columns + 1) + left, top, top + rows, color="w", lw=1.2)
    size = min(9, 130 / max(rows, columns))  # a third of a cell
    for cells, mark in ((~inside, "$0$"), (missed, "x")):
        down, right = np.nonzero(cells)
        axes.plot(
            right - corner[1], down - corner[0], ls="none", marker=mark, color="0.2",
            ms=size, mew=size / 6 if mark == "x" else 0,
        )  # fmt: skip
    axes.locator_params(integer=True, min_n_ticks=1)
    axes.spines[:].set_visible(False)
    axes.set_anchor("N")


def _write(axes, values):
    """Writes a number into each pixel, as large as all of them fit."""
    texts = [short(value) for value in values.ravel()]
    size = fitting(axes, values.shape, texts)
    bright = values > (values.min() + values.max()) / 2
    for (i, j), text in zip(np.ndindex(values.shape), texts, strict=True):
        axes.text(
            j, i, text, ha="center", va="center", fontsize=size, parse_math=False,
            color="black" if bright[i, j] else "white", in_layout=False,
        )  # fmt: skip


def _terms(axes, terms, name):
    """Bars that add up: all but the last, and their sum."""
    values = list(terms.values())
    low, top = min(*values, 0), max(*values, 0)
    span = top - low or 1
    axes.barh(
        range(len(values)), values, height=0.6,
        color=[WINDOW, BAR, BAR, "0.3"],
    )  # fmt: skip
    for i, (term, value) in enumerate(terms.items()):
        axes.text(
            top + 0.12 * span, i, f"{term}: {exact(value)}", va="center", fontsize=12,
            in_layout=False,
        )  # fmt: skip
    axes.axvline(0, color="0.6", lw=0.8)
    axes.set(xlim=(low - 0.03 * span, top + 1.5 * span), xticks=[], yticks=[])
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    axes.set_title(f"the logit of {name}", fontsize=12, **text_style([name]))


def _row(axes, flattened, shape, channel):
    """All values in one row, and where in it a channel stands."""
    count = flattened.size
    channels = count // (shape[0] * shape[1])
    span = np.ptp(flattened) or 1
    axes.imshow(
        flattened[np.newaxis], cmap="gray", aspect="auto", vmin=flattened.min(),
        vmax=flattened.max() + 0.1 * span,  # white is paper
    )  # fmt: skip
    places = np.arange(channel, count, channels)
    axes.plot(places, np.full(len(places), -0.85), ls="none", marker="v", color=WINDOW)
    axes.set(ylim=(0.5, -1.3), yticks=[])
    axes.locator_params(axis="x", integer=True)
    axes.spines[:].set_visible(False)
    axes.set_title(f"all {count:,} values in one row", fontsize=12)
    axes.set_xlabel(
        f"place; row r, column c of channel {channel} stands at "
        f"(r · {shape[1]} + c) · {channels} + {channel}",
        fontsize=11,
    )
