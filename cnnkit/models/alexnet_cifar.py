"""AlexNet for small pictures: two convolutions, and two dense layers as large.

The "Alexnet" of Zhang, Bengio, Hardt, Recht and Vinyals, "Understanding Deep Learning
Requires Rethinking Generalization", ICLR 2017, https://arxiv.org/abs/1611.03530
(appendix A). Weights start as in `alexnet`.
"""

from keras import layers

from cnnkit.models.alexnet import OFFSET, SMALL_OR_ANY, STRENGTH
from cnnkit.models.blocks import conv_relu, decide, dense_relu, pixels, response_norm
from cnnkit.models.checks import check_fixed, check_sides


def alexnet_cifar(*, num_classes=10, input_shape=(28, 28, 3)):
    """Builds an untrained small AlexNet, for pictures such as those of CIFAR-10.

    Args:
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 8
            pixels; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape
        (batch, ceil(height / 4), ceil(width / 4), 64); "pooled" is the last hidden
        layer, shape (batch, 192).

    Raises:
        ValueError: a side is None or under 8 pixels, the input is no image shape, or
            `num_classes` is under 2.

    Example:
        >>> model = alexnet_cifar(input_shape=(28, 28, 1))
        >>> model.get_layer("features").output.shape
        (None, 7, 7, 64)
    """
    inputs, x = pixels(input_shape)
    check_fixed(input_shape, SMALL_OR_ANY)
    check_sides(input_shape, 8, "enlarge the pictures")
    for i in (1, 2):
        x = conv_relu(x, 64, 5, name=f"conv{i}")
        x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool{i}")(x)
        # Here it follows the pooling.
        x = response_norm(x, OFFSET, STRENGTH, name=f"norm{i}")
    x = layers.Identity(name="features")(x)
    x = layers.Flatten(name="flatten")(x)
    x = dense_relu(x, 384, name="hidden")
    x = dense_relu(x, 192, name="pooled")
    return decide(inputs, x, num_classes, name="alexnet_cifar")
