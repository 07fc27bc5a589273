"""Untrained classifiers: float pixels in [0, 255] in, probabilities out."""

from cnnkit.models.resnet import resnet
from cnnkit.models.small_cnn import small_cnn

__all__ = ["resnet", "small_cnn"]
