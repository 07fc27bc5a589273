"""Calibration: one number that makes the probabilities honest.

Networks trained long on cross-entropy become surer than they are right. Dividing the
logits by a temperature changes no answer, only how sure it sounds. Guo, Pleiss, Sun and
Weinberger, "On calibration of modern neural networks", ICML 2017,
https://arxiv.org/abs/1706.04599, section 4.2.
"""

import numpy as np
from scipy import optimize, special, stats

from cnnkit.data.surroundings import say
from cnnkit.evaluation.probabilities import SMALLEST
from cnnkit.evaluation.table import arrays, predict

COLDEST, HOTTEST = 0.05, 20.0  # where the search ends
SPREAD = 0.5  # of log T before a picture is seen; by tests/benchmarks/verdicts.py


def temperature(labels, logits):
    """Finds the temperature that makes log loss low on pictures like these.

    Few pictures know little of it: the lowest loss of 15, of which one is wrong, lies
    anywhere, and of 15 that are all right at 0. So it is drawn towards 1, as if log(T)
    had been seen before with a standard deviation of a half; from 100 pictures on that
    changes little. Where the pictures leave an end open, as when all are right, and
    1 is possible, it is 1.

    Args:
        labels: int array of shape (n,), the true classes: of validation pictures.
        logits: float array of shape (n, num_classes); logarithms of probabilities
            serve as well, since softmax does not see what is added to a row.

    Returns:
        float from 0.05 to 20: above 1 where the model is too sure.

    Raises:
        ValueError: the shapes do not fit, or a logit is not finite.
    """
    low, high = temperature_interval(labels, logits)
    is_open = low < 1.001 * COLDEST or high > 0.999 * HOTTEST
    if is_open and low <= 1 <= high:
        return 1.0
    loss, ends = _loss(labels, logits), np.log([COLDEST, HOTTEST])
    return _lowest(lambda log: loss(log) + log**2 / (2 * SPREAD**2), ends)


def temperature_interval(labels, logits, *, confidence=0.95):
    """Returns which temperatures are plausible, from these pictures alone.

    It is the likelihood interval: those whose log loss is hardly above the lowest.

    Args:
        labels: int array of shape (n,), as for `temperature`.
        logits: float array of shape (n, num_classes), as for `temperature`.
        confidence: float between 0 and 1, the share of such intervals that contain the
            true value.

    Returns:
        (low, high), floats; 0.05 and 20 stand for "or beyond". Where 1 lies between
        them, the pictures do not say that the model is too sure, or not sure enough.

    Raises:
        ValueError: as for `temperature`.
    """
    loss, ends = _loss(labels, logits), np.log([COLDEST, HOTTEST])
    best = np.log(_lowest(loss, ends))
    most = loss(best) + stats.chi2.ppf(confidence, 1) / 2
    found = [
        np.exp(optimize.brentq(lambda log: loss(log) - most, best, end))
        if loss(end) > most
        else np.exp(end)
        for end in ends
    ]
    return float(found[0]), float(found[1])


def _loss(labels, logits):
    """A function from log(T) to the sum of log losses of softmax(logits / T)."""
    labels, logits = np.asarray(labels), np.asarray(logits, "float64")
    n = len(labels)
    if logits.ndim != 2 or labels.shape != (len(logits),) or n == 0:
        raise ValueError(
            "`labels` has shape (n,) and `logits` (n, num_classes), with n of 1 or "
            f"more. Received: shapes {labels.shape} and {logits.shape}"
        )
    if not np.isfinite(logits).all():
        raise ValueError(
            "`logits` must be finite; instead of log(0) take the logarithm of a small "
            f"number. Received: {(~np.isfinite(logits)).sum()} that are not"
        )
    behind = logits - logits[np.arange(n), labels][:, np.newaxis]
    return lambda log: special.logsumexp(behind / np.exp(log), axis=1).sum()


def _lowest(loss, ends):
    return np.exp(optimize.minimize_scalar(loss, bounds=ends, method="bounded").x)


def calibrate(model, photos, *, part="valid"):
    """Returns a copy of a classifier whose probabilities are calibrated.

    The temperature is folded into the layer "logits", so that the copy is an ordinary
    model of the same size: saved, loaded and exported as before, and with the same
    answers. It holds for pictures like those of the part; on others, or after more
    training, calibrate again. Where the pictures do not say that the model is too sure,
    or not sure enough, a line is printed.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, with a layer
            "logits", or one that ends in a `Dense` layer and a softmax.
        photos: the `ImageData` that it was trained on.
        part: "valid" or "test": pictures that it has not learnt from. Scores of the
            part that was used here are too good.

    Returns:
        (model, temperature): the calibrated copy, and the float that it was made with.

    Raises:
        ValueError: the model ends in another way, or as for `predict`.

    Example:
        >>> calibrated, t = calibrate(model, photos)
        >>> table = evaluation.predict(calibrated, photos, "test")
    """
    import keras  # here: the other functions of this room do without

    last = _logits_layer(model)
    labels, probabilities = arrays(predict(model, photos, part))
    if last is not model.layers[-1]:
        body = keras.Model(model.inputs, last.output)
        logits = body.predict(photos.batches(part, batch_size=64), verbose=0)
    else:
        logits = np.log(np.maximum(probabilities, SMALLEST))
    hot, (low, high) = temperature(labels, logits), temperature_interval(labels, logits)
    if low <= 1 <= high:
        say(
            f"temperature {hot:.2f}, but {len(labels)} {part} pictures cannot tell it "
            f"from 1: {low:.2g} to {high:.2g} are plausible"
        )

    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for weight in _linear(copy.get_layer(last.name)):
        weight.assign(weight / hot)
    return copy, hot


def _logits_layer(model):
    """The layer whose outputs, divided by the temperature, are calibrated."""
    last = model.layers[-1]
    named = [layer for layer in model.layers if layer.name == "logits"]
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if not named and (type(last).__name__ == "Softmax" or activation == "softmax"):
        named = [last] if _linear(last) else _before(model, last)
    if named and _linear(named[0]):
        return named[0]
    raise ValueError(
        "The model must have a layer 'logits' (a Dense layer, or the cosine head of "
        "transfer) before its softmax, or end in a Dense layer and a softmax, so that "
        "the temperature can be folded in. For another model, evaluation.temperature "
        "gives the number, and its probabilities are softmax(log(p) / temperature). "
        f"Received: a model whose last layers are {model.layers[-3:]}"
    )


def _before(model, last):
    """The layer that the last one gets its input from, in a list; or none."""
    return [layer for layer in model.layers[:-1] if layer.output is last.input]


def _linear(layer):
    """The weights that all outputs of a layer are proportional to, together."""
    if type(layer).__name__ == "Dense":
        return layer.weights
    scale = getattr(layer, "scale", None)  # of models.cosine.CosineLogits
    return [scale] if getattr(scale, "shape", None) == () else []
