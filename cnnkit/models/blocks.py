"""What every family shares: the first layers, one convolution, the last layers.

A residual block or a patch embedding is not here. It stands in its family's file,
beside the paper that it comes from.
"""

import keras
from keras import layers, ops

from cnnkit.models.checks import check_classes, check_image_shape


def pixels(input_shape):
    """Opens a model: takes float pixels in [0, 255] and scales them to [-1, 1].

    The scaling is a layer of the model, so a saved file is complete: nobody has to
    remember how the pictures were prepared.

    Args:
        input_shape: (height, width, channels), without the batch; height and width
            are whole numbers of pixels or None (any size), channels is 3 (colour)
            or 1 (grey).

    Returns:
        The input tensor "pixels", shape (batch, height, width, channels), and the
        scaled tensor of the same shape.

    Raises:
        ValueError: `input_shape` is not such a triple.
    """
    check_image_shape(input_shape)
    inputs = keras.Input(tuple(input_shape), name="pixels")
    return inputs, layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(inputs)


def conv_bn(x, filters, kernel_size, strides=1, *, relu=True, l2=None, name):
    """Applies a convolution, batch normalisation and (mostly) a ReLU.

    The picture is padded by the same number of zeros on all four sides, as in the
    papers. Keras' own "same" padding is lopsided when the stride is 2: on an even
    size it adds zeros at the bottom and right only.

    The convolution keeps its bias, although batch normalisation takes it out again,
    because weights published by keras.applications contain one.

    Args:
        x: tensor, shape (batch, height, width, channels).
        filters: int, number of output channels.
        kernel_size: odd int, height and width of the window in pixels.
        strides: int, pixels that the window moves each time.
        relu: bool, whether a ReLU follows. False where paths are added first.
        l2: `keras.regularizers.L2` of the kernel, or None.
        name: str, prefix of the layers' names; the last one is `name` + "_relu" or
            `name` + "_bn".

    Returns:
        A tensor, shape (batch, ceil(height / strides), ceil(width / strides),
        filters).

    Raises:
        ValueError: `kernel_size` is even, so that no padding centres it on a pixel.
    """
    if kernel_size % 2 == 0:
        raise ValueError(
            "`kernel_size` must be odd (1, 3, 5, 7), so that the window has a pixel "
            f"in its middle. Received: kernel_size={kernel_size!r}"
        )
    padding = "same"
    if strides > 1 and kernel_size > 1:
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        kernel_initializer="he_normal",  # keeps the variance through a ReLU
        kernel_regularizer=l2,
        name=f"{name}_conv",
    )(x)
    # Momentum 0.9 instead of Keras' 0.99: a short training has few steps, and the
    # averages that prediction relies on must keep up with it. The epsilon is that of
    # keras.applications, so that its weights give its outputs.
    x = layers.BatchNormalization(momentum=0.9, epsilon=1.001e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def conv_relu(x, filters, kernel_size, strides=1, *, padding="same", name):
    """Applies a convolution and a ReLU, as the families from before normalisation do.

    Args:
        x: tensor, shape (batch, height, width, channels).
        filters: int, number of output channels.
        kernel_size: int, height and width of the window in pixels.
        strides: int, pixels that the window moves each time.
        padding: "same" pads with zeros, "valid" keeps the window inside.
        name: str, name of the layer.

    Returns:
        A tensor, shape (batch, ceil(height / strides), ceil(width / strides),
        filters), or less at the edges with "valid".
    """
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        activation="relu",
        # No batch normalisation corrects the scale on the way. This start keeps the
        # variance through each ReLU, so that the sixteenth layer of a VGG still feels
        # the picture; with Keras' default it would fade out.
        kernel_initializer="he_normal",
        name=name,
    )(x)


def dense_relu(x, units, *, name):
    """Applies a dense layer and a ReLU: (batch, c) to (batch, units).

    Args:
        x: tensor, shape (batch, c).
        units: int, width of the output.
        name: str, name of the layer.
    """
    return layers.Dense(
        units, activation="relu", kernel_initializer="he_normal", name=name
    )(x)


def response_norm(x, offset, strength, *, name):
    """Divides each channel by the strength of its neighbours; the shape stays.

    Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional
    Neural Networks", NIPS 2012 (section 3.3): x / (offset + strength * sum)^0.75. The
    sum is over the squares of the channel itself, two before and two after it, at the
    same position.

    The pixels of the papers reach from about -127.5 to 127.5 and ours from -1 to 1.
    With a strength that is 127.5^2 times as large, the layer does what it did there.

    Args:
        x: tensor, shape (batch, h, w, c).
        offset: float above 0, k in the paper: what an empty neighbourhood counts.
        strength: float, alpha in the paper, for its pixels.
        name: str, name of the layer that multiplies.
    """
    # No neighbours beyond the first and the last channel: zeros stand for them.
    squares = ops.pad(ops.square(x), ((0, 0), (0, 0), (0, 0), (2, 2)))
    total = sum(squares[..., i : i + x.shape[-1]] for i in range(5))
    scale = (offset + strength * 127.5**2 * total) ** -0.75
    return layers.Multiply(name=name)([x, scale])


def squeeze_excite(x, squeezed, activations=("swish", "sigmoid"), *, name):
    """Weights each channel by what the whole picture shows; the shape stays.

    Hu, Shen and Sun, "Squeeze-and-Excitation Networks", CVPR 2018,
    https://arxiv.org/abs/1709.01507 (figure 2), with the activations of each family.

    Args:
        x: tensor, shape (batch, h, w, c).
        squeezed: int, channels between the two layers that compute the weights.
        activations: two str, of these two layers; the second one's values lie in
            [0, 1].
        name: str, prefix of the layers' names.
    """
    # (h, w, c) to (1, 1, c), (1, 1, squeezed) and (1, 1, c): a weight a channel
    few = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    reduce, excite = activations
    few = layers.Conv2D(squeezed, 1, activation=reduce, name=f"{name}_reduce")(few)
    weights = layers.Conv2D(x.shape[-1], 1, activation=excite, name=f"{name}_excite")(
        few
    )
    return layers.Multiply(name=f"{name}_scale")([x, weights])


def classify(inputs, x, num_classes, *, name, dropout=0.0):
    """Closes a model: features, their average, one number a class, probabilities.

    The four layers have the same names in every family: "features" for Grad-CAM,
    "pooled" for embeddings, "logits" for distillation and calibration, and
    "probabilities".

    Args:
        inputs: the input tensor of the model.
        x: tensor, the last feature map, shape (batch, h, w, c).
        num_classes: int, at least 2.
        name: str, name of the model.
        dropout: float in [0, 1), share of the pooled features that is set to 0 in
            each training step; with 0 there is no such layer.

    Returns:
        An uncompiled `keras.Model` from `inputs` to probabilities, shape
        (batch, num_classes), float32 under every dtype policy. "features" has the
        shape of `x`, "pooled" (batch, c), "logits" (batch, num_classes).

    Raises:
        ValueError: `num_classes` is under 2 or not whole, `dropout` is outside
            [0, 1), or `x` is not a feature map.
    """
    if not 0 <= dropout < 1:
        raise ValueError(
            "`dropout` is the share of features that is switched off, so it must be "
            f"at least 0 and under 1. Received: dropout={dropout!r}"
        )
    if len(x.shape) != 4:
        raise ValueError(
            "`x` must be a feature map of shape (batch, height, width, channels): "
            "take it before any pooling or flattening. "
            f"Received: x with shape {tuple(x.shape)}"
        )
    x = layers.Identity(name="features")(x)  # so that every family has this name
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return decide(inputs, x, num_classes, name=name)


def decide(inputs, x, num_classes, *, name):
    """Closes a model whose pooling is its own: one number a class, probabilities.

    Args:
        inputs: the input tensor of the model.
        x: tensor of shape (batch, c), what the decision is made from.
        num_classes: int, at least 2.
        name: str, name of the model.

    Returns:
        An uncompiled `keras.Model`, as from `classify`, with the layers "logits" and
        "probabilities".

    Raises:
        ValueError: `num_classes` is under 2 or not whole.
    """
    check_classes(num_classes)
    # A 16-bit policy would round the logits to two or three digits, and the
    # probabilities with them. These two layers are small: they stay in 32 bits.
    x = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    outputs = layers.Softmax(dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, outputs, name=name)
