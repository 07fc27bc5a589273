"""Training: from scratch with `fit`, or on a backbone that has weights, `fine_tune`."""

from cnnkit.training import schedules
from cnnkit.training.fine_tuning import fine_tune
from cnnkit.training.gradients import gradient_flow
from cnnkit.training.layer_rates import unfreeze_top
from cnnkit.training.muon import Muon
from cnnkit.training.preflight import preflight
from cnnkit.training.rate_finder import find_learning_rate
from cnnkit.training.recipe import fit

__all__ = [
    "Muon",
    "find_learning_rate",
    "fine_tune",
    "fit",
    "gradient_flow",
    "preflight",
    "schedules",
    "unfreeze_top",
]
