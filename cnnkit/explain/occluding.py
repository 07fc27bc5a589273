"""Occlusion: cover a part of the picture, and see how much the model misses it."""

import numpy as np
import tensorflow as tf

from cnnkit.explain.cams import PIXELS
from cnnkit.explain.tapping import check_classes, check_images, slices, tap


def occlusion(model, images, *, classes=None, window=None, stride=None, fill=127.5):
    """Returns how much the probability of the class drops where a patch covers it.

    A square slides over the picture. A pixel gets the mean drop of all squares that
    cover it. No gradient is taken, so this works for any model, and its unit is one
    that everybody understands; but the square itself may look like something. Zeiler
    and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014,
    https://arxiv.org/abs/1311.2901 (section 4.2).

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape (n, k).
        images: array of pixels in [0, 255], shape (n, h, w, c).
        classes: int array of shape (n,), or an int, the classes to explain; None
            explains the predicted ones.
        window: int, height and width of the square in pixels; None takes a sixth of
            the picture's shorter side.
        stride: int, how far the square moves each time, in pixels, at most `window`;
            None takes half the window. A picture costs one run of the model for each
            place of the square, 121 with the two defaults.
        fill: float in [0, 255], the grey of the square.

    Returns:
        float32 array of shape (n, h, w), drops of probability from -1 to 1; negative
        where the cover helps the class. `as_heat` makes heat of them.

    Raises:
        ValueError: pictures, classes, window or stride are not as above.
    """
    images = check_images(model, images)
    n, height, width = images.shape[:3]
    shorter = min(height, width)
    window = max(1, shorter // 6) if window is None else window
    stride = max(1, window // 2) if stride is None else stride
    if not 1 <= window <= shorter or not 1 <= stride <= window:
        raise ValueError(
            f"`window` must be 1 to {shorter} pixels, and `stride` 1 to `window`, so "
            "that each pixel is covered. "
            f"Received: window={window!r}, stride={stride!r}"
        )
    run = tap(model)

    def probabilities(pixels):
        return run(tf.constant(pixels))[2].numpy()

    whole = [probabilities(images[part]) for part in slices(n, images, PIXELS)]
    whole = np.concatenate(whole)
    given = whole.argmax(axis=1) if classes is None else classes
    classes = check_classes(given, images, whole.shape[1])

    tops, lefts = _starts(height, window, stride), _starts(width, window, stride)
    places = [
        (slice(top, top + window), slice(left, left + window))
        for top in tops
        for left in lefts
    ]
    drops, covers = np.zeros((n, height, width)), np.zeros((height, width))
    for place in places:
        covers[place] += 1
    for part in slices(n * len(places), images, PIXELS):
        i, at = np.divmod(np.arange(part.start, part.stop), len(places))
        pixels = images[i]
        for picture, k in zip(pixels, at, strict=True):
            picture[places[k]] = fill
        drop = (
            whole[i, classes[i]] - probabilities(pixels)[np.arange(len(i)), classes[i]]
        )
        for j, k, lost in zip(i, at, drop, strict=True):
            drops[j][places[k]] += lost
    return (drops / covers).astype("float32")


def _starts(side, window, stride):
    """Where the square begins along a side; the last one ends at the edge."""
    return sorted({*range(0, side - window, stride), side - window})
