"""What was taken for something else, or ended a training: terminal, settings, advice.

Section H of the gauntlet.
"""

import math
import os
import shlex
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from cnnkit import data, evaluation, report, training, tuning
from cnnkit.__main__ import main
from cnnkit.commands.starting import lasting_output, quoted

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 3
PIXELS = RNG.integers(0, 150, (60, 8, 8, 3)).astype("uint8")
PIXELS[np.arange(60), :, :, LABELS] += 100
QUICK = {"precision": "float32", "verbose": 0}


@pytest.fixture(scope="module")
def photos():
    return data.from_arrays(PIXELS, LABELS)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))


@pytest.fixture
def colours(tmp_path):
    """Twenty red pictures and a blue one, in a folder that a shell takes apart."""
    folder = tmp_path / "it's here" / "data"
    for name, channel, number in (("猫", 0, 20), ("犬", 2, 1)):
        (folder / name).mkdir(parents=True)
        for i in range(number):
            pixels = RNG.integers(0, 100, (32, 32, 3)).astype("uint8")
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.parametrize(
    "callback, instead",
    [
        (keras.callbacks.ReduceLROnPlateau(), "schedule="),
        (keras.callbacks.LearningRateScheduler(lambda epoch: 0.1), "schedule="),
        (keras.callbacks.BackupAndRestore("x"), "resume="),
        (keras.callbacks.SwapEMAWeights(), "ema="),
        (
            keras.callbacks.EarlyStopping("val_accuracy", restore_best_weights=True),
            "said by monitor=",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_callback_that_would_have_no_effect_is_refused(
    model, photos, callback, instead
):
    with pytest.raises(ValueError, match=instead):
        training.fit(model, photos, epochs=1, callbacks=[callback], **QUICK)


def test_a_run_that_a_callback_ended_says_so(model, photos):
    stop = keras.callbacks.EarlyStopping(patience=1, min_delta=9)  # one, not a list
    history = training.fit(model, photos, epochs=9, callbacks=stop, **QUICK)
    assert len(history.epoch) < 9
    assert history.params["stopped"] == "one of the callbacks ended it"


@pytest.mark.parametrize(
    "options, advice",
    [
        ({"optimizer": "sgd", "learning_rate": 1e4}, "steps were too long"),
        ({"optimizer": "sgd", "learning_rate": 1e38}, "became inf"),
        ({"learning_rate": 1e-9}, "Train longer"),
        ({"learning_rate": 1e-2}, None),
    ],
)
def test_advice_follows_from_what_happened(model, photos, options, advice, capsys):
    history = training.fit(model, photos, epochs=4, **QUICK | {"verbose": 1} | options)
    said = capsys.readouterr().out
    if advice is None:
        assert "advice" not in history.params and "Try" not in said
        return
    assert advice in history.params["advice"] and advice in said
    assert ("Try learning_rate=" in said) == (options["learning_rate"] > 1)
    assert "more time" not in said and "more minutes" not in said


def test_a_training_outlives_its_terminal(model, photos, tmp_path, monkeypatch):
    def close(batch, logs):
        os.kill(os.getpid(), signal.SIGHUP)  # from the shell, and from the system

    reading, writing = os.pipe()
    os.close(reading)
    gone = open(writing, "w", encoding="ascii")
    monkeypatch.setattr(sys, "stdout", gone)
    signal.signal(
        signal.SIGHUP, signal.SIG_DFL
    )  # under nohup it is ignored, and stays so
    hangup = keras.callbacks.LambdaCallback(on_train_batch_end=close)
    with lasting_output():
        print("to nobody", flush=True)
        history = training.fit(
            model, photos, epochs=9, resume=tmp_path / "run", callbacks=[hangup],
            precision="float32",
        )  # fmt: skip
        os.kill(os.getpid(), signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    gone.close()  # what is in its buffer has gone to nowhere
    assert history.params["stopped"] == "the process was asked to end"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_progress_ends_no_training_where_letters_are_missing(
    model, photos, tmp_path, monkeypatch, encoding
):
    path, options = tmp_path / "log", {"epochs": 1, "resume": tmp_path / "走る"}
    with open(path, "w", encoding=encoding) as log:
        monkeypatch.setattr(sys, "stdout", log)
        training.fit(model, photos, precision="float32", **options)
        training.fit(model, photos, precision="float32", **options)
    assert r"\u8d70\u308b" in path.read_text(encoding)
    training.fit(model, photos, epochs=1, precision="float32")  # `log` is closed


def test_a_run_without_streams_in_an_old_terminal_with_a_class_that_is_not_tested(
    colours, tmp_path
):  # 20 CPU-seconds: a whole run, for all of these
    log, out = tmp_path / "log", colours.parent / "run"
    command = [sys.executable, "-m", "cnnkit", "train", str(colours)]
    command = shlex.join([*command, "--minutes", "0.05", "--out", str(out)])
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    shell = f"{command} 2>&- <&- >{shlex.quote(str(log))}"
    assert subprocess.run(["/bin/sh", "-c", shell], env=environment).returncode == 0
    said = log.read_text("ascii")
    assert r"Not tested, for want of test pictures: '\u72ac'." in said
    *_, line = said.partition("try it  ")[2].splitlines()[0].split("predict ")
    assert shlex.split(line) == [str(out / "model.keras"), "PICTURE"]
    page = (out / "report.html").read_text("utf-8")
    warning = page.partition('id="untested"')[2].partition("</p>")[0]
    assert "1 of 2 classes was not tested" in warning and "犬" in warning
    assert len(list(out.iterdir())) == 4


def test_scores_leave_out_a_class_that_was_not_tested():
    table = evaluation.scores([0, 0], [[0.9, 0.1], [0.2, 0.8]], class_names="ab")
    assert table.loc[("all classes", "balanced accuracy"), "value"] == 0.5
    assert table.loc[("b", "recall"), "pictures"] == 0
    assert math.isnan(table.loc[("b", "recall"), "value"])


@pytest.mark.parametrize(
    "options, message",
    [
        ("--seed -1", "--seed is 0 or above"),
        ("--minutes inf", "--minutes is above 0, and finite"),
        ("--minutes nan", "--minutes is above 0, and finite"),
        ("--tune nan", "--tune is 0 or more minutes, and finite"),
        ("--image-size 5", "--image-size is 28 to 1024"),
        ("--out {file}/run", "choose another place"),
    ],
)
def test_an_option_is_refused_before_anything_is_read_or_made(
    colours, capsys, options, message, monkeypatch
):
    monkeypatch.chdir(colours.parent)
    name, value = options.split()
    options = [name, value.format(file=colours / "犬" / "0.png")]
    assert main(["train", str(colours), *options]) == 2
    said = capsys.readouterr()
    assert message in said.err and not said.out
    assert [path.name for path in colours.parent.iterdir()] == ["data"]


def test_places_that_cannot_be_written_are_found_first(colours, model, photos, capsys):
    inside = colours / "犬" / "0.png" / "x.csv"  # a file is no folder
    assert main(["check", str(colours), "--table", str(inside)]) == 2
    said = capsys.readouterr()
    assert "choose another place. Received: --table" in said.err and not said.out
    with pytest.raises(OSError, match="another place. Received: path="):
        report.write(model, photos, None, inside.with_suffix(".html"))


def test_settings_of_keras_that_do_not_fit_are_named(model, photos, capsys):
    keras.config.set_image_data_format("channels_first")
    try:
        for call in (photos.batches, lambda _: training.fit(model, photos, epochs=1)):
            with pytest.raises(ValueError, match="channels_last.*Received: .*_first"):
                call("train")
        assert main(["train", "."]) == 2
        assert "image_data_format='channels_last'" in capsys.readouterr().err
    finally:
        keras.config.set_image_data_format("channels_last")
    done = subprocess.run(
        [sys.executable, "-m", "cnnkit", "train", "."],
        env={**os.environ, "KERAS_BACKEND": "tensorfow"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "Received: backend='tensorfow', which is not installed" in done.stderr


@pytest.mark.parametrize("kind", ["model", "settings"])
def test_a_space_that_returns_nothing_is_told_to_return(photos, model, kind, tmp_path):
    if kind == "model":
        space = tuning.together(lambda hp: None)
    else:
        space = tuning.together(lambda hp: model, lambda hp: None)
    with pytest.raises(ValueError, match="`return ...`.*Received: .* returned None"):
        tuning.search(space, photos, max_trials=1, folder=tmp_path / "search")


@pytest.mark.parametrize(
    "path, on_windows",
    [
        ("runs/a", "runs/a"),
        ("C:\\My pictures\\run", '"C:\\My pictures\\run"'),
        ("it's a & b", '"it\'s a & b"'),
        ("$HOME`x`", '"$HOME`x`"'),
    ],
)
def test_a_path_to_copy_is_one_word_for_the_shell(path, on_windows):
    assert shlex.split(quoted(path, windows=False)) == [path]
    assert quoted(path, windows=True) == on_windows
