"""`cnnkit train`: from a folder of pictures to a model and its report.

Keras is imported inside the functions, after `start_keras` has made it quiet.
"""

import math
import shutil
from pathlib import Path

from cnnkit.commands.starting import lasting_output, own_folder, quoted, start_keras

TRAINING, TUNING = "training", "tuning"  # in the folder of a run, until it is finished
SMALL = 96  # pixels; under that, and without weights, a small network learns best
TUNING_EPOCHS = 4  # of a trial: 20 seconds hold a few, which have begun to learn


@lasting_output()
def train(options):
    """Checks a folder, tunes where asked to, trains, and writes report and model.

    Args:
        options: `argparse.Namespace` with folder, minutes, tune, out, image_size, seed,
            skip_unreadable and resume.

    Returns:
        int, the exit status: 0.

    Raises:
        ValueError: an option is out of its range, or the folder cannot be used.
        OSError: a file cannot be read or written.
    """
    _check(options)
    findings = _checked_folder(options)
    print("starting Keras", flush=True)
    start_keras()
    from cnnkit import data, evaluation, report, saving, transfer
    from cnnkit.data.load import LARGEST
    from cnnkit.data.manifests import write_csv
    from cnnkit.training.phases import BROKEN_OFF

    side = options.image_size or data.usual_side(
        options.folder, labels=options.labels, links=options.links
    )
    use_weights = side >= SMALL and transfer.cached_widths("mobilenet")
    if options.image_size is None:
        side = min(side, LARGEST if use_weights else SMALL)
    photos = data.from_folder(
        options.folder, image_size=side, seed=options.seed, labels=options.labels,
        links=options.links, groups=options.groups,
        unreadable="skip" if options.skip_unreadable else "error",
    )  # fmt: skip
    out = options.resume or own_folder(options.out or Path("runs") / photos.source)
    again = f"add --resume {quoted(out)} to go on"
    print(f"run in {str(out)!r}; if it is killed, {again}")
    model, history, trials = _trained(photos, use_weights, options, out)
    model_file = out / "model.keras"
    valid = evaluation.arrays(evaluation.predict(model, photos, "valid"))
    saving.save(
        model, model_file, photos, unsure_below=evaluation.unsure_below(*valid),
        overwrite=options.resume is not None,
    )  # fmt: skip
    table = evaluation.predict(model, photos)
    write_csv(table, out / "predictions.csv")
    data.save_manifest(photos, out / "manifest.csv")
    if trials is not None:
        write_csv(trials.reset_index(), out / "trials.csv")
    report.write(
        model, photos, history, out / "report.html", findings=findings, trials=trials
    )

    scores = evaluation.scores(*evaluation.arrays(table)).loc["all classes"]
    value, low, high = scores.loc["accuracy", ["value", "low", "high"]]
    alike = scores.loc["balanced accuracy", "value"]
    untested = [
        repr(name) for name in photos.class_names if name not in set(table["label"])
    ]
    shown = ", ".join(untested[:10]) + ", ..." * (len(untested) > 10)
    warning = f"Not tested, for want of test pictures: {shown}.\n" if untested else ""
    stopped = history.params["stopped"] in BROKEN_OFF
    if not stopped:  # what is in these is in the model and in the report now
        shutil.rmtree(out / TRAINING, ignore_errors=True)
        shutil.rmtree(out / TUNING, ignore_errors=True)
    print(
        f"\nOf {len(table)} test pictures, {value:.0%} are named correctly "
        f"(95 % interval {low:.0%} to {high:.0%}); "
        f"where every {'tested ' * bool(untested)}class counts alike, {alike:.0%}.\n"
        f"{warning}"
        f"  report  {out / 'report.html'}\n"
        f"  model   {model_file}\n"
        f"  try it  cnnkit predict {quoted(model_file)} PICTURE\n"
        f"  learn   open notebooks/exercises/00_five_lines.ipynb in JupyterLab"
        + (f"\n  stopped {again}" if stopped else "")
    )
    return 0


def _check(options):
    from cnnkit.data.surroundings import check_keras, check_place

    side = options.image_size
    ranges = {  # some would be found only when the pictures are read, or too late
        "--minutes is above 0, and finite": 0 < options.minutes < math.inf,
        "--tune is 0 or more minutes, and finite": 0 <= options.tune < math.inf,
        "--image-size is 28 to 1024 pixels": side is None or 28 <= side <= 1024,
        "--seed is 0 or above, below 2**32": 0 <= options.seed < 2**32,
    }
    for rule, kept in ranges.items():
        if not kept:
            name = rule.split()[0].strip("-").replace("-", "_")
            raise ValueError(f"{rule}. Received: {getattr(options, name)}")
    check_keras()
    other = options.out and options.resume
    if other and options.out.resolve() != options.resume.resolve():
        raise ValueError(
            "--resume goes on in the folder that it names, so leave --out away. "
            f"Received: --resume {str(options.resume)!r} --out {str(options.out)!r}"
        )
    if options.resume and not (options.resume / TRAINING).is_dir():
        path = str(options.resume)
        raise ValueError(f"No unfinished run is there. Received: --resume {path!r}")
    out = options.resume or options.out or Path("runs")
    check_place(out / "model.keras", "--resume " if options.resume else "--out ")


def _checked_folder(options):
    """The findings of the check; errors that cannot be passed over end the run."""
    from cnnkit.data import CODES, check

    findings = check(options.folder, labels=options.labels, links=options.links)
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
    return findings


def _trained(photos, use_weights, options, out):
    """Tunes, builds and trains what suits these pictures: (model, history, trials)."""
    from functools import partial

    import keras
    import keras_tuner

    from cnnkit import training, tuning
    from cnnkit.training.fine_tuning import HEAD_EPOCHS

    (out / TRAINING).mkdir(exist_ok=True)  # what --resume looks for, while tuning too
    shape, num_classes = photos.image_shape, photos.num_classes
    if use_weights:
        space = tuning.together(
            partial(
                tuning.transfer_space, num_classes=num_classes, image_shape=shape,
                backbones=("mobilenet",), unfreeze=(0.0,),
            )
        )  # fmt: skip
        recipe, epochs = training.fine_tune, HEAD_EPOCHS
    else:
        if shape[0] >= SMALL:
            why = "no ImageNet weights are at hand"
            print(f"{why}, and those of this package are taken:")
            build, usual = _head_start_space, 1e-3  # what is learnt already moves less
        else:
            why = f"pictures are smaller than {SMALL} pixels"
            print(f"training small_cnn from scratch, as {why}")
            build, usual = _small_cnn_space, 3e-3
        space = tuning.together(
            partial(build, num_classes=num_classes, image_shape=shape),
            partial(_settings_space, usual=usual),
        )
        recipe, epochs = training.fit, TUNING_EPOCHS
    chosen, trials = keras_tuner.HyperParameters(), None  # without a search: defaults
    if options.tune:
        print(f"trying settings for {60 * options.tune:.0f} s", flush=True)
        tuner = tuning.search(
            space, photos, method="random", minutes=options.tune, epochs=epochs,
            seed=options.seed, folder=out / TUNING,
        )  # fmt: skip
        trials = tuning.trials(tuner)
        chosen = next(iter(tuner.get_best_hyperparameters(1)), chosen)

    keras.utils.set_random_seed(options.seed)
    model, settings = space.build(chosen), space.settings(chosen)
    history = recipe(
        model, photos, minutes=options.minutes, seed=options.seed,
        resume=out / TRAINING, **settings,
    )  # fmt: skip
    return model, history, trials


def _small_cnn_space(hp, *, num_classes, image_shape):
    from cnnkit import models

    return models.small_cnn(
        num_classes=num_classes,
        input_shape=image_shape,
        dropout=hp.Float("dropout", 0.0, 0.5, step=0.1),
    )


def _head_start_space(hp, *, num_classes, image_shape):
    from cnnkit import transfer

    return transfer.classifier(
        "small_cnn", num_classes, image_shape=image_shape, weights="embedded",
        dropout=hp.Float("dropout", 0.0, 0.5, step=0.1, default=0.2),
    )  # fmt: skip


def _settings_space(hp, *, usual):
    """What most depends on the pictures; its values share one compiled model."""
    return {
        "learning_rate": hp.Float(
            "learning_rate", 5e-4, 2e-2, sampling="log", default=usual
        ),
        "weight_decay": hp.Float(
            "weight_decay", 2e-3, 0.2, sampling="log", default=0.02
        ),
    }
