import os
import tarfile
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from cnnkit import models, saving, transfer

ORIGINS = {
    "mobilenet": keras.applications.mobilenet,
    "mobilenet_v3_small": keras.applications.mobilenet_v3,
    "resnet50": keras.applications.resnet,
    "densenet121": keras.applications.densenet,
}


@pytest.mark.parametrize("name", ORIGINS)
def test_normalisation_inside_equals_the_family_s_own_preprocessing(name):
    ours = transfer.backbone(name, (32, 32, 3), weights=None)
    theirs = transfer.BACKBONES[name][0](
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    rng = np.random.default_rng(0)
    ours.set_weights(theirs.get_weights())
    images = rng.uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    expected = np.asarray(theirs(ORIGINS[name].preprocess_input(images.copy())))
    np.testing.assert_allclose(
        np.asarray(ours(images)), expected, rtol=1e-2, atol=1e-3 * expected.std()
    )
    assert expected.std() > 0


def test_a_width_in_the_cache_wins_and_serves_every_size(mobilenet_in_cache, capsys):
    source, file = mobilenet_in_cache
    assert transfer.cached_widths("mobilenet") == (0.25,)
    model = transfer.backbone("mobilenet", (96, 64, 3))
    said = capsys.readouterr().out
    assert "width 0.25" in said and file.name in said
    assert not model.trainable
    for ours, theirs in zip(model.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_without_a_cache_auto_goes_on_and_imagenet_says_what_is_missing(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    model = transfer.backbone("mobilenet", (32, 32, 3))
    assert model.trainable
    assert "no ImageNet weights in Keras' cache" in capsys.readouterr().out

    def offline(**options):
        raise OSError("URL fetch failure")

    row = (offline, *transfer.BACKBONES["mobilenet"][1:])
    monkeypatch.setitem(transfer.BACKBONES, "mobilenet", row)
    with pytest.raises(FileNotFoundError, match="mobilenet_1_0_224_tf_no_top.h5"):
        transfer.backbone("mobilenet", (32, 32, 3), weights="imagenet")


def test_a_classifier_is_flat_and_ends_in_the_four_layers():
    model = transfer.classifier(
        "mobilenet", 5, image_shape=(None, None, 1), weights=None, width=0.25
    )
    names = [layer.name for layer in model.layers]
    assert [n for n in names if n in ("features", "pooled", "logits")] == [
        "features",
        "pooled",
        "logits",
    ]
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert model.predict(np.zeros((2, 40, 56, 1)), verbose=0).shape == (2, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lenet", (64, 64, 3)), "name='lenet'"),
        (("mobilenet", (28, 28, 3)), "at least 32 pixels"),
        (("mobilenet", (64, 64, 4)), "3 channels of RGB"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        transfer.backbone(*arguments, weights=None)
    with pytest.raises(ValueError, match="Received: 0.3"):
        transfer.backbone("mobilenet", (64, 64, 3), width=0.3)
    with pytest.raises(ValueError, match="include_top=False"):
        inputs = keras.Input((4,))
        transfer.classifier(keras.Model(inputs, keras.layers.Dense(3)(inputs)), 3)


APPLICATIONS = keras.applications
TWINS = {
    "densenet121": (
        partial(models.densenet, 121),
        APPLICATIONS.DenseNet121,
        APPLICATIONS.densenet.preprocess_input,
    ),
    "efficientnet_v2": (models.efficientnet_v2, APPLICATIONS.EfficientNetV2B0, None),
    "mobilenet_v3": (
        partial(models.mobilenet_v3, "small"),
        APPLICATIONS.MobileNetV3Small,
        None,
    ),
    "vgg16": (
        partial(models.vgg_pooled, 16),
        APPLICATIONS.VGG16,
        APPLICATIONS.vgg16.preprocess_input,
    ),
}


@pytest.mark.parametrize("name", TWINS)
def test_an_adopted_network_sees_what_its_published_twin_sees(name):
    build, published, preprocess = TWINS[name]
    theirs = published(weights=None, include_top=False, input_shape=(64, 64, 3))
    rng = np.random.default_rng(0)
    for variable in theirs.variables:
        if "float" in variable.dtype:  # not the counter of Normalization
            noise = rng.normal(0, 0.02, variable.shape)
            variable.assign(variable.numpy() + noise)
    ours = transfer.adopt(
        build(num_classes=3, input_shape=(64, 64, 3)), theirs, preprocess
    )
    images = rng.uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    ready = images.copy() if preprocess is None else preprocess(images.copy())
    expected = np.asarray(theirs(ready))
    features = keras.Model(ours.input, ours.get_layer("features").output)
    np.testing.assert_allclose(
        np.asarray(features(images)), expected, rtol=1e-3, atol=1e-4 * expected.std()
    )
    assert expected.std() > 0
    trainable = [layer.name for layer in ours.layers if layer.trainable_weights]
    assert trainable[-1] == "logits" and "stem_conv" not in trainable


def test_the_published_weights_find_daisies_in_real_photographs():
    """ImageNet knows few flowers; the daisy is one of them, number 985."""
    folder = Path(os.environ.get("CNNKIT_DATA", "absent"))
    file = folder / "keras" / "models" / "mobilenet_2_5_224_tf.h5"
    if not file.is_file() or not (folder / "flowers.tar").is_file():
        pytest.skip("CNNKIT_DATA names no folder with flowers.tar and the weights")
    theirs = APPLICATIONS.MobileNet(weights=None, alpha=0.25)
    theirs.load_weights(file)
    preprocess = APPLICATIONS.mobilenet.preprocess_input
    ours = models.mobilenet(1, width=0.25, input_shape=(224, 224, 3))
    transfer.adopt(ours, theirs, preprocess)
    with tarfile.open(folder / "flowers.tar") as tar:
        names = [n for n in tar.getnames() if "val/daisy/" in n][:16]
        opened = [Image.open(tar.extractfile(name)) for name in names]
        images = np.stack([np.asarray(i.resize((224, 224)), "float32") for i in opened])
    said = ours.predict(images, verbose=0)
    expected = theirs.predict(preprocess(images.copy()), verbose=0)
    np.testing.assert_allclose(said, expected, atol=1e-4)
    assert (said.argmax(axis=1) == 985).mean() > 0.5


def test_a_saved_adopted_network_keeps_the_pixels_it_expects(tmp_path):
    theirs = APPLICATIONS.ResNet50(
        weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    ours = transfer.adopt(
        models.resnet(50, num_classes=3, input_shape=(None, None, 3)),
        theirs,
        APPLICATIONS.resnet.preprocess_input,
    )
    saving.save(ours, tmp_path / "model.keras", ["a", "b", "c"])
    loaded, _ = saving.load(tmp_path / "model.keras")
    assert loaded.get_layer("rescale").offset == pytest.approx(
        [-123.68, -116.779, -103.939]
    )
    images = np.random.default_rng(0).uniform(0, 255, (2, 40, 48, 3))
    np.testing.assert_array_equal(np.asarray(loaded(images)), np.asarray(ours(images)))


def test_weights_of_another_network_are_refused():
    small = APPLICATIONS.MobileNet(weights=None, include_top=False, alpha=0.25)
    with pytest.raises(ValueError, match=r"same width.*Received: .*\(3, 3, 3, 8\)"):
        transfer.adopt(models.mobilenet(1, width=0.5), small)
    with pytest.raises(ValueError, match="same network.*Received: 'mobilenet_0.25"):
        transfer.adopt(models.resnet_cifar(20), small)
    with pytest.raises(ValueError, match="seen colour.*Received"):
        grey = models.mobilenet(1, width=0.25, input_shape=(64, 64, 1))
        transfer.adopt(grey, small)


@pytest.mark.parametrize(
    ("build", "rank"),
    [
        (partial(transfer.classifier, "mobilenet", 3, weights=None, width=0.25), 2),
        (partial(models.alexnet_cifar, num_classes=3), 4),  # it learns behind features
    ],
)
def test_the_body_and_then_the_head_are_the_model_and_share_its_weights(build, rank):
    side = "image_shape" if rank == 2 else "input_shape"
    model = build(**{side: (32, 32, 3)})
    body, head = transfer.body_of(model), transfer.head_of(model)
    images = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype("float32")
    features = body.predict(images, verbose=0)
    assert features.ndim == rank
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(head.predict(features, verbose=0), expected, atol=1e-5)
    head.weights[-1].assign([9.0, 0.0, 0.0])  # what the head learns, the model knows
    assert (model.predict(images, verbose=0)[:, 0] > 0.9).all()
    whole = {id(weight) for weight in model.weights}
    parts = [id(weight) for part in (body, head) for weight in part.weights]
    assert set(parts) == whole and len(parts) == len(whole)
    with pytest.raises(ValueError, match="layers named 'features'.*Received: a model"):
        transfer.head_of(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))
