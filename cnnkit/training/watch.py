"""Callbacks that steer a run: its clock, learning rate, best weights and progress."""

import math
import time

import keras
import numpy as np
import tensorflow as tf

from cnnkit.data.surroundings import say


def told(monitor):
    """The name of a value of the history in words: val_log_loss."""
    return monitor.replace("val_", "validation ").replace("_", " ")


class Course:
    """A run's way from 0 to 1: by steps, by minutes, or by whichever is further.

    Args:
        minutes: float, wall-clock minutes, or None for no limit.
    """

    def __init__(self, minutes=None):
        self.start = time.monotonic()
        self.seconds = math.inf if minutes is None else 60 * minutes
        self.steps, self.steps_done = math.inf, 0

    def part(self, share):
        """Returns a course that starts now and ends after a share of this one.

        Args:
            share: float in (0, 1].
        """
        return Course(share * self.left() / 60)

    def elapsed(self):
        """Returns the seconds since the start."""
        return time.monotonic() - self.start

    def left(self):
        """Returns the seconds until the end, never under 0; infinite without limit."""
        return max(0.0, self.seconds - self.elapsed())

    def share(self):
        """Returns how far the run is, from 0 to 1."""
        if not self.left():
            return 1.0
        by_time = self.elapsed() / self.seconds
        return min(1.0, max(self.steps_done / self.steps, by_time))


class Clock(keras.callbacks.Callback):
    """Sets the learning rate before each step, and ends the run when time is up.

    Args:
        schedule: `schedules.OneCycle` or `schedules.Cosine`.
        course: `Course` of the run.
    """

    remembered = ("time_is_up", "test_seconds")  # by a run that is saved

    def __init__(self, schedule, course):
        super().__init__()
        self.schedule, self.course = schedule, course
        self.time_is_up, self.test_seconds = False, None

    def on_train_batch_begin(self, batch, logs=None):  # noqa: D102
        rate = self.schedule.at(self.course.share())
        self.model.optimizer.learning_rate = rate

    def on_train_batch_end(self, batch, logs=None):  # noqa: D102
        self.course.steps_done += 1
        self._stop_in_time()

    def on_test_begin(self, logs=None):  # noqa: D102
        self._test_start = time.monotonic()

    def on_test_end(self, logs=None):  # noqa: D102
        self.test_seconds = time.monotonic() - self._test_start

    def on_epoch_end(self, epoch, logs=None):  # noqa: D102
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        self._stop_in_time()  # no epoch of a single step that costs a validation

    def _stop_in_time(self):
        if self.course.left() <= (self.test_seconds or 0):
            self.time_is_up = self.model.stop_training = True


class Averaged(keras.callbacks.Callback):
    """Averages weights over steps, and puts the averages into the model to validate.

    What BatchNorm has measured is averaged as well, as it belongs to the weights. In
    step t an average keeps min(decay, (1 + t) / (10 + t)) of itself, so that a short
    run does not end on its random start (as TensorFlow's ExponentialMovingAverage with
    `num_updates`).

    It stands before `KeepBest` in the callbacks, which so keeps the averages, and its
    other half, `Latest`, behind it.

    Args:
        decay: float in (0, 1).
    """

    remembered = ("averages", "steps")  # by a run that is saved

    def __init__(self, decay):
        super().__init__()
        self.decay, self.averages, self.steps, self.latest = decay, None, 0, None

    def on_train_begin(self, logs=None):  # noqa: D102
        if self.averages is None:
            self.averages = [v.numpy() for v in _averaged_in(self.model)]
        self._now = [tf.Variable(value) for value in self.averages]
        self._step = tf.function(self._follow)

    def _follow(self, kept):
        for average, weight in zip(self._now, _averaged_in(self.model), strict=True):
            average.assign(weight.value + kept * (average - weight.value))

    def on_train_batch_end(self, batch, logs=None):  # noqa: D102
        self.steps += 1
        kept = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self._step(tf.constant(kept, "float32"))

    def on_test_begin(self, logs=None):  # noqa: D102
        weights = _averaged_in(self.model)
        self.latest = [weight.numpy() for weight in weights]
        self.averages = [average.numpy() for average in self._now]
        for weight, average in zip(weights, self.averages, strict=True):
            weight.assign(average)

    def put_back(self):
        """Gives the model the weights of the last step again."""
        if self.latest is not None:
            weights = _averaged_in(self.model)
            for weight, value in zip(weights, self.latest, strict=True):
                weight.assign(value)
        self.latest = None


def _averaged_in(model):
    """The weights that learn, and the statistics of layers: not their seeds."""
    return [v for v in model.weights if v.dtype == "float32"]


class Latest(keras.callbacks.Callback):
    """Gives the model back the weights of the last step, which training goes on from.

    Args:
        averaged: `Averaged`.
    """

    def __init__(self, averaged):
        super().__init__()
        self.averaged = averaged

    def on_epoch_end(self, epoch, logs=None):  # noqa: D102
        self.averaged.put_back()


class KeepBest(keras.callbacks.Callback):
    """Remembers the weights of the best epoch; stops when none gets better.

    A loss that is not finite ends the run at once and is never the best. If that
    happens before any epoch was good, the weights of the start are the best.

    Args:
        patience: int, epochs without improvement before stopping, or None.
        monitor: str, which of the logs says how good an epoch was.
        direction: "min" or "max", which of its values is the best.
    """

    remembered = ("loss", "weights", "epoch", "why")  # by a run that is saved

    def __init__(self, patience=None, *, monitor="val_loss", direction="min"):
        super().__init__()
        self.patience = patience
        self.monitor, self.sign = monitor, 1 if direction == "min" else -1
        self.loss, self.weights, self.epoch = math.inf, None, None
        self.why, self.start, self.bad_batch = None, None, ""

    def on_train_begin(self, logs=None):  # noqa: D102
        if self.weights is None:
            self.start = self.model.get_weights()

    def on_train_batch_end(self, batch, logs=None):  # noqa: D102
        if not math.isfinite(logs["loss"]):
            self.bad_batch = f", batch {batch + 1}"
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):  # noqa: D102
        losses = logs["loss"], logs["val_loss"]
        value = self.sign * logs.get(self.monitor, logs["val_loss"])
        if not np.isfinite(losses).all():
            self.why = f"the loss was not finite in epoch {epoch + 1}{self.bad_batch}"
            if "learning_rate" in logs:
                self.why += f", at a learning rate of {logs['learning_rate']:.2g}"
            if bad := self._not_finite():
                self.why += f"; the first weights that are not finite: {bad}"
            self.model.stop_training = True
            if self.weights is None:
                self.weights = self.start
        elif value < self.loss:
            self.weights, self.start = self.model.get_weights(), None
            self.loss, self.epoch = value, epoch
        elif self.patience:
            waited = epoch - (-1 if self.epoch is None else self.epoch)
            if waited >= self.patience:
                self.why = f"no better {told(self.monitor)} for {waited} epochs"
                self.model.stop_training = True

    def _not_finite(self):
        """The path of the first weights that are not finite, or None."""
        for variable in self.model.weights:
            if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
                return variable.path
        return None

    def restore(self):
        """Puts the best weights into the model, if there are any."""
        if self.weights is not None:
            self.model.set_weights(self.weights)


class Report(keras.callbacks.Callback):
    """Prints some twenty lines a run, readable in a terminal, a log and a notebook.

    Args:
        phase: str, what is trained, at the head of each line.
        course: `Course` of the run.
        best: `KeepBest` of the run; it stands before this one in the callbacks.
    """

    def __init__(self, phase, course, best):
        super().__init__()
        self.phase, self.course, self.best = phase, course, best
        self.told_share, self.told_time = -1.0, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):  # noqa: D102
        if time.monotonic() - self.told_time > 15:  # a long epoch
            done = (batch + 1) / self.params["steps"]
            self._tell(f"{done:.0%} of its batches, loss {logs['loss']:.3f}")

    def on_epoch_begin(self, epoch, logs=None):  # noqa: D102
        self.epoch = epoch + 1

    def on_epoch_end(self, epoch, logs=None):  # noqa: D102
        share = self.course.share()
        last = self.model.stop_training or share >= 1
        if share - self.told_share < 0.05 and not last:
            return
        self.told_share = share
        self._tell(
            f"loss {logs['loss']:.3f}, accuracy {logs['accuracy']:5.1%}; validation "
            f"{logs['val_loss']:.3f}, {logs['val_accuracy']:5.1%}"
            + (" *" if self.best.epoch == epoch else "")
        )

    def _tell(self, text):
        self.told_time = time.monotonic()
        say(f"{self.phase}, epoch {self.epoch:3}: {text}{self._left()}")

    def _left(self):
        share, elapsed = self.course.share(), self.course.elapsed()
        if share in (0, 1):
            return ""
        left = min(self.course.left(), elapsed * (1 - share) / share)
        return (
            f"  ({left:.0f} s left)" if left < 100 else f"  ({left / 60:.0f} min left)"
        )
