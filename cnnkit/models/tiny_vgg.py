"""Tiny VGG: the network of CNN Explainer, small enough to draw every number of it.

Wang, Turko, Shaikh, Park, Das, Hohman, Kahng and Chau, "CNN Explainer: Learning
Convolutional Neural Networks with Interactive Visualization", IEEE VIS 2020,
https://arxiv.org/abs/2004.15004; the page https://poloclub.github.io/cnn-explainer/
draws each layer below.
"""

from keras import layers

from cnnkit.models.blocks import decide, pixels
from cnnkit.models.checks import check_fixed, check_sides


def tiny_vgg(*, num_classes=10, input_shape=(64, 64, 3)):
    """Builds an untrained classifier of four convolutions with ten filters each.

    Each layer is as in CNN Explainer, the random start included. Only the pixels
    differ: there they are scaled to [0, 1], here to [-1, 1].

    Args:
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 16
            pixels; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). At 64 pixels its layer "features" has shape
        (batch, 13, 13, 10); "pooled" is the same numbers in a row, shape
        (batch, 1690).

    Raises:
        ValueError: a side is None or under 16 pixels, the input is no image shape, or
            `num_classes` is under 2.

    Example:
        >>> model = tiny_vgg(num_classes=5)
        >>> model.get_layer("stage1_conv1").output.shape
        (None, 62, 62, 10)
    """
    inputs, x = pixels(input_shape)
    check_fixed(input_shape, "`vgg_pooled`")
    check_sides(input_shape, 16, "enlarge the pictures, or take `alexnet_cifar`")
    for stage in (1, 2):
        for i in (1, 2):
            # The windows stay inside the picture, which loses a pixel on each side.
            x = layers.Conv2D(10, 3, name=f"stage{stage}_conv{i}")(x)
            x = layers.ReLU(name=f"stage{stage}_relu{i}")(x)
        x = layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    x = layers.Identity(name="features")(x)
    x = layers.Flatten(name="pooled")(x)
    return decide(inputs, x, num_classes, name="tiny_vgg")
