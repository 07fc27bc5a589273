"""The main job in a terminal: `cnnkit check`, `cnnkit train` and `cnnkit predict`.

Nothing heavy is imported until there is something to do, so that `--help` is quick.
"""

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

TRAINING = "training"  # the folder in a run's folder that it can go on from
SMALL = 96  # pixels; under that, and without weights, a small network learns best


def main(arguments=None):
    """Runs the command line.

    Args:
        arguments: list of str, or None for those of the process.

    Returns:
        int, the exit status: 0 when all went well, 1 when the check found an error or
        a picture could not be read, 2 when the command could not be carried out, 130
        when interrupted.
    """
    options = _parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up talk
    try:
        return options.run(options)
    except (ValueError, OSError) as error:
        print(f"cnnkit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncnnkit: stopped", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(
        prog="cnnkit", description="From a folder of pictures to a classifier."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser(
        "train",
        help="train a classifier on a folder and write a report",
        description="Reads a folder with a subfolder of pictures for each class (or "
        "train/, val/, test/ of such), trains, and writes report, model, predictions.",
    )
    train.add_argument("folder", type=Path, metavar="FOLDER")
    train.add_argument(
        "--minutes", type=float, default=2.0, metavar="N",
        help="how long to train (default: 2)",
    )  # fmt: skip
    train.add_argument(
        "--out", type=Path, metavar="DIR",
        help="where to write (default: runs/FOLDER), or DIR-2, DIR-3 ... if in use",
    )  # fmt: skip
    train.add_argument(
        "--image-size", type=int, metavar="P",
        help="side in pixels that pictures are resized to (default: as they are, "
        "at most 224, or 96 where no ImageNet weights are at hand)",
    )  # fmt: skip
    train.add_argument(
        "--seed", type=int, default=0, metavar="S",
        help="of the split and of training (default: 0)",
    )  # fmt: skip
    train.add_argument(
        "--skip-unreadable", action="store_true",
        help="go on without the files that cannot be read",
    )  # fmt: skip
    train.add_argument(
        "--resume", type=Path, metavar="DIR",
        help="go on with the run in DIR that was stopped; all else as it was",
    )  # fmt: skip
    train.set_defaults(run=_train)

    check = commands.add_parser(
        "check",
        help="say what is wrong with the pictures of a folder",
        description="Opens every file and says what would spoil training: damage, "
        "copies, leaks from training to test, dark or blurred pictures, small classes, "
        "and more. Nothing is changed, unless --move is given.",
    )
    check.add_argument("folder", type=Path, metavar="FOLDER", nargs="?")
    check.add_argument(
        "--codes", action="store_true", help="list all that can be found, and stop"
    )
    check.add_argument(
        "--table", type=Path, metavar="FILE", help="also write all findings as CSV"
    )
    check.add_argument(
        "--quarantine", type=Path, metavar="DIR",
        help="write to DIR/plan.csv which files cannot be used",
    )  # fmt: skip
    check.add_argument(
        "--move", action="store_true", help="move the files of the plan to DIR"
    )
    check.add_argument(
        "--undo", action="store_true", help="bring the files of DIR back"
    )
    check.set_defaults(run=_check)

    predict = commands.add_parser(
        "predict",
        help="name pictures with a trained model",
        description="Prints the likeliest classes of each picture.",
    )
    predict.add_argument("model", type=Path, metavar="MODEL", help="a .keras file")
    predict.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    predict.add_argument(
        "--top", type=int, default=3, metavar="K", help="classes shown (default: 3)"
    )
    predict.set_defaults(run=_predict)
    return parser


def _check(options):
    from cnnkit import data

    if options.codes:
        for code, about in data.CODES.items():
            print(f"{code} ({about.severity}): {about.meaning}")
            print(f"    for example {about.example}\n    -> {about.remedy}")
        return 0
    if options.folder is None:
        raise ValueError("Name the folder to check. Received: no FOLDER")
    if (options.move or options.undo) and options.quarantine is None:
        raise ValueError(
            "--move and --undo need --quarantine DIR. Received: no --quarantine"
        )
    if options.undo:
        back = data.restore(options.folder, options.quarantine)
        print(f"{len(back)} files are back in {str(options.folder)!r}")
        return 0
    findings = data.check(
        options.folder, quarantine=options.quarantine, move=options.move
    )
    if options.table:
        data.save_findings(findings, options.table)
    return int((findings["severity"] == "error").any())


def _train(options):
    if not options.minutes > 0:
        raise ValueError(f"--minutes is above 0. Received: {options.minutes}")
    if options.resume and not (options.resume / TRAINING).is_dir():
        path = str(options.resume)
        raise ValueError(f"No unfinished run is there. Received: --resume {path!r}")
    from cnnkit.data import CODES, check

    findings = check(options.folder)
    errors = findings[findings["severity"] == "error"]
    unreadable = all(CODES[code].movable for code in errors["code"])  # as files are
    if len(errors) and not (options.skip_unreadable and unreadable):
        way = ""
        if unreadable:
            way = ", or go on without those files with --skip-unreadable"
        raise ValueError(
            f"Mend the errors above first{way}. Received: {len(errors)} errors in "
            f"{str(options.folder)!r}"
        )
    print("starting Keras", flush=True)
    _start_keras()
    from cnnkit import data, evaluation, report, saving, transfer
    from cnnkit.data.load import LARGEST
    from cnnkit.training.phases import BROKEN_OFF

    side = options.image_size or data.usual_side(options.folder)
    use_weights = side >= SMALL and transfer.cached_widths("mobilenet")
    if options.image_size is None:
        side = min(side, LARGEST if use_weights else SMALL)
    photos = data.from_folder(
        options.folder, image_size=side, seed=options.seed,
        unreadable="skip" if options.skip_unreadable else "error",
    )  # fmt: skip
    out = options.resume or _own_folder(options.out or Path("runs") / photos.source)
    again = f"add --resume {shlex.quote(str(out))} to go on"
    print(f"run in {str(out)!r}; if it is killed, {again}")
    model, history = _trained(photos, use_weights, options, out / TRAINING)
    model_file, names = out / "model.keras", photos.class_names
    saving.save(model, model_file, names, overwrite=options.resume is not None)
    table = evaluation.predict(model, photos)
    table.to_csv(out / "predictions.csv", index=False)
    data.save_manifest(photos, out / "manifest.csv")
    report.write(model, photos, history, out / "report.html", findings=findings)

    scores = evaluation.scores(*evaluation.arrays(table))
    scores = scores.loc["all classes"]
    value, low, high = scores.loc["accuracy", ["value", "low", "high"]]
    alike = scores.loc["balanced accuracy", "value"]
    stopped = history.params["stopped"] in BROKEN_OFF
    if not stopped:
        shutil.rmtree(out / TRAINING)  # what is in it is in the model now
    print(
        f"\nOf {len(table)} test pictures, {value:.0%} are named correctly "
        f"(95 % interval {low:.0%} to {high:.0%}); "
        f"where every class counts alike, {alike:.0%}.\n"
        f"  report  {out / 'report.html'}\n"
        f"  model   {model_file}\n  try it  cnnkit predict {model_file} PICTURE\n"
        f"  learn   open notebooks/exercises/00_five_lines.ipynb in JupyterLab"
        + (f"\n  stopped {again}" if stopped else "")
    )
    return 0


def _trained(photos, use_weights, options, resume):
    """Builds and trains what suits these pictures: (model, history)."""
    import keras

    from cnnkit import models, training, transfer

    keras.utils.set_random_seed(options.seed)
    shape, num_classes = photos.image_shape, photos.num_classes
    if use_weights:
        model = transfer.classifier("mobilenet", num_classes, image_shape=shape)
        recipe = training.fine_tune
    else:
        why = "no ImageNet weights are at hand"
        if shape[0] < SMALL:
            why = f"pictures are smaller than {SMALL} pixels"
        print(f"training small_cnn from scratch, as {why}")
        model = models.small_cnn(num_classes=num_classes, input_shape=shape)
        recipe = training.fit
    return model, recipe(
        model, photos, minutes=options.minutes, seed=options.seed, resume=resume
    )


def _start_keras():
    """Imports Keras without TensorFlow's talk about this machine, unless it fails."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as talk:
        os.dup2(talk.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            talk.seek(0)
            os.write(terminal, talk.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _own_folder(wanted):
    """Makes a folder for this run alone, with a number where the name is taken."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            if not folder.is_dir() or any(folder.iterdir()):
                number += 1
                continue
        return folder


def _predict(options):
    import numpy as np

    _start_keras()
    from cnnkit import saving
    from cnnkit.data import decoding, reading

    model, class_names = saving.load(options.model)
    height, width, channels = model.input_shape[1:]
    status = 0
    for path in options.pictures:
        try:
            content = path.read_bytes()
            native = reading.open_picture(content).size
            size = height or native[1], width or native[0]
            image = decoding.decode(content, *size, grey=channels == 1).pixels
        except (OSError, ValueError) as error:
            print(f"{str(path)!r}: {error}", file=sys.stderr)
            status = 1
            continue
        probabilities = model.predict_on_batch(image[np.newaxis].astype("float32"))[0]
        likeliest = np.argsort(-probabilities, kind="stable")[: options.top]
        names = class_names or [f"class {i}" for i in range(len(probabilities))]
        print(
            str(path),
            *(f"{names[i]} {probabilities[i]:.1%}" for i in likeliest),
            sep="\t",
        )
    return status


if __name__ == "__main__":
    sys.exit(main())
