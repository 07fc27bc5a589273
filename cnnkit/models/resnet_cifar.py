"""ResNet for small pictures, and the same net without its shortcuts.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
https://arxiv.org/abs/1512.03385 (section 4.2; table 6 gives the depths below).

A 2x2 of the same depth, shortcuts yes or no and batch normalisation yes or no:

    for build in (plain_cifar, resnet_cifar):
        for conv in (conv_without_norm, conv_bn):
            model = build(56, conv=conv)
"""

from keras import layers

from cnnkit.models.blocks import classify, conv_bn, pixels
from cnnkit.models.checks import check_sides

# 6n + 2 layers: the stem, three stages of n blocks of two convolutions, the dense
# layer. Table 6 has 20, 32, 44, 56, 110 and 1202; 8 and 14 make quick trials.
DEPTHS = range(8, 1203, 6)
WIDTHS = (16, 32, 64)


def resnet_cifar(depth=20, *, num_classes=10, input_shape=(32, 32, 3), conv=conv_bn):
    """Builds an untrained ResNet classifier for pictures of about 32 pixels.

    Args:
        depth: int, number of weighted layers; one of `DEPTHS`.
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 8
            pixels, or None to accept any size; channels is 3 or 1.
        conv: function like `blocks.conv_bn` that applies one convolution and what
            follows it; `conv_without_norm` leaves batch normalisation out.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape
        (batch, ceil(height / 4), ceil(width / 4), 64).

    Raises:
        ValueError: `depth` is not in `DEPTHS`, the input is under 8 pixels or is no
            image shape, or `num_classes` is under 2.

    Example:
        >>> model = resnet_cifar(20, input_shape=(28, 28, 1))
        >>> model.get_layer("features").output.shape
        (None, 7, 7, 64)
    """
    name = f"resnet_cifar{depth}"
    return _stack(residual_block, depth, num_classes, input_shape, conv, name)


def plain_cifar(depth=20, *, num_classes=10, input_shape=(32, 32, 3), conv=conv_bn):
    """Builds the net that `resnet_cifar` is compared with: the same, no shortcuts.

    Args:
        depth: int, number of weighted layers; one of `DEPTHS`.
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels), as for `resnet_cifar`.
        conv: function that applies one convolution, as for `resnet_cifar`.

    Returns:
        An uncompiled `keras.Model` with the layers, shapes and number of parameters
        of `resnet_cifar`.

    Raises:
        ValueError: as for `resnet_cifar`.

    Example:
        >>> plain_cifar(20).count_params() == resnet_cifar(20).count_params()
        True
    """
    name = f"plain_cifar{depth}"
    return _stack(plain_block, depth, num_classes, input_shape, conv, name)


def _stack(block, depth, num_classes, input_shape, conv, name):
    if depth not in DEPTHS:
        raise ValueError(
            "`depth` must be 6n + 2, since each of three stages has n blocks of two "
            "layers: 20, 32, 44, 56 or 110 as in the paper, 8 or 14 for a quick trial. "
            f"Received: depth={depth!r}"
        )
    inputs, x = pixels(input_shape)
    check_sides(input_shape, 8, "enlarge the pictures")

    x = conv(x, WIDTHS[0], 3, name="stem")
    for stage, filters in enumerate(WIDTHS, start=1):
        for i in range(1, int(depth) // 6 + 1):
            halve = stage > 1 and i == 1
            name_of_block = f"stage{stage}_block{i}"
            x = block(x, filters, 2 if halve else 1, conv=conv, name=name_of_block)

    return classify(inputs, x, num_classes, name=name)


def residual_block(x, filters, strides, *, conv=conv_bn, name):
    """Two 3x3 convolutions and a shortcut: (h, w, c) to (h/s, w/s, filters).

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of the output: c, or 2 * c where the map is halved.
        strides: int, s: 2 halves the map, 1 keeps its size.
        conv: function that applies one convolution, as for `resnet_cifar`.
        name: str, prefix of the layers' names; the last one is `name` + "_out".
    """
    shortcut = x if strides == 1 else subsample(x, name=name)
    x = conv(x, filters, 3, strides, name=f"{name}_1")
    x = conv(x, filters, 3, relu=False, name=f"{name}_2")
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_out")(x)  # after the sum (figure 2)


def plain_block(x, filters, strides, *, conv=conv_bn, name):
    """Two 3x3 convolutions: (h, w, c) to (h/s, w/s, filters).

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of both convolutions and of the output.
        strides: int, s: 2 halves the map, 1 keeps its size.
        conv: function that applies one convolution, as for `resnet_cifar`.
        name: str, prefix of the layers' names.
    """
    x = conv(x, filters, 3, strides, name=f"{name}_1")
    return conv(x, filters, 3, name=f"{name}_2")


def subsample(x, *, name):
    """A shortcut without parameters (section 4.1, A): (h, w, c) to (h/2, w/2, 2*c).

    Every second row and column is kept, and the new channels are zero.

    Args:
        x: tensor, shape (batch, h, w, c).
        name: str, prefix of the layers' names; the last one is `name` + "_shortcut".
    """
    # A window of one pixel has nothing to average: it picks.
    x = layers.AveragePooling2D(1, strides=2, name=f"{name}_subsample")(x)
    zeros = layers.Rescaling(0.0, name=f"{name}_zeros")(x)
    return layers.Concatenate(name=f"{name}_shortcut")([x, zeros])


def conv_without_norm(x, filters, kernel_size, strides=1, *, relu=True, name):
    """Applies what `blocks.conv_bn` does, without batch normalisation.

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of the output.
        kernel_size: odd int, height and width of the window in pixels.
        strides: int, pixels that the window moves each time.
        relu: bool, whether a ReLU follows.
        name: str, prefix of the layers' names; the last one is `name` + "_relu" or
            `name` + "_conv".
    """
    padding = "same"
    if strides > 1:  # the same number of zeros on all sides
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x
