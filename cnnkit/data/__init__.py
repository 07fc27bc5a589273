"""Pictures in: from a folder, archive, table, arrays or a named set to an `ImageData`.

Pictures are decoded once and kept as uint8, the split is a table that can be read,
and TensorFlow is imported only when pictures are batched.
"""

import importlib

from cnnkit.data import balance
from cnnkit.data.archives import unpack
from cnnkit.data.arrays import from_arrays
from cnnkit.data.codes import CODES
from cnnkit.data.findings import check
from cnnkit.data.findings import save as save_findings
from cnnkit.data.image_data import ImageData, to_arrays
from cnnkit.data.load import from_folder, from_table, usual_side
from cnnkit.data.manifests import load as load_manifest
from cnnkit.data.manifests import save as save_manifest
from cnnkit.data.named import load
from cnnkit.data.quarantine import restore
from cnnkit.data.split import folds, split
from cnnkit.data.suspects import label_suspects

__all__ = [
    "CODES",
    "ImageData",
    "balance",
    "check",
    "folds",
    "from_arrays",
    "from_folder",
    "from_table",
    "label_suspects",
    "load",
    "load_manifest",
    "restore",
    "save_findings",
    "save_manifest",
    "signs",
    "split",
    "to_arrays",
    "unpack",
    "usual_side",
]


def __getattr__(name):
    # `python -m cnnkit.data.signs` must find its module not yet imported.
    if name == "signs":
        return importlib.import_module("cnnkit.data.signs")
    raise AttributeError(f"module 'cnnkit.data' has no attribute {name!r}")
