import os
import signal
import socket
import subprocess
import sys
import time

import keras
import pytest
from keras import layers
from sklearn.datasets import load_digits

from cnnkit import data, tuning


def space(hp):
    """A space in a file of its own, as workers want it; one kind kills its process."""
    kind = hp.Choice("kind", ["fine", "deadly"])
    if kind == "deadly" and os.environ.get("KERASTUNER_TUNER_ID", "").startswith("tun"):
        os.kill(os.getpid(), signal.SIGKILL)
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        layers.Rescaling(1 / 255),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    rate = hp.Choice("rate", [1e-3, 1e-2])
    optimizer = keras.optimizers.Adam(rate)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def broken(hp):
    hp.Boolean("any")
    if "KERASTUNER_TUNER_ID" in os.environ:
        return undefined_name  # noqa: F821
    return space(keras.utils.Config(Choice=lambda name, values: values[0]))


def digits():
    scans = load_digits()
    images = (scans.images[:200] * 15.9).astype("uint8")
    return data.from_arrays(images, scans.target[:200], together="same")


@pytest.mark.slow("two workers, and those in place of the dead")
def test_a_worker_that_dies_fails_its_trial_alone(tmp_path):
    tuner = tuning.search(
        space, digits(), folder=tmp_path, method="grid", epochs=2, workers=2, verbose=0
    )
    table = tuning.trials(tuner)
    assert len(table) == 4 and "KERASTUNER_TUNER_ID" not in os.environ
    by_kind = table.set_index("kind")
    assert list(by_kind.loc["fine", "status"]) == ["COMPLETED"] * 2
    assert by_kind.loc["deadly", "reason"].str.contains("exit code -9").all()
    assert len(tuner.get_best_models(2)) == 2


@pytest.mark.slow("two workers")
def test_an_error_of_a_worker_is_raised_with_its_traceback(tmp_path):
    with pytest.raises(RuntimeError, match="undefined_name"):
        tuning.search(
            broken, digits(), folder=tmp_path, max_trials=2, workers=2, verbose=0
        )


def test_a_space_that_cannot_be_imported_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"put it into a \.py file of its own"):
        tuning.search(
            lambda hp: space(hp), digits(), folder=tmp_path, max_trials=2, workers=2
        )


OPTIONS = {"epochs": 2, "verbose": 0}
SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from test_parallel import digits, slow
from cnnkit import tuning
tuner = tuning.search(
    slow, digits(), folder={folder!r}, method="random", max_trials=6, epochs=2,
    verbose=0,
)
"""


def slow(hp):
    hp.Float("endless", 0, 1)
    time.sleep(0.5)
    hp.Choice("kind", ["fine"])
    return space(hp)


@pytest.mark.slow("a chief, two workers, and one that takes the place of a killed one")
def test_a_worker_of_a_chief_is_killed_and_its_trial_is_not_lost(tmp_path):
    script, folder = tmp_path / "search.py", tmp_path / "runs"
    tests = os.path.dirname(__file__)
    script.write_text(SCRIPT.format(tests=tests, folder=str(folder)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def start(name):
        variables = {
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": port,
            "KERASTUNER_TUNER_ID": name,
        }
        return subprocess.Popen(
            [sys.executable, script], env=os.environ | variables, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    chief, *workers = [start(name) for name in ("chief", "tuner0", "tuner1")]
    while not list(folder.glob("trial_0002.json")) and chief.poll() is None:
        time.sleep(0.05)
    workers[0].kill()  # in the middle of a trial, most likely
    workers[0].wait()
    again = start("tuner0")
    for process in (again, workers[1], chief):
        said, _ = process.communicate()
        assert process.returncode == 0, said
    tuner = tuning.search(
        slow,
        digits(),
        folder=folder,
        method="random",
        max_trials=6,
        epochs=2,
        verbose=0,
    )
    table = tuning.trials(tuner)
    assert len(table) == 6 and (table["status"] == "COMPLETED").all()
