"""What each kind of layer costs, and how far it sees: the knowledge behind `anatomy`.

Multiply-adds are counted as the literature counts them (He et al., 2016, table 1):
those of convolutions, dense layers and attention, with the zeros of the padding.
Biases, normalisation, activations, pooling and sums count 0.

Receptive fields are those of Araujo, Norris and Sim, "Computing Receptive Fields of
Convolutional Neural Networks", Distill, 2019,
https://distill.pub/2019/computing-receptive-fields: all pixels that can have any
influence. What would lie beyond the edge of the picture is not cut off.

A field is (low, high, stride), each for height and width: position i of a map sees the
pixels from low + i * stride to high + i * stride. Where it sees every pixel there are
no ends; where there is only one position, the stride is 0.
"""

import inspect
import math

import numpy as np

# Layers and operations of Keras, and layers of ours, by what they do with the positions
# of a map. Of a kind that is in none of these lists we know nothing, and say so.
POOLS = {"AveragePooling2D", "MaxPooling2D"}
WINDOWS = POOLS | {"Conv2D", "DepthwiseConv2D", "SeparableConv2D"}
EDGES = {"Cropping2D", "ZeroPadding2D"}
GLOBAL = {"Flatten", "GlobalAveragePooling1D", "GlobalAveragePooling2D"}
GLOBAL |= {"GlobalMaxPooling1D", "GlobalMaxPooling2D", "GroupNormalization"}
POINTWISE = set(
    """
    Abs Activation Add AlphaDropout Average BatchNormalization Cast Clip Concatenate
    Cropping1D CustomScaleLayer Dense Divide Dropout ELU Exp GaussianDropout
    GaussianNoise Gelu GetItem HardSigmoid HardSilu Identity LayerNormalization
    LayerScale LeakyReLU Log Maximum Minimum Multiply Negative Normalization Pad PReLU
    Power RMSNormalization ReLU Relu Relu6 Rescaling Sigmoid Silu Softmax
    SpatialDropout1D SpatialDropout2D Split Sqrt Square StochasticDepth Subtract Tanh
    TrueDivide UnitNormalization
    ClassToken ExactlyOne Lengths Positions Squash
    """.split()
)
FREE = (POOLS | EDGES | GLOBAL | POINTWISE) - {"Dense"}
FREE |= {"InputLayer", "Permute", "Reshape", "Resizing", "UpSampling2D"}
SEES_ALL = GLOBAL | {"Capsules", "MultiHeadAttention"}

PIXEL = (np.zeros(2), np.zeros(2), np.ones(2))
ENDLESS = np.full(2, np.inf)
UNKNOWN = tuple(np.full((3, 2), np.nan))


def multiply_adds(layer, args, kwargs, output):
    """Returns the multiply-adds of one call, for one picture.

    Args:
        layer: a Keras layer or operation; one that has a method `multiply_adds()`
            says it itself.
        args: tuple, what it is called with: `keras.KerasTensor`s of known size.
        kwargs: dict, likewise.
        output: `keras.KerasTensor`, what it returns.

    Returns:
        An int, or NaN for a kind of layer that is not known.
    """
    if callable(getattr(layer, "multiply_adds", None)):
        return layer.multiply_adds()
    kind = _known(layer)
    if kind == "Dense" or kind.endswith(("Conv1D", "Conv2D", "Conv3D")):
        return _kernel(layer) * product(output.shape[1:-1])
    if kind.endswith("DTranspose"):  # each position of the input writes a window
        return _kernel(layer) * product(args[0].shape[1:-1])
    if kind == "MultiHeadAttention":
        call = inspect.signature(layer.call).bind(*args, **kwargs).arguments
        queries, values = (product(call[x].shape[1:-1]) for x in ("query", "value"))
        return (
            queries * (_kernel(layer.query_dense) + _kernel(layer.output_dense))
            + values * (_kernel(layer.key_dense) + _kernel(layer.value_dense))
            + queries * values * layer.num_heads * (layer.key_dim + layer.value_dim)
        )
    return 0 if kind in FREE else math.nan


def field(layer, fields, inputs, output):
    """Returns the field of a layer's output, from those of its inputs.

    Args:
        layer: a Keras layer or operation.
        fields: list of fields, one for each input.
        inputs: list of `keras.KerasTensor`, as many.
        output: `keras.KerasTensor`.

    Returns:
        A field, `UNKNOWN` where the kind of layer is not known.
    """
    kind = _known(layer)
    if not fields:
        return PIXEL if kind == "InputLayer" and len(output.shape) == 4 else UNKNOWN
    low, high, stride = joined = _join(fields)
    same_places = output.shape[1:-1] in [x.shape[1:-1] for x in inputs]
    if kind in POINTWISE:  # but a part of a map may lie anywhere in it
        moved = len(output.shape) == 4 or kind == "Pad"
        return UNKNOWN if moved and not same_places else joined
    if kind in SEES_ALL:
        return -ENDLESS, ENDLESS, stride if same_places else np.zeros(2)
    if kind == "Reshape":
        return joined if _keeps_places(inputs[0], output, stride) else UNKNOWN
    if kind in EDGES:
        sign = 1 if kind == "ZeroPadding2D" else -1
        edges = layer.padding if sign == 1 else layer.cropping
        first = sign * np.array(edges)[:, 0] * stride
        return low - first, high - first, stride
    if kind in WINDOWS:
        size = np.array(layer.pool_size if kind in POOLS else layer.kernel_size)
        reach = (size - 1) * np.array(getattr(layer, "dilation_rate", (1, 1)))
        step, before = np.array(layer.strides), 0
        if layer.padding == "same":  # the larger half of the zeros stands behind
            sides = np.array(inputs[0].shape[1:-1])
            missing = (np.ceil(sides / step) - 1) * step + reach + 1 - sides
            before = np.maximum(missing, 0) // 2
        return low - before * stride, high + (reach - before) * stride, stride * step
    return UNKNOWN


def product(shape):
    """Returns how many numbers a tensor has; NaN where a side is open.

    Args:
        shape: tuple of int or None.
    """
    return math.prod(math.nan if side is None else side for side in shape)


def _known(layer):
    """The kind of a layer of Keras or of ours; "" for any other.

    A class of yours may have a name of Keras and do something else.
    """
    kind = type(layer)
    ours = kind.__module__.startswith(("keras.", "cnnkit.models."))
    return kind.__name__ if ours else ""


def _kernel(layer):
    return sum(math.prod(w.shape) for w in layer.weights if "kernel" in w.name)


def _keeps_places(before, after, stride):
    """Whether a Reshape leaves the numbers of a position, or a patch, together."""
    to_tokens = before.shape[-1] == after.shape[-1] or not stride.any()
    maps = min(len(before.shape), len(after.shape)) >= 4
    return to_tokens or (maps and before.shape[1:3] == after.shape[1:3])


def _join(fields):
    """The field of what is added or stacked: from the first pixel to the last."""
    lows, highs, strides = map(np.array, zip(*fields, strict=True))
    stride = strides.max(0)
    if np.isinf(lows).any():  # whatever the others see
        return -ENDLESS, ENDLESS, stride
    # Else maps must lie on each other.
    return (lows.min(0), highs.max(0), stride) if (strides == stride).all() else UNKNOWN
