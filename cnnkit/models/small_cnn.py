"""The small network of the lessons, which trains in a minute without a GPU.

Its design is no single paper's. Convolution and pooling in turns are from LeCun,
Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition",
1998 (figure 2); batch normalisation is from Ioffe and Szegedy, 2015,
https://arxiv.org/abs/1502.03167; the average in place of dense layers is from Lin,
Chen and Yan, "Network In Network", 2013, https://arxiv.org/abs/1312.4400 (section 3.2).
"""

import keras
from keras import layers

from cnnkit.models.blocks import classify, conv_bn, pixels


def small_cnn(
    *,
    num_classes=10,
    input_shape=(32, 32, 3),
    widths=(24, 48, 96),
    dropout=0.0,
    l2=0.0,
):
    """Builds an untrained small convolutional classifier.

    Each stage looks for patterns with 3x3 windows, and halves the map: the next stage
    sees twice as far for the same work. One more convolution then reads the smallest
    map. With three stages a position of the last map has seen 38 x 38 pixels, which
    is the whole of a small picture.

    Args:
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 28
            pixels, or None to accept any size; channels is 3 or 1.
        widths: tuple of int, the output channels of each stage; its length is the
            number of stages.
        dropout: float in [0, 1), share of the pooled features that is switched off
            in each training step.
        l2: float from 0, how much the sum of the squared weights of all convolutions
            adds to the loss. Under AdamW the `weight_decay` of `training.fit` does
            better what this is meant for; lesson 08 shows why.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). With three stages its layer "features" has shape
        (batch, height // 8, width // 8, widths[-1]).

    Raises:
        ValueError: `widths` are not whole numbers from 1 up, the picture is too small
            for so many stages or has no image shape, `num_classes` is under 2,
            `dropout` is outside [0, 1), or `l2` is under 0.

    Example:
        >>> model = small_cnn(num_classes=12, input_shape=(64, 64, 3))
        >>> model.get_layer("features").output.shape
        (None, 8, 8, 96)
    """
    _check_widths(widths)
    inputs, x = pixels(input_shape)
    _check_size(input_shape, len(widths))
    if not l2 >= 0:
        raise ValueError(f"`l2` is 0 or more. Received: l2={l2!r}")
    l2 = keras.regularizers.L2(l2) if l2 else None

    for stage, width in enumerate(widths, start=1):
        x = layers.Conv2D(
            width, 3, padding="same", kernel_regularizer=l2, name=f"stage{stage}_conv"
        )(x)
        # Pooling comes before the next two layers, and so leaves them a quarter of
        # the work: normalising 28 x 28 maps of 32 channels takes 0.11 ms of a CPU for
        # each picture, a third of all that a step takes here. For ReLU the order
        # makes no difference to the result.
        x = layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"stage{stage}_bn")(x)
        x = layers.ReLU(name=f"stage{stage}_relu")(x)
    # On the smallest map it costs no more than an eighth of a step; what it brings is
    # measured in notebooks/tables/recipe.csv.
    x = conv_bn(x, widths[-1], 3, l2=l2, name="last")

    return classify(inputs, x, num_classes, name="small_cnn", dropout=dropout)


def _check_widths(widths):
    whole = isinstance(widths, (tuple, list)) and all(type(w) is int for w in widths)
    if not whole or not widths or min(widths) < 1:
        raise ValueError(
            "`widths` must give a whole number of channels, 1 or more, for each "
            f"stage, as in (24, 48, 96). Received: widths={widths!r}"
        )


def _check_size(input_shape, stages):
    smallest = max(28, 3 * 2**stages)  # a map of 3 x 3 is the least that has a middle
    side = min((side for side in input_shape[:2] if side is not None), default=smallest)
    if side < smallest:
        raise ValueError(
            f"{stages} halvings leave {side // 2**stages} of {side} pixels, too few to "
            f"tell shapes apart: height and width must be at least {smallest} pixels. "
            "Enlarge the pictures, or take fewer `widths`. "
            f"Received: input_shape={input_shape}"
        )
