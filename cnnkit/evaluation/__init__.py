"""Evaluation: what the model answers, and how far to trust the scores.

`predict` asks the model once and writes the answers down as a table; everything else
takes plain arrays, so it serves the answers of any classifier.
"""

from cnnkit.evaluation.intervals import wilson
from cnnkit.evaluation.scoring import confusion_matrix, scores, top_losses
from cnnkit.evaluation.table import arrays, predict

__all__ = ["arrays", "confusion_matrix", "predict", "scores", "top_losses", "wilson"]
