import colorsys
import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats

from cnnkit.data import corruptions, signs
from cnnkit.data.sign_painting import place
from cnnkit.data.sign_scenes import ATTRIBUTES, decide
from cnnkit.data.sign_shapes import TEXTURES, template

EMBEDDED = Path(__file__).parents[1] / "data" / "signs"


def test_a_longer_draw_begins_with_the_shorter_one():
    short, long = signs.draw(5, seed=3), signs.draw(30, seed=3)
    np.testing.assert_array_equal(long.images[:5], short.images)
    np.testing.assert_array_equal(long.labels[:5], short.labels)
    other = signs.draw(5, seed=4)
    assert not np.array_equal(other.images, short.images)


def test_every_class_is_drawn_equally_often_in_mixed_order():
    labels = signs.draw(60).labels
    assert len(signs.CLASS_NAMES) == 12
    assert np.bincount(labels).tolist() == [5] * 12
    assert len({tuple(labels[i : i + 12]) for i in range(0, 60, 12)}) == 5


@pytest.mark.parametrize("size", [24, 64, 129, 256])
def test_pictures_have_the_size_asked_for_and_use_the_range(size):
    drawn = signs.draw(12, size=size)
    assert drawn.images.shape == (12, size, size, 3)
    assert drawn.images.dtype == "uint8"
    assert drawn.images.min() < 40 and drawn.images.max() > 215


def test_the_sign_has_the_colour_of_the_road_sign():
    def colour(name):
        """The mean colour of the sign itself, over many scenes."""
        found = []
        for i in range(400):
            sign = decide(i).signs[0]
            if signs.CLASS_NAMES[sign.label] == name:
                picture, mask, _ = place(sign, 64)
                found.append(np.asarray(picture)[np.asarray(mask) > 200].mean(axis=0))
        return np.mean(found, axis=0)

    for name in ("stop", "no entry"):
        red, green, blue = colour(name)
        assert red > 1.5 * max(green, blue)
    for name in ("parking", "turn left", "roundabout"):
        red, green, blue = colour(name)
        assert blue > 1.5 * red
    red, green, blue = colour("priority road")
    assert red > 1.3 * blue and green > 1.2 * blue  # yellow


def test_left_is_the_mirror_of_right_and_no_scene_turns_one_into_the_other():
    left, right = (np.asarray(template(f"turn {w}", 64)[0]) for w in ("left", "right"))
    np.testing.assert_allclose(left[:, ::-1].astype(int), right, atol=40)
    assert np.abs(left.astype(int) - right).mean() > 10
    scenes = [decide(i) for i in range(1000)]
    assert max(abs(scene.signs[0].rotation) for scene in scenes) < 45


def test_the_embedded_pictures_are_those_of_the_generator():
    with (EMBEDDED / "manifest.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    drawn = signs.draw(len(rows), size=48)
    files = sorted(EMBEDDED.rglob("*.png"))
    assert len(rows) == len(files) == 600
    assert sum(file.stat().st_size for file in files) < 3_000_000
    for row, image, label in zip(rows, drawn.images, drawn.labels, strict=True):
        stored = np.asarray(Image.open(EMBEDDED / row["path"])).astype(int)
        assert int(row["label"]) == label
        assert Path(row["path"]).parent.name == signs.CLASS_NAMES[label]
        # Another processor may round a few pixels to the next of 64 levels.
        assert np.abs(stored - image).mean() < 0.5


def test_writing_never_touches_a_folder_with_files(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="Received"):
        signs.write(tmp_path, signs.draw(12, size=24))
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command_writes_the_same_bytes_again(tmp_path):
    command = [sys.executable, "-m", "cnnkit.data.signs", tmp_path / "signs"]
    done = subprocess.run(
        [*command, "--pictures", "24", "--size", "48"], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stderr == ""
    for path in (tmp_path / "signs").rglob("*.png"):
        embedded = EMBEDDED / path.relative_to(tmp_path / "signs")
        np.testing.assert_allclose(
            np.asarray(Image.open(path)).astype(int), Image.open(embedded), atol=4
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "number of pictures must be a whole number, 1 or more"),
        ({"n": 1, "size": 23}, "from 24 to 256. Received: 23"),
        ({"n": 1, "size": 64.0}, "Received: 64.0"),
        ({"n": 1, "seed": -1}, "seed must be a whole number, 0 or more"),
        ({"n": 1, "imbalance": 0.5}, "imbalance must be a number 1 or more"),
        ({"n": 1, "label_noise": 1.0}, "from 0 to below 1. Received: 1.0"),
        ({"n": 1, "duplicates": "many"}, "Received: 'many'"),
        ({"n": 1, "bias": {"Stop": "night"}}, "'Stop' is not a class"),
        ({"n": 1, "bias": {"stop": "noon"}}, "'noon' is not a light, weather"),
        ({"n": 1, "corruption": "frost"}, "must be one of 'noise'.*'frost'"),
        ({"n": 1, "corruption": "noise", "severity": 6}, "1 to 5. Received: 6"),
        ({"n": 1, "texture": "wool"}, "None, 'agree' or 'conflict'"),
        ({"n": 5, "groups": 6}, "groups must be a whole number, from 0 to 5"),
        ({"n": 5, "signs": 10}, "scene must be a whole number, from 1 to 9"),
        ({"n": 5, "signs": 2, "groups": 2}, "about one sign in a picture"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        signs.draw(**arguments)


def test_a_box_is_the_smallest_around_the_mask_and_lies_in_the_picture():
    drawn = signs.draw(120, seed=1)
    for mask, box in zip(drawn.masks, drawn.boxes, strict=True):
        rows, columns = ndimage.find_objects(mask)[0]
        assert [columns.start, rows.start, columns.stop, rows.stop] == box.tolist()
    middles = (drawn.boxes[:, :2] + drawn.boxes[:, 2:]) / 2 / 64
    assert np.abs(middles - drawn.attributes[["x", "y"]]).to_numpy().max() < 0.12


def test_every_picture_has_its_attributes_and_a_sentence_that_names_them():
    drawn = signs.draw(300, size=24)
    table = drawn.attributes
    assert table["picture"].tolist() == list(range(300))
    for name, values in ATTRIBUTES.items():
        assert set(table[name]) == set(values)
        # Nothing but the sign tells the class: attributes are independent of it.
        counts = table.groupby(["sign", name]).size().unstack(fill_value=0)
        assert stats.chi2_contingency(counts).pvalue > 1e-3
    for sentence, row in zip(drawn.sentences, table.itertuples(), strict=True):
        assert f"{row.sign} sign {signs.WHERE[row.background]}" in sentence
        assert signs.WHEN[row.light] in sentence
        assert (row.weather in sentence) == (row.weather != "clear")
        assert ("dirty" in sentence) == (row.wear > signs.DIRTY)


@pytest.mark.parametrize("ratio", [3, 20, 100])
def test_imbalance_follows_the_long_tail_of_cui(ratio):
    counts = np.bincount(
        signs.draw(1200, size=24, imbalance=ratio).labels, minlength=12
    )
    shares = ratio ** (-np.arange(12) / 11)
    np.testing.assert_allclose(counts, 1200 * shares / shares.sum(), atol=3)


def test_label_noise_changes_labels_and_nothing_else():
    clean, noisy = signs.draw(1000, size=24), signs.draw(1000, size=24, label_noise=0.2)
    np.testing.assert_array_equal(clean.images, noisy.images)
    truth = [signs.CLASS_NAMES.index(name) for name in noisy.attributes["sign"]]
    np.testing.assert_array_equal(clean.labels, truth)
    wrong = noisy.labels != truth
    assert stats.binomtest(int(wrong.sum()), 1000, 0.2).pvalue > 1e-3
    steps = (noisy.labels - truth)[wrong] % 12  # any other class alike
    assert stats.chisquare(np.bincount(steps, minlength=12)[1:]).pvalue > 1e-3


def test_bias_ties_an_attribute_to_a_class_as_strongly_as_asked():
    bias = {"stop": "night", "parking": "snow"}
    table = signs.draw(600, size=24, bias=bias, bias_strength=1).attributes
    for name, value in (("stop", "night"), ("parking", "snow")):
        column = "light" if value == "night" else "weather"
        np.testing.assert_array_equal(table["sign"] == name, table[column] == value)
    table = signs.draw(2400, size=24, bias=bias, bias_strength=0.8).attributes
    at_night = (table["light"] == "night")[table["sign"] == "stop"]
    assert stats.binomtest(int(at_night.sum()), len(at_night), 0.8).pvalue > 1e-3
    at_night = (table["light"] == "night")[table["sign"] != "stop"]
    assert stats.binomtest(int(at_night.sum()), len(at_night), 0.2 / 5).pvalue > 1e-3


def test_copies_look_like_the_picture_they_are_of():
    drawn = signs.draw(600, size=64, duplicates=0.3)
    table = drawn.attributes
    copies = table[table["copy_of"] >= 0]
    assert stats.binomtest(len(copies), 600, 0.3).pvalue > 1e-3
    assert (copies["copy_of"] < copies["picture"]).all()
    assert not set(copies["copy_of"]) & set(copies["picture"])  # of originals only
    assert set(copies["copy"]) == {
        "same", "stored again", "smaller", "brighter", "cropped"
    }  # fmt: skip
    for row in copies.itertuples():
        here, there = drawn.images[row.picture], drawn.images[row.copy_of]
        assert np.corrcoef(here.ravel(), there.ravel())[0, 1] > 0.8
        assert np.array_equal(here, there) == (row.copy == "same")
        assert drawn.labels[row.picture] == drawn.labels[row.copy_of]
        rows, columns = ndimage.find_objects(drawn.masks[row.picture])[0]
        box = [columns.start, rows.start, columns.stop, rows.stop]
        np.testing.assert_allclose(drawn.boxes[row.picture], box, atol=1.5)


def test_in_conflict_only_the_material_of_the_sign_changes():
    plain, agree, conflict = (
        signs.draw(60, texture=texture) for texture in (None, "agree", "conflict")
    )
    assert (plain.attributes["texture"] == "").all()
    assert (agree.attributes["texture"] == agree.attributes["sign"]).all()
    assert (conflict.attributes["texture"] != conflict.attributes["sign"]).all()
    assert conflict.attributes["texture"].nunique() == 12
    np.testing.assert_array_equal(plain.masks, conflict.masks)
    for mask, before, after in zip(
        plain.masks, plain.images, conflict.images, strict=True
    ):
        outside = ~ndimage.binary_dilation(mask, iterations=5)
        np.testing.assert_array_equal(before[outside], after[outside])
        assert not np.array_equal(before, after)


def test_a_texture_tells_its_class_whatever_the_shape():
    def colour(name, texture):
        colours, mask = template(name, 64, texture=texture)
        return np.asarray(colours)[np.asarray(mask) > 200].mean(axis=0)

    for a, b in (
        ("stop", "parking"),
        ("give way", "roundabout"),
        ("turn left", "stop"),
    ):
        same = np.abs(colour(a, a) / colour(b, a) - colour(a, b) / colour(b, b))
        assert same.max() < 0.35  # the shape makes it darker, in all materials alike
        hues = [c / c.sum() for c in (colour(a, a), colour(a, b), colour(b, a))]
        assert np.abs(hues[0] - hues[2]).sum() < np.abs(hues[0] - hues[1]).sum()
    assert set(TEXTURES) == set(signs.CLASS_NAMES)
    assert len(set(TEXTURES.values())) == 12


def test_a_group_is_one_sign_in_one_place_seen_again():
    drawn = signs.draw(120, size=24, groups=30)
    fixed = ["sign", "light", "weather", "background", "region", "wear"]
    assert (drawn.attributes.groupby("group")[fixed].nunique() == 1).all(axis=None)
    assert drawn.attributes["group"].tolist() == list(range(30)) * 4
    seen = drawn.attributes.groupby("group")[["x", "scale", "yaw"]].nunique()
    assert (seen == 4).all(axis=None)
    corner = drawn.images[:, :3, :3].reshape(4, 30, -1).astype(float)  # the background
    within = corner.std(axis=0).mean()
    assert within < 0.5 * corner.std(axis=1).mean()


def test_several_signs_come_with_a_label_a_box_and_a_mask_each():
    drawn = signs.draw(40, size=128, signs=3, seed=2)
    table = drawn.attributes
    assert table["picture"].value_counts().eq(3).all()
    for i in range(40):
        names = [signs.CLASS_NAMES[label] for label in drawn.labels[i]]
        assert names == table["sign"][table["picture"] == i].tolist()
        across = drawn.boxes[i][:, [0, 2]].mean(axis=1)
        if np.diff(np.sort(across)).min() > 8:  # clearly beside each other
            said = [
                drawn.sentences[i].index(f"{names[k]} sign") for k in across.argsort()
            ]
            assert said == sorted(said)
        for k, box in enumerate(drawn.boxes[i].astype(int), start=1):
            left, top, right, bottom = box
            inside = (drawn.masks[i] == k)[top:bottom, left:right].sum()
            assert inside == (drawn.masks[i] == k).sum() > 0.3 * (right - left) ** 2
    with pytest.raises(ValueError, match="signs=1"):
        signs.write("nowhere", drawn)


def test_what_is_written_has_every_label(tmp_path):
    from cnnkit import data

    drawn = signs.draw(48, size=24, label_noise=0.3, groups=12)
    manifest = signs.write(tmp_path / "signs", drawn)
    photos = data.from_table(manifest, groups="group", label_column="class")
    assert {"sentence", "left", "sign", "light"} <= set(photos.manifest.columns)
    assert (photos.manifest.groupby("group")["split"].nunique() == 1).all()


def test_signs_without_groups_are_dealt_to_all_sides(tmp_path):
    from cnnkit import data

    manifest = signs.write(tmp_path / "signs", signs.draw(120, size=28))
    photos = data.from_table(manifest, label_column="class", together="same")
    assert (photos.counts() > 0).all(axis=None)


@pytest.fixture(scope="module")
def scene():
    return signs.draw(6, size=64, seed=5).images[4]


def test_each_corruption_gets_worse_and_keeps_the_shape(scene):
    for name in corruptions.CORRUPTIONS:
        errors = []
        for severity in range(1, 6):
            spoiled = corruptions.corrupt(scene, name, severity=severity)
            assert spoiled.shape == scene.shape and spoiled.dtype == "uint8"
            errors.append(np.square(spoiled.astype(float) - scene).mean())
        assert errors == sorted(errors) and errors[0] > 0
    drawn = signs.draw(6, size=64, seed=5, corruption="noise", severity=3)
    assert np.abs(drawn.images[4].astype(float) - scene).mean() > 20


def test_corruptions_have_the_strength_of_the_paper(scene):
    grey = np.full((64, 64, 3), 128, "uint8")
    noisy = corruptions.corrupt(grey, "noise", severity=2)
    assert noisy.std() / 255 == pytest.approx(0.12, rel=0.03)
    shot = corruptions.corrupt(grey, "shot noise", severity=1) / 255  # Poisson
    assert shot.var() == pytest.approx(shot.mean() / 60, rel=0.05)
    flat = corruptions.corrupt(scene, "contrast", severity=3)
    np.testing.assert_allclose(
        flat.std(axis=(0, 1)), 0.2 * scene.std(axis=(0, 1)), rtol=0.03
    )
    bright = corruptions.corrupt(scene, "brightness", severity=2)
    for before, after in zip(
        scene.reshape(-1, 3)[::97] / 255, bright.reshape(-1, 3)[::97], strict=True
    ):
        h, s, v = colorsys.rgb_to_hsv(*before)
        expected = 255 * np.array(colorsys.hsv_to_rgb(h, s, min(v + 0.2, 1)))
        np.testing.assert_allclose(after, expected, atol=0.51)
    coarse = corruptions.corrupt(scene, "pixelate", severity=2)  # half the side
    np.testing.assert_array_equal(coarse[::2, ::2], coarse[1::2, 1::2])
