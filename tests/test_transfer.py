import os
import tarfile
from functools import cache, partial
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
from keras.src.applications.densenet import DenseNet
from keras.src.applications.efficientnet import EfficientNet
from keras.src.applications.efficientnet_v2 import EfficientNetV2
from keras.src.utils import file_utils
from PIL import Image
from references import without_random_start
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cnnkit import data, models, saving, transfer
from cnnkit.models.densenet import VARIANTS as DENSENETS
from cnnkit.models.efficientnet_v2 import VARIANTS as EFFICIENTNETS_V2

APPLICATIONS = keras.applications
ORIGINS = {
    "convnext": APPLICATIONS.convnext,
    "densenet": APPLICATIONS.densenet,
    "efficientnet_b": APPLICATIONS.efficientnet,
    "efficientnet_v2": APPLICATIONS.efficientnet_v2,
    "inception_v3": APPLICATIONS.inception_v3,
    "mobilenet": APPLICATIONS.mobilenet,
    "mobilenet_v2": APPLICATIONS.mobilenet_v2,
    "mobilenet_v3": APPLICATIONS.mobilenet_v3,
    "nasnet": APPLICATIONS.nasnet,
    "resnet50": APPLICATIONS.resnet,
    "resnet50_v2": APPLICATIONS.resnet_v2,
    "vgg16": APPLICATIONS.vgg16,
    "xception": APPLICATIONS.xception,
}
SISTERS = ("b1", "b2", "b3")
PUBLISHED = [name for name, row in transfer.BACKBONES.items() if row.pixels != "ours"]
OURS = [name for name, row in transfer.BACKBONES.items() if row.pixels == "ours"]


def preprocess(name):
    """What the family's own module in Keras does with pixels."""
    family = max((f for f in ORIGINS if name.startswith(f)), key=len)
    return ORIGINS[family].preprocess_input


def pixels(shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape).astype("float32")


def changed(name, monkeypatch, **fields):
    row = transfer.BACKBONES[name]._replace(**fields)
    monkeypatch.setitem(transfer.BACKBONES, name, row)


def disturb(model):
    """Moves all weights away from the zeros and ones that hide an error."""
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if "float" in variable.dtype:  # not the counter of Normalization
            noise = rng.normal(0, 0.02, variable.shape)
            variable.assign(variable.numpy() + noise)


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_network_gets_the_pixels_that_its_own_preprocessing_makes(
    name, monkeypatch
):
    """Where that does nothing, the network of Keras normalises inside."""

    def only_pixels(input_tensor, **arguments):
        assert "include_preprocessing" not in arguments
        inputs = keras.utils.get_source_inputs(input_tensor)
        return keras.Model(inputs, input_tensor)

    changed(name, monkeypatch, build=only_pixels)
    images = pixels((2, 5, 4, 3))
    seen = transfer.backbone(name, (None, None, 3), weights=None)(images)
    expected = preprocess(name)(images.copy())
    np.testing.assert_allclose(np.asarray(seen), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["convnext_tiny", "vgg16"])  # densenet: see TWINS
def test_a_backbone_is_the_network_of_keras_on_the_same_weights(name):
    ours = transfer.backbone(name, (None, None, 3), weights=None)
    theirs = transfer.BACKBONES[name].build(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    disturb(theirs)
    ours.set_weights(theirs.get_weights())
    images = pixels((2, 32, 32, 3))
    expected = np.asarray(theirs(preprocess(name)(images.copy())))
    np.testing.assert_allclose(
        np.asarray(ours(images)), expected, rtol=1e-3, atol=1e-3 * expected.std()
    )
    assert expected.std(axis=0).max() > 0.01 * expected.std()  # it sees the pictures
    assert not any(isinstance(layer, keras.Model) for layer in ours.layers)


@pytest.mark.parametrize("name", [n for n in PUBLISHED if n[-2:] not in SISTERS])
def test_the_file_that_keras_asks_for_is_the_one_that_is_looked_for(
    name, monkeypatch, tmp_path
):
    asked = []

    def offline(file, *more, **options):
        asked.append(file)
        raise OSError("URL fetch failure")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(file_utils, "get_file", offline)
    with pytest.raises(FileNotFoundError) as error, without_random_start():
        transfer.backbone(name, (64, 64, 3), weights="imagenet")
    assert f"Put the file {asked[0]} into the folder" in str(error.value)
    assert str(tmp_path / "models") in str(error.value)
    for sister in SISTERS if name.endswith("b0") else ():  # to build all takes long
        row = transfer.BACKBONES[name.replace("b0", sister)]
        assert row.file == asked[0].replace("b0", sister)
        assert row.build.__name__.endswith(sister.upper())


def test_efficientnet_corrects_the_published_statistics_as_keras_does(
    monkeypatch, tmp_path
):
    """Keras adds a layer for it, but only to weights="imagenet"."""
    build = partial(EfficientNet, 0.25, 0.2, 32, name="few", weights_name="b0")
    changed("efficientnet_b0", monkeypatch, build=build)
    source = build(include_top=False, weights=None, input_shape=(32, 32, 3))
    disturb(source)
    norm = next(x for x in source.layers if "normalization" in x.name)
    norm.adapt_mean.assign([0.485, 0.456, 0.406])
    norm.adapt_variance.assign([0.229, 0.224, 0.225])
    norm.finalize_state()
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "efficientnetb0_notop.h5"
    source.save(file)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(file_utils, "get_file", lambda *more, **options: str(file))
    theirs = build(include_top=False, input_shape=(32, 32, 3))
    ours = transfer.backbone("efficientnet_b0", (None, None, 3))
    images = pixels((2, 32, 32, 3))

    def stem(model):
        stem = model.get_layer("stem_conv").output
        return np.asarray(keras.Model(model.input, stem)(images))

    np.testing.assert_allclose(stem(ours), stem(theirs), rtol=1e-3, atol=1e-3)
    assert np.abs(stem(source) - stem(theirs)).max() > 0.1

    ours.save_weights(tmp_path / "mine.weights.h5")  # corrected once, not again
    again = transfer.backbone(
        "efficientnet_b0", (None, None, 3), weights=tmp_path / "mine.weights.h5"
    )
    np.testing.assert_array_equal(stem(again), stem(ours))


@pytest.mark.parametrize(
    ("shape", "factor"),
    [((28, 28, 1), 4), ((32, 40, 3), 3), ((64, 64, 3), 2), ((96, 300, 3), 1)],
)
def test_small_pictures_are_enlarged_as_pillow_does_it_and_this_is_said(
    shape, factor, monkeypatch, capsys
):
    model = transfer.backbone("mobilenet", shape, weights=None, width=0.25)
    height, width = (side * factor for side in shape[:2])
    said = capsys.readouterr().out
    assert (f"{factor} times, to {height} x {width}" in said) == (factor > 1)
    assert ("enlarge" in [layer.name for layer in model.layers]) == (factor > 1)
    images = pixels((1, *shape))
    ready = keras.Model(model.input, model.get_layer("rescale").output)(images)
    expected = [
        Image.fromarray(images[0, ..., channel]).resize((width, height), Image.BILINEAR)
        for channel in range(shape[-1])
    ] * (3 // shape[-1])
    expected = np.stack([np.asarray(i) for i in expected], axis=-1)[None] / 127.5 - 1
    np.testing.assert_allclose(np.asarray(ready), expected, atol=1e-3)


@pytest.mark.parametrize("name", OURS)
def test_our_networks_keep_small_pictures_as_they_are_or_say_so(name, capsys):
    model = transfer.backbone(name, (32, 32, 1), weights=None)
    if name == "small_cnn":  # with four stages
        assert (
            "enlarged inside the model, 2 times, to 64 x 64" in capsys.readouterr().out
        )
        transfer.backbone(name, (48, 48, 1), weights=None)
    assert not capsys.readouterr().out
    assert len(model.output.shape) == 4 and min(model.output.shape[1:3]) >= 1
    assert transfer.classifier(model, 5).output_shape == (None, 5)
    assert "features" not in [layer.name for layer in model.layers]


def test_weights_in_the_package_are_found_and_grey_pictures_can_use_them(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(ValueError, match="holds weights for these .*Received: weigh"):
        monkeypatch.setattr(transfer.weights, "PACKAGE", tmp_path)
        transfer.backbone("small_cnn", (32, 32, 3), weights="embedded")
    assert transfer.backbone("small_cnn", (32, 32, 3)).trainable
    assert "no weights in this package" in capsys.readouterr().out

    source = models.small_cnn(input_shape=(64, 64, 3), widths=(32, 64, 128, 256))
    body = transfer.backbone("small_cnn", (32, 32, 3), weights=None)
    disturb(body)
    arrays = [np.asarray(v, "float16") for v in body.weights]
    named = {f"{number:04}": array for number, array in enumerate(arrays)}
    np.savez_compressed(tmp_path / "small_cnn.npz", **named)
    body.set_weights(arrays)
    grey = pixels((2, 32, 32, 1))
    for weights in ("auto", "embedded"):
        ours = transfer.backbone("small_cnn", (32, 32, 1), weights=weights)
        assert "weights from this package" in capsys.readouterr().out
        assert ours.trainable  # a start, not features to keep
        expected = np.asarray(body(np.repeat(grey, 3, axis=-1)))
        np.testing.assert_allclose(np.asarray(ours(grey)), expected, atol=1e-4)
        assert expected.std() > 0.01
    assert len(arrays) == len(source.weights) - 2  # without the last layer

    unsafe = {name: array.astype(object) for name, array in named.items()}
    np.savez_compressed(tmp_path / "small_cnn.npz", **unsafe)
    with pytest.raises(ValueError, match="small_cnn.npz.*allow_pickle=False"):
        transfer.backbone("small_cnn", (32, 32, 1))
    with pytest.raises(ValueError, match="published ImageNet weights for small_cnn"):
        transfer.backbone("small_cnn", (32, 32, 1), weights="imagenet")


def test_the_weights_of_the_package_tell_signs_that_they_never_saw(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    file = transfer.weights.PACKAGE / "small_cnn.npz"
    assert file.stat().st_size < 4e6
    with np.load(file, allow_pickle=False) as arrays:
        assert all(arrays[name].dtype == "float16" for name in arrays)
        assert all(np.isfinite(arrays[name]).all() for name in arrays)
    signs = data.signs.draw(360, size=32, seed=3)
    images, labels = signs.images.astype("float32"), signs.labels
    learnt = [np.flatnonzero(labels == label)[:5] for label in range(12)]
    learnt = np.concatenate(learnt)
    new = np.setdiff1d(np.arange(len(labels)), learnt)
    scores = {}
    for weights in ("embedded", None):
        base = transfer.backbone("small_cnn", (32, 32, 3), weights=weights)
        features = base.predict(images, verbose=0).mean(axis=(1, 2))
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
        probe.fit(features[learnt], labels[learnt])
        scores[weights] = probe.score(features[new], labels[new])
    # Measured: 0.48 against 0.17; chance is 0.08.
    assert scores["embedded"] > scores[None] + 0.15


def test_a_saved_classifier_gives_its_backbone_to_the_next(tmp_path, capsys):
    first = transfer.classifier(
        "mobilenet", 3, image_shape=(48, 48, 1), weights=None, width=0.25
    )
    disturb(first)
    saving.save(first, tmp_path / "first.keras", ["a", "b", "c"])
    second = transfer.backbone(
        "mobilenet", (64, 64, 1), weights=tmp_path / "first.keras", width=0.25
    )
    assert "weights from first.keras" in capsys.readouterr().out
    theirs = [w for w in first.get_weights()[:-2]]
    for ours, their in zip(second.get_weights(), theirs, strict=True):
        np.testing.assert_array_equal(ours, their)
    assert not second.trainable


def test_weights_that_do_not_fit_are_named_with_their_file(
    mobilenet_in_cache, tmp_path
):
    source, file = mobilenet_in_cache
    build = partial(transfer.backbone, "mobilenet", (32, 32, 3))
    with pytest.raises(ValueError, match=r"width 0.5, or.*_2_5_224_tf_no_top.h5' \(V"):
        build(weights=file, width=0.5)
    with pytest.raises(ValueError, match="do not fit mobilenet_v2"):
        transfer.backbone("mobilenet_v2", (32, 32, 3), weights=file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    for weights in ("auto", "imagenet", file):
        with pytest.raises(ValueError, match="damaged.*2_5_224_tf_no_top.h5' \\(OSE"):
            build(weights=weights)
    source.weights[3].assign(np.full(source.weights[3].shape, np.nan))
    source.save_weights(tmp_path / "x.weights.h5")
    with pytest.raises(ValueError, match="damaged.*x.weights.h5' .*is not finite"):
        build(weights=tmp_path / "x.weights.h5", width=0.25)
    with pytest.raises(FileNotFoundError, match="'embedded', None or.*'absent.h5'"):
        build(weights="absent.h5")


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

    changed("mobilenet", monkeypatch, build=offline)
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
        (("mobilenet", (0, 64, 3)), r"Received: image_shape=\(0, 64, 3\)"),
        (("mobilenet", (None, 64, 3)), "None twice for any size"),
        (("mobilenet", (64.5, 64, 3)), "Received: image_shape"),
        (("mobilenet", 64), "Received: image_shape=64"),
        (("resnet18", (28, 28, 3)), "at least 32 pixels"),
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


# Of the deepest, small members: their families' tests compare a published one.
TWINS = {
    "densenet": (
        partial(models.densenet, "few"),
        partial(DenseNet, [1, 2, 1, 2]),
        APPLICATIONS.densenet.preprocess_input,
    ),
    "efficientnet_v2": (
        partial(models.efficientnet_v2, "few"),
        partial(EfficientNetV2, 0.25, 0.3, 224, name="efficientnetv2-b0"),
        None,
    ),
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


@cache
def twins(name):
    """A published network that is not trained, and ours that has adopted it."""
    build, published, preprocess = TWINS[name]
    theirs = published(weights=None, include_top=False, input_shape=(64, 64, 3))
    disturb(theirs)
    with (
        mock.patch.dict(DENSENETS, few=(1, 2, 1, 2)),
        mock.patch.dict(EFFICIENTNETS_V2, few=(0.25, 0.3, 224)),
    ):
        ours = build(num_classes=3, input_shape=(64, 64, 3))
    return theirs, transfer.adopt(ours, theirs, preprocess), preprocess


@pytest.mark.parametrize("name", TWINS)
def test_an_adopted_network_sees_what_its_published_twin_sees(name):
    theirs, ours, preprocess = twins(name)
    images = pixels((2, 64, 64, 3))
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
    _, ours, _ = twins("vgg16")
    saving.save(ours, tmp_path / "model.keras", ["a", "b", "c"])
    loaded, _ = saving.load(tmp_path / "model.keras")
    assert loaded.get_layer("rescale").offset == pytest.approx(
        [-123.68, -116.779, -103.939]
    )
    images = pixels((2, 64, 64, 3))
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


def test_a_trained_classifier_is_cut_off_and_gets_another_head():
    teacher = models.small_cnn(num_classes=3, input_shape=(32, 32, 3), widths=(4, 8))
    body = keras.Model(teacher.input, teacher.get_layer("features").output)
    body.trainable = False
    model = transfer.classifier(body, 5)
    assert model.output_shape == (None, 5)
    assert len(model.trainable_weights) == 2  # of the new head
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    expected = keras.Model(teacher.input, teacher.get_layer("pooled").output)(images)
    pooled = keras.Model(model.input, model.get_layer("pooled").output)(images)
    np.testing.assert_array_equal(pooled, expected)
