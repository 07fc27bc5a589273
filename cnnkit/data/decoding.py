"""From the bytes of picture files to pixels of one size, several files at a time."""

import hashlib
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageColor, ImageOps

from cnnkit.data import reading
from cnnkit.data.threads import in_threads

ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)  # of the EXIF standard
BITS_PER_SAMPLE = 258  # of the TIFF standard
TRAITS = {  # what a file may be, and what was done to read it
    "16 bit": "have 16 bits a channel and were scaled to 8",
    "animated": "hold several frames or pages; the first was read",
    "cmyk": "have printing colours (CMYK) and were converted",
    "named": "have another format than their names say, and were read all the same",
    "rotated": "carry the camera's rotation, which was applied",
    "transparent": "are transparent in places and were laid on {background}",
}
# What suffixes stand for, where Pillow's name of the format is not the suffix.
FORMATS = {"jpg": "jpeg", "jpe": "jpeg", "jfif": "jpeg", "tif": "tiff", "mpo": "jpeg"}


class Picture(NamedTuple):
    """A decoded picture.

    Attributes:
        pixels: uint8 array of shape (height, width, 1 or 3).
        width: int, pixels of the file, after its rotation was applied.
        height: int, likewise.
        traits: tuple of keys of `TRAITS`.
    """

    pixels: np.ndarray
    width: int
    height: int
    traits: tuple


def decode(content, reader, name=""):
    """Decodes a picture and fits it into a size.

    A rotation noted by the camera is applied, transparency is laid on the background,
    16-bit grey is scaled to 8 bits, the first frame of an animation is taken.

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

    pixels, native, traits = upright(content, reader, twice, name)
    pixels = _fitted(pixels, width, height, reader.fit, reader.background)
    return Picture(pixels.reshape(height, width, -1), *native, traits)


def upright(content, reader, wanted, name):
    """Decodes a picture, turned as it was seen, with nothing transparent.

    Args:
        content: bytes of the file.
        reader: `Reader`; its size and its fit do not matter here.
        wanted: function from the picture's (width, height) to the size that is enough:
            a JPEG may be decoded to a half, a quarter or an eighth, but not smaller.
        name: str, of the file, to see whether its suffix is true; "" for none.

    Returns:
        uint8 array of shape (height, width) for grey or (height, width, 3); the (width,
        height) of the file; its traits, a tuple of keys of `TRAITS`.

    Raises:
        PictureError: the picture cannot be decoded.
    """
    image = reading.open_picture(content)
    try:
        traits, turned = _traits(image, content, name), _turned(image)
        native = image.size[:: -1 if turned in SIDEWAYS else 1]
        if image.format in ("JPEG", "MPO"):
            if content.rfind(b"\xff\xd9", -65536) < 0:  # the end-of-image mark
                raise OSError("its end is missing")
            enough = [round(side) for side in wanted(native)]
            image.draft(reader.mode, enough[:: -1 if turned in SIDEWAYS else 1])
        if turned != 1:
            image, traits = ImageOps.exif_transpose(image), [*traits, "rotated"]
        if image.mode[0] in "IF":
            image = _eight_bits(image)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            if image.getextrema()[3][0] < 255:
                traits.append("transparent")
                paper = Image.new("RGBA", image.size, reader.background)
                image = Image.alpha_composite(paper, image)
        if image.mode != reader.mode:
            image = image.convert(reader.mode)
        return np.asarray(image), native, tuple(traits)
    except Exception as error:  # noqa: BLE001 - Pillow raises many kinds
        reason = f"it is damaged or cut short ({error})"
        raise reading.PictureError("truncated", reason) from error


def decode_all(paths, pixels, reader):
    """Decodes files into `pixels`, several at a time, with progress on long work.

    Args:
        paths: list of n `pathlib.Path`.
        pixels: uint8 array of shape (n, height, width, channels), to be filled.
        reader: `Reader` with a size.

    Returns:
        pandas.DataFrame with a row for each file: content_hash (SHA-256 of the file,
        hex), width, height (pixels of the file), traits (tuple of keys of `TRAITS`),
        and reason, which says why a file cannot be read and is None for all others.
    """

    def read(position):
        digest, path = None, paths[position]
        try:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            picture = decode(content, reader, path.name)
        except OSError as error:
            return digest, 0, 0, (), f"it cannot be opened ({error.strerror})"
        except ValueError as error:
            return digest, 0, 0, (), str(error)
        pixels[position] = picture.pixels
        return digest, picture.width, picture.height, picture.traits, None

    rows = list(in_threads(read, len(paths)))
    columns = ["content_hash", "width", "height", "traits", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _traits(image, content, name):
    """What is unusual about a picture that is open and not yet decoded."""
    traits, kind = [], image.format.lower()
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    if suffix and FORMATS.get(suffix, suffix) != FORMATS.get(kind, kind):
        traits.append("named")
    bits = content[24] if kind == "png" else 8
    if kind == "tiff":
        bits = max(image.tag_v2.get(BITS_PER_SAMPLE, (8,)))
    if bits == 16:
        traits.append("16 bit")
    if kind not in ("jpeg", "mpo") and getattr(image, "is_animated", False):
        traits.append("animated")
    if image.mode == "CMYK":
        traits.append("cmyk")
    return traits


def _turned(image):
    """How the camera was held, 1 to 8; 1 is upright."""
    turned = image.getexif().get(ORIENTATION, 1)
    return turned if turned in range(2, 9) else 1


def _eight_bits(image):
    """Grey of 16 bits, of 32 that hold 16, or of floats in [0, 255]."""
    values = np.asarray(image)
    if image.mode == "F":
        if not (
            np.isfinite(values).all() and 0 <= values.min() and values.max() <= 255
        ):
            raise ValueError("decimal numbers outside 0 to 255; save it with 8 bits")
        return Image.fromarray(np.rint(values).astype("uint8"))
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("whole numbers beyond 16 bits; save it with 8 bits")
    return Image.fromarray((values >> 8).astype("uint8"))


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
