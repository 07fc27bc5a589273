"""Rows H: what is in a picture file, and what it must not be taken for."""

import csv
import io
import json
import os
import struct
import zlib
from dataclasses import asdict
from itertools import product

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin
from scipy import ndimage

from cnnkit import data
from cnnkit.data import decoding
from cnnkit.data.reader import Reader

SIDE = 48


def shades(seed):
    """Grey in [0, 1] that reaches both, with structure at every size."""
    rng = np.random.default_rng(seed)
    waves = sum(ndimage.zoom(rng.normal(size=(n, n)), SIDE / n) for n in (3, 12, SIDE))
    return (waves - waves.min()) / np.ptp(waves)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def as_tiff(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, metadata=None, **options)
    return buffer.getvalue()


def fill(folder, suffix, make, number=4):
    """Two classes of files; `make` turns shades in [0, 1] into bytes."""
    for i in range(2 * number):
        path = folder / ("cat", "dog")[i % 2] / f"{i}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make(shades(i)))
    return folder


def read(folder, **options):
    photos = data.from_folder(folder, image_size=SIDE, grey=True, **options)
    order = photos.manifest["path"].str.extract(r"(\d+)\.")[0].astype(int)
    return photos, dict(zip(order, photos.pixels[..., 0].astype(float), strict=True))


def as_colours(values, type_="uint16"):
    return np.rint(np.dstack([values] * 3)).astype(type_)


DEPTHS = {  # what the files hold at most: (suffix, how they are made, what is said)
    "12 bits in a PNG of 16": (
        4095, "png", lambda s: encoded(np.rint(4095 * s).astype("uint16")), "12 bits",
    ),
    "10 bits in colour TIFF of 16": (
        1023, "tif", lambda s: as_tiff(as_colours(1023 * s), photometric="rgb"),
        "10 bits",
    ),
    "14 bits in a colour PNG of 16": (
        16383, "png",
        lambda s: cv2.imencode(".png", as_colours(16383 * s))[1].tobytes(), "14 bits",
    ),
    "floats in [0, 1]": (
        1, "tif", lambda s: as_tiff(s.astype("float32")), "values to 1 ",
    ),
    "floats to 255": (
        255, "tif", lambda s: as_tiff((255 * s).astype("float32")), "values to 255",
    ),
    "32 bit integers that hold 20": (
        2**20 - 1, "tif", lambda s: as_tiff(np.rint(s * (2**20 - 1)).astype("int32")),
        "20 bits",
    ),
    "a mask of 0 and 1": (
        1, "png", lambda s: encoded((s > 0.5).astype("uint8")), "black and white",
    ),
    "a mask of 0 and 1 in 16 bits": (
        1, "png", lambda s: encoded((s > 0.5).astype("uint16")), "values to 1 ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", DEPTHS)
def test_brightness_is_stretched_by_the_depth_that_is_used(row, tmp_path):
    white, suffix, make, said = DEPTHS[row]
    photos, pixels = read(fill(tmp_path, suffix, make))
    assert photos.reader.white == white
    assert any(said in note for note in photos.notes), photos.notes
    for i, seen in pixels.items():
        levels = 255 * (shades(i) > 0.5) if "mask" in row else 255 * shades(i)
        assert np.abs(seen - levels).max() <= 0.51 + 255 / white * (white > 255)
    found = data.check(tmp_path, verbose=False)  # and no mask is called blank
    assert set(found["code"]) <= {"sixteen_bits", "two_levels"}


def test_one_scale_fits_the_whole_set_and_whatever_is_predicted(tmp_path):
    fill(tmp_path, "png", lambda s: encoded(np.rint(4095 * s).astype("uint16")))
    dim, bright = (np.rint(most * shades(9)) for most in (800, 60_000))
    dim_file, bright_file = (encoded(x.astype("uint16")) for x in (dim, bright))
    (tmp_path / "cat" / "90.png").write_bytes(dim_file)
    photos, pixels = read(tmp_path)
    assert np.abs(pixels[90] - dim * 255 / 4095).max() <= 0.51
    travelled = Reader(**json.loads(json.dumps(asdict(photos.reader))))
    alone = decoding.decode(dim_file, travelled)
    np.testing.assert_array_equal(alone.pixels[..., 0], pixels[90])
    clipped = decoding.decode(bright_file, travelled)
    assert "clipped" in clipped.traits and "clipped" not in alone.traits
    expected = np.minimum(bright * 255 / 4095, 255)
    assert np.abs(clipped.pixels[..., 0] - expected).max() <= 0.51


def test_pictures_of_8_bits_stay_as_they_are_however_dark(tmp_path):
    fill(tmp_path, "png", lambda s: encoded(np.rint(9 * s).astype("uint8")))
    black = np.uint8(shades(9) > 0.5)
    (tmp_path / "cat" / "90.png").write_bytes(encoded(black))
    photos, pixels = read(tmp_path)
    assert photos.reader.white is None
    np.testing.assert_array_equal(pixels[90], black)
    np.testing.assert_array_equal(pixels[3], np.rint(9 * shades(3)))


def test_decimal_numbers_of_two_scales_are_refused_by_name(tmp_path):
    fill(tmp_path, "tif", lambda s: as_tiff((255 * s).astype("float32")))
    (tmp_path / "cat" / "90.tif").write_bytes(as_tiff(shades(9).astype("float32")))
    (tmp_path / "cat" / "91.tif").write_bytes(as_tiff(np.zeros((9, 9), "float32")))
    with pytest.raises(ValueError, match="1 of 10 .*\n.*'cat/90.tif': its decimal"):
        read(tmp_path)
    found = data.check(tmp_path, verbose=False)
    assert found.loc[found["code"] == "other_format", "path"].tolist() == ["cat/90.tif"]


def test_a_depth_that_tells_the_class_is_a_warning(tmp_path):
    fill(tmp_path, "png", lambda s: encoded(np.rint(255 * s).astype("uint8")))
    for path in (tmp_path / "dog").iterdir():
        path.write_bytes(encoded(np.asarray(Image.open(path), "uint16") * 16))
    found = data.check(tmp_path, verbose=False)
    leak = found[found["code"] == "format_tells_class"]
    assert (
        leak["path"].tolist() == ["cat", "dog"] and "16 bit" in leak["detail"].iloc[1]
    )


def test_a_tiff_equals_what_tifffile_reads_or_is_refused_by_name():
    rng, read_well, refused = np.random.default_rng(0), set(), set()
    kinds = ["uint8", "int8", "uint16", "int16", "uint32", "float32", "float64"]
    layouts = product(
        kinds, (1, 2, 3, 4, 5), ("minisblack", "miniswhite", "rgb"),
        ("contig", "separate"), "<>", (None, "zlib"), (None, (16, 16)), (False, True),
    )  # fmt: skip
    for kind, samples, colours, planes, order, packed, tile, big in layouts:
        if (colours == "rgb") != (samples > 2) or samples == 1 and planes != "contig":
            continue
        if (kind in ("int8", "float64") or big) and tile:
            continue  # enough without
        shape = {1: (32, 48), 2: (32, 48, samples)}.get(min(samples, 2))
        values = rng.uniform(0, 1 if "f" in kind else 127, shape).astype(kind)
        if "int" in kind and kind != "int8":
            values *= values.dtype.type(1 if kind == "uint8" else 250)
        alpha = {2: 1, 4: 1, 5: 2}.get(samples, 0)
        content = as_tiff(
            np.moveaxis(values, -1, 0) if planes == "separate" else values,
            photometric=colours, byteorder=order, compression=packed, tile=tile,
            bigtiff=big, planarconfig=planes if samples > 1 else None,
            extrasamples=["unassalpha", "unspecified"][:alpha] or None,
        )  # fmt: skip
        row = (kind, samples, colours, planes)
        try:
            seen = decoding.decode(content, Reader((32, 48), samples < 3))
        except ValueError as error:
            assert error.code == "other_format" and "TIFF" in str(error), (row, error)
            refused.add(row)
            continue
        levels = values.astype(float) * 255 / seen.white
        if colours == "miniswhite":
            levels = 255 - levels
        if samples in (2, 4):  # laid on white
            share = np.minimum(values[..., -1:] / seen.white, 1)
            levels = 255 + (levels[..., :-1] - 255) * share
        assert np.abs(seen.pixels - levels.reshape(seen.pixels.shape)).max() < 1.6, row
        read_well.add(row)
    usual = {("uint8", 1, "miniswhite"), ("uint16", 1, "minisblack")}
    usual |= {("uint8", 3, "rgb"), ("uint16", 3, "rgb"), ("float32", 1, "minisblack")}
    assert usual <= {row[:3] for row in read_well}
    assert {("uint16", 1, "miniswhite", "contig"), ("uint8", 5, "rgb", "contig"),
            ("uint16", 3, "rgb", "separate"), ("int8", 1, "minisblack", "contig"),
            ("float64", 1, "minisblack", "contig")} <= refused - read_well  # fmt: skip


def test_what_could_be_converted_is_never_moved_away(tmp_path):
    fill(tmp_path / "set", "png", lambda s: encoded(np.rint(255 * s).astype("uint8")))
    white = as_tiff(np.uint16(65535 * shades(9)), photometric="miniswhite")
    bad = {
        "a.tif": white, "b.jpg": b"\0\0\0\x1cftypheic", "c.jpg": b"8BPS\0\1",
        "d.png": encoded(Image.new("1", (9000, 9000))), "e.jpg": b"",
    }  # fmt: skip
    for name, content in bad.items():
        (tmp_path / "set" / "cat" / name).write_bytes(content)
    found = data.check(
        tmp_path / "set", quarantine=tmp_path / "apart", verbose=False
    ).set_index("path")["code"]
    assert (found[[f"cat/{name}" for name in "a.tif b.jpg c.jpg".split()]]
            == "other_format").all()  # fmt: skip
    with (tmp_path / "apart" / "plan.csv").open() as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["./cat/e.jpg"]


def test_formats_that_people_have_are_read_as_pillow_reads_them(tmp_path):
    kinds = {
        "ppm": "PPM", "avif": "AVIF", "jp2": "JPEG2000", "tga": "TGA", "ico": "ICO",
        "dib": "DIB", "webp": "WEBP", "bmp": "BMP",
    }  # fmt: skip
    for i, (suffix, kind) in enumerate(kinds.items()):
        picture = Image.fromarray(as_colours(255 * shades(i), "uint8"))
        options = {"sizes": [(16, 16), (SIDE, SIDE)]} if kind == "ICO" else {}
        for name in ("cat", "dog"):
            (tmp_path / name).mkdir(exist_ok=True)
            picture.save(tmp_path / name / f"{i}.{suffix}", kind, **options)
    grey = np.rint(255 * shades(50)).astype("uint8")
    for i, magic in enumerate((b"P5", b"P2")):  # of GTSRB's kind, and as text
        rest = (
            grey.tobytes()
            if magic == b"P5"
            else b" ".join(b"%d" % v for v in grey.flat)
        )
        head = b"%s\n# a remark\n%d %d\n255\n" % (magic, SIDE, SIDE)
        (tmp_path / "cat" / f"{20 + i}.pgm").write_bytes(head + rest)
    photos = data.from_folder(tmp_path, image_size=SIDE, together="same")
    assert len(photos.manifest) == 2 * len(kinds) + 2
    assert not any(
        "left out" in note or "than their names" in note for note in photos.notes
    )
    for path, pixels in zip(photos.manifest["path"], photos.pixels, strict=True):
        expected = Image.open(tmp_path / path).convert("RGB")
        np.testing.assert_array_equal(pixels, np.asarray(expected), err_msg=path)


OTHERS = {  # what a file begins with: what is said of it
    b"\0\0\0\x1cftypheic": "HEIC", b"\0\0\0\x1cftypcrx ": "raw", b"8BPS": "Photoshop",
    b"v/1\x01": "OpenEXR", b"#?RADIANCE\n": "HDR", b"\xff\x0a": "JPEG XL",
    bytes(128) + b"DICM": "DICOM", b"SIMPLE  = T": "FITS", b"%PDF-1.4": "PDF",
    b"\x93NUMPY": "NumPy", b"<?xml?><svg>": "SVG", b"II+\0\x08": "BigTIFF",
    b"version https://git-lfs.github.com/spec/v1\n": "git lfs pull",
}  # fmt: skip


def test_a_picture_of_another_format_is_named_by_its_content(tmp_path):
    fill(tmp_path, "png", lambda s: encoded(np.rint(255 * s).astype("uint8")))
    contents = dict(
        enumerate([*OTHERS, encoded(as_colours(9 * shades(0), "uint8"), "EPS")])
    )
    for i, content in contents.items():
        (tmp_path / "cat" / f"x{i}.jpg").write_bytes(content)
    with pytest.raises(ValueError) as caught:
        data.from_folder(tmp_path)
    for i, words in enumerate(
        [*OTHERS.values(), "PostScript"]
    ):  # which Pillow would run
        line = next(x for x in str(caught.value).split("\n") if f"'cat/x{i}.jpg'" in x)
        assert words in line
    found = data.check(tmp_path, verbose=False)
    assert (found["code"] == "other_format").sum() == len(contents)


def test_photos_of_telephones_are_read_whatever_follows_them(tmp_path):
    photo = Image.fromarray(as_colours(255 * shades(1), "uint8"))
    jpeg, film = encoded(photo, "JPEG"), b"\0\0\0\x18ftypmp42" + os.urandom(200_000)
    second = [Image.fromarray(as_colours(255 * shades(2), "uint8"))]
    contents = {
        "film": jpeg + film, "samsung": jpeg + b"MotionPhoto_Data" + film + b"SEFT",
        "gain map": jpeg + encoded(second[0], "JPEG")[:-9],
        "two": encoded(photo, "MPO", save_all=True, append_images=second),
    }  # fmt: skip
    for name, content in contents.items():
        fill(
            tmp_path, "jpg", lambda s: encoded(np.rint(255 * s).astype("uint8"), "JPEG")
        )
        (tmp_path / "cat" / f"{name}.jpg").write_bytes(content)
    photos = data.from_folder(tmp_path, image_size=SIDE, together="same")
    seen = dict(zip(photos.manifest["path"], photos.pixels, strict=True))
    expected = np.asarray(Image.open(io.BytesIO(jpeg)))
    for name in contents:
        np.testing.assert_array_equal(seen[f"cat/{name}.jpg"], expected)
    found = data.check(tmp_path, verbose=False)
    assert "cat/film.jpg" in set(found.loc[found["code"] == "trailing_bytes", "path"])
    small = b"\xff\xe1\x10\0Exif\0\0" + encoded(photo, "JPEG")[:4000].ljust(4086, b"\0")
    small = small[:2000] + b"\xff\xd9" + small[2002:]  # a preview has an end, too
    halves = {
        "zeros": jpeg[:1500] + bytes(200_000), "cut": jpeg[:-3],
        "preview": jpeg[:2] + small + jpeg[2:1500] + bytes(200_000),
    }  # fmt: skip
    for name, content in halves.items():
        (tmp_path / "dog" / f"{name}.jpg").write_bytes(content)
    with pytest.raises(ValueError, match="(?s)3 of 15 .*cut short"):
        data.from_folder(tmp_path)


@pytest.mark.parametrize("size", [(8160, 6144), (16_320, 12_240)])
def test_a_telephone_of_50_or_200_megapixels_is_read(size):  # 2 s to make the file
    content = encoded(Image.new("L", size, 200), "JPEG")
    seen = decoding.decode(content, Reader(32))
    assert (seen.width, seen.height) == size and (seen.pixels == 200).all()


def test_a_jpeg_that_libjpeg_must_hold_in_whole_is_refused_sooner():
    content = encoded(as_colours(shades(0), "uint8"), "JPEG", progressive=True)
    place = content.index(b"\xff\xc2") + 5
    claims = content[:place] + struct.pack(">HH", 9000, 12000) + content[place + 4 :]
    with pytest.raises(ValueError, match="12000 x 9000 .* more than the 64 million"):
        decoding.decode(claims, Reader(32))


def test_what_goes_with_a_picture_does_not_spoil_it(tmp_path):
    grey = np.rint(255 * shades(3)).astype("uint8")
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "a" * 2_000_000, zip=True)  # Pillow's own limit is 1 MB
    jpeg = encoded(grey, "JPEG")
    exif = b"Exif\0\0http://ns.adobe.com/xap/"
    odd = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    big = encoded(grey, icc_profile=bytes(2_000_000))
    contents = [(encoded(grey, pnginfo=info), encoded(grey)), (big, encoded(grey))]
    for content, plain in [*contents, (odd, jpeg)]:
        seen, expected = (decoding.decode(x, Reader(SIDE)) for x in (content, plain))
        np.testing.assert_array_equal(seen.pixels, expected.pixels)
    head = struct.pack(">IIBBBBB", 1, 1, 16, 4, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(5))), (b"IEND", b"")]
    deep = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(x)) + k + x + struct.pack(">I", zlib.crc32(k + x))
        for k, x in parts
    )
    with pytest.raises(ValueError, match="16 bits with grey and transparency"):
        decoding.decode(deep, Reader(SIDE))


def test_a_deep_picture_is_turned_as_the_camera_says():
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = np.rint(65535 * shades(4)[:30])
    for kind in ("PNG", "TIFF"):
        content = encoded(deep.astype("uint16"), kind, exif=exif)
        seen = decoding.decode(content, Reader((SIDE, 30), True))
        assert (seen.width, seen.height) == (30, SIDE) and "rotated" in seen.traits
        difference = seen.pixels[..., 0] - np.rot90(deep, -1) * 255 / 65535
        assert np.abs(difference).max() <= 0.51
