import keras
import numpy as np
import pandas
import pytest
import tensorflow as tf
from keras import layers
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cnnkit import models, plots, training
from cnnkit.training.losses import SparseFocalCrossentropy

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (8, 28, 28, 1)).astype("float32")
LABELS = RNG.integers(0, 10, 8)


def rms(values):
    return np.sqrt(np.mean(np.square(values, dtype="float64")))


def test_a_chain_of_linear_layers_has_the_gradients_of_the_closed_form():
    widths = [5, 4, 6, 3]
    kernels = [RNG.normal(size=pair) for pair in zip(widths, widths[1:], strict=False)]
    x, y = RNG.normal(size=(7, 5)), RNG.normal(size=(7, 3))
    stack = [layers.Dense(n, use_bias=False, name=f"layer{n}") for n in widths[1:]]
    model = keras.Sequential([keras.Input((5,)), *stack])
    model.set_weights(kernels)
    table = training.gradient_flow(model, (x, y), loss=keras.losses.MeanSquaredError())

    outputs = [x @ kernels[0]]
    outputs += [outputs[0] @ kernels[1], outputs[0] @ kernels[1] @ kernels[2]]
    by_output = [None, None, 2 * (outputs[2] - y) / y.size]  # of the mean of squares
    by_output[1] = by_output[2] @ kernels[2].T
    by_output[0] = by_output[1] @ kernels[1].T
    inputs = [x, *outputs[:2]]
    by_kernel = [a.T @ g for a, g in zip(inputs, by_output, strict=True)]
    assert list(table.index) == ["layer4", "layer6", "layer3"]
    assert table["depth"].tolist() == [1, 2, 3]
    expected = {
        "kernel_gradient": [rms(g) for g in by_kernel],
        "relative_gradient": [
            rms(g) / rms(w) for g, w in zip(by_kernel, kernels, strict=True)
        ],
        "output": [rms(a) for a in outputs],
        "output_gradient": [rms(g) for g in by_output],
    }
    for column, values in expected.items():
        np.testing.assert_allclose(table[column], values, rtol=1e-5, err_msg=column)


def test_each_sigmoid_leaves_a_quarter_of_the_gradient_at_most():
    """Orthogonal kernels keep the size of a gradient: only the sigmoid shrinks it."""
    x = inputs = keras.Input((16,))
    for _ in range(20):
        x = layers.Dense(16, "sigmoid", kernel_initializer="orthogonal")(x)
    model = keras.Model(inputs, layers.Softmax()(layers.Dense(10)(x)))
    batch = RNG.normal(size=(8, 16)), LABELS
    gradients = training.gradient_flow(model, batch)["output_gradient"].to_numpy()[:20]
    ratios = gradients[:-1] / gradients[1:]
    assert (ratios <= 0.25 * (1 + 1e-5)).all() and (ratios > 0.1).all()
    assert gradients[0] < 1e-11 * gradients[-1]


def classifier():
    """All that a training step has: BatchNorm, dropout, a shortcut, regularisation."""
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(4, 3, strides=2, kernel_regularizer="l2", name="first")(x)
    x = layers.BatchNormalization(momentum=0.5)(layers.Rescaling(1 / 255)(x))
    y = layers.Conv2D(4, 3, padding="same", activation="relu", name="second")(x)
    x = layers.Dropout(0.5)(layers.Add()([x, y]))
    x = layers.Dense(10, name="logits")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Softmax()(x))


def test_a_step_of_sgd_with_rate_1_changes_the_kernels_by_exactly_this():
    model = classifier()
    table = training.gradient_flow(model, (IMAGES, LABELS))
    before = [model.get_layer(name).kernel.numpy() for name in table.index]
    model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy")
    model.fit(IMAGES, LABELS, batch_size=8, shuffle=False, verbose=0)
    after = [model.get_layer(name).kernel.numpy() for name in table.index]
    assert list(table.index) == ["first", "second", "logits"]
    steps = [rms(a - b) for a, b in zip(after, before, strict=True)]
    np.testing.assert_allclose(table["kernel_gradient"], steps, rtol=1e-4)
    np.testing.assert_allclose(
        table["relative_gradient"],
        [step / rms(b) for step, b in zip(steps, before, strict=True)],
        rtol=1e-4,
    )


def test_nothing_in_the_model_changes_and_a_second_call_says_the_same():
    model = classifier()
    before = [variable.numpy() for variable in model.variables]
    assert any(v.path.endswith("seed_generator_state") for v in model.variables)
    first = training.gradient_flow(model, (IMAGES, LABELS))
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, variable.path)
    assert training.gradient_flow(model, (IMAGES, LABELS)).equals(first)
    model(IMAGES, training=True)  # which does change them
    changed = zip(model.variables, before, strict=True)
    assert sum((v.numpy() != value).any() for v, value in changed) == 3


def test_batchnorm_takes_the_statistics_of_the_batch():
    x = inputs = keras.Input((28, 28, 1))
    x = layers.BatchNormalization()(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Softmax()(layers.Dense(10, name="logits")(x)))
    kernel = model.get_layer("logits").kernel.numpy()
    flat = IMAGES.reshape(8, -1)
    scaled = (flat - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-3)
    table = training.gradient_flow(model, (IMAGES, LABELS))
    assert table.loc["logits", "output"] == pytest.approx(
        rms(scaled @ kernel), rel=1e-4
    )


def test_models_inside_are_opened_and_frozen_or_repeated_layers_are_not_counted_twice():
    inner = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(4, 3, name="frozen"),
            layers.Conv2D(4, 3, padding="same", name="free"),
        ],
        name="inner",
    )
    inner.layers[0].trainable = False
    inputs = keras.Input((28, 28, 1))
    shared = layers.Conv2D(4, 1, name="shared")
    x = keras.ops.relu(shared(shared(inner(inputs))))
    x = layers.Dense(10, name="logits")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, layers.Softmax()(x))
    table = training.gradient_flow(model, (IMAGES, LABELS))
    assert list(table.index) == ["inner/free", "shared", "logits"]
    assert np.isfinite(table).all(axis=None) and (table > 0).all(axis=None)


def test_the_named_losses_are_those_of_fit():
    model = models.small_cnn(input_shape=(28, 28, 1), widths=(4,))
    batch = IMAGES, LABELS
    for name, same in {
        "crossentropy": keras.losses.SparseCategoricalCrossentropy(),
        "focal": SparseFocalCrossentropy(),
    }.items():
        np.testing.assert_allclose(
            training.gradient_flow(model, batch, loss=name),
            training.gradient_flow(model, batch, loss=same),
            rtol=1e-5,
        )
    with pytest.raises(ValueError, match="Received: loss='mse'"):
        training.gradient_flow(model, (IMAGES, LABELS), loss="mse")


def test_16_bit_layers_are_measured_in_full_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = models.small_cnn(input_shape=(28, 28, 1), widths=(4,))
    finally:
        keras.config.set_dtype_policy(before)
    table = training.gradient_flow(model, (IMAGES, LABELS))
    assert (table.drop(columns="depth").dtypes == "float64").all()
    assert np.isfinite(table).all(axis=None) and (table > 0).all(axis=None)


def test_what_cannot_be_measured_is_refused():
    model = models.small_cnn(input_shape=(28, 28, 1), widths=(4,))
    for batch in (IMAGES, (IMAGES,), tf.data.Dataset.from_tensors((IMAGES, LABELS))):
        with pytest.raises(ValueError, match="is a pair") as error:
            training.gradient_flow(model, batch)
        assert str(error.value).endswith(f"Received: {type(batch).__name__}")
    model.trainable = False
    with pytest.raises(ValueError, match="with 0 trainable weights"):
        training.gradient_flow(model, (IMAGES, LABELS))


def flow(values):
    numbers = {"depth": np.arange(1, len(values) + 1), "kernel_gradient": values}
    return pandas.DataFrame(numbers)


def test_the_figure_shows_every_value_and_marks_what_a_log_axis_cannot():
    tables = {
        "$_{ 薔薇": flow([1e-3, 0.0, 1e-1]),
        "_hidden": flow([1.0, np.nan, np.inf, 10.0]),
    }
    figure = plots.gradient_flow(tables)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    first, zero, second, lost = axes.lines
    np.testing.assert_array_equal(first.get_ydata(), [1e-3, np.nan, 1e-1])
    np.testing.assert_array_equal(second.get_ydata(), [1.0, np.nan, np.nan, 10.0])
    assert (zero.get_xdata().tolist(), lost.get_xdata().tolist()) == ([2], [2, 3])
    assert axes.get_yscale() == "log" and axes.get_xlim() == (0.5, 4.5)
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["$_{ 薔薇", "_hidden", "exactly 0", "not finite"]


def test_one_table_is_drawn_without_a_legend_and_any_column_can_be():
    model = models.small_cnn(input_shape=(28, 28, 1), widths=(4,))
    table = training.gradient_flow(model, (IMAGES, LABELS))
    for column in ("kernel_gradient", "relative_gradient", "output", "output_gradient"):
        figure = plots.gradient_flow(table, column=column)
        line = figure.axes[0].lines[0]
        np.testing.assert_array_equal(line.get_ydata(), table[column])
        assert not figure.legends


@pytest.mark.parametrize(
    ("tables", "column"),
    [({}, "output"), ({i: flow([1.0]) for i in range(7)}, "output"), ({}, "depth")],
)
def test_no_tables_too_many_or_another_column_are_refused(tables, column):
    with pytest.raises(ValueError, match="1 to 6 tables") as error:
        plots.gradient_flow(tables, column=column)
    expected = f"Received: column={column!r}, {len(tables)} tables"
    assert str(error.value).endswith(expected)
