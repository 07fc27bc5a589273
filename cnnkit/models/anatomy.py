"""Anatomy: what each layer of a model costs, and how far it sees.

A model is walked through from its inputs to its outputs, with shapes in place of
pictures. What is known of each kind of layer, and how it is counted, stands in `kinds`.
"""

import math

import keras
import numpy as np
import pandas
from keras import tree

from cnnkit import plots
from cnnkit.models import kinds


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
        - multiply_adds: for one picture; NaN where the kind is not known. A layer of
          yours may say it itself, with a method `multiply_adds()` that returns an int.
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
        sources = tuple(self.origin[id(x)] for x in inputs)
        fields = [self.rows[source]["field"] for source in sources]
        numbers = sum(kinds.product(x.shape[1:]) for x in outputs)
        seen = any(row["object"] is layer for row in self.rows)
        self.mark(outputs, [len(self.rows)] * len(outputs))
        self.rows.append(
            {
                "layer": prefix + layer.name,
                "kind": type(layer).__name__,
                "shape": tuple(outputs[0].shape[1:]),
                "parameters": 0 if seen else getattr(layer, "count_params", int)(),
                "multiply_adds": kinds.multiply_adds(layer, args, kwargs, outputs[0]),
                "field": kinds.field(layer, fields, inputs, outputs[0]),
                "activation_bytes": 4 * numbers,
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


def _side(pair):
    """One number for a square, else (height, width)."""
    height, width = map(float, pair)
    return height if height == width or math.isnan(height) else (height, width)
