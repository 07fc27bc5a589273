"""Results of a model: its scores, confusions and worst mistakes."""

import numpy as np

from cnnkit import evaluation, explain, plots
from cnnkit.data.comparisons import MOST_RATIO
from cnnkit.report.facts import MOST_CLASSES, interval
from cnnkit.report.inline import SMALL, drawing, photograph

MOST_MISTAKES, MOST_CONFUSED = 12, 3


def result(model, photos, part, table, rows):
    """Returns scores, confusions and worst mistakes.

    Args:
        model: `keras.Model`.
        photos: `ImageData`.
        part: "test" or "valid".
        table: of `evaluation.predict`, of that part.
        rows: int array, where its pictures stand in the manifest.

    Returns:
        A dict for the page.
    """
    labels, probabilities = evaluation.arrays(table)
    scores = evaluation.scores(labels, probabilities, class_names=photos.class_names)
    matrix = evaluation.confusion_matrix(labels, probabilities)
    digits = 2 if len(labels) < 2000 else 3

    def score(position):
        name = scores.index[position][1]
        return {"name": name, **interval(scores.iloc[position], digits)}

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
    confused = evaluation.most_confused(
        labels, probabilities, class_names=photos.class_names, k=MOST_CONFUSED
    )
    return {
        "is_test": part == "test",
        "pictures": len(labels),
        "leaked": _leaked(photos, part),
        "right": int(np.trace(matrix)),
        "unequal": unequal,
        "untested": [photos.class_names[i] for i in np.flatnonzero(counts == 0)],
        "of_100": _of_100(first["value"]),
        "least": round(100 * first["low"]),
        "most": round(100 * first["high"]),
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
        "confused": confused.to_dict("records"),
        "mistakes": _mistakes(model, photos, table, rows),
    }


def _mistakes(model, photos, table, rows):
    """The wrong answers with the highest loss, the worst first, with their heat."""
    labels, probabilities = evaluation.arrays(table)
    order, _ = evaluation.top_losses(labels, probabilities, k=len(labels))
    wrong = order[probabilities[order].argmax(axis=1) != labels[order]]
    wrong = wrong[:MOST_MISTAKES]
    heats = _heats(model, photos.pixels[rows[wrong]], probabilities[wrong].argmax(1))
    return [
        {
            "picture": photograph(photos.pixels[rows[i]]),
            "heat": None if heat is None else photograph(heat),
            "small": max(photos.image_shape[:2]) <= SMALL,
            "file": table["file"].iloc[i],
            "true": table["label"].iloc[i],
            "predicted": table["predicted"].iloc[i],
            "confidence": table["confidence"].iloc[i],
            "of_truth": probabilities[i, labels[i]],
        }
        for i, heat in zip(wrong, heats, strict=True)
    ]


def _heats(model, images, classes):
    """The pictures under their Grad-CAM, or None for each where there is none."""
    if not len(images):
        return []
    try:
        heats = explain.grad_cam(model, images.astype("float32"), classes=classes)
    except ValueError:  # a model without maps
        return [None] * len(images)
    return plots.overlay(images, heats)


def _leaked(photos, part):
    """How many pictures of a part are among the training pictures too."""
    split, content = photos.manifest["split"], photos.manifest["content_hash"]
    return int(content[split == part].isin(content[split == "train"]).sum())


def _of_100(share):
    """A share as a count of 100; only a true 0 or 1 becomes 0 or 100."""
    if 0 < share < 1:
        return min(max(round(100 * share), 1), 99)
    return round(100 * share)
