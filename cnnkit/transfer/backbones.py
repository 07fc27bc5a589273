"""Networks of keras.applications that take pixels, and classifiers on top of them.

A network trained on a million photographs has learned edges, textures and parts that
serve for other pictures too (Yosinski et al., "How transferable are features in deep
neural networks?", NeurIPS 2014, https://arxiv.org/abs/1411.1792). Keep it, replace its
last layers, and a few hundred pictures are enough.
"""

import os
from pathlib import Path

import keras
from keras import applications, layers

from cnnkit.models.blocks import classify

# name: (builder, pixels wanted, file of the weights in Keras' cache, widths that have
# such a file). "symmetric" is [-1, 1]; "statistics" subtracts the mean of ImageNet and
# divides by its deviation; "bgr" is Caffe's order of channels, minus the mean;
# "inside" means that the network does it itself.
BACKBONES = {
    "mobilenet": (
        applications.MobileNet,
        "symmetric",
        "mobilenet_{}_224_tf_no_top.h5",
        {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"},
    ),
    "mobilenet_v2": (
        applications.MobileNetV2,
        "symmetric",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{}_224_no_top.h5",
        {w: str(w) for w in (1.0, 0.75, 0.5, 0.35, 1.3, 1.4)},
    ),
    "mobilenet_v3_small": (
        applications.MobileNetV3Small,
        "inside",
        "weights_mobilenet_v3_small_224_{}_float_no_top_v2.h5",
        {1.0: "1.0", 0.75: "0.75"},
    ),
    "mobilenet_v3_large": (
        applications.MobileNetV3Large,
        "inside",
        "weights_mobilenet_v3_large_224_{}_float_no_top_v2.h5",
        {1.0: "1.0", 0.75: "0.75"},
    ),
    "efficientnet_v2_b0": (
        applications.EfficientNetV2B0,
        "inside",
        "efficientnetv2-b0_notop.h5",
        {1.0: ""},
    ),
    "resnet50": (
        applications.ResNet50,
        "bgr",
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        {1.0: ""},
    ),
    "resnet50_v2": (
        applications.ResNet50V2,
        "symmetric",
        "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        {1.0: ""},
    ),
    "densenet121": (
        applications.DenseNet121,
        "statistics",
        "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        {1.0: ""},
    ),
    "vgg16": (
        applications.VGG16,
        "bgr",
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        {1.0: ""},
    ),
}
IMAGENET_MEAN = (123.675, 116.28, 103.53)  # of red, green and blue in [0, 255]
IMAGENET_DEVIATION = (58.395, 57.12, 57.375)
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


def backbone(name, image_shape, *, weights="auto", width=None):
    """Builds a feature extractor that takes pixels in [0, 255].

    One line is printed that says which weights were taken. A backbone with weights
    comes frozen (`trainable=False`), one without comes trainable.

    Args:
        name: str, a key of `BACKBONES`.
        image_shape: (height, width, channels), height and width at least 32 pixels
            or None to accept any size; 3 channels of RGB, or 1 of grey, which is
            then repeated three times.
        weights: "auto" takes ImageNet weights that lie in Keras' cache, else none;
            "imagenet" downloads them if they are not in the cache; a path takes
            that file of Keras Applications, made with include_top=False; None
            leaves the weights random. One file serves every input size.
        width: float, the width multiplier of the MobileNets. None takes a width
            whose weights are in the cache, the default 1.0 before others.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to a feature map, shape (batch, about
        height / 32, about width / 32, c). In plain Keras it stands for
        `keras.applications.X(include_top=False)` after its own `preprocess_input`.

    Raises:
        ValueError: unknown name, width or weights, or pictures that are too small.
        FileNotFoundError: the weights are neither in the cache nor to be had.

    Example:
        >>> backbone("mobilenet", (96, 96, 3), weights=None).output_shape
        (None, 3, 3, 1024)
    """
    _check(name, image_shape, width)
    build, wanted, pattern, widths = BACKBONES[name]
    width, file = _find_weights(name, weights, width)
    more = {"alpha": width} if len(widths) > 1 else {}
    inputs = keras.Input(image_shape, name="pixels")
    x = inputs
    if image_shape[-1] == 1:
        x = layers.Concatenate(name="grey_to_rgb")([x, x, x])
    x = _normalise(x, wanted)
    network = build(include_top=False, weights=None, input_tensor=x, **more)
    model = keras.Model(inputs, network.output, name=name)
    if file is not None:
        try:
            network.load_weights(file)
        except (ValueError, OSError) as error:
            raise ValueError(
                f"The weights do not fit {name} with width {width}; take the file made "
                "with include_top=False for this width. Received: "
                f"{str(file)!r} ({error})"
            ) from error
        model.trainable = False
    return model


def classifier(
    base,
    num_classes,
    *,
    image_shape=(160, 160, 3),
    weights="auto",
    width=None,
    dropout=0.2,
):
    """Builds a classifier on a backbone: average pooling, dropout, one dense layer.

    Args:
        base: str, a key of `BACKBONES`, or a `keras.Model` that ends in a feature map,
            such as `backbone` returns.
        num_classes: int, at least 2.
        image_shape: (height, width, channels), as for `backbone`; read only where
            `base` is a name.
        weights: as for `backbone`; read only where `base` is a name.
        width: as for `backbone`; read only where `base` is a name.
        dropout: float in [0, 1), share of features dropped before the last layer.

    Returns:
        An uncompiled, flat `keras.Model` from float pixels in [0, 255] to
        probabilities, shape (batch, num_classes), with the layers "features",
        "pooled", "logits" and "probabilities". The layers of a backbone with weights
        are frozen: `training.fine_tune` trains the head, then the top of the backbone.

    Raises:
        ValueError: `base` does not end in a feature map, or as for `backbone`.

    Example:
        >>> model = classifier("mobilenet", 5, image_shape=(96, 96, 3), weights=None)
        >>> model.output_shape
        (None, 5)
    """
    if isinstance(base, str):
        base = backbone(base, image_shape, weights=weights, width=width)
    if len(base.outputs) != 1 or len(base.output.shape) != 4:
        raise ValueError(
            "The backbone must end in a feature map, so build it with "
            "include_top=False and no pooling. Received: output shape "
            f"{base.output_shape}"
        )
    return classify(
        base.input, base.output, num_classes, name=base.name, dropout=dropout
    )


def cached_widths(name):
    """Lists the widths of a backbone whose ImageNet weights lie in Keras' cache.

    Args:
        name: str, a key of `BACKBONES`.

    Returns:
        A tuple of floats, the default 1.0 first; empty where nothing is cached.
    """
    _, _, pattern, widths = BACKBONES[name]
    folder = _cache()
    return tuple(w for w in widths if (folder / pattern.format(widths[w])).is_file())


def _check(name, image_shape, width):
    if name not in BACKBONES:
        raise ValueError(
            f"`name` must be one of {sorted(BACKBONES)}. Received: name={name!r}"
        )
    sides = tuple(image_shape[:2])
    if len(image_shape) != 3 or image_shape[-1] not in (1, 3):
        raise ValueError(
            "`image_shape` is (height, width, channels) with 3 channels of RGB or 1 of "
            f"grey. Received: image_shape={image_shape!r}"
        )
    if any(side is not None and side < 32 for side in sides):
        raise ValueError(
            f"{name} halves its picture five times and needs at least 32 pixels. Load "
            "the pictures with image_size=32 or more, or take models.small_cnn. "
            f"Received: image_shape={image_shape}"
        )
    widths = BACKBONES[name][3]
    if width is not None and width not in widths:
        raise ValueError(
            f"`width` of {name} must be one of {sorted(widths)}. Received: {width!r}"
        )


def _cache():
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"


def _find_weights(name, weights, width):
    """Decides width and file: (float, path or None), and prints what was decided."""
    build, _, pattern, widths = BACKBONES[name]
    if weights is None:
        return width or 1.0, None
    if weights not in ("auto", "imagenet"):
        file = Path(weights)
        if not file.is_file():
            raise ValueError(
                "`weights` is 'auto', 'imagenet', None or the path of a file. "
                f"Received: weights={str(weights)!r}, which is no file"
            )
        named = [w for w in widths if pattern.format(widths[w]) == file.name]
        width = width or (named[0] if named else 1.0)
        print(f"{name}: weights from {file.name}, width {width}")
        return width, file
    cached = cached_widths(name)
    found = [w for w in cached if width in (None, w)]
    chosen = found[0] if found else (width or 1.0)
    file = _cache() / pattern.format(widths[chosen])
    if not found and weights == "auto":
        print(
            f"{name}: no ImageNet weights in Keras' cache, so its weights are random; "
            "weights='imagenet' downloads them"
        )
        return chosen, None
    if not found:
        _download(name, chosen, file)
    print(f"{name}: ImageNet weights from Keras' cache, width {chosen} ({file.name})")
    return chosen, file


def _download(name, width, file):
    build, _, _, widths = BACKBONES[name]
    more = {"alpha": width} if len(widths) > 1 else {}
    print(f"{name}: downloading {file.name}")
    try:
        build(include_top=False, weights="imagenet", input_shape=(224, 224, 3), **more)
    except Exception as error:
        raise FileNotFoundError(
            f"The ImageNet weights of {name} are not on this machine and could not be "
            f"downloaded. Put the file {file.name} into the folder "
            f"{str(file.parent)!r}, or run this once with a network, or take "
            "weights='auto' to go on without. "
            f"Received: {type(error).__name__}"
        ) from error


def _normalise(x, wanted):
    if wanted == "symmetric":
        return layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(x)
    if wanted == "statistics":
        scale = [1 / deviation for deviation in IMAGENET_DEVIATION]
        offset = [
            -m / d for m, d in zip(IMAGENET_MEAN, IMAGENET_DEVIATION, strict=True)
        ]
        return layers.Rescaling(scale, offset=offset, name="rescale")(x)
    if wanted == "bgr":
        x = keras.ops.flip(x, axis=-1)
        offset = [-mean for mean in CAFFE_MEAN_BGR]
        return layers.Rescaling(1.0, offset=offset, name="rescale")(x)
    return x
