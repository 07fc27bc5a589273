"""Trains a classifier on an `ImageData`: from scratch, or from weights it already has.

One recipe serves both: AdamW (Loshchilov and Hutter, 2019) with a one-cycle learning
rate (Smith and Topin, "Super-Convergence", 2018, https://arxiv.org/abs/1708.07120). It
rises from near zero to its peak, then falls to zero along a cosine, so that a run ends
on calm weights whether it lasts for a number of epochs or of minutes.
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from cnnkit.training.losses import CROSSENTROPY, check_balance
from cnnkit.training.watch import Course, KeepBest, OneCycle, Report

SCRATCH_RATE = 3e-3  # peak learning rate for random weights
MOST_EPOCHS = 10_000  # where only the minutes count
INTERRUPTED = "you stopped it"


class Recipe(NamedTuple):
    """How to train, whatever is trained."""

    learning_rate: float
    weight_decay: float
    patience: int | None
    verbose: int
    class_weight: dict | None = None
    loss: object = CROSSENTROPY


def fit(
    model,
    data,
    *,
    epochs=None,
    minutes=None,
    batch_size=32,
    learning_rate=SCRATCH_RATE,
    weight_decay=0.02,
    patience=None,
    augment=None,
    class_weight=None,
    loss="crossentropy",
    seed=0,
    verbose=1,
):
    """Trains every trainable layer of a classifier and leaves its best weights in it.

    In plain Keras it stands for::

        model.compile(keras.optimizers.AdamW(schedule, weight_decay),
                      "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(data.train, validation_data=data.valid, epochs=epochs,
                  callbacks=[EarlyStopping(restore_best_weights=True)])

    The best weights are those of the epoch with the lowest validation loss.
    Interrupting it (Ctrl-C, or the stop button of a notebook) ends the run early and
    leaves the best weights so far.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities; it is compiled
            here.
        data: `ImageData`.
        epochs: int, passes over the training pictures.
        minutes: float, wall-clock minutes, compiling and validation included; at the
            end of them the learning rate has come down as well. Give this, or
            `epochs`, or both for whichever comes first. With `minutes` the number of
            epochs depends on the speed of the machine, so a run is repeated exactly
            with the number of epochs that it reached.
        batch_size: int, pictures in a training step.
        learning_rate: float, its peak.
        weight_decay: float, AdamW's, for kernels only: biases and normalisation are
            not decayed.
        patience: int, epochs without a better validation loss after which training
            stops; None waits for a third of the run, and at least 10 epochs.
        augment: None or a function, as for `ImageData.batches`.
        class_weight: None, or a dict from each label to how much its pictures count in
            the training loss, such as `data.balance.class_weights(photos)`.
        loss: "crossentropy", or "focal" (`losses.SparseFocalCrossentropy`), or a Keras
            loss for integer labels.
        seed: int, of the order of the pictures. For equal weights on one machine
            call `keras.utils.set_random_seed` before the model is built as well.
        verbose: 0 is silent, 1 prints at most some twenty lines in all.

    Returns:
        A `keras.callbacks.History` with loss, accuracy, val_loss, val_accuracy and
        learning_rate for each epoch. Its `params` say also: phases (name and number
        of epochs), best_epoch (from 1), seconds, stopped (why).

    Raises:
        ValueError: neither `epochs` nor `minutes`, a model that does not fit the
            pictures, or ways of balancing that do not go together.

    Example:
        >>> history = fit(model, photos, minutes=2)
    """
    check(model, data, epochs, minutes)
    course = Course(minutes)
    train = data.batches("train", batch_size=batch_size, augment=augment, seed=seed)
    valid = data.batches("valid", batch_size=batch_size)
    balanced = check_balance(data, class_weight, loss)
    recipe = Recipe(learning_rate, weight_decay, patience, verbose, *balanced)
    phase = train_phase("all layers", model, train, valid, recipe, course, epochs)
    return join([phase], course, verbose)


def train_phase(name, model, train, valid, recipe, course, epochs, *, loss_before=None):
    """Compiles and trains one phase, then restores the weights that were best.

    Args:
        name: str, what is trained, for the progress lines.
        model: `keras.Model` with some trainable layers.
        train: `tf.data.Dataset` of training batches.
        valid: `tf.data.Dataset` of validation batches.
        recipe: `Recipe`.
        course: `Course`, with the minutes that are left.
        epochs: int, or None where only the minutes count.
        loss_before: float, the validation loss of the weights that the model has
            now, which are kept if no epoch is better; None where they are random.

    Returns:
        A `keras.callbacks.History`; its params are phases, best_epoch (None if no
        epoch was better than before) and stopped.
    """
    optimizer = keras.optimizers.AdamW(recipe.learning_rate, recipe.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer,
        recipe.loss,
        metrics=["accuracy"],
        # On a CPU compiling to XLA makes training slower, on a GPU faster.
        jit_compile="auto" if tf.config.list_physical_devices("GPU") else False,
    )
    if epochs is not None:
        course.steps = epochs * len(train)
    cycle = OneCycle(recipe.learning_rate, course)
    best = KeepBest(course, recipe.patience)
    if loss_before is not None:
        best.loss, best.weights = loss_before, model.get_weights()
    history = keras.callbacks.History()
    history.epoch = []  # for an interrupt before training begins, when Keras sets it
    callbacks = [cycle, best, history]
    if recipe.verbose:
        callbacks.insert(2, Report(name, course, best))
    try:
        model.fit(
            train,
            validation_data=valid,
            epochs=epochs or MOST_EPOCHS,
            callbacks=callbacks,
            class_weight=recipe.class_weight,
            shuffle=False,  # `ImageData.batches` has done it
            verbose=0,
        )
    except KeyboardInterrupt:
        stopped = INTERRUPTED
    else:
        time_is_up = "the time was up" if cycle.time_is_up else "all epochs done"
        stopped = best.why or time_is_up
    best.restore()
    history.params = {
        "phases": [(name, len(history.epoch))],
        "best_epoch": None if best.epoch is None else best.epoch + 1,
        "stopped": stopped,
    }
    return history


def join(phases, course, verbose):
    """Joins the histories of all phases into one, with the facts of the whole run.

    Args:
        phases: list of `keras.callbacks.History` from `train_phase`, in order.
        course: `Course` of the whole run.
        verbose: 0 or 1, whether to print what came out.

    Returns:
        The last History, now of the whole run.
    """
    history, best_epoch, num_epochs = phases[-1], None, 0
    for phase in phases:
        if phase.params["best_epoch"] is not None:
            best_epoch = num_epochs + phase.params["best_epoch"]
        num_epochs += len(phase.epoch)
    names = phases[0].history
    history.history = {
        n: [v for p in phases for v in p.history.get(n, [])] for n in names
    }
    history.epoch = list(range(num_epochs))
    history.params |= {
        "phases": [row for phase in phases for row in phase.params["phases"]],
        "best_epoch": best_epoch,
        "seconds": round(course.elapsed(), 1),
    }
    if verbose and best_epoch:
        print(
            f"Done after {course.elapsed():.0f} s ({history.params['stopped']}). The "
            f"weights are those of epoch {best_epoch} of {num_epochs}: validation "
            f"accuracy {history.history['val_accuracy'][best_epoch - 1]:.1%}"
        )
    elif verbose:
        print(
            f"No epoch was finished ({history.params['stopped']}): the model is as it "
            "was, or has seen part of the pictures once. Give it more time."
        )
    return history


def check(model, data, epochs, minutes):
    """Checks what would otherwise fail later, or in silence.

    Args:
        model: as for `fit`.
        data: as for `fit`.
        epochs: as for `fit`.
        minutes: as for `fit`.

    Raises:
        ValueError: model, pictures and duration do not fit; the message says how.
    """
    if epochs is None and minutes is None:
        raise ValueError(
            "Say how long to train: epochs=10, or minutes=2. Received: neither"
        )
    for name, value in (("epochs", epochs), ("minutes", minutes)):
        if value is not None and not value > 0:
            raise ValueError(f"`{name}` is above 0. Received: {name}={value!r}")
    if not hasattr(data, "batches"):
        raise ValueError(
            "`data` is an ImageData, from data.from_folder, data.from_arrays or "
            f"data.load. Received: {type(data).__name__}"
        )
    wanted, shape = model.input_shape[1:], data.image_shape
    if len(wanted) != 3 or any(
        w not in (None, s) for w, s in zip(wanted, shape, strict=True)
    ):
        raise ValueError(
            "Model and pictures need one shape: build the model with "
            f"input_shape={shape}, or load the pictures with another image_size. "
            f"Received: a model for {wanted} and pictures of {shape}"
        )
    if model.output_shape[-1] != data.num_classes:
        raise ValueError(
            "The model needs one output for each class. Received: a model with "
            f"{model.output_shape[-1]} outputs and {data.num_classes} classes"
        )
    if not model.trainable_weights:
        raise ValueError(
            "No layer is trainable: set model.trainable = True, or use fine_tune on a "
            f"classifier of transfer.classifier. Received: {model.name} with "
            "every layer frozen"
        )
