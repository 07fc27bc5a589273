import keras
import numpy as np
import pytest
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cnnkit import data, models, plots, training
from cnnkit.training import rate_finder

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def small(seed=0):
    keras.utils.set_random_seed(seed)
    return models.small_cnn(num_classes=10, input_shape=(32, 32, 1), widths=(8, 16))


def linear(optimizer):
    """A quadratic: linear regression on all points, in every step the same."""
    x = RNG.normal(size=(64, 5)).astype("float32")
    y = (x @ RNG.normal(size=(5, 1))).astype("float32")
    inputs = keras.Input((5,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
    model.compile(optimizer, "mse")
    curvature = np.linalg.eigvalsh(2 * x.T @ x / len(x)).max()
    return model, tf.data.Dataset.from_tensors((x, y)), curvature


@pytest.mark.parametrize(
    ("momentum", "stable"),
    [
        (0.0, lambda L: 2 / L),  # Nesterov, Introductory Lectures, 2004: rates < 2/L
        (0.5, lambda L: 2 * (1 + 0.5) / L),  # heavy ball: 2 (1 + m) / L, Polyak 1964
    ],
)
def test_the_loss_turns_at_the_largest_stable_rate_of_a_quadratic(momentum, stable):
    model, points, curvature = linear(keras.optimizers.SGD(0.1, momentum=momentum))
    steps, lowest, highest = 600, 1e-3, 1e2
    table = training.find_learning_rate(
        model, points, lowest=lowest, highest=highest, steps=steps, verbose=0
    )
    limit = stable(curvature)
    # At the bottom the loss is rounding, of which any row may be the lowest. Behind the
    # limit it grows from there, slowly at first.
    turn = table["rate"][table["loss"] < 10 * table["loss"].min()].max()
    assert limit / 1.1 < turn < limit * 1.7
    assert len(table) < steps and "3 times" in table.attrs["stopped"]
    assert 1e-3 < table.attrs["suggestion"] < limit
    # A row is the loss before the step with its rate.
    x, y = next(iter(points))
    first = np.mean((x.numpy() @ model.get_weights()[0] - y.numpy()) ** 2)
    assert table["loss"][0] == pytest.approx(first, rel=1e-5)
    np.testing.assert_allclose(table["rate"][1] / table["rate"][0], 1e5 ** (1 / 599))


@pytest.mark.slow("the digits are learnt, and not learnt at a hundredth of the rate")
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])  # SGD: the quadratic
def test_its_suggestion_trains_and_a_hundredth_of_it_does_not(
    digits, optimizer, capsys
):
    table = training.find_learning_rate(small(), digits, optimizer=optimizer)
    rate = table.attrs["suggestion"]
    assert f"Suggestion: {rate:.1e}" in capsys.readouterr().out
    ends = [
        max(
            training.fit(
                small(), digits, epochs=3, optimizer=optimizer,
                learning_rate=rate * factor, verbose=0,
            ).history["val_accuracy"]
        )
        for factor in (1, 0.01)
    ]  # fmt: skip
    assert ends[0] > 0.8 > ends[1] + 0.2


def values(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(variable.value) for variable in variables]


@pytest.mark.parametrize("how", ["all", "interrupted", "exploded"])
def test_all_is_as_it_was_and_what_was_measured_is_kept(digits, monkeypatch, how):
    model = small()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(digits.valid, verbose=0)
    before, train = values(model), model.train_function

    class Impatient(rate_finder.Trial):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.calls, self.inner, self.step = 0, self.step, self.count

        def count(self, *arguments):
            self.calls += 1
            if how == "interrupted" and self.calls == 15:
                raise KeyboardInterrupt
            return self.inner(*arguments)

    monkeypatch.setattr(rate_finder, "Trial", Impatient)
    table = training.find_learning_rate(
        model, digits, steps=24, highest=1e30 if how == "exploded" else 1.0, verbose=0
    )
    stopped = table.attrs["stopped"]
    if how == "interrupted":
        assert len(table) == 14 and stopped == "you stopped it"
    elif how == "exploded":
        assert 3 < len(table) < 24 and ("finite" in stopped or "3 times" in stopped)
    else:
        assert len(table) == 24 and stopped == "all rates were tried"
    assert np.isfinite(table.to_numpy()).all()
    for old, new in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.train_function is train and model.compiled


def test_no_suggestion_is_made_where_there_is_none(digits, capsys):
    table = training.find_learning_rate(
        small(), digits, lowest=1e-12, highest=1e-10, steps=30
    )
    assert table.attrs["suggestion"] is None
    assert "No suggestion, since the loss fell at no rate" in capsys.readouterr().out
    table = training.find_learning_rate(
        small(), digits, lowest=1e3, highest=1e30, steps=30, optimizer="sgd", verbose=0
    )
    assert table.attrs["suggestion"] is None
    assert "begin with a lower rate" in table.attrs["why"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lowest": 0}, "lowest=0"),
        ({"highest": 1e-7}, "highest=1e-07"),
        ({"steps": 5}, "steps=5"),
        ({"optimizer": "adagrad"}, "optimizer='adagrad'"),
    ],
)
def test_what_makes_no_range_is_refused(digits, options, message):
    with pytest.raises(ValueError, match=f"Received: .*{message}"):
        training.find_learning_rate(small(), digits, **options)
    with pytest.raises(ValueError, match="empty pipeline"):
        training.find_learning_rate(small(), digits.train.take(0))


def test_the_figure_shows_the_range_and_cuts_the_explosion_off():
    model, points, _ = linear("sgd")
    table = training.find_learning_rate(model, points, lowest=1e-3, verbose=0)
    figure = plots.learning_rates(table)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    dots, line, suggestion = axes.lines
    np.testing.assert_array_equal(dots.get_xdata(), table["rate"])
    np.testing.assert_array_equal(dots.get_ydata(), table["loss"])
    np.testing.assert_array_equal(line.get_ydata(), table["smoothed"])
    assert suggestion.get_xdata()[0] == table.attrs["suggestion"]
    assert axes.get_xscale() == "log" and "learning rate" in axes.get_xlabel()
    low, high = axes.get_ylim()
    assert low < table["loss"].min() and high < table["loss"].max()
    with pytest.raises(ValueError, match="Received: 0 rows"):
        plots.learning_rates(table.head(0))
    table.attrs["suggestion"] = None
    assert len(plots.learning_rates(table).axes[0].lines) == 2
