"""What is behind a road sign: sky, trees, roads, houses, walls, as cut-outs.

A material is a field of grey values from 0 to 1, seen through a ramp of colours. Each
is painted once, 512 pixels wide and always the same; a picture shows a piece of its
own. A region says where a material lies: a polygon in the unit square, y downwards.

`luck` is a `random.Random`: what is left to chance follows from its seed.
"""

from functools import lru_cache
from math import cos, radians, sin

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

__all__ = ["BACKGROUNDS", "background", "cut_out", "faint", "lamps", "lit", "paste"]

TILE = 512  # height and width of a material, in pixels
ZOOMS = (1.1, 1.3, 1.55, 1.8)  # side of a material, where the side of its piece is 1


def grain(rng, roughness):
    """Noise whose waves fade as frequency ** -roughness: tar (0.5) to clouds (1.6)."""
    down, across = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    fading = np.maximum(np.hypot(down, across), 1 / TILE) ** -roughness
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((TILE, TILE))) * fading)
    return 0.5 + 0.2 * (field - field.mean()) / field.std()


def leaves(rng, count):
    """Leaves over leaves; the deeper they lie, the darker."""
    picture = Image.new("L", (TILE, TILE))
    canvas = ImageDraw.Draw(picture)
    rim = [(20 * cos(radians(a)), 9 * sin(radians(a))) for a in range(0, 360, 20)]
    for k in range(count):
        x, y, turn = rng.random(3) * (TILE, TILE, 360)
        c, s = cos(radians(turn)), sin(radians(turn))
        tone = int(255 * (0.15 + 0.6 * k / count + 0.25 * rng.random()))
        canvas.polygon([(x + c * a - s * b, y + s * a + c * b) for a, b in rim], tone)
    return np.asarray(picture) / 255


def bricks(rng, rows):
    """Rows of bricks, each brick of its own tone, between light joints."""
    height = TILE // rows
    y, x = np.mgrid[:TILE, :TILE]
    row = y // height
    x = x + row % 2 * height
    tone = (0.15 + 0.5 * rng.random((rows, rows)))[row, x // (2 * height)]
    joint = (y % height < height / 9) | (x % (2 * height) < height / 9)
    return np.where(joint, 1.0, tone + 0.2 * (grain(rng, 0.6) - 0.5))


def windows(rng, rows):
    """A plastered wall with rows of windows, some darker than others."""
    y, x = np.mgrid[:TILE, :TILE] * rows / TILE
    across, down = abs(x % 1 - 0.5), abs(y % 1 - 0.5)
    glass = 0.3 * rng.random((rows, rows))[y.astype(int), x.astype(int)]
    wall = 0.6 + 0.3 * (grain(rng, 1.5) - 0.5)
    frame = np.where((across < 0.27) & (down < 0.35), 1.0, wall)
    return np.where((across < 0.22) & (down < 0.3), glass, frame)


def strokes(rng, count):
    """Rain: thin lines that fall a little to one side, some longer than others."""
    picture = Image.new("L", (TILE, TILE))
    canvas = ImageDraw.Draw(picture)
    for x, y, length, tone in rng.random((count, 4)) * (TILE, TILE, 1, 1):
        end = (x + 8 + 10 * length, y + 30 + 40 * length)
        canvas.line([(x, y), end], int(110 + 140 * tone), width=3)
    return np.asarray(picture) / 255


def flakes(rng, count):
    """Snow: soft discs, the near ones larger."""
    picture = Image.new("L", (TILE, TILE))
    canvas = ImageDraw.Draw(picture)
    for x, y, near in rng.random((count, 3)) * (TILE, TILE, 1):
        r = 3 + 9 * near**3
        canvas.ellipse([x - r, y - r, x + r, y + r], int(255 - 90 * near))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(1.5))) / 255


MATERIALS = {  # name: the pattern, its number, and colours from dark to light
    "blue sky": (grain, 1.6, "3470be 629cd8 a0c6e8 f0f3f6"),
    "grey sky": (grain, 1.7, "808c9a a8b2be ced4da eceef0"),
    "red sky": (grain, 1.8, "54588c be7882 f4a86e ffe2aa"),
    "green leaves": (leaves, 2600, "0e1c0e 284a22 507432 96aa5c"),
    "red leaves": (leaves, 2600, "26100a 743018 b45c22 e2ac4a"),
    "grass": (grain, 0.7, "263e14 4c6c26 708c3a aab062"),
    "straw": (grain, 0.7, "605028 947e46 baa468 d8c896"),
    "tar": (grain, 0.5, "34363a 525458 686a6e 8c8e90"),
    "paint": (grain, 1.0, "bebeb8 dcdcd6 ecece6"),
    "steel": (grain, 1.5, "787c80 9ca0a4 b0b4b8"),
    "dirt": (grain, 1.5, "00 ff"),  # greys: how much of it there is
    "shadow": (grain, 1.6, "00 00 ff ff"),
    "rain": (strokes, 330, "00 ff"),
    "snow": (flakes, 420, "00 ff"),
    "red bricks": (bricks, 16, "622820 9c4a38 b86850 cec4b8"),
    "pale bricks": (bricks, 16, "8c7860 baa482 cebc9c e2dcd0"),
    "white wall": (windows, 5, "1c242e 5a6c7e cecac0 f6f6f2"),
    "red wall": (windows, 6, "181e26 604642 b2604e f0ece4"),
    "yellow wall": (windows, 6, "1a222c 6e685a d8b670 f6f4ee"),
}


@lru_cache(maxsize=160)
def material(name, side):
    """Paints a material, side x side pixels; its name is the seed.

    Args:
        name: str, a key of `MATERIALS`.
        side: int, height and width in pixels, at most 512.

    Returns:
        A PIL picture, in mode "RGB" or, where the colours are greys, "L".
    """
    if side < TILE:
        return material(name, TILE).resize((side, side), Image.Resampling.BOX)
    pattern, number, colours = MATERIALS[name]
    field = pattern(np.random.default_rng(list(name.encode())), number)
    ramp = np.array([list(bytes.fromhex(colour)) for colour in colours.split()])
    stops = np.linspace(0, 1, len(ramp))
    channels = [np.interp(field, stops, channel) for channel in ramp.T]
    return Image.fromarray(np.stack(channels, axis=-1).squeeze().astype("uint8"))


def cut_out(name, luck, size, box=None):
    """Returns a piece of a material, from a place that is left to luck.

    Args:
        name: str, a key of `MATERIALS`.
        luck: `random.Random`.
        size: int, height and width in pixels, at most 256.
        box: (left, top, right, bottom), pixels of the piece that are enough; None for
            all of it.
    """
    tile = material(name, int(size * ZOOMS[int(luck.random() * len(ZOOMS))]))
    room = tile.width - size + 1
    x, y = int(luck.random() * room), int(luck.random() * room)
    left, top, right, bottom = box or (0, 0, size, size)
    return tile.crop((x + left, y + top, x + right, y + bottom))


def paste(picture, name, luck, region):
    """Lays a piece of a material into a region of a picture.

    Args:
        picture: square PIL picture in mode "RGB", which is changed.
        name: str, a key of `MATERIALS`.
        luck: `random.Random`.
        region: (left, top, right, bottom), or the corners of a polygon, [(x, y), ...].
    """
    size = picture.width
    if isinstance(region, tuple):
        left, top, right, bottom = (round(size * k) for k in region)
        box = (max(0, left), max(0, top), min(size, max(right, left + 1)), bottom)
        if box[0] < box[2] and box[1] < box[3]:
            picture.paste(cut_out(name, luck, size, box), box)
        return
    mask = Image.new("L", (2 * size, 2 * size))  # twice as large: smooth edges
    corners = [(2 * size * x, 2 * size * y) for x, y in region]
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    picture.paste(cut_out(name, luck, size), mask=mask.reduce(2))


def everywhere(luck, horizon, bend):
    """The whole picture."""
    return 0, 0, 1, 1


def treeline(luck, horizon, bend):
    """Tops of trees around the horizon."""
    high = 0.22 * luck.random()
    tops = [(k / 17, horizon - 0.04 - high * luck.random()) for k in range(18)]
    return [(0, 1), *tops, (1, 1)]


def ground(luck, horizon, bend):
    """All below the horizon."""
    return 0, horizon, 1, 1


def house(luck, horizon, bend):
    """One house, somewhere."""
    left, width, top = (
        luck.random() - 0.3,
        0.35 + 0.3 * luck.random(),
        luck.random() / 2,
    )
    return left, top, left + width, 1


def road(luck, horizon, bend):
    """A road that comes from the horizon."""
    return stripe(horizon, bend, 0.04, 1.1)


def middle_line(luck, horizon, bend):
    """The painted line along the road."""
    return stripe(horizon, bend, 0.004, 0.05)


def stripe(horizon, bend, far, near):
    """A stripe along the road, `far` wide at the horizon and `near` wide in front."""
    x, y = 0.5 + 0.4 * bend, 0.5 - 0.3 * bend
    left, right = (x - far / 2, horizon), (x + far / 2, horizon)
    return [left, right, (y + near / 2, 1), (y - near / 2, 1)]


SKIES, TREES = ("blue sky", "grey sky", "red sky"), ("green leaves", "red leaves")
FIELDS, WALLS = ("grass", "straw"), ("white wall", "red wall", "yellow wall")
BRICKS, TAR, PAINT = ("red bricks", "pale bricks"), ("tar",), ("paint",)

BACKGROUNDS = {  # name: (materials to choose from, region), the farthest first
    "sky": [(SKIES, everywhere), (TREES, treeline)],
    "road": [
        *((SKIES, everywhere), (TREES, treeline), (FIELDS, ground)),
        *((TAR, road), (PAINT, middle_line)),
    ],
    "leaves": [(TREES, everywhere)],
    "houses": [(SKIES, everywhere), (WALLS, house), (WALLS, house), (TAR, ground)],
    "bricks": [(BRICKS, everywhere)],
}


def background(name, luck, size):
    """Paints what is behind a sign, as a PIL picture in mode "RGB".

    Args:
        name: str, a key of `BACKGROUNDS`.
        luck: `random.Random`.
        size: int, height and width in pixels.
    """
    picture = Image.new("RGB", (size, size))
    horizon, bend = 0.55 + 0.35 * luck.random(), 2 * luck.random() - 1
    for choice, region in BACKGROUNDS[name]:
        chosen = choice[int(luck.random() * len(choice))]
        paste(picture, chosen, luck, region(luck, horizon, bend))
    return picture


def lit(picture, light):
    """Returns a picture under a light.

    Args:
        picture: PIL picture in mode "RGB".
        light: how much of red, green and blue falls on it; 1 leaves a colour as it is.
    """
    red, green, blue = light
    return picture.convert("RGB", (red, 0, 0, 0, 0, green, 0, 0, 0, 0, blue, 0))


def faint(mask, strength):
    """Returns a weaker mask.

    Args:
        mask: PIL picture in mode "L".
        strength: float from 0 (nothing) to 1 (the mask as it is).
    """
    return Image.blend(Image.new("L", mask.size), mask, strength)


def lamps(luck, size):
    """Returns the light of street lamps, out of focus, on black.

    Args:
        luck: `random.Random`.
        size: int, height and width in pixels.
    """
    glow = Image.new("RGB", (size, size))
    canvas = ImageDraw.Draw(glow)
    for _ in range(8):
        x, y = size * luck.random(), 0.7 * size * luck.random()
        r, warmth = size * (0.015 + 0.06 * luck.random()), luck.random()
        colour = (150, int(90 + 50 * warmth), int(20 + 110 * warmth))
        canvas.ellipse([x - r, y - r, x + r, y + r], fill=colour)
    return glow.filter(ImageFilter.GaussianBlur(0.008 * size))
