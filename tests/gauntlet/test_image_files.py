"""Rows C of the gauntlet: one bad file among good ones."""

import io

import numpy as np
import pytest
from PIL import Image

from cnnkit import data


def encoded(kind, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype="uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    for name in ("cat", "dog"):
        for i in range(4):
            path = tmp_path / "pets" / name / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded("JPEG", seed=len(name) + i))
    return tmp_path / "pets"


JPEG = encoded("JPEG")
BAD = {
    "C01 zero bytes": ("c01.jpg", b"", "the file is empty"),
    "C02 half a JPEG": ("c02.jpg", JPEG[: len(JPEG) // 2], "cut short"),
    "C03 last 20 bytes missing": ("c03.jpg", JPEG[:-20], "cut short"),
    "C04 text": ("c04.jpg", b"these are words", "it is text"),
    "C05 a web page": ("c05.jpg", b"<!DOCTYPE html><p>404", "an HTML page"),
    "C06 random bytes": ("c06.png", bytes(range(128, 256)), "known format"),
    "C08 half a PNG": ("c08.png", encoded("PNG")[:5000], "cut short"),
}


@pytest.mark.parametrize("row", BAD)
def test_a_file_that_cannot_be_read_is_named_before_training(row, folder):
    name, content, reason = BAD[row]
    (folder / "cat" / name).write_bytes(content)
    with pytest.raises(ValueError, match="unreadable='skip'") as caught:
        data.from_folder(folder)
    assert f"'cat/{name}'" in str(caught.value)
    assert reason in str(caught.value)

    photos = data.from_folder(folder, unreadable="skip")
    assert len(photos.manifest) == len(photos.pixels) == 8
    assert any(name in note for note in photos.notes)
    assert (photos.pixels.reshape(8, -1).std(axis=1) > 10).all()  # all real pictures


def test_every_bad_file_is_in_one_error(folder):
    for name, content, _ in BAD.values():
        (folder / "dog" / name).write_bytes(content)
    with pytest.raises(ValueError) as caught:
        data.from_folder(folder)
    assert all(f"'dog/{name}'" in str(caught.value) for name, _, _ in BAD.values())


def test_c10_formats_that_keras_ignores_are_read_and_others_are_listed(folder):
    for name, kind in (("a.webp", "WEBP"), ("b.tif", "TIFF"), ("c.jfif", "JPEG")):
        (folder / "cat" / name).write_bytes(encoded(kind, seed=9))
    (folder / "cat" / "no_suffix").write_bytes(encoded("PNG", seed=10))
    (folder / "cat" / "notes.txt").write_text("not a picture")
    (folder / "cat" / "README").write_text("not a picture either")
    photos = data.from_folder(folder)
    assert len(photos.manifest) == 12
    note = next(note for note in photos.notes if "left out" in note)
    assert note.startswith("2 left out (") and ".txt 1" in note
    assert "'cat/notes.txt'" in note and "'cat/README'" in note


def test_c18_a_pipe_with_a_picture_name_does_not_hang(folder):
    import os

    os.mkfifo(folder / "cat" / "pipe.jpg")
    photos = data.from_folder(folder)
    assert len(photos.manifest) == 8
    assert any("pipe.jpg" in note for note in photos.notes)
