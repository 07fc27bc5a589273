"""What says how good an epoch was, whatever the loss that was trained adds to it."""

import keras
import numpy as np
from keras import ops


class LogLoss(keras.metrics.Metric):
    """The cross-entropy of predictions with the true classes, in nats.

    Unlike a training loss it has no smoothing, no focus and no regularisation in it, so
    that runs with different ones compare. With several temperatures it is the lowest
    that one of them gives when it softens all predictions: what is left once a model is
    calibrated. Berta, Holzmüller, Jordan and Bach, "Rethinking Early Stopping: Refine,
    Then Calibrate", 2025, https://arxiv.org/abs/2501.19195.

    Args:
        temperatures: sequence of float above 0.
        name: str.
    """

    def __init__(self, temperatures=(1.0,), name="log_loss"):
        super().__init__(name=name)
        self.temperatures = np.asarray(temperatures, "float32")
        self.sums = self.add_variable(self.temperatures.shape, "zeros", name="sums")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch: labels (b,), (b, 1) or shares (b, k), and probabilities."""
        shares = _shares(y_true, y_pred)
        logs = ops.cast(y_pred, "float32")  # a network may compute in 16 bits
        logs = ops.log(ops.clip(logs, keras.config.epsilon(), 1.0))
        softened = logs / self.temperatures[:, None, None]
        losses = ops.logsumexp(softened, axis=-1) - ops.sum(shares * softened, axis=-1)
        weights = _weights(sample_weight, shares)
        self.sums.assign_add(ops.sum(losses * weights, axis=-1))
        self.count.assign_add(ops.sum(weights))

    def result(self):
        """Returns the mean over the pictures, at the best of the temperatures."""
        return ops.min(self.sums) / ops.maximum(self.count, keras.config.epsilon())


class BalancedAccuracy(keras.metrics.Metric):
    """The mean over the classes of the share of their pictures that is right.

    Args:
        num_classes: int.
        name: str.
    """

    def __init__(self, num_classes, name="balanced_accuracy"):
        super().__init__(name=name)
        self.right = self.add_variable((num_classes,), "zeros", name="right")
        self.seen = self.add_variable((num_classes,), "zeros", name="seen")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch: labels (b,), (b, 1) or shares (b, k), and probabilities."""
        shares = _shares(y_true, y_pred)
        shares = ops.one_hot(ops.argmax(shares, axis=-1), shares.shape[-1])
        is_right = ops.argmax(shares, axis=-1) == ops.argmax(y_pred, axis=-1)
        is_right = ops.cast(is_right, "float32")[:, None]
        self.right.assign_add(ops.sum(shares * is_right, axis=0))
        self.seen.assign_add(ops.sum(shares, axis=0))

    def result(self):
        """Returns the mean over the classes that were seen."""
        recalls = self.right / ops.maximum(self.seen, 1.0)
        num_seen = ops.sum(ops.cast(self.seen > 0, "float32"))
        return ops.sum(recalls) / ops.maximum(num_seen, 1.0)


def _shares(y_true, y_pred):
    """One-hot labels, or shares of classes as they are."""
    if len(y_true.shape) == 2 and y_true.shape[-1] == y_pred.shape[-1] > 1:
        return ops.cast(y_true, "float32")
    return ops.one_hot(ops.reshape(y_true, (-1,)), y_pred.shape[-1], dtype="float32")


def _weights(sample_weight, shares):
    if sample_weight is None:
        return ops.ones(ops.shape(shares)[:1])
    return ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
