"""What the drawn pictures show: decided here, by number, before anything is painted.

Picture i follows from the seed and i alone. Each dial has a luck of its own, so that
turning one changes nothing else: the same scenes with wrong labels, with another
texture, or at night.
"""

import random
from bisect import bisect
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate

from cnnkit.data.sign_scenery import BACKGROUNDS
from cnnkit.data.sign_shapes import REGIONS, SIGNS

CLASS_NAMES = tuple(sorted(SIGNS))  # the order in which a folder of classes is read

# name: light that falls on the background, and on the sign (red, green, blue)
LIGHTS = {
    "sun": ((1.1, 1.05, 0.98), (1.06, 1.03, 0.98)),
    "dull": ((0.72, 0.76, 0.8), (0.66, 0.7, 0.74)),
    "evening": ((1.0, 0.8, 0.62), (1.0, 0.82, 0.66)),
    "shade": ((0.9, 0.92, 0.95), (0.85, 0.88, 0.92)),  # and the shadow of a tree
    "night": ((0.17, 0.2, 0.32), (0.8, 0.78, 0.7)),  # headlights, and street lamps
}
WEATHERS = (*["clear"] * 7, "rain", "fog", "snow")
ATTRIBUTES = {  # what a whole scene has, and the values it can take
    "light": tuple(LIGHTS),
    "weather": WEATHERS,
    "background": tuple(BACKGROUNDS),
    "region": tuple(REGIONS),
}
TEXTURES = (None, "agree", "conflict")


@dataclass(frozen=True)
class Sign:
    """One sign in a scene. Lengths are fractions of the picture's side."""

    label: int
    scale: float  # diameter
    x: float  # its middle, from the left
    y: float  # and from the top
    rotation: float  # degrees clockwise
    yaw: float  # degrees that it is turned away to one side
    wear: float  # 0 (new) to 1 (nothing but dust)
    texture: int | None = None  # the class whose material it is made of


@dataclass(frozen=True)
class Scene:
    """What one picture shows."""

    light: str
    weather: str
    background: str
    region: str
    blur: float  # of the camera, in fractions of the picture's side
    noise: float  # of the camera, standard deviation in grey levels
    place: str  # the seed of the background
    moment: str  # the seed of all else that is left to luck
    signs: tuple[Sign, ...]


def luck(*seed):
    """Returns a `random.Random`.

    Args:
        seed: numbers and words, from which all of it follows.
    """
    return random.Random(" ".join(map(str, seed)))  # noqa: S311 (pictures, not keys)


def pick(chance, values):
    """Returns one of some values, each as likely as the others.

    Args:
        chance: `random.Random`.
        values: sequence.
    """
    return values[int(chance.random() * len(values))]


def decide(index, seed=0, *, imbalance=1, texture=None, signs=1):
    """Decides what a picture shows.

    Args:
        index: int from 0, which picture.
        seed: int, as for `signs.draw`, like all that follow.
        imbalance: float, 1 or more.
        texture: one of `TEXTURES`.
        signs: int, number of signs.

    Returns:
        `Scene`.
    """
    chance = luck(seed, index)
    attributes = {name: pick(chance, values) for name, values in ATTRIBUTES.items()}
    blur, noise = 0.012 * chance.random() ** 2, 7 * chance.random() ** 4
    across = next(k for k in (1, 2, 3) if signs <= k * k)  # a grid of places
    places = sorted(range(across**2), key=lambda _: chance.random())[:signs]
    found = []
    for turn, cell in enumerate(places, start=index * signs):
        label = label_of(turn, seed, imbalance)
        sign = _sign(label, chance, across, divmod(cell, across))
        found.append(replace(sign, texture=_texture(label, texture, seed, turn)))
    return Scene(
        **attributes, blur=blur, noise=noise, place=f"{seed} {index} place",
        moment=f"{seed} {index} moment", signs=tuple(found),
    )  # fmt: skip


def label_of(turn, seed, imbalance=1):
    """Returns which class comes in its turn.

    Balanced, each run of 12 has every class once, in mixed order. Otherwise class k of
    12 has a share of imbalance ** -(k / 11), as in Cui et al., CVPR 2019, section 5.1;
    a golden-ratio sequence keeps every stretch near these shares.

    Args:
        turn: int from 0.
        seed: int.
        imbalance: float, 1 or more.
    """
    if imbalance == 1:
        run, place = divmod(turn, len(CLASS_NAMES))
        return _class_order(run, seed)[place]
    total = _shares(imbalance)
    golden = (luck(seed, "classes").random() + turn * 0.6180339887498949) % 1
    return min(bisect(total, golden * total[-1]), len(CLASS_NAMES) - 1)


@lru_cache(maxsize=4)
def _class_order(run, seed):
    chance = luck(seed, run, "run")
    return sorted(range(len(CLASS_NAMES)), key=lambda _: chance.random())


@lru_cache(maxsize=4)
def _shares(imbalance):
    last = len(CLASS_NAMES) - 1
    return list(accumulate(imbalance ** -(k / last) for k in range(last + 1)))


def _sign(label, chance, across, cell):
    """A sign somewhere in one cell of a grid of across x across."""
    scale = 0.15 + 0.67 * chance.random() ** 0.65  # some are too far away to be read
    room = 1 - 0.95 * scale  # a sign may just touch the edge of its cell
    row, column = cell
    return Sign(
        label=label,
        scale=scale / across,
        x=(column + 0.5 + room * (chance.random() - 0.5)) / across,
        y=(row + 0.5 + room * (chance.random() - 0.5)) / across,
        rotation=24 * (chance.random() - 0.5),  # left never looks like right
        yaw=80 * (chance.random() - 0.5),
        wear=0.9 * chance.random() ** 2,
    )


def _texture(label, texture, seed, turn):
    """The class of whose material a sign is made; None for flat colours."""
    if texture != "conflict":
        return label if texture == "agree" else None
    others = [k for k in range(len(CLASS_NAMES)) if k != label]
    return pick(luck(seed, turn, "texture"), others)


def seen_again(first, scene):
    """Returns a scene at another moment: the place, the light and the sign of `first`.

    Only what a passing camera changes is that of `scene`: where the sign stands in the
    picture, how large and from which side, blur and noise.

    Args:
        first: `Scene`, the place.
        scene: `Scene` with as many signs, the moment.
    """
    now = [
        replace(there, label=sign.label, wear=sign.wear, texture=sign.texture)
        for sign, there in zip(first.signs, scene.signs, strict=True)
    ]
    return replace(
        first, blur=scene.blur, noise=scene.noise, moment=scene.moment, signs=tuple(now)
    )


def tie(scene, bias, strength, chance):
    """Returns a scene whose attributes give its class away, as in Waterbirds.

    Args:
        scene: `Scene` with one sign.
        bias: dict from a class name to a value of `ATTRIBUTES`, such as
            {"stop": "night"}.
        strength: float from 0 to 1: how often the class has its value and how often
            other classes that would have it are given another.
        chance: `random.Random` of this picture.

    Returns:
        `Scene`.
    """
    own = bias.get(CLASS_NAMES[scene.signs[0].label])
    held = chance.random() < strength
    for name, values in ATTRIBUTES.items():
        tied = [value for value in bias.values() if value in values]
        free = [value for value in values if value not in tied]
        now = getattr(scene, name)
        if own in values and held:
            scene = replace(scene, **{name: own})
        elif now in tied and (held or now == own) and free:
            scene = replace(scene, **{name: pick(chance, free)})
    return scene
