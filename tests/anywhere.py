"""Runs the tests as other machines would, and says in a table what came of it.

    python tests/anywhere.py [RUN ...] [-- ARGUMENTS OF PYTEST]

A run is one row of ROWS, or some that are joined: `python3.12+ascii`. Without a name,
all rows are gone through in four runs. Environments are kept in `.anywhere`. A row
whose Python is not on this machine is skipped, and says so.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".anywhere"
ROWS = {
    "fonts": "no font beside those that pip brings",
    "one-core": "one core, beside four busy processes",
    "plain-kernels": "TensorFlow without oneDNN",
    "avx2": "the kernels of an older processor",
    "user": "no power over foreign files, and a home that cannot be written",
    "ascii": "LANG=C",
    "python3.11": "each Python in an environment of its own",
    "python3.12": "",
    "python3.13": "",
    "lowest": "the lowest versions that pyproject.toml allows",
}
ALL = ["fonts+one-core+python3.11", "plain-kernels+ascii+python3.12"]
ALL += ["avx2+user+python3.13", "lowest"]
BASES = {row: row for row in ROWS if row.startswith("python")}
BASES["lowest"] = "python3.11"
VARIABLES = {
    "plain-kernels": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "ascii": {"LANG": "C", "LC_ALL": "C"},
}
NO_FONTS = """
from matplotlib import font_manager, get_data_path
font_manager.findSystemFonts = lambda *arguments, **options: []
known = font_manager.fontManager.ttflist
known[:] = [font for font in known if font.fname.startswith(get_data_path())]
"""
# Root reads and writes everything by these powers; without them it is as others are.
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


def installed(name):
    """Whether a Python is there and starts: a shim of pyenv may do neither."""
    works = shutil.which(name) and subprocess.run([name, "-c", ""], capture_output=True)
    return bool(works) and works.returncode == 0


def environment(row):
    """The Python of a row, which is installed the first time."""
    place, base = KEPT / row, BASES[row]
    python, package = str(place / "bin" / "python"), ".[notebooks,tests]"
    if not (place / "ready").exists():
        print(f"{row}: installing", flush=True)
        pip = [python, "-m", "pip", "install", "--quiet"]
        steps = [[base, "-m", "venv", str(place)]]
        if row == "lowest":
            steps.append([*pip, "uv"])
            pip = [str(place / "bin" / "uv"), "pip", "install", "--python", python]
            steps.append([*pip, "--resolution", "lowest-direct", "-e", package])
        else:
            steps.append([*pip, "-e", package, "-c", "constraints.txt"])
        for step in steps:
            subprocess.run(step, cwd=ROOT, check=True)
        (place / "ready").touch()
    return python


def run(rows, arguments, place):
    """Runs pytest under all conditions of some rows; returns what came of it."""
    python, before, busy, results = sys.executable, [], [], place / "results.xml"
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(place)])}
    variables.pop("PYTHONIOENCODING", None)
    for base in {BASES[row] for row in rows if row in BASES}:
        if not installed(base):
            return f"skipped, as there is no {base} on this machine", False
    try:
        for row in rows:
            variables |= VARIABLES.get(row, {})
            if row in BASES:
                python = environment(row)
        if "fonts" in rows:
            (place / "no_fonts.py").write_text(NO_FONTS)
            arguments = ["-p", "no_fonts", *arguments]
        if "user" in rows:
            (home := place / "home").mkdir(mode=0o555)
            variables |= {"HOME": str(home)}
            before += POWERLESS if os.geteuid() == 0 else []
        if "one-core" in rows:
            before += ["taskset", "--cpu-list", "0"]
            spin = [sys.executable, "-c", "while True: pass"]
            busy += [subprocess.Popen(spin) for _ in range(4)]
        command = [*before, python, "-m", "pytest", f"--junitxml={results}", *arguments]
        subprocess.run(command, cwd=ROOT, env=variables)
        return told(ElementTree.parse(results).getroot())  # noqa: S314
    except (OSError, subprocess.CalledProcessError) as error:
        return f"could not be run: {error}", True
    finally:
        for process in busy:
            process.kill()


def told(results):
    """The counts and the failures of pytest's own file, and whether any failed."""
    suite, bad = results.find("testsuite"), []
    for case in results.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            bad.append(f"\n    {case.get('classname')}::{case.get('name')}")
    counts = f"{suite.get('tests')} ran, {suite.get('skipped')} skipped, "
    return f"{counts}{len(bad)} failed" + "".join(bad), bool(bad)


def main(arguments):
    at, table = [*arguments, "--"].index("--"), []
    names, rest = arguments[:at], arguments[at + 1 :]
    for name in names or ALL:
        rows = name.split("+")
        if unknown := set(rows) - set(ROWS):
            sys.exit(f"Rows are {', '.join(ROWS)}. Received: {', '.join(unknown)}")
        with tempfile.TemporaryDirectory() as place:
            table.append((name, *run(rows, rest, Path(place))))
    for name, words, _ in table:
        print(f"{name}: {words}")
    return any(failed for *_, failed in table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
