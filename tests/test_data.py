import errno
import io
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from scipy import ndimage
from sklearn.datasets import load_digits

from cnnkit import data
from cnnkit.data import decoding, duplicates, memory, named
from cnnkit.data.reader import Reader


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, "uint8")).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        for i in range(20):
            save(
                tmp_path / "pets" / name / f"{i}.png", rng.integers(0, 256, (40, 30, 3))
            )
    return tmp_path / "pets"


def test_a_folder_of_classes_is_read_and_split(folder, capsys):
    photos = data.from_folder(folder)
    assert photos.class_names == ("cat", "dog")
    assert photos.image_shape == (40, 40, 3)  # the usual longer side
    assert photos.counts().to_numpy().tolist() == [[14, 3, 3], [14, 3, 3]]
    assert "each class was split 70/15/15: 28 train, 6 valid, 6 test" in (
        capsys.readouterr().out
    )
    row = photos.manifest.iloc[5]
    expected = Image.open(folder / row["path"]).resize((40, 40), Image.BILINEAR)
    difference = photos.pixels[5].astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"train": 10, "val": 4, "test": 6}, [10, 4, 6]),
        ({"train": 10, "val": 4}, [8, 2, 4]),
        ({"Train": 10, "Test": 6}, [8, 2, 6]),
    ],
)
def test_part_folders_are_kept(tmp_path, parts, expected):
    rng = np.random.default_rng(0)
    for part, number in parts.items():
        for name in ("cat", "dog"):
            for i in range(number):
                pixels = rng.integers(0, 256, (30, 30, 3))
                save(tmp_path / part / name / f"{i}.png", pixels)
    photos = data.from_folder(tmp_path, image_size=30)
    assert photos.counts().loc["cat"].tolist() == expected
    said_test = (
        photos.manifest["path"]
        .str.lower()
        .str.startswith("test" if "val" not in parts or "test" in parts else "val")
    )
    assert (photos.manifest["split"] == "test").equals(said_test)


def test_a_class_that_is_only_in_the_test_is_refused(tmp_path):
    for place in ("train/cat", "train/dog", "test/cat", "test/owl"):
        save(tmp_path / place / "1.png", np.zeros((30, 30, 3)))
    with pytest.raises(ValueError, match="not in training.*test/owl"):
        data.from_folder(tmp_path)


def test_a_class_that_is_missing_from_the_test_keeps_its_label(tmp_path):
    for place in ("train/cat", "train/dog", "train/owl", "test/owl", "test/cat"):
        for i in range(4):
            pixels = np.random.default_rng(len(place) + i).integers(0, 256, (30, 30, 3))
            save(tmp_path / place / f"{i}.png", pixels)
    photos = data.from_folder(tmp_path)
    _, labels = data.to_arrays(photos, "test")
    assert set(labels) == {0, 2}  # owl stays the third class


def test_decoding_agrees_with_pillow_on_every_kind_of_picture():
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (32, 32, 3), dtype="uint8")
    deep = rng.integers(0, 65536, (32, 32), dtype="uint16")
    alpha = np.dstack([colour, np.full((32, 32), 0, "uint8")])

    def encoded(image, **options):
        buffer = io.BytesIO()
        image.save(buffer, **options)
        return buffer.getvalue()

    def decoded(content, grey=False):
        return decoding.decode(content, Reader(32, grey)).pixels

    picture = Image.fromarray(colour)
    for kind in ("PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"):
        content = encoded(picture, format=kind)
        expected = Image.open(io.BytesIO(content)).convert("RGB")
        np.testing.assert_array_equal(decoded(content), np.asarray(expected))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    turned = encoded(picture, format="PNG", exif=exif)
    np.testing.assert_array_equal(decoded(turned), np.rot90(colour, -1))
    see_through = encoded(Image.fromarray(alpha), format="PNG")
    assert (decoded(see_through) == 255).all()  # laid on white
    sixteen = decoded(encoded(Image.fromarray(deep), format="PNG"), grey=True)
    np.testing.assert_allclose(sixteen[..., 0], deep / 257, atol=1)


def test_batches_follow_from_seed_and_epoch_alone(folder):
    photos = data.from_folder(folder)

    def order(**options):
        batches = photos.batches("train", batch_size=5, **options)
        return [batch[0].numpy() for batch in batches]

    twice = photos.batches("train", batch_size=5)
    first, second = ([b[0].numpy() for b in twice] for _ in range(2))
    np.testing.assert_equal(first, order(epoch=0))
    np.testing.assert_equal(second, order(epoch=1))
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[0], order(seed=1)[0])
    assert {len(batch) for batch in first} <= {4, 5}  # no runt at the end
    images, _ = data.to_arrays(photos, "train")
    seen = np.concatenate(first).astype("uint8")
    assert sorted(map(bytes, seen)) == sorted(map(bytes, images))


def test_parts_for_evaluation_keep_the_order_of_the_manifest(folder):
    photos = data.from_folder(folder)
    images, labels = data.to_arrays(photos, "test")
    batched = [batch for batch in photos.batches("test", batch_size=4)]
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batched]), images)
    np.testing.assert_array_equal(np.concatenate([b[1] for b in batched]), labels)
    assert batched[0][0].dtype == "float32"


def test_augmentation_draws_from_seed_epoch_and_batch(folder):
    photos = data.from_folder(folder)

    def noise(images, generator):
        return images // 2 + generator.integers(0, 100, images.shape, dtype="uint8")

    runs = [
        [b[0].numpy() for b in photos.batches("train", augment=noise, epoch=e)]
        for e in (3, 3, 4)
    ]
    np.testing.assert_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0][0], runs[2][0])
    with pytest.raises(ValueError, match="part='test'"):
        photos.batches("test", augment=noise)


def test_labels_are_one_hot_where_asked_for_and_where_pictures_are_mixed(folder):
    photos = data.from_folder(folder)
    (images, labels), *_ = photos.batches("test", one_hot=True)
    expected = data.to_arrays(photos, "test")
    np.testing.assert_array_equal(images, expected[0])
    np.testing.assert_array_equal(labels, np.eye(2)[expected[1]])
    assert labels.dtype == "float32"

    def average(images, labels, generator):
        shares[len(shares)] = generator.random()
        return images // 2 + images[::-1] // 2, (labels + labels[::-1]) / 2

    def drawn(**options):
        batches = photos.batches("train", batch_size=5, **options)
        assert batches.element_spec[1].shape[1:] == (2,)
        return [[part.numpy() for part in batch] for batch in batches]

    shares = {}
    plain, mixed = drawn(one_hot=True), drawn(mix=average)
    for (images, labels), (others, targets) in zip(plain, mixed, strict=True):
        np.testing.assert_array_equal(others, images // 2 + images[::-1] // 2)
        np.testing.assert_array_equal(targets, (labels + labels[::-1]) / 2)
    assert len(set(shares.values())) == len(plain)  # luck of its own for each batch
    with pytest.raises(ValueError, match="mix with part='valid'"):
        photos.batches("valid", mix=average)


def test_pixels_beyond_the_limit_lie_on_disk(folder):
    kept = data.from_folder(folder)
    spilled = data.from_folder(folder, memory_limit=1000)
    assert isinstance(spilled.pixels, np.memmap)
    assert not isinstance(kept.pixels, np.memmap)
    np.testing.assert_array_equal(spilled.pixels, kept.pixels)
    assert sum(1 for _ in spilled.train) == sum(1 for _ in kept.train)
    rows = np.array([3, 0, 3, 7])
    for index in (slice(1, 3), 2, [0, 1], np.array([True, False, True, False])):
        some, other = spilled.take(rows).pixels, kept.take(rows).pixels
        assert not isinstance(some, np.ndarray)  # nothing was read so far
        np.testing.assert_array_equal(some[index], other[index])
    again = spilled.take(rows).take(np.array([1, 2])).resized(28)
    assert isinstance(again.pixels, np.memmap)
    np.testing.assert_array_equal(again.pixels, kept.take(rows[1:3]).resized(28).pixels)
    more = data.balance.oversample(spilled)
    np.testing.assert_array_equal(
        np.asarray(more.pixels), data.balance.oversample(kept).pixels
    )


def test_a_disk_without_the_place_is_said_before_anything_is_decoded(
    folder, monkeypatch
):
    """Later it would end Python with SIGBUS and no message."""

    def full(file, start, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    monkeypatch.setattr(decoding, "decode_all", None)
    with pytest.raises(OSError, match="bytes, and '.*' has no place.*cache=.*TMPDIR"):
        data.from_folder(folder, memory_limit=1000)


def test_decoded_pictures_are_opened_again_as_long_as_the_files_are_the_same(
    folder, tmp_path, monkeypatch, capsys
):
    plain = data.from_folder(folder)
    first = data.from_folder(folder, cache=tmp_path / "kept")
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "decode_all", None)
        again = data.from_folder(folder, cache=tmp_path / "kept")
    assert "opened from" in capsys.readouterr().out
    for photos in (first, again):
        np.testing.assert_array_equal(photos.pixels, plain.pixels)
        pd.testing.assert_frame_equal(photos.manifest, plain.manifest)
        assert (photos.reader, photos.notes) == (plain.reader, plain.notes)
    again.pixels[:] = 0  # in memory alone
    (large,) = (tmp_path / "kept").glob("*.bytes")
    os.truncate(large, 100)
    third = data.from_folder(folder, cache=tmp_path / "kept")
    np.testing.assert_array_equal(third.pixels, plain.pixels)
    changed = folder / plain.manifest["path"][0]
    before = changed.stat()
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    data.from_folder(folder, cache=tmp_path / "kept")
    assert len(list((tmp_path / "kept").glob("*.bytes"))) == 2
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_arrays_of_floats_and_names_are_taken():
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (30, 28, 28))
    names = np.array(["b", "a", "c"] * 10)
    photos = data.from_arrays(images, names, test=(images[:6], names[:6]))
    assert photos.class_names == ("a", "b", "c")
    assert photos.image_shape == (28, 28, 1)
    assert photos.manifest["label"].tolist()[:3] == [1, 0, 2]
    np.testing.assert_array_equal(photos.pixels[..., 0][:30], np.rint(images))
    assert photos.counts()["test"].tolist() == [2, 2, 2]


EIGHT = np.arange(256, dtype="uint8").reshape(4, 8, 8)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((4, 8, 8, 2)), [0, 1, 0, 1], r"\(4, 8, 8, 2\)"),
        (np.full((4, 8, 8, 3), 0.5), [0, 1, 0, 1], "Multiply"),
        (np.full((4, 8, 8), np.nan), [0, 1, 0, 1], "NaN.*256"),
        (EIGHT, [0, 1, 0], "4 pictures"),
        (EIGHT, [0, 0, 0, 0], "two classes"),
        (EIGHT, np.eye(4, dtype=int), "labels.argmax"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        data.from_arrays(images, labels)


def test_labels_outside_the_class_names_are_refused():
    with pytest.raises(ValueError, match="labels from 0 to 2"):
        data.from_arrays(EIGHT, [0, 1, 2, 1], class_names=["a", "b"])


def test_digits_are_those_of_scikit_learn_at_32_pixels():
    digits = data.load("digits")
    assert digits.image_shape == (32, 32, 1)
    assert digits.manifest["label"].tolist() == load_digits().target.tolist()
    # Averaging each 4 x 4 block gives the small pictures back, but for the edges.
    small = digits.pixels[..., 0].reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4))
    ours, theirs = small.reshape(-1, 64), load_digits().images.reshape(-1, 64)
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs, strict=True)]
    assert min(correlations) > 0.97


def test_sets_outside_the_package_come_from_the_named_folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 10
    arrays = {
        "x_train": rng.integers(0, 256, (60, 28, 28), dtype="uint8"),
        "y_train": labels,
        "x_test": rng.integers(0, 256, (20, 28, 28), dtype="uint8"),
        "y_test": labels[:20],
    }
    np.savez(tmp_path / "fashion_mnist.npz", **arrays)
    monkeypatch.setenv("CNNKIT_DATA", str(tmp_path))
    monkeypatch.delitem(named.SHA256, "fashion_mnist.npz")  # these are not the real
    fashion = data.load("fashion_mnist")
    assert fashion.class_names[9] == "Ankle boot"
    images, test_labels = data.to_arrays(fashion, "test")
    np.testing.assert_array_equal(images[..., 0], arrays["x_test"])
    np.testing.assert_array_equal(test_labels, arrays["y_test"])


def test_a_set_that_is_nowhere_gives_a_clear_error(tmp_path, monkeypatch):
    import keras

    def offline():
        raise Exception("URL fetch failure")

    monkeypatch.delenv("CNNKIT_DATA", raising=False)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", offline)
    with pytest.raises(FileNotFoundError, match="cifar10.npz.*CNNKIT_DATA"):
        data.load("cifar10")
    with pytest.raises(ValueError, match="name='imagenet'"):
        data.load("imagenet")


def test_reading_a_folder_does_not_import_tensorflow(folder):
    code = (
        "import sys; from cnnkit import data; data.from_folder(sys.argv[1]); "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code, folder], env=environment)
    assert done.returncode == 0


def test_crop_and_pad_agree_with_pillow_and_say_what_they_lose(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        for i in range(5):
            save(tmp_path / name / f"{i}.png", rng.integers(0, 256, (40, 80, 3)))
    native = Image.open(tmp_path / "cat" / "0.png")
    crop = data.from_folder(tmp_path, image_size=40, fit="crop")
    np.testing.assert_array_equal(crop.pixels[0], np.asarray(native)[:, 20:60])
    assert any("cut; of their area is lost: 50% on average" in n for n in crop.notes)
    pad = data.from_folder(tmp_path, image_size=40, fit="pad", background="#102030")
    expected = ImageOps.pad(native, (40, 40), Image.BOX, color="#102030")
    difference = pad.pixels[0].astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 1  # rounded otherwise
    assert any("of their pixels are #102030: 50%" in n for n in pad.notes)
    squeezed = data.from_folder(tmp_path, image_size=40)
    assert any("squeezed, by a factor of up to 2.00" in n for n in squeezed.notes)
    with pytest.raises(ValueError, match="fit='stretch'"):
        data.from_folder(tmp_path, fit="stretch")
    with pytest.raises(ValueError, match="background='mauvish'"):
        data.from_folder(tmp_path, background="mauvish")


def test_what_was_unusual_about_files_is_told(folder):
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype="uint8"))
    frames = [
        Image.fromarray(rng.integers(0, 256, (9, 9), dtype="uint8")) for _ in "ab"
    ]
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(folder / "cat" / "turned.jpg", exif=exif)
    picture.convert("CMYK").save(folder / "cat" / "printed.jpg")
    picture.save(folder / "cat" / "really_a_webp.jpg", format="WEBP")
    frames[0].save(folder / "cat" / "film.gif", save_all=True, append_images=frames[1:])
    deep = rng.integers(0, 65536, (30, 30), dtype="uint16")
    Image.fromarray(deep).save(folder / "cat" / "deep.png")
    see_through = picture.copy()
    see_through.putalpha(100)
    see_through.save(folder / "cat" / "glass.png")
    photos = data.from_folder(folder)
    said = " ".join(photos.notes)
    for words in (
        "1 pictures carry the camera's rotation", "1 pictures have printing colours",
        "1 pictures have another format", "1 pictures hold several frames",
        "1 pictures have more than 8 bits", "1 pictures are transparent in places and "
        "were laid on white",
    ):  # fmt: skip
        assert words in said
    turned = photos.manifest.set_index("path").loc["cat/turned.jpg"]
    assert (turned["width"], turned["height"]) == (30, 40)


def test_near_duplicates_stay_on_one_side(tmp_path):
    digits = load_digits()
    rng = np.random.default_rng(0)
    for i in range(40):
        coarse = rng.integers(0, 256, (6, 6, 3), dtype="uint8")
        picture = Image.fromarray(coarse).resize((64, 64), Image.BICUBIC)
        name = ("cat", "dog")[i % 2]
        save(tmp_path / name / f"{i}.png", picture)
        picture.save(tmp_path / name / f"{i}_again.jpg", quality=60)
    photos = data.from_folder(tmp_path)
    stem = photos.manifest["path"].str.extract(r"(\d+)")[0]
    assert (photos.manifest.groupby(stem)["split"].nunique() == 1).all()
    assert any("80 pictures have a near duplicate" in note for note in photos.notes)
    # Where all is alike, likeness does not guide the split.
    images = np.repeat(np.repeat(digits.images[:300] * 15, 4, axis=1), 4, axis=2)
    flat = data.from_arrays(np.rint(images / 8 + 90), digits.target[:300])
    assert (flat.counts() > 0).all(axis=None)


def test_some_pictures_stay_what_they_were(folder):
    photos = data.from_folder(folder, image_size=16)
    rows = photos.rows("train")[::-1]
    few = photos.take(rows)
    np.testing.assert_array_equal(few.pixels, photos.pixels[rows])
    assert list(few.manifest["path"]) == list(photos.manifest["path"].iloc[rows])
    assert list(few.manifest.index) == list(range(len(rows)))
    assert few.class_names == photos.class_names and set(few.manifest["split"]) == {
        "train"
    }


def test_folds_share_out_all_but_the_test(folder):
    photos = data.from_folder(folder)
    versions = photos.folds(4)
    held = [set(version.rows("valid")) for version in versions]
    assert set().union(*held) == set(photos.rows("train")) | set(photos.rows("valid"))
    assert sum(map(len, held)) == 34  # each in one fold alone
    for version in versions:
        assert version.rows("test").tolist() == photos.rows("test").tolist()
        assert version.pixels is photos.pixels


def test_pictures_shrink_as_in_tensorflow_and_grow_as_in_pillow(folder):
    photos = data.from_folder(folder)
    small, large = photos.resized((17, 24)), photos.resized((50, 41))
    assert small.image_shape == (17, 24, 3) and small.manifest.equals(photos.manifest)
    shrunk = tf.image.resize(photos.pixels[3], (17, 24), method="area")
    assert np.abs(small.pixels[3] - shrunk.numpy()).max() <= 1  # rounded
    grown = Image.fromarray(photos.pixels[3]).resize((41, 50), Image.BILINEAR)
    assert np.abs(large.pixels[3] - np.asarray(grown, "float32")).max() <= 1


@pytest.mark.parametrize("size", [(40, 40), (31, 47), (25, 59), (48, 70)])
def test_a_little_smaller_is_the_mean_of_points_between_pixels(size):
    photo = np.random.default_rng(0).integers(0, 256, (48, 60), dtype="uint8")
    height, width = size
    places = []
    for new, old in zip(size, photo.shape, strict=True):
        points = new * (2 if new < old else 1)
        places.append((np.arange(points) + 0.5) * old / points - 0.5)
    grid = np.meshgrid(*places, indexing="ij")
    between = ndimage.map_coordinates(
        photo.astype(float), grid, order=1, mode="nearest"
    )
    means = between.reshape(height, len(places[0]) // height, width, -1).mean((1, 3))
    assert np.abs(decoding.resize(photo, width, height) - means).max() <= 1.5  # rounded


@pytest.mark.parametrize("size", [24, 31, 41, 55])
def test_the_finest_pattern_is_grey_and_makes_no_other_when_it_shrinks(size):
    board = np.uint8(255 * (np.indices((60, 60)).sum(axis=0) % 2))
    shrunk = decoding.resize(board, size, size).astype(float)
    careless = tf.image.resize(board[..., None], (size, size)).numpy()
    assert abs(shrunk.mean() - 127.5) < 1
    assert shrunk.std() < 0.5 * careless.std()


def test_padding_makes_no_pictures_alike(tmp_path):
    for i in range(40):
        (tmp_path / str(i % 2)).mkdir(exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype="uint8")
        wide = Image.fromarray(pixels).resize((96, 24), Image.Resampling.BICUBIC)
        wide.save(tmp_path / str(i % 2) / f"{i}.png")
    photos = data.from_folder(tmp_path, image_size=48, fit="pad")
    assert photos.manifest["alike"].nunique() == 40


@pytest.mark.parametrize("shape", [(1, 9, 7, 1), (32, 48, 48, 3), (3, 1, 1, 3)])
def test_pixels_become_floats_that_tensorflow_takes_over_without_a_copy(shape):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, *shape[1:]), dtype="uint8")
    chosen = rng.permutation(40)[: shape[0]]
    floats = memory.as_floats(images, chosen)
    np.testing.assert_array_equal(floats, images[chosen].astype("float32"))
    assert floats.dtype == "float32" and floats.ctypes.data % 64 == 0


@pytest.mark.parametrize(
    "shape", [(160, 90, 3), (64, 64, 1), (100, 90, 3), (17, 33, 3)]
)
def test_a_thumbnail_is_the_mean_of_each_box(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")
    height, width, channels = shape
    finer = image.repeat(16, axis=0).repeat(16, axis=1)  # each box is whole pixels now
    expected = finer.reshape(16, height, 16, width, channels).mean(axis=(1, 3))
    actual = duplicates.fingerprint(image)
    assert actual.shape == (16, 16, 3)
    assert np.abs(actual - expected).max() <= 1  # rounded
    picture = Image.fromarray(image.repeat(3, axis=2) if channels == 1 else image)
    np.testing.assert_array_equal(duplicates.fingerprint(picture), actual)


@pytest.mark.parametrize("size", [(61, 97), (97, 61), (61, 256), (213, 61), (122, 61)])
def test_the_middle_of_every_shape_is_cropped_as_pillow_does_it(size, tmp_path):
    """Of some sides the scale is rounded, and the window began before the picture."""
    across, down = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    slopes = np.stack([across, down, across // 2], axis=2).astype("uint8")
    for name in ("a", "b"):
        save(tmp_path / name / "1.png", slopes)
    photos = data.from_folder(tmp_path, image_size=160, fit="crop")
    expected = ImageOps.fit(Image.fromarray(slopes), (160, 160), Image.BILINEAR)
    difference = photos.pixels[0].astype(int) - np.asarray(expected, int)
    assert np.abs(difference).max() <= 2  # half a pixel, and roundings
