"""Dials of `signs.draw` that spoil a world: copies and wrong labels; their limits."""

import math
from numbers import Real

import numpy as np
from PIL import Image

from cnnkit.data import corruptions
from cnnkit.data.sign_scenes import ATTRIBUTES, CLASS_NAMES, TEXTURES, pick

SIZES = (24, 256)  # smallest and largest picture, in pixels
WORDS = {
    "n": "the number of pictures",
    "size": "size",
    "seed": "seed",
    "groups": "groups",
    "signs": "the number of signs in a scene",
}
COPIES = ("same", "stored again", "smaller", "brighter", "cropped")


def near_copy(image, mask, boxes, chance):
    """Copies a picture as the same photograph comes into a folder twice.

    Args:
        image: uint8 array of shape (size, size, 3).
        mask: uint8 array of shape (size, size).
        boxes: float array of shape (k, 4): left, top, right, bottom in pixels.
        chance: `random.Random`.

    Returns:
        (image, mask, boxes, how): copies, and one of `COPIES`. "smaller": 0.5 to 0.9 of
        the side, and back; "brighter": up to 15 % more or less light; "cropped": at
        most 3 % from each side.
    """
    how, size = pick(chance, COPIES), len(image)
    picture = Image.fromarray(image)
    if how == "stored again":
        quality = 60 + int(30 * chance.random())
        picture = corruptions.stored(picture, quality)
    elif how == "smaller":
        side = round(size * (0.5 + 0.4 * chance.random()))
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
        picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    elif how == "brighter":
        light = pick(chance, (-1, 1)) * (0.05 + 0.1 * chance.random())
        picture = Image.fromarray((image * (1 + light)).clip(0, 255).astype("uint8"))
    elif how == "cropped":
        left, top, right, bottom = (0.03 * size * chance.random() for _ in range(4))
        window = (left, top, size - right, size - bottom)
        scale = size / (size - left - right), size / (size - top - bottom)
        picture = picture.resize((size, size), Image.Resampling.BICUBIC, box=window)
        mask = np.asarray(
            Image.fromarray(mask).resize(
                (size, size), Image.Resampling.NEAREST, box=window
            )
        )
        boxes = (np.asarray(boxes) - [left, top, left, top]) * [*scale, *scale]
        boxes = boxes.clip(0, size)
    return np.asarray(picture), mask, boxes, how


def said(scene, noise=0.0, chance=None):
    """Returns the labels of a scene, an int64 array, some of them wrong.

    Args:
        scene: `Scene`.
        noise: float, the share of wrong ones.
        chance: `random.Random`, for noise.
    """
    labels, others = [sign.label for sign in scene.signs], range(1, len(CLASS_NAMES))
    if noise:
        labels = [
            (label + (chance.random() < noise) * pick(chance, others))
            % len(CLASS_NAMES)
            for label in labels
        ]
    return np.array(labels, "int64")


def check(dials):
    """Raises ValueError unless `signs.draw` can draw with these dials.

    Args:
        dials: dict, its arguments by name.
    """
    for name, low, high in (
        ("n", 1, math.inf),
        ("size", *SIZES),
        ("seed", 0, math.inf),
        ("groups", 0, dials["n"]),
        ("signs", 1, 9),
    ):
        value = dials[name]
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or not low <= value <= high:
            limits = f"{low} or more" if high == math.inf else f"from {low} to {high}"
            raise ValueError(
                f"{WORDS[name]} must be a whole number, {limits}. Received: {value!r}"
            )
    for name, fits, limits in (
        ("imbalance", lambda v: 1 <= v < math.inf, "1 or more"),
        ("label_noise", lambda v: 0 <= v < 1, "from 0 to below 1"),
        ("duplicates", lambda v: 0 <= v < 1, "from 0 to below 1"),
        ("bias_strength", lambda v: 0 <= v <= 1, "from 0 to 1"),
    ):
        value = dials[name]
        if not isinstance(value, Real) or isinstance(value, bool) or not fits(value):
            raise ValueError(f"{name} must be a number {limits}. Received: {value!r}")
    if dials["corruption"] is not None:
        corruptions.check(dials["corruption"], dials["severity"])
    if dials["texture"] not in TEXTURES:
        raise ValueError(
            "texture must be None, 'agree' or 'conflict'. "
            f"Received: {dials['texture']!r}"
        )
    if dials["bias"]:
        _check_bias(dials["bias"])
    if dials["signs"] > 1 and (dials["bias"] or dials["groups"]):
        raise ValueError(
            "bias and groups are about one sign in a picture. Draw with signs=1, or "
            f"without them. Received: signs={dials['signs']!r}"
        )


def _check_bias(bias):
    values = {value for values in ATTRIBUTES.values() for value in values}
    for known, given, what in (
        (CLASS_NAMES, bias, "a class of `signs.CLASS_NAMES`"),
        (sorted(values), bias.values(), "a light, weather, background or region"),
    ):
        for word in given:
            if word not in known:
                raise ValueError(
                    f"bias goes from a class name to an attribute, such as "
                    f"{{'stop': 'night'}}; {word!r} is not {what}. Known: "
                    f"{', '.join(known)}. Received: {bias!r}"
                )
