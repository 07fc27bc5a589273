"""Looks at picture files one by one: what is in each that a person should know."""

import hashlib
from typing import NamedTuple

import cv2
import numpy as np

from cnnkit.data import decoding, depth, duplicates, opening
from cnnkit.data.reader import Reader
from cnnkit.data.threads import in_threads

SIDE = 256  # pixels; a picture is looked at in about this size, as a network would
DARKEST, BRIGHTEST = 82, 230  # grey levels that 99 % stay below, 95 % above
BLANK_SPAN = 8  # grey levels between the 1st and the 99th percentile
LEAST_DETAIL = 0.22  # see `detail`; sharp photographs have 0.3 to 1.5


class Look(NamedTuple):
    """What one picture is like.

    Attributes:
        content_hash: str, SHA-256 of the file, or None where it cannot be opened.
        width: int, pixels; 0 where it cannot be read.
        height: int, likewise.
        codes: tuple of (code, detail), codes of `codes.CODES`.
        thumbnail: uint8 array of shape (16, 16, 3) from `duplicates.fingerprint`, or
            None.
        kind: str, format and depth of the file, such as "PNG, 16 bit grey"; "" where
            there is none.
    """

    content_hash: str | None
    width: int
    height: int
    codes: tuple
    thumbnail: np.ndarray | None
    kind: str = ""


def look_at_files(paths):
    """Looks at picture files, several at a time, with progress on long work.

    Args:
        paths: list of `pathlib.Path`.

    Returns:
        A list of `Look`.
    """
    seen = list(in_threads(lambda i: look_at_file(paths[i]), len(paths)))
    for i in np.flatnonzero(depth.strays([look.kind for look in seen])):
        codes = (*seen[i].codes, ("other_format", depth.STRAY))
        seen[i] = seen[i]._replace(codes=codes)
    return seen


def look_at_file(path):
    """Looks at one picture file.

    Args:
        path: `pathlib.Path`.

    Returns:
        `Look`; of a file that cannot be read the code says why.
    """
    try:
        content = path.read_bytes()
    except PermissionError:
        found = ("no_permission", "it may not be read")
        return Look(None, 0, 0, (found,), None)
    except OSError as error:
        found = ("truncated", f"it cannot be opened ({error.strerror})")
        return Look(None, 0, 0, (found,), None)
    digest = hashlib.sha256(content).hexdigest()

    def about(native):
        return [2 * side * min(1, SIDE / max(native)) for side in native]

    try:
        seen = decoding.upright(content, Reader(), about, path.name)
    except opening.PictureError as error:
        return Look(digest, 0, 0, ((error.code, str(error)),), None)
    details = {"sixteen_bits": depth.scale(seen.white)}
    found = [(trait, details.get(trait, "")) for trait in seen.traits]
    end = opening.end_of_jpeg(content) if seen.kind[:5] == "JPEG," else len(content)
    if content[end:].strip(b"\0\r\n"):
        found.append(("trailing_bytes", f"{len(content) - end:,} bytes"))
    pixels = seen.pixels
    if (seen.least, seen.white) == (1, 255):  # a mask, unless its whole set is dark
        found.append(("two_levels", ""))
        pixels = 255 * pixels
    codes, thumbnail = (*found, *appearance(pixels)), duplicates.fingerprint(pixels)
    return Look(digest, seen.width, seen.height, codes, thumbnail, seen.kind)


def look_at_pixels(images):
    """Looks at pictures that have been read.

    Args:
        images: uint8 array of shape (n, height, width, 1 or 3).

    Returns:
        A list of `Look` without hashes.
    """
    looks = []
    for pixels in images:
        thumbnail, size = duplicates.fingerprint(pixels), pixels.shape[1::-1]
        looks.append(Look(None, *size, tuple(appearance(pixels)), thumbnail))
    return looks


def appearance(pixels):
    """Says whether a picture is blank, dark, bright or blurred.

    Args:
        pixels: uint8 array of shape (height, width) or (height, width, 1 or 3).

    Returns:
        A list of (code, detail), at most one for the light and one for the blur.
    """
    grey = pixels
    if pixels.ndim == 3:
        is_grey = pixels.shape[2] == 1
        grey = pixels[..., 0] if is_grey else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    scale = SIDE / max(grey.shape)
    if scale < 1:
        height, width = (max(1, round(scale * side)) for side in grey.shape)
        grey = decoding.resize(grey, width, height)
    levels = np.cumsum(np.bincount(grey.ravel(), minlength=256)) / grey.size
    low, dim, high = np.searchsorted(levels, (0.01, 0.05, 0.99))
    if high - low < BLANK_SPAN:
        return [("blank", f"grey levels {low} to {high} of 0 to 255")]
    found = []
    if high < DARKEST:
        found.append(("dark", f"99 % of it is below level {high + 1} of 255"))
    elif dim > BRIGHTEST:
        found.append(("bright", f"95 % of it is above level {dim - 1} of 255"))
    fine = detail(grey.astype("float32"))
    if fine < LEAST_DETAIL:
        found.append(("blurred", f"detail {fine:.2f}, sharp pictures have 0.3 to 1.5"))
    return found


def detail(grey):
    """Compares the finest structures of a picture with those of four times the size.

    In pictures of the world both are about as strong at every size (Field,
    "Relations between the statistics of natural images and the response properties
    of cortical cells", 1987). Blur takes the finest first. The ratio does not depend
    on contrast or light.

    Args:
        grey: float array of shape (height, width).

    Returns:
        float: the standard deviation of the Laplacian over that of the picture at a
        quarter of its size; 1.0 for a picture under 24 pixels, which says too little.
    """
    height, width = (side - side % 4 for side in grey.shape)
    if min(height, width) < 24:
        return 1.0
    blocks = grey[:height, :width].reshape(height // 4, 4, width // 4, 4)
    fine, coarse = _laplacian(grey), _laplacian(blocks.mean(axis=(1, 3)))
    return float(fine.std() / max(coarse.std(), 1e-6))


def _laplacian(grey):
    middle = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return around - 4 * middle
