"""Tables of pictures: read, refused, saved and loaded again."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnkit import data


@pytest.fixture
def scans(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(40):
        path = tmp_path / "files" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (30, 30, 3), dtype="uint8")).save(path)
        rows.append((f"files/{i}.png", ("ill", "well")[i % 2], i // 5, i / 10, "=1+1"))
    names = ["path", "label", "patient", "dose", "remark"]
    return tmp_path, pd.DataFrame(rows, columns=names)


def test_a_table_is_read_and_its_columns_stay(scans):
    folder, table = scans
    table.to_csv(folder / "scans.csv", index=False)
    scans = data.from_table(folder / "scans.csv", groups="patient")
    assert scans.class_names == ("ill", "well") and scans.source == "scans"
    for column in ("patient", "dose", "remark"):
        assert scans.manifest[column].tolist() == table[column].tolist()
    assert (scans.manifest.groupby("patient")["split"].nunique() == 1).all()
    assert (scans.counts() > 0).all(axis=None)
    expected = np.asarray(Image.open(folder / "files/7.png"))
    np.testing.assert_array_equal(scans.pixels[7], expected)


def test_a_saved_manifest_gives_the_same_data_again(scans, tmp_path):
    folder, table = scans
    first = data.from_table(table, folder=folder, groups="patient", seed=3)
    path = data.save_manifest(first, folder / "manifest.csv")
    again = data.from_table(path)
    assert again.class_names == first.class_names
    pd.testing.assert_frame_equal(
        again.manifest[first.manifest.columns], first.manifest, check_dtype=False
    )
    np.testing.assert_array_equal(again.pixels, first.pixels)
    # No cell is run by a spreadsheet as a formula.
    assert ",=" not in path.read_text() and ",'=1+1" in path.read_text()


def test_pictures_of_an_earlier_manifest_stay_where_they_were(scans):
    folder, table = scans
    first = data.from_table(table[:20], folder=folder)
    path = data.save_manifest(first, folder / "manifest.csv")
    later = data.from_table(table, folder=folder, previous=path, seed=9)
    assert later.manifest["split"].tolist()[:20] == first.manifest["split"].tolist()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train"] * 20 + ["val"] * 10 + ["Test"] * 10, {"train", "valid", "test"}),
        ([""] * 30 + ["test"] * 10, {"train", "valid", "test"}),
        (["train"] * 30 + ["val"] * 10, {"train", "valid", "test"}),
    ],
)
def test_a_given_split_is_kept(scans, words, expected):
    folder, table = scans
    table["split"] = words
    read = data.from_table(table, folder=folder)
    assert set(read.manifest["split"]) == expected
    last = read.manifest["split"].tolist()[30:]
    assert last == ["test"] * 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(label=[["ill", "well"]] * 40), "several for 'files/0"),
        (lambda t: t.assign(label=["ill|well", *t["label"][1:]]), "several for"),
        (lambda t: pd.concat([t, t[:1].assign(label="well")]), "several for 'files/0"),
        (lambda t: pd.concat([t, t[:1]]), "one row.*'files/0.png' more than once"),
        (lambda t: t.assign(label=[None, *t["label"][1:]]), "no label for 'files"),
        (lambda t: t.assign(label="ill"), "at least two classes.*'ill'"),
        (lambda t: t.drop(columns="label"), "no column .'label'"),
        (lambda t: t.assign(split="later"), "train, val or test.*'later'"),
        (lambda t: t.assign(split="test"), "pictures to learn from"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(scans, change, message):
    folder, table = scans
    with pytest.raises(ValueError, match=message):
        data.from_table(change(table), folder=folder)


def test_missing_files_are_named_and_classes_keep_odd_names(scans):
    folder, table = scans
    table["label"] = ["NA", "None"] * 20
    table.loc[3, "path"] = "files\\3.png"  # as Windows writes it
    table.loc[4, "path"] = "files/gone.png"
    table.to_csv(folder / "t.csv", index=False, sep=";", encoding="utf-8-sig")
    with pytest.raises(ValueError, match="1 of 40 files.*'files/gone.png', in"):
        data.from_table(folder / "t.csv")
    read = data.from_table(folder / "t.csv", unreadable="skip")
    assert read.class_names == ("NA", "None") and len(read.manifest) == 39
    (folder / "bad.csv").write_bytes("path,label\n\xe9,1".encode("latin-1"))
    with pytest.raises(ValueError, match="UTF-8.*bad.csv"):
        data.from_table(folder / "bad.csv")
    with pytest.raises(FileNotFoundError, match="no such table"):
        data.from_table(folder / "nothing.csv")
