"""A saved model is complete, opens without cnnkit, and never replaces a good file
with half a file."""

import errno
import json
import os
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from keras.src.applications.efficientnet import EfficientNet

from cnnkit import models, saving, transfer
from cnnkit.models.stochastic_depth import StochasticDepth

NAMES = ("cat", "犬", '<b>"$_{\n')


def small_model(outputs=3, size=8):
    inputs = layers.Input((size, size, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = layers.Conv2D(4, 3, activation="relu", name="features")(x)
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(outputs, name="logits")(x)
    x = layers.Softmax(dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, x, name="small")


def pictures(size, count=2):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (count, size, size, 3)).astype("float32")


@pytest.mark.parametrize(
    "build",
    [
        keras.applications.MobileNetV3Small,
        partial(EfficientNet, 0.25, 0.2, 32, name="few"),  # the layers of B0, fewer
    ],
)
def test_models_of_keras_applications_return_bit_for_bit(build, tmp_path):
    model = build(weights=None, input_shape=(32, 32, 3), classes=3)
    saving.save(model, tmp_path / "m.keras", NAMES)
    loaded, class_names = saving.load(tmp_path / "m.keras")
    images = pictures(32)
    np.testing.assert_array_equal(np.asarray(loaded(images)), np.asarray(model(images)))
    assert class_names == NAMES


@pytest.mark.slow("a process of its own")
def test_a_fresh_process_opens_files_without_cnnkit_and_then_those_with_our_layers(
    tmp_path,
):
    """It has seen none of the classes; `saving` alone is imported, late."""
    base = plain = small_model()
    base = keras.Model(base.input, base.get_layer("features").output)
    x = StochasticDepth(0.3, name="depth")(base.output)
    x = layers.Dense(3)(layers.GlobalAveragePooling2D()(x))
    networks = {
        "depth": keras.Model(base.input, x),
        "cosine": transfer.classifier(base, 3, head="cosine"),
        "vit": models.vit_cifar(2, num_classes=3, input_shape=(8, 8, 3)),
    }
    np.save(tmp_path / "images.npy", pictures(8))
    for name, model in networks.items():
        saving.save(model, tmp_path / f"{name}.keras", NAMES)
    saving.save(plain, tmp_path / "plain.keras", NAMES)
    code = (
        "import sys; sys.modules['cnnkit'] = None\n"  # any import of it fails
        "import keras, numpy\n"
        "images = numpy.load('images.npy')\n"
        "model = keras.saving.load_model('plain.keras')\n"
        "numpy.save('plain.npy', model(images))\n"
        "del sys.modules['cnnkit']\n"
        "from cnnkit import saving\n"
        f"for name in {list(networks)}:\n"
        "    model, names = saving.load(name + '.keras')\n"
        "    numpy.save(name + '.npy', model(images))\n"
        "    print(ascii(names))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(saving.__file__).parents[2])},
    )  # fmt: skip
    assert done.stdout.split("\n")[:3] == [ascii(NAMES)] * 3, done.stderr
    for name, model in networks.items() | {("plain", plain)}:
        answers = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(answers, model(pictures(8)), atol=1e-6)
        assert np.ptp(answers) > 1e-4


def test_sequential_models_and_graphs_of_operations_return_bit_for_bit(tmp_path):
    inputs = layers.Input((8, 8, 3))
    x = keras.ops.flip(inputs[:, 1:, :, :], axis=2) / 127.5 - 1
    x = layers.Conv2D(3, 3, activation=keras.activations.hard_swish)(x)
    x = keras.ops.mean(layers.ReLU(max_value=6)(x), axis=(1, 2))
    graph = keras.Model(inputs, layers.Softmax()(x))
    chain = keras.Sequential([inputs, layers.Flatten(), layers.Dense(3, "softmax")])
    for model in (graph, chain):
        saving.save(model, tmp_path / "m.keras", NAMES, overwrite=True)
        loaded, _ = saving.load(tmp_path / "m.keras")
        np.testing.assert_array_equal(
            loaded.predict_on_batch(pictures(8)), model.predict_on_batch(pictures(8))
        )


def test_the_file_says_in_json_what_the_model_wants(tmp_path):
    path = saving.save(small_model(), tmp_path / "new" / "folder" / "m.keras", NAMES)
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read("cnnkit.json"))
    assert about["class_names"] == list(NAMES)
    assert about["input_shape"] == [8, 8, 3]
    assert about["keras_version"] == keras.__version__
    assert "[0, 255]" in about["input"]


def test_saving_leaves_training_state_out_and_the_model_as_it_was(tmp_path):
    model = small_model()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(pictures(8), np.array([0, 1]), verbose=0)
    path = saving.save(model, tmp_path / "m.keras", NAMES)
    assert model.compiled and model.optimizer.iterations == 1
    assert model.get_layer("pooled").output.shape == (None, 4)
    assert not keras.saving.load_model(path).compiled
    small = path.stat().st_size
    model.save(tmp_path / "plain.keras")
    assert small < (tmp_path / "plain.keras").stat().st_size


def test_a_file_of_plain_keras_loads_without_names_and_uncompiled(tmp_path):
    inner = small_model(outputs=4)
    inner.compile("sgd", "mse")
    inputs = layers.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Dense(3)(inner(inputs)))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(pictures(8), np.array([0, 1]), verbose=0)
    model.save(tmp_path / "m.keras")
    loaded, class_names = saving.load(tmp_path / "m.keras")
    assert class_names is None and not loaded.compiled
    np.testing.assert_array_equal(
        loaded.predict_on_batch(pictures(8)), model.predict_on_batch(pictures(8))
    )


class Twice(layers.Layer):
    def call(self, x):
        return 2 * x


def test_a_custom_layer_loads_only_when_its_class_is_trusted(tmp_path):
    inputs = layers.Input((8, 8, 3))
    x = Twice(name="mine")(layers.Flatten()(inputs))
    model = keras.Model(inputs, layers.Dense(3)(x))
    path = saving.save(model, tmp_path / "m.keras", NAMES)
    with pytest.raises(saving.UnsafeModelError, match=r"'mine' asks for .*Twice"):
        saving.load(path)
    with pytest.raises(ValueError, match="classes, not their names"):
        saving.load(path, trusted=["Twice"])
    loaded, _ = saving.load(path, trusted=[Twice])
    np.testing.assert_array_equal(
        loaded.predict_on_batch(pictures(8)), model.predict_on_batch(pictures(8))
    )


@pytest.mark.parametrize(
    "names", ["cat", ("a", "b"), ("a", "a", "b"), ("a", "", "b"), (1, 2, 3), None]
)
def test_names_must_be_one_different_text_for_each_output(names, tmp_path):
    with pytest.raises(ValueError, match="`class_names` must.*Received: class_names="):
        saving.save(small_model(), tmp_path / "m.keras", names)
    assert not list(tmp_path.iterdir())


def test_unsuitable_paths_and_models_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"end in \.keras.*Received"):
        saving.save(small_model(), tmp_path / "m.h5", NAMES)
    with pytest.raises(ValueError, match="built.*Received: Sequential"):
        saving.save(keras.Sequential([layers.Dense(3)]), tmp_path / "m.keras", NAMES)
    with pytest.raises(FileNotFoundError, match=r"absent\.keras"):
        saving.load(tmp_path / "absent.keras")


def test_an_existing_file_is_replaced_only_when_asked(tmp_path):
    path = tmp_path / "m.keras"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        saving.save(small_model(), path, NAMES)
    assert path.read_text() == "mine"
    saving.save(small_model(), path, NAMES, overwrite=True)
    assert saving.load(path)[1] == NAMES


def disk_full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupted(model, path, **kwargs):
    with open(path, "wb") as file:
        file.write(b"half a fi")
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("owner", "function", "fault", "expected"),
    [
        (os, "replace", disk_full, OSError),
        (os, "fsync", disk_full, OSError),
        (zipfile.ZipFile, "writestr", disk_full, OSError),
        (keras.saving, "save_model", interrupted, KeyboardInterrupt),
    ],
)
def test_a_fault_while_saving_leaves_the_old_file_and_nothing_else(
    owner, function, fault, expected, tmp_path, monkeypatch
):
    path = saving.save(small_model(), tmp_path / "m.keras", NAMES)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(owner, function, fault)
        with pytest.raises(expected):
            saving.save(small_model(), path, NAMES, overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_new_files_have_the_permissions_that_the_user_gives_to_files(tmp_path):
    path = saving.save(small_model(), tmp_path / "m.keras", NAMES)
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
