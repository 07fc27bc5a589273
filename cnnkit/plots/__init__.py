"""Plots: arrays in, a matplotlib Figure out. No other room imports matplotlib.

Each figure is about 8 inches wide, for a notebook and for a projector, on white, in
colours that colour-blind readers can tell apart. A notebook shows it once, as a cell's
last value, and nothing keeps it in memory afterwards.
"""

from cnnkit.plots.anatomy import stages
from cnnkit.plots.augmented import augmented
from cnnkit.plots.coverage import coverage
from cnnkit.plots.evaluated import (
    abstaining,
    invariance,
    reliability,
    threshold_curves,
)
from cnnkit.plots.explained import feature_maps, filters, heat_maps, sanity
from cnnkit.plots.figures import confusion_matrix, training_curves
from cnnkit.plots.gradients import gradient_flow
from cnnkit.plots.grid import image_grid
from cnnkit.plots.intervals import intervals
from cnnkit.plots.learning_curves import learning_curves
from cnnkit.plots.learnt import filter_view
from cnnkit.plots.live import live_curves
from cnnkit.plots.moving import change_view
from cnnkit.plots.names import legible
from cnnkit.plots.network import network_view
from cnnkit.plots.overlay import overlay
from cnnkit.plots.png import png, words
from cnnkit.plots.rates import learning_rates
from cnnkit.plots.shapes import convolution_geometry, flatten_map, pixels
from cnnkit.plots.side_by_side import runs_side_by_side
from cnnkit.plots.steps import (
    activation_step,
    convolution_step,
    pooling_step,
    softmax_terms,
)
from cnnkit.plots.trade_off import trade_off
from cnnkit.plots.tuned import importance, parallel_coordinates, score_against, trials
from cnnkit.plots.units import headed, unit_maps, weighted_sum

__all__ = [
    "abstaining",
    "activation_step",
    "augmented",
    "change_view",
    "confusion_matrix",
    "convolution_geometry",
    "convolution_step",
    "coverage",
    "feature_maps",
    "filter_view",
    "filters",
    "flatten_map",
    "gradient_flow",
    "headed",
    "heat_maps",
    "image_grid",
    "importance",
    "intervals",
    "invariance",
    "learning_curves",
    "learning_rates",
    "legible",
    "live_curves",
    "network_view",
    "overlay",
    "parallel_coordinates",
    "pixels",
    "png",
    "pooling_step",
    "reliability",
    "runs_side_by_side",
    "sanity",
    "score_against",
    "softmax_terms",
    "stages",
    "threshold_curves",
    "trade_off",
    "training_curves",
    "trials",
    "unit_maps",
    "weighted_sum",
    "words",
]
