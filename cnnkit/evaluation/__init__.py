"""Evaluation: what the model answers, and how far to trust the scores.

`predict` asks the model once and writes the answers down as a table; everything else
takes plain arrays, so it serves the answers of any classifier.
"""

from cnnkit.evaluation.calibration import (
    calibrate,
    temperature,
    temperature_interval,
)
from cnnkit.evaluation.comparison import compare
from cnnkit.evaluation.conformal import (
    class_thresholds,
    conformal_threshold,
    prediction_sets,
    set_scores,
)
from cnnkit.evaluation.crossed import cross_validate
from cnnkit.evaluation.errors import error_groups, most_confused
from cnnkit.evaluation.files import predict_files
from cnnkit.evaluation.intervals import wilson
from cnnkit.evaluation.invariance import changed, invariance
from cnnkit.evaluation.probabilities import probability_scores, reliability
from cnnkit.evaluation.scoring import confusion_matrix, scores, top_losses
from cnnkit.evaluation.slicing import leaks, slices
from cnnkit.evaluation.table import (
    arrays,
    mirrored,
    predict,
    times_tested,
)
from cnnkit.evaluation.thresholds import (
    abstain,
    abstaining,
    at_threshold,
    choose_threshold,
    threshold_curve,
    threshold_interval,
    unsure_below,
)

__all__ = [
    "abstain",
    "abstaining",
    "arrays",
    "at_threshold",
    "calibrate",
    "changed",
    "choose_threshold",
    "class_thresholds",
    "compare",
    "conformal_threshold",
    "confusion_matrix",
    "cross_validate",
    "error_groups",
    "invariance",
    "leaks",
    "mirrored",
    "most_confused",
    "predict",
    "predict_files",
    "prediction_sets",
    "probability_scores",
    "reliability",
    "scores",
    "set_scores",
    "slices",
    "temperature",
    "temperature_interval",
    "threshold_curve",
    "threshold_interval",
    "times_tested",
    "top_losses",
    "unsure_below",
    "wilson",
]
