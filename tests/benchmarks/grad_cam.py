"""CPU time of Grad-CAM on 64 pictures, beside the forward pass of the same pictures.

    python tests/benchmarks/grad_cam.py [--pictures 64] [--rounds 5]

In turns, in one process; the median of the rounds counts. The forward pass is Keras'
`predict`, compiled, after its first call.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import keras
import numpy as np
from keras import layers

from cnnkit import explain, models

METHODS = [
    explain.grad_cam,
    explain.grad_cam_plus_plus,
    explain.layer_cam,
    explain.saliency,
]


def nested(side):
    """MobileNetV2 as a model inside a model."""
    backbone = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(side, side, 3)
    )
    x = inputs = keras.Input((side, side, 3))
    x = backbone(layers.Rescaling(1 / 127.5, offset=-1)(x), training=False)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    cases = {
        "small_cnn, 32 px": models.small_cnn(),
        "small_cnn, 64 px": models.small_cnn(input_shape=(64, 64, 3)),
        "ResNet-18, 64 px": models.resnet(18, num_classes=10, input_shape=(64, 64, 3)),
        "MobileNetV2 inside, 64 px": nested(64),
        "MobileNetV2 inside, 96 px": nested(96),
        "MobileNetV2 inside, 224 px": nested(224),
    }
    print(f"{'':28}forward  " + "  ".join(f"{f.__name__:>18}" for f in METHODS))
    for name, model in cases.items():
        images = rng.uniform(0, 255, (options.pictures, *model.input_shape[1:]))
        images = images.astype("float32")

        def forward(model=model, images=images):
            model.predict(images, batch_size=len(images), verbose=0)

        works = [forward]
        works += [lambda f=f, m=model, x=images: f(m, x) for f in METHODS]
        for work in works:
            work()
        rounds = [[seconds(work) for work in works] for _ in range(options.rounds)]
        base, *rest = map(statistics.median, zip(*rounds, strict=True))
        ratios = "  ".join(f"{s:8.3f} s {s / base:6.2f}x" for s in rest)
        print(f"{name:28}{base:6.3f} s {ratios}")


if __name__ == "__main__":
    main()
