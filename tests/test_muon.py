import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from cnnkit.training import Muon

RATES = {"learning_rate": 0.02, "weight_decay": 0.1}
IMAGES = np.random.default_rng(0).normal(size=(40, 3, 3, 4)).astype("float32")
TARGETS = np.random.default_rng(1).normal(size=(40, 6)).astype("float32")


def trained(optimizer, *parts):
    """What a model has learnt in five steps."""
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = keras.Sequential([keras.Input((3, 3, 4)), *parts])
    for variable in model.variables:
        luck = np.random.default_rng(variable.shape.num_elements())
        variable.assign(luck.normal(0, 0.1, variable.shape))
    model.compile(optimizer, "mse")
    model.fit(IMAGES, TARGETS, batch_size=8, epochs=1, shuffle=False, verbose=0)
    return [np.ravel(variable) for variable in model.trainable_variables]


def test_a_convolution_moves_as_a_dense_layer_does_with_the_muon_of_keras():
    """A window that shows the whole picture is a dense layer."""
    conv = trained(Muon(**RATES), layers.Conv2D(6, 3), layers.Flatten())
    plain = keras.optimizers.Muon(**RATES, adam_weight_decay=0.1)
    for ours, theirs in zip(
        conv, trained(plain, layers.Flatten(), layers.Dense(6)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "part", [layers.Dense, lambda n: layers.DepthwiseConv2D(3, name="dw")]
)
def test_what_is_no_convolution_moves_as_with_adamw(part):
    both = [
        trained(kind(**RATES), part(4), layers.Flatten(), layers.Dense(6))
        for kind in (Muon, keras.optimizers.AdamW)
    ]
    for ours, theirs in zip(*both, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 40), st.integers(2, 40), st.integers(0, 99))
def test_a_step_is_equally_long_in_all_directions(size, inputs, outputs, seed):
    """Jordan: the singular values end between 0.7 and 1.2, whatever they were."""
    gradient = np.random.default_rng(seed).normal(size=(size, size, inputs, outputs))
    gradient = gradient.astype("float32")
    kernel = keras.Variable(np.zeros_like(gradient))
    optimizer = Muon(0.1, weight_decay=None, momentum=0.0)
    optimizer.apply([gradient], [kernel])
    step = kernel.numpy().reshape(-1, outputs) / -0.1
    directions = np.linalg.svd(step, compute_uv=False)
    directions /= 0.2 * max(step.shape) ** 0.5  # the size of a step of AdamW
    before = np.linalg.svd(gradient.reshape(step.shape), compute_uv=False)
    seen = before / np.linalg.norm(before) > 0.01  # the others are only begun with
    assert np.all((directions[seen] > 0.6) & (directions[seen] < 1.25))


def test_it_is_saved_as_it_is():
    config = keras.optimizers.serialize(Muon(0.01, momentum=0.8))
    loaded = keras.optimizers.deserialize(config)
    assert type(loaded) is Muon and loaded.momentum == 0.8
