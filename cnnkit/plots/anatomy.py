"""A figure of a model: one box for each resolution."""

import math

import numpy as np
import pandas
from matplotlib.patches import Rectangle

from cnnkit.plots.canvas import WIDTH, new_figure
from cnnkit.plots.names import ems, legible, text_style

# Wong, "Points of view: Color blindness", Nature Methods 2011.
COLOURS = {"input": "0.8", "map": "#56B4E9", "tokens": "#009E73", "vector": "#E69F00"}
WIDEST, TALLEST, BAR = 1.3, 2.2, 0.16  # of a box, in inches
GAP, LINE = 0.3, 0.24  # between boxes and between lines, in inches
SIZE = 12  # of the text, in points
HEADS = ("height × width", "channels", "layers", "parameters")

COLUMNS = {"kind", "shape", "parameters", "multiply_adds", "stride", "sources"}
EDGES = {"Cropping2D", "ZeroPadding2D"}  # they prepare what follows
ENLARGING = {"Conv2DTranspose", "Resizing", "UpSampling2D"}


def stages(rows, *, title=None):
    """Draws a model from left to right, one box for all layers of one resolution.

    The width of a box is its resolution and the height its channels, both by their
    square roots, so that 7 pixels can be seen beside 224. A vector is a thin bar, cut
    off where it would be more than twice as tall as the maps.
    Above stands what leaves the box; below, how many of its layers multiply
    (convolutions, dense layers, attention; layers of unknown kind count as well) and
    how many parameters it has.

    Args:
        rows: `pandas.DataFrame` from `models.anatomy.table`.
        title: None, or str.

    Returns:
        A matplotlib `Figure`, the wider the more boxes there are.

    Raises:
        ValueError: columns are missing, or there are no rows.

    Example:
        >>> figure = stages(models.anatomy.table(model), title="My first network")
    """
    boxes = stage_table(rows)
    shapes = boxes["shape"].tolist()
    vector = boxes["form"] == "vector"
    sides = np.array([_side(shape) for shape in shapes])
    channels = np.array([shape[-1] for shape in shapes])
    widths = np.where(vector, BAR, WIDEST * np.sqrt(sides / sides.max()))
    # The vector of 25,088 numbers in VGG would leave nothing to see of its maps.
    most = min(channels.max(), 4 * channels[~vector].max())
    heights = np.clip(TALLEST * np.sqrt(channels / most), 0.06, TALLEST)
    texts = [
        (*_shape_texts(box.form, box.shape), _short(box.layers), _short(box.parameters))
        for box in boxes.itertuples()
    ]
    room = [max(map(ems, lines)) * SIZE / 72 for lines in texts]
    columns = np.maximum(widths, np.array(room) - GAP / 2) + GAP
    head = max(map(ems, HEADS)) * SIZE / 72 + GAP
    columns += max(0, WIDTH - head - columns.sum()) / len(columns)
    middles = head + np.cumsum(columns) - columns / 2
    width = head + columns.sum()
    height = TALLEST + 4 * LINE + (1.0 if title else 0.5)
    middle = 2 * LINE + 0.25 + TALLEST / 2
    lines = [middle + TALLEST / 2 + d * LINE for d in (1.6, 0.7)]
    lines += [middle - TALLEST / 2 - d * LINE for d in (0.7, 1.6)]

    with new_figure(width, height, layout="none") as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(0, height))  # inches
        axes.set_axis_off()
        for y, text in zip(lines, HEADS, strict=True):
            axes.text(0.1, y, text, fontsize=SIZE, color="0.4", va="center")
        edges = []
        for i, x in enumerate(middles):
            corner = (x - widths[i] / 2, middle - heights[i] / 2)
            colour = COLOURS[boxes["form"][i]]
            axes.add_patch(
                Rectangle(corner, widths[i], heights[i], fc=colour, ec="0.2", lw=1)
            )
            for y, text in zip(lines, texts[i], strict=True):
                axes.text(x, y, text, fontsize=SIZE, ha="center", va="center")
            edges.append((corner[0], corner[0] + widths[i]))
        for (_, start), (end, _) in zip(edges, edges[1:], strict=False):
            arrow = {"arrowstyle": "-|>", "color": "0.2", "shrinkA": 2, "shrinkB": 2}
            axes.annotate("", (end, middle), (start, middle), arrowprops=arrow)
        if title:
            (title,) = legible([title], width=int(width * 72 / 14 / 0.6), kind="model")
            axes.text(
                width / 2, height - 0.3, title, fontsize=14, ha="center", va="center",
                **text_style([title]),
            )  # fmt: skip
    return figure


def stage_table(rows):
    """Groups the layers between one change of resolution and the next.

    Vectors inside a stage, as those of squeeze-and-excitation, belong to it. A
    MobileNet widens a map just before it halves it: those layers belong to the stage
    that they lead to, as in the tables of the papers.

    Args:
        rows: as for `stages`.

    Returns:
        A `pandas.DataFrame`, one row a stage, from input to output: form ("input",
        "map", "tokens" or "vector"), shape (a tuple, the widest of what leaves it),
        layers (int, those that multiply, or whose kind is not known) and parameters
        (int).

    Raises:
        ValueError: as for `stages`.
    """
    missing = COLUMNS - set(rows.columns)
    if missing or not len(rows):
        raise ValueError(
            "`rows` is the table of a model's layers, from models.anatomy.table. "
            f"Received: {len(rows)} rows, without the columns {sorted(missing)}"
        )
    # A single number has the shape ().
    rows = [r | {"shape": r["shape"] or (1,)} for r in rows.to_dict("records")]
    users = [[] for _ in rows]
    for i, row in enumerate(rows):
        for source in row["sources"]:
            users[source].append(i)
    keys = _keys(rows, users)
    found = []
    for key in dict.fromkeys(keys):
        inside = [i for i, k in enumerate(keys) if k == key]
        same = [i for i in inside if key[0] in ("input", _form(rows[i]))]
        leave = [i for i in same if {keys[user] for user in users[i]} != {key}]
        # Where a vector inside is all that leaves, the last map or token stands.
        shapes = [rows[i]["shape"] for i in leave or same[-1:]]
        found.append(
            {
                "form": key[0],
                "shape": max(shapes, key=lambda shape: (len(shape), shape[-1])),
                "layers": sum(rows[i]["multiply_adds"] != 0 for i in inside),
                "parameters": sum(rows[i]["parameters"] for i in inside),
            }
        )
    return pandas.DataFrame(found)


def _keys(rows, users):
    """For each layer a key that it shares with its stage alone: (form, ...)."""
    side = max(_side(row["shape"]) for row in rows if not row["sources"])
    last_map = max((i for i, r in enumerate(rows) if _form(r) != "vector"), default=-1)
    keys, key, enlarged = [], ("input",), 0
    for i, row in enumerate(rows):
        form, shape = _form(row), row["shape"]
        works = key != ("input",) or row["multiply_adds"] != 0
        enlarged += row["kind"] in ENLARGING  # the way back up has its own stages
        if form == "vector" and i > last_map and (works or last_map >= 0):
            if key[0] != "vector" or shape[-1] != rows[i - 1]["shape"][-1]:
                key = ("vector", i)
        elif form != "vector" and works:
            stride = np.ravel(row["stride"])[0]
            stride = side / _side(shape) if np.isnan(stride) else stride
            key = (form, enlarged, round(math.log2(stride)))
        keys.append(key)
    for i in reversed(range(len(rows))):
        if rows[i]["kind"] in EDGES and users[i]:
            keys[i] = keys[users[i][0]]
    for i, row in enumerate(rows):
        if row["kind"] == "DepthwiseConv2D":
            first = _widening(rows, i)
            keys[first:i] = [keys[i]] * (i - first)
    return keys


def _form(row):
    """Whether a layer's output is a "map", "tokens" or a "vector"."""
    places = math.prod(row["shape"][:-1])
    if len(row["shape"]) == 1 or (places == 1 and np.isnan(np.ravel(row["stride"])[0])):
        return "vector"  # or a map of one position, after global pooling
    return "map" if len(row["shape"]) == 3 else "tokens"


def _side(shape):
    """The side of a square of as many places, in pixels: tokens lie in one as well."""
    return math.sqrt(math.prod(shape[:-1]))


def _widening(rows, i):
    """The row that widens a map for the depthwise convolution in row i, else i."""
    first = source = rows[i]["sources"][0]
    while rows[source]["sources"] and _same_channels(rows, first, source):
        first, source = source, rows[source]["sources"][0]
    narrow, wide = rows[source]["shape"][-1], rows[first]["shape"][-1]
    return first if 3 < narrow <= wide / 3 else i  # 3 are the colours of a picture


def _same_channels(rows, i, j):
    return rows[i]["shape"][-1] == rows[j]["shape"][-1]


def _shape_texts(form, shape):
    """What stands above a box: (places, channels)."""
    if form == "vector" or len(shape) == 1:
        return "vector", f"{math.prod(shape):,}"
    if len(shape) == 2:
        return f"{shape[0]:,} tokens", f"{shape[1]:,}"
    return " × ".join(map(str, shape[:-1])), f"{shape[-1]:,}"


def _short(number):
    """A count in three digits: 812, 47 k, 1.2 M, 138 M; a dash for none."""
    for unit, size in ((" M", 1e6), (" k", 1e3)):
        if number >= size:
            return f"{number / size:.{1 if number < 10 * size else 0}f}{unit}"
    return str(number or "–")
