"""Row E21: augmented batches are equal in any process, with any number of threads."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from cnnkit import augment, data

HASH = """
import sys
import cv2
import tensorflow as tf
cv2.setNumThreads(int(sys.argv[1]))
tf.config.threading.set_inter_op_parallelism_threads(int(sys.argv[1]))
sys.path.insert(0, sys.argv[2])
from test_augmentation import hashes
print(hashes())
"""


def hashes():
    """One hash for each of two epochs of everything that draws."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (240, 24, 24, 3), dtype="uint8")
    photos = data.from_arrays(pixels, np.arange(240) % 4, together="same")
    policy = augment.compose(
        augment.policy("scans"), augment.trivial_augment(), augment.rand_augment(),
        augment.erasing(),
    )  # fmt: skip
    batches = photos.batches(
        "train", batch_size=8, augment=policy, mix=augment.cutmix(), seed=3, epoch=2
    )
    found = []
    for _ in range(2):
        whole = hashlib.sha256()
        for images, labels in batches:
            whole.update(images.numpy().tobytes() + labels.numpy().tobytes())
        found.append(whole.hexdigest())
    return found


@pytest.mark.slow("a process of its own")
def test_e21_augmented_batches_are_equal_in_any_process_and_threads():
    threads = 1 if (os.cpu_count() or 1) > 1 else 8  # another number than here
    done = subprocess.run(
        [sys.executable, "-c", HASH, str(threads), os.path.dirname(__file__)],
        capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONHASHSEED": str(threads)},
    )  # fmt: skip
    here = hashes()
    assert done.stdout.strip().splitlines()[-1] == str(here)
    assert len(set(here)) == 2
