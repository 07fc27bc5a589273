"""What the mobile families share: MobileNet 1 to 3, and EfficientNet 1 and 2.

They pad, initialise and normalise as their published weights expect it, and not quite
as `blocks.conv_bn` does.
"""

from keras import initializers, layers


def mobile_conv_bn(x, filters, kernel_size, strides=1, *, name):
    """Applies a convolution and batch normalisation as the mobile families do.

    Keras' own "same" padding and no bias, unlike `blocks.conv_bn`.

    Args:
        x: tensor, shape (batch, height, width, channels).
        filters: int, number of output channels.
        kernel_size: int, height and width of the window in pixels.
        strides: int, pixels that the window moves each time.
        name: str, prefix of the layers' names.

    Returns:
        A tensor, shape (batch, ceil(height / strides), ceil(width / strides),
        filters).
    """
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=initializers.VarianceScaling(2.0, mode="fan_out"),
        name=f"{name}_conv",
    )(x)
    return _norm(x, name)


def mobile_depthwise_bn(x, kernel_size, strides=1, *, padding="same", name):
    """Applies one window to each channel alone, and batch normalisation.

    Args:
        x: tensor, shape (batch, height, width, channels).
        kernel_size: int, height and width of the window in pixels.
        strides: int, pixels that the window moves each time.
        padding: "same" pads with zeros, "valid" keeps the window inside.
        name: str, prefix of the layers' names.

    Returns:
        A tensor, shape (batch, ceil(height / strides), ceil(width / strides),
        channels), or less at the edges with "valid".
    """
    x = layers.DepthwiseConv2D(
        kernel_size,
        strides=strides,
        padding=padding,
        use_bias=False,
        # "fan_out" is the size of the window here. "fan_in" would be that times the
        # channels, although each output sees one channel: values so small that the
        # epsilon of the normalisation would count.
        depthwise_initializer=initializers.VarianceScaling(2.0, mode="fan_out"),
        name=f"{name}_conv",
    )(x)
    return _norm(x, name)


def multiple_of_8(channels):
    """Returns the nearest multiple of 8 that is not more than a tenth too small.

    Args:
        channels: float, such as a number of channels times a width.
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def _norm(x, name):
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)
