"""GoogLeNet for small pictures: two window sizes at once, with batch normalisation.

The small Inception of Zhang, Bengio, Hardt, Recht and Vinyals, "Understanding Deep
Learning Requires Rethinking Generalization", ICLR 2017,
https://arxiv.org/abs/1611.03530 (appendix A, figure 3).
"""

from keras import layers

from cnnkit.models.blocks import classify, conv_bn, pixels
from cnnkit.models.checks import check_sides

# stage: (filters of the layer that opens it, (1x1, 3x3) filters of each block)
STAGES = {
    1: (96, ((32, 32), (32, 48))),
    2: (80, ((112, 48), (96, 64), (80, 80), (48, 96))),
    3: (96, ((176, 160), (176, 160))),
}


def googlenet_cifar(*, num_classes=10, input_shape=(28, 28, 3)):
    """Builds an untrained small Inception net, for pictures of about 28 pixels.

    Args:
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 8
            pixels, or None to accept any size; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape
        (batch, ceil(height / 4), ceil(width / 4), 336).

    Raises:
        ValueError: the input is under 8 pixels or is no image shape, or
            `num_classes` is under 2.

    Example:
        >>> model = googlenet_cifar(input_shape=(28, 28, 1))
        >>> model.get_layer("features").output.shape
        (None, 7, 7, 336)
    """
    inputs, x = pixels(input_shape)
    check_sides(input_shape, 8, "enlarge the pictures")

    for stage, (filters, blocks) in STAGES.items():
        if stage == 1:
            x = conv_bn(x, filters, 3, name="stem")
        else:
            x = downsample_block(x, filters, name=f"stage{stage}_down")
        for i, widths in enumerate(blocks, start=1):
            x = small_inception_block(x, widths, name=f"stage{stage}_block{i}")

    return classify(inputs, x, num_classes, name="googlenet_cifar")


def small_inception_block(x, widths, *, name):
    """A 1x1 and a 3x3 convolution side by side: (h, w, c) to (h, w, sum of widths).

    Args:
        x: tensor, shape (batch, h, w, c).
        widths: two int, filters of the 1x1 and of the 3x3 convolution.
        name: str, prefix of the layers' names; the last one is `name` + "_out".
    """
    by_one = conv_bn(x, widths[0], 1, name=f"{name}_1x1")
    by_three = conv_bn(x, widths[1], 3, name=f"{name}_3x3")
    return layers.Concatenate(name=f"{name}_out")([by_one, by_three])


def downsample_block(x, filters, *, name):
    """Halves by convolution and by pooling: (h, w, c) to (h/2, w/2, filters + c).

    Args:
        x: tensor, shape (batch, h, w, c), not negative: the zeros around it must not
            win in the pooling.
        filters: int, channels that the convolution adds.
        name: str, prefix of the layers' names; the last one is `name` + "_out".
    """
    learnt = conv_bn(x, filters, 3, strides=2, name=f"{name}_3x3")
    # Padded like the convolution, so that both paths look at the same places.
    pooled = layers.ZeroPadding2D(1, name=f"{name}_pool_pad")(x)
    pooled = layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")(pooled)
    return layers.Concatenate(name=f"{name}_out")([learnt, pooled])
