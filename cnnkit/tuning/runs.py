"""How the model of one trial is built and trained."""

import keras

from cnnkit import training, transfer
from cnnkit.training import compiled
from cnnkit.training.describing import described
from cnnkit.training.fine_tuning import HEAD_EPOCHS, HEAD_RATE, TUNED_RATE
from cnnkit.training.phases import BROKEN_OFF
from cnnkit.training.watch import KeepBest
from cnnkit.transfer.heads import backbone_layers
from cnnkit.tuning.hypermodels import Together

FREE = f"{compiled.FREE} augment batch_size epochs seed"  # no graph depends on them


def trained(tuner, hp, seed, epochs, *, course, weights=None, shared=True):
    """Builds and trains a model.

    Args:
        tuner: `Search`.
        hp: `keras_tuner.HyperParameters`.
        seed: int, of its weights and of the order of the pictures.
        epochs: int.
        course: `Course` in whose time it ends.
        weights: list of arrays to begin with, of `learnt`; or None.
        shared: bool, whether the model may be one of an earlier trial, and be trained
            again by a later one.

    Returns:
        (model, history): the model with the weights of its best epoch, and a
        `keras.callbacks.History`.

    Raises:
        KeyboardInterrupt: it was stopped.
    """
    like = tuner.models.like if shared else lambda model, settings=(): model
    keras.utils.set_random_seed(seed)
    model = tuner.hypermodel.build(hp)
    if weights is not None:
        assign(model, weights)
    if trains_itself(tuner.hypermodel, model):
        model = like(model)
        with compiled.graphs_that_can_go():
            history = _as_compiled(tuner, hp, model, epochs, course, seed)
    else:
        settings = {"epochs": epochs} | tuner.hypermodel.settings(hp)
        settings |= {"seed": seed, "verbose": 0}
        if "tuner/epochs" in hp.values:  # Hyperband says how many
            settings["epochs"] = epochs
        model, history = _fitted(tuner, model, settings, course, like)
    if (history.params or {}).get("stopped") in BROKEN_OFF:
        raise KeyboardInterrupt
    return model, history


def trains_itself(hypermodel, model):
    """Returns whether a model comes with an optimizer, or is not for `training.fit`.

    Of such a model the epoch with the best objective is kept, as by any tuner of
    KerasTuner; `training.fit` keeps that of its `monitor`.

    Args:
        hypermodel: `keras_tuner.HyperModel`.
        model: `keras.Model` that it built.
    """
    return model.compiled or not isinstance(hypermodel, Together)


def learnt(model):
    """Lists the weights of the layers that learn; the others are as they were built.

    Args:
        model: `keras.Model`.
    """
    layers = [layer for layer in model.layers if layer.trainable_weights]
    return [weight for layer in layers for weight in layer.weights]


def assign(model, values):
    """Gives a model what another of the same build has learnt.

    Args:
        model: `keras.Model`.
        values: list of arrays, of `learnt`.
    """
    for weight, value in zip(learnt(model), values, strict=True):
        weight.assign(value)


def _fitted(tuner, model, settings, course, like):
    """Trains as `training.fit` does; what is frozen is computed once for all trials."""
    kept = {k: v for k, v in settings.items() if k not in FREE.split()}
    graph = described(kept | {"mix": settings.get("mix") is not None})
    frozen = _frozen_share(model)
    augmented = settings.get("augment") or settings.get("mix")
    if frozen == 0 or (frozen == 1 and augmented):
        fast = like(model, graph)
        return fast, training.fit(fast, tuner.photos, **settings, **_minutes(course))

    features = transfer.cache_features(
        model, tuner.photos, folder=tuner.folder / "features", verbose=0
    )
    head = transfer.head_of(model)
    fast = like(head, graph)
    for_head = {"learning_rate": HEAD_RATE} | settings | {"augment": None, "mix": None}
    if frozen < 1:
        for_head["epochs"] = HEAD_EPOCHS
    history = training.fit(fast, features, **for_head, **_minutes(course))
    for old, new in zip(head.weights, fast.weights, strict=True):
        old.assign(new)
    if frozen < 1 and history.params["best_epoch"] and course.left() > 0:
        # The upper layers of the backbone know something, and go slower than a head.
        rate = for_head["learning_rate"] * TUNED_RATE / HEAD_RATE
        settings |= {"learning_rate": rate}
        history = training.fit(model, tuner.photos, **settings, **_minutes(course))
    return model, history


def _as_compiled(tuner, hp, model, epochs, course, seed):
    """Trains with the optimizer and the loss that the model came with."""
    history, space = keras.callbacks.History(), tuner.hypermodel
    objective = tuner.oracle.objective
    best = KeepBest(monitor=objective.name, direction=objective.direction)
    callbacks = [best, history, _Deadline(course)]
    options = {"epochs": epochs, "callbacks": callbacks, "verbose": 0}
    try:
        if isinstance(space, Together):
            space.fit(hp, model, tuner.photos, seed=seed, **options)
        else:  # the user's own takes what `Model.fit` takes
            train = tuner.photos.batches("train", seed=seed)
            options["validation_data"] = tuner.photos.batches("valid")
            space.fit(hp, model, train, shuffle=False, **options)
    finally:
        best.restore()
    history.params = {"stopped": best.why}
    return history


class _Deadline(keras.callbacks.Callback):
    """Ends a training in time."""

    def __init__(self, course):
        super().__init__()
        self.course = course

    def on_train_batch_end(self, batch, logs=None):
        if self.course.left() <= 0:
            self.model.stop_training = True


def _minutes(course):
    if course.left() == float("inf"):
        return {}
    return {"minutes": max(course.left(), 0.1) / 60}


def _frozen_share(model):
    """The share of a backbone below the first layer that learns; 0 without weights."""
    try:
        layers = backbone_layers(model)
    except ValueError:
        return 0
    learns = [bool(layer.trainable_weights) for layer in layers]
    first = learns.index(True) if True in learns else len(layers)
    has_weights = any(layer.weights for layer in layers[:first])
    return first / len(layers) if has_weights else 0
