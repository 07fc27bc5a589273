"""Ten epochs of a head: on cached features, and with the frozen backbone each time.

    CNNKIT_DATA=... KERAS_HOME=... python tests/benchmarks/cached_features.py

1,000 flowers at 160 x 160 pixels are learnt from (of all that are not for the test, the
rest is for validation), with MobileNet and a linear head. Both ways get these pictures
only, run in one process, one after the other, in an order that changes with the seed,
and count everything: the computing of features, the graphs, and ten validations.
CPU-seconds are of the whole process, all threads. The first run of a process builds
what later ones share, so one of each goes before and does not count. The cost of the
head itself, about two CPU-seconds, is the same for every backbone: the wider the
network, the nearer the ratio comes to the number of epochs.

Prints CPU-seconds, their ratio and test accuracies; asserts nothing.
"""

import argparse
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
EPOCHS, PICTURES, SIDE, RATE = 10, 1000, 160, 1e-2


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--widths", nargs="*", type=float, default=[0.25, 1.0], help="of MobileNet"
    )
    parser.add_argument("--batch-size", type=int, default=64)
    options = parser.parse_args()
    archive = Path(os.environ.get("CNNKIT_DATA", "")) / "flowers.tar"
    if not archive.is_file():
        print("skipped: CNNKIT_DATA names no folder with flowers.tar")
        return 0

    import numpy as np

    from cnnkit import data

    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        photos = data.from_folder(Path(folder) / "flowers", image_size=SIDE)
    split = photos.manifest["split"].to_numpy(dtype=object).copy()
    known = np.random.default_rng(0).permutation(np.flatnonzero(split != "test"))
    split[known[:PICTURES]], split[known[PICTURES:]] = "train", "valid"
    photos.manifest["split"] = split

    for width in options.widths:
        compared(photos, width, options.seeds, options.batch_size)
    return 0


def compared(photos, width, seeds, batch_size):
    """Runs both ways for all seeds and prints what they cost."""
    import numpy as np

    results = {"cached": [], "frozen": []}
    for seed in range(-1, seeds):
        for way in sorted(results, reverse=seed % 2 == 1):
            cpu, accuracy = learnt(way, photos, width, seed + 1, batch_size)
            if seed >= 0:
                results[way].append((cpu, accuracy))
                print(
                    f"width {width:g}, seed {seed}, {way}: {cpu:.1f} CPU-s, "
                    f"{accuracy:.3f}",
                    flush=True,
                )
    means = {way: np.mean(rows, axis=0) for way, rows in results.items()}
    spread = {way: np.ptp([a for _, a in rows]) for way, rows in results.items()}
    for way, (cpu, accuracy) in means.items():
        print(
            f"{way}: {cpu:.1f} CPU-s, accuracy {accuracy:.3f} (range {spread[way]:.3f})"
        )
    ratio = means["frozen"][0] / means["cached"][0]
    print(f"MobileNet {width:g}: cached features cost 1/{ratio:.1f} of a frozen one")


def part(photos, *names):
    """The pictures of some parts alone."""
    import numpy as np

    rows = np.concatenate([photos.rows(name) for name in names])
    return photos.take(rows)


def learnt(way, photos, width, seed, batch_size):
    """Trains a head in one way: (CPU-seconds, test accuracy)."""
    import keras
    import numpy as np

    from cnnkit import training, transfer

    weights = "imagenet" if width in transfer.cached_widths("mobilenet") else None
    keras.utils.set_random_seed(seed)
    base = transfer.backbone(
        "mobilenet", photos.image_shape, weights=weights, width=width
    )
    base.trainable = False
    model = transfer.classifier(base, photos.num_classes)
    options = {
        "epochs": EPOCHS, "learning_rate": RATE, "seed": seed, "verbose": 0,
        "precision": "float32", "batch_size": batch_size,
    }  # fmt: skip
    known = part(photos, "train", "valid")
    start = time.process_time()
    if way == "cached":
        features = transfer.cache_features(model, known, verbose=0)
        training.fit(transfer.head_of(model), features, **options)
    else:
        training.fit(model, known, **options)
    cpu = time.process_time() - start
    test = part(photos, "test")
    said = model.predict(test.pixels.astype("float32"), verbose=0).argmax(axis=1)
    labels = test.manifest["label"].to_numpy()
    keras.backend.clear_session()
    return cpu, np.mean(said == labels)


if __name__ == "__main__":
    sys.exit(main())
