import keras
import numpy as np
import pytest
from scipy import sparse

from cnnkit.models.graph import GraphConvolution, graph_net, patch_graph


def scipy_graph(rows, columns):
    """The normalised adjacency of the grid, as a sparse matrix made another way.

    On a line, who is near is a matrix with ones on three diagonals. On a grid one is
    near if both coordinates are: the Kronecker product of two lines.
    """

    def line(n):
        return sparse.diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(n, n))

    near = sparse.kron(line(rows), line(columns))
    scale = sparse.diags_array(1 / np.sqrt(near.sum(axis=1)))
    return (scale @ near @ scale).tocsr()


@pytest.mark.parametrize("rows, columns", [(7, 7), (2, 5), (4, 3), (1, 6)])
def test_the_grid_equals_scipys(rows, columns):
    expected = scipy_graph(rows, columns)
    np.testing.assert_allclose(
        patch_graph(rows, columns), expected.toarray(), atol=1e-12
    )


def test_messages_neither_grow_nor_die():
    """The largest eigenvalue of a normalised adjacency is 1, none is under -1."""
    values = np.linalg.eigvalsh(patch_graph(5, 4))
    assert values[-1] == pytest.approx(1) and values[0] > -1


def random_layer(adjacency, nodes, units=3, seed=0):
    """A built layer, its weights, and nodes of shape (2, nodes, 4)."""
    rng = np.random.default_rng(seed)
    layer = GraphConvolution(units, adjacency)
    features = rng.normal(0, 1, (2, nodes, 4)).astype("float32")
    layer(features)
    return layer, layer.get_weights()[0], features


def test_the_layer_equals_a_sparse_computation():
    adjacency = scipy_graph(3, 4)
    layer, weights, features = random_layer(patch_graph(3, 4), 12)
    expected = [adjacency @ picture @ weights for picture in features]
    np.testing.assert_allclose(np.asarray(layer(features)), expected, atol=1e-5)
    assert weights.shape == (4, 3)


def test_the_layer_knows_rows_from_columns_on_a_directed_graph():
    layer, weights, features = random_layer([[0, 1], [0, 0]], 2)  # 0 listens to 1
    mixed = np.asarray(layer(features))
    np.testing.assert_allclose(mixed[:, 0], features[:, 1] @ weights, atol=1e-6)
    assert not mixed[:, 1].any()


def test_renaming_the_nodes_renames_the_result():
    adjacency = np.asarray(patch_graph(3, 4))
    order = np.random.default_rng(1).permutation(12)
    layer, weights, features = random_layer(adjacency, 12)
    renamed = GraphConvolution(3, adjacency[order][:, order])
    renamed.build(features.shape)
    renamed.set_weights([weights])

    expected = np.asarray(layer(features))[:, order]
    np.testing.assert_allclose(
        np.asarray(renamed(features[:, order])), expected, atol=1e-6
    )
    wrong = np.asarray(layer(features[:, order]))  # the graph was not renamed
    assert abs(wrong - expected).max() > 0.1


def test_a_patch_is_heard_three_hops_away_and_no_further():
    model = graph_net(num_classes=3, input_shape=(24, 40, 1))  # 6 x 10 patches
    features = keras.Model(model.input, model.get_layer("features").output)
    images = np.random.default_rng(0).uniform(0, 255, (1, 24, 40, 1)).astype("float32")
    changed = images.copy()
    changed[:, 8:12, 32:36] = 255 - changed[:, 8:12, 32:36]  # patch (2, 8)
    difference = np.asarray(features(changed)) - np.asarray(features(images))
    moved = abs(difference).max(-1)[0] > 1e-6
    expected = np.zeros((6, 10), bool)
    expected[:, 5:] = True  # rows 2 - 3 to 2 + 3, columns 8 - 3 to 8 + 3, cut off
    np.testing.assert_array_equal(moved, expected)


@pytest.mark.parametrize("channels, params", [(1, 14_026), (3, 16_074)])
def test_parameters_are_those_counted_by_hand(channels, params):
    """Patches 16 c x 64 + 64, three times 64 x 64, classes 64 x 10 + 10."""
    model = graph_net(input_shape=(28, 28, channels))
    assert model.count_params() == params


def test_the_four_layers_have_the_promised_shapes():
    model = graph_net(num_classes=5, input_shape=(24, 32, 3), patch=8)
    names = ("features", "pooled", "logits", "probabilities")
    shapes = [model.get_layer(name).output.shape[1:] for name in names]
    assert shapes == [(3, 4, 64), (64,), (5,), (5,)]


def test_a_saved_layer_keeps_its_graph(tmp_path):
    inputs = keras.Input((6, 4))
    outputs = GraphConvolution(5, scipy_graph(2, 3).toarray(), name="graph")(inputs)
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "graph.keras")
    loaded = keras.saving.load_model(tmp_path / "graph.keras")
    nodes = np.random.default_rng(0).normal(0, 1, (2, 6, 4)).astype("float32")
    np.testing.assert_array_equal(np.asarray(loaded(nodes)), np.asarray(model(nodes)))
    assert loaded.get_layer("graph").units == 5


@pytest.mark.parametrize(
    "arguments, rule",
    [
        ({"input_shape": (28, 30, 1)}, "multiples of 4 pixels, from 8 up"),
        ({"input_shape": (4, 28, 1)}, "at least 2 x 2 patches"),
        ({"input_shape": (None, 28, 1)}, "made for one size"),
        ({"input_shape": (224, 224, 3)}, "56 x 56 patches are more than 1,024"),
        ({"input_shape": (28, 28, 1), "patch": 0}, "at least 1"),
        ({"input_shape": (28, 28, 1), "patch": 2.0}, "a whole number"),
    ],
)
def test_what_makes_no_graph_is_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule) as error:
        graph_net(**arguments)
    name, value = list(arguments.items())[-1]
    assert f"{name}={value}" in str(error.value).split("Received: ")[1]


@pytest.mark.parametrize("adjacency", [[1.0, 2.0], [[1.0, 0.0]]])
def test_an_adjacency_that_is_not_square_is_refused(adjacency):
    shape = np.shape(adjacency)
    with pytest.raises(ValueError, match="a row and a column for each node") as error:
        GraphConvolution(3, adjacency)
    assert str(error.value).endswith(f"Received: adjacency of shape {shape}")
