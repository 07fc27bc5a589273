"""What the views of filters and of changes draw is what Keras says."""

import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cnnkit import evaluation, explain, explorer, plots
from cnnkit.explorer import windows
from cnnkit.explorer.learnt import seen_from, strongest

HOSTILE = "薔薇 $_{ <script>" + "long" * 50
SIDE = 20


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def trunk(channels, side=SIDE, padding="valid"):
    """Two convolutions and a pooling between them, with biases of their own."""
    biases = keras.initializers.RandomNormal(0, 0.1, seed=3)
    how = {"activation": "relu", "padding": padding, "bias_initializer": biases}
    return keras.Sequential(
        [
            keras.Input((side, side, channels)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(6, 3, name="early", **how),
            layers.MaxPooling2D(),
            layers.Conv2D(5, 3, name="late", **how),
        ]
    )


@pytest.fixture(scope="module", params=[1, 3])
def model(request):
    keras.utils.set_random_seed(request.param)
    model = trunk(request.param)
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(4, activation="softmax"))
    return model


@pytest.fixture(scope="module")
def images(model):
    shape = (12, SIDE, SIDE, model.input_shape[3])
    return np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")


def maps_of(model, layer, images):
    inner = keras.Model(model.inputs[0], model.get_layer(layer).output)
    return np.asarray(inner(np.asarray(images, "float32")))


def number(text):
    return float(text.partition(",")[0].replace("−", "-"))


def picture(axes):
    """The pixels in axes, with an axis of channels."""
    array = np.asarray(axes.images[0].get_array()) * 255
    return array if array.ndim == 3 else array[..., np.newaxis]


def check_texts(figure):
    """All words lie in the figure, and no words lie on others."""
    FigureCanvasAgg(figure).draw()
    texts = [*figure.texts, *(t for x in figure.legends for t in x.get_texts())]
    for axes in figure.axes:
        texts += [axes.title, axes._right_title, axes.xaxis.label, axes.yaxis.label]
        low, high = axes.get_xlim()
        ticks = zip(axes.get_xticklabels(), axes.get_xticks(), strict=True)
        ticks = [label for label, place in ticks if low <= place <= high]
        texts += [*axes.texts, *([*axes.get_yticklabels(), *ticks] * axes.axison)]
    boxes = [t.get_window_extent() for t in texts if t.get_visible() and t.get_text()]
    for i, box in enumerate(boxes):
        assert figure.bbox.contains(*box.min) and figure.bbox.contains(*box.max), box
        assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize(("layer", "field"), [("early", 3), ("late", 8)])
def test_a_patch_alone_gives_the_number_below_it(model, images, layer, field):
    channels = model.input_shape[3]
    units = [4, 1]
    figure = explorer.filters(model, layer, images=images, units=units, steps=10)
    check_texts(figure)
    maps = maps_of(model, layer, images)
    alone = trunk(channels, side=None)
    alone.set_weights(model.get_weights()[:4])
    values, _ = strongest(model, model.get_layer(layer), images.astype("float32"))
    np.testing.assert_allclose(values, maps.max(axis=(1, 2)), atol=1e-5)
    kernels = model.get_layer(layer).get_weights()[0]
    for place, unit in enumerate(units):
        kernel, excited, *patches = figure.axes[5 * place : 5 * place + 5]
        assert kernel.get_title() == f"filter {unit}"
        drawn = np.asarray(kernel.images[0].get_array())
        weights = kernels[..., unit]
        if weights.shape[2] == 3:
            expected = (2 * drawn - 1) * abs(weights).max()
        else:
            shown = (weights**2).sum(axis=(0, 1)).argmax()
            expected, weights = drawn, weights[..., shown]
            some = weights if kernels.shape[2] == 1 else kernel.get_xlabel()
            assert some is weights or some == f"channel {shown}"
            written = [number(text.get_text()) for text in kernel.texts]
            np.testing.assert_allclose(written, weights.ravel(), atol=0.006)
        np.testing.assert_allclose(expected, weights, atol=1e-6)

        reached = maps_of(model, layer, picture(excited)[np.newaxis])[..., unit].max()
        said = excited.get_xlabel().replace("silent", "0")
        np.testing.assert_allclose(number(said), reached, rtol=6e-3)

        best = np.sort(maps[..., unit].max(axis=(1, 2)))[::-1]
        assert len(patches) == 3
        for axes, value in zip(patches, best, strict=False):
            np.testing.assert_allclose(number(axes.get_xlabel()), value, rtol=6e-3)
            patch = picture(axes).round()
            assert patch.shape == (field, field, channels)
            source = images[int(axes.get_xlabel().rpartition("no. ")[2])]
            found = np.lib.stride_tricks.sliding_window_view(source, patch.shape)
            assert (found[:, :, 0] == patch).all(axis=(2, 3, 4)).sum() == 1
            said = maps_of(alone, layer, patch[np.newaxis])
            assert said.shape[:3] == (1, 1, 1)
            np.testing.assert_allclose(said[0, 0, 0, unit], value, atol=1e-4)


def test_a_patch_at_the_edge_is_clipped():
    keras.utils.set_random_seed(0)
    body = trunk(3, padding="same")
    shape, late = (SIDE, SIDE, 3), body.get_layer("late")
    tail = keras.Sequential([body, layers.Flatten(), layers.Dense(2, "softmax")])
    boxes = seen_from(tail, late, shape, [(0, 0), (4, 5), (9, 1), (0, 0)])
    # From row r of the map: 2 (r - 1) - 1 to 2 (r + 1) + 2 of the picture.
    assert boxes.tolist() == [
        [0, 0, 5, 5], [5, 7, 13, 15], [15, 0, 20, 7], [0, 0, 5, 5],
    ]  # fmt: skip


CHAINS = [[(3, 1), (2, 2), (3, 1)], [(5, 2), (3, 1, 2), (2, 2)], [(1, 1)], [(4, 3)]]


@pytest.mark.parametrize("chain", CHAINS)
def test_what_is_seen_is_what_the_formula_says(chain):
    inputs = x = keras.Input((40, 40, 2))
    for kernel, stride, *dilation in chain:
        if kernel == stride == 2:
            x = layers.MaxPooling2D()(x)
        else:
            how = {"strides": stride, "dilation_rate": dilation[0] if dilation else 1}
            x = layers.Conv2D(4, kernel, activation="relu", **how)(x)
    outputs = layers.GlobalAveragePooling2D()(x)
    model, step = keras.Model(inputs, outputs), 1
    for _, stride, *_ in chain:
        step *= stride
    size = windows.receptive_field(chain)
    places = [(0, 2), (3, 1)]
    boxes = seen_from(model, model.layers[-2], (40, 40, 2), places)
    for (row, column), box in zip(places, boxes.tolist(), strict=True):
        top, left = row * step, column * step
        assert box == [top, left, top + size, left + size]


def test_a_filter_is_painted_before_its_relu_silences_it():
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(2, 1, activation="relu", name="c" * 200)(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    inner = keras.Model(inputs, x, name="inner")
    model = keras.Sequential([inner, layers.Dense(3, activation="softmax")])
    convolution = inner.layers[1]
    # Silent on grey: red over green by 50; and nothing at all.
    kernel = np.array([[1.0, 0], [-1, 0], [0, 0]]).reshape(1, 1, 3, 2)
    convolution.set_weights([kernel, np.array([-50.0, -1])])
    images = np.zeros((4, 12, 12, 3), "uint8")
    images[2, 5, 7] = 200, 30, 90
    figure = explorer.filters(model, images=images, steps=40)
    check_texts(figure)
    red, silent = figure.axes[:5], figure.axes[5:]
    assert number(red[1].get_xlabel()) > 50
    assert red[2].get_xlabel() == "120, no. 2"
    np.testing.assert_allclose(picture(red[2]), [[[200, 30, 90]]])
    words = [axes.get_xlabel() for axes in [*red[3:], *silent[1:]]]
    assert words == ["silent"] * 6
    assert convolution.activation is keras.activations.relu
    assert figure.texts[0].get_text().startswith("inner/ccc")
    assert len(explorer.filters(model, steps=1).axes) == 4


def test_filters_say_what_is_wrong(model, images):
    with pytest.raises(ValueError, match=r"\['early', 'late'\].*dense"):
        explorer.filters(model, model.layers[-1].name)
    with pytest.raises(ValueError, match=r"0 to 4.*'late'.*\[5\]"):
        explorer.filters(model, "late", units=[5])
    with pytest.raises(ValueError, match=r"1 to 8 whole numbers"):
        explorer.filters(model, "early", units=[])
    with pytest.raises(ValueError, match=r"Received: shape \(12, 20, 20\)"):
        explorer.filters(model, images=images[..., 0])
    free = keras.Sequential([trunk(1, side=None), layers.GlobalAveragePooling2D()])
    with pytest.raises(ValueError, match="pass `images`.*images=None"):
        explorer.filters(free)


def shifted(image, right, down):
    """Moved by whole pixels, the border mirrored: cut out of a picture with one."""
    wide = np.pad(image, ((SIDE // 2,) * 2, (SIDE // 2,) * 2, (0, 0)), "reflect")
    top, left = SIDE // 2 - down, SIDE // 2 - right
    return wide[top : top + SIDE, left : left + SIDE]


CHANGES = [
    ({}, lambda x: x),
    ({"move": (0.25, 0)}, lambda x: shifted(x, 5, 0)),
    ({"move": (-0.1, 0.2)}, lambda x: shifted(x, -2, 4)),
    ({"turn": 90}, np.rot90),
    ({"turn": -90, "brightness": 60}, lambda x: np.clip(np.rot90(x, -1) + 60, 0, 255)),
    ({"brightness": -100.0}, lambda x: np.clip(x - 100, 0, 255)),
    ({"turn": 180, "move": (0.1, 0)}, lambda x: shifted(np.rot90(x, 2), 2, 0)),
]


@pytest.mark.parametrize(("how", "ours"), CHANGES)
def test_bars_and_maps_are_those_of_the_changed_picture(model, images, how, ours):
    image = images[0].astype("float32")
    names = ["止まれ", HOSTILE, "c", "a name"]
    given = images[0, ..., 0] if image.shape[2] == 1 else images[0]
    figure = explorer.invariance(model, given, layer="late", class_names=names, **how)
    check_texts(figure)
    both = np.stack([image, ours(image)])
    expected = model.predict(both, verbose=0)
    maps = maps_of(model, "late", both)
    liveliest = np.argsort(-maps[0].mean(axis=(0, 1)))[:4]
    bars = figure.axes[1]
    order = np.argsort(-expected.max(axis=0))
    drawn = np.array([bar.get_width() for bar in bars.patches]).reshape(-1, 2)
    np.testing.assert_allclose(drawn, expected.T[order], atol=1e-4)
    written = [float(text.get_text().split()[0]) for text in bars.texts]
    np.testing.assert_allclose(written, drawn.ravel(), atol=6e-4)
    first, second = expected.argmax(axis=1)
    stays = "stays" if first == second else "changes"
    assert bars.get_title(loc="right") == f"the answer {stays}"
    shown = [np.asarray(image.get_array()) for image in figure.axes[0].images]
    words = [text.get_text() for text in figure.axes[0].texts]
    for row in range(2):
        before_or_after, *tiles = shown[5 * row : 5 * row + 5]
        drawn = before_or_after.reshape(both[row].shape) * 255
        np.testing.assert_allclose(drawn, both[row], atol=0.02)
        for tile, channel in zip(tiles, liveliest, strict=True):
            np.testing.assert_allclose(tile, maps[row, :, :, channel], atol=1e-4)
    numbers = [word for word in words if word.startswith("channel")]
    assert numbers == [f"channel {channel}" for channel in liveliest]
    ranges = [f"{x.min():.3g} to {x.max():.3g}" for x in shown[1:5] + shown[6:]]
    assert [word for word in words if " to " in word and "the" not in word] == ranges
    maps = [figure.axes[0].images[i] for i in (1, 2, 3, 4, 6, 7, 8, 9)]
    assert len({(x.norm.vmin, x.norm.vmax) for x in maps}) == 1
    assert maps[0].norm.vmin == 0
    assert maps[0].norm.vmax == max(x.max() for x in shown[1:5] + shown[6:])


def test_the_curve_has_a_mark_where_the_picture_is(model, images):
    amounts = {"scale": (1, 2), "translation": (0, 0.1), "rotation": (0, 90)}
    table = evaluation.invariance(model, images, np.arange(12) % 4, amounts=amounts)
    how = {"move": (-0.03, 0.04), "scale": 0.8, "turn": -30}
    figure = explorer.invariance(model, images[0], curve=table, **how)
    check_texts(figure)
    curves = figure.axes[-3:]
    for axes, (change, place) in zip(
        curves, {"scale": 1.25, "translation": 0.05, "rotation": 30}.items(),
        strict=True,
    ):  # fmt: skip
        value, same, mark = axes.lines
        part = table.loc[change]
        np.testing.assert_allclose(value.get_xydata(), part["value"].reset_index())
        np.testing.assert_allclose(same.get_xydata(), part["same"].reset_index())
        np.testing.assert_allclose(mark.get_xdata(), place)
        assert axes.get_title() == f"{change}: now {place:g}"
        assert axes.get_xlabel() == table.attrs["units"][change]
    words = "3% to the left, 4% down, turned 30° to the right, scaled by 0.8"
    assert figure.axes[0].texts[0].get_text() == words


def test_a_map_with_two_signs_and_a_model_in_a_model():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(2, 3, name="$_{")(layers.Rescaling(1 / 255)(inputs))
    inner = keras.Model(inputs, layers.GlobalAveragePooling2D()(x), name="inner")
    model = keras.Sequential([inner, layers.Dense(2, activation="softmax")])
    image = np.random.default_rng(0).uniform(0, 255, (16, 16, 3))
    figure = explorer.invariance(model, image, turn=12.5)
    check_texts(figure)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words[1].startswith("maps of inner/$_{: blue −")
    maps = explain.feature_maps(model, image[np.newaxis], layer="$_{")[0]
    channels = [int(x.split()[1]) for x in words if x.startswith("channel")]
    for drawn, channel in zip(figure.axes[0].images[1:3], channels, strict=True):
        np.testing.assert_allclose(drawn.get_array(), maps[..., channel], atol=1e-4)
        assert drawn.norm.vmin == -drawn.norm.vmax
    with pytest.raises(ValueError, match="evaluation.invariance.*0 changes"):
        explorer.invariance(model, image, curve=pd.DataFrame({"value": [1]}))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"image": np.zeros(9)}, r"one picture.*shape \(9,\)"),
        ({"image": np.zeros((9, 9))}, r"\(1, 9, 9, 1\)"),
        ({"scale": 0}, "above 0.*scale=0"),
        ({"move": 0.1}, r"\(right, down\).*move=0.1"),
        ({"turn": np.nan}, "finite.*turn=nan"),
        ({"class_names": ["a"]}, "4 names.*1 names"),
        ({"layer": "dense"}, "maps|must name one layer"),
    ],
)
def test_a_change_says_what_is_wrong(model, images, how, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        explorer.invariance(model, **{"image": images[0], **how})


def test_figures_take_any_name_and_say_what_does_not_fit():
    rng = np.random.default_rng(0)
    kernels, excited = rng.normal(size=(5, 5, 1, 2)), rng.uniform(0, 255, (2, 8, 9, 1))
    how = {"units": [3, 511], "filters": 512, "layer": HOSTILE}
    figure = plots.filter_view(kernels, excited, [2.5, -3e-7], **how)
    check_texts(figure)
    assert figure.axes[1].get_xlabel() == "2.5"
    assert figure.axes[3].get_xlabel() == "−3e−07"
    top = abs(kernels).max()
    for axes, kernel in zip(figure.axes[::2], kernels[..., 0, :].T, strict=True):
        for text in axes.texts:
            value = kernel[text.get_position()]  # transposed: column, row
            sign = "−" if value < 0 else "+"
            assert text.get_text() == (sign if abs(value) >= 0.1 * top else "")
    with pytest.raises(ValueError, match=r"2 units, \[2, 2, 1\]"):
        plots.filter_view(kernels, excited, [2.5], **how)
    maps = np.zeros((2, 4, 4, 3))
    with pytest.raises(ValueError, match=r"\(2, 4, 4, 3\) of 2 channels"):
        plots.change_view(
            excited, maps, [[1], [1]], ["a"], change="", channels=[0, 1], layer=""
        )
