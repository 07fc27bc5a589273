"""A figure of one picture on its way through all layers of a model."""

import math

import numpy as np

from cnnkit.plots.canvas import new_figure
from cnnkit.plots.names import ems, legible, text_style
from cnnkit.plots.tables import BAR, WINDOW, number

WIDE, COLUMN, WORDS, TILE, GAP = 11.0, 5.5, 2.1, 0.375, 0.035  # inches
ROW, ENDS, HEAD, FOOT = 0.68, 1.3, 0.4, 0.36  # heights, in inches
SMALL = 7.5  # of the letters above a tile, in points
FINE = 48  # pixels of a tile: smaller maps are enlarged, so that a gap fits between
MOST_TILES, MOST_CLASSES = 8, 5
SCALES = {
    "layer": "the largest value of each layer",
    "block": "the largest value among layers with maps of one size",
    "network": "the largest value of the whole network",
}


def network_view(picture, layers, probabilities, class_names, *, count, colours):
    """Draws what a picture becomes, layer by layer, down the left and then the right.

    Args:
        picture: pixels in [0, 255], shape (height, width, 1 or 3).
        layers: for each layer a tuple (place, name, words, values, channels, most):
            int, its place in the order of running; str; str of up to three lines; array
            of shape (rows, columns, n) with 1 to 8 maps, or of shape (n,) or
            (tokens, n), drawn as one table; the n numbers of the channels; float, the
            value of the deepest red.
        probabilities: float array of shape (classes,).
        class_names: one str a class.
        count: int, how many layers the model has, also those that are not drawn.
        colours: "layer", "block" or "network", over what the scale of colours is
            shared.

    Returns:
        A matplotlib `Figure`: blue is below 0, white is 0, red above.

    Raises:
        ValueError: there are no layers, or more than 8 maps of one.
    """
    tiles = [x[3].shape[2] for x in layers if x[3].ndim == 3]
    if not layers or max(tiles, default=1) > MOST_TILES:
        raise ValueError(
            f"There are one or more layers, with up to {MOST_TILES} maps each. "
            f"Received: {len(layers)} layers, with {tiles} maps"
        )
    left = math.ceil(len(layers) / 2)
    height = HEAD + ENDS + left * ROW + FOOT
    names = legible([x[1] for x in layers], width=18, kind="layer")
    with new_figure(WIDE, height, layout="none") as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(0, WIDE), ylim=(0, height), autoscale_on=False)  # inches
        said = f"{count} layers"
        if len(layers) < count:
            said = f"{len(layers)} of {said}; explorer.layer_table lists all"
        axes.text(0.1, height - 0.2, said, fontsize=12, va="center")
        axes.text(
            0.1, 0.16, f"colours: white is 0, red above, blue below; deepest: "
            f"{SCALES[colours]}. Above maps: their channels. par.: parameters",
            fontsize=10, va="center",
        )  # fmt: skip
        _picture(axes, picture, height - HEAD)
        for i, (layer, name) in enumerate(zip(layers, names, strict=True)):
            column, row = divmod(i, left)
            top = height - HEAD - row * ROW - (0 if column else ENDS)
            _layer(axes, layer, name, 0.1 + column * COLUMN, top)
        top = height - HEAD - (len(layers) - left) * ROW
        _answer(axes, probabilities, class_names, 0.1 + COLUMN, top)
        axes.set_aspect("auto")
    return figure


def _picture(axes, picture, top):
    high, wide = picture.shape[:2]
    side = ENDS - 0.12
    right = 0.1 + WORDS + side * wide / max(high, wide)
    shown = np.clip(picture, 0, 255) / 255
    axes.imshow(
        shown[..., 0] if shown.shape[2] == 1 else shown, cmap="gray", vmin=0, vmax=1,
        extent=(0.1 + WORDS, right, top - side * high / max(high, wide), top),
    )  # fmt: skip
    axes.text(0.1, top, "the picture", fontsize=10.5, va="top", weight="bold")
    axes.text(0.1, top - 0.2, " × ".join(map(str, picture.shape)), fontsize=9, va="top")


def _layer(axes, layer, name, x, top):
    """One row: words at the left, maps or a table at the right."""
    place, _, words, values, channels, most = layer
    style = text_style([name])
    axes.text(
        x, top, f"{place}  {name}", fontsize=9.5, va="top", weight="bold", **style
    )
    axes.text(x, top - 0.17, words, fontsize=9, va="top", linespacing=1.15)
    x, top = x + WORDS, top - 0.15
    if values.ndim == 3:
        mosaic, step = _mosaic(values)
        high, wide = mosaic.shape
        side = TILE / max(step, high)  # inches to the pixel
        axes.imshow(
            mosaic, cmap="RdBu_r", vmin=-most, vmax=most,
            extent=(x, x + wide * side, top - high * side, top),
        )  # fmt: skip
        # One text is drawn eight times as fast as eight.
        numbers = f"channel{'s' * (wide > step)} {', '.join(map(str, channels))}"
        axes.text(x, top + 0.015, numbers, fontsize=SMALL, va="bottom")
    else:
        table = np.atleast_2d(values)
        high, wide = 0.2 if len(table) == 1 else TILE, COLUMN - WORDS - 0.25
        axes.imshow(
            table, cmap="RdBu_r", vmin=-most, vmax=most,
            extent=(x, x + wide, top - high, top), aspect="auto",
        )  # fmt: skip
        axes.plot(
            [x, x + wide, x + wide, x, x], [top, top, top - high, top - high, top],
            color="0.6", lw=0.5,
        )  # fmt: skip
        pitch, marks = wide / table.shape[1], []
        if len(table) == 1 and pitch > 0.2:
            marks = [number(value) for value in table[0]]
        fits = max(map(ems, marks), default=0) * SMALL / 72 < pitch
        for i, mark in enumerate(marks if fits else []):
            axes.text(
                x + (i + 0.5) * pitch, top + 0.015, mark, fontsize=SMALL, ha="center",
                va="bottom",
            )  # fmt: skip


def _mosaic(values):
    """Maps side by side with gaps between them, and the columns from one to the next.

    Each value is repeated until a map has pixels enough for a thin gap.
    """
    high, wide, count = values.shape
    times = math.ceil(FINE / max(high, wide))
    gap = max(1, round(GAP / TILE * max(high, wide) * times))
    maps = values.repeat(times, axis=0).repeat(times, axis=1)
    step = max(high, wide) * times + gap
    mosaic = np.full((high * times, count * step), np.nan, "float32")
    for i in range(count):
        mosaic[:, i * step : i * step + wide * times] = maps[..., i]
    return mosaic, step


def _answer(axes, probabilities, class_names, x, top):
    """The most likely classes as bars with their numbers."""
    names = legible(map(str, class_names), width=20, kind="class")
    order = np.argsort(-probabilities, kind="stable")[:MOST_CLASSES]
    axes.text(x, top, "the answer", fontsize=10.5, va="top", weight="bold")
    others = len(probabilities) - len(order)
    if others:
        rest = 1 - probabilities[order].sum()
        said = f"{others} other classes\ntogether {max(rest, 0):.3f}"
        axes.text(x, top - 0.2, said, fontsize=9, va="top")
    wide = COLUMN - WORDS - 2.35
    for i, k in enumerate(order):
        y = top - 0.11 - 0.23 * i
        axes.text(
            x + WORDS + 1.5, y, names[k], fontsize=9.5, ha="right", va="center",
            **text_style([names[k]]),
        )  # fmt: skip
        axes.barh(
            y, wide * probabilities[k], 0.16, left=x + WORDS + 1.57,
            color=WINDOW if i == 0 else BAR,
        )  # fmt: skip
        axes.text(
            x + WORDS + 1.62 + wide * probabilities[k], y, f"{probabilities[k]:.3f}",
            fontsize=9.5, va="center",
        )  # fmt: skip
