"""Figures of pictures."""

import math

import numpy as np

from cnnkit.plots.canvas import WIDTH, new_figure
from cnnkit.plots.names import CHARACTER, ems, legible, shorten, text_style

MOST_PICTURES = 64


def image_grid(images, *, titles=None, columns=None):
    """Draws pictures side by side, each with its title.

    Args:
        images: uint8 or float array in [0, 255], shape (n, height, width, channels)
            with 1 or 3 channels, or (n, height, width); or a sequence of such
            pictures, which may differ in size. At most 64 are shown, and the figure
            says how many there were.
        titles: None, or for each picture a str, or a tuple of str that stand on lines
            of their own, such as ("cat", "taken for dog"). A long title is broken into
            two lines or shortened; see `legible`.
        columns: int, pictures a row; None chooses 3 to 8.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: there is no picture, a picture has another shape or range, or the
            number of titles is not that of the pictures.
    """
    n = len(images)
    if n == 0 or (titles is not None and len(titles) != n):
        raise ValueError(
            "`images` must hold at least one picture, and `titles` one title for each. "
            f"Received: {n} pictures, {'no' if titles is None else len(titles)} titles"
        )
    if columns is not None and columns < 1:
        raise ValueError(f"`columns` must be at least 1. Received: columns={columns!r}")
    shown = min(n, MOST_PICTURES)
    images = [np.asarray(images[i]) for i in range(shown)]
    pictures = [_picture(image) for image in images]
    floats = [image for image in images if image.dtype.kind == "f"]
    if len(floats) == shown and 0 < max(image.max() for image in floats) <= 1:
        raise ValueError(
            "Pictures are numbers from 0 to 255, and these would be black: multiply "
            "them by 255. Received: float pictures with no value above 1"
        )
    if columns is None:
        choices = (4, 3, 5) if shown <= 12 else (6, 5) if shown <= 36 else (8, 7)
        full = [c for c in choices if shown % c == 0]  # no last row with a single one
        columns = min(shown, (full or choices)[0])
    rows = math.ceil(shown / columns)

    gap, size = 0.1, 10  # inches, points
    side = min(2.0, (WIDTH - gap) / columns - gap)  # the width of a picture
    tall = side * max(p.shape[0] / p.shape[1] for p in pictures)
    lines = _title_lines(titles[:shown] if titles is not None else [], side * 72 / size)
    head = max(map(len, lines), default=0) * size * 1.3 / 72 + 0.1
    foot = 0.3 if shown < n else 0
    width = columns * (side + gap) + gap
    height = rows * (tall + head) + gap + foot
    style = text_style([text for title in lines for text in title])

    with new_figure(width, height, layout="none") as figure:
        for i, picture in enumerate(pictures):
            row, column = divmod(i, columns)
            left = gap + column * (side + gap)
            top = height - row * (tall + head) - head
            axes = figure.add_axes(
                (left / width, (top - tall) / height, side / width, tall / height)
            )
            axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
            axes.set_anchor("N")  # under its title, where pictures differ in height
            axes.set(xticks=[], yticks=[])
            for line in axes.spines.values():  # where the picture is as white as paper
                line.set(visible=True, color="0.8", linewidth=0.5)
            if lines:
                axes.set_title("\n".join(lines[i]), fontsize=size, pad=4, **style)
        if foot:
            figure.text(
                0.5, 0.05 / height, f"the first {shown} of {n:,} pictures", ha="center"
            )
    return figure


def _picture(image):
    """One picture as an array that matplotlib draws: (h, w) or (h, w, 3)."""
    image = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if image.ndim != 2 and image.shape[2:] != (3,) or image.size == 0:
        raise ValueError(
            "A picture must have shape (height, width), (height, width, 1) or "
            f"(height, width, 3). Received: shape {image.shape}"
        )
    if image.dtype == np.uint8:
        return image
    # A resize may overshoot by a little; NaN fails this comparison as well.
    if image.dtype.kind not in "fiu" or not (image.min() > -1 and image.max() < 256):
        raise ValueError(
            "Pixels must be numbers from 0 to 255. Received: "
            f"dtype {image.dtype}, from {image.min()} to {image.max()}"
        )
    image = np.clip(image, 0, 255)
    return image if image.ndim == 2 else np.round(image).astype(np.uint8)


def _title_lines(titles, limit):
    """Titles to tuples of lines, each at most `limit` (in font sizes) wide."""
    parts = [(t,) if isinstance(t, str) else tuple(t) for t in titles]
    single = all(len(part) == 1 for part in parts)
    # One line may become two; a letter of room is lost where it breaks.
    width = (2 * limit - 1 if single else limit) / CHARACTER
    safe = iter(
        legible([line for part in parts for line in part], width=width, kind="name")
    )
    parts = [[next(safe) for _ in part] for part in parts]
    return [_broken(part[0], limit) for part in parts] if single else parts


def _broken(text, limit):
    """Breaks a text of at most 2 * limit - 1 into lines, at a space where one is."""
    if ems(text) <= limit:
        return [text]
    cut = max(i for i in range(len(text)) if ems(text[:i]) <= limit)
    space = text.rfind(" ", 1, cut + 1)
    if space > 0 and ems(text[space + 1 :]) <= limit:
        return [text[:space], text[space + 1 :]]
    return [text[:cut], shorten(text[cut:], limit)]
