"""Pictures in: from a folder, arrays or a named set to an `ImageData`.

Pictures are decoded once and kept as uint8, the split is a table that can be read,
and TensorFlow is imported only when pictures are batched.
"""

import importlib

from cnnkit.data.image_data import ImageData, to_arrays
from cnnkit.data.load import from_arrays, from_folder, usual_side
from cnnkit.data.named import load
from cnnkit.data.split import split

__all__ = [
    "ImageData",
    "from_arrays",
    "from_folder",
    "load",
    "signs",
    "split",
    "to_arrays",
    "usual_side",
]


def __getattr__(name):
    # `python -m cnnkit.data.signs` must find its module not yet imported.
    if name == "signs":
        return importlib.import_module("cnnkit.data.signs")
    raise AttributeError(f"module 'cnnkit.data' has no attribute {name!r}")
