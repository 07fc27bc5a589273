"""Section H of the gauntlet, folders: none is taken for something else in silence."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnkit import data
from cnnkit.__main__ import main

CLASSES = ("cat", "dog")


def draw(path, seed, size=(24, 24)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), "uint8")
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "PNG")


def make(folder, *places, number=4):
    """Four pictures in each folder that is named; a file where a name has a suffix."""
    for i, place in enumerate(places):
        path = folder / place
        if path.suffix in (".png", ".jpg", ".JPEG"):
            draw(path, [i])
        elif path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("no picture")
        else:
            for j in range(number):
                draw(path / f"{j}.png", [i, j])
    return folder


def each(*outer, inner=CLASSES):
    return [f"{place}/{name}" for place in outer for name in inner]


def refused(folder, *words, **options):
    with pytest.raises(ValueError) as caught:
        data.from_folder(folder, **options)
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 1500


SPLITS = [
    ("train_set", "val_set", "test_set"),
    ("training_set", "test_set"),
    ("seg_train/seg_train", "seg_test/seg_test"),
    ("TRAIN", "DEV", "TEST"),
    ("学習", "検証", "テスト"),
    ("訓練用データ", "評価用データ"),
    ("01-TrainImages", "02-ValidationImages", "03-TestImages"),
    ("flowers_train", "flowers_val"),
    ("ＴＲＡＩＮ", "ＴＥＳＴ"),
    ("train/flowers", "test/flowers"),
    ("dataset/photos/train2017", "dataset/photos/val2017"),
]


@pytest.mark.parametrize("parts", SPLITS, ids=" ".join)
def test_what_is_plainly_a_split_is_read_as_one(parts, tmp_path):
    photos = data.from_folder(make(tmp_path, *each(*parts)))
    assert photos.class_names == CLASSES
    split = photos.manifest.groupby(photos.manifest["path"].str.rsplit("/", n=2).str[0])
    last = split["split"].unique()[parts[-1]].tolist()
    assert last == ["test"] and "test" not in split["split"].unique()[parts[0]]


def test_a_table_takes_the_same_words(tmp_path):
    make(tmp_path, *CLASSES)
    paths = [f"{name}/{i}.png" for name in CLASSES for i in range(4)]
    table = pd.DataFrame({"path": paths, "label": [p[:3] for p in paths]})
    table["split"] = ["Training", "学習", "Val_set", "テスト"] * 2
    photos = data.from_table(table, folder=tmp_path)
    assert photos.manifest["split"].tolist() == ["train", "train", "valid", "test"] * 2


def test_what_lies_beside_a_split_is_left_out_and_said(tmp_path):
    make(tmp_path, *each("seg_train", "seg_test"), "seg_pred/seg_pred")
    photos = data.from_folder(tmp_path)
    assert len(photos.manifest) == 16 and photos.class_names == CLASSES
    assert "left out beside the parts, without classes: 'seg_pred'" in photos.notes


def test_a_split_inside_each_class_is_kept(tmp_path):
    make(tmp_path, *each(*CLASSES, inner=("train", "test")), "dog/train/p7/1.png")
    photos = data.from_folder(tmp_path)
    assert photos.class_names == CLASSES
    tested = photos.manifest[photos.manifest["split"] == "test"]["path"]
    assert len(tested) == 8 and tested.str.contains("/test/").all()


UNCLEAR = {  # the folders: words of the refusal; the classes with labels="first"
    "same in each": (each("day1", "day2"), ("labels='last'", "labels='first'"), 2),
    "folds": (each("f/1", "f/2", "f/3"), ("'1', '2', '3' holds the same",), 3),
    "deeper": (each("a/raw", "b/raw"), ("holds the same folders, 'cat', 'dog'",), 2),
    "parts without classes": (["train", "test"], ("a folder for each class",), 2),
    "domains": (["trainA", "trainB", "testA"], ("labels='first'",), 3),
    "a part and more": ([*each("train", "test", "extra")], ("labels='first'",), 3),
    "a part beside classes": (["cat", "dog", *each("val")], ("there is 'cat'",), 3),
    "a word beside parts": (
        each("cat", "dog", inner=("train", "test_old")),
        ("holds the same folders",),
        2,
    ),
    "no training": (each("val", "test"), ("call them train, val and test",), 2),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_folders_that_can_be_read_in_two_ways_are_refused_with_both(case, tmp_path):
    places, words, number = UNCLEAR[case]
    make(tmp_path, *places)
    refused(tmp_path, *words)
    findings = data.check(tmp_path, verbose=False)
    detail = findings.loc[findings["code"] == "unclear_classes", "detail"].iloc[0]
    assert all(word in detail for word in words)
    assert data.from_folder(tmp_path, labels="first").num_classes == number
    again = data.check(tmp_path, labels="first", verbose=False)
    assert not (again["severity"] == "error").any()


def test_the_terminal_takes_the_same_answers(tmp_path, capsys):
    make(tmp_path, *each("day1", "day2"))
    assert main(["check", str(tmp_path)]) == 1
    assert "labels='last'" in capsys.readouterr().out
    assert main(["check", str(tmp_path), "--labels", "last"]) == 0


def test_the_inner_folders_can_be_the_classes_and_the_outer_ones_groups(tmp_path):
    make(tmp_path, *each("day1", "day2", "day3"))
    photos = data.from_folder(tmp_path, labels="last", groups="folder")
    assert photos.class_names == CLASSES
    days = photos.manifest["path"].str[:4]
    assert (photos.manifest["group"] == days).all()
    assert photos.manifest.groupby(days)["split"].nunique().eq(1).all()


def test_patients_inside_the_classes_are_offered_as_groups(tmp_path):
    places = [f"{name}/p{i}" for i, name in enumerate(CLASSES * 4)]
    make(tmp_path, *places, "cat/p1/also.png")
    said = " ".join(data.from_folder(tmp_path).notes)
    assert "33 pictures lie deeper, in 8 folders such as 'p0', 'p1'" in said
    assert "groups='folder'" in said and "labels='last'" in said
    nested = data.check(tmp_path, verbose=False).query("code == 'nested'")
    assert nested["path"].tolist() == list(CLASSES)
    assert "inner folders: 5, 'p0'" in nested["detail"].iloc[0]
    photos = data.from_folder(tmp_path, groups="folder")
    assert "8 groups; each stays on one side of the split" in photos.notes
    assert photos.manifest.groupby("group")["split"].nunique().eq(1).all()
    flat = make(tmp_path / "flat", *CLASSES)
    refused(flat, "'folder', which takes", "0 pictures", groups="folder")


def test_one_folder_in_another_is_gone_down_and_said(tmp_path):
    make(tmp_path, "data/data/cat", "data/data/dog", "data/readme.txt")
    (tmp_path / "data/data/dog/bad.jpg").write_bytes(b"")
    findings = data.check(tmp_path / "data", quarantine=tmp_path / "q", move=True)
    assert findings["path"].tolist() == ["data/dog/bad.jpg", "readme.txt"]
    assert (tmp_path / "q/data/dog/bad.jpg").exists()
    photos = data.from_folder(tmp_path / "data")
    assert photos.class_names == CLASSES
    assert "read from the folders in 'data'" in photos.notes


def test_classes_in_the_names_of_files_are_offered(tmp_path):
    names = [f"{name}.{i}.jpg" for i in range(5) for name in ("Cat", "big_dog")]
    flat = make(tmp_path / "flat", *names)
    refused(flat, "labels='name', which finds 'Cat' 5, 'big_dog' 5")
    assert data.from_folder(flat, labels="name").class_names == ("Cat", "big_dog")
    kaggle = [f"train/{name}" for name in names] + [f"test/{i}.jpg" for i in range(3)]
    make(tmp_path / "kaggle", *kaggle)
    refused(tmp_path / "kaggle", "labels='name', which finds 'Cat' 5, 'big_dog' 5")
    photos = data.from_folder(tmp_path / "kaggle", labels="name")
    assert len(photos.manifest) == 10 and photos.num_classes == 2
    numbers = make(tmp_path / "numbers", *(f"{i:05}.png" for i in range(9)))
    with pytest.raises(ValueError) as caught:
        data.from_folder(numbers)
    assert "labels=" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cat.0.jpg", "cat"), ("dog_12.png", "dog"), ("12_dog.jpg", "dog"),
        ("benign (1).png", "benign"), ("great_pyrenees_12.jpg", "great_pyrenees"),
        ("n01440764_18.JPEG", "n01440764"), ("3_0001.png", "3"), ("cat7.jpg", "cat"),
        ("owl_2019_001.jpg", "owl"),
    ],
)  # fmt: skip
def test_names_of_files_are_understood_as_people_write_them(name, label, tmp_path):
    make(tmp_path, name, "other.png")
    photos = data.from_folder(tmp_path, labels="name")
    assert set(photos.class_names) == {label, "other"}


def test_a_function_names_the_class_or_leaves_a_picture_out(tmp_path):
    make(tmp_path, "a/x_cat.png", "a/y_dog.png", "b/z_cat.png", "b/none.png")

    def label(path):
        return path[4:7] if "_" in path else None

    photos = data.from_folder(tmp_path, labels=label)
    assert photos.class_names == CLASSES and len(photos.manifest) == 3
    assert "'b/none.png'" in " ".join(photos.notes)
    refused(tmp_path, "`labels` is None", labels="outer")


OTHER_TASKS = {
    "yolo": ["images/train", "images/val", "labels/train/1.txt", "labels/val/1.txt"],
    "roboflow": ["train/images", "train/labels/1.txt", "valid/images", "valid/labels"],
    "masks": ["images", "masks"],
    "voc": ["JPEGImages", "Annotations/1.xml", "SegmentationClass"],
    "beside": [f"{i}{end}.png" for i in range(4) for end in ("", "_mask")],
    "text beside": [f"{i}.{end}" for i in range(4) for end in ("png", "txt")],
}


@pytest.mark.parametrize("case", OTHER_TASKS)
def test_data_of_detection_and_segmentation_is_recognised(case, tmp_path):
    refused(make(tmp_path, *OTHER_TASKS[case]), "detection or segmentation")


@pytest.mark.parametrize(
    "places",
    [
        ["cat", "dog", "cat/1_mask.png", "cat/2_mask.png"],
        ["cat/images", "dog/images", "cat/masks", "dog/masks"],
        ["images/cat", "images/dog", "annotations/cat/1.xml", "annotations/dog/2.xml"],
        ["images/cat", "images/dog", "masks/cat", "masks/dog"],
    ],
)
def test_masks_beside_the_pictures_of_classes_are_no_pictures(places, tmp_path):
    photos = data.from_folder(make(tmp_path, *places))
    assert photos.class_names == CLASSES and len(photos.manifest) == 8
    assert "masks or boxes" in " ".join(photos.notes)


def test_boxes_of_other_pictures_are_a_class(tmp_path):
    make(tmp_path, "pictures", *(f"boxes/box {i}.png" for i in range(4)))
    assert data.from_folder(tmp_path).class_names == ("boxes", "pictures")


def test_a_folder_inside_a_class_of_its_name_is_no_group(tmp_path):
    make(tmp_path, "cat/cat", "dog/p1", "dog/p2")
    manifest = data.from_folder(tmp_path, groups="folder").manifest
    cats = manifest["path"].str.startswith("cat")
    assert manifest.loc[cats, "group"].isna().all()
    assert set(manifest.loc[~cats, "group"]) == {"p1", "p2"}


def test_classes_that_are_called_mask_or_train_stay_classes(tmp_path):
    make(tmp_path, "mask", "no_mask", "train", "bus")
    photos = data.from_folder(tmp_path)
    assert photos.class_names == ("bus", "mask", "no_mask", "train")
    assert "'train' counts as a class" in " ".join(photos.notes)


def test_pictures_in_formats_that_are_not_read_are_named_as_such(tmp_path):
    make(tmp_path, *CLASSES, *(f"dog/{i}.HEIC" for i in range(9)))
    assert "9 left out (.heic 9), pictures in a format that is not read: save them" in (
        " ".join(data.from_folder(tmp_path).notes)
    )
    findings = data.check(tmp_path, verbose=False)
    assert set(findings["code"]) == {"unread_picture"}
    assert set(findings["severity"]) == {"warning"}
    make(tmp_path, "owl/1.cr2", "owl/2.cr2")
    refused(tmp_path, "for 'owl'; 2 left out (.cr2 2), pictures in a format")


def test_what_systems_and_programs_leave_is_no_class(tmp_path):
    junk = (
        "#recycle $RECYCLE.BIN .Trashes .git .ipynb_checkpoints @eaDir __pycache__"
    ).split()
    make(tmp_path, *CLASSES, *junk)
    make(tmp_path, "runs/set/model.keras", "runs/set-2/training/run.lock")
    make(tmp_path, "venv/pyvenv.cfg", "venv/lib/icons")
    for name in ("ehthumbs.db", "Icon\r"):
        (tmp_path / "cat" / name).write_bytes(b"\0")
    make(tmp_path, "System Volume Information", "lost+found")
    photos = data.from_folder(tmp_path)
    assert photos.class_names == CLASSES and len(photos.manifest) == 8
    said = " ".join(photos.notes)
    for name in (*junk, "runs/set", "runs/set-2/training", "venv"):
        assert f"'{name}'" in said


def test_a_folder_of_links_is_read_where_its_store_is_named(tmp_path):
    for i in range(8):
        draw(tmp_path / "store" / "aa" / f"{i}", [i])
        link = tmp_path / "set" / CLASSES[i // 4] / f"{i}.png"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(tmp_path / "store" / "aa" / f"{i}")
    draw(tmp_path / "private.png", [9])
    (tmp_path / "set" / "cat" / "out.png").symlink_to(tmp_path / "private.png")
    refused(tmp_path / "set", "5 left out (.png 5), links", f"links='{tmp_path}'")
    options = {"links": tmp_path / "store"}
    photos = data.from_folder(tmp_path / "set", **options)
    assert len(photos.manifest) == 8 and "'cat/out.png'" in " ".join(photos.notes)
    found = data.check(tmp_path / "set", verbose=False, **options)
    assert found.loc[found["code"] == "link", "path"].tolist() == ["cat/out.png"]


def test_links_to_class_folders_are_followed_once_and_never_in_a_circle(tmp_path):
    make(tmp_path / "store", *CLASSES)
    (tmp_path / "set").mkdir()
    for name in CLASSES:
        (tmp_path / "set" / name).symlink_to(tmp_path / "store" / name)
        (tmp_path / "store" / name / "up").symlink_to(tmp_path / "store")
        (tmp_path / "store" / name / "self").symlink_to(tmp_path / "set")
    refused(tmp_path / "set", f"links='{tmp_path / 'store'}'")
    photos = data.from_folder(tmp_path / "set", links=tmp_path / "store")
    assert len(photos.manifest) == 8
    (tmp_path / "set" / "owl").mkdir()
    (tmp_path / "set" / "owl" / "1.png").symlink_to("nowhere")
    refused(tmp_path / "set", "links that lead nowhere", links=tmp_path / "store")


def test_numbers_as_classes_come_in_the_order_of_numbers(tmp_path):
    make(tmp_path, "10", "9", "100", "02")
    assert data.from_folder(tmp_path).class_names == ("02", "9", "10", "100")


def test_a_class_that_no_test_picture_shows_is_named_last(tmp_path):
    make(tmp_path, "cat", "dog/1.png")
    last = data.from_folder(tmp_path).notes[-1]
    assert last.startswith("no test picture and no validation picture of 'dog'")


def test_shapes_that_are_all_extreme_are_warned_about(tmp_path):
    for name in CLASSES:
        for i in range(3):
            draw(tmp_path / name / f"{i}.png", [len(name), ord(name[0]), i], (600, 20))
    findings = data.check(tmp_path, verbose=False)
    assert findings["code"].tolist() == ["odd_shape"]
    assert 'fit="pad"' in findings["remedy"].iloc[0]
    assert "fit='pad' keeps" in " ".join(
        data.from_folder(tmp_path, image_size=16).notes
    )
    padded = data.from_folder(tmp_path, image_size=16, fit="pad")
    assert "fit='pad' keeps" not in " ".join(padded.notes)
