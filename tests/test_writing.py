import dataclasses
import hashlib
import os

import numpy as np
import pytest

from cnnkit import data
from cnnkit.data import named


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 20, 24, 3), dtype="uint8")
    return data.from_arrays(images, np.arange(30) % 3, class_names=("ア", "b c", "z"))


@pytest.mark.parametrize("grey", [False, True])
def test_what_is_written_is_read_again(photos, grey, tmp_path):
    if grey:
        photos = dataclasses.replace(
            photos, image_shape=(20, 24, 1), pixels=photos.pixels[..., :1]
        )
    folder = photos.write(tmp_path / "new" / "pictures")
    again = data.from_folder(folder, image_size=(20, 24), grey=grey)
    assert set(again.class_names) == set(photos.class_names)

    def content(some):
        names = np.array(some.class_names, object)[some.manifest["label"]]
        rows = zip(some.pixels, names, some.manifest["split"], strict=True)
        return {(p.tobytes(), name, part) for p, name, part in rows}

    assert content(again) == content(photos)
    assert os.listdir(tmp_path / "new") == ["pictures"]
    with pytest.raises(FileExistsError, match="nothing of yours"):
        photos.write(tmp_path / "new")


@pytest.mark.parametrize("name", ["a/b", "..", ".git", "con", "x.", "B C", "n" * 300])
def test_names_that_are_no_folder_everywhere_are_refused(name, photos, tmp_path):
    other = dataclasses.replace(photos, class_names=("ア", "b c", name))
    with pytest.raises(ValueError, match="cannot be the name of a folder"):
        other.write(tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_notebook_shows_counts_and_examples(photos):
    page = photos._repr_html_()
    assert page.count("<img") == 18 and "b c" in page and "<script" not in page
    counts = photos.counts()
    for value in counts.sum():
        assert f"<b>{value}</b>" in page
    assert repr(photos).startswith("<ImageData 'arrays': 3 classes, ")


def test_b06_a_file_with_a_flipped_byte_is_refused(tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype="uint8")
    labels = np.arange(40) % 10
    path = tmp_path / "mnist.npz"
    np.savez(
        path, x_train=images, y_train=labels, x_test=images[:10], y_test=labels[:10]
    )
    content = path.read_bytes()
    packed = b"".join(
        array.astype("uint8").tobytes()
        for array in (images, labels, images[:10], labels[:10])
    )
    good = hashlib.sha256(packed).hexdigest()
    monkeypatch.setenv("CNNKIT_DATA", str(tmp_path))
    monkeypatch.setitem(named.SHA256, "mnist.npz", good)
    assert data.load("mnist").num_classes == 10
    for position in (2000, len(content) // 2, len(content) - 4):
        flipped = bytearray(content)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="mnist.npz is damaged, or not the file"):
            data.load("mnist")
    other = images.copy()
    other[3, 4, 5] ^= 1  # a whole file with another picture
    np.savez(
        path, x_train=other, y_train=labels, x_test=images[:10], y_test=labels[:10]
    )
    with pytest.raises(ValueError, match=f"does not begin {good[:12]}"):
        data.load("mnist")
