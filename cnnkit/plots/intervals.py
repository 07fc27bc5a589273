"""A figure of values with their intervals, a row for each name."""

import numpy as np

from cnnkit.plots.canvas import WIDTH, new_figure
from cnnkit.plots.names import ems, legible, text_style

# Wong, "Points of view: Color blindness", Nature Methods 2011; and a shape for each,
# for those who see the figure in grey.
SERIES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"))
MOST_ROWS = 40  # more than this cannot be read on one screen


def intervals(table, *, label="value"):
    """Draws each value as a dot on a line from the low to the high end of its interval.

    Args:
        table: `pandas.DataFrame` with columns "value", "low" and "high", such as a part
            of what `evaluation.scores` returns. Its index names the rows; with two
            levels the first names up to 4 series, drawn in colours of their own.
        label: str, what the values are, for the axis.

    Returns:
        A matplotlib `Figure`; rows and series stand in the order of the table. A value
        that is NaN leaves its row empty.

    Raises:
        ValueError: columns are missing, or there are no rows, or too many.
    """
    missing = [k for k in ("value", "low", "high") if k not in table.columns]
    rows = list(dict.fromkeys(table.index.get_level_values(-1)))
    series = list(dict.fromkeys(table.index.get_level_values(0)))
    series = series if table.index.nlevels == 2 else [None]
    if missing or not 1 <= len(rows) <= MOST_ROWS or len(series) > len(SERIES):
        raise ValueError(
            "`table` needs the columns value, low and high, 1 to "
            f"{MOST_ROWS} row names and at most {len(SERIES)} series. Received: "
            f"columns {list(table.columns)}, {len(rows)} rows, {len(series)} series"
        )
    names = legible(map(str, rows), width=36, kind="row")
    height = max(2.0, (0.22 + 0.16 * len(series)) * len(rows) + 1.2)
    with new_figure(max(WIDTH, 4 + max(map(ems, names)) * 12 / 72), height) as figure:
        axes = figure.subplots()
        for k, (name, (colour, shape)) in enumerate(zip(series, SERIES, strict=False)):
            part = table if name is None else table.xs(name, level=0)
            value, low, high = (
                part[c].to_numpy(float) for c in ("value", "low", "high")
            )
            y = np.array([rows.index(row) for row in part.index], float)
            y += 0.6 * ((k + 0.5) / len(series) - 0.5)
            axes.hlines(y, low, high, color=colour, linewidth=2)
            shown = None if name is None else legible([str(name)], kind="series")[0]
            axes.plot(value, y, shape, color=colour, markersize=7, label=shown)
        axes.set_yticks(range(len(rows)), names, **text_style(names))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(left=False)
        axes.grid(axis="x", color="0.9")
        axes.set_axisbelow(True)
        axes.set_xlabel(label, **text_style([label]))
        if series != [None]:
            figure.legend(loc="outside upper center", ncols=len(series), frameon=False)
    return figure
