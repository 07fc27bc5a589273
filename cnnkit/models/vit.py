"""Vision Transformer: a picture is a sentence of patches, and each may look at all.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021,
https://arxiv.org/abs/2010.11929 (figure 1 and equations 1 to 4; the base size is in
table 1). The tiny and small sizes are from Touvron et al., "Training data-efficient
image transformers", ICML 2021, https://arxiv.org/abs/2012.12877 (table 1).

For small pictures: ViT-Lite of Hassani et al., "Escaping the Big Data Paradigm with
Compact Transformers", 2021, https://arxiv.org/abs/2104.05704, with the sizes of the
authors' code.
"""

import keras
from keras import layers, ops

from cnnkit.models.blocks import decide, pixels

# size: (numbers in a token, heads, blocks, numbers in the middle of the MLP)
VARIANTS = {
    "tiny": (192, 3, 12, 768),
    "small": (384, 6, 12, 1536),
    "base": (768, 12, 12, 3072),
}
# blocks: the same four numbers
CIFAR_VARIANTS = {
    2: (128, 2, 2, 128),
    4: (128, 2, 4, 128),
    6: (256, 4, 6, 512),
    7: (256, 4, 7, 512),
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
            so None is refused: `at_size` makes a model for another one.

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
    if size not in VARIANTS:
        raise ValueError(
            f"`size` must be one of {list(VARIANTS)}. Received: size={size!r}"
        )
    return _assemble(VARIANTS[size], 16, num_classes, input_shape, f"vit_{size}")


def vit_cifar(depth=7, *, num_classes=10, input_shape=(32, 32, 3)):
    """Builds an untrained Vision Transformer for small pictures (ViT-Lite).

    Patches of 4 x 4 pixels cut a picture of 32 pixels into 64; 16 x 16 would leave
    four of them, and nothing to look at. The rest is as in `vit`. With 2 blocks it is
    small enough to train without a GPU.

    Args:
        depth: int, number of blocks; a key of `CIFAR_VARIANTS`.
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are multiples of 4
            pixels, at least 8; channels is 3 or 1. None is refused, as in `vit`.

    Returns:
        An uncompiled `keras.Model` as from `vit`; "features" has shape
        (batch, height / 4, width / 4, 128 or 256).

    Raises:
        ValueError: `depth` is not in `CIFAR_VARIANTS`, the input is no image shape or
            no whole number of patches, or `num_classes` is under 2.

    Example:
        >>> model = vit_cifar(2, num_classes=10, input_shape=(28, 28, 1))
        >>> model.get_layer("features").output.shape
        (None, 7, 7, 128)
    """
    if depth not in CIFAR_VARIANTS:
        raise ValueError(
            f"`depth` must be one of {sorted(CIFAR_VARIANTS)}. "
            f"Received: depth={depth!r}"
        )
    name = f"vit_cifar{depth}"
    return _assemble(CIFAR_VARIANTS[depth], 4, num_classes, input_shape, name)


def _assemble(variant, patch, num_classes, input_shape, name):
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


def at_size(model, input_shape):
    """Makes a Vision Transformer for another size of picture, with the same weights.

    The blocks do not care how many tokens there are. Only the learnt positions are
    for one size: their map is enlarged or reduced like a picture, with bicubic
    interpolation (as in DeiT: bilinear makes the vectors shorter). The position of the
    class token stays. A short training at the new size mends the rest.

    Args:
        model: a `keras.Model` from `vit`, `vit_cifar` or `at_size`. It is not changed.
        input_shape: (height, width, channels), as for `vit`; channels are the same as
            the model's.

    Returns:
        An uncompiled `keras.Model` with the name and the layers of `model`.

    Raises:
        ValueError: `model` is no Vision Transformer, the channels differ, or the input
            is no image shape or no whole number of patches.

    Example:
        >>> small = vit_cifar(2, input_shape=(32, 32, 3))
        >>> at_size(small, (64, 48, 3)).get_layer("features").output.shape
        (None, 16, 12, 128)
    """
    attentions = _attentions(model)
    pixels(input_shape)  # refuses what is no image shape
    if input_shape[-1] != model.input_shape[-1]:
        raise ValueError(
            f"The model was built for {model.input_shape[-1]} channels, and only "
            f"height and width can change. Received: input_shape={tuple(input_shape)}"
        )
    patches = model.get_layer("patches")
    mlp_width = model.get_layer("block1_mlp1").units
    variant = (patches.filters, attentions[0].num_heads, len(attentions), mlp_width)
    resized = _assemble(
        variant,
        patches.kernel_size[0],
        model.output_shape[-1],
        input_shape,
        model.name,
    )
    for layer in resized.layers:
        if layer.name != "positions":
            layer.set_weights(model.get_layer(layer.name).get_weights())

    old = model.get_layer("positions").positions
    old_grid = model.get_layer("features").output.shape[1:3]
    new_grid = resized.get_layer("features").output.shape[1:3]
    width = old.shape[-1]
    grid = ops.reshape(old[:, 1:], (1, *old_grid, width))
    grid = ops.image.resize(grid, new_grid, interpolation="bicubic")
    grid = ops.reshape(grid, (1, -1, width))
    new = ops.concatenate([old[:, :1], grid], axis=1)
    resized.get_layer("positions").positions.assign(new)
    return resized


def attention_maps(model, images):
    """Returns who looks at whom, in each block and head.

    `maps[-1][0, :, 0, 1:]` is what the class token looks at in the last block, one row
    a head; reshaped to the height and width of "features" it is a picture.

    Args:
        model: a `keras.Model` from `vit`, `vit_cifar` or `at_size`.
        images: float pixels in [0, 255], shape (b, height, width, channels). Take few:
            16 pictures of 224 pixels in the base size need 360 MB.

    Returns:
        A float32 array of shape (blocks, b, heads, tokens, tokens). Entry
        [..., i, j] is the share of token j in what token i takes in, so each row sums
        to 1. Token 0 is the class token, the patches follow row by row.

    Raises:
        ValueError: `model` is no Vision Transformer.
    """
    attentions = _attentions(model)
    names = [layer.name.replace("attention", "norm1") for layer in attentions]
    reader = keras.Model(model.input, [model.get_layer(n).output for n in names])
    maps = []
    for layer, tokens in zip(attentions, reader(images, training=False), strict=True):
        queries = ops.cast(layer.query_dense(tokens), "float32")
        keys = ops.cast(layer.key_dense(tokens), "float32")  # (b, tokens, heads, n)
        scores = ops.einsum("bihn,bjhn->bhij", queries, keys) / layer.key_dim**0.5
        maps.append(ops.softmax(scores))
    return ops.convert_to_numpy(ops.stack(maps))


def _attentions(model):
    """The attention layers of a model of this module, first block first."""
    if not any(isinstance(layer, Positions) for layer in getattr(model, "layers", ())):
        raise ValueError(
            "`model` must come from `vit`, `vit_cifar` or `at_size`. Received: "
            f"{getattr(model, 'name', model)!r}"
        )
    kind = layers.MultiHeadAttention
    return [layer for layer in model.layers if isinstance(layer, kind)]


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
