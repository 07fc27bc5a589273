"""Figures of a picture before and after a change, and of what a model makes of it."""

import numpy as np
from matplotlib.patches import Rectangle

from cnnkit.plots.canvas import new_figure
from cnnkit.plots.evaluated import BLUE, RED, change_curves
from cnnkit.plots.explained import ONE_WAY, TWO_WAYS
from cnnkit.plots.names import legible, text_style
from cnnkit.plots.tables import number

MOST_MAPS, MOST_CLASSES, MOST_CURVES = 4, 5, 4
# In inches: the width, the title, a picture with its words, a curve with its words.
FULL, HEAD, TILE, CAPTION, CURVE = 11.3, 1.0, 1.5, 0.34, 3.1


def change_view(
    pictures, maps, probabilities, class_names, *, change, channels, layer,
    amounts=None, curve=None,
):  # fmt: skip
    """Draws a picture before and after a change, with its maps and probabilities.

    Args:
        pictures: pixels in [0, 255], shape (2, h, w, 1 or 3), before and after.
        maps: float array of shape (2, rows, columns, n), 1 to 4 channels of a layer.
        probabilities: float array of shape (2, classes); the five most likely are
            drawn, before or after.
        class_names: one str a class.
        change: str, what was done.
        channels: int, the n numbers of the channels.
        layer: str, its name.
        amounts: None, or a dict from the changes in `curve` to where to mark them.
        curve: None, or `pandas.DataFrame` of `evaluation.invariance`, 1 to 4 changes.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: shapes do not fit, or `curve` is no such table.
    """
    pictures, maps, probabilities = (
        np.asarray(x, "float64") for x in (pictures, maps, probabilities)
    )
    twice = len(pictures) == len(maps) == len(probabilities) == 2
    n, count = len(channels), len(class_names)
    fits = maps.shape[3:] == (n,) and probabilities.shape[1:] == (count,)
    if not twice or not fits or not 1 <= n <= MOST_MAPS:
        raise ValueError(
            f"There are two pictures, two sets of 1 to {MOST_MAPS} maps, and a "
            f"probability for each class before and after. Received: shapes "
            f"{pictures.shape}, {maps.shape} of {n} channels, {probabilities.shape} of "
            f"{count} classes"
        )
    changes = _changes(curve)
    size = FULL, HEAD + 2 * (TILE + CAPTION) + (CURVE if changes else 0)
    two_ways, top = maps.min() < 0, abs(maps).max() or 1
    [name] = legible([layer], width=30, kind="layer")
    scale = f"dark 0, bright {number(top)}"
    if two_ways:
        scale = f"blue {number(-top)}, white 0, red {number(top)}"
    colours = {"cmap": ONE_WAY, "vmin": 0, "vmax": top}
    if two_ways:
        colours = {"cmap": TWO_WAYS, "vmin": -top, "vmax": top}
    with new_figure(*size, layout="none") as figure:
        # One sheet for all pictures, in inches: axes are slow to make.
        sheet = _axes(figure, size, 0, size[1], *size)
        sheet.set_axis_off()
        sheet.autoscale(False)
        sheet.set(xlim=(0, size[0]), ylim=(size[1], 0))
        sheet.text(0.15, 0.2, change, fontsize=13, va="center")
        sheet.text(
            0.4 + TILE, 0.47, f"maps of {name}: {scale}", va="center",
            **text_style([name]),
        )  # fmt: skip
        for row, when in enumerate(("before", "after")):
            up = HEAD + row * (TILE + CAPTION)
            picture = np.clip(pictures[row], 0, 255) / 255
            picture = picture[..., 0] if picture.shape[2] == 1 else picture
            _lay(sheet, picture, 0.15, up, when, {"cmap": "gray", "vmin": 0, "vmax": 1})
            for i, channel in enumerate(channels):
                left, tile = 0.4 + TILE + i * (TILE + 0.1), maps[row, :, :, i]
                words = f"{number(tile.min())} to {number(tile.max())}"
                _lay(sheet, tile, left, up, words, colours)
                if row == 0:
                    middle = left + TILE / 2
                    sheet.text(middle, up - 0.12, f"channel {channel}", ha="center")
        high = 2 * TILE + CAPTION - 0.2  # below it there are words
        axes = _axes(figure, size, 9.65, HEAD + high, FULL - 9.75, high)
        _bars(axes, probabilities, class_names)
        for i, label in enumerate(changes):
            axes = _axes(figure, size, 0.75 + 2.6 * i, size[1] - 0.55, 2.3, 1.65)
            _curve(axes, curve, label, (amounts or {}).get(label))
            if i == 0:
                axes.set_ylabel("share of many pictures", fontsize=10)
                figure.legend(
                    loc="upper left", bbox_to_anchor=(0.06, (CURVE - 0.3) / size[1]),
                    ncols=2, frameon=False, borderpad=0,
                )  # fmt: skip
            else:
                axes.tick_params(labelleft=False)
    return figure


def _lay(sheet, pixels, left, top, words, colours):
    """Lays a picture into a square of the sheet, with words below."""
    high, wide = (TILE * side / max(pixels.shape[:2]) for side in pixels.shape[:2])
    x, y = left + (TILE - wide) / 2, top + (TILE - high) / 2
    sheet.imshow(pixels, extent=(x, x + wide, y + high, y), aspect="auto", **colours)
    sheet.add_patch(Rectangle((x, y), wide, high, fill=False, ec="0.8", lw=0.5))
    sheet.text(left + TILE / 2, top + TILE + 0.14, words, ha="center", va="center")


def _changes(curve):
    """The changes of a table, or what is wrong with it."""
    if curve is None:
        return []
    named = list(getattr(getattr(curve, "index", None), "names", []))
    changes = list(curve.index.unique(0)) if named == ["change", "amount"] else []
    if not 1 <= len(changes) <= MOST_CURVES:
        raise ValueError(
            f"`curve` is a table of evaluation.invariance of 1 to {MOST_CURVES} "
            f"changes. Received: {type(curve).__name__} with {len(changes)} changes"
        )
    return changes


def _bars(axes, probabilities, class_names):
    """Two bars a class, the most likely first: empty before, full after."""
    order = np.argsort(-probabilities.max(axis=0), kind="stable")[:MOST_CLASSES]
    names = legible([str(class_names[i]) for i in order], width=14, kind="class")
    for place, i in enumerate(order):
        for row, when in enumerate(("before", "after")):
            value, at = probabilities[row, i], place + 0.4 * row - 0.2
            axes.barh(
                at, value, height=0.36, edgecolor=BLUE, lw=1.2,
                facecolor=BLUE if row else "white",
            )  # fmt: skip
            axes.text(value + 0.04, at, f"{value:.3f} {when}", va="center", fontsize=10)
    first, second = probabilities.argmax(axis=1)
    stays = "stays" if first == second else "changes"
    axes.set_title(f"the answer {stays}", fontsize=12, pad=6, loc="right",
                   color="black" if first == second else RED)  # fmt: skip
    axes.set_yticks(range(len(order)), names, fontsize=10, **text_style(names))
    axes.set(xlim=(0, 2.1), ylim=(len(order) - 0.5, -0.5), xticks=[0, 0.5, 1])
    axes.set_xlabel("probability", loc="left", fontsize=11)
    axes.tick_params(left=False)


def _curve(axes, table, change, amount):
    """The answers of many pictures over the amount of a change, and where we are."""
    change_curves(axes, table, change, marks=4)
    if amount is not None:
        axes.axvline(amount, color="black", lw=1.5)
        axes.set_title(f"{change}: now {amount:.3g}", fontsize=11)
    axes.xaxis.label.set_fontsize(10)
    axes.locator_params(axis="x", nbins=3)  # each takes time
    axes.set_yticks([0, 0.5, 1])


def _axes(figure, size, left, bottom, width, height):
    """Axes whose lower left corner is so far, in inches, from the upper left."""
    return figure.add_axes(
        (left / size[0], 1 - bottom / size[1], width / size[0], height / size[1])
    )
