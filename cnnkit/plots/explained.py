"""Figures of explanations: heat over pictures, maps, filters, and their tests."""

import math

import numpy as np

from cnnkit.plots.canvas import WIDTH, new_figure
from cnnkit.plots.gradients import SERIES
from cnnkit.plots.grid import image_grid
from cnnkit.plots.names import CHARACTER, legible, text_style

MOST_PICTURES, MOST_TILES = 16, 48
# Of equal steps for the eye, also in grey: from dark to bright, and from blue by white
# to red, where there is a middle.
ONE_WAY, TWO_WAYS = "inferno", "RdBu_r"


def heat_maps(images, heats, *, titles=None, label=None):
    """Draws each picture, and below it the same picture in grey under its heat.

    Args:
        images: pixels in [0, 255], shape (n, h, w, 1 or 3) or (n, h, w). At most 16
            are shown, and the figure says how many there were.
        heats: float array of shape (n, h, w): heat from 0 to 1 as from
            `explain.grad_cam`; or with values below 0 as from `explain.occlusion`,
            then red speaks for the class and blue against it.
        titles: None, or a str for each picture.
        label: None, or a str beside the scale of colours, where the numbers are others.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: shapes differ, or pixels, heat or titles are not as above.
    """
    images, heats = np.asarray(images), np.asarray(heats, "float64")
    n = len(images)
    if heats.shape != images.shape[:3] or not n or not np.isfinite(heats).all():
        raise ValueError(
            "`heats` must be finite numbers, one for each pixel of each picture. "
            f"Received: heat of shape {heats.shape}, pictures of shape {images.shape}"
        )
    if titles is not None and len(titles) != n:
        raise ValueError(
            f"`titles` must be one title for each picture. Received: {len(titles)} "
            f"titles, {n} pictures"
        )
    image_grid(images[:1])  # says what is wrong with a picture
    shown = min(n, MOST_PICTURES)
    columns = min(shown, 4 if shown <= 8 else 6)
    rows = math.ceil(shown / columns)
    side, gap = min(1.9, 6.9 / columns), 0.06  # inches
    tall = side * images.shape[1] / images.shape[2]
    head = 0.3 if titles is not None else 0.12
    block, foot = head + 2 * tall + gap, 0.3 if shown < n else 0.1
    size = (columns * (side + gap) + 1.1, rows * block + foot)
    two_ways, top = heats.min() < 0, abs(heats[:shown]).max()
    top = (top or 1) if two_ways or top > 1 else 1
    names = legible(titles or [], width=side * 72 / 11 / CHARACTER, kind="picture")
    with new_figure(*size, layout="none") as figure:
        for i in range(shown):
            row, column = divmod(i, columns)
            left, up = column * (side + gap) + gap, size[1] - row * block - head - tall
            picture = np.clip(images[i].astype("float64"), 0, 255) / 255
            picture = picture[..., 0] if picture.shape[2:] == (1,) else picture
            grey = picture.mean(axis=2) if picture.ndim == 3 else picture
            above = _axes(figure, size, left, up, side, tall)
            below = _axes(figure, size, left, up - tall - gap, side, tall)
            above.imshow(picture, cmap="gray", vmin=0, vmax=1)
            below.imshow(grey, cmap="gray", vmin=0, vmax=1)
            colours = below.imshow(
                heats[i], cmap=TWO_WAYS if two_ways else ONE_WAY, alpha=0.65,
                vmin=-top if two_ways else 0, vmax=top,
            )  # fmt: skip
            if names:
                above.set_title(names[i], fontsize=11, pad=4, **text_style([names[i]]))
        word = "against (-) or for (+) the class" if two_ways else "heat"
        _bar(figure, size, colours, label or word, foot)
        if foot == 0.3:
            words = f"the first {shown} of {n:,} pictures"
            figure.text(0.5, 0.08 / size[1], words, ha="center")
    return figure


def feature_maps(maps):
    """Draws the channels of a feature map, those with the most in them first.

    Args:
        maps: float array of shape (rows, columns, channels), or (1, rows, columns,
            channels) as from `explain.feature_maps` for one picture.

    Returns:
        A matplotlib `Figure` of at most 48 channels, each with its number, in one scale
        of colours.

    Raises:
        ValueError: `maps` has another shape, or is not finite.
    """
    maps = np.asarray(maps, "float64")
    maps = maps[0] if maps.ndim == 4 and len(maps) == 1 else maps
    if maps.ndim != 3 or not maps.size or not np.isfinite(maps).all():
        raise ValueError(
            "`maps` must be finite and of shape (rows, columns, channels): take one "
            f"picture, maps[0]. Received: shape {maps.shape}"
        )
    order = np.argsort(-abs(maps).mean(axis=(0, 1)), kind="stable")[:MOST_TILES]
    tiles = maps[:, :, order].transpose(2, 0, 1)
    note = f"{len(order)} of {maps.shape[2]} channels, the liveliest first"
    return _tiles(tiles, order, note, "output of the layer")


def filters(kernels):
    """Draws the filters of a convolution.

    Filters that look at colours are drawn in colours: grey is 0, and each is scaled
    to the largest of its own numbers. Others are drawn as red (above 0) and blue
    (below); of filters with many channels, that channel which has the largest numbers.

    Args:
        kernels: float array of shape (height, width, channels in, filters), as from
            `explain.filters`.

    Returns:
        A matplotlib `Figure` of at most 48 filters, each with its number.

    Raises:
        ValueError: `kernels` has another shape, or is not finite.
    """
    kernels = np.asarray(kernels, "float64")
    if kernels.ndim != 4 or not kernels.size or not np.isfinite(kernels).all():
        raise ValueError(
            "`kernels` must be finite and of shape (height, width, channels in, "
            f"filters). Received: shape {kernels.shape}"
        )
    count, given = kernels.shape[3], kernels.shape[2]
    tiles = kernels.transpose(3, 0, 1, 2)[:MOST_TILES]
    note = f"{len(tiles)} of {count} filters"
    if given == 3:
        largest = np.maximum(abs(tiles).max(axis=(1, 2, 3), keepdims=True), 1e-12)
        return _tiles(0.5 + tiles / largest / 2, range(len(tiles)), note, None)
    strongest = (tiles**2).sum(axis=(1, 2)).argmax(axis=1)
    tiles = tiles[np.arange(len(tiles)), :, :, strongest]
    note += f", the strongest of {given} channels each" if given > 1 else ""
    return _tiles(tiles, range(len(tiles)), note, "weight")


def sanity(curves):
    """Draws the probability while the hottest pixels are taken away, and given.

    Args:
        curves: `pandas.DataFrame` of `explain.deletion_insertion`, 1 to 6 methods.

    Returns:
        A matplotlib `Figure` with two panels: deletion, where the lowest curve is best,
        and insertion, where the highest is. The dashed line is the mean of all random
        orders.

    Raises:
        ValueError: `curves` is no such table.
    """
    needed = ["method", "test", "order", "picture"]
    index = getattr(curves, "index", None)
    methods = [] if index is None or list(index.names) != needed else index.unique(0)
    if not 1 <= len(methods) <= len(SERIES):
        raise ValueError(
            f"`curves` must be a table of `deletion_insertion` of 1 to {len(SERIES)} "
            f"methods. Received: {type(curves).__name__} with {len(methods)} methods"
        )
    means = curves.groupby(level=["test", "order", "method"]).mean()
    shares = means.columns.to_numpy(float) * 100
    names = legible(map(str, methods), kind="method")
    with new_figure(WIDTH, 4.4) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        words = {"deletion": "taken away: lower is better"}
        words["insertion"] = "given: higher is better"
        for axes, (test, word) in zip(panels, words.items(), strict=True):
            for method, name, (colour, mark) in zip(
                methods, names, SERIES, strict=False
            ):
                axes.plot(
                    shares, means.loc[(test, "heat", method)], color=colour,
                    marker=mark, markersize=5, label=name,
                )  # fmt: skip
            random = means.loc[(test, "random")].mean()
            axes.plot(shares, random, "--", color="0.3", label="random places")
            axes.set_title(f"hottest pixels {word}", fontsize=12)
            axes.set_xlabel(f"pixels {word.split(':')[0]} (%)")
            axes.set_xlim(0, 100)
            axes.set_ylim(0, 1)
            axes.grid(axis="y", color="0.9")
        panels[0].set_ylabel("probability of the class")
        handles, labels = panels[0].get_legend_handles_labels()
        legend = figure.legend(
            handles, labels, loc="outside upper center", ncols=4, frameon=False
        )
        for text in legend.get_texts():
            text.set(**text_style(labels))
    return figure


def _tiles(tiles, numbers, note, label):
    """Small pictures with their numbers; (n, h, w) in colours of a scale, or RGB."""
    n, high, wide = tiles.shape[:3]
    columns = min(n, 8 if n <= 32 else 12)
    rows = math.ceil(n / columns)
    side = min(1.0, (WIDTH - 1.2) / columns)
    tall, head = side * high / wide, 0.22  # inches, the number above a tile
    width = max(columns * side + (1.2 if label else 0.2), 4.2)
    size = (width, rows * (tall + head) + 0.45)
    two_ways, top = tiles.min() < 0, abs(tiles).max() or 1
    with new_figure(*size, layout="none") as figure:
        figure.text(0.1 / width, 1 - 0.16 / size[1], note, fontsize=11, va="center")
        for i, (tile, number) in enumerate(zip(tiles, numbers, strict=True)):
            row, column = divmod(i, columns)
            bottom = size[1] - 0.35 - (row + 1) * (tall + head)
            axes = _axes(figure, size, 0.1 + column * side, bottom, 0.92 * side, tall)
            colours = axes.imshow(
                tile, cmap=TWO_WAYS if two_ways else ONE_WAY,
                vmin=-top if two_ways else 0, vmax=top,
            )  # fmt: skip
            axes.set_title(str(number), fontsize=10, pad=2)
        if label:
            _bar(figure, size, colours, label, 0.1)
    return figure


def _axes(figure, size, left, bottom, width, height):
    """Axes without ticks at a place in inches, in a figure of this size."""
    place = (left / size[0], bottom / size[1], width / size[0], height / size[1])
    axes = figure.add_axes(place)
    axes.set_axis_off()
    return axes


def _bar(figure, size, colours, label, bottom):
    """The scale of colours, at the right."""
    height = min(size[1] - bottom - 0.35, 4)
    bar = _axes(figure, size, size[0] - 0.95, bottom, 0.14, height)
    bar.set_axis_on()
    bar = figure.colorbar(colours, cax=bar)
    [label] = legible([label], width=40, kind="label")
    bar.set_label(label, **text_style([label]))
    bar.outline.set_visible(False)
