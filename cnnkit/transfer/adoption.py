"""Gives a network of `cnnkit.models` the weights of its twin in keras.applications."""

import keras
import numpy as np

PIXELS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)], "float32")


def adopt(model, published, preprocess=None):
    """Copies published weights into a builder's model, and the pixels they expect.

    The layers of our builders come in the order of keras.applications, so weights go
    over one after the other. What differs is what a network makes of pixels before its
    first convolution: [-1, 1], or blue first and the mean colour subtracted, or a
    division by the deviation. That is found out by showing `published` a black, a red,
    a green and a blue picture; then the layer "rescale" of `model` does the same.

    In plain Keras it stands for `model.set_weights(published.get_weights())`.

    Args:
        model: `keras.Model` from a builder of `cnnkit.models`, for pictures of 3
            channels, of any size and number of classes.
        published: `keras.Model` of the same architecture from keras.applications, with
            or without its top.
        preprocess: the function `preprocess_input` of that family, such as
            `keras.applications.resnet.preprocess_input`; None where the network
            normalises inside (EfficientNet, MobileNetV3).

    Returns:
        `model` itself. The last layer is taken over if `published` has it with as many
        classes, and else keeps its random weights. All layers up to "features" are
        frozen, so that `training.fine_tune` first trains what stands behind them.

    Raises:
        ValueError: the two are not of one architecture, or `model` takes grey pictures.

    Example:
        >>> published = keras.applications.MobileNet(weights=None, include_top=False)
        >>> rule = keras.applications.mobilenet.preprocess_input
        >>> model = adopt(models.mobilenet(1, num_classes=5), published, rule)
    """
    if model.input_shape[-1] != 3:
        raise ValueError(
            "Published weights have seen colour: build the model with 3 channels, and "
            "load grey pictures with grey=False. "
            f"Received: input_shape={model.input_shape[1:]}"
        )
    body = model.layers[: [layer.name for layer in model.layers].index("features") + 1]
    pairs = _pairs(model, published, sum(len(layer.weights) for layer in body))
    scale, offset, order = _first_steps(published, preprocess)
    rescale = model.get_layer("rescale")
    rescale.scale, rescale.offset = scale.tolist(), offset.tolist()
    for number, (ours, theirs) in enumerate(pairs):
        value = np.asarray(theirs).reshape(ours.shape)
        ours.assign(value[:, :, order] if number == 0 else value)
    for layer in body:
        layer.trainable = False
    return model


def _pairs(model, published, body):
    """The variables that belong together: [(ours, theirs), ...]."""
    of_pixels = {
        id(variable)
        for layer in published.layers
        if isinstance(layer, keras.layers.Normalization)
        for variable in layer.weights
    }
    theirs = [v for v in published.weights if id(v) not in of_pixels]
    ours = model.weights
    if len(theirs) not in (body, len(ours)):
        raise ValueError(
            "`published` must be the same network from keras.applications, with or "
            f"without its top: {body} or {len(ours)} arrays of weights. "
            f"Received: {published.name!r} with {len(theirs)} for {model.name!r}"
        )
    last = {id(variable) for variable in model.get_layer("logits").weights}
    pairs = []
    for our, their in zip(ours[: len(theirs)], theirs, strict=True):
        if np.prod(our.shape) == np.prod(their.shape):
            pairs.append((our, their))
        elif id(our) not in last:
            raise ValueError(
                "`published` must be the same network in the same width and depth. "
                f"Received: {their.path!r} of shape {tuple(their.shape)} for "
                f"{our.path!r} of shape {tuple(our.shape)}"
            )
    return pairs


def _first_steps(published, preprocess):
    """What happens to red, green and blue: scale, offset, and the order they go in."""
    convolutions = (keras.layers.Conv2D, keras.layers.ZeroPadding2D)
    first = next(x for x in published.layers if isinstance(x, convolutions))
    before = keras.Model(published.input, first.input)
    sides = [side or 64 for side in published.input_shape[1:3]]
    images = np.broadcast_to(PIXELS[:, None, None], (4, *sides, 3)).copy()
    seen = np.asarray(before(images if preprocess is None else preprocess(images)))
    offset, steps = seen[0, 0, 0], (seen[1:, 0, 0] - seen[0, 0, 0]) / 255
    order = np.abs(steps).argmax(axis=1)  # the place where red ends, green, blue
    return steps[range(3), order], offset[order], order
