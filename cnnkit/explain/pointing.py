"""Where heat lies: on the thing, by a known mask, or on something beside it."""

import numpy as np
import pandas as pd
from scipy import stats

DENSE = 2  # so many times as much heat for a pixel is more than a stray leaf


def pointing_game(heat, masks):
    """Counts how often the hottest pixel of a picture lies on the thing.

    Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016,
    https://arxiv.org/abs/1608.00507 (section 4.1; without its margin of 15 pixels).

    Args:
        heat: float array of shape (n, h, w).
        masks: bool array of shape (n, h, w), True on the thing; no mask is empty.

    Returns:
        A `pandas.Series`: "share" of pictures that hit, its Wilson interval "low" and
        "high" (95 %), "chance", the share that a pixel drawn at random would hit, and
        "pictures", how many. Heat without a highest pixel misses.

    Raises:
        ValueError: shapes differ, or a mask is empty.

    Example:
        >>> pointing_game(grad_cam(model, drawn.images), drawn.masks > 0)["share"]
    """
    heat, masks = np.asarray(heat), np.asarray(masks)
    fits = heat.ndim == 3 and heat.shape == masks.shape and masks.dtype == bool
    if not fits or not len(heat) or not masks.any(axis=(1, 2)).all():
        raise ValueError(
            "`masks` must be True or False for each pixel of `heat`, shape (n, h, w), "
            "and True somewhere in each picture; leave out pictures without the thing. "
            f"Received: shapes {heat.shape} and {masks.shape}, dtype {masks.dtype}"
        )
    n = len(heat)
    flat = heat.reshape(n, -1)
    hits = masks.reshape(n, -1)[np.arange(n), flat.argmax(axis=1)]
    hits &= flat.max(axis=1) > flat.min(axis=1)
    ends = stats.binomtest(int(hits.sum()), n).proportion_ci(method="wilson")
    values = [hits.mean(), ends.low, ends.high, masks.mean(), n]
    return pd.Series(values, ["share", "low", "high", "chance", "pictures"])


def shortcuts(
    heat, labels, class_names, *, region=None, border=0.15, replicates=1000, seed=0
):
    """Finds classes that are recognised by something beside the thing.

    A logo in the corner, the colour of the sky: a model takes the easiest clue, and
    then its heat lies where no thing is. Along the border of the picture there are
    four corners and four edges. For each class this finds the one with the densest
    heat; or it looks at a region that you give.

    Args:
        heat: float array of shape (n, h, w); negative values count as 0.
        labels: int array of shape (n,), the classes that were explained.
        class_names: one str a class.
        region: bool array of shape (h, w) or (n, h, w), True where heat would be
            suspicious, such as all but the thing: `drawn.masks == 0`. None looks at
            corners and edges.
        border: float between 0 and 0.5, their width as a share of the picture's side.
        replicates: int, bootstrap samples, 100 or more.
        seed: int, for the bootstrap.

    Returns:
        A `pandas.DataFrame`, a row for each class with heat, the worst first: "place",
        such as "top left", or "region"; "share", how much of the heat lies there (the
        mean over the pictures), with its bootstrap interval "low" and "high" (95 %);
        "area", the place's share of the pixels; "density", heat for each pixel there
        over heat for each pixel elsewhere; "pictures"; and "suspect": whether the
        density is over 2 even for a share of "low", in 5 pictures or more.

    Raises:
        ValueError: shapes, labels, border or replicates are not as above.

    Example:
        >>> shortcuts(grad_cam(model, images, classes=labels), labels, class_names)
    """
    heat, labels = np.asarray(heat, "float64").clip(min=0), np.asarray(labels)
    n, most = len(labels), len(class_names) - 1
    whole = labels.shape == heat.shape[:1] and labels.dtype.kind in "iu" and n > 0
    if heat.ndim != 3 or not whole or labels.min() < 0 or labels.max() > most:
        raise ValueError(
            "`heat` must have shape (n, h, w), and `labels` be n positions in "
            f"`class_names`, 0 to {most}. Received: shapes {heat.shape} and "
            f"{labels.shape}, labels of dtype {labels.dtype}"
        )
    if not 0 < border < 0.5 or replicates < 100:
        raise ValueError(
            "`border` must lie between 0 and 0.5, and `replicates` be 100 or more. "
            f"Received: border={border!r}, replicates={replicates!r}"
        )
    places = _border(heat.shape[1:], border) if region is None else {"region": region}
    for place in places.values():
        shape, kind = np.shape(place), np.asarray(place).dtype.kind
        if shape not in (heat.shape, heat.shape[1:]) or kind != "b":
            raise ValueError(
                f"`region` must be True or False for each pixel, shape {heat.shape} or "
                f"{heat.shape[1:]}. Received: shape {shape}, dtype of kind {kind!r}"
            )
    total, rng, rows = heat.sum(axis=(1, 2)), np.random.default_rng(seed), []
    for label in np.unique(labels[total > 0]):
        chosen = (labels == label) & (total > 0)
        count = chosen.sum()
        draws = rng.integers(0, count, (replicates, count))
        found = []
        for name, place in places.items():
            inside = np.broadcast_to(place, heat.shape)[chosen]
            shares = (heat[chosen] * inside).sum(axis=(1, 2)) / total[chosen]
            low, high = np.quantile(shares[draws].mean(axis=1), [0.025, 0.975])
            share, area = shares.mean(), inside.mean()
            suspect = bool(_density(low, area) > DENSE and count >= 5)
            density = _density(share, area)
            row = [class_names[label], name, share, low, high, area, density, count]
            found.append([*row, suspect])
        rows.append(max(found, key=lambda row: (row[-1], row[6])))
    columns = ["class", "place", "share", "low", "high", "area", "density", "pictures"]
    table = pd.DataFrame(rows, columns=[*columns, "suspect"]).set_index("class")
    return table.sort_values(["suspect", "density"], ascending=False, kind="stable")


def _density(share, area):
    """Heat for each pixel inside over that outside."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(share * (1 - area), (1 - share) * area))


def _border(size, border):
    """The corners and edges of a picture, as {"top left": bool array of its size}."""
    high, wide = (max(1, round(border * side)) for side in size)
    rows = {"top": slice(0, high), "": slice(high, -high), "bottom": slice(-high, None)}
    columns = {"left": slice(0, wide), "": slice(wide, -wide)}
    columns["right"] = slice(-wide, None)
    places = {}
    for above, row in rows.items():
        for beside, column in columns.items():
            place = np.zeros(size, bool)
            place[row, column] = True
            places[f"{above} {beside}".strip()] = place
    del places[""]  # the middle
    return places
