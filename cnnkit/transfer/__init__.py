"""Transfer learning: networks that have seen ImageNet, with a new head."""

from cnnkit.transfer.adoption import adopt
from cnnkit.transfer.backbones import BACKBONES, backbone, cached_widths, classifier

__all__ = ["BACKBONES", "adopt", "backbone", "cached_widths", "classifier"]
