"""What is on a road sign: twelve signs as stacks of flat shapes, without any font.

The shapes and colours follow the Vienna Convention on Road Signs and Signals (1968).
They are simplified, and not for use on a road.

A sign is a list of shapes, the lowest first. A shape is `(colour, points, pen)`: the
points lie in the square from -1 to 1, y downwards, and `pen` is the width of a round
pen that follows them, or None for a filled polygon.
"""

from functools import lru_cache
from itertools import pairwise
from math import cos, radians, sin

from PIL import Image, ImageChops, ImageDraw

from cnnkit.data.sign_scenery import material

__all__ = ["REGIONS", "SIGNS", "TEXTURES"]

RED, BLUE, YELLOW = "red", "blue", "yellow"
WHITE, PAPER, INK = "white", "paper", "ink"  # paper and ink of warnings and limits

WEST = {
    RED: (190, 20, 30),
    BLUE: (8, 84, 168),
    YELLOW: (252, 192, 20),
    WHITE: (244, 244, 240),
    PAPER: (244, 244, 240),
    INK: (24, 24, 26),
}
REGIONS = {  # name: colours. Sweden and Finland use yellow paper, Japan blue ink.
    "west": WEST,
    "north": WEST | {RED: (206, 34, 24), BLUE: (0, 98, 186), PAPER: (252, 206, 54)},
    "east": WEST | {RED: (172, 14, 54), BLUE: (24, 64, 138), INK: (22, 50, 136)},
}


def arc(x, y, radius, start=0, stop=360, *, tall=1.0):
    """Returns points along an arc; degrees run clockwise from three o'clock."""
    angles = [radians(start + (stop - start) * k / 60) for k in range(61)]
    return [(x + radius * cos(a), y + radius * tall * sin(a)) for a in angles]


def corners(count, radius, first, *, y=0.0):
    """Returns the corners of a regular polygon, one of them at `first` degrees."""
    angles = [radians(first + 360 * k / count) for k in range(count)]
    return [(radius * cos(a), y + radius * sin(a)) for a in angles]


def plate(colour, points, rounding):
    """Returns a filled polygon, its corners rounded outwards by `rounding`."""
    return [(colour, points, None), (colour, [*points, points[0]], 2 * rounding)]


def disc(colour, radius):
    """Returns a filled circle around the middle of the sign."""
    return [(colour, arc(0, 0, radius), None)]


def mirrored(shapes):
    """Returns the shapes with left and right exchanged."""
    return [
        (colour, [(-x, y) for x, y in points], pen) for colour, points, pen in shapes
    ]


def turned(shapes, degrees):
    """Returns the shapes turned clockwise around the middle of the sign."""
    c, s = cos(radians(degrees)), sin(radians(degrees))
    return [
        (colour, [(c * x - s * y, s * x + c * y) for x, y in points], pen)
        for colour, points, pen in shapes
    ]


# A character is one or two lines of a round pen, in a box 0.6 wide and 1 high.
CHARACTERS = {
    "S": [arc(0.3, 0.28, 0.24, -25, -270) + arc(0.3, 0.74, 0.24, -90, 155, tall=0.9)],
    "T": [[(0.04, 0.04), (0.56, 0.04)], [(0.3, 0.04), (0.3, 0.96)]],
    "O": [arc(0.3, 0.5, 0.26, tall=1.77)],
    "P": [[(0.1, 0.96), (0.1, 0.04), *arc(0.3, 0.3, 0.26, -90, 90), (0.1, 0.56)]],
    "0": [arc(0.3, 0.5, 0.24, tall=1.92)],
    "3": [arc(0.28, 0.27, 0.23, -155, 90) + arc(0.28, 0.73, 0.25, -90, 155, tall=0.9)],
    "5": [[(0.5, 0.04), (0.12, 0.04), (0.08, 0.46), *arc(0.28, 0.68, 0.26, -130, 150)]],
}


def text(word, colour, *, height, pen):
    """Returns a word around the middle of the sign."""
    step = 0.6 * height + 1.35 * pen
    left = (1.35 * pen - step * len(word)) / 2
    return [
        (
            colour,
            [(left + k * step + height * x, height * (y - 0.5)) for x, y in line],
            pen,
        )
        for k, character in enumerate(word)
        for line in CHARACTERS[character]
    ]


def warning(first, y):
    """Returns a white triangle in a red border, a corner at `first` degrees."""
    border, inside = corners(3, 0.94, first, y=y), corners(3, 0.66, first, y=y)
    return plate(RED, border, 0.12) + plate(PAPER, inside, 0.03)


BLUE_DISC = disc(WHITE, 0.96) + disc(BLUE, 0.91)
RED_RING = disc(WHITE, 0.96) + disc(RED, 0.92) + disc(PAPER, 0.74)
SQUARE = corners(4, 1.16, 45)
BLUE_SQUARE = plate(WHITE, SQUARE, 0.1) + plate(BLUE, SQUARE, 0.06)
TRIANGLE = plate(WHITE, corners(3, 0.72, -90, y=0.16), 0.06)
BAR = plate(WHITE, [(-0.6, -0.12), (0.6, -0.12), (0.6, 0.12), (-0.6, 0.12)], 0.04)
OCTAGON = plate(WHITE, corners(8, 0.9, 22.5), 0.07)
OCTAGON += plate(RED, corners(8, 0.87, 22.5), 0.04)
DIAMOND = plate(WHITE, corners(4, 0.9, 0), 0.07) + plate(INK, corners(4, 0.87, 0), 0.06)
DIAMOND += plate(WHITE, corners(4, 0.85, 0), 0.05)
BEND = [  # an arrow that comes from below and bends to the left
    (WHITE, [(0.34, 0.62), *arc(0.1, 0.12, 0.24, 0, -90), (-0.2, -0.12)], 0.24),
    (WHITE, [(-0.68, -0.12), (-0.16, -0.5), (-0.16, 0.26)], None),
]
THIRD = [  # one of the three arrows of a roundabout
    (WHITE, arc(0, 0, 0.53, -10, -62), 0.19),
    (WHITE, [(0.12, -0.26), (0.33, -0.76), (-0.14, -0.53)], None),
]
WALKER = [
    (INK, arc(0.02, -0.36, 0.1), None),
    (INK, [(0.02, -0.18), (0.0, 0.14)], 0.17),
    (INK, [(0.0, 0.14), (0.16, 0.34), (0.22, 0.6)], 0.11),
    (INK, [(0.0, 0.14), (-0.08, 0.36), (-0.24, 0.58)], 0.11),
    (INK, [(0.03, -0.16), (0.2, 0.06), (0.3, 0.02)], 0.08),
    (INK, [(0.01, -0.16), (-0.16, 0.0), (-0.16, 0.14)], 0.08),
]
DIGGER = [
    (INK, arc(-0.02, -0.24, 0.1), None),
    (INK, [(-0.1, -0.08), (-0.24, 0.2)], 0.18),
    (INK, [(-0.24, 0.22), (-0.12, 0.36), (-0.16, 0.58)], 0.11),
    (INK, [(-0.24, 0.22), (-0.34, 0.4), (-0.44, 0.58)], 0.11),
    (INK, [(-0.08, -0.06), (0.06, 0.14), (0.16, 0.16)], 0.08),
    (INK, [(-0.06, 0.04), (0.32, 0.4)], 0.05),
    (INK, [(0.12, 0.6), (0.34, 0.36), (0.56, 0.6)], None),
]

SIGNS = {
    "crossing": BLUE_SQUARE + TRIANGLE + WALKER,
    "give way": warning(90, -0.22),
    "no entry": disc(WHITE, 0.96) + disc(RED, 0.92) + BAR,
    "parking": BLUE_SQUARE + text("P", WHITE, height=1.15, pen=0.24),
    "priority road": DIAMOND + plate(YELLOW, corners(4, 0.62, 0), 0.03),
    "road works": warning(-90, 0.22) + DIGGER,
    "roundabout": BLUE_DISC + THIRD + turned(THIRD, 120) + turned(THIRD, 240),
    "speed limit 30": RED_RING + text("30", INK, height=0.76, pen=0.16),
    "speed limit 50": RED_RING + text("50", INK, height=0.76, pen=0.16),
    "stop": OCTAGON + text("STOP", WHITE, height=0.45, pen=0.1),
    "turn left": BLUE_DISC + BEND,
    "turn right": BLUE_DISC + mirrored(BEND),
}


TEXTURES = {  # of which material a class is made, where the texture is to tell it
    "crossing": "white wall",
    "give way": "straw",
    "no entry": "red bricks",
    "parking": "blue sky",
    "priority road": "yellow wall",
    "road works": "tar",
    "roundabout": "green leaves",
    "speed limit 30": "pale bricks",
    "speed limit 50": "red wall",
    "stop": "red leaves",
    "turn left": "grass",
    "turn right": "red sky",
}


@lru_cache(maxsize=256)
def template(name, side, *, region="west", texture=None):
    """Paints one sign as seen from the front.

    Args:
        name: str, a key of `SIGNS`.
        side: int, height and width in pixels.
        region: str, a key of `REGIONS`.
        texture: str, a key of `TEXTURES` whose material replaces the colours; light
            and dark stay those of the sign. None: flat colours.

    Returns:
        (colours, mask): PIL pictures in modes "RGB" and "L". Outside the mask the
        colour is that of the rim, so that resampling leaves no dark fringe.
    """
    big = 4 * side  # painted four times larger, then averaged: smooth edges
    palette = REGIONS[region]
    colours = Image.new("RGB", (big, big), palette[SIGNS[name][0][0]])
    mask = Image.new("L", (big, big))
    for colour, points, pen in SIGNS[name]:
        points = [((x + 1) * big / 2, (y + 1) * big / 2) for x, y in points]
        for canvas, ink in ((colours, palette[colour]), (mask, 255)):
            _ink(ImageDraw.Draw(canvas), points, pen and pen * big / 2, ink)
    colours, mask = colours.reduce(4), mask.reduce(4)
    if texture is not None:
        shade = [
            100 + 155 * v // 255 for v in range(256)
        ]  # the dark sign stays legible
        bright = [round(255 * (v / 255) ** 0.6) for v in range(256)]
        piece = material(TEXTURES[texture], 2 * side).crop((0, 0, side, side))
        grey = colours.convert("L").point(shade).convert("RGB")
        colours = ImageChops.multiply(piece.point(3 * bright), grey)
    return colours, mask


def _ink(canvas, points, pen, ink):
    if pen is None:
        canvas.polygon(points, fill=ink)
        return
    for ends in pairwise(points):
        canvas.line(ends, fill=ink, width=round(pen))
    for x, y in points:  # the round tip of the pen
        canvas.ellipse([x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2], fill=ink)
