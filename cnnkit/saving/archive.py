"""What lies in a model file: its members, read without Keras and bounded in size.

Whether Keras may see the config is decided in `cnnkit.saving.allowed`.
"""

import hashlib
import io
import json
import pathlib
import re
import stat
import warnings
import zipfile

from cnnkit import __version__

WEIGHTS = "model.weights.h5"
# member of the archive: the most bytes that it may hold
LIMITS = {
    "config.json": 2**24,
    "metadata.json": 2**16,
    "cnnkit.json": 2**24,
    WEIGHTS: 2**31,
}
MAX_RATIO = 20  # member to file; Keras stores without compression, so 1 is usual
HDF5 = b"\x89HDF"


class UnsafeModelError(ValueError):
    """The file asks for something that a picture classifier does not need."""


class CorruptModelError(ValueError):
    """The file is not a whole, readable Keras model."""


def read(path):
    """Returns the members of a file, JSON parsed, and a dict of what it says."""
    data = content(path, ".keras")
    if data.startswith((HDF5, b"\x80")):
        raise unsafe(path, "the content is HDF5 or pickle", ELSE)
    if not data.startswith(b"PK\x03\x04"):
        start = f"{len(data)} bytes, the first are {data[:8]!r}"
        raise corrupt(path, f"the file exists, but it is no zip archive: {start}")
    members = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                name = entry.filename
                if name not in LIMITS or name in members:
                    why = "is there twice" if name in members else "does not belong"
                    raise unsafe(path, f"member {shown(name)} {why}")
                limit = min(LIMITS[name], MAX_RATIO * len(data))
                with archive.open(entry) as file:  # counts; the header may lie
                    members[name] = file.read(limit + 1)
                if len(members[name]) > limit:
                    raise unsafe(path, f"member {name} holds over {limit:,} bytes")
    except UnsafeModelError:
        raise
    except Exception as error:  # a damaged archive raises a dozen kinds
        raise corrupt(path, f"damaged archive: {shown(str(error))}") from error
    if missing := sorted(set(LIMITS) - {"cnnkit.json"} - set(members)):
        raise corrupt(path, f"the archive lacks {', '.join(missing)}")
    ours = set(re.findall(r'"cnnkit>(\w+)"', members["config.json"].decode("latin-1")))
    for name in set(members) - {WEIGHTS}:
        members[name] = parsed(path, f"member {name}", members[name])
    digest = hashlib.sha256(data).hexdigest()
    told = facts(path, members.get("cnnkit.json", {}), members["metadata.json"])
    return members, {**told, "layers_of_cnnkit": sorted(ours), "sha256": digest}


ELSE = "Save it again as .keras, or see saving.convert_h5"


def content(path, suffix):
    """Returns the bytes of a regular file with this suffix, on this machine."""
    name, path = str(path), pathlib.Path(path)
    if ":/" in name[1:] and not path.exists():  # a path has lost one of two slashes
        raise unsafe(path, "an address is no file", "Download it, then load the file")
    if not path.exists():
        raise FileNotFoundError(f"There is no such model file. Received: {name!r}")
    if path.is_dir() and path.suffix != suffix:
        inside = sorted(path.glob(f"*{suffix}"))[:1]
        hint = f"Name the file in it: {str(inside[0])!r}" if inside else ""
        hint = hint or f"Name a {suffix} file; none is in it"
        raise unsafe(path, "a folder is no model file", hint)
    if path.suffix != suffix or not stat.S_ISREG(path.stat().st_mode):
        raise unsafe(path, f"only {suffix} files are loaded", ELSE)
    if (size := path.stat().st_size) > sum(LIMITS.values()):
        raise unsafe(path, f"{size:,} bytes are too many")
    return path.read_bytes()


def parsed(path, part, text):
    """Returns the JSON object that a part of a file holds."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise corrupt(path, f"{part} is no readable JSON") from error
    if not isinstance(value, dict):
        raise corrupt(path, f"{part} is no JSON object")
    return value


def compare_versions(path, facts, keras_here):
    """Refuses a file of Keras 2, and warns of one from a newer Keras or cnnkit."""
    here = {"keras": keras_here, "cnnkit": __version__}
    for what, ours in here.items():
        theirs = facts[f"{what}_version"] or ours
        first, *_ = written = [int(n) for n in re.findall(r"\d+", theirs)] or [99]
        if what == "keras" and first < 3:
            raise corrupt(
                path,
                f"Keras {theirs} wrote it, and Keras {ours} does not read such files",
                "Open it there, save it as .h5, and see saving.convert_h5",
            )
        if written > [int(n) for n in re.findall(r"\d+", ours)]:
            warnings.warn(
                f"The file was written by {what} {theirs}, and here is {what} {ours}: "
                f"it may not load, or answer differently. Update {what}. Received: "
                f"{shown(pathlib.PurePath(path).name)}",
                stacklevel=4,
            )


def are_names(names):
    """Whether these are different, non-empty str in a list or tuple."""
    named = isinstance(names, list | tuple) and all(
        isinstance(name, str) and name for name in names
    )
    return named and len(set(names)) == len(names)


def _is_version(text):
    """Whether this is a version such as "3.15.1"."""
    return isinstance(text, str) and re.fullmatch(r"\d[\w.+-]{0,40}", text) is not None


# What `save` notes, and what it looks like; None where a file does not say.
FACTS = {
    "class_names": are_names,
    "reading": lambda value: isinstance(value, dict),
    "unsure_below": lambda value: isinstance(value, int | float) and 0 <= value <= 1,
    "input_shape": lambda value: isinstance(value, list | tuple),
    "cnnkit_version": _is_version,
    "keras_version": _is_version,
}


def facts(path, about, metadata):
    """Returns what a file says of itself, each part of the form it should have."""
    told = {key: about.get(key) for key in FACTS}
    told["keras_version"] = metadata.get("keras_version")
    for key, is_right in FACTS.items():
        value = told[key]
        if not (value is None and key != "keras_version" or is_right(value)):
            raise corrupt(path, f"what it says as {key} makes no sense: {shown(value)}")
    names = told["class_names"]
    return {**told, "class_names": names and tuple(names)}


def shown(value):
    """Returns the `repr` of text of unknown origin, cut to 56 characters."""
    text = repr(value)
    return text if len(text) <= 56 else f"{text[:52]} ...{text[-1]}"


def corrupt(path, reason, remedy="Fetch or save the file again"):
    """Returns the error for a file that is not whole, in under 300 characters."""
    name = shown(pathlib.PurePath(path).name)
    return CorruptModelError(f"Unreadable: {reason}. {remedy}. Received: {name}")


def unsafe(path, reason, remedy="Load only files from people you trust"):
    """Returns the error for a file that should not be loaded, likewise."""
    name = shown(pathlib.PurePath(path).name)
    return UnsafeModelError(f"Refused: {reason}. {remedy}. Received: {name}")
