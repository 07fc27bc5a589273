"""The tuner: which trial is run, how it may fail, and what of it is kept."""

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from cnnkit.training import checkpoint
from cnnkit.training.watch import Course
from cnnkit.tuning import oracles, runs
from cnnkit.tuning.hypermodels import returned
from cnnkit.tuning.reuse import Models

BEST = 10  # trials whose weights are kept
ALL = 10**6  # trials


class Search(keras_tuner.Tuner):
    """A KerasTuner tuner on an `ImageData`, as `search` returns it.

    All that a `keras_tuner.Tuner` can do, it can do: `get_best_models`,
    `get_best_hyperparameters`, `results_summary`, and so on.

    Args:
        oracle: of `oracles.make`.
        hypermodel: `keras_tuner.HyperModel`.
        photos: `ImageData`.
        folder: `pathlib.Path`.
        epochs: int, of a trial.
        seed: int.

    Attributes:
        course: `Course` of the search, in whose time the last trial ends.
    """

    def __init__(self, oracle, hypermodel, photos, folder, epochs, seed):
        self.photos, self.folder, self.course = photos, folder, Course()
        self.epochs, self.seed, self.models = epochs, seed, Models()
        super().__init__(
            oracle=oracle, hypermodel=hypermodel,
            directory=str(folder.parent), project_name=folder.name,
        )  # fmt: skip
        oracle.verbose = 0
        model = hypermodel.build(oracle.get_space())
        if runs.trains_itself(hypermodel, returned(model, keras.Model, "a model")):
            oracle.picks_by = oracle.objective.name
        self.picks_by = oracle.picks_by

    def search(self, progress):
        """Runs trials until the oracle has no more.

        Args:
            progress: function that is called after each trial, with the trial.
        """
        oracle = self.oracle
        while (trial := oracle.create_trial(self.tuner_id)).status != "STOPPED":
            try:
                self.run_trial(trial)
                trial.status = "COMPLETED"
            except _Failed as error:
                trial.status, trial.message = "FAILED", str(error)
            except (MemoryError, tf.errors.ResourceExhaustedError) as error:
                said = str(error).strip().partition("\n")[0]
                trial.status, trial.message = "FAILED", f"out of memory: {said}"
            except BaseException as error:
                values = trial.hyperparameters.values
                error.add_note(f"In trial {trial.trial_id} of the search: {values}")
                oracle.put_back(trial)
                raise
            oracle.end_trial(trial)
            self._prune()
            progress(trial)

    def run_trial(self, trial):
        """Trains one set of hyperparameters, and reports each epoch to the oracle.

        Args:
            trial: `keras_tuner.engine.trial.Trial`.
        """
        hp = trial.hyperparameters
        done, before = hp.values.get("tuner/initial_epoch", 0), None
        if done:  # Hyperband goes on with a trial that was good
            before = self._read(hp.values["tuner/trial_id"])
            done = 0 if before is None else done
        epochs = hp.values.get("tuner/epochs", self.epochs) - done
        # A seed for each: with one for all, what suits that seed would win.
        seed = self.seed + 1 + int(trial.trial_id)
        model, history = runs.trained(
            self, hp, seed, epochs, course=self.course, weights=before
        )
        logs, objective = history.history, self.oracle.objective.name
        losses = [*logs.get("loss", ()), *logs.get("val_loss", ())]
        if not np.isfinite(losses).all():
            raise _Failed(history.params.get("stopped") or "the loss was not finite")
        if not losses:
            raise _Failed("the time was up before its first epoch had ended")
        if objective not in logs:
            raise ValueError(
                f"`objective` is one of what training reports: {sorted(logs)}. "
                f"Received: objective={objective!r}"
            )
        for epoch, values in enumerate(zip(*logs.values(), strict=True), done):
            metrics = dict(zip(logs, map(float, values), strict=True))
            reported = self.oracle.update_trial(trial.trial_id, metrics, step=epoch)
        trial.metrics = reported.metrics
        trial.score, trial.best_step = oracles.score(
            trial, self.oracle.objective, self.picks_by
        )
        if trial in self._best(trial):
            path = self._path(trial.trial_id)
            weights = [np.asarray(weight) for weight in runs.learnt(model)]
            checkpoint.write(path, {"weights": weights})
            checkpoint.read(path)  # what cannot be read is better known now

    def load_model(self, trial):
        """Builds the model of a trial and gives it its weights.

        Args:
            trial: `keras_tuner.engine.trial.Trial`.

        Returns:
            A `keras.Model`.

        Raises:
            ValueError: its weights are not kept, or damaged.
        """
        weights = self._read(trial.trial_id)
        if weights is None:
            raise ValueError(
                f"The weights of the {BEST} best trials are kept; those of this one "
                "are not there, or damaged. Train it again with tuning.conclude. "
                f"Received: trial {trial.trial_id}"
            )
        model = self.hypermodel.build(trial.hyperparameters)
        runs.assign(model, weights)
        return model

    def save(self):
        """Does nothing: the oracle writes each trial."""

    def _path(self, trial_id):
        return self.folder / f"trial_{trial_id}.npz"

    def _read(self, trial_id):
        """The weights of a trial, or None where they are not to be had."""
        try:
            return checkpoint.read(self._path(trial_id))["weights"]
        except (FileNotFoundError, checkpoint.DamagedCheckpointError):
            return None

    def _best(self, *also):
        """The trials whose weights are kept: the best of all, and of the last bracket.

        Hyperband's trials are short at first, and the best of their bracket go on.
        """
        done = self.oracle.get_best_trials(ALL)
        sign = -1 if self.oracle.objective.direction == "max" else 1
        done = sorted([*done, *also], key=lambda trial: sign * trial.score)

        def bracket(trial):
            return trial.hyperparameters.values.get("tuner/bracket")

        last = bracket(max(done, key=lambda t: t.trial_id)) if done else None
        return done[:BEST] + [t for t in done if bracket(t) == last][:BEST]

    def _prune(self):
        """Deletes the weights of trials that are not among the best any more."""
        kept = {self._path(trial.trial_id) for trial in self._best()}
        for path in set(self.folder.glob("trial_*.npz")) - kept:
            path.unlink(missing_ok=True)


class _Failed(Exception):
    """A trial has no score, and the search goes on."""
