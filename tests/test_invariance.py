import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import ndimage

from cnnkit import evaluation
from cnnkit.evaluation.invariance import _change


def model_of(look, shape):
    """A classifier: class 1 from where `look` gives a number above 0."""
    inputs = keras.Input(shape)
    number = layers.Lambda(look)(inputs)
    outputs = layers.Lambda(
        lambda x: ops.concatenate([ops.sigmoid(-x), ops.sigmoid(x)], axis=1)
    )(number)
    return keras.Model(inputs, outputs)


def test_changes_are_those_of_scipy_and_numpy():
    image = np.random.default_rng(0).uniform(0, 255, (21, 21, 2)).astype("float32")
    turned = _change(image, "rotation", 90, 1)
    np.testing.assert_allclose(turned, np.rot90(image), atol=1e-2)
    for way, shift in enumerate([(0, -4), (0, 4), (-4, 0), (4, 0)]):
        moved = _change(image, "translation", 4 / 21, way)
        theirs = ndimage.shift(image, (*shift, 0), order=1, mode="mirror")
        np.testing.assert_allclose(moved, theirs, atol=1e-2)
    smooth = ndimage.gaussian_filter(image, (3, 3, 0))
    larger = _change(smooth, "scale", 2, 1)
    theirs = ndimage.affine_transform(smooth, [0.5, 0.5, 1], [5, 5, 0], order=1)
    np.testing.assert_allclose(larger, theirs, atol=0.5)
    np.testing.assert_allclose(_change(image, "brightness", 300, 1), 255)
    for change in ("rotation", "translation", "brightness"):
        np.testing.assert_array_equal(_change(image, change, 0, 1), image)
    np.testing.assert_array_equal(_change(image, "scale", 1, 1), image)


def test_a_mean_does_not_see_where_and_a_pixel_does():
    # Bright squares on the left of some pictures, on the right of others.
    rng = np.random.default_rng(1)
    images = np.zeros((80, 32, 32, 1), "uint8")
    labels = rng.integers(0, 2, 80)
    images[labels == 1, 14:18, 4:10] = 200
    images[labels == 0, 14:18, 22:28] = 200
    half = model_of(
        lambda x: ops.mean(x[:, :, :16], (1, 2)) - ops.mean(x[:, :, 16:], (1, 2)),
        (32, 32, 1),
    )
    amounts = {"translation": (0, 0.1, 0.5), "rotation": (0, 90)}
    table = evaluation.invariance(half, images, labels, amounts=amounts)
    assert (table.loc[("translation", 0), ["value", "same"]] == 1).all()
    assert (table.loc[("translation", 0.1), ["value", "same"]] == 1).all()
    assert table.loc[("translation", 0.5), "value"] < 0.9  # past the middle
    assert table.loc[("rotation", 90), "value"] < 0.9
    low, high = evaluation.wilson(80, 80)
    row = table.loc[("rotation", 0)]
    assert (row["low"], row["high"], row["pictures"]) == (low, high, 80)

    mean = model_of(lambda x: ops.mean(x, (1, 2)) - 3, (32, 32, 1))
    table = evaluation.invariance(mean, images, labels)
    small = [("translation", 0.1), ("rotation", 20), ("rotation", 90)]
    assert (table.loc[small, "same"] == 1).all()
    assert table.loc[("brightness", 80), "same"] < 1


def test_wrong_input_is_named():
    model = model_of(lambda x: ops.mean(x, (1, 2)), (8, 8, 1))
    images = np.zeros((3, 8, 8, 1))
    with pytest.raises(ValueError, match=r"Received: shapes \(3, 8, 8, 1\) and \(2,\)"):
        evaluation.invariance(model, images, [0, 1])
    with pytest.raises(ValueError, match="Received: .'colour'."):
        evaluation.invariance(model, images, [0, 1, 0], amounts={"colour": (1,)})
