"""KerasTuner's oracles, with a budget, and with files that survive.

An oracle says which hyperparameters to try next. All of them decide by a seed and by
the scores so far. So a search that goes on after a crash is taken through its trials
again, in their order, without training: each trial is a file of its own, and no other
state is read. (KerasTuner's own files are written in place, so that a kill leaves half
a file and the search cannot be opened any more; and its grid search forgets the grid.)
"""

import math
import time

import keras_tuner
from keras_tuner import HyperParameters, synchronized
from keras_tuner.engine.trial import Trial
from threadpoolctl import threadpool_limits

from cnnkit.training.phases import CALIBRATED
from cnnkit.tuning import records

ENDED = ("COMPLETED", "FAILED")
HOPELESS = 5  # trials that fail before any succeeds, and end the search
DEADLY = (
    "the process died in the middle of it, and again when the search went on: perhaps "
    "it takes more memory than there is"
)


class _Kept:
    """What is added to an oracle of KerasTuner.

    Attributes:
        picks_by: str, which of the values that training reports says which epoch of a
            trial is kept: the `monitor` of `training.fit`, or the objective.
        seconds: dict from the number of a trial to how long it took.
        ended_at: dict from the number of a trial to the seconds of the search, all its
            goes together, when it had ended.
    """

    folder = None  # until `open`, it is an oracle as any other
    picks_by = CALIBRATED

    def open(self, folder, max_trials, minutes):
        """Takes up the trials of a folder, and begins to count.

        Args:
            folder: `pathlib.Path`.
            max_trials: int, or None for no limit.
            minutes: float, wall-clock minutes for all trials, those of the folder
                included; or None.

        Returns:
            A list of `pathlib.Path`, the damaged files that were set aside.
        """
        found, damaged = records.read_all(folder)
        known = {record["state"]["trial_id"]: record for record in found}
        self.seconds = {k: r["seconds"] for k, r in known.items() if "ended" in r}
        self.ended_at = {k: r["at"] for k, r in known.items() if "ended" in r}
        self._began = {k: r["began"] for k, r in known.items()}
        self._starts = {k: r["starts"] for k, r in known.items()}
        self._clocks, self._happened = {}, 0
        self._again(found)
        self.folder = folder
        self._max_trials = math.inf if max_trials is None else max_trials
        self._budget = math.inf if minutes is None else 60 * minutes
        self._begun = time.monotonic() - max(self.ended_at.values(), default=0)
        for trial in [self.trials[number] for number in self._retry_queue]:
            if self._starts.get(trial.trial_id, 0) > 1:
                self._retry_queue.remove(trial.trial_id)
                trial.status, trial.message = "FAILED", DEADLY
                self._clocks[trial.trial_id] = time.monotonic()
                self.end_trial(trial)
        return damaged

    def left(self):
        """Returns the seconds until the end of the search, infinite without limit."""
        return self._budget - (time.monotonic() - self._begun)

    def is_over(self):
        """Returns whether no further trial may begin.

        That is also so where less time is left than half of the shortest trial took.
        """
        taken = len(self.end_order) + len(self.ongoing_trials)
        least = min(self.seconds.values(), default=0) / 2
        return taken >= self._max_trials or self.left() <= least

    def check_hope(self):
        """Ends a search in which nothing succeeds.

        Raises:
            RuntimeError: the first five trials have all failed.
        """
        ended = [self.trials[number] for number in self.end_order]
        if len(ended) >= HOPELESS and all(t.status == "FAILED" for t in ended):
            reasons = "\n".join(f"  - {t.trial_id}: {t.message}" for t in ended)
            raise RuntimeError(
                f"The first {len(ended)} trials have all failed, so the space or the "
                f"pictures need another look:\n{reasons}"
            )

    @synchronized
    def create_trial(self, tuner_id):  # noqa: D102
        if self.folder and tuner_id not in self.ongoing_trials and self.is_over():
            return Trial(self.get_space(), status="STOPPED")
        trial = super().create_trial(tuner_id)
        if self.folder and trial.status == "RUNNING":
            number = trial.trial_id
            self._clocks[number] = time.monotonic()
            self._began.setdefault(number, self._happened + 1)
            self._happened = max(self._happened, self._began[number])
            self._count_start(trial, 1)
        return trial

    def _random_values(self):
        """The defaults first, as somebody's best guess, and then what luck brings."""
        return super()._random_values() if self.trials else self.get_space().values

    def put_back(self, trial):
        """Takes back the start of a trial that was broken off, and not by a crash.

        Args:
            trial: `keras_tuner.engine.trial.Trial`.
        """
        self._count_start(trial, -1)

    def score_trial(self, trial):
        """Scores a trial by the epoch whose weights are kept.

        Args:
            trial: `keras_tuner.engine.trial.Trial`.
        """
        trial.score, trial.best_step = score(trial, self.objective, self.picks_by)

    def get_best_trials(self, num_trials=1):
        """Returns the best trials; one that failed is never among them.

        Args:
            num_trials: int, how many at most.
        """
        best = super().get_best_trials(num_trials)
        return [trial for trial in best if trial.status == "COMPLETED"]

    def save(self):
        """Does nothing: each trial is a file, and there is no other state."""

    def _save_trial(self, trial):
        if self.folder and trial.status in ENDED:
            now, number = time.monotonic(), trial.trial_id
            self.seconds[number] = round(now - self._clocks[number], 2)
            self.ended_at[number] = round(now - self._begun, 2)
            self._happened += 1
            self._write(
                trial, ended=self._happened, seconds=self.seconds[number],
                at=self.ended_at[number],
            )  # fmt: skip

    def _count_start(self, trial, change):
        number = trial.trial_id
        self._starts[number] = self._starts.get(number, 0) + change
        self._write(trial)

    def _write(self, trial, **more):
        number = trial.trial_id
        facts = {"began": self._began[number], "starts": self._starts[number]}
        record = facts | {"state": trial.get_state()} | more
        records.write(self.folder / f"trial_{number}.json", record)

    def _again(self, found):
        """Goes through the trials as they began and ended."""
        begins = {r["began"]: (self._begin_again, r) for r in found}
        ends = {r["ended"]: (self._end_again, r) for r in found if "ended" in r}
        events = begins | ends
        for number in sorted(events):
            again, record = events[number]
            again(record)
        self._happened = max(events, default=0)
        unfinished = [trial.trial_id for trial in self.ongoing_trials.values()]
        self._retry_queue += reversed(unfinished)  # the last is taken first
        self.ongoing_trials.clear()
        self.tuner_ids.clear()

    def _begin_again(self, record):
        state = record["state"]
        number = state["trial_id"]
        while number not in self.trials:  # a trial whose file is lost comes before it
            trial = self.create_trial(f"again {len(self.trials)}")
            if trial.status != "RUNNING":  # it depends on one that is lost
                trial = Trial(self.get_space(), trial_id=number)
                self.trials[number] = self.ongoing_trials[f"again {number}"] = trial
                self.start_order.append(number)
        trial = self.trials[number]
        trial.hyperparameters = HyperParameters.from_config(state["hyperparameters"])
        self._record_values(trial)

    def _end_again(self, record):
        state = record["state"]
        trial = self.trials[state["trial_id"]]
        trial.metrics = type(trial.metrics).from_config(state["metrics"])
        trial.status, trial.message = state["status"], state["message"]
        self.end_trial(trial)


class RandomSearch(_Kept, keras_tuner.oracles.RandomSearchOracle):
    """Each trial is drawn at random."""


class Hyperband(_Kept, keras_tuner.oracles.HyperbandOracle):
    """Many short trials, of which the best go on."""


class BayesianOptimization(_Kept, keras_tuner.oracles.BayesianOptimizationOracle):
    """Each trial is chosen where a model of the scores expects or ignores most."""

    def populate_space(self, trial_id):
        """Chooses the values of a trial.

        Args:
            trial_id: str.
        """
        # The matrices are tiny: on 2 cores, a second thread makes it four times slower.
        with threadpool_limits(1, user_api="blas"):
            return super().populate_space(trial_id)


class GridSearch(_Kept, keras_tuner.oracles.GridSearchOracle):
    """All combinations, one after the other."""


def score(trial, objective, picks_by):
    """Returns the score of a trial and the epoch that it is of.

    Args:
        trial: `keras_tuner.engine.trial.Trial`.
        objective: `keras_tuner.Objective`.
        picks_by: str, as the attribute of the oracles; the objective where that was
            not reported.

    Returns:
        (score, epoch); of equally good epochs the first.
    """
    values = {o.step: o.value[0] for o in trial.metrics.get_history(objective.name)}
    by, sign = values, -1 if objective.direction == "max" else 1
    if picks_by != objective.name and trial.metrics.exists(picks_by):
        by = {o.step: o.value[0] for o in trial.metrics.get_history(picks_by)}
        sign = 1  # a loss
    best = min(by, key=lambda step: (sign * by[step], step))
    return values[best], best


def make(method, objective, epochs, seed):
    """Makes an oracle.

    Args:
        method: str, a key of `METHODS`.
        objective: str or `keras_tuner.Objective`.
        epochs: int, the most epochs of a trial.
        seed: int from 0.
    """
    options = {
        "objective": objective,
        "seed": seed + 1,  # KerasTuner takes 0 for none
        "max_consecutive_failed_trials": 10**9,  # see `check_hope`
    }
    if method == "hyperband":
        options |= {"max_epochs": epochs, "hyperband_iterations": 10**6}
    else:
        options["max_trials"] = None
    if method == "bayesian":
        # KerasTuner draws three times as many as there are hyperparameters: on a
        # laptop that is the whole search, at random. Ax begins to model after 5, too.
        options["num_initial_points"] = 5
    return METHODS[method](**options)


METHODS = {
    "hyperband": Hyperband,
    "random": RandomSearch,
    "bayesian": BayesianOptimization,
    "grid": GridSearch,
}
