"""A figure of several runs, one beside the other, for comparing shapes of curves."""

import numpy as np

from cnnkit.plots.canvas import WIDTH, new_figure
from cnnkit.plots.figures import TRAINING, VALIDATION
from cnnkit.plots.names import legible, text_style

MOST_RUNS = 6


def runs_side_by_side(histories):
    """Draws loss above accuracy for each run, all runs on the same two scales.

    The scale of the loss ends at twice the median of the first training losses, so
    that a run that explodes does not flatten the others.

    Args:
        histories: dict from a name to what `training_curves` takes, 1 to 6 runs.

    Returns:
        A matplotlib `Figure` with two rows of panels, one column for each run.

    Raises:
        ValueError: there are no runs, or too many, or one has no epoch or no accuracy.

    Example:
        >>> runs_side_by_side({"250 pictures": first, "1,020 pictures": second})
    """
    runs = {k: getattr(h, "history", h) for k, h in dict(histories).items()}
    short = [k for k, run in runs.items() if not {"loss", "accuracy"} <= set(run)]
    short += [k for k, run in runs.items() if not len(run.get("loss", ()))]
    if not 1 <= len(runs) <= MOST_RUNS or short:
        raise ValueError(
            f"`histories` holds 1 to {MOST_RUNS} runs, each with the loss and the "
            "accuracy of at least one epoch. Received: "
            f"{len(runs)} runs, of which {short} lack them"
        )
    titles = legible(map(str, runs), width=max(8, 72 // len(runs)), kind="run")
    losses = [np.asarray(run["loss"], "float64") for run in runs.values()]
    first = [values[0] for values in losses if np.isfinite(values[0])]
    top = 2 * np.median(first or [0.5])
    with new_figure(WIDTH, 4.6) as figure:
        panels = figure.subplots(
            2, len(runs), squeeze=False, sharex="col", sharey="row"
        )
        for column, (title, run) in enumerate(zip(titles, runs.values(), strict=True)):
            for axes, key in zip(panels[:, column], ("loss", "accuracy"), strict=True):
                _lines(axes, run, key)
            panels[0, column].set_title(title, fontsize=11, **text_style([title]))
            panels[1, column].set_xlabel("epoch")
            panels[1, column].set_xlim(0.5, len(run["loss"]) + 0.5)
            panels[1, column].xaxis.get_major_locator().set_params(integer=True)
        panels[0, 0].set_ylim(0, top or 1)
        panels[1, 0].set_ylim(0, 1)
        panels[0, 0].set_ylabel("loss (nats)")
        panels[1, 0].set_ylabel("accuracy")
        handles = panels[0, 0].get_lines()
        figure.legend(
            handles=handles, loc="outside upper center", ncols=2, frameon=False
        )
    return figure


def _lines(axes, run, key):
    for name, style in (
        (key, {"linestyle": "--", "color": TRAINING, "label": "training"}),
        (f"val_{key}", {"color": VALIDATION, "label": "validation"}),
    ):
        values = np.asarray(run.get(name, ()), "float64")
        alone = {"marker": "o"} if len(values) == 1 else {}
        axes.plot(np.arange(1, len(values) + 1), values, **style, **alone)
    axes.grid(axis="y", color="0.9")
