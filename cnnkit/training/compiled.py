"""One compiled model for many trainings, where nothing but numbers changes.

Tracing the graph of a training step takes a second, as long as some epochs of a small
network. A search trains a hundred times, and most of its models differ in numbers
alone, such as the rate of dropout: here such numbers become variables of the graph.
"""

import contextlib
import logging
import weakref

import keras
import tensorflow as tf
from tensorflow.python.framework import ops as tensorflow_ops

from cnnkit.training.describing import described

_KEPT = weakref.WeakKeyDictionary()  # model: what it is compiled for, or None
# What is no part of the graph, or a variable in it.
FREE = "learning_rate schedule weight_decay patience verbose callbacks class_weight"


class Knob:
    """A number that a traced graph reads anew in each step.

    It can stand for `L2.l2`, for the rate of `AdjustableDropout`, and for
    `weight_decay` of an optimizer.

    Args:
        value: float.
    """

    def __init__(self, value):
        self.variable = tf.Variable(float(value), trainable=False)

    def __tf_tensor__(self, dtype=None, name=None):
        return tf.cast(self.variable, dtype or "float32", name=name)


class AdjustableDropout(keras.layers.Dropout):
    """What a Dropout layer becomes to have a `Knob` as its rate.

    `Dropout` compares its rate with 0 in Python, which is for numbers alone. The luck
    is the same.
    """

    def call(self, inputs, training=False):  # noqa: D102
        if not training:
            return inputs
        rate = tf.convert_to_tensor(self.rate)
        scale = tf.cast(1 / (1 - rate), inputs.dtype)
        seed = tf.cast(self.seed_generator.next(), "int32")  # as `keras.random` does it
        luck = tf.random.stateless_uniform(tf.shape(inputs), seed, dtype=inputs.dtype)
        kept = luck >= tf.cast(rate, inputs.dtype)
        return tf.where(kept, inputs * scale, tf.zeros((), inputs.dtype))


def keep(model):
    """Lets a model stay compiled from one training to the next.

    What is kept: the traced graph, and the precision that layers compute in. Weights
    go on from where they are, and the optimizer starts anew.

    Args:
        model: `keras.Model`, which nobody else compiles or changes.
    """
    _KEPT[model] = None


def is_kept(model):
    """Returns whether `keep` was called for a model.

    Args:
        model: `keras.Model`.
    """
    return model in _KEPT


def compile_for(model, recipe, make_optimizer, options, batches=None):
    """Compiles a model, or takes back its optimizer to the start where that is enough.

    Args:
        model: `keras.Model`.
        recipe: `phases.Recipe`.
        make_optimizer: function of a recipe to its Keras optimizer.
        options: dict, further arguments of `keras.Model.compile`.
        batches: `tf.data.Dataset` that it will be trained on, if there is one.
    """
    key = described(
        {k: v for k, v in recipe._asdict().items() if k not in FREE.split()}
    )
    kept = _KEPT.get(model)
    if kept is None or kept[0] != key:
        model.compile(make_optimizer(recipe), recipe.loss, **options)
        if batches is not None:
            _build(model, batches)
        if model in _KEPT:
            _KEPT[model] = key, Start(model)
    else:
        kept[1].again(recipe.learning_rate, recipe.weight_decay)


def _build(model, batches):
    """Makes the variables of a compiled model's optimizer, loss and metrics.

    Keras makes them while it traces the first step, and for that TensorFlow traces the
    step a second time. The numbers are the same.
    """
    if not getattr(model, "outputs", None):
        return  # known in the first step: left to Keras

    def empty(spec):
        return tf.zeros([1, *(size or 1 for size in spec.shape[1:])], spec.dtype)

    images, labels = tf.nest.map_structure(empty, batches.element_spec)[:2]
    sequential = isinstance(model, keras.Sequential)  # its `output` is not known yet
    answers = tf.nest.map_structure(
        empty, model.outputs[0] if sequential else model.output
    )
    model.optimizer.build(model.trainable_variables)
    model.compute_loss(images, labels, answers)
    model.compute_metrics(images, labels, answers)
    model.reset_metrics()


@contextlib.contextmanager
def graphs_that_can_go():
    """Lets go of the graphs of a training with its model.

    Keras sums gradients over replicas, one or many, by an operation with a gradient of
    its own. TensorFlow keeps that gradient in a list for ever, and by it the graph of
    each training step, some ten megabytes. It is needed to trace through that graph
    again, which nobody does. Other TensorFlows may have no such list.

    A graph for each training is meant, so TensorFlow's warning of it is held back.
    """
    known = getattr(tensorflow_ops.gradient_registry, "_registry", {})
    before, logger = set(known), logging.getLogger("tensorflow")
    logger.addFilter(_is_no_retracing)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_retracing)
        for name in set(known) - before:
            if name.startswith("CustomGradient"):
                del known[name]


def _is_no_retracing(record):
    return "triggered tf.function retracing" not in record.getMessage()


class Start:
    """The state in which the optimizer of a compiled model begins.

    Args:
        model: `keras.Model`, compiled and not trained since; a `weight_decay` of its
            optimizer becomes a `Knob`.
    """

    def __init__(self, model):
        self.optimizer = optimizer = model.optimizer
        optimizer.build(model.trainable_variables)
        self.values = [variable.numpy() for variable in optimizer.variables]
        if optimizer.weight_decay is not None:
            optimizer.weight_decay = Knob(optimizer.weight_decay)

    def again(self, learning_rate, weight_decay):
        """Takes the optimizer back to its start.

        Args:
            learning_rate: float.
            weight_decay: float, or None where there is none.
        """
        for variable, value in zip(self.optimizer.variables, self.values, strict=True):
            variable.assign(value)
        self.optimizer.learning_rate = learning_rate
        if weight_decay is not None:
            self.optimizer.weight_decay.variable.assign(weight_decay)
