"""AlexNet: the network that made everybody look at convolutions, in three forms.

Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional
Neural Networks", NIPS 2012, https://papers.nips.cc/paper/4824 (section 3 and figure 2).
The small one is the "Alexnet" of Zhang, Bengio, Hardt, Recht and Vinyals,
"Understanding Deep Learning Requires Rethinking Generalization", ICLR 2017,
https://arxiv.org/abs/1611.03530 (appendix A).

One thing is younger than the papers: weights start as He et al. (2015) proposed, with
biases of 0. The first AlexNet had a spread of 0.01 and biases of 1.
"""

from keras import layers, ops

from cnnkit.models.blocks import check_fixed, check_sides, classify, decide, pixels

# Local response normalisation, section 3.3: k, n, alpha, beta. The paper's pixels
# reach from about -127.5 to 127.5 and ours from -1 to 1, so our squares are 127.5^2
# times smaller. With alpha as many times larger, the layer does what it did there.
OFFSET, NEIGHBOURS, STRENGTH, POWER = 2, 5, 1e-4 * 127.5**2, 0.75

SMALL_OR_ANY = "`alexnet_pooled`, or `small_cnn` under 67 pixels"


def alexnet(*, num_classes=1000, input_shape=(227, 227, 3)):
    """Builds an untrained AlexNet classifier for pictures of one size.

    The paper says 224 pixels, but its first map of 55 x 55 positions needs 227: 11
    pixels for the first position and 4 for each of the other 54.

    Args:
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 67
            pixels; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). At 227 pixels its layer "features" has shape
        (batch, 6, 6, 256); "pooled" is the last hidden layer, shape (batch, 4096).

    Raises:
        ValueError: a side is None or under 67 pixels, the input is no image shape, or
            `num_classes` is under 2.

    Example:
        >>> model = alexnet(num_classes=10, input_shape=(67, 67, 3))
        >>> model.get_layer("features").output.shape
        (None, 1, 1, 256)
    """
    inputs, x = pixels(input_shape)
    check_fixed(input_shape, SMALL_OR_ANY)
    check_sides(input_shape, 67, "enlarge the pictures, or take `alexnet_cifar`")
    x = five_convolutions(x)
    x = layers.Identity(name="features")(x)
    x = layers.Flatten(name="flatten")(x)
    x = dense(x, 4096, name="hidden")
    x = layers.Dropout(0.5, name="hidden_dropout")(x)
    x = dense(x, 4096, name="pooled")
    x = layers.Dropout(0.5, name="pooled_dropout")(x)
    return decide(inputs, x, num_classes, name="alexnet")


def alexnet_pooled(*, num_classes=1000, input_shape=(227, 227, 3)):
    """Builds AlexNet's convolutions with an average in place of the dense layers.

    The average forgets where on the map something was seen. It takes a map of any
    size, and saves the 54 million weights of the two hidden layers.

    Args:
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 67
            pixels, or None to accept any size; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape (batch, h, w, 256), at
        227 pixels h = w = 6; "pooled" has shape (batch, 256).

    Raises:
        ValueError: a side is under 67 pixels, the input is no image shape, or
            `num_classes` is under 2.

    Example:
        >>> model = alexnet_pooled(num_classes=10, input_shape=(None, None, 3))
        >>> model.get_layer("pooled").output.shape
        (None, 256)
    """
    inputs, x = pixels(input_shape)
    check_sides(input_shape, 67, "enlarge the pictures, or take `alexnet_cifar`")
    x = five_convolutions(x)
    return classify(inputs, x, num_classes, name="alexnet_pooled")


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
        x = conv(x, 64, 5, name=f"conv{i}")
        x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool{i}")(x)
        x = response_norm(x, name=f"norm{i}")  # here it follows the pooling
    x = layers.Identity(name="features")(x)
    x = layers.Flatten(name="flatten")(x)
    x = dense(x, 384, name="hidden")
    x = dense(x, 192, name="pooled")
    return decide(inputs, x, num_classes, name="alexnet_cifar")


def five_convolutions(x):
    """All that AlexNet sees with: (h, w, c) to, at 227 pixels, (6, 6, 256).

    Args:
        x: tensor, shape (batch, h, w, c), the scaled pictures.
    """
    x = conv(x, 96, 11, strides=4, padding="valid", name="conv1")  # 227 to 55
    x = response_norm(x, name="norm1")
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)  # 55 to 27, windows overlap
    x = conv_halves(x, 256, 5, name="conv2")
    x = response_norm(x, name="norm2")
    x = layers.MaxPooling2D(3, strides=2, name="pool2")(x)  # 27 to 13
    x = conv(x, 384, 3, name="conv3")
    x = conv_halves(x, 384, 3, name="conv4")
    x = conv_halves(x, 256, 3, name="conv5")
    return layers.MaxPooling2D(3, strides=2, name="pool5")(x)  # 13 to 6


def conv(x, filters, kernel_size, strides=1, *, padding="same", name):
    """A convolution and a ReLU: (h, w, c) to (h/s, w/s, filters).

    Args:
        x: tensor, shape (batch, h, w, c).
        filters: int, channels of the output.
        kernel_size: int, height and width of the window in pixels.
        strides: int, s: pixels that the window moves each time.
        padding: str, "same" pads with zeros, "valid" keeps the window inside.
        name: str, name of the layer.
    """
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        activation="relu",
        kernel_initializer="he_normal",  # keeps the variance through a ReLU
        name=name,
    )(x)


def conv_halves(x, filters, kernel_size, *, name):
    """Two convolutions that each see half of the channels (figure 2, the two GPUs).

    `Conv2D(groups=2)` computes the same, but on a CPU it trains four times slower.

    Args:
        x: tensor, shape (batch, h, w, c) with an even c.
        filters: int, channels of the output (batch, h, w, filters), half from each.
        kernel_size: int, height and width of the windows in pixels.
        name: str, prefix of the layers' names.
    """
    halves = ops.split(x, 2, axis=-1)
    halves = [
        conv(half, filters // 2, kernel_size, name=f"{name}_half{i}")
        for i, half in enumerate(halves, start=1)
    ]
    return layers.Concatenate(name=name)(halves)


def response_norm(x, *, name):
    """Divides each channel by the strength of its neighbours (section 3.3).

    x / (k + alpha * sum)^beta, where the sum is over the squares of the channel
    itself, two before and two after it, at the same position. Some libraries divide
    alpha by n = 5 first; the paper does not.

    Args:
        x: tensor, shape (batch, h, w, c).
        name: str, name of the layer that multiplies.
    """
    channels, reach = x.shape[-1], NEIGHBOURS // 2
    # No neighbours beyond the first and the last channel: zeros stand for them.
    squares = ops.pad(ops.square(x), ((0, 0), (0, 0), (0, 0), (reach, reach)))
    total = sum(squares[..., i : i + channels] for i in range(NEIGHBOURS))
    scale = (OFFSET + STRENGTH * total) ** -POWER
    return layers.Multiply(name=name)([x, scale])


def dense(x, units, *, name):
    """A dense layer and a ReLU: (c) to (units).

    Args:
        x: tensor, shape (batch, c).
        units: int, width of the output.
        name: str, name of the layer.
    """
    return layers.Dense(
        units, activation="relu", kernel_initializer="he_normal", name=name
    )(x)
