"""One step of a layer, with the window on a slider."""

import ipywidgets
import numpy as np

from cnnkit import explorer
from cnnkit.explorer import by_hand, windows
from cnnkit.explorer.steps import ACTIVATIONS
from cnnkit.explorer.widgets.views import WIDE, drawing, menu, place, row_of


def convolution_step(
    image, kernel, *, row=0, column=0, bias=0.0, stride=1, padding="valid", dilation=1
):
    """Slides a kernel over a picture: `explorer.convolution_step` with controls.

    Args:
        image: as for the figure, and so are all others. With several channels a menu
            has each of them, and all added.
        kernel: array.
        row: int, where to begin.
        column: int, where to begin.
        bias: float.
        stride: int.
        padding: "valid" or "same".
        dilation: int.

    Returns:
        An `ipywidgets.VBox`: sliders for row and column, play, the figure.

    Raises:
        ValueError: no window fits.

    Example:
        >>> widgets.convolution_step(grey, vertical)
    """
    image, kernel = np.asarray(image, float), np.asarray(kernel, float)
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    rows, columns = (
        windows.output_side(side, weights, **how)
        for side, weights in zip(image.shape[:2], kernel.shape[:2], strict=True)
    )
    play, shown = place(rows, columns, row=row, column=column)
    channels = [("all added", slice(None))]
    if image.ndim == 3:
        channels += [(f"{i} alone", slice(i, i + 1)) for i in range(image.shape[2])]
    channel = menu("channels", channels)
    shown += [channel] if len(channels) > 2 else []

    def draw(position, channels):
        row, column = divmod(position, columns)
        return explorer.convolution_step(
            image[..., channels], kernel[..., channels], row=row, column=column,
            bias=bias, **how,
        )  # fmt: skip

    return ipywidgets.VBox([row_of(shown), drawing(draw, [play, channel])])


def activation_step(image, kind="relu", *, row=0, column=0):
    """Sends the values of a map through an activation, one by one, with controls.

    Args:
        image: as for `explorer.activation_step`, and so are all others.
        kind: str, what the menu begins with.
        row: int, where to begin.
        column: int, where to begin.

    Returns:
        An `ipywidgets.VBox`: sliders for row and column, play, a menu, the figure.
    """
    image = np.asarray(image, float)
    columns = image.shape[1]
    play, shown = place(*image.shape, row=row, column=column)
    kinds = menu("function", list(ACTIVATIONS))
    kinds.value = kind

    def draw(position, kind):
        row, column = divmod(position, columns)
        return explorer.activation_step(image, kind, row=row, column=column)

    return ipywidgets.VBox([row_of([*shown, kinds]), drawing(draw, [play, kinds])])


def convolution_geometry(side=6, kernel=3, *, stride=1, padding="valid", dilation=1):
    """Shows which windows fit on a picture: `explorer.convolution_geometry` on sliders.

    Args:
        side: int, 1 to 16, what its slider begins with, and so are all others.
        kernel: int, 1 to 7.
        stride: int, 1 to 4.
        padding: "valid" or "same".
        dilation: int, 1 to 3.

    Returns:
        An `ipywidgets.VBox`: four sliders, a menu, the figure.
    """
    sliders = [
        ipywidgets.IntSlider(value, 1, most, description=description)
        for description, value, most in [
            ("side", side, 16), ("kernel", kernel, 7), ("stride", stride, 4),
            ("dilation", dilation, 3),
        ]
    ]  # fmt: skip
    border = menu("padding", list(by_hand.PADDINGS))
    border.value = padding

    def draw(side, kernel, stride, dilation, padding):
        return explorer.convolution_geometry(
            side, kernel, stride=stride, padding=padding, dilation=dilation
        )

    controls = [*sliders, border]
    return ipywidgets.VBox([row_of(controls), drawing(draw, controls)])


def pooling_step(
    image, size=2, *, kind="max", row=0, column=0, stride=None, padding="valid"
):
    """Slides a pooling window over a map: `explorer.pooling_step` with controls.

    Args:
        image: as for the figure, and so are all others.
        size: int.
        kind: "max" or "average", what the menu begins with.
        row: int, where to begin.
        column: int, where to begin.
        stride: int, or None.
        padding: "valid" or "same".

    Returns:
        An `ipywidgets.VBox`: sliders for row and column, play, a menu, the figure.

    Raises:
        ValueError: no window fits.
    """
    image, how = np.asarray(image, float), {"stride": stride, "padding": padding}
    rows, columns = (
        windows.output_side(side, size, stride=stride or size, padding=padding)
        for side in image.shape
    )
    play, shown = place(rows, columns, row=row, column=column)
    kinds = menu("keeps", [("the largest", "max"), ("the mean", "average")])
    kinds.value = kind

    def draw(position, kind):
        row, column = divmod(position, columns)
        return explorer.pooling_step(
            image, size, row=row, column=column, kind=kind, **how
        )

    return ipywidgets.VBox([row_of([*shown, kinds]), drawing(draw, [play, kinds])])


def softmax_terms(logits, class_names):
    """Makes logits into probabilities at any temperature: a slider and its figure.

    Args:
        logits: as for `explorer.softmax_terms`.
        class_names: likewise.

    Returns:
        An `ipywidgets.VBox`: a slider for the temperature from 0.1 to 10, the figure.
    """
    temperature = ipywidgets.FloatLogSlider(
        1.0, min=-1, max=1, step=0.05, description="temperature", style=WIDE
    )

    def draw(temperature):
        return explorer.softmax_terms(logits, class_names, temperature=temperature)

    return ipywidgets.VBox([row_of([temperature]), drawing(draw, [temperature])])
