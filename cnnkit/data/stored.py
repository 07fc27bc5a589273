"""Pixels on disk: reserved before they are written, kept where a folder is named."""

import hashlib
import json
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from cnnkit.data.surroundings import say

FORMAT = 1  # of the files in a cache, and of what decoding does


class Rows:
    """Some rows of an array on disk, in some order, read when they are asked for."""

    def __init__(self, array, rows):
        self.array, self.rows = array, np.arange(len(array))[rows]
        self.shape, self.dtype = (len(self.rows), *array.shape[1:]), array.dtype
        self.ndim = len(self.shape)

    def __len__(self):
        """How many rows there are."""
        return len(self.rows)

    def __getitem__(self, index):
        """Returns rows as the array itself would."""
        first, *rest = index if isinstance(index, tuple) else (index,)
        found = self.array[self.rows[first]]
        return found[(slice(None), *rest)] if np.ndim(self.rows[first]) else (
            found[tuple(rest)]
        )  # fmt: skip

    def __array__(self, dtype=None, copy=None):
        """Returns all rows in memory."""
        return np.asarray(self.array[self.rows], dtype)


def some(pixels, rows):
    """Returns rows of an array: in memory as an array, on disk without reading them."""
    if isinstance(pixels, Rows):
        return Rows(pixels.array, pixels.rows[rows])
    return Rows(pixels, rows) if isinstance(pixels, np.memmap) else pixels[rows]


def empty(shape, memory_limit, file=None):
    """Returns an array of bytes for pixels: in memory, or on a disk that has the place.

    Args:
        shape: tuple of int.
        memory_limit: int, bytes that may be in memory.
        file: binary file to write to, or None for memory or a file without a name.

    Raises:
        OSError: the disk is too full; the message names the folder and the bytes.
    """
    size = int(np.prod(shape, dtype="int64"))
    if file is None and size <= memory_limit:
        return np.empty(shape, "uint8")
    file = file or tempfile.TemporaryFile(prefix="cnnkit-")  # gone when the array is
    place = Path(file.name).parent if isinstance(file.name, str) else Path(
        tempfile.gettempdir()
    )  # fmt: skip
    _reserve(file, size, place)
    return np.memmap(file, "uint8", "r+", shape=shape)


def _reserve(file, size, place):
    """Takes the place on disk now: a page that finds none later ends the process."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            for start in range(0, size, 2**24):
                file.write(bytes(min(2**24, size - start)))
            file.flush()
    except OSError as error:
        raise OSError(
            error.errno,
            f"The pixels take {size:,} bytes, and {str(place)!r} has no place for them "
            f"({error.strerror}). Name a folder on another disk with cache= or by the "
            "environment variable TMPDIR, take a smaller image_size, or allow more "
            f"memory with memory_limit=. Received: {size:,} bytes",
        ) from error
    if _is_memory(place):
        say(
            f"{str(place)!r} lies in memory, and so do these {size:,} bytes: name a "
            "folder on a disk with cache= or TMPDIR"
        )


def _is_memory(place):
    """Whether a folder of Linux is no place on a disk."""
    try:
        mounts = [line.split() for line in open("/proc/mounts", encoding="utf-8")]
    except OSError:
        return False
    place = str(Path(place).resolve()) + "/"
    above = [m for m in mounts if place.startswith(m[1].rstrip("/") + "/")]
    return max(above, key=lambda m: len(m[1]))[2] in ("tmpfs", "ramfs")


def decoded(cache, paths, reader, decode, shape, memory_limit):
    """Decodes pictures, or opens what was decoded before.

    Args:
        cache: str or path of a folder that keeps the pixels, or None.
        paths: list of `pathlib.Path`; a file that has changed is decoded again.
        reader: `Reader` with a size.
        decode: function that fills an array and returns a table of facts and the
            `Reader` that was used.
        shape: tuple of int, of all pixels.
        memory_limit: int, bytes that may be in memory without a cache.

    Returns:
        (pixels, facts, reader). What is changed in kept pixels does not reach the file.
    """
    if cache is None:
        pixels = empty(shape, memory_limit)
        return (pixels, *decode(pixels))
    cache = Path(cache).expanduser()
    cache.mkdir(parents=True, exist_ok=True)
    stem = cache / f"pixels-{_key(paths, reader)}"
    place, beside = stem.with_suffix(".bytes"), stem.with_suffix(".json")
    try:
        known = json.loads(beside.read_text(encoding="utf-8"))
        pixels = np.memmap(place, "uint8", "c", shape=shape)
        if place.stat().st_size == pixels.size and _sum(known) == known["sum"]:
            say(f"pixels of {len(paths):,} pictures opened from {str(place)!r}")
            facts = pd.DataFrame(known["facts"])
            return pixels, facts, type(reader)(**known["reader"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or not whole: decoded again
    part = tempfile.NamedTemporaryFile(dir=cache, prefix="part-", delete=False)
    try:
        with part:
            pixels = empty(shape, 0, part)
            facts, reader = decode(pixels)
            pixels.flush()
            del pixels  # Windows does not rename what is open
        known = {"facts": facts.to_dict("list"), "reader": vars(reader)}
        known = json.loads(json.dumps(known, default=str))
        beside.write_text(json.dumps(known | {"sum": _sum(known)}), encoding="utf-8")
        os.replace(part.name, place)
    except BaseException:
        Path(part.name).unlink(missing_ok=True)
        raise
    return np.memmap(place, "uint8", "c", shape=shape), facts, reader


def _key(paths, reader):
    """A name for these files as they are now, read in this way."""
    seen = [(str(p), (s := p.stat()).st_size, s.st_mtime_ns) for p in paths]
    made = json.dumps([FORMAT, seen, str(reader)])
    return hashlib.sha256(made.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _sum(known):
    content = json.dumps([known["facts"], known["reader"]], sort_keys=True)
    return zlib.crc32(content.encode("utf-8", "surrogatepass"))
