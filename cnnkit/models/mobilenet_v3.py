"""MobileNetV3: MobileNetV2's block, searched by machine, with attention to channels.

Howard et al., "Searching for MobileNetV3", ICCV 2019,
https://arxiv.org/abs/1905.02244 (tables 1 and 2). As in keras.applications, the last
convolution of the small network has no squeeze-and-excite, and the first one keeps its
16 channels at every width.

Weights of keras.applications fit with `set_weights`, in their order. Its two kernels
after the pooling have shape (1, 1, c, k), because they are convolutions: give
kernel[0, 0], shape (c, k).
"""

from keras import layers

from cnnkit.models.blocks import decide, pixels, squeeze_excite
from cnnkit.models.checks import check_sides, check_variant, check_width
from cnnkit.models.mobile_blocks import (
    mobile_conv_bn,
    mobile_depthwise_bn,
    multiple_of_8,
)

# size: (channels of the hidden layer, blocks), and for each block
# (kernel, expanded channels, channels, squeeze-and-excite, activation, strides)
VARIANTS = {
    "large": (
        1280,
        (
            (3, 16, 16, False, "relu", 1),
            (3, 64, 24, False, "relu", 2),
            (3, 72, 24, False, "relu", 1),
            (5, 72, 40, True, "relu", 2),
            (5, 120, 40, True, "relu", 1),
            (5, 120, 40, True, "relu", 1),
            (3, 240, 80, False, "hard_swish", 2),
            (3, 200, 80, False, "hard_swish", 1),
            (3, 184, 80, False, "hard_swish", 1),
            (3, 184, 80, False, "hard_swish", 1),
            (3, 480, 112, True, "hard_swish", 1),
            (3, 672, 112, True, "hard_swish", 1),
            (5, 672, 160, True, "hard_swish", 2),
            (5, 960, 160, True, "hard_swish", 1),
            (5, 960, 160, True, "hard_swish", 1),
        ),
    ),
    "small": (
        1024,
        (
            (3, 16, 16, True, "relu", 2),
            (3, 72, 24, False, "relu", 2),
            (3, 88, 24, False, "relu", 1),
            (5, 96, 40, True, "hard_swish", 2),
            (5, 240, 40, True, "hard_swish", 1),
            (5, 240, 40, True, "hard_swish", 1),
            (5, 120, 48, True, "hard_swish", 1),
            (5, 144, 48, True, "hard_swish", 1),
            (5, 288, 96, True, "hard_swish", 2),
            (5, 576, 96, True, "hard_swish", 1),
            (5, 576, 96, True, "hard_swish", 1),
        ),
    ),
}


def mobilenet_v3(
    size="large", *, width=1.0, num_classes=1000, input_shape=(224, 224, 3)
):
    """Builds an untrained MobileNetV3 classifier.

    Args:
        size: str, "large" or "small".
        width: float from 0.05 to 4, multiplies the channels of the blocks.
        num_classes: int, width of the output.
        input_shape: (height, width, channels); height and width are at least 32
            pixels, or None to accept any size; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). At width 1 its layer "features" has shape
        (batch, ceil(height / 32), ceil(width / 32), 960 or 576), "pooled" is their
        average, and "hidden", shape (batch, 1280 or 1024), stands between that and
        the logits.

    Raises:
        ValueError: `size` is not in `VARIANTS`, `width` is out of range, the input is
            under 32 pixels or is no image shape, or `num_classes` is under 2.

    Example:
        >>> model = mobilenet_v3("small", num_classes=10, input_shape=(64, 64, 3))
        >>> model.get_layer("features").output.shape
        (None, 2, 2, 576)
    """
    check_variant("size", size, VARIANTS)
    check_width(width)
    inputs, x = pixels(input_shape)
    check_sides(input_shape, 32, "enlarge the pictures, or take `mobilenet_cifar`")
    hidden, rows = VARIANTS[size]

    x = mobile_conv_bn(x, 16, 3, strides=2, name="stem")
    x = layers.Activation("hard_swish", name="stem_hard_swish")(x)
    before = 16  # channels of the row above, in the table
    for i, row in enumerate(rows, start=1):
        kernel_size, expanded, channels, excite, activation, strides = row
        x = inverted_residual_block(
            x,
            multiple_of_8(channels * width),
            strides,
            expanded=multiple_of_8(x.shape[-1] * expanded / before),
            kernel_size=kernel_size,
            excite=excite,
            activation=activation,
            name=f"block{i}",
        )
        before = channels
    x = mobile_conv_bn(x, multiple_of_8(6 * x.shape[-1]), 1, name="top")
    x = layers.Activation("hard_swish", name="top_hard_swish")(x)

    x = layers.Identity(name="features")(x)
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    # Pooling comes before this layer, not after it: then it works on one position
    # instead of 49 (figure 5).
    x = layers.Dense(multiple_of_8(hidden * max(width, 1)), name="hidden")(x)
    x = layers.Activation("hard_swish", name="hidden_hard_swish")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    return decide(inputs, x, num_classes, name=f"mobilenet_v3_{size}")


def inverted_residual_block(
    x, filters, strides=1, *, expanded, kernel_size, excite, activation, name
):
    """MobileNetV2's block with squeeze-and-excite (figure 4).

    (h, w, c) becomes (ceil(h / s), ceil(w / s), filters).

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of the output.
        strides: int, s: 2 halves the map, 1 keeps its size.
        expanded: int, channels of the inner maps; c leaves the first convolution out.
        kernel_size: int, 3 or 5, side of the depthwise window in pixels.
        excite: bool, whether the inner channels are weighted by squeeze-and-excite.
        activation: str, "relu" or "hard_swish".
        name: str, prefix of the layers' names.
    """
    shortcut = x
    if expanded != x.shape[-1]:
        x = mobile_conv_bn(x, expanded, 1, name=f"{name}_expand")
        x = layers.Activation(activation, name=f"{name}_expand_{activation}")(x)
    x = mobile_depthwise_bn(x, kernel_size, strides, name=f"{name}_depthwise")
    x = layers.Activation(activation, name=f"{name}_depthwise_{activation}")(x)
    if excite:
        x = squeeze_excite(
            x, multiple_of_8(expanded / 4), ("relu", "hard_sigmoid"), name=f"{name}_se"
        )
    x = mobile_conv_bn(x, filters, 1, name=f"{name}_project")
    if strides == 1 and shortcut.shape[-1] == filters:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x
