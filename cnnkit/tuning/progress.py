"""How far a search is: lines in a terminal, a table in a notebook."""

import sys

from cnnkit.data.surroundings import say
from cnnkit.tuning.results import trials

SHOWN = 8  # rows of the live table


class Progress:
    """Tells of trials as they end.

    Args:
        tuner: `Search`.
        max_trials: int or None.
        verbose: 0 or 1.
    """

    def __init__(self, tuner, max_trials, verbose):
        self.tuner, self.oracle = tuner, tuner.oracle
        self.max_trials, self.verbose, self._handle = max_trials, verbose, None

    def opened(self, damaged):
        """Says what was found in the folder.

        Args:
            damaged: list of `pathlib.Path`, files that were set aside.
        """
        for path in damaged:  # never silent: a trial is lost
            say(f"A trial could not be read and is run again: see {path.name!r}")
        if self.verbose and (done := len(self.oracle.end_order)):
            folder = self.tuner.folder.name
            say(f"Going on after {done} finished trials in {folder!r}")

    def __call__(self, trial):
        """Tells of a trial that has ended.

        Args:
            trial: `keras_tuner.engine.trial.Trial`.

        Raises:
            RuntimeError: as for `check_hope` of the oracle.
        """
        self.oracle.check_hope()
        if not self.verbose:
            return
        if trial.status == "FAILED":
            say(f"trial {trial.trial_id} failed: {trial.message}")
        line = f"trial {trial.trial_id}: {self._in_words(trial)}; {self._best()}"
        if _in_notebook():
            self._show(line + self._left())
        elif trial.status == "COMPLETED":
            say(line + self._left())

    def stopped(self):
        """Says how to go on after an interrupt."""
        if self.verbose:
            say(
                f"You stopped it after {len(self.oracle.end_order)} trials: the same "
                "call goes on from there."
            )

    def ended(self):
        """Says what came out."""
        if self.verbose:
            say(f"{len(self.oracle.end_order)} trials done: {self._best()}")

    def _in_words(self, trial):
        seconds = self.oracle.seconds[trial.trial_id]
        if trial.status == "FAILED":
            return f"failed after {seconds:.0f} s"
        return f"{self.oracle.objective.name} {trial.score:.4f} in {seconds:.0f} s"

    def _best(self):
        best = self.oracle.get_best_trials(1)
        if not best:
            return "no score yet"
        return f"best {best[0].score:.4f} (trial {best[0].trial_id})"

    def _left(self):
        said = ""
        if self.max_trials:
            said = f"; {self.max_trials - len(self.oracle.end_order)} trials left"
        left = self.oracle.left()
        if left < 6000:
            said += f"; {max(left, 0):.0f} s left"
        return said

    def _show(self, line):
        from IPython.display import HTML, display

        table = trials(self.tuner).head(SHOWN).to_html(escape=True, float_format="%.4g")
        page = HTML(f"<p>{line}</p>{table}")
        if self._handle is None:
            self._handle = display(page, display_id=True)
        else:
            self._handle.update(page)


def _in_notebook():
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")
