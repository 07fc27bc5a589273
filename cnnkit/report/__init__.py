"""The report of a run: one HTML page that says what a model does, and how well.

The page holds everything that it shows, so it can be mailed, printed and opened offline
in years to come. It has no script and loads nothing. Names of classes and files are
written by people and end up in a browser: all text passes through one door, Jinja's
escaping together with `display.readable`.
"""

from cnnkit.report.comparing import compare
from cnnkit.report.writing import write

__all__ = ["compare", "write"]
