"""Transfer learning: networks that have seen ImageNet, with a new head."""

from cnnkit.transfer.adoption import adopt
from cnnkit.transfer.backbones import backbone, classifier
from cnnkit.transfer.families import BACKBONES
from cnnkit.transfer.features import cache_features
from cnnkit.transfer.heads import HEADS, body_of, head_of
from cnnkit.transfer.weights import cached_widths

__all__ = [
    "BACKBONES",
    "HEADS",
    "adopt",
    "backbone",
    "body_of",
    "cache_features",
    "cached_widths",
    "classifier",
    "head_of",
]
