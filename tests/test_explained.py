import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cnnkit.plots import explained

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 12, 16, 3), dtype="uint8")
HEATS = RNG.uniform(0, 1, (20, 12, 16))
HOSTILE = "薔薇 $_{ <b>\n" + "long" * 50


@pytest.fixture(autouse=True)
def nothing_left_open_and_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert pyplot.get_fignums() == []


def check_texts(figure):
    """Every title, label and note lies in the figure; no title lies on another."""
    FigureCanvasAgg(figure).draw()
    titles = [axes.title for axes in figure.axes if axes.get_title()]
    labels = [axes.yaxis.label for axes in figure.axes if axes.get_ylabel()]
    texts = titles + labels + figure.texts
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    assert texts
    for text in texts:
        box = text.get_window_extent()
        assert figure.bbox.contains(*box.min) and figure.bbox.contains(*box.max), text
    boxes = [text.get_window_extent() for text in titles]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize("n", [1, 3, 8, 20])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_picture_stands_over_itself_under_its_heat(n, channels):
    images = IMAGES[:n, ..., :channels]
    titles = [f"{i} {HOSTILE}" for i in range(n)]
    figure = explained.heat_maps(images, HEATS[:n], titles=titles)
    check_texts(figure)
    shown = min(n, 16)
    assert len(figure.axes) == 2 * shown + 1
    for i in range(shown):
        above, below = figure.axes[2 * i : 2 * i + 2]
        picture = np.asarray(above.images[0].get_array())
        np.testing.assert_allclose(picture * 255, images[i].squeeze(), atol=1e-6)
        grey, heat = below.images
        mean = images[i].mean(axis=-1) / 255
        np.testing.assert_allclose(np.asarray(grey.get_array()), mean)
        np.testing.assert_array_equal(np.asarray(heat.get_array()), HEATS[i])
        assert (heat.norm.vmin, heat.norm.vmax) == (0, 1)
        assert above.get_position().y0 > below.get_position().y1
    words = [text.get_text() for text in figure.texts]
    assert words == (["the first 16 of 20 pictures"] if n > 16 else [])


def test_heat_against_the_class_has_the_other_colour():
    figure = explained.heat_maps(IMAGES[:2], HEATS[:2] - 0.7)
    check_texts(figure)
    heat = figure.axes[1].images[1]
    assert heat.norm.vmin == -heat.norm.vmax
    red, _, blue, _ = heat.cmap(heat.norm(0.3))
    assert red > blue
    assert figure.axes[-1].get_ylabel() == "against (-) or for (+) the class"
    figure = explained.heat_maps(IMAGES[:2], HEATS[:2] - 0.7, label="gain $_{")
    check_texts(figure)
    assert figure.axes[-1].get_ylabel() == "gain $_{"


def test_the_liveliest_channels_come_first():
    maps = RNG.uniform(0, 1, (1, 4, 5, 60)) * np.arange(60)
    figure = explained.feature_maps(maps)
    check_texts(figure)
    numbers = [int(axes.get_title()) for axes in figure.axes[:-1]]
    expected = np.argsort(-maps[0].mean(axis=(0, 1)))[:48]
    assert numbers == expected.tolist()
    for axes, number in zip(figure.axes, numbers, strict=False):
        tile = np.asarray(axes.images[0].get_array())
        np.testing.assert_array_equal(tile, maps[0, :, :, number])
    assert figure.texts[0].get_text() == "48 of 60 channels, the liveliest first"


def test_filters_of_colours_are_colours_and_others_have_a_sign():
    kernels = RNG.normal(size=(3, 3, 3, 8))
    kernels[..., 2] = 0
    figure = explained.filters(kernels)
    check_texts(figure)
    assert len(figure.axes) == 8  # no scale of colours
    tile = np.asarray(figure.axes[1].images[0].get_array())
    np.testing.assert_allclose((2 * tile - 1) * abs(kernels[..., 1]).max(),
                               kernels[..., 1], atol=1e-9)  # fmt: skip
    assert (np.asarray(figure.axes[2].images[0].get_array()) == 0.5).all()

    kernels = RNG.normal(size=(3, 3, 7, 50))
    kernels[:, :, 4] *= 9
    figure = explained.filters(kernels)
    check_texts(figure)
    for i, axes in enumerate(figure.axes[:-1]):
        tile = np.asarray(axes.images[0].get_array())
        np.testing.assert_array_equal(tile, kernels[:, :, 4, i])


def test_curves_of_deletion_and_insertion_are_the_means_over_the_pictures():
    names = ["Grad-CAM", HOSTILE]
    index = pd.MultiIndex.from_product(
        [names, ["deletion", "insertion"], ["heat", "random"], range(5)],
        names=["method", "test", "order", "picture"],
    )
    shares = np.linspace(0, 1, 17)
    curves = pd.DataFrame(RNG.uniform(0, 1, (40, 17)), index, shares)
    figure = explained.sanity(curves)
    check_texts(figure)
    for axes, test in zip(figure.axes, ["deletion", "insertion"], strict=True):
        assert axes.get_xlabel() and axes.get_title()
        for line, name in zip(axes.lines, names, strict=False):
            expected = curves.loc[(name, test, "heat")].mean()
            np.testing.assert_allclose(line.get_ydata(), expected)
            np.testing.assert_allclose(line.get_xdata(), shares * 100)
        random = curves.xs((test, "random"), level=("test", "order")).mean()
        np.testing.assert_allclose(axes.lines[2].get_ydata(), random)
    assert figure.axes[0].get_ylabel() == "probability of the class"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: explained.heat_maps(IMAGES, HEATS[:3]), r"\(3, 12, 16\)"),
        (lambda: explained.heat_maps(IMAGES, HEATS * np.nan), "finite"),
        (lambda: explained.heat_maps(IMAGES / 255, HEATS), "multiply"),
        (lambda: explained.heat_maps(IMAGES, HEATS, titles=["a"]), "1 titles"),
        (lambda: explained.feature_maps(HEATS[None, None]), r"maps\[0\]"),
        (lambda: explained.filters(HEATS), "filters"),
        (lambda: explained.sanity(pd.DataFrame()), "deletion_insertion"),
    ],
)
def test_errors_say_the_rule_and_what_arrived(call, words):
    with pytest.raises(ValueError, match=f"(?s){words}.*Received|Received.*{words}"):
        call()
