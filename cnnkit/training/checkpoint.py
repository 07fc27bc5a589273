"""A run on disk: one file a save, there whole or not at all, read with a check sum.

A file is a NumPy archive (`numpy.load` opens it) of arrays and one JSON text, with the
SHA-256 of all that at its end. No pickle: reading a file never runs code. Keras' own
`BackupAndRestore` writes two files, in place and one after the other, so that a kill
between them or within them leaves what does not fit together.
"""

import hashlib
import io
import json
import math
import os
import pathlib
import socket
import time
import zipfile

import numpy as np

from cnnkit.data.surroundings import say
from cnnkit.saving import replacing
from cnnkit.training import fingerprint

try:
    import fcntl
except ImportError:  # Windows: there two runs in one folder are not noticed
    fcntl = None

MARK = b"\nsha256 "  # then 64 digits, and the file ends
END = len(MARK) + 64
KEPT = 2  # files, so that one damaged by the disk costs an epoch and not the run
LOCK = "run.lock"


class DamagedCheckpointError(ValueError):
    """The file is cut off or was changed on the disk."""


def write(path, state):
    """Writes a state to a file, whole or not at all.

    Args:
        path: `pathlib.Path`, ending in .npz; an older file of that name is replaced.
        state: nested dict and list of arrays, numbers, str, bool and None. Equal
            arrays are written once, such as the best weights when they are the latest.

    Raises:
        OSError: the disk is full or the folder cannot be written; an older file of
            that name is as it was.
    """
    arrays, numbers = [], {}
    text = json.dumps(_pack(state, arrays, numbers), allow_nan=False)
    members = {f"array_{number}": array for number, array in enumerate(arrays)}
    members["state"] = np.frombuffer(text.encode(), "uint8")
    with replacing(path) as temporary, open(temporary, "wb+") as file:
        np.savez(file, **members)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.write(MARK + digest.encode())


def read(path):
    """Returns the state that `write` wrote; tuples have become lists.

    Args:
        path: `pathlib.Path`.

    Returns:
        Nested dict and list, as it was given, to the last bit.

    Raises:
        DamagedCheckpointError: a bit of the file is not as it was written.
    """
    data = path.read_bytes()
    digest = hashlib.sha256(memoryview(data)[:-END]).hexdigest()
    if data[-END:] != MARK + digest.encode():
        raise DamagedCheckpointError(
            "The file is cut off or damaged: its content does not fit its check sum. "
            "Delete it; the one before it is used if there is one. Received: "
            f"{str(path)!r}"
        )
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in file.infolist()):
            raise DamagedCheckpointError(
                "cnnkit did not write this file: it is compressed. Delete it. "
                f"Received: {str(path)!r}"
            )
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return _unpack(json.loads(file["state"].tobytes()), file)


class Run:
    """The folder of a run, locked as long as it is open.

    Args:
        folder: str or path; it is made if it does not exist.
        made_of: dict, what the run is made of, as `fingerprint.take` returns.
        verbose: 0 or 1, whether to say what was found.

    Raises:
        RuntimeError: another process, or this one, trains in this folder now.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder, made_of, verbose=1):
        self.folder = pathlib.Path(folder).expanduser()
        self.made_of, self.verbose, self._lock = made_of, verbose, None
        self.begun, self.seconds_before = time.monotonic(), 0.0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.folder / LOCK, "a+b", buffering=0)
            self._take_lock()
        except OSError as error:
            self.__exit__()
            raise type(error)(
                error.errno,
                "The folder of the run cannot be made or written. Choose another one, "
                "or free some space where the disk is full. "
                f"Received: resume={str(folder)!r} ({error.strerror})",
            ) from error
        except BaseException:
            self.__exit__()
            raise
        for rest in self.folder.glob(".cnnkit-*.npz"):  # of a save that was killed
            rest.unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._lock is not None:
            self._lock.close()  # and with it the lock is gone

    def seconds(self):
        """Returns the seconds of this run so far, earlier processes included."""
        return self.seconds_before + time.monotonic() - self.begun

    def phase(self, name):
        """Returns a phase of the run, with what was saved of it.

        Args:
            name: str that can stand in a file name, such as "head".

        Raises:
            ValueError: the run in the folder is another one, or unreadable.
        """
        return Phase(self, name)

    def _take_lock(self):
        """Takes the lock of the folder; the system drops it when its process dies."""
        if fcntl is not None:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._lock.seek(0)
                owner = self._lock.read().decode()
                raise RuntimeError(
                    "A run is going on in this folder. Wait for its end, stop it, or "
                    "choose another folder. Received: "
                    f"resume={str(self.folder)!r}, in use by {owner!r}"
                ) from None
            except OSError:  # a file system without locks
                pass
        self._lock.truncate(0)
        host, now = socket.gethostname(), time.strftime("%Y-%m-%d %H:%M:%S")
        self._lock.write(f"process {os.getpid()} on {host} since {now}".encode())


class Phase:
    """One phase of a run: what was saved of it last, and where the next save goes.

    Attributes:
        found: the state that was read, or None where the phase has not begun.
        epoch: int, epochs done in it.
        is_done: bool, whether the phase had come to its end.

    Args:
        run: `Run`.
        name: str, of the files.
    """

    def __init__(self, run, name):
        self.run, self.name = run, name
        self.found = self._read()
        self.epoch = self.found["epoch"] if self.found else 0
        self.is_done = bool(self.found and self.found["is_done"])
        if self.found:
            run.seconds_before = max(run.seconds_before, self.found["seconds"])

    def save(self, epoch, state, *, is_done=False):
        """Saves the phase and deletes all older files but one.

        Args:
            epoch: int, epochs done.
            state: dict, as for `write`.
            is_done: bool, whether the phase is at its end.

        Raises:
            OSError: the disk is full; what was saved before is still there.
        """
        end = "done" if is_done else f"{epoch:06}"
        about = {
            "made_of": self.run.made_of,
            "epoch": epoch,
            "is_done": is_done,
            "seconds": self.run.seconds(),
        }
        write(self.run.folder / f"{self.name}-{end}.npz", state | about)
        self.epoch = epoch
        for old in self._files()[KEPT:]:
            old.unlink(missing_ok=True)

    def _files(self):
        """The files of this phase, the latest first."""
        return sorted(self.run.folder.glob(f"{self.name}-*.npz"), reverse=True)

    def _read(self):
        """The latest state that can be read, if it is of the same run."""
        damaged = []
        for path in self._files():
            try:
                found = read(path)
            except DamagedCheckpointError as error:
                damaged.append((path, error))
                continue
            for bad, _ in damaged:
                say(f"{bad.name} is damaged: {path.name}, saved before it, is used.")
                bad.unlink(missing_ok=True)
            self._compare(found["made_of"])
            return found
        if damaged:
            raise damaged[0][1]
        return None

    def _compare(self, old):
        """Refuses to go on with another run."""
        if differences := fingerprint.differences(old, self.run.made_of):
            listed = "\n".join(f"  - {line}" for line in differences)
            raise ValueError(
                "The folder holds a run of another kind, which cannot go on as this "
                f"one:\n{listed}\nMake the call as it was, or take another folder, or "
                "delete this one to begin anew. Received: "
                f"resume={str(self.run.folder)!r}"
            )
        if self.run.verbose:
            for line in fingerprint.other_versions(old, self.run.made_of):
                say(line)


def _pack(value, arrays, numbers):
    """A value as JSON knows it; arrays are put aside, each content once."""
    if isinstance(value, dict):
        return {key: _pack(item, arrays, numbers) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(item, arrays, numbers) for item in value]
    if isinstance(value, np.ndarray):
        name = value.dtype.name
        if value.dtype.kind == "V":  # bfloat16, which NumPy cannot write
            value = value.view(f"u{value.dtype.itemsize}")
        value = np.asarray(value, order="C")
        key = (name, value.shape, hashlib.sha256(value.data).digest())
        if key not in numbers:
            numbers[key] = len(arrays)
            arrays.append(value)
        return {"__array__": numbers[key], "dtype": name}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"__float__": repr(value)}
    return value


def _unpack(value, file):
    if isinstance(value, list):
        return [_unpack(item, file) for item in value]
    if not isinstance(value, dict):
        return value
    if "__float__" in value:
        return float(value["__float__"])
    if "__array__" in value:
        array = file[f"array_{value['__array__']}"]
        return array.view(value["dtype"])  # the same, but for bfloat16
    return {key: _unpack(item, file) for key, item in value.items()}
