"""Finds the classes and picture files of a folder, and says what was left out."""

import difflib
import os
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cnnkit.data import layouts, reading


@dataclass(frozen=True)
class Survey:
    """What a folder holds, found without opening a picture.

    Attributes:
        root: `pathlib.Path` of the folder; all paths below are relative to it, as str
            with forward slashes.
        class_folders: pandas.DataFrame, a row for each class folder, also an empty
            one: path, class (the name in Unicode form NFC), part ("train", "valid",
            "test", or None where the folder does not say).
        files: pandas.DataFrame, a row for each picture file: path, class, part,
            group (the folders inside its class folder that it lies in, or None).
        left_out: pandas.DataFrame, a row for each file or folder that is not read:
            path, why (a key of `reading.LEFT_OUT`).
        said: list of str, how the folders were understood.
        problem: str, what a person must say or mend first, or "".
    """

    root: Path
    class_folders: pd.DataFrame
    files: pd.DataFrame
    left_out: pd.DataFrame
    said: list
    problem: str


def existing(folder):
    """Returns the folder as a full path, or an error that suggests near names."""
    folder = Path(folder).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if folder.exists():
        raise ValueError(
            "A folder with one subfolder for each class is needed, or a .zip or .tar "
            f"of such a folder. Received: the file {str(folder)!r}"
        )
    siblings = folder.parent.iterdir() if folder.parent.is_dir() else ()
    near = difflib.get_close_matches(folder.name, [p.name for p in siblings])
    hint = f" Near names there: {', '.join(map(repr, near))}." if near else ""
    raise FileNotFoundError(f"There is no such folder.{hint} Received: {str(folder)!r}")


def only_folder(folder):
    """The one folder of folders that an archive holds, or the folder itself."""
    return folder.joinpath(*_walk(folder)[0].bottom(()))


def survey(folder, *, labels=None, links=None):
    """Returns the `Survey` of a folder; labels and links as for `data.from_folder`."""
    if not (callable(labels) or labels in (None, "first", "last", "name")):
        raise ValueError(
            "`labels` is None, 'first' (the outer folder names the class), 'last' (the "
            "folder that holds the picture), 'name' (the file's name before its "
            f"number) or a function of the path. Received: labels={labels!r}"
        )
    links = None if links is None else existing(links)
    tree, pictures, masks, left_out, aside = _walk(folder, links)
    layout = layouts.find(tree)
    said, problem = [*layout.said], "" if labels else layout.problem
    by_folder, classes, files = labels in (None, "first"), {}, []
    if by_folder:
        for names, about in layout.classes.items():
            classes[relative(folder.joinpath(*names), folder)] = about
    for path, names in pictures.items():
        found = None if names in masks else layouts.place(names, layout, labels)
        if found is None:
            left_out.append((path, "mask" if names in masks else "loose"))
            continue
        if not by_folder:
            classes["/".join(filter(None, found[1::-1]))] = found[:2]
        files.append((relative(path, folder), *found))
    learned = {name for name, part in classes.values() if part in (None, "train")}
    if len(learned) < 2 and not problem:
        problem = (
            "A classifier needs at least two classes: put the pictures of each class "
            f"into a subfolder of {folder.name!r} that has the name of the class"
        )
    known = {path.with_suffix("") for path in pictures}
    boxes = [p for p, why in left_out if why == "format" and p.with_suffix("") in known]
    if problem and (aside or masks or len(boxes) > len(pictures) / 2):
        problem += (
            ". It looks like data for detection or segmentation, as there are masks or "
            "boxes: cnnkit learns one class for each whole picture"
        )
    elif aside and not masks:
        said.append(f"masks or boxes are left out: {few(map('/'.join, aside))}")
    if labels is None and not problem:
        said += [
            f"{name!r} counts as a class; if it is a part of a split, make train, val "
            "and test with a folder for each class in each of them"
            for name, part in classes.values()
            if part is None and layouts.part_of(name)[0]
        ]
    if problem and labels != "name":
        problem += _in_names(pictures.values())
    left_out = [(relative(path, folder), why) for path, why in sorted(left_out)]

    def table(rows, *columns):
        return pd.DataFrame(rows, columns=["path", *columns], dtype=object)

    return Survey(
        folder,
        table([(path, *about) for path, about in classes.items()], "class", "part"),
        table(files, "class", "part", "group"),
        table([(p, why) for p, why in left_out if p not in classes], "why"),
        said,
        problem,
    )


def _walk(folder, links=None):
    """A folder as a `layouts.Tree`, its pictures, masks, all else, mask folders."""
    paths, left_out = reading.picture_files(folder, folder, links)
    pictures = {path: path.relative_to(folder).parts for path in paths}
    programs = {path.parent for path, why in left_out if why == "program"}
    others = {path if why == "empty" else path.parent for path, why in left_out}
    others = {path.relative_to(folder).parts for path in others - programs}
    tree, masks, aside = layouts.without_masks(list(pictures.values()), others)
    return tree, pictures, masks, left_out, aside


def _in_names(pictures):
    """The offer to take the classes from the names of the files, if they tell."""
    found = Counter(layouts.from_file(names) for names in pictures)
    del found[""]
    if not 2 <= len(found) <= sum(found.values()) / 2:
        return ""
    counts = ", ".join(f"{name!r} {number}" for name, number in found.most_common(5))
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return (
        ". If the names of the files say the class, write labels='name', which finds "
        f"{counts}{more}"
    )


def scan(folder, *, labels=None, links=None):
    """Finds the picture files of each class, or says why that cannot be done.

    Args:
        folder: `pathlib.Path` from `existing`.
        labels: as for `data.from_folder`.
        links: likewise.

    Returns:
        A table with the columns path (relative to `folder`), label, split (None
        where the folder does not say) and group (the folders inside the class
        folder); the class names in order; sentences on what was found and left out.
    """
    found = survey(folder, labels=labels, links=links)
    denied = found.left_out.loc[found.left_out["why"] == "denied", "path"]
    if len(denied):
        raise PermissionError(
            "Every folder must be readable, or its pictures would be missing without "
            f"a word; change its permissions. Received: {few(denied)}"
        )
    classes = found.class_folders
    learned = in_order(classes.loc[classes["part"].isin((None, "train")), "class"])
    if found.problem:
        reasons = ("link", "lost", "mask", "name", "unread")
        missing = found.left_out[found.left_out["why"].isin(reasons)]
        raise ValueError(
            f"{found.problem}. Received: {len(learned)} class folders "
            f"[{few(learned)}], and {len(found.files)} picture files in them"
            + "".join(f"; {note}" for note in notes(found, missing))
        )
    for clash in same_looking(found):
        raise ValueError(
            "These class folders have names that differ only by case, width, spaces "
            "or Unicode form, so they are probably one class: rename or join them. "
            f"Received: {few(clash)}"
        )
    unlearned = classes.loc[~classes["class"].isin(learned)]
    for path, part in zip(unlearned["path"], unlearned["part"], strict=True):
        raise ValueError(
            f"The {part} part has a class that is not in training, so it can never be "
            f"predicted: add it to training or remove it. Received: {path!r}"
        )
    files = pd.DataFrame(
        {
            "path": found.files["path"].astype(str),
            "label": found.files["class"].map(learned.index).astype(int),
            "split": found.files["part"],
            "group": found.files["group"],
        }
    )
    check_classes(files, learned, folder, found)
    return files, tuple(learned), [*found.said, *notes(found, found.left_out)]


def in_order(names):
    """Class names in the order of the alphabet, or of the numbers that they all are."""
    names = sorted(set(names))
    are_numbers = all(name.isascii() and name.isdecimal() for name in names)
    return sorted(names, key=int) if are_numbers else names


def same_looking(found):
    """Lists of paths of class folders whose names a person would take for one."""
    looks = {}  # what is seen: the names as they are written: paths
    for path, label in found.class_folders[["path", "class"]].itertuples(index=False):
        forms = [n for n in path.split("/") if unicodedata.normalize("NFC", n) == label]
        seen = looks.setdefault(look(label), {})
        seen.setdefault(forms[-1] if forms else label, []).append(path)
    return [sorted(sum(n.values(), [])) for n in looks.values() if len(n) > 1]


def look(name):
    """What a person sees of a name: no case, width, spaces or Unicode form."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def check_classes(files, class_names, folder, found=None):
    """Raises ValueError, naming each class that has no pictures to learn from."""
    with_pictures = set(files.loc[files["split"] != "test", "label"])
    empty = [n for i, n in enumerate(class_names) if i not in with_pictures]
    if empty:
        raise ValueError(
            "Each class needs pictures to learn from: add some, or remove the class. "
            f"Received: no picture that can be read in {folder.name!r} for {few(empty)}"
            + (instead(found, empty[0]) if found else "")
        )


def instead(found, name):
    """What lies in the folder of a class in place of pictures that can be read."""
    classes, left_out = found.class_folders, found.left_out
    here = tuple(f"{path}/" for path in classes.loc[classes["class"] == name, "path"])
    mine = left_out[left_out["path"].astype(str).str.startswith(here)]
    return "".join(f"; {note}" for note in notes(found, mine))


def few(names):
    """Returns the first ten names as text, safe to print, and how many more."""
    names = list(names)
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(repr, names[:10])) + more


def relative(path, folder):
    r"""A path inside a folder with forward slashes; no UTF-8 is written as \xNN."""
    name = path.relative_to(folder).as_posix()
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _kinds(paths):
    kinds = Counter(Path(path).suffix.lower() or "no suffix" for path in paths)
    return ", ".join(f"{kind} {number}" for kind, number in kinds.most_common(5))


def notes(found, left_out):
    """Sentences on what of a `Survey` was left out, one for each reason."""
    said = []
    for why, group in left_out.groupby("why", sort=False):
        offer = f" ({offer_links(found)})" if why == "link" else ""
        said.append(
            f"{len(group)} left out ({_kinds(group['path'])}), "
            f"{reading.LEFT_OUT[why]}{offer}: {few(group['path'])}"
        )
    return said


def offer_links(found):
    """The option that would follow the links, as it names where they lead to."""
    paths = found.left_out.loc[found.left_out["why"] == "link", "path"]
    places = {(found.root / path).resolve() for path in paths}
    places = {place if place.is_dir() else place.parent for place in places}
    place = os.path.commonpath(places) if places else ""
    if place in ("", os.sep):  # nothing, or anything at all
        return "put the pictures themselves there"
    return f"to follow those that stay inside it: links={place!r}"
