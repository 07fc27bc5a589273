"""All layers of a model of your own, and what they make of one picture."""

import numpy as np
import pandas

from cnnkit import plots
from cnnkit.explorer.running import names_of, run, strongest
from cnnkit.plots.tables import number

MOST_LAYERS = 20  # in a figure that can be read from the back
COLOURS = ("layer", "block", "network")
EDGES = {"Cropping2D", "ZeroPadding2D"}  # they prepare what follows


def layer_table(model, image):
    """Lists the layers of a model in the order in which a picture passes them.

    `models.anatomy.table` counts more, needs no picture, and a model with a graph; this
    takes any model that runs.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape (n, k);
            models inside it are opened.
        image: array of pixels in [0, 255], shape (height, width, channels), or (height,
            width) where the model takes grey pictures.

    Returns:
        A `pandas.DataFrame`, one row a layer: layer (str, the name that `unit_step`
        takes: "name", "model/name" in a model inside, "name (2)" where a layer is
        passed for the second time), kind (str), shape (tuple, of its output),
        parameters (int; of a layer passed twice in its first row), lowest and highest
        (float, of what it puts out for this picture).

    Raises:
        ValueError: the picture does not fit the model, or the model is another.
    """
    _, passed, _ = run(model, image)
    return pandas.DataFrame(
        {
            "layer": [x.path for x in passed],
            "kind": [type(x.layer).__name__ for x in passed],
            "shape": [x.output.shape for x in passed],
            "parameters": _parameters(passed),
            "lowest": [float(x.output.min()) for x in passed],
            "highest": [float(x.output.max()) for x in passed],
        }
    )


def overview(model, image, *, colours="layer", class_names=None, channels=8):
    """Draws a picture on its way through your own model, layer by layer.

    Of a model with more than 20 layers those are drawn after which the size of the
    maps changes, all that comes after the last maps, and in between as many as fit:
    first those where paths join, then convolutions. The numbers in front of the names
    tell what is left out, and `layer_table` lists all. After Wang et al., "CNN
    Explainer", IEEE VIS 2020, https://arxiv.org/abs/2004.15004.

    Args:
        model: as for `layer_table`.
        image: as for `layer_table`.
        colours: "layer", "block" (layers one after the other with maps of one size) or
            "network": over what a scale of colours is shared. With "layer" the faintest
            map is seen, with "network" strong and weak can be compared.
        class_names: None, or one str a class.
        channels: int, 1 to 8, how many maps of a layer are shown: those with the
            largest mean size.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: a number or word is not as above, or as for `layer_table`.

    Example:
        >>> overview(model, picture, class_names=signs.class_names)
    """
    if colours not in COLOURS or channels not in range(1, 9):
        raise ValueError(
            f"`colours` is one of {COLOURS}, and `channels` a whole number from 1 to "
            f"8. Received: colours={colours!r}, channels={channels!r}"
        )
    picture, passed, probabilities = run(model, image)
    names = names_of(class_names, len(probabilities))
    blocks, parameters = _blocks(passed), _parameters(passed)
    keys, most = list(range(len(passed))), {}
    if colours != "layer":
        keys = blocks if colours == "block" else [0] * len(passed)
    for x, key in zip(passed, keys, strict=True):
        most[key] = max(most.get(key, 0), float(abs(x.output).max()))
    layers = []
    for i in _chosen(passed, blocks):
        values, shown = passed[i].output, []
        if values.ndim == 3:
            shown = strongest(values, channels)
            values = values[..., shown]
        elif values.ndim > 3:
            values = values.reshape(-1, values.shape[-1])
        words = _words(passed[i], parameters[i])
        name = passed[i].path.rpartition("/")[2]  # of a model inside: there is no room
        layers.append((i + 1, name, words, values, shown, most[keys[i]] or 1))
    return plots.network_view(
        picture, layers, probabilities, names, count=len(passed), colours=colours
    )


def _words(x, parameters):
    """The kind, the shape, the parameters and the range of a layer, in three lines."""
    shape = " × ".join(f"{side:,}" for side in x.output.shape)
    counted = f"{parameters:,}" if parameters < 1e5 else f"{parameters / 1e6:.3g} M"
    low, high = number(x.output.min()), number(x.output.max())
    lines = [type(x.layer).__name__, shape, f"{low} to {high}"]
    lines[1] += f", {counted} par." if parameters else ""
    return "\n".join(lines)


def _parameters(passed):
    """The number of parameters of each layer, 0 where it is passed again."""
    first = {id(x.layer): i for i, x in reversed(list(enumerate(passed)))}
    return [
        x.layer.count_params() if first[id(x.layer)] == i else 0
        for i, x in enumerate(passed)
    ]


def _blocks(passed):
    """For each layer the number of its block; -1 for all after the last maps."""
    sizes = [_size(x) for x in passed]
    last = max((i for i, size in enumerate(sizes) if size), default=-1)
    blocks, block, current = [], 0, None
    for i, size in enumerate(sizes):
        if size and size != current:
            block, current = block + 1, size
        blocks.append(block if i <= last else -1)
    return blocks


def _size(x):
    """The size of maps, or the number of tokens; None of what has no places."""
    sides = x.output.shape[:-1]
    places = int(np.prod(sides))
    return sides if places > 1 and type(x.layer).__name__ not in EDGES else None


def _chosen(passed, blocks):
    """The layers to draw, in order: all, or those that tell most."""
    every = range(len(passed))
    if len(passed) <= MOST_LAYERS:
        return every
    kernels = [
        i for i in every if any(len(w.shape) > 2 for w in passed[i].layer.weights)
    ]
    real = [i for i in every if type(passed[i].layer).__name__ not in EDGES]
    last = {blocks[i]: i for i in real}.values()
    ends = [*kernels[:1], *last, *(i for i in real if blocks[i] == -1)]
    joins = [
        i
        for i in real
        if len(passed[i].inputs) > 1 and _size(passed[i]) and i + 1 not in ends
    ]
    chosen = set()
    for group in (ends, joins, kernels, every):
        new, room = sorted(set(group) - chosen), MOST_LAYERS - len(chosen)
        if len(new) > room:
            places = np.linspace(0, len(new) - 1, room).round().astype(int)
            new = [new[i] for i in places]
        chosen |= set(new)
    return sorted(chosen)
