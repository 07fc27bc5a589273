"""Road signs drawn by this code: the pictures of every lesson, at any size.

A picture is made the way a photograph is. First the scene is decided (`decide`): which
sign, how large, where, in front of what, in which light. Then it is painted (`paint`):
the background, the sign seen at an angle, the light on both, and what the camera adds.
No photograph, no font and no file is read, so there is nothing to license.

The same pictures as PNG files in one folder for each class, with their attributes::

    python -m cnnkit.data.signs FOLDER --pictures 600 --size 48
"""

import argparse
import csv
import math
from collections import Counter
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from cnnkit.data import sign_scenery
from cnnkit.data.sign_scenery import BACKGROUNDS, cut_out, faint, lit, paste
from cnnkit.data.sign_shapes import SIGNS, template

CLASS_NAMES = tuple(sorted(SIGNS))  # the order in which a folder of classes is read
SIZES = (24, 256)  # smallest and largest picture, in pixels
DUST = (120, 112, 100)

# name: light that falls on the background, and on the sign (red, green, blue)
LIGHTS = {
    "sun": ((1.1, 1.05, 0.98), (1.06, 1.03, 0.98)),
    "dull": ((0.72, 0.76, 0.8), (0.66, 0.7, 0.74)),
    "evening": ((1.0, 0.8, 0.62), (1.0, 0.82, 0.66)),
    "shade": ((0.9, 0.92, 0.95), (0.85, 0.88, 0.92)),  # and the shadow of a tree
    "night": ((0.17, 0.2, 0.32), (0.8, 0.78, 0.7)),  # headlights, and street lamps
}


@dataclass(frozen=True)
class Signs:
    """Pictures of road signs.

    Attributes:
        images: uint8 array of shape (n, size, size, 3), RGB.
        labels: int64 array of shape (n,), positions in `CLASS_NAMES`.
    """

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Scene:
    """What one picture shows. Lengths are fractions of the picture's side."""

    label: int
    background: str
    light: str
    scale: float  # diameter of the sign
    x: float  # its middle, from the left
    y: float  # and from the top
    rotation: float  # degrees clockwise
    yaw: float  # degrees that it is turned away to one side
    wear: float  # 0 (new) to 1 (nothing but dust)
    blur: float  # of the camera
    noise: float  # of the camera, standard deviation in grey levels


def draw(n, *, size=64, seed=0):
    """Draws road signs.

    Picture i follows from seed, size and i alone, so a longer draw begins with the
    shorter one; at another size it shows the same scene. Each run of 12 pictures has
    every class once, in mixed order.

    Args:
        n: int, number of pictures, 1 or more.
        size: int, height and width of a picture in pixels, 24 to 256.
        seed: int, 0 or more; another seed gives other pictures.

    Returns:
        A `Signs`: images, uint8 of shape (n, size, size, 3), and labels, int64 of
        shape (n,).

    Raises:
        ValueError: an argument is not a whole number in its range.

    Example:
        >>> signs = draw(24, size=32)
        >>> signs.images.shape
        (24, 32, 32, 3)
    """
    _check(n, size, seed)
    images = np.empty((n, size, size, 3), "uint8")
    labels = np.empty(n, "int64")
    for i in range(n):
        scene = decide(i, seed)
        images[i] = paint(scene, size, np.random.default_rng((seed, i, 1)))
        labels[i] = scene.label
    return Signs(images, labels)


def decide(index, seed):
    """Decides what a picture shows.

    Args:
        index: int from 0, which picture.
        seed: int, as for `draw`.

    Returns:
        `Scene`.
    """
    run, place = divmod(index, len(CLASS_NAMES))
    rng = np.random.default_rng((seed, index, 2))
    where, light = rng.integers((len(BACKGROUNDS), len(LIGHTS)))
    scale, x, y, turn, yaw, wear, blur, noise = rng.random(8).tolist()
    scale = 0.42 + 0.42 * scale
    room = 1 - 0.95 * scale  # a sign may just touch the edge of the picture
    return Scene(
        label=_class_order(run, seed)[place],
        background=list(BACKGROUNDS)[where],
        light=list(LIGHTS)[light],
        scale=scale,
        x=0.5 + room * (x - 0.5),
        y=0.5 + room * (y - 0.5),
        rotation=24 * (turn - 0.5),  # so little that left never looks like right
        yaw=80 * (yaw - 0.5),
        wear=0.9 * wear**2,
        blur=0.016 * blur**2,
        noise=7 * noise**4,
    )


@lru_cache(maxsize=4)
def _class_order(run, seed):
    rng = np.random.default_rng((seed, run, 3))
    return rng.permutation(len(CLASS_NAMES)).tolist()


def paint(scene, size, rng):
    """Paints a scene.

    Args:
        scene: `Scene`.
        size: int, height and width in pixels.
        rng: `numpy.random.Generator`, for all that the scene leaves open. Single
            pixels come last, so that the scene is the same at every size.

    Returns:
        uint8 array of shape (size, size, 3).
    """
    on_background, on_sign = np.array(LIGHTS[scene.light]) * (0.9 + 0.4 * rng.random())
    sign, mask = place(scene, size)
    picture = lit(_behind(scene, mask, rng), on_background * rng.uniform(0.85, 1.15, 3))
    if scene.light == "night":
        picture = ImageChops.add(picture, sign_scenery.lamps(rng, size))

    dirt = cut_out("dirt", rng, size).convert("L")
    sign.paste(DUST, mask=faint(dirt, scene.wear))
    sign = lit(sign, on_sign)
    if scene.light == "shade":
        shadow = cut_out("shadow", rng, size).convert("L")
        picture.paste(0, mask=faint(shadow, 0.25))
        sign.paste(0, mask=faint(shadow, 0.6))

    picture.paste(sign, mask=mask)
    # Light falls more on one corner than on another: four greys, and all between.
    corners = Image.fromarray(rng.integers(180, 256, (2, 2)).astype("uint8"))
    falling = corners.resize((size, size), Image.Resampling.BILINEAR)
    picture = ImageChops.multiply(picture, falling.convert("RGB"))
    picture = picture.filter(ImageFilter.GaussianBlur(scene.blur * size))
    image = scene.noise * rng.standard_normal((size, size, 3), dtype="float32")
    # 64 levels of each colour: no eye sees it, and a file takes a third less.
    return np.clip(image + picture + 2, 0, 255).astype("uint8") & 0b11111100


def place(scene, size):
    """Returns the sign of a scene where it stands in the picture.

    Args:
        scene: `Scene`.
        size: int, height and width of the picture in pixels.

    Returns:
        (colours, mask): PIL pictures of the whole size, in modes "RGB" and "L".
    """
    radius, turn, yaw = scene.scale / 2, *np.radians((scene.rotation, scene.yaw))
    c, s = radius * math.cos(turn), radius * math.sin(turn)
    # Three steps, as matrices on (x, y, 1): from the unit square of the sign, turn it
    # away (the far side gets smaller), put it into the unit square of the picture.
    away = [[math.cos(yaw), 0, 0], [0, 1, 0], [0.2 * math.sin(yaw), 0, 1]]
    there = [[c, -s, scene.x], [s, c, scene.y], [0, 0, 1]]
    # The template is at most twice as large as needed: bilinear sampling stays smooth.
    side = next(k for k in (16, 32, 64, 128, 256) if k >= scene.scale * size)
    enlarge = np.array([[side / 2, 0, side / 2], [0, side / 2, side / 2], [0, 0, 1]])
    # Pillow asks the way back: which point of the template does a pixel show?
    back = enlarge @ np.linalg.inv(np.array(there) @ away) / np.array([size, size, 1])
    back = (back / back[2, 2]).ravel()[:8].tolist()
    way = (Image.Transform.PERSPECTIVE, back, Image.Resampling.BILINEAR)
    name = CLASS_NAMES[scene.label]
    return tuple(part.transform((size, size), *way) for part in template(name, side))


def _behind(scene, mask, rng):
    """All that is behind the sign, out of focus, and the sign's post and shadow."""
    size = mask.width
    picture = sign_scenery.background(scene.background, rng, size // 2)
    picture = picture.filter(ImageFilter.GaussianBlur(0.01 * size * rng.random()))
    picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    left, right = scene.x - 0.04 * scene.scale, scene.x + 0.04 * scene.scale
    post = [(left, scene.y), (right, scene.y), (right, 1), (left, 1)]
    paste(picture, "steel", rng, post)
    step = round(0.03 * scene.scale * size)
    picture.paste(0, (step, step), faint(mask, 0.35))
    return picture


def write(folder, *, pictures=600, size=64, seed=0):
    """Writes drawn signs as PNG files, a folder for each class, and `manifest.csv`.

    Args:
        folder: path of a new or empty folder.
        pictures: int, number of pictures, 1 or more.
        size: int, height and width of a picture in pixels, 24 to 256.
        seed: int, 0 or more; as for `draw`.

    Returns:
        `pathlib.Path` of the manifest. Its row i is picture i of `draw`: path in the
        folder, label, class name, and what else the `Scene` says.

    Raises:
        FileExistsError: the folder has something in it.
        ValueError: an argument is not a whole number in its range.
    """
    _check(pictures, size, seed)
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            "The pictures need a folder of their own, so that no file is overwritten. "
            f"Name a new or an empty folder. Received: {str(folder)!r}"
        )
    rows, seen = [], Counter()
    drawn = draw(pictures, size=size, seed=seed)
    for i, (image, label) in enumerate(zip(drawn.images, drawn.labels, strict=True)):
        name = CLASS_NAMES[label]
        path = f"{name}/{name.replace(' ', '_')}_{seen[name]:03d}.png"
        seen[name] += 1
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / path, optimize=True)
        scene = asdict(decide(i, seed))
        scene = {k: round(v, 3) if type(v) is float else v for k, v in scene.items()}
        rows.append({"path": path, "label": scene.pop("label"), "class": name} | scene)
    manifest = folder / "manifest.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    return manifest


def _check(n, size, seed):
    for name, value, low, high in (
        ("the number of pictures", n, 1, math.inf),
        ("size", size, *SIZES),
        ("seed", seed, 0, math.inf),
    ):
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or not low <= value <= high:
            limits = f"{low} or more" if high == math.inf else f"from {low} to {high}"
            raise ValueError(
                f"{name} must be a whole number, {limits}. Received: {value!r}"
            )


def main():
    """Runs `python -m cnnkit.data.signs`."""
    parser = argparse.ArgumentParser(
        prog="python -m cnnkit.data.signs", description="Write road signs as PNG files."
    )
    parser.add_argument("folder", help="a new or empty folder")
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--size", type=int, default=64, help="pixels, 24 to 256")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        print("Written:", write(**vars(arguments)))
    except (FileExistsError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
