"""Reads an `.h5` file, as Keras 2 wrote: its layers by name, its weights by Keras.

There the config is JSON in an attribute, and a class is its name alone.
Everything but the names of layers and initializers is refused, and so are links
that lead out of the file.
"""

import io
import json
import pathlib
import tempfile

import h5py
import keras

from cnnkit.saving import allowed, archive, built

OTHERS = {"DTypePolicy", "Functional", "Model", "Policy", "Sequential"}


def read(path, pixels):
    """Returns the model in a file, with a `Rescaling` from [0, 255] to `pixels`."""
    low, high = pixels
    if not -1000 < low < high < 1000:
        raise ValueError(f"`pixels` is (low, high). Received: pixels={pixels!r}")
    allowed.check_keras(path)
    content = archive.content(path, ".h5")
    if not content.startswith(archive.HDF5):
        start = f"{len(content)} bytes, the first are {content[:8]!r}"
        raise archive.corrupt(path, f"the file exists, but it is no HDF5: {start}")
    with tempfile.TemporaryDirectory(prefix="cnnkit-") as folder:
        copy = pathlib.Path(folder, "checked.h5")
        try:
            with h5py.File(io.BytesIO(content)) as file, h5py.File(copy, "w") as new:
                _check_links(path, file)
                text = file.attrs["model_config"]
                config = archive.parsed(path, "its model_config", text)
                version = str(file.attrs.get("keras_version", "2"))
                config = _checked(config, path, not version.startswith("3"))
                new.attrs["model_config"] = json.dumps(config)
                new.attrs["keras_version"] = version
                new.attrs["backend"] = "tensorflow"
                file.copy("model_weights", new)
        except (archive.UnsafeModelError, archive.CorruptModelError):
            raise
        except Exception as error:  # a damaged file raises many kinds
            reason = f"it holds no whole model ({archive.shown(str(error))})"
            raise archive.corrupt(path, reason) from error
        model = built(path, copy)
    inputs = keras.Input(model.input_shape[1:])
    scale = keras.layers.Rescaling((high - low) / 255, offset=low)
    return keras.Model(inputs, model(scale(inputs)))


def _check_links(path, group):
    """Refuses what is not stored in the file itself; walks no link."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise archive.unsafe(path, f"{archive.shown(name)} is a link")
        item = group[name]
        if isinstance(item, h5py.Group):
            _check_links(path, item)
        elif item.external or item.is_virtual:
            raise archive.unsafe(path, f"{archive.shown(name)} lies in another file")


def _checked(config, path, old):
    """The config without compile options, and without what Keras 3 does not know."""

    def is_known(value):
        by_name = old or value.get("module") is None
        return by_name and _is_known(value) or not old and allowed.in_keras(value)

    config = allowed.checked(config, path, is_known, "It cannot be converted")
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if value.get("class_name") == "DepthwiseConv2D":
                value["config"].pop("groups", None)  # always 1, and refused by Keras 3
            if old:
                _renew(value)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return config


def _renew(value):
    if "class_name" in value:  # the name alone counts, as in the oldest files
        value.pop("module", None), value.pop("registered_name", None)
    if isinstance(value.get("dtype"), dict):
        value["dtype"] = value["dtype"]["config"]["name"]
    if value.get("class_name") != "InputLayer" and isinstance(
        value.get("config"), dict
    ):
        shape = value["config"].pop("batch_input_shape", None)
        if shape is not None:
            value["config"]["input_shape"] = shape[1:]
    for key in ("input_layers", "output_layers"):  # in Keras 3 one tensor is no list
        if len(ends := value.get(key) or ()) == 1:
            value[key] = ends[0]


def _is_known(value):
    name = value["class_name"]
    initializer = isinstance(name, str) and getattr(keras.initializers, name, None)
    return (
        isinstance(name, str)
        and (name in allowed.LAYERS | OTHERS)
        or isinstance(initializer, type)
        and issubclass(initializer, keras.initializers.Initializer)
    )
