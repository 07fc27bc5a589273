"""Class activation maps: where in the picture are the features that speak for a class?

The last feature map of a CNN still knows where each feature is. All four methods weigh
its channels for a class, add them up and lay the sum over the picture. They differ in
the weights alone.
"""

import tensorflow as tf

from cnnkit.explain.tapping import (
    check_classes,
    check_images,
    feature_layer,
    slices,
    tap,
)

# How many pixels run through the model at a time: 40 pictures of 224 x 224.
PIXELS = 2**21


def grad_cam(model, images, *, classes=None, layer=None):
    """Returns Grad-CAM heat: a channel weighs as much as its mean gradient.

    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
    Gradient-based Localization", ICCV 2017, https://arxiv.org/abs/1610.02391
    (equations 1 and 2). In a network whose maps are averaged and go to one dense layer
    that is the class activation map of Zhou et al., CVPR 2016.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape (n, k).
        images: array of pixels in [0, 255], shape (n, h, w, c).
        classes: int array of shape (n,), or an int, the classes to explain; None
            explains the predicted ones.
        layer: the layer whose maps are used, or its name ("model/name" in a model
            inside). None takes "features", else the last one with maps.

    Returns:
        float32 heat of shape (n, h, w), 0 or more, the highest of each picture 1. Where
        nothing speaks for the class all is 0, and stays 0.

    Raises:
        ValueError: pictures, classes or layer do not fit the model.

    Example:
        >>> heat = grad_cam(model, images)
        >>> heat.shape == images.shape[:3]
        True
    """

    def heat(maps, gradients):
        weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
        return tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1))

    return _from_gradients(model, images, classes, layer, heat)


def grad_cam_plus_plus(model, images, *, classes=None, layer=None):
    """Returns Grad-CAM++ heat: positions with a strong gradient count for more.

    Where Grad-CAM averages the gradients of a channel over all positions, so that a
    small thing counts little, this sums what is positive, each position weighted.
    Chattopadhay et al., "Grad-CAM++: Improved Visual Explanations for Deep
    Convolutional Networks", WACV 2018, https://arxiv.org/abs/1710.11063 (equations 10,
    11 and 19, for the exponential of the logit; its value leaves the scaled heat).

    Args:
        model: `keras.Model` as for `grad_cam`.
        images: array of pixels in [0, 255], shape (n, h, w, c).
        classes: as for `grad_cam`.
        layer: as for `grad_cam`.

    Returns:
        float32 heat of shape (n, h, w), as from `grad_cam`.

    Raises:
        ValueError: pictures, classes or layer do not fit the model.
    """

    def heat(maps, gradients):
        total = tf.reduce_sum(maps, axis=(1, 2), keepdims=True)
        below = 2 * gradients**2 + total * gradients**3
        alpha = tf.math.divide_no_nan(gradients**2, below)
        weights = tf.reduce_sum(alpha * tf.nn.relu(gradients), (1, 2), keepdims=True)
        return tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1))

    return _from_gradients(model, images, classes, layer, heat)


def layer_cam(model, images, *, classes=None, layer=None):
    """Returns Layer-CAM heat: each position of a channel has a weight of its own.

    So it also works on earlier layers, whose maps are finer. Jiang et al., "LayerCAM:
    Exploring Hierarchical Class Activation Maps for Localization", IEEE TIP 2021,
    https://doi.org/10.1109/TIP.2021.3089943 (equations 6 to 8).

    Args:
        model: `keras.Model` as for `grad_cam`.
        images: array of pixels in [0, 255], shape (n, h, w, c).
        classes: as for `grad_cam`.
        layer: as for `grad_cam`.

    Returns:
        float32 heat of shape (n, h, w), as from `grad_cam`.

    Raises:
        ValueError: pictures, classes or layer do not fit the model.
    """

    def heat(maps, gradients):
        return tf.nn.relu(tf.reduce_sum(tf.nn.relu(gradients) * maps, axis=-1))

    return _from_gradients(model, images, classes, layer, heat)


def score_cam(model, images, *, classes=None, layer=None):
    """Returns Score-CAM heat: a channel weighs what the class gains where it is on.

    No gradients: the picture is shown through each channel as through a stencil (the
    channel scaled to [0, 1]; black where it is 0), and the weights are the softmax of
    the logits that come out. Wang et al., "Score-CAM: Score-Weighted Visual
    Explanations for Convolutional Neural Networks", CVPR Workshops 2020,
    https://arxiv.org/abs/1910.01279 (algorithm 1). A picture costs one run of the model
    for each channel, 96 for `small_cnn` and 1,280 for MobileNetV2.

    Args:
        model: `keras.Model` as for `grad_cam`.
        images: array of pixels in [0, 255], shape (n, h, w, c).
        classes: as for `grad_cam`.
        layer: as for `grad_cam`.

    Returns:
        float32 heat of shape (n, h, w), as from `grad_cam`.

    Raises:
        ValueError: pictures, classes or layer do not fit the model.
    """
    images = check_images(model, images)
    run = tap(model, feature_layer(model, layer, images))
    size, heats = images.shape[1:3], []
    for i in range(len(images)):
        maps, logits, _ = run(tf.constant(images[i : i + 1]))
        maps = _checked(maps)
        label = _chosen(classes, images, logits, slice(i, i + 1))[0]
        stencils = tf.image.resize(tf.transpose(maps, (3, 1, 2, 0)), size)
        low = tf.reduce_min(stencils, axis=(1, 2, 3), keepdims=True)
        high = tf.reduce_max(stencils, axis=(1, 2, 3), keepdims=True)
        stencils = tf.math.divide_no_nan(stencils - low, high - low)
        scores = [
            run(stencils[part] * images[i])[1][:, label]
            for part in slices(len(stencils), images, PIXELS)
        ]
        weights = tf.nn.softmax(tf.concat(scores, axis=0))
        heats.append(tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)))
    return at_picture_size(tf.concat(heats, axis=0), size)


def at_picture_size(heat, size):
    """Enlarges heat to the picture and scales it to [0, 1].

    Args:
        heat: array of shape (n, rows, columns), 0 or more.
        size: (height, width) in pixels.

    Returns:
        float32 array of shape (n, height, width). The highest of each picture is 1,
        but heat that is 0 everywhere stays 0.
    """
    heat = tf.cast(heat, "float32")
    if tuple(heat.shape[1:]) != tuple(size):
        heat = tf.image.resize(heat[..., None], size)[..., 0]
    highest = tf.reduce_max(heat, axis=(1, 2), keepdims=True)
    return tf.math.divide_no_nan(heat, highest).numpy()


def _from_gradients(model, images, classes, layer, heat):
    """One run of the model forward, and back from the logits to the maps."""
    images = check_images(model, images)
    run = tap(model, feature_layer(model, layer, images))
    heats = []
    for part in slices(len(images), images, PIXELS):
        # The tape sees nothing before the maps, so only the last layers cost twice.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            maps, logits, _ = run(tf.constant(images[part]), tape.watch)
            chosen = _chosen(classes, images, logits, part)
            score = tf.reduce_sum(tf.gather(logits, chosen, batch_dims=1))
        gradients = tape.gradient(score, maps, unconnected_gradients="zero")
        heats.append(heat(_checked(maps), tf.cast(gradients, "float32")))
    return at_picture_size(tf.concat(heats, axis=0), images.shape[1:3])


def _chosen(classes, images, logits, part):
    """The classes to explain in a part of the pictures."""
    if classes is None:
        return tf.argmax(logits, axis=1).numpy()
    return check_classes(classes, images, logits.shape[1])[part]


def _checked(maps):
    if len(maps.shape) != 4:
        raise ValueError(
            "`layer` must put out maps, so that they can be laid over the picture: "
            "take a layer before any pooling or flattening. "
            f"Received: a layer that puts out shape {tuple(maps.shape)}"
        )
    return tf.cast(maps, "float32")
