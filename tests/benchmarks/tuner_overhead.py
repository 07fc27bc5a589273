"""What a search costs beside the training in it: KerasTuner, a plain loop, ours.

    python tests/benchmarks/tuner_overhead.py

Ten trials of two epochs of a tiny network on scikit-learn's digits (32 x 32 pixels),
which differ in learning rate, dropout and weight decay, each way in a process of its
own, in CPU-seconds from the first line of the search to its end, imports not counted.
"bare" is what the same epochs take in one compiled model that has run before. "plain
loop" builds, compiles and fits. With Hyperband the number of epochs follows from its
brackets, and bare is of as many. Asserts nothing.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
TRIALS, EPOCHS = 10, 2
WAYS = {
    "plain loop": (None, "loop"),
    "KerasTuner, random": ("random", "theirs"),
    "ours, random": ("random", "ours"),
    "KerasTuner, Hyperband": ("hyperband", "theirs"),
    "ours, Hyperband": ("hyperband", "ours"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=1259, help="to train on")
    options = parser.parse_args()
    if options.way:
        print("MEASURED", *measured(*WAYS[options.way], options.pictures))
        return 0
    print(f"{'':24} CPU-s  over bare  KerasTuner = 1")
    medians = {}
    for way, (method, _) in WAYS.items():
        runs = [one(way, options.pictures) for _ in range(options.runs)]
        cpu, bare = sorted(runs)[len(runs) // 2]
        medians[way] = cpu / bare
        name = {"hyperband": "Hyperband", "random": "random"}.get(method)
        theirs = medians.get(f"KerasTuner, {name}")
        ratio = f"{cpu / bare / theirs:6.2f}" if theirs else ""
        print(f"{way:24} {cpu:5.1f}  {cpu / bare:5.2f}      {ratio}", flush=True)
    return 0


def one(way, pictures):
    """(CPU-seconds of the search, of the bare training) of a fresh process."""
    command = [sys.executable, __file__, "--way", way, "--pictures", str(pictures)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    line = [row for row in done.stdout.splitlines() if row.startswith("MEASURED")][-1]
    return tuple(map(float, line.split()[1:]))


def measured(method, whose, pictures):
    import keras_tuner
    import numpy as np

    from cnnkit import data, tuning

    photos = data.load("digits")
    rows = [photos.rows("train")[:pictures], photos.rows("valid")]
    photos = photos.take(np.concatenate(rows))
    train, valid = photos.batches("train"), photos.batches("valid")

    def build(hp):
        return net(
            hp.Float("rate", 1e-3, 1e-2, sampling="log"),
            hp.Float("dropout", 0.1, 0.5),
            hp.Float("decay", 1e-3, 1e-1, sampling="log"),
        )

    begin = time.process_time()
    epochs = TRIALS * EPOCHS
    with tempfile.TemporaryDirectory() as folder:
        if whose == "loop":
            for number in range(TRIALS):
                model = net(1e-3 * (number + 1), 0.1 + 0.04 * number, 1e-3)
                model.fit(train, validation_data=valid, epochs=EPOCHS, verbose=0)
        elif whose == "ours":
            tuner = tuning.search(
                build, photos, folder=Path(folder) / "search", method=method,
                max_trials=TRIALS, epochs=EPOCHS, verbose=0,
            )  # fmt: skip
        else:
            shared = {"objective": "val_accuracy", "seed": 1, "directory": folder}
            if method == "random":
                tuner = keras_tuner.RandomSearch(build, max_trials=TRIALS, **shared)
            else:
                tuner = keras_tuner.Hyperband(
                    build, max_epochs=EPOCHS, hyperband_iterations=99, **shared
                )
                tuner.oracle.max_trials = TRIALS
            tuner.search(train, validation_data=valid, epochs=EPOCHS, verbose=0)
        spent = time.process_time() - begin
        if method == "hyperband":
            values = [t.hyperparameters.values for t in tuner.oracle.trials.values()]
            epochs = sum(v["tuner/epochs"] - v["tuner/initial_epoch"] for v in values)

    model = net(1e-3, 0.3, 1e-3)
    options = {"validation_data": valid, "verbose": 0}
    model.fit(train, epochs=2, **options)
    begin = time.process_time()
    for _ in range(TRIALS):
        model.fit(train, epochs=EPOCHS, **options)
    bare = (time.process_time() - begin) * epochs / (TRIALS * EPOCHS)
    return spent, bare


def net(rate, dropout, decay):
    import keras
    from keras import layers

    model = keras.Sequential([
        keras.Input((32, 32, 1)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(dropout),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=decay),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


if __name__ == "__main__":
    sys.exit(main())
