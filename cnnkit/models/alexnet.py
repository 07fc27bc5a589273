"""AlexNet: the network that made everybody look at convolutions.

Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional
Neural Networks", NIPS 2012, https://papers.nips.cc/paper/4824 (section 3 and figure 2).

One thing is younger than the paper: weights start as He et al. (2015) proposed, with
biases of 0. The first AlexNet had a spread of 0.01 and biases of 1.
"""

from keras import layers, ops

from cnnkit.models.blocks import (
    classify,
    conv_relu,
    decide,
    dense_relu,
    pixels,
    response_norm,
)
from cnnkit.models.checks import check_fixed, check_sides

OFFSET, STRENGTH = 2, 1e-4  # of the response normalisation: k and alpha, section 3.3
SMALL_OR_ANY = "`alexnet_pooled`, or `small_cnn` under 67 pixels"


def alexnet(*, num_classes=1000, input_shape=(227, 227, 3)):
    """Builds an untrained AlexNet classifier for pictures of one size.

    The paper says 224 pixels, but its first map of 55 x 55 positions needs 227: 11
    pixels for the first position and 4 for each of the other 54.

    Args:
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 67
            pixels; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). At 227 pixels its layer "features" has shape
        (batch, 6, 6, 256); "pooled" is the last hidden layer, shape (batch, 4096).

    Raises:
        ValueError: a side is None or under 67 pixels, the input is no image shape, or
            `num_classes` is under 2.

    Example:
        >>> model = alexnet(num_classes=10, input_shape=(67, 67, 3))
        >>> model.get_layer("features").output.shape
        (None, 1, 1, 256)
    """
    inputs, x = pixels(input_shape)
    check_fixed(input_shape, SMALL_OR_ANY)
    check_sides(input_shape, 67, "enlarge the pictures, or take `alexnet_cifar`")
    x = five_convolutions(x)
    x = layers.Identity(name="features")(x)
    x = layers.Flatten(name="flatten")(x)
    x = dense_relu(x, 4096, name="hidden")
    x = layers.Dropout(0.5, name="hidden_dropout")(x)
    x = dense_relu(x, 4096, name="pooled")
    x = layers.Dropout(0.5, name="pooled_dropout")(x)
    return decide(inputs, x, num_classes, name="alexnet")


def alexnet_pooled(*, num_classes=1000, input_shape=(227, 227, 3)):
    """Builds AlexNet's convolutions with an average in place of the dense layers.

    The average forgets where on the map something was seen. It takes a map of any
    size, and saves the 54 million weights of the two hidden layers.

    Args:
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 67
            pixels, or None to accept any size; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape (batch, h, w, 256), at
        227 pixels h = w = 6; "pooled" has shape (batch, 256).

    Raises:
        ValueError: a side is under 67 pixels, the input is no image shape, or
            `num_classes` is under 2.

    Example:
        >>> model = alexnet_pooled(num_classes=10, input_shape=(None, None, 3))
        >>> model.get_layer("pooled").output.shape
        (None, 256)
    """
    inputs, x = pixels(input_shape)
    check_sides(input_shape, 67, "enlarge the pictures, or take `alexnet_cifar`")
    x = five_convolutions(x)
    return classify(inputs, x, num_classes, name="alexnet_pooled")


def five_convolutions(x):
    """All that AlexNet sees with: (h, w, c) to, at 227 pixels, (6, 6, 256).

    Args:
        x: tensor, shape (batch, h, w, c), the scaled pictures.
    """
    x = conv_relu(x, 96, 11, strides=4, padding="valid", name="conv1")  # 227 to 55
    x = response_norm(x, OFFSET, STRENGTH, name="norm1")
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)  # 55 to 27, windows overlap
    x = conv_halves(x, 256, 5, name="conv2")
    x = response_norm(x, OFFSET, STRENGTH, name="norm2")
    x = layers.MaxPooling2D(3, strides=2, name="pool2")(x)  # 27 to 13
    x = conv_relu(x, 384, 3, name="conv3")
    x = conv_halves(x, 384, 3, name="conv4")
    x = conv_halves(x, 256, 3, name="conv5")
    return layers.MaxPooling2D(3, strides=2, name="pool5")(x)  # 13 to 6


def conv_halves(x, filters, kernel_size, *, name):
    """Two convolutions that each see half of the channels (figure 2, the two GPUs).

    `Conv2D(groups=2)` computes the same, but on a CPU it trains four times slower.

    Args:
        x: tensor, shape (batch, h, w, c) with an even c.
        filters: int, channels of the output (batch, h, w, filters), half from each.
        kernel_size: int, height and width of the windows in pixels.
        name: str, prefix of the layers' names.
    """
    halves = ops.split(x, 2, axis=-1)
    halves = [
        conv_relu(half, filters // 2, kernel_size, name=f"{name}_half{i}")
        for i, half in enumerate(halves, start=1)
    ]
    return layers.Concatenate(name=name)(halves)
