"""Fashion-MNIST with the small network: test accuracy and CPU-seconds, over seeds.

    CNNKIT_DATA=... python tests/benchmarks/fashion_mnist.py

One epoch is what 0.90 takes; three give about 0.92. CPU-seconds count training with
its validation. The test part is used once, at the end. Two threads that share one core
count double and do not work double: `taskset -c 0 python ...` measures on one.
"""

import argparse
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    options = parser.parse_args()

    import keras
    import numpy as np

    from cnnkit import data, evaluation, models, training

    try:
        photos = data.load("fashion_mnist")
    except FileNotFoundError as error:
        print(f"skipped: {error}")
        return 0
    rows = []
    for seed in range(options.seeds):
        keras.utils.set_random_seed(seed)
        cpu, wall = time.process_time(), time.monotonic()
        model = models.small_cnn(
            num_classes=photos.num_classes, input_shape=photos.image_shape
        )
        training.fit(model, photos, epochs=options.epochs, seed=seed)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        table = evaluation.predict(model, photos)
        accuracy = (table["label"] == table["predicted"]).mean()
        rows.append((accuracy, cpu))
        print(
            f"seed {seed}: test accuracy {accuracy:.4f} after {cpu:.0f} CPU-s, "
            f"{wall:.0f} s on the clock",
            flush=True,
        )
    accuracy, cpu = np.transpose(rows)
    spread = accuracy.std(ddof=1) if len(rows) > 1 else float("nan")
    half = 1.96 * spread / len(rows) ** 0.5
    print(
        f"mean {accuracy.mean():.4f} +- {half:.4f} (95 %, over seeds, n={len(rows)}); "
        f"CPU-seconds {cpu.mean():.0f}, the most {cpu.max():.0f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
