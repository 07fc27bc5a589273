"""The layers of a CNN by hand: NumPy, one picture, written to be read.

Each function does with loops and sums what a Keras layer does fast, and gives the same
numbers. A picture is an array of shape (height, width, channels); there is no batch.
Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
https://arxiv.org/abs/1603.07285, has figures of all that is here.
"""

import numpy as np
from scipy import special

from cnnkit.explorer.windows import output_side, pad, window_at

PADDINGS = ("valid", "same")


def convolve(
    image, kernels, bias=None, *, stride=1, padding="valid", dilation=1, groups=1
):
    """Slides kernels over a picture: a `keras.layers.Conv2D` without activation.

    At each place the window is multiplied with the kernel, weight by weight, and all
    products are added. The kernel is not flipped: mathematicians call that
    cross-correlation.

    Args:
        image: array of shape (height, width, channels).
        kernels: array of shape (kernel height, kernel width, channels / groups,
            filters).
        bias: array of shape (filters,), or None for none.
        stride: int, how many pixels the window moves at a time.
        padding: "valid": only windows that lie inside. "same": zeros around the
            picture, so that with stride 1 the map is as large as the picture.
        dilation: int, how far apart the pixels of a window are; 1 is side by side.
        groups: int, into how many groups channels and filters fall: a filter sees the
            channels of its group alone. With as many groups as channels it is a
            depthwise convolution.

    Returns:
        float array of shape (rows, columns, filters), see `windows.output_side`.

    Raises:
        ValueError: shapes or numbers do not fit together, or no window fits.
    """
    image, kernels = np.asarray(image, float), np.asarray(kernels, float)
    _check(image, stride, padding)
    high, wide, deep, filters = kernels.shape
    if groups < 1 or image.shape[2] != deep * groups or filters % groups:
        raise ValueError(
            "The channels of the picture must be those of the kernel times `groups`, "
            "and the filters fall into equal groups. Received: a picture of shape "
            f"{image.shape}, kernels of shape {kernels.shape}, groups={groups}"
        )
    image = pad(image, (high, wide), stride=stride, padding=padding, dilation=dilation)
    rows = output_side(image.shape[0], high, stride=stride, dilation=dilation)
    columns = output_side(image.shape[1], wide, stride=stride, dilation=dilation)
    output = np.empty((rows, columns, filters))
    own = filters // groups  # filters of a group
    for row in range(rows):
        for column in range(columns):
            window = window_at(
                image, row, column, (high, wide), stride=stride, dilation=dilation
            )
            for group in range(groups):
                seen = window[:, :, group * deep : (group + 1) * deep]
                for filter in range(group * own, (group + 1) * own):
                    products = seen * kernels[:, :, :, filter]
                    output[row, column, filter] = products.sum()
    return output if bias is None else output + np.asarray(bias)


def max_pool(image, size=2, *, stride=None, padding="valid"):
    """Keeps the largest value of each window: a `keras.layers.MaxPooling2D`.

    Args:
        image: array of shape (height, width, channels).
        size: int, side of the window.
        stride: int, or None for windows side by side.
        padding: as for `convolve`; what is added never wins.

    Returns:
        float array of shape (rows, columns, channels).

    Raises:
        ValueError: numbers are not as above, or no window fits.
    """
    return _pool(image, size, stride, padding, lambda window: window.max(axis=(0, 1)))


def average_pool(image, size=2, *, stride=None, padding="valid"):
    """Takes the mean of each window: a `keras.layers.AveragePooling2D`.

    Args:
        image: array of shape (height, width, channels).
        size: int, side of the window.
        stride: int, or None for windows side by side.
        padding: as for `convolve`; what is added does not count in the mean.

    Returns:
        float array of shape (rows, columns, channels).

    Raises:
        ValueError: numbers are not as above, or no window fits.
    """

    def mean(window):
        inside = np.isfinite(window)
        return np.where(inside, window, 0).sum(axis=(0, 1)) / inside.sum(axis=(0, 1))

    return _pool(image, size, stride, padding, mean)


def flatten(image):
    """Lays all values in one row: row by row, in it column by column, then channels.

    Args:
        image: array of shape (height, width, channels).

    Returns:
        Array of shape (height * width * channels,).
    """
    return np.asarray(image).reshape(-1)


def dense(values, weights, bias=None):
    """Adds all values up, once for each unit, with weights of its own.

    Args:
        values: array of shape (n,).
        weights: array of shape (n, units).
        bias: array of shape (units,), or None for none.

    Returns:
        float array of shape (units,).

    Raises:
        ValueError: the shapes do not fit.
    """
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    if values.ndim != 1 or weights.ndim != 2 or len(values) != len(weights):
        raise ValueError(
            "`weights` has a row for each value. Received: values of shape "
            f"{values.shape}, weights of shape {weights.shape}"
        )
    sums = (values[:, np.newaxis] * weights).sum(axis=0)
    return sums if bias is None else sums + np.asarray(bias)


def relu(values):
    """Cuts off what is below 0 (Nair and Hinton, ICML 2010).

    Args:
        values: float array of any shape.
    """
    return np.maximum(values, 0)


def leaky_relu(values, slope=0.3):
    """Lets a share of what is below 0 pass (Maas, Hannun and Ng, 2013).

    Args:
        values: float array of any shape.
        slope: float, the share.
    """
    return np.where(np.asarray(values) > 0, values, slope * np.asarray(values))


def elu(values):
    """Bends towards -1 below 0 (Clevert et al., https://arxiv.org/abs/1511.07289).

    Args:
        values: float array of any shape.
    """
    return np.where(np.asarray(values) > 0, values, np.expm1(np.minimum(values, 0)))


def gelu(values):
    """Multiplies with the normal distribution (https://arxiv.org/abs/1606.08415).

    Args:
        values: float array of any shape.
    """
    return values * special.ndtr(values)


def sigmoid(values):
    """Squeezes any number into (0, 1).

    Args:
        values: float array of any shape.
    """
    return special.expit(values)


def softmax(logits, temperature=1.0):
    """Makes probabilities of logits: exponentials, divided by their sum.

    Args:
        logits: float array of shape (classes,).
        temperature: float above 0, by which the logits are divided: above 1 the
            probabilities come closer to each other, and the order stays.

    Returns:
        float array of the same shape; its sum is 1.

    Raises:
        ValueError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"`temperature` is above 0. Received: {temperature!r}")
    logits = np.asarray(logits, float) / temperature
    exponentials = np.exp(logits - logits.max())  # the largest is 1: none overflows
    return exponentials / exponentials.sum()


def batch_norm(image, mean, variance, gamma=1.0, beta=0.0, *, epsilon=1e-3):
    """Scales each channel by what was usual in training: BatchNorm when predicting.

    Args:
        image: array of shape (..., channels).
        mean: array of shape (channels,), the moving mean.
        variance: array of shape (channels,), the moving variance.
        gamma: array of shape (channels,), the learnt scale.
        beta: array of shape (channels,), the learnt shift.
        epsilon: float, that nothing is divided by 0.

    Returns:
        float array of the shape of `image` (Ioffe and Szegedy, 2015, algorithm 2).
    """
    usual = (np.asarray(image) - mean) / np.sqrt(np.asarray(variance) + epsilon)
    return gamma * usual + beta


def _pool(image, size, stride, padding, reduce):
    image, stride = np.asarray(image, float), stride or size
    _check(image, stride, padding)
    border = {"stride": stride, "padding": padding, "value": -np.inf}
    image = pad(image, (size, size), **border)
    rows, columns = (output_side(side, size, stride=stride) for side in image.shape[:2])
    output = np.empty((rows, columns, image.shape[2]))
    for row in range(rows):
        for column in range(columns):
            window = window_at(image, row, column, (size, size), stride=stride)
            output[row, column] = reduce(window)
    return output


def _check(image, stride, padding):
    if image.ndim != 3 or stride < 1 or padding not in PADDINGS:
        raise ValueError(
            "`image` has shape (height, width, channels), `stride` is 1 or more, and "
            f"`padding` one of {PADDINGS}. Received: shape {image.shape}, "
            f"stride={stride!r}, padding={padding!r}"
        )
