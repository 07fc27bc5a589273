"""Rows E and C24 of the gauntlet: what a training with `resume=` survives.

The reference is always the same training in one go, without `resume`. Kills and
signals need processes of their own: `kills.py`.
"""

import inspect
import json
import math
import resource
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from cnnkit import data, models, training
from cnnkit.training import checkpoint, recipe

SHAPE = (28, 28, 1)


def pictures():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 150, (60, *SHAPE)) + 40 * labels[:, None, None, None]
    return data.from_arrays(images.astype("uint8"), labels)


@pytest.fixture(scope="module")
def photos():
    return pictures()


class Crash(Exception):
    """Stands for whatever ends a process; nothing of cnnkit catches it."""


class At(keras.callbacks.Callback):
    """Does something in a batch of an epoch, counted from 1."""

    def __init__(self, epoch, act, batch=1):
        super().__init__()
        self.at, self.act, self.seen = (epoch, batch), act, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.seen = epoch + 1

    def on_train_batch_begin(self, batch, logs=None):
        if (self.seen, batch + 1) == self.at:
            self.act()


def crash():
    raise Crash


def fresh(seed=0):
    keras.utils.set_random_seed(seed)
    return models.small_cnn(num_classes=3, input_shape=SHAPE, widths=(4,), dropout=0.3)


def run(photos, *, seed=0, **options):
    """A training of a small model with dropout: (its model, its history)."""
    model = fresh(seed)
    options = {"epochs": 4, "batch_size": 16, "verbose": 0} | options
    return model, training.fit(model, photos, **options)


def everything(model, history):
    """All that must be equal, seed generators' states among it."""
    params = {k: v for k, v in history.params.items() if k != "seconds"}
    values = [keras.ops.convert_to_numpy(v).tobytes() for v in model.variables]
    return json.dumps([history.history, history.epoch, params]), values


@pytest.fixture(scope="module")
def in_one_go(photos):
    return everything(*run(photos))


def test_e03_e04_e05_e18_a_run_that_breaks_off_ends_as_in_one_go(
    photos, in_one_go, tmp_path, capsys
):
    folder = tmp_path / "new" / "folder"
    for epoch, seed in ((1, 0), (3, 1), (3, 2)):  # other weights: the saved ones count
        with pytest.raises(Crash):
            run(photos, seed=seed, resume=folder, callbacks=[At(epoch, crash, batch=2)])
    assert len(list(folder.glob("*.npz"))) == checkpoint.KEPT
    assert everything(*run(photos, seed=3, resume=folder)) == in_one_go

    times = {path: path.stat().st_mtime_ns for path in folder.glob("*.npz")}
    capsys.readouterr()
    never = At(1, crash)
    again = run(photos, seed=4, resume=folder, callbacks=[never], verbose=1)
    assert everything(*again) == in_one_go and not never.seen
    assert "nothing is trained again" in capsys.readouterr().out
    assert times == {path: path.stat().st_mtime_ns for path in folder.glob("*.npz")}
    assert math.isfinite(again[0].evaluate(photos.valid, verbose=0)[0])

    for change, message in (
        ({"batch_size": 64}, "batch_size was 16 and is 64"),
        ({"epochs": 5}, "epochs was 4 and is 5: the learning rate falls"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            run(photos, resume=folder, **change)
        assert "another folder" in str(caught.value)
        assert str(caught.value).endswith(f"Received: resume={str(folder)!r}")


def test_e05_patience_goes_on_and_minutes_count(photos, tmp_path, clock):
    options = {"epochs": 9, "patience": 2, "learning_rate": 0.3, "seed": 1}
    expected = everything(*run(photos, **options))
    assert "no better" in expected[0]
    stop = len(json.loads(expected[0])[1])  # one epoch before the run is given up
    with pytest.raises(Crash):
        run(photos, resume=tmp_path / "a", callbacks=[At(stop, crash)], **options)
    assert everything(*run(photos, resume=tmp_path / "a", **options)) == expected

    timed = {"epochs": None, "minutes": 0.5, "resume": tmp_path / "b"}
    with pytest.raises(Crash):
        run(photos, callbacks=[At(3, crash)], **timed)
    latest = max((tmp_path / "b").glob("*.npz"))
    state = checkpoint.read(latest)
    assert state["course"]["elapsed"] > 0 and state["epoch"] == 2
    state["course"]["elapsed"] += 29  # as if the machine had been slow
    checkpoint.write(latest, state)
    begun = clock.now
    _, history = run(photos, **timed)
    assert clock.now - begun < 2 and "time was up" in history.params["stopped"]
    assert history.params["seconds"] > 29


def test_e07_a_full_disk_keeps_the_old_file_and_training_goes_on(
    photos, in_one_go, tmp_path
):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))

    folder = tmp_path / "run"
    try:
        with pytest.warns(UserWarning, match="Epoch 3 was not saved .* File too large"):
            result = run(photos, resume=folder, callbacks=[At(3, full)])
        with pytest.raises(OSError, match="Free some space"):
            run(photos, resume=tmp_path / "other")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything(*result) == in_one_go
    epochs = [checkpoint.read(path)["epoch"] for path in folder.glob("*.npz")]
    assert sorted(epochs) == [1, 2]
    assert not list(folder.glob(".cnnkit-*"))
    assert everything(*run(photos, resume=folder)) == in_one_go


FULL_DISK = """
import sys, warnings
from contextlib import suppress
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_checkpoint_faults import At, checkpoint, pictures, run
photos, disk = pictures(), Path(sys.argv[2])

def full():
    with suppress(OSError), open(disk / "filler", "wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    run(photos, resume=disk / "run", callbacks=[At(3, full)])
print(*(warning.message for warning in said), sep="\\n")
print(sorted(checkpoint.read(path)["epoch"] for path in (disk / "run").glob("*.npz")))
try:
    run(photos, resume=disk / "other")
except OSError as error:
    print(error)
"""


@pytest.mark.slow("a process of its own, whose disk is full")
def test_e07_a_disk_that_is_really_full(tmp_path):
    private = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*private, "true"]).returncode:
        pytest.skip("no disk of one megabyte can be made here (unshare, mount)")
    on_it = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
    run_it = [sys.executable, "-c", FULL_DISK, str(Path(__file__).parent)]
    answer = subprocess.run(
        [*private, "sh", "-c", on_it, str(tmp_path), *run_it, str(tmp_path)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert "No space left on device" in answer.stdout
    assert "Epoch 3 was not saved" in answer.stdout
    assert "[1, 2]" in answer.stdout and "free some space" in answer.stdout


def test_e09_a_folder_that_cannot_be_written_is_noticed_before_training(
    photos, tmp_path
):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run", "/proc/run"):
        with pytest.raises(OSError, match="Choose another one") as caught:
            run(photos, resume=folder, callbacks=[At(1, crash)])
        assert f"resume={str(folder)!r}" in str(caught.value)


def test_e10_e11_handlers_are_set_in_the_main_thread_alone_and_taken_back(
    photos, in_one_go, tmp_path
):
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    inside = []

    def look():
        inside.append([signal.getsignal(number) for number in numbers])

    run(photos, resume=tmp_path / "a", callbacks=[At(1, look)])
    results = []
    thread = threading.Thread(
        target=lambda: results.append(
            run(photos, resume=tmp_path / "b", callbacks=[At(1, look)])
        )
    )
    thread.start()
    thread.join()
    assert everything(*results[0]) == in_one_go
    assert inside[0] != before and inside[1] == before
    assert before == [signal.getsignal(number) for number in numbers]


@pytest.mark.parametrize(
    ("moment", "number", "why"),
    [
        ("in a batch", signal.SIGINT, "you stopped it"),
        ("in a save", signal.SIGTERM, "the process was asked"),
        ("in the last save", signal.SIGINT, "you stopped it"),
    ],
)
def test_e10_e11_a_signal_leaves_a_usable_model_and_a_way_to_go_on(
    photos, in_one_go, tmp_path, capsys, monkeypatch, moment, number, why
):
    # A process that was started in the background ignores Ctrl-C; this one does not.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    write = checkpoint.write

    def hit(path, state):
        if (state["epoch"], state["is_done"]) == last:
            signal.raise_signal(number)
        write(path, state)  # is done before the signal is followed

    epochs = 4 if moment == "in the last save" else 2
    last = (epochs, epochs == 4)
    stops = [At(3, lambda: signal.raise_signal(number), batch=2)]
    if moment != "in a batch":
        monkeypatch.setattr(checkpoint, "write", hit)
        stops = []
    model, history = run(photos, resume=tmp_path, callbacks=stops, verbose=1)
    monkeypatch.undo()
    signal.signal(signal.SIGINT, before)
    assert history.params["stopped"].startswith(why) and len(history.epoch) == epochs
    best = min(history.history["val_loss"])
    assert model.evaluate(photos.valid, verbose=0)[0] == pytest.approx(best, rel=1e-2)
    assert epochs == 4 or "Saved up to epoch 2" in capsys.readouterr().out
    assert everything(*run(photos, resume=tmp_path)) == in_one_go


def test_e12_e13_e14_what_is_not_finite_is_never_kept(photos, tmp_path):
    model, history = run(photos, learning_rate=1e30, resume=tmp_path)
    why = history.params["stopped"]
    assert "not finite in epoch 1, batch " in why and "learning rate of" in why
    assert "weights that are not finite: " in why
    assert history.params["best_epoch"] is None
    for kept, start in zip(model.get_weights(), fresh().get_weights(), strict=True):
        np.testing.assert_array_equal(kept, start)
    done = checkpoint.read(tmp_path / "all-layers-done.npz")
    assert all(np.isfinite(array).all() for array in done["model"])

    def spoil():  # in a later epoch: the best of the epochs before stays
        weights = later.model.trainable_variables[0]
        weights.assign(weights * np.nan)

    later = At(3, spoil)
    model, history = run(photos, resume=tmp_path / "later", callbacks=[later])
    assert "not finite in epoch 3, batch 1" in history.params["stopped"]
    assert history.params["best_epoch"] in (1, 2)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


def test_c24_pictures_that_vanish_have_been_read(tmp_path):
    """Pixels are in memory, or in a file of cnnkit's own where they are too many."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            image = Image.fromarray(rng.integers(0, 256, SHAPE[:2], "uint8"))
            image.save(tmp_path / "photos" / name / f"{number}.png")
    for limit in ({}, {"memory_limit": 1000}):
        photos = data.from_folder(
            tmp_path / "photos", image_size=28, grey=True, **limit
        )
        assert isinstance(photos.pixels, np.memmap) == bool(limit)
    files = sorted((tmp_path / "photos").rglob("*.png"))

    def vanish():
        for file in files:
            file.unlink()

    model = models.small_cnn(num_classes=2, input_shape=SHAPE, widths=(4,))
    options = {"epochs": 3, "verbose": 0, "resume": tmp_path / "run"}
    history = training.fit(model, photos, callbacks=[At(2, vanish)], **options)
    assert len(history.epoch) == 3 and not files[0].exists()


OUT_OF_MEMORY = """
import resource, sys
import keras, numpy as np
from cnnkit import data, training
from keras import layers
images = np.zeros((160, 96, 96, 1), "uint8")
photos = data.from_arrays(np.arange(160, dtype="uint8")[:, None, None, None] + images,
                          np.arange(160) % 2)
inputs = layers.Input((96, 96, 1))
x = layers.UpSampling2D(128)(inputs)  # 34 GB a step
x = layers.GlobalAveragePooling2D()(x)
model = keras.Model(inputs, layers.Dense(2, "softmax")(x))
class Limit(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 3 * 2**30,) * 2)
try:
    training.fit(model, photos, epochs=1, batch_size=100, precision="float32",
                 callbacks=[Limit()], verbose=0, resume=sys.argv[1])
except MemoryError as error:
    print(error)
"""


@pytest.mark.slow("a process of its own, whose memory ends")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="not Linux")
def test_e15_too_large_a_batch_is_told_what_to_try(tmp_path):
    command = [sys.executable, "-c", OUT_OF_MEMORY, str(tmp_path / "run")]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert "try batch_size=50" in answer.stdout, answer.stderr[-2000:]
    assert list((tmp_path / "run").glob("*-000000.npz"))


@pytest.mark.slow("a training in one go, one that is killed, and one that goes on")
@pytest.mark.skipif(sys.platform != "linux", reason="forks after TensorFlow's import")
def test_e01_a_killed_run_ends_as_in_one_go():
    """One of the fifty kills of `make gauntlet`."""
    command = [sys.executable, str(Path(__file__).with_name("kills.py")), "1"]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr[-2000:]
    *_, last = answer.stdout.strip().splitlines()
    assert last.split()[2] == "1" and last.endswith("1/1")


def test_e19_settings_that_change_the_result_are_all_compared(photos):
    """An argument that `fit` gains must be compared, or be named here as harmless."""
    harmless = {"model", "data", "resume", "verbose", "callbacks"}
    compared = set()

    def spy(folder, model, data, settings, **options):
        compared.update(settings)
        raise Crash

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe.resuming, "opened", spy)
        with pytest.raises(Crash):
            run(photos)
    inside_loss = {"label_smoothing"}
    arguments = set(inspect.signature(training.fit).parameters)
    assert arguments - harmless - inside_loss <= compared
