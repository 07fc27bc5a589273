"""Fine-tunes a classifier on a backbone that has weights: the head, then the top."""

import dataclasses
import math
import time

import keras
import numpy as np

from cnnkit.training import resuming
from cnnkit.training.interrupts import memory_for
from cnnkit.training.losses import check_balance
from cnnkit.training.phases import BROKEN_OFF, Recipe, join, train_phase
from cnnkit.training.recipe import SCRATCH_RATE, check
from cnnkit.training.watch import Course
from cnnkit.transfer.heads import backbone_layers

HEAD_RATE = 1e-2  # peak learning rate for a head alone
HEAD_EPOCHS = 30  # on cached features an epoch costs next to nothing
HEAD_SHARE = 0.3  # of the minutes, at most, for the features and the head


def fine_tune(
    model,
    data,
    *,
    epochs=None,
    minutes=None,
    batch_size=32,
    learning_rate=3e-4,
    weight_decay=0.02,
    unfreeze=0.5,
    patience=None,
    augment=None,
    class_weight=None,
    loss="crossentropy",
    resume=None,
    seed=0,
    verbose=1,
):
    """Trains a classifier on a frozen backbone: first its head, then the top layers.

    The head alone learns on features that the backbone computes once. Then the top
    of the backbone is unfrozen and all of it learns at a small rate. BatchNorm layers
    of the backbone stay frozen one by one, since their statistics move otherwise
    (Keras issue 20285). Where nothing is frozen, as with random weights, there is
    nothing to keep: the whole model is trained by `fit` at its own rate.

    In plain Keras it stands for a `fit` with `backbone.trainable = False`, then
    unfreezing, compiling again and a second `fit`.

    Args:
        model: `keras.Model` with the layers "features" and "pooled", such as
            `transfer.classifier` returns.
        data: `ImageData`.
        epochs: int, passes over the training pictures after the head is trained.
        minutes: float, wall-clock minutes for everything; this, or `epochs`, or both.
        batch_size: int, pictures in a training step.
        learning_rate: float, the peak of the second phase.
        weight_decay: float, as for `fit`.
        unfreeze: float in [0, 1], share of the backbone's layers, counted from the
            top, that is unfrozen; with 0 only the head is trained.
        patience: int or None, as for `fit`.
        augment: None or a function, as for `ImageData.batches`; the second phase only.
        class_weight: None or dict, as for `fit`; both phases.
        loss: str or Keras loss, as for `fit`; both phases.
        resume: None or a folder, as for `fit`. The features are not saved: going on
            with the head computes them again.
        seed: int, as for `fit`.
        verbose: 0 or 1, as for `fit`.

    Returns:
        One `keras.callbacks.History` of both phases, as for `fit`.

    Raises:
        ValueError: as for `fit`, or `unfreeze` is outside [0, 1], or the model has
            no layer "pooled".
        RuntimeError, OSError, MemoryError: as for `fit`.

    Example:
        >>> model = transfer.classifier("mobilenet", 5, image_shape=(160, 160, 3))
        >>> history = fine_tune(model, photos, minutes=5)
    """
    if not 0 <= unfreeze <= 1:
        raise ValueError(
            "`unfreeze` is a share of the backbone's layers, from 0 to 1. Received: "
            f"unfreeze={unfreeze!r}"
        )
    check(model, data, epochs, minutes)
    balanced = check_balance(data, class_weight, loss)
    recipe = Recipe(learning_rate, weight_decay, patience, verbose, *balanced)
    is_free = all(layer.trainable for layer in backbone_layers(model))
    if is_free:
        recipe = recipe._replace(learning_rate=SCRATCH_RATE)
    options = {"batch_size": batch_size, "seed": seed}
    settings = recipe._asdict() | options | {
        "epochs": epochs,
        "minutes": minutes,
        "unfreeze": None if is_free else unfreeze,
        "augment": augment,
    }  # fmt: skip
    # What is trainable follows from `unfreeze`, and changes here.
    opened = resuming.opened(
        resume, model, data, settings, verbose=verbose, ignore=("trainable",)
    )
    course = Course(minutes)
    valid = data.batches("valid", batch_size=batch_size)

    def phase(name, slug, course, **before):
        saved = run and run.phase(slug)
        start = saved.epoch if saved else 0
        train = data.batches("train", augment=augment, epoch=start, **options)
        return train_phase(
            name, model, train, valid, recipe, course, epochs, saved=saved, **before
        )

    with memory_for(batch_size), opened as run:
        if is_free:
            return join([phase("all layers", "all-layers", course)], course, verbose)
        saved = run and run.phase("head")
        course.start -= run.seconds_before if run else 0
        for_head = course.part(HEAD_SHARE)
        head, batches = _cached_head(
            model, data, for_head, options, saved=saved, verbose=verbose
        )
        head_recipe = recipe._replace(learning_rate=HEAD_RATE)
        phases = [
            train_phase(
                "head", head, *batches, head_recipe, for_head, HEAD_EPOCHS, saved=saved
            )
        ]
        if unfreeze and phases[0].params["stopped"] not in BROKEN_OFF:
            name = f"top {unfreeze_top(model, unfreeze)} layers"
            losses = filter(math.isfinite, phases[0].history["val_loss"])
            before = min(losses, default=None)
            phases.append(phase(name, "top", course.part(1.0), loss_before=before))
        return join(phases, course, verbose)


def unfreeze_top(model, share):
    """Makes the top of a backbone trainable, except its BatchNorm layers.

    BatchNorm layers stay frozen each by its own `trainable=False`: that keeps their
    statistics as they are, which calling the backbone with `training=False` does not
    (Keras issue 20285). Compile the model afterwards, else nothing changes.

    Args:
        model: `keras.Model` with a layer "features"; what stands before it is the
            backbone.
        share: float in [0, 1], share of the backbone's layers, from the top.

    Returns:
        int, the number of layers with weights that will now learn.
    """
    layers = backbone_layers(model)
    first = round(len(layers) * (1 - share))
    for position, layer in enumerate(layers):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = position >= first and not is_norm
    return sum(bool(layer.trainable_weights) for layer in layers)


def _cached_head(model, data, course, options, *, saved, verbose):
    """The head as a model of its own, and the batches of features it learns from.

    The backbone is frozen, so its output for a picture never changes: it is computed
    once for each picture instead of once for each epoch. If the time of `course` runs
    out first, the head learns from the pictures that have been seen by then. Where
    the head is done, there are no batches.
    """
    pooled = model.get_layer("pooled")
    backbone = keras.Model(model.input, pooled.output)
    inputs = keras.Input(pooled.output.shape[1:])
    x = inputs
    for layer in model.layers[model.layers.index(pooled) + 1 :]:
        x = layer(x)  # the same layers: what the head learns, the model knows
    head = keras.Model(inputs, x, name=f"{model.name}_head")
    if saved and saved.is_done:
        return head, (None, None)

    batch_size = options["batch_size"]
    features = np.zeros((len(data.manifest), *inputs.shape[1:]), "float32")
    seen = np.zeros(len(features), bool)
    told = time.monotonic()
    for part in ("valid", "train"):
        rows = data.rows(part)
        if part == "train":
            rows = np.random.default_rng(options["seed"]).permutation(rows)
        for start in range(0, len(rows), batch_size):
            chosen = rows[start : start + batch_size]
            images = data.pixels[chosen].astype("float32")
            features[chosen] = backbone.predict_on_batch(images)
            seen[chosen] = True
            if verbose and time.monotonic() - told > 15:
                told = time.monotonic()
                print(f"features of {part} pictures: {start / len(rows):.0%}")
            if part == "train" and course.share() > 0.7:
                break
    cached = dataclasses.replace(
        data,
        image_shape=features.shape[1:],
        manifest=data.manifest[seen].reset_index(drop=True),
        pixels=features[seen],
    )
    start = saved.epoch if saved else 0
    train = cached.batches("train", epoch=start, **options)
    return head, (train, cached.batches("valid", batch_size=256))
