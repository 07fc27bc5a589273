"""CPU time of flip, rotation, zoom, translation and contrast: ours beside Keras'.

    python tests/benchmarks/augmentation.py [--side 160] [--pictures 1024] [--rounds 3]

All in one process, in turns; the median of the rounds counts. Keras' layers run as its
guides have them: in `map` of a `tf.data.Dataset` of cached uint8 batches.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import cv2
import keras
import numpy as np
import tensorflow as tf

from cnnkit import augment, data
from cnnkit.data import batching


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--pictures", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    side, n = options.side, options.pictures
    drawn = data.signs.draw(64, size=min(side, 256)).images
    images = np.stack([cv2.resize(drawn[i % 64], (side, side)) for i in range(n)])
    labels = np.arange(n, dtype="int32") % 12

    ours = augment.compose(
        augment.flip(),
        augment.rotation(18),
        augment.zoom(0.2),
        augment.translation(0.1),
        augment.colour_jitter(contrast=0.3),
    )
    layers = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(0.05),
            keras.layers.RandomZoom(0.2),
            keras.layers.RandomTranslation(0.1, 0.1),
            keras.layers.RandomContrast((0.3, 0.3)),
        ]
    )
    theirs = tf.data.Dataset.from_tensor_slices((images, labels)).batch(32)
    theirs = theirs.cache().map(
        lambda x, y: (layers(tf.cast(x, "float32"), training=True), y), 2
    )

    def served(augment=None, mix=None):
        return batching.make(
            images, np.arange(n), labels, batch_size=32, shuffled=True, augment=augment,
            mix=mix, num_classes=12 if mix else None,
        )  # fmt: skip

    def alone(policy=ours):
        for start in range(0, n, 32):
            policy(images[start : start + 32], np.random.default_rng(start))

    def read(batches):
        return lambda: [None for _ in batches]

    ways = {
        "Keras' layers in tf.data": read(theirs.prefetch(2)),
        "ours in `batches`": read(served(ours)),
        "ours alone": alone,
        "`batches` as they are": read(served()),
        "with policy('photos')": read(served(augment.policy("photos"))),
        "with trivial_augment": read(served(augment.trivial_augment())),
        "with rand_augment": read(served(augment.rand_augment())),
        "with mixup": read(served(mix=augment.mixup())),
        "with cutmix": read(served(mix=augment.cutmix())),
    }
    cpu, clock = {}, {}
    for number in range(options.rounds + 1):  # the first round warms up
        for name, way in ways.items():
            used, wall = time.process_time(), time.perf_counter()
            way()
            if number:
                used, wall = time.process_time() - used, time.perf_counter() - wall
                cpu.setdefault(name, []).append(1000 * used / n)
                clock.setdefault(name, []).append(1000 * wall / n)
    first = statistics.median(cpu["Keras' layers in tf.data"])
    print(f"{side} px, ms a picture, median of {options.rounds} rounds")
    print(f"{'':26}{'CPU':>8}{'clock':>8}   Keras' CPU / this")
    for name in ways:
        used, wall = statistics.median(cpu[name]), statistics.median(clock[name])
        print(f"{name:26}{used:8.3f}{wall:8.3f}{first / used:12.1f}")


if __name__ == "__main__":
    main()
