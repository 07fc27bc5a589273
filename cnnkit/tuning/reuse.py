"""Models of earlier trials, which later trials of the same structure train again.

Building a model takes a tenth of a second; tracing its training step takes one or two.
Where a trial differs from an earlier one in numbers that are variables of the graph
(learning rate, weight decay, dropout, L2), it gets the earlier model, with the weights
of its own start: the result is the same to the last bit.
"""

import gc
import re
from collections import OrderedDict

import keras

from cnnkit.training import compiled, fingerprint
from cnnkit.training.describing import config_text

MOST = 6  # models that are kept
PILE = 24  # models after which Keras is cleared: each leaves some megabytes behind
STRENGTH = re.compile(r'("l2": )[^,}]+')


class Models:
    """The models of a search that are kept, the latest used last."""

    def __init__(self):
        self._kept, self._made = OrderedDict(), 0

    def like(self, model, settings=()):
        """Returns a model that trains exactly as `model` would, compiled where it was.

        Args:
            model: `keras.Model`, just built.
            settings: what else the graph of its training depends on; anything with a
                `repr` that says all.

        Returns:
            `model` itself, or an earlier one with its weights.
        """
        arguments = _compiled_with(model)
        if model.compiled and arguments is None:
            return model  # with a loss or an optimizer that Keras cannot describe
        key = (_structure(model), arguments, repr(settings))
        if key not in self._kept:
            self._make_room()
            self._kept[key] = _Kept(model)
        self._kept.move_to_end(key)
        return self._kept[key].started_as(model)

    def _make_room(self):
        self._made += 1
        while len(self._kept) >= MOST:
            self._kept.popitem(last=False)
        if self._made % PILE == 0:
            self._kept.clear()
            keras.backend.clear_session()
        gc.collect()  # models and their graphs refer to each other


class _Kept:
    """One model with its numbers as variables."""

    def __init__(self, model):
        self.model, self.start = model, None
        compiled.keep(model)
        self.knobs = [compiled.Knob(value) for value in _numbers(model)]
        for holder, knob in zip(_holders(model), self.knobs, strict=True):
            if isinstance(holder, keras.layers.Dropout):
                holder.rate, holder.__class__ = knob, compiled.AdjustableDropout
            else:  # a layer may share its regularizer with others
                holder.regularizer = keras.regularizers.L2()
                holder.regularizer.l2 = knob
        if model.compiled:
            self.start = compiled.Start(model)

    def started_as(self, model):
        if model is self.model:
            return model
        for old, new in zip(self.model.variables, model.variables, strict=True):
            old.assign(new)
        for knob, value in zip(self.knobs, _numbers(model), strict=True):
            knob.variable.assign(value)
        if self.start:
            optimizer = model.optimizer
            self.start.again(float(optimizer.learning_rate), optimizer.weight_decay)
        return self.model


def _holders(model):
    """The layers and variables with a number that can be a variable of the graph."""
    drops = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if type(layer) is keras.layers.Dropout
        and layer.noise_shape is None
        and layer.rate > 0
    ]
    decays = [
        variable
        for variable in model.trainable_variables
        if isinstance(variable.regularizer, keras.regularizers.L2)
    ]
    return drops + decays


def _numbers(model):
    return [
        x.rate if isinstance(x, keras.layers.Dropout) else float(x.regularizer.l2)
        for x in _holders(model)
    ]


def _structure(model):
    """The layers of a model without the numbers that may differ, as text."""
    rows = []
    for row in fingerprint.layers(model):
        settings = dict(row["settings"])
        if row["class"] == "Dropout" and float(settings["rate"]) > 0:
            settings["rate"] = "any"
        settings = {k: STRENGTH.sub(r"\1any", v) for k, v in settings.items()}
        rows.append((row["class"], fingerprint.own_name(row), sorted(settings.items())))
    return repr(rows)


def _compiled_with(model):
    """How a model was compiled, without rate and decay; None if Keras cannot tell."""
    if not model.compiled:
        return None
    try:
        config = model.get_compile_config()
        optimizer = config["optimizer"]["config"]
    except (TypeError, KeyError, NotImplementedError):
        return None
    for name in ("learning_rate", "weight_decay"):
        if isinstance(optimizer.get(name), float | int):
            optimizer[name] = "any"
    return config_text(config)  # without names, which Keras numbers
