"""One page that says which of two models is better, or that nobody can tell."""

import datetime

import numpy as np

import cnnkit
from cnnkit import evaluation, plots
from cnnkit.evaluation.comparison import aligned
from cnnkit.report.facts import MOST_CLASSES
from cnnkit.report.inline import drawing
from cnnkit.report.trust import bins
from cnnkit.report.writing import checked_path, rendered


def compare(a, b, path, *, names=("first", "second"), overwrite=False):
    """Writes a page that compares two models on the same pictures.

    Args:
        a: `pandas.DataFrame` of `evaluation.predict`, of the first model.
        b: likewise of the second, about the same pictures.
        path: file to write, ending in `.html`; missing folders are made.
        names: two str, what the models are called.
        overwrite: bool, as for `write`.

    Returns:
        The `pathlib.Path` of the page.

    Raises:
        ValueError: the tables do not fit together (see `evaluation.compare`), the names
            are not two, or `path` has another ending.
        FileExistsError: the file exists, and cnnkit did not write it.

    Example:
        >>> tables = [evaluation.predict(m, photos) for m in (small, large)]
        >>> report.compare(*tables, "runs/two.html", names=("small", "large"))
    """
    path = checked_path(path, (".html",), overwrite)
    if isinstance(names, str) or len(names) != 2 or names[0] == names[1]:
        raise ValueError(f"`names` are two, and differ. Received: names={names!r}")
    table = evaluation.compare(a, b)
    labels, *answers = aligned(a, b)
    classes = [str(c)[2:-1] for c in a if str(c).startswith("p(")]
    right = [probabilities.argmax(axis=1) == labels for probabilities in answers]
    scores = [
        evaluation.scores(labels, probabilities, class_names=classes, replicates=100)
        for probabilities in answers
    ]
    rows = []
    for name in dict.fromkeys(scores[0].index.get_level_values(0)[4:]):
        f1 = [score.loc[(name, "F1")] for score in scores]
        values = [row["value"] for row in f1]
        rows.append({
            "name": name,
            "apart": np.nan_to_num(abs(values[0] - values[1]), nan=-1),
            "a": _text(f1[0]),
            "b": _text(f1[1]),
            "pictures": int(f1[0]["pictures"]),
        })  # fmt: skip
    rows.sort(key=lambda row: -row["apart"])
    curves = {
        str(name): bins(labels, probabilities)
        for name, probabilities in zip(names, answers, strict=True)
    }
    return rendered("comparison.html", path, {
        "version": cnnkit.__version__,
        "today": datetime.date.today(),
        "names": [str(name) for name in names],
        "pictures": len(a),
        "verdict": table.loc["accuracy", "verdict"],
        "p": table.loc["accuracy", "p"],
        "only": [int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())],
        "both": int((right[0] & right[1]).sum()),
        "neither": int((~right[0] & ~right[1]).sum()),
        "rows": [{"name": name, **row} for name, row in table.iterrows()],
        "classes": rows[:MOST_CLASSES],
        "figure": drawing(plots.reliability(curves)),
    })  # fmt: skip


def _text(row):
    if np.isnan(row["value"]):
        return "–"
    return f"{row['value']:.2f} ({row['low']:.2f}–{row['high']:.2f})"
