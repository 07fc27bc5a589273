"""Pictures and figures as addresses that hold them, so that a page needs no file."""

from cnnkit import plots
from cnnkit.data.display import address
from cnnkit.data.reading import as_picture

SMALL = 96  # pixels; smaller pictures are shown as they are, larger ones as JPEG


def drawing(figure):
    """Returns a figure as an address.

    Args:
        figure: matplotlib Figure.

    Returns:
        str that begins with "data:image/png".
    """
    return address(lambda file: file.write(plots.png(figure)))


def photograph(pixels):
    """Returns one picture as an address: PNG if it is small, else JPEG.

    Args:
        pixels: uint8 array of shape (height, width, 1 or 3).

    Returns:
        str that begins with "data:image/".
    """
    image = as_picture(pixels)
    kind = "png" if max(image.size) <= SMALL else "jpeg"
    image.thumbnail((320, 320))
    return address(lambda file: image.save(file, kind, quality=85), kind)
