"""Anatomy: what each layer of a model costs, and how far it sees.

Multiply-adds are counted as the literature counts them (He et al., 2016, table 1):
those of convolutions, dense layers and attention, with the zeros of the padding.
Biases, normalisation, activations, pooling and sums count 0.

Receptive fields are those of Araujo, Norris and Sim, "Computing Receptive Fields of
Convolutional Neural Networks", Distill, 2019,
https://distill.pub/2019/computing-receptive-fields: all pixels that can have any
influence. What would lie beyond the edge of the picture is not cut off.
"""

import inspect
import math

import keras
import numpy as np
import pandas
from keras import tree

from cnnkit import plots

# Keras' own layers and operations, by what they do with the positions of a map. Of a
# kind that is in none of these lists we know nothing, and say so.
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
    """.split()
)
FREE = (POOLS | EDGES | GLOBAL | POINTWISE) - {"Dense"}
FREE |= {"InputLayer", "Permute", "Reshape", "Resizing", "UpSampling2D"}


def table(model, input_shape=None):
    """Lists the layers of a model with what each costs and how far it sees.

    Args:
        model: `keras.Model` with a graph, such as the builders of `models` return;
            models inside it are opened.
        input_shape: (height, width, channels), or None to take the model's own; a
            model for any size needs it.

    Returns:
        A `pandas.DataFrame` in the order of the graph. Its index "layer" is a name, or
        "model/name" in a model inside. Its columns:

        - kind: str, the class of the layer.
        - shape: tuple, its output without the batch.
        - parameters: int; a layer that is called twice has them in its first row.
        - multiply_adds: for one picture; NaN where the kind is not known.
        - receptive_field: pixels of the side, or a tuple (height, width) where they
          differ. It may be more than the picture has. It is inf where each position
          sees every pixel (global pooling, Flatten, attention and what follows), and
          NaN where it is not known.
        - stride: pixels from the field of one position to that of the next, likewise;
          NaN also where there is only one position.
        - activation_bytes: int, memory of the output in float32, for one picture.
          Training keeps nearly all of them, prediction a few at a time.
        - sources: tuple of int, the rows, from 0, that its input comes from.

    Raises:
        ValueError: the model has no graph, or its size is open and `input_shape` does
            not fill it.

    Example:
        >>> rows = table(small_cnn())
        >>> rows.loc["features", ["shape", "receptive_field", "stride"]].tolist()
        [(4, 4, 96), 38.0, 8.0]
    """
    if not getattr(model, "inputs", None):
        raise ValueError(
            "`model` must have a graph to walk through: make it with keras.Model("
            "inputs, outputs), or as a Sequential that begins with an Input. "
            f"Received: {type(model).__name__}"
        )
    walk = _Walk()
    shapes = _input_shapes(model, input_shape)
    walk.go(model, [keras.KerasTensor((None, *shape)) for shape in shapes])
    for row in walk.rows:
        low, high, stride = row.pop("field")
        row["receptive_field"] = _side(high - low + 1)
        row["stride"] = _side(np.where(stride, stride, np.nan))
    columns = "kind shape parameters multiply_adds receptive_field stride"
    rows = pandas.DataFrame(walk.rows).set_index("layer")
    return rows[[*columns.split(), "activation_bytes", "sources"]]


def totals(rows):
    """Adds up a table of layers.

    Args:
        rows: `pandas.DataFrame` from `table`.

    Returns:
        A `pandas.Series`: parameters, multiply_adds and activation_bytes, each an int,
        and not_counted, the tuple of layers whose multiply-adds are not known and not
        in the sum.
    """
    sums = rows[["parameters", "multiply_adds", "activation_bytes"]].sum()
    unknown = tuple(rows.index[rows["multiply_adds"].isna()])
    whole = {name: int(number) for name, number in sums.items()}
    return pandas.Series(whole | {"not_counted": unknown}, dtype=object)


def draw(model, title=None, *, input_shape=None):
    """Draws a model as boxes, one for each resolution: see `plots.stages`.

    Args:
        model: as for `table`.
        title: str, or None for the model's name.
        input_shape: as for `table`.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: as for `table`.
    """
    rows = table(model, input_shape)
    return plots.stages(rows, title=model.name if title is None else title)


def _input_shapes(model, input_shape):
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    given = shapes if input_shape is None else [tuple(np.ravel(input_shape).tolist())]
    fits = [len(shape) for shape in shapes] == [len(shape) for shape in given]
    pairs = zip(sum(shapes, ()), sum(given, ()), strict=False)
    if not fits or any(new is None or old not in (None, new) for old, new in pairs):
        raise ValueError(
            "`input_shape` fills the sizes that a model leaves open (None) and no "
            f"others. This model takes {shapes}. Received: input_shape={input_shape!r}"
        )
    return given


# A field is (low, high, stride), each for height and width: position i of a map sees
# the pixels from low + i * stride to high + i * stride. Where it sees every pixel there
# are no ends; where there is only one position, the stride is 0.
PIXEL = (np.zeros(2), np.zeros(2), np.ones(2))
ENDLESS = np.full(2, np.inf)
UNKNOWN = tuple(np.full((3, 2), np.nan))


class _Walk:
    """Sends shapes in place of pictures through a graph, and notes each layer."""

    def __init__(self):
        self.rows = []
        self.origin = {}  # id of a tensor: the row that it comes from
        self.tensors = []  # while they are kept here, nothing else gets their ids

    def go(self, model, tensors, prefix=""):
        """Returns what the model makes of the tensors."""
        flat = keras.Model(model.inputs, model.outputs)  # a Sequential has no graph
        inputs = [keras.Input(x.shape[1:], dtype=x.dtype) for x in tensors]
        for tensor, new, old in zip(tensors, inputs, model.inputs, strict=True):
            if prefix:
                self.mark([new], [self.origin[id(tensor)]])
            else:
                layer = next(x for x in flat.layers if x.output is old)
                self.visit(layer, "", (), {}, [new])
        copy = keras.models.clone_model(
            flat,
            input_tensors=tree.pack_sequence_as(flat.input, inputs),
            clone_function=lambda layer: _Passage(layer, self, prefix),
        )
        return copy.outputs

    def mark(self, tensors, numbers):
        """Remembers which rows the tensors come from."""
        self.tensors += tensors
        self.origin |= {id(x): n for x, n in zip(tensors, numbers, strict=True)}

    def visit(self, layer, prefix, args, kwargs, outputs):
        """Notes a layer with its outputs, or goes through the model that it is."""
        given = tree.flatten((args, kwargs))
        inputs = [x for x in given if isinstance(x, keras.KerasTensor)]
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            inner = self.go(layer, inputs, f"{prefix}{layer.name}/")
            self.mark(outputs, [self.origin[id(x)] for x in inner])
            return
        kind = type(layer).__name__
        # A class of yours may have a name of Keras and do something else.
        known = kind if type(layer).__module__.startswith("keras.") else ""
        sources = tuple(self.origin[id(x)] for x in inputs)
        fields = [self.rows[source]["field"] for source in sources]
        seen = any(row["object"] is layer for row in self.rows)
        self.mark(outputs, [len(self.rows)] * len(outputs))
        self.rows.append(
            {
                "layer": prefix + layer.name,
                "kind": kind,
                "shape": tuple(outputs[0].shape[1:]),
                "parameters": 0 if seen else getattr(layer, "count_params", int)(),
                "multiply_adds": _multiply_adds(layer, known, args, kwargs, outputs[0]),
                "field": _see(layer, known, fields, inputs, outputs[0]),
                "activation_bytes": 4 * sum(_product(x.shape[1:]) for x in outputs),
                "sources": sources,
                "object": layer,
            }
        )


class _Passage(keras.Operation):
    """Takes the place of a layer in a copy of its graph, without its weights."""

    def __init__(self, layer, walk, prefix):
        super().__init__()
        self.layer, self.walk, self.prefix = layer, walk, prefix

    def compute_output_spec(self, *args, **kwargs):
        outputs = self.layer.compute_output_spec(*args, **kwargs)
        # New ones: a layer that changes nothing may return what it was given.
        outputs = tree.map_structure(
            lambda x: keras.KerasTensor(x.shape, x.dtype), outputs
        )
        self.walk.visit(self.layer, self.prefix, args, kwargs, tree.flatten(outputs))
        return outputs


def _multiply_adds(layer, kind, args, kwargs, output):
    """Those of one call; NaN for a kind of layer that is not known."""
    if kind == "Dense" or kind.endswith(("Conv1D", "Conv2D", "Conv3D")):
        return _kernel(layer) * _product(output.shape[1:-1])
    if kind.endswith("DTranspose"):  # each position of the input writes a window
        return _kernel(layer) * _product(args[0].shape[1:-1])
    if kind == "MultiHeadAttention":
        call = inspect.signature(layer.call).bind(*args, **kwargs).arguments
        queries, values = (_product(call[x].shape[1:-1]) for x in ("query", "value"))
        return (
            queries * (_kernel(layer.query_dense) + _kernel(layer.output_dense))
            + values * (_kernel(layer.key_dense) + _kernel(layer.value_dense))
            + queries * values * layer.num_heads * (layer.key_dim + layer.value_dim)
        )
    return 0 if kind in FREE else math.nan


def _kernel(layer):
    return sum(_product(w.shape) for w in layer.weights if "kernel" in w.name)


def _product(shape):
    return math.prod(math.nan if side is None else side for side in shape)


def _see(layer, kind, fields, inputs, output):
    """The field of a layer's output, from those of its inputs."""
    if not fields:
        return PIXEL if kind == "InputLayer" and len(output.shape) == 4 else UNKNOWN
    low, high, stride = field = _join(fields)
    same_places = output.shape[1:-1] in [x.shape[1:-1] for x in inputs]
    if kind in POINTWISE:  # but a part of a map may lie anywhere in it
        return field if same_places or len(output.shape) != 4 else UNKNOWN
    if kind in GLOBAL or kind == "MultiHeadAttention":
        return -ENDLESS, ENDLESS, stride if same_places else np.zeros(2)
    if kind == "Reshape":  # a map to tokens: each keeps its patch
        same_channels = inputs[0].shape[-1] == output.shape[-1]
        return field if same_channels or not stride.any() else UNKNOWN
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


def _join(fields):
    """The field of what is added or stacked: from the first pixel to the last."""
    lows, highs, strides = map(np.array, zip(*fields, strict=True))
    stride = strides.max(0)
    if np.isinf(lows).any():  # whatever the others see
        return -ENDLESS, ENDLESS, stride
    # Else maps must lie on each other.
    return (lows.min(0), highs.max(0), stride) if (strides == stride).all() else UNKNOWN


def _side(pair):
    """One number for a square, else (height, width)."""
    height, width = map(float, pair)
    return height if height == width or math.isnan(height) else (height, width)
