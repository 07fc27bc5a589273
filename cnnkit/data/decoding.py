"""From the bytes of picture files to pixels of one size, several files at a time."""

import hashlib
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageColor

from cnnkit.data import depth
from cnnkit.data.opening import PictureError, end_of_jpeg, limited, open_picture
from cnnkit.data.threads import in_threads

ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)  # of the EXIF standard
TRAITS = {  # codes of what a file may be: what was done to read it
    "animated": "hold several frames or pages; the first was read",
    "clipped": "are brighter than those that were learnt from ({white}); what is above "
    "became white",
    "colour_profile": "have a colour profile other than sRGB, which was not applied",
    "printing_colours": "have printing colours (CMYK) and were converted",
    "rotated": "carry the camera's rotation, which was applied",
    "sixteen_bits": "have more than 8 bits a channel: {white} became 0 to 255",
    "transparent": "are transparent in places and were laid on {background}",
    "two_levels": "hold the values 0 and 1 alone, which became black and white",
    "wrong_name": "have another format than their names say, and were read anyway",
}
# What suffixes stand for, where Pillow's name of the format is not the suffix.
FORMATS = {
    **dict.fromkeys(("jpg", "jpe", "jfif", "mpo"), "jpeg"),
    **dict.fromkeys(("jp2", "j2k", "j2c", "jpc", "jpf", "jpx"), "jpeg2000"),
    **dict.fromkeys(("pbm", "pgm", "pnm", "pfm"), "ppm"),
    **{"apng": "png", "dib": "bmp", "tif": "tiff"},
}
TURNS = dict(enumerate((0, 3, 1, 5, 4, 6, 2), start=2))  # EXIF: `Image.Transpose`


class Picture(NamedTuple):
    """A decoded picture.

    Attributes:
        pixels: uint8 array of shape (height, width, 1 or 3), or (height, width).
        width: int, pixels of the file, after its rotation was applied.
        height: int, likewise.
        traits: tuple of keys of `TRAITS`.
        white: int, the value of the file that became 255.
        least: int, the lowest that could be so: the scale that its own values fit.
        kind: str, format, depth and colours of the file.
    """

    pixels: np.ndarray
    width: int
    height: int
    traits: tuple
    white: int = 255
    least: int = 255
    kind: str = ""


def decode(content, reader, name=""):
    """Decodes a picture and fits it into a size.

    A rotation noted by the camera is applied, transparency is laid on the background,
    more than 8 bits are scaled to 8, the first frame of an animation is taken.

    Args:
        content: bytes of the file.
        reader: `Reader` with a size.
        name: str, of the file, to see whether its suffix is true; "" for none.

    Returns:
        `Picture`.

    Raises:
        PictureError: the picture cannot be decoded; the message is a short reason.
    """
    height, width = reader.image_size

    def twice(native):  # libjpeg halves for free; that leaves enough to resize well
        return [2 * side for side in _whole(native, width, height, reader.fit)]

    seen = upright(content, reader, twice, name)
    pixels = _fitted(seen.pixels, width, height, reader.fit, reader.background)
    return seen._replace(pixels=pixels.reshape(height, width, -1))


def upright(content, reader, wanted, name):
    """Decodes a picture, turned as it was seen, with nothing transparent.

    Args:
        content: bytes of the file.
        reader: `Reader`; its size and its fit do not matter here.
        wanted: function from the picture's (width, height) to the size that is enough:
            a JPEG may be decoded to a half, a quarter or an eighth, but not smaller.
        name: str, of the file, to see whether its suffix is true; "" for none.

    Returns:
        `Picture`, its pixels of shape (height, width) for grey or (height, width, 3).

    Raises:
        PictureError: the picture cannot be decoded.
    """
    image = open_picture(content)
    try:
        bits, turned = depth.bits(image, content), image.getexif().get(ORIENTATION, 1)
        traits = _traits(image, name, bits, turned)
        jpeg, is_grey = image.format == "JPEG", image.mode[0] in "1LIF"
        kind, used = image.format, "decimal to" if image.mode == "F" else f"{bits} bit"
        if image.format == "TIFF":
            depth.refuse_odd_layout(image.tag_v2)
            image.load()  # which turns it
            turned = 1
        native = image.size[:: -1 if turned in SIDEWAYS else 1]
        if jpeg:
            if end_of_jpeg(content) < 0:
                raise OSError("its end is missing")
            enough = [round(side) for side in wanted(native)]
            image.draft(reader.mode, enough[:: -1 if turned in SIDEWAYS else 1])
            limited(image.size)
        white = least = 255
        if bits > 8:
            image, white, least = depth.eight_bits(image, content, reader.white)
            traits += ["clipped"] * (least > white)
            used += f" {least}" if used[0] == "d" else f", {least.bit_length()} used,"
        if turned in TURNS:
            image = image.transpose(TURNS[turned])
        if image.has_transparency_data:
            image = image.convert("RGBA")
            if image.getextrema()[3][0] < 255:
                traits.append("transparent")
                paper = Image.new("RGBA", image.size, reader.background)
                image = Image.alpha_composite(paper, image)
        if image.mode != reader.mode:
            image = image.convert(reader.mode)
        pixels = np.asarray(image)
        if bits == 8 and not jpeg and pixels.max() <= 1:
            least = int(pixels.max())
            if reader.white == 1:
                pixels, white = 255 * pixels, 1
                traits.append("two_levels")
        kind = f"{kind}, {used} {'grey' if is_grey else 'colour'}"
        return Picture(pixels, *native, tuple(traits), white, least, kind)
    except PictureError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow raises many kinds
        reason = f"it is damaged or cut short ({error})"
        raise PictureError("truncated", reason) from error


def decode_all(paths, pixels, reader, which=None):
    """Decodes files into `pixels`, several at a time, with progress on long work.

    Args:
        paths: list of n `pathlib.Path`.
        pixels: uint8 array of shape (n, height, width, channels), to be filled.
        reader: `Reader` with a size.
        which: positions of the files to decode, or None for all.

    Returns:
        pandas.DataFrame with a row for each file: content_hash (SHA-256 of the file,
        hex), the fields of `Picture` without its pixels, and reason, which says why a
        file cannot be read and is None for all others.
    """
    which = range(len(paths)) if which is None else which

    def read(i):
        digest, path = None, paths[which[i]]
        try:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            picture = decode(content, reader, path.name)
        except OSError as error:
            reason = f"it cannot be opened ({error.strerror})"
            return digest, 0, 0, (), 255, 255, "", reason
        except ValueError as error:
            return digest, 0, 0, (), 255, 255, "", str(error)
        pixels[which[i]] = picture.pixels
        return digest, *picture[1:], None

    columns = ["content_hash", *Picture._fields[1:], "reason"]
    return pd.DataFrame(in_threads(read, len(which)), index=which, columns=columns)


def _traits(image, name, bits, turned):
    """What is unusual about a picture that is open and not yet decoded."""
    kind, traits = image.format.lower(), []
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    if suffix and FORMATS.get(suffix, suffix) != FORMATS.get(kind, kind):
        traits.append("wrong_name")
    profile = image.info.get("icc_profile") or b"sRGB"
    if b"sRGB" not in profile and "sRGB".encode("utf-16-be") not in profile:
        traits.append("colour_profile")
    found = {
        "animated": getattr(image, "is_animated", False),
        "printing_colours": image.mode == "CMYK",
        "rotated": turned in TURNS,
        "sixteen_bits": bits > 8,
    }
    return traits + [trait for trait in found if found[trait]]


def _whole(native, width, height, fit):
    """The size that the whole picture has when its part or all fits: (w, h)."""
    if fit == "resize":
        return width, height
    scale = width / native[0], height / native[1]
    scale = max(scale) if fit == "crop" else min(scale)
    return native[0] * scale, native[1] * scale


def without_padding(pixels, native):
    """Returns the part of a padded picture that was in its file.

    Args:
        pixels: uint8 array of shape (height, width, channels), from fit="pad".
        native: (width, height) of the file.

    Returns:
        A view of `pixels`.
    """
    height, width = pixels.shape[:2]
    left, top, inner_width, inner_height = _padded(native, width, height)
    return pixels[top : top + inner_height, left : left + inner_width]


def _padded(native, width, height):
    """Where a picture lies on its padding: (left, top, width, height)."""
    inner = [max(1, round(side)) for side in _whole(native, width, height, "pad")]
    return (width - inner[0]) // 2, (height - inner[1]) // 2, *inner


def _fitted(pixels, width, height, fit, background):
    """Brings uint8 pixels of shape (h, w) or (h, w, 3) to (height, width, ...)."""
    native = pixels.shape[1::-1]
    if fit == "crop":
        scale = max(width / native[0], height / native[1])
        across = min(round(width / scale), native[0])
        down = min(round(height / scale), native[1])
        left, top = (native[0] - across) // 2, (native[1] - down) // 2
        pixels = pixels[top : top + down, left : left + across]
    if fit != "pad":
        return resize(pixels, width, height)
    left, top, inner_width, inner_height = _padded(native, width, height)
    inner = resize(pixels, inner_width, inner_height)
    mode = "L" if pixels.ndim == 2 else "RGB"
    paper = np.empty((height, width, *pixels.shape[2:]), "uint8")
    paper[...] = ImageColor.getcolor(background, mode)
    paper[top : top + inner_height, left : left + inner_width] = inner
    return paper


def resize(pixels, width, height):
    """Returns a picture in another size.

    Where it shrinks, a new pixel is the mean of all that it covers, and nothing fine
    turns into a pattern that was not there; where it grows, it is bilinear. The mean
    over less than two pixels is that of four bilinear points, in half of the time.

    Args:
        pixels: uint8 array of shape (h, w) or (h, w, 1 or 3).
        width: int, pixels.
        height: int, pixels.

    Returns:
        uint8 array of shape (height, width) or (height, width, 3).
    """
    rows, columns = pixels.shape[:2]
    steps = (cv2.INTER_LINEAR, cv2.INTER_AREA)
    between = width * (1 + (columns > width)), height * (1 + (rows > height))
    if columns >= 2 * width or rows >= 2 * height:
        steps = (cv2.INTER_AREA, cv2.INTER_LINEAR)
        between = min(width, columns), min(height, rows)
    for size, way in zip((between, (width, height)), steps, strict=True):
        if pixels.shape[1::-1] != size:
            pixels = cv2.resize(pixels, size, interpolation=way)
    return pixels
