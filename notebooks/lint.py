"""What every lesson must hold to: its parts, their order, their size, their outputs.

`build.py` refuses a lesson with problems, and `tests/test_lessons.py` looks again at
the built files.
"""

import re

ALLOWED_TAGS = {"nbval-ignore-output", "nbval-check-output", "raises-exception"}
ALLOWED_TYPES = {"text/plain", "text/html", "image/png"}
CLOSING = ["Exercise", "Common mistakes", "Key points", "Question"]
CARD = "| Time | Needs | Computer | Data |"

MAX_BYTES = 400_000
MAX_CELL_LINES = 10
CODE_CELLS = range(12, 21)
SECTIONS = range(3, 6)
WORDS = range(700, 1201)

ACTIVE_HTML = re.compile(
    r"<\s*(script|iframe|object|embed)|javascript:|\son\w+\s*=", re.I
)
MACHINE_PATH = re.compile(
    r"(?<![\w.])/(home|root|tmp|work|usr|opt|var|mnt|Users|private)/|[A-Z]:\\"
)
MEMORY_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
VAGUE = re.compile(r"\b(simply|just)\b", re.I)


def lint(notebook, number):
    """Lists what is wrong with an executed lesson, as sentences; empty means fine.

    Args:
        notebook: the executed lesson, an `nbformat` notebook.
        number: str, the lesson's two digits, such as "04".
    """
    return (
        _template(notebook, number)
        + _size(notebook)
        + _tags(notebook)
        + _outputs(notebook)
    )


def code_cells(notebook):
    """The cells with code, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook):
    """All text of a lesson without the code blocks inside it."""
    text = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    return re.sub(r"```.*?```", "", text, flags=re.S)


def count_words(notebook):
    """The number of words of prose: what stands between spaces and holds a letter."""
    return sum(bool(re.search(r"[^\W\d_]", word)) for word in prose(notebook).split())


def output_texts(cell):
    """Every piece of text that a cell's outputs show."""
    for output in cell.outputs:
        yield "".join(output.get("text", ""))
        yield "\n".join(output.get("traceback", []))
        for kind, value in output.get("data", {}).items():
            if kind.startswith("text/"):
                yield "".join(value)


def _template(notebook, number):
    text, first = prose(notebook), notebook.cells[0]
    headings = re.findall(r"^## (.+)$", text, flags=re.M)
    calls = [cell.source for cell in code_cells(notebook)]
    checks = sum(f'exercises.check("{number}' in call for call in calls)
    rules = {
        f"The first cell is text and starts with '# {number} · '.": (
            first.cell_type == "markdown" and first.source.startswith(f"# {number} · ")
        ),
        "A promise of one paragraph stands under the title.": bool(
            re.match(r"# .+\n\n[A-Z][^\n|]+", first.source)
        ),
        f"The first cell has the card: {CARD}": CARD in first.source,
        "The first cell ends in three numbered '**Afterwards you can**'.": bool(
            re.search(
                r"\*\*Afterwards you can\*\*\n+1\. .+2\. .+3\. ", first.source, re.S
            )
        ),
        f"{SECTIONS[0]} to {SECTIONS[-1]} sections (##) come before the exercise.": (
            len(headings) - len(CLOSING) in SECTIONS
        ),
        f"The last sections are {', '.join(CLOSING)}.": (
            [heading.split(":")[0] for heading in headings[-4:]] == CLOSING
        ),
        "At least three predictions: '**Before you run'.": text.count(
            "**Before you run"
        )
        >= 3,
        "At least three times '**What you should see'.": text.count(
            "**What you should see"
        )
        >= 3,
        f'One cell calls exercises.check("{number}...").': checks == 1,
        f'The last cell calls exercises.question("{number}-...").': (
            f'exercises.question("{number}-' in calls[-1] if calls else False
        ),
    }
    problems = [f"Broken rule: {rule}" for rule, kept in rules.items() if not kept]
    problems += [f"The prose says {word!r}." for word in VAGUE.findall(text)]
    return problems


def _size(notebook):
    cells, words = code_cells(notebook), count_words(notebook)
    problems = []
    if len(cells) not in CODE_CELLS:
        problems.append(f"12 to 20 cells with code are wanted. Received: {len(cells)}")
    if words not in WORDS:
        problems.append(f"700 to 1,200 words of prose are wanted. Received: {words}")
    for cell in cells:
        lines = cell.source.count("\n") + 1
        if lines > MAX_CELL_LINES:
            start = cell.source.split("\n")[0]
            problems.append(
                f"A cell has at most 10 lines. Received: {lines}, at {start!r}"
            )
    return problems


def _tags(notebook):
    problems, compared = [], 0
    for cell in code_cells(notebook):
        tags = set(cell.metadata.get("tags", []))
        for tag in sorted(tags - ALLOWED_TAGS):
            problems.append(f"Unknown tag (nbval would ignore it). Received: {tag!r}")
        if "nbval-check-output" in tags:
            compared += 1
            if not "".join(output_texts(cell)).strip():
                problems.append(f"Nothing to compare with in the cell {cell.source!r}.")
    if not compared:
        problems.append("At least one cell needs the tag nbval-check-output.")
    return problems


def _outputs(notebook):
    problems = []
    for cell in code_cells(notebook):
        where = f"in the output of {cell.source.split(chr(10))[0]!r}"
        for output in cell.outputs:
            if output.get("name") == "stderr":
                problems.append(
                    f"Text on stderr {where}: {output.text.strip()[:300]!r}"
                )
            for kind in set(output.get("data", {})) - ALLOWED_TYPES:
                problems.append(f"The type {kind} is not allowed {where}.")
        for text in output_texts(cell):
            for name, pattern in [
                ("Active HTML", ACTIVE_HTML),
                ("A path of this machine", MACHINE_PATH),
                ("A memory address", MEMORY_ADDRESS),
            ]:
                if found := pattern.search(text):
                    near = text[max(0, found.start() - 40) : found.end() + 40]
                    problems.append(f"{name} {where}: {near!r}")
    return problems
