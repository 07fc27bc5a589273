"""Compares pictures with each other: copies, odd sizes, classes that are too small."""

import numpy as np

from cnnkit.data import duplicates

MOST_RATIO = 5  # of the largest class to the smallest
ODD_SIDE = 5  # times larger or smaller than the usual picture
ODD_SHAPE = 3  # times wider or higher than the usual picture
LEAST_SIDE = 16  # pixels
LEAST_PICTURES = 3  # of a class: one for each part


def compare(files, thumbnails):
    """Finds what only shows when pictures are seen together.

    Args:
        files: pandas.DataFrame with a row for each readable picture: path,
            label_name, part (None where the folder does not say), content_hash, width,
            height, group where groups are known, kind where there are files.
        thumbnails: uint8 array of shape (n, 16, 16, 3).

    Returns:
        A list of (code, path, other, detail): `other` is the path of the picture that
        `path` is a copy of, or None.
    """
    rows = [*_copies(files), *_alike(files, thumbnails), *_odd(files)]
    rows += _counts(files)
    rows += _formats(files) if "kind" in files else []
    return rows + (_groups(files) if "group" in files else [])


def _copies(files):
    rows = []
    same = files[files.duplicated("content_hash", keep=False)]
    for _, twins in same.groupby("content_hash", sort=False):
        first = twins.iloc[0]
        known = {
            part: path
            for path, part in zip(twins["path"], twins["part"], strict=True)
            if part in ("train", "valid")
        }
        for twin in twins.itertuples():
            for part, where in (("train", "in training"), ("valid", "in validation")):
                tested = ("valid", "test") if part == "train" else ("test",)
                if twin.part in tested and part in known:
                    detail = f"in the {twin.part} part and {where}"
                    rows.append(("copies_across_parts", twin.path, known[part], detail))
            if twin.path == first["path"]:
                continue
            if twin.label_name != first["label_name"]:
                both = f"both {first['label_name']!r} and {twin.label_name!r}"
                rows.append(("copies_across_classes", twin.path, first["path"], both))
            elif twin.part == first["part"]:
                detail = f"the same file as {first['path']!r}"
                rows.append(("copies", twin.path, first["path"], detail))
    return rows


def _alike(files, thumbnails):
    once = np.flatnonzero(~files.duplicated("content_hash"))
    pairs = once[duplicates.near_pairs(thumbnails[once])]
    if len(pairs) > len(files):
        why = "so many pictures look alike that likeness says nothing here"
        return [("alike", None, None, why)]
    paths, parts = files["path"].to_numpy(), files["part"].to_numpy()
    labels, rows, told = files["label_name"].to_numpy(), [], set()
    for i, j in pairs:
        if parts[j] == "train":
            i, j = j, i  # the picture that is tested comes second
        names = paths[j], paths[i]
        if labels[i] != labels[j]:
            both = f"{labels[i]!r} and {labels[j]!r}"
            rows.append(("alike_across_classes", *names, both))
        if parts[i] == "train" and parts[j] in ("valid", "test"):
            where = f"in the {parts[j]} part and nearly so in training"
            rows.append(("alike_across_parts", *names, where))
        elif labels[i] == labels[j] and j not in told:
            told.add(j)
            rows.append(("alike", *names, f"nearly the same as {paths[i]!r}"))
    return rows


def _odd(files):
    width, height = files["width"].to_numpy(float), files["height"].to_numpy(float)
    side, shape = np.sqrt(width * height), np.log(width / height)
    if not len(files):
        return []
    usual, usual_shape, rows = np.median(side), np.median(shape), []
    odd = np.maximum(side / usual, usual / side) > ODD_SIDE
    odd |= np.minimum(width, height) < min(LEAST_SIDE, usual / 2)
    if np.exp(abs(usual_shape)) > ODD_SHAPE:
        sides = f"usually {np.median(width):.0f} x {np.median(height):.0f} pixels"
        rows.append(("odd_shape", None, None, sides))
    bent = np.abs(shape - usual_shape) > np.log(ODD_SHAPE)
    for code, chosen in (("odd_size", odd), ("odd_shape", bent)):
        for position in np.flatnonzero(chosen):
            detail = f"{width[position]:.0f} x {height[position]:.0f} pixels"
            rows.append((code, files["path"].iloc[position], None, detail))
    return rows


def _counts(files):
    learned = files[files["part"].isna() | (files["part"] == "train")]
    counts, rows = learned["label_name"].value_counts(), []
    decided = files["part"].notna().any()
    least = 2 if decided else LEAST_PICTURES
    for name, number in counts[counts < least].items():
        rows.append(("few_pictures", name, None, f"{number} in {name!r}"))
    if len(counts) > 1 and counts.iloc[0] >= MOST_RATIO * counts.iloc[-1]:
        most, fewest = counts.index[0], counts.index[-1]
        detail = (
            f"{counts.iloc[0]:,} of {most!r} and {counts.iloc[-1]:,} of {fewest!r}: "
            f"{counts.iloc[0] / counts.iloc[-1]:.0f} to 1"
        )
        rows.append(("imbalance", fewest, None, detail))
    return rows


def _groups(files):
    known = files[files["group"].notna()]
    labels = known.groupby("group")["label_name"].nunique()
    groups = known.groupby("label_name")["group"].nunique()
    single = groups[groups == 1]
    if len(labels) < 2 or len(known) <= len(labels) or not (labels == 1).all():
        return []
    detail = f"each of {len(labels)} groups has pictures of one class alone"
    if len(single):
        detail += f"; one group holds all of {single.index[0]!r}"
    return [("group_tells_class", None, None, detail)]


def _formats(files):
    known, rows = files.groupby("label_name")["kind"].agg(["size", set]), []
    for name, (number, kinds) in known.iterrows():
        others = set(files.loc[files["label_name"] != name, "kind"])
        if number >= LEAST_PICTURES and others and not kinds & others:
            detail = f"{number:,} of {name!r} ({'; '.join(sorted(kinds)[:3])})"
            rows.append(("format_tells_class", name, None, detail))
    return rows
