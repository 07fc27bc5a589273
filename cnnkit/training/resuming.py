"""What a run must know to go on as if nothing had happened, saved after each epoch.

That is: all variables of the model, the states of random numbers among them (which a
`.weights.h5` file leaves out), the optimizer's, what our callbacks remember, and the
history. The order of pictures needs no saving, as it follows from (seed, epoch).
"""

import contextlib
import warnings

import keras
from keras import ops

from cnnkit.data.surroundings import say
from cnnkit.training import checkpoint, fingerprint


@contextlib.contextmanager
def opened(folder, model, data, settings, *, verbose=1, ignore=()):
    """Opens the folder of a run.

    Args:
        folder: str or path, or None where nothing is to be saved.
        model: as for `fit`.
        data: as for `fit`.
        settings: dict of name to value, which must be as they were to go on; but for
            `verbose`, and `callbacks`, which cannot be compared.
        verbose: 0 or 1.
        ignore: names of settings of layers that may be others.

    Yields:
        `checkpoint.Run`, or None.

    Raises:
        RuntimeError: the folder is in use.
        OSError: the folder cannot be written.
    """
    if folder is None:
        yield None
        return
    same_result = {"verbose", "callbacks"}  # whatever they are
    settings = {k: v for k, v in settings.items() if k not in same_result}
    made_of = fingerprint.take(model, data, settings, ignore)
    with checkpoint.Run(folder, made_of, verbose) as run:
        yield run


class Saver(keras.callbacks.Callback):
    """Puts a phase back to where it was, and saves it at the end of each epoch.

    It stands last in the callbacks, so that it saves what the others have done.

    Args:
        phase: `checkpoint.Phase`.
        course: `Course` of the phase.
        history: `keras.callbacks.History` of the phase.
        callbacks: list of the callbacks whose attribute `remembered` names what of
            them is saved and put back.
        listening: `interrupts.Listening`.
    """

    def __init__(self, phase, course, history, callbacks, listening):
        super().__init__()
        self.phase, self.course, self.history = phase, course, history
        self.callbacks, self.listening = callbacks, listening
        self.told = phase.run.verbose

    def on_epoch_end(self, epoch, logs=None):  # noqa: D102
        self.save(epoch + 1, stop=self.model.stop_training)

    def begin(self, model):
        """Puts everything back to where it was, or saves the start of the phase.

        Args:
            model: `keras.Model`, compiled.

        Returns:
            bool, whether there is anything left to train.

        Raises:
            OSError: not even the start can be saved.
        """
        self.set_model(model)
        model.optimizer.build(model.trainable_variables)
        found = self.phase.found
        if found is None:
            self.save(0, stop=False)
            return True
        self._put_back(found)
        folder, epoch = str(self.phase.run.folder), self.phase.epoch
        if self.told and found["is_done"]:
            say(
                f"The run in {folder!r} came to its end before: nothing is trained "
                "again. For a new run take another folder."
            )
        elif self.told and epoch:
            say(f"Going on after epoch {epoch}, as saved in {folder!r}.")
        return not found["stop"]

    def save(self, epoch, *, stop):
        """Saves the phase at the end of an epoch, to go on from here.

        Args:
            epoch: int, epochs done.
            stop: bool, whether training ends here.

        Raises:
            OSError: nothing is saved yet, and nothing can be.
        """
        kept = {
            type(callback).__name__: {
                name: getattr(callback, name) for name in callback.remembered
            }
            for callback in self.callbacks
        }
        state = {
            "optimizer": _values(self.model.optimizer.variables),
            "callbacks": kept,
            "stop": stop,
        }
        self._write(epoch, state)

    def finish(self):
        """Saves the result, which the same call returns from now on.

        It holds the weights that the model has now, the best ones.
        """
        epoch = len(self.history.epoch)
        state = {"params": self.history.params, "stop": True}
        self._write(epoch, state, is_done=True)

    def how_to_go_on(self):
        """Says in a line what is saved, after an interrupt."""
        if self.told:
            say(
                f"Saved up to epoch {self.phase.epoch} in "
                f"{str(self.phase.run.folder)!r}: the same call goes on from there."
            )

    def _write(self, epoch, state, *, is_done=False):
        state |= {
            "model": _values(self.model.variables),
            "history": self.history.history,
            "course": {
                "seconds": self.course.seconds,
                "elapsed": self.course.elapsed(),
                "steps_done": self.course.steps_done,
            },
        }
        try:
            with self.listening.held():
                self.phase.save(epoch, state, is_done=is_done)
        except OSError as error:
            what = "The result" if is_done else f"Epoch {epoch}"
            reason = f"{what} was not saved in {str(self.phase.run.folder)!r}: "
            reason += error.strerror or str(error)
            if epoch == 0:
                raise OSError(
                    error.errno, f"{reason}. Free some space or take another folder"
                ) from error
            goes_on = "The model has it" if is_done else "Training goes on"
            warnings.warn(
                f"{reason}. {goes_on}; the last save, of epoch {self.phase.epoch}, is "
                "still there",
                stacklevel=2,
            )

    def _put_back(self, found):
        model, course = self.model, self.course
        _assign(model.variables, found["model"])
        self.history.history = found["history"]
        self.history.epoch = list(range(self.phase.epoch))
        course.start -= found["course"]["elapsed"]
        course.seconds = found["course"]["seconds"]
        course.steps_done = found["course"]["steps_done"]
        if found["is_done"]:
            phases = [tuple(row) for row in found["params"]["phases"]]
            self.history.params = found["params"] | {"phases": phases}
            return
        _assign(model.optimizer.variables, found["optimizer"])
        for callback in self.callbacks:
            for name, value in found["callbacks"][type(callback).__name__].items():
                setattr(callback, name, value)


def _values(variables):
    return [ops.convert_to_numpy(variable) for variable in variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
