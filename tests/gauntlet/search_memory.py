"""A search of 100 trials, ten of them faulty: how much memory it keeps.

    python tests/gauntlet/search_memory.py

Each trial is another network, so that nothing is used again. The growth is that of the
process between the 10th trial and the last. It fails where that is 300 MB or more, or
where a fault ends the search or is ranked.
"""

import os
import pathlib
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

from cnnkit import data, tuning

TRIALS, MOST = 100, 300


def space(hp):
    number = hp.Choice("number", list(range(TRIALS)))
    if number % 10 == 7 and number % 20 == 7:
        raise MemoryError("planted")
    x = inputs = keras.Input((16, 16, 1))
    for stage in range(1 + number % 4):
        x = layers.Conv2D(8 + number, 3, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        if stage < 2:
            x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    optimizer = keras.optimizers.Adam(1e30 if number % 20 == 17 else 1e-3)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def memory():
    """Megabytes of this process."""
    text = pathlib.Path("/proc/self/status").read_text()
    [line] = [line for line in text.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def main():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (120, 16, 16, 1)).astype("uint8")
    photos = data.from_arrays(images, np.arange(120) % 3)
    with tempfile.TemporaryDirectory() as folder:
        options = {"method": "grid", "epochs": 1, "folder": folder, "verbose": 0}
        tuning.search(space, photos, max_trials=10, **options)
        before = memory()
        tuner = tuning.search(space, photos, max_trials=TRIALS, **options)
        grown = memory() - before
        table = tuning.trials(tuner)
    failed = table[table["status"] == "FAILED"]
    print(
        f"{len(table)} trials, {len(failed)} failed; memory grew by {grown:.0f} MB "
        "after the 10th"
    )
    planted = {n for n in range(TRIALS) if n % 10 == 7}
    as_planted = set(failed["number"].astype(int)) == planted
    return int(grown >= MOST or len(table) < TRIALS or not as_planted)


if __name__ == "__main__":
    sys.exit(main())
