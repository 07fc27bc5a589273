"""Opens the content of a picture file, or says what it is instead."""

import io
import re

from PIL import Image, JpegImagePlugin

# Pillow's readers that are used, and no others: each is a way in for bad files. TGA
# files have no mark at their start, so they come last.
FORMATS = (
    "JPEG", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000",
    "ICO", "TGA",
)  # fmt: skip
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM")  # of files that are read
OTHER_STARTS = {  # of pictures and drawings that are not, by what Pillow cannot open
    b"8BPS": "a Photoshop picture", b"v/1\x01": "an OpenEXR picture",
    b"#?RADIANCE": "a Radiance (HDR) picture", b"\xff\x0a": "a JPEG XL picture",
    b"\x00\x00\x00\x0cJXL ": "a JPEG XL picture", b"II\xbc": "a JPEG XR picture",
    b"II*\x00": "a TIFF of a layout", b"MM\x00*": "a TIFF of a layout",
    b"II+\x00": "a BigTIFF of a layout", b"MM\x00+": "a BigTIFF of a layout",
    b"IIRO": "a camera's raw picture", b"IIU\x00": "a camera's raw picture",
    b"FUJIFILMCCD-RAW": "a camera's raw picture", b"SIMPLE  =": "a FITS picture",
    b"\x93NUMPY": "a NumPy array", b"gimp xcf": "a GIMP picture",
    b"qoif": "a QOI picture", b"DDS ": "a DDS texture", b"icns": "an icon of macOS",
    b"\x00\x00\x02\x00": "a mouse pointer", b"AT&TFORM": "a DjVu document",
    b"%PDF": "a PDF document", b"%!PS": "a PostScript drawing",
    b"\xd7\xcd\xc6\x9a": "a Windows drawing (WMF)",
}  # fmt: skip
BRANDS = {  # what is written at byte 8 of files that have "ftyp" at byte 4
    b"avif": "an AVIF picture of a kind", b"avis": "an AVIF picture of a kind",
    b"heic": "a HEIC picture", b"heix": "a HEIC picture", b"hevc": "a HEIC picture",
    b"heim": "a HEIC picture", b"mif1": "a HEIC picture", b"msf1": "a HEIC picture",
    b"crx ": "a camera's raw picture",
}  # fmt: skip
MOST_PIXELS = 64_000_000  # in memory; a picture of more is a mistake or an attack
MOST_OF_JPEG = 256_000_000  # a telephone's: it is made smaller while it is read
MARK = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # of JPEG, but for those within data


class PictureError(ValueError):
    """A file is no picture that can be read.

    Args:
        code: str, "empty_file", "truncated", "not_a_picture", "other_format" or
            "too_many_pixels", as in `codes.CODES`; kept as an attribute.
        reason: str, the message, a few words.
    """

    def __init__(self, code, reason):
        super().__init__(reason)
        self.code = code


def open_picture(content):
    """Opens an encoded picture without decoding it yet.

    Args:
        content: bytes of the file.

    Returns:
        A `PIL.Image.Image`.

    Raises:
        PictureError: the bytes are no picture, or one with too many pixels.
    """
    if not content:
        raise PictureError("empty_file", "the file is empty")
    try:
        if content.startswith(b"\xff\xd8\xff"):  # whatever follows the first picture
            image = JpegImagePlugin.JpegImageFile(io.BytesIO(content))
        else:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many("more than a hundred million") from error  # Pillow's own limit
    except Exception as error:  # noqa: BLE001 - Pillow raises many kinds
        if content != (bare := _without_text(content)):
            return open_picture(bare)
        raise PictureError(*_guess(content)) from error
    limited(image.size, MOST_OF_JPEG if _by_rows(image, content) else MOST_PIXELS)
    return image


def _without_text(content):
    """A PNG without its texts and profile, of which Pillow takes a megabyte at most."""
    if not content.startswith(b"\x89PNG"):
        return content
    kept, at = [content[:8]], 8
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] not in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def _by_rows(image, content):
    """Tells whether a JPEG has one scan, so that libjpeg need not hold it all."""
    if image.format != "JPEG" or "progressive" in image.info:
        return False
    return content[image.fp.tell() - 2 * image.layers - 4] == image.layers


def limited(size, most=MOST_PIXELS):
    """Refuses a picture that would take too much memory."""
    if size[0] * size[1] > most:
        raise _too_many(f"{size[0]} x {size[1]}", most)


def end_of_jpeg(content):
    """Where the first picture of a JPEG file ends, in bytes; -1 where it does not.

    What cameras put behind it, a film or a second picture, is not looked at.
    """
    if content.endswith(b"\xff\xd9"):
        return len(content)
    at = 2
    while mark := MARK.search(content, at):
        at = mark.end()
        if mark[1] == b"\xd9":
            return at
        if mark[1] not in b"\x01\xd8":  # all others say how long their part is
            at += int.from_bytes(content[at : at + 2], "big")
    return -1


def _too_many(number, most=MOST_PIXELS):
    accepted = f"{most // 1_000_000} million"
    why = f"it has {number} pixels, more than the {accepted} that are accepted"
    return PictureError("too_many_pixels", f"{why}; save it smaller")


def _guess(content):
    """Says what a file that is no picture seems to be: (code, reason)."""
    start = content[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        why = "it is an HTML page, not a picture (a download that failed?)"
        return "not_a_picture", why
    if start.startswith((b"version https://git-lfs", b"/annex/objects/")):
        why = "it only points to the picture: fetch it (git lfs pull, git annex get)"
        return "other_format", why
    if content[:3] == b"II*" and int.from_bytes(content[4:8], "little") > len(content):
        return "truncated", "it is cut short"
    other = [words for mark, words in OTHER_STARTS.items() if content.startswith(mark)]
    other += ["an SVG drawing"] * (b"<svg" in start)
    other += ["a DICOM picture"] * (content[128:132] == b"DICM")
    other += ["a NIfTI picture"] * (content[344:347] in (b"n+1", b"ni1"))
    if content[4:8] == b"ftyp":
        other += [BRANDS.get(content[8:12], "")]
        if not other[0]:
            return "not_a_picture", "it is a film, not a picture"
    if other:
        return "other_format", f"it is {other[0]} that is not read; save it as PNG"
    before = min(content.find(mark, 0, 512) % 2**32 for mark in STARTS[:3])
    if 0 < before < 512:
        why = f"there are {before} bytes too many before the picture begins"
        return "truncated", why
    if content.startswith(STARTS):
        return "truncated", "it is damaged in its first bytes"
    if start.isascii() and all(byte >= 9 for byte in start):
        return "not_a_picture", "it is text, not a picture"
    why = f"it is not a picture in a known format (it begins {content[:8]!r})"
    return "not_a_picture", why
