"""How files become pixels: one record for training, predicting and the file."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import ImageColor

FITS = ("resize", "crop", "pad")


@dataclass(frozen=True)
class Reader:
    """What is done to a picture file before a model sees it.

    A model must see new pictures as it saw those that it learnt from, so this record
    stays with the data (`ImageData.reader`) and travels in the model's file.

    Attributes:
        image_size: (height, width) in pixels, or None where it is still open.
        grey: bool, True reads one channel of grey, False three of RGB.
        fit: "resize", "crop" or "pad", as for `from_folder`.
        background: str, the colour behind transparent and around padded pictures.
        white: int, the value that becomes 255 in pictures of more than 8 bits a channel
            (1: of 8 bits as well, where a picture holds 0 and 1 alone), or None: each
            has the least of 1, 255, 511, 1023 ... 65535 that holds its values.
    """

    image_size: tuple | None = None
    grey: bool = False
    fit: str = "resize"
    background: str = "white"
    white: int | None = None

    def __post_init__(self):
        """Checks the record, whoever made it."""
        if self.image_size is not None:
            object.__setattr__(self, "image_size", sides(self.image_size))
        if self.fit not in FITS:
            raise ValueError(
                "`fit` is 'resize' (squeezes), 'crop' (cuts the longer side) or 'pad' "
                f"(adds background). Received: fit={self.fit!r}"
            )
        try:
            ImageColor.getrgb(self.background)
        except (ValueError, AttributeError) as error:
            raise ValueError(
                "`background` is the name of a colour, such as 'white', or '#rrggbb'. "
                f"Received: background={self.background!r}"
            ) from error
        if not (self.white is None or isinstance(self.white, int) and self.white > 0):
            raise ValueError(
                "`white` is the whole number that becomes 255, such as 4095, or None. "
                f"Received: white={self.white!r}"
            )

    @property
    def mode(self):
        """Pillow's name for the pixels: "L" or "RGB"."""
        return "L" if self.grey else "RGB"

    def sized(self, image_size):
        """The same record for another size, int or (height, width)."""
        return replace(self, image_size=image_size)


def sides(image_size):
    """Returns (height, width) of a size that is given as one number or two.

    Args:
        image_size: int or (height, width), pixels from 8 to 1024.

    Returns:
        Two int.

    Raises:
        ValueError: it is something else.
    """
    both = (image_size,) * 2 if np.isscalar(image_size) else tuple(image_size)
    whole = all(isinstance(side, int | np.integer) for side in both)
    if len(both) != 2 or not whole or not all(8 <= side <= 1024 for side in both):
        raise ValueError(
            "`image_size` is a number of pixels or (height, width), from 8 to 1024. "
            f"Received: image_size={image_size!r}"
        )
    return int(both[0]), int(both[1])
