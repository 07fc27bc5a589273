"""MixUp and CutMix: two pictures in one, and a label that says how much of each.

A mix is a function (images, labels, generator) -> (images, labels) on a batch with
one-hot labels, for `ImageData.batches(mix=)`. The loss is "categorical_crossentropy".
Training accuracy then counts mixed pictures, so it stays far below validation's.
"""

import cv2
import numpy as np

from cnnkit.augment.pipeline import checked


class Mix:
    """A function (images, labels, generator) -> (images, labels).

    Args:
        text: str, the call that makes it.
        work: function of the same arguments, with pictures in pairs:
            (images, others, generator) -> (images, share of the first in each).
    """

    def __init__(self, text, work):
        self.text, self.work = text, work

    def __call__(self, images, labels, generator):
        """Mixes each picture of a batch with another one.

        Args:
            images: uint8 array of shape (b, height, width, c).
            labels: float array of shape (b, k), one-hot.
            generator: `numpy.random.Generator`; the result follows from it alone.

        Returns:
            uint8 images and float32 labels of the same shapes.

        Raises:
            ValueError: images that are no uint8 batch, or labels that are not one-hot.
        """
        checked(images)
        labels = np.asarray(labels)
        if labels.shape[:1] != images.shape[:1] or labels.ndim != 2:
            raise ValueError(
                "A mixed label says how much it is of each class, so labels are "
                "one-hot, shape (b, k), as `batches(mix=)` makes them. Received: "
                f"labels of shape {labels.shape} for {len(images)} pictures"
            )
        other = generator.permutation(len(images))
        images, shares = self.work(images, images[other], generator)
        shares = shares[:, None].astype("float32")
        return images, shares * labels + (1 - shares) * labels[other]

    def __repr__(self):
        """The call that makes this mix."""
        return self.text

    def __eq__(self, other):
        """Equal mixes are made by equal calls."""
        return isinstance(other, Mix) and self.text == other.text

    def __hash__(self):
        """Equal for equal mixes."""
        return hash(self.text)


def mixup(alpha=0.2):
    """Lays two pictures over each other, like two slides in one projector.

    Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization",
    2018, https://arxiv.org/abs/1710.09412. The share is drawn for each pair, from the
    Beta distribution (alpha, alpha).

    Args:
        alpha: float above 0, at most 10: near 0 one picture is hardly seen, 1 makes
            all shares equally likely, more makes halves likely. The paper takes 0.1 to
            0.4 for ImageNet (section 3.1) and 1 for CIFAR-10.

    Returns:
        A mix: a function (images, labels, generator) -> (images, labels).

    Raises:
        ValueError: another `alpha`.
    """
    alpha = _checked_alpha(alpha)

    def work(images, others, generator):
        shares = generator.beta(alpha, alpha, len(images))
        mixed = np.empty(images.shape, "uint8")
        flat = (len(images), images.shape[1], -1)  # OpenCV need not know of channels
        images, others, into = (a.reshape(flat) for a in (images, others, mixed))
        for i, share in enumerate(shares):
            cv2.addWeighted(images[i], share, others[i], 1 - share, 0, dst=into[i])
        return mixed, shares

    return Mix(f"mixup({alpha:g})", work)


def cutmix(alpha=1.0):
    """Puts a box of one picture into another, at the same place.

    Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
    Localizable Features", 2019, https://arxiv.org/abs/1905.04899, section 3.1 and
    algorithm 1: the middle of the box lies anywhere, what is outside is cut off, and
    labels count the pixels that are left. The box is drawn for each pair.

    Args:
        alpha: float above 0, at most 10: the box has the area 1 - share, with the
            share from the Beta distribution (alpha, alpha); the paper takes 1.

    Returns:
        A mix: a function (images, labels, generator) -> (images, labels).

    Raises:
        ValueError: another `alpha`.
    """
    alpha = _checked_alpha(alpha)

    def work(images, others, generator):
        n, height, width, _ = images.shape
        half = np.sqrt(1 - generator.beta(alpha, alpha, n)) / 2
        edges = []
        for side in (height, width):
            middle = generator.random(n)
            for edge in (middle - half, middle + half):
                edges.append(np.rint(np.clip(edge, 0, 1) * side).astype(int))
        top, bottom, left, right = edges
        mixed = images.copy()
        for i in range(n):
            box = (i, slice(top[i], bottom[i]), slice(left[i], right[i]))
            mixed[box] = others[box]
        return mixed, 1 - (bottom - top) * (right - left) / (height * width)

    return Mix(f"cutmix({alpha:g})", work)


def _checked_alpha(alpha):
    if not isinstance(alpha, int | float) or not 0 < alpha <= 10:
        raise ValueError(
            "`alpha` shapes the Beta distribution, above 0 and at most 10. "
            f"Received: alpha={alpha!r}"
        )
    return float(alpha)
