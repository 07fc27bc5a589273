"""Fine-tunes a classifier on a backbone that has weights: the head, then the top."""

import math

import keras

from cnnkit.training import resuming
from cnnkit.training.in_time import some_of
from cnnkit.training.interrupts import memory_for
from cnnkit.training.layer_rates import rate_shares, unfreeze_top
from cnnkit.training.losses import check_balance
from cnnkit.training.phases import (
    BROKEN_OFF,
    CALIBRATED,
    MONITORS,
    Recipe,
    join,
    train_phase,
)
from cnnkit.training.recipe import SCRATCH_RATE, check_run, one_of
from cnnkit.training.watch import Course
from cnnkit.transfer.features import seen_in_time
from cnnkit.transfer.heads import backbone_layers, body_of, head_of

HEAD_RATE = 1e-2  # peak learning rate for a head alone
TUNED_RATE = 1e-3  # for a backbone with weights: what it knows should not be lost
HEAD_EPOCHS = 30  # on cached features an epoch costs next to nothing
HEAD_SHARE = 0.3  # of the minutes, at most, for the features and the head


def fine_tune(
    model,
    data,
    *,
    epochs=None,
    minutes=None,
    batch_size=32,
    learning_rate=None,
    lowest_rate=0.1,
    weight_decay=0.02,
    unfreeze=(0.5, 1.0),
    patience=None,
    augment=None,
    class_weight=None,
    loss="crossentropy",
    monitor=CALIBRATED,
    resume=None,
    seed=0,
    verbose=1,
):
    """Trains a classifier on a frozen backbone: its head, then more and more layers.

    The head alone learns on features that the backbone computes once. Then the upper
    layers are unfrozen, stage by stage, and learn at a small rate, the lower the
    smaller. BatchNorm layers of the backbone stay frozen one by one, since their
    statistics move otherwise (Keras issue 20285). Each stage is compiled anew and
    keeps its best weights, so that none leaves the model worse in validation than it
    was. Where nothing is frozen, as with random weights, there is nothing to keep: the
    whole model is trained at once, as by `fit`.

    In plain Keras it stands for a `fit` with `backbone.trainable = False`, then, for
    each stage, unfreezing, compiling again and another `fit`.

    Args:
        model: `keras.Model` with the layers "features" and "pooled", such as
            `transfer.classifier` returns.
        data: `ImageData`.
        epochs: int, passes over the training pictures after the head is trained, shared
            by the stages.
        minutes: float, wall-clock minutes for everything; this, or `epochs`, or both.
        batch_size: int, pictures in a training step.
        learning_rate: float, the peak of the stages after the head, for its layers and
            the last layer of the backbone. None takes 0.001, and where nothing is
            frozen the rate of `fit`; with weights of this package take 0.001 there.
        lowest_rate: float in (0, 1], the share of it that the first layer of the
            backbone gets; it rises by the same factor from layer to layer (Howard and
            Ruder, 2018, section 3.2). With 1 all learn at one rate.
        weight_decay: float, as for `fit`.
        unfreeze: float in [0, 1], or a rising sequence of them, one for each stage:
            share of the backbone's layers, counted from the top, that is unfrozen;
            with 0 only the head is trained.
        patience: int or None, as for `fit`, in each stage.
        augment: None or a function, as for `ImageData.batches`; not for the head.
        class_weight: None or dict, as for `fit`; in each stage.
        loss: str or Keras loss, as for `fit`; in each stage.
        monitor: str, as for `fit`; in each stage.
        resume: None or a folder, as for `fit`. The features are not saved: going on
            with the head computes them again.
        seed: int, as for `fit`.
        verbose: 0 or 1, as for `fit`.

    Returns:
        One `keras.callbacks.History` of all stages, as for `fit`.

    Raises:
        ValueError: as for `fit`, or `unfreeze` or `lowest_rate` is out of its range,
            or the model has no layer "pooled".
        RuntimeError, OSError, MemoryError: as for `fit`; OSError also where the disk
            is too full for the features.

    Example:
        >>> model = transfer.classifier("mobilenet", 5, image_shape=(160, 160, 3))
        >>> history = fine_tune(model, photos, minutes=5)
    """
    stages = _checked_stages(unfreeze, lowest_rate)
    check_run(model, data, epochs, minutes)
    one_of(MONITORS, "monitor", monitor)
    balanced = check_balance(data, class_weight, loss)
    is_free = all(layer.trainable for layer in backbone_layers(model))
    if learning_rate is None:
        learning_rate = SCRATCH_RATE if is_free else TUNED_RATE
    recipe = Recipe(
        learning_rate, weight_decay, patience, verbose, *balanced,
        monitor=monitor,
    )  # fmt: skip
    options = {"batch_size": batch_size, "seed": seed}
    settings = recipe._asdict() | options | {
        "epochs": epochs,
        "minutes": minutes,
        "unfreeze": None if is_free else stages,
        "lowest_rate": None if is_free else lowest_rate,
        "augment": augment,
    }  # fmt: skip
    # What is trainable follows from `unfreeze`, and changes here.
    opened = resuming.opened(
        resume, model, data, settings, verbose=verbose, ignore=("trainable",)
    )
    course = Course(minutes)
    valid = data.batches("valid", batch_size=batch_size)

    def fewer(number):
        some = some_of(data, number / len(valid))
        return some.batches("valid", batch_size=batch_size)

    def phase(name, saved, recipe, course, epochs, **before):
        start = saved.epoch if saved else 0
        train = data.batches("train", augment=augment, epoch=start, **options)
        return train_phase(
            name, model, train, valid, recipe, course, epochs,
            fewer=fewer, saved=saved, **before,
        )  # fmt: skip

    with memory_for(batch_size), opened as run:
        if is_free:
            saved = run and run.phase("all-layers")
            done = [phase("all layers", saved, recipe, course, epochs)]
            return join(done, course, verbose, seed, data.num_classes)
        saved = run and run.phase("head")
        course.start -= run.seconds_before if run else 0
        for_head = course.part(HEAD_SHARE)
        head, batches = _cached_head(
            model, data, for_head, options, saved=saved, verbose=verbose
        )
        head_recipe = recipe._replace(learning_rate=HEAD_RATE)
        done = [
            train_phase(
                "head", head, *batches, head_recipe, for_head, HEAD_EPOCHS, saved=saved
            )
        ]
        recipe = recipe._replace(shares=rate_shares(model, lowest_rate))
        for left, share, passes in _shared_out(stages, epochs):
            saved = run and run.phase(f"top-{share:g}")
            in_time = course.left() or (saved and saved.found)
            if done[-1].params["stopped"] in BROKEN_OFF or not in_time:
                break
            name = f"top {unfreeze_top(model, share)} layers"
            values = [v for part in done for v in part.history.get(monitor, ())]
            best = min if MONITORS[monitor] == "min" else max
            before = best(filter(math.isfinite, values), default=None)
            part = course.part(1 / left)
            done.append(phase(name, saved, recipe, part, passes, loss_before=before))
        if len(done) > 1:  # a file of the model names no optimizer of ours
            optimizer = keras.optimizers.AdamW(learning_rate, weight_decay)
            model.compile(optimizer, loss=recipe.loss, metrics=["accuracy"])
        return join(done, course, verbose, seed, data.num_classes)


def _checked_stages(unfreeze, lowest_rate):
    """The shares of the stages, without those that unfreeze nothing."""
    try:
        stages = tuple(map(float, unfreeze))
    except TypeError:  # one number
        stages = (float(unfreeze),)
    rising = all(a < b for a, b in zip(stages, stages[1:], strict=False))
    if not stages or not rising or not all(0 <= share <= 1 for share in stages):
        raise ValueError(
            "`unfreeze` is a share of the backbone's layers from 0 to 1, or a few of "
            f"them that rise. Received: unfreeze={unfreeze!r}"
        )
    if not 0 < lowest_rate <= 1:
        raise ValueError(
            "`lowest_rate` is a share of the learning rate, above 0 and at most 1. "
            f"Received: lowest_rate={lowest_rate!r}"
        )
    return tuple(share for share in stages if share)


def _shared_out(stages, epochs):
    """For each stage: how many are left with it, its share of layers, its epochs."""
    if epochs is not None:
        stages = stages[max(0, len(stages) - epochs) :]  # each has one at least
    for number, share in enumerate(stages):
        left = len(stages) - number
        passes = None if epochs is None else epochs // left
        yield left, share, passes
        epochs = None if epochs is None else epochs - passes


def _cached_head(model, data, course, options, *, saved, verbose):
    """The head as a model of its own, and the batches of features it learns from.

    The backbone is frozen, so its output for a picture never changes: it is computed
    once for each picture instead of once for each epoch. If the time of `course` runs
    out first, the head learns from the pictures that have been seen by then. Where
    the head is done, there are no batches.
    """
    head = head_of(model)
    if saved and saved.is_done:
        return head, (None, None)
    features = seen_in_time(
        body_of(model), data, options["batch_size"], options["seed"],
        enough=lambda: course.share() > 0.7, verbose=verbose,
    )  # fmt: skip
    start = saved.epoch if saved else 0
    train = features.batches("train", epoch=start, **options)
    return head, (train, features.batches("valid", batch_size=256))
