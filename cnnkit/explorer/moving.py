"""A picture moved, turned, scaled, brightened, and what the model makes of it."""

import math

import numpy as np
import tensorflow as tf

from cnnkit import plots
from cnnkit.evaluation.invariance import changed
from cnnkit.explain.tapping import feature_layer, layers_of, tap
from cnnkit.explorer.running import as_batch, names_of

MOST_MAPS = 4


def invariance(
    model, image, *, move=(0, 0), turn=0.0, scale=1.0, brightness=0.0, layer=None,
    class_names=None, curve=None,
):  # fmt: skip
    """Draws a picture before and after a change, its maps, and the probabilities.

    The change is that of `evaluation.changed`, so what comes in from outside is the
    picture's mirror image. Maps of a convolution move along with the picture. Whether
    the answer stays is another question, and one picture does not settle it: give the
    curve of many as `curve`. Azulay and Weiss, JMLR 2019,
    https://arxiv.org/abs/1805.12177.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape (n, k).
        image: array of pixels in [0, 255], shape (height, width, channels), or (height,
            width) where the model takes grey pictures.
        move: (right, down), shares of the width and of the height; negative is to the
            left and up.
        turn: float, degrees; positive is to the left, against the clock.
        scale: float above 0; over 1 all things are larger.
        brightness: float, grey levels to add; what leaves [0, 255] is cut off.
        layer: a layer with maps, or its name ("model/name" in a model inside); None
            takes "features", else the last one with maps.
        class_names: None, or one str a class.
        curve: None, or the table of `evaluation.invariance`; the place of this change
            is marked in it.

    Returns:
        A matplotlib `Figure`. Of the layer it shows those channels that are liveliest
        before the change, and both times the same ones in one scale of colours.

    Raises:
        ValueError: the picture does not fit the model, a number or name is not as
            above, or the layer has no maps.

    Example:
        >>> invariance(model, picture, move=(0.1, 0), class_names=signs.class_names)
    """
    [before] = as_batch(model, image)
    after = changed(before, move=move, turn=turn, scale=scale, brightness=brightness)
    pictures = np.stack([before, after])
    layer = feature_layer(model, layer, pictures)
    maps, _, probabilities = tap(model, layer)(tf.constant(pictures))
    if len(maps.shape) != 4:
        raise ValueError(
            "`layer` must put out maps of shape (n, rows, columns, channels). "
            f"Received: {layer.name!r}, which puts out {tuple(maps.shape)}"
        )
    names = names_of(class_names, probabilities.shape[1])
    maps = tf.cast(maps, "float32").numpy()
    liveliest = np.argsort(-abs(maps[0]).mean(axis=(0, 1)), kind="stable")[:MOST_MAPS]
    return plots.change_view(
        pictures, maps[..., liveliest], probabilities.numpy(), names,
        change=_words(*move, turn, scale, brightness), channels=liveliest,
        layer=next(path for path, x in layers_of(model) if x is layer), curve=curve,
        amounts={
            "translation": math.hypot(*move),
            "rotation": abs(turn),
            "scale": max(scale, 1 / scale),
            "brightness": abs(brightness),
        },
    )  # fmt: skip


def _words(right, down, turn, scale, brightness):
    """The change in words."""
    lighter = "brighter" if brightness > 0 else "darker"
    parts = [
        (right, f"{abs(right):.0%} to the {'right' if right > 0 else 'left'}"),
        (down, f"{abs(down):.0%} {'down' if down > 0 else 'up'}"),
        (turn, f"turned {abs(turn):g}° to the {'left' if turn > 0 else 'right'}"),
        (scale - 1, f"scaled by {scale:g}"),
        (brightness, f"{abs(brightness):g} {lighter}"),
    ]
    return ", ".join(word for amount, word in parts if amount) or "unchanged"
