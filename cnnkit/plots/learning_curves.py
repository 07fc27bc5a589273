"""A figure of a score against the number of pictures that were learnt from."""

from matplotlib.ticker import NullLocator

from cnnkit.plots.canvas import WIDTH, new_figure
from cnnkit.plots.intervals import SERIES
from cnnkit.plots.names import legible, text_style


def learning_curves(table, *, label="accuracy", across="training pictures"):
    """Draws a line for each way to learn: its score against the number of pictures.

    A line that climbs still would gain from more pictures; where two lines meet, the
    head start of one is used up.

    Args:
        table: `pandas.DataFrame` with columns "value", "low" and "high". Its index has
            two levels: the name of the line, of which there are at most 4, and the
            number of pictures, above 0.
        label: str, what the values are, for the axis.
        across: str, what is counted, for the axis across, which is logarithmic.

    Returns:
        A matplotlib `Figure`; lines in the order of the table, "low" to "high" as a
        band around each.

    Raises:
        ValueError: columns or levels are missing, a number is not above 0, or there
            are too many lines.

    Example:
        >>> learning_curves(table, across="pictures a class")
    """
    names = list(dict.fromkeys(table.index.get_level_values(0)))
    missing = {"value", "low", "high"} - set(table.columns)
    is_fit = table.index.nlevels == 2 and not missing and 1 <= len(names) <= len(SERIES)
    if not is_fit or not (table.index.get_level_values(1) > 0).all():
        raise ValueError(
            "`table` needs the columns value, low and high, and an index of a name and "
            f"a number of pictures above 0, with 1 to {len(SERIES)} names. Received: "
            f"columns {list(table.columns)}, {table.index.nlevels} levels, names "
            f"{names[:8]}"
        )
    shown = legible(map(str, names), width=36, kind="line")
    counts = sorted(set(table.index.get_level_values(1)))
    with new_figure(WIDTH, 4.4) as figure:
        axes = figure.subplots()
        for name, text, (colour, shape) in zip(names, shown, SERIES, strict=False):
            line = table.xs(name, level=0).sort_index()
            axes.fill_between(
                line.index, line["low"], line["high"], color=colour, alpha=0.15, lw=0
            )
            axes.plot(
                line.index, line["value"], f"{shape}-", color=colour, markersize=7,
                linewidth=2, label=text,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.set_xlabel(across, **text_style([across]))
        axes.set_ylabel(label, **text_style([label]))
        legend = figure.legend(
            loc="outside upper center", ncols=min(len(names), 2), frameon=False
        )
        for text in legend.get_texts():
            text.set(**text_style([text.get_text()]))
    return figure
