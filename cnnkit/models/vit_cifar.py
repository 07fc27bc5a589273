"""Vision Transformer for small pictures: patches of 4 x 4 pixels, and fewer blocks.

ViT-Lite of Hassani et al., "Escaping the Big Data Paradigm with Compact Transformers",
2021, https://arxiv.org/abs/2104.05704, with the sizes of the authors' code.
"""

from cnnkit.models.checks import check_variant
from cnnkit.models.vit import transformer

# blocks: (numbers in a token, heads, blocks, numbers in the middle of the MLP)
VARIANTS = {
    2: (128, 2, 2, 128),
    4: (128, 2, 4, 128),
    6: (256, 4, 6, 512),
    7: (256, 4, 7, 512),
}


def vit_cifar(depth=7, *, num_classes=10, input_shape=(32, 32, 3)):
    """Builds an untrained Vision Transformer for small pictures (ViT-Lite).

    Patches of 4 x 4 pixels cut a picture of 32 pixels into 64; 16 x 16 would leave
    four of them, and nothing to look at. The rest is as in `vit`. With 2 blocks it is
    small enough to train without a GPU.

    Args:
        depth: int, number of blocks; a key of `VARIANTS`.
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are multiples of 4
            pixels, at least 8; channels is 3 or 1. None is refused, as in `vit`.

    Returns:
        An uncompiled `keras.Model` as from `vit`; "features" has shape
        (batch, height / 4, width / 4, 128 or 256).

    Raises:
        ValueError: `depth` is not in `VARIANTS`, the input is no image shape or
            no whole number of patches, or `num_classes` is under 2.

    Example:
        >>> model = vit_cifar(2, num_classes=10, input_shape=(28, 28, 1))
        >>> model.get_layer("features").output.shape
        (None, 7, 7, 128)
    """
    check_variant("depth", depth, VARIANTS)
    return transformer(
        VARIANTS[depth],
        4,
        num_classes=num_classes,
        input_shape=input_shape,
        name=f"vit_cifar{depth}",
    )
