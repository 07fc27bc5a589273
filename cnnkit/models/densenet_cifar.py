"""DenseNet for small pictures: three dense blocks, one convolution a layer.

Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks",
CVPR 2017, https://arxiv.org/abs/1608.06993 (section 3 and table 2).
"""

from cnnkit.models.blocks import classify, pixels
from cnnkit.models.checks import check_sides
from cnnkit.models.densenet import basic_layer, bn_relu, conv, transition


def densenet_cifar(depth=40, growth=12, *, num_classes=10, input_shape=(32, 32, 3)):
    """Builds an untrained DenseNet classifier for pictures of about 32 pixels.

    It is the paper's basic form: one 3x3 convolution a layer, and transitions that
    keep the number of channels. The paper adds dropout of 0.2 only where it trains
    without augmentation; here there is none.

    Args:
        depth: int, number of weighted layers, 3n + 4 with n from 1 up: three blocks
            of n layers. Table 2 has 40 and 100.
        growth: int, channels that each layer adds. Table 2 has 12 and 24.
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 8
            pixels, or None to accept any size; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape
        (batch, height // 4, width // 4, 16 + growth * (depth - 4)).

    Raises:
        ValueError: `depth` is not 3n + 4, `growth` is under 1, the input is under 8
            pixels or is no image shape, or `num_classes` is under 2.

    Example:
        >>> model = densenet_cifar(input_shape=(28, 28, 1))
        >>> model.get_layer("features").output.shape
        (None, 7, 7, 448)
    """
    if depth not in range(7, 1000, 3):
        raise ValueError(
            "`depth` must be 3n + 4, since each of three blocks has n layers: 40 or "
            "100 as in the paper, 13 or 22 for a quick trial. "
            f"Received: depth={depth!r}"
        )
    if growth not in range(1, 1000):
        raise ValueError(
            "`growth` is the number of channels that each layer adds, a whole number "
            f"from 1 up; 12 is usual. Received: growth={growth!r}"
        )
    inputs, x = pixels(input_shape)
    check_sides(input_shape, 8, "enlarge the pictures")

    x = conv(x, 16, 3, name="stem_conv")
    for block in (1, 2, 3):
        if block > 1:
            x = transition(x, x.shape[-1], name=f"transition{block - 1}")
        for i in range(1, (int(depth) - 4) // 3 + 1):
            x = basic_layer(x, int(growth), name=f"block{block}_layer{i}")

    x = bn_relu(x, name="last")
    return classify(inputs, x, num_classes, name=f"densenet_cifar{depth}")
