"""The built lessons: they match their sources, and hold to the template.

The lessons themselves run under nbval (see the Makefile). Here stands what nbval does
not see.
"""

import ast
import importlib.util
import json
import shutil
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


TRAIN_BRIEFLY = """\
import keras

whole_fit = keras.Model.fit


def fit(self, *arguments, **options):
    brief = {"epochs": options.get("initial_epoch", 0) + 1, "steps_per_epoch": 2}
    return whole_fit(self, *arguments, **{**options, **brief})


keras.Model.fit = fit
"""


def named(source):
    """The names that a cell makes or changes, and those that it uses."""
    made, used = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.alias):
            made.add((node.asname or node.name).split(".")[0])
        inner = node
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            inner = node.value.func  # model.compile(...) changes the model
        elif not isinstance(getattr(node, "ctx", None), ast.Store):
            continue
        while isinstance(inner, ast.Attribute | ast.Subscript):
            inner = inner.value
        if isinstance(inner, ast.Name):
            made.add(inner.id)
    return made, used


def touched_by_the_learner(solved, copy):
    """The positions of code cells that the gap reaches, with all that they need."""
    names = [named(cell) for cell in copy]
    kept, changed = set(), set()
    for i, (made, used) in enumerate(names):
        if copy[i] != solved[i] or used & changed or "exercises." in copy[i]:
            kept.add(i)
            changed |= made
    needed = set()
    for i in reversed(range(len(copy))):
        made, used = names[i]
        if i in kept or made & needed:
            kept.add(i)
            needed |= used
    return kept


def test_cells_that_the_gap_reaches_are_found():
    copy = [
        "import a, b", "x = a.make()", "slow = b.train(x)", "x.compile()",
        "def mine(v):\n    ...", "table['k'] = 1", "table = mine(x)", "slow.show()",
    ]  # fmt: skip
    solved = [cell.replace("...", "return v") for cell in copy]
    assert touched_by_the_learner(solved, copy) == {0, 1, 3, 4, 6}


@every_lesson
def test_run_all_reaches_the_end_of_a_learners_copy(name, monkeypatch, tmp_path):
    """nbval runs every cell of the solved lesson; here are those that may differ."""
    monkeypatch.setenv("CNNKIT_STRICT", "0")
    solved, copy = (read(path) for path in build.built_files(SOURCES[name]))
    cells = lint.code_cells(copy)
    sources = ([c.source for c in lint.code_cells(book)] for book in (solved, copy))
    kept = touched_by_the_learner(*sources)
    copy.cells = [cells[i] for i in sorted(kept | {len(cells) - 1})]
    copy.cells.insert(0, nbformat.v4.new_code_cell(TRAIN_BRIEFLY))
    shutil.copytree(build.REPOSITORY / "notebooks/tables", tmp_path / "tables")
    executed = build.execute(copy, folder=tmp_path)
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


def test_an_executed_notebook_holds_nothing_of_this_machine(small):
    notebook = build.solved(build.read(small))
    notebook.cells[1].source = (
        "import os, sys\n"
        "os.write(2, b'noise of a C++ library')\n"
        f"print(r'{NOTEBOOKS}', object())\n"
        "print(os.environ['CNNKIT_STRICT'])\n"
        "object()"
    )
    executed = build.scrub(build.execute(notebook))
    # No third output: what goes past Python to stderr is not stored.
    stream, result = executed.cells[1].outputs
    assert stream.text == "notebooks <object object at 0x…>\n1\n"
    assert result.data == {"text/plain": "<object at 0x…>"}
    assert executed.cells[1].metadata == notebook.cells[1].metadata


def test_in_a_built_lesson_a_widget_is_one_line_of_text(small):
    notebook = build.solved(build.read(small))
    notebook.cells[1].source = "import ipywidgets\nipywidgets.IntSlider()"
    executed = build.execute(notebook)
    assert build.WIDGET in executed.cells[1].outputs[0].data
    assert "widgets" in executed.metadata
    [result] = build.scrub(executed).cells[1].outputs
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
