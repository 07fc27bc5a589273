"""Holds the package to its plan: who imports whom, how long, how described, how safe.

Each rule is a function from a module's name and source to sentences about what is
wrong. `test_architecture.py` runs them on the package, and on small bad modules.
"""

import ast
import functools
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 300

# Room: the rooms that it may import. Every room may import its own modules, except
# in `models`, where a family sees the shared leaves and no other family. A family in
# two files is one family: the second (vit_cifar) sees the first (vit), not the reverse.
ANYTHING = "anything"
MAY_IMPORT = {
    "data": "",
    "augment": "",
    "evaluation": "data saving",  # `predict_files` alone: from files to answers
    "plots": "",
    "saving": "models",  # a file may hold layers of ours: loading must know them
    "models": "models.blocks models.anatomy models.<family>",
    "models.checks": "",
    "models.blocks": "models.checks",
    "models.mobile_blocks": "",
    "models.<family>": "models.blocks models.checks models.mobile_blocks",
    "models.kinds": "",
    "models.folding": "",
    "models.anatomy": "plots models.kinds",
    "explain": "plots",
    "transfer": "models saving",
    "training": "augment data transfer evaluation saving",
    "tuning": "augment data models transfer training evaluation saving",
    "experiments": "augment data models transfer training tuning evaluation explain "
    "plots saving",
    "report": "data evaluation explain plots saving",
    "explorer": "data evaluation explain plots",
    "exercises": ANYTHING,
    "commands": ANYTHING,
    "__main__": ANYTHING,
}
COUNTING = ("models.anatomy", "models.folding", "models.kinds")  # they build none
UNSAFE_MODULES = set("cloudpickle dill joblib marshal pickle shelve yaml".split())
UNSAFE_NAMES = {"__import__", "eval", "exec"}
# Methods of a class that inherits: Keras calls them and describes their arguments.
INHERITED = re.compile(r"on_\w+|build|call|get_config")
UNSAFE_METHODS = {"enable_unsafe_deserialization", "read_pickle", "to_pickle"}


def modules():
    """The package as {"cnnkit.data.load": source}."""
    found = {}
    for path in sorted((ROOT / "cnnkit").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path.read_text(encoding="utf-8")
    return found


def room_of(module):
    """The row of the table that speaks for a module, such as "models.<family>"."""
    _, *parts = module.split(".")
    if parts[:1] == ["models"] and len(parts) > 1:
        own_row = f"models.{parts[1]}"
        return own_row if own_row in MAY_IMPORT else "models.<family>"
    return parts[0] if parts else ""


def imports(source, known=()):
    """Every (module, line) that the source imports, inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                is_module = node.module == "cnnkit" or whole in known
                yield (whole if is_module else node.module or ""), node.lineno
        elif isinstance(node, ast.Call) and node.args:  # import_module("cnnkit.x")
            by_name = ast.unparse(node.func).endswith("import_module")
            if by_name and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value, node.lineno


def wrong_imports(name, source, known=()):
    room = room_of(name)
    if room and room not in MAY_IMPORT:
        yield (
            f"{name}: the room `{room}` is not in the import table. Add a row to "
            "MAY_IMPORT in tests/architecture.py that says which rooms it may "
            "import; they must stand before it."
        )
        return
    for target, line in imports(source, known):
        top = target.split(".")[0]
        if top in ("notebooks", "tests"):
            yield f"{name}:{line} imports {target}; the package stands without it."
        if top != "cnnkit" or target in ("cnnkit", "cnnkit.__version__"):
            continue
        goal = room_of(target)
        same_room = goal == room and not room.startswith("models")
        same_room |= room == "models.<family>" and name.startswith(f"{target}_")
        allowed = MAY_IMPORT.get(room, "").split()
        named = {goal, goal.split(".")[0], ANYTHING}
        if not same_room and named.isdisjoint(allowed):
            yield (
                f"{name}:{line} imports {target}, but `{room}` may import only "
                f"{', '.join(allowed) or 'its own modules'}: imports point one way. "
                "Take arrays or a table as an argument instead, or move the code."
            )


def foreign_imports(name, source):
    """Keras alone in model builders; matplotlib in `plots` alone."""
    room = room_of(name)
    for target, line in imports(source):
        top = target.split(".")[0]
        ours = top in {"keras", "cnnkit"} | sys.stdlib_module_names
        builds = room.startswith("models") and room not in COUNTING
        if builds and not ours:
            yield (
                f"{name}:{line} imports {target}; a model is built from Keras alone, "
                "so that it also runs on JAX and PyTorch."
            )
        if top == "matplotlib" and room != "plots":
            yield (
                f"{name}:{line} imports {target}; only `plots` draws. Return arrays "
                "here, and add the figure to `plots`."
            )


def unclear_imports(name, source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            if any(alias.name == "*" for alias in node.names):
                yield f"{name}:{node.lineno} imports *; list the names instead."
            if node.level:
                yield f"{name}:{node.lineno} has a relative import; write it out."
        if name == "cnnkit" and isinstance(node, (ast.Import, ast.ImportFrom)):
            yield (
                f"cnnkit/__init__.py:{node.lineno} imports something; `import cnnkit` "
                "must cost nothing, so each reader imports the room that is needed."
            )


def unsafe_code(name, source):
    """What would run the content of a file or of a string."""
    for node in ast.walk(ast.parse(source)):
        found = None
        if isinstance(node, ast.Name) and node.id in UNSAFE_NAMES:
            found = node.id
        elif isinstance(node, ast.Attribute) and node.attr in UNSAFE_METHODS:
            found = node.attr
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found = "allow_pickle" if not is_constant(node.value, False) else None
        elif isinstance(node, ast.keyword) and node.arg == "safe_mode":
            found = "safe_mode" if not is_constant(node.value, True) else None
        if found:
            yield f"{name}:{node.lineno} uses {found}, which can run code from a file."
    for target, line in imports(source):
        if target.split(".")[0] in UNSAFE_MODULES:
            yield f"{name}:{line} imports {target}; store JSON, CSV, .npz or .keras."


def is_constant(node, value):
    return isinstance(node, ast.Constant) and node.value is value


def too_long(name, source):
    lines = len(source.splitlines())
    if lines > LONGEST:
        yield f"{name} has {lines} lines; over {LONGEST}, split it in two."


def undocumented(name, source):
    """Public functions without a docstring, or with arguments that it leaves out.

    Public is what `__all__` lists; without one, every name without an underscore.
    A name that no room exports may have one line and leave its arguments out.
    """
    tree = ast.parse(source)
    is_room = name.count(".") < 2
    for where, node, docstring in public_functions(tree.body, listed_names(tree)):
        place = f"{name}:{node.lineno} `{where}`"
        if not docstring:
            yield f"{place} has no docstring."
            continue
        if node.args.kwarg:
            yield f"{place} takes **{node.args.kwarg.arg}; name each argument instead."
        arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        taken = {a.arg for a in [*arguments, node.args.vararg] if a} - {"self", "cls"}
        described = described_arguments(docstring)
        if not described and not is_room and where.split(".")[0] not in exported():
            continue
        for argument in sorted(taken - described):
            yield (
                f"{place} takes `{argument}`, but its docstring has no line "
                f"`{argument}: type, unit, range` under `Args:`."
            )
        for argument in sorted(described - taken):
            yield f"{place} describes `{argument}`, which it does not take."


@functools.cache
def exported():
    """The names, as they are defined, that some room lists in `__all__`."""
    names = set()
    for path in (ROOT / "cnnkit").glob("*/**/__init__.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        listed = listed_names(tree) or set()
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                names |= {a.name for a in node.names if (a.asname or a.name) in listed}
    return names


def listed_names(tree):
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return None


def public_functions(body, listed=None, owner=None):
    """Yields (name, node, docstring); `__init__` is described by its class."""
    prefix = f"{owner.name}." if owner else ""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in (node for node in body if isinstance(node, kinds)):
        docstring = ast.get_docstring(node)
        if node.name == "__init__":
            yield prefix + node.name, node, ast.get_docstring(owner) or docstring
        elif node.name.startswith("_") if listed is None else node.name not in listed:
            continue
        elif owner and owner.bases and INHERITED.fullmatch(node.name):
            continue
        elif isinstance(node, ast.ClassDef):
            yield from public_functions(node.body, owner=node)
        else:
            yield prefix + node.name, node, docstring


def described_arguments(docstring):
    names, indent, inside = set(), None, False
    for line in docstring.splitlines():
        if line.strip() == "Args:":
            inside = True
        elif inside and line.strip():
            depth = len(line) - len(line.lstrip())
            if depth == 0:
                break
            indent = depth if indent is None else indent
            entry = re.match(r"\s*([\w*, ]+?)(\s*\(.*?\))?:", line)
            if depth == indent and entry:
                names.update(re.findall(r"\w+", entry[1]))
    return names
