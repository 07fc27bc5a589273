"""What is drawn of a model of one's own are the numbers that Keras has."""

import re
import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cnnkit import explorer, plots

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (28, 28)).astype("uint8")
HOSTILE = ["止まれ", "$_{ <script>", "long" * 50]
KINDS = {
    "rescaled": (layers.Rescaling(1 / 127.5, -1), []),
    "large": (layers.Conv2D(3, 11, 4, activation="relu"), ["rescaled"]),
    "wide": (layers.Conv2D(6, (3, 5), (2, 1), "same", activation="gelu"), ["rescaled"]),
    "grouped": (layers.Conv2D(4, 3, groups=2, padding="same"), ["wide"]),
    "dilated": (layers.Conv2D(4, 3, dilation_rate=(2, 1), padding="same"), ["grouped"]),
    "depthwise": (layers.DepthwiseConv2D(3, 2, "same", 2), ["grouped"]),
    "pointwise": (layers.Conv2D(12, 1, use_bias=False), ["depthwise"]),
    "norm": (layers.BatchNormalization(), ["pointwise"]),
    "relu": (layers.ReLU(max_value=0.5), ["norm"]),
    "leaky": (layers.LeakyReLU(), ["norm"]),
    "gelu": (layers.Activation("gelu"), ["norm"]),
    "sum": (layers.Add(), ["relu", "leaky"]),
    "product": (layers.Multiply(), ["sum", "gelu"]),
    "both": (layers.Concatenate(), ["product", "relu"]),
    "max": (layers.MaxPooling2D(3, 2, "same"), ["both"]),
    "mean": (layers.AveragePooling2D((2, 3), 1, "same"), ["max"]),
    "broad": (layers.MaxPooling2D((8, 7), 3), ["grouped"]),
    "bordered": (layers.ZeroPadding2D(1), ["broad"]),
    "mean_all": (layers.GlobalAveragePooling2D(), ["mean"]),
    "max_all": (layers.GlobalMaxPooling2D(keepdims=True), ["mean"]),
    "row": (layers.Flatten(), ["mean"]),
    "off": (layers.Dropout(0.5), ["row"]),
    "hidden": (layers.Dense(9, activation="elu"), ["off"]),
    "squashed": (layers.Activation("sigmoid"), ["hidden"]),
    "flat": (layers.Flatten(), ["max_all"]),
    "flat_too": (layers.Flatten(), ["bordered"]),
    "flat_large": (layers.Flatten(), ["large"]),
    "flat_dilated": (layers.Flatten(), ["dilated"]),
    "all": (
        layers.Concatenate(),
        ["mean_all", "squashed", "flat", "flat_too", "flat_large", "flat_dilated"],
    ),
    "logits": (layers.Dense(3), ["all"]),
    "probabilities": (layers.Softmax(), ["logits"]),
}


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


@pytest.fixture(scope="module")
def zoo():
    """A model with every kind of layer that is drawn, no weight of it 0 or 1."""
    keras.utils.set_random_seed(0)
    tensors = {"pixels": keras.Input((28, 28, 1), name="pixels")}
    for name, (layer, sources) in KINDS.items():
        given = [tensors[source] for source in sources or ["pixels"]]
        config = {**layer.get_config(), "name": name}
        layer = type(layer).from_config(config)
        tensors[name] = layer(given if len(given) > 1 else given[0])
    model = keras.Model(tensors["pixels"], tensors["probabilities"])
    for variable in model.variables:
        if variable.dtype == "float32":
            noise = RNG.normal(0, 0.1, variable.shape)
            variable.assign(variable + noise)  # a variance is 1 before
    every = keras.Model(model.inputs, tensors)
    pixels = {"pixels": GREY[None, ..., None].astype("float32")}
    outputs = every(pixels, training=False)
    return model, {name: np.asarray(x)[0] for name, x in outputs.items()}


def number(text):
    return float(text.replace("−", "-"))


def close(expected):
    return pytest.approx(expected, abs=1e-4, rel=1e-4)


def rows_of(figure):
    """The rows of an overview: {name: (image, words, marks above it)}."""
    [axes] = figure.axes
    texts = [text.get_text() for text in axes.texts]
    heads = [i for i, text in enumerate(texts) if re.match(r"\d+  ", text)]
    ends = [*heads[1:], texts.index("the answer")]
    return {
        texts[i].partition("  ")[2]: (image.get_array(), texts[i + 1], texts[i + 2 : j])
        for i, j, image in zip(heads, ends, axes.images[1:], strict=True)
    }


def tiles(mosaic, shape, count):
    """The maps in a row of an overview, shape (rows, columns, count)."""
    mosaic = np.ma.filled(mosaic, np.nan)
    times, step = mosaic.shape[0] // shape[0], mosaic.shape[1] // count
    cut = [
        mosaic[::times, i * step : i * step + shape[1] * times : times]
        for i in range(count)
    ]
    return np.stack(cut, axis=-1)


def test_all_layers_in_the_order_of_running(zoo):
    model, outputs = zoo
    table = explorer.layer_table(model, GREY).set_index("layer")
    assert set(table.index) == set(KINDS)
    for name, (_, sources) in KINDS.items():
        places = [table.index.get_loc(x) for x in (name, *sources)]
        assert max(places) == places[0]
        assert table["shape"][name] == outputs[name].shape
        assert table["lowest"][name] == close(outputs[name].min())
        assert table["highest"][name] == close(outputs[name].max())
        assert table["kind"][name] == type(model.get_layer(name)).__name__
    assert table["parameters"].sum() == model.count_params()
    assert not any("call" in vars(layer) for layer in model.layers)  # as it was


def bare(layer, inputs):
    """What a layer of the zoo has before its activation, by a copy without one."""
    config = {**layer.get_config(), "activation": "linear", "name": "bare"}
    copy = type(layer).from_config(config)
    copy.build((None, *inputs.shape))
    copy.set_weights(layer.get_weights())
    return np.asarray(copy(inputs[None]))[0]


FORMULAS = {
    "rescaled": lambda x, scale, offset: x * scale + offset,
    "norm": lambda gamma, x, mean, variance, small, beta: (
        gamma * (x + mean) / np.sqrt(variance + small) + beta
    ),
    "sum": lambda a, b: a + b,
    "product": lambda a, b: a * b,
    "Flatten": lambda row, wide, column, deep, channel: (
        (row * wide + column) * deep + channel
    ),
}


def worked_out(kind, line):
    """The value of the formula that a line of a heading writes out."""
    line = line.rpartition("place ")[2].rpartition(" = ")[0]
    terms = re.findall(r"(?:[+−] ?)?\d[\d.]*", line)
    return FORMULAS[kind](*(number(term.replace(" ", "")) for term in terms))


def drawn(axes):
    return np.ma.filled(axes.images[0].get_array(), np.nan)


@pytest.mark.parametrize("name", [name for name in KINDS if "flat" not in name])
def test_the_value_of_a_unit_is_that_of_the_model(zoo, name):
    model, outputs = zoo
    expected, (_, sources) = outputs[name], KINDS[name]
    shape = expected.shape if expected.ndim == 3 else (1, 1, *expected.shape)
    layer, given = model.get_layer(name), [outputs[source] for source in sources]
    shares = [np.ones(3)]  # the last unit of all
    if hasattr(layer, "kernel") or "pool" in type(layer).__name__.lower():
        shares.append(RNG.random(3))  # a window somewhere
    for share in shares:
        at = row, column, channel = tuple(
            min(int(x), side - 1) for x, side in zip(share * shape, shape, strict=True)
        )
        value = expected.reshape(shape)[at]
        where = {"row": row, "column": column, "channel": channel}
        figure = explorer.unit_step(model, GREY, name, **where)
        first, *lines = figure.get_suptitle().split("\n")
        assert first.startswith(f"{name} ({type(layer).__name__}), ")
        assert number(first.rpartition(": ")[2]) == close(value)

        if name in FORMULAS:
            assert worked_out(name, lines[-1]) == pytest.approx(value, abs=1e-3)
            maps = [drawn(axes) for axes in figure.axes]
            for shown, inputs in zip(maps, given, strict=False):
                np.testing.assert_allclose(shown, inputs[..., channel])
            np.testing.assert_allclose(maps[-1], expected[..., channel], atol=1e-5)
        elif isinstance(layer, layers.Flatten):
            assert worked_out("Flatten", lines[0]) == channel
            r, c, k = map(int, re.findall(r"\d+", lines[0])[:3])
            assert given[0][r, c, k] == value
        elif name in ("max", "broad", "mean"):
            reduce = np.nanmean if name == "mean" else np.nanmax
            assert reduce(drawn(figure.axes[1])) == close(value)
        elif name in ("relu", "leaky", "gelu", "squashed"):
            before, curve, after = figure.axes
            [dot] = [line for line in curve.lines if line.get_marker() == "o"]
            inputs = given[0].reshape(shape)[at]
            assert [dot.get_xdata()[0], dot.get_ydata()[0]] == close([inputs, value])
            xs, ys = max((x.get_data() for x in curve.lines), key=lambda x: len(x[0]))
            np.testing.assert_allclose(ys, np.asarray(layer(xs)), atol=1e-6)
            if expected.ndim == 3:
                np.testing.assert_allclose(drawn(after), expected[..., channel])
                np.testing.assert_allclose(drawn(before), given[0][..., channel])
        elif hasattr(layer, "kernel"):
            sums = bare(layer, outputs[sources[0]]).reshape(shape)
            words = plots.words(figure).replace("−", "-")
            said = re.findall(r"(?:the sum|logit:|sum|=) (-?[\d.]*\d)", words)
            assert any(float(text) == close(sums[at]) for text in said)
            if layer.activation is not keras.activations.linear:
                inside, outside = re.findall(r"−?[\d.]*\d", lines[0])
                assert number(inside) == close(sums[at])
                assert number(outside) == close(value)
            if figure.axes[-1].images:
                seen = drawn(figure.axes[-1])
                done = np.isfinite(seen)
                assert done[row, column]
                np.testing.assert_allclose(
                    seen[done], sums[..., channel][done], atol=1e-4
                )
        elif name == "both":
            assert lines == [f"channel {channel % 12} of input {channel // 12 + 1}"]
            shown = drawn(figure.axes[channel // 12])
            np.testing.assert_allclose(shown, expected[..., channel])


def test_a_fused_softmax_and_hostile_names_and_many_classes():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        layers.Rescaling(1 / 255), layers.Conv2D(2, 3, name="$_{ 止まれ" + "x" * 90),
        layers.MaxPooling2D(4), layers.Flatten(),
        layers.Dense(3, activation="softmax", kernel_initializer="he_normal"),
    ])  # fmt: skip
    view = explorer.overview(model, GREY, class_names=HOSTILE, colours="network")
    said = np.asarray(model(GREY[None, ..., None].astype("float32")))[0]
    name, conv = model.layers[-1].name, model.layers[1].name
    figure = explorer.unit_step(model, GREY, name, channel=1, class_names=HOSTILE)
    line = figure.get_suptitle().split("\n")[1]
    logit, top, total, share = (
        number(text) for text in re.findall(r"−?[\d.]*\d", line)
    )
    assert share == close(said[1])
    assert np.exp(logit - top) / total == pytest.approx(said[1], abs=1e-3)
    answers = [text.get_text() for text in view.axes[0].texts][-6:]
    assert [float(text) for text in answers[1::2]] == pytest.approx(
        np.sort(said)[::-1], abs=6e-4
    )
    assert answers[::2] == [
        plots.legible(HOSTILE, width=20)[i] for i in np.argsort(-said)
    ]
    step = explorer.unit_step(model, GREY, conv, channel=1)
    for one in (view, figure, step):
        FigureCanvasAgg(one).draw()

    inputs = keras.Input((28, 28, 1))
    scores = layers.Dense(50)(layers.Flatten()(inputs))
    model = keras.Model(inputs, layers.Softmax(name="p")(0.01 * scores))
    said = model.predict(GREY[None, ..., None].astype("float32"), verbose=0)[0]
    least = int(said.argmin())
    figure = explorer.unit_step(model, GREY, "p", channel=least)
    shares = {
        name.get_text(): float(text.get_text())
        for name, text in zip(
            figure.axes[0].get_yticklabels(), figure.axes[2].texts, strict=True
        )
    }
    together = shares.pop("31 others together")
    assert shares[f"class {least}"] == pytest.approx(said[least], abs=6e-4)
    assert together == pytest.approx(1 - sum(shares.values()), abs=0.01)


class Twice(keras.Model):
    """Python code, a layer that is called twice, and a model inside."""

    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(3, 3, padding="same", name="conv")
        self.body = keras.Sequential(
            [layers.MaxPooling2D(7, name="small"), layers.Flatten(name="row")],
            name="body",
        )
        self.last = layers.Dense(2, activation="softmax", name="last")

    def call(self, x):
        return self.last(self.body(self.conv(ops.tanh(self.conv(x / 255)))))


@pytest.mark.parametrize("colours", ["layer", "block", "network"])
def test_an_overview_of_python_code_with_a_shared_layer(colours):
    keras.utils.set_random_seed(0)
    model, picture = Twice(), RNG.uniform(0, 255, (28, 28, 3)).astype("float32")
    figure = explorer.overview(model, picture, colours=colours, channels=2)
    first = np.asarray(model.conv(picture[None] / 255))
    second = np.asarray(model.conv(np.tanh(first)))
    small = np.asarray(model.body.layers[0](second))[0]
    expected = {"conv": first[0], "conv (2)": second[0], "body/small": small}
    rows = rows_of(figure)
    assert list(rows) == ["conv", "conv (2)", "small", "row", "last"]
    sizes = {name: abs(values).max() for name, values in expected.items()}
    for name, values in expected.items():
        drawn, words, channels = rows[name.removeprefix("body/")]
        channels = [int(channel) for channel in re.findall(r"\d+", channels[0])]
        means = abs(values).mean(axis=(0, 1))
        assert channels == sorted(np.argsort(-means)[:2])
        np.testing.assert_allclose(
            tiles(drawn, values.shape, 2), values[..., channels], atol=1e-5
        )
        kind, shape, _ = words.split("\n")
        assert shape.startswith(" × ".join(map(str, values.shape)))
        assert shape.endswith("par.") == (name == "conv")
    assert "84 par." in rows["conv"][1]
    np.testing.assert_allclose(rows["row"][0][0], small.ravel(), atol=1e-5)
    answer = np.asarray(model(picture[None]))[0]
    np.testing.assert_allclose([number(x) for x in rows["last"][2]], answer, atol=6e-4)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), picture / 255)

    whole = max(sizes.values())
    scales = {
        "layer": sizes,
        "block": {**dict.fromkeys(["conv", "conv (2)"],
                                  max(sizes["conv"], sizes["conv (2)"])),
                  "body/small": sizes["body/small"]},
        "network": dict.fromkeys(sizes, max(whole, abs(answer).max())),
    }  # fmt: skip
    for image, name in zip(figure.axes[0].images[1:], expected, strict=False):
        assert image.get_clim() == pytest.approx(
            (-scales[colours][name], scales[colours][name]), abs=1e-5
        )
    step = explorer.unit_step(model, picture, "conv (2)", row=3, column=4, channel=1)
    assert number(step.get_suptitle().rpartition(": ")[2]) == close(second[0, 3, 4, 1])


def test_of_a_deep_network_the_overview_shows_what_changes():
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((32, 32, 3))
    for block in range(24):
        y = layers.Conv2D(2, 3, padding="same", name=f"conv{block}")(x)
        y = layers.ReLU(name=f"relu{block}")(y)
        if block:
            y = layers.Add(name=f"add{block}")([x, y])
        x = layers.Dropout(0.1, name=f"off{block}")(y)
        if block in (8, 16):
            x = layers.MaxPooling2D(name=f"pool{block}")(x)
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    model = keras.Model(inputs, layers.Dense(2, activation="softmax", name="last")(x))
    picture = RNG.uniform(0, 255, (32, 32, 3))
    figure = explorer.overview(model, picture)
    rows, texts = list(rows_of(figure)), plots.words(figure)
    every = explorer.layer_table(model, picture)["layer"].tolist()
    assert len(every) == 99 and "20 of 99 layers" in texts
    assert len(rows) == 20 and rows == [name for name in every if name in rows]
    assert {"conv0", "off8", "off16", "off23", "pooled", "last"} <= set(rows)
    # Where paths join, but not what follows at once in another row.
    assert len({f"add{block}" for block in range(1, 24)} & set(rows)) == 14
    assert not {"add8", "add16", "add23"} & set(rows)
    for place, name in re.findall(r"(\d+)  (\w+)", texts):
        assert every[int(place) - 1] == name


def test_what_does_not_fit_is_named(zoo):
    model, _ = zoo
    with pytest.raises(ValueError, match="one layer that the picture passes.*'nose'"):
        explorer.unit_step(model, GREY, "nose")
    with pytest.raises(ValueError, match="14 rows, 28 columns and 6 channels.*row=14"):
        explorer.unit_step(model, GREY, "wide", row=14)
    with pytest.raises(ValueError, match="1 rows, 1 columns and 9 channels.*column=1"):
        explorer.unit_step(model, GREY, "hidden", column=1)
    with pytest.raises(ValueError, match="channel=-1"):
        explorer.unit_step(model, GREY, "wide", channel=-1)
    for view in (explorer.overview, explorer.unit_step):
        given = () if view is explorer.overview else ("wide",)
        with pytest.raises(ValueError, match="3 names, one a class. Received: 1 names"):
            view(model, GREY, *given, class_names=["a"])
        with pytest.raises(ValueError, match=r"one picture.*\(1, 28, 28, 1\)"):
            view(model, GREY[None, ..., None], *given)
    with pytest.raises(ValueError, match="colours='stage', channels=8"):
        explorer.overview(model, GREY, colours="stage")
    with pytest.raises(ValueError, match="channels=9"):
        explorer.overview(model, GREY, channels=9)
    broken = keras.Sequential(
        [layers.Conv2D(2, 3, name="broken"), layers.Flatten(), layers.Dense(2)]
    )
    broken.build((None, 28, 28, 1))
    broken.layers[0].bias.assign([np.nan, 0])
    with pytest.raises(ValueError, match="finite.*'broken' puts out NaN"):
        explorer.overview(broken, GREY)
    with pytest.raises(ValueError, match="0 to 255"):
        explorer.layer_table(model, GREY / 255)
