"""Stochastic depth: a deep network that is trained as many shallow ones.

Huang, Sun, Liu, Sedra and Weinberger, "Deep Networks with Stochastic Depth", ECCV 2016,
https://arxiv.org/abs/1603.09382. What is left is scaled up in training, as dropout does
it today, instead of down in prediction (equation 5): the two are the same on average,
and so prediction is the plain network.
"""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("cnnkit")
class StochasticDepth(layers.Layer):
    """Leaves out a residual branch in training, for each picture by itself.

    It stands at the end of a branch, before the sum with the shortcut: a picture whose
    branch is left out passes the block unchanged. Nothing may follow it that moves
    zeros, such as normalisation. The paper's `linear_rates` leave the first blocks,
    which all others build on, nearly always in.

    Args:
        rate: float in [0, 1), how often a branch is left out.
        seed: int, or None for a seed that follows from `keras.utils.set_random_seed`.
        name: str, or None for a name from Keras.
        dtype: dtype or policy of Keras, or None for the global one.
        trainable: bool, of no effect, as the layer has no weights.

    Example:
        >>> rates = linear_rates(3, last=0.2)
        >>> for rate in rates:
        ...     shortcut = x
        ...     x = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
        ...     x = layers.BatchNormalization()(x)
        ...     x = StochasticDepth(rate)(x)
        ...     x = layers.ReLU()(layers.Add()([shortcut, x]))
    """

    def __init__(self, rate, *, seed=None, name=None, dtype=None, trainable=True):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        if not 0 <= rate < 1:
            raise ValueError(
                "`rate` is how often a branch is left out, at least 0 and under 1. "
                f"Received: rate={rate!r}"
            )
        self.rate, self.seed = rate, seed
        self.seed_generator = keras.random.SeedGenerator(seed) if rate else None
        self.built = True

    def call(self, x, training=False):
        """Returns (batch, ...) of the same shape; in prediction `x` itself."""
        if not training or not self.rate:
            return x
        kept = 1 - self.rate
        shape = (ops.shape(x)[0],) + (1,) * (len(x.shape) - 1)  # one draw a picture
        draws = keras.random.uniform(shape, seed=self.seed_generator, dtype="float32")
        return x * ops.cast(draws < kept, x.dtype) / kept

    def compute_output_shape(self, input_shape):
        """Returns the shape that came in.

        Args:
            input_shape: tuple.
        """
        return input_shape

    def get_config(self):
        """Returns what builds the layer again."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


def linear_rates(blocks, *, last=0.5):
    """Returns how often to leave out each block: rarely at first, often at the end.

    Args:
        blocks: int, the number of residual blocks.
        last: float in [0, 1), the rate of the last of them.

    Returns:
        A list of float, `last * l / blocks` for l = 1, ... (equation 4).
    """
    return [last * block / blocks for block in range(1, blocks + 1)]
