"""CPU-seconds of `data.check` for 10,000 files of 256 pixels.

    CNNKIT_DATA=... python tests/benchmarks/check_speed.py

The files are the flowers, each written again in other crops of 256 x 256 until there
are enough. Beside it stands the bare cost of opening and decoding them with Pillow.
"""

import argparse
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from cnnkit import data


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    options = parser.parse_args()
    archive = Path(os.environ.get("CNNKIT_DATA", "")) / "flowers.tar"
    if not archive.is_file():
        print("skipped: CNNKIT_DATA names no folder with flowers.tar")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        with tarfile.open(archive) as tar:
            tar.extractall(Path(temporary) / "flowers", filter="data")
        photos = sorted((Path(temporary) / "flowers").rglob("*.jpg"))
        rng, many = np.random.default_rng(0), Path(temporary) / "many"
        for number in range(options.files):
            path = photos[number % len(photos)]
            place = many / path.parent.name / f"{number}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(path) as image:
                box = rng.uniform(0, 0.3, 2) * image.size
                box = (*box, *(box + 0.7 * np.array(image.size)))
                image.convert("RGB").resize((256, 256), box=box).save(place, quality=90)
        cpu = time.process_time()
        for path in many.rglob("*.jpg"):
            with Image.open(path) as image:
                image.load()
        bare = time.process_time() - cpu
        cpu, wall = time.process_time(), time.monotonic()
        findings = data.check(many, verbose=False)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    print(
        f"{options.files:,} files: {cpu:.1f} CPU-s, {wall:.1f} s on the clock; bare "
        f"decoding {bare:.1f} CPU-s, ratio {cpu / bare:.2f}; {len(findings)} findings; "
        f"TensorFlow imported: {'tensorflow' in sys.modules}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
