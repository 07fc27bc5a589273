"""One unit of a model of your own, opened: its window, its weights, its value."""

from keras import layers

from cnnkit import plots
from cnnkit.explain.tapping import some
from cnnkit.explorer.learnt import CONVOLUTIONS
from cnnkit.explorer.places import grid
from cnnkit.explorer.running import names_of, run
from cnnkit.explorer.unit_sums import (
    GLOBAL_POOLS,
    convolution,
    dense,
    global_pooling,
    pooling,
)
from cnnkit.explorer.unit_values import activation, any_layer, is_softmax, softmax
from cnnkit.plots.tables import exact

POOLS = layers.MaxPooling2D, layers.AveragePooling2D
ACTIVATIONS = layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Activation


def unit_step(model, image, layer, *, row=0, column=0, channel=0, class_names=None):
    """Opens one unit of one layer: how its value comes about, number by number.

    A convolution is drawn as its window, kernel and products, a 1 x 1 convolution and a
    dense unit as the largest terms of a sum, after `Flatten` as in `flatten_map`;
    pooling as its window; an activation on its curve; softmax as in `softmax_terms`;
    BatchNormalization with its formula; any other layer as what goes in and what comes
    out. Where a layer has an `activation=`, what goes into it is drawn, and the
    heading says what comes out.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape (n, k).
        image: array of pixels in [0, 255], shape (height, width, channels), or (height,
            width) where the model takes grey pictures.
        layer: a name as in `layer_table`, or a layer of the model.
        row: int, of the layer's output, or which token; 0 where it has no rows.
        column: int, likewise.
        channel: int, the channel, or which unit of a dense layer, or which class.
        class_names: None, or one str a class, for the last layers.

    Returns:
        A matplotlib `Figure`. Its numbers are those of the model, on this picture.

    Raises:
        ValueError: there is no such layer or unit, or as for `layer_table`.

    Example:
        >>> unit_step(model, picture, "stage1_conv", row=8, column=5, channel=3)
    """
    _, passed, probabilities = run(model, image)
    found = _find(passed, layer)
    x = passed[found]
    rows, columns, channels = shape = grid(x.output).shape
    inside = 0 <= row < rows and 0 <= column < columns and 0 <= channel < channels
    if not inside:
        raise ValueError(
            f"The output of {x.path!r} has {rows} rows, {columns} columns and "
            f"{channels} channels, counted from 0. Received: row={row!r}, "
            f"column={column!r}, channel={channel!r}"
        )
    names = names_of(class_names, len(probabilities))
    if x.output.shape != probabilities.shape:
        names = [f"unit {i}" for i in range(channels)]
    at = row, column, channel
    figure, said = _draw(x, passed[:found], at, names)
    where = f"channel {channel}, row {row}, column {column}"
    if shape[:2] == (1, 1):
        where = f"unit {channel} of {channels}"
    if x.output.shape == probabilities.shape and class_names is not None:
        where += f" ({plots.legible(names, width=20)[channel]})"
    value = exact(grid(x.output)[at])
    lines = [f"{{}} ({type(x.layer).__name__}), {where}: {value}", *said]
    return plots.headed(figure, lines, x.path)


def _find(passed, layer):
    """The place of a layer in the order of running."""
    found = [i for i, x in enumerate(passed) if layer in (x.path, x.layer)]
    found = found[:1] or [i for i, x in enumerate(passed) if x.layer.name == layer]
    if len(found) != 1:
        raise ValueError(
            "`layer` must name one layer that the picture passes, as in "
            f"explorer.layer_table: one of {some([x.path for x in passed])}. "
            f"Received: layer={layer!r}, the name of {len(found)} layers"
        )
    return found[0]


def _draw(x, earlier, at, names):
    """The figure of a unit, and what else its heading says, in lines."""
    layer = x.layer
    if isinstance(layer, CONVOLUTIONS):
        drawn = convolution(x, at)
    elif isinstance(layer, layers.Dense):
        drawn = dense(x, earlier, at, names)
    elif isinstance(layer, POOLS):
        drawn = pooling(x, at)
    elif isinstance(layer, GLOBAL_POOLS):
        drawn = global_pooling(x, at)
    elif isinstance(layer, layers.Softmax) or is_softmax(layer):
        drawn = softmax(x, at, names)
    elif isinstance(layer, ACTIVATIONS):
        drawn = activation(x, at)
    else:
        drawn = None
    return drawn or any_layer(x, at)
