"""Figures of one unit of a model: a heading, its maps, or the sum that it is."""

import numpy as np

from cnnkit.plots.canvas import new_figure
from cnnkit.plots.names import CHARACTER, legible, text_style
from cnnkit.plots.tables import bars, exact, frame, picture, short, signed

SIZE = 13  # of a heading, in points


def headed(figure, lines, name=""):
    """Makes room above a figure and writes what it is about.

    Args:
        figure: matplotlib `Figure`; it is changed.
        lines: str, one or more; in the first, "{}" stands for the name.
        name: str that a person wrote, such as the name of a layer.

    Returns:
        The same `Figure`, higher by the heading.
    """
    width, old = figure.get_size_inches()
    letters = int(width * 72 / SIZE / CHARACTER) - len(lines[0])  # left for the name
    [name] = legible([name], width=max(letters, 12), kind="layer")
    new = old + 0.2 + 0.24 * len(lines)
    figure.set_size_inches(width, new)
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.set(rect=(0, 0, 1, old / new))
    else:  # what was placed by hand stays below
        for axes in figure.axes:
            left, bottom, wide, high = axes.get_position().bounds
            axes.set_position((left, bottom * old / new, wide, high * old / new))
        for text in figure.texts:
            text.set_y(text.get_position()[1] * old / new)
    text = "\n".join(lines).replace("{}", name, 1)
    figure.suptitle(
        text, x=0.02, y=1 - 0.1 / new, ha="left", va="top", fontsize=SIZE,
        **text_style([text]),
    )  # fmt: skip
    return figure


def unit_maps(panels):
    """Draws maps side by side, with a frame around one value or window of each.

    Args:
        panels: for each map a tuple (values, title, said, box, grey): float array of
            shape (rows, columns), NaN where there is nothing; str above it; str below
            it; (top, left, bottom, right) of the frame in pixels, or None; bool,
            whether to draw it in grey from its lowest to its highest value, else blue
            is below 0, white 0, red above.

    Returns:
        A matplotlib `Figure`. Up to 7 rows and columns have their numbers written in.
    """
    with new_figure(8.5 if len(panels) < 4 else 11, 3.7) as figure:
        for axes, (values, title, said, box, grey) in zip(
            np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
        ):
            values = np.asarray(values, float)
            most = float(np.nanmax(abs(values))) or 1.0
            if grey:
                picture(axes, values, title)
            else:
                size = f"{title}, {values.shape[0]} × {values.shape[1]}"
                signed(axes, values, size, most=most)
                said = f"{said}\nblue −{short(most)}, red {short(most)}"
            if box is not None:
                frame(axes, box)
            axes.set_xlabel(said.strip(), fontsize=12)
    return figure


def weighted_sum(names, values, weights, others, bias):
    """Draws a sum of products as bars: value, weight, product, and what they add up to.

    Args:
        names: one str an input.
        values: float array of shape (inputs,), those to show.
        weights: float array of the same shape.
        others: float, the sum of the products that are not shown, or None if all are.
        bias: float.

    Returns:
        A matplotlib `Figure` with three panels of bars and their numbers.

    Raises:
        ValueError: there is not a name and a weight for each value.
    """
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    if values.shape != weights.shape or values.shape != (len(names),):
        raise ValueError(
            "There is a name, a value and a weight for each input. Received: "
            f"{len(names)} names, shapes {values.shape} and {weights.shape}"
        )
    products = list(values * weights)
    total = sum(products) + (others or 0) + bias
    rest = [] if others is None else [("all others", others)]
    rest += [("bias", bias), ("the sum", total)]
    rows = [*names, *(name for name, _ in rest)]
    columns = (
        ("value", list(values)),
        ("× weight", list(weights)),
        ("= product", products + [number for _, number in rest]),
    )
    with new_figure(11, 1.0 + 0.33 * len(rows)) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        for axes, (title, numbers) in zip(panels, columns, strict=True):
            last = len(rows) - 1 if title == "= product" else None
            texts = [exact(number) for number in numbers]
            bars(axes, numbers, texts, title, stands_out=last, room=0.4)
        panels[0].set_yticks(range(len(rows)), rows)
        panels[0].invert_yaxis()
    return figure
