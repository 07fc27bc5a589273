"""Ways in which a run is stopped from outside, made gentle: Ctrl-C, SIGTERM, memory."""

import contextlib
import signal
import threading

import tensorflow as tf


class Terminated(KeyboardInterrupt):
    """The process was asked to end, as batch systems and notebook servers do."""


class Listening:
    """Makes SIGTERM and SIGHUP exceptions, like Ctrl-C; holds all back during a save.

    Handlers are set in the main thread alone, where Python allows it, only where nobody
    else has set one, and taken back at the end of the context.
    """

    def __init__(self):
        self._before, self._held, self._waiting = {}, 0, None

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            usual = {
                signal.SIGINT: signal.default_int_handler,
                signal.SIGTERM: signal.SIG_DFL,
            }
            if hasattr(signal, "SIGHUP"):  # the terminal was closed; not on Windows
                usual[signal.SIGHUP] = signal.SIG_DFL
            for number, handler in usual.items():
                if signal.getsignal(number) is handler:
                    self._before[number] = handler
                    signal.signal(number, self._stop)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    @contextlib.contextmanager
    def held(self):
        """Lets what is inside come to its end before a signal is followed."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            if self._waiting is not None:
                self._stop(self._waiting, None)

    def _stop(self, number, _):
        if number == getattr(signal, "SIGHUP", None):  # the shell and the system
            signal.signal(number, signal.SIG_IGN)  # send one each: results come first
            self._before.pop(number, None)
        self._waiting = number if self._held else None
        if not self._held:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated


@contextlib.contextmanager
def memory_for(batch_size):
    """Says what to do when memory does not suffice for a training step.

    Args:
        batch_size: int, pictures in a step.

    Raises:
        MemoryError: in place of TensorFlow's own error.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        half = max(1, batch_size // 2)
        raise MemoryError(
            f"The memory does not suffice for a step: try batch_size={half} (with half "
            "the learning rate), smaller pictures or a smaller model. Received: "
            f"batch_size={batch_size}"
        ) from error
