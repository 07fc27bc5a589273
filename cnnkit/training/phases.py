"""One phase of a training: an optimizer, a schedule, callbacks, Keras' own `fit`.

`fit` has one phase, `fine_tune` two; `join` makes one history of them.
"""

import contextlib
import math
from typing import NamedTuple

import keras
import tensorflow as tf

from cnnkit.data.surroundings import say
from cnnkit.training import compiled, precision
from cnnkit.training.in_time import affordable
from cnnkit.training.interrupts import Listening, Terminated
from cnnkit.training.layer_rates import LayerRates
from cnnkit.training.losses import CROSSENTROPY, weighted
from cnnkit.training.metrics import BalancedAccuracy, LogLoss
from cnnkit.training.muon import Muon
from cnnkit.training.resuming import Saver
from cnnkit.training.schedules import OneCycle
from cnnkit.training.watch import Averaged, Clock, KeepBest, Latest, Report

MOST_EPOCHS = 10_000  # where only the minutes count
INTERRUPTED, TERMINATED = "you stopped it", "the process was asked to end"
BROKEN_OFF = INTERRUPTED, TERMINATED  # by somebody, before time or epochs were up
UNDECAYED = ["bias", "gamma", "beta"]  # few numbers, which overfit nothing
MOMENTUM = 0.9
CALIBRATED = "val_calibrated_log_loss"
MONITORS = {  # what may say which epoch is the best, and which of its values
    CALIBRATED: "min",
    "val_log_loss": "min",
    "val_loss": "min",
    "val_accuracy": "max",
    "val_balanced_accuracy": "max",
}
TEMPERATURES = [2 ** (step / 3) for step in range(-4, 13)]  # 0.4 to 16


class Recipe(NamedTuple):
    """How to train, whatever is trained: the arguments of `fit`, checked."""

    learning_rate: float
    weight_decay: float
    patience: int | None
    verbose: int
    class_weight: dict | None = None
    loss: object = CROSSENTROPY
    optimizer: str = "adamw"
    schedule: type = OneCycle
    ema: float | None = None
    clip: float | None = None
    precision: str = "float32"
    callbacks: tuple = ()
    monitor: str = CALIBRATED
    shares: dict | None = None  # of the learning rate, by the path of a variable


def make_optimizer(recipe):
    """Returns the optimizer of a recipe.

    Args:
        recipe: `Recipe`.

    Returns:
        `keras.optimizers.AdamW` or, where the recipe has `shares`, `LayerRates`; `SGD`
        with Nesterov's momentum; or `Muon`. Biases and the weights of normalisation
        layers are not decayed.
    """
    shared = {
        "learning_rate": recipe.learning_rate,
        "weight_decay": recipe.weight_decay,
        "global_clipnorm": recipe.clip,
    }
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=MOMENTUM, nesterov=True, **shared)
    elif recipe.optimizer == "muon":
        optimizer = Muon(**shared)
    elif recipe.shares is not None:
        optimizer = LayerRates(**shared)
        optimizer.shares = recipe.shares
    else:
        optimizer = keras.optimizers.AdamW(**shared)
    optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
    return optimizer


def train_phase(
    name, model, train, valid, recipe, course, epochs, *,
    fewer=None, loss_before=None, saved=None,
):  # fmt: skip
    """Compiles and trains one phase, then restores the weights that were best.

    Args:
        name: str, what is trained, for the progress lines.
        model: `keras.Model` with some trainable layers.
        train: `tf.data.Dataset` of training batches.
        valid: `tf.data.Dataset` of validation batches.
        recipe: `Recipe`.
        course: `Course`, with the minutes that are left.
        epochs: int, or None where only the minutes count.
        fewer: as for `in_time.affordable`, where validation may have to be cut.
        loss_before: float, the value of `monitor` for the weights that the model has
            now, which are kept if no epoch is better; None where they are random.
        saved: `checkpoint.Phase` to go on from and to save to, or None. Where it is
            done, `train` and `valid` may be None.

    Returns:
        A `keras.callbacks.History`; its params are phases, best_epoch (None if no
        epoch was better than before) and stopped.
    """
    clock = Clock(recipe.schedule(recipe.learning_rate), course)
    monitor = {"monitor": recipe.monitor, "direction": MONITORS[recipe.monitor]}
    best = KeepBest(recipe.patience, **monitor)
    if loss_before is not None:
        best.loss, best.weights = best.sign * loss_before, model.get_weights()
    history = keras.callbacks.History()
    history.epoch = []  # for an interrupt before training begins, when Keras sets it
    callbacks = [clock, best, history, *recipe.callbacks]
    kept = [clock, best]
    if recipe.verbose:
        callbacks.insert(2, Report(name, course, best))
    if recipe.ema is not None:
        averaged = Averaged(recipe.ema)
        kept.append(averaged)
        callbacks = [averaged, *callbacks, Latest(averaged)]
    listening = Listening() if saved else contextlib.nullcontext()
    stopped, goes_on = None, True
    with precision.computing_in(model, recipe.precision), listening:
        options = {
            "metrics": ["accuracy", LogLoss()],
            "weighted_metrics": [LogLoss(TEMPERATURES, "calibrated_log_loss")],
            # On a CPU compiling to XLA makes training slower, on a GPU faster.
            "jit_compile": (
                "auto" if tf.config.list_physical_devices("GPU") else False
            ),
        }
        if recipe.monitor == "val_balanced_accuracy":
            options["metrics"].append(BalancedAccuracy(model.output_shape[-1]))
        if saved:
            saver = Saver(saved, course, history, kept, listening)
            callbacks.append(saver)
        try:
            compiled.compile_for(model, recipe, make_optimizer, options, train)
            if saved:
                with listening.held():
                    goes_on = saver.begin(model)
                if saved.is_done:
                    return history
            if epochs is not None:
                course.steps = epochs * len(train)
            valid = weighted(valid, recipe.class_weight)
            if goes_on and fewer and course.left() < math.inf:

                def fewer_weighted(number):
                    return weighted(fewer(number), recipe.class_weight)

                valid, clock.test_seconds = affordable(
                    model, valid, course.left, fewer_weighted, verbose=recipe.verbose
                )
            if goes_on:
                with compiled.graphs_that_can_go():
                    model.fit(
                        train,
                        validation_data=valid,
                        epochs=epochs or MOST_EPOCHS,
                        initial_epoch=saved.epoch if saved else 0,
                        callbacks=callbacks,
                        class_weight=recipe.class_weight,
                        shuffle=False,  # `ImageData.batches` has done it
                        verbose=0,
                    )
        except KeyboardInterrupt as stop:
            stopped = _by_whom(stop)
        try:
            with listening.held() if saved else contextlib.nullcontext():
                best.restore()
                history.epoch = list(range(len(history.history.get("loss", []))))
                history.params = {
                    "phases": [(name, len(history.epoch))],
                    "best_epoch": None if best.epoch is None else best.epoch + 1,
                    "stopped": stopped or best.why or _ended(clock, history, epochs),
                    "learning_rate": recipe.learning_rate,
                    "monitor": recipe.monitor,
                }
                if not compiled.is_kept(model):  # files and `evaluate` as usual
                    options |= {"metrics": ["accuracy"], "weighted_metrics": None}
                    model.compile(model.optimizer, recipe.loss, **options)
                if saved and stopped:
                    saver.how_to_go_on()
                elif saved:
                    saver.finish()
        except KeyboardInterrupt as stop:
            if not saved:
                raise
            history.params["stopped"] = _by_whom(stop)  # it came when all was done
    return history


def _by_whom(stop):
    return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED


def _ended(clock, history, epochs):
    """Says why a run is over, and what was given up to end in time."""
    if not clock.time_is_up:
        done = len(history.epoch) == epochs
        return "all epochs done" if done else "one of the callbacks ended it"
    if epochs is None:
        return "the time was up"
    return f"the time was up after {len(history.epoch)} of {epochs} epochs"


def join(phases, course, verbose, seed, num_classes):
    """Joins the histories of all phases into one, with the facts of the whole run.

    Args:
        phases: list of `keras.callbacks.History` from `train_phase`, in order.
        course: `Course` of the whole run.
        verbose: 0 or 1, whether to print what came out.
        seed: int, of the run.
        num_classes: int.

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
        "seed": seed,
        "seconds": round(course.elapsed(), 1),
    }
    if (advice := _advice(history, num_classes)) is not None:
        history.params["advice"] = advice
    if verbose and best_epoch:
        say(
            f"Done after {course.elapsed():.0f} s ({history.params['stopped']}). The "
            f"weights are those of epoch {best_epoch} of {num_epochs}: validation "
            f"accuracy {history.history['val_accuracy'][best_epoch - 1]:.1%}"
        )
    elif verbose:
        say(
            f"No epoch was finished ({history.params['stopped']}): the model is as it "
            "was, or has seen part of the pictures once."
        )
    if verbose and course.elapsed() > 1.3 * course.seconds:
        say(
            f"It took {course.elapsed():.0f} s where {course.seconds:.0f} were asked: "
            "the graph, one batch and one validation cannot be done in less."
        )
    if verbose and advice:
        say(advice)
    return history


def _advice(history, num_classes):
    """What would help a run that has learnt nothing, by what has happened, or None."""
    losses, guessing = history.history.get("loss", []), math.log(num_classes)
    worst = max(losses, default=0.0, key=lambda loss: loss if loss < math.inf else 1e99)
    valid = filter(math.isfinite, history.history.get("val_loss", ()))
    no_better = losses and min(valid, default=math.inf) > guessing
    rate = history.params.get("learning_rate", math.nan)
    lower = f"Try learning_rate={min(rate / 10, 0.01):.2g} instead of {rate:.2g}"
    if not math.isfinite(worst) or (no_better and worst > 10 * guessing):
        return (
            f"The loss became {worst:.3g}, where guessing gives {guessing:.2f}: the "
            f"steps were too long. {lower}; training.find_learning_rate measures one."
        )
    if history.params["stopped"] in BROKEN_OFF:
        return None
    if no_better and min(losses) < guessing / 2:
        return (
            "What was learnt of the training pictures does not hold for those of the "
            f"validation. {lower}, more pictures, or `augment`."
        )
    if no_better:
        return (
            "Nothing is learnt so far: guessing has a validation loss of "
            f"{guessing:.2f} as well. Train longer; training.preflight looks for other "
            "reasons."
        )
    return None if losses else "Give it more minutes, or take smaller pictures."
