"""MobileNet 1 and 2 for small pictures: the same stages, two halvings fewer.

Only the first convolution and the first stage that halves keep the size of the map, as
is usual for the 32 pixels of CIFAR-10: five halvings would leave a single position.
The papers are those of `mobilenet`; the sizes are of the common PyTorch version,
https://github.com/kuangliu/pytorch-cifar.
"""

from cnnkit.models.blocks import classify, pixels
from cnnkit.models.checks import check_sides
from cnnkit.models.mobilenet import feature_map


def mobilenet_cifar(version=2, *, width=1.0, num_classes=10, input_shape=(32, 32, 3)):
    """Builds an untrained MobileNet classifier for small pictures, such as 28 pixels.

    Args:
        version: int, 1 (separable blocks) or 2 (inverted residual blocks).
        width: float from 0.05 to 4, multiplies the channels of every layer.
        num_classes: int, width of the output.
        input_shape: (height, width, channels); height and width are at least 8
            pixels, or None to accept any size; channels is 3 or 1.

    Returns:
        An uncompiled `keras.Model` from float pixels in [0, 255], shape
        (batch, height, width, channels), to probabilities, shape
        (batch, num_classes). Its layer "features" has shape (batch, h, w, c) with the
        channels of `mobilenet` and h = height // 8 in version 1, ceil(height / 8) in
        version 2.

    Raises:
        ValueError: `version` is not 1 or 2, `width` is out of range, the input
            is under 8 pixels or is no image shape, or `num_classes` is under 2.

    Example:
        >>> model = mobilenet_cifar(2, width=0.5, input_shape=(28, 28, 1))
        >>> model.get_layer("features").output.shape
        (None, 4, 4, 1280)
    """
    inputs, x = pixels(input_shape)
    check_sides(input_shape, 8, "enlarge the pictures")
    x = feature_map(x, version, width, early_strides=1)
    return classify(inputs, x, num_classes, name=f"mobilenet_v{version}_cifar")
