"""Tuning: search spaces, and a search that keeps its budget and survives."""

from cnnkit.tuning.hypermodels import together
from cnnkit.tuning.importance import importance
from cnnkit.tuning.results import conclude, curves, trials
from cnnkit.tuning.searching import search
from cnnkit.tuning.settings import augmentation_space, recipe_space
from cnnkit.tuning.spaces import cnn_space, family_space, transfer_space

__all__ = [
    "augmentation_space",
    "cnn_space",
    "conclude",
    "curves",
    "family_space",
    "importance",
    "recipe_space",
    "search",
    "together",
    "transfer_space",
    "trials",
]
