"""Units that change one value, or share out a whole: figures with numbers."""

import keras
import numpy as np
from keras import layers
from scipy import special

from cnnkit import plots
from cnnkit.explorer.places import around, grid
from cnnkit.explorer.steps import softmax_terms
from cnnkit.plots.tables import exact

MOST_CLASSES = 20


def softmax(x, at, names):
    """Draws the terms of a softmax; of more than 20 classes many together.

    Args:
        x: `running.Passed`.
        at: (row, column, channel) of the value in `places.grid(x.output)`.
        names: one str a unit.

    Returns:
        A matplotlib `Figure` and lines for its heading, or None where the shares
        are not those of channels.
    """
    if getattr(x.layer, "axis", -1) not in (-1, x.output.ndim):
        return None
    logits = grid(x.inputs[0])[at[:2]].astype(float)
    said = [_share(logits, at[2])]
    if len(logits) > MOST_CLASSES:
        order = np.argsort(-logits, kind="stable")[: MOST_CLASSES - 1]
        order[-1] = order[-1] if at[2] in order else at[2]
        rest = np.delete(logits, order)
        names = [*(names[i] for i in order), f"{len(rest)} others together"]
        # The exponential of this is the sum of theirs.
        logits = np.append(logits[order], special.logsumexp(rest))
    return softmax_terms(logits, names), said


def activation(x, at):
    """Draws a value on the curve of an activation, and the map around it.

    Args:
        x: `running.Passed`.
        at: (row, column, channel) of the value in `places.grid(x.output)`.

    Returns:
        A matplotlib `Figure` and lines for its heading.
    """
    before, _, _, place, _ = around(x.inputs[0], at, "", "")
    after = around(x.output, at, "", "")[0]
    low, high = min(before.min(), 0), max(before.max(), 0)
    margin = 0.1 * (high - low) or 1.0
    points = np.linspace(low - margin, high + margin, 201, dtype="float32")
    figure = plots.activation_step(
        before, after, (points, np.asarray(x.layer(points), float)), place=place[:2],
        name=_name(x.layer),
    )  # fmt: skip
    return figure, []


def any_layer(x, at):
    """Draws what goes into a layer and what comes out, with a formula if it is short.

    Args:
        x: `running.Passed`.
        at: (row, column, channel) of the value in `places.grid(x.output)`.

    Returns:
        A matplotlib `Figure` and lines for its heading.
    """
    formula, places = _formula(x, at)
    value = exact(grid(x.output)[at])
    panels = []
    for i, (inputs, place) in enumerate(zip(x.inputs[:3], places, strict=False)):
        title = "input" if len(x.inputs) == 1 else f"input {i + 1}"
        if place is None:
            middle = grid(inputs)[..., min(at[2], inputs.shape[-1] - 1)]
            panels.append((middle, title, "", None, False))
        else:
            said = exact(grid(inputs)[place])
            panels.append(around(inputs, place, title, said))
    panels.append(around(x.output, at, "output", value))
    return plots.unit_maps(panels), formula


def then(x, at):
    """Says what the activation of a layer makes of a sum.

    Args:
        x: `running.Passed`.
        at: as for `activation`.

    Returns:
        A list of one line, or of none.
    """
    if x.before is None:
        return []
    if is_softmax(x.layer):
        return [_share(grid(x.before)[at[:2]].astype(float), at[2])]
    name = _name(x.layer)
    return [f"{name}({exact(grid(x.before)[at])}) = {exact(grid(x.output)[at])}"]


def is_softmax(layer):
    """Returns whether a layer has softmax as its activation.

    Args:
        layer: `keras.layers.Layer`.
    """
    return getattr(layer, "activation", None) is keras.activations.softmax


def _formula(x, at):
    """Lines that say how a value comes about, and its place in each input or None."""
    layer, kind, value = x.layer, type(x.layer).__name__, exact(grid(x.output)[at])
    same = [at if grid(y).shape == grid(x.output).shape else None for y in x.inputs]
    values = [grid(y)[p] for y, p in zip(x.inputs, same, strict=True) if p is not None]
    if kind == "BatchNormalization" and layer.axis in (-1, x.output.ndim):
        mean, variance, gamma, beta = (
            default if weight is None else float(weight[at[2]])
            for weight, default in (
                (layer.moving_mean, 0), (layer.moving_variance, 1), (layer.gamma, 1),
                (layer.beta, 0),
            )
        )  # fmt: skip
        lines = [
            "γ · (x − mean) / √(variance + ε) + β",
            f"= {exact(gamma)} · ({exact(values[0])}{_plus(-mean)}) / "
            f"√({exact(variance)} + {layer.epsilon:g}){_plus(beta)} = {value}",
        ]
    elif kind == "Rescaling" and np.ndim(layer.scale) == np.ndim(layer.offset) == 0:
        scaled = f"{exact(values[0])} · {layer.scale:.6g}".replace("-", "−")
        lines = [f"{scaled}{_plus(layer.offset)} = {value}"]
    elif kind == "Add" and len(values) == len(x.inputs):
        lines = [f"{exact(values[0])}{''.join(map(_plus, values[1:]))} = {value}"]
    elif kind == "Multiply" and len(values) == len(x.inputs):
        lines = [f"{' · '.join(map(exact, values))} = {value}"]
    elif kind in ("Flatten", "Reshape") and x.inputs[0].size == x.output.size:
        number = np.ravel_multi_index(at, grid(x.output).shape)
        before = grid(x.inputs[0]).shape
        row, column, channel = map(int, np.unravel_index(number, before))
        same = [(row, column, channel)]
        lines = [
            f"row {row}, column {column} of channel {channel} comes to place "
            f"({row} · {before[1]} + {column}) · {before[2]} + {channel} = {number}"
        ]
    elif kind == "Concatenate" and layer.axis in (-1, x.output.ndim):
        ends = np.cumsum([y.shape[-1] for y in x.inputs])
        which = int(np.searchsorted(ends, at[2], side="right"))
        own = at[2] - int(ends[which]) + x.inputs[which].shape[-1]
        lines = [f"channel {own} of input {which + 1}"]
        return lines, [None] * which + [(*at[:2], own)]
    else:
        lines = []
    return lines, same


def _plus(value):
    """A term of a sum behind another one, with its sign."""
    return f" {'−' if value < 0 else '+'} {exact(abs(value))}"


def _share(logits, k):
    """One term of a softmax in numbers."""
    top = logits.max()
    total, share = np.exp(logits - top).sum(), special.softmax(logits)[k]
    return (
        f"softmax: exp({exact(logits[k])} − largest {exact(top)}) / sum {exact(total)} "
        f"= {exact(share)}"
    )


def _name(layer):
    """The name of what a layer does with each value."""
    if isinstance(layer, layers.ReLU | layers.LeakyReLU | layers.ELU):
        return type(layer).__name__.replace("Leaky", "leaky_").lower()
    return getattr(layer.activation, "__name__", type(layer.activation).__name__)
