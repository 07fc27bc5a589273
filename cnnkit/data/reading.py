"""Which files are pictures, and what is wrong with one that is not."""

import os

from PIL import Image

from cnnkit.data.opening import FORMATS

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
JUNK = {  # folders and files that systems leave behind, in lower case
    "__macosx", "__pycache__", "node_modules", "lost+found", "$recycle.bin",
    "recycler", "system volume information", "@eadir", "#recycle", "@recycle",
    "thumbs.db", "desktop.ini", "ehthumbs.db", "ehthumbs_vista.db", "icon\r",
}  # fmt: skip
# Files that only programs make: a run, its training, a search, an environment.
MARKS = {"model.keras", "report.html", "run.lock", "oracle.json", "pyvenv.cfg"}
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


def _looks_like_picture(path):
    if path.suffix:
        return path.suffix.lower() in SUFFIXES
    try:
        Image.open(path, formats=FORMATS[:-1]).close()
    except Exception:  # noqa: BLE001 - Pillow raises many kinds
        return False
    return True
