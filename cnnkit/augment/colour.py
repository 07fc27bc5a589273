"""Colour: each picture's pixels go through one linear map of red, green and blue."""

import numpy as np

from cnnkit.augment.pipeline import single, within

GREY = np.array([0.299, 0.587, 0.114])  # how bright colours look: ITU-R BT.601


def colour_jitter(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0):
    """Changes brightness, contrast, saturation and hue, in this order.

    Values are cut at 0 and 255 once, at the end, where one change after the other
    would lose more.

    Args:
        brightness: float from 0 to 1: up to this share of 255 is added or taken away,
            as in `keras.layers.RandomBrightness`.
        contrast: float from 0 to 1: distances from the picture's mean grey level grow
            or shrink by up to this share, as in `PIL.ImageEnhance.Contrast`.
        saturation: float from 0 to 1: likewise distances from each pixel's grey, as in
            `PIL.ImageEnhance.Color`. Grey pictures have none.
        hue: float from 0 to 0.5, as a share of the colour circle: colours turn about
            the grey axis by up to this to either side. Grey pictures have none.

    Returns:
        A policy; see `compose`.

    Raises:
        ValueError: a number outside its range.
    """
    change = "is the largest change"
    brightness = within(brightness, 0, 1, f"`brightness` {change}, of 255")
    contrast = within(contrast, 0, 1, f"`contrast` {change}, of 1")
    saturation = within(saturation, 0, 1, f"`saturation` {change}, of 1")
    hue = within(hue, 0, 0.5, f"`hue` {change}, of the colour circle")

    def draw(generator, means):
        n, channels = means.shape
        limits = np.array([[brightness * 255], [contrast], [saturation], [hue]])
        shift, more, vivid, turn = generator.uniform(-limits, limits, (4, n))
        grey = means @ GREY if channels == 3 else means[:, 0]
        whole = np.tile(np.eye(channels + 1), (n, 1, 1))
        # (v + shift - middle) * (1 + more) + middle, with the middle grey + shift
        whole[:, range(channels), range(channels)] = 1 + more[:, None]
        whole[:, :channels, channels] = (shift - grey * more)[:, None]
        if channels == 3 and saturation:
            whole = saturations(1 + vivid) @ whole
        if channels == 3 and hue:
            whole = hues(turn) @ whole
        return whole

    settings = {"brightness": brightness, "contrast": contrast}
    settings |= {"saturation": saturation, "hue": hue}
    settings = [(name, value) for name, value in settings.items() if value]
    return single("colour_jitter", "colour", draw, *settings)


def saturations(factors):
    """Returns maps that bring colours nearer to grey, or further from it.

    Args:
        factors: float array of shape (n,); 0 makes grey, 1 changes nothing.

    Returns:
        float array of shape (n, 4, 4), maps of (red, green, blue, 1).
    """
    maps = np.tile(np.eye(4), (len(factors), 1, 1))
    factors = factors[:, None, None]
    maps[:, :3, :3] = factors * np.eye(3) + (1 - factors) * GREY
    return maps


def hues(turns):
    """Returns maps that turn colours about the grey axis.

    A third of a turn makes red green, green blue and blue red, as in the colour circle
    of HSV; between them the way is round, where that of HSV has corners.

    Args:
        turns: float array of shape (n,), in full turns.

    Returns:
        float array of shape (n, 4, 4), maps of (red, green, blue, 1).
    """
    maps = np.tile(np.eye(4), (len(turns), 1, 1))
    angles = 2 * np.pi * (np.asarray(turns)[:, None] - np.array([0, 1, 2]) / 3)
    shares = (1 + 2 * np.cos(angles)) / 3  # of a channel in itself and the next two
    for row in range(3):
        for column in range(3):
            maps[:, row, column] = shares[:, (row - column) % 3]
    return maps
