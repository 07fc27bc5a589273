"""EfficientNet: grow width, depth and resolution together, by one rule.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
ICML 2019, https://arxiv.org/abs/1905.11946 (table 1 is the base network, section 3.3
the rule: depth 1.2, width 1.1 and resolution 1.15 to the power of the step).

Weights of keras.applications fit with `set_weights`, in their order and without the
first three, which are of its `Normalization` layer. That layer scales the pictures by
ImageNet's mean and deviation, ours to [-1, 1]; so ImageNet's weights want some
fine-tuning here.
"""

import math

from keras import layers

from cnnkit.models.blocks import classify, pixels, squeeze_excite
from cnnkit.models.checks import check_sides, check_variant
from cnnkit.models.mobile_blocks import (
    mobile_conv_bn,
    mobile_depthwise_bn,
    multiple_of_8,
)

# variant: (width, depth, resolution in pixels, dropout): the rule, as it was rounded
VARIANTS = {
    "b0": (1.0, 1.0, 224, 0.2),
    "b1": (1.0, 1.1, 240, 0.2),
    "b2": (1.1, 1.2, 260, 0.3),
    "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4),
    "b5": (1.6, 2.2, 456, 0.4),
    "b6": (1.8, 2.6, 528, 0.5),
    "b7": (2.0, 3.1, 600, 0.5),
}
# of b0, for each stage: (expansion, kernel, channels, blocks, strides of the first)
STAGES = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
MOST_DROPPED = 0.2  # how often training skips a block: from 0 in the first up to this


def efficientnet(variant="b0", *, num_classes=1000, input_shape=None):
    """Builds an untrained EfficientNet classifier.

    Args:
        variant: str, "b0" to "b7"; a key of `VARIANTS`.
        num_classes: int, width of the output.
        input_shape: (height, width, channels); height and width are at least 32
            pixels, or None to accept any size; channels is 3 or 1. None instead of a
            triple takes colour pictures at the variant's own resolution.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape
        (batch, ceil(height / 32), ceil(width / 32), c), c from 1280 (b0) to 2560 (b7).

    Raises:
        ValueError: `variant` is not in `VARIANTS`, the input is under 32 pixels or is
            no image shape, or `num_classes` is under 2.

    Example:
        >>> model = efficientnet("b0", num_classes=10, input_shape=(64, 64, 3))
        >>> model.get_layer("features").output.shape
        (None, 2, 2, 1280)
    """
    check_variant("variant", variant, VARIANTS)
    width, depth, resolution, dropout = VARIANTS[variant]
    if input_shape is None:
        input_shape = (resolution, resolution, 3)
    inputs, x = pixels(input_shape)
    check_sides(input_shape, 32, "enlarge the pictures, or take `mobilenet_cifar`")

    x = mobile_conv_bn(x, multiple_of_8(32 * width), 3, strides=2, name="stem")
    x = layers.Activation("swish", name="stem_swish")(x)
    repeats = [math.ceil(depth * num_blocks) for _, _, _, num_blocks, _ in STAGES]
    done = 0
    for stage, row in enumerate(STAGES, start=1):
        expansion, kernel_size, channels, _, strides = row
        for i in range(1, repeats[stage - 1] + 1):
            x = mbconv_block(
                x,
                multiple_of_8(channels * width),
                strides if i == 1 else 1,
                expansion=expansion,
                kernel_size=kernel_size,
                drop=MOST_DROPPED * done / sum(repeats),
                name=f"stage{stage}_block{i}",
            )
            done += 1
    x = mobile_conv_bn(x, multiple_of_8(1280 * width), 1, name="top")
    x = layers.Activation("swish", name="top_swish")(x)

    name = f"efficientnet_{variant}"
    return classify(inputs, x, num_classes, name=name, dropout=dropout)


def mbconv_block(x, filters, strides=1, *, expansion, kernel_size, drop, name):
    """MobileNetV2's block with squeeze-and-excite and swish: MBConv in table 1.

    (h, w, c) becomes (ceil(h / s), ceil(w / s), filters).

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of the output.
        strides: int, s: 2 halves the map, 1 keeps its size.
        expansion: int, how many times as many channels the inner maps have; 1 leaves
            the first convolution out.
        kernel_size: int, 3 or 5, side of the depthwise window in pixels.
        drop: float in [0, 1), how often a training picture skips this block, where
            input and output have the same shape.
        name: str, prefix of the layers' names.
    """
    shortcut = x
    squeezed = max(1, x.shape[-1] // 4)  # a quarter of what comes in, not of the inner
    if expansion > 1:
        x = mobile_conv_bn(x, expansion * x.shape[-1], 1, name=f"{name}_expand")
        x = layers.Activation("swish", name=f"{name}_expand_swish")(x)
    x = mobile_depthwise_bn(x, kernel_size, strides, name=f"{name}_depthwise")
    x = layers.Activation("swish", name=f"{name}_depthwise_swish")(x)
    x = squeeze_excite(x, squeezed, name=f"{name}_se")
    x = mobile_conv_bn(x, filters, 1, name=f"{name}_project")
    if strides == 1 and shortcut.shape[-1] == filters:
        if drop:  # one draw for a whole picture: stochastic depth
            x = layers.Dropout(drop, (None, 1, 1, 1), name=f"{name}_drop")(x)
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x
