"""Paints a scene as a photograph is made: background, sign, light, weather, camera.

No photograph, no font and no file is read, so there is nothing to license.
"""

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from cnnkit.data import sign_scenery
from cnnkit.data.sign_scenery import cut_out, faint, lit, paste
from cnnkit.data.sign_scenes import CLASS_NAMES, LIGHTS, luck
from cnnkit.data.sign_shapes import template

DUST, MIST, DROPS, FLAKES = (120, 112, 100), (196, 200, 204), (205, 212, 220), "white"
SHARP = 0.35  # a blur of a smaller radius, in pixels, changes nothing that is seen


def paint(scene, size):
    """Paints a scene.

    Args:
        scene: `Scene`.
        size: int, height and width in pixels.

    Returns:
        (image, mask, boxes): uint8 array of shape (size, size, 3); uint8 array of shape
        (size, size), 0 for the background and k for sign k, counted from 1; a list of
        (left, top, right, bottom) in pixels, one for each sign.
    """
    chance = luck(scene.moment)
    bright = 0.9 + 0.4 * chance.random()
    on_background, on_sign = ([bright * c for c in k] for k in LIGHTS[scene.light])
    placed = [place(sign, size, region=scene.region) for sign in scene.signs]
    picture = _behind(scene, placed, size)
    picture = lit(picture, [c * (0.85 + 0.3 * chance.random()) for c in on_background])
    if scene.light == "night":
        picture = ImageChops.add(picture, sign_scenery.lamps(chance, size))
    shadow = cut_out("shadow", chance, size) if scene.light == "shade" else None
    if shadow:
        picture.paste(0, mask=faint(shadow, 0.25))
    mist = 0.25 + 0.3 * chance.random() if scene.weather == "fog" else 0
    if mist:
        picture = Image.blend(picture, Image.new("RGB", (size, size), MIST), mist)

    masks, boxes = np.zeros((size, size), "uint8"), []
    dirt = cut_out("dirt", chance, size)
    for k, (sign, (colours, mask, corner)) in enumerate(
        zip(scene.signs, placed, strict=True), start=1
    ):
        around = (*corner, corner[0] + mask.width, corner[1] + mask.height)
        colours.paste(DUST, mask=faint(dirt.crop(around), sign.wear))
        colours = lit(colours, on_sign)
        if shadow:
            colours.paste(0, mask=faint(shadow.crop(around), 0.6))
        if mist:  # less air lies before the sign than before what is behind it
            fog = Image.new("RGB", mask.size, MIST)
            colours = Image.blend(colours, fog, 0.6 * mist)
        picture.paste(colours, corner, mask)
        solid = np.asarray(mask) > 127
        left, top, right, bottom = around
        masks[top:bottom, left:right][solid] = k
        rows, columns = solid.any(axis=1).nonzero()[0], solid.any(axis=0).nonzero()[0]
        boxes.append(
            (
                left + columns[0],
                top + rows[0],
                left + columns[-1] + 1,
                top + rows[-1] + 1,
            )
        )
    return _camera(picture, scene, chance), masks, boxes


def _camera(picture, scene, chance):
    """Rain and snow before the lens, light that falls unevenly, blur and noise."""
    size = picture.width
    if scene.weather == "rain":
        picture.paste(DROPS, mask=faint(cut_out("rain", chance, size), 0.55))
    elif scene.weather == "snow":
        picture.paste(FLAKES, mask=faint(cut_out("snow", chance, size), 0.9))
    if scene.blur * size > SHARP:  # a lens out of focus makes discs, nearly boxes
        sigma = scene.blur * size
        picture = picture.filter(
            ImageFilter.BoxBlur((math.hypot(1, sigma * 12**0.5) - 1) / 2)
        )
    grains, across = _grains(), np.arange(size, dtype="float32") / (size - 1)
    x, y = (int(chance.random() * (len(grains) - size)) for _ in range(2))
    corners = (0.7 + 0.3 * chance.random() for _ in range(4))
    top, bottom = (a + (b - a) * across for a, b in zip(corners, corners, strict=True))
    falling = top + (bottom - top) * across[:, None]
    values = np.asarray(picture) * falling[..., None]
    values += scene.noise * grains[y : y + size, x : x + size] + 2
    # 64 levels of each colour: no eye sees it, and a file takes a third less.
    return values.clip(0, 255, out=values).astype("uint8") & 0b11111100


@lru_cache(maxsize=1)
def _grains():
    """Noise for all pictures: each shows a piece of it."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((400, 400, 3), dtype="float32")


def place(sign, size, *, region="west"):
    """Returns a sign as it stands in a picture.

    Args:
        sign: `Sign`.
        size: int, height and width of the picture in pixels.
        region: str, a key of `REGIONS`.

    Returns:
        (colours, mask, corner): PIL pictures in modes "RGB" and "L", no larger than
        needed, and where their left upper corner lies, (x, y) in pixels.
    """
    radius, turn, yaw = sign.scale / 2, *map(math.radians, (sign.rotation, sign.yaw))
    c, s, narrow = math.cos(turn), math.sin(turn), math.cos(yaw)
    far = 0.2 * math.sin(yaw)  # the side that is turned away gets smaller
    reach = 1.1 * radius / (1 - abs(far))
    left, top = (max(0, math.floor(size * (k - reach))) for k in (sign.x, sign.y))
    right, bottom = (min(size, math.ceil(size * (k + reach))) for k in (sign.x, sign.y))
    # The template is at most twice as large as needed: bilinear sampling stays smooth.
    side = next(k for k in (16, 32, 64, 128, 256) if k >= sign.scale * size)
    name = CLASS_NAMES[sign.label]
    texture = None if sign.texture is None else CLASS_NAMES[sign.texture]
    # Pillow asks the way back: which point of the template does a pixel (x, y) show?
    # First undo the move and the turn: p and q lie in the square from -1 to 1, each as
    # (factor of x, factor of y, constant).
    x, y = left / size - sign.x, top / size - sign.y
    p = [c / radius / size, s / radius / size, (c * x + s * y) / radius]
    q = [-s / radius / size, c / radius / size, (c * y - s * x) / radius]
    # Seen at an angle, u = p / (narrow - far p) and v = q narrow / (narrow - far p).
    below = [-far * k for k in p]
    below[2] += narrow
    half = side / 2
    rows = (
        [half * (k + b) for k, b in zip(p, below, strict=True)],
        [half * (narrow * k + b) for k, b in zip(q, below, strict=True)],
        below,
    )
    back = [k / below[2] for row in rows for k in row][:8]
    way = (Image.Transform.PERSPECTIVE, back, Image.Resampling.BILINEAR)
    seen = (right - left, bottom - top)
    colours, mask = (
        part.transform(seen, *way)
        for part in template(name, side, region=region, texture=texture)
    )
    return colours, mask, (left, top)


def _behind(scene, placed, size):
    """All that is behind the signs, out of focus, and their posts and shadows."""
    chance = luck(scene.place)
    picture = sign_scenery.background(scene.background, chance, size // 2)
    blur = 0.01 * size * chance.random()
    if blur > SHARP:
        picture = picture.filter(ImageFilter.GaussianBlur(blur))
    picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    for sign, (_, mask, (x, y)) in zip(scene.signs, placed, strict=True):
        left, right = sign.x - 0.04 * sign.scale, sign.x + 0.04 * sign.scale
        paste(picture, "steel", chance, (left, sign.y, right, 1))
        step = round(0.03 * sign.scale * size)
        picture.paste(0, (x + step, y + step), faint(mask, 0.35))
    return picture
