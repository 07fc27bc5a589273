"""Figures of numbers: training curves and the confusion matrix."""

import numpy as np
from matplotlib import pyplot
from matplotlib.ticker import MaxNLocator

from cnnkit.plots.canvas import WIDTH, new_figure
from cnnkit.plots.names import CHARACTER, ems, legible, text_style

# Wong, "Points of view: Color blindness", Nature Methods 2011: blue and vermilion.
TRAINING, VALIDATION = "#0072B2", "#D55E00"
MOST_CLASSES = 30  # more rows than this cannot be read on one screen


def training_curves(history, *, marks=None):
    """Draws loss and accuracy of each epoch, in training and in validation.

    The lowest validation loss and the highest validation accuracy are marked. A gap
    that opens between the two curves is overfitting.

    Args:
        history: keras `History` that `fit` returned, or its dict `history.history`:
            lists of one value an epoch, "loss" and, where there are, "val_loss",
            "accuracy" (or another name that ends so) and "val_accuracy".
        marks: None, or a dict from an epoch, counted from 1, to a str: a thin line
            with this text stands where that epoch begins.

    Returns:
        A matplotlib `Figure` with one or two panels. Epochs count from 1, loss is in
        nats, accuracy a share from 0 to 1.

    Raises:
        ValueError: there is no epoch in `history`.
    """
    values = getattr(history, "history", history)
    if not len(values.get("loss", ())):
        raise ValueError(
            "`history` must hold the loss of at least one epoch, as in the History "
            f"that `fit` returns. Received: keys {sorted(values)}"
        )
    names = [k for k in values if k.endswith("accuracy") and not k.startswith("val_")]
    keys = ["loss", *names[:1]]
    marks = marks or {}
    marks = dict(zip(marks, legible(marks.values(), kind="mark"), strict=True))

    with new_figure(WIDTH, 3.8) as figure:
        figure.get_layout_engine().set(wspace=0.06)
        panels = figure.subplots(1, len(keys), squeeze=False)[0]
        for axes, key in zip(panels, keys, strict=True):
            validation = values.get(f"val_{key}", [])
            curves = _curves(axes, values[key], validation, key, marks)
        figure.legend(
            handles=curves, loc="outside upper center", ncols=2, frameon=False
        )
    return figure


def confusion_matrix(matrix, class_names):
    """Draws which classes were taken for which.

    Counts stand in the cells, and the colour is the count's share of its row, so that
    rare and frequent classes can be compared. From 13 classes on, empty cells are
    zeros. Of more than 30 classes the figure shows the 30 with the largest confusions,
    and says so.

    Args:
        matrix: int array of shape (num_classes, num_classes), row = true class,
            column = predicted class, from `evaluation.confusion_matrix`.
        class_names: one str a class, in the order of the rows.

    Returns:
        A matplotlib `Figure`. The rows of classes without pictures are grey.

    Raises:
        ValueError: `matrix` is not square, holds no counts, or does not fit the names.
    """
    matrix = np.asarray(matrix)
    k = len(class_names)
    if matrix.shape != (k, k) or matrix.dtype.kind not in "iu" or matrix.min() < 0:
        raise ValueError(
            "`matrix` must hold counts (whole numbers), one row and one column for "
            f"each of the {k} names in `class_names`. Received: shape {matrix.shape}, "
            f"dtype {matrix.dtype}"
        )
    chosen = _most_confused(matrix) if k > MOST_CLASSES else np.arange(k)
    shown = len(chosen)
    many = shown > 12
    size = 10 if many else 12  # of the text, in points
    names = legible(class_names, width=20 if many else 24)
    names = [names[i] for i in chosen]
    counts = matrix[np.ix_(chosen, chosen)]
    pictures = matrix.sum(axis=1)[chosen, None]  # also those taken for hidden classes
    shares = counts / np.maximum(pictures, 1)
    empty = np.broadcast_to(pictures == 0, shares.shape)
    texts = [[_count(n) for n in row] for row in counts]

    # Inches: names beside and below, and cells wide enough for the longest count.
    name = max(map(ems, names)) * size / 72
    number = max(len(text) for row in texts for text in row) * size * CHARACTER / 72
    cell = max(min((WIDTH - 2 - name) / shown, 0.9), number + 0.1, 0.24)
    upright = name > 0.9 * cell
    height = shown * cell + (name if upright else 0.2) + (1.2 if shown < k else 0.7)

    with new_figure(max(shown * cell + name + 2, 4), height) as figure:
        axes = figure.subplots()
        colours = pyplot.get_cmap("Blues").with_extremes(bad="0.9")
        colours = axes.imshow(
            np.ma.array(shares, mask=empty), cmap=colours, vmin=0, vmax=1
        )
        for i, j in np.ndindex(shares.shape):
            if counts[i, j] or not many:
                ink = "white" if shares[i, j] > 0.5 else "black"
                text = axes.text(
                    j, i, texts[i][j], ha="center", va="center_baseline",
                    color=ink if counts[i, j] else "0.6", fontsize=size,
                )  # fmt: skip
                text.set_in_layout(False)  # it lies inside; 900 texts cost a second
        edges = np.arange(shown + 1) - 0.5
        axes.hlines(edges, -0.5, shown - 0.5, color="0.85", linewidth=0.6)
        axes.vlines(edges, -0.5, shown - 0.5, color="0.85", linewidth=0.6)
        style = {"fontsize": size, **text_style(names)}
        axes.set_yticks(range(shown), names, **style)
        axes.set_xticks(range(shown), names, rotation=90 if upright else 0, **style)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        if shown < k:
            title = f"The {shown} classes with the largest confusions, of {k:,}"
            axes.set_title(title, fontsize=12)
        bar = figure.colorbar(colours, ax=axes, shrink=min(1, 3 / (shown * cell)))
        bar.set_label("share of the true class")
        bar.outline.set_visible(False)
    return figure


def _curves(axes, training, validation, key, marks):
    """Draws one panel of `training_curves` and returns its lines for the legend."""
    falls = key == "loss"
    epochs = np.arange(1, len(training) + 1)
    dots = {"marker": "o", "markersize": 4} if len(training) <= 20 else {}
    lines = axes.plot(epochs, training, "--", color=TRAINING, label="training", **dots)
    validation = np.array(validation, "float64")
    if len(validation):
        every = max(1, len(training) // len(validation))  # `validation_freq` of `fit`
        at = every * np.arange(1, len(validation) + 1)
        lines += axes.plot(at, validation, color=VALIDATION, label="validation", **dots)
    if np.isfinite(validation).any():  # else the training diverged
        finite = np.where(np.isfinite(validation), validation, np.nan)
        best = np.nanargmin(finite) if falls else np.nanargmax(finite)
        axes.plot(
            at[best], finite[best], "o", color=VALIDATION, markersize=11,
            markerfacecolor="none", markeredgewidth=2,
        )  # fmt: skip
        word = "lowest" if falls else "highest"
        text = f"{word} in validation: {finite[best]:.3f}, epoch {at[best]}"
        axes.set_title(text, fontsize=11, color=VALIDATION)
    broken = np.flatnonzero(~np.isfinite(training))
    if len(broken):
        axes.set_title(f"not a number in epoch {broken[0] + 1}", fontsize=11)
    for epoch, text in marks.items():
        # Loss starts high and accuracy low; the text of a line goes where they are not.
        top = falls != (epoch - 1 < len(training) / 10)
        axes.axvline(epoch - 0.5, color="0.4", linewidth=0.8)
        axes.annotate(
            text, (epoch - 0.5, top), xycoords=("data", "axes fraction"),
            xytext=(3, -4 if top else 4), textcoords="offset points", rotation=90,
            va="top" if top else "bottom", fontsize=10, color="0.3",
            **text_style([text]),
        )  # fmt: skip
    axes.set_xlim(0.5, len(training) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.tick_params(labelsize=11)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss (nats)" if falls else "accuracy")
    if falls:
        axes.update_datalim([(1, 0)])
        axes.autoscale_view(scalex=False)
        axes.set_ylim(bottom=0)
    elif len(training) == 1:
        axes.set_ylim(0, 1)
    axes.grid(axis="y", color="0.9")
    return lines


def _most_confused(matrix):
    """Picks the classes of the largest off-diagonal cells, in the order of classes."""
    wrong = matrix - np.diag(np.diag(matrix))
    cells = np.argwhere(wrong)
    order = np.argsort(-wrong[tuple(cells.T)], kind="stable")
    # All classes stand at the end, so that a matrix with few mistakes fills up too.
    classes = np.concatenate([cells[order].ravel(), np.arange(len(matrix))])
    chosen = list(dict.fromkeys(classes.tolist()))[:MOST_CLASSES]
    return np.sort(chosen)


def _count(n):
    """A count in at most four characters or so: 9999, 12k."""
    return str(n) if n < 10_000 else f"{n / 1000:.0f}k"
