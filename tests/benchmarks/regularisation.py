"""What each way of regularising does to a net that learns by heart, in a table.

    CNNKIT_DATA=... python tests/benchmarks/regularisation.py

A small residual net (`net` below) learns from 500 pictures of Fashion-MNIST, in 20
epochs of AdamW with a learning rate that falls along a cosine; 200 more choose the
epoch for early stopping. Every way has the same number of steps, but four times the
pictures have twice as many; pictures are the same for the same seed. Scores are those
of 5,000 test pictures. Writes notebooks/tables/regularisation.csv.
"""

import argparse
import datetime
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
PICTURES, VALIDATION, TEST = 500, 200, 5000
BATCH, EPOCHS, RATE = 25, 20, 3e-3
OUT = Path(__file__).parents[2] / "notebooks" / "tables" / "regularisation.csv"
# way: what differs from nothing. The strengths are usual ones, tuned on nothing here.
WAYS = {
    "nothing": {},
    "dropout 0.5": {"dropout": 0.5},
    "weight decay 0.1": {"decay": 0.1},
    "weight decay 1": {"decay": 1.0},
    "label smoothing 0.1": {"smoothing": 0.1},
    "stochastic depth 0.5": {"depth": 0.5},
    "all of these": {"dropout": 0.5, "decay": 0.1, "smoothing": 0.1, "depth": 0.5},
    "four times the pictures": {"times": 4, "epochs": EPOCHS // 2},
}


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
        for way, change in WAYS.items():
            for name, found in trained(photos, way, seed, **change).items():
                rows += [(name, measure, value) for measure, value in found.items()]
                told = ", ".join(f"{k} {v:.3f}" for k, v in found.items())
                print(f"seed {seed}, {name}: {told}", flush=True)
    table = pd.DataFrame(rows, columns=["way", "measure", "value"])
    groups = table.groupby(["way", "measure"], sort=False)["value"]
    mean, n = groups.mean(), options.seeds
    half = stats.t.ppf(0.975, max(n - 1, 1)) * groups.std(ddof=1) / np.sqrt(n)
    result = pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half})
    result = result.round(4).reset_index()
    shares = result["measure"].isin(["training accuracy", "test accuracy"])
    columns = ["mean", "low", "high"]
    result.loc[shares, columns] = result.loc[shares, columns].clip(0, 1)
    result["seeds"] = n
    result["command"] = "python tests/benchmarks/regularisation.py"
    result["date"] = datetime.date.today().isoformat()
    result["machine"] = f"{os.cpu_count()} CPU cores, no GPU"
    OUT.parent.mkdir(parents=True, exist_ok=True)
    result.to_csv(OUT, index=False)
    print(result[["way", "measure", "mean", "low", "high"]].to_string(index=False))
    print(f"{time.process_time() - start:.0f} CPU-s in all; written to {OUT.name}")
    return 0


def few(photos, number, seed):
    """The data with a few pictures, as many of each class, and fewer to test."""
    import numpy as np

    rng = np.random.default_rng(seed)
    split, labels = photos.manifest["split"], photos.manifest["label"]
    rows = [np.flatnonzero(split == "test")[:TEST]]
    for part, wanted in (("valid", VALIDATION), ("train", number)):
        for label in range(photos.num_classes):
            mine = rng.permutation(np.flatnonzero((split == part) & (labels == label)))
            rows.append(mine[: wanted // photos.num_classes])
    rows = np.sort(np.concatenate(rows))
    return photos.take(rows)


def net(*, dropout=0.0, depth=0.0):
    """A residual net of 4 blocks for 28 x 28 grey pictures.

    Stochastic depth (Huang et al., 2016, https://arxiv.org/abs/1603.09382) is dropout
    with one draw for a whole branch; its rate rises from block to block (equation 4).
    """
    import keras
    from keras import layers

    from cnnkit.models.blocks import conv_bn

    inputs = keras.Input((28, 28, 1))
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = conv_bn(x, 24, 3, strides=2, name="stem")
    for block in (1, 2, 3, 4):
        if block == 3:
            x = conv_bn(x, 48, 3, strides=2, name="halve")
        width, shortcut = x.shape[-1], x
        x = conv_bn(x, width, 3, name=f"block{block}_1")
        x = conv_bn(x, width, 3, relu=False, name=f"block{block}_2")
        x = layers.Dropout(depth * block / 4, noise_shape=(None, 1, 1, 1))(x)
        x = layers.ReLU()(layers.Add()([shortcut, x]))
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def trained(
    photos,
    way,
    seed,
    *,
    decay=0.0,
    smoothing=0.0,
    times=1,
    epochs=EPOCHS,
    **regularised,
):
    """Trains in one way: {way: {measure: value}}, after the last epoch.

    With nothing, the weights of the lowest validation loss are early stopping.
    """
    import keras

    photos = few(photos, times * PICTURES, seed)
    keras.utils.set_random_seed(seed)
    model = net(**regularised)
    steps = epochs * times * PICTURES // BATCH
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)

    best = {"loss": float("inf")}

    def remember(epoch, logs):
        if logs["val_loss"] < best["loss"]:
            best.update(loss=logs["val_loss"], weights=model.get_weights())

    model.fit(
        photos.batches("train", batch_size=BATCH, one_hot=True, seed=seed),
        validation_data=photos.batches("valid", batch_size=VALIDATION, one_hot=True),
        epochs=epochs, shuffle=False, verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=remember)],
    )  # fmt: skip
    found = {way: scores(model, photos)}
    if way == "nothing":
        model.set_weights(best["weights"])
        found["early stopping"] = scores(model, photos)
    return found


def scores(model, photos):
    """Accuracies, the test loss and how much too sure the net is, in points of 1."""
    from sklearn import metrics

    from cnnkit import data

    images, labels = data.to_arrays(photos, "train")
    known = model.predict(images, batch_size=500, verbose=0).argmax(axis=1)
    images, truth = data.to_arrays(photos, "test")
    probabilities = model.predict(images, batch_size=500, verbose=0).astype("float64")
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    accuracy = metrics.accuracy_score(truth, probabilities.argmax(axis=1))
    return {
        "training accuracy": metrics.accuracy_score(labels, known),
        "test accuracy": accuracy,
        "test loss": metrics.log_loss(truth, probabilities),
        "confidence above accuracy": probabilities.max(axis=1).mean() - accuracy,
    }


if __name__ == "__main__":
    sys.exit(main())
