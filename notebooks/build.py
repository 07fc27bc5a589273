"""Builds the lessons: text source -> executed notebook and learner's copy.

    python notebooks/build.py                what changed since the last build
    python notebooks/build.py 04             of these, only lesson 04
    python notebooks/build.py --force        everything

People edit `src/NN_name.py` only. `NN_name.ipynb` holds the lesson with its outputs;
`exercises/NN_name.ipynb` is the same without outputs and without the solutions. Both
carry the hash of their source, so a test sees when one of them is out of date.
"""

import argparse
import base64
import hashlib
import io
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from lint import MAX_BYTES, code_cells, count_words, lint
from PIL import Image

NOTEBOOKS = Path(__file__).resolve().parent
REPOSITORY = NOTEBOOKS.parent
CELL_SECONDS = 120
LESSON_SECONDS = 600

HEADER = "# ---\n# jupyter:\n"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
SOLUTION = re.compile(rf"^([ \t]+){BEGIN}\n(.*?)^[ \t]+{END}$", re.M | re.S)
YOUR_TURN = 'raise NotImplementedError("your turn")'
WIDGET = "application/vnd.jupyter.widget-view+json"
RUN_IT = "A widget: run this cell in JupyterLab, and its controls appear here."


class LessonError(Exception):
    """A lesson that cannot be built; the message says why."""


def sources():
    """The lessons' source files, in order."""
    return sorted((NOTEBOOKS / "src").glob("[0-9][0-9]_*.py"))


def built_files(source):
    """The executed notebook and the learner's copy that belong to a source."""
    name = f"{source.stem}.ipynb"
    return NOTEBOOKS / name, NOTEBOOKS / "exercises" / name


def source_hash(source):
    """The sha256 of a source file, with line ends as on Unix."""
    return hashlib.sha256(source.read_text("utf-8").encode()).hexdigest()


def read(source):
    """Reads a source file into a notebook without outputs, solutions still marked."""
    text = source.read_text("utf-8")
    if not text.startswith(HEADER):
        raise LessonError(
            "The source starts with jupytext's YAML header; without it tags are lost."
        )
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata = {
        "cnnkit": {
            "source": f"src/{source.name}",
            "source_sha256": source_hash(source),
        },
        "kernelspec": {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        },
        "language_info": {"name": "python"},
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    solutions = 0
    for i, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{i:02d}"
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
        solutions += len(SOLUTION.findall(cell.source))
        if cell.source.count(BEGIN) + cell.source.count(END) != 2 * len(
            SOLUTION.findall(cell.source)
        ):
            raise LessonError(
                f"Solution marks stand in pairs inside a function. Received: {cell.source}"
            )
    if not solutions:
        raise LessonError(f"A lesson has an exercise between {BEGIN!r} and {END!r}.")
    return notebook


def solved(notebook):
    """The lesson to execute: solutions stay, their marks go."""
    return _with_solutions(notebook, lambda match: match[2].rstrip("\n"))


def learners_copy(notebook):
    """The lesson to work in: "your turn" in place of each solution, no outputs."""
    return _with_solutions(notebook, lambda match: match[1] + YOUR_TURN)


def _with_solutions(notebook, replacement):
    notebook = nbformat.from_dict(notebook)
    for cell in code_cells(notebook):
        cell.source = SOLUTION.sub(replacement, cell.source)
        cell.outputs, cell.execution_count = [], None
    return notebook


def execute(notebook, folder=NOTEBOOKS):
    """Runs a notebook in a process of its own and returns it with its outputs.

    Two time limits hold, one for a cell and one for the whole, because a kernel can
    hang. `capture_fd_output` is off: else TensorFlow's start-up messages, which it
    writes past Python, become outputs.
    """
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute"]
    command += ["--stdin", "--stdout", "--log-level=ERROR"]
    command += [f"--ExecutePreprocessor.timeout={CELL_SECONDS}"]
    command += ["--ExecutePreprocessor.record_timing=False"]
    with tempfile.TemporaryDirectory() as profile:
        config = Path(profile, "profile_default", "ipython_kernel_config.py")
        config.parent.mkdir()
        config.write_text("c = get_config()\nc.IPKernelApp.capture_fd_output = False\n")
        environment = os.environ | {"IPYTHONDIR": profile, "PYTHONHASHSEED": "0"}
        environment["PYTHONPATH"] = str(REPOSITORY)  # this checkout, not another
        environment.setdefault("CNNKIT_STRICT", "1")
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=folder,
            env=environment,
            text=True,
            encoding="utf-8",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            out, errors = process.communicate(nbformat.writes(notebook), LESSON_SECONDS)
        except BaseException as error:  # also Ctrl+C: leave no kernel behind
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise LessonError(
                    f"Not finished after {LESSON_SECONDS} seconds."
                ) from None
            raise
    if process.returncode:
        errors = re.sub(r"\x1b\[[0-9;]*m", "", errors)  # colours of a terminal
        told = errors.rpartition("CellExecutionError: ")[2]
        raise LessonError(f"A cell failed.\n{told[-4000:].strip()}")
    return nbformat.reads(out, as_version=4)


def scrub(notebook):
    """Takes out of the outputs what differs between two machines or two runs."""

    def clean(text):
        text = text.replace(f"{REPOSITORY}{os.sep}", "").replace(str(REPOSITORY), ".")
        return re.sub(r"\b0x[0-9a-f]{6,}\b", "0x…", text)

    notebook.metadata.pop("widgets", None)  # their state, all figures included
    for i, cell in enumerate(code_cells(notebook), start=1):
        cell.outputs = joined(cell.outputs)
        cell.execution_count = i
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if output.output_type == "stream":
                output.text = clean(output.text)
            if output.output_type == "execute_result":
                output.execution_count = i
            if WIDGET in output.get("data", {}):  # nothing without a kernel
                output.data = {"text/plain": RUN_IT}
            for kind, value in output.get("data", {}).items():
                if kind == "image/png":
                    output.data[kind] = smaller(value)
                if kind.startswith("text/"):
                    output.data[kind] = clean(value)
            if "metadata" in output:
                output.metadata = {}
    return notebook


def joined(outputs):
    """Puts what a cell printed in several pieces into one output."""
    kept = []
    for output in outputs:
        if kept and output.get("name") and output.get("name") == kept[-1].get("name"):
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def smaller(png):
    """A figure in its 256 most fitting colours: a third of the size, and no worse."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    file = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def write(path, notebook):
    """Writes a notebook in one step: a reader sees the old file or the new one."""
    nbformat.validate(notebook)
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    temporary.replace(path)


def is_current(source):
    """Whether both built files carry the hash of this source."""
    try:
        hashes = {
            nbformat.read(path, as_version=4).metadata["cnnkit"]["source_sha256"]
            for path in built_files(source)
        }
    except (OSError, KeyError, nbformat.reader.NotJSONError):
        return False
    return hashes == {source_hash(source)}


def build(source):
    """Builds both files of one lesson; returns one line that describes them."""
    started, used = time.monotonic(), _child_seconds()
    notebook = read(source)
    executed = scrub(execute(solved(notebook)))
    executed.metadata = notebook.metadata
    problems = lint(executed, source.stem[:2])
    size = len(nbformat.writes(executed).encode())
    if size > MAX_BYTES:
        problems.append(f"A built lesson has under 400 kB. Received: {size:,} bytes")
    if problems:
        raise LessonError("\n".join(problems))
    lesson, copy = built_files(source)
    write(lesson, executed)
    write(copy, learners_copy(notebook))
    return (
        f"{len(code_cells(executed))} code cells, {count_words(executed):,} words, "
        f"{size / 1000:.0f} kB, {_child_seconds() - used:.0f} CPU-seconds with imports, "
        f"{time.monotonic() - started:.0f} s"
    )


def _child_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main():
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "lessons", nargs="*", metavar="NN", help="two digits, such as 04"
    )
    parser.add_argument(
        "--force", action="store_true", help="build what did not change too"
    )
    arguments = parser.parse_args()
    known = {source.stem[:2]: source for source in sources()}
    for number in arguments.lessons:
        if number not in known:
            parser.error(f"there are the lessons {', '.join(known)}, no {number!r}")
    failed = False
    for number, source in known.items():
        if arguments.lessons and number not in arguments.lessons:
            continue
        if is_current(source) and not arguments.force:
            print(f"{source.stem}: unchanged")
            continue
        print(f"{source.stem}: running ...", flush=True)
        try:
            print(f"{source.stem}: built. {build(source)}", flush=True)
        except LessonError as error:
            failed = True
            print(f"{source.stem}: NOT built. {error}", file=sys.stderr, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
