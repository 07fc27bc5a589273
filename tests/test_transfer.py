import keras
import numpy as np
import pytest

from cnnkit import transfer

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
