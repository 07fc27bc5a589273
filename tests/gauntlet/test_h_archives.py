"""Section H of the gauntlet: archives that were taken for something else."""

import io
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from cnnkit import data


def picture(seed, kind="PNG"):
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype="uint8")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def pictures(classes, number=4):
    names = [f"{name}/{i}.png" for name in classes for i in range(number)]
    return {name: picture(seed) for seed, name in enumerate(names)}


def make_zip(path, members, encoding="utf-8", **options):
    """A zip whose names are in any encoding, with no word about which."""
    stand_ins = {}
    with zipfile.ZipFile(path, "w", **options) as file:
        for number, (name, content) in enumerate(members.items()):
            raw = name if isinstance(name, bytes) else name.encode(encoding)
            stand_in = f"{number:02}".ljust(len(raw), "~")
            stand_ins[stand_in.encode()] = raw
            file.writestr(stand_in, content)
    content = path.read_bytes()
    for stand_in, raw in stand_ins.items():
        content = content.replace(stand_in, raw)
    path.write_bytes(content)
    return path


def make_tar(path, members, encoding="utf-8"):
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding=encoding) as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("make, name", [(make_zip, "a.zip"), (make_tar, "a.tar")])
@pytest.mark.parametrize(
    "encoding, classes",
    [
        ("cp932", ("犬", "猫")),
        ("cp932", ("不良品", "良品")),
        ("cp932", ("ソ", "表")),  # each has the byte of a backslash
        ("cp437", ("Löwe", "Vögel")),
        ("cp1252", ("Löwe", "Vögel")),
        ("gb18030", ("正常", "缺陷品")),
        ("big5", ("照片", "貓狗")),
        ("utf-8", ("café", "犬")),
    ],
)
def test_names_are_read_in_the_encoding_of_the_system_that_wrote_them(
    tmp_path, make, name, encoding, classes
):
    photos = data.from_folder(make(tmp_path / name, pictures(classes), encoding))
    assert set(photos.class_names) == set(classes) and len(photos.manifest) == 8
    said = any(f"names were read as {encoding}" in note for note in photos.notes)
    assert said == (encoding != "utf-8")


@pytest.mark.parametrize("make, name", [(make_zip, "a.zip"), (make_tar, "a.tar")])
@pytest.mark.parametrize(
    "encoding, word", [("gb18030", "狗"), ("cp949", "고양이"), ("cp932", "馬"),
                       ("cp866", "собака"), ("euc_jp", "猫")],
)  # fmt: skip
def test_where_several_encodings_would_do_the_person_is_asked(
    tmp_path, make, name, encoding, word
):
    archive = make(tmp_path / name, pictures([word, "dog"]), encoding)
    with pytest.raises(ValueError, match="one cannot tell") as caught:
        data.from_folder(archive)
    if encoding != "euc_jp" or name == "a.zip":
        assert f"encoding={encoding!r} reads {word!r}" in str(caught.value)
    photos = data.from_folder(archive, encoding=encoding)
    assert photos.class_names == ("dog", word)
    folder = data.unpack(archive, encoding=encoding)
    assert (folder / word / "1.png").read_bytes() == picture(1)
    for wrong in ("ascii", "klingon"):
        with pytest.raises(ValueError, match="one cannot tell"):
            data.unpack(archive, tmp_path / "more", encoding=wrong)


def test_a_name_in_utf_8_beside_the_old_one_is_taken(tmp_path):
    """As Info-ZIP writes it: field 0x7075 with the CRC of the old name."""
    members = {}
    for name, content in pictures(["狗", "猫"]).items():
        old = name.encode("gb18030")
        name = b"\1" + struct.pack("<L", zlib.crc32(old)) + name.encode()
        members[old] = struct.pack("<HH", 0x7075, len(name)) + name, content
    stand_ins = {
        old: b"%02d" % i + b"~" * (len(old) - 2) for i, old in enumerate(members)
    }
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for old, (extra, content) in members.items():
            info = zipfile.ZipInfo(stand_ins[old].decode())
            info.extra = extra
            file.writestr(info, content)
    content = (tmp_path / "a.zip").read_bytes()
    for old, stand_in in stand_ins.items():
        content = content.replace(stand_in, old)
    (tmp_path / "a.zip").write_bytes(content)
    assert set(data.from_folder(tmp_path / "a.zip").class_names) == {"狗", "猫"}


@pytest.mark.parametrize("make, name", [(make_zip, "a.zip"), (make_tar, "a.tar")])
def test_awkward_names_are_changed_and_this_is_said(tmp_path, make, name, capsys):
    wanted = {
        "cat\\0.png": "cat/0.png",
        "cat/1.png": "cat/1.png",
        "cat/1.PNG": "cat/1_2.PNG",
        "cat/1_2.png": "cat/1_2_2.png",
        "cat/12:30.png": "cat/12_30.png",
        "cat/aux.png": "cat/_aux.png",
        "cat/a\nb.png": "cat/a_b.png",
        "con/0.png": "_con/0.png",
        "con/1.png ": "_con/1.png",
        "good. /0.png": "good/0.png",
        "good. /" + "長" * 90 + ".png": "good/" + "長" * 66 + ".png",
        "./good. //1.png.": "good/1.png",
    }
    made = {old: picture(seed) for seed, old in enumerate(wanted)}
    folder = data.unpack(make(tmp_path / name, made))
    found = {p.relative_to(folder).as_posix(): p.read_bytes()
             for p in folder.rglob("*") if p.is_file()}  # fmt: skip
    assert found == {wanted[old]: content for old, content in made.items()}
    said = capsys.readouterr().out
    assert "'con to _con'" in said and "'12:30.png to 12_30.png'" in said
    assert "1.png to" not in said.replace("'1.png. to", "").replace("'1.png  to", "")


def test_an_archive_of_archives_one_a_class_is_unpacked(tmp_path):
    inner = {}
    for seed, (name, top) in enumerate({"cat.zip": "", "dog.zip": "dog/"}.items()):
        members = {f"{top}{i}.png": picture([seed, i]) for i in range(4)}
        inner[f"animals/{name}"] = make_zip(tmp_path / name, members).read_bytes()
    archive = make_zip(tmp_path / "animals.zip", inner)
    photos = data.from_folder(archive)
    assert photos.class_names == ("cat", "dog") and len(photos.manifest) == 8
    assert "'animals/cat.zip' in it was unpacked as well" in " ".join(photos.notes)
    with pytest.raises(ValueError, match="more than 3 files.*animals.zip: animals/dog"):
        data.unpack(archive, most_files=9)  # the two inner ones count
    # What is wrong inside is named, and archives inside those stay as they are.
    inner["animals/dog.zip"] = b"words"
    broken = make_zip(tmp_path / "broken.zip", inner)
    with pytest.raises(ValueError, match="broken.zip: animals/dog.zip"):
        data.unpack(broken)
    assert not (tmp_path / "broken").exists()
    # Beside pictures an archive is a file like others.
    beside = pictures(["cat", "dog"]) | {"masks.zip": inner["animals/cat.zip"]}
    folder = data.unpack(make_zip(tmp_path / "beside.zip", beside))
    assert (folder / "masks.zip").is_file()


def test_drawings_that_pack_well_are_no_attack(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (2000, 2000), "white").save(file, "BMP")
    members = {f"{c}/{i}.bmp": file.getvalue() for c in "ab" for i in range(3)}
    archive = make_zip(tmp_path / "a.zip", members, compression=zipfile.ZIP_DEFLATED)
    assert archive.stat().st_size * 500 < 6 * len(file.getvalue())
    assert len(list(data.unpack(archive).rglob("*.bmp"))) == 6
    with pytest.raises(ValueError, match="more than .* 0.1 GB"):  # bytes are bounded
        data.unpack(archive, tmp_path / "b", most_bytes=60_000_000)


@pytest.mark.parametrize(
    "name, start, word",
    [
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        ("a.rar", b"Rar!\x1a\x07\x01\0", "RAR"),
        ("a.tar.zst", b"(\xb5/\xfd\x04", "Zstandard"),
        ("labels.gz", b"\x1f\x8b\x08\0", "gzip"),
        ("a.zip", b"Rar!\x1a\x07\x01\0", "RAR"),  # renamed by hand
        ("a.zip.001", b"PK\3\4", "neither"),
    ],
)
def test_archives_of_other_kinds_are_named(tmp_path, name, start, word):
    (tmp_path / name).write_bytes(start + bytes(100))
    for read in (data.from_folder, data.check, data.unpack):
        with pytest.raises(ValueError, match=f"{word}.*give the folder.*{name}"):
            read(tmp_path / name)


def test_a_password_is_said_to_be_one(tmp_path):
    content = bytearray(make_zip(tmp_path / "a.zip", pictures("ab")).read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match="needs a password.*unpack it yourself"):
        data.from_folder(tmp_path / "a.zip")
