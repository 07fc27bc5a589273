"""Road signs drawn by this code: the pictures of every lesson, with all their labels.

A picture is made the way a photograph is. First the scene is decided
(`sign_scenes.decide`): which sign, how large, where, in front of what, in which light.
Then it is painted (`sign_painting.paint`). Everything that is known about a picture
comes with it, and dials make the world as bad as real ones are: rare classes, wrong
labels, copies, pictures of one place, light that gives the class away.

The same pictures as PNG files in one folder for each class, with their attributes::

    python -m cnnkit.data.signs FOLDER --pictures 600 --size 48
"""

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from cnnkit.data import corruptions, writing
from cnnkit.data.sign_dials import check, near_copy, said
from cnnkit.data.sign_painting import paint
from cnnkit.data.sign_scenes import (
    ATTRIBUTES,
    CLASS_NAMES,
    decide,
    luck,
    pick,
    seen_again,
    tie,
)

WHERE = {
    "sky": "against the sky",
    "road": "by a road",
    "leaves": "in front of leaves",
    "houses": "among houses",
    "bricks": "in front of a brick wall",
}
WHEN = {
    "sun": "in the sun",
    "dull": "on a dull day",
    "evening": "in the evening",
    "shade": "in the shade of a tree",
    "night": "at night",
}
DIRTY = 0.35  # wear from which a sentence calls a sign dirty
SEEN = ("wear", "scale", "x", "y", "rotation", "yaw")
NUMBERS = "No One Two Three Four Five Six Seven Eight Nine".split()


@dataclass(frozen=True)
class Signs:
    """Pictures of road signs and what is known about them.

    Attributes:
        images: uint8 array of shape (n, size, size, 3), RGB.
        labels: int64 array of shape (n,), positions in `CLASS_NAMES`. With several
            signs in a scene a list of n such arrays, as are the boxes.
        boxes: float32 array of shape (n, 4): left, top, right and bottom of the part
            of the sign that is seen, in pixels.
        masks: uint8 array of shape (n, size, size): 0 for the background, k for sign k
            of the picture, counted from 1.
        sentences: list of n str, each a description of one picture.
        attributes: table with a row for each sign: picture (position in images), sign
            (the class that was drawn, whatever the label says), light, weather,
            background, region, texture, wear, place and camera, group and copy_of
            (-1 where there is none).
    """

    images: np.ndarray
    labels: np.ndarray | list
    boxes: np.ndarray | list
    masks: np.ndarray
    sentences: list
    attributes: pd.DataFrame


def draw(
    n,
    *,
    size=64,
    seed=0,
    imbalance=1.0,
    label_noise=0.0,
    bias=None,
    bias_strength=0.95,
    duplicates=0.0,
    corruption=None,
    severity=1,
    texture=None,
    groups=0,
    signs=1,
):
    """Draws road signs.

    Picture i follows from the dials, seed, size and i alone, so a longer draw begins
    with the shorter one; at another size it shows the same scene. Balanced, each run of
    12 pictures has every class once, in mixed order.

    Args:
        n: int, number of pictures, 1 or more.
        size: int, height and width of a picture in pixels, 24 to 256.
        seed: int, 0 or more; another seed gives other pictures. Draw the test set with
            one of its own, and without the dial that you study.
        imbalance: float, 1 or more: how many times more pictures the first class of
            `CLASS_NAMES` has than the last; those between fall evenly from one to the
            other (Cui et al., CVPR 2019, section 5.1).
        label_noise: float from 0 to below 1: share of labels that say another class,
            any of them alike.
        bias: dict from a class name to the light, weather, background or region that
            gives it away: `{"stop": "night"}` draws stop signs at night and the other
            signs by day. None: nothing tells the class but the sign.
        bias_strength: float from 0 to 1, how often that holds.
        duplicates: float from 0 to below 1: share of pictures that are copies of an
            earlier one: the same, stored again, a little smaller, brighter or cropped.
        corruption: str, a key of `corruptions.CORRUPTIONS`, which spoils each picture.
        severity: int from 1 (light) to 5, of the corruption.
        texture: None for painted signs; "agree": each class is made of a material of
            its own; "conflict": of the material of another class, so that one who
            looks at textures is wrong (Geirhos et al., ICLR 2019).
        groups: int, number of signs in the world, each seen again and again in its
            place and its light, as from a passing car; picture i is of group
            i % groups. 0: no sign is seen twice.
        signs: int from 1 to 9, number of signs in a scene.

    Returns:
        A `Signs`.

    Raises:
        ValueError: an argument is out of its range, or bias or groups are asked for
            with several signs in a scene.

    Example:
        >>> signs = draw(24, size=32)
        >>> signs.images.shape
        (24, 32, 32, 3)
    """
    check(dict(locals()))
    images = np.empty((n, size, size, 3), "uint8")
    masks = np.empty((n, size, size), "uint8")
    labels, boxes, sentences, rows = [], [], [], []
    shown, originals = [], []  # the scene of every picture; pictures that are no copies
    rules = {"imbalance": imbalance, "texture": texture, "signs": signs}
    for i in range(n):
        first = i % groups if groups else i  # when this place was seen first
        scene = decide(first, seed, **rules)
        if bias:
            scene = tie(scene, bias, bias_strength, luck(seed, first, "bias"))
        if first < i:
            scene = seen_again(scene, decide(i, seed, **rules))
        source, how = -1, ""
        chance = luck(seed, i, "copy") if duplicates else None
        if chance and originals and chance.random() < duplicates:
            source = pick(chance, originals)
            scene, original = shown[source], (images[source], masks[source])
            images[i], masks[i], box, how = near_copy(*original, boxes[source], chance)
        else:
            originals.append(i)
            images[i], masks[i], box = paint(scene, size)
            if corruption:
                images[i] = corruptions.corrupt(
                    images[i], corruption, severity=severity, seed=(seed, i)
                )
        shown.append(scene)
        boxes.append(np.array(box, "float32"))
        chance = luck(seed, i, "labels") if label_noise else None
        labels.append(said(scene, label_noise, chance))
        sentences.append(describe(scene))
        group = (i if source < 0 else source) % groups if groups else -1
        rows += _rows(scene, picture=i, group=group, copy_of=source, copy=how)
    if signs == 1:
        labels, boxes = np.concatenate(labels), np.concatenate(boxes)
    return Signs(images, labels, boxes, masks, sentences, pd.DataFrame(rows))


def describe(scene):
    """Returns a sentence that says what a picture shows.

    Args:
        scene: `Scene`.
    """
    rest = f"{WHERE[scene.background]}, {WHEN[scene.light]}"
    if scene.weather != "clear":
        rest += f", in {'the ' * (scene.weather == 'fog')}{scene.weather}"
    names = [
        f"a {'dirty ' * (sign.wear > DIRTY)}{CLASS_NAMES[sign.label]} sign"
        for sign in sorted(scene.signs, key=lambda sign: sign.x)
    ]
    if len(names) == 1:
        return f"{names[0].capitalize()} {rest}."
    all_names = f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{NUMBERS[len(names)]} signs {rest}: {all_names}, from left to right."


def _rows(scene, *, picture, group, copy_of, copy):
    """One dict for each sign of a scene, with the columns of `Signs.attributes`."""
    return [
        {
            "picture": picture,
            "sign": CLASS_NAMES[sign.label],
            **{name: getattr(scene, name) for name in ATTRIBUTES},
            "texture": "" if sign.texture is None else CLASS_NAMES[sign.texture],
            **{name: getattr(sign, name) for name in SEEN},
            "blur": scene.blur,
            "noise": scene.noise,
            "group": group,
            "copy_of": copy_of,
            "copy": copy,
        }
        for sign in scene.signs
    ]


def write(folder, drawn):
    """Writes drawn signs as PNG files, a folder for each class, and `manifest.csv`.

    Args:
        folder: path of a new or empty folder.
        drawn: `Signs` with one sign in each picture.

    Returns:
        `pathlib.Path` of the manifest, which `data.from_table` reads. Its row i is
        picture i: path in the folder, label, class (of the label), box (left, top,
        right, bottom), sentence, and the attributes.

    Raises:
        FileExistsError: the folder has something in it.
        ValueError: there are several signs in a picture.
    """
    folder = Path(folder)
    if isinstance(drawn.labels, list):
        raise ValueError(
            "A folder of classes has room for one sign in a picture. "
            "Draw them with signs=1. "
            f"Received: {len(drawn.labels[0])} signs in a picture"
        )
    writing.check_unused(folder)
    names, seen, paths = [CLASS_NAMES[label] for label in drawn.labels], Counter(), []
    for image, name in zip(drawn.images, names, strict=True):
        paths.append(f"{name}/{name.replace(' ', '_')}_{seen[name]:03d}.png")
        seen[name] += 1
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / paths[-1], optimize=True)
    table = pd.DataFrame({"path": paths, "label": drawn.labels, "class": names})
    table[["left", "top", "right", "bottom"]] = drawn.boxes.astype(int)
    table["sentence"] = drawn.sentences
    known = drawn.attributes.drop(columns="picture").round(3)
    known["group"] = known["group"].astype("Int64").mask(known["group"] < 0)
    table = table.join(known)  # with no group, each picture may go to any side
    table.to_csv(folder / "manifest.csv", index=False, lineterminator="\n")
    return folder / "manifest.csv"


def main():
    """Runs `python -m cnnkit.data.signs`."""
    parser = argparse.ArgumentParser(
        prog="python -m cnnkit.data.signs", description="Write road signs as PNG files."
    )
    parser.add_argument("folder", help="a new or empty folder")
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--size", type=int, default=64, help="pixels, 24 to 256")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--imbalance", type=float, default=1.0, help="most pictures / fewest, 1 or more"
    )
    parser.add_argument("--label-noise", type=float, default=0.0, help="share, 0 to 1")
    parser.add_argument("--duplicates", type=float, default=0.0, help="share, 0 to 1")
    parser.add_argument("--groups", type=int, default=0, help="places seen again")
    parser.add_argument("--corruption", choices=corruptions.CORRUPTIONS)
    parser.add_argument("--severity", type=int, default=1, help="1 to 5")
    dials = vars(parser.parse_args())
    folder = dials.pop("folder")
    try:
        print("Written:", write(folder, draw(dials.pop("pictures"), **dials)))
    except (FileExistsError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
