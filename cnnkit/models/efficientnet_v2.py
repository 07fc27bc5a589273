"""EfficientNetV2: full convolutions where the maps are large, so training is faster.

A depthwise and a 1x1 convolution do fewer operations than the one 3x3 that they stand
for, but keep a processor less busy. Early in the network the one is faster.

Tan and Le, "EfficientNetV2: Smaller Models and Faster Training", ICML 2021,
https://arxiv.org/abs/2104.00298 (figure 2 for the two blocks). The variants b0 to b3
are those of the authors' code, https://github.com/google/automl/tree/master/efficientnetv2,
which grow by the rule of the first EfficientNet.

Weights of keras.applications fit with `set_weights`, in their order. It scales the
pictures by ImageNet's mean and deviation, and we to [-1, 1]; so ImageNet's weights want
some fine-tuning here.
"""

import math

from keras import layers

from cnnkit.models.blocks import classify, pixels, squeeze_excite
from cnnkit.models.checks import check_sides, check_variant
from cnnkit.models.mobile_blocks import mobile_conv_bn, mobile_depthwise_bn

# variant: (width, depth, resolution in pixels)
VARIANTS = {
    "b0": (1.0, 1.0, 224),
    "b1": (1.0, 1.1, 240),
    "b2": (1.1, 1.2, 260),
    "b3": (1.2, 1.4, 300),
}
# of b0, for each stage: (block, expansion, channels, blocks, strides of the first)
STAGES = (
    ("fused", 1, 16, 1, 1),
    ("fused", 4, 32, 2, 2),
    ("fused", 4, 48, 2, 2),
    ("mbconv", 4, 96, 3, 2),
    ("mbconv", 6, 112, 5, 1),
    ("mbconv", 6, 192, 8, 2),
)
MOST_DROPPED = 0.2  # how often training skips a block: from 0 in the first up to this


def efficientnet_v2(variant="b0", *, num_classes=1000, input_shape=None):
    """Builds an untrained EfficientNetV2 classifier.

    Args:
        variant: str, "b0" to "b3"; a key of `VARIANTS`.
        num_classes: int, width of the output.
        input_shape: (height, width, channels); height and width are at least 32
            pixels, or None to accept any size; channels is 3 or 1. None instead of a
            triple takes colour pictures at the variant's own resolution.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape
        (batch, ceil(height / 32), ceil(width / 32), c), c from 1280 (b0) to 1536 (b3).

    Raises:
        ValueError: `variant` is not in `VARIANTS`, the input is under 32 pixels or is
            no image shape, or `num_classes` is under 2.

    Example:
        >>> model = efficientnet_v2("b0", num_classes=10, input_shape=(64, 64, 3))
        >>> model.get_layer("features").output.shape
        (None, 2, 2, 1280)
    """
    check_variant("variant", variant, VARIANTS)
    width, depth, resolution = VARIANTS[variant]
    if input_shape is None:
        input_shape = (resolution, resolution, 3)
    inputs, x = pixels(input_shape)
    check_sides(input_shape, 32, "enlarge the pictures, or take `mobilenet_cifar`")

    x = mobile_conv_bn(x, _multiple_of_8(32 * width), 3, strides=2, name="stem")
    x = layers.Activation("swish", name="stem_swish")(x)
    repeats = [math.ceil(depth * num_blocks) for _, _, _, num_blocks, _ in STAGES]
    done = 0
    for stage, row in enumerate(STAGES, start=1):
        block_name, expansion, channels, _, strides = row
        block = {"fused": fused_mbconv_block, "mbconv": mbconv_block}[block_name]
        for i in range(1, repeats[stage - 1] + 1):
            x = block(
                x,
                _multiple_of_8(channels * width),
                strides if i == 1 else 1,
                expansion=expansion,
                drop=MOST_DROPPED * done / sum(repeats),
                name=f"stage{stage}_block{i}",
            )
            done += 1
    x = mobile_conv_bn(x, _multiple_of_8(1280 * width), 1, name="top")
    x = layers.Activation("swish", name="top_swish")(x)

    name = f"efficientnet_v2_{variant}"
    return classify(inputs, x, num_classes, name=name, dropout=0.2)


def fused_mbconv_block(x, filters, strides=1, *, expansion, drop, name):
    """One full 3x3 convolution for the first two of MBConv (figure 2, right).

    (h, w, c) becomes (ceil(h / s), ceil(w / s), filters).

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of the output.
        strides: int, s: 2 halves the map, 1 keeps its size.
        expansion: int, how many times as many channels the inner map has; with 1 the
            3x3 convolution is the only one.
        drop: float in [0, 1), how often a training picture skips this block, where
            input and output have the same shape.
        name: str, prefix of the layers' names.
    """
    shortcut = x
    if expansion > 1:
        x = mobile_conv_bn(
            x, expansion * x.shape[-1], 3, strides, name=f"{name}_expand"
        )
        x = layers.Activation("swish", name=f"{name}_expand_swish")(x)
        x = mobile_conv_bn(x, filters, 1, name=f"{name}_project")
    else:
        x = mobile_conv_bn(x, filters, 3, strides, name=f"{name}_only")
        x = layers.Activation("swish", name=f"{name}_only_swish")(x)
    return _add(shortcut, x, strides, drop=drop, name=name)


def mbconv_block(x, filters, strides=1, *, expansion, drop, name):
    """1x1 up, depthwise 3x3, squeeze-and-excite, 1x1 down (figure 2, left).

    (h, w, c) becomes (ceil(h / s), ceil(w / s), filters).

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of the output.
        strides: int, s: 2 halves the map, 1 keeps its size.
        expansion: int, how many times as many channels the inner maps have.
        drop: float in [0, 1), how often a training picture skips this block, where
            input and output have the same shape.
        name: str, prefix of the layers' names.
    """
    shortcut = x
    squeezed = max(1, x.shape[-1] // 4)  # a quarter of what comes in, not of the inner
    x = mobile_conv_bn(x, expansion * x.shape[-1], 1, name=f"{name}_expand")
    x = layers.Activation("swish", name=f"{name}_expand_swish")(x)
    x = mobile_depthwise_bn(x, 3, strides, name=f"{name}_depthwise")
    x = layers.Activation("swish", name=f"{name}_depthwise_swish")(x)
    x = squeeze_excite(x, squeezed, name=f"{name}_se")
    x = mobile_conv_bn(x, filters, 1, name=f"{name}_project")
    return _add(shortcut, x, strides, drop=drop, name=name)


def _add(shortcut, x, strides, *, drop, name):
    """Adds the input where its shape has stayed; in training, to some pictures only."""
    if strides > 1 or shortcut.shape[-1] != x.shape[-1]:
        return x
    if drop:  # one draw for a whole picture: stochastic depth
        x = layers.Dropout(drop, (None, 1, 1, 1), name=f"{name}_drop")(x)
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _multiple_of_8(channels):
    """The nearest multiple of 8; unlike the first EfficientNet, however far below."""
    return max(8, int(channels + 4) // 8 * 8)
