"""Networks that have seen a million photographs, and classifiers on top of them.

Such a network has learned edges, textures and parts that serve for other pictures too
(Yosinski et al., "How transferable are features in deep neural networks?", NeurIPS
2014, https://arxiv.org/abs/1411.1792). Keep it, replace its last layers, and a few
hundred pictures are enough.

They have learned on pictures of 224 pixels, and halve them five times: of 32 pixels,
one position is left. So small pictures are enlarged inside the model. What it brings
was measured with a linear classifier on the features of MobileNet (width 0.25) and
MobileNetV2 (0.35), 1,000 pictures to learn from and 1,000 to test (flowers: all). Its
strength was chosen from two on the test pictures, so all figures are a little high:

    pictures                      as they are   x 2           x 3           x 4
    CIFAR-10, 32 px               0.25 to 0.30  0.54 to 0.56  0.63 to 0.65  0.66 to 0.68
    Fashion-MNIST, 28 px, grey    too small     0.54 to 0.67  0.81          0.83 to 0.84
    flowers, 48 px                0.33 to 0.62  0.72 to 0.77  0.78          0.80 to 0.82
    flowers, 64 px                0.64 to 0.74  0.79 to 0.83  0.82 to 0.83  0.83 to 0.86

The cost grows with the area. A shorter side of 96 pixels is where most is won.
"""

import keras
from keras import layers

from cnnkit.transfer.families import BACKBONES
from cnnkit.transfer.heads import HEADS, check_head
from cnnkit.transfer.weights import find, is_embedded, is_published, read

IMAGENET_MEAN = (123.675, 116.28, 103.53)  # of red, green and blue in [0, 255]
IMAGENET_DEVIATION = (58.395, 57.12, 57.375)
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


def backbone(name, image_shape, *, weights="auto", width=None):
    """Builds a feature extractor that takes pixels in [0, 255].

    One line is printed that says which weights were taken, and one if pictures are
    changed inside. A backbone with weights comes frozen (`trainable=False`), one
    without comes trainable, and so does one with weights of this package: they are a
    better start than random ones, not features to keep.

    Args:
        name: str, a key of `BACKBONES`: a network of keras.applications, or one of
            `cnnkit.models`, for pictures that stay as small as they are.
        image_shape: (height, width, channels): height and width in pixels, or both
            None to accept any size; 3 channels of RGB, or 1 of grey. Into a network
            of keras.applications, grey goes three times, and pictures whose shorter
            side is under 96 pixels (`small_cnn`: 48) go enlarged by the whole factor
            that brings it there or above (bilinear; layer "enlarge"). With None
            nothing is enlarged.
        weights: "auto" takes ImageNet weights that lie in Keras' cache, else weights
            that are in this package, else none; "imagenet" downloads them if they are
            not in the cache; "embedded" takes those in this package; a path takes
            that file (of Keras Applications, made with include_top=False; from
            `save_weights` of such a backbone; or from `saving.save` of a classifier
            on it); None leaves the weights random. One file serves every size.
        width: float, the width multiplier of the MobileNets. None takes a width
            whose weights are in the cache, the default 1.0 before others.

    Returns:
        An uncompiled, flat `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to a feature map, shape (batch, h, w, c); in
        most networks, h and w are about a 32nd of the (enlarged) picture. In plain
        Keras it stands for `keras.applications.X(include_top=False)` after its own
        `preprocess_input`.

    Raises:
        ValueError: unknown name or width, weights of another network or damaged, or
            pictures that are none or too small.
        FileNotFoundError: the weights are neither in the cache nor to be had.

    Example:
        >>> backbone("mobilenet", (96, 96, 3), weights=None).output_shape
        (None, 3, 3, 1024)
    """
    _check(name, image_shape, width)
    image_shape = tuple(image_shape)
    family = BACKBONES[name]
    inputs = keras.Input(image_shape, name="pixels")
    enlarged = _enlarge(inputs, name, family.least)
    if family.pixels == "ours":
        whole = family.build(num_classes=2, input_shape=enlarged.shape[1:])
        model = keras.Model(whole.input, whole.get_layer("features").input, name=name)
        if enlarged is not inputs:
            model = keras.Model(inputs, _again(model.layers[1:], enlarged), name=name)
        width, file = find(name, weights, width)
    else:
        width, file = find(name, weights, width)
        x = _normalise(_colour(enlarged), family.pixels)
        network = family.build(
            include_top=False, weights=None, input_tensor=x, **family.at(width)
        )
        if file is not None and is_published(file):
            read(network, file, name, width)
        model = _flat(network, inputs, name)
    if file is not None:
        if not is_published(file):
            read(model, file, name, width)
        model.trainable = is_embedded(file)
    return model


def classifier(
    base,
    num_classes,
    *,
    image_shape=(160, 160, 3),
    weights="auto",
    width=None,
    head="average",
    dropout=0.2,
):
    """Builds a classifier on a backbone.

    Args:
        base: str, a key of `BACKBONES`, or a `keras.Model` that ends in a feature map,
            such as `backbone` returns, or another classifier up to its layer
            "features". Its layers are shared: what they learn, `base` learns.
        num_classes: int, at least 2.
        image_shape: (height, width, channels), as for `backbone`; read only where
            `base` is a name.
        weights: as for `backbone`; read only where `base` is a name.
        width: as for `backbone`; read only where `base` is a name.
        head: str, a key of `HEADS`: what makes classes of the feature map. "average"
            is one dense layer on the average over all positions; "average_max" sees
            each channel's largest value as well; "hidden" has a further layer, for
            many pictures; "attention" learns which positions count; "cosine" looks at
            directions alone, for few pictures.
        dropout: float in [0, 1), share of features dropped before the last layer.

    Returns:
        An uncompiled, flat `keras.Model` from float pixels in [0, 255] to
        probabilities, shape (batch, num_classes), with the layers "features",
        "pooled", "logits" and "probabilities". The layers of a backbone with weights
        are frozen: `training.fine_tune` trains the head, then the top of the backbone.

    Raises:
        ValueError: `base` does not end in a feature map, there is no such head,
            `num_classes` or `dropout` is out of range, or as for `backbone`.
        FileNotFoundError: as for `backbone`.

    Example:
        >>> model = classifier("mobilenet", 5, image_shape=(96, 96, 3), weights=None)
        >>> model.output_shape
        (None, 5)
    """
    check_head(head, num_classes, dropout)
    if isinstance(base, str):
        base = backbone(base, image_shape, weights=weights, width=width)
    if len(base.outputs) != 1 or len(base.output.shape) != 4:
        raise ValueError(
            "The backbone must end in a feature map, so build it with "
            "include_top=False and no pooling. Received: output shape "
            f"{base.output_shape}"
        )
    features = base.output  # of a classifier that was cut off there, or to be named
    if base.layers[-1].name != "features":
        features = layers.Identity(name="features")(features)
    logits = HEADS[head](features, num_classes, dropout)
    # Under a 16-bit policy too, logits and probabilities have 32 bits.
    outputs = layers.Softmax(dtype="float32", name="probabilities")(logits)
    return keras.Model(base.input, outputs, name=base.name)


def _check(name, image_shape, width):
    if name not in BACKBONES:
        raise ValueError(
            f"`name` must be one of {sorted(BACKBONES)}. Received: name={name!r}"
        )
    try:
        *sides, channels = image_shape
        is_open = sides == [None, None]
        fits = is_open or all(side == int(side) and side > 0 for side in sides)
    except (TypeError, ValueError):
        fits = False
    if not fits or len(sides) != 2 or channels not in (1, 3):
        raise ValueError(
            "`image_shape` is (height, width, channels): pixels, or None twice for any "
            "size, and then 3 channels of RGB or 1 of grey. "
            f"Received: image_shape={image_shape!r}"
        )
    widths = BACKBONES[name].widths
    if width is not None and width not in widths:
        raise ValueError(
            f"`width` of {name} must be one of {sorted(widths)}. Received: {width!r}"
        )


def _enlarge(x, name, least):
    """Brings the shorter side to `least` pixels or more, by a whole factor."""
    height, width = x.shape[1:3]
    factor = 1 if height is None else -(-least // min(height, width))
    if factor == 1:
        return x
    print(
        f"{name} makes pictures small in its stages: those of {height} x {width} "
        f"pixels are enlarged inside the model, {factor} times, to "
        f"{factor * height} x {factor * width}"
    )
    return layers.UpSampling2D(factor, interpolation="bilinear", name="enlarge")(x)


def _again(chain, x):
    """Layers that follow one another, new ones like them, on another tensor."""
    for layer in chain:
        x = layer.from_config(layer.get_config())(x)
    return x


def _colour(x):
    """Gives grey pictures the three channels that a network wants."""
    if x.shape[-1] == 3:
        return x
    return layers.Concatenate(name="grey_to_rgb")([x, x, x])


def _normalise(x, wanted):
    """Does what `preprocess_input` of the family does."""
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


def _flat(network, inputs, name):
    """The network as one model, with the layers of models inside it (ConvNeXt)."""
    if not any(isinstance(layer, keras.Model) for layer in network.layers):
        return keras.Model(inputs, network.output, name=name)

    def call(layer, x, *more, **options):
        if not isinstance(layer, keras.Model):
            return layer(x, *more, **options)
        return _again(layer.layers, x)

    flat = keras.models.clone_model(network, call_function=call)
    flat.set_weights(network.get_weights())
    return keras.Model(flat.input, flat.output, name=name)
