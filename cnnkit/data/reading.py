"""Which files are pictures, and what is wrong with one that is not."""

import os

from PIL import Image

from cnnkit.data.opening import FORMATS, PictureError, open_picture  # noqa: F401

SUFFIXES = {
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".ico", ".j2c", ".j2k", ".jfif", ".jp2",
    ".jpc", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".pbm", ".pfm", ".pgm",
    ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
}  # fmt: skip
OTHER_PICTURES = {  # pictures, drawings and scans in formats that are not read here
    ".ai", ".arw", ".bpg", ".btf", ".cr2", ".cr3", ".crw", ".cur", ".czi", ".dcm",
    ".dds", ".dicom", ".djvu", ".dng", ".emf", ".eps", ".exr", ".fit", ".fits", ".hdr",
    ".heic", ".heics", ".heif", ".hif", ".icns", ".iiq", ".jls", ".jxl", ".jxr", ".kdc",
    ".lsm", ".mha", ".mhd", ".nd2", ".ndpi", ".nef", ".nii", ".npy", ".nrrd", ".nrw",
    ".orf", ".pcx", ".pdf", ".pef", ".pict", ".ps", ".psb", ".psd", ".qoi", ".raf",
    ".ras", ".raw", ".rw2", ".rwl", ".sgi", ".sr2", ".srw", ".svg", ".svgz", ".svs",
    ".wdp", ".wmf", ".x3f", ".xbm", ".xcf", ".xpm",
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
    return sorted(pictures, key=lambda path: path.parts), sorted(left_out)


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


def as_picture(pixels):
    """Returns pixels as a picture of Pillow.

    Args:
        pixels: uint8 array of shape (height, width, 1 or 3).

    Returns:
        A `PIL.Image.Image`, L or RGB.
    """
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _looks_like_picture(path):
    if path.suffix:
        return path.suffix.lower() in SUFFIXES
    try:
        Image.open(path, formats=FORMATS[:-1]).close()
    except Exception:  # noqa: BLE001 - Pillow raises many kinds
        return False
    return True
