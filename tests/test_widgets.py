"""A widget shows what the figure function returns for the values of its controls."""

import base64
import io
import re
from datetime import UTC, datetime
from html import unescape

import keras
import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from cnnkit import explorer, plots
from cnnkit.data import decoding
from cnnkit.data.reader import Reader
from cnnkit.explorer import widgets
from cnnkit.explorer.widgets import pictures, views

RNG = np.random.default_rng(0)
GREY = RNG.uniform(0, 255, (9, 8)).round()
EDGE = np.array([[1, 0, -1]] * 3)
BARS = explorer.softmax_terms([0.0, 1.0], ["cat", "dog"])
HOSTILE = ['"><script>alert(1)</script>', "$_{ 止まれ", "x" * 200]


@pytest.fixture(autouse=True)
def small_figures(monkeypatch):
    monkeypatch.setattr(views, "DPI", 40)


def controls(box):
    """All controls of a box by their descriptions."""
    found = {}
    for child in getattr(box, "children", ()):
        found |= controls(child)
        if getattr(child, "description", ""):
            found[child.description] = child
    return found


def pages(box):
    """All HTML of a box, top to bottom, that is not empty."""
    found = []
    for child in getattr(box, "children", ()):
        found += pages(child)
        if type(child).__name__ == "HTML" and child.value:
            found.append(child.value)
    return found


def shown(box, number=-1):
    """The picture (PNG) and the words of one page of a box."""
    [(words, content)] = re.findall(
        r'<img alt="([^"]*)".* src="data:image/png;base64,([^"]*)">',
        pages(box)[number],
    )
    return base64.b64decode(content), unescape(words)


def same(box, figure, number=-1):
    """Whether a box shows this figure, pixel for pixel, and says its words."""
    png, words = shown(box, number)
    return png == plots.png(figure, dpi=views.DPI) and words == plots.words(figure)


def encoded(kind="PNG", size=(30, 20), mode="RGB", **options):
    pixels = RNG.integers(0, 256, (size[1], size[0], len(mode)), "uint8")
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze(), mode).save(file, kind, **options)
    return file.getvalue()


def upload(button, files):
    today = datetime.now(UTC)
    button.value = [
        {"name": name, "type": "", "size": len(content), "content": content,
         "last_modified": today}
        for name, content in files
    ]  # fmt: skip


def test_the_words_of_a_figure_are_its_numbers_row_by_row():
    figure = explorer.convolution_step(GREY, EDGE, row=2, column=1)
    window = GREY[2:5, 1:4]
    rows = "; ".join(" ".join(f"{value:.0f}" for value in row) for row in window)
    total = f"{(window * EDGE).sum():.0f}".replace("-", "−")
    assert f"the window: {rows}. " in plots.words(figure)
    assert plots.words(figure).endswith(f"row 2, column 1: {total}")
    assert plots.words(BARS).startswith("logits: cat 0.0000; dog 1.0000. exp(logit)")


def test_a_slider_of_the_convolution_moves_the_window():
    box = widgets.convolution_step(GREY, EDGE, row=1, bias=0.5, stride=2)
    sliders = controls(box)
    assert (sliders["row"].max, sliders["column"].max) == (3, 2)
    how = {"bias": 0.5, "stride": 2}
    assert same(box, explorer.convolution_step(GREY, EDGE, row=1, column=0, **how))
    sliders["column"].value = 2
    assert same(box, explorer.convolution_step(GREY, EDGE, row=1, column=2, **how))
    sliders["row"].value = 0
    assert same(box, explorer.convolution_step(GREY, EDGE, row=0, column=2, **how))
    assert not pyplot.get_fignums()


def test_play_goes_on_to_the_next_row_and_takes_the_sliders_along(monkeypatch):
    box = widgets.convolution_step(GREY, EDGE, column=5)
    [play] = [x for x in box.children[0].children if type(x).__name__ == "Play"]
    drawn = []
    draw = explorer.convolution_step
    monkeypatch.setattr(
        explorer, "convolution_step",
        lambda *args, **how: drawn.append(how) or draw(*args, **how),
    )  # fmt: skip
    play.value += 1  # what the browser does at each tick
    sliders = controls(box)
    assert (sliders["row"].value, sliders["column"].value) == (1, 0)
    assert [(how["row"], how["column"]) for how in drawn] == [(1, 0)]  # once
    assert play.max == 7 * 6 - 1
    sliders["▶ play"].value = True
    assert "■ stop" in controls(box)


def test_one_channel_or_all_added():
    image, kernel = RNG.uniform(0, 255, (6, 6, 3)), RNG.normal(0, 1, (3, 3, 3))
    box = widgets.convolution_step(image, kernel)
    assert same(box, explorer.convolution_step(image, kernel, row=0, column=0))
    controls(box)["channels"].label = "1 alone"
    expected = explorer.convolution_step(image[..., 1], kernel[..., 1], row=0, column=0)
    assert same(box, expected)


def test_pooling_and_temperature():
    box = widgets.pooling_step(GREY, 3, row=1, stride=2)
    assert (controls(box)["row"].max, controls(box)["column"].max) == (3, 2)
    controls(box)["keeps"].value = "average"
    controls(box)["column"].value = 1
    how = {"kind": "average", "stride": 2}
    assert same(box, explorer.pooling_step(GREY, 3, row=1, column=1, **how))

    box = widgets.softmax_terms([1.0, -2.0, 0.5], HOSTILE)
    controls(box)["temperature"].value = 10.0
    figure = explorer.softmax_terms([1.0, -2.0, 0.5], HOSTILE, temperature=10.0)
    assert same(box, figure)
    assert "<script>" not in pages(box)[0]
    assert "<script>" in shown(box)[1]  # in words, it is there


def test_activation_and_geometry():
    box = widgets.activation_step(GREY - 99, "gelu", row=8, column=7)
    assert same(box, explorer.activation_step(GREY - 99, "gelu", row=8, column=7))
    controls(box)["function"].value = "elu"
    assert same(box, explorer.activation_step(GREY - 99, "elu", row=8, column=7))

    box = widgets.convolution_geometry()
    controls(box)["stride"].value = 2
    assert same(box, explorer.convolution_geometry(6, 3, stride=2))
    controls(box)["padding"].value = "same"
    expected = explorer.convolution_geometry(6, 3, stride=2, padding="same")
    assert same(box, expected)
    controls(box)["padding"].value = "valid"
    controls(box)["kernel"].value = 7
    assert "reaches over 7 pixels does not fit" in pages(box)[0]


def test_what_a_figure_refuses_is_said_in_its_place():
    box = widgets.convolution_step(np.ones((9, 9)), np.ones((8, 8)))
    assert "at most 7 x 7" in pages(box)[0]
    box = widgets.softmax_terms([1.0, 2.0], HOSTILE)
    assert pages(box)[0].startswith('<p role="alert"')
    page = views.as_message(TypeError("<img src=x onerror=alert(1)>"))
    assert "TypeError: &lt;img" in page
    with pytest.raises(ValueError, match="reaches over 3 pixels does not fit"):
        widgets.convolution_step(np.ones((2, 2)), EDGE)


def test_a_map_one_pixel_wide_has_no_slider_for_it():
    box = widgets.pooling_step(np.ones((4, 2)))
    assert {"row", "keeps"} <= set(controls(box))
    assert "column" not in controls(box)
    assert set(controls(widgets.pooling_step(np.ones((2, 2))))) == {"keeps"}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "content",
    [
        encoded(),
        encoded(size=(4, 60)),
        encoded(mode="L"),
        encoded(mode="RGBA"),
        encoded("JPEG", exif=(lambda e: e.__setitem__(0x0112, 6) or e)(Image.Exif())),
        encoded("GIF", mode="L"),
    ],
    ids=["png", "narrow", "grey", "transparent", "turned", "gif"],
)
def test_a_file_is_read_as_the_data_room_reads_it(content, channels):
    expected = decoding.decode(content, Reader((12, 10), channels == 1)).pixels
    _, images, button, _ = pictures.choice(np.zeros((1, 12, 10, channels), "uint8"))
    upload(button, [("a file", content)])
    np.testing.assert_array_equal(images[1], expected)


def test_bad_files_are_answered_in_words():
    which, images, button, answer = pictures.choice([np.zeros((8, 8, 3), "uint8")])
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    large = io.BytesIO()
    Image.new("1", (8_200, 8_200)).save(large, "PNG")
    upload(button, [
        ("empty.png", b""), ("<b>text</b>.png", b"hello"),
        ("bomb.png", bomb.getvalue()), ("large.png", large.getvalue()),
        ("cut.jpg", encoded("JPEG")[:-300]),
    ])  # fmt: skip
    said = re.findall("<p role=.alert.*?>(.*?)</p>", answer.value)
    assert [line.partition(": ")[2].rstrip(".") for line in said] == [
        "the file is empty",
        "it is text, not a picture",
        "it has more than a hundred million pixels, more than the 64 million that are "
        "accepted; save it smaller",
        "it has 8200 x 8200 pixels, more than the 64 million that are accepted; save "
        "it smaller",
        "it is damaged or cut short (its end is missing)",
    ]
    assert "&lt;b&gt;text&lt;/b&gt;.png was not added" in answer.value
    assert len(images) == 1 and which.value == 0


def test_good_files_join_the_menu_and_the_newest_is_chosen():
    which, images, button, answer = pictures.choice(np.zeros((2, 8, 8, 1), "uint8"))
    chosen = []
    which.observe(lambda change: chosen.append(change.new), "value")
    upload(button, [("a.png", encoded()), ("<i>.png", b"no"), ("y" * 90, encoded())])
    assert chosen == [3]  # one change, so one drawing
    assert [label for label, _ in which.options[2:]] == ["picture 1", "picture 2"]
    assert which.label == "y" * 20 + "…" + "y" * 19
    assert "Added: a.png" in answer.value
    assert {image.shape for image in images} == {(8, 8, 1)}
    assert images[3].std() > 0
    with pytest.raises(ValueError, match="2 pictures, 1 names"):
        pictures.choice(np.zeros((2, 8, 8, 1)), ["one"])


@pytest.fixture(scope="module")
def model():
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Rescaling(1 / 255, name="scaled"),
            keras.layers.Conv2D(4, 3, activation="relu", name="edges"),
            keras.layers.MaxPooling2D(name="smaller"),
            keras.layers.Conv2D(5, 3, name="features"),
            keras.layers.Flatten(name="row"),
            keras.layers.Dense(3, activation="softmax", name="answer"),
        ]
    )


PHOTOS = RNG.integers(0, 256, (3, 12, 12, 3), "uint8")


def test_the_filters_of_each_convolution(model, monkeypatch):
    asked = []
    monkeypatch.setattr(
        explorer, "filters",
        lambda model, layer, **how: asked.append(layer) or FIGURES[layer],
    )  # fmt: skip
    FIGURES = {
        name: explorer.softmax_terms([i, 1.0], ["a", "b"])
        for i, name in enumerate(["edges", "features"])
    }
    box = widgets.filters(model, PHOTOS)
    assert controls(box)["layer"].options == ("edges", "features")
    assert same(box, FIGURES["edges"])
    said = []
    box.children[-1].observe(lambda change: said.append(change.new), "value")
    controls(box)["layer"].value = "features"
    assert same(box, FIGURES["features"])
    assert said[0].endswith('<p role="status">Drawing …</p>')
    controls(box)["layer"].value = "edges"
    assert asked == ["edges", "features"]  # what was seen is not computed again


def test_sliders_move_turn_scale_and_brighten(model, monkeypatch):
    box = widgets.invariance(model, PHOTOS, HOSTILE)
    assert same(box, explorer.invariance(model, PHOTOS[0], class_names=HOSTILE))
    assert "<script>" not in "".join(pages(box))
    asked = []
    monkeypatch.setattr(
        explorer, "invariance",
        lambda model, image, **how: asked.append((image.mean(), how)) or BARS,
    )  # fmt: skip
    values = {"right": 0.1, "down": -0.2, "turn": 15, "scale": 1.2, "brightness": 20}
    for name, value in (values | {"picture": 2, "layer": "edges"}).items():
        controls(box)[name].value = value
    assert len(asked) == 7
    mean, how = asked[-1]
    assert mean == pytest.approx(PHOTOS[2].mean())
    assert how == {
        "move": (0.1, -0.2), "turn": 15, "scale": 1.2, "brightness": 20,
        "layer": "edges", "class_names": HOSTILE, "curve": None,
    }  # fmt: skip
    assert same(box, BARS)


def test_pictures_that_do_not_fit_are_named(model):
    with pytest.raises(ValueError, match="12, 12, 3"):
        widgets.invariance(model, PHOTOS[:, :8], HOSTILE)


def test_all_layers_and_any_unit(model, monkeypatch):
    box = widgets.overview(model, PHOTOS, HOSTILE)
    first = explorer.overview(model, PHOTOS[0], class_names=HOSTILE)
    assert same(box, first, 0)
    names = [layer.name for layer in model.layers]
    assert list(controls(box)["layer"].options) == names

    controls(box)["layer"].value = "edges"
    unit = controls(box)
    assert [unit[x].max for x in ("channel", "row", "column")] == [3, 9, 9]
    unit["channel"].value, unit["row"].value = 2, 1
    where = {"row": 1, "column": 5, "channel": 2}  # it begins in the middle
    who = {"class_names": HOSTILE}
    expected = explorer.unit_step(model, PHOTOS[0], "edges", **where, **who)
    assert same(box, expected)

    controls(box)["layer"].value = "answer"
    assert not {"row", "column", "▶ play"} & set(controls(box))
    assert controls(box)["channel"].max == 2
    assert unit["row"].comm is None  # closed

    asked = []
    for name in ("overview", "unit_step"):
        monkeypatch.setattr(
            explorer, name,
            lambda model, image, *args, name=name, **how: asked.append(
                (name, image.mean(), args, how)) or BARS,
        )  # fmt: skip
    controls(box)["picture"].value = 1
    mean = PHOTOS[1].mean()
    assert asked == [
        ("overview", pytest.approx(mean), (), {"colours": "layer", **who}),
        ("unit_step", pytest.approx(mean), ("answer",),
         {"row": 0, "column": 0, "channel": 0, **who}),
    ]  # fmt: skip
    controls(box)["one scale of colours for"].value = "network"
    assert asked[2][3] == {"colours": "network", **who}
    assert len(asked) == 3


def test_a_file_goes_through_the_model(model, monkeypatch):
    asked = []
    monkeypatch.setattr(
        explorer, "overview", lambda model, image, **how: asked.append(image) or BARS
    )
    monkeypatch.setattr(explorer, "unit_step", lambda *args, **how: BARS)
    box = widgets.overview(model, PHOTOS)
    content = encoded()
    upload(controls(box)["add your own, up to 10 MB"], [("a.png", content)])
    expected = decoding.decode(content, Reader(12)).pixels
    np.testing.assert_array_equal(asked[-1], expected)
    assert len(asked) == 2


def test_tokens_have_a_row_each():
    inputs = keras.Input((4, 4, 1))
    tokens = keras.layers.Reshape((16, 1), name="tokens")(inputs)
    units = keras.layers.Dense(5, name="wide")(tokens)
    outputs = keras.layers.GlobalAveragePooling1D()(units)
    outputs = keras.layers.Softmax()(outputs)
    box = widgets.overview(keras.Model(inputs, outputs), np.full((1, 4, 4, 1), 9))
    controls(box)["layer"].value = "wide"
    found = controls(box)
    assert (found["row"].max, found["channel"].max) == (15, 4)
    assert "column" not in found
    found["row"].value, found["channel"].value = 3, 4
    assert "channel 4, row 3" in shown(box)[1]
