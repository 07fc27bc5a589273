"""Schedules: how the learning rate moves over a run.

Each is a Keras schedule, for plain Keras, and a function of how far a run is, for
`fit`, which also knows runs of minutes whose number of steps nobody knows before.
"""

import math

import keras
import numpy as np
from keras import ops


class _Schedule(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, peak, steps=None):
        super().__init__()
        self.peak, self.steps = peak, steps

    def __call__(self, step):
        """Returns the learning rate of a step, a scalar tensor."""
        if not self.steps:
            raise ValueError(
                "An optimizer needs to know where the run ends: give `steps`, the "
                f"batches of all epochs. Received: steps={self.steps!r}"
            )
        done = ops.minimum(ops.cast(step, "float32") / self.steps, 1.0)
        return self.peak * self.shape(done, ops)

    def at(self, share):
        """Returns the learning rate at a share of the run.

        Args:
            share: float in [0, 1].

        Returns:
            float.
        """
        return self.peak * float(self.shape(share, np))

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps}


@keras.saving.register_keras_serializable("cnnkit")
class OneCycle(_Schedule):
    """Rises to a peak for a quarter of the run, then falls along a cosine to near zero.

    The large rates in the middle keep the run away from narrow valleys, and it ends on
    calm weights. Smith and Topin, "Super-Convergence", 2018,
    https://arxiv.org/abs/1708.07120, with the cosine of Loshchilov and Hutter, "SGDR",
    2017, https://arxiv.org/abs/1608.03983, in place of a straight line down.

    Args:
        peak: float, the highest learning rate.
        steps: int, batches of the whole run; None where only `at` is used.

    Example:
        >>> optimizer = keras.optimizers.AdamW(OneCycle(3e-3, steps=10 * 94))
    """

    rise, first, last = 0.25, 0.04, 0.001  # a share of the run, and shares of the peak

    def shape(self, share, xp):
        """Returns the rate as a share of the peak.

        Args:
            share: float or scalar tensor in [0, 1], how far the run is.
            xp: `numpy` or `keras.ops`.
        """
        up = self.first + (1 - self.first) * share / self.rise
        fallen = xp.maximum(share - self.rise, 0.0) / (1 - self.rise)
        down = self.last + (1 - self.last) * (1 + xp.cos(math.pi * fallen)) / 2
        return xp.minimum(up, down)


@keras.saving.register_keras_serializable("cnnkit")
class Cosine(OneCycle):
    """Rises in the first twentieth of the run, then falls along a cosine to near zero.

    The warm-up of Goyal et al., "Accurate, Large Minibatch SGD", 2017,
    https://arxiv.org/abs/1706.02677, and the fall of `OneCycle`. It spends more of the
    run at high rates, and suits weights that are good already, and transformers.

    Args:
        peak: float, the highest learning rate.
        steps: int, as for `OneCycle`.
    """

    rise = 0.05


SCHEDULES = {"one-cycle": OneCycle, "cosine": Cosine}
