"""Kills searches with SIGKILL, lets them go on, and compares with one in one go.

    python tests/gauntlet/search_kills.py 20

The start of each search is a fork of a process that has imported TensorFlow and not yet
used it. A kill falls at a random moment between the first trial and the last. Then each
file of a finished search is cut at 20 places, and the search opened again.
"""

import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import time
import traceback
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from kills import start

from cnnkit import data, tuning
from cnnkit.tuning import oracles

TRIALS, CUTS = 6, 20
METHODS = ("random", "bayesian", "hyperband", "grid")


def pictures():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = rng.integers(0, 200, (90, 8, 8, 3)) + 15 * labels[:, None, None, None]
    return data.from_arrays(images.astype("uint8"), labels)


def space(hp):
    model = keras.Sequential([
        keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Flatten(),
        layers.Dropout(hp.Float("dropout", 0.1, 0.5, step=0.1)),
        layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
    optimizer = keras.optimizers.Adam(rate)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def found(method, folder):
    """Searches until the end, and returns what was found, as text."""
    tuner = tuning.search(
        space, pictures(), folder=folder, method=method, max_trials=TRIALS, epochs=3,
        verbose=0,
    )  # fmt: skip
    tuner.get_best_models()
    table = tuning.trials(tuner).drop(columns=["seconds", "at"])
    return table.to_json(orient="split", double_precision=15)


def finished(folder):
    """What is on disk of the trials that had ended: {file: (score, when)}."""
    scores = {}
    for path in folder.glob("trial_*.json"):
        record = json.loads(path.read_text().splitlines()[0])
        if "ended" in record:
            scores[path.name] = record["state"]["score"], record["at"]
    return scores


def killed(method, folder, dice):
    """Kills a search in its course; returns what had ended, None if all had."""
    process, begun = start(partial(found, method), folder), None
    wait = dice.uniform(0, 5)
    while os.waitpid(process, os.WNOHANG) == (0, 0):
        if begun is None and list(folder.glob("trial_*.json")):
            begun = time.monotonic()
        if begun and time.monotonic() - begun > wait:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return finished(folder)
        time.sleep(1e-3)
    return None


def ended(method, folder):
    """Lets a search come to its end, and returns what was found, or the error."""
    result, error = folder.with_suffix(".result"), folder.with_suffix(".error")
    _, status = os.waitpid(start(partial(found, method), folder), 0)
    return error.read_text() if status else result.read_text()


def main(kills, *methods):
    dice, faults = random.Random(0), 0  # noqa: S311
    with tempfile.TemporaryDirectory() as place:
        for method in methods or METHODS:
            whole = pathlib.Path(place) / method
            expected, done, lost, other = ended(method, whole), 0, 0, 0
            while done < kills:
                folder = pathlib.Path(place) / f"{method}-{done}"
                before = killed(method, folder, dice)
                if before is None:
                    continue
                result = ended(method, folder)
                lost += any(finished(folder).get(k) != v for k, v in before.items())
                if result != expected:
                    other += 1
                    print(f"expected\n{expected}\ngot\n{result}")
                done += 1
            faults += lost + other
            print(
                f"{method:10} {done} kills: {lost} with a finished trial lost, "
                f"{other} that ended otherwise than in one go", flush=True,
            )  # fmt: skip
        faults += cut(pathlib.Path(place) / (methods or METHODS)[0], dice)
    return int(faults > 0)


def cut(whole, dice):
    """Cuts each file of a search at some places; returns how often it did not open."""
    faults = places = 0
    for path in sorted(whole.iterdir()):
        content = path.read_bytes()
        size = len(content)
        for end in sorted(dice.sample(range(size), min(size, CUTS if size else 0))):
            path.write_bytes(content[:end])
            oracle = oracles.make("random", "val_accuracy", 3, 0)
            tuning.tuner.Search(oracle, tuning.together(space), None, whole, 3, 0)
            try:
                oracle.open(whole, TRIALS, None)
                faults += len(oracle.end_order) < TRIALS - 1
            except Exception:
                traceback.print_exc()
                faults += 1
            places += 1
            path.with_suffix(".damaged").unlink(missing_ok=True)
        path.write_bytes(content)
    print(f"{places} cuts: {faults} that lost more than the file that was cut")
    return faults


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 20, *sys.argv[2:]))
