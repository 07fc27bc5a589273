"""Search spaces of models: functions of hyperparameters to an uncompiled model."""

import functools

import keras
from keras import layers

from cnnkit import models, training, transfer
from cnnkit.models import anatomy
from cnnkit.models.blocks import pixels

# Each builder of `models` for small pictures, in its sizes; the paper's come first.
SIZES = {
    "small_cnn": {
        "24": functools.partial(models.small_cnn, widths=(24, 48, 96)),
        "16": functools.partial(models.small_cnn, widths=(16, 32, 64)),
        "32": functools.partial(models.small_cnn, widths=(32, 64, 128)),
    },
    "resnet": {d: functools.partial(models.resnet_cifar, int(d)) for d in ("20", "32")},
    "densenet": {
        d: functools.partial(models.densenet_cifar, int(d)) for d in ("40", "22")
    },
    "mobilenet": {
        w: functools.partial(models.mobilenet_cifar, 2, width=float(w))
        for w in ("1.0", "0.5")
    },
    "googlenet": {"small": models.googlenet_cifar},
    "vit": {d: functools.partial(models.vit_cifar, int(d)) for d in ("7", "2")},
}
# (share of the features that dropout takes: as in Srivastava et al., 2014, up to 0.5)
DROPOUT = {"min_value": 0.0, "max_value": 0.5, "step": 0.1}


def cnn_space(hp, *, num_classes, input_shape):
    """Builds a convolutional network whose design is searched.

    - stages, 2 to 5, as many as leave a map of 3 x 3: each halves the map and doubles
      the width, up to 256 (Simonyan and Zisserman, 2015, table 1).
    - convolutions of a stage, 1 or 2 (the same table, nets A and B).
    - width of the first stage, 16 to 64: 64 is that of VGG and ResNet for photographs,
      16 that of ResNet for 32 pixels (He et al., 2016, sections 4.1 and 4.2).
    - kernel, 3 or 5 pixels (VGG's; LeNet-5's, LeCun et al., 1998, figure 2).
    - normalisation: "batch" (Ioffe and Szegedy, 2015), "group", which is as good in
      small batches (Wu and He, 2018, https://arxiv.org/abs/1803.08494), or "none".
    - pooling: "max", "average", or "strides" of the convolution (Springenberg et al.,
      2015, https://arxiv.org/abs/1412.6806, table 3).
    - head: a key of `transfer.HEADS`; dropout, 0 to 0.5 (Srivastava et al., 2014,
      appendix A.4); l2, 1e-6 to 1e-3 (5e-4 in Krizhevsky et al., 2012, section 5).

    Args:
        hp: `keras_tuner.HyperParameters`.
        num_classes: int, at least 2.
        input_shape: (height, width, channels), from 12 pixels on.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255] to probabilities,
        with the four last layers of every classifier here.

    Raises:
        ValueError: the pictures are too small, or as for the builders of `models`.

    Example:
        >>> space = functools.partial(
        ...     cnn_space, num_classes=10, input_shape=(28, 28, 1)
        ... )
    """
    inputs, x = pixels(input_shape)
    most = min(5, (min(input_shape[:2]) // 3).bit_length() - 1)
    if most < 2:
        raise ValueError(
            "Two halvings must leave a map of 3 x 3, so pictures have at least 12 "
            f"pixels on a side. Received: input_shape={tuple(input_shape)}"
        )
    stages = hp.Int("stages", 2, most, default=min(3, most))
    convolutions = hp.Int("convolutions", 1, 2)
    width = hp.Choice("width", [16, 24, 32, 48, 64], default=32)
    kernel = hp.Choice("kernel", [3, 5])
    normalisation = hp.Choice("normalisation", ["batch", "group", "none"])
    pooling = hp.Choice("pooling", ["max", "average", "strides"])
    l2 = keras.regularizers.L2(hp.Float("l2", 1e-6, 1e-3, sampling="log", default=1e-5))

    for stage in range(stages):
        for number in range(convolutions):
            last = number == convolutions - 1
            x = layers.Conv2D(
                min(256, width * 2**stage), kernel, padding="same",
                strides=2 if last and pooling == "strides" else 1,
                kernel_regularizer=l2, kernel_initializer="he_normal",
            )(x)  # fmt: skip
            if last and pooling != "strides":
                kind = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}
                x = kind[pooling](2)(x)
            if normalisation == "batch":
                x = layers.BatchNormalization(momentum=0.9)(x)
            elif normalisation == "group":
                x = layers.GroupNormalization(groups=8)(x)
            x = layers.ReLU()(x)

    return transfer.classifier(
        keras.Model(inputs, x, name="cnn"),
        num_classes,
        head=hp.Choice("head", ["average", "average_max", "hidden"]),
        dropout=hp.Float("dropout", **DROPOUT),
    )


def family_space(
    hp,
    *,
    num_classes,
    input_shape,
    families=tuple(SIZES),
    max_parameters=None,
    max_multiply_adds=None,
):
    """Builds one of the architectures for small pictures, in one of its sizes.

    The sizes are those that their papers name for small pictures, and smaller ones;
    "size" of a family is only asked for where that family is chosen.

    Args:
        hp: `keras_tuner.HyperParameters`.
        num_classes: int, at least 2.
        input_shape: (height, width, channels), from 28 pixels on; from 32 for
            "densenet", "mobilenet", "resnet" and "vit".
        families: sequence of str, keys of `SIZES`.
        max_parameters: int, or None: larger ones are left out.
        max_multiply_adds: int, or None: the work for one picture. It stands for a
            limit of time, since measured milliseconds differ from run to run, and a
            space that differs cannot be searched on. How many a millisecond holds on a
            machine, the columns ms_1 and multiply_adds of `experiments.families` say.

    Returns:
        An uncompiled `keras.Model`, as for `cnn_space`.

    Raises:
        ValueError: no family has a size within the limits, or as for its builder.
    """
    shape = num_classes, tuple(input_shape)
    limits = max_parameters or float("inf"), max_multiply_adds or float("inf")
    sizes = {
        family: [
            size for size in SIZES[family]
            if limits == (float("inf"),) * 2
            or all(a <= b for a, b in zip(_costs(family, size, *shape), limits,
                                          strict=True))
        ]
        for family in families
    }  # fmt: skip
    sizes = {family: within for family, within in sizes.items() if within}
    if not sizes:
        raise ValueError(
            "No family has a size within the limits; tiny ones are models.small_cnn "
            f"with narrower widths. Received: max_parameters={max_parameters}, "
            f"max_multiply_adds={max_multiply_adds}"
        )
    chosen = hp.Choice("family", list(sizes))
    for family, within in sizes.items():
        with hp.conditional_scope("family", [family]):
            size = hp.Choice(f"{family}_size", within)
            if family == chosen:
                model = _built(family, size, *shape)
    return model


def transfer_space(
    hp,
    *,
    num_classes,
    image_shape,
    backbones=None,
    heads=tuple(transfer.HEADS),
    unfreeze=(0.0, 0.25, 0.5, 1.0),
):
    """Builds a classifier on a backbone with weights.

    - backbone: which features suit the pictures is seen by trying (Kornblith et al.,
      CVPR 2019, figure 2).
    - head: a key of `transfer.HEADS`, whose docstrings name the sources.
    - dropout, 0 to 0.5, as for `cnn_space`.
    - unfreeze, share of the backbone's layers, from the top, that learn after the
      head (Yosinski et al., 2014, figure 2). With 0 the head learns from features that
      are computed once for the whole search, in seconds.

    Args:
        hp: `keras_tuner.HyperParameters`.
        num_classes: int, at least 2.
        image_shape: (height, width, channels), as for `transfer.backbone`.
        backbones: sequence of str, keys of `transfer.BACKBONES`; None takes all whose
            ImageNet weights lie in Keras' cache.
        heads: sequence of str.
        unfreeze: sequence of float in [0, 1].

    Returns:
        An uncompiled `keras.Model`, as `transfer.classifier` builds it. Those with
        nothing unfrozen share their backbone.

    Raises:
        ValueError: there are no weights for any backbone, or as for
            `transfer.classifier`.
    """
    if backbones is None:
        backbones = [
            name for name in transfer.BACKBONES if transfer.cached_widths(name)
        ]
    if not backbones:
        raise ValueError(
            "No ImageNet weights lie in Keras' cache, so there is nothing to transfer: "
            "transfer.backbone('mobilenet', image_shape, weights='imagenet') downloads "
            "some, or take cnn_space. Received: backbones=None"
        )
    base = _frozen(hp.Choice("backbone", list(backbones)), tuple(image_shape))
    share = hp.Choice("unfreeze", list(unfreeze))
    if share:
        base, weights = keras.models.clone_model(base), base.get_weights()
        base.set_weights(weights)
    model = transfer.classifier(
        base,
        num_classes,
        head=hp.Choice("head", list(heads)),
        dropout=hp.Float("dropout", default=0.2, **DROPOUT),
    )
    if share:
        training.unfreeze_top(model, share)
    return model


def _built(family, size, num_classes, input_shape):
    return SIZES[family][size](num_classes=num_classes, input_shape=input_shape)


@functools.cache
def _costs(family, size, num_classes, input_shape):
    """(parameters, multiply-adds for one picture)."""
    model = _built(family, size, num_classes, input_shape)
    totals = anatomy.totals(anatomy.table(model))
    return int(totals["parameters"]), int(totals["multiply_adds"])


@functools.lru_cache(maxsize=8)
def _frozen(name, image_shape):
    base = transfer.backbone(name, image_shape)
    base.trainable = False
    return base
