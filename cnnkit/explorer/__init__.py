"""Explorer: one picture through a network, number by number."""

from cnnkit.explorer import by_hand, windows
from cnnkit.explorer.learnt import filters
from cnnkit.explorer.moving import invariance
from cnnkit.explorer.network import layer_table, overview
from cnnkit.explorer.shapes import convolution_geometry, flatten_map, show
from cnnkit.explorer.steps import (
    activation_step,
    convolution_step,
    pooling_step,
    softmax_terms,
)
from cnnkit.explorer.units import unit_step

__all__ = [
    "activation_step",
    "by_hand",
    "convolution_geometry",
    "convolution_step",
    "filters",
    "flatten_map",
    "invariance",
    "layer_table",
    "overview",
    "pooling_step",
    "show",
    "softmax_terms",
    "unit_step",
    "windows",
]
