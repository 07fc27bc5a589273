"""What comes before the work of a command, and what it may rely on."""

import contextlib
import os
import re
import shlex
import sys
import tempfile


class Lasting:
    """An output whose reader may go away: the work goes on, and its files count."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        """Writes, to nowhere once the terminal or the pipe is gone."""
        try:
            return self._stream.write(text)
        except OSError:
            self._let_go()
            return len(text)

    def flush(self):
        """Flushes likewise."""
        try:
            self._stream.flush()
        except OSError:
            self._let_go()

    def _let_go(self):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())  # what is still in the buffer as well
        os.close(nowhere)


@contextlib.contextmanager
def lasting_output():
    """Lets nothing that is printed end the work inside."""
    with (
        contextlib.redirect_stdout(Lasting(sys.stdout)),
        contextlib.redirect_stderr(Lasting(sys.stderr)),
    ):
        yield


def open_streams():
    """Makes up for outputs that are closed (`>&-`, cron), or lack letters (cp1252)."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):  # not in every notebook
            stream.reconfigure(errors="backslashreplace")


def quoted(path, windows=os.name == "nt"):
    """The path as it can be typed into a shell, `cmd.exe` on Windows."""
    if not windows:
        return shlex.quote(str(path))
    plain = re.fullmatch(r"[\w.:/\\-]+", str(path))
    return str(path) if plain else f'"{path}"'


def start_keras():
    """Imports Keras without TensorFlow's talk about this machine, unless it fails."""
    from cnnkit.data.surroundings import check_keras  # here, so that --help is quick

    check_keras()
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


def own_folder(wanted):
    """Makes a folder for this run alone, with a number where the name is taken.

    Args:
        wanted: `pathlib.Path`; missing folders above it are made.

    Returns:
        The `pathlib.Path` of the folder, which is empty.
    """
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
