"""Memory of batches: freed memory is kept for the next one, and none is copied twice.

Both make a batch cheaper, and on some systems the first a step of training as well.
"""

import ctypes
import math
import os
import sys
from functools import cache

import numpy as np

# Numbers of the options of mallopt in glibc's malloc.h, and the values we set: hand
# nothing back to the system, ask it for much at a time, and let all threads share it.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
ALIGNED = 64  # bytes: Eigen's, with the widest vectors of today's processors
KEPT = {
    M_TRIM_THRESHOLD: 2**31 - 1,
    M_TOP_PAD: 2**28,
    M_MMAP_THRESHOLD: 2**30,
    M_ARENA_MAX: 1,
}


@cache
def keep_freed_memory():
    """Tells the C library to keep memory that TensorFlow frees, once a process.

    A batch and a step ask for buffers of many megabytes and free them. glibc gives
    such buffers back to the system at once and gets them again, page by page, each page
    filled with zeros. What that costs depends on the system: from nothing to 40 % of
    the CPU-seconds of training `small_cnn` (tests/benchmarks/memory_kept.py), and half
    of a pass through a data set (tests/benchmarks/loading.py). A process keeps what it
    had at its peak.

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


def as_floats(pixels, chosen):
    """Returns pictures as floats that TensorFlow takes over without a copy.

    It takes over memory that begins at a multiple of 64 bytes and copies all other,
    and NumPy's own begins anywhere.

    Args:
        pixels: uint8 array of shape (n, height, width, channels).
        chosen: sequence of b ints, positions in `pixels`.

    Returns:
        float32 array of shape (b, height, width, channels), the values unchanged.
    """
    shape = (len(chosen), *pixels.shape[1:])
    size = 4 * math.prod(shape)
    buffer = np.empty(size + ALIGNED, "uint8")
    start = -buffer.ctypes.data % ALIGNED
    floats = buffer[start : start + size].view("float32").reshape(shape)
    for image, position in zip(floats, chosen, strict=True):
        image[...] = pixels[position]
    return floats
