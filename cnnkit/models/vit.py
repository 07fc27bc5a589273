"""Vision Transformer: a picture is a sentence of patches, and each may look at all.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021,
https://arxiv.org/abs/2010.11929 (figure 1 and equations 1 to 4; the base size is in
table 1). The tiny and small sizes are from Touvron et al., "Training data-efficient
image transformers", ICML 2021, https://arxiv.org/abs/2012.12877 (table 1).

`vit_trained` shows what a trained one looks at, and takes it to another size
(`vit_trained.attention_maps` and `vit_trained.at_size`).
"""

import keras
from keras import layers, ops

from cnnkit.models.blocks import decide, pixels
from cnnkit.models.checks import check_variant

# size: (numbers in a token, heads, blocks, numbers in the middle of the MLP)
VARIANTS = {
    "tiny": (192, 3, 12, 768),
    "small": (384, 6, 12, 1536),
    "base": (768, 12, 12, 3072),
}


def vit(size="base", *, num_classes=1000, input_shape=(224, 224, 3)):
    """Builds an untrained Vision Transformer with patches of 16 x 16 pixels.

    A class token goes through all blocks beside the patches. It asks them questions,
    and the decision is made from it alone. After the last block nothing reads the
    patches any more; so "features" are the patches before that block, where they
    still matter (and where Grad-CAM finds a gradient).

    Args:
        size: str, a key of `VARIANTS`.
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are multiples of 16
            pixels, at least 32; channels is 3 or 1. Positions are learnt for one size,
            so None is refused: `vit_trained.at_size` makes a model for another one.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape
        (batch, height / 16, width / 16, 192, 384 or 768), "pooled" is the normalised
        class token after the last block.

    Raises:
        ValueError: `size` is not in `VARIANTS`, the input is no image shape or no
            whole number of patches, or `num_classes` is under 2.

    Example:
        >>> model = vit("tiny", num_classes=10, input_shape=(64, 64, 3))
        >>> model.get_layer("features").output.shape
        (None, 4, 4, 192)
    """
    check_variant("size", size, VARIANTS)
    return transformer(
        VARIANTS[size],
        16,
        num_classes=num_classes,
        input_shape=input_shape,
        name=f"vit_{size}",
    )


def transformer(variant, patch, *, num_classes, input_shape, name):
    """Builds a Vision Transformer from four numbers, as a row of `VARIANTS`.

    Args:
        variant: four int: numbers in a token, heads, blocks, numbers in the middle of
            the MLP.
        patch: int, height and width in pixels of the square that becomes a token.
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are multiples of
            `patch`, at least two patches each; channels is 3 or 1.
        name: str, name of the model.

    Returns:
        An uncompiled `keras.Model`, as from `vit`.

    Raises:
        ValueError: the input is no image shape or no whole number of patches, or
            `num_classes` is under 2.
    """
    width, heads, depth, mlp_width = variant
    inputs, x = pixels(input_shape)
    rows, columns = _grid(input_shape, patch)
    count = rows * columns

    x = layers.Conv2D(width, patch, strides=patch, name="patches")(x)
    x = layers.Reshape((count, width), name="tokens")(x)
    x = ClassToken(name="class_token")(x)  # (b, 1 + count, width)
    x = Positions(name="positions")(x)
    for i in range(1, depth):
        x = transformer_block(x, heads, mlp_width, name=f"block{i}")

    token = layers.Cropping1D((0, count), name="features_token")(x)
    x = layers.Cropping1D((1, 0), name="features_patches")(x)
    x = layers.Reshape((rows, columns, width), name="features")(x)
    x = layers.Reshape((count, width), name="features_flat")(x)
    x = layers.Concatenate(axis=1, name="features_join")([token, x])
    x = transformer_block(x, heads, mlp_width, name=f"block{depth}")

    x = layers.Cropping1D((0, count), name="last_token")(x)  # the class token alone
    x = layers.LayerNormalization(epsilon=1e-6, name="last_norm")(x)
    x = layers.Flatten(name="pooled")(x)
    return decide(inputs, x, num_classes, name=name)


def transformer_block(x, heads, mlp_width, *, name):
    """Tokens look at each other, then each thinks alone (equations 2 and 3).

    Normalisation comes before each half, and the sum after it: the way straight
    through the network is left untouched. There is no dropout, as in DeiT.

    Args:
        x: tensor, shape (batch, tokens, width); the result has the same shape.
        heads: int, questions that a token asks at a time; divides `width`.
        mlp_width: int, width of the dense layer in the middle.
        name: str, prefix of the layers' names.
    """
    width = x.shape[-1]
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm1")(x)
    y = layers.MultiHeadAttention(heads, width // heads, name=f"{name}_attention")(y, y)
    x = layers.Add(name=f"{name}_add1")([x, y])
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm2")(x)
    y = layers.Dense(mlp_width, activation="gelu", name=f"{name}_mlp1")(y)
    y = layers.Dense(width, name=f"{name}_mlp2")(y)
    return layers.Add(name=f"{name}_add2")([x, y])


@keras.saving.register_keras_serializable("cnnkit")
class ClassToken(layers.Layer):
    """Puts a learnt token before the patches: (b, n, c) to (b, 1 + n, c)."""

    def build(self, input_shape):
        """Makes the token."""
        self.token = self.add_weight(
            shape=(1, 1, input_shape[-1]), initializer="zeros", name="token"
        )

    def call(self, tokens):
        """Returns the longer row of tokens."""
        token = ops.zeros_like(tokens[:, :1]) + self.token  # one for each picture
        return ops.concatenate([token, tokens], axis=1)


@keras.saving.register_keras_serializable("cnnkit")
class Positions(layers.Layer):
    """Adds a learnt vector to each token, which tells where it stands (equation 1)."""

    def build(self, input_shape):
        """Makes a vector for each token."""
        self.positions = self.add_weight(
            shape=(1, *input_shape[1:]),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="positions",
        )

    def call(self, tokens):
        """Returns the tokens with their places in them."""
        return tokens + self.positions


def _grid(input_shape, patch):
    """The rows and columns of patches, after checking that they fit."""
    sides = input_shape[:2]
    if None in sides or any(side % patch or side < 2 * patch for side in sides):
        raise ValueError(
            "Positions are learnt for one size, of at least 2 x 2 patches: height and "
            f"width must be multiples of {patch} pixels, from {2 * patch} up. Resize "
            "the pictures; `vit_cifar` has patches of 4 pixels, and `at_size` takes a "
            f"trained model to another size. Received: input_shape={tuple(input_shape)}"
        )
    return [side // patch for side in sides]
