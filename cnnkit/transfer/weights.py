"""Weights of backbones: where they are looked for, and how a file is read.

Three kinds of places: the folder `models` of Keras' cache, which the environment
variable KERAS_HOME names (else `.keras` in the home folder); this package; and any
file of yours.

In this package, the weights of the backbone NAME are the file `NAME.npz` beside this
module: float16 arrays "0000", "0001" and so on, in the order of
`backbone(NAME, (64, 64, 3), weights=None).get_weights()`. It is read without pickle.
"""

import os
from pathlib import Path

import keras
import numpy as np

from cnnkit import saving
from cnnkit.transfer.families import BACKBONES
from cnnkit.transfer.heads import backbone_layers

PACKAGE = Path(__file__).parent
DEVIATION = (0.229, 0.224, 0.225)  # of red, green and blue in [0, 1], on ImageNet


def cache():
    """Returns the `pathlib.Path` of the folder in which Keras keeps its weights."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"


def cached_widths(name):
    """Lists the widths of a backbone whose ImageNet weights lie in Keras' cache.

    Args:
        name: str, a key of `BACKBONES`.

    Returns:
        A tuple of floats, the default 1.0 first; empty where nothing is cached.
    """
    widths = BACKBONES[name].widths
    return tuple(w for w in widths if _imagenet_file(name, w).is_file())


def find(name, weights, width):
    """Decides which weights are taken, downloads them if asked to, and says it.

    Args:
        name: str, a key of `BACKBONES`.
        weights: as for `backbone`.
        width: float, or None for a width that has weights.

    Returns:
        (float, the width; path of the file to read, or None).

    Raises:
        ValueError: there are no such weights for this network.
        FileNotFoundError: the file does not exist, or cannot be downloaded.
    """
    embedded = PACKAGE / f"{name}.npz"
    if weights is None:
        return width or 1.0, None
    if weights == "embedded":
        if not embedded.is_file():
            have = sorted(file.stem for file in PACKAGE.glob("*.npz"))
            raise ValueError(
                f"The package holds weights for these backbones: {have}. Take "
                "weights='auto' to go on with what is there, or None. Received: "
                f"weights='embedded' for {name!r}"
            )
        print(f"{name}: weights from this package ({embedded.name})")
        return 1.0, embedded
    if weights not in ("auto", "imagenet"):
        return _given(name, Path(weights), width)
    found = [w for w in cached_widths(name) if width in (None, w)]
    if weights == "auto" and not found:
        if embedded.is_file():
            return find(name, "embedded", width)
        print(_nothing(name))
        return width or 1.0, None
    if not BACKBONES[name].file:
        raise ValueError(
            f"Nobody has published ImageNet weights for {name}: take None, or the path "
            "of a file that you have saved. Received: weights='imagenet'"
        )
    width = found[0] if found else (width or 1.0)
    file = _imagenet_file(name, width)
    if not found:
        _download(name, width, file)
    print(f"{name}: ImageNet weights from Keras' cache, width {width} ({file.name})")
    return width, file


def is_published(file):
    """Whether a file's name is that of weights in the format of Keras Applications.

    Args:
        file: `pathlib.Path`.
    """
    return file.suffix == ".h5" and not file.name.endswith(".weights.h5")


def is_embedded(file):
    """Whether weights are those of this package.

    Args:
        file: `pathlib.Path`.
    """
    return file.parent == PACKAGE


def read(model, file, name, width):
    """Reads a file of weights into a model, or says why it cannot be.

    Args:
        model: `keras.Model`, the backbone. After an error it is half filled.
        file: `pathlib.Path` of a file of Keras Applications (.h5), or from
            `model.save_weights` (.weights.h5) or `saving.save` (.keras; a classifier
            on such a backbone), or as the head of this module describes (.npz).
        name: str, of the backbone.
        width: float, of the backbone.

    Raises:
        ValueError: the file is damaged, or belongs to another network or width.
    """
    try:
        if file.suffix == ".npz":
            _assign(model, _arrays(file))
        elif file.suffix == ".keras":
            whole, _ = saving.load(file)
            layers = backbone_layers(whole)
            _assign(model, [np.asarray(v) for x in layers for v in x.weights])
        else:
            model.load_weights(file)
        for variable in model.weights:
            if not np.isfinite(np.asarray(variable)).all():
                raise ValueError(f"{variable.path} is not finite")
    except Exception as error:  # Keras, h5py and zipfile raise a dozen kinds
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"The weights do not fit {name} with width {width}, or the file is "
            "damaged. Take one that was made for this width with include_top=False, "
            "and fetch it again if it was cut off. Received: "
            f"{str(file)!r} ({type(error).__name__}: {reason})"
        ) from error
    for layer in model.layers:  # only those of EfficientNet B0 to B7 have weights
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            if is_published(file):
                # Keras adds a layer that divides by the root of the deviation once
                # more, but only while it reads the file itself (tensorflow issue
                # 49930). This does the same.
                layer.adapt_variance.assign(layer.adapt_variance * DEVIATION)
            layer.finalize_state()


def _arrays(file):
    with np.load(file, allow_pickle=False) as members:
        return [members[f"{i:04}"].astype("float32") for i in range(len(members))]


def _assign(model, arrays):
    """Sets all weights; a network for grey adds up what was learned for colours."""
    first = model.weights[0].shape
    if arrays and arrays[0].shape[2:3] == (3,) and first[2] == 1:
        arrays[0] = arrays[0].sum(axis=2, keepdims=True)  # as if grey came three times
    model.set_weights(arrays)


def _imagenet_file(name, width):
    family = BACKBONES[name]
    return cache() / family.file.format(family.widths[width])


def _nothing(name):
    """What is said where `auto` finds no weights."""
    if not BACKBONES[name].file:
        return f"{name}: no weights in this package, so its weights are random"
    return (
        f"{name}: no ImageNet weights in Keras' cache, so its weights are random; "
        "weights='imagenet' downloads them"
    )


def _given(name, file, width):
    """Width and path for a file of the reader's own."""
    if not file.is_file():
        raise FileNotFoundError(
            "`weights` is 'auto', 'imagenet', 'embedded', None or the path of a file. "
            f"Received: weights={str(file)!r}, which is no file"
        )
    named = [
        w for w in BACKBONES[name].widths if _imagenet_file(name, w).name == file.name
    ]
    width = width or (named[0] if named else 1.0)
    print(f"{name}: weights from {file.name}, width {width}")
    return width, file


def _download(name, width, file):
    family = BACKBONES[name]
    print(f"{name}: downloading {file.name}")
    try:
        family.build(
            include_top=False,
            weights="imagenet",
            input_shape=(224, 224, 3),
            **family.at(width),
        )
        file.stat()  # Keras has put it where it is looked for
    except Exception as error:
        raise FileNotFoundError(
            f"The ImageNet weights of {name} are not on this machine and could not be "
            f"downloaded. Put the file {file.name} into the folder "
            f"{str(file.parent)!r}, or run this once with a network, or take "
            "weights='auto' to go on without. "
            f"Received: {type(error).__name__}"
        ) from error
