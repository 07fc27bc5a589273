"""Trains a classifier on an `ImageData`: from scratch, or from weights it already has.

One recipe serves both: AdamW (Loshchilov and Hutter, 2019,
https://arxiv.org/abs/1711.05101), SGD with Nesterov's momentum or `muon.Muon`, and a
learning rate that rises to its peak and falls to zero, so that a run ends on calm
weights whether it lasts for a number of epochs or of minutes (`schedules.OneCycle`).
"""

import math

import keras

from cnnkit.data.surroundings import check_keras
from cnnkit.training import precision as precisions
from cnnkit.training import resuming
from cnnkit.training.in_time import some_of
from cnnkit.training.interrupts import memory_for
from cnnkit.training.losses import check_balance, soft_loss
from cnnkit.training.phases import CALIBRATED, MONITORS, Recipe, join, train_phase
from cnnkit.training.schedules import SCHEDULES
from cnnkit.training.watch import Course

# optimizer: (peak learning rate for random weights, weight decay)
OPTIMIZERS = {"adamw": (3e-3, 0.02), "sgd": (0.1, 5e-4), "muon": (1e-2, 0.02)}
SCRATCH_RATE, _ = OPTIMIZERS["adamw"]
RATE = "the rate of each step comes from learning_rate= and schedule=, whatever it sets"
DONE_OTHERWISE = {
    keras.callbacks.LearningRateScheduler: RATE,
    keras.callbacks.ReduceLROnPlateau: RATE,
    keras.callbacks.BackupAndRestore: "resume= saves a run and goes on with it",
    keras.callbacks.SwapEMAWeights: "ema= averages the weights",
}


def fit(
    model,
    data,
    *,
    epochs=None,
    minutes=None,
    batch_size=32,
    optimizer="adamw",
    learning_rate=None,
    schedule="one-cycle",
    weight_decay=None,
    label_smoothing=0.0,
    augment=None,
    mix=None,
    ema=None,
    clip=None,
    precision="auto",
    patience=None,
    class_weight=None,
    loss="crossentropy",
    monitor=CALIBRATED,
    callbacks=(),
    resume=None,
    seed=0,
    verbose=1,
):
    """Trains every trainable layer of a classifier and leaves its best weights in it.

    In plain Keras it stands for::

        steps = epochs * len(data.train)
        optimizer = keras.optimizers.AdamW(
            training.schedules.OneCycle(3e-3, steps), weight_decay=0.02
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        model.compile(optimizer, "sparse_categorical_crossentropy",
                      metrics=["accuracy"], jit_compile=False)
        model.fit(data.train, validation_data=data.valid, epochs=epochs,
                  callbacks=[...])  # to keep the best weights, as `monitor` has it

    The best weights are those of the epoch in which the validation pictures were told
    apart best, by their log loss after calibration: a network that is only too sure of
    itself goes on learning, and `evaluation.calibrate` mends the rest. Interrupting it
    (Ctrl-C, or the stop button of a notebook) ends the run early and leaves the best
    weights so far.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities; it is compiled
            here.
        data: `ImageData`.
        epochs: int, passes over the training pictures.
        minutes: float, wall-clock minutes, compiling and validation included; at the
            end of them the learning rate has come down as well. Give this, or
            `epochs`, or both for whichever comes first. Where a validation would take
            over a seventh of them, it is on a part of the pictures. The number of
            epochs depends on the speed of the machine, so a run is repeated exactly
            with the number of epochs that it reached.
        batch_size: int, pictures in a training step.
        optimizer: "adamw", "sgd" (momentum 0.9, Nesterov), or "muon" (`muon.Muon`),
            with which convolutions learn from scratch in half the passes.
        learning_rate: float, its peak; None takes 3e-3 for AdamW, 0.1 for SGD, 1e-2 for
            Muon, which suit random weights and normalisation layers.
        schedule: "one-cycle" (rises for a quarter of the run, then falls) or "cosine"
            (a short warm-up, then falls).
        weight_decay: float, share of a kernel that is taken off in each step, times
            the learning rate: biases and normalisation are not decayed. None takes
            0.02 for AdamW and Muon, 5e-4 for SGD.
        label_smoothing: float in [0, 1), share of each label that is spread over all
            classes (Szegedy et al., 2016, section 7); 0.1 is usual.
        augment: None or a function, as for `ImageData.batches`.
        mix: None or a function, as for `ImageData.batches`: `augment.mixup()` or
            `augment.cutmix()`. The training accuracy is then that of mixed pictures.
        ema: float in (0, 1), such as 0.99: validation, and the weights that are left,
            are a moving average over steps (Polyak and Juditsky, 1992), of which each
            step keeps so much, in the first steps less; BatchNorm's statistics are
            averaged as well. None takes the latest.
        clip: float, the longest gradient, over all weights together (Pascanu et al.,
            2013); None lets all pass.
        precision: "float32", "mixed_bfloat16" (layers compute in 16 bits while they
            train; weights, the saved model and predictions stay in 32), or "auto",
            which takes 16 bits where machine and model gain from them.
        patience: int, epochs without a better `monitor` after which training stops;
            None goes on to the end, where the learning rate has come down.
        class_weight: None, or a dict from each label to how much its pictures count in
            the loss and in `monitor`, such as `data.balance.class_weights(photos)`.
        loss: "crossentropy", or "focal" (`losses.SparseFocalCrossentropy`), or a Keras
            loss for integer labels.
        monitor: str, which value of an epoch says how good it was:
            "val_calibrated_log_loss" (the log loss at the temperature that suits it
            best; Berta et al., 2025, https://arxiv.org/abs/2501.19195; weighted as the
            classes are), "val_log_loss" (plain), "val_loss" (with what smoothing,
            class weights and regularisation add), "val_accuracy" or
            "val_balanced_accuracy".
        callbacks: sequence of `keras.callbacks.Callback` of yours, called after ours;
            none that would do again, otherwise, what an argument here does.
        resume: str or path of a folder in which the run is saved after each epoch, or
            None. The same call goes on from there, in another process as well, after
            a crash, SIGTERM or Ctrl-C, and ends with the weights and the history of a
            run in one go, to the last bit, on one machine with its CPU. A GPU also
            needs `tf.config.experimental.enable_op_determinism()`. With `minutes` the
            time up to the last save counts as used, and the end differs. A run that
            has come to its end returns its result at once. What `callbacks` remember
            is not saved. With AdamW each of the two files that are kept takes up to
            four times the size of the weights.
        seed: int, of the order of the pictures. For equal weights on one machine
            call `keras.utils.set_random_seed` before the model is built as well.
        verbose: 0 is silent, 1 prints at most some twenty lines in all.

    Returns:
        A `keras.callbacks.History` with loss, accuracy, log_loss, their val_ values,
        `monitor` and learning_rate for each epoch. Its `params` say also: phases (name
        and number of epochs), best_epoch (from 1), seconds, stopped (why), precision,
        and advice where nothing was learnt.

    Raises:
        ValueError: neither `epochs` nor `minutes`, an argument out of its range, a
            model that does not fit the pictures, or label smoothing or `mix` with
            class weights or with another loss; or the run in the folder `resume` is
            of another model, other data or settings, or damaged.
        RuntimeError: another run is going on in the folder `resume`.
        OSError: the folder `resume` cannot be written, or not even the start of the
            run fits on the disk. A full disk later on only warns.
        MemoryError: the memory does not suffice for a batch.

    Example:
        >>> history = fit(model, photos, minutes=2)
    """
    check_run(model, data, epochs, minutes)
    usual_rate, usual_decay = one_of(OPTIMIZERS, "optimizer", optimizer)
    one_of(MONITORS, "monitor", monitor)
    soft = soft_loss(loss, class_weight, label_smoothing, mix)
    class_weight, loss = check_balance(data, class_weight, loss)
    recipe = Recipe(
        learning_rate=usual_rate if learning_rate is None else learning_rate,
        weight_decay=usual_decay if weight_decay is None else weight_decay,
        patience=patience,
        verbose=verbose,
        class_weight=class_weight,
        loss=soft or loss,
        optimizer=optimizer,
        schedule=one_of(SCHEDULES, "schedule", schedule),
        ema=ema,
        clip=clip,
        precision=precisions.choose(model, precision),
        callbacks=_checked_callbacks(callbacks, monitor),
        monitor=monitor,
    )
    _check_numbers(recipe)
    course = Course(minutes)
    shared = {"batch_size": batch_size, "one_hot": soft is not None}
    valid = data.batches("valid", **shared)
    settings = recipe._asdict() | {
        "epochs": epochs,
        "minutes": minutes,
        "batch_size": batch_size,
        "augment": augment,
        "mix": mix,
        "seed": seed,
    }
    opened = resuming.opened(resume, model, data, settings, verbose=verbose)
    with memory_for(batch_size), opened as run:
        saved = run and run.phase("all-layers")
        train = data.batches(
            "train",
            augment=augment,
            mix=mix,
            seed=seed,
            epoch=saved.epoch if saved else 0,
            **shared,
        )
        phase = train_phase(
            "all layers", model, train, valid, recipe, course, epochs, saved=saved,
            fewer=lambda number: some_of(data, number / len(valid)).batches(
                "valid", **shared
            ),
        )  # fmt: skip
    history = join([phase], course, verbose, seed, data.num_classes)
    history.params["precision"] = recipe.precision
    return history


def check_run(model, data, epochs, minutes):
    """Checks the arguments of `fit` that would otherwise fail later, or in silence."""
    check_keras()
    if epochs is None and minutes is None:
        raise ValueError(
            "Say how long to train: epochs=10, or minutes=2. Received: neither"
        )
    for name, value in (("epochs", epochs), ("minutes", minutes)):
        if value is not None and not 0 < value < math.inf:
            raise ValueError(
                f"`{name}` is above 0, and finite. Received: {name}={value!r}"
            )
    if not hasattr(data, "batches"):
        raise ValueError(
            "`data` is an ImageData, from data.from_folder, data.from_arrays or "
            f"data.load. Received: {type(data).__name__}"
        )
    wanted, shape = model.input_shape[1:], data.image_shape
    if len(wanted) != len(shape) or any(
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


def one_of(table, name, value):
    """Returns what a table has under a name, or says which names it has."""
    if value not in table:
        raise ValueError(
            f"`{name}` is one of {tuple(table)}. Received: {name}={value!r}"
        )
    return table[value]


def _checked_callbacks(callbacks, monitor):
    """A tuple of them, without such as `fit` would overrule or break."""
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = (callbacks,)
    for callback in callbacks:
        for kind, instead in DONE_OTHERWISE.items():
            if isinstance(callback, kind):
                raise ValueError(
                    f"Leave out the callback {kind.__name__}: {instead}. Received: "
                    f"callbacks with {type(callback).__name__}"
                )
        if getattr(callback, "restore_best_weights", False):  # of EarlyStopping
            if callback.monitor != monitor:
                raise ValueError(
                    "Which weights are left is said by monitor=: leave "
                    "restore_best_weights away. Received: EarlyStopping with monitor="
                    f"{callback.monitor!r}, and monitor={monitor!r}"
                )
    return tuple(callbacks)


def _check_numbers(recipe):
    """Refuses numbers with which nothing is learnt."""
    ranges = {
        "learning_rate": (recipe.learning_rate > 0, "above 0"),
        "weight_decay": (recipe.weight_decay >= 0, "at least 0"),
        "ema": (recipe.ema is None or 0 < recipe.ema < 1, "between 0 and 1"),
        "clip": (recipe.clip is None or recipe.clip > 0, "above 0"),
        "patience": (recipe.patience is None or recipe.patience >= 1, "at least 1"),
    }
    for name, (good, rule) in ranges.items():
        if not good:
            value = getattr(recipe, name)
            raise ValueError(f"`{name}` is {rule}. Received: {name}={value!r}")
