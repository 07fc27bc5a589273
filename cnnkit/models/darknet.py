"""Darknet-19: the classifier under YOLO, a plain stack of 3x3 and 1x1 convolutions.

Redmon and Farhadi, "YOLO9000: Better, Faster, Stronger", CVPR 2017,
https://arxiv.org/abs/1612.08242 (table 6 gives the stages below).
"""

from keras import layers

from cnnkit.models.blocks import classify, conv_bn, pixels
from cnnkit.models.checks import check_sides

# The output channels of each convolution; a 2x2 pooling stands between two stages.
# Windows of 3x3 and 1x1 take turns: 1x1 halves the channels, so that the next 3x3 is
# cheap.
STAGES = (
    (32,),
    (64,),
    (128, 64, 128),
    (256, 128, 256),
    (512, 256, 512, 256, 512),
    (1024, 512, 1024, 512, 1024),
)


def darknet19(*, num_classes=1000, input_shape=(224, 224, 3)):
    """Builds an untrained Darknet-19 classifier.

    This is the half of YOLO (version 2) that is trained on whole pictures first. The
    half that draws boxes is a detector, and no classifier: it is not built here.

    In the paper a 1x1 convolution gives a map of numbers for each class, and their
    average comes last. Here the average comes first, as in every other family. Both
    are sums, so the order makes no difference to the result.

    Args:
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 32
            pixels, or None to accept any size; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape
        (batch, ceil(height / 32), ceil(width / 32), 1024).

    Raises:
        ValueError: the input is under 32 pixels or is no image shape, or
            `num_classes` is under 2.

    Example:
        >>> model = darknet19(num_classes=10, input_shape=(64, 64, 3))
        >>> model.get_layer("features").output.shape
        (None, 2, 2, 1024)
    """
    inputs, x = pixels(input_shape)
    check_sides(
        input_shape,
        32,
        "enlarge the pictures, or take `small_cnn` or `resnet_cifar`, which halve "
        "less often",
    )
    for stage, widths in enumerate(STAGES, start=1):
        if stage > 1:
            # "same": an odd side is rounded up, as in the authors' own program.
            x = layers.MaxPooling2D(2, padding="same", name=f"stage{stage}_pool")(x)
        for i, width in enumerate(widths, start=1):
            window = 3 if i % 2 else 1
            x = conv_leaky(x, width, window, name=f"stage{stage}_{i}")
    return classify(inputs, x, num_classes, name="darknet19")


def conv_leaky(x, filters, kernel_size, *, name):
    """Convolution, normalisation, leaky ReLU: (h, w, c) to (h, w, filters).

    A leaky ReLU lets a tenth of the negative numbers through, and with them a tenth
    of the gradient: no channel falls silent for ever.

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, number of output channels.
        kernel_size: odd int, height and width of the window in pixels.
        name: str, prefix of the layers' names.
    """
    x = conv_bn(x, filters, kernel_size, relu=False, name=name)
    return layers.LeakyReLU(negative_slope=0.1, name=f"{name}_leaky")(x)
