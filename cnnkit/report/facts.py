"""Facts of a run: its pictures, their check, the training, the machine.

Each function returns plain values for the page, or None where nothing is known.
"""

import contextlib
import hashlib
import importlib.metadata
import math
import os
import platform

import cnnkit
from cnnkit import data, plots
from cnnkit.report.inline import drawing

MOST_FILES = 3  # named for each finding
MOST_TRIALS = 5
MOST_CLASSES = 50  # rows of a table; a page with 3,000 cannot be read


def pictures(photos):
    """Returns what the pictures are.

    Args:
        photos: `ImageData`.
    """
    counts = photos.counts()
    height, width, channels = photos.image_shape
    return {
        "source": photos.source,
        "notes": photos.notes,
        "size": f"{width} × {height} pixels, {'grey' if channels == 1 else 'RGB'}",
        "height": height,
        "width": width,
        "color_mode": "grayscale" if channels == 1 else "rgb",
        "fit": photos.reader.fit if photos.reader else "resize",
        "num_classes": photos.num_classes,
        "num_pictures": len(photos.manifest),
        "split": _digest(photos.manifest),
        "counts": [
            {"name": name, **counts.iloc[i].to_dict()}
            for i, name in enumerate(photos.class_names[:MOST_CLASSES])
        ],
        "totals": counts.sum().to_dict(),
    }


def check(findings):
    """Returns the findings of the check by code.

    Args:
        findings: table of `data.check`, or None.
    """
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


def training(model, history):
    """Returns what was trained, and for how long.

    Args:
        model: `keras.Model`.
        history: `History`, dict or None.
    """
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
        "seed": params.get("seed"),
        "stopped": params.get("stopped"),
        "advice": params.get("advice"),
        "curves": curves,
    }


def tuning(trials):
    """Returns the best trials of a search.

    Args:
        trials: table of `tuning.trials`, or None.
    """
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


def interval(row, digits):
    """Returns a value with its interval, as text and as numbers.

    Args:
        row: `pandas.Series` with value, low, high and pictures.
        digits: int, after the point.

    Returns:
        A dict of value, low, high, text, range and pictures.
    """
    known = not math.isnan(row["value"])
    return {
        "value": row["value"],
        "low": row["low"],
        "high": row["high"],
        "text": f"{row['value']:.{digits}f}" if known else "–",
        "range": f"{row['low']:.{digits}f}–{row['high']:.{digits}f}" if known else "",
        "pictures": int(row["pictures"]),
    }


def _value(value):
    """A hyperparameter as text: numbers short, and a dash where it was not active."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3g}"
    return str(value)


def environment():
    """Returns versions that a person needs to repeat the run; nothing personal."""
    versions = [("cnnkit", cnnkit.__version__), ("Python", platform.python_version())]
    for name in ("keras", "tensorflow", "tensorflow-cpu", "numpy", "pandas"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append((name, importlib.metadata.version(name)))
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores"
    return [*versions, ("machine", machine)]


def _digest(manifest):
    """SHA-256 of which picture is in which part: equal for equal splits."""
    columns = ["content_hash", "label", "split"]
    lines = manifest[columns].astype(str).agg(",".join, axis=1)
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
