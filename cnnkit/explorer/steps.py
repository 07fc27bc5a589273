"""Figures of one step: a window, a number. Slide it, and you have a layer."""

import numpy as np

from cnnkit import plots
from cnnkit.explorer import by_hand
from cnnkit.explorer.windows import window_of

ACTIVATIONS = {
    "relu": by_hand.relu,
    "leaky_relu": by_hand.leaky_relu,
    "elu": by_hand.elu,
    "gelu": by_hand.gelu,
    "sigmoid": by_hand.sigmoid,
}


def convolution_step(
    image, kernel, *, row, column, bias=0.0, stride=1, padding="valid", dilation=1
):
    """Draws one output pixel of a convolution: window, kernel, products, sum.

    Args:
        image: array of shape (height, width), or (height, width, channels).
        kernel: array of shape (kernel height, kernel width), or with as many channels.
            With several channels the products are added over them, and of window and
            kernel the mean and the sum are shown; for one of them pass `image[..., 0]`
            and `kernel[..., 0]`.
        row: int, of the output.
        column: int, of the output.
        bias: float, added to each sum.
        stride: int, as for `by_hand.convolve`.
        padding: "valid" or "same", as for `by_hand.convolve`.
        dilation: int, as for `by_hand.convolve`.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: shapes do not fit, there is no such row or column, or as for
            `by_hand.convolve`.

    Example:
        >>> convolution_step(grey, vertical, row=8, column=5)
    """
    image, kernel = np.asarray(image, float), np.asarray(kernel, float)
    if image.ndim == 2:
        image, kernel = image[..., np.newaxis], kernel[..., np.newaxis]
    if image.ndim != 3 or kernel.ndim != 3 or image.shape[2] != kernel.shape[2]:
        raise ValueError(
            "`image` and `kernel` have two axes, or three and as many channels. "
            f"Received: shapes {image.shape} and {kernel.shape}"
        )
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    output = by_hand.convolve(image, kernel[..., np.newaxis], [bias], **how)[..., 0]
    _check_place(output, row, column)
    padded, window, box = window_of(image, row, column, kernel.shape[:2], **how)
    return plots.convolution_step(
        padded.mean(axis=2), window.mean(axis=2), kernel.sum(axis=2),
        (window * kernel).sum(axis=2), output,
        box=box, place=(row, column), bias=bias, channels=image.shape[2],
    )  # fmt: skip


def activation_step(image, kind="relu", *, row, column):
    """Draws a map before and after an activation, and one value on the curve.

    Args:
        image: array of shape (rows, columns), what a layer puts out before its
            activation.
        kind: "relu", "leaky_relu", "elu", "gelu" or "sigmoid", as in `by_hand`.
        row: int, of the value that is marked.
        column: int.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: `kind` is another, `image` is no map, or there is no such row or
            column.
    """
    image = np.asarray(image, float)
    if image.ndim != 2 or kind not in ACTIVATIONS:
        raise ValueError(
            "`image` has shape (rows, columns), `kind` is one of "
            f"{tuple(ACTIVATIONS)}. Received: shape {image.shape}, kind={kind!r}"
        )
    _check_place(image, row, column)
    function = ACTIVATIONS[kind]
    inputs = _around_zero(image)
    return plots.activation_step(
        image, function(image), (inputs, function(inputs)), place=(row, column),
        name=kind,
    )  # fmt: skip


def pooling_step(
    image, size=2, *, row, column, kind="max", stride=None, padding="valid"
):
    """Draws one output pixel of a pooling layer, on one channel.

    Args:
        image: array of shape (height, width).
        size: int, side of the window.
        row: int, of the output.
        column: int, of the output.
        kind: "max" or "average".
        stride: int, or None for windows side by side.
        padding: as for `by_hand.max_pool`.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: `kind` is another, there is no such row or column, or as for
            `by_hand.max_pool`.
    """
    image = np.asarray(image, float)
    pools = {"max": by_hand.max_pool, "average": by_hand.average_pool}
    if image.ndim != 2 or kind not in pools:
        raise ValueError(
            f"`image` has shape (height, width), `kind` is one of {tuple(pools)}. "
            f"Received: shape {image.shape}, kind={kind!r}"
        )
    how = {"stride": stride or size, "padding": padding}
    output = pools[kind](image[..., np.newaxis], size, **how)[..., 0]
    _check_place(output, row, column)
    padded, window, box = window_of(
        image[..., np.newaxis], row, column, (size, size), value=-np.inf, **how
    )
    window = window[..., 0]
    kept = np.unravel_index(window.argmax(), window.shape) if kind == "max" else None
    return plots.pooling_step(
        padded[..., 0], window, output, box=box, place=(row, column), kept=kept,
        kind="the largest" if kind == "max" else "the mean",
    )  # fmt: skip


def softmax_terms(logits, class_names, *, temperature=1.0):
    """Draws how logits become probabilities, number by number.

    Args:
        logits: float array of shape (classes,).
        class_names: one str a class, at most 20.
        temperature: float above 0, as for `by_hand.softmax`.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: the lengths differ, or as for `by_hand.softmax`.
    """
    logits = np.asarray(logits, float)
    probabilities = by_hand.softmax(logits, temperature)
    return plots.softmax_terms(
        logits, probabilities / probabilities.max(), probabilities, class_names,
        temperature=temperature,
    )  # fmt: skip


def _around_zero(values):
    """Points for a curve: from the lowest to the highest value, 0 in between."""
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    margin = 0.1 * (high - low) or 1.0
    return np.union1d(np.linspace(low - margin, high + margin, 201), [0.0])


def _check_place(output, row, column):
    if not (0 <= row < output.shape[0] and 0 <= column < output.shape[1]):
        raise ValueError(
            f"The output has {output.shape[0]} rows and {output.shape[1]} columns, "
            f"counted from 0. Received: row={row}, column={column}"
        )
