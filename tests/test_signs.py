import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnkit.data import signs

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
        """The mean colour of the sign itself, over many scenes in daylight."""
        found = []
        for i in range(400):
            scene = signs.decide(i, 0)
            if signs.CLASS_NAMES[scene.label] == name and scene.light == "sun":
                picture, mask = signs.place(scene, 64)
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
    from cnnkit.data.sign_shapes import template

    left, right = (np.asarray(template(f"turn {w}", 64)[0]) for w in ("left", "right"))
    np.testing.assert_allclose(left[:, ::-1].astype(int), right, atol=40)
    assert np.abs(left.astype(int) - right).mean() > 10
    scenes = [signs.decide(i, 0) for i in range(1000)]
    assert max(abs(scene.rotation) for scene in scenes) < 45


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
        signs.write(tmp_path, pictures=12)
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
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        signs.draw(**arguments)
