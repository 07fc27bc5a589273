"""The files of a run: what comes back, what is noticed, what a failure leaves."""

import dataclasses
import functools
import os
import re
import subprocess
import sys

import keras
import ml_dtypes
import numpy as np
import pytest
from keras import layers

from cnnkit import data
from cnnkit.training import checkpoint, fingerprint
from cnnkit.training.checkpoint import DamagedCheckpointError, Run

WEIGHTS = np.arange(6, dtype="float32").reshape(2, 3) / 7


def test_a_state_comes_back_to_the_last_bit(tmp_path):
    state = {
        "float32": WEIGHTS,
        "transposed": np.asfortranarray(WEIGHTS),
        "bfloat16": WEIGHTS.astype(ml_dtypes.bfloat16),
        "seed": np.array([2**32 - 1, 0], "uint32"),
        "scalar": np.array(3, "int64"),
        "empty": np.zeros((0, 3), "float16"),
        "losses": [0.1, 1 / 3, float("nan"), float("inf"), np.float32(0.1)],
        "inside": {"nothing": None, "yes": True, "text": "名前\n$_{<script>"},
    }
    path = tmp_path / "state.npz"
    checkpoint.write(path, state)
    back = checkpoint.read(path)
    assert repr(back.pop("losses")) == repr(
        [*state["losses"][:-1], float(np.float32(0.1))]
    )
    assert back.pop("inside") == state["inside"]
    for name, array in back.items():
        assert array.dtype == state[name].dtype and array.shape == state[name].shape
        assert array.tobytes() == state[name].tobytes(), name
    with np.load(path, allow_pickle=False) as file:  # for who has only NumPy
        assert any(np.array_equal(file[name], WEIGHTS) for name in file)


def test_equal_arrays_are_written_once(tmp_path):
    weights = np.random.default_rng(0).normal(size=(64, 64))
    sizes = []
    for times in (1, 4):
        checkpoint.write(tmp_path / "x.npz", {"all": [weights.copy()] * times})
        sizes.append((tmp_path / "x.npz").stat().st_size)
    assert sizes[1] < sizes[0] + 500


def test_a27_no_flipped_bit_is_silent(tmp_path):
    path, flipped = tmp_path / "good.npz", tmp_path / "bad.npz"
    checkpoint.write(path, {"weights": WEIGHTS, "text": "a"})
    good = path.read_bytes()
    for position in np.random.default_rng(0).integers(0, 8 * len(good), 500):
        bad = bytearray(good)
        bad[position // 8] ^= 1 << position % 8
        flipped.write_bytes(bad)
        with pytest.raises(DamagedCheckpointError, match="bad.npz"):
            checkpoint.read(flipped)
    for length in (0, 1, 71, 72, len(good) - 1):
        flipped.write_bytes(good[:length])
        with pytest.raises(DamagedCheckpointError, match="cut off"):
            checkpoint.read(flipped)


@pytest.fixture(scope="module")
def made_of():
    return fingerprint.take(net(), photos(), {"batch_size": 32, "augment": None})


def test_the_file_before_a_damaged_one_is_used(tmp_path, made_of, capsys):
    with Run(tmp_path, made_of, verbose=0) as run:
        phase = run.phase("head")
        for epoch in range(5):
            phase.save(epoch, {"weights": WEIGHTS + epoch})
    names = sorted(path.name for path in tmp_path.glob("*.npz"))
    assert names == ["head-000003.npz", "head-000004.npz"]
    (tmp_path / names[1]).write_bytes(b"PK")
    with Run(tmp_path, made_of) as run:
        phase = run.phase("head")
        np.testing.assert_array_equal(phase.found["weights"], WEIGHTS + 3)
        assert phase.epoch == 3 and run.phase("top").found is None
    assert f"{names[1]} is damaged: {names[0]}" in capsys.readouterr().out
    (tmp_path / names[0]).write_bytes(b"")
    with Run(tmp_path, made_of) as run:
        with pytest.raises(DamagedCheckpointError, match="Delete it"):
            run.phase("head")


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_e02_e06_a_save_that_fails_at_any_step_leaves_the_old_file(
    tmp_path, monkeypatch, step
):
    path = tmp_path / "x.npz"
    checkpoint.write(path, {"is": "old"})

    def fails(*arguments, **options):
        raise OSError(28, "No space left on device")

    owner = np if step == "write" else os
    monkeypatch.setattr(owner, "savez" if step == "write" else step, fails)
    with pytest.raises(OSError, match="No space"):
        checkpoint.write(path, {"is": "new"})
    assert checkpoint.read(path) == {"is": "old"}
    assert os.listdir(tmp_path) == ["x.npz"]


def test_e16_e17_a_folder_in_use_is_refused_until_its_owner_is_dead(tmp_path, made_of):
    with Run(tmp_path, made_of):
        with pytest.raises(RuntimeError, match=f"process {os.getpid()} on .* since"):
            Run(tmp_path, made_of)
    hold = "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.flock(f, 2); "
    hold += "print(flush=True); time.sleep(600)"
    command = [sys.executable, "-c", hold, str(tmp_path / checkpoint.LOCK)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(RuntimeError, match="Wait for its end"):
            Run(tmp_path, made_of)
        other.kill()
        other.wait()
    rest = tmp_path / ".cnnkit-0123.npz"  # what a kill during a save leaves
    rest.touch()
    Run(tmp_path, made_of).__exit__()
    assert not rest.exists()


@pytest.mark.skipif(checkpoint.fcntl is None, reason="no locks on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_e16_of_two_runs_that_begin_at_once_one_goes_on(tmp_path, made_of):
    for number in range(20):
        (said, say), (begin, let_begin), (end, let_end) = (os.pipe() for _ in range(3))
        processes = []
        for _ in range(2):
            processes.append(os.fork())
            if processes[-1] == 0:
                os.close(let_begin)
                os.close(let_end)
                os.read(begin, 1)  # returns when it is closed, for both at once
                try:
                    run = Run(tmp_path / str(number), made_of)
                    os.write(say, b"goes on.")
                    os.read(end, 1)
                    run.__exit__()
                except RuntimeError:
                    os.write(say, b"refused.")
                finally:
                    os._exit(0)
        os.close(let_begin)
        os.close(say)
        both = os.read(said, 8) + os.read(said, 8)
        os.close(let_end)
        for process in processes:
            assert os.waitpid(process, 0) == (process, 0)
        assert sorted(both.decode().split(".")) == ["", "goes on", "refused"]
        for pipe in (said, begin, end):
            os.close(pipe)


def net(filters=4, name=None, **options):
    inputs = layers.Input((8, 8, 1))
    x = layers.Conv2D(filters, 3, name=name, **options)(inputs)
    x = layers.Dropout(0.5, seed=int(np.random.default_rng().integers(9)))(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def photos(labels=3, size=60, names=None, parts=None):
    images = np.random.default_rng(0).integers(0, 256, (size, 8, 8, 1), "uint8")
    found = data.from_arrays(images, np.arange(size) % labels, class_names=names)
    if parts is None:
        return found
    split = np.repeat(["test", "train", "valid"], parts)
    return dataclasses.replace(found, manifest=found.manifest.assign(split=split))


def test_the_same_run_has_no_differences(made_of, tmp_path):
    again = net()  # its layers have other names: conv2d_1, ...
    settings = {"batch_size": 32, "augment": None}
    checkpoint.write(tmp_path / "x.npz", made_of)
    old = checkpoint.read(tmp_path / "x.npz")
    assert not fingerprint.differences(old, fingerprint.take(again, photos(), settings))
    assert not list(fingerprint.other_versions(old, made_of))


def flip(images, generator, share=0.5):
    return images if generator.random() < share else images[:, :, ::-1]


@pytest.mark.parametrize(
    ("model", "pictures", "settings", "expected"),
    [
        (None, None, {"batch_size": 64}, ["batch_size was 32 and is 64"]),
        (None, None, {"augment": flip}, ["augment was None and is flip \\(\\w{8}\\)"]),
        (
            None,
            {"labels": 4, "names": ("cat", "dog", "emu", "owl"), "parts": (9, 40, 11)},
            {},
            ["the class 'owl' was added", "of the pictures .* in another part"],
        ),
        (None, {"size": 63}, {}, ["of the pictures 3 were added.*"]),
        (None, {"size": 57}, {}, ["of the pictures 3 are missing.*"]),
        (
            None,
            {"names": ("dog", "cat", "emu")},
            {},
            ["the order of the classes .*"],
        ),
        ({"filters": 8}, None, {}, ["layer 'conv2d_?\\d*': filters was 4 and is 8"]),
        ({"name": "own"}, None, {}, ["layer 'own': it was called 'conv2d_?\\d*'"]),
        (
            {"activation": "relu", "strides": 2},
            None,
            {},
            [r"layer .*: strides was \[1, 1\] and is \[2, 2\], activation was .*"],
        ),
    ],
)
def test_e19_differences_are_said_in_the_readers_words(
    model, pictures, settings, expected
):
    names = {"names": ("cat", "dog", "emu")}
    before = {"batch_size": 32, "augment": None}
    old = fingerprint.take(net(), photos(**names), before)
    new = fingerprint.take(
        net(**model or {}), photos(**names | (pictures or {})), before | settings
    )
    lines = fingerprint.differences(old, new)
    assert len(lines) == len(expected), lines
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), line


def test_e19_another_graph_is_another_model():
    def joined(swapped):
        inputs = layers.Input((8,))
        both = [inputs, layers.Dense(8)(inputs)]
        x = layers.Subtract()(both[::-1] if swapped else both)
        return keras.Model(inputs, layers.Dense(3)(x))

    rows = [fingerprint.take(joined(swapped), photos(), {}) for swapped in (0, 1)]
    (line,) = fingerprint.differences(*rows)
    assert "inputs was" in line
    nested = [keras.Sequential([keras.Input((8, 8, 1)), net(n)]) for n in (4, 5)]
    rows = [fingerprint.take(m, photos(), {}) for m in nested]
    (line,) = fingerprint.differences(*rows)
    assert "filters was 4 and is 5" in line


def test_functions_are_known_by_what_they_do():
    said = fingerprint.described
    stronger = functools.partial(flip, share=0.9)
    half = functools.partial(flip, share=0.5)
    other = [said(f) for f in (flip, half, stronger, lambda x: x, lambda x: x + 1)]
    assert len(set(other)) == 5
    assert said(functools.partial(flip, share=0.9)) == said(stronger)

    def made(strength):
        return lambda images: images * strength

    assert said(made(1)) == said(made(1)) != said(made(2))

    class Policy:
        def __init__(self, strength):
            self.strength, self.itself = strength, self

        def __call__(self, images, generator):
            return images

    assert said(Policy(1)) == said(Policy(1)) != said(Policy(2))
    assert said(keras.losses.Huber(1.0)) != said(keras.losses.Huber(2.0))
