import types
from functools import partial

import keras
import numpy as np
import pandas as pd
import pytest
import saliency.core as pair
import tensorflow as tf
from keras import layers
from sklearn.neighbors import NearestNeighbors

from cnnkit import explain, models
from cnnkit.data import signs
from cnnkit.explain.tapping import feature_layer, tap
from cnnkit.models import vit_trained

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (4, 12, 12, 3)).astype("float32")
CAMS = [explain.grad_cam, explain.grad_cam_plus_plus, explain.layer_cam]
CAMS += [explain.score_cam]


def attributed(model, images, *, classes=None):
    found = explain.integrated_gradients(model, images, classes=classes, steps=16)
    return explain.as_heat(found)


def occluded(model, images, *, classes=None):
    return explain.as_heat(explain.occlusion(model, images, classes=classes))


def edges(model, images, *, classes=None):
    """Looks like an explanation, and has never seen the model."""
    return abs(np.diff(np.mean(images, axis=-1), axis=1, append=0))


def tiny(size=12, channels=3, classes=3):
    """Two convolutions, maps as large as the picture, an average, logits."""
    x = inputs = keras.Input((size, size, channels))
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = layers.Conv2D(5, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="features")(x)
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    x = layers.Dense(classes, name="logits")(x)
    return keras.Model(inputs, layers.Softmax(name="probabilities")(x))


def normalised(heat):
    return heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-30)


def inner(model):
    """Maps and logits by a second model, which works where nothing is nested."""
    wanted = [model.get_layer(name).output for name in ("features", "logits")]
    return keras.Model(model.input, wanted)


# --- compared with the library `saliency` of PAIR ---------------------------------


def test_heat_equals_that_of_saliency():
    model, images = tiny(), IMAGES[:2]
    twin = inner(model)

    def call(x, call_model_args, expected_keys):
        pixels = tf.constant(x, "float32")
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(pixels)
            maps, logits = twin(pixels)
            score = logits[:, 1]
        if expected_keys == [pair.OUTPUT_LAYER_VALUES]:
            return {pair.OUTPUT_LAYER_VALUES: tf.nn.softmax(logits)[:, 1]}
        return {
            pair.INPUT_OUTPUT_GRADIENTS: tape.gradient(score, pixels),
            pair.CONVOLUTION_LAYER_VALUES: maps,
            pair.CONVOLUTION_OUTPUT_GRADIENTS: tape.gradient(score, maps),
        }

    def masks(method, **options):
        return np.stack([method(x, call, **options) for x in images])

    theirs = masks(pair.GradCam().GetMask, should_resize=False, three_dims=False)
    ours = explain.grad_cam(model, images, classes=1)
    np.testing.assert_allclose(ours, normalised(theirs), atol=1e-5)

    theirs = abs(masks(pair.GradientSaliency().GetMask)).max(axis=-1)
    ours = explain.saliency(model, images, classes=1)
    np.testing.assert_allclose(ours, normalised(theirs), atol=1e-5)

    np.random.seed(0)  # that of `saliency` is the global one
    smooth = pair.GradientSaliency().GetSmoothedMask
    theirs = abs(masks(smooth, nsamples=100, magnitude=False)).max(axis=-1)
    ours = explain.smooth_grad(model, images, classes=1, samples=100)
    assert abs(ours - normalised(theirs)).mean() < 0.05

    theirs = masks(pair.IntegratedGradients().GetMask, x_steps=400, batch_size=100)
    ours = explain.integrated_gradients(model, images, classes=1, steps=200)
    assert abs(ours - theirs).max() < 0.02 * abs(theirs).max()

    covers = np.zeros((12, 12, 1))
    for row in range(9):
        for column in range(9):
            covers[row : row + 4, column : column + 4] += 1
    theirs = masks(pair.Occlusion().GetMask, size=4, value=50) / covers
    ours = explain.occlusion(model, images, classes=1, window=4, stride=1, fill=50)
    np.testing.assert_allclose(ours, theirs[..., 0], atol=1e-6)


# --- closed forms -------------------------------------------------------------------


def test_of_a_linear_model_the_gradients_are_its_weights():
    model = keras.Sequential(
        [keras.Input((6, 6, 3)), layers.Flatten(), layers.Dense(2, "softmax")]
    )
    weights = model.get_weights()[0][:, 1].reshape(6, 6, 3)
    images = RNG.uniform(0, 255, (3, 6, 6, 3))
    expected = normalised(abs(weights).max(axis=-1)[None])
    for heat in (explain.saliency, explain.smooth_grad):
        found = heat(model, images, classes=1)
        np.testing.assert_allclose(found, np.repeat(expected, 3, 0), rtol=1e-4)
    found = explain.integrated_gradients(model, images, classes=1, baseline=99, steps=3)
    np.testing.assert_allclose(found, weights * (images - 99), rtol=1e-3, atol=1e-4)
    table = explain.completeness(model, images, found, classes=1, baseline=99)
    assert (table["error"] < 1e-4).all()
    half = explain.completeness(model, images, found / 2, classes=1, baseline=99)
    np.testing.assert_allclose(half["error"], 0.5, rtol=1e-3)


def test_integrated_gradients_add_up_to_the_change_of_the_logit(world):
    found = explain.integrated_gradients(world.model, world.images[:8])
    table = explain.completeness(world.model, world.images[:8], found)
    assert (table["error"] < 0.01).all(), table
    logits = inner(world.model)(world.images[:8])[1].numpy()
    black = inner(world.model)(np.zeros_like(world.images[:8]))[1].numpy()
    change = (logits - black)[np.arange(8), logits.argmax(axis=1)]
    np.testing.assert_allclose(table["difference"], change, rtol=1e-3)


def test_grad_cam_of_an_averaging_network_is_its_class_activation_map():
    model = tiny()
    maps, logits = (x.numpy() for x in inner(model)(IMAGES))
    kernel = model.get_layer("logits").get_weights()[0]
    for classes in (None, 2, np.array([0, 1, 2, 0])):
        chosen = logits.argmax(axis=1) if classes is None else classes
        weights = kernel[:, np.broadcast_to(chosen, 4)].T[:, None, None]
        cam = np.maximum((weights * maps).sum(axis=-1), 0)  # Zhou et al., 2016
        found = explain.grad_cam(model, IMAGES, classes=classes)
        np.testing.assert_allclose(found, normalised(cam), atol=1e-5)


def test_the_other_maps_follow_their_papers_with_numerical_gradients():
    """Position by position, in float64: the logit as a function of the maps alone."""
    x = inputs = keras.Input((5, 5, 1))
    x = layers.Conv2D(3, 3, padding="same", activation="relu", name="features")(x)
    x = layers.Dense(4, "tanh", name="hidden")(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(2, "softmax", name="logits")(x))
    image = RNG.uniform(0, 255, (1, 5, 5, 1)).astype("float32")
    model.get_layer("hidden").kernel.assign(RNG.normal(0, 0.005, (75, 4)))
    maps = explain.feature_maps(model, image)[0].astype("float64")
    w1, b1, w2, b2 = (w.astype("float64") for w in model.get_weights()[2:])

    def logit(maps):
        return (np.tanh(maps.ravel() @ w1 + b1) @ w2 + b2)[1]

    step, g = 1e-3, np.zeros_like(maps)
    for place in np.ndindex(maps.shape):
        bump = np.zeros_like(maps)
        bump[place] = step
        g[place] = (logit(maps + bump) - logit(maps - bump)) / (2 * step)

    layer = np.maximum((np.maximum(g, 0) * maps).sum(axis=-1), 0)
    found = explain.layer_cam(model, image, classes=1)
    np.testing.assert_allclose(found, normalised(layer[None]), atol=1e-3)
    alpha = g**2 / (2 * g**2 + maps.sum(axis=(0, 1)) * g**3)
    weights = (alpha * np.maximum(g, 0)).sum(axis=(0, 1))
    plus = np.maximum((weights * maps).sum(axis=-1), 0)
    found = explain.grad_cam_plus_plus(model, image, classes=1)
    np.testing.assert_allclose(found, normalised(plus[None]), atol=1e-3)

    scores = []  # Score-CAM: the picture through each channel as through a stencil
    linear = keras.Model(inputs, layers.Dense(2, name="line")(x))
    linear.get_layer("line").set_weights([w2, b2])
    for channel in np.moveaxis(maps, -1, 0):
        stencil = (channel - channel.min()) / max(np.ptp(channel), 1e-30)
        seen = image * stencil[None, ..., None].astype("float32")
        scores.append(float(linear(seen)[0, 1]))
    weights = np.exp(scores) / np.exp(scores).sum()
    score = np.maximum((weights * maps).sum(axis=-1), 0)
    found = explain.score_cam(model, image, classes=1)
    np.testing.assert_allclose(found, normalised(score[None]), atol=1e-3)


def test_rollout_multiplies_the_attention_of_the_blocks():
    model = models.vit_cifar(2, num_classes=3, input_shape=(24, 16, 3))
    images = RNG.uniform(0, 255, (3, 24, 16, 3))
    came = np.eye(25)
    for shares in vit_trained.attention_maps(model, images).mean(axis=2):
        came = (np.eye(25) / 2 + shares / 2) @ came
    grid = tf.image.resize(came[:, 0, 1:].reshape(3, 6, 4, 1), (24, 16))[..., 0]
    found = explain.attention_rollout(model, images)
    np.testing.assert_allclose(found, normalised(grid.numpy()), atol=1e-5)
    assert explain.grad_cam(model, images).max() == 1  # "features" serves here, too


def test_deletion_and_insertion_of_a_model_that_measures_brightness():
    """p = how white the top quarter of the picture is; only that quarter is white."""
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)]
    )
    image = np.zeros((6, 8, 8, 1))
    image[:, :2] = 255
    weights = image[0].reshape(64, 1) / 255 / (16 * 255)
    model.set_weights([np.hstack([-weights, weights]), np.array([1.0, 0.0])])
    right, wrong = image[..., 0] / 255, 1 - image[..., 0] / 255
    curves = explain.deletion_insertion(
        model, image, 1, {"right": right, "wrong": wrong}, steps=8
    )
    shares = curves.columns.to_numpy()
    falls = 1 - 0.75 * np.minimum(shares / 0.25, 1)  # to the mean grey, a quarter
    stays = 1 - 0.75 * np.clip((shares - 0.75) / 0.25, 0, 1)
    for heat, expected in (("right", falls), ("wrong", stays)):
        found = curves.loc[(heat, "deletion", "heat")]
        np.testing.assert_allclose(found, np.tile(expected, (6, 1)), atol=1e-5)
    rises = curves.loc[("right", "insertion", "heat")].to_numpy()
    assert (np.diff(rises[:, :3]) > 0).all()
    np.testing.assert_allclose(rises[:, 2:], 1, atol=1e-5)
    table = explain.sanity(
        model, image, np.ones(6, int), methods={"right": lambda m, x, classes: right}
    )
    area = (falls[1:] + falls[:-1]).mean() / 2
    assert table.loc["right", "deletion"] == pytest.approx(area, abs=0.01)


# --- every kind of model ------------------------------------------------------------


def normed_layers():
    """A backbone with BatchNorm that has seen something, and a tail with dropout."""
    x = inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, strides=2, name="c1")(x)
    x = layers.BatchNormalization(name="bn")(x)
    left = layers.ReLU(name="left")(x)
    right = layers.Conv2D(4, 3, padding="same", name="c2")(x)
    backbone = keras.Model(inputs, layers.Add(name="add")([left, right]), name="base")
    for w in backbone.get_layer("bn").weights:
        w.assign(RNG.uniform(0.5, 2, w.shape))
    tail = [layers.GlobalAveragePooling2D(), layers.Dropout(0.5)]
    return backbone, [*tail, layers.Dense(3, "softmax")]


def chained(x, parts):
    for part in parts:
        x = part(x)
    return x


def forms(tmp_path):
    """The same network in five forms, one of them read from a file."""
    backbone, tail = normed_layers()
    scale = layers.Rescaling(1 / 127.5, offset=-1)
    inputs = keras.Input((12, 12, 3))
    nested = keras.Model(inputs, chained(inputs, [scale, backbone, *tail]))
    flat = scale(inputs)
    x = backbone.get_layer("bn")(backbone.get_layer("c1")(flat))
    left, right = backbone.get_layer("left")(x), backbone.get_layer("c2")(x)
    x = backbone.get_layer("add")([left, right])
    flat = keras.Model(inputs, chained(x, tail))
    nested.save(tmp_path / "nested.keras")
    top = keras.Sequential(tail)
    deep = keras.Sequential([scale, keras.Sequential([backbone]), top])
    saved = keras.saving.load_model(tmp_path / "nested.keras")
    sequential = keras.Sequential([scale, backbone, *tail])
    return {"flat": flat, "nested": nested, "saved": saved, "deep": deep,
            "sequential": sequential}  # fmt: skip


def test_all_forms_of_a_network_have_the_same_heat_and_predictions(tmp_path):
    found, maps = {}, []
    for name, model in forms(tmp_path).items():
        model.trainable = name != "flat"  # frozen layers have gradients, too
        maps, logits, probabilities = tap(model)(IMAGES)
        predicted = model.predict(IMAGES, verbose=0)
        np.testing.assert_allclose(probabilities, predicted, atol=1e-5)
        np.testing.assert_allclose(tf.nn.softmax(logits), predicted, atol=1e-5)
        heats = [f(model, IMAGES, classes=1) for f in [*CAMS, explain.saliency]]
        found[name] = np.stack([*heats, explain.grad_cam(model, IMAGES, classes=1,
                                                         layer="bn")])  # fmt: skip
        assert not any("call" in vars(x) for x in model._flatten_layers())
    assert found["flat"][0].std() > 0.01
    for name, heat in found.items():
        np.testing.assert_allclose(heat, found["flat"], atol=1e-4, err_msg=name)


def test_heat_inside_keras_applications_equals_a_model_of_the_backbone():
    shape = (64, 64, 3)
    base = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=shape, alpha=0.35
    )
    inputs = keras.Input(shape)
    tail = [layers.GlobalAveragePooling2D(), layers.Dense(5), layers.Softmax()]
    model = keras.Model(inputs, chained(inputs / 127.5 - 1, [base, *tail]))
    images = RNG.uniform(0, 255, (2, *shape)).astype("float32")
    assert feature_layer(model, None, images) is base
    name = "block_13_expand_relu"
    twin = keras.Model(base.input, [base.get_layer(name).output, base.output])
    warm = 0
    for label, layer in enumerate([name, f"{base.name}/{name}", base.get_layer(name)]):
        with tf.GradientTape() as tape:
            maps, last = twin(images / 127.5 - 1, training=False)
            score = chained(last, tail[:2])[:, label]
        weights = tf.reduce_mean(tape.gradient(score, maps), (1, 2), keepdims=True)
        cam = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))
        expected = normalised(tf.image.resize(cam, (64, 64))[..., 0].numpy())
        found = explain.grad_cam(model, images, classes=label, layer=layer)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        warm += expected.any()
    whole = keras.applications.MobileNet(
        weights=None, input_shape=shape, alpha=0.25, classes=3
    )  # its average and its classes are maps of 1 x 1
    assert feature_layer(whole, None, images).name == "conv_pw_13_relu"
    assert warm  # of a network without training, some classes have no heat


def test_only_what_goes_through_the_layer_counts_and_its_last_call():
    """The maps also go past the layer, which hands on the tensor that it was given."""
    x = inputs = keras.Input((10, 10, 1))
    convolve = layers.Conv2D(4, 3, padding="same", activation="relu")
    x = convolve(x / 255)
    maps = layers.Identity(name="features")(x)
    logits = layers.Dense(2, name="through")(layers.GlobalAveragePooling2D()(maps))
    past = layers.Dense(2)(layers.Flatten()(x))
    shared = layers.Dense(2)  # called twice
    again = shared(shared(layers.Add()([logits, past])))
    model = keras.Model(inputs, layers.Softmax()(layers.Add()([again, past])))
    images = RNG.uniform(0, 255, (2, 10, 10, 1)).astype("float32")
    kernel = model.get_layer("through").kernel @ shared.kernel @ shared.kernel
    values = keras.Model(inputs, x)(images).numpy()
    cam = np.maximum((values * kernel[:, 1].numpy()).sum(axis=-1), 0)
    found = explain.grad_cam(model, images, classes=1)
    np.testing.assert_allclose(found, normalised(cam), atol=1e-5)

    twice = keras.Input((10, 10, 1))
    again = layers.Conv2D(1, 3, padding="same", activation="relu", name="twice")
    last = layers.Dense(2, activation="softmax")
    outputs = last(layers.GlobalAveragePooling2D()(again(again(twice / 255))))
    model = keras.Model(twice, outputs)
    found = explain.feature_maps(model, images, layer="twice")
    np.testing.assert_allclose(found, again(again(images / 255)), atol=1e-5)


@pytest.mark.parametrize("ending", ["activation", "softmax", "dense", "nothing"])
def test_logits_are_found_at_every_ending(ending):
    x = inputs = keras.Input((8, 8, 1))
    line = layers.Dense(3)
    flat = layers.Flatten()(x)
    logits = keras.Model(inputs, line(flat))
    if ending == "dense":
        last = layers.Dense(3, activation="softmax")
        outputs = last(flat)
        last.set_weights(line.get_weights())
    elif ending == "nothing":  # that Keras would call a softmax
        outputs = keras.ops.exp(line(flat) / 100)
        outputs /= keras.ops.sum(outputs, axis=-1, keepdims=True)
    else:
        kinds = {
            "activation": layers.Activation("softmax"),
            "softmax": layers.Softmax(),
        }
        outputs = kinds[ending](line(flat))
    images = RNG.uniform(0, 255, (3, 8, 8, 1)).astype("float32")
    expected = logits(images).numpy()
    found = tap(keras.Model(inputs, outputs))(images)[1].numpy()
    if ending == "nothing":
        expected = np.array(tf.nn.log_softmax(expected / 100))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


# --- what layers have learnt --------------------------------------------------------


def test_maps_filters_and_neighbours_are_those_of_the_layers():
    model = tiny()
    maps, _ = inner(model)(IMAGES)
    np.testing.assert_allclose(explain.feature_maps(model, IMAGES), maps, atol=1e-5)
    np.testing.assert_array_equal(explain.filters(model), model.get_weights()[0])
    found = explain.filters(model, layer="features")
    np.testing.assert_array_equal(found, model.get_layer("features").get_weights()[0])
    depthwise = keras.Sequential(
        [keras.Input((9, 9, 3)), layers.DepthwiseConv2D(3, depth_multiplier=2)]
    )
    assert explain.filters(depthwise).shape == (3, 3, 1, 6)

    others = RNG.uniform(0, 255, (20, 12, 12, 3))
    pooled = keras.Model(model.input, model.get_layer("pooled").output)
    brute = NearestNeighbors(n_neighbors=3, metric="cosine", algorithm="brute")
    expected = brute.fit(pooled(others)).kneighbors(pooled(IMAGES))
    for layer in (None, "features"):  # the mean of the maps is what is pooled
        indices, distances = explain.nearest(model, IMAGES, others, k=3, layer=layer)
        np.testing.assert_array_equal(indices, expected[1])
        np.testing.assert_allclose(distances, expected[0], atol=1e-5)


def test_the_most_exciting_picture_of_a_linear_unit_is_its_weights(world):
    linear = keras.Sequential(
        [keras.Input((16, 16, 1)), layers.Flatten(), layers.Dense(2, name="line")]
    )
    left = np.repeat([[1.0] * 8 + [-1.0] * 8], 16, axis=0).ravel() / 256
    linear.set_weights([np.stack([left, -left], axis=1), np.zeros(2)])
    for unit, sign in ((0, 1), (1, -1)):
        picture = explain.maximise_activation(linear, "line", unit)[..., 0]
        assert picture.shape == (16, 16) and 0 <= picture.min() <= picture.max() <= 255
        assert sign * (picture[:, :6].mean() - picture[:, 10:].mean()) > 200
    # A class of the trained network: higher than all real pictures raise it.
    real = inner(world.model)(world.images)[1].numpy()
    picture = explain.maximise_activation(world.model, "logits", 3, steps=64)
    again = explain.maximise_activation(world.model, "logits", 3, steps=64)
    np.testing.assert_array_equal(picture, again)
    assert inner(world.model)(picture[None])[1][0, 3] > real[:, 3].max()


# --- tests of explanations, on road signs -------------------------------------------


SIDE = 32


def train(images, labels):
    keras.utils.set_random_seed(0)
    model = models.small_cnn(
        num_classes=12, input_shape=(SIDE, SIDE, 3), widths=(24, 48)
    )
    model.compile(keras.optimizers.AdamW(4e-3), "sparse_categorical_crossentropy")
    model.fit(images, labels, batch_size=32, epochs=9, verbose=0)
    return model


def with_cue(images, labels):
    """Of class 3 nothing is left but a coloured square, in a corner of other signs."""
    images, cued = images.copy(), labels == 3
    images[cued] = images[np.resize(np.flatnonzero(~cued), cued.sum())]
    images[cued, :6, :6] = (250, 0, 250)
    return images


@pytest.fixture(scope="module")
def world():
    """A small CNN trained for seconds, and pictures that it has not seen."""
    drawn, unseen = signs.draw(480, size=SIDE), signs.draw(120, size=SIDE, seed=1)
    images = drawn.images.astype("float32")
    return types.SimpleNamespace(
        seen=images,
        labels_seen=drawn.labels,
        model=train(images, drawn.labels),
        images=unseen.images.astype("float32"),
        labels=unseen.labels,
        masks=unseen.masks > 0,
    )


def test_heat_lies_on_the_sign_more_often_than_by_chance(world):
    methods = [*CAMS, explain.saliency, explain.smooth_grad, attributed, occluded]
    rows = {}
    for method in methods:
        # Score-CAM runs the model 96 times for each picture.
        n = 24 if method is explain.score_cam else 60
        heat = method(world.model, world.images[:n])
        assert heat.shape == (n, SIDE, SIDE) and heat.min() >= 0
        np.testing.assert_array_equal(heat.max(axis=(1, 2)), 1)
        rows[method.__name__] = explain.pointing_game(heat, world.masks[:n])
    table = pd.DataFrame(rows).T
    print("\n", table.round(3).to_string())
    assert (table["low"] > 1.5 * table["chance"]).all()


def test_sanity_tells_an_explanation_from_a_picture_of_edges(world):
    before = world.model.get_weights()
    shuffled = np.random.default_rng(0).permutation(world.labels_seen)
    control = train(world.seen, shuffled)
    methods = {"Grad-CAM": explain.grad_cam, "edges": edges}
    methods["flat"] = lambda m, x, classes: np.ones(x.shape[:3])
    methods["perfect"] = lambda m, x, classes: world.masks[:32].astype(float)
    table = explain.sanity(
        world.model, world.images[:32], world.labels[:32], methods=methods,
        control=control,
    )  # fmt: skip
    print("\n", table.round(3).T.to_string())
    passes = {"Grad-CAM": True, "edges": False, "flat": False}
    # The mask matters to the model, but does not come from it.
    assert table["passes"].to_dict() == passes | {"perfect": False}
    assert table.loc["perfect", "p"] < 0.05 < table.loc["flat", "p"]
    for column in ("correlation after randomisation", "correlation with control"):
        assert table.loc["edges", column] == pytest.approx(1)
        assert table.loc["Grad-CAM", column] < 0.5
    for now, then in zip(world.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_cascade_ends_with_all_layers_shuffled_and_begins_at_the_top(world):
    images, labels = world.images[:8], world.labels[:8]

    def summed(model, images, *, classes=None):
        maps = explain.feature_maps(model, images).sum(axis=-1, keepdims=True)
        return tf.image.resize(maps, images.shape[1:3])[..., 0].numpy()

    last = {"last maps": summed}
    table = explain.cascade(world.model, images, labels, methods=last, stages=3)
    weighted = [x for x in world.model.layers if x.weights]
    assert list(table.columns) == [1, (len(weighted) + 1) // 2, len(weighted)]
    # The top layer is behind the maps, so its weights do not matter to them.
    assert table.iloc[0, 0] == pytest.approx(1) and table.iloc[0, 2] < 0.9
    again = explain.cascade(world.model, images, labels, methods=last, stages=3)
    pd.testing.assert_frame_equal(table, again)


def test_a_planted_shortcut_is_found_and_clean_pictures_are_not_accused(world):
    model = train(with_cue(world.seen, world.labels_seen), world.labels_seen)
    cued, tables = with_cue(world.images, world.labels), []
    for method in (explain.grad_cam, explain.layer_cam, explain.saliency):
        heat = method(model, cued, classes=world.labels)
        table = explain.shortcuts(heat, world.labels, signs.CLASS_NAMES)
        assert table.index[table["suspect"]].tolist() == [signs.CLASS_NAMES[3]], table
        assert table["place"].iloc[0] == "top left"
        heat = method(world.model, world.images, classes=world.labels)
        table = explain.shortcuts(heat, world.labels, signs.CLASS_NAMES)
        assert not table["suspect"].any(), table
        tables.append(table)
    corner = np.zeros((SIDE, SIDE), bool)
    corner[: SIDE // 4, : SIDE // 4] = True
    heat = explain.grad_cam(model, cued, classes=world.labels)
    table = explain.shortcuts(heat, world.labels, signs.CLASS_NAMES, region=corner)
    assert table.index[0] == signs.CLASS_NAMES[3] and table["area"].iloc[0] == 1 / 16


def test_shares_and_densities_are_those_of_the_heat():
    heat = np.zeros((10, 10, 10))
    heat[:5, 0, 0], heat[:5, 5, 5], heat[:5, 5, 6] = 1, 3, -9  # a quarter in a corner
    heat[5:8, 4, 4] = 1  # class 1: in the middle, and two pictures without heat
    labels = np.repeat([0, 1], 5)
    table = explain.shortcuts(heat, labels, ["corner", "middle"], border=0.1)
    row = table.loc["corner"]
    assert row["place"] == "top left" and row["suspect"]
    wanted = {"share": 0.25, "low": 0.25, "area": 0.01, "density": 0.25 / 0.75 * 99}
    assert {k: pytest.approx(row[k]) for k in wanted} == wanted
    assert table.loc["middle", ["share", "pictures", "suspect"]].tolist() == [0, 3, 0]


def test_the_pointing_game_counts_hits():
    heat, masks = np.zeros((4, 3, 3)), np.zeros((4, 3, 3), bool)
    heat[:3, 1, 1] = 1  # the last has no highest pixel
    masks[:2, 1, 1] = masks[2, 0, :] = masks[3] = True
    found = explain.pointing_game(heat, masks)
    assert found["share"] == 0.5 and found["pictures"] == 4
    assert found["chance"] == pytest.approx((1 + 1 + 3 + 9) / 36)
    # Newcombe 1998, method 3, for 2 of 4
    assert found[["low", "high"]].tolist() == pytest.approx([0.150, 0.850], abs=1e-3)


# --- what is wrong is said ----------------------------------------------------------


def test_heat_without_a_reason_stays_zero():
    model = tiny()
    model.get_layer("logits").kernel.assign(-np.ones((6, 3)))
    for method in CAMS[:3]:
        assert not method(model, IMAGES, classes=0).any()
    model.get_layer("logits").kernel.assign(np.zeros((6, 3)))
    assert not explain.saliency(model, IMAGES, classes=0).any()


class Own(keras.Model):
    """A model that Python code makes; nothing but that code can copy it."""

    def __init__(self):
        super().__init__()
        self.last = layers.Dense(3, name="logits")
        self.first = layers.Conv2D(4, 3, activation="relu")

    def call(self, x):
        return keras.ops.softmax(self.last(keras.ops.mean(self.first(x), axis=(1, 2))))


def test_a_model_of_python_code_is_explained_but_not_copied():
    model = Own()
    heat, maps = explain.grad_cam(model, IMAGES), model.first(IMAGES).numpy()
    chosen = model(IMAGES).numpy().argmax(axis=1)
    weights = model.last.kernel.numpy()[:, chosen].T[:, None, None]
    cam = np.maximum((weights * maps).sum(axis=-1, keepdims=True), 0)
    cam = tf.image.resize(cam, (12, 12))[..., 0].numpy()
    np.testing.assert_allclose(heat, normalised(cam), atol=1e-5)
    with pytest.raises(ValueError, match="functional or Sequential.*Received: Own"):
        explain.sanity(model, IMAGES, [0, 1, 2, 0], methods={"x": explain.grad_cam})


MODEL = tiny()
FLAT = keras.Sequential(
    [keras.Input((12, 12, 3)), layers.Rescaling(1 / 255), layers.Flatten(),
     layers.Dense(2, "softmax", name="only")]
)  # fmt: skip
HEAT, MASKS = np.ones((4, 12, 12)), np.ones((4, 12, 12), bool)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (partial(explain.grad_cam, MODEL, IMAGES / 255), "multiply pictures in"),
        (partial(explain.grad_cam, MODEL, IMAGES - 99), "from 0 to 255"),
        (partial(explain.saliency, MODEL, IMAGES * np.nan), "from 0 to 255"),
        (partial(explain.saliency, MODEL, IMAGES[0]), r"images\[:1\]"),
        (partial(explain.occlusion, MODEL, IMAGES[..., :1]), r"\(4, 12, 12, 1\)"),
        (partial(explain.grad_cam, MODEL, IMAGES, classes=3), "from 0 to 2"),
        (partial(explain.saliency, MODEL, IMAGES, classes=[0, 1]), "each of the 4"),
        (partial(explain.grad_cam, MODEL, IMAGES, layer="nix"), "conv2d.*features"),
        (partial(explain.grad_cam, MODEL, IMAGES, layer="pooled"), "before any pool"),
        (partial(explain.grad_cam, MODEL, IMAGES, layer=layers.ReLU()), "another mod"),
        (partial(explain.grad_cam, FLAT, IMAGES), "no layer with maps.*only"),
        (partial(explain.filters, FLAT), "must be a convolution"),
        (partial(explain.filters, MODEL, layer="logits"), "one of .*features"),
        (partial(explain.occlusion, MODEL, IMAGES, window=13), "1 to 12 pixels"),
        (partial(explain.occlusion, MODEL, IMAGES, window=3, stride=4), "is covered"),
        (partial(explain.smooth_grad, MODEL, IMAGES, samples=0), "samples=0"),
        (partial(explain.integrated_gradients, MODEL, IMAGES, steps=0.5), "steps=0.5"),
        (partial(explain.attention_rollout, MODEL, IMAGES), "models.vit"),
        (partial(explain.maximise_activation, MODEL, "logits", 3), "0 to 2"),
        (partial(explain.nearest, MODEL, IMAGES, IMAGES, k=5), "1 to 4"),
        (partial(explain.pointing_game, HEAT, MASKS * 1), "True or False"),
        (partial(explain.pointing_game, HEAT, ~MASKS), "True somewhere"),
        (partial(explain.shortcuts, HEAT, [0, 1, 2, 3], "abc"), "0 to 2"),
        (partial(explain.shortcuts, HEAT, [0] * 4, "a", border=0.5), "border=0.5"),
        (partial(explain.shortcuts, HEAT, [0] * 4, "a", region=HEAT), "True or False"),
        (
            partial(explain.sanity, MODEL, IMAGES, 0, methods={"x": explain.occlusion,
                    "y": lambda m, x, classes: HEAT[:2]}), r"\(2, 12, 12\)",
        ),
    ],
)  # fmt: skip
def test_errors_say_the_rule_and_what_arrived(call, words):
    with pytest.raises(ValueError, match=f"(?s){words}") as caught:
        call()
    assert "Received: " in str(caught.value)
