"""What a run is made of, to go on only with the same, and to say what is different."""

import hashlib
import re
from collections import Counter

import keras
import numpy as np

from cnnkit import __version__
from cnnkit.training.describing import NOT_COMPARED, config_text, described


def take(model, data, settings, ignore=()):
    """Returns what a run is made of.

    Args:
        model: `keras.Model`, before anything is changed for the training.
        data: `ImageData`.
        settings: dict of name to value, the arguments of the run.
        ignore: names of settings of layers that may be others.

    Returns:
        A dict of JSON values and arrays.
    """
    rows = layers(model)
    for row in rows:
        row["settings"] = {k: v for k, v in row["settings"].items() if k not in ignore}
    return {"layers": rows} | take_without_model(data, settings)


def take_without_model(data, settings):
    """Returns what a run is made of that has no model yet, or many.

    Args:
        data: `ImageData`.
        settings: dict, as for `take`.

    Returns:
        A dict, as from `take`.
    """
    manifest = data.manifest
    hashes = [
        hashlib.sha256(str(text).encode()).digest()[:8]
        for text in manifest["content_hash"]
    ]
    return {
        "classes": list(data.class_names),
        "shape": list(data.image_shape),
        "pictures": {
            "hash": np.frombuffer(b"".join(hashes), "uint64"),
            "label": manifest["label"].to_numpy("int32"),
            "part": np.array([ord(part[1]) for part in manifest["split"]], "uint8"),
        },
        "settings": {name: described(value) for name, value in settings.items()},
        "versions": {
            "cnnkit": __version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }


def differences(old, new):
    """Says what is different in two runs, each in a sentence without a full stop.

    Args:
        old: dict, as `take` returned it, perhaps read from a file.
        new: dict, as `take` returns it.

    Returns:
        A list of str, empty where the one run can go on as the other.
    """
    found = list(_other_data(old, new))
    names = dict.fromkeys([*old["settings"], *new["settings"]])
    for name in names:
        was, now = (side["settings"].get(name, "not there") for side in (old, new))
        if was != now:
            found.append(f"{name} was {was} and is {now}")
            if name in ("epochs", "minutes"):
                found[-1] += (
                    ": the learning rate falls towards the end of the run, so a run "
                    "cannot be made longer or shorter on its way"
                )
    return found + list(_other_layers(old.get("layers", []), new.get("layers", [])))


def other_versions(old, new):
    """Says which versions have changed since a run was saved.

    Args:
        old: dict, as for `differences`.
        new: dict, as for `differences`.

    Yields:
        str, a line.
    """
    for name, now in new["versions"].items():
        was = old["versions"].get(name)
        if was != now:
            yield (
                f"The run was begun with {name} {was} and goes on with {now}: the last "
                "digits may be others than in one go."
            )


def _config(model):
    """The config of a model; of one that has none, its weights."""
    try:
        return model.get_config()
    except NotImplementedError:
        shapes = {str(i): list(v.shape) for i, v in enumerate(model.variables)}
        own = {
            "class_name": type(model).__name__,
            "config": {"name": model.name} | shapes,
        }
        return {"layers": [own]}


def layers(model):
    """Lists what the layers of a model are.

    Args:
        model: `keras.Model`.

    Returns:
        A list of dicts: name, class, and settings as text, without those that change
        nothing, such as names.
    """
    return _rows(_config(model))


def own_name(row):
    """Returns the name of a layer, None where Keras gave it, like conv2d_3 to a Conv2D.

    Args:
        row: dict, of `layers`.
    """
    last = row["name"].rpartition("/")[2]
    given = re.fullmatch(rf"{row['class'].lower()}\d*", last.replace("_", ""))
    return None if given else last


def _rows(config, outer=""):
    """A row for each layer, models inside opened: its name, class and settings.

    Keras numbers names anew in each process and each cell (conv2d, conv2d_1), so layers
    are known by their place, and where their inputs come from is a place as well.
    """
    rows, places = [], {}
    for place, layer in enumerate(config.get("layers", [])):
        inner = layer["config"]
        name = inner.get("name", str(place))
        places[name] = place
        settings = {
            key: config_text(value)
            for key, value in inner.items()
            if key not in NOT_COMPARED | {"layers", "input_layers", "output_layers"}
        }
        settings["inputs"] = config_text(
            _placed(layer.get("inbound_nodes", []), places)
        )
        row = {"name": outer + name, "class": layer["class_name"], "settings": settings}
        rows += [row, *_rows(inner, f"{outer}{name}/")]
    return rows


def _placed(value, places):
    """Inbound nodes with places for names."""
    if isinstance(value, dict) and "keras_history" in value:
        name, *rest = value["keras_history"]
        return [places.get(name, name), *rest]
    if isinstance(value, dict):
        return {key: _placed(item, places) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_placed(item, places) for item in value]
    return value


def _other_layers(old, new):
    """What is different in the layers: the first that is, and how many more."""

    def known_by(row):
        return row["class"], own_name(row), row["settings"]

    other = [
        (was, now)
        for was, now in zip(old, new, strict=False)
        if known_by(was) != known_by(now)
    ]
    if len(old) != len(new):
        line = f"the model had {len(old)} layers and has {len(new)}"
        if other:
            was, now = other[0]
            line += (
                f"; the first other one is {now['name']!r} ({now['class']}), where "
                f"{was['name']!r} ({was['class']}) was"
            )
        yield line
    elif other:
        was, now = other[0]
        changes = [
            f"{key} was {was['settings'].get(key)} and is {now['settings'].get(key)}"
            for key in dict.fromkeys([*was["settings"], *now["settings"]])
            if was["settings"].get(key) != now["settings"].get(key)
        ]
        if was["class"] != now["class"]:
            changes = [f"{was['class']} was there and {now['class']} is"]
        elif not changes:
            changes = [f"it was called {was['name']!r}"]
        more = f" (and {len(other) - 1} further layers)" if other[1:] else ""
        yield f"layer {now['name']!r}: {', '.join(changes)}{more}"


def _other_data(old, new):
    """What is different in classes and pictures."""
    added = [name for name in new["classes"] if name not in old["classes"]]
    removed = [name for name in old["classes"] if name not in new["classes"]]
    for names, what in ((added, "was added"), (removed, "is missing")):
        yield from (f"the class {name!r} {what}" for name in names[:5])
        if names[5:]:
            yield f"and {len(names) - 5} further classes {what}"
    if not added and not removed and old["classes"] != new["classes"]:
        yield f"the order of the classes was {old['classes']} and is {new['classes']}"
    if old["shape"] != new["shape"]:
        shapes = (" x ".join(map(str, side["shape"])) for side in (old, new))
        yield "the pictures were {} and are {} pixels and channels".format(*shapes)
    before, after = ([p[k].tolist() for k in ("hash", "label", "part")]
                     for p in (old["pictures"], new["pictures"]))  # fmt: skip
    if before == after:
        return
    was, now = Counter(before[0]), Counter(after[0])
    moved = {"have another label": 1, "are in another part": 2}
    counts = {
        "were added": (now - was).total(),
        "are missing": (was - now).total(),
    }
    for words, column in moved.items():
        if (added or removed) and column == 1:
            continue  # the labels count through the classes, and have all moved
        one, two = (dict(zip(side[0], side[column], strict=True))
                    for side in (before, after))  # fmt: skip
        counts[words] = sum(two.get(key, value) != value for key, value in one.items())
    said = [f"{number:,} {words}" for words, number in counts.items() if number]
    if said or not (added or removed):
        yield f"of the pictures {', '.join(said) or 'the order is another'}"
