"""Reads picture files: which files count, what is wrong with a bad one, and pixels."""

import hashlib
import io
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = {
    ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp",
}  # fmt: skip
JUNK_FOLDERS = {"__MACOSX", "__pycache__"}
JUNK_FILES = {"thumbs.db", "desktop.ini"}
LEFT_OUT = {  # why a file or folder is not read
    "denied": "without the permission to be read",
    "format": "in a format that is not read here",
    "hidden": "hidden or made by a system",
    "link": "links that lead out of the folder, to a folder, or nowhere",
    "name": "with bytes in the name that are not Unicode",
    "special": "no files but pipes, sockets or devices",
}
MOST_PIXELS = 50_000_000  # a picture that claims more is a mistake or an attack


class UnreadablePictureError(ValueError):
    """Some picture files cannot be read; the message names each with its reason."""


def is_junk(path):
    """Tells whether a file or folder is left behind by a system, not by a person.

    Args:
        path: `pathlib.Path` of a file or folder.

    Returns:
        True for hidden names and for what macOS, Windows and Jupyter add.
    """
    name = path.name
    return name.startswith(".") or name in JUNK_FOLDERS or name.lower() in JUNK_FILES


def is_unicode(path):
    """Tells whether the name of a file or folder can be written as text.

    Args:
        path: `pathlib.Path`.

    Returns:
        False where the name has bytes that are no UTF-8.
    """
    return path.name.isascii() or not any("\udc80" <= c <= "\udcff" for c in path.name)


def picture_files(folder, root):
    """Lists the picture files of a folder and of all folders in it.

    Args:
        folder: `pathlib.Path`. Links to other folders are not followed.
        root: `pathlib.Path` of the whole set; a link to a file outside is not read.

    Returns:
        A sorted list of paths: pictures (judged by the suffix, or by the content
        where there is none); and a sorted list of (path, why) of all that is left
        out, `why` being a key of `LEFT_OUT`.
    """
    pictures, left_out = [], []

    def denied(error):
        left_out.append((type(folder)(error.filename), "denied"))

    for here, folders, names in os.walk(folder, onerror=denied):
        here = type(folder)(here)
        for name in list(folders):
            why = _why_not_folder(here / name)
            if why:
                folders.remove(name)
                left_out.append((here / name, why))
        for path in (here / name for name in names):
            why = _why_not_file(path, root)
            if why:
                left_out.append((path, why))
            else:
                pictures.append(path)
    return sorted(pictures), sorted(left_out)


def _why_not_folder(path):
    if is_junk(path):
        return "hidden"
    if path.is_symlink():
        return "link"
    return None if is_unicode(path) else "name"


def _why_not_file(path, root):
    if is_junk(path):
        return "hidden"
    if path.is_symlink():
        try:
            inside = path.resolve(strict=True).is_relative_to(root)
        except (OSError, RuntimeError):  # it leads nowhere, or in a circle
            inside = False
        if not inside:
            return "link"
    if not path.is_file():
        return "special"
    if not is_unicode(path):
        return "name"
    return None if _looks_like_picture(path) else "format"


def open_picture(content):
    """Opens an encoded picture without decoding it yet.

    Args:
        content: bytes of the file.

    Returns:
        A `PIL.Image.Image`.

    Raises:
        ValueError: the bytes are no picture; the message is a short reason.
    """
    if not content:
        raise ValueError("the file is empty")
    try:
        image = Image.open(io.BytesIO(content))
    except Exception as error:  # noqa: BLE001 - Pillow raises many kinds
        raise ValueError(_guess(content)) from error
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(
            f"it has {image.width} x {image.height} pixels, more than the "
            f"{MOST_PIXELS // 1_000_000} million that are accepted"
        )
    return image


def decode(content, height, width, *, grey):
    """Decodes a picture and resizes it; the aspect ratio is not kept.

    A rotation noted by the camera is applied, transparency is laid on white, 16-bit
    grey is scaled to 8 bits.

    Args:
        content: bytes of the file.
        height: int, pixels.
        width: int, pixels.
        grey: bool, True for one channel, False for RGB.

    Returns:
        uint8 array of shape (height, width, 1 or 3).

    Raises:
        ValueError: the picture cannot be decoded; the message is a short reason.
    """
    image = open_picture(content)
    mode = "L" if grey else "RGB"
    try:
        if image.format == "JPEG":
            if b"\xff\xd9" not in content[-65536:]:  # the end-of-image mark
                raise OSError("its end is missing")
            image.draft(mode, (2 * width, 2 * height))  # libjpeg scales for free
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) >> 8).astype("uint8"))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            paper = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(paper, image)
        image = image.convert(mode)
        if image.size != (width, height):
            image = image.resize(
                (width, height), Image.Resampling.BILINEAR, reducing_gap=2.0
            )
    except Exception as error:  # noqa: BLE001 - Pillow raises many kinds
        raise ValueError(f"it is damaged or cut short ({error})") from error
    return np.asarray(image, dtype="uint8").reshape(height, width, -1)


def decode_all(paths, pixels, *, grey):
    """Decodes files into `pixels`, several at a time, with progress on long work.

    Args:
        paths: list of n `pathlib.Path`.
        pixels: uint8 array of shape (n, height, width, channels), to be filled.
        grey: bool, as in `decode`.

    Returns:
        A list of n SHA-256 hex digests of the files, and a dict from the position
        of each unreadable file to the reason.
    """
    height, width = pixels.shape[1:3]

    def read(position):
        digest, reason = None, None
        try:
            content = paths[position].read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            pixels[position] = decode(content, height, width, grey=grey)
        except OSError as error:
            reason = f"it cannot be opened ({error.strerror})"
        except ValueError as error:
            reason = str(error)
        return digest, reason

    digests, reasons, last_word = [], {}, time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for position, (digest, reason) in enumerate(pool.map(read, range(len(paths)))):
            digests.append(digest)
            if reason is not None:
                reasons[position] = reason
            if time.monotonic() - last_word > 5:
                last_word = time.monotonic()
                print(f"read {position + 1:,} of {len(paths):,} pictures")
    return digests, reasons


def unreadable(paths, reasons, folder):
    """Returns the error that names every unreadable file with its reason.

    Args:
        paths: list of `pathlib.Path`.
        reasons: dict from positions in `paths` to str.
        folder: `pathlib.Path`, names are given relative to it.

    Returns:
        An `UnreadablePictureError`, to be raised.
    """
    lines = [
        f"  {str(paths[position].relative_to(folder))!r}: {reason}"
        for position, reason in list(reasons.items())[:20]
    ]
    if len(reasons) > 20:
        lines.append(f"  ... and {len(reasons) - 20} more")
    return UnreadablePictureError(
        f"{len(reasons)} of {len(paths)} picture files cannot be read. Repair or "
        "remove them, or go on without them with unreadable='skip'. Received:\n"
        + "\n".join(lines)
    )


def _looks_like_picture(path):
    if path.suffix:
        return path.suffix.lower() in SUFFIXES
    try:
        Image.open(path).close()
    except Exception:  # noqa: BLE001 - Pillow raises many kinds
        return False
    return True


def _guess(content):
    """Says what a file that is no picture seems to be."""
    start = content[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is an HTML page, not a picture (a download that failed?)"
    if b"ftypheic" in start or b"ftypmif1" in start:
        return "it is a HEIC picture; save it as JPEG or PNG"
    if start.isascii() and all(byte >= 9 for byte in start):
        return "it is text, not a picture"
    return f"it is not a picture in a known format (it begins {content[:8]!r})"
