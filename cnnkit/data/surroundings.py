"""What a run stands on: its output, the place it writes to, how Keras is set."""

import contextlib
import json
import os
import sys
import tempfile
from importlib import util
from pathlib import Path

KERAS = {"image_data_format": "channels_last", "floatx": "float32"}


def say(text):
    """Prints a line; an output that is closed, or lacks a letter, ends no work."""
    with contextlib.suppress(OSError, ValueError):
        try:
            print(text, flush=True)
        except UnicodeEncodeError:  # cp1252, ASCII: what cannot be shown is written out
            print(text.encode("ascii", "backslashreplace").decode(), flush=True)


def check_place(path, called):
    """Finds out before the work, not after it, whether a file can be written."""
    path = Path(path).expanduser()
    folder = path.absolute().parent
    while not os.path.lexists(folder):
        folder = folder.parent
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"Nothing can be written in {str(folder)!r} ({error.strerror}): choose "
            f"another place. Received: {called}{str(path)!r}"
        ) from error


def check_keras(*, trains=True):
    """Says which setting of Keras does not go with this package, before it is used."""
    home = os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras")
    file, found = Path(home, "keras.json"), {"backend": "tensorflow"} | KERAS
    config = getattr(sys.modules.get("keras"), "config", None)
    if config:  # imported: these count
        found = {name: getattr(config, name)() for name in found}
    else:
        with contextlib.suppress(OSError, ValueError, TypeError):
            found |= json.loads(file.read_bytes())
        found["backend"] = os.environ.get("KERAS_BACKEND") or found["backend"]
    backend = found["backend"]
    missing = not util.find_spec(backend) if backend.isidentifier() else True
    if missing or (trains and backend != "tensorflow"):
        raise ValueError(
            "The training needs TensorFlow: set KERAS_BACKEND=tensorflow before Python "
            f"starts, or write it into {str(file)!r}. Received: backend={backend!r}"
            + ", which is not installed"
            * missing
        )
    for name, needed in KERAS.items():
        if found[name] != needed:
            raise ValueError(
                f"Keras has to be set to {name}={needed!r}: write it into "
                f"{str(file)!r}, or call keras.config.set_{name}({needed!r}) before "
                f"the model is built. Received: {name}={found[name]!r}"
            )
