"""Transfer learning: networks that have seen ImageNet, with a new head."""

from cnnkit.transfer.adoption import adopt
from cnnkit.transfer.backbones import BACKBONES, backbone, cached_widths, classifier
from cnnkit.transfer.features import cache_features
from cnnkit.transfer.heads import body_of, head_of

__all__ = [
    "BACKBONES",
    "adopt",
    "backbone",
    "body_of",
    "cache_features",
    "cached_widths",
    "classifier",
    "head_of",
]
