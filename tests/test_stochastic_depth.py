import keras
import numpy as np
import pytest
from keras import layers
from scipy import stats

from cnnkit.models import anatomy
from cnnkit.models.stochastic_depth import StochasticDepth, linear_rates


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_as_many_pictures_lose_the_branch_as_were_asked_for(rate):
    layer, n = StochasticDepth(rate, seed=0), 4000
    x = np.random.default_rng(0).normal(1, 1, (n, 2, 3, 2)).astype("float32")
    y = np.asarray(layer(x, training=True))
    kept = (y != 0).any(axis=(1, 2, 3))
    # A picture has all of the branch, scaled up, or nothing of it.
    np.testing.assert_allclose(y[kept], x[kept] / (1 - rate), rtol=1e-5)
    low, high = stats.binom.interval(1 - 1e-6, n, 1 - rate)
    assert low <= kept.sum() <= high
    # So the mean is the input, within what so many draws vary.
    ones = [np.asarray(layer(np.ones((n, 1), "float32"), training=True)).mean()]
    ones += [np.asarray(layer(np.ones((n, 1), "float32"), training=True)).mean()]
    spread = np.sqrt(rate / (1 - rate) / n)
    assert np.abs(np.array(ones) - 1).max() < 5 * spread and ones[0] != ones[1]


def test_in_prediction_it_is_the_identity():
    x = np.random.default_rng(0).normal(size=(5, 4, 4, 2)).astype("float32")
    for layer, training in (
        (StochasticDepth(0.9), False), (StochasticDepth(0.9), None),
        (StochasticDepth(0.0), True),
    ):  # fmt: skip
        np.testing.assert_array_equal(np.asarray(layer(x, training=training)), x)
    half = StochasticDepth(0.5, dtype="mixed_bfloat16")(x, training=True)
    assert keras.backend.standardize_dtype(half.dtype) == "bfloat16"


def test_the_rates_are_those_of_the_paper():
    """Section 3: with 54 blocks and 0.5 at the end, 40.25 blocks are there on average;
    the paper says "almost 40"."""
    rates = linear_rates(54, last=0.5)
    assert sum(1 - rate for rate in rates) == pytest.approx((3 * 54 - 1) / 4)
    assert rates[-1] == 0.5 and np.ptp(np.diff(rates)) < 1e-12


def residual(rate):
    x = inputs = keras.Input((8, 8, 1))
    for block in range(2):
        shortcut = x
        x = layers.Conv2D(4, 3, padding="same", name=f"conv{block}")(x)
        x = layers.BatchNormalization()(x)
        x = StochasticDepth(rate, name=f"depth{block}")(x)
        x = layers.ReLU()(layers.Add()([shortcut, x]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def test_a_residual_network_with_it_trains_and_one_without_branches_learns_nothing():
    rng = np.random.default_rng(0)
    labels = np.arange(96) % 3
    images = rng.normal(labels[:, None, None, None], 0.3, (96, 8, 8, 1))
    ends, moved = [], []
    for rate in (0.2, 1 - 1e-7):  # the second leaves all branches out
        keras.utils.set_random_seed(0)
        model = residual(rate)
        kernel = model.get_layer("conv1").kernel.numpy().copy()
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        losses = model.fit(images, labels, epochs=8, verbose=0).history["loss"]
        ends.append(losses[-1] / losses[0])
        moved.append(np.abs(model.get_layer("conv1").kernel.numpy() - kernel).max())
    assert ends[0] < 0.6 and moved[0] > 1e-3 and moved[1] == 0


def test_its_configuration_comes_back():
    again = StochasticDepth.from_config(StochasticDepth(0.3, seed=7).get_config())
    assert (again.rate, again.seed) == (0.3, 7)


def test_the_same_seed_leaves_out_the_same():
    x = np.ones((64, 1), "float32")
    first, same, other = (
        np.asarray(StochasticDepth(0.5, seed=seed)(x, training=True))
        for seed in (1, 1, 2)
    )
    assert (first == same).all() and (first != other).any()


def test_its_cost_is_known_to_be_nothing():
    rows = anatomy.table(residual(0.3))
    assert rows.loc["depth0", "multiply_adds"] == 0
    assert rows.loc["depth0", "receptive_field"] == 3


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5])
def test_a_rate_that_leaves_nothing_is_refused(rate):
    with pytest.raises(ValueError, match=f"Received: rate={rate}"):
        StochasticDepth(rate)
