"""What the figures of activations, flattening and geometry show is what Keras does."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cnnkit import explorer, plots

RNG = np.random.default_rng(0)
HOSTILE = "止まれ $_{ <script>" + "long" * 50
ACTIVATIONS = {
    "relu": ops.relu,
    "leaky_relu": layers.LeakyReLU(),
    "elu": ops.elu,
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "sigmoid": ops.sigmoid,
}


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def number(text):
    return float(text.replace("−", "-").replace("~", ""))  # ~0: small, and not 0


def numbers(axes):
    return [number(text.get_text()) for text in axes.texts]


def drawn(axes):
    return np.asarray(axes.images[0].get_array())


def test_a_picture_with_its_numbers():
    image = RNG.integers(0, 256, (6, 9))
    figure = explorer.show(image, values=True, title=HOSTILE)
    FigureCanvasAgg(figure).draw()
    [axes] = figure.axes
    np.testing.assert_array_equal(drawn(axes), image)
    np.testing.assert_array_equal(numbers(axes), image.ravel())
    places = [text.get_position() for text in axes.texts]
    assert places == [(j, i) for i in range(6) for j in range(9)]
    assert "止まれ" in axes.get_title()
    assert f"black {image.min()}, white {image.max()}" == figure.get_supxlabel()
    # A number that can be read on its pixel: light on dark, dark on light.
    middle = (image.min() + image.max()) / 2
    for text, value in zip(axes.texts, image.ravel(), strict=True):
        assert text.get_color() == ("black" if value > middle else "white")


def test_a_colour_picture_a_grey_one_and_what_is_none():
    colour = RNG.integers(0, 256, (5, 4, 3))
    [axes] = explorer.show(colour).axes
    np.testing.assert_allclose(drawn(axes), colour / 255)
    [axes] = explorer.show(colour[..., :1], values=True).axes
    np.testing.assert_array_equal(drawn(axes), colour[..., 0])
    FigureCanvasAgg(explorer.show(np.zeros((3, 3)), values=True)).draw()
    with pytest.raises(ValueError, match=r"at most 32 x 32.*\(5, 4, 3\)"):
        explorer.show(colour, values=True)
    with pytest.raises(ValueError, match=r"at most 32 x 32.*\(33, 2\)"):
        explorer.show(np.ones((33, 2)), values=True)
    with pytest.raises(ValueError, match=r"shape \(2, 5, 4, 3\)"):
        explorer.show(colour[None].repeat(2, 0))


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_an_activation_is_that_of_keras(kind):
    keras_says = ACTIVATIONS[kind]
    image = RNG.normal(0, 2, (5, 6))
    image[3, 2] = -1.5
    expected = np.asarray(keras_says(ops.convert_to_tensor(image, "float32")))
    figure = explorer.activation_step(image, kind, row=3, column=2)
    before, curve, after = figure.axes
    np.testing.assert_allclose(drawn(before), image, atol=1e-4)
    np.testing.assert_allclose(drawn(after), expected, atol=1e-4)
    assert number(before.get_xlabel().rpartition(": ")[2]) == -1.5
    said = number(after.get_xlabel().rpartition(": ")[2])
    assert said == pytest.approx(expected[3, 2], abs=1e-4)
    assert curve.get_title().startswith(f"{kind}(−1.5) = ")
    assert number(curve.get_title().rpartition("= ")[2]) == said
    *_, line, _, point = curve.lines
    inputs, outputs = line.get_data()
    theirs = np.asarray(keras_says(ops.convert_to_tensor(inputs, "float32")))
    np.testing.assert_allclose(outputs, theirs, atol=1e-4)
    assert inputs.min() < image.min() and inputs.max() > image.max()
    np.testing.assert_allclose(np.ravel(point.get_data()), [-1.5, said], atol=1e-4)
    [[box], [other]] = before.patches, after.patches
    assert box.get_xy() == other.get_xy() == (1.5, 2.5)
    assert before.images[0].get_clim() == after.images[0].get_clim()


def test_an_activation_of_what_is_no_map_is_refused():
    with pytest.raises(ValueError, match="kind='tanh'"):
        explorer.activation_step(np.ones((3, 3)), "tanh", row=0, column=0)
    with pytest.raises(ValueError, match=r"shape \(3, 3, 1\)"):
        explorer.activation_step(np.ones((3, 3, 1)), row=0, column=0)
    with pytest.raises(ValueError, match="3 rows and 4 columns.*column=4"):
        explorer.activation_step(np.ones((3, 4)), row=0, column=4)
    with pytest.raises(ValueError, match=r"\(3, 4\) and \(4, 3\)"):
        ones = np.ones((3, 4))
        plots.activation_step(ones, ones.T, (ones, ones), place=(0, 0), name="relu")
    FigureCanvasAgg(explorer.activation_step(np.zeros((9, 9)), row=0, column=0)).draw()


@pytest.mark.parametrize("channel", [None, 0, 3])
@pytest.mark.parametrize("shape", [(3, 4, 5), (9, 8, 4)])
def test_flattened_maps_add_up_to_the_logit_of_keras(shape, channel):
    maps = RNG.normal(0, 1, shape).astype("float32")
    flatten, dense = layers.Flatten(), layers.Dense(3, bias_initializer="normal")
    logits = np.asarray(dense(flatten(maps[None])))[0]
    kernel, bias = dense.get_weights()
    figure = explorer.flatten_map(
        maps, kernel[:, 1], bias=bias[1], class_name=HOSTILE, channel=channel
    )
    FigureCanvasAgg(figure).draw()
    values, weights, products, row, terms = figure.axes
    # What a channel adds, by Keras: all other channels are put out.
    alone = [
        np.asarray(dense(flatten(maps[None] * np.eye(shape[2])[k])))[0, 1] - bias[1]
        for k in range(shape[2])
    ]
    shown = int(np.argmax(alone)) if channel is None else channel
    assert values.get_title() == f"channel {shown}"
    np.testing.assert_allclose(drawn(values), maps[..., shown], atol=1e-4)
    np.testing.assert_allclose(
        drawn(products), drawn(values) * drawn(weights), atol=1e-4
    )
    said = [number(text.get_text().rpartition(": ")[2]) for text in terms.texts]
    others = sum(alone) - alone[shown]
    np.testing.assert_allclose(
        said, [alone[shown], others, bias[1], logits[1]], atol=2e-4
    )
    lengths = [bar.get_width() for bar in terms.patches]
    np.testing.assert_allclose(lengths, said, atol=1e-4)
    assert number(products.get_xlabel().removeprefix("sum ")) == said[0]
    # Where it stands in the row: Keras flattens the numbers of the channels.
    theirs = np.asarray(flatten(np.broadcast_to(np.arange(shape[2]), shape)[None]))[0]
    np.testing.assert_array_equal(
        row.lines[0].get_xdata(), np.flatnonzero(theirs == shown)
    )
    np.testing.assert_allclose(drawn(row)[0], np.asarray(flatten(maps[None]))[0])
    assert "止まれ" in terms.get_title() and len(terms.get_title()) < 50


def test_weights_that_are_not_those_of_one_class_are_refused():
    maps = np.ones((2, 2, 3))
    with pytest.raises(ValueError, match=r"\(2, 2, 3\) and \(12, 4\)"):
        explorer.flatten_map(maps, np.ones((12, 4)))
    with pytest.raises(ValueError, match="3 channels.*channel=3"):
        explorer.flatten_map(maps, np.ones(12), channel=3)
    with pytest.raises(ValueError, match=r"\(2, 2\), \(2, 2\), \(13,\)"):
        ones = np.ones((2, 2))
        plots.flatten_map(ones, ones, np.ones(13), channel=0, others=0)


def test_numbers_of_many_places_fit_into_their_cells_and_stay_true():
    small = RNG.normal(0, 0.05, (7, 7))
    small[0, :3] = -6.3e-5, -0.0, -0.996
    picture = RNG.normal(0, 1, (9, 9))
    step = explorer.convolution_step(picture, small, row=1, column=1)
    flat = explorer.flatten_map(small[..., np.newaxis], -small.ravel())
    for figure, panels in ((step, step.axes[1:4]), (flat, flat.axes[:3])):
        FigureCanvasAgg(figure).draw()
        for axes in panels:
            cell = axes.get_window_extent().width / 7
            shown = drawn(axes).ravel()
            for text, value in zip(axes.texts, shown, strict=True):
                assert text.get_window_extent().width < cell
                assert number(text.get_text()) == pytest.approx(value, abs=0.051)
                if abs(value) < 1:
                    assert number(text.get_text()) == pytest.approx(value, abs=0.0051)
    assert [text.get_text() for text in step.axes[2].texts[1:3]] == ["0", "−1"]


def seen_by_keras(side, kernel, stride, padding, dilation):
    """Which pixels each output pixel of the diagonal depends on: (windows, side)."""
    layer = layers.Conv2D(
        1, kernel, stride, padding, dilation_rate=dilation, kernel_initializer="ones"
    )
    picture = tf.Variable(tf.ones((1, side, side, 1)))
    with tf.GradientTape(persistent=True) as tape:
        diagonal = tf.linalg.diag_part(layer(picture)[0, :, :, 0])
    slopes = tape.jacobian(diagonal, picture, experimental_use_pfor=False)
    return slopes.numpy()[:, 0, :, :, 0].sum(axis=1) > 0


GEOMETRIES = [  # side, kernel, stride, padding, dilation
    (6, 3, 2, "valid", 1),
    (6, 3, 2, "same", 1),
    (7, 3, 2, "same", 1),
    (8, 3, 1, "same", 3),
    (9, 2, 4, "same", 1),
    (10, 3, 1, "valid", 2),
    (3, 3, 1, "valid", 1),
]


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding", "dilation"), GEOMETRIES
)
def test_windows_stand_where_those_of_keras_do(side, kernel, stride, padding, dilation):
    theirs = seen_by_keras(side, kernel, stride, padding, dilation)
    figure = explorer.convolution_geometry(
        side, kernel, stride=stride, padding=padding, dilation=dilation
    )
    FigureCanvasAgg(figure).draw()
    picture, windows, output = figure.axes
    assert drawn(output).shape == (len(theirs), len(theirs))
    assert output.get_title() == f"output {len(theirs)} × {len(theirs)}"
    left, right, bottom, top = windows.images[0].get_extent()
    before, after = round(-0.5 - left), round(right + 0.5) - side
    inside = slice(before, before + side)
    assert (drawn(windows) == 2).shape[1] == before + side + after
    np.testing.assert_array_equal(drawn(windows)[:, inside] == 2, theirs)
    assert (drawn(windows) == 2).sum(axis=1).tolist() == [kernel] * len(theirs)
    first = np.logical_and.outer(theirs[0], theirs[0])
    np.testing.assert_array_equal(drawn(picture)[inside, inside] == 2, first)
    # A cross on each pixel that makes no difference to Keras, a 0 on the border.
    zeros, crosses = picture.lines
    missed = ~theirs.any(axis=0)
    expected = np.argwhere(np.logical_or.outer(missed, missed))
    shown = np.transpose(crosses.get_data()[::-1])
    np.testing.assert_array_equal(shown, expected.reshape(-1, 2))
    whole = side + before + after
    assert len(zeros.get_xdata()) == whole**2 - side**2
    words = " ".join(text.get_text() for text in figure.texts)
    assert f" = {len(theirs)}" in words
    if padding == "same":
        assert f"border {before} before, {after} after" in words
    else:
        unseen = side - 1 - np.flatnonzero(theirs.any(axis=0))[-1]
        assert f"{unseen} dropped at the end" in words


def test_the_frames_are_those_of_the_first_two_windows():
    figure = explorer.convolution_geometry(6, 3, stride=2, padding="same")
    picture, windows, output = figure.axes
    corners = [[box.get_xy() for box in panel.patches] for panel in figure.axes]
    assert corners[0] == [(-0.5, -0.5), (1.5, -0.5)]
    assert corners[1] == [(-0.5, -0.5), (1.5, 0.5)]
    assert corners[2] == [(-0.5, -0.5), (0.5, -0.5)]
    assert all(box.get_width() == 3 for box in picture.patches)
    styles = {box.get_linestyle() for box in picture.patches}
    assert len(styles) == 2  # not told apart by colour alone


def test_geometries_that_do_not_exist_are_refused():
    for wrong in ({"side": 33}, {"side": 0}, {"stride": 0}, {"padding": "full"}):
        with pytest.raises(ValueError, match="Received: side="):
            explorer.convolution_geometry(**{"side": 6, "kernel": 3, **wrong})
    with pytest.raises(ValueError, match="does not fit.*side=4"):
        explorer.convolution_geometry(4, 3, dilation=2)
    both = explorer.convolution_geometry(9, 3, stride=2, dilation=2)
    assert "not both" in both.texts[-1].get_text() + both.texts[0].get_text()
