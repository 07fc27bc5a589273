"""Says what would silently go wrong in a training, before it begins."""

import time

import numpy as np
import pandas
import tensorflow as tf

from cnnkit.data.codes import SEVERITIES
from cnnkit.data.surroundings import say
from cnnkit.training import preflight_costs as costs
from cnnkit.training import preflight_data, preflight_loss, preflight_model
from cnnkit.training.preflight_codes import CODES
from cnnkit.training.trial import Trial, check_graph, loss_of, optimizer_of, same_chance

COLUMNS = ["code", "severity", "detail", "remedy"]
SIDE = 64  # pixels of noise for a model of any size, where the pictures do not fit
BROKEN_PIXELS = {"unscaled_pixels", "faint_pixels", "scaled_twice"}
WITHOUT_STEP = {"wrong_width", "one_hot_labels", "whole_labels", "label_out_of_range"}
WITHOUT_STEP |= {"nothing_trains", "nonfinite_pixels", "nonfinite_weights"}


def preflight(
    model,
    data,
    *,
    batch_size=32,
    learning_rate=None,
    optimizer=None,
    loss=None,
    verbose=True,
):
    """Looks for what would silently go wrong in a training, in some seconds.

    A few training steps are made with copies of the model's weights. The model itself
    is not changed: neither weights nor statistics, optimizer, compilation or random
    numbers. (A pipeline of your own that shuffles goes on to its next order.)

    What cannot be seen: whether colours come as RGB or BGR, and whether labels are
    right. `data.check` looks at the pictures and files themselves.

    Args:
        model: `keras.Model` with a graph. If it is compiled, its own loss and optimizer
            count, else what `fit` would take.
        data: `ImageData`; or a pair (train, valid) of `tf.data.Dataset` of batches of
            (images, labels), of which valid may be None. Of pipelines, at most 64
            batches are read from each.
        batch_size: int, pictures in a step, of an `ImageData`.
        learning_rate: None, or a float in place of that of the optimizer; of a
            schedule the highest rate counts.
        optimizer: None, or "adamw", "sgd" or "muon" as for `fit`, or a Keras optimizer.
        loss: None, or a str or Keras loss.
        verbose: bool, prints a summary.

    Returns:
        A `pandas.DataFrame` with a row for each finding, the worst first, empty where
        all is well: code (a key of `preflight_codes.CODES`), severity ("error",
        "warning", "note"), detail (what was seen), remedy (the line to change). Its
        `attrs` are estimates, None where they cannot be made: seconds_an_epoch, of a
        pass over training and validation pictures; seconds_to_start, for what is done
        once; peak_megabytes, of the weights, the optimizer and the activations of a
        step; file_megabytes, of the model as `saving.save` writes it.

    Raises:
        ValueError: the model has no graph or several outputs, or `data`, `loss`,
            `optimizer` or `learning_rate` is of another kind.

    Example:
        >>> findings = preflight(model, photos)
        >>> findings[findings["severity"] == "error"]
    """
    check_graph(model)
    with same_chance():
        loss = loss_of(model, loss)
        optimizer = optimizer_of(model, optimizer, learning_rate)
        train, valid = preflight_data.look(data, batch_size)
        rows = [*train.rows, *(valid.rows if valid else ())]
        rows += _still(model, data, train, valid, loss)
        trial = Trial(model, loss, optimizer)
        more, estimates = _moving(trial, train, valid, {row[0] for row in rows})
        rows += more
    table = _table(rows)
    table.attrs = {**estimates, "file_megabytes": costs.file_bytes(model) / 1e6}
    if verbose:
        say(summary(table, model.name))
    return table


def summary(findings, name):
    """Says in words what was found, so that a beginner knows what to do.

    Args:
        findings: table from `preflight`.
        name: str, the name of the model.

    Returns:
        A str of a few lines.
    """
    lines = [f"{name!r} before training: {_said(findings.attrs)}"]
    for severity, title in SEVERITIES.items():
        chosen = findings[findings["severity"] == severity]
        if not len(chosen):
            continue
        title = "look at these" if severity == "warning" else title
        lines.append(f"{severity}s: {title}")
        for row in chosen.itertuples():
            lines.append(f"  {CODES[row.code].meaning}: {row.detail}")
            lines.append(f"      -> {row.remedy}")
    if len(lines) == 1:
        lines.append("nothing is wrong with model, loss and data")
    return "\n".join(lines)


def _still(model, data, train, valid, loss):
    """What can be seen without a step of training."""
    rows = list(preflight_model.shape(model, train.images))
    rows += preflight_model.layers(model)
    classes = getattr(data, "num_classes", None)
    width = model.output_shape[-1]
    two = width == 1 and classes in (None, 2)
    if classes is not None and classes != width and not two:
        rows.append(("wrong_width", f"{width} outputs, {classes} classes", None))
    else:
        for part, seen in (("training", train), ("validation", valid)):
            if seen is not None:
                told = {row[0] for row in rows}
                more = _of_labels(model, data, seen, part, loss, 2 if two else width)
                rows += [row for row in more if row[0] not in told]
    return rows


def _of_labels(model, data, seen, part, loss, num_classes):
    rows = list(preflight_loss.labels(model, seen, part, loss))
    if rows:
        return rows
    absent = preflight_data.missing(seen, num_classes)
    if absent:
        names = getattr(data, "class_names", range(num_classes))
        some = ", ".join(repr(names[i]) for i in absent[:5])
        some += f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        where = "" if seen.whole else f" among the first {len(seen.all_labels):,}"
        rows.append((f"missing_in_{part}", f"none{where} of {some}", None))
    return rows


def _moving(trial, train, valid, codes):
    """What a prediction and some training steps show, and what they cost."""
    estimates = dict.fromkeys(("seconds_an_epoch", "seconds_to_start"))
    estimates["peak_megabytes"] = None
    model, loss, rows = trial.model, trial.loss, []
    fits = "wrong_shape" not in codes
    images = train.images if fits else _noise(model)
    if fits and "nonfinite_pixels" not in codes:
        rows += preflight_model.pixels(model, images)
    start = time.monotonic()
    images = tf.constant(images)
    values = trial.outputs(images).numpy()
    rows += preflight_loss.outputs(values, loss)
    codes = codes | {row[0] for row in rows}
    if not fits or codes & (WITHOUT_STEP | {"one_output"}):
        return rows, estimates
    labels = tf.constant(train.labels)
    before = [[v.numpy().copy() for v in x] for x in (trial.trained, trial.others)]
    value, _, trained_outputs = trial.step(images, labels)
    estimates["seconds_to_start"] = time.monotonic() - start
    rows += preflight_model.statistics(trial, before[1])
    if np.ptp(train.images, axis=0).max() > 0 and not codes & BROKEN_PIXELS:
        rows += preflight_loss.constant(values, trained_outputs.numpy())
    codes = codes | {row[0] for row in rows}
    if not any(CODES[code].severity == "error" for code in codes):  # a cause is known
        change = preflight_loss.change(trial.trained, before[0])
        after, *_ = trial.step(images, labels)
        losses = float(value), float(after)
        rows += preflight_loss.step(trial, losses, change, values.shape[-1])
    return rows, estimates | _costs(trial, train, valid, images, labels)


def _costs(trial, train, valid, images, labels):
    estimates = {"peak_megabytes": costs.peak_bytes(trial, images, labels) / 1e6}
    if train.steps is not None and (valid is None or valid.steps is not None):
        # The next batch is made while a step runs, where there is a core to spare.
        step = max(costs.seconds(trial.step, images, labels), train.load_seconds)
        test = 0.0
        if valid is not None:
            one = costs.seconds(trial.outputs, images)
            test = valid.steps * max(one, valid.load_seconds)
        estimates["seconds_an_epoch"] = train.steps * step + test
    return estimates


def _noise(model):
    shape = [SIDE if side is None else side for side in model.input_shape[1:]]
    pixels = np.random.default_rng(0).uniform(0, 255, (4, *shape))
    return pixels.astype("float32")


def _table(rows):
    table = pandas.DataFrame(rows, columns=["code", "detail", "remedy"], dtype=object)
    order = list(CODES)
    ranks = sorted(range(len(rows)), key=lambda i: order.index(rows[i][0]))
    table = table.iloc[ranks].reset_index(drop=True)
    table["severity"] = [CODES[code].severity for code in table["code"]]
    table["remedy"] = [
        CODES[code].remedy if remedy is None else remedy
        for code, remedy in zip(table["code"], table["remedy"], strict=True)
    ]
    return table[COLUMNS]


def _said(estimates):
    """The estimates in words."""
    said = []
    if estimates["seconds_an_epoch"] is not None:
        said.append(
            f"an epoch takes about {estimates['seconds_an_epoch']:.2g} s, the start "
            f"{estimates['seconds_to_start']:.2g} s"
        )
    if estimates["peak_megabytes"] is not None:
        said.append(f"about {estimates['peak_megabytes']:,.0f} MB of memory")
    said.append(f"a file of {estimates['file_megabytes']:.2g} MB")
    return ", ".join(said)
