"""Section H of the gauntlet: arrays that were taken for something else."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnkit import data

rng = np.random.default_rng(0)
GOOD = rng.integers(0, 256, (40, 16, 16, 3), dtype="uint8")
GREY = GOOD[..., 0]
TWO = np.arange(40) % 2


class Tensor:
    """As PyTorch has it: no array before it is detached and on the CPU."""

    def __init__(self, values, ready=False):
        self.values, self.ready = values, ready

    def detach(self):
        return Tensor(self.values, True)

    cpu = detach

    def __array__(self, *arguments, **options):
        assert self.ready
        return self.values


def objects(rows):
    made = np.empty(len(rows), dtype=object)
    made[:] = rows
    return made


@pytest.mark.parametrize(
    "images, line",
    [
        (GOOD.transpose(0, 3, 1, 2), "images.transpose(0, 2, 3, 1)"),
        (Tensor(GOOD.transpose(0, 3, 1, 2)), "images.transpose(0, 2, 3, 1)"),
        (np.concatenate([GOOD, GOOD[..., :1]], axis=-1), "images[..., :3]"),
        (GOOD[..., :2], "images[..., :1]"),
        (GREY.astype("uint16") * 257, "(images // 256).astype('uint8')"),
        (GREY.astype("int32") * 16, "(images // 16).astype('uint8')"),
        (GOOD / 127.5 - 1, "(images + 1) * 127.5"),
        (GOOD / 255, "images * 255"),
        (GREY.reshape(40, 256), "images.reshape(-1, 16, 16)"),
        (
            GOOD.transpose(0, 3, 1, 2).reshape(40, -1),
            "images.reshape(-1, 3, 16, 16).transpose(0, 2, 3, 1)",
        ),
        (GREY > 100, "images.astype('uint8') * 255"),
        ((GREY > 100).astype("int64"), "(images * 255).astype('uint8')"),
    ],
)
def test_the_error_has_the_line_that_mends_the_pictures(images, line):
    with pytest.raises(ValueError, match=re.escape(line)):
        data.from_arrays(images, TWO)
    images = images.values if isinstance(images, Tensor) else images
    mended = eval(line, {"images": images})  # noqa: S307 - our own line
    assert len(data.from_arrays(mended, TWO).pixels) == 40


class Dataset:
    element_spec = ()


@pytest.mark.parametrize(
    "images, sentence",
    [
        ((GOOD / 256).astype("uint8"), "before it becomes uint8"),
        ((GOOD / 255).astype("uint8"), "before it becomes uint8"),
        (np.full_like(GOOD, 7), "All pixels are alike"),
        ((GOOD - 120.0) / 50, "Undo the normalisation"),
        (np.where(GREY == 3, np.nan, GREY), "NaN or infinity: 38 values"),
        (np.where(GREY == 3, np.inf, GREY), "NaN or infinity: 38 values"),
        ([GOOD[0, : 8 + i % 3] for i in range(40)], r"one size.*'\(10, 16, 3\)'"),
        ([Image.new("L", (8, 8 + i % 2)) for i in range(40)], r"one size.*'\(8, 8\)'"),
        (["a.png"] * 40, "names of files.*from_table"),
        (GREY[0], "images.np.newaxis."),
        (GOOD.astype(complex), "no numbers"),
        (None, "no numbers"),
        ({"a": GREY}, "no numbers"),
        (GREY[:0], "add some.*(0, 16, 16, 1)"),
        (GREY.reshape(40, 4, 4, 4, 4), "Reshape them"),
        (Dataset(), "tf.data.Dataset.*unbatch"),
    ],
)
def test_pictures_that_are_none_get_one_sentence(images, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        data.from_arrays(images, TWO)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "images",
    [list(GOOD), [Image.fromarray(p) for p in GOOD], objects(list(GOOD)), Tensor(GOOD)],
)
def test_pictures_are_taken_where_it_is_plain_what_they_are(images):
    np.testing.assert_array_equal(data.from_arrays(images, TWO).pixels, GOOD)


@pytest.mark.parametrize(
    "labels, names, numbers",
    [
        (TWO + 1, ("1", "2"), TWO),
        (TWO + 1.0, ("1", "2"), TWO),
        (TWO * 3, ("0", "3"), TWO),
        (np.arange(40.0) % 12, tuple(map(str, range(12))), np.arange(40) % 12),
        (pd.Series(TWO, index=range(100, 140)), ("0", "1"), TWO),
        (pd.Series(list("xy") * 20, dtype="category"), ("x", "y"), TWO),
        (np.array([b"cat", "犬".encode()])[TWO], ("cat", "犬"), TWO),
        (objects([1, 2.0] * 20), ("1", "2"), TWO),
        (Tensor(TWO), ("0", "1"), TWO),
    ],
)
def test_labels_become_the_classes_that_are_there(labels, names, numbers):
    photos = data.from_arrays(GREY, labels)
    assert photos.class_names == names
    np.testing.assert_array_equal(photos.manifest["label"], numbers)
    assert (photos.counts() > 0).all(axis=None)


def test_names_may_be_bytes_and_may_differ_by_case_where_they_are_given():
    photos = data.from_arrays(GREY, TWO, class_names=[b"a", "A"])
    assert photos.class_names == ("a", "A")


@pytest.mark.parametrize(
    "labels, sentence",
    [
        (np.where(TWO, 1.0, np.nan), r"none for the pictures 0, 2.*and 10 more"),
        (["a", None] * 20, "none for the pictures 1, 3"),
        (["cat", "Cat"] * 20, "differ only by case.*'Cat', 'cat'"),
        (["caf\u00e9", "cafe\u0301"] * 20, "Unicode form"),
        (np.eye(2)[TWO], "labels.argmax"),
        ([["a"], ["a", "b"]] * 20, "several for one"),
        (rng.uniform(0, 9, 40), "regression.*pd.cut"),
        (np.arange(40) * 3, "regression.*40 different numbers"),
    ],
)
def test_labels_that_are_none_get_one_sentence(labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        data.from_arrays(GREY, labels)


def test_labels_from_one_with_names_say_what_to_give():
    with pytest.raises(ValueError, match="labels - 1.*from 1 to 2"):
        data.from_arrays(GREY, TWO + 1, class_names=["a", "b"])
