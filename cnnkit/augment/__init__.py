"""Augmentation: other pictures of the same class, made from those that you have.

A policy is a function (images, generator) -> images on uint8 batches, for
`ImageData.batches(augment=)`. It works in the data's way and never inside the model: a
model that augments goes on doing so when it is exported. OpenCV does the work. All
geometry of a policy is one warp of each picture and all its colour one pass, so that
rotating, zooming and shifting cost what one of them costs.

    photos.batches("train", augment=augment.policy("photos", strength=0.5))
    augment.compose(augment.flip(), augment.rotation(15), border="nearest")
"""

from cnnkit.augment.automatic import rand_augment, trivial_augment
from cnnkit.augment.colour import colour_jitter
from cnnkit.augment.erase import erasing
from cnnkit.augment.geometry import (
    crop,
    flip,
    quarter_turns,
    resized_crop,
    rotation,
    shear,
    translation,
    zoom,
)
from cnnkit.augment.mixing import cutmix, mixup
from cnnkit.augment.pipeline import compose
from cnnkit.augment.ready import policy
from cnnkit.augment.safety import label_safety, nearest_neighbour

__all__ = [
    "colour_jitter",
    "compose",
    "crop",
    "cutmix",
    "erasing",
    "flip",
    "label_safety",
    "mixup",
    "nearest_neighbour",
    "policy",
    "quarter_turns",
    "rand_augment",
    "resized_crop",
    "rotation",
    "shear",
    "translation",
    "trivial_augment",
    "zoom",
]
