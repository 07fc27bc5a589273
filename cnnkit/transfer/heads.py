"""Heads: what stands behind a backbone and turns its feature map into classes.

Each takes the feature map, shape (batch, h, w, c), makes one vector "pooled" of it, and
of that the "logits", shape (batch, num_classes).
"""

import keras
from keras import layers, ops

from cnnkit.models.checks import check_classes
from cnnkit.models.cosine import CosineLogits

HIDDEN = 256  # width of the further layer of `hidden`
SCORED = 64  # width of the layer from which `attention` scores a position


def average(features, num_classes, dropout):
    """One dense layer on the average of each channel over all positions.

    Lin, Chen and Yan, "Network In Network", 2013, https://arxiv.org/abs/1312.4400
    (section 3.2). Since the logits are sums over the map, this is the head with which
    class activation maps are exact (Zhou et al., CVPR 2016).

    Args:
        features: tensor, shape (batch, h, w, c).
        num_classes: int, at least 2.
        dropout: float in [0, 1), share of the pooled features that is switched off in
            each training step.

    Returns:
        The logits, a tensor of shape (batch, num_classes). "pooled" is (batch, c).
    """
    pooled = layers.GlobalAveragePooling2D(name="pooled")(features)
    return _linear(_drop(pooled, dropout), num_classes)


def average_max(features, num_classes, dropout):
    """One dense layer on the average and the largest value of each channel.

    The largest value sees what fills a few positions and is lost in the average. The
    two side by side are the pooling of fastai (Howard and Gugger, "Fastai: A Layered
    API for Deep Learning", 2020, https://arxiv.org/abs/2002.04688).

    Args:
        features: tensor, as for `average`.
        num_classes: int, as for `average`.
        dropout: float, as for `average`.

    Returns:
        The logits, as from `average`. "pooled" is (batch, 2 * c): averages first.
    """
    mean = layers.GlobalAveragePooling2D(name="pooled_average")(features)
    largest = layers.GlobalMaxPooling2D(name="pooled_max")(features)
    pooled = layers.Concatenate(name="pooled")([mean, largest])
    return _linear(_drop(pooled, dropout), num_classes)


def hidden(features, num_classes, dropout):
    """A further layer between the average and the logits, with BatchNorm and dropout.

    It can combine features, where one layer only adds them up, and needs more
    pictures for it. Its BatchNorm learns: only those of the backbone stay frozen.

    Args:
        features: tensor, as for `average`.
        num_classes: int, as for `average`.
        dropout: float, as for `average`; here also of the hidden features.

    Returns:
        The logits, as from `average`. "pooled" is (batch, c).
    """
    x = layers.GlobalAveragePooling2D(name="pooled")(features)
    x = _drop(x, dropout)
    x = layers.Dense(
        HIDDEN, use_bias=False, kernel_initializer="he_normal", name="hidden"
    )(x)
    # Momentum 0.9, as in `blocks.conv_bn`: a short training has few steps.
    x = layers.BatchNormalization(momentum=0.9, name="hidden_bn")(x)
    x = layers.ReLU(name="hidden_relu")(x)
    return _linear(_drop(x, dropout, name="hidden_dropout"), num_classes)


def attention(features, num_classes, dropout):
    """One dense layer on an average in which positions count differently.

    The layer "attention" says how much: shape (batch, h, w, 1), with the sum 1 over a
    picture. Ilse, Tomczak and Welling, "Attention-based Deep Multiple Instance
    Learning", ICML 2018, https://arxiv.org/abs/1802.04712 (equations 7 and 8). The
    last weights of the scores start from zero, so it begins as the plain average.

    Args:
        features: tensor, as for `average`.
        num_classes: int, as for `average`.
        dropout: float, as for `average`.

    Returns:
        The logits, as from `average`. "pooled" is (batch, c).
    """
    # (h, w, c) to (h, w, 64) and (h, w, 1): a number a position
    x = layers.Conv2D(SCORED, 1, activation="tanh", name="attention_hidden")(features)
    x = layers.Conv2D(
        1, 1, use_bias=False, kernel_initializer="zeros", name="attention_scores"
    )(x)
    weights = layers.Softmax(axis=(1, 2), dtype="float32", name="attention")(x)
    weighted = layers.Multiply(name="attention_weighted")([features, weights])
    pooled = layers.Identity(name="pooled")(ops.sum(weighted, axis=(1, 2)))
    return _linear(_drop(pooled, dropout), num_classes)


def cosine(features, num_classes, dropout):
    """Cosines between the average and one vector for each class, times a scale.

    How strongly a picture excites the features no longer matters, only which of them:
    with few pictures a class that holds better (Gidaris and Komodakis, "Dynamic
    Few-Shot Visual Learning without Forgetting", CVPR 2018,
    https://arxiv.org/abs/1804.09458, section 3.2; Chen et al., "A Closer Look at
    Few-shot Classification", ICLR 2019, https://arxiv.org/abs/1904.04232).

    Args:
        features: tensor, as for `average`.
        num_classes: int, as for `average`.
        dropout: float, as for `average`.

    Returns:
        The logits, as from `average`. "pooled" is (batch, c).
    """
    pooled = layers.GlobalAveragePooling2D(name="pooled")(features)
    x = _drop(pooled, dropout)
    return CosineLogits(num_classes, dtype="float32", name="logits")(x)


HEADS = {
    "average": average,
    "average_max": average_max,
    "hidden": hidden,
    "attention": attention,
    "cosine": cosine,
}


def check_head(head, num_classes, dropout):
    """Refuses what no head can be built from.

    Args:
        head: str, a key of `HEADS`.
        num_classes: int, at least 2.
        dropout: float in [0, 1).

    Raises:
        ValueError: one of them is not so.
    """
    if head not in HEADS:
        raise ValueError(
            f"`head` must be one of {tuple(HEADS)}; for another one, build your own "
            f"layers on `backbone(...).output`. Received: head={head!r}"
        )
    check_classes(num_classes)
    if not 0 <= dropout < 1:
        raise ValueError(
            "`dropout` is the share of features that is switched off, so it must be "
            f"at least 0 and under 1. Received: dropout={dropout!r}"
        )


def _drop(x, dropout, name="dropout"):
    return layers.Dropout(dropout, name=name)(x) if dropout else x


def _linear(x, num_classes):
    # A 16-bit policy would round the logits to two or three digits.
    return layers.Dense(num_classes, dtype="float32", name="logits")(x)


def head_of(model):
    """Returns what stands behind the backbone, as a model that shares its layers.

    What the head learns, the model knows: there is one set of weights.

    Args:
        model: `keras.Model` with the layers "features" and "pooled", such as
            `classifier` or a builder of `cnnkit.models` returns.

    Returns:
        An uncompiled `keras.Model` to the outputs of `model`. Where nothing is learned
        between "features" and "pooled" it starts from the pooled features, shape
        (batch, c); where something is, as with attention pooling, from the feature
        map, shape (batch, h, w, c).

    Raises:
        ValueError: the model has no such layers.

    Example:
        >>> head = head_of(model)
        >>> features = body_of(model).predict(images)
        >>> probabilities = head.predict(features)  # as model.predict(images)
    """
    return keras.Model(_cut(model), model.output, name=f"{model.name}_head")


def body_of(model):
    """Returns the model up to where `head_of` starts; it shares the layers.

    Args:
        model: `keras.Model`, as for `head_of`.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255] to what
        `head_of(model)` takes. As long as its layers are frozen, its output for a
        picture never changes, and can be kept.

    Raises:
        ValueError: the model has no layers "features" and "pooled".
    """
    return keras.Model(model.input, _cut(model), name=f"{model.name}_body")


def backbone_layers(model):
    """Lists the layers of a model's backbone.

    Args:
        model: `keras.Model`, as for `head_of`.

    Returns:
        A list of the layers before "features", in the order of the model.

    Raises:
        ValueError: the model has no layers "features" and "pooled".
    """
    names = [layer.name for layer in model.layers]
    if "features" not in names or "pooled" not in names:
        raise ValueError(
            "The model needs layers named 'features' (the backbone's output) and "
            "'pooled'; build it with transfer.classifier, or train it with "
            f"training.fit. Received: a model whose last layers are {names[-4:]}"
        )
    return model.layers[: names.index("features")]


def _cut(model):
    """The tensor at which a model falls into a body and a head."""
    features, *behind = model.layers[len(backbone_layers(model)) :]
    pooled = model.get_layer("pooled")
    between = behind[: behind.index(pooled) + 1]
    return (features if any(x.weights for x in between) else pooled).output
