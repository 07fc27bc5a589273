"""Features that are computed once: the same as without, and only those of the model."""

import errno

import keras
import numpy as np
import pytest

from cnnkit import augment, data, models, training, transfer
from cnnkit.transfer import feature_files


@pytest.fixture(scope="module")
def digits():
    images, labels = data.to_arrays(data.load("digits"), "train")
    return data.from_arrays(images[:120], labels[:120], together="same")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = models.small_cnn(input_shape=(32, 32, 1), widths=(8, 16))
    for layer in model.layers[: [v.name for v in model.layers].index("features")]:
        layer.trainable = False
    return model


def test_the_head_says_of_features_what_the_model_says_of_pictures(model, digits):
    features = transfer.cache_features(model, digits, batch_size=50)
    assert isinstance(features.pixels, np.memmap)
    assert features.image_shape == (16,) and features.pixels.dtype == np.float32
    said = transfer.head_of(model).predict(features.pixels, verbose=0)
    expected = model.predict(digits.pixels.astype("float32"), verbose=0)
    np.testing.assert_allclose(said, expected, rtol=1e-4, atol=1e-6)
    columns = digits.manifest.columns
    assert features.manifest[columns].equals(digits.manifest[columns])
    assert features._repr_html_() is None  # a notebook shows the line instead
    assert "16" in repr(features)


def test_training_the_head_on_features_trains_the_model(model, digits):
    features = transfer.cache_features(model, digits)
    body = transfer.body_of(model)
    before = [np.array(value) for value in body.get_weights()]
    head = transfer.head_of(model)
    training.fit(head, features, epochs=60, learning_rate=0.3, verbose=0)
    for old, new in zip(before, body.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    images, _ = data.to_arrays(digits, "train")
    expected = head.predict(features.pixels[features.rows("train")], verbose=0)
    np.testing.assert_allclose(
        model.predict(images.astype("float32"), verbose=0), expected, atol=1e-5
    )
    labels = digits.manifest["label"].to_numpy()[digits.rows("train")]
    assert np.mean(expected.argmax(axis=1) == labels) > 0.3  # chance is 0.1


def test_copies_are_what_augmenting_by_hand_gives(model, digits):
    features = transfer.cache_features(
        model, digits, copies=2, augment=augment.flip(), seed=3, batch_size=200
    )
    rows, n = digits.rows("train"), len(digits.pixels)
    assert features.manifest["copy"].tolist() == (
        [0] * n + [1] * len(rows) + [2] * len(rows)
    )
    assert len(features.rows("train")) == 3 * len(rows)
    assert len(features.rows("valid")) == len(digits.rows("valid"))
    body = transfer.body_of(model)
    seen = body.predict(digits.pixels[rows].astype("float32"), verbose=0)
    mirrored = digits.pixels[rows][:, :, ::-1].astype("float32")
    mirrored = body.predict(mirrored, verbose=0)
    for copy in (1, 2):
        found = features.pixels[features.manifest["copy"] == copy]
        as_it_was = np.isclose(found, seen, atol=1e-4).all(axis=1)
        turned = np.isclose(found, mirrored, atol=1e-4).all(axis=1)
        assert (as_it_was | turned).all() and as_it_was.any() and turned.any()


def test_a_folder_keeps_them_and_gives_them_to_no_other_model(
    model, digits, tmp_path, monkeypatch
):
    def files():
        return sorted(path.name for path in tmp_path.iterdir())

    first = transfer.cache_features(model, digits, folder=tmp_path)
    kept = files()
    assert len(kept) == 1
    with monkeypatch.context() as no_more:
        no_more.setattr(keras.Model, "predict_on_batch", None)
        again = transfer.cache_features(model, digits, folder=tmp_path)
    np.testing.assert_array_equal(first.pixels, again.pixels)

    other = keras.models.clone_model(model)
    weights = model.get_weights()
    weights[0] = weights[0] + np.float32(1e-3)
    other.set_weights(weights)
    theirs = transfer.cache_features(other, digits, folder=tmp_path)
    assert len(files()) == 2 and not np.array_equal(theirs.pixels, first.pixels)
    transfer.cache_features(model, digits.folds(2)[0], folder=tmp_path)
    assert len(files()) == 2  # another split of the same pictures
    flipped = {"augment": augment.flip(), "copies": 1, "folder": tmp_path}
    transfer.cache_features(model, digits, **flipped)
    transfer.cache_features(model, digits, **flipped, seed=1)
    assert len(files()) == 4

    path = tmp_path / kept[0]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=f"damaged: delete it.*{kept[0]}"):
        transfer.cache_features(model, digits, folder=tmp_path)


@pytest.mark.parametrize("stop", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_full_disk_or_an_interrupt_leaves_nothing_behind(
    model, digits, tmp_path, monkeypatch, stop
):
    class Full:
        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, content):
            raise stop

    whole = feature_files.tempfile.NamedTemporaryFile
    monkeypatch.setattr(
        feature_files.tempfile, "NamedTemporaryFile", lambda **o: Full(whole(**o))
    )
    message = "no space is left.*another folder.*Received"
    with pytest.raises(type(stop), match=message if stop.args else None):
        transfer.cache_features(model, digits, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_backbone_without_head_gives_the_average_of_its_map(digits):
    base = transfer.backbone("mobilenet", (32, 32, 1), weights=None, width=0.25)
    base.trainable = False
    few = digits.folds(2)[0]
    features = transfer.cache_features(base, few)
    maps = base.predict(few.pixels.astype("float32"), verbose=0)
    np.testing.assert_allclose(features.pixels, maps.mean((1, 2)), atol=1e-5)


def test_what_cannot_be_kept_is_refused(model, digits):
    free = models.small_cnn(input_shape=(32, 32, 1), widths=(8, 16))
    with pytest.raises(ValueError, match="freeze its layers first.*Received"):
        transfer.cache_features(free, digits)
    with pytest.raises(ValueError, match="both or none.*copies=2"):
        transfer.cache_features(model, digits, copies=2)
    with pytest.raises(ValueError, match=r"pictures of \(28, 28, 1\)"):
        transfer.cache_features(model, digits.resized(28))
