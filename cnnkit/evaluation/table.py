"""The table of answers: one row a picture, from file name to probabilities."""

from collections import defaultdict
from dataclasses import replace
from io import StringIO

import numpy as np
import pandas as pd

from cnnkit.evaluation.scoring import checked

_TESTED = defaultdict(set)  # the different answers about each test part, by a hash


def predict(model, photos, part="test", *, columns=(), views=(), batch_size=64):
    """Returns a table of what the model says about each picture of one part.

    In plain Keras this is `model.predict(photos.batches("test"))`, put beside the
    file and the true class of each picture.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape
            (batch, num_classes); where it has several outputs, the last one counts.
        photos: an `ImageData` with the classes that the model was trained on.
        part: "train", "valid" or "test".
        columns: sequence of str, further columns of the manifest that come along, such
            as "light" or "width", for `slices`.
        views: functions of a batch of pixels to one of the same shape, such as
            `mirrored`: the probabilities are the mean over the picture and its views
            (test-time augmentation; Krizhevsky et al., 2012, section 4.1). Each view
            costs as much as the picture itself.
        batch_size: int, how many pictures are computed at once. It changes memory and
            time, not the answers.

    Returns:
        A `pandas.DataFrame`, one row a picture in the order of `photos.manifest`
        (which is also that of `data.to_arrays`), with the columns "file" (str),
        "label" and "predicted" (categorical, categories in the order of
        `class_names`), "confidence" (the largest probability), and for each class
        a column "p(<class name>)" (float), then those of `columns`. Of equal
        probabilities the first class counts as predicted.

    Raises:
        ValueError: the part has no pictures; the pictures do not fit the model's
            input; the model's outputs do not fit the classes, or are not
            probabilities; the manifest lacks a column, or a name is taken.
    """
    class_names = list(photos.class_names)
    rows = photos.manifest[photos.manifest["split"] == part]
    if rows.empty:
        sizes = photos.manifest["split"].value_counts(sort=False).to_dict()
        raise ValueError(
            "`part` must name a part that has pictures. Here the parts and their "
            f"pictures are {sizes}. Received: part={part!r}"
        )
    taken = ["file", "label", "predicted", "confidence"]
    taken += [f"p({name})" for name in class_names]
    wrong = [name for name in columns if name not in rows or name in taken]
    if isinstance(columns, str) or wrong:
        raise ValueError(
            "`columns` is a list of columns of the manifest, which are "
            f"{[str(name) for name in rows]}; the table has {taken[:4]} of its own. "
            f"Received: columns={columns!r}"
        )
    if part == "train":
        # Training batches are shuffled, so no answer could be traced to its file.
        # Parts that are measured keep their order: let the two parts change names.
        swapped = photos.manifest["split"].replace({"train": "test", "test": "train"})
        photos = replace(photos, manifest=photos.manifest.assign(split=swapped))
        part = "test"
    batches = photos.batches(part, batch_size=batch_size)
    check_input(model, tuple(batches.element_spec[0].shape)[1:])
    check_width(getattr(model, "output_shape", None), class_names)

    # One call a view: each call of `predict` costs 50 ms before it starts.
    sums = 0
    for view in (None, *views):
        seen = batches if view is None else batches.map(_with(view))
        answers = model.predict(seen, verbose=0)
        answers = answers[-1] if isinstance(answers, list | tuple) else answers
        check_width(np.shape(answers), class_names)
        sums = sums + np.asarray(answers, "float32")
    labels, probabilities = checked(rows["label"], sums / (1 + len(views)))
    if (rows["split"] == "test").all() and "content_hash" in rows:
        _TESTED[_content(photos)].add(hash(np.round(probabilities, 3).tobytes()))

    facts = pd.DataFrame(
        {
            "file": rows["path"].to_numpy(),
            "label": pd.Categorical.from_codes(labels, class_names),
            "predicted": pd.Categorical.from_codes(
                probabilities.argmax(axis=1), class_names
            ),
            "confidence": probabilities.max(axis=1),
        }
    )
    answers = pd.DataFrame(probabilities, columns=taken[4:])
    further = rows[list(columns)].reset_index(drop=True)
    return pd.concat([facts, answers, further], axis=1)


def times_tested(photos):
    """Returns how many models have answered this test part since Python started.

    Each look from which something is chosen makes the scores a little too good. A
    model whose answers are the same counts once.

    Args:
        photos: `ImageData`.

    Returns:
        int.
    """
    return len(_TESTED[_content(photos)])


def _content(photos):
    """The pictures of the test part, whatever their order."""
    manifest = photos.manifest
    return frozenset(manifest.loc[manifest["split"] == "test", "content_hash"])


def mirrored(images):
    """Returns pictures with left and right exchanged, a view for `predict`.

    Not for digits, letters and arrows, which mean something else then.

    Args:
        images: array or tensor of shape (n, height, width, channels).

    Returns:
        The same shape.
    """
    return images[:, :, ::-1]


def _with(view):
    return lambda images, labels: (view(images), labels)


def arrays(table):
    """Returns the labels and probabilities inside a table of `predict`.

    Args:
        table: `pandas.DataFrame` from `predict`, or some of its rows; also one that
            was written to CSV and read again.

    Returns:
        `labels`, int64, shape (n,), and `probabilities`, float64, shape
        (n, num_classes), in the order of the table's rows and "p(...)" columns.

    Raises:
        ValueError: a column is missing, or a label has no probability column, or may
            be any of several classes since reading made a number or NaN of it.
    """
    columns = [
        c for c in map(str, table.columns) if c.startswith("p(") and c[-1] == ")"
    ]
    if "label" not in table.columns or not columns:
        raise ValueError(
            "`table` must have the columns that `evaluation.predict` writes: 'label', "
            f"and 'p(<class name>)' for each class. Received: {[*table.columns][:10]}"
        )
    names = [column[2:-1] for column in columns]
    if isinstance(table["label"].dtype, pd.CategoricalDtype):  # as `predict` made it
        known = {name: {i} for i, name in enumerate(names)}
    else:
        known = _as_read(names)
    keys = [_key(label) for label in table["label"]]
    lost = [key for key in keys if len(known.get(key, ())) != 1]
    if lost:
        several = [names[i] for i in sorted(known.get(lost[0], ()))]
        why = f"which may be any of {several[:10]}" if several else "without one"
        raise ValueError(
            "Each label needs its column of probabilities, 'p(<label>)'. Where reading "
            "has changed labels, read the file with pd.read_csv(path, dtype={'label': "
            f"str}}, keep_default_na=False). Received: label {lost[0]!r}, {why}"
        )
    labels = np.array([min(known[key]) for key in keys], "int64")
    return labels, table[columns].to_numpy("float64")


def _as_read(names):
    """Which classes a label in a CSV file may mean: {label: positions of names}.

    A name such as "=1+1" has a ' before it there, so that it is no formula. And pandas
    makes numbers, truth values and NaN of texts such as "007", "True" and "None".
    """
    known = {}
    for i, name in enumerate(names):
        written = "'" * name.startswith(("=", "+", "-", "@", "\t", "\r", "'")) + name
        cell = pd.DataFrame({"file": ["0"], "label": [written]}).to_csv(
            index=False, lineterminator="\r\n"
        )
        parsed = pd.read_csv(StringIO(cell, newline=""))["label"][0]
        for key in {written, _key(parsed)}:
            known.setdefault(key, set()).add(i)
    for i, name in enumerate(names):  # a file that was written without '
        known.setdefault(name, {i})
    return known


def _key(label):
    """A label that equals others like it: text, a number, or None for NaN."""
    if isinstance(label, str):
        return label
    return None if pd.isna(label) else float(label)


def check_input(model, picture=None):
    """Says what a model that takes no such pictures wants; its (height, width, c)."""
    wanted = getattr(model, "input_shape", None)  # None: a model that takes any shape
    if wanted is None:
        return None, None, picture and picture[2]
    several = wanted if isinstance(wanted, list | dict) else [wanted]
    if len(several) > 1:
        raise ValueError(
            "The model takes several inputs, and a picture is one. "
            f"Received: {len(several)} inputs"
        )
    wanted = (several if isinstance(several, list) else [*several.values()])[0][1:]
    if (
        picture
        and len(picture) == len(wanted)
        and all(w in (None, p) for w, p in zip(wanted, picture, strict=True))
    ):
        return wanted
    if len(wanted) != 3 or wanted[2] not in (None, 1, 3):
        first = len(wanted) == 3 and wanted[0] in (1, 3)
        why = "Its channels come first; build it with channels last" if first else (
            "Pictures have three sides: height, width, and 1 (grey) or 3 (RGB) channels"
        )  # fmt: skip
        raise ValueError(
            f"The model takes no pictures as they are read here. {why}. Received: a "
            f"model whose input has the shape {tuple(wanted)}"
        )
    if picture is None:
        return wanted
    height, width, channels = wanted
    if channels not in (None, picture[-1]):
        remedy = f"grey={channels == 1}"
    else:
        remedy = f"image_size={height if height == width else (height, width)}"
    want, have = (
        "x".join("any" if side is None else str(side) for side in shape)
        for shape in (wanted, picture)
    )
    raise ValueError(
        f"The model wants pictures of {want} (height x width x channels): load them "
        f"with {remedy}. Received: photos of {have}"
    )


def check_width(shape, class_names=None):
    """Compares the number of outputs, where it is known, with that of the classes."""
    shape = shape[-1] if isinstance(shape, list) else shape
    number = None if class_names is None else len(class_names)
    if shape is None or (
        len(shape) == 2 and shape[1] != 1 and number in (None, shape[1])
    ):
        return
    one = " One number p, from a sigmoid, becomes two: 1 - p and p."
    known = (
        f": use the pictures whose classes it was trained on, or build it with "
        f"num_classes={number}"
    )
    raise ValueError(
        "The model must give one probability a class, shape (pictures, "
        f"{number or 'classes'}){known if number else ''}.{one * (shape[-1] == 1)} "
        f"Received: output shape {tuple(shape)}"
    )
