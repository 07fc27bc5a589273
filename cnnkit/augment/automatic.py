"""TrivialAugment and RandAugment: the same 14 operations for any pictures.

Both draw operations for each picture. TrivialAugment has no setting at all and is hard
to beat; RandAugment has two. Operations do what those of Pillow do in the papers' code,
but move pictures bilinearly, and fill with the policy's border instead of grey. Look at
`label_safety` before you use them: they rotate, and change colours a lot.
"""

import cv2
import numpy as np

from cnnkit.augment.colour import GREY, saturations
from cnnkit.augment.pipeline import single, warp, within

LEVELS = 31  # of strength, both ends included
# What each operation does at level 0, how far the last level is from that, and whether
# a coin decides to which side: the wide ranges in the code of Mueller and Hutter.
TRIVIAL = {
    "identity": (0, 0, False),
    "autocontrast": (0, 0, False),
    "equalize": (0, 0, False),
    "rotate": (0, 135, True),  # degrees
    "solarize": (256, -256, False),  # grey level from which values are inverted
    "color": (0.01, 1.99, False),  # factors of PIL.ImageEnhance, 1 changes nothing
    "posterize": (8, -6, False),  # bits that are kept
    "contrast": (0.01, 1.99, False),
    "brightness": (0.01, 1.99, False),
    "sharpness": (0.01, 1.99, False),
    "shear_x": (0, 0.99, True),  # pixels to the side for each pixel down
    "shear_y": (0, 0.99, True),
    "translate_x": (0, 32, True),  # pixels
    "translate_y": (0, 32, True),
}
# The ranges of AutoAugment (Cubuk et al. 2019, appendix), which RandAugment took over.
# There pictures of 331 pixels move by up to 150, so these shifts are a share.
RANDOM = TRIVIAL | {
    "rotate": (0, 30, True),
    "color": (1, 0.9, True),
    "posterize": (8, -4, False),
    "contrast": (1, 0.9, True),
    "brightness": (1, 0.9, True),
    "sharpness": (1, 0.9, True),
    "shear_x": (0, 0.3, True),
    "shear_y": (0, 0.3, True),
    "translate_x": (0, 150 / 331, True),
    "translate_y": (0, 150 / 331, True),
}


def trivial_augment():
    """Does one of 14 operations to each picture, at any of 31 strengths.

    Mueller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data
    Augmentation", 2021, https://arxiv.org/abs/2103.10158, in its wide ranges. Shifts go
    to 32 pixels, which is all of a picture of that size.

    Returns:
        A policy; see `compose`. The paper flips and crops as well.
    """

    def draw(images, generator, border):
        n = len(images)
        names = generator.integers(0, len(TRIVIAL), n)
        levels = generator.integers(0, LEVELS, n) / (LEVELS - 1)
        return _done(images, TRIVIAL, names, levels, generator, border)

    return single("trivial_augment", "picture", draw)


def rand_augment(num_operations=2, magnitude=5.0):
    """Does several of 14 operations to each picture, all at one strength.

    Cubuk, Zoph, Shlens and Le, "RandAugment: Practical automated data augmentation with
    a reduced search space", 2020, https://arxiv.org/abs/1909.13719. Operations are
    drawn for each picture, and so is the side to which they change it; posterize grows
    with the magnitude, which in the paper's code it does not.

    Args:
        num_operations: int from 1 to 5, the paper's N.
        magnitude: float from 0 to 10, the paper's M. For ResNet-50 on ImageNet it
            takes N = 2 and M = 9; smaller networks and data want less (its figure 1).

    Returns:
        A policy; see `compose`.

    Raises:
        ValueError: a number outside its range.
    """
    count = int(within(num_operations, 1, 5, "`num_operations` counts operations"))
    magnitude = within(magnitude, 0, 10, "`magnitude` is the strength")

    def draw(images, generator, border):
        n, height, width, _ = images.shape
        sides = {"translate_x": width, "translate_y": height}
        table = RANDOM | {
            name: (0, RANDOM[name][1] * side, True) for name, side in sides.items()
        }
        for _ in range(count):
            names = generator.integers(0, len(table), n)
            levels = np.full(n, magnitude / 10)
            images = _done(images, table, names, levels, generator, border)
        return images

    return single("rand_augment", "picture", draw, count, magnitude)


def operate(image, name, value, *, border="reflect"):
    """Does one operation to one picture.

    Args:
        image: uint8 array of shape (height, width, 1 or 3).
        name: str, a key of `TRIVIAL`, whose comments say what the value means.
        value: float, how much.
        border: as for `compose`.

    Returns:
        uint8 array of the same shape, which may be the picture itself.
    """
    return OPERATIONS[name](image, value, border)


def _done(images, table, names, levels, generator, border):
    rows = list(table.items())
    sides = 1 - 2 * generator.integers(0, 2, len(images))
    changed = np.empty(images.shape, "uint8")
    for i, image in enumerate(images):
        name, (rest, reach, signed) = rows[names[i]]
        value = rest + reach * levels[i] * (sides[i] if signed else 1)
        changed[i] = operate(image, name, value, border=border)
    return changed


def _looked_up(image, table):
    """Replaces values by those of one table, (256,), or of one a channel, (256, c)."""
    table = np.clip(table, 0, 255).astype("uint8")
    if table.ndim == 2:
        table = table[np.newaxis]
    return cv2.LUT(image, table).reshape(image.shape)


def _autocontrast(image, value, border):
    """Darkest to 0 and brightest to 255, in each channel (PIL.ImageOps)."""
    flat = image.reshape(-1, image.shape[2])
    low = cv2.reduce(flat, 0, cv2.REDUCE_MIN).ravel().astype(float)
    high = cv2.reduce(flat, 0, cv2.REDUCE_MAX).ravel().astype(float)
    scale = 255 / np.maximum(high - low, 1)
    table = np.trunc(np.arange(256)[:, None] * scale - low * scale)
    return _looked_up(image, np.where(high > low, table, np.arange(256)[:, None]))


def _equalize(image, value, border):
    """Each grey level about as often, in each channel (PIL.ImageOps)."""
    tables = []
    for channel in range(image.shape[2]):
        counts = np.bincount(image[..., channel].ravel(), minlength=256)
        step = (counts.sum() - counts[np.flatnonzero(counts)[-1]]) // 255
        before = np.cumsum(counts) - counts
        tables.append((step // 2 + before) // step if step else np.arange(256))
    return _looked_up(image, np.stack(tables, axis=1))


def _solarize(image, value, border):
    grey = np.arange(256)
    return _looked_up(image, np.where(grey < value, grey, 255 - grey))


def _posterize(image, value, border):
    return _looked_up(image, np.arange(256) & (256 - 2 ** (8 - round(value))))


def _color(image, value, border):
    if image.shape[2] == 1:
        return image
    return cv2.transform(image, saturations(np.array([value]))[0, :3])


def _contrast(image, value, border):
    mean = cv2.mean(image)[: image.shape[2]]
    grey = np.rint(mean @ GREY if len(mean) == 3 else mean[0])
    return _looked_up(image, grey + value * (np.arange(256) - grey))


def _brightness(image, value, border):
    return _looked_up(image, value * np.arange(256))


def _sharpness(image, value, border):
    """Away from, or towards, a 3 x 3 blur; the outermost pixels stay as they are."""
    blur = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13  # PIL.ImageFilter.SMOOTH
    kernel = (1 - value) * blur
    kernel[1, 1] += value
    inside = slice(1, -1), slice(1, -1)
    changed = image.copy()
    filtered = cv2.filter2D(image, -1, kernel).reshape(image.shape)
    changed[inside] = filtered[inside]
    return changed


def _moved(image, rows, border):
    return warp(image[np.newaxis], np.array([[*rows, (0, 0, 1)]], float), border)[0]


def _rotate(image, value, border):
    cos, sin = np.cos(np.deg2rad(value)), np.sin(np.deg2rad(value))
    return _moved(image, ((cos, -sin, 0), (sin, cos, 0)), border)


def _shear_x(image, value, border):  # the upper edge stays where it is
    return _moved(image, ((1, value, value * len(image) / 2), (0, 1, 0)), border)


def _shear_y(image, value, border):  # the left edge stays where it is
    down = value * image.shape[1] / 2
    return _moved(image, ((1, 0, 0), (value, 1, down)), border)


def _translate_x(image, value, border):
    return _moved(image, ((1, 0, value), (0, 1, 0)), border)


def _translate_y(image, value, border):
    return _moved(image, ((1, 0, 0), (0, 1, value)), border)


OPERATIONS = {
    "identity": lambda image, value, border: image,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "rotate": _rotate,
    "solarize": _solarize,
    "color": _color,
    "posterize": _posterize,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
}
