import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from sklearn.utils.class_weight import compute_class_weight

from cnnkit import data, models, training
from cnnkit.training.losses import SparseFocalCrossentropy

balance = data.balance


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [80, 20, 10])
    images = rng.integers(0, 256, (110, 28, 28, 1), dtype="uint8")
    return data.from_arrays(images, labels, class_names=("a", "b", "c"))


def network():
    keras.utils.set_random_seed(0)
    return models.small_cnn(num_classes=3, input_shape=(28, 28, 1), widths=(4, 8))


def test_weights_equal_scikit_learn_and_the_formula_of_the_paper(photos):
    labels = photos.manifest.loc[photos.manifest["split"] == "train", "label"]
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    ours = balance.class_weights(photos)
    np.testing.assert_allclose(list(ours.values()), wanted)
    counts = np.bincount(labels)
    effective = (1 - 0.9) / (1 - 0.9**counts)
    ours = balance.class_weights(photos, method="effective", beta=0.9)
    np.testing.assert_allclose(
        list(ours.values()), 3 * effective / effective.sum(), rtol=1e-9
    )
    ours = balance.class_weights(photos, method="effective", beta=0)
    np.testing.assert_allclose(list(ours.values()), 1)


@pytest.mark.parametrize("sample", [balance.oversample, balance.undersample])
def test_sampling_evens_out_training_alone(sample, photos):
    even = sample(photos, seed=3)
    before, after = photos.counts(), even.counts()
    wanted = (
        before["train"].max() if sample is balance.oversample else before["train"].min()
    )
    assert (after["train"] == wanted).all()
    for part in ("valid", "test"):
        for ours, theirs in zip(
            data.to_arrays(even, part), data.to_arrays(photos, part), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    known = dict(zip(photos.manifest["path"], photos.pixels, strict=True))
    for path, pixels in zip(even.manifest["path"], even.pixels, strict=True):
        np.testing.assert_array_equal(pixels, known[path])
    train = even.manifest[even.manifest["split"] == "train"]
    repeats = train["path"].value_counts()
    spread = repeats.groupby(train.groupby("path")["label"].first()).agg(np.ptp)
    assert (spread <= 1).all() and "so that each class has" in even.notes[-1]
    again = sample(photos, seed=3).manifest
    assert again.equals(even.manifest)


def test_repeated_pictures_stay_in_one_fold(photos):
    for fold in balance.oversample(photos).folds(3):
        sides = fold.manifest.groupby("content_hash")["split"].nunique()
        assert (sides == 1).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_equals_keras_on_one_hot_labels(gamma):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(5), 64).astype("float32")
    labels = rng.integers(0, 5, 64)
    theirs = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=gamma)
    wanted = theirs(np.eye(5, dtype="float32")[labels], probabilities)
    ours = SparseFocalCrossentropy(gamma)
    np.testing.assert_allclose(ours(labels, probabilities), wanted, rtol=1e-5)
    again = keras.losses.deserialize(keras.losses.serialize(ours))
    assert again.gamma == gamma
    if gamma == 0:
        wanted = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        np.testing.assert_allclose(
            ours(labels, probabilities), np.mean(wanted), rtol=1e-5
        )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99, 2.0])
def test_focal_loss_learns_from_a_batch_with_a_picture_that_is_certain(gamma):
    logits = keras.Variable([[60.0, 0.0], [1.0, 0.0]])
    with tf.GradientTape() as tape:
        loss = SparseFocalCrossentropy(gamma)(np.array([0, 1]), ops.softmax(logits))
    gradient = np.asarray(tape.gradient(loss, logits.value))
    assert np.isfinite(gradient).all() and abs(gradient[1]).min() > 0.1


def test_fit_passes_weights_and_loss_to_keras(photos):
    weights = balance.class_weights(photos)
    model = network()
    kwargs = {"epochs": 1, "batch_size": 200, "verbose": 0, "precision": "float32"}
    history = training.fit(model, photos, class_weight=weights, **kwargs)
    # One batch holds all: the first loss is that of the untrained network.
    images, labels = data.to_arrays(photos, "train")
    other = network()
    plain = np.asarray(other(images.astype("float32"), training=True))
    each = -np.log(plain[np.arange(len(labels)), labels])
    wanted = np.mean(each * np.vectorize(weights.get)(labels))
    np.testing.assert_allclose(history.history["loss"][0], wanted, rtol=1e-4)
    model = network()
    history = training.fit(model, photos, loss="focal", **kwargs)
    right = plain[np.arange(len(labels)), labels]
    wanted = np.mean((1 - right) ** 2 * -np.log(right))
    np.testing.assert_allclose(history.history["loss"][0], wanted, rtol=1e-4)
    assert isinstance(model.loss, SparseFocalCrossentropy)


def test_what_does_not_go_together_is_refused(photos):
    weights, even = balance.class_weights(photos), balance.oversample(photos)

    def refused(match, pictures=photos, **options):
        with pytest.raises(ValueError, match=match):
            training.fit(network(), pictures, epochs=1, **options)

    refused("count twice", class_weight=weights, loss="focal")
    refused("count twice", even, class_weight=weights)
    refused("for each label from 0 to 2", class_weight={0: 1.0, 1: 2.0})
    refused("number above 0", class_weight={**weights, 1: 0.0})
    refused("labels are integers", loss=keras.losses.CategoricalCrossentropy())
    refused("'crossentropy', 'focal'", loss="hinge")
    with pytest.raises(ValueError, match="balanced before"):
        balance.undersample(even)
    none = photos.manifest["label"].replace({2: 1})
    import dataclasses

    lacking = dataclasses.replace(photos, manifest=photos.manifest.assign(label=none))
    with pytest.raises(ValueError, match=r"none of \['c'\]"):
        balance.class_weights(lacking)


def test_a_column_of_the_users_is_not_taken_for_ours():
    images = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3)).astype("u1")
    photos = data.from_arrays(images, np.arange(30) % 3, class_names=list("abc"))
    table = photos.manifest.assign(copy="brighter")
    photos = dataclasses.replace(photos, manifest=table)
    assert not data.balance.is_repeated(photos)
    more = data.balance.oversample(photos)
    assert (more.manifest["copy"] == "brighter").all()
