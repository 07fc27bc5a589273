"""Few pictures, four starts: what weights from elsewhere are worth, in a table.

    CNNKIT_DATA=... KERAS_HOME=... python tests/benchmarks/few_pictures.py

Flowers at 160 x 160 pixels (96 x 96 for `small_cnn`), the CIFAR-10 subset at 32 x 32,
Fashion-MNIST at 28 x 28 and scikit-learn's digits at 32 x 32, with 5, 20 and 100
pictures a class in all: of these a fifth, at least one a class, is for validation, as
`data.from_folder` does it, and the rest is learnt from. The starts:

- scratch: `small_cnn` from random weights, widths 32, 64, 128, and 256 for flowers.
- generated: `transfer.backbone("small_cnn", weights=FILE)`, with the weights that
  embedded_pretraining.py learns on generated pictures; `--generated` names the file.
  Its widths are 32, 64, 128 and 256, and pictures under 48 pixels are enlarged inside,
  to twice their side. All layers learn, at a third of the rate from scratch (chosen on
  two other draws of Fashion-MNIST and flowers).
- scratch, enlarged: the same network from random weights.
- ImageNet, head: MobileNet 0.25, frozen; `fine_tune(unfreeze=0)`.
- ImageNet, fine-tuned: the same network, `fine_tune` in its own stages.

Training takes about 200, 500 and 1,000 steps of 32 pictures from random weights; a
quarter of it from ImageNet's, which has a trained head before. For one seed all starts
take the same pictures and the same augmentation; the test pictures are the same always,
at most 1,000. Each run is a row of notebooks/tables/few_pictures.csv, written when it
is done: stopped and called again, it goes on. `--starts` and `--sets` choose; `--again`
forgets their rows first.
"""

import argparse
import dataclasses
import datetime
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
STEPS = {5: 200, 20: 500, 100: 1000}  # pictures a class: training steps, about
SETS = {
    "flowers": "photos",
    "cifar10": "photos",
    "fashion": "photos",
    "digits": "digits",
}
STARTS = (
    "scratch",
    "scratch, enlarged",
    "generated",
    "ImageNet, head",
    "ImageNet, fine-tuned",
)
GENERATED_RATE = 1e-3
BATCH, MOST_TESTED, SMALLER = 32, 1000, 96
OUT = Path(__file__).parents[2] / "notebooks" / "tables" / "few_pictures.csv"
KEY = ["set", "start", "per_class", "seed"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--starts", nargs="*", default=list(STARTS), choices=STARTS)
    parser.add_argument("--per-class", nargs="*", type=int, default=list(STEPS))
    parser.add_argument("--generated", help="file of weights")
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()

    import pandas as pd

    rows = pd.read_csv(OUT).to_dict("records") if OUT.exists() else []
    if options.again:
        chosen = {"set": options.sets, "start": options.starts}
        rows = [r for r in rows if not all(r[k] in v for k, v in chosen.items())]
    done = {tuple(row[k] for k in KEY) for row in rows}
    for name in options.sets:
        photos = opened(name)
        for seed in range(options.seeds):
            for per_class in options.per_class:
                few = drawn(photos, per_class, seed) if photos is not None else None
                for start in options.starts:
                    if start == "generated" and options.generated is None:
                        continue
                    if start == "scratch, enlarged" and name == "flowers":
                        continue  # that is the same as "scratch"
                    key = (name, start, per_class, seed)
                    if few is None or key in done:
                        continue
                    steps = STEPS[per_class]
                    file = options.generated
                    result = learnt(few, start, steps, SETS[name], seed, file)
                    if result is None:
                        continue
                    rows.append(dict(zip(KEY, key, strict=True)) | result | facts())
                    write(pd.DataFrame(rows))
                    print(*key, result, flush=True)
    table = pd.DataFrame(rows)
    print(summary(table).to_string())
    return 0


def facts():
    return {
        "command": "python tests/benchmarks/few_pictures.py",
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} CPU cores, no GPU",
    }


def write(table):
    """In one order, whatever came first; whole, whenever it is stopped."""
    order = {name: i for i, name in enumerate([*SETS, *STARTS])}
    table = table.sort_values(KEY, key=lambda c: c.map(lambda v: order.get(v, v)))
    part = OUT.with_suffix(".part")
    table.to_csv(part, index=False)
    os.replace(part, OUT)


def opened(name):
    """The `ImageData` of a set, with at most 1,000 test pictures; None if not here."""
    import numpy as np

    from cnnkit import data

    try:
        if name == "flowers":
            photos = flowers()
        else:
            photos = data.load("fashion_mnist" if name == "fashion" else name)
    except FileNotFoundError as error:
        print(f"{name} skipped: {error}")
        return None
    test = np.random.default_rng(0).permutation(photos.rows("test"))[:MOST_TESTED]
    return taken(photos, np.sort(np.concatenate([unseen(photos), test])))


def flowers():
    from cnnkit import data

    archive = Path(os.environ.get("CNNKIT_DATA", "")) / "flowers.tar"
    with tarfile.open(archive) as tar, tempfile.TemporaryDirectory() as folder:
        tar.extractall(folder, filter="data")
        return data.from_folder(Path(folder) / "flowers", image_size=160)


def unseen(photos):
    """The rows of all pictures that are not for the test."""
    import numpy as np

    return np.flatnonzero(photos.manifest["split"] != "test")


def taken(photos, rows, **columns):
    """The pictures of some rows, with other columns."""
    few = photos.take(rows)
    return dataclasses.replace(few, manifest=few.manifest.assign(**columns))


def drawn(photos, per_class, seed):
    """So many pictures of each class, a fifth of them for validation, and the test."""
    import numpy as np

    rng = np.random.default_rng(seed)
    rows, split = photos.rows("test"), ["test"] * len(photos.rows("test"))
    rows, labels = list(rows), photos.manifest["label"].to_numpy()
    for label in range(photos.num_classes):
        known = unseen(photos)
        rows += list(rng.permutation(known[labels[known] == label])[:per_class])
        valid = max(1, per_class // 5)
        split += ["valid"] * valid + ["train"] * (per_class - valid)
    return taken(photos, rows, split=split)


def learnt(few, start, steps, policy, seed, file):
    """One run: a dict of accuracy and CPU-seconds, or None where it cannot be."""
    import keras
    import numpy as np

    from cnnkit import augment, data, models, training, transfer
    from cnnkit.transfer.families import SMALL_WIDTHS

    keras.utils.set_random_seed(seed)
    if few.image_shape[0] > SMALLER and "ImageNet" not in start:
        few = few.resized(SMALLER)
    shape, num_classes = few.image_shape, few.num_classes
    cpu = time.process_time()
    steps = steps if "ImageNet" not in start else steps // 4
    options = {
        "epochs": -(-steps // -(-len(few.rows("train")) // BATCH)),
        "augment": augment.policy(policy),
        "seed": seed,
        "verbose": 0,
    }
    if start == "scratch":
        model = models.small_cnn(
            num_classes=num_classes,
            input_shape=shape,
            widths=SMALL_WIDTHS[: 4 if shape[0] >= 48 else 3],
        )
        training.fit(model, few, **options)
    elif "ImageNet" not in start:
        weights = file if start == "generated" else None
        base = transfer.backbone("small_cnn", shape, weights=weights)
        base.trainable = True
        model = transfer.classifier(base, num_classes)
        rate = GENERATED_RATE if start == "generated" else None
        training.fit(model, few, learning_rate=rate, **options)
    elif not transfer.cached_widths("mobilenet"):
        print(f"{start} skipped: KERAS_HOME holds no ImageNet weights of MobileNet")
        return None
    else:
        model = transfer.classifier("mobilenet", num_classes, image_shape=shape)
        if start == "ImageNet, head":
            options |= {"unfreeze": 0}
        training.fine_tune(model, few, **options)
    cpu = time.process_time() - cpu
    images, labels = data.to_arrays(few, "test")
    said = model.predict(images, batch_size=100, verbose=0).argmax(axis=1)
    keras.backend.clear_session()
    return {
        "accuracy": round(float(np.mean(said == labels)), 4),
        "cpu_seconds": round(cpu, 1),
        "test_pictures": len(labels),
    }


def summary(table):
    """Mean and half of the 95 % interval over seeds, a column for each number."""
    from scipy import stats

    def in_words(values):
        n = len(values)
        half = stats.t.ppf(0.975, n - 1) * values.std() / n**0.5 if n > 1 else 0
        return f"{values.mean():.3f} +- {half:.3f} ({n})"

    cells = table.groupby(["set", "start", "per_class"])["accuracy"].agg(in_words)
    return cells.unstack("per_class")


if __name__ == "__main__":
    sys.exit(main())
