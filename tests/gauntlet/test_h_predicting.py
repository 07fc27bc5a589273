"""Rows H of the gauntlet: a model that is used is given what it learnt from."""

import json
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from PIL import Image

from cnnkit import data, evaluation, saving
from cnnkit.__main__ import main


def classifier(shape, classes=2):
    inputs = layers.Input(shape)
    x = layers.Conv2D(8, 3, activation="relu")(layers.Rescaling(1 / 255)(inputs))
    x = layers.GlobalAveragePooling2D()(x) * 9
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 pictures of several shapes, and what lies beside pictures."""
    keras.utils.set_random_seed(0)
    folder, rng = tmp_path_factory.mktemp("some") / "photos", np.random.default_rng(0)
    for number in range(24):
        place = folder / ("con", "猫")[number % 2] / f"{number // 2}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (*rng.integers(20, 60, 2), 3), dtype="uint8")
        pixels[..., number % 2] = 255
        Image.fromarray(pixels).save(place)
    return folder


@pytest.fixture(scope="module")
def photos(folder):
    reading = {"fit": "pad", "background": "black", "together": "same"}
    return data.from_folder(folder, image_size=24, **reading)


@pytest.fixture(scope="module")
def model_file(photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.keras"
    return saving.save(classifier((24, 24, 3)), path, photos, unsure_below=0.0)


@pytest.mark.parametrize(
    ("reading", "shape"),
    [
        ({"fit": "pad", "background": "black"}, (24, 24, 3)),
        ({"fit": "crop", "grey": True}, (24, 24, 1)),
        ({"fit": "pad", "background": "black"}, (None, None, 3)),
        ({"fit": "resize"}, (24, 32, 3)),
    ],
)
def test_the_command_reads_pictures_as_they_were_learnt(
    reading, shape, folder, tmp_path
):
    size = [side or 24 for side in shape[:2]]
    photos = data.from_folder(folder, image_size=size, together="same", **reading)
    model = classifier(shape)
    path = saving.save(model, tmp_path / "m.keras", photos)
    expected = evaluation.predict(model, photos)
    files = [str(folder / name) for name in expected["file"]]
    out = tmp_path / "answers.csv"
    assert main(["predict", str(path), *files, "--out", str(out)]) == 0
    answers = pd.read_csv(out)
    assert list(answers["file"]) == files
    assert list(answers["class"]) == list(expected["predicted"])
    np.testing.assert_allclose(answers["probability"], expected["confidence"], 1e-5)
    table = evaluation.predict_files(model, files, like=photos)
    same = ["file", "class", "probability"]
    pd.testing.assert_frame_equal(table[same], answers[same])


def test_a_folder_an_archive_and_a_pattern_are_answered_alike(
    model_file, folder, tmp_path, capfd
):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for path in folder.rglob("*.png"):
            archive.write(path, path.relative_to(folder))
    pattern = str(folder / "*" / "*.png")
    tables = [
        evaluation.predict_files(model_file, given)
        for given in (folder, tmp_path / "p.zip", pattern, sorted(folder.rglob("*.*")))
    ]
    assert len(tables[0]) == 24
    for table in tables:
        table = table.assign(file=table["file"].str[-8:]).sort_values("file")
        first = tables[0].assign(file=tables[0]["file"].str[-8:]).sort_values("file")
        pd.testing.assert_frame_equal(
            table.reset_index(drop=True), first.reset_index(drop=True)
        )
    (tmp_path / "notes.txt").write_text("a")
    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    evaluation.predict_files(model_file, tmp_path)
    assert "'notes.txt'" in capfd.readouterr().err  # what is left out is named


def test_pictures_are_sorted_into_safe_folders_and_nothing_is_lost(
    folder, tmp_path, capsys
):
    photos = data.from_folder(folder, image_size=24, together="same")
    model = classifier((24, 24, 3), classes=3)
    names = ["con", "../up", "unsure"]
    path = saving.save(model, tmp_path / "m.keras", names, unsure_below=0.4)
    broken = tmp_path / "bad.jpg"
    broken.write_bytes(b"text")
    new = tmp_path / "new"
    command = ["predict", str(path), str(folder), str(broken), "--sort-into", str(new)]
    assert main(command) == 1
    assert "bad.jpg': it is text" in capsys.readouterr().err
    copies = [file for file in new.rglob("*") if file.is_file()]
    assert sorted(file.read_bytes() for file in copies) == sorted(
        file.read_bytes() for file in folder.rglob("*.png")
    )
    places = {file.parent.name for file in copies}
    assert places <= {"_con", "_.._up", "unsure", "unsure_"}
    assert main(command) == 2  # a second time
    assert "new or empty folder" in capsys.readouterr().err
    assert main([*command[:-1], str(folder / "sorted")]) == 2
    assert "beside the pictures" in capsys.readouterr().err
    assert photos.num_classes == 2 and not (folder / "sorted").exists()


def build(shape, *stack):
    return keras.Sequential([layers.Input(shape), layers.Flatten(), *stack])


def two_inputs():
    a, b = layers.Input((24, 24, 3)), layers.Input((24, 24, 3))
    return keras.Model([a, b], layers.Dense(2, "softmax")(layers.Flatten()(a + b)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build((24, 24, 3), layers.Dense(2)), "ends in logits"),
        (lambda: build((24, 24, 3), layers.Dense(1, "sigmoid")), "becomes two: 1 - p"),
        (lambda: build((3, 24, 24), layers.Dense(2, "softmax")), "channels come first"),
        (lambda: build((9,), layers.Dense(2, "softmax")), "three sides: height"),
        (lambda: build((24, 24, 4), layers.Dense(2, "softmax")), "1 (grey) or 3 (RGB)"),
        (two_inputs, "several inputs, and a picture is one"),
    ],
)
def test_what_is_no_classifier_of_pictures_is_told_so_at_each_door(
    make, message, photos, folder, tmp_path, capsys
):
    model = make()
    model.save(tmp_path / "m.keras")
    assert main(["predict", str(tmp_path / "m.keras"), str(folder)]) == 2
    said = capsys.readouterr()
    assert message in said.err and "%" not in said.out and "Error" not in said.err
    with pytest.raises(
        ValueError, match=message.replace("(", r"\(").replace(")", r"\)")
    ):
        evaluation.predict(model, photos)


def test_a_model_that_may_want_other_pixels_is_doubted(folder, tmp_path, capsys):
    build((24, 24, 3), layers.Dense(2, "softmax")).save(tmp_path / "m.keras")
    assert main(["predict", str(tmp_path / "m.keras"), str(folder)]) == 0
    said = capsys.readouterr().err
    assert "no layer of it scales pixels" in said and "how its pictures were" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.keras", "PHOTOS"], "There is no such model file"),
        (["https://example.org/m.keras", "PHOTOS"], "an address is no file"),
        (["FOLDER", "PHOTOS"], "Name the file in it"),
        (["PHOTOS", "PHOTOS"], "a folder is no model file"),
        (["MODEL", "EMPTY"], "There is no picture in it"),
        (["MODEL", "https://example.org/a.png"], "download it"),
        (["MODEL", "EMPTY/*.png"], "No file fits this pattern"),
        (["MODEL", "PHOTOS", "--top", "0"], "`top` counts classes"),
        (["MODEL", "PHOTOS", "--top", "-1"], "`top` counts classes"),
        (["MODEL", "PHOTOS", "--unsure-below", "1.5"], "from 0 to 1"),
        (["MODEL", "PHOTOS", "--out", "MODEL"], "ends in .csv"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    arguments, message, model_file, folder, tmp_path, capsys
):
    words = {"MODEL": model_file, "FOLDER": model_file.parent, "PHOTOS": folder}
    words["EMPTY"] = tmp_path
    for word, path in words.items():
        arguments = [argument.replace(word, str(path)) for argument in arguments]
    assert main(["predict", *arguments]) == 2
    said = capsys.readouterr().err.splitlines()
    assert message in said[-1] and "Errno" not in said[-1]


def test_unsure_below_is_the_least_confidence_with_so_many_right():
    sure = np.linspace(0.99, 0.51, 49)
    right = np.ones(49, bool)
    right[30:] = np.arange(19) % 2
    answers = np.stack([sure, 1 - sure], axis=1)
    below = evaluation.unsure_below(np.where(right, 0, 1), answers)
    shares = [right[: k + 1].mean() for k in range(49)]
    assert below == sure[max(k for k in range(49) if shares[k] >= 0.95)]
    assert evaluation.unsure_below(np.zeros(49, int), answers) == 0.5  # all are right
    assert evaluation.unsure_below(np.ones(49, int), answers) is None
    assert evaluation.unsure_below([0] * 10 + [1] * 10, answers[:20]) is None


def test_the_file_says_when_to_be_unsure(photos, folder, tmp_path, capsys):
    model = classifier((24, 24, 3))
    path = saving.save(model, tmp_path / "m.keras", photos, unsure_below=1.0)
    table = evaluation.predict_files(path, folder)
    assert set(table["answer"]) == {"unsure"} and set(table["class"]) <= {"con", "猫"}
    always = evaluation.predict_files(path, folder, unsure_below=0)
    assert list(always["answer"]) == list(table["class"])
    assert main(["predict", str(path), str(folder / "猫" / "1.png")]) == 0
    assert "\tunsure: " in capsys.readouterr().out


def test_a_file_is_inspected_without_keras(model_file):
    code = (
        "import sys, json; from cnnkit import saving\n"
        "print(json.dumps(saving.inspect(sys.argv[1])))\n"
        "print(*{'keras', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, model_file], capture_output=True, check=True
    )
    told, loaded = done.stdout.decode().splitlines()
    told = json.loads(told)
    assert told["class_names"] == ["con", "猫"] and told["unsure_below"] == 0
    assert told["reading"]["fit"] == "pad" and told["reading"]["background"] == "black"
    assert told["input_shape"] == [24, 24, 3] and told["layers_of_cnnkit"] == []
    assert told["keras_version"] == keras.__version__ and not loaded


def rewritten(path, member, **changes):
    """The file with other values in a member."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members[member] = json.dumps({**json.loads(members[member]), **changes})
    new = path.with_name("new.keras")
    with zipfile.ZipFile(new, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return new


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": ["a", "a"]},
        {"unsure_below": float("nan")},
        {"unsure_below": "0.5"},
        {"reading": [1]},
        {"reading": {"fit": "\x1b[2J" * 99}},
        {"reading": {"image_size": [10**9, 10**9]}},
        {"reading": {"image_size": "ab"}},
        {"reading": {"background": {"a": 1}}},
        {"reading": {"from_the_future": 1}},
        {"cnnkit_version": {"a": 1}},
    ],
)
def test_what_a_file_says_of_itself_is_not_believed(changes, model_file, folder):
    path = rewritten(model_file, "cnnkit.json", **changes)
    with pytest.raises(saving.CorruptModelError, match=r"Received: .*new\.keras"):
        evaluation.predict_files(path, folder)


def test_files_of_other_versions_name_both(model_file):
    new = rewritten(model_file, "metadata.json", keras_version="99.1.0")
    with pytest.warns(UserWarning, match=rf"99\.1\.0, .* {keras.__version__}"):
        saving.load(new)
    new = rewritten(model_file, "cnnkit.json", cnnkit_version="99.0")
    with pytest.warns(UserWarning, match=r"cnnkit 99\.0, and here is cnnkit"):
        saving.load(new)
    old = rewritten(model_file, "metadata.json", keras_version="2.15.0")
    with pytest.raises(
        saving.CorruptModelError, match=rf"2\.15\.0 .*{keras.__version__}"
    ):
        saving.load(old)


def test_what_is_saved_is_what_loads(tmp_path):
    inside = [layers.RandomShear(0.2, (0.1, 0.3)), layers.RandAugment()]
    inside += [layers.AugMix(), layers.RandomErasing(), layers.RandomGaussianBlur()]
    names = [x for x in dir(layers) if x.startswith("Random")]
    model = keras.Sequential(
        [layers.Input((24, 24, 3)), *inside, layers.Flatten(), layers.Dense(2)]
    )
    loaded, _ = saving.load(saving.save(model, tmp_path / "m.keras", ["a", "b"]))
    images = np.random.default_rng(0).uniform(0, 255, (2, 24, 24, 3))
    np.testing.assert_array_equal(
        loaded.predict_on_batch(images), model.predict_on_batch(images)
    )
    from cnnkit.saving import allowed

    assert set(names) <= allowed.LAYERS  # all of Keras' own augmentation
    bad = build((24, 24, 3), layers.Lambda(lambda x: x), layers.Dense(2))
    with pytest.raises(saving.UnsafeModelError, match="`load` would refuse"):
        saving.save(bad, tmp_path / "bad.keras", ["a", "b"])
    assert not (tmp_path / "bad.keras").exists()
    lstm = build((4, 4, 3), layers.Reshape((4, 12)), layers.LSTM(3), layers.Dense(2))
    lstm.save(tmp_path / "lstm.keras")
    with pytest.raises(saving.UnsafeModelError, match=r"LSTM.*`trusted`"):
        saving.load(tmp_path / "lstm.keras")
    saving.load(tmp_path / "lstm.keras", trusted=[layers.LSTM])  # as it recommends


def entry(kind, name, *, after=None, **config):
    """A layer as Keras 2 wrote it: a name without a module, edges as lists."""
    nodes = [] if after is None else [[[after, 0, 0, {}]]]
    config = {"name": name, "trainable": True, "dtype": "float32", **config}
    return {"class_name": kind, "config": config, "name": name, "inbound_nodes": nodes}


@pytest.fixture(scope="module")
def teachable(tmp_path_factory):
    """An .h5 file as of Teachable Machine: models in a model, and `groups`."""
    folder, shape = tmp_path_factory.mktemp("h5"), [None, 24, 24, 3]
    inputs = layers.Input(shape[1:], name="in")
    depthwise = layers.DepthwiseConv2D(3, name="d", depthwise_initializer="he_normal")
    base = keras.Model(inputs, layers.ReLU(6, name="r")(depthwise(inputs)), name="base")
    body = keras.Sequential([base, layers.GlobalAveragePooling2D()], name="body")
    head = [layers.Input((3,)), layers.Dense(2, "softmax", name="dense")]
    head = keras.Sequential(head, name="head")
    model = keras.Sequential([layers.Input(shape[1:]), body, head])
    model.save(folder / "keras_model.h5")
    start = {"class_name": "Zeros", "config": {}}
    first = entry("InputLayer", "in", batch_input_shape=shape, sparse=False)
    graph = {
        "name": "base",
        "layers": [
            first,
            entry("DepthwiseConv2D", "d", after="in", kernel_size=[3, 3], groups=1,
                  strides=[1, 1], bias_initializer=start),
            entry("ReLU", "r", after="d", max_value=6.0),
        ],
        "input_layers": [["in", 0, 0]],
        "output_layers": [["r", 0, 0]],
    }  # fmt: skip
    pool = entry("GlobalAveragePooling2D", "pool", data_format="channels_last")
    body = [first, {"class_name": "Functional", "config": graph}, pool]
    dense = entry("Dense", "dense", units=2, activation="softmax",
                  batch_input_shape=[None, 3])  # fmt: skip
    parts = [("body", body), ("head", [dense])]
    parts = [
        {"class_name": "Sequential", "config": {"name": name, "layers": inside}}
        for name, inside in parts
    ]
    config = {"name": "whole", "layers": parts}
    with h5py.File(folder / "keras_model.h5", "r+") as file:
        file.attrs["keras_version"] = "2.4.0"
        file.attrs["model_config"] = json.dumps(
            {"class_name": "Sequential", "config": config}
        )
    (folder / "labels.txt").write_text("0 Cat\n1 My dog\n\n", "utf-8")
    return folder, model


@pytest.mark.parametrize("version", [2, 3])
def test_a_file_of_teachable_machine_is_converted(version, teachable, tmp_path):
    folder, model = teachable
    file = folder / "keras_model.h5"
    if version == 3:
        file = tmp_path / "new.h5"
        model.save(file)
    with pytest.raises(saving.UnsafeModelError, match=r"saving\.convert_h5"):
        saving.load(file)
    path = saving.convert_h5(file, tmp_path / "m.keras", folder / "labels.txt")
    loaded, names = saving.load(path)
    assert names == ("Cat", "My dog")
    assert saving.inspect(path)["reading"]["fit"] == "crop"
    images = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3)).astype("float32")
    np.testing.assert_allclose(
        loaded.predict_on_batch(images), model.predict_on_batch(images / 127.5 - 1),
        atol=1e-6,
    )  # fmt: skip


def test_hostile_h5_files_are_refused(teachable, tmp_path):
    def changed(change):
        path = tmp_path / "bad.h5"
        path.write_bytes((teachable[0] / "keras_model.h5").read_bytes())
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(ValueError) as caught:
            saving.convert_h5(path, tmp_path / "out.keras", ["a", "b"])
        assert len(str(caught.value)) < 300 and not (tmp_path / "out.keras").exists()
        return str(caught.value)

    def configured(old, new):
        def change(file):
            file.attrs["model_config"] = file.attrs["model_config"].replace(old, new)

        return changed(change)

    def linked(link):
        def change(file):
            del file["model_weights"]
            file["model_weights"] = link

        return changed(change)

    assert "Lambda" in configured('"class_name": "ReLU"', '"class_name": "Lambda"')
    assert "os.system" in configured(
        '"class_name": "ReLU"', '"module": "os", "class_name": "system"'
    )
    assert "no readable JSON" in configured("{", "[")
    assert "is a link" in linked(h5py.ExternalLink("/etc/passwd", "/"))
    assert "is a link" in linked(h5py.SoftLink("/optimizer_weights"))
    (tmp_path / "empty.h5").write_bytes(b"")
    with pytest.raises(saving.CorruptModelError, match="0 bytes"):
        saving.convert_h5(tmp_path / "empty.h5", tmp_path / "out.keras", ["a", "b"])
