"""Plants near duplicates among real pictures and prints how many are found.

    CNNKIT_DATA=folder python tests/benchmarks/near_duplicates.py

5,000 pictures: the flowers (unpacked from flowers.tar) and pictures of the CIFAR-10
subset. 200 are planted again, 50 each: saved again as JPEG, resized, brightened,
trimmed. Pairs that are not planted are printed, to be looked at.
"""

import io
import os
import tarfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from cnnkit.data import duplicates


def saved_again(image, rng):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(rng.integers(40, 90)))
    return Image.open(file)


def resized(image, rng):
    scale = rng.uniform(0.5, 0.9)
    return image.resize([max(1, round(side * scale)) for side in image.size])


def brightened(image, rng):
    return ImageEnhance.Brightness(image).enhance(rng.uniform(1.0, 1.15))


def trimmed(image, rng):
    width, height = image.size
    left, right = rng.uniform(0, 0.03, 2) * width
    top, bottom = rng.uniform(0, 0.03, 2) * height
    box = (round(left), round(top), round(width - right), round(height - bottom))
    return image.crop(box)


KINDS = (saved_again, resized, brightened, trimmed)


def main():
    folder = Path(os.environ["CNNKIT_DATA"])
    pictures, names = [], []
    with tarfile.open(folder / "flowers.tar") as archive:
        for member in archive:
            if member.name.endswith(".jpg"):
                content = archive.extractfile(member).read()
                pictures.append(Image.open(io.BytesIO(content)).convert("RGB"))
                names.append(member.name)
    cifar = np.load(folder / "cifar10_jpeg_subset.npz", allow_pickle=False)["x_train"]
    for position in range(5000 - len(pictures)):
        pictures.append(Image.fromarray(cifar[position]))
        names.append(f"cifar10[{position}]")
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(pictures), 200, replace=False)
    for position, origin in enumerate(chosen):
        kind = KINDS[position % 4]
        pictures.append(kind(pictures[origin], rng))
        names.append(f"{names[origin]}, {kind.__name__}")

    start = time.process_time()
    thumbnails = np.stack([duplicates.fingerprint(p) for p in pictures])
    middle = time.process_time()
    pairs = duplicates.near_pairs(thumbnails)
    end = time.process_time()

    found = {tuple(pair) for pair in pairs.tolist()}
    print("kind          planted  found")
    for number, kind in enumerate(KINDS):
        planted = [(o, 5000 + p) for p, o in enumerate(chosen) if p % 4 == number]
        hits = sum((int(o), c) in found for o, c in planted)
        print(f"{kind.__name__:12s}  {len(planted):7d}  {hits:5d}")
    planted = {(int(origin), 5000 + p) for p, origin in enumerate(chosen)}
    others = sorted(found - planted)
    # A copy of one of two pictures that were alike before gives a pair more.
    alike = duplicates.components(len(pictures), sorted(planted))
    before = [(a, b) for a, b in others if b < 5000]
    print(f"recall {len(found & planted) / 200:.3f}; {len(before)} pairs not planted:")
    for a, b in before:
        print(f"  {names[a]}  {names[b]}")
    known = {frozenset((alike[a], alike[b])) for a, b in before}
    strange = [
        (a, b) for a, b in others
        if b >= 5000 and frozenset((alike[a], alike[b])) not in known
    ]  # fmt: skip
    print(f"{len(strange)} pairs of a planted picture with a stranger")
    print(
        f"CPU-seconds: {middle - start:.2f} thumbnails, {end - middle:.2f} pairs, "
        f"for {len(pictures):,} pictures"
    )


if __name__ == "__main__":
    main()
