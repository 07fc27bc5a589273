"""Says what is wrong with a folder of pictures before anything is learnt from it."""

from pathlib import Path

import numpy as np
import pandas as pd

from cnnkit.data import (
    archives,
    comparisons,
    folders,
    layouts,
    looks,
    manifests,
    reading,
)
from cnnkit.data import quarantine as quarantining
from cnnkit.data.codes import CODES, SEVERITIES
from cnnkit.data.image_data import ImageData

COLUMNS = ["code", "severity", "path", "other", "detail", "remedy"]
LEFT_OUT = {  # the codes of what is not read; all else is "ignored"
    "denied": "no_permission", "link": "link", "loose": "loose_file", "lost": "link",
    "mask": "mask", "name": "odd_name", "special": "special_file",
    "unread": "unread_picture",
}  # fmt: skip
MOST_NAMES = 3  # in the summary, of each code


def check(
    pictures, *, labels=None, links=None, quarantine=None, move=False, verbose=True
):
    """Looks for what is wrong with pictures, their folders and their split.

    Every file is opened and decoded; nothing is changed, unless `move` is True.

    Args:
        pictures: str or path of a folder with a subfolder for each class (or with
            train, val and test), or of an archive of one; or an `ImageData`, of which
            the pixels, the copies, the groups and the split are looked at.
        labels: of a folder, as for `from_folder`.
        links: likewise.
        quarantine: None, or the path of a folder beside the one that is checked. A
            list of the files that cannot be used (unreadable, blank, spare copies) is
            written there as plan.csv. `move=True` then moves them; lines that you
            have taken out of the plan stay. `data.restore(folder, quarantine)` brings
            all back.
        move: bool, moves the files that the plan names.
        verbose: bool, prints a summary.

    Returns:
        pandas.DataFrame with a row for each finding, the worst first: code (a key of
        `data.CODES`), severity ("error", "warning", "note"), path (of the file, folder
        or class, or None for the whole), other (the path of its copy, or None),
        detail, remedy.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it is a file that is no archive, or the quarantine cannot be used.

    Example:
        >>> findings = data.check("photos")
        >>> findings[findings["severity"] == "error"]
    """
    if isinstance(pictures, ImageData):
        if quarantine is not None:
            raise ValueError(
                "Only files can be moved: check the folder itself. Received: "
                "quarantine with an ImageData"
            )
        rows, source = _of_data(pictures), pictures.source
        number, num_classes = len(pictures.manifest), pictures.num_classes
    else:
        if quarantine is not None and archives.is_archive(pictures):
            raise ValueError(
                "Files in an archive are not moved: unpack it with data.unpack and "
                f"check the folder. Received: {str(pictures)!r}"
            )
        with archives.as_folder(pictures) as (folder, source, _):
            found = folders.survey(folder, labels=labels, links=links)
            rows = [*_of_survey(found), *_of_files(found)]
        number, num_classes = len(found.files), found.class_folders["class"].nunique()
    table = _table(rows)
    if verbose:
        print(summary(table, source, number, num_classes))
    if quarantine is not None:
        _set_apart(table, pictures, quarantine, move)
    return table


def summary(findings, source, num_pictures, num_classes):
    """Says in words what was found, so that a beginner knows what to do.

    Args:
        findings: table from `check`.
        source: str, the name of the folder.
        num_pictures: int, the picture files that were looked at.
        num_classes: int.

    Returns:
        A str of a few lines.
    """
    lines = [
        f"{source!r}: {num_pictures:,} pictures of {num_classes:,} classes checked"
    ]
    for severity, title in SEVERITIES.items():
        chosen = findings[findings["severity"] == severity]
        if not len(chosen):
            continue
        lines.append(f"{severity}s: {title}")
        for code, group in chosen.groupby("code", sort=False):
            lines.append(f"  {len(group):,} x {CODES[code].meaning}: {_names(group)}")
            lines.append(f"      -> {CODES[code].remedy}")
    if len(lines) == 1:
        lines.append("nothing is wrong with them")
    return "\n".join(lines)


def save(findings, path):
    """Writes findings as a CSV file that is safe to open in a spreadsheet.

    Args:
        findings: table from `check`.
        path: str or path, ending in .csv; an older file of that name is replaced.

    Returns:
        The `pathlib.Path` of the file.

    Raises:
        ValueError: `path` does not end in .csv.
    """
    return manifests.write_csv(findings, path)


def _names(group):
    """A few of the names with the details, safe to print."""
    said = []
    for row in group.head(MOST_NAMES).itertuples():
        other = f" and {row.other!r}" if isinstance(row.other, str) else ""
        detail = row.detail if not isinstance(row.path, str) or not other else ""
        if isinstance(row.path, str):
            detail = f" ({detail})" if detail else ""
            said.append(f"{row.path!r}{other}{detail}")
        else:
            said.append(detail)
    more = len(group) - MOST_NAMES
    return "; ".join(said) + (f"; and {more:,} more" if more > 0 else "")


def _table(rows):
    table = pd.DataFrame(
        rows, columns=["code", "path", "other", "detail"], dtype=object
    )
    table["severity"] = [CODES[code].severity for code in table["code"]]
    table["remedy"] = [CODES[code].remedy for code in table["code"]]
    order = {code: position for position, code in enumerate(CODES)}
    rank = [
        (list(SEVERITIES).index(s), order[c])
        for s, c in zip(table["severity"], table["code"], strict=True)
    ]
    table = table.iloc[sorted(range(len(rank)), key=rank.__getitem__)]
    return table[COLUMNS].reset_index(drop=True)


def _of_survey(found):
    """What the names of files and folders say."""
    rows, classes = [], found.class_folders
    learned = set(classes.loc[classes["part"].isin((None, "train")), "class"])
    if found.problem:
        number = f"{len(learned)} class folders, {len(found.files)} pictures"
        rows.append(("unclear_classes", None, None, f"{found.problem} ({number})"))
    for clash in folders.same_looking(found):
        rows += [("same_looking_names", path, None, "") for path in clash]
    for row in classes[["path", "class", "part"]].itertuples(index=False):
        path, name, part = row
        mine = (found.files["class"] == name) & (found.files["part"].isin([part]))
        if part in (None, "train") and not mine.any():
            instead = folders.instead(found, name)
            rows.append(("empty_class", path, None, instead.removeprefix("; ")))
        if part in ("valid", "test") and name not in learned:
            rows.append(("unknown_class", path, None, f"in the {part} part"))
        if part is None and not found.problem and layouts.part_of(name)[0]:
            rows.append(("part_as_class", path, None, ""))
    offer = folders.offer_links(found)
    for path, why in found.left_out[["path", "why"]].itertuples(index=False):
        detail = reading.LEFT_OUT[why] if why not in LEFT_OUT or why == "lost" else ""
        detail = offer if why == "link" else detail
        rows.append((LEFT_OUT.get(why, "ignored"), path, None, detail))
    nested = found.files[found.files["group"].notna()]
    for name, mine in nested.groupby("class") if not found.problem else ():
        groups = mine["group"].unique()
        detail = f"{len(mine)} pictures, inner folders: {len(groups)}, "
        rows.append(("nested", name, None, detail + folders.few(groups[:3])))
    return rows


def _of_files(found):
    """What the pictures themselves say."""
    files = found.files.drop(columns="group").rename(columns={"class": "label_name"})
    seen = looks.look_at_files([found.root / path for path in files["path"]])
    files["content_hash"] = [look.content_hash for look in seen]
    files["width"] = [look.width for look in seen]
    files["height"] = [look.height for look in seen]
    files["kind"] = [look.kind for look in seen]
    rows = _seen(files["path"], seen)
    good = np.array([look.thumbnail is not None for look in seen], bool)
    readable = set(files.loc[good & (files["part"] != "test"), "label_name"])
    for name in sorted(set(files["label_name"]) - readable):
        part = files.loc[files["label_name"] == name, "part"].iloc[0]
        if part in (None, "train"):
            rows.append(("empty_class", name, None, "none of its files can be read"))
    thumbnails = [look.thumbnail for look in seen if look.thumbnail is not None]
    return rows + _compared(files[good].reset_index(drop=True), thumbnails)


def _of_data(photos):
    """What the pixels and the manifest of an `ImageData` say."""
    names = np.array(photos.class_names, dtype=object)
    files = photos.manifest.reset_index(drop=True)
    files = files.assign(label_name=names[files["label"]], part=files["split"])
    for column, side in (("height", 0), ("width", 1)):
        if column not in files:
            files[column] = photos.image_shape[side]
    seen = looks.look_at_pixels(photos.pixels)
    rows = _seen(files["path"], seen)
    for name in sorted(
        set(names) - set(files.loc[files["part"] == "train", "label_name"])
    ):
        rows.append(("empty_class", name, None, "not in the train part"))
    return rows + _compared(files, [look.thumbnail for look in seen])


def _seen(paths, seen):
    """The findings on single pictures."""
    return [
        (code, path, None, detail)
        for path, look in zip(paths, seen, strict=True)
        for code, detail in look.codes
    ]


def _compared(files, thumbnails):
    if not len(files):
        return []
    return comparisons.compare(files, np.stack(thumbnails))


def _set_apart(table, folder, place, move):
    """Writes the plan, or carries it out; says what was done."""
    plan = None
    if not move or not (Path(place).expanduser() / quarantining.PLAN).is_file():
        plan = quarantining.write_plan(table, folder, place)
        if plan is None:
            print("there is no file to move")
            return
    if move:
        moved = quarantining.move(folder, place)
        print(
            f"{len(moved)} files were moved to {str(place)!r}; data.restore(folder, "
            "quarantine), or --undo in the terminal, brings them back"
        )
    else:
        print(
            f"what would be moved is listed in {str(plan)!r}: take out the lines of "
            "files that should stay, then move with move=True, or --move"
        )
