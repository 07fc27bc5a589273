"""Windows that slide over a picture: where they stand, what they see, what they miss.

Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
https://arxiv.org/abs/1603.07285.
"""

import numpy as np


def output_side(side, kernel, *, stride=1, padding="valid", dilation=1):
    """Returns how many windows fit along one side of a picture.

    Args:
        side: int, pixels.
        kernel: int, weights along the side of the kernel, or of a pooling window.
        stride: int.
        padding: "valid" or "same", as for `convolve`.
        dilation: int.

    Returns:
        int: floor((side - reach) / stride) + 1 for "valid", where a kernel reaches over
        dilation * (kernel - 1) + 1 pixels, and ceil(side / stride) for "same".

    Raises:
        ValueError: not even one window fits.
    """
    if padding == "same":
        return -(-side // stride)
    reach = dilation * (kernel - 1) + 1
    if reach > side:
        raise ValueError(
            f"A window that reaches over {reach} pixels does not fit: enlarge the "
            f"picture, or take padding='same'. Received: side={side}"
        )
    return (side - reach) // stride + 1


def dropped(side, kernel, *, stride=1, dilation=1):
    """Returns how many pixels at the far edge no window sees, with padding "valid".

    Keras drops what does not fill a window. Nothing is wrong with that, but a picture
    of 6 pixels under a kernel of 3 with stride 2 loses its last row and column.

    Args:
        side: int, pixels.
        kernel: int.
        stride: int.
        dilation: int.

    Returns:
        int, 0 or more.
    """
    last = output_side(side, kernel, stride=stride, dilation=dilation) - 1
    return side - (last * stride + dilation * (kernel - 1) + 1)


def border(side, kernel, *, stride=1, dilation=1):
    """Returns how many pixels padding "same" adds before and after a side.

    TensorFlow adds as few as the last window needs, and an odd one at the far end.

    Args:
        side: int, pixels.
        kernel: int.
        stride: int.
        dilation: int.

    Returns:
        (before, after), two int of 0 or more.
    """
    last = (output_side(side, kernel, stride=stride, padding="same") - 1) * stride
    missing = max(last + dilation * (kernel - 1) + 1 - side, 0)
    return missing // 2, missing - missing // 2


def receptive_field(layers):
    """Returns how many pixels of the picture a value of the last map has seen.

    Each layer adds dilation * (kernel - 1) steps, and a step is as many pixels long as
    all strides before it multiply to (Araujo et al., Distill 2019,
    https://doi.org/10.23915/distill.00021, equation 2).

    Args:
        layers: sequence of (kernel, stride) or (kernel, stride, dilation), from the
            first layer to the last; pooling counts as a layer.

    Returns:
        int, the side of the window in pixels.
    """
    field, step = 1, 1
    for kernel, stride, *dilation in layers:
        field += step * (dilation[0] if dilation else 1) * (kernel - 1)
        step *= stride
    return field


def pad(image, kernel, *, stride=1, padding="valid", dilation=1, value=0.0):
    """Adds the border of padding "same", as TensorFlow does: more of it at the far end.

    Args:
        image: array of shape (height, width, channels).
        kernel: (height, width) of the kernel.
        stride: int, or (down, right).
        padding: "valid" adds nothing.
        dilation: int, or (down, right).
        value: float, what is added.

    Returns:
        float array of shape (height + border, width + border, channels).
    """
    if padding == "valid":
        return np.asarray(image, float)
    borders = [
        border(side, weights, stride=step, dilation=apart)
        for side, weights, step, apart in zip(
            image.shape[:2], kernel, _pair(stride), _pair(dilation), strict=True
        )
    ]
    return np.pad(np.asarray(image, float), (*borders, (0, 0)), constant_values=value)


def window_at(image, row, column, kernel, *, stride=1, dilation=1):
    """Returns the pixels that one output pixel sees.

    Args:
        image: array of shape (height, width, channels), padded where it should be.
        row: int, of the output.
        column: int, of the output.
        kernel: (height, width) of the kernel.
        stride: int, or (down, right).
        dilation: int, or (down, right).

    Returns:
        Array of shape (kernel height, kernel width, channels).
    """
    (step_down, step_right), (down, right) = _pair(stride), _pair(dilation)
    top, left = row * step_down, column * step_right
    bottom, end = top + down * kernel[0], left + right * kernel[1]
    return image[top:bottom:down, left:end:right]


def window_of(
    image, row, column, kernel, *, stride=1, padding="valid", dilation=1, value=0.0
):
    """Returns a picture with its border, and what one output pixel sees of it.

    Args:
        image: as for `pad`, and so are all others.
        row: int, of the output.
        column: int, of the output.
        kernel: (height, width) of the kernel.
        stride: int, or (down, right).
        padding: "valid" or "same".
        dilation: int, or (down, right).
        value: float.

    Returns:
        The padded picture; the window, as from `window_at`; and its frame in the padded
        picture, (top, left, bottom, right) in pixels.
    """
    how = {"stride": stride, "dilation": dilation}
    padded = pad(image, kernel, padding=padding, value=value, **how)
    window = window_at(padded, row, column, kernel, **how)
    starts = [at * step for at, step in zip((row, column), _pair(stride), strict=True)]
    ends = [
        start + apart * (weights - 1) + 1
        for start, apart, weights in zip(starts, _pair(dilation), kernel, strict=True)
    ]
    return padded, window, (*starts, *ends)


def _pair(number):
    """The same number down and to the right, where one was given."""
    return number if isinstance(number, tuple | list) else (number, number)
