"""What `preflight` checks of labels, outputs and the loss, which have to fit.

Each check yields rows (code, detail, remedy), where the remedy is None for that of the
code.
"""

import numpy as np

SPARSE = {"sparse_categorical_crossentropy", "SparseFocalCrossentropy"}
ONE_HOT = {"categorical_crossentropy", "categorical_focal_crossentropy"}
BINARY = {"binary_crossentropy", "binary_focal_crossentropy"}
OVERWRITES = 2.0  # change of a kernel in one step, as a share of its size
STANDS_STILL = 3e-6  # half the digits of float32: a thousand such steps change 0.3 %


def kind_of(loss):
    """Returns what a loss is called, and whether it wants logits.

    Args:
        loss: function or Keras loss.

    Returns:
        str, such as "sparse_categorical_crossentropy", and bool.
    """
    function = getattr(loss, "fn", loss)
    name = getattr(function, "__name__", type(loss).__name__)
    return name, bool(getattr(loss, "from_logits", False))


def labels(model, seen, part, loss):
    """Checks labels against the loss and the outputs.

    Args:
        model: `keras.Model`.
        seen: `preflight_data.Seen`.
        part: str, its name.
        loss: function or Keras loss.
    """
    width, (name, _) = model.output_shape[-1], kind_of(loss)
    found = seen.all_labels
    one_hot = found.ndim == 2 and found.shape[1] > 1
    if name in ONE_HOT and not one_hot:
        yield "whole_labels", f"{part} labels of shape {found.shape[1:]}, {name}", None
    elif name in SPARSE and one_hot:
        detail = f"{part} labels are rows of {found.shape[1]} numbers, loss is {name}"
        yield "one_hot_labels", detail, None
    elif one_hot and found.shape[1] != width:
        detail = f"{part} labels have {found.shape[1]} columns, the model {width}"
        yield "wrong_width", f"{detail} outputs", None
    elif not one_hot and name in SPARSE | BINARY:
        highest = max(width - 1, 1) if name in BINARY else width - 1
        values = np.unique(found)
        odd = values[(values < 0) | (values > highest) | (values != np.rint(values))]
        if len(odd) and not (name in SPARSE and width == 1):
            some = ", ".join(f"{value:g}" for value in odd[:3].tolist())
            yield (
                "label_out_of_range",
                f"{part} has the label {some}, the model {width} outputs, which are "
                f"labels 0 to {highest}", None,
            )  # fmt: skip


def outputs(values, loss):
    """Checks what the model puts out against what the loss wants.

    Args:
        values: float array of shape (b, k), predictions for different pictures.
        loss: function or Keras loss.
    """
    (name, from_logits), width = kind_of(loss), values.shape[-1]
    if not np.isfinite(values).all() or name not in SPARSE | ONE_HOT | BINARY:
        return
    low, high = values.min(), values.max()
    share = low >= 0 and high <= 1 + 1e-5
    sums = values.sum(axis=-1)
    ones = np.abs(values - 1).max() < 1e-5  # other kernels say 0.99999994
    if width == 1 and (ones or name not in BINARY):
        yield "one_output", f"every output is {high:g}, loss is {name}", None
        return
    certain = share and (name in BINARY or np.abs(sums - 1).max() < 1e-2)
    between = f"outputs are {low:.3g} to {high:.3g}, sums {sums.min():.3g} to"
    detail = f"{between} {sums.max():.3g}, loss is {name}"
    if from_logits and certain:
        yield "probabilities_as_logits", f"{detail}, from_logits=True", None
    elif not from_logits and not certain:
        code = "not_probabilities" if share else "logits_as_probabilities"
        yield code, detail, None


def constant(predicted, trained):
    """Checks that different pictures have different outputs.

    Args:
        predicted: float array of shape (b, k), the outputs of a prediction.
        trained: float array of shape (b, k), those of a training step: a new and deep
            network with BatchNorm tells pictures apart in these alone.
    """
    if len(predicted) < 2 or predicted.shape[-1] < 2:
        return
    if max(np.ptp(values, axis=0).max() for values in (predicted, trained)) < 1e-6:
        some = np.array2string(predicted[0, :4], precision=3)
        yield "constant_output", f"{some} for all of {len(predicted)} pictures", None


def step(trial, losses, change, num_outputs):
    """Checks what one training step did.

    Args:
        trial: `Trial`.
        losses: two float, of one batch before the step and after it, without
            regularisation.
        change: float, from `change`.
        num_outputs: int, k.
    """
    value, after = losses
    if not np.isfinite(value):
        yield "loss_not_finite", f"it is {value}", None
        return
    name, _ = kind_of(trial.loss)
    guesses = name in ONE_HOT | SPARSE and "focal" not in name.lower()
    guessing = np.log(num_outputs)
    known = f"it is {value:.3g}; guessing gives ln({num_outputs}) = {guessing:.3g}"
    low = guesses and value < 0.5 * guessing
    if low:
        yield "low_loss", known, None
    elif guesses and value > 2 * guessing + 1:
        yield "high_loss", known, None
    rate, optimizer = float(trial.optimizer.learning_rate), type(trial.optimizer)
    said = f"{optimizer.__name__} with {rate:.2g} changes kernels by {change:.2g} of"
    if change > OVERWRITES or not after < 3 * max(value, 1):  # or NaN
        went = f"the loss goes from {value:.3g} to {after:.3g}"
        yield "high_rate", f"{said} their size in a step: {went}", None
    elif change < STANDS_STILL and not low:
        yield "low_rate", f"{said} their size in a step", None


def change(trained, before):
    """Returns how far kernels moved, as a share of their size: the median of all.

    Args:
        trained: list of `keras.Variable`.
        before: list of arrays, their values before.

    Returns:
        float; NaN where there is no kernel but of zeros.
    """
    shares = [
        np.sqrt(np.mean((v.numpy() - old) ** 2) / np.mean(old**2))
        for v, old in zip(trained, before, strict=True)
        if old.ndim > 1 and (old != 0).any()
    ]
    return float(np.median(shares)) if shares else np.nan
