"""Files of features: found again by what is in them, never half written."""

import errno
import hashlib
import json
import os
import tempfile
from pathlib import Path

import keras
import numpy as np


def key_of(body, data, augment, copies, seed):
    """Says in 64 letters what features are made of.

    Args:
        body: `keras.Model` that computes them.
        data: `ImageData`.
        augment: None or the function that changes copies.
        copies: int, augmented copies of each training picture.
        seed: int, of the augmentation.

    Returns:
        str, a SHA-256 in hexadecimal: of the weights and layers, the pictures and
        their split, the copies and Keras' version.
    """
    digest = hashlib.sha256()
    kinds = [(type(layer).__name__, _settings(layer)) for layer in body.layers]
    split = data.manifest["split"].tolist() if copies else None
    made = [keras.__version__, kinds, split, copies, repr(augment), seed]
    digest.update(json.dumps(made, default=str).encode())
    for variable in body.variables:
        digest.update(np.ascontiguousarray(variable))
    for start in range(0, len(data.pixels), 1024):  # they may lie on disk
        digest.update(np.ascontiguousarray(data.pixels[start : start + 1024]))
    digest.update(str(data.pixels.shape).encode())
    return digest.hexdigest()


def _settings(layer):
    """What a layer is set to, but for its name, which is another in each process."""
    return {k: v for k, v in layer.get_config().items() if k not in ("name", "build")}


def written(folder, key, shape, batches, *, verbose=0):
    """Writes features to a file and opens it memory-mapped, or finds it there.

    Args:
        folder: str or path, or None for a file without a name.
        key: str, as from `key_of`; None without a folder.
        shape: tuple of int, shape of all features; its first may be None where it is
            not known before.
        batches: iterator of float32 arrays, which is left alone if the file is there.
        verbose: 0 or 1, whether to say that the file was found.

    Returns:
        A read-only memory-mapped float32 array.

    Raises:
        ValueError: the file that is there is not what its name says.
        OSError: the folder cannot be written, or the disk is full.
    """
    if folder is None:
        with tempfile.TemporaryFile() as file:
            return _mapped(file, shape, _fill(file, batches, tempfile.gettempdir()))
    folder = Path(folder)
    path = folder / f"features-{key[:32]}.float32"
    if path.is_file():
        with path.open("rb") as file:
            features = _mapped(file, shape, _size(file), str(path))
        if verbose:
            print(f"features read from {str(path)!r}")
        return features
    folder.mkdir(parents=True, exist_ok=True)
    part = tempfile.NamedTemporaryFile(dir=folder, prefix="part-", delete=False)
    try:
        with part:
            _fill(part, batches, folder)
        os.replace(part.name, path)
    except BaseException:
        Path(part.name).unlink(missing_ok=True)
        raise
    with path.open("rb") as file:
        return _mapped(file, shape, _size(file), str(path))


def _fill(file, batches, folder):
    """Writes all batches one after the other; returns their bytes."""
    done = 0
    try:
        for features in batches:
            done += file.write(np.ascontiguousarray(features, "float32"))
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.ENOSPC:
            reason = "no space is left"
        raise OSError(
            error.errno,
            f"Features could not be kept in {str(folder)!r}: {reason}. Free some "
            "space, or name another folder (for files without a name the environment "
            f"variable TMPDIR does). Received: an error after {done:,} bytes",
        ) from error
    return done


def _mapped(file, shape, size, name=None):
    each = 4 * int(np.prod(shape[1:]))
    wanted = size // each if shape[0] is None else shape[0]
    if size != wanted * each:
        raise ValueError(
            f"The file of features is damaged: delete it, and it is made again. "
            f"Received: {name!r} of {size:,} bytes in place of {wanted * each:,}"
        )
    return np.memmap(file, "float32", "r", shape=(wanted, *shape[1:]))


def _size(file):
    return os.fstat(file.fileno()).st_size
