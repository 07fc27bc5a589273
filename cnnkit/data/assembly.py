"""Puts an `ImageData` together: reads the files, finds what is alike, splits, says so.

`from_folder`, `from_table` and `from_arrays` find out which pictures there are; all of
them end here.
"""

from dataclasses import replace

import numpy as np

from cnnkit.data import decoding, depth, duplicates, folders, opening, stored
from cnnkit.data.comparisons import ODD_SHAPE
from cnnkit.data.image_data import ImageData
from cnnkit.data.memory import keep_freed_memory
from cnnkit.data.split import PARTS, split
from cnnkit.data.surroundings import say

NAMES = {"valid": "validation", "test": "test"}
LARGEST = 224  # pixels a side where none is asked for: what most backbones have seen


class UnreadablePictureError(ValueError):
    """Some picture files cannot be read; the message names each with its reason."""


def read(folder, files, reader, *, unreadable, memory_limit, cache):
    """Reads picture files to pixels of one size.

    Args:
        folder: `pathlib.Path`.
        files: pandas.DataFrame with the column `path`, relative to `folder`.
        reader: `Reader`, with a size or without one for the usual size.
        unreadable: str, as for `from_folder`.
        memory_limit: int, likewise.
        cache: None, str or path, likewise.

    Returns:
        The files that can be read, with the columns `content_hash`, `width` and
        `height` as well; their pixels, uint8 of shape (n, height, width, channels);
        the `Reader` that was used; sentences on what was done.

    Raises:
        ValueError: a bad argument.
        UnreadablePictureError: some files cannot be read.
    """
    keep_freed_memory()
    if unreadable not in ("error", "skip"):
        raise ValueError(
            f"`unreadable` is 'error' or 'skip'. Received: unreadable={unreadable!r}"
        )
    paths = [folder / path for path in files["path"]]
    if reader.image_size is None:
        reader = reader.sized(min(usual_side(paths), LARGEST))
    shape = (len(paths), *reader.image_size, 1 if reader.grey else 3)

    def decode(pixels):
        facts, used = decoding.decode_all(paths, pixels, reader), reader
        if reader.white is None:
            white, again = depth.one_scale(facts)
            used = replace(reader, white=white)
            again = decoding.decode_all(paths, pixels, used, again)
            facts.update(again[["traits"]])
        return facts, used

    pixels, facts, reader = stored.decoded(
        cache, paths, reader, decode, shape, memory_limit
    )
    bad = np.flatnonzero(facts["reason"].notna())
    notes = []
    if len(bad) and unreadable == "error":
        raise _unreadable(files["path"], facts["reason"])
    if len(bad):
        names = folders.few(files["path"].iloc[bad])
        notes.append(f"{len(bad)} files cannot be read and were skipped: {names}")
        kept = np.setdiff1d(np.arange(len(paths)), bad)
        for new, old in enumerate(kept):  # in place: `pixels` may lie on disk
            pixels[new] = pixels[old]
        files, facts = (t.iloc[kept].reset_index(drop=True) for t in (files, facts))
        pixels = pixels[: len(kept)]
    notes += losses(facts, reader)
    files = files.assign(**facts[["content_hash", "width", "height"]])
    return files, pixels, reader, notes


def complete(
    files,
    pixels,
    class_names,
    *,
    source,
    notes=(),
    previous=None,
    seed=0,
    together,
    reader=None,
):
    """Fills in the missing parts of the split, says what was done, returns the data.

    Args:
        files: pandas.DataFrame with path, label, split (None where it is to be
            decided), content_hash, and any further columns.
        pixels: uint8 array of shape (n, height, width, channels).
        class_names: sequence of str.
        source: str, where the pictures come from.
        notes: sentences on what was done before.
        previous: manifest of an earlier split, or None.
        seed: int, of the split.
        together: "alike" keeps near duplicates on one side, "same" only copies.
        reader: `Reader` of the files, or None where there are none.

    Returns:
        `ImageData`.

    Raises:
        ValueError: a bad argument.
    """
    if together not in ("alike", "same"):
        raise ValueError(
            "`together` is 'alike' (near duplicates stay on one side) or 'same' (only "
            f"copies). Received: together={together!r}"
        )
    height, width, channels = (int(side) for side in pixels.shape[1:])
    colour = "grey" if channels == 1 else "RGB"
    if together == "alike":
        files, more = _with_alike(files, pixels, reader)
        notes = [*notes, *more]
    files, how = _parts(files, previous, seed)
    sizes = files["split"].value_counts()
    notes = (
        f"{len(files):,} pictures of {len(class_names)} classes, "
        f"{height} x {width} pixels, {colour}",
        *notes,
        f"{how}: " + ", ".join(f"{sizes.get(part, 0):,} {part}" for part in PARTS),
        *_across(files),
        *_untested(files, class_names),
    )
    for note in notes:
        say(f"{source!r}: {note}")
    first = ["path", "label", "split", "group", "content_hash", "alike"]
    order = [c for c in first if c in files] + [c for c in files if c not in first]
    shape = (height, width, channels)
    return ImageData(
        tuple(class_names), shape, files[order], pixels, source, notes, reader
    )


def usual_side(paths):
    """Returns the usual longer side in pixels, at least 28, from 200 pictures.

    Args:
        paths: list of `pathlib.Path`.
    """
    lengths = []
    for path in paths[:: max(1, len(paths) // 200)]:
        try:
            lengths.append(max(opening.open_picture(path.read_bytes()).size))
        except (OSError, ValueError):
            continue  # `decode_all` names it
    return max(28, int(np.median(lengths))) if lengths else LARGEST


def losses(facts, reader):
    """Says in sentences what reading did to pictures of another form."""
    notes, traits = [], facts["traits"].explode().value_counts()
    (height, width), background = reader.image_size, reader.background
    aspect = facts["width"] / facts["height"] / (width / height)
    stretch = np.maximum(aspect, 1 / aspect)  # 2: twice as wide, or high, as wanted
    others = int((stretch > 1.01).sum())
    if others:
        far = np.median(stretch) > ODD_SHAPE
        lost = 1 - 1 / stretch
        share = f"{lost.mean():.0%} on average, {lost.max():.0%} at most"
        loss = {
            "resize": f"squeezed, by a factor of up to {stretch.max():.2f}",
            "crop": f"cut; of their area is lost: {share}",
            "pad": f"padded; of their pixels are {background}: {share}",
        }[reader.fit]
        notes.append(
            f"{others:,} of {len(facts):,} pictures have another shape and were {loss}"
            + ("; fit='pad' keeps shapes" if far and reader.fit == "resize" else "")
        )
    small = int(((facts["width"] < width) & (facts["height"] < height)).sum())
    if small:
        notes.append(f"{small:,} pictures are smaller than this and were enlarged")
    for trait, number in traits.sort_index().items():
        done = decoding.TRAITS[trait]
        done = done.format(
            background=background, white=depth.scale(reader.white or 255)
        )
        notes.append(f"{number:,} pictures {done}")
    return notes


def _with_alike(files, pixels, reader):
    """The files with the number of their group of near duplicates, and what to say."""
    images = pixels
    if reader is not None and reader.fit == "pad":  # a border says nothing of likeness
        sizes = zip(files["width"], files["height"], strict=True)
        images = [
            decoding.without_padding(image, size)
            for image, size in zip(pixels, sizes, strict=True)
        ]
    pairs = duplicates.near_pairs(duplicates.fingerprints(images))
    if len(pairs) > len(files):
        return files, [
            "so many pictures look alike that likeness cannot guide the split; only "
            "exact copies stay together. If they are frames of films, name the films "
            "with groups="
        ]
    files = files.assign(alike=duplicates.components(len(files), pairs))
    number = len(np.unique(pairs))
    said = f"{number:,} pictures have a near duplicate; those stay on one side"
    return files, [said] if number else []


def _parts(files, previous, seed):
    """Decides what is not decided yet: the files with `split`, and how it was done."""
    files, given = files.copy(), set(files["split"].dropna())
    open_rows, how = files["split"].isna(), []
    if "valid" in given and "test" not in given:
        files.loc[files["split"] == "valid", "split"] = "test"
        how.append("val is the test part")
    need = [part for part in ("valid", "test") if part not in set(files["split"])]
    if need:
        open_rows |= files["split"] == "train"
    if len(need) == 2:
        how.append("each class was split 70/15/15")
    elif need:
        how.append(f"a {NAMES[need[0]]} part was cut from train")
    else:
        how.append("the given split into train, valid and test was kept")
        if open_rows.any():
            how.append(f"{open_rows.sum():,} pictures without one were split 70/15/15")
    if previous is not None:
        how.append("known pictures stayed where they were")
    if open_rows.any():
        shares = {part: 0.15 if part in need or not need else 0 for part in NAMES}
        done = split(
            files[open_rows], valid=shares["valid"], test=shares["test"],
            previous=previous, seed=seed,
        )  # fmt: skip
        files.loc[open_rows, "split"] = done["split"]
    if "train" not in set(files["split"]):
        raise ValueError(
            "There must be pictures to learn from. Received: pictures for "
            f"{sorted(given)} alone"
        )
    return files, "; ".join(how)


def _across(files):
    """Says how much of the test part is known from training, by belonging together."""
    notes = []
    what = {
        "content_hash": "exact copies of training pictures",
        "alike": "near duplicates of training pictures",
        "group": "in groups that are in training as well",
    }
    for column, words in what.items():
        if column in files:
            known = set(files.loc[files["split"] == "train", column].dropna())
            tested = files.loc[files["split"] == "test", column]
            number = int(tested.isin(known).sum())
            if number and not (column == "alike" and len(notes)):
                notes.append(
                    f"of the {len(tested):,} test pictures {number:,} are {words}, so "
                    "scores will look better than they are; data.check names them"
                )
    return notes


def _untested(files, class_names):
    """Says which classes have no test picture, so that no score is about them."""
    known = {part: set(files.loc[files["split"] == part, "label"]) for part in NAMES}
    if nowhere := [NAMES[part] for part in NAMES if not known[part]]:
        grouped = " or groups" if "group" in files else ""
        return [
            f"no {' and no '.join(nowhere)} picture, so nothing can be measured: each "
            f"class needs three pictures{grouped} that do not belong together"
        ]
    without = [i for i in range(len(class_names)) if i not in known["test"]]
    if not without or not known["test"]:
        return []
    names = folders.few(class_names[i] for i in without)
    also = "" if known["valid"].intersection(without) else " and no validation picture"
    return [f"no test picture{also} of {names}: no score says how well that is known"]


def _unreadable(names, reasons):
    """The error that names every unreadable file with its reason."""
    bad = reasons.notna()
    both = zip(names[bad][:20], reasons[bad][:20], strict=True)
    lines = [f"  {name!r}: {reason}" for name, reason in both]
    if bad.sum() > 20:
        lines.append(f"  ... and {bad.sum() - 20} more")
    return UnreadablePictureError(
        f"{bad.sum()} of {len(names)} picture files cannot be read. Repair or remove "
        "them, or go on without them with unreadable='skip'. Received:\n"
        + "\n".join(lines)
    )
