import subprocess
import sys
from pathlib import Path


def test_searches_that_are_killed_or_cut_go_on_as_if_nothing_had_happened():
    """Four of the eighty kills of `make gauntlet`, and all its cuts."""
    command = [sys.executable, str(Path(__file__).with_name("search_kills.py")), "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 kills: 0 with") == 4 and "cuts: 0 that" in done.stdout
