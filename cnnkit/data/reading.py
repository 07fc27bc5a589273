"""Which files are pictures, and what is wrong with one that is not."""

import io
import os

from PIL import Image

SUFFIXES = {
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".ico", ".j2c", ".j2k", ".jfif", ".jp2",
    ".jpc", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".pbm", ".pfm", ".pgm",
    ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
}  # fmt: skip
# Pillow's readers that are used, and no others: each is a way in for bad files. TGA
# files have no mark at their start, so they come last.
FORMATS = (
    "JPEG", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000",
    "ICO", "TGA",
)  # fmt: skip
OTHER_PICTURES = {  # pictures, drawings and scans in formats that are not read here
    ".ai", ".arw", ".bpg", ".btf", ".cr2", ".cr3", ".crw", ".cur", ".czi", ".dcm",
    ".dds", ".dicom", ".djvu", ".dng", ".emf", ".eps", ".exr", ".fit", ".fits", ".hdr",
    ".heic", ".heics", ".heif", ".hif", ".icns", ".iiq", ".jls", ".jxl", ".jxr", ".kdc",
    ".lsm", ".mha", ".mhd", ".nd2", ".ndpi", ".nef", ".nii", ".npy", ".nrrd", ".nrw",
    ".orf", ".pcx", ".pdf", ".pef", ".pict", ".ps", ".psb", ".psd", ".qoi", ".raf",
    ".ras", ".raw", ".rw2", ".rwl", ".sgi", ".sr2", ".srw", ".svg", ".svgz", ".svs",
    ".wdp", ".wmf", ".x3f", ".xbm", ".xcf", ".xpm",
}  # fmt: skip
JUNK = {  # folders and files that systems leave behind, in lower case
    "__macosx", "__pycache__", "node_modules", "lost+found", "$recycle.bin",
    "recycler", "system volume information", "@eadir", "#recycle", "@recycle",
    "thumbs.db", "desktop.ini", "ehthumbs.db", "ehthumbs_vista.db", "icon\r",
}  # fmt: skip
# Files that only programs make: a run, its training, a search, an environment.
MARKS = {"model.keras", "report.html", "run.lock", "oracle.json", "pyvenv.cfg"}
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8")  # of JPEG, PNG and GIF files
LEFT_OUT = {  # why a file or folder is not read
    "denied": "without the permission to be read",
    "empty": "empty folders",
    "format": "files that are no pictures by their names",
    "hidden": "hidden or made by a system",
    "link": "links that are not followed",
    "loose": "in no class folder",
    "lost": "links that lead nowhere (fetch the files first: dvc pull, git annex get)",
    "mask": "masks or boxes of the pictures beside them",
    "name": "with bytes in the name that are not Unicode",
    "program": "a run of cnnkit or the folder of another program",
    "special": "no files but pipes, sockets or devices",
    "unread": "pictures in a format that is not read: save them as PNG or JPEG",
}
MOST_PIXELS = 50_000_000  # a picture that claims more is a mistake or an attack


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


def is_junk(path):
    """Tells whether a file or folder is hidden, or left behind by a system."""
    return path.name.startswith(".") or path.name.lower() in JUNK


def is_unicode(path):
    """Tells whether the name of a file or folder can be written as text."""
    return path.name.isascii() or not any("\udc80" <= c <= "\udcff" for c in path.name)


def picture_files(folder, root, links=None):
    """Lists the picture files of a folder and of all folders in it.

    Args:
        folder: `pathlib.Path`.
        root: `pathlib.Path` of the whole set; a link to a file outside is not read.
        links: `pathlib.Path` of a folder; links to files and folders that stay inside
            it are followed, each folder once. None follows no link to a folder.

    Returns:
        A sorted list of paths: pictures (judged by the suffix, or by the content
        where there is none); and a sorted list of (path, why) of all that is left
        out, `why` being a key of `LEFT_OUT`.
    """
    pictures, left_out, seen = [], [], set()

    def denied(error):
        left_out.append((type(folder)(error.filename), "denied"))

    walk = os.walk(folder, onerror=denied, followlinks=links is not None)
    for here, folders, names in walk:
        here = type(folder)(here)
        mine = [(here / n, _why_not_file(here / n, root, links)) for n in names]
        if here != folder and MARKS.intersection(names) and all(w for _, w in mine):
            left_out.append((here, "program"))
            folders.clear()
            continue
        pictures += [path for path, why in mine if not why]
        left_out += [(path, why) for path, why in mine if why]
        if not names and not folders and here != folder:
            left_out.append((here, "empty"))
        for name in list(folders):
            why = _why_not_folder(here / name, links, seen)
            if why:
                folders.remove(name)
                left_out.append((here / name, why))
    return sorted(pictures, key=lambda path: path.parts), sorted(left_out)


def _why_not_folder(path, links, seen):
    if is_junk(path):
        return "hidden"
    if path.is_symlink():
        why = _why_not_link(path, [links] if links else [])
        place = path.resolve()
        if why or place in seen or path.parent.resolve().is_relative_to(place):
            return why or "link"
        seen.add(place)
    return None if is_unicode(path) else "name"


def _why_not_file(path, root, links):
    if is_junk(path):
        return "hidden"
    if path.is_symlink() and (why := _why_not_link(path, [root, links or root])):
        return why
    if not path.is_file():
        return "special"
    if not is_unicode(path):
        return "name"
    if path.suffix.lower() in OTHER_PICTURES:
        return "unread"
    return None if _looks_like_picture(path) else "format"


def _why_not_link(path, places):
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # it leads nowhere, or in a circle
        return "lost"
    return None if any(target.is_relative_to(place) for place in places) else "link"


def as_picture(pixels):
    """Returns pixels as a picture of Pillow.

    Args:
        pixels: uint8 array of shape (height, width, 1 or 3).

    Returns:
        A `PIL.Image.Image`, L or RGB.
    """
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


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
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        number = "more than a hundred million"  # Pillow itself refuses it
        raise PictureError("too_many_pixels", _too_many(number)) from error
    except Exception as error:  # noqa: BLE001 - Pillow raises many kinds
        raise PictureError(*_guess(content)) from error
    if image.width * image.height > MOST_PIXELS:
        number = f"{image.width} x {image.height}"
        raise PictureError("too_many_pixels", _too_many(number))
    return image


def _too_many(number):
    accepted = f"{MOST_PIXELS // 1_000_000} million"
    return f"it has {number} pixels, more than the {accepted} that are accepted"


def _looks_like_picture(path):
    if path.suffix:
        return path.suffix.lower() in SUFFIXES
    try:
        Image.open(path, formats=FORMATS).close()
    except Exception:  # noqa: BLE001 - Pillow raises many kinds
        return False
    return True


def _guess(content):
    """Says what a file that is no picture seems to be: (code, reason)."""
    start = content[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        why = "it is an HTML page, not a picture (a download that failed?)"
        return "not_a_picture", why
    if b"<svg" in start:
        return "other_format", "it is an SVG drawing; save it as PNG"
    brand = content[8:12] if content[4:8] == b"ftyp" else b""
    if brand in (b"avif", b"avis"):
        return "other_format", "it is an AVIF picture; save it as JPEG or PNG"
    if brand in (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1"):
        return "other_format", "it is a HEIC picture; save it as JPEG or PNG"
    if brand:
        return "not_a_picture", "it is a film, not a picture"
    if start.startswith(b"%pdf"):
        return "other_format", "it is a PDF document; save its pages as PNG"
    before = min(content.find(mark, 0, 512) % 2**32 for mark in STARTS)
    if 0 < before < 512:
        why = f"there are {before} bytes too many before the picture begins"
        return "truncated", why
    if start.isascii() and all(byte >= 9 for byte in start):
        return "not_a_picture", "it is text, not a picture"
    why = f"it is not a picture in a known format (it begins {content[:8]!r})"
    return "not_a_picture", why
