"""The built lessons: they match their sources, and hold to the template.

The lessons themselves run under nbval (see the Makefile). Here stands what nbval does
not see.
"""

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def load_module(name):
    """Imports a module of notebooks/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, NOTEBOOKS / f"{name}.py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lint = load_module("lint")  # before build, which imports it
build = load_module("build")

SOURCES = {source.stem: source for source in build.sources()}
every_lesson = pytest.mark.parametrize("name", SOURCES)


def read(path):
    return nbformat.read(path, as_version=4)


def texts(notebook):
    """What a reader sees in a notebook, cell by cell."""
    return [(c.id, c.cell_type, c.source, c.metadata) for c in notebook.cells]


def test_every_source_is_built_and_every_built_file_has_a_source():
    for folder in (NOTEBOOKS, NOTEBOOKS / "exercises"):
        assert {path.stem for path in folder.glob("*.ipynb")} == set(SOURCES)


@every_lesson
def test_built_files_match_their_source(name):
    source = SOURCES[name]
    assert build.is_current(source), f"run: python notebooks/build.py {name[:2]}"
    lesson, copy = map(read, build.built_files(source))
    marked = build.read(source)
    assert texts(lesson) == texts(build.solved(marked))
    assert copy == build.learners_copy(marked)


@every_lesson
def test_a_lesson_holds_to_the_template(name):
    path = NOTEBOOKS / f"{name}.ipynb"
    assert lint.lint(read(path), name[:2]) == []
    assert path.stat().st_size < 400_000


@every_lesson
def test_a_learners_copy_holds_no_answer_and_no_output(name):
    source = SOURCES[name]
    lesson, copy = map(read, build.built_files(source))
    solutions = [
        line.strip()
        for cell in lint.code_cells(build.read(source))
        for match in build.SOLUTION.finditer(cell.source)
        for line in match[2].splitlines()
        if line.strip()
    ]
    shown = "\n".join(cell.source for cell in copy.cells)
    assert solutions
    assert [line for line in solutions if line in shown] == []
    assert shown.count(build.YOUR_TURN) >= 1
    assert "SOLUTION" not in shown + "\n".join(c.source for c in lesson.cells)
    for cell in lint.code_cells(copy):
        assert cell.outputs == []
        assert cell.execution_count is None


@every_lesson
def test_neither_file_of_a_lesson_gives_an_answer_away(name):
    module = importlib.import_module(f"cnnkit.exercises.lesson_{name[:2]}")
    for path in build.built_files(SOURCES[name]):
        flat = " ".join(json.dumps(read(path), ensure_ascii=False).split())
        for asked in module.QUESTIONS.values():
            assert [why for _, why in asked.options.values() if why in flat] == []


@every_lesson
def test_every_exercise_and_question_of_a_lesson_exists(name):
    module = importlib.import_module(f"cnnkit.exercises.lesson_{name[:2]}")
    code = "\n".join(c.source for c in lint.code_cells(build.read(SOURCES[name])))
    for table, call in [(module.CHECKS, "check"), (module.QUESTIONS, "question")]:
        assert table
        for key in table:
            assert code.count(f'exercises.{call}("{key}"') == 1


@every_lesson
def test_in_a_learners_copy_no_cell_but_the_check_asks_for_the_answer(name):
    """So Run All reaches the end: nbval has run the same cells in the solved lesson."""
    module = importlib.import_module(f"cnnkit.exercises.lesson_{name[:2]}")
    solved, copy = (
        [cell.source for cell in lint.code_cells(read(path))]
        for path in build.built_files(SOURCES[name])
    )
    [gap] = [i for i, source in enumerate(copy) if source != solved[i]]
    function, *check = ast.parse(copy[gap]).body
    assert isinstance(function, ast.FunctionDef) and len(check) <= 1
    assert "raise NotImplementedError" in ast.unparse(function.body[-1])
    after = [ast.unparse(line) for line in check] + copy[gap + 1 :]
    assert all(re.match(r"exercises\.(check|question)\(", source) for source in after)
    [check] = [source for source in after if source.startswith("exercises.check(")]
    [key] = [key for key in module.CHECKS if f'"{key}"' in check or f"'{key}'" in check]
    assert re.fullmatch(rf"exercises\.check\(['\"]{key}['\"], {function.name}\)", check)


@pytest.mark.slow("a kernel that imports TensorFlow")
def test_run_all_reaches_the_end_of_a_learners_copy(monkeypatch):
    """The cells before the gap are those of the solved lesson, which nbval runs."""
    monkeypatch.setenv("CNNKIT_STRICT", "0")
    _, copy = build.built_files(SOURCES["02_convolution_by_hand"])
    copy = read(copy)
    cells = lint.code_cells(copy)
    [gap] = [i for i, c in enumerate(cells) if "NotImplementedError" in c.source]
    copy.cells = cells[gap:]
    copy.cells[0].source = f"from cnnkit import exercises\n{cells[gap].source}"
    executed = build.execute(copy)
    said = [
        text for cell in lint.code_cells(executed) for text in lint.output_texts(cell)
    ]
    assert sum("Not done yet." in text for text in said) == 1
    assert lint.code_cells(executed)[-1].outputs


# ------------------------------------------------------------ the machinery itself

SMALL_SOURCE = """\
# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
# ---

# %% [markdown]
# A lesson.

# %% tags=["nbval-check-output"]
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

print(double(21))
"""


@pytest.fixture
def small(tmp_path):
    source = tmp_path / "07_small.py"
    source.write_text(SMALL_SOURCE, encoding="utf-8")
    return source


def test_a_source_becomes_a_solved_lesson_and_a_copy_with_the_gap(small):
    marked = build.read(small)
    solved, copy = build.solved(marked), build.learners_copy(marked)
    assert solved.cells[1].source == (
        "def double(x):\n    return 2 * x\n\nprint(double(21))"
    )
    assert copy.cells[1].source == (
        f"def double(x):\n    {build.YOUR_TURN}\n\nprint(double(21))"
    )
    assert solved.cells[1].metadata == {"tags": ["nbval-check-output"]}


def test_a_source_without_header_or_with_one_mark_is_refused(small):
    for broken in [
        SMALL_SOURCE.partition("\n\n")[2],
        SMALL_SOURCE.replace("    ### END SOLUTION\n", ""),
        SMALL_SOURCE.replace("    ### BEGIN SOLUTION\n", ""),
        SMALL_SOURCE.replace("SOLUTION", "ANSWER"),
    ]:
        small.write_text(broken, encoding="utf-8")
        with pytest.raises(build.LessonError):
            build.read(small)


def test_a_failing_cell_stops_the_build_and_is_named(small):
    notebook = build.learners_copy(build.read(small))
    with pytest.raises(build.LessonError, match="NotImplementedError: your turn"):
        build.execute(notebook)


def test_an_executed_notebook_holds_nothing_of_this_machine_and_no_widget(small):
    notebook = build.solved(build.read(small))
    notebook.cells[1].source = (
        "import os, sys\n"
        "os.write(2, b'noise of a C++ library')\n"
        f"print(r'{NOTEBOOKS}', object())\n"
        "print(os.environ['CNNKIT_STRICT'])\n"
        "object()"
    )
    widget = nbformat.v4.new_code_cell("import ipywidgets\nipywidgets.IntSlider()")
    notebook.cells.append(widget)
    executed = build.execute(notebook)
    assert build.WIDGET in executed.cells[2].outputs[0].data
    assert "widgets" in executed.metadata
    executed = build.scrub(executed)
    # No third output: what goes past Python to stderr is not stored.
    stream, result = executed.cells[1].outputs
    assert stream.text == "notebooks <object object at 0x…>\n1\n"
    assert result.data == {"text/plain": "<object at 0x…>"}
    assert executed.cells[1].metadata == notebook.cells[1].metadata
    [result] = executed.cells[2].outputs
    assert result.data == {"text/plain": build.RUN_IT}
    html, _ = HTMLExporter().from_notebook_node(executed)
    assert build.RUN_IT in html
    assert "html-manager" not in html  # a script from the network, for widgets alone


def first(notebook):
    return lint.code_cells(notebook)[0]


def output(kind, value):
    return nbformat.v4.new_output("display_data", {kind: value})


def uncompared(notebook):
    for cell in lint.code_cells(notebook):
        cell.metadata.pop("tags", None)


def silent(notebook):
    for cell in lint.code_cells(notebook):
        cell.outputs = []


BREAKS = {
    "no title": (lambda n: n.cells.pop(0), "starts with '# 04"),
    "no card": (
        lambda n: n.cells[0].update(source=n.cells[0].source.replace("| Needs", "|")),
        "has the card",
    ),
    "no question": (lambda n: n.cells.pop(), "exercises.question"),
    "sections in disorder": (lambda n: n.cells.reverse(), "last sections"),
    "a long cell": (lambda n: first(n).update(source="x = 1\n" * 11), "10 lines"),
    "many cells": (lambda n: n.cells.extend(n.cells[-1:] * 9), "12 to 20 cells"),
    "few words": (
        lambda n: [c.update(source="") for c in n.cells if c.cell_type == "markdown"],
        "700 to 1,200",
    ),
    "a vague word": (lambda n: n.cells[0].update(source="You Simply do it."), "Simply"),
    "a misspelt tag": (
        lambda n: first(n).update(metadata={"tags": ["nbval-skp"]}),
        "'nbval-skp'",
    ),
    "nothing compared": (uncompared, "At least one cell needs"),
    "nothing to compare with": (silent, "Nothing to compare with"),
    "a script": (
        lambda n: first(n).outputs.append(output("text/html", "<b><Script>1")),
        "Active HTML",
    ),
    "a widget": (
        lambda n: first(n).outputs.append(output("application/javascript", "1")),
        "application/javascript",
    ),
    "a path": (
        lambda n: first(n).outputs.append(output("text/plain", "in /home/ada/x.py")),
        "A path of this machine",
    ),
    "a warning": (
        lambda n: first(n).outputs.append(
            nbformat.v4.new_output("stream", name="stderr", text="UserWarning: old")
        ),
        "stderr",
    ),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_the_lint_sees(kind):
    notebook = read(NOTEBOOKS / "04_first_cnn.ipynb")
    damage, words = BREAKS[kind]
    damage(notebook)
    assert words in "\n".join(lint.lint(notebook, "04"))
