"""How far a model is to be trusted: calibration, slices, leaks, explanations, cost."""

import math
import time

import numpy as np
import pandas as pd

from cnnkit import data, evaluation, explain, plots
from cnnkit.report.facts import interval
from cnnkit.report.inline import drawing

# Columns of a manifest that say nothing about what a picture is like.
TECHNICAL = {"path", "label", "split", "content_hash", "group", "alike", "height"}
MOST_VALUES = 12  # of a column of words: with more it names pictures, not groups
MOST_SLICES = 12  # rows
TESTED, STEPS = 16, 8  # pictures, and changes to each: what a report has time for
HEATED = 25_000_000  # values of pixels that are explained: 166 pictures of 224 x 224,
MOST_HEATED = 1000  # or so many smaller ones
METHODS = {"Grad-CAM": explain.grad_cam, "saliency": explain.saliency}
RUNS = 10  # of which the fastest is the latency


def calibration(table, valid):
    """Returns whether the probabilities are honest, and what a temperature would do.

    Args:
        table: of `evaluation.predict`, of the part that is reported on.
        valid: likewise of the validation part, or None where it is that part.

    Returns:
        A dict for the page.
    """
    labels, probabilities = evaluation.arrays(table)
    scores = evaluation.probability_scores(labels, probabilities)
    scores = scores.loc["all classes"]
    facts = {
        "scores": [
            {"name": name, **interval(row, 3)} for name, row in scores.iterrows()
        ],
        "figure": drawing(plots.reliability(bins(labels, probabilities))),
        "temperature": None,
    }
    if valid is not None:
        hot = evaluation.temperature(*_logits(valid))
        _, logs = _logits(table)
        cooled = np.exp(logs / hot)
        cooled /= cooled.sum(axis=1, keepdims=True)
        after = evaluation.probability_scores(labels, cooled, replicates=100)
        error = ("all classes", "calibration error, equal mass")
        facts |= {
            "temperature": hot,
            "before": scores.loc[error[1], "value"],
            "after": after.loc[error, "value"],
        }
    return facts


def bins(labels, probabilities):
    """Returns the table of a reliability diagram, in as many bins as it can fill.

    Args:
        labels: int array of shape (n,).
        probabilities: float array of shape (n, num_classes).
    """
    count = min(10, max(3, len(labels) // 15))
    return evaluation.reliability(labels, probabilities, bins=count)


def slices(table, photos, rows):
    """Returns where the model is worse than elsewhere.

    Args:
        table: of `evaluation.predict`.
        photos: `ImageData`.
        rows: int array, where the pictures of the table stand in the manifest.

    Returns:
        A dict for the page: slices, the worst first, and how many were too small.
    """
    manifest = photos.manifest.iloc[rows].reset_index(drop=True)
    looks = {"brightness": [photos.pixels[row].mean() for row in rows]}
    for name in manifest.columns.difference(TECHNICAL, sort=False):
        column = manifest[name]
        words = not pd.api.types.is_numeric_dtype(column)
        many = column.nunique() > MOST_VALUES
        if 1 < column.nunique() and not (words and many):
            looks[str(name)] = column
    beside = table[[c for c in table if c == "label" or str(c).startswith("p(")]]
    looks = pd.DataFrame({f" {name}": column for name, column in looks.items()})
    found = evaluation.slices(pd.concat([beside, looks], axis=1), list(looks))
    return {
        "rows": [
            {
                "column": column.strip(),
                "slice": str(value),
                "rest": row["rest"],
                "verdict": row["verdict"],
                **interval(row, 2),
            }
            for (column, value), row in found.head(MOST_SLICES).iterrows()
        ],
        "looked": len(found),
        "worse": int((found["verdict"] == "worse").sum()),
        "too_small": found.attrs["too_small"],
    }


def leaks(table, photos, findings):
    """Returns the accuracy with and without pictures that have a twin elsewhere.

    Args:
        table: of `evaluation.predict`.
        photos: `ImageData`.
        findings: table of `data.check`, or None: then these pixels are compared.

    Returns:
        A dict for the page: rows, and how many pictures leaked.
    """
    if findings is None:
        findings = data.check(photos, verbose=False)
    found = evaluation.leaks(table, findings)
    rows = [{"name": name, **interval(row, 3)} for name, row in found.iterrows()]
    return {"rows": rows, "count": rows[-1]["pictures"]}


def explanations(model, photos, rows, labels):
    """Returns whether explanations can be believed, and where the heat lies.

    Args:
        model: `keras.Model`.
        photos: `ImageData`.
        rows: int array, pictures of the manifest.
        labels: int array, their classes.

    Returns:
        A dict for the page; with "why" alone where the model cannot be explained.
    """
    most = min(MOST_HEATED, HEATED // math.prod(photos.image_shape))
    heated = _spread(len(rows), max(TESTED, most))
    rows, labels = rows[heated], labels[heated]
    some = _spread(len(rows), TESTED)
    images = photos.pixels[rows].astype("float32")
    try:
        tested = explain.sanity(
            model, images[some], labels[some], methods=METHODS, steps=STEPS
        )
        heat = explain.grad_cam(model, images, classes=labels)
    except ValueError as error:
        return {"why": str(error)}
    found = explain.shortcuts(heat, labels, photos.class_names)
    return {
        "why": None,
        "pictures": len(some),
        "heated": len(rows),
        "methods": [{"name": name, **row.to_dict()} for name, row in tested.iterrows()],
        "shortcuts": [
            {"name": name, **row.to_dict()}
            for name, row in found[found["suspect"]].iterrows()
        ],
    }


def _spread(number, most):
    """Places of at most so many pictures, evenly among all: so of all classes."""
    return np.linspace(0, number - 1, min(number, most)).astype(int)


def cost(model, photos):
    """Returns how large the model is, and how long it takes for a picture here.

    Args:
        model: `keras.Model`.
        photos: `ImageData`.

    Returns:
        A dict of megabytes (of the weights), alone and together: milliseconds for one
        picture, by itself and among 32.
    """
    images = photos.pixels[np.resize(np.arange(len(photos.pixels)), 32)]
    images = images.astype("float32")
    times = {}
    for name, batch in (("alone", images[:1]), ("together", images)):
        model.predict_on_batch(batch)  # the first call builds the graph
        seconds = []
        for _ in range(RUNS):
            start = time.perf_counter()
            model.predict_on_batch(batch)
            seconds.append(time.perf_counter() - start)
        times[name] = 1000 * min(seconds) / len(batch)
    size = sum(weight.dtype.itemsize * weight.size for weight in model.get_weights())
    return {"megabytes": size / 1e6, **times}


def _logits(table):
    labels, probabilities = evaluation.arrays(table)
    return labels, np.log(np.maximum(probabilities, np.finfo("float32").tiny))
