"""Pictures and figures as addresses that hold them, so that a page needs no file."""

import base64
import io

import numpy as np
from PIL import Image

SMALL = 96  # pixels; smaller pictures are shown as they are, larger ones as JPEG


def drawing(figure):
    """Returns a figure as an address.

    Args:
        figure: matplotlib Figure.

    Returns:
        str that begins with "data:image/png".
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=144)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def photograph(pixels):
    """Returns one picture as an address: PNG if it is small, else JPEG.

    Args:
        pixels: uint8 array of shape (height, width, 1 or 3).

    Returns:
        str that begins with "data:image/".
    """
    grey = pixels.shape[-1] == 1
    image = Image.fromarray(np.array(pixels[..., 0] if grey else pixels))
    kind = "png" if max(image.size) <= SMALL else "jpeg"
    image.thumbnail((320, 320))
    file = io.BytesIO()
    image.save(file, format=kind, quality=85)
    return f"data:image/{kind};base64," + base64.b64encode(file.getvalue()).decode()
