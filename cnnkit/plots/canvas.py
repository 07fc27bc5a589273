"""The paper that all figures are drawn on."""

from contextlib import contextmanager

from matplotlib import pyplot

from cnnkit.plots.names import FIRST_FONT

WIDTH = 8  # inches
SPAN = 20  # the highest value over the lowest from which an axis is logarithmic
STYLE = {
    "font.family": [FIRST_FONT],
    "font.size": 11,
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def is_wide(values):
    """Returns whether numbers span so much that their axis should be logarithmic.

    Args:
        values: array of float, at least one.
    """
    return bool(values.min() > 0 and values.max() > SPAN * values.min())


@contextmanager
def new_figure(width, height, *, layout="constrained"):
    """Makes a figure in our style, whatever the user's is, known to the caller alone.

    pyplot makes it, because that readies a notebook to show figures. pyplot then
    forgets it: else a notebook draws it twice, and a long run keeps every figure.

    Args:
        width: float, in inches.
        height: float, in inches.
        layout: "constrained", or "none" where the axes are placed by hand.

    Yields:
        A matplotlib `Figure`; the style holds inside the `with` block.
    """
    with pyplot.style.context(["default", STYLE]):
        figure = pyplot.figure(figsize=(width, height), layout=layout, dpi=100)
        pyplot.close(figure)
        yield figure
