"""Rows A of the gauntlet: model files that attack, lie or are broken.

Every hostile file is made here from a good one. Where the attack is real, the test
also shows that it works on Keras with its safe mode off.
"""

import ast
import inspect
import json
import pathlib
import sys
import warnings
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from cnnkit import saving
from cnnkit.saving import CorruptModelError, UnsafeModelError, allowed, archive

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 6, 6, 3)).astype("float32")


def tiny(units=3):
    inputs = layers.Input((6, 6, 3))
    x = layers.Conv2D(2, 3, activation="relu", name="features")(inputs)
    x = layers.Dense(units, activation="softmax", name="x")(layers.Flatten()(x))
    return keras.Model(inputs, x)


@pytest.fixture(autouse=True)
def registry():
    """What a test registers with Keras ends with the test."""
    before = dict(keras.saving.get_custom_objects())
    yield
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(before)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """The members of a good file."""
    path = tmp_path_factory.mktemp("good") / "good.keras"
    saving.save(tiny(), path, ("a", "b", "c"))
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def pack(path, members, extra=(), compression=zipfile.ZIP_STORED):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as file:
        warnings.simplefilter("ignore")  # of duplicate names
        for name, content in [*members.items(), *extra]:
            file.writestr(name, content)
    return path


def with_layer(members, **changes):
    """The good file, with the entry of layer "x" changed."""
    config = json.loads(members["config.json"])
    entry = next(e for e in config["config"]["layers"] if e["name"] == "x")
    entry["config"].update(changes.pop("config", {}))
    entry.update(changes)
    return {**members, "config.json": json.dumps(config).encode()}


def refusal(path, kind=UnsafeModelError, **arguments):
    """The message of a refusal, which is short and names the file."""
    with pytest.raises(kind) as caught:
        saving.load(path, **arguments)
    message = str(caught.value)
    assert len(message) < 300 and pathlib.Path(path).name in message
    return message


def test_the_good_file_loads(members, tmp_path):
    model, names = saving.load(pack(tmp_path / "m.keras", members))
    assert names == ("a", "b", "c")
    assert model.predict_on_batch(IMAGES).shape == (2, 3)


def test_a01_code_in_a_lambda_layer_never_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "marker"
    inputs = layers.Input((6, 6, 3))
    attack = layers.Lambda(
        lambda x: (open("marker", "w").close(), x)[1], output_shape=(6, 6, 3)
    )
    path = tmp_path / "m.keras"
    keras.Model(inputs, layers.Dense(3)(layers.Flatten()(attack(inputs)))).save(path)
    marker.unlink(missing_ok=True)

    assert "keras.layers.Lambda" in refusal(path)
    assert not marker.exists()
    assert not {"safe_mode", "unsafe"} & set(inspect.signature(saving.load).parameters)
    keras.saving.load_model(path, safe_mode=False).predict_on_batch(IMAGES)
    assert marker.exists()  # the attack is real


def test_a02_other_kinds_of_file_are_refused_by_name_and_by_content(tmp_path, members):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tiny().save(tmp_path / "m.h5")
    assert ".keras" in refusal(tmp_path / "m.h5")
    hidden = (tmp_path / "m.h5").rename(tmp_path / "hidden.keras")
    assert "HDF5" in refusal(hidden)
    (tmp_path / "p.keras").write_bytes(b"\x80\x04K\x01.")
    assert "pickle" in refusal(tmp_path / "p.keras")
    pack(tmp_path / "m.zip", members)
    assert ".keras" in refusal(tmp_path / "m.zip")
    (tmp_path / "folder.keras").mkdir()
    assert ".keras" in refusal(tmp_path / "folder.keras")
    for address in ("hf://someone/m.keras", "https://example.org/m.keras"):
        assert "Download" in refusal(address)


def test_a03_no_other_door_of_keras_is_used():
    calls = set()
    for source in pathlib.Path(saving.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            calls |= {node.attr} if isinstance(node, ast.Attribute) else set()
    doors = {"from_config", "model_from_json", "load_weights", "func_load"}
    assert "load_model" in calls and not calls & doors


STRANGERS = [
    ("os", "system"),
    ("builtins", "exec"),
    ("subprocess", "Popen"),
    ("keras.utils", "set_random_seed"),
    ("keras.config", "enable_unsafe_deserialization"),
    ("keras.utils", "get_file"),
    ("keras.saving", "load_model"),
    ("keras.activations", "deserialize"),
]


@pytest.mark.parametrize(("module", "name"), STRANGERS)
def test_a04_to_a07_functions_outside_the_list_are_refused(
    module, name, members, tmp_path
):
    function = {"class_name": "function", "module": module, "config": name}
    function["registered_name"] = name
    bad = with_layer(members, config={"activation": function})
    message = refusal(pack(tmp_path / "m.keras", bad))
    assert f"layer 'x' asks for '{module}.{name}'" in message
    bad = with_layer(members, module=module, class_name=name)
    assert f"{module}.{name}" in refusal(pack(tmp_path / "m.keras", bad))
    assert keras.config.floatx() == "float32"


@pytest.mark.parametrize(
    "name",
    "Lambda StringLookup IntegerLookup TextVectorization TFSMLayer TorchModuleWrapper "
    "JaxLayer FlaxLayer".split(),
)
def test_a08_and_a09_layers_that_read_files_or_hold_code_are_refused(
    name, members, tmp_path
):
    bad = with_layer(members, class_name=name)
    backends = {"torch", "jax", "flax"}  # TensorFlow itself loads jax where it is
    before = backends & set(sys.modules)
    assert f"keras.layers.{name}" in refusal(pack(tmp_path / "m.keras", bad))
    assert backends & set(sys.modules) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"registered_name": "test>Impostor"},  # Keras would follow this name
        {
            "registered_name": "test>Impostor",
            "class_name": "Impostor",
            "module": __name__,
        },
        {"class_name": "__lambda__"},
        {"class_name": "__typespec__"},
        {"class_name": ["Dense"]},
        {"class_name": None},
        {"module": None},
        {"module": "keras.src.layers.core.lambda_layer"},
        {"module": {"class_name": "Dense"}},
        {"module": "keras.src.ops.numpy", "class_name": "__builtins__"},
        {"module": "cnnkit.models", "registered_name": "cnnkit>Absent"},
    ],
)
def test_a10_a_class_must_be_what_it_says(changes, members, tmp_path):
    @keras.saving.register_keras_serializable("test")
    class Impostor(layers.Layer):
        """A class that was registered by another library in this process."""

    path = pack(tmp_path / "m.keras", with_layer(members, **changes))
    assert "layer 'x' asks for" in refusal(path)


def test_a10_layers_of_cnnkit_itself_are_allowed(members, tmp_path):
    @keras.saving.register_keras_serializable("cnnkit")
    class Dense(layers.Dense):  # the name is also that of its weights in the file
        """Stands for a layer that a family of cnnkit defines."""

    entry = {"class_name": "Dense", "registered_name": "cnnkit>Dense"}
    pack(tmp_path / "m.keras", with_layer(members, module="cnnkit.models.own", **entry))
    refusal(tmp_path / "m.keras")  # registered as cnnkit's, but defined elsewhere
    Dense.__module__ = "cnnkit.models.own"
    assert saving.load(tmp_path / "m.keras")[1] == ("a", "b", "c")
    pack(tmp_path / "m.keras", with_layer(members, module="os", **entry))
    assert "os.Dense" in refusal(tmp_path / "m.keras")


def test_a05_nothing_loads_after_safe_mode_was_switched_off(members, tmp_path):
    from keras.src.backend.common import global_state

    path = pack(tmp_path / "m.keras", members)
    keras.config.enable_unsafe_deserialization()
    try:
        assert "enable_unsafe_deserialization" in refusal(path)
    finally:
        global_state.set_global_attribute("safe_mode_saving", None)
    saving.load(path)


@pytest.mark.parametrize(
    "name", ["../x", "/abs/x", "assets/../../x", "..\\x", "assets/a.txt", "CON", "x/"]
)
def test_a11_and_a12_members_that_do_not_belong_are_refused(name, members, tmp_path):
    path = pack(tmp_path / "m.keras", members, extra=[(name, b"text")])
    assert "does not belong" in refusal(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a13_two_members_of_one_name_are_refused(members, tmp_path):
    for name in members:
        path = pack(tmp_path / "m.keras", members, extra=[(name, members[name])])
        assert f"'{name}' is there twice" in refusal(path)


def test_a13_of_two_keys_the_one_that_was_checked_is_loaded(members, tmp_path):
    text = members["config.json"].decode()
    hostile = with_layer(members, class_name="Lambda")["config.json"].decode()
    inner = hostile[hostile.index('"config"') : hostile.rindex('"registered_name"')]
    twice = {**members, "config.json": f"{{{inner}{text[1:]}".encode()}
    assert "Lambda" in twice["config.json"].decode()
    model, _ = saving.load(pack(tmp_path / "m.keras", twice))
    assert isinstance(model.get_layer("x"), layers.Dense)


def test_a14_and_a16_padded_and_endlessly_nested_configs_are_refused(members, tmp_path):
    padded = {**members, "config.json": members["config.json"] + b" " * 2**26}
    path = pack(tmp_path / "m.keras", padded, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 200_000
    assert "config.json holds over" in refusal(path)
    for depth in (allowed.MAX_DEPTH + 2, 200_000):
        deep = {**members, "config.json": b'{"a":' + b"[" * depth + b"]" * depth + b"}"}
        kind = UnsafeModelError if depth < 1000 else CorruptModelError
        assert "config" in refusal(pack(tmp_path / "m.keras", deep), kind)


def test_a22_files_that_are_cut_off_empty_or_random_are_described(members, tmp_path):
    path = tmp_path / "m.keras"
    whole = pack(path, members).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged archive" in refusal(path, CorruptModelError)
    for content in (b"", b"<!DOCTYPE html>", np.random.default_rng(0).bytes(999)):
        path.write_bytes(content)
        message = refusal(path, CorruptModelError)
        assert f"{len(content)} bytes" in message and "exists" in message


@pytest.mark.parametrize("name", ["config.json", "metadata.json", archive.WEIGHTS])
def test_a23_a_file_that_lacks_a_part_is_refused(name, members, tmp_path):
    part = {key: value for key, value in members.items() if key != name}
    path = pack(tmp_path / "m.keras", part)
    assert f"lacks {name}" in refusal(path, CorruptModelError)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"[]"),
        ("config.json", b"{}"),
        ("config.json", b"\xff\xfe{"),
        ("metadata.json", b"not json"),
        ("cnnkit.json", b'"text"'),
        ("cnnkit.json", b"{}"),
        ("cnnkit.json", b'{"class_names": ["a", "b"]}'),
        ("cnnkit.json", b'{"class_names": ["a", "a", "b"]}'),
        (archive.WEIGHTS, b"not HDF5"),
    ],
)
def test_a24_a_part_that_does_not_fit_is_refused(name, content, members, tmp_path):
    path = pack(tmp_path / "m.keras", {**members, name: content})
    refusal(path, CorruptModelError)


def test_a24_weights_of_another_model_are_refused(members, tmp_path):
    saving.save(tiny(units=4), tmp_path / "other.keras", list("abcd"))
    with zipfile.ZipFile(tmp_path / "other.keras") as other:
        mixed = {**members, archive.WEIGHTS: other.read(archive.WEIGHTS)}
    path = pack(tmp_path / "m.keras", mixed)
    assert "Keras cannot build it" in refusal(path, CorruptModelError)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a25_weights_that_are_not_finite_load_only_when_asked(value, tmp_path):
    model = tiny()
    kernel = model.get_layer("features").kernel
    kernel.assign(np.where(np.arange(kernel.shape[-1]) == 1, value, kernel.numpy()))
    path = saving.save(model, tmp_path / "m.keras", ("a", "b", "c"))
    assert "features/kernel" in refusal(path, CorruptModelError)
    saving.load(path, allow_nonfinite=True)


def test_a26_flipped_bits_are_noticed_or_harmless(members, tmp_path):
    path = pack(tmp_path / "m.keras", members)
    good = path.read_bytes()
    expected = saving.load(path)[0].predict_on_batch(IMAGES)
    rng, noticed = np.random.default_rng(0), 0
    for _ in range(40):
        bad = bytearray(good)
        bad[rng.integers(len(bad))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        try:
            model, names = saving.load(path)
        except (UnsafeModelError, CorruptModelError):
            noticed += 1
        else:
            assert names == ("a", "b", "c")
            np.testing.assert_array_equal(model.predict_on_batch(IMAGES), expected)
    assert noticed > 30


def test_a29_the_bytes_that_were_checked_are_the_bytes_that_load(
    members, tmp_path, monkeypatch
):
    path = pack(tmp_path / "m.keras", members)
    check = allowed.in_keras

    def swap(*arguments):
        path.write_bytes(b"another file")
        return check(*arguments)

    monkeypatch.setattr(allowed, "in_keras", swap)
    model, _ = saving.load(path)
    assert path.read_bytes() == b"another file"
    assert model.predict_on_batch(IMAGES).shape == (2, 3)


def test_messages_stay_short_and_plain_when_every_name_is_hostile(members, tmp_path):
    long = "\x1b[2J\n<script>" + "長い" * 200
    bad = with_layer(members, class_name=long, module=long, config={"name": long})
    message = refusal(pack(tmp_path / "m.keras", bad))
    path = pack(tmp_path / ("n" * 240 + ".keras"), bad)
    with pytest.raises(UnsafeModelError) as caught:
        saving.load(path)
    for text in (message, str(caught.value)):
        assert len(text) < 300 and text.isprintable()
