"""Finds pictures that are nearly the same: saved again, resized, brightened, trimmed.

Two steps, as in most such tools: a perceptual hash of 63 bits (the signs of the lowest
frequencies of a cosine transform, after Zauner, "Implementation and Benchmarking of
Perceptual Image Hash Functions", 2010) proposes pairs, and the correlation of their
thumbnails decides. Pictures with nothing in them are alike by nature and never paired.
"""

import cv2
import numpy as np
from PIL import Image
from scipy import fft, sparse

SIDE = 16  # pixels of a thumbnail
MOST_BITS = 14  # of 63 that may differ; two unrelated pictures differ in 31 on average
LEAST_CORRELATION = 0.965  # of thumbnails of 8 x 8, which a trimmed edge hardly moves
LEAST_CONTRAST = 4.0  # grey levels; a thumbnail with less is blank
MOST_PAIRS = 2
BLOCK = 2048  # pictures that are compared with all later ones at once


def fingerprint(image):
    """Returns the thumbnail of one picture.

    Args:
        image: `PIL.Image.Image`, or uint8 array of shape (height, width, 1 or 3).

    Returns:
        uint8 array of shape (16, 16, 3).
    """
    if isinstance(image, Image.Image) and image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    # The mean of all pixels under each; OpenCV takes half of what Pillow takes for it.
    small = cv2.resize(np.asarray(image), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    small = small.reshape(SIDE, SIDE, -1)
    return small if small.shape[2] == 3 else np.repeat(small, 3, axis=2)


def fingerprints(images):
    """Returns the thumbnails of pictures.

    Args:
        images: uint8 array of shape (n, height, width, 1 or 3), or a list of n such
            pictures of any size.

    Returns:
        uint8 array of shape (n, 16, 16, 3).
    """
    thumbnails = np.empty((len(images), SIDE, SIDE, 3), "uint8")
    for position, image in enumerate(images):
        thumbnails[position] = fingerprint(image)
    return thumbnails


def near_pairs(thumbnails):
    """Finds all pairs of pictures that are nearly the same.

    Args:
        thumbnails: uint8 array of shape (n, 16, 16, 3), from `fingerprints`.

    Returns:
        int array of shape (m, 2), positions i < j. The search ends early when there
        are more than `MOST_PAIRS` for each picture: then likeness says nothing, as
        with small grey pictures of centred things. Memory grows with n, time with n
        squared: half a CPU-second for 5,000 photographs.
    """
    grey = thumbnails.astype("float32").mean(axis=-1)
    alive = np.flatnonzero(grey.std(axis=(1, 2)) >= LEAST_CONTRAST)
    hashes, found = _hashes(grey[alive]), [np.empty((0, 2), int)]
    for start in range(0, len(alive), BLOCK):
        if sum(map(len, found)) > MOST_PAIRS * len(thumbnails):
            break
        block = hashes[start : start + BLOCK, np.newaxis]
        differ = np.bitwise_count(block ^ hashes[np.newaxis, start:])
        i, j = np.nonzero(differ <= MOST_BITS)
        i, j = alive[start + i[i < j]], alive[start + j[i < j]]
        for piece in range(0, len(i), 100_000):
            pair = np.column_stack([i, j])[piece : piece + 100_000]
            if sum(map(len, found)) > MOST_PAIRS * len(thumbnails):
                break
            found.append(pair[_correlation(thumbnails, pair) >= LEAST_CORRELATION])
    return np.concatenate(found)


def components(n, pairs):
    """Numbers the groups of pictures that hang together through pairs.

    Args:
        n: int, how many pictures there are.
        pairs: int array of shape (m, 2).

    Returns:
        int array of shape (n,), the group of each picture; one that is in no pair has
        a group of its own.
    """
    pairs = np.asarray(pairs, int).reshape(-1, 2)
    links = sparse.coo_array((np.ones(len(pairs), bool), pairs.T), shape=(n, n))
    if not n:
        return np.zeros(0, int)
    return sparse.csgraph.connected_components(links, directed=False)[1].astype(int)


def _hashes(grey):
    """The signs of 63 low frequencies against their median, as uint64 of shape (n,)."""
    low = fft.dctn(grey, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(-1, 64)[:, 1:]
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1, bitorder="little").view("uint64")[:, 0]


def _correlation(thumbnails, pairs):
    """Pearson's correlation over the colours of two thumbnails, shape (m,)."""
    first, second = (
        thumbnails[column]
        .reshape(-1, SIDE // 2, 2, SIDE // 2, 2, 3)
        .mean(axis=(2, 4), dtype="float32")
        .reshape(len(pairs), -1)
        for column in pairs.T
    )
    first -= first.mean(axis=1, keepdims=True)
    second -= second.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(axis=1) / norm
