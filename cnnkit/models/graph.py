"""A graph network on picture patches: each patch listens to its eight neighbours.

The layer is from Kipf and Welling, "Semi-Supervised Classification with Graph
Convolutional Networks", ICLR 2017, https://arxiv.org/abs/1609.02907 (equation 2). That
a picture can be read as a graph of its patches is from Han, Wang, Guo, Tang and Wu,
"Vision GNN", NeurIPS 2022, https://arxiv.org/abs/2206.00272 (section 3.1); the network
is no single paper's.
"""

import keras
from keras import layers, ops

from cnnkit.models.blocks import classify, pixels

WIDTHS = (64, 64, 64)  # one a graph convolution: after 3 the middle of 7 x 7 knows all
MOST_PATCHES = 1024  # the table of neighbours has the square of this many entries


def graph_net(*, num_classes=10, input_shape=(28, 28, 1), patch=4):
    """Builds an untrained classifier that passes messages between patches.

    Args:
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are multiples of
            `patch`, at least two patches each; channels is 3 or 1. The graph is made
            for one size, so None is refused.
        patch: int, height and width in pixels of the square that becomes one node.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" holds the nodes as a map, shape
        (batch, height / patch, width / patch, 64); "pooled" is their average.

    Raises:
        ValueError: `patch` is no whole number from 1 up, the picture has no image
            shape, is no whole number of patches, or has more than 1,024 of them, or
            `num_classes` is under 2.

    Example:
        >>> model = graph_net(num_classes=10, input_shape=(28, 28, 1))
        >>> model.get_layer("features").output.shape
        (None, 7, 7, 64)
    """
    inputs, x = pixels(input_shape)
    rows, columns = _grid(input_shape, patch)
    adjacency = patch_graph(rows, columns)

    # One window a patch: 64 numbers that describe it, before it hears of the others.
    embed = layers.Conv2D(
        WIDTHS[0],
        patch,
        strides=patch,
        kernel_initializer="he_normal",  # keeps the variance through a ReLU
        name="patches",
    )
    x = layers.ReLU(name="patches_relu")(embed(x))
    x = layers.Reshape((rows * columns, WIDTHS[0]), name="nodes")(x)
    for i, width in enumerate(WIDTHS, start=1):
        x = GraphConvolution(width, adjacency, name=f"graph{i}")(x)
        x = layers.ReLU(name=f"graph{i}_relu")(x)
    x = layers.Reshape((rows, columns, WIDTHS[-1]), name="map")(x)
    return classify(inputs, x, num_classes, name="graph_net")


def patch_graph(rows, columns):
    """Returns who listens to whom on a grid of patches, and how much.

    A patch listens to itself and to its eight neighbours (fewer at the border). The
    share of j in i is 1 / sqrt(d_i d_j), where d counts whom a patch listens to. It
    keeps the size of the numbers from growing, however often messages are passed.

    Args:
        rows: int, patches from top to bottom.
        columns: int, patches from left to right; patch (r, c) is node
            r * columns + c.

    Returns:
        A list of rows * columns lists of as many floats, symmetric: the adjacency
        with self-loops, normalised on both sides (section 2.2 of the paper).

    Example:
        >>> patch_graph(1, 2)
        [[0.5, 0.5], [0.5, 0.5]]
    """
    places = [(row, column) for row in range(rows) for column in range(columns)]
    near = [
        [abs(row - r) <= 1 and abs(column - c) <= 1 for r, c in places]
        for row, column in places
    ]
    counts = [sum(line) for line in near]
    nodes = range(len(places))
    return [[near[i][j] / (counts[i] * counts[j]) ** 0.5 for j in nodes] for i in nodes]


@keras.saving.register_keras_serializable("cnnkit")
class GraphConvolution(layers.Layer):
    """Mixes each node with its neighbours: adjacency x nodes x weights.

    A 3x3 convolution has nine matrices of weights, one for each direction. This has
    one: it knows who is near, and not on which side. So it works on any graph.

    Args:
        units: int, numbers that describe a node afterwards.
        adjacency: (nodes, nodes) floats, nested lists or an array: row i holds how
            much node i takes from each node; see `patch_graph`.
        name: str, or None for a name from Keras.
        dtype: dtype or policy of Keras, or None for the global one.
        trainable: bool, whether training changes the weights.
    """

    def __init__(self, units, adjacency, *, name=None, dtype=None, trainable=True):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        self.units = units
        self.adjacency = ops.convert_to_numpy(ops.cast(adjacency, "float32"))
        shape = self.adjacency.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(
                "`adjacency` must have a row and a column for each node, as from "
                f"`patch_graph`. Received: adjacency of shape {shape}"
            )

    def build(self, input_shape):
        """Makes the weights, which all nodes share."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units),
            initializer="he_normal",
            name="kernel",
        )

    def call(self, nodes):
        """Returns the mixed nodes: (b, nodes, n) to (b, nodes, units)."""
        adjacency = ops.cast(self.adjacency, nodes.dtype)
        messages = ops.matmul(nodes, self.kernel)
        return ops.matmul(adjacency, messages)

    def multiply_adds(self):
        """Returns those for one picture: of nodes x weights, and adjacency x that."""
        nodes, numbers = len(self.adjacency), self.kernel.shape[0]
        return nodes * numbers * self.units + nodes * nodes * self.units

    def get_config(self):
        """Returns what builds the layer again."""
        adjacency = self.adjacency.tolist()
        return {**super().get_config(), "units": self.units, "adjacency": adjacency}


def _grid(input_shape, patch):
    """The rows and columns of patches, after checking that they fit."""
    if type(patch) is not int or patch < 1:
        raise ValueError(
            "`patch` is the side of a node in pixels, a whole number of at least 1. "
            f"Received: patch={patch!r}"
        )
    height, width, _ = input_shape
    whole = all(
        side is not None and side % patch == 0 and side >= 2 * patch
        for side in (height, width)
    )
    if not whole:
        raise ValueError(
            f"The graph is made for one size, of at least 2 x 2 patches: height and "
            f"width must be multiples of {patch} pixels, from {2 * patch} up. Resize "
            "the pictures, or take another `patch`. "
            f"Received: input_shape={tuple(input_shape)}, patch={patch}"
        )
    rows, columns = height // patch, width // patch
    if rows * columns > MOST_PATCHES:
        raise ValueError(
            f"{rows} x {columns} patches are more than {MOST_PATCHES:,}, and the table "
            "of neighbours grows with the square: take a larger `patch`. "
            f"Received: input_shape={tuple(input_shape)}, patch={patch}"
        )
    return rows, columns
