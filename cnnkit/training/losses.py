"""The loss of a run, and what makes up for classes of unequal size in it."""

import keras
import tensorflow as tf
from keras import ops

from cnnkit.data import balance

CROSSENTROPY = "sparse_categorical_crossentropy"
NEEDS_ONE_HOT = (
    keras.losses.CategoricalCrossentropy,
    keras.losses.CategoricalFocalCrossentropy,
    keras.losses.BinaryCrossentropy,
)


@keras.saving.register_keras_serializable("cnnkit")
class SparseFocalCrossentropy(keras.losses.Loss):
    """Cross-entropy in which pictures that are easy already count little.

    (1 - p)**gamma * -log(p), where p is the probability of the true class: Lin,
    Goyal, Girshick, He and Dollar, "Focal Loss for Dense Object Detection", 2017,
    https://arxiv.org/abs/1708.02002, equation 4. It is
    `keras.losses.CategoricalFocalCrossentropy` for integer labels.

    Args:
        gamma: float from 0; 0 is plain cross-entropy, 2 is the paper's choice.
        reduction: str, as for every Keras loss.
        name: str.
    """

    def __init__(self, gamma=2.0, reduction="sum_over_batch_size", name="focal"):
        super().__init__(name=name, reduction=reduction)
        if not gamma >= 0:
            raise ValueError(f"`gamma` is 0 or more. Received: gamma={gamma!r}")
        self.gamma = gamma

    def call(self, y_true, y_pred):
        """Returns the loss of each picture.

        Args:
            y_true: int tensor of shape (b,) or (b, 1).
            y_pred: float tensor of probabilities, shape (b, k).

        Returns:
            Float tensor of shape (b,).
        """
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        right = ops.take_along_axis(y_pred, labels[:, None], axis=-1)[:, 0]
        right = ops.clip(right, keras.config.epsilon(), 1.0)
        # The gradient of 0 to a power under 1 is infinite, and NaN times log(1).
        wrong = ops.maximum(1 - right, keras.config.epsilon())
        return ops.power(wrong, self.gamma) * -ops.log(right)

    def get_config(self):
        """Returns what builds the loss again."""
        return {**super().get_config(), "gamma": self.gamma}


LOSSES = {"crossentropy": CROSSENTROPY, "focal": SparseFocalCrossentropy()}


def soft_loss(loss, class_weight, label_smoothing, mix):
    """Chooses the loss for labels that are shares of classes, where they are.

    Args:
        loss: as for `fit`.
        class_weight: as for `fit`.
        label_smoothing: as for `fit`.
        mix: as for `fit`.

    Returns:
        `keras.losses.CategoricalCrossentropy`, which wants one-hot labels, or None
        where the labels stay whole numbers.

    Raises:
        ValueError: the smoothing is no share, or it or `mix` meets class weights or
            another loss; the message says what to leave out.
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(
            "`label_smoothing` is the share of each label that is spread over all "
            "classes, at least 0 and under 1; 0.1 is usual. Received: "
            f"label_smoothing={label_smoothing!r}"
        )
    if not label_smoothing and mix is None:
        return None
    softened = "label_smoothing" if mix is None else "mix"
    if class_weight is not None:
        raise ValueError(
            f"With {softened}= a label is shared between classes, and Keras would take "
            "the weight of its largest share, without a word. Leave one of them out, "
            "or draw the small classes more often with data.balance.oversample. "
            f"Received: class_weight with {softened}"
        )
    if loss != "crossentropy":
        raise ValueError(
            f"With {softened}= a label is shared between classes, which only "
            'loss="crossentropy" understands. Leave one of them out. Received: '
            f"loss={loss!r} with {softened}"
        )
    return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)


def check_balance(data, class_weight, loss):
    """Checks that only one thing makes up for classes of unequal size.

    Args:
        data: `ImageData`.
        class_weight: as for `fit`.
        loss: as for `fit`.

    Returns:
        (class_weight, loss) for Keras.

    Raises:
        ValueError: they do not fit each other or the classes; the message says how.
    """
    if isinstance(loss, str) and loss not in LOSSES:
        raise ValueError(
            f"`loss` is one of {tuple(LOSSES)} or a Keras loss for integer labels. "
            f"Received: loss={loss!r}"
        )
    if isinstance(loss, NEEDS_ONE_HOT):
        raise ValueError(
            "The labels are integers: take the Sparse loss of that name, or "
            f'loss="focal". Received: loss={type(loss).__name__}'
        )
    focal = loss == "focal" or isinstance(loss, SparseFocalCrossentropy)
    loss = LOSSES[loss] if isinstance(loss, str) else loss
    if class_weight is None:
        return None, loss
    if focal:
        raise ValueError(
            "The focal loss turns to the hard pictures already; with class weights "
            'small classes would count twice. Leave out class_weight=, or loss="focal".'
            " Received: both"
        )
    if balance.is_repeated(data):
        raise ValueError(
            "The small classes are repeated already; with class weights they would "
            "count twice. Leave out class_weight=, or train on the data as it was "
            "loaded. Received: class_weight with oversampled pictures"
        )
    wanted = set(range(data.num_classes))
    good = isinstance(class_weight, dict) and set(class_weight) == wanted
    if not good or not all(
        0 < weight < float("inf") for weight in class_weight.values()
    ):
        raise ValueError(
            "`class_weight` is a dict with a number above 0 for each label from 0 to "
            f"{data.num_classes - 1}; data.balance.class_weights(photos) makes one. "
            f"Received: class_weight={class_weight!r}"
        )
    return class_weight, loss


def weighted(batches, class_weight):
    """Validation batches whose pictures count as their class does in training."""
    if class_weight is None:
        return batches
    weights = tf.constant([class_weight[k] for k in range(len(class_weight))])
    return batches.map(
        lambda images, labels: (images, labels, tf.gather(weights, labels))
    )
