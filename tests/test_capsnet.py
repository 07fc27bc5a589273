import functools
import itertools

import keras
import numpy as np
import pytest
from references import part, without_random_start

from cnnkit.models.capsnet import (
    Capsules,
    ExactlyOne,
    MarginLoss,
    capsnet,
    route,
    squash,
)
from cnnkit.models.capsnet_reconstruction import capsnet_with_reconstruction

# Section 4.1 and figure 1: two convolutions, then a matrix of 8 x 16 for each of 1152
# primary capsules and each digit. "6.8M parameters", "8.2M" with the reconstruction.
CONVOLUTIONS = (9 * 9 * 1 * 256 + 256) + (9 * 9 * 256 * 256 + 256)
MATRICES = (6 * 6 * 32) * 10 * 8 * 16
DECODER = (160 * 512 + 512) + (512 * 1024 + 1024) + (1024 * 784 + 784)  # figure 2


@functools.cache
def of_the_paper():
    keras.utils.set_random_seed(0)
    return capsnet()


@functools.cache
def with_reconstruction():
    keras.utils.set_random_seed(0)
    return capsnet_with_reconstruction(num_classes=4, input_shape=(20, 18, 3))


def pictures(height, width, channels, number=3):
    rng = np.random.default_rng(0)
    size = (number, height, width, channels)
    return rng.uniform(0, 255, size).astype("float32")


def numpy_squash(vector):
    length = np.linalg.norm(vector)
    return length**2 / (1 + length**2) * vector / length  # equation 1


def numpy_route(votes, iterations):
    """Procedure 1, line by line, for the votes u[i, j] of one picture."""
    parts, wholes, _ = votes.shape
    b = np.zeros((parts, wholes))
    for _ in range(iterations):
        c = np.exp(b)
        c /= c.sum(1, keepdims=True)
        v = [
            numpy_squash(sum(c[i, j] * votes[i, j] for i in range(parts)))
            for j in range(wholes)
        ]
        for i in range(parts):
            for j in range(wholes):
                b[i, j] += votes[i, j] @ v[j]
    return np.array(v)


def test_parameter_counts_are_those_of_the_paper():
    assert round((CONVOLUTIONS + MATRICES) / 1e6, 1) == 6.8
    assert of_the_paper().count_params() == CONVOLUTIONS + MATRICES
    assert round((CONVOLUTIONS + MATRICES + DECODER) / 1e6, 1) == 8.2
    with without_random_start():
        whole = capsnet_with_reconstruction()
    assert whole.count_params() == CONVOLUTIONS + MATRICES + DECODER


def test_the_layers_have_the_shapes_of_figure_1():
    model = of_the_paper()
    shapes = {
        name: model.get_layer(name).output.shape[1:]
        for name in ("conv", "primary_groups", "primary_capsules", "class_capsules")
    }
    assert shapes == {
        "conv": (20, 20, 256),
        "primary_groups": (6, 6, 32, 8),
        "primary_capsules": (1152, 8),
        "class_capsules": (10, 16),
    }


def test_colour_at_32_pixels_has_more_positions_and_so_more_matrices():
    model = capsnet(num_classes=5, input_shape=(32, 32, 3))
    convolutions = CONVOLUTIONS + 9 * 9 * 2 * 256
    assert model.count_params() == convolutions + 8 * 8 * 32 * 5 * 8 * 16


def test_the_four_layers_have_the_promised_shapes():
    names = ("features", "pooled", "logits", "probabilities")
    shapes = [of_the_paper().get_layer(name).output.shape[1:] for name in names]
    assert shapes == [(6, 6, 256), (160,), (10,), (10,)]


def test_a_squashed_vector_points_the_same_way():
    vectors = np.random.default_rng(0).normal(0, 2, (5, 3, 8)).astype("float32")
    expected = [[numpy_squash(vector) for vector in group] for group in vectors]
    np.testing.assert_allclose(np.asarray(squash(vectors)), expected, atol=1e-5)
    nothing = np.asarray(squash(np.zeros((1, 4), "float32")))
    np.testing.assert_array_equal(nothing, 0)  # and not NaN


@pytest.mark.parametrize("iterations", [1, 3])
def test_routing_equals_the_procedure_of_the_paper(iterations):
    rng = np.random.default_rng(0)
    votes = rng.normal(0, 1, (2, 6, 4, 5)).astype("float32")
    expected = [numpy_route(picture, iterations) for picture in votes]
    found = np.asarray(route(votes, iterations))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    other = np.asarray(route(votes, iterations + 1))
    assert abs(found - other).max() > 0.01  # the number of rounds matters


def test_each_pair_of_capsules_has_its_own_matrix():
    rng = np.random.default_rng(0)
    poses = rng.normal(0, 1, (2, 6, 3)).astype("float32")
    layer = Capsules(4, 5, 3)
    layer.build(poses.shape)
    matrices = rng.normal(0, 1, (6, 3, 4, 5))
    layer.set_weights([matrices])
    for picture, found in zip(poses, np.asarray(layer(poses)), strict=True):
        votes = np.array(
            [[picture[i] @ matrices[i, :, j] for j in range(4)] for i in range(6)]
        )
        np.testing.assert_allclose(found, numpy_route(votes, 3), atol=1e-4)


def test_primary_capsules_lie_in_the_features_eight_channels_each():
    model = of_the_paper()
    names = ("primary_conv", "features", "primary_capsules")
    outputs = part(model, *names)(pictures(28, 28, 1))
    conv, features, capsules = (np.asarray(x) for x in outputs)
    place = numpy_squash(conv[1, 2, 4, 8:16])  # the second capsule at row 2, column 4
    np.testing.assert_allclose(features[1, 2, 4, 8:16], place, atol=1e-5)
    same = capsules[1, (2 * 6 + 4) * 32 + 1]
    np.testing.assert_array_equal(features[1, 2, 4, 8:16], same)
    assert np.linalg.norm(place) > 1e-3


def test_logits_are_the_lengths_of_the_class_capsules():
    model = of_the_paper()
    names = ("pooled", "logits", "probabilities")
    outputs = part(model, *names)(pictures(28, 28, 1))
    pooled, logits, probabilities = (np.asarray(x) for x in outputs)
    lengths = np.linalg.norm(pooled.reshape(3, 10, 16), axis=-1)
    np.testing.assert_allclose(logits, lengths, atol=1e-6)
    assert 0 < logits.min() < logits.max() < 1
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(probabilities.argmax(1), logits.argmax(1))


def test_probabilities_are_those_of_independent_classes_if_exactly_one_is_there():
    lengths = np.array([[0.9, 0.1, 0.2, 0.5], [0.3, 0.3, 0.01, 0.02]])
    expected = np.zeros_like(lengths)
    for i, row in enumerate(lengths):
        for there in itertools.product([0, 1], repeat=4):  # all 16 combinations
            if sum(there) == 1:
                chances = np.where(there, row, 1 - row)
                expected[i, there.index(1)] = chances.prod()
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(np.asarray(ExactlyOne()(lengths)), expected, atol=1e-6)
    sure = np.asarray(ExactlyOne()(np.array([[1.0, 0.0, 0.0]])))
    np.testing.assert_allclose(sure, [[1, 0, 0]], atol=1e-6)  # and not NaN


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_the_margin_loss_is_equation_4(shape):
    labels = np.array([1, 0, 2])
    lengths = np.array([[0.3, 0.95, 0.05], [0.5, 0.2, 0.1], [0.9, 0.9, 0.0]], "float32")
    expected = []
    for label, row in zip(labels, lengths, strict=True):
        total = 0
        for k, length in enumerate(row):
            if k == label:
                total += max(0, 0.9 - length) ** 2
            else:
                total += 0.5 * max(0, length - 0.1) ** 2
        expected.append(total)
    found = MarginLoss(reduction=None)(labels.reshape(shape), lengths)
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-6)
    mean = float(MarginLoss()(labels.reshape(shape), lengths))
    assert mean == pytest.approx(np.mean(expected), abs=1e-6)


def test_the_margin_loss_on_the_lengths_trains_the_classifier():
    keras.utils.set_random_seed(0)
    model = capsnet(num_classes=3, input_shape=(18, 18, 1))
    lengths = keras.Model(model.input, model.get_layer("logits").output)
    lengths.compile("adam", MarginLoss(), run_eagerly=True)
    images, labels = pictures(18, 18, 1), np.array([2, 0, 1])
    losses = [lengths.train_on_batch(images, labels) for _ in range(8)]
    assert losses[-1] < 0.5 * losses[0]
    np.testing.assert_array_equal(np.asarray(model(images)).argmax(1), labels)


def test_the_picture_is_drawn_from_the_capsule_of_the_label_alone():
    model = with_reconstruction()
    reader = keras.Model(
        model.input, [model.get_layer("poses").output, model.output["reconstruction"]]
    )
    labels = np.array([3, 0, 2])
    images = pictures(20, 18, 3)
    poses, drawn = (np.asarray(x) for x in reader({"pixels": images, "label": labels}))
    for pose, label, picture in zip(poses, labels, drawn, strict=True):
        x = np.zeros(4 * 16)
        x[16 * label : 16 * (label + 1)] = pose[label]
        for name in ("decoder_1", "decoder_2"):
            kernel, bias = model.get_layer(name).get_weights()
            x = np.maximum(x @ kernel + bias, 0)
        kernel, bias = model.get_layer("decoder_3").get_weights()
        x = 1 / (1 + np.exp(-(x @ kernel + bias)))
        np.testing.assert_allclose(picture, x.reshape(20, 18, 3), atol=1e-5)


def test_training_as_in_the_docstring_lowers_both_losses():
    keras.utils.set_random_seed(0)
    model = capsnet_with_reconstruction(num_classes=4, input_shape=(20, 18, 3))
    images, labels = pictures(20, 18, 3), np.array([3, 0, 2])
    model.compile(
        "adam",
        {"logits": MarginLoss(), "reconstruction": "mean_squared_error"},
        loss_weights={"logits": 1, "reconstruction": 0.0005 * 20 * 18 * 3},
        metrics={"probabilities": "accuracy"},
        run_eagerly=True,  # tracing takes longer than twelve steps
    )
    answers = {"logits": labels, "probabilities": labels}
    answers["reconstruction"] = images / 255
    history = model.fit(
        {"pixels": images, "label": labels}, answers, epochs=12, verbose=0
    ).history
    assert history["logits_loss"][-1] < 0.5 * history["logits_loss"][0]
    assert history["reconstruction_loss"][-1] < history["reconstruction_loss"][0]
    assert history["probabilities_accuracy"][-1] == 1

    classifier = keras.Model(
        model.get_layer("pixels").output, model.get_layer("probabilities").output
    )
    np.testing.assert_array_equal(np.asarray(classifier(images)).argmax(1), labels)


def test_a_saved_file_predicts_the_same(tmp_path):
    model = with_reconstruction()
    model.save(tmp_path / "capsules.keras")
    loaded = keras.saving.load_model(tmp_path / "capsules.keras")
    inputs = {"pixels": pictures(20, 18, 3), "label": np.array([3, 0, 2])}
    before, after = model(inputs), loaded(inputs)
    for name in ("logits", "probabilities", "reconstruction"):
        np.testing.assert_array_equal(np.asarray(after[name]), np.asarray(before[name]))
    assert loaded.get_layer("class_capsules").iterations == 3


def test_the_loss_comes_back_from_its_config():
    config = keras.saving.serialize_keras_object(MarginLoss(reduction="sum"))
    loss = keras.saving.deserialize_keras_object(config)
    assert isinstance(loss, MarginLoss) and loss.reduction == "sum"


@pytest.mark.parametrize("num_classes", [1, 2.0, "10", None])
def test_a_number_of_classes_that_is_none_is_refused(num_classes):
    with pytest.raises(ValueError, match="at least 2") as error:
        capsnet(num_classes=num_classes)
    assert str(error.value).endswith(f"Received: num_classes={num_classes!r}")


@pytest.mark.parametrize(
    "shape, rule",
    [
        ((None, 28, 1), "the size is fixed"),
        ((16, 28, 1), "at least 17 pixels"),
        ((28, 28, 2), "3 channels for colour or 1 for grey"),
    ],
)
def test_a_picture_that_does_not_fit_is_refused(shape, rule):
    with pytest.raises(ValueError, match=rule) as error:
        capsnet_with_reconstruction(input_shape=shape)
    assert str(error.value).endswith(f"Received: input_shape={shape}")
