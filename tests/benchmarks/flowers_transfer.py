"""Flowers in a few minutes: the head alone, fine-tuned, and from random weights.

    CNNKIT_DATA=... KERAS_HOME=... python tests/benchmarks/flowers_transfer.py

CNNKIT_DATA names a folder with flowers.tar (its val/ is the test set), KERAS_HOME one
whose models/ holds ImageNet weights of MobileNet, or of `--base`. For each seed all
ways take the same pictures and, but for the head, which needs less, the same wall-clock
minutes; "head, copies" learns from the features of augmented copies as well. With
`--per-class` only so many pictures of each class are learnt from, and a fifth of that
number more, at least one, are for validation.

What is said of all seeds: means with 95 % intervals over seeds, and the difference of
fine-tuning to the head, picture by picture (each picture's score is the mean over the
seeds), with its interval and the p-value of a paired t test.
"""

import argparse
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
WAYS = ("head", "head, copies", "fine-tuned", "scratch")
COPIES = 8  # augmented ones of each training picture, whose features the head sees too


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--side", type=int, default=192, help="pixels")
    parser.add_argument("--per-class", type=int)
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--head", default="average", help="a key of transfer.HEADS")
    parser.add_argument("--base", default="mobilenet", help="or mobilenet_v2")
    options = parser.parse_args()
    archive = Path(os.environ.get("CNNKIT_DATA", "")) / "flowers.tar"
    if not archive.is_file():
        print("skipped: CNNKIT_DATA names no folder with flowers.tar")
        return 0

    import numpy as np
    from scipy import stats

    from cnnkit import data

    right = {way: [] for way in options.ways}
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        for seed in range(options.seeds):
            photos = data.from_folder(
                Path(folder) / "flowers", image_size=options.side, seed=seed
            )
            if options.per_class:
                photos = few(photos, options.per_class, seed)
            for way in options.ways:
                hits, cpu, stopped = learnt(
                    way, photos, options.minutes, seed, options.base, options.head
                )
                right[way].append(hits)
                print(
                    f"seed {seed}, {way}: {hits.mean():.3f} of {len(hits)} test "
                    f"pictures; {cpu / 60:.1f} CPU-minutes; {stopped}",
                    flush=True,
                )
    for way in options.ways:
        scores = np.mean(right[way], axis=1)
        n = len(scores)
        half = stats.t.ppf(0.975, n - 1) * scores.std(ddof=1) / n**0.5 if n > 1 else 0
        print(f"{way}: {scores.mean():.3f} +- {half:.3f} (95 %, over {n} seeds)")
    if {"head", "fine-tuned"} <= set(options.ways):
        better = np.mean(right["fine-tuned"], 0) - np.mean(right["head"], 0)
        test = stats.ttest_1samp(better, 0)
        low, high = test.confidence_interval()
        print(
            f"fine-tuned less head: {better.mean():+.3f} ({low:+.3f} to {high:+.3f}, "
            f"over {len(better)} pictures; p = {test.pvalue:.2g})"
        )
    return 0


def few(photos, per_class, seed):
    """So many training pictures of each class, validation besides, and the test."""
    import numpy as np

    rng = np.random.default_rng(seed)
    labels, rows = photos.manifest["label"].to_numpy(), list(photos.rows("test"))
    for part, number in (("train", per_class), ("valid", max(1, per_class // 5))):
        for label in range(photos.num_classes):
            known = photos.rows(part)
            rows += list(rng.permutation(known[labels[known] == label])[:number])
    rows = np.sort(rows)
    return photos.take(rows)


def learnt(way, photos, minutes, seed, base, head):
    """Trains in one way: which test pictures are right, CPU-seconds, how it ended."""
    import keras

    from cnnkit import augment, data, models, training, transfer

    keras.utils.set_random_seed(seed)
    shape, k = photos.image_shape, photos.num_classes
    options = {"minutes": minutes, "seed": seed, "verbose": 0}
    policy = augment.policy("photos")
    cpu = time.process_time()
    if way == "scratch":
        smaller = photos.resized(96)  # small_cnn sees no more in 192 pixels
        model = models.small_cnn(num_classes=k, input_shape=smaller.image_shape)
        photos = smaller
        history = training.fit(model, photos, augment=policy, **options)
    elif way == "head, copies":
        model = transfer.classifier(base, k, image_shape=shape, head=head)
        features = transfer.cache_features(
            model, photos, augment=policy, copies=COPIES, seed=seed, verbose=0
        )
        options["learning_rate"] = 1e-2
        history = training.fit(transfer.head_of(model), features, epochs=30, **options)
    else:
        model = transfer.classifier(base, k, image_shape=shape, head=head)
        stages = {"unfreeze": 0} if way == "head" else {"augment": policy}
        history = training.fine_tune(model, photos, **stages, **options)
    cpu = time.process_time() - cpu
    images, labels = data.to_arrays(photos, "test")
    said = model.predict(images.astype("float32"), verbose=0).argmax(axis=1)
    keras.backend.clear_session()
    return said == labels, cpu, history.params["stopped"]


if __name__ == "__main__":
    sys.exit(main())
