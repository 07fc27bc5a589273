"""Where a value stands: in a map, or among neighbours in a row."""

from cnnkit.plots.tables import MOST_NUMBERS


def grid(array):
    """Returns any output as maps: tokens stand in rows, units in one place.

    Args:
        array: float array of shape (rows, columns, channels), (tokens, channels) or
            (units,); what has more axes has its places in one row after the other.

    Returns:
        Array of shape (rows, columns, channels).
    """
    if array.ndim == 3:
        return array
    return array.reshape(-1, 1, array.shape[-1])


def sums(x):
    """Returns what a layer has before its activation.

    Args:
        x: `running.Passed`.
    """
    return x.output if x.before is None else x.before


def cell(row, column):
    """Returns the frame around one value: (top, left, bottom, right).

    Args:
        row: int.
        column: int.
    """
    return row, column, row + 1, column + 1


def around(array, at, title, said):
    """Makes a panel of the map in which a value stands, or of its neighbours in a row.

    Args:
        array: float array, what goes into a layer or comes out of it.
        at: (row, column, channel) in `grid(array)`.
        title: str.
        said: str, below the panel.

    Returns:
        A tuple for `plots.unit_maps`.
    """
    row, column, channel = at
    if array.ndim == 3 and array.shape[0] * array.shape[1] > 1:
        return array[..., channel], title, said, cell(row, column), False
    table = array.reshape(-1, array.shape[-1])
    first = max(0, min(channel - MOST_NUMBERS // 2, table.shape[1] - MOST_NUMBERS))
    part = table[[row], first : first + MOST_NUMBERS]
    told = f"{title}: units {first} to {first + part.shape[1] - 1}"
    return part, told, said, cell(0, channel - first), False
