"""What loading photographs costs, beside bare decoding, Keras and a loop over files.

    CNNKIT_DATA=... python tests/benchmarks/loading.py

CPU-seconds for a folder of flowers at 160 pixels, batches of 32. "First" is everything
up to the end of the first pass, "later" one more pass. Bare decoding opens the same
files with Pillow and resizes them, and does nothing else: in one thread, and in as many
as there are cores, as cnnkit does it, which is sooner done and costs more in all.
Everything in one process, each after the other in five rounds; figures are medians.
"""

import dataclasses
import os
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
SIDE, ROUNDS = 160, 5


def timed(work):
    """What `work` returns, and its CPU-seconds."""
    cpu = time.process_time()
    result = work()
    return result, time.process_time() - cpu


def through(batches):
    return sum(len(labels) for _, labels in batches)


def main():
    archive = Path(os.environ.get("CNNKIT_DATA", "")) / "flowers.tar"
    if not archive.is_file():
        print("skipped: CNNKIT_DATA names no folder with flowers.tar")
        return 0

    import keras
    import numpy as np
    from PIL import Image

    from cnnkit import data

    through(data.load("digits").train)  # all is imported and started once here
    pixels = np.arange(729, dtype="uint16").astype("u1").reshape(9, 9, 9)
    data.from_arrays(pixels, np.arange(9) % 3, class_names="abc")

    def decoded(path):
        with Image.open(path) as image:
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        return np.asarray(small)

    with tempfile.TemporaryDirectory() as temporary:
        with tarfile.open(archive) as tar:
            tar.extractall(temporary, filter="data")
        root = next(Path(temporary).rglob("train"))
        paths = sorted(root.rglob("*.jpg"))
        for path in paths:
            path.read_bytes()  # into the memory of the disk, for all alike

        def bare(some):
            for path in some:
                decoded(path)

        def in_threads():
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(bare, np.array_split(paths, len(paths) // 64)))

        def cnnkit():
            photos = data.from_folder(root, image_size=SIDE)
            everything = photos.manifest.assign(split="train")
            batches = dataclasses.replace(photos, manifest=everything).train
            return lambda: through(batches)

        def theirs():
            batches = keras.utils.image_dataset_from_directory(
                root, image_size=(SIDE, SIDE), batch_size=32, verbose=False
            )
            return lambda: through(batches)

        def loop():
            order = np.random.default_rng(0).permutation(len(paths))
            return lambda: through(
                (np.stack(images), images)
                for images in (
                    [decoded(paths[i]) for i in order[start : start + 32]]
                    for start in range(0, len(paths), 32)
                )
            )

        rows = {"cnnkit": [], "Keras": [], "loop over files": []}
        decoding = []
        for _ in range(ROUNDS):
            one = timed(lambda: bare(paths))[1]
            decoding.append((one, timed(in_threads)[1]))
            for name, opened in zip(rows, (cnnkit, theirs, loop), strict=True):
                one_pass, reading = timed(opened)
                first, *later = (timed(one_pass)[1] for _ in range(4))
                rows[name].append((reading + first, float(np.median(later))))
    one, threaded = np.median(decoding, axis=0)
    print(
        f"{len(paths)} photographs, bare decoding and resizing {one:.2f} CPU-s in one "
        f"thread, {threaded:.2f} in {os.cpu_count()}"
    )
    for name, seconds in rows.items():
        first, later = np.median(seconds, axis=0)
        print(
            f"{name:16} first {first:5.2f} CPU-s ({first / one:.2f} x bare, "
            f"{first / threaded:.2f} x bare in threads), later {later:5.2f}, "
            f"{first / later:.1f} times cheaper"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
