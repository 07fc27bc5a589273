"""Units that add up what lies under a window, or all there is: figures with numbers."""

import keras
import numpy as np
from keras import layers

from cnnkit import plots
from cnnkit.explorer.places import around, cell, grid, sums
from cnnkit.explorer.shapes import flatten_map
from cnnkit.explorer.unit_values import then
from cnnkit.explorer.windows import window_of
from cnnkit.plots.tables import MOST_NUMBERS, exact

GLOBAL_POOLS = layers.GlobalMaxPooling2D, layers.GlobalAveragePooling2D
MOST_TERMS = 8


def convolution(x, at):
    """Draws the window of a convolution, its kernel, the products and the sum.

    Args:
        x: `running.Passed`.
        at: (row, column, channel) of the value in `places.grid(x.output)`.

    Returns:
        A matplotlib `Figure` and lines for its heading, or None where the layer
        does more than a convolution.
    """
    image, kernel, (row, column, channel) = x.inputs[0], _kernel(x.layer), at
    if x.layer.data_format != "channels_last":
        return None
    if isinstance(x.layer, layers.DepthwiseConv2D):
        seen, each = divmod(channel, kernel.shape[3])
        image, kernel = image[..., [seen]], kernel[:, :, [seen], each]
    else:
        deep, own = kernel.shape[2], kernel.shape[3] // x.layer.groups
        first = channel // own * deep  # the channels of its group alone
        image, kernel = image[..., first : first + deep], kernel[..., channel]
    bias = float(x.layer.bias[channel]) if x.layer.use_bias else 0.0
    padded, window, box = window_of(
        image, row, column, kernel.shape[:2], stride=x.layer.strides,
        padding=x.layer.padding, dilation=x.layer.dilation_rate,
    )  # fmt: skip
    products, output = window * kernel, sums(x)[..., channel]
    if not _agrees(x, products, bias, output[row, column]):
        return None
    if kernel.shape[:2] == (1, 1) and kernel.shape[2] > 1:
        figure = _sum(window.ravel(), kernel.ravel(), bias, "channel")
    elif max(kernel.shape[:2]) <= MOST_NUMBERS:
        figure = plots.convolution_step(
            padded.mean(axis=2), window.mean(axis=2), kernel.sum(axis=2),
            products.sum(axis=2), output, box=box, place=(row, column), bias=bias,
            channels=kernel.shape[2],
        )  # fmt: skip
    else:
        several = kernel.shape[2] > 1
        total = products.sum()
        added = f"sum {exact(total)}"
        if bias:
            added += f" + bias {exact(bias)}\n= {exact(total + bias)}"
        figure = plots.unit_maps(
            [
                (padded.mean(axis=2), "input", "", box, True),
                (window.mean(axis=2), "mean window" if several else "window", "", None,
                 True),
                (kernel.sum(axis=2), "× sum of kernel" if several else "× kernel", "",
                 None, False),
                (products.sum(axis=2), "= products", added, None, False),
                (output, "output", exact(output[row, column]), cell(row, column),
                 True),
            ]
        )  # fmt: skip
    return figure, then(x, at)


def dense(x, earlier, at, names):
    """Draws the sum of a dense unit, after `Flatten` over the maps.

    Args:
        x: `running.Passed`.
        at: (row, column, channel) of the value in `places.grid(x.output)`.
        earlier: list of `Passed`, the layers before.
        names: one str a unit.

    Returns:
        A matplotlib `Figure` and lines for its heading, or None where the layer
        does more than a dense layer.
    """
    row, column, channel = at
    values, weights = grid(x.inputs[0])[row, column], _kernel(x.layer)[:, channel]
    bias = float(x.layer.bias[channel]) if x.layer.use_bias else 0.0
    if not _agrees(x, values * weights, bias, grid(sums(x))[at]):
        return None
    kind = "input"
    for y in reversed(earlier):
        if not np.array_equal(y.output.ravel(), values):
            continue
        if isinstance(y.layer, GLOBAL_POOLS):
            kind = "channel"
        if isinstance(y.layer, layers.Flatten) and y.inputs[0].ndim == 3:
            figure = flatten_map(
                y.inputs[0], weights, bias=bias, class_name=names[channel]
            )
            return figure, then(x, at)
    return _sum(values, weights, bias, kind), then(x, at)


def pooling(x, at):
    """Draws the window of a pooling layer and what is left of it.

    Args:
        x: `running.Passed`.
        at: (row, column, channel) of the value in `places.grid(x.output)`.

    Returns:
        A matplotlib `Figure` and lines for its heading.
    """
    row, column, channel = at
    largest = isinstance(x.layer, layers.MaxPooling2D)
    padded, window, box = window_of(
        x.inputs[0][..., [channel]], row, column, x.layer.pool_size,
        stride=x.layer.strides, padding=x.layer.padding, value=-np.inf,
    )  # fmt: skip
    padded, window, output = padded[..., 0], window[..., 0], x.output[..., channel]
    kind = "the largest" if largest else "the mean"
    kept = np.unravel_index(window.argmax(), window.shape) if largest else None
    if max(window.shape) <= MOST_NUMBERS:
        figure = plots.pooling_step(
            padded, window, output, box=box, place=(row, column), kept=kept, kind=kind
        )
        return figure, []
    value = f"{kind} of {np.isfinite(window).sum()}: {exact(output[row, column])}"
    shown = [np.where(np.isfinite(y), y, np.nan) for y in (padded, window)]
    return plots.unit_maps(
        [
            (shown[0], "input", "", box, True),
            (shown[1], "window", value, kept and cell(*kept), True),
            (output, "output", exact(output[row, column]), cell(row, column), True),
        ]
    ), []


def global_pooling(x, at):
    """Draws a map and the one value that is left of it.

    Args:
        x: `running.Passed`.
        at: (row, column, channel) of the value in `places.grid(x.output)`.

    Returns:
        A matplotlib `Figure` and lines for its heading.
    """
    values, value = x.inputs[0][..., at[2]], exact(grid(x.output)[at])
    largest = isinstance(x.layer, layers.GlobalMaxPooling2D)
    place = np.unravel_index(values.argmax(), values.shape)
    said = f"{'largest' if largest else 'mean'} of {values.size} values:\n{value}"
    panels = [
        (values, f"channel {at[2]}", said, cell(*place) if largest else None, False),
        around(x.output, at, "output", value),
    ]
    return plots.unit_maps(panels), []


def _sum(values, weights, bias, kind):
    """The largest terms of a sum as bars."""
    products = values.astype(float) * weights
    order = np.argsort(-abs(products), kind="stable")
    shown = np.sort(order[:MOST_TERMS])
    others = products[order[MOST_TERMS:]].sum() if len(order) > MOST_TERMS else None
    names = [f"{kind} {i}" for i in shown]
    return plots.weighted_sum(names, values[shown], weights[shown], others, bias)


def _kernel(layer):
    return keras.ops.convert_to_numpy(layer.kernel).astype("float64")


def _agrees(x, products, bias, value):
    """Whether a sum of products is what the model has: a layer may do more."""
    exactness = 1e-4 if x.layer.compute_dtype == "float32" else 0.02
    size = 1 + abs(products).sum()
    return abs(products.sum() + bias - value) <= exactness * size
