"""A figure of gradients by depth, for one model or several."""

import numpy as np

from cnnkit.plots.canvas import WIDTH, new_figure
from cnnkit.plots.names import legible, text_style

# Wong, "Points of view: Color blindness", Nature Methods 2011; and a shape for each,
# for those who see the figure in grey.
SERIES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"))
SERIES += (("#E69F00", "v"), ("#56B4E9", "P"))
LABELS = {
    "kernel_gradient": "gradient of the kernel (RMS)",
    "relative_gradient": "gradient of the kernel / kernel (RMS)",
    "output": "output (RMS)",
    "output_gradient": "gradient of the output (RMS)",
}


def gradient_flow(tables, *, column="kernel_gradient"):
    """Draws the size of gradients from the first layer to the last, on a log axis.

    A line that falls to the left by the same factor again and again is a gradient that
    vanishes, one that rises to the left explodes. What is exactly 0 has no place on a
    log axis, nor has what is not finite: a triangle at the edge says where.

    Args:
        tables: dict from a name to a `pandas.DataFrame` of `training.gradient_flow`,
            at most 6; or one such table.
        column: str, what to draw: a key of `LABELS`.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: `column` is not known, or there are no tables, or too many.

    Example:
        >>> figure = gradient_flow({"plain": plain_table, "residual": residual_table})
    """
    alone = hasattr(tables, "columns")
    tables = {"": tables} if alone else dict(tables)
    if column not in LABELS or not 1 <= len(tables) <= len(SERIES):
        raise ValueError(
            f"`column` must be one of {sorted(LABELS)}, and there must be 1 to "
            f"{len(SERIES)} tables. Received: column={column!r}, {len(tables)} tables"
        )
    names = legible(map(str, tables), kind="model")
    deepest = max(table["depth"].max() for table in tables.values())
    with new_figure(WIDTH, 4.2) as figure:
        axes = figure.subplots()
        axes.set_yscale("log")
        edges, handles, marks = axes.get_xaxis_transform(), {}, {}
        for name, table, (colour, shape) in zip(
            names, tables.values(), SERIES, strict=False
        ):
            depth, values = table["depth"].to_numpy(), table[column].to_numpy(float)
            finite = np.isfinite(values)
            (handles[name],) = axes.plot(
                depth, np.where(finite & (values > 0), values, np.nan), color=colour,
                marker=shape, markersize=6 if deepest <= 30 else 4,
            )  # fmt: skip
            # Triangles (7 and 6) that point down at the lower edge, up at the upper.
            for edge, mark, word, there in (
                (0, 7, "exactly 0", values == 0),
                (1, 6, "not finite", ~finite),
            ):
                if there.any():
                    (marks[word],) = axes.plot(
                        depth[there], np.full(there.sum(), edge), linestyle="",
                        marker=mark, markersize=9, color=colour, clip_on=False,
                        transform=edges,
                    )  # fmt: skip
        axes.set_xlim(0.5, deepest + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("layer with a kernel, from the picture to the classes")
        axes.set_ylabel(LABELS[column])
        axes.grid(axis="y", color="0.9")
        axes.set_axisbelow(True)
        handles = marks if alone else handles | marks
        if handles:
            legend = figure.legend(
                handles.values(), handles, loc="outside upper center",
                ncols=min(4, len(handles)), frameon=False,
            )  # fmt: skip
            for text in legend.get_texts():
                text.set(**text_style(handles))
    return figure
