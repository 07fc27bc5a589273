"""Calibration: one number that makes the probabilities honest.

Networks trained long on cross-entropy become surer than they are right. Dividing the
logits by a temperature changes no answer, only how sure it sounds. Guo, Pleiss, Sun and
Weinberger, "On calibration of modern neural networks", ICML 2017,
https://arxiv.org/abs/1706.04599, section 4.2.
"""

import numpy as np
from scipy import optimize, special

from cnnkit.evaluation.probabilities import SMALLEST
from cnnkit.evaluation.table import arrays, predict

COLDEST, HOTTEST = 0.05, 20.0  # beyond these, pictures are too few or answers by chance


def temperature(labels, logits):
    """Finds the temperature with the lowest log loss.

    The loss of softmax(logits / T) is convex in 1 / T, so its slope has one zero, and
    the loss at that T is never above that at T = 1.

    Args:
        labels: int array of shape (n,), the true classes: of validation pictures.
        logits: float array of shape (n, num_classes); logarithms of probabilities
            serve as well, since softmax does not see what is added to a row.

    Returns:
        float from 0.05 to 20: above 1 where the model is too sure.

    Raises:
        ValueError: the shapes do not fit, or a logit is not finite.
    """
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
    of_truth = logits[np.arange(n), labels]

    def slope(coldness):
        """The derivative of the mean loss by 1 / T."""
        odds = special.softmax(coldness * logits, axis=1)
        return ((odds * logits).sum(axis=1) - of_truth).mean()

    if slope(1 / HOTTEST) >= 0:  # no better than chance: the flatter the better
        return HOTTEST
    if slope(1 / COLDEST) <= 0:  # all right: the surer the better
        return COLDEST
    return 1 / optimize.brentq(slope, 1 / HOTTEST, 1 / COLDEST, xtol=1e-12)


def calibrate(model, photos, *, part="valid"):
    """Returns a copy of a classifier whose probabilities are calibrated.

    The temperature is folded into the layer "logits", so that the copy is an ordinary
    model of the same size: saved, loaded and exported as before, and with the same
    answers. It holds for pictures like those of the part; on others, or after more
    training, calibrate again.

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
    hot = temperature(labels, logits)

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
