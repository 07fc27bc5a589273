"""Figures of one step of a layer: what goes in, what is done, what comes out."""

import numpy as np
from matplotlib.patches import Rectangle

from cnnkit.plots.canvas import new_figure

WINDOW = "#D55E00"  # the window and the value that comes of it
MOST_NUMBERS = 7  # rows and columns of numbers that can be read from the back


def convolution_step(
    image, window, kernel, products, output, *, box, place, bias=0.0, channels=1
):
    """Draws one window of a convolution: its pixels, the kernel, the products, the sum.

    Args:
        image: float array of shape (height, width), with its border.
        window: float array of shape (kernel height, kernel width), what the kernel lies
            over; of several channels the mean.
        kernel: float array of the same shape; of several channels the sum.
        products: float array of the same shape, added over the channels.
        output: float array of shape (rows, columns); what comes after `place`, row by
            row, is not known yet and stays empty.
        box: (top, left, bottom, right) of the window in the image, in pixels.
        place: (row, column) in the output.
        bias: float, added to the sum.
        channels: int, how many there are, for the titles.

    Returns:
        A matplotlib `Figure` with five panels: input, window, kernel, products, output.

    Raises:
        ValueError: shapes do not fit, or the kernel is too large for its numbers to be
            read.
    """
    image, window, kernel, products, output = tables = [
        np.asarray(x, float) for x in (image, window, kernel, products, output)
    ]
    flat = all(x.ndim == 2 for x in tables) and products.shape == kernel.shape
    if not flat or window.shape != kernel.shape or max(kernel.shape) > MOST_NUMBERS:
        raise ValueError(
            "`window` and `kernel` are tables of one shape, at most "
            f"{MOST_NUMBERS} x {MOST_NUMBERS}, `image` and `output` of one channel. "
            f"Received: shapes {image.shape}, {window.shape}, {kernel.shape}, "
            f"{output.shape}"
        )
    row, column = place
    known = np.full(output.shape, np.nan)
    known.flat[: row * output.shape[1] + column + 1] = output.flat[
        : row * output.shape[1] + column + 1
    ]
    with new_figure(11, 3.9) as figure:
        grid = figure.add_gridspec(1, 5, width_ratios=(1.25, 1, 1, 1, 1.25))
        panels = [figure.add_subplot(grid[i]) for i in range(5)]
        _picture(panels[0], image, "input")
        top, left, bottom, right = box
        panels[0].add_patch(
            Rectangle(
                (left - 0.5, top - 0.5), right - left, bottom - top,
                fill=False, ec=WINDOW, lw=3,
            )
        )  # fmt: skip
        titles = "the window", "× the kernel", "= the products"
        if channels > 1:
            titles = "mean of the window", "sum of the kernel", "products, all added"
        for panel, values, title in zip(
            panels[1:4], (window, kernel, products), titles, strict=True
        ):
            _numbers(panel, values, title, two_ways=panel is not panels[1])
        said = f"sum {_short(products.sum())}"
        if bias:
            said += f" + bias {_short(bias)} = {_short(products.sum() + bias)}"
        panels[3].set_xlabel(said, fontsize=13, color=WINDOW)
        _picture(panels[4], known, "output so far", like=output)
        panels[4].add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, ec=WINDOW, lw=3)
        )
        panels[4].set_xlabel(
            f"row {row}, column {column}: {_short(output[row, column])}",
            fontsize=13, color=WINDOW,
        )  # fmt: skip
    return figure


def _picture(axes, values, title, like=None):
    span = values if like is None else like
    axes.imshow(values, cmap="gray", vmin=span.min(), vmax=span.max() or 1)
    axes.set_title(f"{title}, {values.shape[0]} × {values.shape[1]}", fontsize=12)
    axes.set(xticks=[], yticks=[])
    axes.set_facecolor("#e8eef4")  # what is not known yet


def _numbers(axes, values, title, *, two_ways=False):
    most = abs(values).max() or 1
    low = -most if two_ways else values.min()
    axes.imshow(
        values, cmap="RdBu_r" if two_ways else "gray", vmin=low,
        vmax=most if two_ways else max(values.max(), low + 1e-9), alpha=0.45,
    )  # fmt: skip
    size = 13 if max(values.shape) <= 3 else 10 if max(values.shape) <= 5 else 8
    for (i, j), value in np.ndenumerate(values):
        axes.text(j, i, _short(value), ha="center", va="center", fontsize=size)
    axes.set_title(title, fontsize=12)
    axes.set(xticks=[], yticks=[])


def _short(value):
    if abs(value) >= 100 or value == round(value):
        text = f"{value:.0f}"
    else:
        text = f"{value:.2g}" if abs(value) < 1 else f"{value:.1f}"
    return text.replace("-", "−")
