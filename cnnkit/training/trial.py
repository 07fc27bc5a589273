"""Training steps that leave no trace, for those who measure before they train.

Keras has `stateless_call` for a model and, on TensorFlow, nothing like it for an
optimizer. So a trial copies the values of the model's variables, lets an optimizer of
its own change the copies, and calls the model with them in place of what it has.
"""

import contextlib
import random

import keras
import numpy as np
import tensorflow as tf

from cnnkit.training.losses import CROSSENTROPY, LOSSES
from cnnkit.training.phases import Recipe, make_optimizer
from cnnkit.training.recipe import OPTIMIZERS


class Trial:
    """A model in training, of which the model itself knows nothing.

    Attributes:
        trained: list of `keras.Variable`, copies of what the optimizer changes.
        others: list of `keras.Variable`, copies of what a call of the model changes
            (the statistics of BatchNorm, the states of random numbers).
        optimizer: a Keras optimizer that changes `trained`.
        step: the `tf.function` of a training step: from float images of shape
            (b, height, width, channels) and labels to the loss of the batch, that of
            regularisation, and the outputs, all three before the step.
        outputs: the `tf.function` of a prediction, from images to the model's outputs.

    Args:
        model: `keras.Model`, built.
        loss: function or Keras loss, from `loss_of`.
        optimizer: Keras optimizer that was not used yet, from `optimizer_of`.
    """

    def __init__(self, model, loss, optimizer):
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.trained = [_copy(v) for v in model.trainable_variables]
        self.others = [_copy(v) for v in model.non_trainable_variables]
        optimizer.build(self.trained)
        self.step = tf.function(self._step, autograph=False, reduce_retracing=True)
        self.outputs = tf.function(self._outputs, autograph=False)
        for function in (self.step, self.outputs):
            # TensorFlow counts traces of all trials together, and warns at the fifth.
            function._omit_frequent_tracing_warning = True

    def _step(self, images, labels):
        with tf.GradientTape() as tape:
            outputs, others, added = self._call(images, training=True)
            if len(labels.shape) == 1 and outputs.shape[-1] == 1:
                labels = labels[:, None]  # as Keras does it for the losses it compiles
            value = tf.reduce_mean(tf.cast(self.loss(labels, outputs), "float32"))
            added = tf.add_n(added) if added else tf.zeros(())
            total = value + added
        weights = [variable.value for variable in self.trained]
        self.optimizer.apply(tape.gradient(total, weights), self.trained)
        for variable, new in zip(self.others, others, strict=True):
            variable.assign(new)
        return value, added, outputs

    def _outputs(self, images):
        return self._call(images, training=False)[0]

    def _call(self, images, training):
        return self.model.stateless_call(
            [variable.value for variable in self.trained],
            [variable.value for variable in self.others],
            tf.cast(images, "float32"),
            training=training,
            return_losses=True,
        )


def _copy(variable):
    # By way of a new array: two TensorFlow variables made of one value share its
    # memory, and an optimizer that writes in place would change both.
    copy = keras.Variable(
        np.array(variable.value), dtype=variable.dtype, trainable=variable.trainable,
        name=variable.name,
    )  # fmt: skip
    copy._path = variable.path  # by which optimizers choose what they decay
    return copy


def loss_of(model, loss=None):
    """Returns the loss that a training of a model would take.

    Args:
        model: `keras.Model`.
        loss: None, for the model's own where it is compiled and else that of `fit`;
            or a name of `fit` or of Keras; or a Keras loss.

    Returns:
        A function of labels and outputs.

    Raises:
        ValueError: there is no such loss, or the model has a loss for each of several
            outputs.
    """
    if loss is None and getattr(model, "compiled", False):
        loss = model.loss
    if isinstance(loss, (list, tuple)) and len(loss) == 1:
        loss = loss[0]
    if isinstance(loss, (list, tuple, dict)):
        raise ValueError(
            "Only models with one output and one loss are measured; compile the part "
            f"that classifies on its own. Received: {len(loss)} losses"
        )
    if isinstance(loss, str):
        loss = LOSSES.get(loss, loss)
    return keras.losses.get(CROSSENTROPY if loss is None else loss)


def optimizer_of(model, optimizer=None, learning_rate=None):
    """Returns a new optimizer like the one that a training would take.

    Args:
        model: `keras.Model`.
        optimizer: None, for the model's own where it is compiled and else that of
            `fit`; or a str, as for `fit`; or a Keras optimizer, which is copied.
        learning_rate: float, or None for the optimizer's own, of a schedule its peak.

    Returns:
        A Keras optimizer that was not used yet, with a constant learning rate.

    Raises:
        ValueError: there is no such optimizer, or the rate is not above 0.
    """
    if learning_rate is not None and not learning_rate > 0:
        raise ValueError(
            f"`learning_rate` is above 0. Received: learning_rate={learning_rate!r}"
        )
    if optimizer is None:
        compiled = getattr(model, "compiled", False)
        optimizer = (compiled and model.optimizer) or "adamw"
    if isinstance(optimizer, keras.optimizers.Optimizer):
        config = optimizer.get_config()
        config["learning_rate"] = float(learning_rate or _highest(optimizer))
        return type(optimizer).from_config(config)
    if optimizer not in OPTIMIZERS:
        raise ValueError(
            f"`optimizer` is one of {tuple(OPTIMIZERS)} or a Keras optimizer. "
            f"Received: optimizer={optimizer!r}"
        )
    usual_rate, decay = OPTIMIZERS[optimizer]
    rate = float(learning_rate or usual_rate)
    return make_optimizer(Recipe(rate, decay, None, 0, optimizer=optimizer))


def _highest(optimizer):
    rate = optimizer._learning_rate
    if not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return float(rate)
    steps = {0, *np.geomspace(1, 1e6, 200).astype(int).tolist()}
    return max(float(rate(step)) for step in steps)


def parts(data, batch_size, seed=0):
    """Returns the training and the validation batches of what people train on.

    Args:
        data: `ImageData`; or a pair of `tf.data.Dataset`, of which the second may be
            None; or the first alone.
        batch_size: int, pictures in a batch of an `ImageData`.
        seed: int, of their order in an `ImageData`.

    Returns:
        Two `tf.data.Dataset`, the second of them None where there is none.

    Raises:
        ValueError: it is something else.
    """
    if hasattr(data, "batches"):
        some = (data.manifest["split"] == "valid").any()
        train = data.batches("train", batch_size=batch_size, seed=seed)
        return train, data.batches("valid", batch_size=batch_size) if some else None
    pair = data if isinstance(data, (tuple, list)) else (data, None)
    kinds = [isinstance(part, tf.data.Dataset) for part in pair]
    if len(pair) != 2 or not kinds[0] or not (kinds[1] or pair[1] is None):
        raise ValueError(
            "`data` is an ImageData, or a pair (train, valid) of tf.data.Dataset of "
            "(images, labels). For arrays take data.from_arrays(images, labels). "
            f"Received: {type(data).__name__}"
        )
    return tuple(pair)


def check_graph(model):
    """Checks that a model can be walked through.

    Args:
        model: anything.

    Raises:
        ValueError: it is no `keras.Model` with a graph, one input and one output.
    """
    inputs = getattr(model, "inputs", None) or ()
    if len(inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "`model` must have a graph from one picture to one output: make it with "
            "keras.Model(inputs, outputs), or as a Sequential that begins with an "
            f"Input. Received: {type(model).__name__} with {len(inputs)} inputs"
        )


@contextlib.contextmanager
def same_chance():
    """Puts the random numbers of Python and NumPy back to where they were."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
