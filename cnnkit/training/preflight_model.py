"""What `preflight` checks of a model: against pictures, and against itself.

Each check yields rows (code, detail, remedy), where the remedy is None for that of the
code. What can be seen in what a model does is not looked for in how it is written: the
pixels that arrive at the first kernel, statistics that move.
"""

import keras
import numpy as np

LARGE, FAINT = 10.0, 0.05  # at a kernel; usual are 1 to 3, and a spread of 1 to 5
AUGMENTING = {"AugMix", "CutMix", "MixUp", "RandAugment"}  # and all named Random...


def shape(model, images):
    """Checks the pictures' shape.

    Args:
        model: `keras.Model`.
        images: float array of shape (b, height, width, channels).
    """
    wanted, got = model.input_shape[1:], images.shape[1:]
    fits = len(wanted) == len(got)
    if fits and all(w in (None, g) for w, g in zip(wanted, got, strict=True)):
        return
    remedies = []
    if len(got) == 3 and got[0] in (1, 3) and got[2] not in (1, 3):
        remedies.append("images = np.moveaxis(images, 1, -1): channels come last")
    elif len(got) == len(wanted) == 3:
        if wanted[2] != got[2]:
            grey = wanted[2] == 1
            remedies.append(f"data.from_folder(..., grey={grey})")
            if got[2] == 1:
                remedies[-1] += " or np.repeat(images, 3, axis=-1)"
        if any(w not in (None, g) for w, g in zip(wanted[:2], got[:2], strict=True)):
            size = wanted[0] if wanted[0] == wanted[1] else wanted[:2]
            remedies.append(f"photos.resized({size})")
    remedies = " and ".join(remedies) or "np.expand_dims(images, -1) for grey pictures"
    remedies += f", or build the model with input_shape={tuple(map(int, got))}"
    detail = f"model wants {_times(wanted)}, got {_times(got)}"
    yield "wrong_shape", detail, f"use {remedies}"


def pixels(model, images):
    """Checks what of the pixels arrives at the first layer with a kernel.

    Args:
        model: `keras.Model`.
        images: float array of shape (b, height, width, channels), finite.
    """
    seen = _arriving(_graph(model), images)
    if seen is None or not np.isfinite(seen).all():
        return
    low, high = float(seen.min()), float(seen.max())
    given = f"pixels are {images.min():.4g} to {images.max():.4g}, and"
    arrives = f"{given} {low:.4g} to {high:.4g} arrive at the first kernel"
    # Pixels with the mean colour taken off are as large, and meant so (VGG, ResNet).
    if high > LARGE and low > -0.1 * high:
        yield "unscaled_pixels", arrives, None
    elif high - low < FAINT * max(1.0, abs(high)) and np.ptp(images) > 0:
        twice = images.max() > 2
        yield "scaled_twice" if twice else "faint_pixels", arrives, None


def layers(model):
    """Checks which layers would learn, and which do not belong into a model.

    Args:
        model: `keras.Model`.
    """
    if not model.trainable_variables:
        yield "nothing_trains", f"all layers of {model.name} are frozen", None
    optimizer = getattr(model, "optimizer", None)
    if getattr(model, "compiled", False) and optimizer and optimizer.built:
        known = {id(v) for v in optimizer._trainable_variables}
        now = {id(v): v for v in model.trainable_variables}
        new = len(now.keys() - known)
        gone = len(known - now.keys())
        if new or gone:
            detail = f"{new} arrays of weights were unfrozen, {gone} frozen"
            yield "stale_compile", f"{detail}, since the model was compiled", None
    inside = [x for x in leaves(model) if _augments(x)]
    if inside:
        yield "augmentation_inside", _few(inside), None
    broken = [v.path for v in model.variables if not _finite(v)]
    if broken:
        yield "nonfinite_weights", f"{broken[0]}, {len(broken)} arrays in all", None


def statistics(trial, before):
    """Checks that BatchNorm stands still where a backbone is frozen.

    Args:
        trial: `Trial`, after a step.
        before: list of arrays, `trial.others` before it.
    """
    moved = _moved(trial, before)
    if moved:
        yield "batchnorm_moves", _few(moved), None


def leaves(model):
    """Returns all layers of a model, those of models inside it as well.

    Args:
        model: `keras.Model`.

    Returns:
        A list of Keras layers that hold no layers of their own graph.
    """
    found = []
    for layer in model.layers:
        found += leaves(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def _graph(model):
    # A Sequential has no nodes itself. The name keeps Keras from counting one more.
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name)


def _arriving(graph, images):
    """What the first layer with a kernel gets; None where BatchNorm comes before."""
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            layer, inputs = node.operation, node.input_tensors
            if isinstance(layer, keras.layers.BatchNormalization):
                return None
            if not any(len(w.shape) > 1 for w in getattr(layer, "weights", ())):
                continue
            if inputs[0] is not graph.inputs[0]:
                before = keras.Model(graph.inputs[0], inputs[0], name="before")
                images = before(images, training=False)
            if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
                return _arriving(_graph(layer), images)
            return np.asarray(keras.ops.convert_to_numpy(images), "float32")
    return None


def _moved(trial, before):
    """BatchNorm layers of a partly frozen backbone with statistics that have moved."""
    theirs = {
        id(variable): not np.array_equal(copy.numpy(), old)
        for variable, copy, old in zip(
            trial.model.non_trainable_variables, trial.others, before, strict=True
        )
    }
    return [
        layer
        for layer in _backbone(trial.model)
        if isinstance(layer, keras.layers.BatchNormalization)
        and theirs.get(id(layer.moving_mean), False)
    ]


def _backbone(model):
    """The layers that belong together with frozen ones."""
    inner = [leaves(x) for x in model.layers if isinstance(x, keras.Model)]
    found = [x for part in inner if any(map(_is_frozen, part)) for x in part]
    names = [layer.name for layer in model.layers]
    frozen = [i for i, layer in enumerate(model.layers) if _is_frozen(layer)]
    frozen = [i for i in frozen if not isinstance(model.layers[i], keras.Model)]
    if frozen:
        end = names.index("features") if "features" in names else frozen[-1]
        found += [x for x in model.layers[:end] if not isinstance(x, keras.Model)]
    return found


def _is_frozen(layer):
    is_norm = isinstance(layer, keras.layers.BatchNormalization)
    return bool(layer.weights) and not layer.trainable and not is_norm


def _augments(layer):
    name = type(layer).__name__
    ours = type(layer).__module__.startswith("keras.")
    return ours and (name.startswith("Random") or name in AUGMENTING)


def _finite(variable):
    value = np.asarray(keras.ops.convert_to_numpy(variable))
    return value.dtype.kind not in "fV" or np.isfinite(value.astype("float32")).all()


def _few(layers):
    names = ", ".join(repr(layer.name) for layer in layers[:4])
    more = len(layers) - 4
    return names + (f" and {more} more" if more > 0 else "")


def _times(shape):
    return "x".join("any" if side is None else str(side) for side in shape)
