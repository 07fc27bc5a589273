"""Model files: `save` writes one that is complete, `load` opens one with care.

A `.keras` file is a zip archive of three members: the architecture (config.json), the
weights (model.weights.h5) and a note (metadata.json). `save` adds a fourth,
cnnkit.json, with the class names and the input that the model wants. Keras ignores it,
so `keras.saving.load_model` opens the file where cnnkit is not installed.

A model file from a stranger is a program from a stranger: its config names the classes
and functions that Keras will call. `load` reads the archive first and lets Keras see
only what is on the lists of `cnnkit.saving.archive`. This lowers the risk; it is not a
sandbox. It does not promise to refuse a file that asks for more memory than the machine
has (one layer of 10^10 weights), it does not inspect the inside of the weights file,
and it cannot know whether weights were trained to deceive. Open files only from people
you trust.
"""

import contextlib
import json
import os
import pathlib
import secrets
import tempfile
import zipfile

import keras
import numpy as np

from cnnkit import __version__
from cnnkit.saving import archive
from cnnkit.saving.archive import CorruptModelError, UnsafeModelError, shown

__all__ = ["CorruptModelError", "UnsafeModelError", "load", "replacing", "save"]


def save(model, path, class_names, *, overwrite=False):
    """Saves a classifier and its class names as one `.keras` file.

    Stands for `model.save(path)`, with three differences. The class names travel in
    the file. The file appears whole or not at all, also when the disk is full or the
    power fails. The optimizer's state stays out: it would triple the size.

    Args:
        model: functional or Sequential `keras.Model`, built, with one output of shape
            (batch, num_classes). It is not changed.
        path: file to write, ending in `.keras`; missing folders are made.
        class_names: sequence of different, non-empty str, in the order of the outputs.
        overwrite: bool, whether an existing file may be replaced.

    Returns:
        The `pathlib.Path` of the file.

    Raises:
        ValueError: `path` does not end in `.keras`; the class names are not different
            names, one for each output; the model is not built.
        FileExistsError: the file exists and `overwrite` is False.
    """
    path = pathlib.Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"`path` must end in .keras. Received: path={str(path)!r}")
    if not getattr(model, "inputs", None) or len(model.outputs) != 1:
        raise ValueError(
            "`model` must be a built functional or Sequential model with one output; "
            f"call it once on a batch. Received: {type(model).__name__}"
        )
    if reason := _wrong_names(class_names, model):
        raise ValueError(f"{reason}. Received: class_names={shown(class_names)}")
    if path.exists() and not overwrite:
        raise FileExistsError(
            "A file of this name exists. Choose another name, or pass overwrite=True "
            f"to replace it. Received: path={str(path)!r}"
        )
    about = {
        "cnnkit_version": __version__,
        "keras_version": keras.__version__,
        "class_names": list(class_names),
        "input_shape": model.input_shape[1:],
        "input": "float32 pixels (height, width, channels) in [0, 255]; the model "
        "normalises them itself",
    }
    # The same layers, in a model that was never compiled.
    network = keras.Model(model.inputs, model.outputs, name=model.name)
    with replacing(path) as temporary:
        keras.saving.save_model(network, temporary, overwrite=True)
        with zipfile.ZipFile(temporary, "a") as file:
            file.writestr("cnnkit.json", json.dumps(about, indent=1))
    return path


def load(path, *, trusted=(), allow_nonfinite=False):
    """Loads a classifier and its class names from a `.keras` file, in safe mode.

    Stands for `keras.saving.load_model(path, compile=False)` behind checks that cannot
    be switched off; the head of this module tells what they are worth. The file is
    read once, and Keras gets a copy of what was checked.

    Args:
        path: `.keras` file on this machine, from `save` or from plain Keras.
        trusted: sequence of classes, layers that you wrote or have read, which the
            file may use beside those of Keras.
        allow_nonfinite: bool, whether weights may be NaN or infinite. Such a model
            answers NaN.

    Returns:
        (model, class_names): an uncompiled `keras.Model` that is ready to predict, and
        a tuple of str in the order of its outputs, or None where plain Keras wrote the
        file, without names.

    Raises:
        ValueError: `trusted` holds something else than classes.
        FileNotFoundError: there is no such file.
        UnsafeModelError: the file is of another kind, holds other members, or asks for
            a class or function that is not on the lists; or Keras' own safe mode was
            switched off with `keras.config.enable_unsafe_deserialization`.
        CorruptModelError: the file is cut off or damaged, lacks a part, or its weights
            do not fit or are not finite.
    """
    if not all(isinstance(item, type) for item in trusted):
        raise ValueError(
            "`trusted` takes classes, not their names: the code must be yours, not the "
            f"file's. Received: trusted={shown(trusted)}"
        )
    trusted = {keras.saving.get_registered_name(item): item for item in trusted}
    contents = archive.read(path, trusted)
    # Written anew from what was checked, so that Keras cannot read it differently.
    with tempfile.TemporaryDirectory(prefix="cnnkit-") as folder:
        copy = pathlib.Path(folder, "checked.keras")
        with zipfile.ZipFile(copy, "w") as file:
            file.writestr("config.json", json.dumps(contents["config.json"]))
            file.writestr("metadata.json", json.dumps(contents["metadata.json"]))
            file.writestr(archive.WEIGHTS, contents.pop(archive.WEIGHTS))
        try:
            model = keras.saving.load_model(copy, trusted, compile=False)
        except Exception as error:  # Keras, h5py and TensorFlow raise many kinds
            reason = f"Keras cannot build it: {' '.join(str(error).split())[:100]}"
            raise archive.corrupt(path, reason) from error

    for weight in () if allow_nonfinite else model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            reason = f"the weights {shown(weight.path)} are NaN or infinite"
            remedy = "Train again, or look inside with allow_nonfinite=True"
            raise archive.corrupt(path, reason, remedy)
    if "cnnkit.json" not in contents:
        return model, None
    class_names = contents["cnnkit.json"].get("class_names")
    if reason := _wrong_names(class_names, model):
        raise archive.corrupt(path, f"in member cnnkit.json, {reason}")
    return model, tuple(class_names)


@contextlib.contextmanager
def replacing(path):
    """Gives a temporary path beside `path`, and moves it there at the end.

    Readers see the old file or the new one, whole, never a half of either. After an
    error, Ctrl-C included, the old file is as it was and the temporary one is gone.

    Args:
        path: `pathlib.Path` of the file to write or replace; missing folders are made.

    Yields:
        `pathlib.Path` of an empty file with the same ending, to write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".cnnkit-{secrets.token_hex(8)}{path.suffix}")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # else the new name could reach the disk first
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # The file is in its place. Some systems cannot sync a folder: then the old file
    # may come back after a power cut, still whole.
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _wrong_names(names, model):
    """What is wrong with these class names for this model, or ""."""
    if not isinstance(names, list | tuple) or not all(
        isinstance(name, str) and name for name in names
    ):
        return "`class_names` must be a list of non-empty str"
    if len(set(names)) < len(names):
        return "`class_names` must differ from one another"
    if len(names) != (outputs := model.output_shape[-1]):
        return f"`class_names` must be {outputs}, one an output; they are {len(names)}"
    return ""
