import keras
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics.pairwise import cosine_similarity

from cnnkit import models, saving, transfer

SHAPE = (32, 32, 3)
IMAGES = np.random.default_rng(0).uniform(0, 255, (4, *SHAPE)).astype("float32")


def small():
    """A small backbone: 96 channels, 4 x 4 positions."""
    model = models.small_cnn(input_shape=SHAPE)
    return keras.Model(model.input, model.get_layer("features").output)


def classifier(head, dropout=0.2):
    """A small backbone with a head; no weight of the head is zero or one."""
    model = transfer.classifier(small(), 3, head=head, dropout=dropout)
    rng = np.random.default_rng(0)
    for layer in model.layers[len(transfer.heads.backbone_layers(model)) :]:
        for variable in layer.weights:
            noise = rng.normal(0, 0.3, variable.shape)
            variable.assign(np.abs(variable.numpy() + noise) + 0.1)
    return model


def seen(model, *names):
    """What these layers make of the pictures."""
    layers = [model.get_layer(name).output for name in names]
    return [np.asarray(value) for value in keras.Model(model.input, layers)(IMAGES)]


def kernel(model, name="logits"):
    return [np.asarray(weight) for weight in model.get_layer(name).weights]


@pytest.mark.parametrize("head", transfer.HEADS)
def test_a_saved_classifier_is_the_same_and_has_the_four_layers(head, tmp_path):
    model = classifier(head)
    saving.save(model, tmp_path / "model.keras", ["a", "b", "c"])
    loaded, names = saving.load(tmp_path / "model.keras")
    assert names == ("a", "b", "c")
    np.testing.assert_array_equal(np.asarray(loaded(IMAGES)), np.asarray(model(IMAGES)))
    features, pooled, logits, probabilities = seen(
        loaded, "features", "pooled", "logits", "probabilities"
    )
    assert features.shape == (4, 4, 4, 96)
    assert pooled.shape == (4, 192 if head == "average_max" else 96)
    np.testing.assert_allclose(probabilities, softmax(logits, axis=1), atol=1e-6)
    assert logits.std(axis=0).min() > 1e-3  # not a comparison of constants
    assert not any(isinstance(layer, keras.Model) for layer in loaded.layers)


@pytest.mark.parametrize("head", transfer.HEADS)
def test_a_classifier_is_its_body_and_its_head(head):
    model = classifier(head)
    body, top = transfer.body_of(model), transfer.head_of(model)
    kept = {"attention": (4, 4, 96), "average_max": (192,)}  # it learns on the map
    assert body.output.shape[1:] == kept.get(head, (96,))
    np.testing.assert_allclose(
        np.asarray(top(body(IMAGES))), np.asarray(model(IMAGES)), atol=1e-6
    )


@pytest.mark.parametrize("head", transfer.HEADS)
def test_the_gradient_of_a_class_reaches_the_features(head):
    """Grad-CAM stands on it; with "average" it is the kernel, shared by positions."""
    import tensorflow as tf

    model = classifier(head)
    inner = keras.Model(
        model.input, [model.get_layer(n).output for n in ("features", "logits")]
    )
    with tf.GradientTape() as tape:
        features, logits = inner(IMAGES)
        score = tf.reduce_sum(logits[:, 1])
    gradient = np.asarray(tape.gradient(score, features))
    assert (np.abs(gradient).reshape(4, -1).max(axis=1) > 0).all()
    if head == "average":
        expected = np.broadcast_to(kernel(model)[0][:, 1] / 16, gradient.shape)
        np.testing.assert_allclose(gradient, expected, rtol=1e-5)


def test_average_and_maximum_stand_side_by_side():
    features, pooled = seen(classifier("average_max"), "features", "pooled")
    expected = np.hstack([features.mean(axis=(1, 2)), features.max(axis=(1, 2))])
    np.testing.assert_allclose(pooled, expected, rtol=1e-5)


def test_attention_is_the_closed_form_and_starts_as_the_plain_average():
    model = classifier("attention")
    features, weights, pooled = seen(model, "features", "attention", "pooled")
    (into, bias), (scores,) = (
        kernel(model, f"attention_{part}") for part in ("hidden", "scores")
    )
    flat = features.reshape(4, 16, 96)
    score = np.tanh(flat @ into[0, 0] + bias) @ scores[0, 0]  # Ilse et al., equation 8
    share = softmax(score, axis=1)
    np.testing.assert_allclose(weights.reshape(4, 16, 1), share, rtol=1e-3)
    np.testing.assert_allclose(pooled, (share * flat).sum(axis=1), rtol=1e-3)
    assert share.std() > 1e-3

    model.get_layer("attention_scores").set_weights([np.zeros_like(scores)])
    features, pooled = seen(model, "features", "pooled")
    np.testing.assert_allclose(pooled, features.mean(axis=(1, 2)), rtol=1e-5)
    fresh = transfer.classifier(small(), 3, head="attention")
    assert not kernel(fresh, "attention_scores")[0].any()


def test_cosine_logits_equal_those_of_scikit_learn_and_survive_black_features():
    model = classifier("cosine")
    pooled, logits = seen(model, "pooled", "logits")
    vectors, scale = kernel(model)
    expected = scale * cosine_similarity(pooled, vectors.T)
    np.testing.assert_allclose(logits, expected, rtol=1e-4)
    layer = model.get_layer("logits")
    assert np.isfinite(np.asarray(layer(np.zeros((2, 96), "float32")))).all()
    fresh = transfer.classifier(small(), 3, head="cosine")
    assert kernel(fresh)[1] == 10  # as in Gidaris and Komodakis


def test_batchnorm_of_the_hidden_layer_learns_while_that_of_the_backbone_rests():
    base = small()
    base.trainable = False
    model = transfer.classifier(base, 3, head="hidden")
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    before = [norm.get_weights() for norm in norms]
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(IMAGES, np.array([0, 1, 2, 0]), epochs=1, verbose=0)
    moved = {
        norm.name: not all(map(np.array_equal, norm.get_weights(), old))
        for norm, old in zip(norms, before, strict=True)
    }
    assert moved.pop("hidden_bn") and moved and not any(moved.values())
    with_dropout = [x.name for x in model.layers if "dropout" in x.name]
    assert with_dropout == ["dropout", "hidden_dropout"]


@pytest.mark.parametrize("head", transfer.HEADS)
def test_sixteen_bits_leave_logits_and_probabilities_in_thirty_two(head):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = transfer.classifier(small(), 3, head=head)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("features").output.dtype == "float16"
    assert model.get_layer("logits").output.dtype == model.output.dtype == "float32"
    assert np.isfinite(np.asarray(model(IMAGES))).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head": "max"}, r"one of \('average', .*Received: head='max'"),
        ({"num_classes": 1}, "Received: num_classes=1"),
        ({"dropout": 1}, "Received: dropout=1"),
    ],
)
def test_what_is_no_head_is_refused(arguments, message):
    base = models.small_cnn()
    with pytest.raises(ValueError, match=message):
        transfer.classifier(base, **{"num_classes": 3} | arguments)
