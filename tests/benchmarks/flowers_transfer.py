"""Flowers in five lines: test accuracy and CPU-seconds, over seeds.

    CNNKIT_DATA=... KERAS_HOME=... python tests/benchmarks/flowers_transfer.py

CNNKIT_DATA names a folder with flowers.tar (its val/ is the test set), KERAS_HOME one
whose models/ holds ImageNet weights of MobileNet.
"""

import argparse
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=2.0)
    options = parser.parse_args()
    archive = Path(os.environ.get("CNNKIT_DATA", "")) / "flowers.tar"
    if not archive.is_file():
        print("skipped: CNNKIT_DATA names no folder with flowers.tar")
        return 0

    import keras
    import numpy as np

    from cnnkit import data, evaluation, report, training, transfer

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        for seed in range(options.seeds):
            keras.utils.set_random_seed(seed)
            cpu, wall = time.process_time(), time.monotonic()

            photos = data.from_folder(Path(folder) / "flowers", seed=seed)
            model = transfer.classifier(
                "mobilenet", photos.num_classes, image_shape=photos.image_shape
            )
            history = training.fine_tune(
                model, photos, minutes=options.minutes, seed=seed
            )
            trained = time.process_time() - cpu
            page = Path(folder) / f"report-{seed}.html"
            report.write(model, photos, history, page)

            cpu, wall = time.process_time() - cpu, time.monotonic() - wall
            table = evaluation.predict(model, photos)
            accuracy = (table["label"] == table["predicted"]).mean()
            rows.append((accuracy, trained, cpu, wall))
            print(
                f"seed {seed}: test accuracy {accuracy:.3f} on {len(table)} pictures; "
                f"{trained:.0f} CPU-s to the model, {cpu:.0f} with the report, "
                f"{wall:.0f} s on the clock",
                flush=True,
            )
    accuracy, trained, cpu, wall = np.transpose(rows)
    spread = accuracy.std(ddof=1) if len(rows) > 1 else float("nan")
    half = 1.96 * spread / len(rows) ** 0.5
    print(
        f"mean {accuracy.mean():.3f} +- {half:.3f} (95 %, over seeds, n={len(rows)}); "
        f"CPU-minutes {cpu.mean() / 60:.1f}, the most {cpu.max() / 60:.1f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
