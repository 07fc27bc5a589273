"""Erasing: a network that sees part of a thing must know more than one part."""

import numpy as np

from cnnkit.augment.pipeline import single, within

SMALLEST = 0.02  # of the area; and how long and narrow (Zhong et al., section 5)
RATIO = 1 / 0.3


def erasing(probability=0.5, *, largest=0.4):
    """Covers a box in some of the pictures with noise.

    Zhong, Zheng, Kang, Li and Yang, "Random Erasing Data Augmentation", 2017,
    https://arxiv.org/abs/1708.04896, algorithm 1, with random values. Where the paper
    draws again, a box that is longer than the picture is cut at its border.

    Args:
        probability: float from 0 to 1, the share of pictures.
        largest: float from 0.02 to 1, the largest box as a share of the area.

    Returns:
        A policy; see `compose`.

    Raises:
        ValueError: a number outside its range.
    """
    probability = within(probability, 0, 1, "`probability` is a share of pictures")
    largest = within(largest, SMALLEST, 1, "`largest` is a share of the area")

    def draw(images, generator, border):
        n, height, width, channels = images.shape
        chosen = generator.random(n) < probability
        area = generator.uniform(SMALLEST, largest, n)
        ratio = np.exp(generator.uniform(-1, 1, n) * np.log(RATIO))
        sides = (np.sqrt(area / ratio), np.sqrt(area * ratio))
        boxes = place(sides, generator.random((2, n)), height, width)
        images = images.copy()
        for i in np.flatnonzero(chosen):
            top, bottom, left, right = boxes[:, i]
            shape = (bottom - top, right - left, channels)
            noise = generator.integers(0, 256, shape, dtype="uint8")
            images[i, top:bottom, left:right] = noise
        return images

    return single("erasing", "picture", draw, probability, ("largest", largest))


def place(sides, places, height, width):
    """Places boxes inside pictures.

    Args:
        sides: heights and widths, as shares of the picture, each of shape (n,).
        places: float array of shape (2, n) from 0 to 1; 0 is as far up or left as the
            box goes without leaving the picture, 1 as far down or right.
        height: int, of the pictures, in pixels.
        width: int, in pixels.

    Returns:
        int array of shape (4, n): top, bottom, left and right, in pixels.
    """
    tall = np.rint(np.clip(sides[0], 0, 1) * height).astype(int)
    wide = np.rint(np.clip(sides[1], 0, 1) * width).astype(int)
    top = (places[0] * (height - tall + 1)).astype(int)
    left = (places[1] * (width - wide + 1)).astype(int)
    return np.stack([top, top + tall, left, left + wide])
