"""The networks that `backbone` builds: one table of what is different about each.

Those of keras.applications have weights that were learned on ImageNet, and want their
pixels in one of five ways, which `preprocess_input` of each family tells:

- "symmetric": from -1 to 1.
- "statistics": minus the mean of ImageNet, divided by its deviation.
- "bgr": blue first, minus the mean, as in Caffe.
- "inside": from 0 to 255, as the network normalises them itself.

Those of `cnnkit.models` ("ours") normalise inside as well, and are built for small
pictures.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from keras import applications

from cnnkit import models

LEAST = 96  # pixels of the shorter side: `backbones` tells why
SMALL_WIDTHS = (32, 64, 128, 256)  # of `small_cnn`, with which its weights were learned
KERNELS = "weights_tf_dim_ordering_tf_kernels"  # in the names of files since 2017


class Family(NamedTuple):
    """A row of the table.

    Args:
        build: function of keras.applications or of `cnnkit.models`.
        pixels: str, the pixels that it wants: see the head of this module.
        file: str, name of its weights in Keras' cache, {} standing for the width; ""
            where there are none.
        widths: dict of float, the width multiplier, to str, as it is in the file's
            name; the first is the default.
        least: int, pixels of the shorter side; smaller pictures are enlarged.
    """

    build: Callable
    pixels: str
    file: str = ""
    widths: dict = {1.0: ""}
    least: int = LEAST

    def at(self, width):
        """Returns the arguments of `build` that choose a width, as a dict.

        Args:
            width: float, a key of `widths`.
        """
        return {"alpha": width} if len(self.widths) > 1 else {}


BACKBONES = {
    "mobilenet": Family(
        applications.MobileNet,
        "symmetric",
        "mobilenet_{}_224_tf_no_top.h5",
        {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"},
    ),
    "mobilenet_v2": Family(
        applications.MobileNetV2,
        "symmetric",
        f"mobilenet_v2_{KERNELS}_{{}}_224_no_top.h5",
        {w: str(w) for w in (1.0, 0.75, 0.5, 0.35, 1.3, 1.4)},
    ),
    "mobilenet_v3_small": Family(
        applications.MobileNetV3Small,
        "inside",
        "weights_mobilenet_v3_small_224_{}_float_no_top_v2.h5",
        {1.0: "1.0", 0.75: "0.75"},
    ),
    "mobilenet_v3_large": Family(
        applications.MobileNetV3Large,
        "inside",
        "weights_mobilenet_v3_large_224_{}_float_no_top_v2.h5",
        {1.0: "1.0", 0.75: "0.75"},
    ),
    "efficientnet_b0": Family(
        applications.EfficientNetB0, "inside", "efficientnetb0_notop.h5"
    ),
    "efficientnet_b1": Family(
        applications.EfficientNetB1, "inside", "efficientnetb1_notop.h5"
    ),
    "efficientnet_b2": Family(
        applications.EfficientNetB2, "inside", "efficientnetb2_notop.h5"
    ),
    "efficientnet_b3": Family(
        applications.EfficientNetB3, "inside", "efficientnetb3_notop.h5"
    ),
    "efficientnet_v2_b0": Family(
        applications.EfficientNetV2B0, "inside", "efficientnetv2-b0_notop.h5"
    ),
    "efficientnet_v2_b1": Family(
        applications.EfficientNetV2B1, "inside", "efficientnetv2-b1_notop.h5"
    ),
    "efficientnet_v2_b2": Family(
        applications.EfficientNetV2B2, "inside", "efficientnetv2-b2_notop.h5"
    ),
    "efficientnet_v2_b3": Family(
        applications.EfficientNetV2B3, "inside", "efficientnetv2-b3_notop.h5"
    ),
    "convnext_tiny": Family(
        applications.ConvNeXtTiny, "inside", "convnext_tiny_notop.h5"
    ),
    "resnet50": Family(applications.ResNet50, "bgr", f"resnet50_{KERNELS}_notop.h5"),
    "resnet50_v2": Family(
        applications.ResNet50V2, "symmetric", f"resnet50v2_{KERNELS}_notop.h5"
    ),
    "densenet121": Family(
        applications.DenseNet121, "statistics", f"densenet121_{KERNELS}_notop.h5"
    ),
    "vgg16": Family(applications.VGG16, "bgr", f"vgg16_{KERNELS}_notop.h5"),
    "inception_v3": Family(
        applications.InceptionV3,
        "symmetric",
        f"inception_v3_{KERNELS}_notop.h5",
    ),
    "xception": Family(
        applications.Xception,
        "symmetric",
        f"xception_{KERNELS}_notop.h5",
    ),
    "nasnet_mobile": Family(
        applications.NASNetMobile, "symmetric", "nasnet_mobile_no_top.h5"
    ),
    "small_cnn": Family(
        partial(models.small_cnn, widths=SMALL_WIDTHS), "ours", least=48
    ),
    "resnet18": Family(partial(models.resnet, 18), "ours", least=1),
    "resnet20_cifar": Family(models.resnet_cifar, "ours", least=1),
    "densenet_cifar": Family(models.densenet_cifar, "ours", least=1),
    "mobilenet_cifar": Family(models.mobilenet_cifar, "ours", least=1),
}
