"""Rows B01 to B05 of the gauntlet: archives that are not what they should be."""

import io
import os
import stat
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from cnnkit import data
from cnnkit.data.archives import UnsafeArchiveError


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype="uint8")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


GOOD = {
    f"pets/{name}/{i}.png": picture([i, len(name)])
    for name in ("cat", "owls")
    for i in (1, 2, 3)
}


def make_zip(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, content in members.items():
            file.writestr(name, content)


def make_tar(path, entries, mode="w:gz"):
    """Each entry is (name, content) or a TarInfo."""
    with tarfile.open(path, mode) as file:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                file.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size, info.mode = len(entry[1]), 0o6777
                file.addfile(info, io.BytesIO(entry[1]))


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def assert_refused(archive, message):
    """Refused by name, with nothing left behind."""
    before = sorted(archive.parent.parent.rglob("*"))
    with pytest.raises(UnsafeArchiveError, match=message) as caught:
        data.unpack(archive)
    assert repr(str(archive)) in str(caught.value)
    with pytest.raises(UnsafeArchiveError):
        data.from_folder(archive)
    assert sorted(archive.parent.parent.rglob("*")) == before


@pytest.fixture
def place(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.mark.parametrize("kind", ["photos.zip", "photos.tar", "photos.tar.gz"])
def test_a_good_archive_is_read_and_unpacked(place, kind):
    archive = place / kind
    if kind.endswith("zip"):
        make_zip(archive, GOOD | {"__MACOSX/pets/cat/._1.png": b"x"})
    else:
        make_tar(archive, GOOD.items(), "w" if kind.endswith("tar") else "w:gz")
    photos = data.from_folder(archive)
    assert photos.class_names == ("cat", "owls") and len(photos.manifest) == 6
    assert photos.source == kind
    folder = data.unpack(archive)
    assert folder == place / "photos"
    for name, content in GOOD.items():
        assert (folder / name).read_bytes() == content
    with pytest.raises(FileExistsError, match="choose another name"):
        data.unpack(archive)


@pytest.mark.parametrize(
    "name", ["../evil.png", "/evil.png", "cat/../../evil.png", "cat\\..\\evil.png"]
)
def test_b01_members_outside_the_folder(place, name):
    make_tar(place / "a.tar.gz", [*GOOD.items(), (name, b"x")])
    assert_refused(place / "a.tar.gz", "evil.png")
    make_zip(place / "a.zip", GOOD | {name: b"x"})
    assert_refused(place / "a.zip", "evil.png")


@pytest.mark.parametrize(
    "entries",
    [
        [special("cat/out", tarfile.SYMTYPE, ".."), ("cat/out/evil.png", b"x")],
        [special("cat/out", tarfile.LNKTYPE, "../../secret")],
        [special("cat/pipe.jpg", tarfile.FIFOTYPE)],
        [special("cat/disk.jpg", tarfile.BLKTYPE)],
    ],
)
def test_b01_b02_links_pipes_and_devices(place, entries):
    make_tar(place / "a.tar", [*GOOD.items(), *entries], "w")
    assert_refused(place / "a.tar", "a link or device.*'cat/")


def test_b01_a_link_in_a_zip(place):
    link = zipfile.ZipInfo("cat/out")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(place / "a.zip", "w") as file:
        file.writestr(link, "../../secret")
    assert_refused(place / "a.zip", "a link or device")


def test_b03_rights_are_plain(place):
    make_tar(place / "a.tar", GOOD.items(), "w")
    folder = data.unpack(place / "a.tar")
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644)


def test_b04_bombs(place, monkeypatch):
    zeros = bytes(100 * 2**20)
    make_zip(place / "a.zip", {"cat/1.png": zeros}, compression=zipfile.ZIP_DEFLATED)
    make_tar(place / "a.tar.gz", [("cat/1.png", zeros)])
    for name in ("a.zip", "a.tar.gz"):
        assert (place / name).stat().st_size < 2**20
        assert_refused(place / name, "100 times what was packed")
    # A header that lies about the size: bytes are counted, not believed.
    content = bytearray((place / "a.zip").read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = (1000).to_bytes(4, "little")
    (place / "lie.zip").write_bytes(content)
    assert_refused(place / "lie.zip", "damaged|more than it claims")
    make_zip(place / "many.zip", {f"cat/{i}.png": b"" for i in range(30)})
    with pytest.raises(UnsafeArchiveError, match="more than 20 files"):
        data.unpack(place / "many.zip", most_files=20)
    make_zip(place / "deep.zip", {"a/" * 30 + "1.png": b""})
    assert_refused(place / "deep.zip", "20 folders deep")
    make_zip(place / "good.zip", GOOD)
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    assert_refused(place / "good.zip", "are free")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names",
    [
        ("cat", "cat/1.png"),
        ("cat/1.png", "cat"),
        ("cat/1.png", "cat/1.png"),
        ("cat/1.png", "Cat/2.png"),
        ("cat/1.png", "cat /2.png"),
        ("a:b/1.png", "a_b/2.png"),
    ],
)
def test_b05_names_that_clash(place, names):
    make_tar(place / "a.tar", [(name, b"x") for name in names], "w")
    assert_refused(place / "a.tar", "one place")


def test_archives_that_are_damaged_or_none(place):
    make_zip(place / "whole.zip", GOOD, compression=zipfile.ZIP_DEFLATED)
    content = (place / "whole.zip").read_bytes()
    make_tar(place / "whole.tgz", GOOD.items())
    packed = (place / "whole.tgz").read_bytes()
    bad = {
        "empty.zip": b"",
        "words.zip": b"these are words",
        "half.zip": content[: len(content) // 2],
        "flipped.zip": content[:80] + bytes([content[80] ^ 255]) + content[81:],
        "half.tgz": packed[: len(packed) // 2],
    }
    for name, damaged in bad.items():
        (place / name).write_bytes(damaged)
        assert_refused(place / name, "neither a .zip nor a .tar|damaged or cut short")
    encrypted = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(mark) + offset] |= 1
    (place / "locked.zip").write_bytes(encrypted)
    assert_refused(place / "locked.zip", "encrypted")
    with pytest.raises(FileNotFoundError, match="no such archive"):
        data.unpack(place / "nothing.zip")
    assert not [name for name in os.listdir(place) if name.startswith(".cnnkit")]
