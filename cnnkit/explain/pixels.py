"""Gradients in pixels: which pixels would move the decision, and which made it?

A gradient of the logit says what a small change of a pixel would do (`saliency`). It
does not say what the pixel has done, and it is noisy. `smooth_grad` averages the noise
away; `integrated_gradients` adds the gradients up on the way from black to the picture,
and its sum is exactly what the picture did to the logit.
"""

import numpy as np
import pandas as pd
import tensorflow as tf

from cnnkit.explain.cams import at_picture_size
from cnnkit.explain.tapping import check_classes, check_images, slices, tap

# How many pixels run forward and back at a time, all layers kept in memory: 10
# pictures of 224 x 224.
PIXELS = 2**19


def saliency(model, images, *, classes=None):
    """Returns how strongly each pixel would move the logit of the class.

    The absolute gradient, the largest of the colours. Simonyan, Vedaldi and Zisserman,
    "Deep Inside Convolutional Networks: Visualising Image Classification Models and
    Saliency Maps", 2013, https://arxiv.org/abs/1312.6034 (section 3.1).

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape (n, k).
        images: array of pixels in [0, 255], shape (n, h, w, c).
        classes: int array of shape (n,), or an int, the classes to explain; None
            explains the predicted ones.

    Returns:
        float32 heat of shape (n, h, w), 0 or more, the highest of each picture 1; where
        no pixel matters all is 0.

    Raises:
        ValueError: pictures or classes do not fit the model.
    """
    images, classes, gradient = _prepared(model, images, classes)
    total = _sum(images, 1, lambda i, step: images[i], classes, gradient)
    return at_picture_size(abs(total).max(axis=-1), images.shape[1:3])


def smooth_grad(model, images, *, classes=None, samples=16, noise=0.15, seed=0):
    """Returns the saliency of the mean gradient over noisy copies of each picture.

    Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017,
    https://arxiv.org/abs/1706.03825 (section 3).

    Args:
        model: `keras.Model` as for `saliency`.
        images: array of pixels in [0, 255], shape (n, h, w, c).
        classes: as for `saliency`.
        samples: int, noisy copies of a picture, at least 1.
        noise: float, the standard deviation of the noise, as a share of the range of
            the picture's pixels.
        seed: int, for the noise.

    Returns:
        float32 heat of shape (n, h, w), as from `saliency`.

    Raises:
        ValueError: pictures, classes or samples are not as above.
    """
    _check_whole("samples", samples)
    images, classes, gradient = _prepared(model, images, classes)
    rng = np.random.default_rng(seed)
    spread = noise * np.ptp(images, axis=(1, 2, 3), keepdims=True)

    def noisy(i, step):
        return images[i] + spread[i] * rng.standard_normal(images[i].shape, "float32")

    total = _sum(images, samples, noisy, classes, gradient)
    return at_picture_size(abs(total).max(axis=-1), images.shape[1:3])


def integrated_gradients(model, images, *, classes=None, baseline=None, steps=64):
    """Returns what each pixel added to the logit of the class.

    The gradients on the straight way from a baseline to the picture are averaged (at
    the middles of `steps` equal parts) and multiplied by the way of each pixel. So the
    attributions of a picture add up to logit(picture) - logit(baseline): `completeness`
    checks how nearly. Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep
    Networks", ICML 2017, https://arxiv.org/abs/1703.01365 (equation 1).

    A pixel that equals the baseline gets nothing: with a black one, black things do
    not count, however telling they are.

    Args:
        model: `keras.Model` as for `saliency`.
        images: array of pixels in [0, 255], shape (n, h, w, c).
        classes: as for `saliency`.
        baseline: array of pixels that broadcasts to `images`, the picture of nothing;
            None is black.
        steps: int, parts of the way, at least 1.

    Returns:
        float32 attributions of shape (n, h, w, c), in units of the logit; negative
        where a pixel spoke against the class. `as_heat` makes heat of them.

    Raises:
        ValueError: pictures, classes, baseline or steps are not as above.
    """
    _check_whole("steps", steps)
    images, classes, gradient = _prepared(model, images, classes)
    start = _baseline(baseline, images)
    way = images - start

    def between(i, step):
        share = (step + 0.5) / steps
        return start[i] + share[:, None, None, None].astype("float32") * way[i]

    return way * _sum(images, steps, between, classes, gradient) / steps


def completeness(model, images, attributions, *, classes=None, baseline=None):
    """Compares the sums of integrated gradients with what they must be.

    Args:
        model: `keras.Model` as for `integrated_gradients`.
        images: the pictures given to `integrated_gradients`.
        attributions: what it returned, shape (n, h, w, c).
        classes: the classes given to it.
        baseline: the baseline given to it.

    Returns:
        A `pandas.DataFrame`, one row a picture: "sum" of the attributions,
        "difference" of the logits of picture and baseline, and "error", how far they
        are apart, as a share of the difference or, where that is under 1, in logits.
        Over 0.01, take more `steps`.

    Raises:
        ValueError: the arguments do not fit each other.
    """
    images, classes, _ = _prepared(model, images, classes)
    if np.shape(attributions) != images.shape:
        raise ValueError(
            f"`attributions` must have the shape of the pictures, {images.shape}. "
            f"Received: shape {np.shape(attributions)}"
        )
    rows = np.arange(len(images))
    there = logits_of(model, images)[rows, classes]
    here = logits_of(model, _baseline(baseline, images))[rows, classes]
    total = np.sum(attributions, axis=(1, 2, 3), dtype="float64")
    table = pd.DataFrame({"sum": total, "difference": there - here})
    apart = abs(table["sum"] - table["difference"])
    table["error"] = apart / abs(table["difference"]).clip(lower=1)
    return table


def as_heat(attributions):
    """Makes heat of attributions: what speaks for the class, its colours added.

    Args:
        attributions: float array of shape (n, h, w, c), or (n, h, w) from `occlusion`.

    Returns:
        float32 heat of shape (n, h, w): 0 where the sum of the colours is negative,
        the highest of each picture 1.
    """
    attributions = np.asarray(attributions, "float32")
    if attributions.ndim == 4:
        attributions = attributions.sum(axis=-1)
    return at_picture_size(attributions.clip(min=0), attributions.shape[1:])


def logits_of(model, images):
    """Returns the logits of pictures, float32 of shape (n, k); see `tapping.tap`.

    Args:
        model: `keras.Model`.
        images: float32 array of pixels in [0, 255], shape (n, h, w, c).
    """
    run = tap(model)
    parts = slices(len(images), images, 4 * PIXELS)
    return np.concatenate([run(tf.constant(images[part]))[1] for part in parts])


def _check_whole(name, count):
    if not isinstance(count, (int, np.integer)) or count < 1:
        raise ValueError(
            f"`{name}` must be a whole number, 1 or more. Received: {name}={count!r}"
        )


def _prepared(model, images, classes):
    """Checked pictures and classes, and a function from pixels to gradients."""
    images = check_images(model, images)
    logits = logits_of(model, images)
    given = logits.argmax(axis=1) if classes is None else classes
    classes, run = check_classes(given, images, logits.shape[1]), tap(model)

    def gradient(pixels, labels):
        pixels = tf.constant(pixels)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            _, logits, _ = run(pixels)
            score = tf.reduce_sum(tf.gather(logits, labels, batch_dims=1))
        return tape.gradient(score, pixels, unconnected_gradients="zero").numpy()

    return images, classes, gradient


def _sum(images, steps, at, classes, gradient):
    """Adds up the gradients at `steps` places for each picture."""
    total = np.zeros_like(images)
    for part in slices(len(images) * steps, images, PIXELS):
        i, step = np.divmod(np.arange(part.start, part.stop), steps)
        np.add.at(total, i, gradient(at(i, step), classes[i]))
    return total


def _baseline(baseline, images):
    """The baseline of each picture, float32."""
    baseline = np.zeros(1, "float32") if baseline is None else baseline
    try:
        return np.broadcast_to(np.asarray(baseline, "float32"), images.shape)
    except ValueError:
        raise ValueError(
            "`baseline` must be a number, a picture, or one for each of the pictures "
            f"of shape {images.shape}. Received: shape {np.shape(baseline)}"
        ) from None
