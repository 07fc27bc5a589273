"""A figure of where searches have looked, in two hyperparameters."""

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from cnnkit.plots.canvas import WIDTH, is_wide, new_figure
from cnnkit.plots.names import legible, text_style

MOST = 3  # panels


def coverage(tables, across, up):
    """Draws the trials of each search as dots, and their values as ticks at both edges.

    The ticks say how many different values of one hyperparameter were tried: on a grid
    few, at random as many as trials (Bergstra and Bengio, JMLR 2012, figure 1).

    Args:
        tables: dict from a name to a `pandas.DataFrame` of `tuning.trials`, 1 to 3.
        across: str, a hyperparameter of numbers; its axis is logarithmic where they
            span more than a factor of 20.
        up: str, another one.

    Returns:
        A matplotlib `Figure`, a panel for each table, dots coloured by their score.

    Raises:
        ValueError: there are no tables or too many, or one has no such column.
    """
    missing = [k for k, t in tables.items() if not {across, up, "score"} <= set(t)]
    if not 1 <= len(tables) <= MOST or missing:
        raise ValueError(
            f"`tables` are 1 to {MOST} tables of tuning.trials with the columns "
            f"{across!r} and {up!r}. Received: {len(tables)} tables, of which "
            f"{missing} lack one"
        )
    done = {name: table[table["score"].notna()] for name, table in tables.items()}
    scores = np.concatenate([table["score"] for table in done.values()])
    norm, colours = Normalize(scores.min(), scores.max()), colormaps["cividis"]
    titles = legible(map(str, done), width=30, kind="search")
    labels = legible([across, up], kind="name")
    with new_figure(WIDTH, 3.6) as figure:
        panels = figure.subplots(1, len(done), squeeze=False, sharex=True, sharey=True)
        for axes, title, table in zip(panels[0], titles, done.values(), strict=True):
            x, y = table[across].astype(float), table[up].astype(float)
            axes.scatter(x, y, c=colours(norm(table["score"])), s=70, edgecolor="0.3")
            edges = axes.get_xaxis_transform(), axes.get_yaxis_transform()
            axes.plot(x, np.full(len(x), 0.015), "|", ms=14, c="#D55E00",
                      transform=edges[0], clip_on=False)  # fmt: skip
            axes.plot(np.full(len(y), 0.015), y, "_", ms=14, c="#D55E00",
                      transform=edges[1], clip_on=False)  # fmt: skip
            axes.set_title(title, fontsize=11, **text_style([title]))
            axes.set_xlabel(labels[0], **text_style(labels[:1]))
            if is_wide(x):
                axes.set_xscale("log")
            axes.margins(0.12)
        panels[0, 0].set_ylabel(labels[1], **text_style(labels[1:]))
        bar = figure.colorbar(ScalarMappable(norm, colours), ax=panels, label="score")
        bar.outline.set_visible(False)
    return figure
