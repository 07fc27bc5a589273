"""GoogLeNet: look with several window sizes at once, and join what they see.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke and Rabinovich, "Going
Deeper with Convolutions", CVPR 2015, https://arxiv.org/abs/1409.4842 (table 1 gives the
rows below).
"""

import keras
from keras import layers

from cnnkit.models.blocks import classify, conv_relu, pixels, response_norm
from cnnkit.models.checks import check_image_shape, check_sides

# row: filters of (1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection)
ROWS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
ROWS_WITH_HEADS = ("4a", "4d")
# Of the response normalisation, as in Caffe's GoogLeNet: k, and alpha for the mean of
# five squares, where the layer has their sum.
OFFSET, STRENGTH = 1, 1e-4 / 5


def googlenet(*, num_classes=1000, input_shape=(224, 224, 3)):
    """Builds an untrained GoogLeNet classifier, as in 2014: without BatchNorm.

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
        >>> model = googlenet(num_classes=10, input_shape=(64, 64, 3))
        >>> model.get_layer("inception_4a_out").output.shape
        (None, 4, 4, 512)
    """
    inputs, x = pixels(input_shape)
    check_sides(input_shape, 32, "enlarge the pictures, or take `googlenet_cifar`")

    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = conv_relu(x, 64, 7, strides=2, padding="valid", name="conv1")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="conv1_pool")(x)
    x = response_norm(x, OFFSET, STRENGTH, name="conv1_norm_out")
    x = conv_relu(x, 64, 1, name="conv2_reduce")
    x = conv_relu(x, 192, 3, name="conv2")
    x = response_norm(x, OFFSET, STRENGTH, name="conv2_norm_out")

    for row, widths in ROWS.items():
        if row.endswith("a"):  # each stage opens with a halving
            name = f"stage{row[0]}_pool"
            x = layers.MaxPooling2D(3, strides=2, padding="same", name=name)(x)
        x = inception_block(x, widths, name=f"inception_{row}")

    return classify(inputs, x, num_classes, name="googlenet", dropout=0.4)


def googlenet_with_auxiliary_heads(*, num_classes=1000, input_shape=(224, 224, 3)):
    """Builds a GoogLeNet with two more classifiers half-way, which help it to train.

    Their errors reach the early layers by a short way. The paper counts each with 0.3
    (section 5), so every picture needs its label three times:

        model.compile(
            "sgd",
            loss=["sparse_categorical_crossentropy"] * 3,
            loss_weights=[1, 0.3, 0.3],
        )
        model.fit(images, [labels, labels, labels])

    After training the heads are thrown away: `keras.Model(model.input,
    model.outputs[0])` is a `googlenet` with the weights that were learnt.

    Args:
        num_classes: int, width of each output, at least 2.
        input_shape: (height, width, channels); height and width are at least 65
            pixels; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255] to a list of three
        times probabilities, each of shape (batch, num_classes): those of `googlenet`,
        then those of the heads on rows 4a and 4d of table 1.

    Raises:
        ValueError: the input has a side of None or under 65 pixels, or is no image
            shape, or `num_classes` is under 2.

    Example:
        >>> model = googlenet_with_auxiliary_heads(num_classes=10)
        >>> model.output_names
        ['probabilities', 'head_4a_probabilities', 'head_4d_probabilities']
    """
    check_image_shape(input_shape)
    if any(side is None or side < 65 for side in input_shape[:2]):
        raise ValueError(
            "The two heads pool with windows of 5x5 and then flatten, so they need a "
            "known height and width of at least 65 pixels: enlarge the pictures, or "
            "take `googlenet`, which has no heads. "
            f"Received: input_shape={tuple(input_shape)}"
        )
    model = googlenet(num_classes=num_classes, input_shape=input_shape)
    heads = [
        auxiliary_head(
            model.get_layer(f"inception_{row}_out").output,
            num_classes,
            name=f"head_{row}",
        )
        for row in ROWS_WITH_HEADS
    ]
    return keras.Model(
        model.input, [model.output, *heads], name="googlenet_with_auxiliary_heads"
    )


def inception_block(x, widths, *, name):
    """Four paths side by side (figure 2b): (h, w, c) to (h, w, sum of four widths).

    The 1x1 convolutions before the large windows reduce the channels: without them
    the large windows would do nearly all the work of the network.

    Args:
        x: tensor, shape (batch, h, w, c).
        widths: six int, filters as in a row of `ROWS`; the first, third, fifth and
            sixth are the channels that are joined.
        name: str, prefix of the layers' names; the last one is `name` + "_out".
    """
    one, three_reduce, three, five_reduce, five, projection = widths
    by_one = conv_relu(x, one, 1, name=f"{name}_1x1")
    by_three = conv_relu(x, three_reduce, 1, name=f"{name}_3x3_reduce")
    by_three = conv_relu(by_three, three, 3, name=f"{name}_3x3")
    by_five = conv_relu(x, five_reduce, 1, name=f"{name}_5x5_reduce")
    by_five = conv_relu(by_five, five, 5, name=f"{name}_5x5")
    pooled = layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    pooled = conv_relu(pooled, projection, 1, name=f"{name}_pool_projection")
    return layers.Concatenate(name=f"{name}_out")([by_one, by_three, by_five, pooled])


def auxiliary_head(x, num_classes, *, name):
    """A classifier on a middle map (section 5): (h, w, c) to (num_classes,).

    Args:
        x: tensor, shape (batch, h, w, c), with h and w known and at least 5.
        num_classes: int, width of the output.
        name: str, prefix of the layers' names; the last one is `name` +
            "_probabilities".
    """
    x = layers.AveragePooling2D(5, strides=3, name=f"{name}_pool")(x)  # 14 to 4
    x = conv_relu(x, 128, 1, name=f"{name}_conv")
    x = layers.Flatten(name=f"{name}_flatten")(x)
    x = layers.Dense(1024, activation="relu", name=f"{name}_dense")(x)
    x = layers.Dropout(0.7, name=f"{name}_dropout")(x)
    x = layers.Dense(num_classes, dtype="float32", name=f"{name}_logits")(x)
    return layers.Softmax(dtype="float32", name=f"{name}_probabilities")(x)
