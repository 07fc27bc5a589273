"""Rows B11, B12, B16 and B17 of the gauntlet: names in a report stay text.

A page with hostile names must have the same elements and attributes, one for one, as
the page with harmless names.
"""

import csv
import dataclasses
from html.parser import HTMLParser

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from cnnkit import data, evaluation, report
from cnnkit.data import display
from cnnkit.data.manifests import write_csv

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    '" onfocus="alert(1)" autofocus="',
    "</td></table></section><h1>new",
    "</style><script>alert(1)</script>",
    "<!-- --><iframe src=//example.org>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "&lt;b&gt; &#x3c;script&#x3e; javascript:alert(1)",
    "\x00\x1b[31m\r\n\u202egnp.exe\u2028",
    "犬" * 100 + "$_{" + "x" * 100,
]
HARMLESS = [f"name {i}" for i in range(len(PAYLOADS))]


class Structure(HTMLParser):
    """Tags and the names of their attributes, in order; and all text."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.nodes, self.text, self.values = [], "", []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.nodes.append((tag, tuple(name for name, _ in attrs)))
        self.values += [value for _, value in attrs]

    def handle_endtag(self, tag):
        self.nodes.append(("/" + tag, ()))

    def handle_comment(self, data):
        self.nodes.append(("comment", ()))

    def handle_data(self, data):
        self.text += data


def page(names, tmp_path):
    """The source of a report in which these names stand wherever a name can stand."""
    count = 10 * len(names)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 28, 28, 3)).astype("uint8")
    labels = np.arange(count) % len(names)
    photos = data.from_arrays(images, labels, class_names=[f"c{i}" for i in range(12)])
    files = [f"{names[i % len(names)]}/{i}.png" for i in range(count)]
    lights = [names[i % 3] for i in range(count)]
    manifest = photos.manifest.assign(path=files, **{names[3]: lights})
    photos = dataclasses.replace(
        photos,
        class_names=tuple(names),
        manifest=manifest,
        source=names[1],
        notes=tuple(names),
    )
    keras.utils.set_random_seed(0)
    inputs = keras.Input(photos.image_shape)
    x = layers.Dense(len(names), activation="softmax")(layers.Flatten()(inputs))
    model = keras.Model(inputs, x, name="guesser")
    past = keras.callbacks.History()
    past.history = {"loss": [1.0, 0.5], "accuracy": [0.1, 0.2]}
    past.params = {"phases": [(names[0], 1), (names[2], 1)], "stopped": names[10]}
    trials = pd.DataFrame({
        names[4]: [names[5], 0.1], "score": [0.5, 0.4], "epochs": 2, "seconds": 1.0,
        "at": [1.0, 2.0], "status": "COMPLETED", "reason": names[6],
    })  # fmt: skip
    return report.write(
        model, photos, past, tmp_path / "r.html",
        trials=trials, intended_use=names[7], limits=names[8],
    ).read_bytes()  # fmt: skip


def test_b11_and_b17_hostile_names_add_no_element_and_no_attribute(tmp_path):
    hostile = page(PAYLOADS, tmp_path).decode("utf-8")
    harmless = page(HARMLESS, tmp_path).decode("utf-8")
    hostile, harmless = Structure(hostile), Structure(harmless)
    assert hostile.nodes == harmless.nodes
    for payload in PAYLOADS[:10]:  # all there, as text
        assert payload[:15] in hostile.text
    assert "49" not in hostile.text.split("{{ 7 * 7 }}")[0][-5:]
    everything = hostile.text + "".join(value or "" for value in hostile.values)
    for invisible in "\x00\x1b\r\u202e\u2028":
        assert invisible not in everything
    assert r"\x1b[31m\r\n\u202egnp" in hostile.text
    # B12: no script is there, and the browser is told to run and to fetch none.
    assert "script" not in {tag for tag, _ in hostile.nodes}
    [policy] = [x for x in hostile.values if x and "default-src" in x]
    assert policy.startswith("default-src 'none'; ") and "script-src" not in policy


def test_b11_names_of_two_models_and_their_classes_stay_text(tmp_path):
    def shown(names):
        rng = np.random.default_rng(0)
        tables = []
        for _ in "ab":
            answers = rng.dirichlet(np.ones(len(names)), 60)
            answers = pd.DataFrame(answers, columns=[f"p({name})" for name in names])
            labels = [names[i % len(names)] for i in range(60)]
            files = [f"{names[i % len(names)]}{i}" for i in range(60)]
            facts = pd.DataFrame({"file": files, "label": labels})
            tables.append(pd.concat([facts, answers], axis=1))
        path = tmp_path / "two.html"
        report.compare(*tables, path, names=(names[0], names[2]))
        return Structure(path.read_text("utf-8"))

    hostile, harmless = shown(PAYLOADS), shown(HARMLESS)
    assert hostile.nodes == harmless.nodes
    for payload in PAYLOADS[:10]:
        assert payload[:15] in hostile.text


def test_b16_predictions_hold_no_formula_and_can_be_read_again(tmp_path):
    names = ["=HYPERLINK(1)", "+1", "@x", "harmless"]
    answers = pd.DataFrame(np.eye(4), columns=[f"p({name})" for name in names])
    facts = pd.DataFrame({"file": ["-1.png", "=a.png", "b.png", "c"], "label": names})
    table = pd.concat([facts, answers], axis=1)
    path = write_csv(table, tmp_path / "predictions.csv")
    with open(path, newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell[:1] in "=+-@" and not _number(cell)]
    labels, probabilities = evaluation.arrays(pd.read_csv(path))
    np.testing.assert_array_equal(labels, np.arange(4))
    np.testing.assert_array_equal(probabilities, np.eye(4))


def _number(cell):
    try:
        return np.isfinite(float(cell)) and "." in cell
    except ValueError:
        return False


def test_b11_hostile_names_stay_text_in_a_notebook():
    def shown(names):
        images = np.arange(12 * 64, dtype="uint8").reshape(12, 8, 8, 1)
        labels = np.arange(12)
        photos = data.from_arrays(
            np.repeat(images, 3, axis=0), np.repeat(labels, 3),
            class_names=[f"c{i}" for i in range(12)],
        )  # fmt: skip
        photos = dataclasses.replace(
            photos, class_names=tuple(names), source=names[1], notes=tuple(names)
        )
        return Structure(photos._repr_html_())

    hostile, harmless = shown(PAYLOADS[:12]), shown(HARMLESS[:12])
    assert hostile.nodes == harmless.nodes
    assert all(payload[:15] in hostile.text for payload in PAYLOADS[:10])
    assert "\x1b" not in hostile.text and "\u202e" not in hostile.text


def test_b17_file_names_that_are_not_utf_8_are_written_out(tmp_path):
    names = [*PAYLOADS[:-1], b"caf\xe9 \xff".decode("utf-8", "surrogateescape")]
    assert r"caf\udce9 \udcff" in Structure(page(names, tmp_path).decode("utf-8")).text


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("two\nlines", None, r"two\nlines"),
        (
            "family \U0001f468\u200d\U0001f469",
            None,
            "family \U0001f468\u200d\U0001f469",
        ),
        ("日本語　です", None, "日本語　です"),
        ("\u202eevil", None, r"\u202eevil"),
        ("abcdefghij", 10, "abcdefghij"),
        ("abcdefghijk", 10, "abcde…hijk"),
    ],
)
def test_readable_text_keeps_letters_and_shows_the_rest(text, width, expected):
    assert display.readable(text, width) == expected
    assert width is None or len(display.readable(text, width)) <= width
