"""A trained Vision Transformer: what it looks at, and how it takes another size.

    from cnnkit.models import vit_trained

    maps = vit_trained.attention_maps(model, images)
    larger = vit_trained.at_size(model, (448, 448, 3))

The papers are those of `vit`.
"""

import keras
from keras import layers, ops

from cnnkit.models.checks import check_image_shape
from cnnkit.models.vit import Positions, transformer


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
    norms = {x.name: x.name.replace("attention", "norm1") for x in attentions}
    reads = {name: model.get_layer(norm).output for name, norm in norms.items()}
    tokens = keras.Model(model.input, reads)(images, training=False)
    maps = []
    for layer in attentions:
        queries = ops.cast(layer.query_dense(tokens[layer.name]), "float32")
        keys = ops.cast(layer.key_dense(tokens[layer.name]), "float32")
        # both of shape (b, tokens, heads, numbers)
        scores = ops.einsum("bihn,bjhn->bhij", queries, keys) / layer.key_dim**0.5
        maps.append(ops.softmax(scores))
    return ops.convert_to_numpy(ops.stack(maps))


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
    check_image_shape(input_shape)
    if input_shape[-1] != model.input_shape[-1]:
        raise ValueError(
            f"The model was built for {model.input_shape[-1]} channels, and only "
            f"height and width can change. Received: input_shape={tuple(input_shape)}"
        )
    patches = model.get_layer("patches")
    mlp_width = model.get_layer("block1_mlp1").units
    variant = (patches.filters, attentions[0].num_heads, len(attentions), mlp_width)
    resized = transformer(
        variant,
        patches.kernel_size[0],
        num_classes=model.output_shape[-1],
        input_shape=input_shape,
        name=model.name,
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


def _attentions(model):
    """The attention layers of a model of this module, first block first."""
    if not any(isinstance(layer, Positions) for layer in getattr(model, "layers", ())):
        raise ValueError(
            "`model` must come from `vit`, `vit_cifar` or `at_size`. Received: "
            f"{getattr(model, 'name', model)!r}"
        )
    kind = layers.MultiHeadAttention
    return [layer for layer in model.layers if isinstance(layer, kind)]
