"""The files of a search: one for each trial, with a digest that tells a torn one."""

import hashlib
import json

from cnnkit.saving import replacing


def write(path, record):
    """Writes what is known of a trial, in one piece or not at all.

    Args:
        path: `pathlib.Path`.
        record: dict that JSON can hold.
    """
    text = json.dumps(record)
    digest = hashlib.sha256(text.encode()).hexdigest()
    with replacing(path) as temporary:
        temporary.write_text(f"{text}\n{digest}\n", encoding="utf-8")


def read_all(folder):
    """Reads the trials of a folder; files that are damaged get another name.

    Args:
        folder: `pathlib.Path`.

    Returns:
        (records, damaged): a list of dicts, and one of the `pathlib.Path` that files
        were moved to.
    """
    records, damaged = [], []
    for path in sorted(folder.glob("trial_*.json")):
        try:
            text, digest = path.read_text(encoding="utf-8").rstrip("\n").rsplit("\n", 1)
            if hashlib.sha256(text.encode()).hexdigest() != digest:
                raise ValueError
            records.append(json.loads(text))
        except ValueError:  # a UnicodeDecodeError is one, too
            damaged.append(path.replace(path.with_suffix(".damaged")))
    return records, damaged
