"""What holds for every builder of `cnnkit.models`, in one battery.

Each family has its own tests for what only it promises: sizes, published outputs.
"""

import contextlib
import os
import re
import subprocess
import sys
from functools import cache, partial
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from references import without_random_start
from sklearn.datasets import load_digits

from cnnkit import models, saving
from cnnkit.models.densenet import VARIANTS as DENSENETS
from cnnkit.models.efficientnet import VARIANTS as EFFICIENTNETS
from cnnkit.models.efficientnet_v2 import VARIANTS as EFFICIENTNETS_V2
from cnnkit.models.mobilenet import VARIANTS as MOBILENETS
from cnnkit.models.mobilenet_v3 import VARIANTS as MOBILENETS_V3
from cnnkit.models.vit import VARIANTS as TRANSFORMERS

# A small network in the table of each deep family: the same kinds of block, fewer.
ROWS = [
    (DENSENETS, {"row": (1, 2, 1, 2)}),
    (EFFICIENTNETS, {"row": (0.25, 0.3, 224, 0.2)}),
    (EFFICIENTNETS_V2, {"row": (0.25, 0.3, 224)}),
    (MOBILENETS, {
        number: [(*row[:2], min(row[2], 1 + (stage == 2)), row[3])
                 for stage, row in enumerate(rows)]
        for number, rows in MOBILENETS.items()
    }),
    (MOBILENETS_V3, {"row": (64, MOBILENETS_V3["small"][1][:5])}),
    (TRANSFORMERS, {"row": (48, 3, 2, 96)}),
]  # fmt: skip
# name: (builder, a picture it takes, other pictures that it takes as they are)
ANY_SIZE = [(33, 47), (96, 64)]
BUILDERS = {
    "alexnet": (models.alexnet, (67, 67, 3), None),
    "alexnet_pooled": (models.alexnet_pooled, (67, 67, 3), [(68, 81), (130, 99)]),
    "alexnet_cifar": (models.alexnet_cifar, (28, 28, 1), None),
    "capsnet": (models.capsnet, (20, 20, 1), None),
    "darknet19": (models.darknet19, (32, 32, 3), ANY_SIZE),
    "densenet": (partial(models.densenet, "row"), (32, 32, 3), ANY_SIZE),
    "densenet_cifar": (partial(models.densenet_cifar, 13), (28, 28, 1), ANY_SIZE),
    "efficientnet": (partial(models.efficientnet, "row"), (32, 32, 3), ANY_SIZE),
    "efficientnet_v2": (partial(models.efficientnet_v2, "row"), (32, 32, 3), ANY_SIZE),
    "googlenet": (models.googlenet, (32, 32, 3), ANY_SIZE),
    "googlenet_cifar": (models.googlenet_cifar, (16, 16, 1), ANY_SIZE),
    "graph_net": (models.graph_net, (28, 28, 1), None),
    "mobilenet 1": (partial(models.mobilenet, 1, width=0.25), (32, 32, 3), ANY_SIZE),
    "mobilenet 2": (partial(models.mobilenet, 2, width=0.35), (32, 32, 3), ANY_SIZE),
    "mobilenet_cifar": (
        partial(models.mobilenet_cifar, 2, width=0.35),
        (16, 16, 1),
        ANY_SIZE,
    ),
    "mobilenet_v3": (partial(models.mobilenet_v3, "row"), (32, 32, 3), ANY_SIZE),
    "plain_cifar": (partial(models.plain_cifar, 8), (28, 28, 1), ANY_SIZE),
    "resnet": (partial(models.resnet, 18), (32, 32, 3), ANY_SIZE),
    "resnet_cifar": (partial(models.resnet_cifar, 8), (28, 28, 1), ANY_SIZE),
    "small_cnn": (models.small_cnn, (28, 28, 1), ANY_SIZE),
    "tiny_vgg": (models.tiny_vgg, (64, 64, 3), None),
    "vgg": (partial(models.vgg, 11), (32, 32, 3), None),
    "vgg_pooled": (partial(models.vgg_pooled, 11), (28, 28, 1), ANY_SIZE),
    "vit": (partial(models.vit, "row"), (32, 32, 3), None),
    "vit_cifar": (partial(models.vit_cifar, 2), (28, 28, 1), None),
}
# Several outputs, trained in a way of their own: their families' tests run them.
MORE_OUTPUTS = {"capsnet_with_reconstruction", "googlenet_with_auxiliary_heads"}
CLOSING = ("features", "pooled", "logits", "probabilities")

every_builder = pytest.mark.parametrize("name", BUILDERS)


def build(name, input_shape=None, num_classes=10):
    builder, usual, _ = BUILDERS[name]
    with contextlib.ExitStack() as tables:
        for table, rows in ROWS:
            tables.enter_context(mock.patch.dict(table, rows))
        return builder(num_classes=num_classes, input_shape=input_shape or usual)


@cache
def usual(name):
    """A model of one seed that no test changes; for any size where that is offered."""
    _, (height, width, channels), sizes = BUILDERS[name]
    keras.utils.set_random_seed(3)
    return build(name, (None, None, channels) if sizes else (height, width, channels))


@cache
def digits(shape):
    """64 scanned digits in a size, as (images, labels)."""
    scans = load_digits()
    images = keras.ops.image.resize(scans.images[:64, ..., None] * 15.9, shape[:2])
    images = np.repeat(np.asarray(images), shape[2], axis=-1)
    return images.astype("float32"), scans.target[:64]


def test_the_battery_knows_every_builder():
    tested = {name.split()[0] for name in BUILDERS}
    assert tested | MORE_OUTPUTS == set(models.__all__)


@every_builder
def test_the_closing_layers_follow_from_each_other(name):
    model = usual(name)
    features, pooled, logits, probabilities = (
        model.get_layer(layer).output for layer in CLOSING
    )
    assert len(features.shape) == 4 and len(pooled.shape) == 2
    assert logits.shape == probabilities.shape == model.output_shape == (None, 10)
    assert logits.dtype == probabilities.dtype == "float32"
    # Row B18 of the gauntlet: a name is made by cnnkit, and safe wherever it is shown.
    assert all(re.fullmatch(r"[a-z]\w*", layer.name, re.A) for layer in model.layers)
    images, _ = digits(BUILDERS[name][1])
    answers = keras.Model(model.input, [logits, probabilities])(images[:3])
    logits, probabilities = (np.asarray(answer) for answer in answers)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(logits.argmax(axis=1), probabilities.argmax(axis=1))


@pytest.mark.parametrize("name", [n for n, (*_, sizes) in BUILDERS.items() if sizes])
def test_one_model_takes_odd_and_large_pictures(name):
    _, shape, sizes = BUILDERS[name]
    assert usual(name).get_layer("features").output.shape[1:3] == (None, None)
    for size in sizes:
        images, _ = digits((*size, shape[2]))
        np.testing.assert_allclose(np.sum(usual(name)(images[:2])), 2, atol=1e-5)


@pytest.mark.parametrize(
    "name", [n for n, (*_, sizes) in BUILDERS.items() if not sizes]
)
def test_a_family_of_one_size_refuses_an_open_one(name):
    shape = (None, None, BUILDERS[name][1][2])
    with pytest.raises(ValueError) as error:
        build(name, shape)
    assert f"Received: input_shape={shape}" in str(error.value)


@every_builder
def test_a_step_is_repeatable_reaches_every_layer_and_lowers_the_loss(name):
    """A short step against the gradient lowers a smooth function: no luck in it."""
    images, labels = (array[:8] for array in digits(BUILDERS[name][1]))
    keras.utils.set_random_seed(3)
    model = build(name)
    for ours, again in zip(model.weights, usual(name).weights, strict=True):
        np.testing.assert_array_equal(ours, again)

    start = [np.array(variable) for variable in model.variables]

    def loss():  # dropout drops the same each time
        for variable, value in zip(model.variables, start, strict=True):
            if not getattr(variable, "trainable", False):
                variable.assign(value)
        says = model(images, training=True)
        wrong = keras.losses.sparse_categorical_crossentropy(labels, says)
        return tf.reduce_mean(wrong) + sum(model.losses)

    weights = model.trainable_weights
    with tf.GradientTape() as tape:
        first = loss()
    assert 1.5 < first < 4.5  # about ln(10) before it has learnt anything
    gradients = tape.gradient(first, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        assert gradient is not None, f"{weight.path} has no gradient"
        if len(weight.shape) > 1 and "bias" not in weight.path:
            assert np.any(gradient), f"{weight.path} has no gradient"
    moved = np.reshape(gradients[0], (-1, gradients[0].shape[-1])).any(axis=0)
    assert moved.mean() > 0.9  # a ReLU may be shut in a few filters, not in all

    steps, _ = tf.clip_by_global_norm(gradients, 1.0)
    before = [np.array(weight) for weight in weights]
    for rate in (1e-3, 1e-4, 1e-5):  # a rough surface needs a shorter step
        for weight, value, step in zip(weights, before, steps, strict=True):
            weight.assign(value - rate * step)
        if lowered := loss() < first:
            break
    assert lowered


@every_builder
def test_a_saved_file_predicts_the_same(name, tmp_path):
    model = usual(name)
    images, _ = digits(BUILDERS[name][1])
    saving.save(model, tmp_path / "model.keras", [f"digit {i}" for i in range(10)])
    loaded, class_names = saving.load(tmp_path / "model.keras")
    expected = np.asarray(model(images[:4]))
    np.testing.assert_array_equal(np.asarray(loaded(images[:4])), expected)
    assert class_names[3] == "digit 3"


@every_builder
def test_probabilities_stay_float32_under_bfloat16(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with without_random_start():
            model = build(name)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("features").compute_dtype == "bfloat16"
    assert model.get_layer("features").output.dtype == "bfloat16"
    assert model.output.dtype == "float32"
    if name == "small_cnn":  # what Keras says of the others, it also does
        images, _ = digits(BUILDERS[name][1])
        probabilities = np.asarray(model(images[:2]))
        assert probabilities.dtype == "float32"
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@every_builder
@pytest.mark.parametrize(
    "argument, value",
    [
        ("num_classes", 1),
        ("input_shape", (64, 64)),
        ("input_shape", (64, 64, 4)),
        ("input_shape", (4, 64, 3)),
    ],
)
def test_a_bad_argument_is_named(name, argument, value):
    with pytest.raises(ValueError) as error, without_random_start():
        build(name, **{argument: value})
    assert f"Received: {argument}={value!r}" in str(error.value)


ON_JAX = """
import sys
sys.path.insert(0, {tests!r})
import keras
import numpy as np
from references import without_random_start
from test_models import BUILDERS, build, digits

assert keras.backend.backend() == "jax"
for name in {names}:
    with without_random_start():
        model = build(name)
    images, labels = digits(BUILDERS[name][1])
    model.load_weights({folder!r} + f"/{{name}}.weights.h5")
    np.save({folder!r} + f"/{{name}}.npy", np.asarray(model(images[:2])))
model.compile("adam", "sparse_categorical_crossentropy")
losses = model.fit(images, labels, epochs=3, verbose=0).history["loss"]
assert losses[-1] < losses[0]
"""
# What is no plain convolution, and small_cnn, which is also trained.
NAMES_ON_JAX = ("alexnet_cifar", "capsnet", "graph_net", "vit_cifar", "small_cnn")


@pytest.mark.slow("a process that imports JAX and compiles five networks")
def test_the_same_weights_give_the_same_answers_on_jax(tmp_path):
    pytest.importorskip("jax")
    expected = {}
    for name in NAMES_ON_JAX:
        model = build(name)
        images, _ = digits(BUILDERS[name][1])
        expected[name] = np.asarray(model(images[:2]))
        model.save_weights(tmp_path / f"{name}.weights.h5")
    program = ON_JAX.format(
        tests=str(Path(__file__).parent), names=NAMES_ON_JAX, folder=str(tmp_path)
    )
    subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            # Each operation is compiled, and runs once: compile it quickly.
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
        },
        check=True,
    )
    for name, answers in expected.items():
        actual = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(actual, answers, atol=1e-4, err_msg=name)
