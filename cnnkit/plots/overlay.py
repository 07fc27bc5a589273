"""Pictures under their heat, as arrays, for pages that place pictures themselves."""

import numpy as np
from matplotlib import colormaps

SHARE = 0.6  # of the heat's colour; the rest is the picture in grey


def overlay(images, heats):
    """Paints heat over pictures.

    Args:
        images: pixels in [0, 255], shape (n, h, w, 1 or 3).
        heats: float array of shape (n, h, w), 0 to 1, as from `explain.grad_cam`.

    Returns:
        uint8 array of shape (n, h, w, 3): the picture in grey under its heat, from dark
        to bright, as in `plots.heat_maps`.

    Raises:
        ValueError: the shapes do not fit.
    """
    images, heats = np.asarray(images, "float64"), np.asarray(heats, "float64")
    if images.ndim != 4 or heats.shape != images.shape[:3]:
        raise ValueError(
            "`heats` has a number for each pixel of each picture. Received: heat of "
            f"shape {heats.shape}, pictures of shape {images.shape}"
        )
    grey = np.repeat(images.mean(axis=3, keepdims=True), 3, axis=3)
    colours = 255 * colormaps["inferno"](np.clip(heats, 0, 1))[..., :3]
    return np.clip((1 - SHARE) * grey + SHARE * colours, 0, 255).astype("uint8")
