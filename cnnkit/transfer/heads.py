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
