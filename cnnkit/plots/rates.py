"""A figure of a learning-rate range test."""

import numpy as np

from cnnkit.plots.canvas import WIDTH, new_figure


def learning_rates(table):
    """Draws the loss over rising learning rates, on a log axis.

    The points are the losses of single batches, the line what is left without most of
    their noise. A vertical line stands at the suggestion, if there is one. Losses far
    above that of the start are cut off: there the training has exploded.

    Args:
        table: `pandas.DataFrame` from `training.find_learning_rate`.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: the table has no rows, or lacks a column.
    """
    wanted = {"rate", "loss", "smoothed"}
    if not wanted <= set(table.columns) or not len(table):
        raise ValueError(
            "`table` is what training.find_learning_rate returns, with at least one "
            f"step. Received: {len(table)} rows of {list(table.columns)}"
        )
    suggestion = table.attrs.get("suggestion")
    rate, loss, smoothed = (table[name] for name in ("rate", "loss", "smoothed"))
    with new_figure(WIDTH, 4.2) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.plot(
            rate, loss, linestyle="", marker="o", markersize=4, color="0.6",
            label="loss of a batch",
        )  # fmt: skip
        axes.plot(rate, smoothed, color="#0072B2", linewidth=2, label="smoothed")
        if suggestion is not None:
            axes.axvline(
                suggestion, color="#D55E00", linestyle="--",
                label=f"suggestion: {suggestion:.1e}",
            )  # fmt: skip
        start = np.mean(smoothed[: max(3, len(table) // 10)])
        lowest = min(loss.min(), smoothed.min())
        room = max(start - lowest, 0.1 * abs(start)) or 1.0
        highest = min(max(loss.max(), smoothed.max()), start + room)
        axes.set_ylim(lowest - 0.05 * room, highest + 0.05 * room)
        axes.set_xlabel("learning rate of the step (log scale)")
        axes.set_ylabel("loss before the step")
        axes.grid(axis="y", color="0.9")
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return figure
