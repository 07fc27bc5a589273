"""Takes bad files out of a folder and brings them back: a plan, a move, an undo.

The plan is a CSV file that a person can read and shorten before anything is moved.
Files keep their place: FOLDER/cat/1.jpg goes to QUARANTINE/cat/1.jpg.
"""

import csv
import shutil
from pathlib import Path, PurePosixPath

from cnnkit.data import folders
from cnnkit.data.codes import CODES

PLAN = "plan.csv"


def write_plan(findings, folder, quarantine):
    """Writes which files would be moved; moves nothing.

    Args:
        findings: pandas.DataFrame from `data.check`.
        folder: str or path of the folder that was checked.
        quarantine: str or path of a folder that is new, empty or holds a plan alone.

    Returns:
        The `pathlib.Path` of the plan, or None where there is nothing to move.

    Raises:
        ValueError: `quarantine` lies in `folder`, or has other files in it.
    """
    folder, quarantine = _both(folder, quarantine)
    movable = [code for code in CODES if CODES[code].movable]
    bad = findings[findings["code"].isin(movable)].drop_duplicates("path")
    moved = [p for p in quarantine.glob("*") if p.name != PLAN]
    if moved:
        raise ValueError(
            "Files were moved there before: bring them back with restore (or "
            f"--undo), or name another folder. Received: {str(quarantine)!r} with "
            f"{folders.few([p.name for p in moved])}"
        )
    if not len(bad):
        return None
    quarantine.mkdir(parents=True, exist_ok=True)
    temporary = quarantine / f".{PLAN}.part"
    with temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "code", "detail"))
        for row in bad.itertuples():  # with ./ no name looks like a formula
            rows.writerow((f"./{row.path}", row.code, f"({row.detail})"))
    return temporary.replace(quarantine / PLAN)


def move(folder, quarantine):
    """Moves the files that the plan names, and no others.

    Args:
        folder: str or path of the folder that was checked.
        quarantine: str or path of the folder with the plan.

    Returns:
        A list of the paths in the folder (str) that were moved.

    Raises:
        FileNotFoundError: there is no plan.
        FileExistsError: a file is in the quarantine already; it is not overwritten.
        ValueError: the plan names a path that leads out of the folder.
    """
    folder, quarantine = _both(folder, quarantine)
    return _carry(_read_plan(folder, quarantine), folder, quarantine)


def restore(folder, quarantine):
    """Brings back all files that `move` took away, then removes the plan.

    Args:
        folder: str or path of the folder that was checked.
        quarantine: str or path of the folder with the plan.

    Returns:
        A list of the paths in the folder (str) that came back.

    Raises:
        FileNotFoundError: there is no plan.
        FileExistsError: another file has taken a place; it is not overwritten.
        ValueError: the plan names a path that leads out of the folder.
    """
    folder, quarantine = _both(folder, quarantine)
    back = _carry(_read_plan(folder, quarantine), quarantine, folder)
    (quarantine / PLAN).unlink()
    inner = [p for p in quarantine.rglob("*") if p.is_dir()]
    for place in sorted(inner, reverse=True):
        if not any(place.iterdir()):
            place.rmdir()
    if not any(quarantine.iterdir()):
        quarantine.rmdir()
    return back


def _both(folder, quarantine):
    folder = folders.existing(folder)
    quarantine = Path(quarantine).expanduser().resolve()
    if quarantine.is_relative_to(folder) or folder.is_relative_to(quarantine):
        raise ValueError(
            "The quarantine must lie beside the folder, or its files would be read "
            f"again as pictures. Received: {str(quarantine)!r} for {str(folder)!r}"
        )
    if quarantine.exists() and not quarantine.is_dir():
        raise ValueError(f"It must be a folder. Received: the file {str(quarantine)!r}")
    return folder, quarantine


def _read_plan(folder, quarantine):
    """The paths of the plan, each checked to stay in the two folders."""
    plan = quarantine / PLAN
    if not plan.is_file():
        raise FileNotFoundError(
            f"There is no {PLAN}; data.check(folder, quarantine=...) writes it. "
            f"Received: {str(quarantine)!r}"
        )
    with plan.open(newline="", encoding="utf-8-sig") as file:
        paths = [row["path"] or "" for row in csv.DictReader(file)]
    for path in paths:
        pure = PurePosixPath(path)
        inside = not pure.is_absolute() and ".." not in pure.parts and pure.parts
        # A folder on the way may be a link to elsewhere.
        if not inside or not all(
            (root / pure).parent.resolve().is_relative_to(root)
            for root in (folder, quarantine)
        ):
            raise ValueError(
                f"A path of {PLAN} leads out of the folder. Received: {path!r}"
            )
    return [PurePosixPath(path) for path in paths]


def _carry(paths, here, there):
    carried = []
    for path in paths:
        if not (here / path).is_file():
            continue  # taken out of the plan's reach before, or moved already
        if (there / path).exists():
            raise FileExistsError(
                f"There is a file of that name already; {len(carried)} were moved "
                f"before it. Received: {str(there / path)!r}"
            )
        (there / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(here / path, there / path)
        carried.append(str(path))
    return carried
