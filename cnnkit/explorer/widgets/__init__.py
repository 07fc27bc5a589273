"""Widgets: the figures of the explorer with sliders, play buttons and menus.

Each is a thin shell around the figure function of the same name: what a control says is
an argument, and the figure is drawn anew. They need JupyterLab or Voila, and a running
kernel; where a notebook is only read, the figure function shows the same.
"""

from cnnkit.explorer.widgets.networks import filters, invariance, overview
from cnnkit.explorer.widgets.steps import (
    activation_step,
    convolution_geometry,
    convolution_step,
    pooling_step,
    softmax_terms,
)

__all__ = [
    "activation_step",
    "convolution_geometry",
    "convolution_step",
    "filters",
    "invariance",
    "overview",
    "pooling_step",
    "softmax_terms",
]
