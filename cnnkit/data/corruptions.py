"""Spoils a picture as cameras and files do: noise, blur, light, coarse pixels, JPEG.

Kinds and strengths are those of ImageNet-C (Hendrycks and Dietterich, "Benchmarking
Neural Network Robustness to Common Corruptions and Perturbations", ICLR 2019). Lengths
are fractions of the picture's side, so that a strength means the same at every size.
"""

import io

import numpy as np
from PIL import Image, ImageFilter

__all__ = ["CORRUPTIONS", "corrupt"]

CORRUPTIONS = {  # name: strength at severity 1 to 5
    "noise": (0.08, 0.12, 0.18, 0.26, 0.38),  # standard deviation, white is 1
    "shot noise": (60, 25, 12, 5, 3),  # photons that make white
    "blur": (1 / 224, 2 / 224, 3 / 224, 4 / 224, 6 / 224),  # radius, the side is 1
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),  # added to the largest channel
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),  # what is left of it
    "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),  # what is left of the side
    "jpeg": (25, 18, 15, 10, 7),  # quality
}


def corrupt(image, name, *, severity=1, seed=0):
    """Returns a spoiled copy of a picture.

    Args:
        image: uint8 array of shape (height, width, 3).
        name: str, a key of `CORRUPTIONS`.
        severity: int from 1 (light) to 5 (hard to recognise).
        seed: int or a sequence of them, for "noise" and "shot noise".

    Returns:
        uint8 array of the same shape.

    Raises:
        ValueError: the name or the severity is unknown.
    """
    check(name, severity)
    strength = CORRUPTIONS[name][severity - 1]
    if name in ("blur", "pixelate", "jpeg"):
        return np.asarray(_file(Image.fromarray(image), name, strength))
    values, rng = image / 255, np.random.default_rng(seed)
    if name == "noise":
        values = values + strength * rng.standard_normal(image.shape)
    elif name == "shot noise":
        values = rng.poisson(values * strength) / strength
    elif name == "contrast":
        mean = values.mean(axis=(0, 1))
        values = mean + strength * (values - mean)
    else:  # brightness: the hue stays
        largest = values.max(axis=-1, keepdims=True)
        wanted = np.minimum(largest + strength, 1)
        values = np.where(largest > 0, values / np.maximum(largest, 1e-9), 1) * wanted
    return (255 * np.clip(values, 0, 1)).round().astype("uint8")


def _file(picture, name, strength):
    """What PIL does best: a blurred, coarse or badly stored picture."""
    if name == "blur":
        return picture.filter(ImageFilter.GaussianBlur(strength * max(picture.size)))
    if name == "jpeg":
        return stored(picture, strength)
    small = [max(1, int(strength * side)) for side in picture.size]
    coarse = picture.resize(small, Image.Resampling.BOX)
    return coarse.resize(picture.size, Image.Resampling.BOX)


def stored(picture, quality):
    """Returns a PIL picture as a JPEG file gives it back.

    Args:
        picture: `PIL.Image.Image`, L or RGB.
        quality: int from 1 to 95.
    """
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


def check(name, severity):
    """Raises ValueError unless there is such a corruption at such a severity."""
    if name not in CORRUPTIONS:
        raise ValueError(
            f"corruption must be one of {', '.join(map(repr, CORRUPTIONS))}. "
            f"Received: {name!r}"
        )
    if severity not in range(1, 6) or isinstance(severity, bool):
        raise ValueError(
            f"severity must be a whole number from 1 to 5. Received: {severity!r}"
        )
