"""Curves of a run, drawn anew while it goes on."""

import sys
from time import monotonic

from cnnkit.plots.figures import training_curves

SECONDS = 0.5  # between two drawings at least, and
SHARE = 0.1  # of a run's time for drawing at most


def live_curves():
    """Makes a function that draws `training_curves` anew while a network trains.

    In a notebook it keeps one figure up to date, below the cell that trains. It draws
    at most twice a second, and less often where drawing takes more than a tenth of the
    time; what is left over is drawn when the cell ends. Elsewhere, as in a terminal, it
    does nothing. When epochs begin again, so does the figure.

    Returns:
        A function (epoch, logs), as `keras.callbacks.LambdaCallback` wants it: `epoch`
        counts from 0, `logs` is a dict with "loss" and the like, or None.

    Example:
        >>> live = keras.callbacks.LambdaCallback(on_epoch_end=live_curves())
        >>> history = training.fit(model, photos, epochs=20, callbacks=[live])
    """
    history, handle = {}, None
    last_epoch, next_time, waiting = -1, 0.0, False

    def redraw(epoch, logs=None):
        nonlocal handle, last_epoch, next_time
        shell = _notebook()
        if shell is None or not logs or "loss" not in logs:
            return
        if epoch <= last_epoch:
            history.clear()
            handle, next_time = None, 0.0
        last_epoch = epoch
        for key, value in logs.items():
            history.setdefault(key, []).append(float(value))
        if monotonic() >= next_time:
            draw()
        else:
            wait(shell)

    def draw():
        nonlocal handle, next_time
        from IPython.display import display

        start = monotonic()
        figure = training_curves(history)
        if handle is None:
            handle = display(figure, display_id=True)
        else:
            handle.update(figure)
        end = monotonic()
        next_time = end + max(SECONDS, (end - start) / SHARE)

    def wait(shell):
        nonlocal waiting
        if not waiting:
            waiting = True
            shell.events.register("post_execute", catch_up)

    def catch_up():
        nonlocal waiting
        waiting = False
        _notebook().events.unregister("post_execute", catch_up)
        draw()

    return redraw


def _notebook():
    """The shell of the notebook that this runs in, or None.

    Who has not loaded IPython sits in no notebook, so it need not be installed.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell if hasattr(shell, "kernel") else None
