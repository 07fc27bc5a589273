"""VGG: one small window, 3x3 pixels, again and again.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", ICLR 2015, https://arxiv.org/abs/1409.1556 (table 1, columns A, B, D, E).
"""

from keras import layers

from cnnkit.models.blocks import classify, conv_relu, decide, dense_relu, pixels
from cnnkit.models.checks import check_fixed, check_sides, check_variant

# depth: convolutions in each of the five stages
VARIANTS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


def vgg(depth=16, *, num_classes=1000, input_shape=(224, 224, 3)):
    """Builds an untrained VGG classifier for pictures of one size.

    Nine of ten weights lie in the two hidden layers, and half of each is switched off
    in a training step. The weights of keras.applications fit in their order, but were
    trained on other pixels than [-1, 1]: blue first, less the mean colour.

    Args:
        depth: int, number of weighted layers; a key of `VARIANTS`.
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 32
            pixels; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape
        (batch, height // 32, width // 32, 512); "pooled" is the last hidden layer,
        shape (batch, 4096).

    Raises:
        ValueError: `depth` is not in `VARIANTS`, a side is None or under 32 pixels,
            the input is no image shape, or `num_classes` is under 2.

    Example:
        >>> model = vgg(11, num_classes=10, input_shape=(32, 32, 3))
        >>> model.get_layer("features").output.shape
        (None, 1, 1, 512)
    """
    check_variant("depth", depth, VARIANTS)
    inputs, x = pixels(input_shape)
    check_fixed(input_shape, "`vgg_pooled`")
    check_sides(
        input_shape, 32, "enlarge the pictures, or take `vgg_pooled` or `tiny_vgg`"
    )
    x = five_stages(x, depth, padding="valid")
    x = layers.Identity(name="features")(x)
    x = layers.Flatten(name="flatten")(x)
    for name in ("hidden", "pooled"):
        x = dense_relu(x, 4096, name=name)
        x = layers.Dropout(0.5, name=f"{name}_dropout")(x)
    return decide(inputs, x, num_classes, name=f"vgg{depth}")


def vgg_pooled(depth=16, *, num_classes=1000, input_shape=(224, 224, 3)):
    """Builds VGG's convolutions with an average in place of the hidden layers.

    The average takes a map of any size. A halving rounds up, so that the rim of a
    picture counts whatever its size, and 28 pixels last for all five halvings.

    Args:
        depth: int, number of weighted layers of the `vgg` with these convolutions; a
            key of `VARIANTS`.
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 17
            pixels, or None to accept any size; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape
        (batch, ceil(height / 32), ceil(width / 32), 512); "pooled" has shape
        (batch, 512).

    Raises:
        ValueError: `depth` is not in `VARIANTS`, a side is under 17 pixels, the input
            is no image shape, or `num_classes` is under 2.

    Example:
        >>> model = vgg_pooled(11, num_classes=10, input_shape=(28, 28, 1))
        >>> model.get_layer("features").output.shape
        (None, 1, 1, 512)
    """
    check_variant("depth", depth, VARIANTS)
    inputs, x = pixels(input_shape)
    # 17 pixels go 9, 5, 3, 2, 1; with 16 the last halving would halve nothing.
    check_sides(input_shape, 17, "enlarge the pictures, or take `alexnet_cifar`")
    x = five_stages(x, depth, padding="same")
    return classify(inputs, x, num_classes, name=f"vgg{depth}_pooled")


def five_stages(x, depth, *, padding):
    """Five times 3x3 convolutions and a halving: (h, w, c) to (h/32, w/32, 512).

    Args:
        x: tensor, shape (batch, h, w, c), the scaled pictures.
        depth: int, a key of `VARIANTS`.
        padding: str, how a halving treats an odd side: "valid" drops its last row,
            "same" keeps it.
    """
    for stage, num_convs in enumerate(VARIANTS[depth], start=1):
        filters = min(64 * 2 ** (stage - 1), 512)
        for i in range(1, num_convs + 1):
            x = conv_relu(x, filters, 3, name=f"stage{stage}_conv{i}")
        x = layers.MaxPooling2D(2, padding=padding, name=f"stage{stage}_pool")(x)
    return x
