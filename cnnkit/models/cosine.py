"""A last layer that compares directions: cosines in place of dot products.

Gidaris and Komodakis, "Dynamic Few-Shot Visual Learning without Forgetting", CVPR 2018,
https://arxiv.org/abs/1804.09458 (section 3.2, equation 4).
"""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("cnnkit")
class CosineLogits(layers.Layer):
    """Measures the angle between features and one learned vector for each class.

    A cosine lies in [-1, 1], from which softmax could never become sure; the learned
    scale stretches it. There is no bias.

    Args:
        units: int, number of classes.
        scale: float, where the learned scale starts; 10 in the paper.
        name: str, or None for a name from Keras.
        dtype: dtype or policy of Keras, or None for the global one.
        trainable: bool, whether the vectors and the scale learn.

    Example:
        >>> logits = CosineLogits(5)(layers.GlobalAveragePooling2D()(features))
    """

    def __init__(self, units, *, scale=10.0, name=None, dtype=None, trainable=True):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        self.units, self.start = units, scale

    def build(self, input_shape):
        """Makes one vector a class, as columns, and the scale."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units),
            initializer="glorot_uniform",
            name="kernel",
        )
        start = keras.initializers.Constant(self.start)
        self.scale = self.add_weight(shape=(), initializer=start, name="scale")

    def call(self, x):
        """Returns logits of shape (batch, units) for features of shape (batch, c)."""
        vectors = ops.normalize(self.kernel, axis=0)
        return self.scale * ops.matmul(ops.normalize(x, axis=-1), vectors)

    def compute_output_shape(self, input_shape):
        """Returns (batch, units).

        Args:
            input_shape: tuple.
        """
        return (*input_shape[:-1], self.units)

    def multiply_adds(self):
        """Returns the multiply-adds for one picture: a product for each class."""
        channels, units = self.kernel.shape
        return channels * units

    def get_config(self):
        """Returns what builds the layer again."""
        return {**super().get_config(), "units": self.units, "scale": self.start}
