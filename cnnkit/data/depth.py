"""Pictures of more than 8 bits a channel: which scale they have, and how to see it.

Pillow takes the high byte of 16, whatever is in it: 12 bits become almost black.
"""

import math
import re
import sys

import numpy as np
from PIL import Image
from PIL import TiffImagePlugin as tiff

from cnnkit.data.opening import PictureError, open_picture

DNG, KIND_OF_PAGE = 50706, 254  # tags of TIFF files
STRAY = "its decimal numbers end at 1, those of others do not; save all alike"
BIG = sys.byteorder == "big"


def scale(white):
    """Says in words what becomes white: "values to 4,095 (12 bits)"."""
    bits = f" ({white.bit_length()} bits)" if white > 1 else ""
    return f"values to {white:,}{bits}"


def one_scale(facts):
    """The value that is white in all files, or None; the files to be read again."""
    deep = facts["traits"].map(lambda traits: "sixteen_bits" in traits).astype(bool)
    least, white = facts["least"], None
    facts.loc[strays(facts["kind"]), "reason"] = STRAY
    if deep.any():
        white = int(least[deep].max()) or 255
    elif least[facts["reason"].isna()].max() == 1:  # masks
        white, deep = 1, least == 1
    return white, np.flatnonzero(deep & (facts["white"] != white))


def strays(kinds):
    """Tells which files hold decimal numbers to 1, where others hold larger ones."""
    ends = [re.search("decimal to ([0-9]+)", kind) for kind in kinds]
    ends = np.array([int(end[1]) if end else 0 for end in ends])
    return (ends == 1) & (ends > 1).any()


def bits(image, content):
    """How many bits a channel has, or 8 where it has fewer."""
    if image.format == "PNG" and content[24:26] == b"\x10\4":  # its low byte is lost
        why = "it is a PNG of 16 bits with grey and transparency; save it with 8 bits"
        raise PictureError("other_format", why)
    if image.format == "PNG":
        return max(8, content[24])
    if image.format == "TIFF":
        return max(8, *image.tag_v2.get(tiff.BITSPERSAMPLE, (1,)))
    return 16 if image.mode[0] in "IF" else 8


def refuse_odd_layout(tags):
    """Refuses a TIFF that Pillow would read as something else, without a word."""
    depth = max(tags.get(tiff.BITSPERSAMPLE, (1,)))
    colours = tags.get(tiff.PHOTOMETRIC_INTERPRETATION, 0)
    samples, signed = tags.get(tiff.SAMPLESPERPIXEL, 1), tags.get(tiff.SAMPLEFORMAT)
    rgb = colours == 2 and tags.get(tiff.EXTRASAMPLES) != (1,)  # 1: alpha is in them
    apart = samples > 1 and tags.get(tiff.PLANAR_CONFIGURATION) == 2
    packed = tags.get(tiff.COMPRESSION, 1) != 1 and tags.prefix == b"MM"
    odd = {
        "a camera's raw picture": DNG in tags,
        "with a preview as its first page": tags.get(KIND_OF_PAGE, 0) & 1,
        "in Lab colours": colours == 8,
        "with white as zero": colours == 0 and depth > 8,
        f"with {samples} channels": samples > 4,
        "with its channels one after the other": apart and not (rgb and depth == 8),
        "with 16 bits of no RGB": samples > 1 and depth > 8 and not rgb,
        "with numbers below 0": signed == (2,) and depth == 8,
        "with its large numbers packed backwards": packed and samples == 1
        and (depth > 16 or signed == (2,)),
        "with a colour map of 8 bits": colours == 3
        and max(tags.get(tiff.COLORMAP, (256,))) < 256,
    }  # fmt: skip
    for how, is_so in odd.items():
        if is_so:
            why = f"it is a TIFF {how}, which is not read; save it as PNG"
            raise PictureError("other_format", why)


def eight_bits(image, content, white):
    """Scales to 8 bits: the picture, what became white, the least that could."""
    values = np.asarray(image)
    if values.dtype == np.uint8:  # of colours Pillow takes the high byte alone
        low = open_picture(content)
        low.tile = [_low_byte(tile) for tile in low.tile]
        values = values.astype("uint16") << 8 | np.asarray(low)
    numbers = values[..., :3] if values.ndim == 3 else values
    least, most = numbers.min(), numbers.max()
    if not 0 <= least <= most < 2**31:  # nor NaN
        why = f"it has numbers from {least:g} to {most:g}; save it with 8 bits"
        raise PictureError("other_format", why)
    fits = 2 ** math.ceil(most).bit_length() - 1  # 0, 1, 3, 7 ... 4095 ...
    fits = fits if fits <= 1 else max(255, fits)
    white = white or fits or 255
    eight = np.rint(np.minimum(values * np.float32(255 / white), 255)).astype("uint8")
    return Image.fromarray(eight), white, fits


def _low_byte(tile):
    """Tells Pillow to take the low byte of 16 where it would take the high one."""
    single = isinstance(tile.args, str)
    mode, *others = [tile.args] if single else tile.args
    mode = mode[:-1] + ("L" if mode[-1] == "B" or mode[-1] == "N" and BIG else "B")
    return tile._replace(args=mode if single else (mode, *others))
