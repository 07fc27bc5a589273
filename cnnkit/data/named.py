"""Sets of pictures that have a name: embedded, from scikit-learn, or from Keras.

Where a set lies outside the package, three places are tried in turn: the folder that
the environment variable CNNKIT_DATA names, Keras' own cache, and Keras' download.
"""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from cnnkit.data.arrays import from_arrays
from cnnkit.data.load import from_folder
from cnnkit.data.surroundings import say

FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer",
    "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
DIGITS = tuple("0123456789")

# name: (class names, files to look for in CNNKIT_DATA, the best first)
FROM_KERAS = {
    "mnist": (DIGITS, ("mnist.npz",)),
    "fashion_mnist": (FASHION, ("fashion_mnist.npz",)),
    "cifar10": (CIFAR10, ("cifar10.npz", "cifar10_jpeg_subset.npz")),
}
# SHA-256 of the file, or of its four arrays as bytes one after the other: the same
# pictures may be packed in another way. Other content under these names is refused.
SHA256 = {
    "mnist.npz": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    "fashion_mnist.npz":
        "ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f",
    "cifar10_jpeg_subset.npz":
        "1d60735687a04f3c1de0b9fb57ba77e32d04c940cd7f4de9898bcc14b39fd131",
}  # fmt: skip
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
NAMES = ("signs", "digits", *FROM_KERAS)


def load(name, *, seed=0):
    """Loads a set of pictures by its name.

    Args:
        name: "signs" (procedural road signs, 48 px RGB, in the package), "digits"
            (handwritten, scikit-learn's 8 x 8, enlarged to 32 px, grey), "mnist"
            and "fashion_mnist" (28 px, grey) or "cifar10" (32 px, RGB).
        seed: int, of the split. Sets that come with a test part keep it.

    Returns:
        `ImageData`.

    Raises:
        ValueError: there is no set of that name.
            The file of the set in CNNKIT_DATA is damaged or another one.
        FileNotFoundError: the set is not on this machine and cannot be downloaded.

    Example:
        >>> load("digits").image_shape
        (32, 32, 1)
    """
    if name not in NAMES:
        raise ValueError(
            f"`name` must be one of {NAMES}; use from_folder for your own pictures. "
            f"Received: name={name!r}"
        )
    if name == "signs":
        return _signs(seed)
    if name == "digits":
        return _digits(seed)
    class_names, files = FROM_KERAS[name]
    train, test, source = _local(name, files) or _from_keras(name)
    return from_arrays(  # so small that much looks alike that is not the same
        *train, class_names=class_names, test=test, together="same", source=source,
        seed=seed,
    )  # fmt: skip


def _signs(seed):
    embedded = Path(__file__).parents[2] / "data" / "signs"
    if embedded.is_dir():
        return from_folder(embedded, together="same", seed=seed)
    from cnnkit.data import signs  # installed without data/: draw the same pictures

    drawn = signs.draw(600, size=48)
    return from_arrays(
        drawn.images, drawn.labels, class_names=signs.CLASS_NAMES, source="signs",
        together="same", seed=seed,
    )  # fmt: skip


def _digits(seed):
    from sklearn.datasets import load_digits  # 1 CPU-second, only where it is used

    digits = load_digits()
    small = np.rint(digits.images * (255 / 16)).astype("uint8")
    large = [
        Image.fromarray(i).resize((32, 32), Image.Resampling.BICUBIC) for i in small
    ]
    return from_arrays(
        np.stack(large), digits.target, class_names=DIGITS, source="digits",
        together="same", seed=seed,
    )  # fmt: skip


def _local(name, files):
    """The set from the folder that CNNKIT_DATA names, or None."""
    folder = os.environ.get("CNNKIT_DATA")
    for file in files if folder else ():
        path = Path(folder) / file
        if path.is_file():
            arrays = _arrays(path)
            train, test = arrays[:2], arrays[2:]
            subset = "subset" in file
            return train, test, f"{name} (a subset: {file})" if subset else name
    return None


def _arrays(path):
    """The four arrays of a file, once it is known to be what its name says."""
    content, wrong = path.read_bytes(), None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = [file[name] for name in ARRAYS]
    except Exception as error:  # NumPy and zipfile raise many kinds
        wrong = f"it cannot be read ({error})"
    else:
        packed = b"".join(array.astype("uint8").tobytes() for array in arrays)
        found = {hashlib.sha256(data).hexdigest() for data in (content, packed)}
        if path.name in SHA256 and SHA256[path.name] not in found:
            wrong = f"its SHA-256 does not begin {SHA256[path.name][:12]}"
    if wrong:
        raise ValueError(
            f"{path.name} is damaged, or not the file that it should be: get it again. "
            f"Received: {str(path)!r}, and {wrong}"
        )
    return arrays


def _from_keras(name):
    """The set from Keras' cache, else downloaded by Keras, else a clear error."""
    import keras  # 5 CPU-seconds

    files = FROM_KERAS[name][1]
    say(f"{name!r}: taken from Keras' cache, or downloaded by Keras")
    try:
        train, test = getattr(keras.datasets, name).load_data()
    except Exception as error:
        cache = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets"
        raise FileNotFoundError(
            f"{name!r} is not on this machine and could not be downloaded. Put "
            f"{files[0]} (arrays x_train, y_train, x_test, y_test) into a folder and "
            "set the environment variable CNNKIT_DATA to it, or run this once with a "
            f"network. Received: nothing in CNNKIT_DATA={os.environ.get('CNNKIT_DATA')}"
            f" or in {cache}"
        ) from error
    return train, test, name
