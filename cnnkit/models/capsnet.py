"""CapsNet: neurons in groups, and parts that vote for the whole that they belong to.

Sabour, Frosst and Hinton, "Dynamic Routing Between Capsules", NeurIPS 2017,
https://arxiv.org/abs/1710.09829 (figure 1 the network, procedure 1 the routing,
equation 4 the loss).

A capsule is a short vector. Its direction says how a thing looks (its pose), its length
from 0 to 1 how sure the network is that the thing is there. What differs here from the
other families: "logits" are the lengths, "pooled" holds the class capsules one after
another, and `MarginLoss` is a loss for lengths.
"""

import keras
from keras import layers, ops

from cnnkit.models.blocks import pixels
from cnnkit.models.checks import check_classes, check_fixed, check_sides

PART_SIZE, PARTS = 8, 32  # a primary capsule has 8 numbers, a position 32 capsules
CLASS_SIZE = 16
ITERATIONS = 3
PRESENT, ABSENT, ABSENT_WEIGHT = 0.9, 0.1, 0.5  # m+, m- and lambda of equation 4


def capsnet(*, num_classes=10, input_shape=(28, 28, 1)):
    """Builds an untrained capsule network.

    The length of each capsule answers "is this class there?" on its own, so the
    lengths do not sum to 1: a picture of two digits may have two long capsules. The
    output of the model answers "which one, if it is exactly one?": see `ExactlyOne`.

    The model can be trained like any other, with crossentropy on its output. The
    paper trains the lengths, with `MarginLoss`; they are in the same layers:

        lengths = keras.Model(model.input, model.get_layer("logits").output)
        lengths.compile("adam", MarginLoss())

    Args:
        num_classes: int, width of the output, at least 2.
        input_shape: (height, width, channels); height and width are at least 17
            pixels; channels is 3 or 1. The class capsules have their own weights for
            each position, so None is refused, and the weights grow with the area:
            6.8 million at 28 pixels, 29 million at 64.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes), which sum to 1. Its layer "features" has shape
        (batch, (height - 15) // 2, (width - 15) // 2, 256), where 8 channels in a
        row are a primary capsule; "pooled" (batch, 16 * num_classes); "logits"
        (batch, num_classes), lengths in [0, 1).

    Raises:
        ValueError: the input is under 17 pixels, is None or no image shape, or
            `num_classes` is under 2.

    Example:
        >>> model = capsnet(num_classes=10, input_shape=(28, 28, 1))
        >>> model.count_params()
        6804224
    """
    check_classes(num_classes)
    inputs, x = pixels(input_shape)
    check_fixed(input_shape, "`small_cnn` or another that averages")
    check_sides(input_shape, 17, "enlarge the pictures, to 28 pixels for example")

    x = layers.Conv2D(256, 9, activation="relu", name="conv")(x)
    x = layers.Conv2D(PARTS * PART_SIZE, 9, strides=2, name="primary_conv")(x)
    rows, columns = x.shape[1:3]
    x = layers.Reshape((rows, columns, PARTS, PART_SIZE), name="primary_groups")(x)
    x = Squash(name="primary_squash")(x)
    x = layers.Reshape((rows, columns, PARTS * PART_SIZE), name="features")(x)
    x = layers.Reshape((-1, PART_SIZE), name="primary_capsules")(x)
    x = Capsules(num_classes, CLASS_SIZE, ITERATIONS, name="class_capsules")(x)
    x = layers.Flatten(name="pooled")(x)
    # Lengths and odds stay in 32 bits, as the logits of every family.
    x = layers.Reshape((num_classes, CLASS_SIZE), dtype="float32", name="poses")(x)
    lengths = Lengths(dtype="float32", name="logits")(x)
    outputs = ExactlyOne(dtype="float32", name="probabilities")(lengths)
    return keras.Model(inputs, outputs, name="capsnet")


def squash(vectors):
    """Shortens vectors to a length in [0, 1), and keeps their direction (equation 1).

    Args:
        vectors: float tensor, shape (..., size); the last axis is a vector.

    Returns:
        A tensor of the same shape: a length of n has become n^2 / (1 + n^2).
    """
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    # The square root has no slope at 0; a little more than 0 has one.
    return vectors * ops.sqrt(squares + keras.config.epsilon()) / (1 + squares)


def route(votes, iterations=ITERATIONS):
    """Finds the capsules that the votes agree on (procedure 1).

    Each part starts with an equal share of its vote for every class. A class whose
    mean vote points the way of this vote gets a larger share next time.

    Args:
        votes: float tensor, shape (batch, parts, classes, size): the pose of each
            class, as each part imagines it.
        iterations: int, 1 or more; with 1 the votes are averaged, and no more.

    Returns:
        A tensor of shape (batch, classes, size), the squashed class capsules.
    """
    agreement = ops.zeros_like(votes[..., 0])  # (batch, parts, classes)
    for i in range(iterations):
        shares = ops.softmax(agreement, axis=-1)
        capsules = squash(ops.einsum("bpc,bpcs->bcs", shares, votes))
        if i < iterations - 1:
            agreement = agreement + ops.einsum("bpcs,bcs->bpc", votes, capsules)
    return capsules


@keras.saving.register_keras_serializable("cnnkit")
class Squash(layers.Layer):
    """The function `squash` as a layer."""

    def call(self, vectors):
        """Returns the shorter vectors."""
        return squash(vectors)


@keras.saving.register_keras_serializable("cnnkit")
class Capsules(layers.Layer):
    """Capsules that listen to all capsules below: (b, parts, n) to (b, count, size).

    Each pair of a part and a capsule has a matrix. It turns the pose of the part (a
    stroke) into a vote for the pose of the whole (a digit).

    Args:
        count: int, number of capsules.
        size: int, numbers in a capsule.
        iterations: int, rounds of routing; see `route`.
        name: str, or None for a name from Keras.
        dtype: dtype or policy of Keras, or None for the global one.
        trainable: bool, whether training changes the weights.
    """

    def __init__(
        self, count, size, iterations, *, name=None, dtype=None, trainable=True
    ):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        self.count, self.size, self.iterations = count, size, iterations

    def build(self, input_shape):
        """Makes a matrix for each pair of a part and a capsule."""
        _, parts, part_size = input_shape
        self.matrices = self.add_weight(
            shape=(parts, part_size, self.count, self.size),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
            name="matrices",
        )

    def call(self, poses):
        """Returns the capsules that the parts agree on."""
        votes = ops.einsum("bpn,pncs->bpcs", poses, self.matrices)
        return route(votes, self.iterations)

    def multiply_adds(self):
        """Returns those for one picture: of the votes, and of the rounds of routing."""
        parts, part_size, _, _ = self.matrices.shape
        # A round sums the votes; all but the last then compare each with the sum.
        uses = part_size + 2 * self.iterations - 1
        return parts * self.count * self.size * uses

    def get_config(self):
        """Returns what builds the layer again."""
        own = {"count": self.count, "size": self.size, "iterations": self.iterations}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("cnnkit")
class Lengths(layers.Layer):
    """The length of each vector: (b, count, size) to (b, count)."""

    def call(self, vectors):
        """Returns the lengths."""
        squares = ops.sum(ops.square(vectors), axis=-1)
        return ops.sqrt(squares + keras.config.epsilon() ** 2)


@keras.saving.register_keras_serializable("cnnkit")
class ExactlyOne(layers.Layer):
    """Probabilities of the classes, if exactly one of them is there.

    A length l is the probability that a class is there, whatever the others do. If we
    know that one is there and the rest is not, the probability of each is its odds
    l / (1 - l), divided by the sum of all odds. Shape (b, k) to (b, k).
    """

    def call(self, lengths):
        """Returns the probabilities."""
        least = keras.config.epsilon()
        lengths = ops.clip(lengths, least, 1 - least)
        return ops.softmax(ops.log(lengths) - ops.log(1 - lengths))


@keras.saving.register_keras_serializable("cnnkit")
class MarginLoss(keras.losses.Loss):
    """Wants the true capsule longer than 0.9 and the others under 0.1 (equation 4).

    Compare it with lengths, the layer "logits" of `capsnet`: in the probabilities
    there is no more trace of how long the capsules were. It takes the arguments of
    every Keras loss (`reduction`, `name`, `dtype`), all of them optional.
    """

    def call(self, y_true, y_pred):
        """Returns the loss of each picture, summed over the classes.

        Args:
            y_true: int tensor of labels, shape (b,) or (b, 1).
            y_pred: float tensor of lengths, shape (b, k).

        Returns:
            Float tensor of shape (b,).
        """
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        there = ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype)
        missing = there * ops.square(ops.relu(PRESENT - y_pred))
        surplus = (1 - there) * ops.square(ops.relu(y_pred - ABSENT))
        return ops.sum(missing + ABSENT_WEIGHT * surplus, axis=-1)
