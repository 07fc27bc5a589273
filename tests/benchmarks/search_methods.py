"""What each way of searching finds in the same time: by hand, grid, random, and so on.

    CNNKIT_DATA=... python tests/benchmarks/search_methods.py

Fashion-MNIST, 10,000 pictures to learn from and 2,000 for validation, drawn by the
seed; a space of 6 networks, dropout and learning rate. Each search has one core and
three CPU-minutes, whatever else the machine does, with at most ten epochs a trial.
The best model by validation is asked about the 10,000 test pictures. "by hand" is one
training after the other of the middle of the space at the three usual rates.

"KerasTuner, Hyperband" is `keras_tuner.Hyperband` as it comes, on the same batches;
the other ways are `tuning.search`, whose first trial is that of the defaults: the
middle of the space and the first rate by hand. All train the networks as the space has
compiled them, with Adam at one rate, but for "hyperband, training.fit": the same space
of the same networks, not compiled, so that `training.fit` trains them as it comes, or
with Muon. Each run is a row of notebooks/tables/search_methods.csv, written when it is
done: stopped and called again, it goes on.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
WAYS = (
    "KerasTuner, Hyperband", "hyperband", "by hand", "grid", "random", "bayesian",
    "hyperband, training.fit", "hyperband, training.fit, Muon",
)  # fmt: skip
EPOCHS, TRAIN, VALID = 10, 10_000, 2_000
OUT = Path(__file__).parents[2] / "notebooks" / "tables" / "search_methods.csv"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--one", help="one run, as JSON")
    options = parser.parse_args()
    if options.one:
        print("MEASURED", json.dumps(measured(**json.loads(options.one))))
        return 0

    import pandas as pd

    cores = sorted(os.sched_getaffinity(0))
    rows = pd.read_csv(OUT).to_dict("records") if OUT.exists() else []
    done = {(row["way"], row["seed"]) for row in rows}
    tasks = [
        {"way": way, "seed": seed, "minutes": options.minutes}
        for seed in range(options.seeds) for way in options.ways
        if (way, seed) not in done
    ]  # fmt: skip
    free = list(cores)

    def run(task):
        core = free.pop()
        command = [sys.executable, __file__, "--one", json.dumps(task | {"core": core})]
        end = subprocess.run(command, capture_output=True, text=True)
        free.append(core)
        lines = [x for x in end.stdout.splitlines() if x.startswith("MEASURED")]
        if not lines:
            print(end.stdout[-2000:], end.stderr[-2000:])
            return None
        return json.loads(lines[-1].removeprefix("MEASURED"))

    with ThreadPoolExecutor(len(cores)) as pool:
        for row in pool.map(run, tasks):
            if row is not None:
                rows.append(row | facts())
                print(row, flush=True)
                pd.DataFrame(rows).sort_values(["way", "seed"]).to_csv(OUT, index=False)
    print(summary(pd.DataFrame(rows)))
    return 0


def facts():
    return {
        "command": "python tests/benchmarks/search_methods.py",
        "date": datetime.date.today().isoformat(),
        "machine": "one CPU core for each search, no GPU",
    }


def measured(way, seed, minutes, core):
    """One search on one core: a row of the table."""
    os.sched_setaffinity(0, {core})
    time.monotonic = time.process_time  # the clock of both sides: minutes of this CPU
    import keras
    import keras_tuner
    import numpy as np

    from cnnkit import data, tuning

    photos = data.load("fashion_mnist")
    rng = np.random.default_rng(seed)
    rows = [
        rng.permutation(photos.rows("train"))[:TRAIN],
        rng.permutation(photos.rows("valid"))[:VALID],
        photos.rows("test"),
    ]
    photos = photos.take(np.sort(np.concatenate(rows)))
    wall, cpu = time.time(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        if way == "KerasTuner, Hyperband":
            tuner = keras_tuner.Hyperband(
                space, "val_accuracy", max_epochs=EPOCHS, hyperband_iterations=99,
                seed=seed + 1, directory=folder,
            )  # fmt: skip
            end = cpu + 60 * minutes

            class Stop(keras.callbacks.Callback):
                def on_train_batch_end(self, batch, logs=None):
                    if time.monotonic() > end:
                        raise KeyboardInterrupt

                def __deepcopy__(self, memo):
                    return self

            try:
                tuner.search(
                    photos.train, validation_data=photos.valid, callbacks=[Stop()],
                    verbose=0,
                )  # fmt: skip
            except KeyboardInterrupt:
                pass
        else:
            method, what = {
                "by hand": ("grid", by_hand),
                "hyperband, training.fit": (
                    "hyperband", tuning.together(uncompiled_space, rate_space)
                ),
                "hyperband, training.fit, Muon": (
                    "hyperband",
                    tuning.together(uncompiled_space, rate_space, muon_space),
                ),
            }.get(way, (way, space))  # fmt: skip
            tuner = tuning.search(
                what, photos, folder=f"{folder}/s",
                method=method, minutes=minutes, epochs=EPOCHS, seed=seed, verbose=0,
            )  # fmt: skip
        spent = time.process_time() - cpu
        wall = time.time() - wall
        ended = [t for t in tuner.oracle.trials.values() if t.status == "COMPLETED"]
        model = tuner.get_best_models(1)[0]
        [best] = tuner.oracle.get_best_trials(1)
        images, labels = data.to_arrays(photos, "test")
        said = model.predict(images.astype("float32"), batch_size=256, verbose=0)
    return {
        "way": way, "seed": seed, "minutes": minutes,
        "wall_seconds": round(wall, 1), "cpu_seconds": round(spent, 1),
        "trials": len(ended), "valid": round(float(best.score), 4),
        "test": round(float(np.mean(said.argmax(axis=1) == labels)), 4),
    }  # fmt: skip


def uncompiled_space(hp):
    return network(
        hp.Choice("width", [16, 8, 32]),
        hp.Choice("kernel", [3, 5]),
        hp.Float("dropout", 0.0, 0.5, step=0.1, default=0.2),
    )


def rate_space(hp):
    rate = hp.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-3)
    return {"learning_rate": rate}


def muon_space(hp):
    return {"optimizer": "muon"}


def space(hp):
    return compiled(uncompiled_space(hp), **rate_space(hp))


def by_hand(hp):
    return compiled(network(16, 3, 0.2), hp.Choice("rate", [1e-3, 1e-2, 1e-4]))


def network(width, kernel, dropout):
    import keras
    from keras import layers

    return keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(width, kernel, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(2 * width, kernel, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(dropout),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip


def compiled(model, learning_rate):
    import keras

    model.compile(
        keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy",
        metrics=["accuracy"], jit_compile=False,
    )  # fmt: skip
    return model


def summary(table):
    """Means with 95 % intervals over the seeds, and each way less KerasTuner's."""
    from scipy import stats

    lines = []
    test = table.pivot(index="seed", columns="way", values="test")
    for way in [way for way in WAYS if way in test]:
        parts = [f"{way:24}"]
        for values in (test[way], test[way] - test.get(WAYS[0], test[way])):
            values = values.dropna()
            n = len(values)
            half = stats.t.ppf(0.975, n - 1) * values.std() / n**0.5 if n > 1 else 0
            parts.append(f"{values.mean():+.4f} +- {half:.4f}")
        parts.append(f"{table[table['way'] == way]['trials'].mean():.0f} trials")
        lines.append("  ".join(parts))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
