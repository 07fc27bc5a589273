"""Memory of batches: freed memory is kept for the next one, and none is copied twice.

The first halves what a step of training costs, the second what reading a batch costs.
"""

import ctypes
import os
import sys
from functools import cache

import numpy as np

# Numbers of the options of mallopt in glibc's malloc.h, and the values we set: hand
# nothing back to the system, and ask it for much at a time.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
ALIGNED = 64  # bytes: Eigen's, with the widest vectors of today's processors
KEPT = {M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 2**28, M_MMAP_THRESHOLD: 2**30}


@cache
def keep_freed_memory():
    """Tells the C library to keep memory that TensorFlow frees, once a process.

    A batch and a step ask for buffers of many megabytes and free them. glibc gives
    such buffers back to the system at once and gets them again, page by page, each page
    filled with zeros: with `small_cnn` at 64 pixels 40 % of all CPU-seconds
    (tests/benchmarks/memory_kept.py). A process keeps what it had at its peak.

    It must come before TensorFlow starts its threads, so reading pictures begins with
    it; later it changes nothing for these threads.

    Returns:
        bool, whether it was done: only on Linux with glibc, and not where the user has
        set an option of malloc in the environment (`MALLOC_...`).
    """
    if not sys.platform.startswith("linux"):
        return False
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    return all(libc.mallopt(option, value) for option, value in KEPT.items())


def as_floats(images):
    """Returns pixels as floats that TensorFlow takes over without a copy.

    It takes over memory that begins at a multiple of 64 bytes and copies all other,
    and NumPy's own begins anywhere.

    Args:
        images: uint8 array of any shape.

    Returns:
        float32 array of the same shape and values.
    """
    buffer = np.empty(4 * images.size + ALIGNED, "uint8")
    start = -buffer.ctypes.data % ALIGNED
    floats = buffer[start : start + 4 * images.size].view("float32")
    floats = floats.reshape(images.shape)
    np.copyto(floats, images)
    return floats
