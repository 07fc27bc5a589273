"""Figures of an evaluation: honest probabilities, thresholds, and invariance."""

import numpy as np

from cnnkit.plots.canvas import WIDTH, new_figure
from cnnkit.plots.intervals import SERIES
from cnnkit.plots.names import legible, text_style

BLUE, RED = "#0072B2", "#D55E00"


def reliability(tables):
    """Draws how often a model is right over how sure it is: the reliability diagram.

    On the dashed line a model is as often right as it says. Below it, it is too sure.
    DeGroot and Fienberg, The Statistician 1983; Guo et al., 2017, figure 1.

    Args:
        tables: `pandas.DataFrame` of `evaluation.reliability`, or a dict of at most 4
            from a name to such a table, to compare.

    Returns:
        A matplotlib `Figure`: a dot for each bin at its mean confidence, with Wilson's
        interval, and below how many pictures it has, where the bins differ in that.

    Raises:
        ValueError: there are no tables or too many, or one has no bins.
    """
    tables = tables if isinstance(tables, dict) else {None: tables}
    if not 1 <= len(tables) <= len(SERIES) or not all(map(len, tables.values())):
        raise ValueError(
            f"`tables` are 1 to {len(SERIES)} tables of evaluation.reliability, with "
            f"bins. Received: {len(tables)} tables of {[*map(len, tables.values())]}"
        )
    counts = np.concatenate([table["pictures"] for table in tables.values()])
    alike = counts.max() < 1.2 * counts.min()  # bins of equal mass: nothing to show
    with new_figure(5.6, 5 if alike else 6) as figure:
        if alike:
            above = below = figure.subplots()
        else:
            above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        above.plot((0, 1), (0, 1), "--", color="0.45", label="as sure as right")
        for (name, table), (colour, shape) in zip(tables.items(), SERIES, strict=False):
            x, y = table["confidence"].to_numpy(), table["value"].to_numpy()
            ends = np.clip([y - table["low"], table["high"] - y], 0, None)
            [label] = legible([str(name)], kind="model") if name else ["the model"]
            above.errorbar(
                x, y, ends, fmt=shape, ls="-", color=colour, lw=1.2, ms=5, label=label
            )
            if not alike:
                below.vlines(x, 0, table["pictures"], color=colour, lw=5, alpha=0.7)
        above.set(ylabel="share that is right", ylim=(0, 1.02), xlim=(0, 1.02))
        above.grid(color="0.92")
        above.legend(frameon=False, loc="upper left")
        if names := [str(name) for name in tables if name]:
            for text in above.get_legend().get_texts():
                text.set(**text_style(legible(names, kind="model")))
        below.set_xlabel("confidence (largest probability)")
        if not alike:
            below.set(ylabel="pictures", ylim=(0, None))
    return figure


def threshold_curves(curve, *, class_name="the class"):
    """Draws the ROC curve and the precision-recall curve of one class.

    Args:
        curve: `pandas.DataFrame` of `evaluation.threshold_curve`.
        class_name: str, the class that is looked for.

    Returns:
        A matplotlib `Figure`; dots mark the thresholds 0.1, 0.5 and 0.9.

    Raises:
        ValueError: columns are missing, or there are no rows.
    """
    names = ("threshold", "sensitivity", "specificity", "precision")
    if not len(curve) or not set(names) <= set(curve.columns):
        raise ValueError(
            f"`curve` has the columns {names} and at least a row, as "
            f"evaluation.threshold_curve gives it. Received: {list(curve.columns)}, "
            f"{len(curve)} rows"
        )
    false = 1 - curve["specificity"].to_numpy()
    found, precision = curve["sensitivity"].to_numpy(), curve["precision"].to_numpy()
    threshold = curve["threshold"].to_numpy()
    [title] = legible([class_name], width=40, kind="class")
    with new_figure(WIDTH, 4.1) as figure:
        left, right = figure.subplots(1, 2)
        left.plot([0, *false], [0, *found], drawstyle="default", color=BLUE, lw=2)
        left.plot((0, 1), (0, 1), "--", color="0.6", lw=1)
        left.set(xlabel="false alarms: 1 − specificity", ylabel="found: sensitivity")
        right.step(found, precision, where="pre", color=BLUE, lw=2)
        right.axhline(precision[-1], ls="--", color="0.6", lw=1)
        right.set(xlabel="found: sensitivity", ylabel="deserved: precision")
        for at, shift in ((0.1, -12), (0.5, 6), (0.9, 6)):
            reached = np.flatnonzero(threshold >= at)
            if not len(reached):
                continue
            i = reached[-1]
            for axes, x, y in (
                (left, false[i], found[i]), (right, found[i], precision[i]),
            ):  # fmt: skip
                axes.plot(x, y, "o", color=RED, ms=6, zorder=3)
                axes.annotate(
                    f"from {at}", (x, y), (6, shift), textcoords="offset points",
                    fontsize=9, bbox={"fc": "white", "ec": "none", "alpha": 0.5,
                                      "pad": 0.5},
                )  # fmt: skip
        for axes in (left, right):
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
            axes.set_aspect("equal")
            axes.grid(color="0.92")
        figure.suptitle(f"Is it {title}?", **text_style([title]))
    return figure


def invariance(table):
    """Draws what becomes of accuracy when pictures are moved, turned, scaled, lit.

    Args:
        table: `pandas.DataFrame` of `evaluation.invariance`.

    Returns:
        A matplotlib `Figure`, a panel for each change: accuracy with its interval, and
        the share of pictures whose answer stays as it was.

    Raises:
        ValueError: there are no rows, or more than four changes.
    """
    changes = list(dict.fromkeys(table.index.get_level_values(0)))
    if not 1 <= len(changes) <= 4:
        raise ValueError(
            "`table` has 1 to 4 changes, as evaluation.invariance gives it. "
            f"Received: {len(changes)} changes"
        )
    with new_figure(WIDTH, 2.6 if len(changes) < 3 else 5.2) as figure:
        panels = figure.subplots(
            1 if len(changes) < 3 else 2, min(2, len(changes)), squeeze=False,
            sharey=True,
        ).ravel()  # fmt: skip
        for axes, change in zip(panels, changes, strict=False):
            change_curves(axes, table, change)
            axes.set_title(change, fontsize=12)
            axes.grid(color="0.92")
        for axes in panels[len(changes) :]:
            axes.set_visible(False)
        for axes in panels[:: min(2, len(changes))]:
            axes.set_ylabel("share of pictures")
        figure.legend(
            *panels[0].get_legend_handles_labels(), loc="outside upper center",
            ncols=2, frameon=False,
        )  # fmt: skip
    return figure


def change_curves(axes, table, change, *, marks=6):
    """Draws accuracy and the share of same answers over the amount of one change.

    Args:
        axes: matplotlib `Axes`.
        table: `pandas.DataFrame` of `evaluation.invariance`.
        change: str, one of its changes.
        marks: float, the size of a mark in points.
    """
    part = table.xs(change, level=0)
    x = part.index.to_numpy(float)
    axes.fill_between(x, part["low"], part["high"], color=BLUE, alpha=0.2)
    axes.plot(x, part["value"], "o-", color=BLUE, ms=marks, label="accuracy")
    axes.plot(x, part["same"], "s--", color=RED, ms=marks, label="same answer")
    units = table.attrs.get("units", {})
    axes.set(xlabel=units.get(change, "amount"), ylim=(0, 1.03))


def abstaining(table):
    """Draws the accuracy on the pictures that are answered over how many these are.

    Args:
        table: `pandas.DataFrame` of `evaluation.abstaining`.

    Returns:
        A matplotlib `Figure`; the band is Wilson's interval, and the numbers are the
        confidence from which on there is an answer.

    Raises:
        ValueError: there are no rows.
    """
    if not len(table):
        raise ValueError(
            "`table` has at least a row, as evaluation.abstaining gives it. "
            "Received: no rows"
        )
    x = table["answered"].to_numpy()
    with new_figure(WIDTH, 3.8) as figure:
        axes = figure.subplots()
        axes.fill_between(x, table["low"], table["high"], color=BLUE, alpha=0.2)
        axes.plot(x, table["value"], "o-", color=BLUE)
        for i in np.unique(np.linspace(0, len(x) - 1, 6).astype(int)):
            axes.annotate(
                f"{table['below'].iloc[i]:.2f}", (x[i], table["value"].iloc[i]),
                (0, -16), textcoords="offset points", ha="center", fontsize=9,
            )  # fmt: skip
        axes.set(
            xlabel="share of pictures that are answered", xlim=(0, 1.03),
            ylabel="accuracy on these",
        )  # fmt: skip
        axes.grid(color="0.92")
    return figure
