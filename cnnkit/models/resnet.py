"""ResNet: learn the change to a feature map, not the map itself.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
https://arxiv.org/abs/1512.03385 (table 1 gives the variants below).
"""

from keras import layers

from cnnkit.models.blocks import classify, conv_bn, pixels
from cnnkit.models.checks import check_sides, check_variant

# depth: (block, blocks in each of the four stages)
VARIANTS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


def resnet(depth=50, *, num_classes=1000, input_shape=(224, 224, 3)):
    """Builds an untrained ResNet classifier.

    Args:
        depth: int, number of weighted layers; a key of `VARIANTS`.
        num_classes: int, width of the output.
        input_shape: (height, width, channels); height and width are at least 32
            pixels, or None to accept any size; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape
        (batch, ceil(height / 32), ceil(width / 32), 512 or 2048).

    Raises:
        ValueError: `depth` is not in `VARIANTS`, the input is under 32 pixels or is
            no image shape, or `num_classes` is under 2.

    Example:
        >>> model = resnet(18, num_classes=10, input_shape=(64, 64, 3))
        >>> model.output_shape
        (None, 10)
    """
    check_variant("depth", depth, VARIANTS)
    inputs, x = pixels(input_shape)
    check_sides(input_shape, 32, "enlarge the pictures, or take `resnet_cifar`")
    block_name, stage_sizes = VARIANTS[depth]
    block = {"basic": basic_block, "bottleneck": bottleneck_block}[block_name]

    x = conv_bn(x, 64, 7, strides=2, name="stem")
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)

    for stage, num_blocks in enumerate(stage_sizes, start=1):
        filters = 64 * 2 ** (stage - 1)
        for i in range(1, num_blocks + 1):
            halve = stage > 1 and i == 1
            x = block(x, filters, 2 if halve else 1, name=f"stage{stage}_block{i}")

    return classify(inputs, x, num_classes, name=f"resnet{depth}")


def basic_block(x, filters, strides, *, name):
    """Two 3x3 convolutions (figure 5, left): (h, w, c) to (h/s, w/s, filters).

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of both convolutions and of the output.
        strides: int, s: 2 halves the map, 1 keeps its size.
        name: str, prefix of the layers' names.
    """
    shortcut = project(x, filters, strides, name=name)
    x = conv_bn(x, filters, 3, strides, name=f"{name}_1")
    x = conv_bn(x, filters, 3, relu=False, name=f"{name}_2")
    return add_relu(shortcut, x, name=name)


def bottleneck_block(x, filters, strides, *, name):
    """1x1 down, 3x3, 1x1 up (figure 5, right): (h, w, c) to (h/s, w/s, 4*filters).

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of the two inner maps; the output has four times that.
        strides: int, s: 2 halves the map in the first convolution, 1 keeps its size.
        name: str, prefix of the layers' names.
    """
    shortcut = project(x, 4 * filters, strides, name=name)
    x = conv_bn(x, filters, 1, strides, name=f"{name}_1")
    x = conv_bn(x, filters, 3, name=f"{name}_2")
    x = conv_bn(x, 4 * filters, 1, relu=False, name=f"{name}_3")
    return add_relu(shortcut, x, name=name)


def project(x, filters, strides, *, name):
    """The identity where shapes agree, else a 1x1 convolution (section 4.1, B).

    Args:
        x: tensor, shape (batch, h, w, c), the input of the block.
        filters: int, channels of the block's output.
        strides: int, 2 if the block halves the map, else 1.
        name: str, prefix of the layers' names.
    """
    if strides == 1 and x.shape[-1] == filters:
        return x
    return conv_bn(x, filters, 1, strides, relu=False, name=f"{name}_project")


def add_relu(shortcut, x, *, name):
    """Joins the two paths; the ReLU comes after the sum (figure 2).

    Args:
        shortcut: tensor, shape (batch, h, w, c), the input as it was or projected.
        x: tensor of the same shape, the change that the block has learnt.
        name: str, prefix of the layers' names.
    """
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_out")(x)
