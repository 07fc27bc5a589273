"""The report of a run: one HTML page that says what a model does, and how well.

The page holds everything that it shows, so it can be mailed, printed and opened offline
in years to come. It has no script and loads nothing. Names of classes and files are
written by people and end up in a browser: all text passes through one door, Jinja's
escaping together with `display.readable`.
"""

import contextlib
import datetime
import importlib.metadata
import math
import os
import pathlib
import platform

import jinja2
import numpy as np

import cnnkit
from cnnkit import data, evaluation, plots, saving
from cnnkit.data.comparisons import MOST_RATIO
from cnnkit.data.display import template_environment
from cnnkit.report.inline import SMALL, drawing, photograph

MARK = '<meta name="generator" content="cnnkit'  # a page with it may be replaced
MOST_MISTAKES = 12
MOST_FILES = 3  # named for each finding
MOST_TRIALS = 5
MOST_CLASSES = 50  # rows of a table; a page with 3,000 cannot be read


def write(model, photos, history, path, *, findings=None, trials=None, overwrite=False):
    """Writes the report of a trained model as one self-contained HTML page.

    The scores come from the test part, which is read here for the first time. Where it
    is empty they come from the validation part, and the page says what that means.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape
            (batch, num_classes).
        photos: the `ImageData` that it was trained on.
        history: the `History` that `training.fit` or `fine_tune` returned, or that of
            plain Keras; None leaves out the training curves.
        path: file to write, ending in `.html`; missing folders are made.
        findings: table from `data.check`, or None where nothing was checked.
        trials: table from `tuning.trials`, or None where no settings were searched.
        overwrite: bool, whether a file that cnnkit did not write may be replaced. An
            older report is replaced in any case, so that a notebook can run again.

    Returns:
        The `pathlib.Path` of the page, under 2 MB for a usual run.

    Raises:
        ValueError: `path` does not end in `.html`, or no picture is there to measure.
        FileExistsError: the file exists, and it is not a report.
    """
    path = pathlib.Path(path)
    if path.suffix not in (".html", ".htm"):
        raise ValueError(f"`path` must end in .html. Received: path={str(path)!r}")
    if path.exists() and not overwrite and not _is_report(path):
        raise FileExistsError(
            "A file of this name exists, and it is not a report of cnnkit. Choose "
            "another name, or pass overwrite=True to replace it. "
            f"Received: path={str(path)!r}"
        )
    page = _template().render(
        version=cnnkit.__version__,
        today=datetime.date.today(),
        data=_data_facts(photos),
        check=_check_facts(findings),
        training=_training_facts(model, history),
        tuning=_tuning_facts(trials),
        result=_result(model, photos),
        environment=_environment(),
    )
    with saving.replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _is_report(path):
    """Whether cnnkit wrote this file."""
    with open(path, "rb") as file:
        return MARK.encode() in file.read(1000)


def _template():
    loader = jinja2.FileSystemLoader(pathlib.Path(__file__).parent)
    environment = template_environment(loader)
    return environment.get_template("page.html")


def _data_facts(photos):
    """What the pictures are: plain values for the page."""
    counts = photos.counts()
    height, width, channels = photos.image_shape
    return {
        "source": photos.source,
        "notes": photos.notes,
        "size": f"{width} × {height} pixels, {'grey' if channels == 1 else 'RGB'}",
        "height": height,
        "width": width,
        "color_mode": "grayscale" if channels == 1 else "rgb",
        "num_classes": photos.num_classes,
        "num_pictures": len(photos.manifest),
        "counts": [
            {"name": name, **counts.iloc[i].to_dict()}
            for i, name in enumerate(photos.class_names[:MOST_CLASSES])
        ],
        "totals": counts.sum().to_dict(),
    }


def _check_facts(findings):
    """The findings of the check by code, or None where there was none."""
    if findings is None:
        return None
    return [
        {
            "severity": group["severity"].iloc[0],
            "count": len(group),
            "meaning": data.CODES[code].meaning,
            "names": [
                name if isinstance(name, str) else detail
                for name, detail in zip(group["path"], group["detail"], strict=True)
            ][:MOST_FILES],
            "remedy": data.CODES[code].remedy,
        }
        for code, group in findings.groupby("code", sort=False)
    ]


def _training_facts(model, history):
    """What was trained, and for how long; facts that are not known are None."""
    values = getattr(history, "history", history) or {}
    params = getattr(history, "params", None) or {}
    phases, marks, start = params.get("phases", ()), {}, 1
    for name, epochs in phases:
        marks[start] = name
        start += epochs
    curves = None
    if values.get("loss"):
        marks = marks if len(marks) > 1 else None
        curves = drawing(plots.training_curves(values, marks=marks))
    return {
        "model": model.name,
        "parameters": model.count_params(),
        "epochs": len(values.get("loss", ())),
        "phases": phases,
        "best_epoch": params.get("best_epoch"),
        "seconds": params.get("seconds"),
        "stopped": params.get("stopped"),
        "curves": curves,
    }


def _tuning_facts(trials):
    """The best trials of a search, or None where there was none."""
    if trials is None or not len(trials):
        return None
    scored = trials[trials["score"].notna()]
    names = list(trials.columns[: trials.columns.get_loc("score")])
    return {
        "count": len(trials),
        "failed": int((trials["status"] == "FAILED").sum()),
        "seconds": trials["at"].max(),
        "names": names,
        "best": [
            {
                "values": [_value(row[name]) for name in names],
                "score": f"{row['score']:.3f}",
                "epochs": int(row["epochs"]),
            }
            for _, row in scored.head(MOST_TRIALS).iterrows()
        ],
        "curve": drawing(plots.trials(trials)) if len(scored) else None,
    }


def _value(value):
    """A hyperparameter as text: numbers short, and a dash where it was not active."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3g}"
    return str(value)


def _result(model, photos):
    """Scores, confusions and worst mistakes on the part that serves as the test."""
    part = "test" if (photos.manifest["split"] == "test").any() else "valid"
    table = evaluation.predict(model, photos, part)
    labels, probabilities = evaluation.arrays(table)
    scores = evaluation.scores(labels, probabilities, class_names=photos.class_names)
    matrix = evaluation.confusion_matrix(labels, probabilities)
    digits = 2 if len(labels) < 2000 else 3

    def score(position):
        row = scores.iloc[position]
        known = not math.isnan(row["value"])
        return {
            "name": scores.index[position][1],
            "value": row["value"],
            "low": row["low"],
            "high": row["high"],
            "pictures": int(row["pictures"]),
            "text": f"{row['value']:.{digits}f}" if known else "–",
            "range": f"{row['low']:.{digits}f}–{row['high']:.{digits}f}"
            if known
            else "",
        }

    # Four rows for all classes, then precision, recall and F1 of each class in turn.
    classes = [
        {"name": name, "scores": [score(4 + 3 * i + j) for j in range(3)]}
        for i, name in enumerate(photos.class_names)
    ]
    classes.sort(key=lambda row: np.nan_to_num(row["scores"][2]["value"], nan=2))
    accuracy, counts = score(0), matrix.sum(axis=1)
    largest = int(counts.argmax())
    smallest = int(np.where(counts > 0, counts, counts.max() + 1).argmin())
    unequal = counts[largest] >= MOST_RATIO * counts[smallest]
    first = score(1) if unequal else accuracy
    wrong = matrix * (1 - np.eye(len(matrix), dtype=int))
    pairs = np.dstack(np.unravel_index(np.argsort(-wrong, axis=None), wrong.shape))[0]
    return {
        "is_test": part == "test",
        "pictures": len(labels),
        "leaked": _leaked(photos, part),
        "right": int(np.trace(matrix)),
        "unequal": unequal,
        "of_100": _of_100(first["value"]),
        "least": math.floor(100 * first["low"]),
        "most": math.ceil(100 * first["high"]),
        "first": first,
        "all_of_100": _of_100(accuracy["value"]),
        "rarest": photos.class_names[smallest],
        "rarest_count": int(counts[smallest]),
        "guess_count": int(counts[largest]),
        "overall": [score(i) for i in range(4)],
        "classes": classes[:MOST_CLASSES],
        "guess": photos.class_names[largest],
        "guess_of_100": _of_100(matrix[largest].sum() / len(labels)),
        "confusion": drawing(plots.confusion_matrix(matrix, photos.class_names)),
        "confused": [
            {
                "true": photos.class_names[i],
                "predicted": photos.class_names[j],
                "count": int(wrong[i, j]),
                "of": int(matrix[i].sum()),
            }
            for i, j in pairs[:3]
            if wrong[i, j]
        ],
        "mistakes": _mistakes(table, photos, part, labels, probabilities),
    }


def _mistakes(table, photos, part, labels, probabilities):
    """The wrongly named pictures with the highest loss, worst first."""
    rows = np.flatnonzero(photos.manifest["split"] == part)  # the order of the table
    order, _ = evaluation.top_losses(labels, probabilities, k=len(labels))
    wrong = order[probabilities[order].argmax(axis=1) != labels[order]]
    return [
        {
            "picture": photograph(photos.pixels[rows[i]]),
            "small": max(photos.image_shape[:2]) <= SMALL,
            "file": table["file"].iloc[i],
            "true": table["label"].iloc[i],
            "predicted": table["predicted"].iloc[i],
            "confidence": table["confidence"].iloc[i],
            "of_truth": probabilities[i, labels[i]],
        }
        for i in wrong[:MOST_MISTAKES]
    ]


def _leaked(photos, part):
    """How many pictures of a part are among the training pictures too."""
    split, content = photos.manifest["split"], photos.manifest["content_hash"]
    return int(content[split == part].isin(content[split == "train"]).sum())


def _of_100(share):
    """A share as a count of 100; only a true 0 or 1 becomes 0 or 100."""
    if 0 < share < 1:
        return min(max(round(100 * share), 1), 99)
    return round(100 * share)


def _environment():
    """Versions that a person needs to repeat the run; nothing about the person."""
    versions = [("cnnkit", cnnkit.__version__), ("Python", platform.python_version())]
    for name in ("keras", "tensorflow", "tensorflow-cpu", "numpy", "pandas"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append((name, importlib.metadata.version(name)))
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores"
    return [*versions, ("machine", machine)]
