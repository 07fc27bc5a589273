"""Unpacks a .zip or .tar of pictures, all of it or nothing.

An archive from elsewhere may name files outside its folder, hold links and devices, or
grow from kilobytes to terabytes. So the list of its members is read first and refused
as a whole where one of them is wrong; then the bytes are counted as they come. Names
that are merely awkward are changed, and this is said.
"""

import contextlib
import lzma
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

from cnnkit.data import folders, names, reading
from cnnkit.data.surroundings import say

MOST_BYTES = 8 * 2**30
MOST_FILES = 1_000_000
MOST_RATIO = 100  # unpacked bytes for each packed one; pictures are packed already
SMALL = 40 * 2**20  # bytes; up to here no ratio is too large
# Drawings in these formats may pack a thousand times; only their bytes are bounded.
PLAIN = (".bmp", ".dib", ".pgm", ".pnm", ".ppm", ".tga", ".tif", ".tiff")
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
OTHERS = (".7z", ".rar", ".lzh", ".zst", ".tzst", ".gz", ".bz2", ".xz", ".001")
STARTS = {  # of files that are packed in another way
    b"7z": "7-Zip", b"Rar!": "RAR", b"(\xb5/\xfd": "Zstandard", b"\x1f\x8b": "gzip",
    b"BZh": "bzip2", b"\xfd7z": "xz",
}  # fmt: skip
DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError,
    OSError, RuntimeError, ValueError,
)  # fmt: skip


class UnsafeArchiveError(ValueError):
    """An archive is refused; nothing of it was left on the disk."""


def is_archive(path):
    """Tells by its name whether a file is an archive, also one that is not read."""
    return path.name.lower().endswith((*SUFFIXES, *OTHERS)) and path.is_file()


def unpack(
    archive,
    folder=None,
    *,
    encoding=None,
    most_bytes=MOST_BYTES,
    most_files=MOST_FILES,
):
    """Unpacks a .zip or .tar archive into a new folder.

    An archive that holds nothing but archives, such as one a class, is unpacked with
    these. Names that not every system can write are changed; what was done is printed.

    Args:
        archive: str or path; .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz.
        folder: str or path that does not exist yet; None takes the archive's name
            without its suffix, beside the archive.
        encoding: str, of names that are not in UTF-8, such as "cp932" from a Japanese
            Windows; None finds it out, or asks where several would do.
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
    folder = Path(folder or _stem(archive)).expanduser()
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
        limits = [most_bytes, most_files]
        for note in write(archive, inside, limits, encoding):
            say(f"{archive.name!r}: {note}")
        inside.rename(folder)
    return folder


@contextlib.contextmanager
def as_folder(pictures, encoding=None):
    """Opens a folder, or unpacks an archive of one for a while.

    Args:
        pictures: str or path of a folder or of an archive.
        encoding: str or None, as for `unpack`.

    Yields:
        The `pathlib.Path` to read, the name (str) of what was given, and sentences on
        what was done to unpack it.
    """
    path = Path(pictures).expanduser()
    if not is_archive(path):
        path = folders.existing(path)
        yield path, path.name, []
        return
    with tempfile.TemporaryDirectory(prefix="cnnkit-") as temporary:
        unpacked = Path(temporary).resolve()
        notes = write(path, unpacked, [MOST_BYTES, MOST_FILES], encoding)
        yield folders.only_folder(unpacked), path.name, notes


def write(archive, folder, left, encoding=None, shown=None):
    """Writes the files of an archive into an empty folder, and says what was odd.

    Args:
        archive: `pathlib.Path` of the archive.
        folder: `pathlib.Path` of an empty folder.
        left: list of the most bytes and the most files; what is written is taken off.
        encoding: str or None, as for `unpack`.
        shown: str, how an archive inside another one is called.

    Returns:
        A list of sentences. After an `UnsafeArchiveError` some files may be there.
    """
    try:
        notes = _write(archive, folder, left, encoding)
    except DAMAGE as error:
        if getattr(error, "errno", None) is not None:
            raise  # the disk, not the archive
        damaged = not isinstance(error, UnsafeArchiveError)
        what = "it is damaged or cut short, or packed in an unusual way"
        raise UnsafeArchiveError(
            "The archive is refused as a whole, and nothing of it was kept: "
            f"{f'{what} ({error})' if damaged else error}. Get a clean copy, or unpack "
            f"it yourself and give the folder. Received: {shown or str(archive)!r}"
        ) from error
    inner = [] if shown else [path for path in folder.rglob("*") if is_archive(path)]
    if inner and not reading.picture_files(folder, folder)[0]:
        for path in inner:  # such as one a class
            name = folders.relative(path, folder)
            if _stem(path).exists():
                continue
            path = path.rename(path.with_name(f".{path.name}"))
            target = _stem(folder / name)
            target.mkdir()
            more = write(path, target, left, encoding, f"{archive}: {name}")
            notes.append("; ".join([f"{name!r} in it was unpacked as well", *more]))
            path.unlink()
            only = list(target.iterdir())
            if len(only) == 1 and only[0].is_dir():  # cat.zip with a folder cat
                only[0].rename(path)
                target.rmdir()
                path.rename(target)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return notes


def _write(archive, folder, left, encoding):
    with _opened(archive) as (members, open_member):
        files = _checked(members, archive.stat().st_size, left)
        claimed, free = sum(f[1] for f in files), shutil.disk_usage(folder).free
        if claimed > 0.9 * free:
            needed = f"it needs {claimed / 1e9:.1f} GB"
            raise UnsafeArchiveError(f"{needed}, and {free / 1e9:.1f} GB are free")
        try:
            found, encoding = names.decoded([name for name, *_ in files], encoding)
            paths, changed = names.placed(found)
        except ValueError as error:
            raise UnsafeArchiveError(error) from error
        for (_, rest, _, entry), path in zip(files, paths, strict=True):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            with open_member(entry) as source, open(folder / path, "xb") as target:
                while block := source.read(2**20):
                    rest -= len(block)
                    if rest < 0:
                        raise UnsafeArchiveError("it holds more than it claims")
                    target.write(block)
    notes = [] if encoding == "utf-8" else [f"its names were read as {encoding}"]
    if changed:
        each = folders.few([f"{old} to {new}" for old, new in changed.items()])
        notes.append(f"names that not every system can hold were changed, {each}")
    return notes


@contextlib.contextmanager
def _opened(archive):
    """The members (name, size, trouble, entry), and a function that opens an entry."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            yield map(_zip_member, file.infolist()), file.open
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive, encoding="utf-8") as file:
            yield map(_tar_member, file), file.extractfile
    else:
        with open(archive, "rb") as file:
            start = file.read(8)
        kind = [f", but packed with {STARTS[s]}" for s in STARTS if start.startswith(s)]
        raise UnsafeArchiveError(f"it is neither a .zip nor a .tar{''.join(kind)}")


def _zip_member(entry):
    trouble, name = "", entry.orig_filename
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        trouble = "a link or device"
    elif entry.flag_bits & 1:
        trouble = "encrypted: it needs a password"
    if not entry.flag_bits & 0x800:  # not said to be UTF-8
        raw = name.encode("cp437")
        name = _unicode_path(raw, entry.extra) or raw
    return name, entry.file_size, trouble, entry


def _unicode_path(raw, extra):
    """The name in UTF-8 that Info-ZIP puts beside one in an older encoding."""
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == 0x7075 and field[1:5] == struct.pack("<L", zlib.crc32(raw)):
            return names.text_in(field[5:], "utf-8")
    return None


def _tar_member(entry):
    trouble = "" if entry.isreg() or entry.isdir() else "a link or device"
    slash = "/" * entry.isdir()
    raw = (entry.name + slash).encode("utf-8", "surrogateescape")
    return raw, entry.size, trouble, entry


def _checked(members, packed, left):
    """The files as a list, or the refusal; their bytes are taken off what is left."""
    files, loose, allowed = [], 0, list(left)
    for name, size, trouble, entry in members:
        if trouble:
            raise UnsafeArchiveError(f"a member is {trouble}: {name!r}")
        ending = str(name).rstrip("'").lower()  # of a str, or of how bytes are shown
        if ending.endswith(("/", "\\")):
            continue
        files.append((name, size, trouble, entry))
        left[:] = left[0] - size, left[1] - 1
        loose += 0 if ending.endswith(PLAIN) else size
        if min(left) < 0:
            most = f"{allowed[1]:,} files or {allowed[0] / 1e9:.1f} GB"
            raise UnsafeArchiveError(f"it holds more than {most}")
        if loose > max(SMALL, MOST_RATIO * packed):
            raise UnsafeArchiveError(
                f"{packed:,} bytes grow to {loose:,} or more, {MOST_RATIO} times what "
                f"was packed, which pictures never do: {name!r}"
            )
    return files


def _stem(archive):
    """The path of an archive without its suffix."""
    ends = [s for s in (*SUFFIXES, *OTHERS) if archive.name.lower().endswith(s)]
    return archive.with_name(archive.name[: -len(max(ends, key=len, default=""))])
