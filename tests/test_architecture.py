"""The package keeps the rules of `architecture.py`, and the rules notice what breaks.

Every rule also runs on small bad modules, so that one which has stopped noticing
anything is itself noticed.
"""

import re
import subprocess
import sys

import pytest
from architecture import (
    ROOT,
    foreign_imports,
    modules,
    too_long,
    unclear_imports,
    undocumented,
    unsafe_code,
    wrong_imports,
)


def test_the_package_is_found():
    assert {"cnnkit", "cnnkit.models.resnet", "cnnkit.data"} <= set(modules())


RULES = [foreign_imports, unclear_imports, unsafe_code, too_long, undocumented]


@pytest.mark.parametrize("rule", [wrong_imports, *RULES])
def test_every_module_keeps(rule):
    known = modules()
    extra = {"known": known} if rule is wrong_imports else {}
    faults = [f for name in known for f in rule(name, known[name], **extra)]
    assert not faults, "\n" + "\n".join(faults)


DOC = 'def f(a, *, b=1):\n    """Does it.\n\n    Args:\n'
BAD = [
    (wrong_imports, "data.load", "from cnnkit import training", "one way"),
    (wrong_imports, "data.load", "import cnnkit.report.html as r", "one way"),
    (wrong_imports, "evaluation", "def f():\n  from cnnkit.plots import g", "plots"),
    (wrong_imports, "models.vgg", "from cnnkit.models.resnet import resnet", "blocks"),
    (wrong_imports, "models.vgg", "from cnnkit.models import resnet", "blocks"),
    (wrong_imports, "models.vgg", "from cnnkit.models.tiny_vgg import t", "blocks"),
    (wrong_imports, "models.vit", "from cnnkit.models.vit_cifar import v", "blocks"),
    (wrong_imports, "models.vit_cifar", "from cnnkit.models import resnet", "blocks"),
    (wrong_imports, "models.checks", "from cnnkit.models import blocks", "one way"),
    (wrong_imports, "models.blocks", "from cnnkit import models", "one way"),
    (wrong_imports, "transfer", "from cnnkit.training.fit import fit", "one way"),
    (wrong_imports, "report", "import notebooks.helper", "without it"),
    (wrong_imports, "data", "import_module('cnnkit.report')", "one way"),
    (wrong_imports, "attic", "", "Add a row"),
    (foreign_imports, "models.vgg", "import numpy as np", "Keras alone"),
    (foreign_imports, "models.vgg", "from tensorflow import nn", "Keras alone"),
    (foreign_imports, "report", "import matplotlib.pyplot as plt", "only `plots`"),
    (foreign_imports, "report", "from matplotlib import cm", "only `plots`"),
    (foreign_imports, "data", "def f():\n  import matplotlib", "only `plots`"),
    (unclear_imports, "data", "from numpy import *", "list the names"),
    (unclear_imports, "data", "from . import split", "relative"),
    (unclear_imports, "", "import os", "cost nothing"),
    (unsafe_code, "saving", "import pickle", "JSON"),
    (unsafe_code, "saving", "from yaml import load", "JSON"),
    (unsafe_code, "saving", "f = eval", "eval"),
    (unsafe_code, "saving", "exec('1')", "exec"),
    (unsafe_code, "saving", "np.load(f, allow_pickle=True)", "allow_pickle"),
    (unsafe_code, "saving", "load_model(f, safe_mode=relaxed)", "safe_mode"),
    (unsafe_code, "saving", "pd.read_pickle(f)", "read_pickle"),
    (too_long, "data", "x = 1\n" * 301, "301 lines"),
    (undocumented, "data", "def f(): pass", "no docstring"),
    (undocumented, "data", 'class A:\n  """A."""\n  def f(self): pass', "`A.f`"),
    (undocumented, "data", DOC + '        a: int.\n    """', "takes `b`"),
    (undocumented, "data", DOC + '        a: b: c.\n    """', "takes `b`"),
    (undocumented, "data", DOC + '        a, b, c: int.\n    """', "describes `c`"),
    (undocumented, "data.x", DOC + '        a: b: c.\n    """', "takes `b`"),
    (undocumented, "data.x", 'def from_folder(a):\n  """F."""', "takes `a`"),
    (undocumented, "data", '__all__ = ["f"]\ndef f(): pass', "no docstring"),
    (undocumented, "data", 'def f(**kw):\n  """F."""', "name each"),
    (undocumented, "data", 'class A:\n  """A."""\n  def call(self, x): 1', "`A.call`"),
    (undocumented, "data", 'class A:\n  """A."""\n  def __init__(self, k): 1', "`k`"),
]


@pytest.mark.parametrize("rule, room, source, expected", BAD)
def test_the_rules_notice(rule, room, source, expected):
    name = f"cnnkit.{room}".rstrip(".")
    extra = {"known": modules()} if rule is wrong_imports else {}
    faults = list(rule(name, source, **extra))
    assert len(faults) == 1 and expected in faults[0], faults


GOOD_DOC = DOC + '        a: int: so.\n            c: no.\n        b: int.\n    """'


@pytest.mark.parametrize(
    "room, source",
    [
        ("transfer", "from cnnkit.models import resnet\nfrom cnnkit import saving"),
        ("data.load", "from cnnkit.data.split import cut\nimport numpy"),
        ("models", "from cnnkit.models.resnet import resnet"),
        ("models.vgg", "import math\nfrom keras import layers"),
        ("models.vit_cifar", "from cnnkit.models.vit import transformer"),
        ("models.vit_cifar", "from cnnkit.models import blocks, checks, vit"),
        ("models.kinds", "import numpy"),
        ("__main__", "def _f():\n    from cnnkit import report, training"),
        ("plots", "from cnnkit import __version__\nimport matplotlib"),
        ("saving", "model.compile()\nnp.load(f, allow_pickle=False)\nmodel.eval()"),
        ("data", GOOD_DOC + "\n\n\ndef _g(x): pass"),
        ("training", 'class A(B):\n  """A."""\n  def on_epoch_end(self, x): 1'),
        ("data", '__all__ = ["g"]\n\n\ndef f(x): pass'),
        ("data.x", 'def helper(a):\n  """Helps."""'),
    ],
)
def test_the_rules_leave_good_code_alone(room, source):
    name = f"cnnkit.{room}"
    assert not list(wrong_imports(name, source, modules()))
    assert not [fault for rule in RULES for fault in rule(name, source)]


def python(*arguments):
    """Runs a fresh interpreter in the repository and returns what it printed."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )


def loaded_by(statement):
    """The top-level packages that a statement loads in a fresh interpreter."""
    program = f"import sys; before = set(sys.modules); {statement}; "
    program += "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    return set(python("-c", program).stdout.split())


HEAVY = {"jax", "keras", "keras_tuner", "tensorflow", "torch"}


def test_importing_cnnkit_loads_nothing():
    assert loaded_by("import cnnkit") == {"cnnkit"}


def test_importing_data_loads_no_framework():
    loaded = loaded_by("from cnnkit import data")
    assert {"cnnkit", "numpy"} <= loaded
    assert not loaded & (HEAVY | {"matplotlib"})


def test_help_loads_nothing_heavy():
    answer = python("-X", "importtime", "-m", "cnnkit", "--help")
    loaded = re.findall(r"\|\s+(\w+)", answer.stderr)
    assert "argparse" in loaded and "train" in answer.stdout
    assert not set(loaded) & (HEAVY | {"matplotlib", "numpy", "pandas", "PIL"})
