"""Explain: what a model has learnt, why it decided, and whether to believe the answer.

Every function takes a Keras classifier from pixels in [0, 255] to probabilities, ours
or another's, and returns arrays or tables. The figures are in `plots`.
"""

from cnnkit.explain.attention import attention_rollout
from cnnkit.explain.cams import grad_cam, grad_cam_plus_plus, layer_cam, score_cam
from cnnkit.explain.learnt import feature_maps, filters, maximise_activation, nearest
from cnnkit.explain.occluding import occlusion
from cnnkit.explain.pixels import (
    as_heat,
    completeness,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from cnnkit.explain.pointing import pointing_game, shortcuts
from cnnkit.explain.testing import METHODS, cascade, deletion_insertion, sanity

__all__ = [
    "METHODS",
    "as_heat",
    "attention_rollout",
    "cascade",
    "completeness",
    "deletion_insertion",
    "feature_maps",
    "filters",
    "grad_cam",
    "grad_cam_plus_plus",
    "integrated_gradients",
    "layer_cam",
    "maximise_activation",
    "nearest",
    "occlusion",
    "pointing_game",
    "saliency",
    "sanity",
    "score_cam",
    "shortcuts",
    "smooth_grad",
]
