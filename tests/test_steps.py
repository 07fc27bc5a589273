"""The numbers in a figure of one step are those of Keras."""

import numpy as np
import pytest
from keras import layers, ops
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cnnkit import explorer
from cnnkit.plots.tables import short

RNG = np.random.default_rng(0)
MAX, AVERAGE = layers.MaxPooling2D, layers.AveragePooling2D


def texts(axes):
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("stride", "padding"), [(1, "valid"), (2, "same")])
def test_window_products_sum_and_output(channels, stride, padding):
    image = RNG.uniform(0, 255, (9, 8, channels)).round()
    kernel = RNG.normal(0, 1, (3, 3, channels)).round(1)
    output = np.asarray(
        ops.conv(image[None].astype("float32"), kernel[..., None].astype("float32"),
                 stride, padding)
    )[0, ..., 0] + 0.5  # fmt: skip
    row, column = 2, 1
    figure = explorer.convolution_step(
        image, kernel, row=row, column=column, stride=stride, padding=padding, bias=0.5
    )
    picture, window, shown_kernel, products, known = figure.axes
    border = (np.array(picture.images[0].get_array().shape) - image.shape[:2]) // 2
    top, left = np.array([row, column]) * stride - border
    seen = image[top : top + 3, left : left + 3]
    assert texts(window) == [short(x) for x in seen.mean(axis=2).ravel()]
    assert texts(shown_kernel) == [short(x) for x in kernel.sum(axis=2).ravel()]
    expected = (seen * kernel).sum(axis=2)
    assert texts(products) == [short(x) for x in expected.ravel()]
    said = products.get_xlabel().rpartition("=")[2].replace("−", "-")
    assert float(said) == pytest.approx(output[row, column], abs=1e-3)  # of 900
    drawn = np.ma.filled(known.images[0].get_array(), np.nan)
    done = row * output.shape[1] + column + 1
    np.testing.assert_allclose(drawn.ravel()[:done], output.ravel()[:done], atol=1e-3)
    assert np.isnan(drawn.ravel()[done:]).all()
    [box] = picture.patches
    assert box.get_xy() == (column * stride - 0.5, row * stride - 0.5)
    assert (box.get_width(), box.get_height()) == (3, 3)
    assert f"row {row}, column {column}" in known.get_xlabel()


@pytest.mark.parametrize(
    ("stride", "dilation", "reach"),
    [(1, 1, (2, 3)), (2, 1, (2, 3)), (1, 2, (3, 5)), (1, (3, 1), (4, 3))],
)
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_frame_holds_the_window_that_keras_sees(stride, dilation, reach, padding):
    image, kernel = RNG.normal(0, 1, (9, 8, 3)), RNG.normal(0, 1, (2, 3, 3))
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    output = np.asarray(
        ops.conv(image[None].astype("float32"), kernel[..., None].astype("float32"),
                 stride, padding, dilation_rate=dilation)
    )[0, ..., 0]  # fmt: skip
    for row, column in ((0, 0), (output.shape[0] - 1, output.shape[1] - 1)):
        padded, window, frame = explorer.windows.window_of(
            image, row, column, (2, 3), **how
        )
        top, left, bottom, right = frame
        assert (bottom - top, right - left) == reach
        down, across = dilation if isinstance(dilation, tuple) else (dilation,) * 2
        seen = padded[top:bottom:down, left:right:across]
        np.testing.assert_array_equal(window, seen)
        assert (window * kernel).sum() == pytest.approx(output[row, column], abs=1e-4)


def test_what_does_not_fit_is_named():
    image, kernel = np.ones((6, 6)), np.ones((3, 3))
    with pytest.raises(ValueError, match="4 rows and 4 columns.*row=4"):
        explorer.convolution_step(image, kernel, row=4, column=0)
    with pytest.raises(ValueError, match=r"\(6, 6, 2\) and \(3, 3, 1\)"):
        explorer.convolution_step(
            np.ones((6, 6, 2)), np.ones((3, 3, 1)), row=0, column=0
        )
    with pytest.raises(ValueError, match="at most 7 x 7"):
        explorer.convolution_step(np.ones((9, 9)), np.ones((8, 8)), row=0, column=0)


@pytest.mark.parametrize(("kind", "layer"), [("max", MAX), ("average", AVERAGE)])
def test_a_pooling_window_and_its_value(kind, layer):
    image = RNG.normal(0, 50, (7, 7)).round()
    theirs = layer(3, 2, "same")(image[None, ..., None].astype("float32"))
    output = np.asarray(theirs)[0, ..., 0]
    figure = explorer.pooling_step(
        image, 3, row=0, column=3, kind=kind, stride=2, padding="same"
    )
    picture, window, known = figure.axes
    # The window reaches over the edge: what lies outside has no number.
    seen = image[0:2, 5:7]
    assert texts(window) == [short(x) for x in seen.ravel()]
    said = window.get_xlabel().rpartition(": ")[2].replace("−", "-")
    assert float(said) == pytest.approx(output[0, 3], abs=1e-4)
    drawn = np.ma.filled(known.images[0].get_array(), np.nan)
    np.testing.assert_allclose(drawn[0, :4], output[0, :4], atol=1e-4)
    if kind == "max":
        [box] = window.patches
        left, top = np.array(box.get_xy()) + 0.5
        assert seen[int(top) - 1, int(left)] == seen.max()
    with pytest.raises(ValueError, match="kind='median'"):
        explorer.pooling_step(image, 2, row=0, column=0, kind="median")


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_softmax_terms_are_those_of_keras(temperature):
    logits = np.array([2.0, -1.0, 0.5])
    names = ["止まれ", "<b>$_{", "c"]
    figure = explorer.softmax_terms(logits, names, temperature=temperature)
    FigureCanvasAgg(figure).draw()
    shown = [[float(t.replace("−", "-")) for t in texts(axes)] for axes in figure.axes]
    np.testing.assert_allclose(shown[0], logits)
    expected = np.exp(logits / temperature)
    np.testing.assert_allclose(shown[1], expected / expected.max(), atol=6e-5)
    said = np.asarray(ops.softmax(logits / temperature))
    np.testing.assert_allclose(shown[2], said, atol=6e-5)
    with pytest.raises(ValueError, match="2 names"):
        explorer.softmax_terms(logits, names[:2])
