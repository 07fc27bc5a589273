"""Model files: `save` writes one that is complete, `load` opens one with care.

A `.keras` file is a zip archive of three members: the architecture (config.json), the
weights (model.weights.h5) and a note (metadata.json). `save` adds a fourth,
cnnkit.json, with the class names, how picture files became pixels, and the confidence
under which to say "unsure". Keras ignores it, so `keras.saving.load_model` opens the
file where cnnkit is not installed, unless the model has layers of cnnkit's own, as
cosine heads, `vit_cifar`, `capsnet` and graph networks have (`inspect` names them).

A model file from a stranger is a program from a stranger: its config names the classes
and functions that Keras will call. `load` reads the archive first and lets Keras see
only what is on the lists of `cnnkit.saving.allowed`. This lowers the risk; it is not a
sandbox. It does not promise to refuse a file that asks for more memory than the machine
has (one layer of 10^10 weights), it does not inspect the inside of the weights file,
and it cannot know whether weights were trained to deceive. Open files only from people
you trust. Keras is imported where a model is built, so that `inspect` costs nothing.
"""

import contextlib
import json
import os
import pathlib
import re
import secrets
import tempfile
import zipfile
from types import SimpleNamespace

import numpy as np

from cnnkit import __version__
from cnnkit.saving import archive
from cnnkit.saving.archive import CorruptModelError, UnsafeModelError, shown

__all__ = [
    "CorruptModelError",
    "UnsafeModelError",
    "convert_h5",
    "inspect",
    "load",
    "replacing",
    "save",
]


def save(model, path, photos, *, unsure_below=None, overwrite=False):
    """Saves a classifier and what is needed to use it as one `.keras` file.

    Stands for `model.save(path)`, with three differences. What the answers mean and
    how pictures were read travels in the file. The file appears whole or not at all,
    also when the disk is full or the power fails. The optimizer's state stays out: it
    would triple the size.

    Args:
        model: functional or Sequential `keras.Model`, built, with one output of shape
            (batch, num_classes). It is not changed.
        path: file to write, ending in `.keras`; missing folders are made.
        photos: the `ImageData` that the model learnt from; or a sequence of different,
            non-empty str, the class names in the order of the outputs. The file then
            does not say how pictures are read.
        unsure_below: None, or float in [0, 1], the confidence under which
            `evaluation.predict_files` answers "unsure"; `evaluation.unsure_below`
            chooses it.
        overwrite: bool, whether an existing file may be replaced.

    Returns:
        The `pathlib.Path` of the file.

    Raises:
        ValueError: `path` does not end in `.keras`; the class names are not different
            names, one for each output; the model is not built; `load` would refuse a
            layer of it.
        FileExistsError: the file exists and `overwrite` is False.
    """
    import keras

    from cnnkit.saving import allowed

    path = pathlib.Path(path)
    class_names = getattr(photos, "class_names", photos)
    if path.suffix != ".keras":
        raise ValueError(f"`path` must end in .keras. Received: path={str(path)!r}")
    if not getattr(model, "inputs", None) or len(model.outputs) != 1:
        raise ValueError(
            "`model` must be a built functional or Sequential model with one output; "
            f"call it once on a batch. Received: {type(model).__name__}"
        )
    if reason := _wrong_names(class_names, model.output_shape[-1]):
        raise ValueError(f"{reason}. Received: class_names={shown(class_names)}")
    if path.exists() and not overwrite:
        raise FileExistsError(
            "A file of this name exists. Choose another name, or pass overwrite=True "
            f"to replace it. Received: path={str(path)!r}"
        )
    reader = getattr(photos, "reader", None)
    about = {
        "cnnkit_version": __version__,
        "keras_version": keras.__version__,
        "class_names": list(class_names),
        "input_shape": model.input_shape[1:],
        "input": "float32 pixels (height, width, channels) in [0, 255]; the model "
        "normalises them itself",
        "reading": reader and vars(reader),
        "unsure_below": unsure_below,
    }
    if unsure_below is not None and not 0 <= unsure_below <= 1:
        raise ValueError(
            "`unsure_below` is a probability, from 0 to 1, or None. "
            f"Received: unsure_below={unsure_below!r}"
        )
    # The same layers, in a model that was never compiled.
    network = keras.Model(model.inputs, model.outputs, name=model.name)
    remedy = "`load` would refuse the file, so use a layer that only computes"
    with replacing(path) as temporary:
        keras.saving.save_model(network, temporary, overwrite=True)
        with zipfile.ZipFile(temporary, "a") as file:
            config = json.loads(file.read("config.json"))
            allowed.checked(config, path, allowed.may_be_saved, remedy)
            file.writestr("cnnkit.json", json.dumps(about, indent=1))
    return path


def inspect(path):
    """Says what a `.keras` file is and wants, without building the model or Keras.

    Args:
        path: `.keras` file on this machine.

    Returns:
        A dict: "class_names" (tuple of str), "reading" (dict, the `data.Reader` of the
        pictures), "unsure_below" (float), "input_shape" (list) and "cnnkit_version",
        each None where the file does not say; "keras_version"; "layers_of_cnnkit"
        (list of str; empty where plain Keras opens the file) and "sha256" (hex, of the
        whole file).

    Raises:
        FileNotFoundError: there is no such file.
        UnsafeModelError: the file is of another kind or holds other members.
        CorruptModelError: the file is damaged, or what it says makes no sense.
    """
    return archive.read(path)[1]


def load(path, *, trusted=(), allow_nonfinite=False):
    """Loads a classifier and its class names from a `.keras` file, in safe mode.

    Stands for `keras.saving.load_model(path, compile=False)` behind checks that cannot
    be switched off; the head of this module tells what they are worth. The file is
    read once, and Keras gets a copy of what was checked. A file of a newer Keras or
    cnnkit is loaded with a warning.

    Args:
        path: `.keras` file on this machine, from `save` or from plain Keras.
        trusted: sequence of classes, layers that you wrote or have read, which the
            file may use beside those of Keras that are on the list.
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
            what is not on the lists; or Keras' own safe mode was switched off.
        CorruptModelError: the file is damaged, lacks a part, was written by Keras 2,
            or its weights do not fit or are not finite.
    """
    import keras

    from cnnkit.saving import allowed

    if not all(isinstance(item, type) for item in trusted):
        raise ValueError(
            "`trusted` takes classes, not their names: the code must be yours, not the "
            f"file's. Received: trusted={shown(trusted)}"
        )
    allowed.check_keras(path)
    members, facts = archive.read(path)
    archive.compare_versions(path, facts, keras.__version__)
    config = allowed.checked(
        members["config.json"], path, lambda value: allowed.in_keras(value, trusted)
    )
    # Written anew from what was checked, so that Keras cannot read it differently.
    with tempfile.TemporaryDirectory(prefix="cnnkit-") as folder:
        copy = pathlib.Path(folder, "checked.keras")
        with zipfile.ZipFile(copy, "w") as file:
            file.writestr("config.json", json.dumps(config))
            file.writestr("metadata.json", json.dumps(members["metadata.json"]))
            file.writestr(archive.WEIGHTS, members.pop(archive.WEIGHTS))
        custom = {keras.saving.get_registered_name(item): item for item in trusted}
        model = built(path, copy, custom)

    for weight in () if allow_nonfinite else model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            reason = f"the weights {shown(weight.path)} are NaN or infinite"
            remedy = "Train again, or look inside with allow_nonfinite=True"
            raise archive.corrupt(path, reason, remedy)
    class_names = facts["class_names"]
    if class_names is not None or "cnnkit.json" in members:
        if reason := _wrong_names(class_names, model.output_shape[-1]):
            raise archive.corrupt(path, f"in member cnnkit.json, {reason}")
    return model, class_names


def built(path, copy, custom=None):
    """Returns the model in `copy`, what was checked of `path`."""
    import keras

    try:
        return keras.saving.load_model(copy, custom, compile=False)
    except Exception as error:  # Keras, h5py and TensorFlow raise many kinds
        reason = f"Keras cannot build it: {' '.join(str(error).split())[:100]}"
        raise archive.corrupt(path, reason) from error


def convert_h5(path, out, class_names, *, pixels=(-1, 1), fit="crop"):
    """Makes an `.h5` file of Keras 2, such as Teachable Machine's, a `.keras` file.

    The layers are those that `load` allows, the weights stay as they are, and in front
    comes a `Rescaling`, since all models here take pixels from 0 to 255.

    Args:
        path: `.h5` file on this machine.
        out: file to write, ending in `.keras`.
        class_names: sequence of str in the order of the outputs, or the path of a
            `labels.txt` with a line such as "0 Cat" for each.
        pixels: (low, high), what the model learnt that black and white are: (-1, 1)
            for Teachable Machine and most MobileNets, (0, 1) where pictures were
            divided by 255, (0, 255) where they were not.
        fit: str, how pictures were brought to the size, as for `data.from_folder`;
            Teachable Machine cuts the longer side.

    Returns:
        The `pathlib.Path` of the new file, for `load` and `cnnkit predict`.

    Raises:
        ValueError: the names or `pixels` are wrong, or the file is refused or damaged.
        FileNotFoundError, FileExistsError: there is no such file; `out` exists.

    Example:
        >>> saving.convert_h5("keras_model.h5", "pets.keras", "labels.txt")
    """
    from cnnkit.saving import h5

    model = h5.read(path, pixels)
    if isinstance(class_names, str | os.PathLike):
        lines = pathlib.Path(class_names).read_text("utf-8-sig").splitlines()
        class_names = [re.sub(r"^\d+\s+", "", line.strip()) for line in lines if line]
    size, (*_, channels) = model.input_shape[1:3], model.input_shape
    reader = {"image_size": None if None in size else size, "grey": channels == 1}
    reader = SimpleNamespace(**reader, fit=fit, background="white")
    return save(model, out, SimpleNamespace(class_names=class_names, reader=reader))


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


def _wrong_names(names, outputs):
    """What is wrong with these class names for a model of so many outputs, or ""."""
    if not archive.are_names(names):
        return "`class_names` must be a list of different, non-empty str"
    if len(names) != outputs:
        return f"`class_names` must be {outputs}, one an output; they are {len(names)}"
    return ""
