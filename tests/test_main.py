import json
import os
import re
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnkit.__main__ import main


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Pictures that a network tells apart in seconds: mostly red, mostly blue."""
    folder = tmp_path_factory.mktemp("data") / "赤と青"
    rng = np.random.default_rng(0)
    for channel, name in ((0, "赤"), (2, "青")):
        (folder / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 100, (32, 32, 3))
            pixels[..., channel] += 150
            Image.fromarray(pixels.astype("uint8")).save(folder / name / f"{i}.png")
    return folder


def test_the_main_job_in_a_terminal(colours, tmp_path, capfd):
    out = tmp_path / "runs" / "first"
    arguments = ["train", str(colours), "--minutes", "0.1", "--out", str(out)]
    command = [sys.executable, "-m", "cnnkit", *arguments]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert said.stderr == ""  # nothing of TensorFlow
    assert re.search(r"6 test pictures, \d+% are named correctly", said.stdout)
    assert str(out / "report.html") in said.stdout
    assert "00_five_lines.ipynb" in said.stdout

    assert "<script" not in (out / "report.html").read_text("utf-8")
    predictions = pd.read_csv(out / "predictions.csv")
    assert set(predictions["label"]) == {"赤", "青"} and len(predictions) == 6
    assert set(pd.read_csv(out / "manifest.csv")["split"]) == {"train", "valid", "test"}
    with zipfile.ZipFile(out / "model.keras") as file:
        assert json.loads(file.read("cnnkit.json"))["class_names"] == ["赤", "青"]

    picture, broken = colours / "青" / "3.png", tmp_path / "broken.jpg"
    broken.write_bytes(b"")
    arguments = ["predict", str(out / "model.keras"), str(broken), str(picture)]
    assert main([*arguments, "--top", "1"]) == 1  # one of two could not be read
    said = capfd.readouterr()
    assert said.out.startswith(f"{picture}\t青 ") and said.out.count("\n") == 1
    assert "broken.jpg': the file is empty" in said.err


def test_with_weights_in_the_cache_photographs_get_a_pretrained_network(
    mobilenet_in_cache, tmp_path, capfd, clock
):
    rng = np.random.default_rng(0)
    for i in range(20):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 256, (100, 120, 3), dtype="uint8")
        Image.fromarray(image).save(path)
    arguments = ["train", str(tmp_path / "photos"), "--minutes", "0.03"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0
    said = capfd.readouterr().out
    assert "120 x 120 pixels" in said and "width 0.25" in said
    assert "mobilenet" in (tmp_path / "run" / "report.html").read_text("utf-8")


def test_without_a_cache_photographs_begin_with_the_weights_of_the_package(
    colours, tmp_path, capfd, monkeypatch, clock
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "empty"))
    out = tmp_path / "run"
    arguments = ["--image-size", "96", "--minutes", "0.03", "--out", str(out)]
    assert main(["train", str(colours), *arguments]) == 0
    said = capfd.readouterr().out
    assert "no ImageNet weights are at hand, and those of this package" in said
    assert "weights from this package (small_cnn.npz)" in said
    assert "6 test pictures" in said and (out / "report.html").is_file()


def test_settings_are_tried_first_and_the_report_shows_the_trials(
    colours, tmp_path, capfd, clock
):
    out = tmp_path / "run"
    arguments = ["train", str(colours), "--minutes", "0.03", "--tune", "0.05"]
    assert main([*arguments, "--out", str(out)]) == 0
    said = capfd.readouterr()
    assert "trying settings for 3 s" in said.out and "trial 0000" in said.out
    assert "retracing" not in said.err
    trials = pd.read_csv(out / "trials.csv")
    assert {"learning_rate", "weight_decay", "dropout", "score"} <= set(trials)
    best = trials.sort_values("score", ascending=False, kind="stable").iloc[0]
    page = (out / "report.html").read_text("utf-8")
    tuned = page.partition('id="tuning"')[2].partition("</section>")[0]
    assert f"{best['score']:.3f}" in tuned and f"{best['learning_rate']:.3g}" in tuned
    assert f"{len(trials)} trial" in tuned
    assert sorted(path.name for path in out.iterdir()) == [
        "manifest.csv", "model.keras", "predictions.csv", "report.html", "trials.csv",
    ]  # fmt: skip


def test_a_run_that_was_stopped_goes_on(colours, tmp_path, capfd, monkeypatch, clock):
    import keras

    out, epochs = tmp_path / "a run", []
    fit = keras.Model.fit

    def stopped(self, *arguments, callbacks, **options):
        def count(epoch, logs):
            epochs.append(epoch)
            if len(epochs) == 2:
                raise KeyboardInterrupt

        count = keras.callbacks.LambdaCallback(on_epoch_begin=count)
        return fit(self, *arguments, callbacks=[*callbacks, count], **options)

    monkeypatch.setattr(keras.Model, "fit", stopped)
    arguments = ["train", str(colours), "--minutes", "0.1"]
    assert main([*arguments, "--resume", str(out)]) == 2
    assert "No unfinished run is there" in capfd.readouterr().err
    assert main([*arguments, "--out", str(out)]) == 0
    said = capfd.readouterr().out
    assert f"add --resume '{out}' to go on" in said and "you stopped it" in said
    again = ["--out", str(out), "--resume", str(out)]  # `add --resume` to what it was
    assert main([*arguments, *again]) == 0
    said = capfd.readouterr().out
    assert "Going on after epoch 1," in said and "add --resume" in said
    assert "stopped" not in said.partition("learn")[2]
    assert epochs[:3] == [0, 1, 1]
    assert not (out / "training").exists() and (out / "model.keras").is_file()


def test_a_second_run_gets_itsown_folder(tmp_path):
    from cnnkit.commands.starting import own_folder

    wanted = tmp_path / "a" / "run"
    first = own_folder(wanted)
    (first / "model.keras").write_text("precious")
    second, third = own_folder(wanted), None
    (second / "model.keras").write_text("also precious")
    third = own_folder(wanted)
    assert [f.name for f in (first, second, third)] == ["run", "run-2", "run-3"]
    assert (first / "model.keras").read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "no such folder"], "There is no such folder"),
        (["train", ".", "--minutes", "0"], "--minutes is above 0"),
        (["train", ".", "--tune", "-1"], "--tune is 0 or more minutes"),
        (["train", ".", "--resume", "a", "--out", "b"], "so leave --out away"),
        (["predict", "no such.keras", "a.png"], "no such.keras"),
    ],
)
def test_errors_are_one_sentence_and_no_traceback(arguments, message, capfd):
    assert main(arguments) == 2
    said = capfd.readouterr().err
    assert message in said and said.startswith("cnnkit: ")
    assert "Traceback" not in said and said.count("\n") == 1


def test_a_reader_that_goes_away_is_no_error():
    command = [sys.executable, "-m", "cnnkit", "check", "--codes"]
    reading, writing = os.pipe()
    os.close(reading)  # as of `cnnkit check --codes | true`
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_help_is_there_for_each_command():
    for command in ([], ["train"], ["predict"]):
        done = subprocess.run(
            [sys.executable, "-m", "cnnkit", *command, "--help"],
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "100"},
        )
        assert done.returncode == 0 and "usage: cnnkit" in done.stdout
    assert "PICTURE" in done.stdout
