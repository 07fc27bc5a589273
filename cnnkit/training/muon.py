"""Muon for convolutions.

The kernel of a convolution is a matrix, too: a row for each number that a window shows,
a column for each output. Adam scales each of its numbers for itself. Muon looks at the
matrix: it takes the momentum and makes all its directions equally long, so that what is
rare in the pictures is learnt as fast as what is in all of them. Jordan and others,
"Muon: An optimizer for hidden layers in neural networks", 2024,
https://kellerjordan.github.io/posts/muon. Its steps have the size of those of AdamW:
Liu and others, "Muon is Scalable for LLM Training", 2025,
https://arxiv.org/abs/2502.16982 (equation 4).
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable("cnnkit")
class Muon(keras.optimizers.Muon):
    """Keras' Muon for the kernels of convolutions, as matrices; all else is AdamW's.

    Keras' own takes the kernels of dense layers, and leaves convolutions to AdamW. Here
    it is the other way about. A kernel with one output for each input, as in depthwise
    convolutions, is no matrix, and is AdamW's too. The arguments are those of
    `keras.optimizers.Muon`, but there is one `weight_decay` for all.

    Example:
        >>> optimizer = Muon(1e-2, weight_decay=0.02)
        >>> model.compile(optimizer, "sparse_categorical_crossentropy")
    """

    def _should_use_adamw(self, variable):
        return len(variable.shape) != 4 or variable.shape[-1] == 1

    def _apply_weight_decay(self, variables):
        super(keras.optimizers.Muon, self)._apply_weight_decay(variables)

    def zeropower_via_newtonschulz5(self, x, steps):
        """Makes all directions of a kernel about equally long.

        Args:
            x: tensor of shape (height, width, inputs, outputs).
            steps: int, rounds of the iteration.
        """
        flat = super().zeropower_via_newtonschulz5(_as_matrix(x), steps)
        return ops.reshape(flat, x.shape)

    def lr_adjust(self, x):
        """Gives a step the size that one of AdamW has.

        Args:
            x: tensor, as for `zeropower_via_newtonschulz5`.
        """
        return ops.reshape(super().lr_adjust(_as_matrix(x)), x.shape)


def _as_matrix(kernel):
    return ops.reshape(kernel, (-1, kernel.shape[-1]))
