"""Heads: what stands behind a backbone and turns its feature map into classes."""

import keras


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


def _cut(model):
    """The tensor at which a model falls into a body and a head."""
    names = [layer.name for layer in model.layers]
    if "features" not in names or "pooled" not in names:
        raise ValueError(
            "The model needs layers named 'features' (the backbone's output) and "
            "'pooled'; build it with transfer.classifier, or with a builder of "
            f"cnnkit.models. Received: a model whose last layers are {names[-4:]}"
        )
    features, pooled = names.index("features"), names.index("pooled")
    between = model.layers[features + 1 : pooled + 1]
    learned = any(layer.weights for layer in between)
    return model.layers[features if learned else pooled].output
