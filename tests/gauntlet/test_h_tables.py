"""Section H of the gauntlet: tables that were taken for something else."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from cnnkit import data, evaluation
from cnnkit.data.manifests import write_csv

rng = np.random.default_rng(0)
NUMBER = 24
LABELS = ["ill", "well"] * 12
NAMES = [f"{i:03}" for i in range(NUMBER)]
PIXELS = rng.integers(0, 256, (NUMBER, 784))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """24 pictures, scans/000.png to scans/023.png."""
    place = tmp_path_factory.mktemp("tables")
    (place / "scans").mkdir()
    for name in NAMES:
        pixels = rng.integers(0, 256, (12, 12, 3), dtype="uint8")
        Image.fromarray(pixels).save(place / "scans" / f"{name}.png")
    return place


def write(place, columns, separator=",", encoding="utf-8", before=""):
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    text = "\n".join(separator.join(map(str, row)) for row in rows)
    (place / "t.csv").write_bytes(f"{before}{text}\n".encode(encoding))
    return place / "t.csv"


def paths(form="scans/{}.png"):
    return [form.format(name) for name in NAMES]


@pytest.mark.parametrize(
    "separator, encoding, classes, before",
    [
        (";", "cp932", ("犬", "猫"), ""),
        ("\t", "cp932", ("不良", "良品"), ""),
        ("\t", "utf-16", ("犬", "猫"), ""),
        (";", "utf-8-sig", ("犬", "猫"), "sep=;\n"),
        (";", "cp1252", ("Löwe", "Vögel"), ""),
        ("|", "utf-8", ("Löwe", "°"), ""),
    ],
)
def test_a_table_is_read_as_programs_write_it(
    place, separator, encoding, classes, before
):
    columns = {
        "path": paths(),
        "class": [classes[i % 2] for i in range(NUMBER)],
        "dose": [f"{i},5" for i in range(NUMBER)],
        "site": NAMES,
    }
    read = data.from_table(write(place, columns, separator, encoding, before))
    assert read.class_names == classes
    if separator == ";":
        assert read.manifest["dose"].tolist() == [i + 0.5 for i in range(NUMBER)]
    assert read.manifest["site"].tolist() == NAMES
    assert any(f"read as {encoding}" in note for note in read.notes) == (
        "utf-8" not in encoding
    )


def test_rows_that_are_longer_than_the_first_are_not_shifted(place):
    rows = [f"{path},{label}," for path, label in zip(paths(), LABELS, strict=True)]
    (place / "t.csv").write_text("\n".join(["path,label", *rows]))
    read = data.from_table(place / "t.csv")
    assert read.manifest["path"].tolist() == paths()
    (place / "t.csv").write_text("\n".join(["path,label", *[r + "ill" for r in rows]]))
    with pytest.raises(ValueError, match="more values than there are names"):
        data.from_table(place / "t.csv")


@pytest.mark.parametrize("encoding", ["gb18030", "cp949", "cp1251"])
def test_a_table_in_an_encoding_that_cannot_be_told_shows_its_readings(place, encoding):
    word = {"gb18030": "狗", "cp949": "고양이", "cp1251": "собака"}[encoding]
    table = write(place, {"path": paths(), "class": [word, "b"] * 12}, ";", encoding)
    with pytest.raises(ValueError, match="dtype=str, keep_default_na=False") as caught:
        data.from_table(table)
    assert f"encoding={encoding!r} reads 'scans/000.png;{word}'" in str(caught.value)


def test_a_file_of_excel_is_said_to_be_one(place):
    (place / "t.csv").write_bytes(b"PK\3\4" + bytes(99))
    with pytest.raises(ValueError, match="pd.read_excel.*t.csv"):
        data.from_table(place / "t.csv")


@pytest.mark.parametrize(
    "form",
    ["{}", "scans/{}", "{}.png", "SCANS/{}.PNG", r"C:\a b\scans\{}.png", "/content/{}"],
)
def test_a_name_stands_for_the_one_file_that_ends_so(place, form, monkeypatch):
    read = data.from_table(write(place, {"path": paths(form), "label": LABELS}))
    assert read.manifest["path"].tolist() == paths()
    assert any("24 names of files were completed" in note for note in read.notes)
    numbers = pd.DataFrame({"path": range(NUMBER), "label": LABELS})  # the zeros lost
    assert data.from_table(numbers, folder=place).manifest["path"].tolist() == paths()


def test_files_that_are_missing_or_fit_twice_are_named_with_the_folder(tmp_path, place):
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((place / "scans/001.png").read_bytes())
    gone = [f"gone{i}" for i in range(20)]
    table = pd.DataFrame({"path": ["1", *gone, "a/1.png"], "label": ["x", "y"] * 11})
    expected = "21 of 22 .*'1' ('a/1.png', 'b/1.png' fit), 'gone0', 'gone1' and more"
    expected = expected.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=f"{expected}.*{re.escape(str(tmp_path))}"):
        data.from_table(table, folder=tmp_path)


@pytest.mark.parametrize(
    "columns, taken",
    [
        ({"image_id": NAMES, "Target": LABELS}, ["'image_id'", "'Target'"]),
        ({"File Name": paths(), "species": LABELS}, ["'File Name'", "'species'"]),
        ({"画像": paths(), "分類": LABELS}, ["'画像'", "'分類'"]),
        ({"id": range(90, 114), "filename": paths(), "label": LABELS}, ["'filename'"]),
    ],
)
def test_columns_are_taken_where_one_fits_and_this_is_said(place, columns, taken):
    read = data.from_table(write(place, columns))
    assert read.class_names == ("ill", "well")
    assert read.manifest["path"].tolist() == paths()
    assert all(f"column {name} was taken" in " ".join(read.notes) for name in taken)


@pytest.mark.parametrize(
    "labels, expected",
    [
        (["1E2", "2E3", "100"], ("100", "1E2", "2E3")),
        (["007", "7", "inf"], ("007", "7", "inf")),
        (["NA", "None", "nan"], ("NA", "None", "nan")),
        (["9.0", "10.0", "8.0"], ("8.0", "9.0", "10.0")),
        (["3", "1", "20"], ("1", "3", "20")),
        (["True", "False", "1"], ("1", "False", "True")),
    ],
)
def test_labels_stay_the_text_that_they_are(place, labels, expected):
    read = data.from_table(write(place, {"path": paths(), "label": labels * 8}))
    assert read.class_names == expected
    again = data.from_table(data.save_manifest(read, place / "manifest.csv"))
    assert again.class_names == expected
    assert again.manifest["label"].tolist() == read.manifest["label"].tolist()


def test_numbers_of_pandas_are_written_as_people_write_them(place):
    table = pd.DataFrame({"path": paths(), "label": np.arange(24.0) % 12 + 1})
    read = data.from_table(table, folder=place)
    assert read.class_names == tuple(str(i) for i in range(1, 13))


def test_patients_whose_numbers_begin_with_zeros_are_not_fused(place):
    columns = {"path": paths(), "label": LABELS, "patient": ["001", "1", "2"] * 8}
    read = data.from_table(write(place, columns), groups="patient")
    assert set(read.manifest["group"]) == {"001", "1", "2"}


ROWS = {"path": paths(), "label": LABELS}


@pytest.mark.parametrize(
    "columns, sentence",
    [
        (ROWS | {"label": ["cat", "Cat"] * 12}, "differ only by case.*'Cat', 'cat'"),
        (ROWS | {"label": ["café", "cafe\u0301"] * 12}, "Unicode form"),
        (ROWS | {"label": [i / 7 for i in range(24)]}, "regression.*pd.cut"),
        (ROWS | {"label": range(24)}, "regression.*24 different numbers"),
        (ROWS | {"label": ["a", "b", "a b"] * 8}, "several for 'scans/002.png'"),
        (ROWS | {"label": ["\"['a', 'b']\""] * 24}, "one label.*no list.*'scans/000"),
        (
            {"image": paths(), "cat": [0, 1] * 12, "dog": [1, 0] * 12},
            r"table\['label'\] = table\[\['cat', 'dog'\]\].idxmax",
        ),
        ({"image": paths(), "cat": [1] * 24, "dog": [1, 0] * 12}, "several labels"),
        (
            {f"feature{i}": [1.5] * 24 for i in range(784)},
            "no column.*among 'feature0'.*and 774 more$",
        ),
    ],
)
def test_labels_that_are_none_get_one_sentence(place, columns, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        data.from_table(write(place, columns))
    assert len(str(caught.value)) < 700


DIGITS = [i % 10 for i in range(NUMBER)]


def pixel_columns(form, number=784):
    return {form.format(i): PIXELS[:, i] for i in range(number)}


@pytest.mark.parametrize(
    "columns, shape",
    [
        ({"label": DIGITS} | pixel_columns("pixel{}"), (28, 28, 1)),
        ({"label": DIGITS} | pixel_columns("1x{}"), (28, 28, 1)),
        (pixel_columns("pixel{:04}", 192) | {"label": DIGITS}, (8, 8, 3)),
        (
            {
                "emotion": DIGITS,
                "pixels": [" ".join(map(str, row[:144])) for row in PIXELS],
                "Usage": ["Training"] * NUMBER,
            },
            (12, 12, 1),
        ),
    ],
)
def test_a_table_of_pixels_is_read(place, columns, shape, capsys):
    read = data.from_table(write(place, columns), together="same")
    assert read.image_shape == shape and read.class_names == tuple(map(str, range(10)))
    np.testing.assert_array_equal(
        read.pixels.reshape(NUMBER, -1), PIXELS[:, : np.prod(shape)]
    )
    said = capsys.readouterr().out
    assert f"read as {shape[0]} x {shape[0]}" in said
    assert ("left out: 'Usage'" in said) == ("Usage" in columns)


def test_a_table_of_pixels_without_names_has_its_label_first(place):
    rows = [",".join(map(str, (i % 10, *PIXELS[i]))) for i in range(NUMBER)]
    (place / "t.csv").write_text("\n".join(rows))
    read = data.from_table(place / "t.csv", together="same")
    assert read.manifest["label"].tolist() == DIGITS
    np.testing.assert_array_equal(read.pixels.reshape(NUMBER, -1), PIXELS)


@pytest.mark.parametrize(
    "columns, options, sentence",
    [
        ({"label": DIGITS} | pixel_columns("pixel{}", 783), {}, "783 columns"),
        (pixel_columns("pixel{}"), {}, "one column of labels"),
        (
            {"label": DIGITS} | pixel_columns("pixel{}"),
            {"image_size": 32},
            "28 x 28: leave out image_size=",
        ),
    ],
)
def test_a_table_of_pixels_that_does_not_fit_is_refused(
    place, columns, options, sentence
):
    with pytest.raises(ValueError, match=sentence):
        data.from_table(write(place, columns), **options)


# Names that readers of CSV files take for something else.
ODD = st.sampled_from(
    "00000 0 1 1.0 01 None inf -inf NA nan NaN N/A null #N/A True TRUE 1E2 1e2 100 "
    "1e400 =1 '=1 ''=1 -1 '-1 0x10 1_000 9007199254740993 "
    '9007199254740992 a,b " [a] 犬'.split()
    + [" 1", "1 ", "a\nb", "\r", "x\r\ny", "a b"]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
CLASSES = st.lists(ODD | TEXT, min_size=2, max_size=6, unique=True)


@settings(max_examples=60, deadline=None)
@given(CLASSES, st.booleans())
def test_any_class_comes_back_from_predictions(tmp_path_factory, names, some):
    """As text always; as pandas reads numbers, right or with the line that helps."""
    labels = np.arange(2 if some else len(names))
    answers = np.eye(len(names))[labels]
    label = pd.Categorical.from_codes(labels, names)
    facts = pd.DataFrame({"file": [f"{i}.png" for i in labels], "label": label})
    answers = pd.DataFrame(answers, columns=[f"p({name})" for name in names])
    table = pd.concat([facts, answers], axis=1)
    np.testing.assert_array_equal(evaluation.arrays(table)[0], labels)
    path = write_csv(table, tmp_path_factory.getbasetemp() / "predictions.csv")
    text = pd.read_csv(path, dtype={"label": str}, keep_default_na=False)
    np.testing.assert_array_equal(evaluation.arrays(text)[0], labels)
    try:
        found = evaluation.arrays(pd.read_csv(path))[0]
    except ValueError as error:
        assert "which may be any of" in str(error)
        assert "keep_default_na=False" in str(error)
    else:
        np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("names", [("00000", "1"), ("NA", "b"), ("None", "nothing"),
                                   ("inf", "0"), ("True", "False")])  # fmt: skip
def test_what_pandas_makes_of_a_label_is_found_again(tmp_path, names):
    columns = {"file": ["a", "b"], "label": names, **{f"p({n})": 0.5 for n in names}}
    write_csv(pd.DataFrame(columns), tmp_path / "predictions.csv")
    again = pd.read_csv(tmp_path / "predictions.csv")
    assert evaluation.arrays(again)[0].tolist() == [0, 1]


@settings(max_examples=25, deadline=None)
@given(CLASSES)
def test_any_class_comes_back_from_a_manifest(place, names):
    # `from_arrays` takes off blanks at the ends: "1" and " 1" are one class, " " none.
    assume(len({name.strip() for name in names} - {""}) == len(names))
    labels = np.arange(NUMBER) % len(names)
    pixels = np.stack(
        [np.asarray(Image.open(place / p).resize((8, 8))) for p in paths()]
    )
    photos = data.from_arrays(pixels, labels, class_names=names)
    assert photos.class_names == tuple(name.strip() for name in names)
    photos = replace(photos, manifest=photos.manifest.assign(path=paths()))
    again = data.from_table(data.save_manifest(photos, place / "m.csv"))
    assert again.class_names == photos.class_names
    for column in ("path", "label", "split"):
        assert again.manifest[column].tolist() == photos.manifest[column].tolist()
