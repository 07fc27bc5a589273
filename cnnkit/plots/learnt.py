"""Figures of what the filters of a trained model respond to."""

import numpy as np

from cnnkit.plots.canvas import new_figure
from cnnkit.plots.explained import TWO_WAYS
from cnnkit.plots.names import legible, text_style
from cnnkit.plots.tables import number

MOST_FILTERS = 8
TILE, GAP, CAPTION, SIDE, HEAD = 1.2, 0.08, 0.3, 1.6, 0.75  # inches


def filter_view(kernels, excited, reached, patches=None, *, units, filters, layer):
    """Draws filters, and below each the pictures to which it responds most.

    Kernels that look at three channels are drawn in colours: grey is 0, and each is
    scaled to the largest of its own numbers. Others are drawn as red (above 0) and blue
    (below), up to 3 x 3 with their numbers, up to 7 x 7 with their signs; of many
    channels that with the largest numbers is shown, and named.

    Args:
        kernels: float array of shape (height, width, channels in, n), 1 to 8 filters.
        excited: pixels in [0, 255], shape (n, h, w, 1 or 3): painted to excite each.
        reached: float, n numbers, the largest value of the filter's map on that.
        patches: None, or for each filter equally many (pixels, value, number of the
            picture), the strongest first and the filters one after the other.
        units: int, the n numbers of the filters.
        filters: int, how many the layer has.
        layer: str, its name.

    Returns:
        A matplotlib `Figure`, a column for each filter; "silent" stands for a value of
        exactly 0.

    Raises:
        ValueError: there is not one of each for each filter, or more than 8.
    """
    kernels, excited = np.asarray(kernels, "float64"), np.asarray(excited, "float64")
    n, patches = len(units), patches or []
    lengths = [kernels.shape[-1], len(excited), len(reached)]
    if not 1 <= n <= MOST_FILTERS or lengths != [n] * 3 or len(patches) % n:
        raise ValueError(
            f"There are 1 to {MOST_FILTERS} filters, and a kernel, a picture, a number "
            f"and equally many patches for each. Received: {n} units, {lengths}, and "
            f"{len(patches)} patches"
        )
    high, wide, given = kernels.shape[:3]
    each = len(patches) // n
    words = [_kernel_words(given), "painted to\nexcite it:\nlargest value"]
    if each:
        field = np.max([pixels.shape[:2] for pixels, _, _ in patches], axis=0)
        words += [
            f"strongest patches,\n{field[0]} × {field[1]} pixels:\nvalue, picture"
        ]
    size = max(SIDE + n * (TILE + GAP), 6), HEAD + (2 + each) * (TILE + CAPTION)
    [name] = legible([layer], width=24, kind="layer")
    with new_figure(*size, layout="none") as figure:
        figure.text(
            0.1 / size[0], 1 - 0.22 / size[1],
            f"{name}: {n} of {filters} filters, {high} × {wide} × {given}",
            fontsize=12, va="center", **text_style([name]),
        )  # fmt: skip
        for row, word in enumerate(words):
            middle = HEAD + row * (TILE + CAPTION) + TILE / 2
            figure.text(0.1 / size[0], 1 - middle / size[1], word, va="center")
        tiles = [_kernel(kernels, i) for i in range(n)]
        top = max(abs(tile).max() for tile, _ in tiles) or 1
        for i, unit in enumerate(units):
            tile, caption = tiles[i]
            axes = _tile(figure, size, i, 0, caption)
            axes.set_title(f"filter {unit}", fontsize=11, pad=4)
            axes.imshow(tile, cmap=TWO_WAYS, vmin=-top, vmax=top)
            if given != 3:
                _write(axes, tile, top)
            said = "silent" if reached[i] == 0 else number(reached[i])
            _pixels(_tile(figure, size, i, 1, said), excited[i], excited[i].shape)
            own = patches[i * each : (i + 1) * each]
            for row, (pixels, value, source) in enumerate(own, start=2):
                if value == 0:
                    _tile(figure, size, i, row, "silent")
                    continue
                caption = f"{number(value)}, no. {source}"
                _pixels(_tile(figure, size, i, row, caption), pixels, field)
    return figure


def _kernel_words(given):
    if given == 3:
        return "kernel in colours,\ngrey is 0"
    which = "kernel, its\nstrongest channel:" if given > 1 else "kernel:"
    return f"{which}\nred above 0,\nblue below"


def _kernel(kernels, i):
    """One kernel as a picture, and which channel it shows."""
    kernel = kernels[..., i]
    if kernel.shape[2] == 3:
        return 0.5 + kernel / max(abs(kernel).max(), 1e-12) / 2, ""
    channel = (kernel**2).sum(axis=(0, 1)).argmax()
    return kernel[..., channel], f"channel {channel}" if kernel.shape[2] > 1 else ""


def _write(axes, tile, top):
    """The numbers of a small kernel into its cells, of a larger one their signs."""
    few, many = max(tile.shape) <= 3, max(tile.shape) > 7
    for (row, column), value in np.ndenumerate(tile):
        # In a cell of three there is room for five letters.
        text = f"{value:.2f}" if top >= 0.1 else f"{value:.3f}".replace("0.", ".")
        if not few:
            text = "" if many or abs(value) < 0.1 * top else "+-"[int(value < 0)]
        axes.text(
            column, row, text.replace("-", "−"), ha="center", va="center", fontsize=8,
            color="white" if abs(value) > 0.7 * top else "black",
        )  # fmt: skip


def _tile(figure, size, column, row, caption):
    """Axes without ticks in a column and a row of tiles, with words below."""
    left = SIDE + column * (TILE + GAP)
    bottom = size[1] - HEAD - row * (TILE + CAPTION) - TILE
    axes = figure.add_axes(
        (left / size[0], bottom / size[1], TILE / size[0], TILE / size[1])
    )
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(caption, fontsize=10, labelpad=2)
    for line in axes.spines.values():
        line.set(visible=True, color="0.8", linewidth=0.5)
    return axes


def _pixels(axes, pixels, frame):
    """A picture in the middle of a frame of that many rows and columns."""
    pixels = np.clip(np.asarray(pixels, "float64"), 0, 255) / 255
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1)
    for set_limits, given, wanted in (
        (axes.set_xlim, pixels.shape[1], frame[1]),
        (axes.set_ylim, pixels.shape[0], frame[0]),
    ):
        edge = (wanted - given) / 2 + 0.5
        set_limits(-edge, given - 1 + edge)
    axes.invert_yaxis()
