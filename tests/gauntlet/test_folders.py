"""Rows D01 to D04 and D09 of the gauntlet: folders that are not what they should be."""

import numpy as np
import pytest
from PIL import Image

from cnnkit import data


def add(folder, name, number):
    (folder / name).mkdir(parents=True, exist_ok=True)
    for i in range(number):
        pixels = np.random.default_rng([len(name), i]).integers(0, 256, (30, 30, 3))
        Image.fromarray(pixels.astype("uint8")).save(folder / name / f"{i}.png")


def test_d01_an_empty_class_is_named(tmp_path):
    add(tmp_path, "cat", 5)
    add(tmp_path, "dog", 5)
    (tmp_path / "owl").mkdir()
    with pytest.raises(ValueError, match="Each class needs pictures.*'owl'"):
        data.from_folder(tmp_path)


def test_d02_one_class_is_no_classifier(tmp_path):
    add(tmp_path, "cat", 5)
    with pytest.raises(ValueError, match=r"at least two classes.*\['cat'\]"):
        data.from_folder(tmp_path)


def test_d03_a_missing_folder_suggests_near_names(tmp_path):
    add(tmp_path / "photos", "cat", 1)
    with pytest.raises(FileNotFoundError, match="Near names there: 'photos'"):
        data.from_folder(tmp_path / "fotos")
    with pytest.raises(ValueError, match="0 picture files"):
        (tmp_path / "empty").mkdir()
        data.from_folder(tmp_path / "empty")
    with pytest.raises(ValueError, match="neither a .zip nor a .tar"):
        (tmp_path / "photos.zip").write_bytes(b"PK")
        data.from_folder(tmp_path / "photos.zip")


def test_d04_what_systems_leave_behind_is_no_class(tmp_path):
    add(tmp_path, "cat", 5)
    add(tmp_path, "dog", 5)
    for junk in ("__MACOSX", ".ipynb_checkpoints"):
        add(tmp_path, junk, 2)
    (tmp_path / "cat" / "._0.png").write_bytes(b"\0\5\x16\7")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"\0")
    photos = data.from_folder(tmp_path)
    assert photos.class_names == ("cat", "dog")
    assert len(photos.manifest) == 10
    said = " ".join(photos.notes)
    for name in ("__MACOSX", ".ipynb_checkpoints", "._0.png", "Thumbs.db"):
        assert name in said


@pytest.mark.parametrize("number", range(3, 21))
def test_d09_no_class_is_missing_from_any_part(tmp_path, number):
    add(tmp_path, "cat", number)
    add(tmp_path, "dog", 20)
    counts = data.from_folder(tmp_path).counts()
    assert (counts > 0).all(axis=None)
    assert counts["train"]["cat"] >= number / 2 - 1


def test_d09_classes_of_one_or_two_pictures_are_still_learnt(tmp_path):
    add(tmp_path, "cat", 1)
    add(tmp_path, "dog", 2)
    add(tmp_path, "owls", 9)
    counts = data.from_folder(tmp_path).counts()
    assert counts.loc["cat"].tolist() == [1, 0, 0]
    assert counts.loc["dog"].tolist() == [1, 0, 1]
