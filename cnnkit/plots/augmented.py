"""A figure of what a policy makes of one picture."""

import textwrap
import time

import numpy as np

from cnnkit.plots.grid import image_grid
from cnnkit.plots.names import ems, legible, text_style

MOST_DRAWS = 63
SIZE = 11  # points, of the title


def augmented(image, policy, *, draws=11, seed=0):
    """Draws a picture and what a policy makes of it, with what that costs.

    Args:
        image: uint8 array of shape (height, width, 1 or 3).
        policy: function (images, generator) -> images on uint8 batches, such as
            `augment.policy("photos")`; a `repr` of several words is its title.
        draws: int from 1 to 63.
        seed: int, of the draws.

    Returns:
        A matplotlib `Figure`: the picture as it is, then the draws. The title names
        the policy and its CPU time in ms a picture, the least of three runs over a
        batch of these draws.

    Raises:
        ValueError: no single uint8 picture, or a number of draws outside its range.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.dtype != np.uint8 or not 1 <= draws <= MOST_DRAWS:
        raise ValueError(
            "One uint8 picture of shape (height, width, channels) is drawn, 1 to "
            f"{MOST_DRAWS} times. Received: shape {image.shape}, type {image.dtype}, "
            f"draws={draws!r}"
        )
    batch, spent = np.repeat(image[np.newaxis], draws, axis=0), []
    for _ in range(3):
        start = time.thread_time()
        changed = policy(batch, np.random.default_rng(seed))
        spent.append(1000 * (time.thread_time() - start) / draws)
    name = getattr(policy, "__name__", None) or repr(policy)
    lines = textwrap.wrap(legible([name], width=300, kind="policy")[0], 88)
    lines.append(f"{min(spent):.2g} ms of a processor for each picture")

    titles = ["as it is", *map(str, range(1, draws + 1))]
    figure = image_grid([image, *changed], titles=titles)
    width, height = figure.get_size_inches()
    words = max(map(ems, lines)) * SIZE / 72 + 0.2
    wide, tall = max(width, words), height + len(lines) * SIZE * 1.35 / 72 + 0.1
    figure.set_size_inches(wide, tall)  # pictures keep their size, the title gets room
    for axes in figure.axes:
        left, bottom, across, up = axes.get_position().bounds
        left = (left * width + (wide - width) / 2) / wide
        axes.set_position(
            (left, bottom * height / tall, across * width / wide, up * height / tall)
        )
    figure.text(
        0.5, 1 - 0.06 / tall, "\n".join(lines), ha="center", va="top", fontsize=SIZE,
        linespacing=1.2, **text_style(lines),
    )  # fmt: skip
    return figure
