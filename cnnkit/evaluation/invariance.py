"""Invariance: how far a picture may be moved, turned or scaled before answers change.

Convolution and pooling are said to make a network invariant to translation. Striding
breaks that (Azulay and Weiss, JMLR 2019, https://arxiv.org/abs/1805.12177), so it is
measured here and not believed.
"""

import cv2
import numpy as np
import pandas as pd

from cnnkit.evaluation.intervals import wilson

# kind: (amounts, what they are); 0, or a factor of 1, leaves the picture as it is
AMOUNTS = {
    "translation": (0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3),
    "rotation": (0, 5, 10, 20, 30, 45, 60, 90),
    "scale": (1, 1.1, 1.25, 1.5, 2),
    "brightness": (0, 10, 20, 40, 60, 80),
}
UNITS = {
    "translation": "share of the side",
    "rotation": "degrees",
    "scale": "factor, larger or smaller",
    "brightness": "grey levels, brighter or darker",
}


def invariance(model, images, labels, *, amounts=None, confidence=0.95, seed=0):
    """Returns the accuracy on pictures that were moved, turned, scaled or brightened.

    Each picture goes a way of its own: right, left, up or down, to the left or the
    right, larger or smaller, brighter or darker, by the seed. What comes in from
    outside is the picture's mirror image, so that no black edge gives the change away.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape
            (n, num_classes).
        images: array of pixels in [0, 255], shape (n, height, width, 1 or 3).
        labels: int array of shape (n,), the true classes.
        amounts: None, or a dict from "translation" (share of the side), "rotation"
            (degrees), "scale" (factor from 1) or "brightness" (grey levels) to the
            amounts to try. None takes all four.
        confidence: float between 0 and 1, of Wilson's intervals.
        seed: int, of the ways.

    Returns:
        A `pandas.DataFrame` indexed by ("change", "amount"), with "value" (accuracy),
        "low", "high", "same" (share of the pictures whose answer is that of the
        unchanged picture, right or wrong) and "pictures". A model that is invariant
        has "same" of 1 all along.

    Raises:
        ValueError: `images`, `labels` or `amounts` are not as above.

    Example:
        >>> images, labels = data.to_arrays(photos, "test")
        >>> plots.invariance(invariance(model, images, labels))
    """
    images, labels = np.asarray(images), np.asarray(labels)
    amounts = AMOUNTS if amounts is None else amounts
    if images.ndim != 4 or labels.shape != images.shape[:1] or not len(images):
        raise ValueError(
            "`images` has shape (n, height, width, channels) and `labels` (n,), with n "
            f"of 1 or more. Received: shapes {images.shape} and {labels.shape}"
        )
    unknown = sorted(set(amounts) - set(AMOUNTS))
    if unknown or not amounts:
        raise ValueError(
            f"`amounts` names some of {list(AMOUNTS)}. Received: {list(amounts)}"
        )
    ways = np.random.default_rng(seed).integers(0, 4, len(images))
    unchanged = _answers(model, images)
    rows = {}
    for change, values in amounts.items():
        for amount in values:
            moved = [
                _change(x, change, amount, way)
                for x, way in zip(images, ways, strict=True)
            ]
            said = _answers(model, np.stack(moved))
            hits = (said == labels).sum()
            low, high = wilson(hits, len(labels), confidence=confidence)
            rows[(change, amount)] = [
                hits / len(labels), float(low), float(high),
                (said == unchanged).mean(), len(labels),
            ]  # fmt: skip
    index = pd.MultiIndex.from_tuples(list(rows), names=["change", "amount"])
    columns = ["value", "low", "high", "same", "pictures"]
    table = pd.DataFrame(list(rows.values()), index=index, columns=columns)
    table.attrs["units"] = {change: UNITS[change] for change in amounts}
    return table.astype({"pictures": "int64"})


def changed(image, *, move=(0, 0), turn=0.0, scale=1.0, brightness=0.0):
    """Returns one picture moved, turned about its middle, scaled and brightened.

    What comes in from outside is the picture's mirror image. Between pixels it is
    interpolated, so a move by whole pixels is exact.

    Args:
        image: array of pixels in [0, 255], shape (height, width, channels).
        move: (right, down), shares of the width and of the height; negative is to the
            left and up.
        turn: float, degrees; positive is to the left, against the clock.
        scale: float above 0; over 1 all things are larger.
        brightness: float, grey levels to add; what leaves [0, 255] is cut off.

    Returns:
        float32 array of the same shape.

    Raises:
        ValueError: `image` has another shape, or a number is not as above.
    """
    image = np.asarray(image)
    numbers = np.asarray([*np.ravel(move), turn, scale, brightness], "float64")
    if image.ndim != 3 or len(numbers) != 5 or not np.isfinite(numbers).all():
        raise ValueError(
            "`image` has shape (height, width, channels), `move` is (right, down), and "
            f"all numbers are finite. Received: shape {image.shape}, move={move}, "
            f"turn={turn}, scale={scale}, brightness={brightness}"
        )
    if scale <= 0:
        raise ValueError(f"`scale` is a factor above 0. Received: scale={scale}")
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), turn, scale)
    matrix[:, 2] += move[0] * width, move[1] * height
    moved = cv2.warpAffine(
        image.astype("float32"), matrix, (width, height), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    ).reshape(image.shape)  # fmt: skip
    return np.clip(moved + np.float32(brightness), 0, 255) if brightness else moved


def _answers(model, images):
    return model.predict(images.astype("float32"), batch_size=64, verbose=0).argmax(1)


def _change(image, change, amount, way):
    """One picture, changed; `way` is 0 to 3."""
    sign = 1 if way % 2 else -1
    if change == "translation":
        across = way < 2
        move = (sign * amount, 0) if across else (0, sign * amount)
        return changed(image, move=move)
    if change == "rotation":
        return changed(image, turn=sign * amount)
    if change == "scale":
        return changed(image, scale=amount**sign)
    return changed(image, brightness=sign * amount)
