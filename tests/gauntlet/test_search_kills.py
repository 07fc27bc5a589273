import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow("a search in one go, one that is killed, and one that goes on")
def test_a_search_that_is_killed_or_cut_goes_on_as_if_nothing_had_happened():
    """One of the eighty kills of `make gauntlet`, and all its cuts."""
    script = str(Path(__file__).with_name("search_kills.py"))
    command = [sys.executable, script, "1", "hyperband"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 kills: 0 with") == 1 and "cuts: 0 that" in done.stdout
