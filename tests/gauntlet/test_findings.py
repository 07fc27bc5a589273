"""What `data.check` says: each code by an example; rows B07 to B10, C and D."""

import io
import os
import resource
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import ndimage

from cnnkit import data
from cnnkit.__main__ import main
from cnnkit.data import looks


def scene(seed=0, side=64):
    """A picture with structure at every size, as in the world, unlike any other."""
    rng = np.random.default_rng(seed)
    waves = sum(
        ndimage.zoom(rng.normal(size=(n, n, 3)), (side / n, side / n, 1), order=1)
        for n in (side // 16, side // 8, side // 4, side // 2, side)
    )
    spread = (waves - waves.min()) / np.ptp(waves)
    return Image.fromarray((20 + 215 * spread).astype("uint8"))


def encoded(image, kind="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def put(folder, path, content):
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Image.Image):
        content = encoded(content, "PNG")
    place.write_bytes(content)


@pytest.fixture
def folder(tmp_path):
    for offset, name in ((0, "cat"), (100, "dog")):
        for i in range(4):
            put(tmp_path / "pets", f"{name}/{i}.jpg", encoded(scene(offset + i)))
    return tmp_path / "pets"


def codes(folder):
    findings = data.check(folder, verbose=False)
    return set(zip(findings["code"], findings["path"], strict=True))


JPEG = encoded(scene(50))
TURNED = Image.Exif()
TURNED[0x0112] = 6
FRAMES = {"save_all": True, "append_images": [scene(52)]}
FILES = {  # a code: the content of cat/x.jpg, or (name, content)
    "empty_file": b"",
    "truncated": JPEG[: len(JPEG) // 2],
    "not_a_picture": b"<!DOCTYPE html><p>404",
    "other_format": b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>',
    "too_many_pixels": encoded(Image.new("1", (9000, 9000)), "PNG"),
    "blank": encoded(Image.new("RGB", (64, 64), "black")),
    "dark": encoded(scene(51).point(lambda v: v // 4)),
    "bright": encoded(scene(51).point(lambda v: 232 + min(max(v - 50, 0) // 8, 23))),
    "blurred": encoded(scene(51, 128).filter(ImageFilter.GaussianBlur(2))),
    "odd_size": encoded(scene(51).resize((10, 10))),
    "odd_shape": encoded(scene(51).resize((120, 30))),
    "wrong_name": encoded(scene(51), "WEBP"),
    "trailing_bytes": JPEG + b"a film",
    "rotated": encoded(scene(51), exif=TURNED),
    "animated": ("x.gif", encoded(scene(51), "GIF", **FRAMES)),
    "printing_colours": encoded(scene(51).convert("CMYK")),
    "sixteen_bits": (
        "x.png",
        encoded(
            Image.fromarray(np.asarray(scene(51).convert("L"), "uint16") * 256), "PNG"
        ),
    ),
    "colour_profile": encoded(scene(51), icc_profile=b"Display P3"),
    "two_levels": (
        "x.png",
        encoded(scene(51).convert("L").point(lambda v: v > 128), "PNG"),
    ),
    "transparent": (
        "x.png",
        encoded(Image.merge("RGBA", [*scene(51).split(), scene(3).split()[0]]), "PNG"),
    ),
}


@pytest.mark.parametrize("code", FILES)
def test_each_kind_of_file_is_found_and_good_ones_are_not(code, folder):
    assert codes(folder) == set()
    content = FILES[code]
    name, content = content if isinstance(content, tuple) else ("x.jpg", content)
    put(folder, f"cat/{name}", content)
    assert codes(folder) == {(code, f"cat/{name}")}


def copy(folder, old, new):
    put(folder, new, (folder / old).read_bytes())


def parts(folder):
    for part in ("train", "val", "test"):
        for i, name in enumerate(("cat", "dog")):
            for j in range(3):
                seed = 1000 * len(part) + 10 * i + j
                put(folder.parent / "parts", f"{part}/{name}/{j}.png", scene(seed))
    return folder.parent / "parts"


def smaller(folder, old, new):
    image = Image.open(folder / old)
    put(folder, new, encoded(image.resize((48, 48), Image.Resampling.BILINEAR)))


def make_parts(change):
    def make(folder):
        change(parts(folder))
        return folder.parent / "parts"

    return make


def make(change):
    def made(folder):
        change(folder)
        return folder

    return made


FOLDERS = {  # a code: (how to make the folder from the good one, the path it names)
    "unclear_classes": (
        make(lambda f: [p.unlink() for p in (f / "dog").iterdir()]
             and (f / "dog").rmdir()),
        None,
    ),
    "empty_class": (make(lambda f: (f / "owl").mkdir()), "owl"),
    "same_looking_names": (
        make(lambda f: [copy(f, f"cat/{i}.jpg", f"Cat /{i}b.jpg") for i in range(4)]),
        "Cat ",
    ),
    "unknown_class": (
        make_parts(lambda f: put(f, "test/owl/1.png", scene(7))), "test/owl",
    ),
    "copies": (make(lambda f: copy(f, "cat/0.jpg", "cat/x.jpg")), "cat/x.jpg"),
    "copies_across_classes": (
        make(lambda f: copy(f, "cat/0.jpg", "dog/x.jpg")), "dog/x.jpg",
    ),
    "copies_across_parts": (
        make_parts(lambda f: copy(f, "train/cat/0.png", "test/cat/x.png")),
        "test/cat/x.png",
    ),
    "alike": (make(lambda f: smaller(f, "cat/0.jpg", "cat/x.jpg")), "cat/x.jpg"),
    "alike_across_classes": (
        make(lambda f: smaller(f, "cat/0.jpg", "dog/x.jpg")), "dog/x.jpg",
    ),
    "alike_across_parts": (
        make_parts(lambda f: smaller(f, "train/cat/0.png", "val/cat/x.jpg")),
        "val/cat/x.jpg",
    ),
    "few_pictures": (make(lambda f: put(f, "owl/1.png", scene(8))), "owl"),
    "imbalance": (
        make(lambda f: [put(f, f"owl/{i}.png", scene(200 + i)) for i in range(20)]),
        "dog",
    ),
    "format_tells_class": (
        make(lambda f: [put(f, f"owl/{i}.png", scene(200 + i)) for i in range(4)]),
        "owl",
    ),
    "part_as_class": (
        make(lambda f: (f / "cat").rename(f / "test")), "test",
    ),
    "link": (make(lambda f: (f / "cat" / "x.jpg").symlink_to("nowhere")), "cat/x.jpg"),
    "special_file": (make(lambda f: os.mkfifo(f / "cat" / "x.jpg")), "cat/x.jpg"),
    "odd_name": (
        make(lambda f: put(f, os.fsdecode(b"cat/\xe9.jpg"), JPEG)), r"cat/\xe9.jpg",
    ),
    "unread_picture": (make(lambda f: put(f, "cat/x.heic", b"\0")), "cat/x.heic"),
    "mask": (
        make(lambda f: put(f, "cat/0_mask.png", scene(9))), "cat/0_mask.png",
    ),
    "loose_file": (make(lambda f: put(f, "x.jpg", JPEG)), "x.jpg"),
    "nested": (make(lambda f: put(f, "cat/2019/x.jpg", JPEG)), "cat"),
    "ignored": (make(lambda f: put(f, "cat/Thumbs.db", b"\0")), "cat/Thumbs.db"),
}  # fmt: skip


@pytest.mark.parametrize("code", FOLDERS)
def test_each_finding_about_folders_and_copies(code, folder):
    change, path = FOLDERS[code]
    findings = data.check(change(folder), verbose=False)
    assert path in set(findings.loc[findings["code"] == code, "path"]), findings


def test_groups_that_give_the_class_away():
    images = np.stack([np.asarray(scene(i, 32)) for i in range(40)])
    labels, cameras = np.arange(40) % 2, np.array(["a", "b"] * 20)
    photos = data.from_arrays(
        images, labels, class_names=("cat", "dog"), groups=cameras
    )
    assert "group_tells_class" in set(data.check(photos, verbose=False)["code"])
    mixed = data.from_arrays(
        images, labels, class_names=("cat", "dog"), groups=np.arange(40) // 4
    )
    assert "group_tells_class" not in set(data.check(mixed, verbose=False)["code"])


def test_every_code_has_an_example_here():
    tested = {*FILES, *FOLDERS, "group_tells_class", "no_permission"}
    assert tested == set(data.CODES)


@pytest.mark.skipif(os.name == "nt", reason="rights are others there")
@pytest.mark.parametrize("path", ["cat/0.jpg", "cat"])
def test_c22_what_may_not_be_read_is_an_error(path, folder):
    (folder / path).chmod(0)
    program = (
        "import os, sys\n"
        "from PIL import Image\n"
        "from cnnkit import data\n"
        "Image.init(); os.getuid() or os.setuid(65534)\n"
        "found = data.check(sys.argv[1], verbose=False)\n"
        "print(found[['code', 'path']].to_csv())"
    )
    for place in [folder, *folder.parents]:
        if place.owner() == folder.owner() and place != folder.parents[-1]:
            place.chmod(place.stat().st_mode | 0o755)
    try:
        command = [sys.executable, "-c", program, str(folder)]
        said = subprocess.run(command, capture_output=True, text=True)
    finally:
        (folder / path).chmod(0o755)
    assert f"no_permission,{path}" in said.stdout, said.stderr


def test_b07_b08_bombs_do_not_take_memory(folder):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for i, side in enumerate((12_000, 30_000)):
        put(folder, f"cat/b{i}.png", encoded(Image.new("1", (side, side)), "PNG"))
    program = (
        "import resource, sys\n"
        "from cnnkit import data\n"
        "rise = -resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = data.check(sys.argv[1], verbose=False)\n"
        "rise += resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(rise, *found['code'])"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(folder)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    rise, *found = said.stdout.split()
    assert found == ["too_many_pixels"] * 2
    assert int(rise) < 100_000 and before  # kB; decoded it would be 400,000 and more


def test_b09_an_animation_of_many_frames_is_read_as_one(folder):
    frames = [scene(i + 300) for i in range(100)]
    options = {"save_all": True, "append_images": frames[1:]}
    put(folder, "cat/x.png", encoded(frames[0], "PNG", **options))
    assert codes(folder) == {("animated", "cat/x.png")}


@pytest.mark.parametrize("kind", ["AVIF", "TIFF"])
def test_c11_the_real_format_is_named(kind, folder):
    put(folder, "cat/x.jpg", encoded(scene(60), kind))
    found = data.check(folder, verbose=False)
    assert set(found["code"]) <= {"other_format", "wrong_name"} and len(found) == 1


def test_c14_pictures_of_one_pixel_and_of_one_row(folder):
    put(folder, "cat/one.png", scene(1).resize((1, 1)))
    put(folder, "cat/row.png", scene(1).resize((20_000, 1)))
    found = codes(folder)
    assert ("odd_size", "cat/one.png") in found and (
        "odd_shape",
        "cat/row.png",
    ) in found


def test_c17_bytes_before_a_picture_are_named(folder):
    put(folder, "cat/x.jpg", b"\n" + JPEG)
    found = data.check(folder, verbose=False).iloc[0]
    assert found["code"] == "truncated" and "1 bytes too many before" in found["detail"]


def test_c19_links_that_leave_or_loop_are_not_followed(folder):
    put(folder.parent, "elsewhere/x.jpg", JPEG)
    (folder / "cat" / "out.jpg").symlink_to(folder.parent / "elsewhere" / "x.jpg")
    (folder / "cat" / "loop").symlink_to(folder)
    assert codes(folder) == {("link", "cat/out.jpg"), ("link", "cat/loop")}


def test_c21_odd_but_lawful_names(folder):
    put(folder, "cat/dir.jpg/x.jpg", encoded(scene(70)))
    put(folder, f"cat/{'n' * 240}.jpg", encoded(scene(71)))
    put(folder, "cat/two\nlines.jpg", encoded(scene(72)))
    assert codes(folder) == {("nested", "cat")}


def test_d06_d07_names_that_look_the_same(folder):
    for name in ("ガラス", unicodedata.normalize("NFD", "ガラス"), "Ａ1", "a1"):
        put(folder, f"{name}/1.jpg", encoded(scene(len(name))))
    found = data.check(folder, verbose=False)
    assert (found["code"] == "same_looking_names").sum() == 4
    with pytest.raises(ValueError, match="differ only by"):
        data.from_folder(folder)


def test_d05_a_class_that_the_test_lacks_keeps_its_number(folder):
    place = parts(folder)
    for name in ("ant", "eel"):
        put(place, f"train/{name}/1.png", scene(len(name) + 400))
    photos = data.from_folder(place)
    assert photos.class_names == ("ant", "cat", "dog", "eel")
    tested = photos.manifest[photos.manifest["split"] == "test"]
    known = {path.split("/")[1] for path in tested["path"]}
    assert known == {"cat", "dog"} and set(tested["label"]) == {1, 2}
    names = np.array(photos.class_names)[tested["label"]]
    assert (names == [path.split("/")[1] for path in tested["path"]]).all()


def test_d12_planted_leaks_are_found_and_no_others(folder):
    place = parts(folder)
    for i in range(10):
        put(place, f"train/cat/p{i}.png", scene(500 + i))
        content = [
            (place / f"train/cat/p{i}.png").read_bytes(),
            encoded(scene(500 + i), quality=60),
            encoded(scene(500 + i).resize((50, 50), Image.Resampling.BILINEAR)),
        ][i % 3]
        put(place, f"test/cat/p{i}.jpg", content)
    found = data.check(place, verbose=False)
    leaks = found[found["code"].str.endswith("across_parts")]
    pairs = set(zip(leaks["path"], leaks["other"], strict=True))
    wanted = {(f"test/cat/p{i}.jpg", f"train/cat/p{i}.png") for i in range(10)}
    assert pairs == wanted


def test_d20_d21_thousands_of_classes_and_heavy_imbalance(tmp_path, capsys):
    one = encoded(scene(1))
    for i in range(1000):
        put(tmp_path, f"many/{i}/1.jpg", one + bytes([i % 256, i // 256, 1]))
    found = data.check(tmp_path / "many")
    assert (found["code"] == "few_pictures").sum() == 1000
    assert len(capsys.readouterr().out) < 3000
    images = np.stack([np.asarray(scene(i % 50, 16)) for i in range(1001)])
    labels = (np.arange(1001) == 0).astype(int)
    photos = data.from_arrays(images, labels, class_names=("well", "ill"))
    found = data.check(photos, verbose=False)
    assert "class weights" in found.loc[found["code"] == "imbalance", "remedy"].iloc[0]


def test_c12_pixels_equal_pillow_and_c13_rotation_is_applied(folder):
    image = scene(9)
    for name, other in (("grey", image.convert("L")), ("palette", image.quantize(64))):
        put(folder, f"cat/{name}.png", other)
        photos = data.from_folder(folder, image_size=64)
        row = photos.manifest["path"].tolist().index(f"cat/{name}.png")
        wanted = np.asarray(other.convert("RGB"))
        np.testing.assert_array_equal(photos.pixels[row], wanted)
    upright = image.transpose(Image.Transpose.ROTATE_270)
    put(folder, "dog/turned.png", encoded(image, "PNG", exif=TURNED))
    photos = data.from_folder(folder, image_size=64)
    row = photos.manifest["path"].tolist().index("dog/turned.png")
    np.testing.assert_array_equal(photos.pixels[row], np.asarray(upright))


def test_blur_is_told_from_contrast():
    sharp = np.asarray(scene(3, 256).convert("L"), "float32")
    blurred = ndimage.gaussian_filter(sharp, 2)
    assert looks.detail(blurred) < looks.LEAST_DETAIL < looks.detail(sharp)
    pale = looks.detail(sharp * 0.05 + 100)
    np.testing.assert_allclose(pale, looks.detail(sharp), rtol=1e-3)


def test_quarantine_plans_moves_and_brings_back(folder, capsys):
    put(folder, "cat/=bad.jpg", b"no picture")
    put(folder, "dog/blank.png", Image.new("L", (64, 64)))
    copy(folder, "dog/1.jpg", "dog/again.jpg")
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    place = folder.parent / "set apart"

    data.check(folder, quarantine=place)
    assert "-> " in capsys.readouterr().out
    lines = (place / "plan.csv").read_text("utf-8").splitlines()
    assert len(lines) == 4 and all(line.startswith("./") for line in lines[1:])
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    kept = [line for line in lines if "blank" not in line]  # a person shortens the plan
    (place / "plan.csv").write_text("\n".join(kept), "utf-8")
    command = ["check", str(folder), "--quarantine", str(place)]
    assert main([*command, "--move"]) == 1
    assert (place / "cat/=bad.jpg").read_bytes() == b"no picture"
    assert (
        not (folder / "cat/=bad.jpg").exists() and (folder / "dog/blank.png").exists()
    )
    with pytest.raises(ValueError, match="bring them back"):
        data.check(folder, quarantine=place)
    put(folder, "cat/=bad.jpg", b"mine")
    with pytest.raises(FileExistsError, match="=bad.jpg"):
        data.restore(folder, place)
    assert (folder / "cat/=bad.jpg").read_bytes() == b"mine"
    (folder / "cat/=bad.jpg").unlink()
    assert main([*command, "--undo"]) == 0
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert not place.exists()


@pytest.mark.parametrize(
    "path", ["../x.jpg", "/x.jpg", "cat/../../x.jpg", "link/x.jpg"]
)
def test_a_plan_does_not_lead_out_of_the_folder(path, folder):
    put(folder.parent, "x.jpg", JPEG)
    (folder / "link").symlink_to(folder.parent)
    put(folder.parent, "apart/plan.csv", f"path,code\n{path},copies\n".encode())
    with pytest.raises(ValueError, match="leads out of the folder"):
        data.check(folder, quarantine=folder.parent / "apart", move=True)
    with pytest.raises(ValueError, match="beside the folder"):
        data.check(folder, quarantine=folder / "apart")
    assert (folder.parent / "x.jpg").exists()


def test_the_command_says_it_and_starts_without_tensorflow(folder, capsys):
    put(folder, "cat/x.jpg", JPEG[:-20])
    table = folder.parent / "found.csv"
    assert main(["check", str(folder), "--table", str(table)]) == 1
    said = capsys.readouterr().out
    assert "1 x damaged or cut short: 'cat/x.jpg'" in said and "-> " in said
    assert "truncated" in table.read_text("utf-8")
    assert main(["check", "--codes"]) == 0
    assert "for example" in capsys.readouterr().out
    program = (
        "import sys; from cnnkit import data; data.check(sys.argv[1]);"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True)


def test_an_archive_is_checked_as_its_folder_is(folder):
    import shutil

    put(folder, "cat/x.jpg", b"")
    archive = shutil.make_archive(
        str(folder.parent / "pets"), "zip", folder.parent, "pets"
    )
    assert codes(archive) == codes(folder) == {("empty_file", "cat/x.jpg")}


def test_copies_in_validation_and_test_are_found_too(folder):
    whole = make_parts(lambda f: copy(f, "val/cat/0.png", "test/cat/x.png"))(folder)
    findings = data.check(whole, verbose=False)
    [row] = findings[findings["code"] == "copies_across_parts"].itertuples()
    assert (row.path, row.other) == ("test/cat/x.png", "val/cat/0.png")
    assert row.detail == "in the test part and in validation"
