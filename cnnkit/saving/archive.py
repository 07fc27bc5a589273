"""What lies in a model file: read without Keras, and refused where it is not plain.

Keras resolves every `class_name` of a config to a class or function, and calls it. So
the config is walked here first, and each name must be on a list. A list of what is
forbidden would be out of date with the next release of Keras; a list of what is allowed
is only too short.
"""

import importlib
import io
import json
import pathlib
import stat
import sys
import zipfile

import keras

WEIGHTS = "model.weights.h5"
# member of the archive: the most bytes that it may hold
LIMITS = {
    "config.json": 2**24,
    "metadata.json": 2**16,
    "cnnkit.json": 2**24,
    WEIGHTS: 2**31,
}
MAX_RATIO = 20  # member to file; Keras stores without compression, so 1 is usual
MAX_DEPTH = 100  # of the config; the models of keras.applications need about 20

# What a config may ask for: layers that compute on arrays. None of them reads a file,
# opens the network or holds code, as Lambda, StringLookup or TFSMLayer do.
LAYERS = """
    Activation ActivityRegularization Add AlphaDropout Attention Average
    AveragePooling1D AveragePooling2D BatchNormalization CenterCrop Concatenate Conv1D
    Conv2D Conv2DTranspose Cropping1D Cropping2D Dense DepthwiseConv2D Dot Dropout ELU
    EinsumDense Embedding Flatten GaussianDropout GaussianNoise GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D GroupNormalization
    GroupQueryAttention Identity InputLayer LayerNormalization LeakyReLU MaxPooling1D
    MaxPooling2D Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute
    RMSNormalization RandomBrightness RandomContrast RandomCrop RandomFlip
    RandomRotation RandomTranslation RandomZoom ReLU RepeatVector Rescaling Reshape
    Resizing SeparableConv2D Softmax SpatialDropout2D SpectralNormalization Subtract
    TimeDistributed UnitNormalization UpSampling2D ZeroPadding2D
"""
CLASSES = {
    "keras": {"DTypePolicy", "Sequential"},
    "keras.layers": set(LAYERS.split()),
    "keras.src.applications.convnext": {"LayerScale"},
    "keras.src.models.functional": {"Functional"},
    "keras.src.ops.core": {"Cast", "Slice", "StopGradient"},
}
# Modules of Keras in which every class of this kind only computes.
KINDS = {
    "keras.constraints": keras.constraints.Constraint,
    "keras.initializers": keras.initializers.Initializer,
    "keras.regularizers": keras.regularizers.Regularizer,
    "keras.src.ops.image": keras.Operation,
    "keras.src.ops.nn": keras.Operation,
    "keras.src.ops.numpy": keras.Operation,
}
ACTIVATIONS = set(dir(keras.activations)) - {"deserialize", "get", "serialize"}
# Plain values, which Keras marks as if they were classes.
VALUES = {"__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__"}


class UnsafeModelError(ValueError):
    """The file asks for something that a picture classifier does not need."""


class CorruptModelError(ValueError):
    """The file is not a whole, readable Keras model."""


def read(path, trusted):
    """Reads a model file and checks it, without building anything.

    Args:
        path: the file.
        trusted: dict of registered name to class, allowed beside those of Keras.

    Returns:
        A dict of member name to content: parsed JSON, or bytes for `WEIGHTS`.

    Raises:
        FileNotFoundError: there is no such file.
        UnsafeModelError: the file should not be loaded.
        CorruptModelError: the file is not whole.
    """
    if not _keras_is_safe():
        raise _unsafe(
            path,
            "Keras was told to run code from model files",
            "Restart Python without keras.config.enable_unsafe_deserialization()",
        )
    members = _unpack(path)
    for name in set(members) - {WEIGHTS}:
        members[name] = _parse(path, name, members[name])
    members["config.json"] = _allowed(members["config.json"], path, trusted)
    return members


def _unpack(path):
    """The members of the archive, {name: bytes}, none larger than its limit."""
    if "://" in str(path):
        raise _unsafe(path, "an address is no file", "Download it, then load the file")
    path = pathlib.Path(path)
    status = path.stat()  # FileNotFoundError names the path
    if path.suffix != ".keras" or not stat.S_ISREG(status.st_mode):
        raise _unsafe(path, "only .keras files are loaded", "Save it again as .keras")
    if status.st_size > sum(LIMITS.values()):
        raise _unsafe(path, f"{status.st_size:,} bytes are too many")
    data = path.read_bytes()
    if data.startswith((b"\x89HDF", b"\x80")):
        raise _unsafe(path, "the content is HDF5 or pickle", "Save it again as .keras")
    if not data.startswith(b"PK\x03\x04"):
        start = f"{len(data)} bytes, the first are {data[:8]!r}"
        raise corrupt(path, f"the file exists, but it is no zip archive: {start}")
    members = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                name = entry.filename
                if name not in LIMITS or name in members:
                    why = "is there twice" if name in members else "does not belong"
                    raise _unsafe(path, f"member {shown(name)} {why}")
                limit = min(LIMITS[name], MAX_RATIO * len(data))
                with archive.open(entry) as file:  # counts; the header may lie
                    members[name] = file.read(limit + 1)
                if len(members[name]) > limit:
                    raise _unsafe(path, f"member {name} holds over {limit:,} bytes")
    except UnsafeModelError:
        raise
    except Exception as error:  # a damaged archive raises a dozen kinds
        raise corrupt(path, f"damaged archive: {shown(str(error))}") from error
    if missing := sorted(set(LIMITS) - {"cnnkit.json"} - set(members)):
        raise corrupt(path, f"the archive lacks {', '.join(missing)}")
    return members


def _parse(path, name, content):
    """The JSON object that a member holds."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise corrupt(path, f"member {name} is no readable JSON") from error
    if not isinstance(value, dict):
        raise corrupt(path, f"member {name} is no JSON object")
    return value


def _allowed(value, path, trusted, layer="", depth=0):
    """A copy of a config in which all classes are allowed, without compile options."""
    if depth > MAX_DEPTH:
        raise _unsafe(path, f"the config is nested over {MAX_DEPTH} deep")
    if isinstance(value, list):
        return [_allowed(item, path, trusted, layer, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if "class_name" in value:
        inner = value.get("config")
        if isinstance(inner, dict) and "name" in inner:
            layer = inner["name"]
        if not _is_allowed(value, trusted):
            asked = inner if value["class_name"] == "function" else value["class_name"]
            wanted = shown(f"{value.get('module')}.{asked}")
            raise _unsafe(
                path,
                f"member config.json: layer {shown(layer)} asks for {wanted}",
                "If you know this code, pass its class in `trusted`",
            )
    return {
        key: _allowed(item, path, trusted, layer, depth + 1)
        for key, item in value.items()
        if key != "compile_config"
    }


def _is_allowed(value, trusted):
    """Whether Keras may resolve this dict, and to nothing but what it says."""
    name, module, alias = (
        value.get(key) for key in ("class_name", "module", "registered_name")
    )
    if not isinstance(name, str):
        return False
    if not isinstance(module, str | None) or not isinstance(alias, str | None):
        return False
    if name in VALUES:
        return True
    if alias in trusted:
        return name == trusted[alias].__name__
    if alias and alias.startswith("cnnkit>"):
        importlib.import_module("cnnkit.models")  # where layers of ours are registered
        importlib.import_module("cnnkit.models.stochastic_depth")  # in no builder
        importlib.import_module("cnnkit.models.cosine")
    ours = keras.saving.get_registered_object(alias)
    if isinstance(ours, type) and ours.__module__.startswith("cnnkit."):
        return (module, name) == (ours.__module__, ours.__name__)
    if name == "function":
        asked = value.get("config")
        known = isinstance(asked, str) and asked in ACTIVATIONS
        return known and alias == asked and module in ("builtins", "keras.activations")
    if alias not in (None, name):  # Keras would follow the alias, not the module
        return False
    if module in KINDS:
        found = getattr(sys.modules[module], name, None)
        return isinstance(found, type) and issubclass(found, KINDS[module])
    return name in CLASSES.get(module, ())


def _keras_is_safe():
    """Whether safe mode holds: its global switch overrules `safe_mode=True`."""
    try:
        keras.saving.deserialize_keras_object(
            {"class_name": "__lambda__", "config": {"value": None}}, safe_mode=True
        )
    except ValueError:
        return True  # refused, unread
    except Exception:  # it tried to decode the (empty) code
        return False
    return False


def shown(value):
    """Returns text of unknown origin, harmless and short enough for a message.

    Args:
        value: anything, most often str.

    Returns:
        Its `repr`, so that control characters are visible, cut to 56 characters.
    """
    text = repr(value)
    return text if len(text) <= 56 else f"{text[:52]} ...{text[-1]}"


def corrupt(path, reason, remedy="Fetch or save the file again"):
    """Returns the error for a file that is not whole.

    Args:
        path: the file, of which the message gives the name alone.
        reason: str, what is wrong, at most about 120 characters.
        remedy: str, what to do about it.

    Returns:
        A `CorruptModelError` with a message under 300 characters.
    """
    name = shown(pathlib.PurePath(path).name)
    return CorruptModelError(f"Unreadable: {reason}. {remedy}. Received: {name}")


def _unsafe(path, reason, remedy="Load only files from people you trust"):
    name = shown(pathlib.PurePath(path).name)
    return UnsafeModelError(f"Refused: {reason}. {remedy}. Received: {name}")
