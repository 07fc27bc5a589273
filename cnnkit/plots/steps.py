"""Figures of one step of a layer: what goes in, what is done, what comes out."""

import numpy as np

from cnnkit.plots.canvas import new_figure
from cnnkit.plots.names import legible, text_style
from cnnkit.plots.tables import (
    MOST_NUMBERS,
    WINDOW,
    bars,
    exact,
    frame,
    numbers,
    picture,
    short,
    signed,
)

MOST_BARS = 20


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
    known = _so_far(output, place)
    with new_figure(11, 3.9) as figure:
        grid = figure.add_gridspec(1, 5, width_ratios=(1.25, 1, 1, 1, 1.25))
        panels = [figure.add_subplot(grid[i]) for i in range(5)]
        picture(panels[0], image, "input")
        frame(panels[0], box)
        titles = "the window", "× the kernel", "= the products"
        if channels > 1:
            titles = "mean of the window", "sum of the kernel", "products, all added"
        for panel, values, title in zip(
            panels[1:4], (window, kernel, products), titles, strict=True
        ):
            numbers(panel, values, title, two_ways=panel is not panels[1])
        said = f"sum {exact(products.sum())}"
        if bias:
            said += f"\n+ bias {exact(bias)}\n= {exact(products.sum() + bias)}"
        panels[3].set_xlabel(said, fontsize=13, color=WINDOW)
        picture(panels[4], known, "output so far", like=output)
        frame(panels[4], (row, column, row + 1, column + 1))
        panels[4].set_xlabel(
            f"row {row}, column {column}:\n{exact(output[row, column])}",
            fontsize=13, color=WINDOW,
        )  # fmt: skip
    return figure


def pooling_step(image, window, output, *, box, place, kind, kept=None):
    """Draws one window of a pooling layer and the value that it leaves.

    Args:
        image: float array of shape (height, width), with its border.
        window: float array of shape (size, size); what was added around the picture is
            infinite, and is not shown.
        output: float array of shape (rows, columns).
        box: (top, left, bottom, right) of the window in the image, in pixels.
        place: (row, column) in the output.
        kind: str, what is done with the window, such as "largest".
        kept: None, or (row, column) in the window of the value that is kept.

    Returns:
        A matplotlib `Figure` with three panels: input, window, output.

    Raises:
        ValueError: the shapes do not fit, or the window is too large to be read.
    """
    image, window, output = (np.asarray(x, float) for x in (image, window, output))
    if not image.ndim == window.ndim == output.ndim == 2 or max(window.shape) > (
        MOST_NUMBERS
    ):
        raise ValueError(
            "`image`, `window` and `output` are of one channel, and the window at most "
            f"{MOST_NUMBERS} x {MOST_NUMBERS}. Received: shapes {image.shape}, "
            f"{window.shape}, {output.shape}"
        )
    row, column = place
    with new_figure(8.4, 3.7) as figure:
        grid = figure.add_gridspec(1, 3, width_ratios=(1.25, 1, 1.25))
        panels = [figure.add_subplot(grid[i]) for i in range(3)]
        picture(panels[0], np.where(np.isfinite(image), image, np.nan), "input")
        frame(panels[0], box)
        numbers(panels[1], window, "the window")
        if kept is not None:
            frame(panels[1], (*kept, kept[0] + 1, kept[1] + 1))
        value = exact(output[row, column])
        panels[1].set_xlabel(f"{kind}: {value}", fontsize=13, color=WINDOW)
        picture(panels[2], _so_far(output, place), "output so far", like=output)
        frame(panels[2], (row, column, row + 1, column + 1))
        panels[2].set_xlabel(
            f"row {row}, column {column}:\n{value}", fontsize=13, color=WINDOW
        )
    return figure


def activation_step(before, after, curve, *, place, name):
    """Draws a map before and after an activation, and one value on the curve.

    Args:
        before: float array of shape (rows, columns).
        after: float array of the same shape.
        curve: (inputs, outputs), two float arrays of shape (points,).
        place: (row, column) of the value that is marked.
        name: str, the name of the function.

    Returns:
        A matplotlib `Figure` with three panels: before, the curve, after. Both maps
        have one scale of colours: blue below 0, white, red above.

    Raises:
        ValueError: the shapes differ.
    """
    before, after = np.asarray(before, float), np.asarray(after, float)
    if before.ndim != 2 or before.shape != after.shape:
        raise ValueError(
            "`before` and `after` are maps of one shape (rows, columns). Received: "
            f"shapes {before.shape} and {after.shape}"
        )
    row, column = place
    old, new = before[place], after[place]
    most = max(abs(before).max(), abs(after).max()) or 1
    with new_figure(9.6, 3.9) as figure:
        panels = figure.subplots(1, 3, width_ratios=(1.1, 1, 1.1))
        for panel, values, title, value in (
            (panels[0], before, "before", old), (panels[2], after, "after", new)
        ):  # fmt: skip
            signed(
                panel, values, f"{title}, {len(values)} × {len(values.T)}", most=most
            )
            frame(panel, (row, column, row + 1, column + 1))
            said = f"row {row}, column {column}: {exact(value)}"
            panel.set_xlabel(said, fontsize=12, color=WINDOW)
        axes = panels[1]
        axes.axhline(0, color="0.6", lw=0.8)
        axes.axvline(0, color="0.6", lw=0.8)
        axes.plot(*curve, color="0.2", lw=2)
        axes.plot([old, old, 0], [0, new, new], color=WINDOW, lw=1.5, ls="dashed")
        axes.plot([old], [new], "o", color=WINDOW, ms=10)
        axes.set_title(f"{name}({exact(old)}) = {exact(new)}", fontsize=12)
        axes.set_xlabel("value that comes in", fontsize=12)
        axes.set_ylabel("value that goes out", fontsize=12)
        figure.supxlabel(
            f"colours: blue −{short(most)}, white 0, red {short(most)}", fontsize=11
        )
    return figure


def softmax_terms(logits, terms, probabilities, class_names, *, temperature=1.0):
    """Draws how logits become probabilities: exponentials, then shares of their sum.

    Args:
        logits: float array of shape (classes,).
        terms: float array of the same shape, exp(logits / temperature), the largest
            scaled to 1.
        probabilities: float array of the same shape.
        class_names: one str a class.
        temperature: float.

    Returns:
        A matplotlib `Figure` with three panels of bars, and their numbers; the most
        likely class stands out.

    Raises:
        ValueError: the lengths differ, or there are more than 20 classes.
    """
    columns = [np.asarray(x, float) for x in (logits, terms, probabilities)]
    count = len(class_names)
    if not 1 <= count <= MOST_BARS or any(x.shape != (count,) for x in columns):
        raise ValueError(
            f"There is a number for each class, and 1 to {MOST_BARS} classes. "
            f"Received: {count} names, shapes {[x.shape for x in columns]}"
        )
    names = legible(map(str, class_names), width=24, kind="class")
    first = columns[2].argmax()
    divided = "" if temperature == 1 else f" / {temperature:g}"
    titles = "logits", f"exp(logit{divided}), the largest is 1", "÷ sum = probability"
    with new_figure(11, 1.2 + 0.36 * count) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        for axes, values, title in zip(panels, columns, titles, strict=True):
            texts = [f"{value:.4f}".replace("-", "−") for value in values]
            bars(axes, values, texts, title, stands_out=first, room=0.3)
        panels[1].set_xlabel(f"sum {columns[1].sum():.4f}", fontsize=12)
        panels[2].set_xlabel("sum 1.0000", fontsize=12)
        panels[0].set_yticks(range(count), names, **text_style(names))
        panels[0].invert_yaxis()
    return figure


def _so_far(output, place):
    """The output up to a place, row by row; NaN after it."""
    last = place[0] * output.shape[1] + place[1] + 1
    known = np.full(output.size, np.nan)
    known[:last] = output.ravel()[:last]
    return known.reshape(output.shape)
