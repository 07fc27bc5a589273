"""What each way of balancing does to the recall of small classes, in a table.

    CNNKIT_DATA=... python tests/benchmarks/imbalance.py

Fashion-MNIST with 400 training pictures of each of seven classes, and 10 of the other
three (pullover, sandal, shirt). Every way trains for the same number of steps, so that
none wins by seeing more. Scores are those of the balanced test set of 10,000. Writes
notebooks/tables/imbalance.csv.
"""

import argparse
import datetime
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
FEW = (2, 5, 6)  # labels of the small classes
MANY_PICTURES, FEW_PICTURES, BATCH, STEPS = 400, 10, 32, 500
OUT = Path(__file__).parents[2] / "notebooks" / "tables" / "imbalance.csv"
WAYS = (
    "nothing",
    "class weights",
    "effective",
    "oversampling",
    "undersampling",
    "focal",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()

    import numpy as np
    import pandas as pd
    from scipy import stats

    from cnnkit import data

    try:
        photos = data.load("fashion_mnist")
    except FileNotFoundError as error:
        print(f"skipped: {error}")
        return 0
    rows, start = [], time.process_time()
    for seed in range(options.seeds):
        few = imbalanced(photos, seed)
        for way in WAYS:
            for measure, value in scores(few, way, seed).items():
                rows.append((way, measure, value))
            print(f"seed {seed}, {way}: " + ", ".join(
                f"{measure} {value:.3f}" for _, measure, value in rows[-3:]
            ), flush=True)  # fmt: skip
    table = pd.DataFrame(rows, columns=["way", "measure", "value"])
    groups = table.groupby(["way", "measure"], sort=False)["value"]
    mean, n = groups.mean(), options.seeds
    half = stats.t.ppf(0.975, max(n - 1, 1)) * groups.std(ddof=1) / np.sqrt(n)
    result = pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half})
    result = result.clip(0, 1).round(4).reset_index()
    result["seeds"] = n
    result["command"] = "python tests/benchmarks/imbalance.py"
    result["date"] = datetime.date.today().isoformat()
    result["machine"] = f"{os.cpu_count()} CPU cores, no GPU"
    OUT.parent.mkdir(parents=True, exist_ok=True)
    result.to_csv(OUT, index=False)
    print(result[["way", "measure", "mean", "low", "high"]].to_string(index=False))
    print(f"{time.process_time() - start:.0f} CPU-s in all; written to {OUT.name}")
    return 0


def imbalanced(photos, seed):
    """The data with few training pictures of some classes; validation is smaller."""
    import numpy as np

    rng = np.random.default_rng(seed)
    split, labels = photos.manifest["split"], photos.manifest["label"]
    rows = [np.flatnonzero(split == "test")]
    for label in range(photos.num_classes):
        number = FEW_PICTURES if label in FEW else MANY_PICTURES
        for part, wanted in (("train", number), ("valid", 40)):
            mine = np.flatnonzero((split == part) & (labels == label))
            rows.append(rng.choice(mine, wanted, replace=False))
    rows = np.sort(np.concatenate(rows))
    return photos.take(rows)


def scores(photos, way, seed):
    """Trains in one way: {measure: value}."""
    import keras
    from sklearn import metrics

    from cnnkit import data, models, training

    weights, loss = None, "crossentropy"
    if way == "class weights":
        weights = data.balance.class_weights(photos)
    elif way == "effective":
        weights = data.balance.class_weights(photos, method="effective")
    elif way == "oversampling":
        photos = data.balance.oversample(photos, seed=seed)
    elif way == "undersampling":
        photos = data.balance.undersample(photos, seed=seed)
    elif way == "focal":
        loss = "focal"
    steps = -(-len(photos.rows("train")) // BATCH)
    keras.utils.set_random_seed(seed)
    model = models.small_cnn(
        num_classes=photos.num_classes, input_shape=photos.image_shape
    )
    training.fit(
        model, photos, epochs=max(1, round(STEPS / steps)), batch_size=BATCH,
        class_weight=weights, loss=loss, patience=10_000, seed=seed, verbose=0,
    )  # fmt: skip
    images, labels = data.to_arrays(photos, "test")
    said = model.predict(images, batch_size=256, verbose=0).argmax(axis=1)
    recall = metrics.recall_score(labels, said, labels=list(FEW), average=None)
    return {
        "recall of the small classes": recall.mean(),
        "balanced accuracy": metrics.balanced_accuracy_score(labels, said),
        "macro F1": metrics.f1_score(labels, said, average="macro"),
    }


if __name__ == "__main__":
    sys.exit(main())
