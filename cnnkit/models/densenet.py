"""DenseNet: keep every feature map, and let each layer read all before it.

Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks",
CVPR 2017, https://arxiv.org/abs/1608.06993 (table 1 gives the variants below, section
3 the two forms of a layer).
"""

from keras import layers

from cnnkit.models.blocks import classify, pixels
from cnnkit.models.checks import check_sides, check_variant

# depth: layers in each of the four dense blocks
VARIANTS = {
    121: (6, 12, 24, 16),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
}
GROWTH = 32  # channels that each layer adds


def densenet(depth=121, *, num_classes=1000, input_shape=(224, 224, 3)):
    """Builds an untrained DenseNet classifier.

    The weights of `keras.applications` fit (`set_weights(theirs.get_weights())`).
    They were trained on pixels that their `densenet.preprocess_input` had normalised:
    give such a model `127.5 * (preprocess_input(images) + 1)`.

    Args:
        depth: int, number of weighted layers; a key of `VARIANTS`.
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 32
            pixels, or None to accept any size; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has 1024, 1664 or 1920 channels,
        and a height and width of about 1/32.

    Raises:
        ValueError: `depth` is not in `VARIANTS`, the input is under 32 pixels or is
            no image shape, or `num_classes` is under 2.

    Example:
        >>> model = densenet(121, num_classes=10, input_shape=(64, 64, 3))
        >>> model.get_layer("features").output.shape
        (None, 2, 2, 1024)
    """
    check_variant("depth", depth, VARIANTS)
    inputs, x = pixels(input_shape)
    check_sides(input_shape, 32, "enlarge the pictures, or take `densenet_cifar`")

    x = layers.ZeroPadding2D(3, name="stem_pad")(x)
    x = conv(x, 64, 7, strides=2, padding="valid", name="stem_conv")
    x = bn_relu(x, name="stem")
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)

    for block, num_layers in enumerate(VARIANTS[depth], start=1):
        if block > 1:
            x = transition(x, x.shape[-1] // 2, name=f"transition{block - 1}")
        for i in range(1, num_layers + 1):
            x = bottleneck_layer(x, GROWTH, name=f"block{block}_layer{i}")

    x = bn_relu(x, name="last")
    return classify(inputs, x, num_classes, name=f"densenet{depth}")


def bottleneck_layer(x, growth, *, name):
    """1x1 down, 3x3, joined to the input: (h, w, c) to (h, w, c + growth).

    Args:
        x: tensor, shape (batch, h, w, c), the maps of all layers before.
        growth: int, channels that are added; the 1x1 convolution has four times that.
        name: str, prefix of the layers' names; the last one is `name` + "_out".
    """
    new = conv(bn_relu(x, name=f"{name}_1"), 4 * growth, 1, name=f"{name}_1_conv")
    new = conv(bn_relu(new, name=f"{name}_2"), growth, 3, name=f"{name}_2_conv")
    return layers.Concatenate(name=f"{name}_out")([x, new])


def basic_layer(x, growth, *, name):
    """One 3x3 convolution, joined to the input: (h, w, c) to (h, w, c + growth).

    Args:
        x: tensor, shape (batch, h, w, c), the maps of all layers before.
        growth: int, channels that are added.
        name: str, prefix of the layers' names; the last one is `name` + "_out".
    """
    new = conv(bn_relu(x, name=name), growth, 3, name=f"{name}_conv")
    return layers.Concatenate(name=f"{name}_out")([x, new])


def transition(x, filters, *, name):
    """A 1x1 convolution and a halving: (h, w, c) to (h // 2, w // 2, filters).

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of the output.
        name: str, prefix of the layers' names; the last one is `name` + "_pool".
    """
    x = conv(bn_relu(x, name=name), filters, 1, name=f"{name}_conv")
    return layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def bn_relu(x, *, name):
    """Normalisation and ReLU, which come before the convolution here (section 3).

    Args:
        x: tensor, shape (batch, h, w, c); the shape stays.
        name: str, prefix of the layers' names.
    """
    # Constants as in `blocks.conv_bn`, for the same reasons.
    x = layers.BatchNormalization(momentum=0.9, epsilon=1.001e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def conv(x, filters, kernel_size, *, strides=1, padding="same", name):
    """A convolution without bias, as in keras.applications: to (h/s, w/s, filters).

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of the output.
        kernel_size: int, height and width of the window in pixels.
        strides: int, s, pixels that the window moves each time.
        padding: "same" or "valid", whether zeros are put around the map.
        name: str, name of the layer.
    """
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",  # keeps the variance through a ReLU
        name=name,
    )(x)
