"""Figures of where numbers stand: in a picture, under windows, in a flattened row."""

import numpy as np

from cnnkit import plots
from cnnkit.explorer import by_hand
from cnnkit.explorer.windows import border, output_side


def show(image, *, values=False, title=None):
    """Draws one picture, and on demand the number of each pixel in it.

    Args:
        image: array of shape (height, width) or (height, width, 1), drawn from its
            lowest value, black, to its highest, white; or pixels in [0, 255] of shape
            (height, width, 3).
        values: bool, whether to write the numbers, on a grey picture of at most 32
            pixels a side.
        title: None, or a str above it.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: the shape is another, or there are too many numbers to read.

    Example:
        >>> show(grey, values=True)
    """
    image = np.asarray(image)
    image = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    return plots.pixels(image, values=values, title=title)


def flatten_map(maps, weights, *, bias=0.0, class_name="the class", channel=None):
    """Draws how the last maps, laid in one row, become the logit of a class.

    `Flatten` lays all values in one row, and `Dense` gives each a weight for each
    class. Laid back, the weights are a map too: a value, its weight, their product.

    Args:
        maps: array of shape (rows, columns, channels), what goes into `Flatten`.
        weights: array of shape (rows * columns * channels,), those of ONE class: a
            column of the kernel of the `Dense` layer.
        bias: float, of this class.
        class_name: str.
        channel: int, the channel to show, or None for the one that adds most.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: shapes do not fit, or there is no such channel.
    """
    maps, weights = np.asarray(maps, float), np.asarray(weights, float)
    if maps.ndim != 3 or weights.shape != (maps.size,):
        raise ValueError(
            "`maps` has shape (rows, columns, channels), and `weights` a number for "
            f"each value. Received: shapes {maps.shape} and {weights.shape}"
        )
    products = maps * weights.reshape(maps.shape)
    if channel is None:
        channel = int(products.sum(axis=(0, 1)).argmax())
    if not 0 <= channel < maps.shape[2]:
        raise ValueError(
            f"There are {maps.shape[2]} channels, counted from 0. "
            f"Received: channel={channel}"
        )
    return plots.flatten_map(
        maps[..., channel], weights.reshape(maps.shape)[..., channel],
        by_hand.flatten(maps), channel=channel, bias=bias, class_name=class_name,
        others=np.delete(products, channel, axis=2).sum(),
    )  # fmt: skip


def convolution_geometry(side, kernel, *, stride=1, padding="valid", dilation=1):
    """Draws where the windows stand on a square picture, and the formula in numbers.

    Args:
        side: int, pixels, 1 to 32.
        kernel: int, weights along the side of the kernel.
        stride: int.
        padding: "valid" or "same", as for `by_hand.convolve`.
        dilation: int. Keras takes a stride or a dilation above 1, not both.

    Returns:
        A matplotlib `Figure`: the picture with its border and the pixels that no window
        sees; each window along one side; the output; the formula.

    Raises:
        ValueError: numbers are not as above, or not even one window fits.
    """
    whole = all(isinstance(x, int) for x in (side, kernel, stride, dilation))
    fits = whole and 1 <= side <= 32 and min(kernel, stride, dilation) >= 1
    if not fits or padding not in by_hand.PADDINGS:
        raise ValueError(
            "`side` is 1 to 32 pixels, `kernel`, `stride` and `dilation` are whole "
            f"numbers from 1, and `padding` one of {by_hand.PADDINGS}. Received: "
            f"side={side!r}, kernel={kernel!r}, stride={stride!r}, "
            f"dilation={dilation!r}, padding={padding!r}"
        )
    how = {"stride": stride, "dilation": dilation}
    count = output_side(side, kernel, padding=padding, **how)
    around = border(side, kernel, **how) if padding == "same" else (0, 0)
    reach = dilation * (kernel - 1) + 1
    lines = [
        f"reach = dilation · (kernel − 1) + 1 = {dilation} · {kernel - 1} + 1 = {reach}"
    ]
    over = f"(output − 1) · stride + reach = {count - 1} · {stride} + {reach}"
    needed = (count - 1) * stride + reach
    if padding == "same":
        lines += [
            f"output = ceil(side / stride) = ceil({side} / {stride}) = {count}",
            f"windows reach over {over} = {needed}: border {around[0]} before, "
            f"{around[1]} after",
        ]
    else:
        lines += [
            "output = floor((side − reach) / stride) + 1 = "
            f"floor(({side} − {reach}) / {stride}) + 1 = {count}",
            f"windows reach over {over} = {needed}: {side - needed} dropped at the end",
        ]
    if stride > 1 and dilation > 1:
        lines.append("Keras takes a stride or a dilation above 1, not both")
    starts = np.arange(count) * stride - around[0]
    seen = starts[:, np.newaxis] + dilation * np.arange(kernel)
    return plots.convolution_geometry(side, seen, border=around, lines=lines)
