"""Trials side by side: workers on this machine, or on several.

On several machines the same script runs everywhere, as KerasTuner has it, with three
environment variables: KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT say where the
machine that leads is to be reached; KERASTUNER_TUNER_ID is "chief" there, and a name of
its own on each other, such as "tuner0". The `folder` of the search is on a disk that
all see. The chief trains nothing, keeps the trials and returns when all are done. A
worker that died is started again under its name, and takes up its trial. The protocol
has no password, so it is for a network of your own.
"""

import multiprocessing
import os
import socket
import sys
import threading
import time
import traceback

import keras_tuner

from cnnkit.training.watch import Course

IP, PORT, NAME = (
    f"KERASTUNER_{what}" for what in ("ORACLE_IP", "ORACLE_PORT", "TUNER_ID")
)
LOOK = 0.2  # seconds between two looks at what the workers do
START = 60  # seconds in which the chief has to answer


def is_worker():
    """Returns whether this process trains for a chief elsewhere."""
    return IP in os.environ and not is_chief()


def is_chief():
    """Returns whether this process leads others."""
    return IP in os.environ and "chief" in os.environ.get(NAME, "")


def serve(tuner, progress):
    """Leads workers that others start, until all trials are done.

    Args:
        tuner: `Search`.
        progress: function that is called after each trial, with the trial.
    """
    server = _served(tuner)
    told = 0
    while server.is_alive():
        time.sleep(LOOK)
        told = _tell(tuner, progress, told)


def search(tuner, workers, progress):
    """Runs trials in processes of this machine, until all are done.

    Args:
        tuner: `Search`.
        workers: int, how many processes.
        progress: function that is called after each trial, with the trial.

    Raises:
        ValueError: the space cannot be imported by another process.
        RuntimeError: a worker ended with an error; its traceback is in the message.
    """
    _check(tuner.hypermodel)
    context, running, told = multiprocessing.get_context("spawn"), {}, 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own = {IP: "127.0.0.1", PORT: str(free.getsockname()[1])}
    before = dict(os.environ)
    os.environ.update(own | {NAME: "chief"})
    try:
        _served(tuner)
        names = [f"tuner{number}" for number in range(workers)]
        while names:
            for name in names:
                if name not in running:
                    running[name] = _started(
                        context, tuner, own | {NAME: name}, workers
                    )
            time.sleep(LOOK)
            told = _tell(tuner, progress, told)
            for name in [n for n in names if not running[n].is_alive()]:
                if running[name].exitcode == 0:
                    names.remove(name)
                else:
                    _died(tuner, name, running.pop(name).exitcode)
        _tell(tuner, progress, told)
    finally:
        for process in running.values():
            process.terminate()
            process.join()
        os.environ.clear()
        os.environ.update(before)
        for trial in list(tuner.oracle.ongoing_trials.values()):  # broken off
            tuner.oracle.put_back(trial)


def _served(tuner):
    """KerasTuner's server of an oracle, in a thread, as soon as it answers."""
    server = threading.Thread(
        target=keras_tuner.Tuner.search, args=(tuner,), daemon=True
    )
    server.start()
    end = time.monotonic() + START
    while time.monotonic() < end:
        with socket.socket() as probe:
            if not probe.connect_ex((os.environ[IP], int(os.environ[PORT]))):
                return server
        time.sleep(0.05)
    raise RuntimeError(
        "The oracle could not be reached: choose another port. Received: "
        f"{os.environ[IP]}:{os.environ[PORT]}"
    )


def _started(context, tuner, variables, workers):
    parts = (
        tuner.hypermodel, tuner.photos, tuner.folder, tuner.epochs, tuner.seed,
        tuner.oracle.objective, tuner.course.left(),
    )  # fmt: skip
    process = context.Process(
        target=_work, args=(variables, workers, parts), daemon=True
    )
    process.start()
    return process


def _work(variables, workers, parts):
    """Trains the trials that the chief hands out."""
    os.environ.update(variables)
    import tensorflow as tf

    from cnnkit.tuning import oracles
    from cnnkit.tuning.tuner import Search

    threads = max(1, (os.cpu_count() or 1) // workers)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    space, photos, folder, epochs, seed, objective, seconds = parts
    try:
        oracle = oracles.make("random", objective, epochs, seed)  # asks the chief
        tuner = Search(oracle, space, photos, folder, epochs, seed)
        tuner.course = Course(seconds / 60)
        tuner.search(lambda trial: None)
    except KeyboardInterrupt:
        sys.exit(0)
    except BaseException:
        (folder / f"{variables[NAME]}.error").write_text(traceback.format_exc())
        sys.exit(1)


def _died(tuner, name, code):
    """Fails the trial of a worker that was killed, and raises the error of another."""
    error = tuner.folder / f"{name}.error"
    if error.exists():
        text = error.read_text()
        error.unlink()
        raise RuntimeError(f"A worker ended with this error:\n{text}")
    trial = tuner.oracle.ongoing_trials.get(name)
    if trial is not None:
        trial.status = "FAILED"
        trial.message = (
            f"its process died (exit code {code}): perhaps it takes more memory than "
            "there is"
        )
        tuner.oracle.end_trial(trial)


def _tell(tuner, progress, told):
    """Tells of the trials that have ended since; returns of how many it was told."""
    for number in tuner.oracle.end_order[told:]:
        progress(tuner.oracle.trials[number])
        told += 1
    return told


def _check(space):
    """Refuses what another process cannot import."""
    functions = [getattr(space, "model_space", space), *getattr(space, "spaces", ())]
    main = sys.modules["__main__"]
    for function in functions:
        inner = getattr(function, "func", function)  # of a partial
        name = getattr(inner, "__qualname__", type(inner).__qualname__)
        in_notebook = inner.__module__ == "__main__" and not hasattr(main, "__file__")
        if "<" in name or in_notebook:
            raise ValueError(
                "Workers are new Python processes that import the space by its name: "
                "put it into a .py file of its own, at the top level, and import it, "
                f"or take workers=1. Received: {name!r} of {inner.__module__!r}"
            )
