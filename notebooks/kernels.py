"""Starts the kernels of the lessons' tests: TensorFlow is imported once for all.

Importing costs each lesson eight CPU-seconds. On Linux a process imports everything,
runs nothing, and a kernel is a fork of that process. Elsewhere, and where that fails,
a kernel is a process of its own, as always.
"""

import gc
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing import connection

from jupyter_client.provisioning import local_provisioner

IMPORTED = ["ipykernel.kernelapp", "ipywidgets", "keras_tuner", "tensorflow"]
IMPORTED += ["cnnkit.explorer", "cnnkit.report", "cnnkit.transfer", "cnnkit.tuning"]
LONGEST = 600  # seconds that the imports may take on a busy machine
a_process_of_its_own = local_provisioner.launch_kernel


class Kernel:
    """A fork, with what jupyter_client asks of a subprocess.Popen."""

    stdin = stdout = stderr = None

    def __init__(self, cmd, cwd, env):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        self.held, theirs = context.Pipe()  # when it is let go, the kernel ends
        self.process = context.Process(target=run, args=(cmd, cwd, env, theirs))
        self.process.start()
        self.pid = self.process.pid
        theirs.close()
        # Not before it leads a group of its own: signals go to the whole group.
        if not self.held.poll(LONGEST) or self.held.recv() != self.pid:
            self.process.kill()
            raise OSError("The fork does not answer.")

    def poll(self):
        """The exit status; None while it runs."""
        return self.process.exitcode

    def wait(self, timeout=None):
        """Waits for the end."""
        self.process.join(timeout)
        return self.process.exitcode

    def send_signal(self, number):
        """Sends it a signal, if it is there."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)


def run(cmd, cwd, env, parent):
    """Is the kernel, in the fork; ends with the process that wanted it."""
    os.setsid()
    parent.send(os.getpid())
    os.environ.update(env)
    os.chdir(cwd or ".")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # as nbval does
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    gc.collect()
    gc.freeze()  # a million objects that no collection has to look at again
    import pandas as pd
    from ipykernel import kernelapp

    pd.set_option("display.max_columns", 20)  # imported outside a notebook, it has 0
    sys.argv = cmd[2:]
    kernelapp.launch_new_instance(argv=cmd[3:])


def _end_with(parent):
    connection.wait([parent])  # ready when nobody holds the other end
    os._exit(1)


def launch(cmd, cwd=None, env=None, **others):
    """Takes the place of jupyter_client's function of this purpose."""
    if sys.platform == "linux" and cmd[1:3] == ["-m", "ipykernel_launcher"]:
        try:
            return Kernel(cmd, cwd, env or dict(os.environ))
        except (OSError, EOFError) as error:
            print(f"A kernel with its own imports: {error!r}", file=sys.stderr)
    return a_process_of_its_own(cmd, cwd=cwd, env=env, **others)


def install():
    """From now on, kernels are forks where that is possible."""
    # Before pyplot is imported, as it looks for this once.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    local_provisioner.launch_kernel = launch
