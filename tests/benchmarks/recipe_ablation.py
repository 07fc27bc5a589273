"""The fast recipe taken apart: each ingredient left out once, in a table for a lesson.

    CNNKIT_DATA=... python tests/benchmarks/recipe_ablation.py

The whole recipe is `models.small_cnn` with `training.fit`: Muon, a rate that rises to
2e-2 and falls again, batches of 128, mirrored pictures, smoothed labels and 16 bits.
It learns 17,000 pictures of Fashion-MNIST in 3 passes, so what only a longer run shows,
such as mirroring, is not seen here. The accuracy is that on the 9,000 pictures of the
validation part; the test part is not touched. CPU-seconds go from building the network
to the end of `fit`, tracing and validation included. Intervals are Student's, over
seeds, 95 %. Writes notebooks/tables/recipe.csv; `--rows` measures some and keeps the
others.
"""

import argparse
import datetime
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
PICTURES, EPOCHS, WIDTHS = 17_000, 3, (16, 48, 96)
OUT = Path(__file__).parents[2] / "notebooks" / "tables" / "recipe.csv"
RECIPE = {
    "optimizer": "muon", "learning_rate": 2e-2, "batch_size": 128,
    "label_smoothing": 0.1,
}  # fmt: skip
ROWS = {  # left out: (what stands in its place, changes to `fit`, to the network)
    "nothing": ("the whole recipe", {}, {}),
    "schedule": ("6e-3 in every step", {"constant": 6e-3}, {}),
    "high peak": ("a peak of 2e-3", {"learning_rate": 2e-3}, {}),
    "Muon": ("AdamW, peak 1e-2", {"optimizer": "adamw", "learning_rate": 1e-2}, {}),
    "Muon, AdamW": (
        "SGD, Nesterov, peak 0.2",
        {"optimizer": "sgd", "learning_rate": 0.2},
        {},
    ),
    "large batches": ("batches of 32", {"batch_size": 32}, {}),
    "label smoothing": ("whole labels", {"label_smoothing": 0.0}, {}),
    "mirroring": ("pictures as they are", {"augment": None}, {}),
    "16 bits": ("float32", {"precision": "float32"}, {}),
    "pooling first": ("normalised, then pooled", {}, {"pool_first": False}),
    "BatchNorm": ("not normalised", {}, {"norm": False}),
    "last convolution": ("three convolutions", {}, {"last": False}),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    options = parser.parse_args()

    import pandas as pd

    from cnnkit import data

    try:
        photos = fewer(data.load("fashion_mnist"))
    except FileNotFoundError as error:
        print(f"skipped: {error}")
        return 0
    table = pd.read_csv(OUT) if OUT.exists() else pd.DataFrame({"left_out": []})
    kept = {row["left_out"]: row for row in table.to_dict("records")}
    for name in options.rows:
        row = kept[name] = measured(name, photos, options.seeds)
        print(
            f"without {name}: {row['accuracy']:.4f} ({row['accuracy_low']:.4f} to "
            f"{row['accuracy_high']:.4f}), {row['cpu_seconds']:.1f} CPU-s",
            flush=True,
        )
        OUT.parent.mkdir(parents=True, exist_ok=True)
        rows = [kept[name] for name in ROWS if name in kept]
        pd.DataFrame(rows).round(4).to_csv(OUT, index=False)
    print(f"{time.process_time():.0f} CPU-s in all; written to {OUT.name}")
    return 0


def fewer(photos):
    """The same pictures with so many of the training part."""
    import numpy as np

    train = np.random.default_rng(0).permutation(photos.rows("train"))
    kept = np.ones(len(photos.manifest), bool)
    kept[train[PICTURES:]] = False
    return photos.take(kept)


def measured(name, photos, seeds):
    """One row of the table, over seeds."""
    instead, recipe, shape = ROWS[name]
    runs = [learn(photos, recipe, shape, seed) for seed in range(seeds)]
    row = {"left_out": name, "instead": instead}
    for position, measure in enumerate(("accuracy", "cpu_seconds")):
        values = [run[position] for run in runs]
        mean, low, high = interval(values)
        row |= {measure: mean, f"{measure}_low": low, f"{measure}_high": high}
    return row | {
        "seeds": seeds,
        "pictures": PICTURES,
        "epochs": EPOCHS,
        "command": "python tests/benchmarks/recipe_ablation.py",
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} CPU cores, no GPU",
    }


def interval(values):
    """Mean, low and high end of the interval of a mean over seeds."""
    import numpy as np
    from scipy import stats

    mean, n = np.mean(values), len(values)
    spread = np.std(values, ddof=1) / n**0.5 if n > 1 else np.nan
    half = stats.t.ppf(0.975, max(n - 1, 1)) * spread
    return float(mean), float(mean - half), float(mean + half)


def learn(photos, recipe, shape, seed):
    """(validation accuracy, CPU-seconds) of one run."""
    import keras

    from cnnkit import augment, evaluation, training

    recipe = RECIPE | {"augment": augment.flip()} | recipe
    constant = recipe.pop("constant", None)
    keras.utils.set_random_seed(seed)
    start = time.process_time()
    model = network(photos.image_shape, **shape)

    def keep_the_rate(batch, logs):
        model.optimizer.learning_rate = constant

    if constant:  # called after the schedule, and so has the last word
        recipe["callbacks"] = [
            keras.callbacks.LambdaCallback(on_train_batch_begin=keep_the_rate)
        ]
    training.fit(model, photos, epochs=EPOCHS, seed=seed, verbose=0, **recipe)
    seconds = time.process_time() - start
    table = evaluation.predict(model, photos, "valid")
    return float((table["label"] == table["predicted"]).mean()), seconds


def network(image_shape, *, norm=True, pool_first=True, last=True):
    """`small_cnn`, or the same without one of its parts."""
    from keras import layers

    from cnnkit import models
    from cnnkit.models.blocks import classify, pixels

    if norm and pool_first and last:
        return models.small_cnn(num_classes=10, input_shape=image_shape, widths=WIDTHS)
    inputs, x = pixels(image_shape)
    for width in (*WIDTHS, *WIDTHS[-1:]) if last else WIDTHS:
        pool = [layers.MaxPooling2D(2)] if min(x.shape[1:3]) > 3 else []
        rest = [layers.BatchNormalization(momentum=0.9)] if norm else []
        rest.append(layers.ReLU())
        x = layers.Conv2D(width, 3, padding="same", kernel_initializer="he_normal")(x)
        for layer in pool + rest if pool_first else rest + pool:
            x = layer(x)
    return classify(inputs, x, 10, name="small_cnn")


if __name__ == "__main__":
    sys.exit(main())
