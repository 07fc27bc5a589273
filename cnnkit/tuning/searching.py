"""The search: a KerasTuner tuner that keeps its budget and survives."""

import math
import os
import pathlib

import keras_tuner

from cnnkit.training import checkpoint, fingerprint
from cnnkit.training.describing import config_text
from cnnkit.training.watch import Course
from cnnkit.tuning import oracles
from cnnkit.tuning.hypermodels import together
from cnnkit.tuning.progress import Progress
from cnnkit.tuning.tuner import Search

ABOUT = "search.npz"


def search(
    space,
    data,
    *,
    folder,
    method="hyperband",
    minutes=None,
    max_trials=None,
    epochs=10,
    objective="val_accuracy",
    seed=0,
    verbose=1,
):
    """Tries hyperparameters, and returns the KerasTuner tuner with what it found.

    In plain KerasTuner it stands for::

        tuner = keras_tuner.Hyperband(space, objective="val_accuracy", max_epochs=10,
                                      directory=..., project_name=...)
        tuner.search(data.train, validation_data=data.valid)

    Each trial is a file in the folder. After a crash, Ctrl-C or a shutdown the same
    call goes on: what was finished is not trained again. With more `minutes` or
    `max_trials` it goes on where it had ended.

    The first trial is that of the defaults: of a choice its first value, of a range its
    lowest, where the space names no other.

    Trials that differ in learning rate, weight decay, dropout or L2 share one compiled
    model, and a head on a frozen backbone learns from features that are computed once.
    A trial with a loss that is not finite, or too large for the memory, fails alone,
    with its reason in `trials`; any other error ends the search at once.

    A search runs in one process. For one on several machines take KerasTuner's own
    tuners, with its variables KERASTUNER_ORACLE_IP, _PORT and KERASTUNER_TUNER_ID.

    Interrupting it (Ctrl-C, or the stop button of a notebook) returns the tuner with
    the trials that were finished.

    Args:
        space: function of `keras_tuner.HyperParameters` to a `keras.Model`, compiled or
            not (then `training.fit` trains it); what `together` returns; or another
            `keras_tuner.HyperModel`.
        data: `ImageData`. The training part is learnt from, the validation part
            scores; the test part is not touched.
        folder: str or path, of this search alone.
        method: "hyperband" (Li et al., 2018, https://arxiv.org/abs/1603.06560: many
            short trials, of which the best go on), "random" (Bergstra and Bengio,
            2012), "bayesian" (Snoek et al., 2012, https://arxiv.org/abs/1206.2944), or
            "grid".
        minutes: float, wall-clock minutes, those of finished trials included. At the
            end of them the last trial is cut short. This, or `max_trials`, or both;
            "grid" ends by itself.
        max_trials: int, trials in all.
        epochs: int, passes over the training pictures in a trial; with "hyperband"
            the most that a trial gets.
        objective: str, what training reports, such as "val_log_loss", or a
            `keras_tuner.Objective`.
        seed: int from 0, of the search; from it and its number each trial gets a seed
            for its weights and the order of the pictures.
        verbose: 0 is silent, 1 prints a line for each trial or, in a notebook, keeps a
            table of the best.

    Returns:
        A `keras_tuner.Tuner`. `tuning.trials` makes a table of it, `tuning.conclude`
        the model.

    Raises:
        ValueError: an argument is out of its range, or the folder holds finished
            trials of another search; the message says what is different.
        RuntimeError: another search is going on in the folder, or the first five
            trials have all failed.
        OSError: the folder cannot be written; what was finished is kept.

    Example:
        >>> space = tuning.together(model_space, tuning.recipe_space)
        >>> tuner = search(space, photos, minutes=3, folder="runs/flowers")
        >>> tuning.trials(tuner)
    """
    _check(space, data, method, minutes, max_trials, epochs, seed)
    if not isinstance(space, keras_tuner.HyperModel):
        space = together(space)
    folder = pathlib.Path(folder).expanduser().absolute()
    oracle = oracles.make(method, objective, epochs, seed)
    tuner = Search(oracle, space, data, folder, epochs, seed)
    with checkpoint.Run(folder, {}, verbose):
        about = _about(space, data, oracle, method, epochs, seed)
        _compare(folder, about)
        damaged = oracle.open(folder, max_trials, minutes)
        progress = Progress(tuner, max_trials, verbose)
        progress.opened(damaged)
        tuner.course = Course(oracle.left() / 60)
        try:
            tuner.search(progress)
        except KeyboardInterrupt:
            progress.stopped()
        else:
            progress.ended()
    return tuner


def _about(space, data, oracle, method, epochs, seed):
    """What a search is made of."""
    hyperparameters = {
        f"hyperparameter {hp.name!r}": config_text(hp.get_config())
        for hp in oracle.get_space().space
    }
    builds = getattr(space, "model_space", space)
    return fingerprint.take_without_model(data, hyperparameters | {
        "the code of the space": [builds, getattr(space, "spaces", ())],
        "method": method,
        "objective": oracle.objective.name,
        "epochs": epochs,
        "seed": seed,
    })  # fmt: skip


def _compare(folder, about):
    """Refuses to mix two searches; without a finished trial there is nothing to mix."""
    path = folder / ABOUT
    try:
        old = checkpoint.read(path)
    except (FileNotFoundError, checkpoint.DamagedCheckpointError):
        old = None
    different = fingerprint.differences(old, about) if old else []
    files = list(folder.glob("trial_*.json"))
    finished = any(b'"ended"' in file.read_bytes() for file in files)
    if different and finished:
        listed = "\n".join(f"  - {line}" for line in different)
        raise ValueError(
            "The folder holds trials of another search, whose scores cannot be "
            f"compared with those of this one:\n{listed}\nMake the call as it was, "
            "take another folder, or delete this one. Received: "
            f"folder={str(folder)!r}"
        )
    for file in files if different else ():
        file.unlink()
    if different or old is None:
        checkpoint.write(path, about)


def _check(space, data, method, minutes, max_trials, epochs, seed):
    if not callable(space) and not isinstance(space, keras_tuner.HyperModel):
        raise ValueError(
            "`space` is a function of hyperparameters to a model, or what "
            f"tuning.together returns. Received: space={space!r}"
        )
    if not hasattr(data, "batches"):
        raise ValueError(
            "`data` is an ImageData, from data.from_folder, data.from_arrays or "
            f"data.load. Received: {type(data).__name__}"
        )
    if method not in oracles.METHODS:
        raise ValueError(
            f"`method` is one of {tuple(oracles.METHODS)}. Received: method={method!r}"
        )
    if minutes is None and max_trials is None and method != "grid":
        raise ValueError(
            "Say when to end: minutes=3, or max_trials=20. Received: neither"
        )
    least = {"minutes": minutes, "max_trials": max_trials, "epochs": epochs}
    for name, value in least.items():
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"`{name}` is above 0. Received: {name}={value!r}")
    if seed < 0:
        raise ValueError(f"`seed` is a whole number from 0. Received: seed={seed!r}")
    if address := os.environ.get("KERASTUNER_ORACLE_IP"):  # it would wait for an hour
        raise ValueError(
            "This search runs in one process, and takes no trials from another: unset "
            f"the variable. Received: KERASTUNER_ORACLE_IP={address!r}"
        )
