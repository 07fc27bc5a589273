"""MobileNet 1 and 2: look at each channel alone, then mix the channels.

A full 3x3 convolution does both at once and costs eight to nine times as much.

Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications", 2017, https://arxiv.org/abs/1704.04861 (table 1), and Sandler, Howard,
Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR
2018, https://arxiv.org/abs/1801.04381 (table 2).

Weights of keras.applications fit with `set_weights`, in their order. Its last kernel of
version 1 has shape (1, 1, c, k), because it is a convolution: give kernel[0, 0].
"""

from keras import layers

from cnnkit.models.blocks import classify, pixels
from cnnkit.models.checks import check_sides, check_width
from cnnkit.models.mobile_blocks import (
    mobile_conv_bn,
    mobile_depthwise_bn,
    multiple_of_8,
)

# version: for each stage (expansion, channels, blocks, strides of the first block)
VARIANTS = {
    1: (
        (1, 64, 1, 1),
        (1, 128, 2, 2),
        (1, 256, 2, 2),
        (1, 512, 6, 2),
        (1, 1024, 2, 2),
    ),
    2: (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ),
}


def mobilenet(version=1, *, width=1.0, num_classes=1000, input_shape=(224, 224, 3)):
    """Builds an untrained MobileNet classifier, version 1 or 2.

    Args:
        version: int, 1 (separable blocks) or 2 (inverted residual blocks).
        width: float from 0.05 to 4, multiplies the channels of every layer: half the
            width has about a quarter of the weights and operations.
        num_classes: int, width of the output.
        input_shape: (height, width, channels); height and width are at least 32
            pixels, or None to accept any size; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape (batch, h, w,
        1024 * width) in version 1, with h = ceil(height / 2) // 16, and (batch, h, w,
        1280) in version 2, with h = ceil(height / 32) and more channels for a width
        above 1.

    Raises:
        ValueError: `version` is not in `VARIANTS`, `width` is out of range, the input
            is under 32 pixels or is no image shape, or `num_classes` is under 2.

    Example:
        >>> model = mobilenet(2, width=0.5, num_classes=10, input_shape=(96, 96, 3))
        >>> model.get_layer("features").output.shape
        (None, 3, 3, 1280)
    """
    inputs, x = pixels(input_shape)
    check_sides(input_shape, 32, "enlarge the pictures, or take `mobilenet_cifar`")
    x = feature_map(x, version, width, early_strides=2)
    return classify(inputs, x, num_classes, name=f"mobilenet_v{version}")


def feature_map(x, version, width, early_strides):
    """From scaled pixels to "features": (h, w, 3 or 1) to about (h/32, w/32, c).

    Args:
        x: tensor, shape (batch, h, w, 3 or 1), the scaled pictures.
        version: int, a key of `VARIANTS`.
        width: float from 0.05 to 4, multiplies the channels of every layer.
        early_strides: int, 2, or 1 to leave out the first two halvings.

    Raises:
        ValueError: `version` is not in `VARIANTS` or `width` is out of range.
    """
    if version not in VARIANTS:
        raise ValueError(
            "`version` must be 1 or 2; the third is `mobilenet_v3`. "
            f"Received: version={version!r}"
        )
    check_width(width)
    x = mobile_conv_bn(x, _scaled(32, version, width), 3, early_strides, name="stem")
    x = layers.ReLU(6.0, name="stem_relu")(x)
    for stage, row in enumerate(VARIANTS[version], start=1):
        expansion, channels, num_blocks, strides = row
        filters = _scaled(channels, version, width)
        for i in range(1, num_blocks + 1):
            step = 1 if i > 1 else early_strides if stage == 2 else strides
            name = f"stage{stage}_block{i}"
            if version == 1:
                x = separable_block(x, filters, step, name=name)
            else:
                x = inverted_residual_block(
                    x, filters, step, expansion=expansion, name=name
                )
    if version == 2:  # a thin network keeps all 1280 features (section 6.1)
        x = mobile_conv_bn(x, _scaled(1280, version, max(width, 1)), 1, name="top")
        x = layers.ReLU(6.0, name="top_relu")(x)
    return x


def separable_block(x, filters, strides=1, *, name):
    """A depthwise 3x3, then a pointwise 1x1 convolution (version 1, figure 3, right).

    (h, w, c) becomes (h // s, w // s, filters).

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of the output.
        strides: int, s: 2 halves the map, 1 keeps its size.
        name: str, prefix of the layers' names.
    """
    padding = "same"
    if strides > 1:
        # Zeros at the bottom and right only. At even sizes that is what "same" does; at
        # odd ones "same" pads all four sides, and the published weights expect this.
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
        padding = "valid"
    x = mobile_depthwise_bn(x, 3, strides, padding=padding, name=f"{name}_depthwise")
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = mobile_conv_bn(x, filters, 1, name=f"{name}_pointwise")
    return layers.ReLU(6.0, name=f"{name}_pointwise_relu")(x)


def inverted_residual_block(x, filters, strides=1, *, expansion, name):
    """Few channels to many and back (version 2, figure 4 d), around a depthwise 3x3.

    (h, w, c) becomes (ceil(h / s), ceil(w / s), filters). The last convolution has no
    ReLU: in few channels, what a ReLU sets to zero is lost (section 3.2).

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of the output.
        strides: int, s: 2 halves the map, 1 keeps its size.
        expansion: int, how many times as many channels the inner maps have; 1 leaves
            the first convolution out.
        name: str, prefix of the layers' names.
    """
    shortcut = x
    if expansion > 1:
        x = mobile_conv_bn(x, expansion * x.shape[-1], 1, name=f"{name}_expand")
        x = layers.ReLU(6.0, name=f"{name}_expand_relu")(x)
    x = mobile_depthwise_bn(x, 3, strides, name=f"{name}_depthwise")
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = mobile_conv_bn(x, filters, 1, name=f"{name}_project")
    if strides == 1 and shortcut.shape[-1] == filters:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def _scaled(channels, version, width):
    """Channels times width: cut off in version 1, a multiple of 8 in version 2."""
    if version == 1:
        return int(channels * width)
    return multiple_of_8(channels * width)
