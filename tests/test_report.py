"""The report says what evaluation measured, in one file that stands alone."""

import base64
import dataclasses
import errno
import html
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from sklearn import metrics

from cnnkit import data, evaluation, models, report, saving
from cnnkit.report.results import MOST_MISTAKES

SECTIONS = [
    "scores", "confusion", "calibration", "slices", "mistakes", "explanations",
    "training", "data", "purpose", "limits", "use",
]  # fmt: skip


class Page(HTMLParser):
    """All elements of a page with their attributes, and the text of each id."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.text, self.codes, self._id = [], {}, [], ""
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._id = dict(attrs).get("id", self._id)
        if tag == "code":
            self.codes.append("")

    def handle_data(self, data):
        self.text[self._id] = self.text.get(self._id, "") + data
        if self.elements and self.elements[-1][0] == "code":
            self.codes[-1] += data


def photos_of(num_classes=3, count=90, size=32, channels=3, names=None):
    """Pictures of random colours; the class shifts the mean a little."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % num_classes
    images = rng.integers(0, 200, (count, size, size, channels))
    images = (images + 40 * labels[:, None, None, None] / num_classes).astype("uint8")
    names = names or [f"kind {i}" for i in range(num_classes)]
    return data.from_arrays(images, labels, class_names=names, source="painted")


def model_for(photos, seed=0):
    """A classifier that was never trained: right sometimes, wrong often."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(photos.image_shape)
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Dense(photos.num_classes, activation="softmax")(layers.Flatten()(x))
    return keras.Model(inputs, x, name="guesser")


def history():
    values = [0.5, 0.25]
    keys = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    past = keras.callbacks.History()
    past.history = {key: values for key in keys}
    past.params = {
        "phases": [("head", 1), ("top layers", 1)],
        "best_epoch": 2,
        "seconds": 90.0,
        "stopped": "the time is up",
    }
    return past


def written(tmp_path, photos, model=None, past=None):
    path = report.write(model or model_for(photos), photos, past, tmp_path / "r.html")
    return Page(path.read_text("utf-8"))


def test_the_numbers_are_those_of_evaluation_and_scikit_learn(tmp_path):
    photos = photos_of()
    model = model_for(photos)
    page = written(tmp_path, photos, model, history())

    images, labels = data.to_arrays(photos, "test")
    probabilities = model.predict(images.astype("float32"), verbose=0)
    predicted = probabilities.argmax(axis=1)
    right = metrics.accuracy_score(labels, predicted)
    macro = metrics.f1_score(labels, predicted, average="macro")
    answer = page.text["answer"]
    assert f"about {round(100 * right)} are named correctly" in answer
    assert f"{(predicted == labels).sum()} were named correctly" in answer
    table = evaluation.scores(labels, probabilities)
    low, high = table.iloc[0][["low", "high"]]
    assert f"between {100 * low:.0f} and {100 * high:.0f}" in answer  # as in the table

    scores = page.text["scores"]
    assert re.search(rf"accuracy\s*{right:.2f}\s*{low:.2f}–{high:.2f}", scores)
    assert re.search(rf"macro F1\s*{macro:.2f}", scores)
    recalls = metrics.recall_score(labels, predicted, average=None, zero_division=0)
    f1s = metrics.f1_score(labels, predicted, average=None, zero_division=0)
    precisions = metrics.precision_score(labels, predicted, average=None)
    rows = re.findall(r"(kind \d)\s*([\d.–\s]+)", scores)
    assert [name for name, _ in rows] == [f"kind {i}" for i in np.argsort(f1s)]
    for name, numbers in rows:
        i = int(name[-1])
        shown = re.findall(r"(?<![–\d])\d\.\d\d(?!–)", numbers)
        expected = (f1s[i], precisions[i], recalls[i])
        assert shown == [f"{value:.2f}" for value in expected]
        assert numbers.split()[-1] == str((labels == i).sum())


def test_unequal_classes_are_scored_alike_first(tmp_path):
    train, names = photos_of(), [f"kind {i}" for i in range(3)]
    labels = np.array([0] * 40 + [1] * 5 + [2] * 6)
    test = np.random.default_rng(1).integers(0, 240, (51, 32, 32, 3)).astype("uint8")
    images, known = data.to_arrays(train, "train")
    photos = data.from_arrays(images, known, class_names=names, test=(test, labels))
    model = model_for(photos)
    page = written(tmp_path, photos, model)
    answers = evaluation.predict(model, photos)
    expected = metrics.balanced_accuracy_score(answers["label"], answers["predicted"])
    text = " ".join(page.text["answer"].split())
    assert f"of 100 new ones about {round(100 * expected)} are named" in text
    accuracy = metrics.accuracy_score(answers["label"], answers["predicted"])
    assert f"{round(100 * accuracy)} of 100 are named correctly" in page.text["unequal"]
    assert "class weights" in "".join(page.text.values())


def test_every_section_is_there_with_the_facts_of_the_run(tmp_path):
    photos = photos_of()
    page = written(tmp_path, photos, past=history())
    ids = [attrs.get("id") for tag, attrs in page.elements if tag == "section"]
    assert ids == SECTIONS
    training = page.text["training"]
    assert "1.5 minutes" in training and "the time is up" in training
    assert "9,219" in training  # 32 * 32 * 3 * 3 + 3 parameters
    assert re.search(r"all 3 classes\s*63\s*13\s*14|all 3 classes", page.text["data"])
    for part, count in photos.counts().sum().items():
        assert str(count) in page.text["data"], part
    assert all(note in page.text["data"] for note in photos.notes)
    assert f"keras {keras.__version__}" in page.text["environment"]


def test_the_page_loads_nothing_and_runs_nothing(tmp_path):
    path = report.write(
        model := model_for(photos := photos_of()), photos, None, tmp_path / "r.html"
    )
    page = Page(path.read_text("utf-8"))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base"}
    for tag, attrs in page.elements:
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
        assert "href" not in attrs
        assert attrs.get("src", "data:image/").startswith("data:image/")
    assert "://" not in re.sub(r'src="[^"]*"', "", path.read_text("utf-8"))
    assert "url(" not in path.read_text("utf-8")
    policy = next(a for t, a in page.elements if "content-security-policy" in
                  a.get("http-equiv", "").lower())  # fmt: skip
    assert "default-src 'none'" in policy["content"]
    assert "script" not in policy["content"]
    assert model.name in page.text[""]


def test_the_worst_mistake_is_shown_with_its_own_picture(tmp_path):
    photos = photos_of()
    model = model_for(photos)
    page = written(tmp_path, photos, model)
    shown = [
        attrs["src"] for tag, attrs in page.elements if attrs.get("class") == "small"
    ]
    images, labels = data.to_arrays(photos, "test")
    probabilities = model.predict(images.astype("float32"), verbose=0)
    of_truth = probabilities[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    wrong = wrong[np.argsort(of_truth[wrong])]
    assert 0 < len(wrong) and len(shown) == min(len(wrong), MOST_MISTAKES)
    for i, source in zip(wrong, shown, strict=False):
        content = base64.b64decode(source.removeprefix("data:image/png;base64,"))
        np.testing.assert_array_equal(Image.open(io.BytesIO(content)), images[i])
    first = page.text["mistakes"].split("taken for")[0]
    assert photos.class_names[labels[wrong[0]]] in first
    assert f"{100 * of_truth[wrong[0]]:.1f}" in first


def test_many_large_pictures_of_many_classes_stay_under_2_mb(tmp_path):
    photos = photos_of(num_classes=60, count=360, size=160)
    photos.pixels[:] = np.random.default_rng(0).integers(0, 256, photos.pixels.shape)
    path = report.write(model_for(photos), photos, history(), tmp_path / "r.html")
    assert path.stat().st_size < 2_000_000
    page = Page(path.read_text("utf-8"))
    assert "The 50 weakest of 60 classes" in page.text["scores"]
    assert sum(a.get("src", "")[:16] == "data:image/jpeg;" for _, a in page.elements)


def test_without_a_test_part_the_page_says_that_it_reports_on_validation(tmp_path):
    photos = photos_of(channels=1)
    manifest = photos.manifest[photos.manifest["split"] != "test"]
    pixels = photos.pixels[manifest.index]
    photos = dataclasses.replace(
        photos, manifest=manifest.reset_index(drop=True), pixels=pixels
    )
    page = written(tmp_path, photos)
    assert "There is no test part" in page.text["no-test"]
    count = (manifest["split"] == "valid").sum()
    assert f"{count} validation pictures" in page.text["answer"]
    assert "test pictures" not in page.text["answer"] + page.text["mistakes"]


def test_test_pictures_that_were_trained_on_are_counted(tmp_path):
    photos = photos_of()
    assert "leaked" not in written(tmp_path, photos).text
    manifest = photos.manifest.copy()
    rows = {
        part: np.flatnonzero(manifest["split"] == part) for part in ("train", "test")
    }
    manifest.loc[rows["test"][:2], "content_hash"] = manifest["content_hash"][
        rows["train"][0]
    ]
    leaky = dataclasses.replace(photos, manifest=manifest)
    assert "2 of the test pictures are" in written(tmp_path, leaky).text["leaked"]


def test_a_class_without_test_pictures_and_a_perfect_model_are_told_plainly(tmp_path):
    photos = photos_of(count=2400, size=28)
    test = photos.manifest["split"] == "test"
    moved = photos.manifest["split"].mask(
        test & (photos.manifest["label"] == 2), "valid"
    )
    photos = dataclasses.replace(photos, manifest=photos.manifest.assign(split=moved))
    page = written(tmp_path, photos)
    assert re.search(r"kind 2\s*–", page.text["scores"])

    images, labels = data.to_arrays(photos, "test")
    photos.pixels[np.flatnonzero(moved == "test")] = labels[:, None, None, None]
    inputs = keras.Input(photos.image_shape)
    level = layers.GlobalMaxPooling2D()(inputs)[:, :1]
    distances = keras.ops.abs(level - np.arange(3, dtype="float32"))
    perfect = keras.Model(inputs, layers.Softmax()(-20 * distances))
    page = written(tmp_path, photos, perfect)
    assert "about 100 are named correctly" in page.text["answer"]
    assert f"All {len(labels)} pictures" in page.text["mistakes"]
    assert "No picture of the test part" in page.text["confusion"]
    photos.pixels[np.flatnonzero(moved == "test")[0]] = 1 - labels[0]  # 1 of 240 wrong
    answer = written(tmp_path, photos, perfect).text["answer"]
    assert "about 99 are named correctly; between 98 and 100" in answer


def test_the_lines_for_using_the_model_run_as_printed(tmp_path):
    photos = photos_of(size=40)
    model = model_for(photos)
    page = written(tmp_path, photos, model)
    saving.save(model, tmp_path / "model.keras", photos.class_names)
    noise = np.random.default_rng(1).integers(0, 256, (90, 80, 3)).astype("uint8")
    Image.fromarray(noise).save(tmp_path / "picture.jpg", quality=95)
    save, with_cnnkit, with_keras, predict = page.codes[-4:]
    assert "saving.save(model" in save
    (tmp_path / "use.py").write_text("\n".join([with_cnnkit, with_keras, predict]))
    run = subprocess.run(
        [sys.executable, "use.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(report.__file__).parents[2])},
        check=True,
        capture_output=True,
        text=True,
    )
    picture = Image.open(tmp_path / "picture.jpg")
    picture = picture.resize((40, 40), Image.Resampling.BILINEAR)
    pixels = np.array(picture, "float32")[None]
    probabilities = model.predict(pixels, verbose=0)[0]
    name, value = run.stdout.strip().splitlines()[-1].rsplit(" ", 1)
    assert name == photos.class_names[probabilities.argmax()]
    assert float(value) == pytest.approx(probabilities.max(), abs=1e-4)


def test_no_path_of_this_machine_is_in_the_page(tmp_path):
    folder = tmp_path / "private" / "flowers"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for i in range(6):
            pixels = np.random.default_rng(i).integers(0, 255, (30, 30, 3))
            Image.fromarray(pixels.astype("uint8")).save(
                folder / name / f"{name}{i}.png"
            )
    photos = data.from_folder(folder)
    path = report.write(model_for(photos), photos, None, tmp_path / "out" / "r.html")
    text = html.unescape(path.read_text("utf-8"))
    assert "flowers" in text and "a/" in text
    for secret in (str(tmp_path), "private", str(Path.home()), os.getcwd()):
        assert secret not in text


def test_a_report_is_replaced_and_any_other_file_is_not(tmp_path):
    photos = photos_of()
    model, path = model_for(photos), tmp_path / "r.html"
    assert report.write(model, photos, None, path) == path
    report.write(model, photos, None, path)
    path.write_text("<title>my own page</title>")
    with pytest.raises(FileExistsError, match="not a report.*overwrite=True.*Received"):
        report.write(model, photos, None, path)
    assert path.read_text() == "<title>my own page</title>"
    report.write(model, photos, None, path, overwrite=True)
    assert "kind 0" in path.read_text("utf-8")
    with pytest.raises(ValueError, match=r"end in .html or .md. Received"):
        report.write(model, photos, None, tmp_path / "r.pdf")


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_full_disk_leaves_the_old_report_whole(function, tmp_path, monkeypatch):
    photos = photos_of()
    path = report.write(model_for(photos), photos, None, tmp_path / "r.html")
    before = path.read_bytes()

    def disk_full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, function, disk_full)
        with pytest.raises(OSError, match="No space"):
            report.write(model_for(photos, seed=1), photos, None, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


NAMES = ["<b>a</b>", "$x_{|", "[薔薇](javascript:x)"]


def net_for(photos):
    keras.utils.set_random_seed(1)
    shape = photos.image_shape
    return models.small_cnn(
        num_classes=photos.num_classes, input_shape=shape, widths=(4, 8)
    )


def lit(photos):
    """Half of the pictures are dark, and the manifest says which."""
    night = np.arange(len(photos.manifest)) % 2 == 0
    manifest = photos.manifest.assign(light=np.where(night, "night", "<i>day</i>"))
    return dataclasses.replace(photos, manifest=manifest)


def test_calibration_slices_and_explanations_are_those_of_their_rooms(tmp_path):
    photos = lit(photos_of(count=240))
    model = net_for(photos)
    page = written(tmp_path, photos, model)
    table = evaluation.predict(model, photos, columns=["light"])
    scores = evaluation.probability_scores(*evaluation.arrays(table))
    for name, row in scores.loc["all classes"].iterrows():
        assert name in page.text["calibration"]
        assert f"{row['value']:.3f}" in page.text["calibration"]
    found = evaluation.slices(table, "light")
    for (_, value), row in found.iterrows():
        shown = page.text["slices"].partition(f"light: {value}")[2]
        assert f"{row['value']:.2f}" in shown[:80] and row["verdict"] in shown[:200]
    assert "brightness:" in page.text["slices"]
    assert "Grad-CAM" in page.text["explanations"]
    shown = [attrs for tag, attrs in page.elements if tag == "img"]
    heats = [a for a in shown if a.get("class", "").startswith("heat")]
    pictures = [a for a in shown if a.get("class") == "small"]
    assert len(heats) == len(pictures) > 0


def test_planted_leaks_stand_beside_the_accuracy_without_them(tmp_path):
    photos = photos_of(count=120)
    rows, train = photos.rows("test"), photos.rows("train")
    pixels = photos.pixels.copy()
    pixels[rows[:3]] = pixels[train[:3]]
    photos = dataclasses.replace(photos, pixels=pixels)
    page = written(tmp_path, photos)
    text = page.text["leaks"]
    assert text.count("3 of the test pictures show the same") == 1
    findings = data.check(photos, verbose=False)
    table = evaluation.predict(model_for(photos), photos)
    for name, row in evaluation.leaks(table, findings).iterrows():
        assert f"{row['value']:.3f}" in text.partition(name)[2][:60]


def test_purpose_and_limits_are_places_to_fill_in(tmp_path):
    photos = photos_of()
    page = written(tmp_path, photos)
    assert page.text["purpose"].count("To be filled in") == 2
    path = report.write(
        model_for(photos), photos, None, tmp_path / "filled.html",
        intended_use="<script>sorting</script> parcels", limits="no people",
    )  # fmt: skip
    page = Page(path.read_text("utf-8"))
    assert "<script>sorting</script> parcels" in page.text["purpose"]  # as text
    assert "script" not in [tag for tag, _ in page.elements]
    assert "To be filled in" not in page.text["purpose"]


def test_the_card_is_markdown_with_metadata_that_a_hub_reads(tmp_path):
    photos = lit(photos_of(names=NAMES))
    photos = dataclasses.replace(photos, source='a "b": <i>|')
    model = model_for(photos)
    path = report.write(model, photos, history(), tmp_path / "README.md")
    text = path.read_text("utf-8")
    _, block, body = text.split("---\n", 2)
    facts = [line.strip().removeprefix("- ") for line in block.splitlines()]
    assert (
        "library_name: keras" in facts and "pipeline_tag: image-classification" in facts
    )
    [name, _] = [line for line in facts if line.startswith("name:")]
    assert json.loads(name.removeprefix("name: ")) == "guesser"
    source = [line for line in facts if line.startswith("name:")][1]
    assert json.loads(source.removeprefix("name: ")) == 'a "b": <i>|'
    labels, probabilities = evaluation.arrays(evaluation.predict(model, photos))
    accuracy = metrics.accuracy_score(labels, probabilities.argmax(axis=1))
    assert f"value: {accuracy:.4f}" in facts
    # What could be an element, a link or a cell of a table is escaped.
    assert not re.search(r"(?<!\\)\[薔薇|<b>|<i>|javascript(?<!\\):", body)
    for row in (line for line in body.splitlines() if line.startswith("|")):
        assert len(re.findall(r"(?<!\\)\|", row)) in (5, 7)
    assert report.write(model, photos, None, path) == path  # may be replaced
    (tmp_path / "mine.md").write_text("# my notes")
    with pytest.raises(FileExistsError, match="mine.md"):
        report.write(model, photos, None, tmp_path / "mine.md")


def test_two_runs_are_compared_on_one_page(tmp_path):
    photos = photos_of(names=NAMES, count=120)
    tables = [evaluation.predict(model_for(photos, seed), photos) for seed in (0, 1)]
    path = report.compare(*tables, tmp_path / "two.html", names=("<b>one", "二"))
    page = Page(path.read_text("utf-8"))
    assert {"script", "b"} & {tag for tag, _ in page.elements} <= {"b"}
    for name, row in evaluation.compare(*tables).iterrows():
        shown = page.text["scores"].rpartition(name)[2][:160]
        assert f"{row['a']:.3f}" in shown and f"{row['difference']:+.3f}" in shown
        assert row["verdict"] in shown
    for name in NAMES:
        assert name in page.text["classes"]
    right = [
        np.equal(t["label"].astype(str), t["predicted"].astype(str)) for t in tables
    ]
    assert f"right on {(right[0] & right[1]).sum()} " in page.text["answer"]
    with pytest.raises(ValueError, match="names='ab'"):
        report.compare(*tables, tmp_path / "two.html", names="ab")
    with pytest.raises(ValueError, match="end in .html"):
        report.compare(*tables, tmp_path / "two.pdf")
