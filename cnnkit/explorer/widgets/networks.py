"""A model of the learner's own: its layers, its filters, how steady its answers are."""

import math
from functools import cache

import ipywidgets

from cnnkit import explorer
from cnnkit.explain.tapping import check_images
from cnnkit.explorer.learnt import convolutions
from cnnkit.explorer.widgets.pictures import choice
from cnnkit.explorer.widgets.views import WIDE, close, drawing, menu, place, row_of

COLOURS = [("each layer", "layer"), ("each block", "block"), ("all", "network")]


def overview(model, images, class_names=None, *, reader=None):
    """Shows a picture on its way through a model, and any unit of it, by menus.

    Args:
        model: as for `explorer.overview` and `explorer.unit_step`.
        images: array of pixels in [0, 255], shape (n, height, width, channels).
        class_names: None, or one str a class.
        reader: None, or the `reader` of the `ImageData` that the model learnt from, so
            that files of one's own are read as it knows them.

    Returns:
        An `ipywidgets.VBox`: a menu of pictures, a button for files of one's own, a
        menu of colour scales, all layers; then a menu of layers, sliders for the unit,
        play, and the unit opened.

    Raises:
        ValueError: the pictures do not fit the model.
    """
    images = check_images(model, images)
    which, taken, button, answer = choice(images, reader=reader)
    colours = menu("one scale of colours for", COLOURS)

    def draw(which, colours):
        return explorer.overview(
            model, taken[which], colours=colours, class_names=class_names
        )

    whole = drawing(draw, [which, colours], slow=True)
    shapes = explorer.layer_table(model, images[0]).set_index("layer")["shape"]
    layers, unit = menu("layer", list(shapes.index)), ipywidgets.VBox()

    def open_layer(_=None):
        layer, old = layers.value, unit.children
        unit.children = _unit(model, which, taken, layer, shapes[layer], class_names)
        close(old)

    layers.observe(open_layer, "value")
    open_layer()
    return ipywidgets.VBox(
        [row_of([which, button, colours]), answer, whole, row_of([layers]), unit]
    )


def _unit(model, which, taken, layer, shape, class_names):
    """The controls of a unit, one for each axis of the layer's output; its figure."""
    *sides, channels = shape
    rows, columns = sides if len(sides) == 2 else (math.prod(sides), 1)  # tokens
    play, shown = place(rows, columns, row=rows // 2, column=columns // 2)
    channel = ipywidgets.IntSlider(0, 0, channels - 1, description="channel")
    shown = [channel, *shown] if channels > 1 else shown

    def draw(which, position, channel):
        row, column = divmod(position, columns)
        return explorer.unit_step(
            model, taken[which], layer, row=row, column=column, channel=channel,
            class_names=class_names,
        )  # fmt: skip

    return [row_of(shown), drawing(draw, [which, play, channel])]


def filters(model, images):
    """Shows what the filters of each convolution respond to, by a menu of layers.

    A layer takes seconds, on a large model a minute; seen once, it comes at once.

    Args:
        model: as for `explorer.filters`.
        images: array of pixels in [0, 255], shape (n, height, width, channels), such as
            the training set.

    Returns:
        An `ipywidgets.VBox`: a menu of the convolutions, the figure.

    Raises:
        ValueError: the pictures do not fit the model.
    """
    images = check_images(model, images)
    layers = menu("layer", [path for path, _ in convolutions(model)])

    @cache
    def draw(layer):
        return explorer.filters(model, layer, images=images)

    return ipywidgets.VBox([row_of([layers]), drawing(draw, [layers], slow=True)])


def invariance(model, images, class_names=None, *, curve=None, reader=None):
    """Moves, turns, scales and brightens a picture: `explorer.invariance` with sliders.

    Args:
        model: as for the figure, and so are all others.
        images: array of pixels in [0, 255], shape (n, height, width, channels).
        class_names: None, or one str a class.
        curve: None, or the table of `evaluation.invariance`.
        reader: as for `overview`.

    Returns:
        An `ipywidgets.VBox`: a menu of pictures, a button for files of one's own,
        sliders, a menu of layers, the figure.

    Raises:
        ValueError: the pictures do not fit the model.
    """
    which, taken, button, answer = choice(check_images(model, images), reader=reader)
    sliders = [
        _slider("right", 0, -0.3, 0.3, 0.05),
        _slider("down", 0, -0.3, 0.3, 0.05),
        _slider("turn", 0, -90, 90, 5),
        _slider("scale", 1, 0.5, 2, 0.1),
        _slider("brightness", 0, -80, 80, 10),
    ]
    paths = [(path, path) for path, _ in convolutions(model)]
    layers = menu("layer", [("last with maps", None), *paths])

    def draw(which, right, down, turn, scale, brightness, layer):
        return explorer.invariance(
            model, taken[which], move=(right, down), turn=turn, scale=scale,
            brightness=brightness, layer=layer, class_names=class_names, curve=curve,
        )  # fmt: skip

    controls = [which, *sliders, layers]
    page = drawing(draw, controls)
    return ipywidgets.VBox(
        [row_of([which, button]), answer, row_of([*sliders, layers]), page]
    )


def _slider(description, value, low, high, step):
    """A slider that is followed when it is let go, as each step runs the model."""
    return ipywidgets.FloatSlider(
        value, min=low, max=high, step=step, description=description,
        continuous_update=False, style=WIDE,
    )  # fmt: skip
