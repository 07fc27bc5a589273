"""What comes before the work of a command."""

import os
import sys
import tempfile


def start_keras():
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
