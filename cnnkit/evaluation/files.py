"""Answers for new pictures: files, folders, archives; nobody has labelled them yet."""

import contextlib
import glob
import os
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from cnnkit import saving
from cnnkit.data import archives, decoding, folders, names, reading, writing
from cnnkit.data.reader import Reader
from cnnkit.evaluation.scoring import checked, checked_names
from cnnkit.evaluation.table import check_input, check_width

SIDES = 32, 1024  # pixels a side, least and most, for a model that takes any size
AT_ONCE = 10_000_000  # values of pixels in a batch: 64 pictures of 224 x 224
SCALING = {"Divide", "Multiply", "Normalization", "Rescaling", "Subtract", "TrueDivide"}


def predict_files(model, pictures, *, like=None, unsure_below=None, top=3):
    """Returns what a model says of picture files, one row a file, as a table.

    The files are read as those that the model learnt from, and `cnnkit predict` does
    the same. A file that cannot be read has its reason in the column "problem".

    Args:
        model: path of a `.keras` file, which says how pictures are read, what the
            classes are called and when to be unsure; or a `keras.Model`.
        pictures: path of a picture, a folder, a .zip or .tar archive, or a pattern
            such as "new/*.jpg"; or a list of such.
        like: the `ImageData` that a `keras.Model` learnt from. Without it classes are
            numbered, and pictures squeezed into the model's size.
        unsure_below: float in [0, 1], or None for what the file says: with a lower
            probability the answer is "unsure". 0 always answers.
        top: int from 1, how many classes are told of each picture.

    Returns:
        A `pandas.DataFrame`: "file", "answer" (a class, or "unsure"; missing where
        there is a problem), "class" and "probability" (the likeliest), "class 2",
        "probability 2" and so on, and "problem" ("" for none).

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: there are no pictures; the model takes no pictures, or gives no
            probabilities; the model's file is refused, see `saving.load`.

    Example:
        >>> table = evaluation.predict_files("runs/signs/model.keras", "new photos")
        >>> table["answer"].value_counts()
    """
    with found(pictures) as files:
        return answers(model, files, like=like, unsure_below=unsure_below, top=top)


@contextlib.contextmanager
def found(pictures):
    """Finds pictures, and yields a list of (name to show, path); archives are open."""
    given = [pictures] if isinstance(pictures, str | os.PathLike) else list(pictures)
    files = {}
    with contextlib.ExitStack() as archive_is_open:
        for item in given:
            if not isinstance(item, str | os.PathLike):
                raise ValueError(
                    "`pictures` are paths of files; for arrays of pixels call "
                    f"model.predict. Received: {type(item).__name__}"
                )
            text, path = str(item), Path(item).expanduser()
            if archives.is_archive(path):
                root, _, notes = archive_is_open.enter_context(archives.as_folder(path))
                _say(text, notes)
            elif path.is_dir():
                root = path
            else:
                some = [path] if path.exists() or not glob.has_magic(text) else (
                    Path(name) for name in sorted(glob.glob(str(path), recursive=True))
                )  # fmt: skip
                some = {file: str(file) for file in some if not file.is_dir()}
                if "://" in text or not some:
                    why = (
                        "An address is no file: download it"
                        if some
                        else ("No file fits this pattern")
                    )
                    raise ValueError(f"{why}. Received: {text!r}")
                files |= some
                continue
            inside, left_out = reading.picture_files(root, root.resolve())
            for why, number in Counter(why for _, why in left_out).items():
                them = [folders.relative(p, root) for p, w in left_out if w == why]
                _say(text, [f"{number} left out, {reading.LEFT_OUT[why]}: "
                            f"{folders.few(them)}"])  # fmt: skip
            if not inside:
                raise ValueError(f"There is no picture in it. Received: {text!r}")
            start = text.rstrip("/\\")
            files |= {p: f"{start}/{folders.relative(p, root)}" for p in inside}
        yield [(name, path) for path, name in files.items()]


def answers(model, files, *, like=None, unsure_below=None, top=3):
    """Returns the table of `predict_files` for what `found` yields."""
    if isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1:
        raise ValueError(f"`top` counts classes, from 1. Received: top={top!r}")
    model, class_names, reader, below = _ready(model, like, unsure_below)
    batch, rows, top = 1, [], min(top, len(class_names))
    if reader.image_size is not None:
        batch = min(64, AT_ONCE // np.prod((*reader.image_size, 3))) or 1
    start = last_word = time.monotonic()
    for first in range(0, len(files), batch):
        some = files[first : first + batch]
        images, problems = _pixels([path for _, path in some], reader)
        good = [problem is None for problem in problems]
        values = iter(_probabilities(model, images[good], class_names))
        for (name, _), problem in zip(some, problems, strict=True):
            if problem is not None:
                rows.append([name, None, *[None, np.nan] * top, problem])
                continue
            value = next(values)
            best = np.argsort(-value, kind="stable")[:top]
            told = [x for i in best for x in (class_names[i], float(value[i]))]
            answer = class_names[best[0]] if value[best[0]] >= below else None
            rows.append([name, answer or unsure(class_names), *told, ""])
        now, done = time.monotonic(), first + len(some)
        if now - last_word > 5 and done < len(files):
            last_word, left = now, (now - start) * (len(files) / done - 1)
            print(
                f"{done:,} of {len(files):,} pictures, about {left:.0f} s to go",
                file=sys.stderr,
            )
    numbers = ["", *(f" {k}" for k in range(2, top + 1))]
    told = [f"{what}{k}" for k in numbers for what in ("class", "probability")]
    return pd.DataFrame(rows, columns=["file", "answer", *told, "problem"])


def unsure(class_names):
    """The answer that is none, in a word that is no class."""
    return "unsure" + "?" * ("unsure" in class_names)


def sort_into(folder, files, table):
    """Copies files into a new folder, with a subfolder for each answer; says what."""
    writing.check_unused(folder)
    places = {}
    for answer in table["answer"].dropna().unique():
        part = names.portable(answer.replace("/", "_"))
        part = f"_{part}" if part.startswith(".") else part
        while part.casefold() in map(str.casefold, places.values()):
            part += "_"
        places[answer] = part
    for (_, path), answer in zip(files, table["answer"], strict=True):
        if pd.isna(answer):
            continue
        target = folder / places[answer] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while target.exists():
            number += 1
            target = target.with_name(f"{path.stem}-{number}{path.suffix}")
        shutil.copy2(path, target)
    return places


def _ready(model, like, unsure_below):
    """The model, its class names, `Reader` and threshold, whoever knows them."""
    class_names, reader, path, told = None, None, model, {}
    if isinstance(model, str | os.PathLike):
        told = saving.inspect(path)
        model, class_names = saving.load(path)
        if told["reading"] is not None:
            try:
                reader = Reader(**told["reading"])
            except (TypeError, ValueError) as error:
                reason = f"it says to read pictures in an unknown way ({error})"
                raise saving.CorruptModelError(
                    f"{reason}; a newer cnnkit may know. Received: {str(path)!r}"
                ) from error
    height, width, channels = check_input(model)
    check_width(getattr(model, "output_shape", None), class_names)
    if like is not None:
        class_names, reader = list(like.class_names), like.reader
        reader = reader or Reader(like.image_shape[:2], like.image_shape[2] == 1)
    reader = reader or Reader(grey=channels == 1)
    if reader.image_size is None and height and width:
        reader = reader.sized((height, width))
    if reader.image_size is not None:
        check_input(model, (*reader.image_size, 1 if reader.grey else 3))
    for note in _doubts(model, class_names, told) if told else ():
        _say(str(path), [note])
    if class_names is None:
        class_names = checked_names(None, model.output_shape[-1])
    below = told.get("unsure_below") if unsure_below is None else unsure_below
    if not 0 <= (below or 0) <= 1:
        raise ValueError(
            "`unsure_below` is a probability, from 0 to 1. "
            f"Received: unsure_below={below!r}"
        )
    return model, class_names, reader, below or 0


def _doubts(model, class_names, told):
    """What may be wrong with the answers, as the file does not say how it was made."""
    layers = {type(layer).__name__ for layer in model._flatten_layers()}
    if class_names is None and not SCALING & layers:
        yield (
            "no layer of it scales pixels, and it gets 0 to 255. If it learnt from 0 "
            "to 1, put a layers.Rescaling(1 / 255) in front and saving.save it"
        )
    if told["reading"] is None:
        yield (
            "it does not say how its pictures were read; here they are squeezed into "
            "its size, if it has one. saving.save(model, path, photos) writes it down"
        )


def _pixels(paths, reader):
    """Pixels of files, all of one size, and for each its problem or None."""
    if reader.image_size is not None:
        shape = (len(paths), *reader.image_size, 1 if reader.grey else 3)
        images = np.empty(shape, "uint8")
        facts = decoding.decode_all(paths, images, reader)
        for path, traits in zip(paths, facts["traits"], strict=True):
            if "clipped" in traits:
                brighter = (
                    f"brighter than those that were learnt from ({reader.white:,})"
                )
                _say(str(path), [f"{brighter}; what is above became white"])
        reasons = facts["reason"]
        return images, [None if pd.isna(reason) else reason for reason in reasons]
    try:  # one picture, as large as it is
        picture = decoding.upright(paths[0].read_bytes(), reader, lambda s: s, "")
        size = picture.width, picture.height
        scale = min(1, SIDES[1] / max(size))
        width, height = (max(SIDES[0], round(side * scale)) for side in size)
        return _pixels(paths, reader.sized((height, width)))
    except (OSError, ValueError) as error:
        return np.empty((1, 1, 1, 1)), [str(error)]


def _probabilities(model, images, class_names):
    if not len(images):
        return []
    values = model.predict_on_batch(images.astype("float32"))
    values = values[-1] if isinstance(values, list | tuple) else values
    check_width(np.shape(values), class_names)
    return checked(np.zeros(len(images), int), values)[1]


def _say(what, notes):
    for note in notes:
        print(f"{what!r}: {note}", file=sys.stderr)
