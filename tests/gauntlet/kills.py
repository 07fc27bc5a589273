"""Kills trainings, lets them go on, and compares with training in one go, bit by bit.

    python tests/gauntlet/kills.py 50
    python tests/gauntlet/kills.py 20 SIGINT

The start of each training is a fork of a process that has imported TensorFlow and not
yet used it: as good as new, without the 5 seconds of the import. What they are compared
with is trained in interpreters of their own, where there are many kills. A kill falls
at a random moment of a process, compiling included, or while a file is being written,
or in the first or the last epoch; most runs are killed several times. With SIGINT, as
by Ctrl-C, the process is to end by itself, within ten seconds, and to leave a model
that can be used, unless training had not begun.
"""

import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

from cnnkit import data, models, training, transfer
from cnnkit.training import checkpoint

EPOCHS, SIDE = 8, 28
KINDS = ("augment, BatchNorm, EMA", "dropout, early stop", "frozen, then fine-tuned")
MOMENTS = ("random", "random", "in a save", "in a save", "first or last epoch")


def pictures():
    rng = np.random.default_rng(0)
    labels = np.arange(210) % 3
    images = (
        rng.integers(0, 200, (210, SIDE, SIDE, 3)) + 8 * labels[:, None, None, None]
    )
    return data.from_arrays(images.astype("uint8"), labels)


def noisy(images, generator):
    """Flips some pictures and changes how bright they are."""
    flip = generator.random(len(images)) < 0.5
    images = np.where(flip[:, None, None, None], images[:, :, ::-1], images)
    change = generator.uniform(0.7, 1.2, (len(images), 1, 1, 1))
    return np.clip(images * change, 0, 255).astype("uint8")


def frozen():
    inputs = layers.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (8, 16):  # nameless layers: another number in each process
        x = layers.SeparableConv2D(filters, 3, strides=2, activation="relu")(x)
        x = layers.BatchNormalization()(x)
    base = keras.Model(inputs, x)
    base.trainable = False
    return transfer.classifier(base, 3)


def train(kind, folder):
    """Trains until the end, and returns a digest of everything that came out."""
    keras.utils.set_random_seed(0)
    photos = pictures()
    options = {"epochs": EPOCHS, "resume": folder, "verbose": 0}
    if kind == KINDS[1]:
        shape = {"num_classes": 3, "input_shape": (SIDE, SIDE, 3), "widths": (8, 16)}
        model = models.small_cnn(**shape, dropout=0.3)
        history = training.fit(model, photos, patience=2, **options)
    elif kind == KINDS[0]:
        shape = {"num_classes": 3, "input_shape": (SIDE, SIDE, 3), "widths": (8, 16)}
        model = models.small_cnn(**shape, dropout=0.1)
        history = training.fit(
            model, photos, optimizer="muon", augment=noisy, ema=0.9, **options
        )
    else:
        model = frozen()
        history = training.fine_tune(model, photos, **options)
    params = {k: v for k, v in history.params.items() if k != "seconds"}
    told = json.dumps([history.history, history.epoch, params])
    digest = hashlib.sha256(told.encode())
    images, _ = data.to_arrays(photos, "valid")
    if not np.isfinite(model.predict(images.astype("float32"), verbose=0)).all():
        raise AssertionError("the model cannot be used")
    for variable in model.variables:
        digest.update(keras.ops.convert_to_numpy(variable).tobytes())
    return f"{digest.hexdigest()} {params}"


def start(work, folder):
    """Starts a process that works, and returns its id; it writes `folder`.result."""
    if process := os.fork():
        return process
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdout = open(os.devnull, "w")
        os.dup2(sys.stdout.fileno(), 2)
        folder.with_suffix(".result").write_text(work(folder))
        status = 0
    except BaseException:
        folder.with_suffix(".error").write_text(traceback.format_exc())
    os._exit(status)


def kill(process, folder, moment, seconds, dice, number):
    """Kills a process at a moment; returns whether it was still alive."""
    begun, wait = time.monotonic(), dice.uniform(0, seconds)
    saves = dice.randrange(4)  # that go by before the one that is hit
    seen, last = set(), dice.random() < 0.5
    while os.waitpid(process, os.WNOHANG) == (0, 0):
        now = time.monotonic() - begun
        names = os.listdir(folder) if folder.exists() else []
        seen.update(name for name in names if name.startswith(".cnnkit-"))
        edge = f"-{EPOCHS - 1:06}.npz" if last else "-000000.npz"
        ready = {
            "random": now > wait,
            "in a save": len(seen) > saves,
            "first or last epoch": any(name.endswith(edge) for name in names),
        }
        if ready[moment]:
            os.kill(process, number)
            begun = time.monotonic()
            status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            if number == signal.SIGKILL:
                return status == -9
            return ended_well(folder, status, time.monotonic() - begun)
        time.sleep(2e-4)
    return False


def ended_well(folder, status, seconds):
    """Whether a process was stopped by Ctrl-C and not at its end; raises if badly."""
    if status:
        error = folder.with_suffix(".error").read_text()
        if not error.strip().endswith("KeyboardInterrupt") or "in train_phase" in error:
            raise AssertionError(error)
        return True  # before training began, or after its end
    if seconds > 10:
        raise AssertionError(f"the process went on for {seconds:.0f} s")
    return "you stopped it" in folder.with_suffix(".result").read_text()


def unreadable(folder):
    """How many files of a run cannot be read after a kill."""
    bad = 0
    for path in folder.glob("[!.]*.npz") if folder.exists() else ():
        try:
            checkpoint.read(path)
        except Exception:
            bad += 1
    return bad


def one_run(kind, folder, kills, moments, seconds, dice, number):
    """Kills a run up to some times, then lets it end; returns a row of the table."""
    row = {"kills": 0, "unreadable": 0, **dict.fromkeys(MOMENTS, 0)}
    for _ in range(kills):
        moment = next(moments)
        process = start(partial(train, kind), folder)
        if not kill(process, folder, moment, seconds, dice, number):
            break  # it had come to its end before
        row["kills"] += 1
        row[moment] += 1
        row["unreadable"] += unreadable(folder)
    _, status = os.waitpid(start(partial(train, kind), folder), 0)
    result, error = folder.with_suffix(".result"), folder.with_suffix(".error")
    row["result"] = error.read_text() if status else result.read_text()
    return row


def gauntlet(kills, number=signal.SIGKILL, *, seed=0, own_interpreters=True):
    """Returns a row for each run until there were so many kills, and prints them."""
    dice, rows = random.Random(seed), []  # noqa: S311
    every = [moment for moment in MOMENTS for _ in range(kills)]
    dice.shuffle(every)
    moments = iter(every * 5)
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        expected, seconds = {}, {}
        for kind in KINDS[:kills]:
            begun, folder = time.monotonic(), place / f"{KINDS.index(kind)}-in-one-go"
            if own_interpreters:
                command = [sys.executable, __file__, "alone", kind, str(folder)]
                subprocess.run(command, check=True, capture_output=True)
            else:
                os.waitpid(start(partial(train, kind), folder), 0)
            expected[kind] = folder.with_suffix(".result").read_text()
            seconds[kind] = time.monotonic() - begun - 5 * own_interpreters
        done = 0
        while done < kills:
            kind, folder = KINDS[len(rows) % len(KINDS)], place / f"run-{len(rows)}"
            some = min(kills - done, 1 if kills < 10 else dice.randint(2, 5))
            row = one_run(kind, folder, some, moments, seconds[kind], dice, number)
            row |= {"kind": kind, "identical": row["result"] == expected[kind]}
            rows.append(row)
            done += row["kills"]
            if not row["identical"]:
                print(f"{kind}: expected\n{expected[kind]}, got\n{row['result']}")
    return rows


def table(rows):
    """The rows as text: one line for each kind of model, and one for all."""
    moments = list(dict.fromkeys(MOMENTS))
    lines = [
        f"{'model':26}{'runs':>5}{'kills':>6}"
        + "".join(f"{moment:>21}" for moment in moments)
        + f"{'unreadable':>12}{'identical':>11}"
    ]
    for kind in [*KINDS, "all"]:
        own = [row for row in rows if kind in (row["kind"], "all")]
        keys = ("kills", "unreadable", *moments)
        total = {key: sum(row[key] for row in own) for key in keys}
        same = f"{sum(row['identical'] for row in own)}/{len(own)}"
        lines.append(
            f"{kind:26}{len(own):5}{total['kills']:6}"
            + "".join(f"{total[moment]:21}" for moment in moments)
            + f"{total['unreadable']:12}{same:>11}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1] == "alone":
        target = pathlib.Path(sys.argv[3])
        target.with_suffix(".result").write_text(train(sys.argv[2], target))
    else:
        kills = int(sys.argv[1])
        number = getattr(signal, (sys.argv[2:] or ["SIGKILL"])[0])
        found = gauntlet(kills, number, own_interpreters=kills >= 10)
        print(table(found))
        sys.exit(not all(r["identical"] and not r["unreadable"] for r in found))
