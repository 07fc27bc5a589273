"""Unpacks a .zip or .tar of pictures, all of it or nothing.

An archive from elsewhere may name files outside its folder, hold links and devices, or
grow from kilobytes to terabytes. So the list of its members is read first and refused
as a whole where one of them is wrong; then the bytes are counted as they come.
"""

import contextlib
import lzma
import os
import re
import shutil
import stat
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

from cnnkit.data import folders

MOST_BYTES = 8 * 2**30
MOST_FILES = 1_000_000
MOST_DEPTH = 20  # folders inside folders
MOST_RATIO = 100  # unpacked bytes for each packed one; pictures are packed already
SMALL = 40 * 2**20  # bytes; up to here no ratio is too large
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # Windows


DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError,
    OSError, NotImplementedError, RuntimeError,
)  # fmt: skip


class UnsafeArchiveError(ValueError):
    """An archive is refused; nothing of it was left on the disk."""


class Member(NamedTuple):
    """What an archive says about one of its files.

    Attributes:
        name: str, with forward slashes.
        size: int, bytes when unpacked, as the archive claims.
        trouble: str, why it is no ordinary file, or "".
        entry: what the archive's own `open` takes.
    """

    name: str
    size: int
    trouble: str
    entry: object


def is_archive(path):
    """Tells by its name whether a file is an archive that `unpack` reads.

    Args:
        path: `pathlib.Path`.

    Returns:
        bool.
    """
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def unpack(archive, folder=None, *, most_bytes=MOST_BYTES, most_files=MOST_FILES):
    """Unpacks a .zip or .tar archive into a new folder.

    Args:
        archive: str or path; .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz.
        folder: str or path that does not exist yet; None takes the archive's name
            without its suffix, beside the archive.
        most_bytes: int, the most bytes that are written.
        most_files: int, the most files that are written.

    Returns:
        `pathlib.Path` of the folder. Files have the rights 0644, folders 0755.

    Raises:
        FileNotFoundError: there is no such archive.
        FileExistsError: the folder exists; nothing is overwritten.
        UnsafeArchiveError: the archive is damaged, too large, or has a member that
            does not belong into a set of pictures; the message names it.

    Example:
        >>> photos = data.from_folder(data.unpack("photos.zip"))
    """
    archive = Path(archive).expanduser()
    if not archive.is_file():
        raise FileNotFoundError(f"There is no such archive. Received: {str(archive)!r}")
    if folder is None:
        ends = [s for s in SUFFIXES if archive.name.lower().endswith(s)]
        folder = archive.with_name(archive.name[: -len(max(ends, key=len, default=""))])
    folder = Path(folder).expanduser()
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(
            "An archive is unpacked into a new folder, so that nothing is overwritten: "
            f"choose another name. Received: folder={str(folder)!r}"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, so that the finished folder only needs its name.
    with tempfile.TemporaryDirectory(prefix=".cnnkit-", dir=folder.parent) as temporary:
        inside = Path(temporary) / "unpacked"
        inside.mkdir(mode=0o755)
        write(archive, inside, most_bytes=most_bytes, most_files=most_files)
        inside.rename(folder)
    return folder


def write(archive, folder, *, most_bytes=MOST_BYTES, most_files=MOST_FILES):
    """Checks an archive and writes its files into a folder that is empty.

    Args:
        archive: `pathlib.Path` of the archive.
        folder: `pathlib.Path` of an empty folder.
        most_bytes: int, as for `unpack`.
        most_files: int, as for `unpack`.

    Raises:
        UnsafeArchiveError: as for `unpack`. The folder may then hold some files.
    """
    with _opened(archive) as (members, open_member):
        files = _checked(members, archive, most_bytes, most_files)
        claimed = sum(member.size for member in files)
        free = shutil.disk_usage(folder).free
        if claimed > 0.9 * free:
            raise _refusal(
                archive,
                f"it needs {claimed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
            )
        written, packed = 0, archive.stat().st_size
        for member in files:
            path = folder / member.name
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            with open_member(member.entry) as source, open(path, "xb") as target:
                while block := source.read(2**20):
                    written += len(block)
                    if written > most_bytes or written > claimed:
                        raise _refusal(archive, "it holds more than it claims")
                    if written > max(SMALL, MOST_RATIO * packed):
                        raise _refusal(archive, _bomb(written, packed), member.name)
                    target.write(block)
            path.chmod(0o644)
        for place, names, _ in os.walk(folder):
            for name in names:
                (Path(place) / name).chmod(0o755)
    return []


@contextlib.contextmanager
def as_folder(pictures):
    """Opens a folder, or unpacks an archive of one for a while.

    Args:
        pictures: str or path of a folder or of an archive.

    Yields:
        The `pathlib.Path` to read, the name (str) of what was given, and sentences on
        what was done to unpack it.

    Raises:
        FileNotFoundError: there is no such folder.
        UnsafeArchiveError: the archive is refused.
    """
    path = Path(pictures).expanduser()
    if not is_archive(path):
        path = folders.existing(path)
        yield path, path.name, []
        return
    with tempfile.TemporaryDirectory(prefix="cnnkit-") as temporary:
        unpacked = Path(temporary).resolve()
        notes = write(path, unpacked)
        yield folders.only_folder(unpacked), path.name, notes


@contextlib.contextmanager
def _opened(archive):
    """The members of an archive, and a function that opens one of them."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                yield (
                    [_zip_member(e) for e in file.infolist() if not e.is_dir()],
                    (file.open),
                )
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as file:
                yield (_tar_member(e) for e in file if not e.isdir()), file.extractfile
        else:
            raise _refusal(archive, "it is neither a .zip nor a .tar")
    except DAMAGE as error:
        if getattr(error, "errno", None) is not None:
            raise  # the disk, not the archive
        raise _refusal(archive, f"it is damaged or cut short ({error})") from error


def _zip_member(entry):
    kind = stat.S_IFMT(entry.external_attr >> 16)
    trouble = ""
    if kind not in (0, stat.S_IFREG):
        trouble = "a link or device"
    elif entry.flag_bits & 1:
        trouble = "encrypted"
    name = entry.orig_filename
    if not entry.flag_bits & 0x800:  # not said to be UTF-8, but usually it is
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return Member(name, entry.file_size, trouble, entry)


def _tar_member(entry):
    trouble = "" if entry.isreg() else "a link or device"
    return Member(entry.name, entry.size, trouble, entry)


def _checked(members, archive, most_bytes, most_files):
    """The members as a list, or the refusal of the whole archive."""
    files, claimed, places = [], 0, {}
    packed = archive.stat().st_size
    for member in members:
        trouble = member.trouble or wrong_name(member.name)
        if trouble:
            raise _refusal(archive, f"a member is {trouble}", member.name)
        claimed += member.size
        if claimed > most_bytes or len(files) >= most_files:
            raise _refusal(
                archive,
                f"it holds more than {most_files:,} files or {most_bytes / 1e9:.1f} GB",
            )
        if claimed > max(SMALL, MOST_RATIO * packed):
            raise _refusal(archive, _bomb(claimed, packed), member.name)
        parts = member.name.removeprefix("./").split("/")
        for depth in range(1, len(parts) + 1):
            place = "/".join(parts[:depth])
            kind = "file" if depth == len(parts) else "folder"
            look = unicodedata.normalize("NFC", place).casefold()
            again = kind == "file" or places.get(look) != (place, kind)
            if look in places and again:
                raise _refusal(archive, "two members want one place", member.name)
            places[look] = place, kind
        files.append(member)
    return files


def wrong_name(name):
    """Says why a name cannot be written safely on every system.

    Args:
        name: str, a path with forward slashes.

    Returns:
        A str of a few words, or "" where nothing is wrong.
    """
    parts = name.removeprefix("./").split("/")
    if name.startswith("/") or ".." in parts:
        return "outside the folder"
    if len(parts) > MOST_DEPTH:
        return f"more than {MOST_DEPTH} folders deep"
    for part in parts:
        odd = not part or part == "." or part[-1] in ". " or DEVICES.fullmatch(part)
        if odd or any(c in "\\:" or ord(c) < 32 for c in part):
            return "named in a way that not every system can write"
        if len(part.encode("utf-8", "surrogateescape")) > 255:
            return "named with more than 255 bytes"
    return ""


def _bomb(unpacked, packed):
    return (
        f"{packed:,} bytes grow to {unpacked:,} or more, {MOST_RATIO} times what was "
        "packed, which pictures never do"
    )


def _refusal(archive, why, member=None):
    named = f" member {member!r} of" if member is not None else ""
    return UnsafeArchiveError(
        "The archive is refused as a whole, and nothing of it was kept: "
        f"{why}. Get a clean copy, or unpack it yourself and look at it. Received:"
        f"{named} {str(archive)!r}"
    )
