"""Seconds until a view of the explorer is a PNG again, as its widget waits for it.

    python tests/benchmarks/explorer_redraw.py [--rounds 5] [--dpi 120]

Networks of 64 pixels, untrained: what is drawn takes as long. Wall-clock time and, as
other programs may run beside it, CPU time; the median of the rounds after a first one.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import numpy as np

from cnnkit import data, explorer, models, plots


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dpi", type=int, default=120)
    options = parser.parse_args()
    names = data.signs.CLASS_NAMES
    picture = data.signs.draw(1, size=64, seed=2).images[0]
    grey, edge = picture.mean(axis=-1), np.array([[1, 0, -1]] * 3)
    shape = {"num_classes": len(names), "input_shape": picture.shape}
    vgg, cnn = models.tiny_vgg(**shape), models.small_cnn(**shape)
    logits = np.linspace(-2, 3, len(names))
    maps = np.random.default_rng(0).normal(size=(13, 13, 10))
    place = {"row": 12, "column": 9}

    def unit(model, layer, **where):
        return lambda: explorer.unit_step(model, picture, layer, **where)

    views = {
        "overview of tiny_vgg": lambda: explorer.overview(
            vgg, picture, class_names=names
        ),
        "overview of small_cnn": lambda: explorer.overview(
            cnn, picture, class_names=names
        ),
        "unit of a convolution": unit(vgg, "stage1_conv2", **place, channel=3),
        "unit of a ReLU": unit(vgg, "stage1_relu2", **place, channel=3),
        "unit of max pooling": unit(vgg, "stage1_pool", **place, channel=3),
        "unit of BatchNorm": unit(cnn, "stage1_bn", **place, channel=3),
        "unit of global pooling": unit(cnn, "pooled", channel=3),
        "unit after Flatten": unit(vgg, "logits", channel=3),
        "unit of a dense layer": unit(cnn, "logits", channel=3),
        "unit of softmax": unit(vgg, "probabilities", channel=3),
        "convolution_step": lambda: explorer.convolution_step(grey, edge, **place),
        "activation_step": lambda: explorer.activation_step(grey - 128, **place),
        "pooling_step": lambda: explorer.pooling_step(grey, **place),
        "softmax_terms": lambda: explorer.softmax_terms(logits, names),
        "flatten_map": lambda: explorer.flatten_map(maps, maps.ravel()),
        "convolution_geometry": lambda: explorer.convolution_geometry(16, 3, stride=2),
        "invariance": lambda: explorer.invariance(cnn, picture, move=(0.1, 0)),
    }
    for name, draw in views.items():
        plots.png(draw(), dpi=options.dpi)
        wall, used = [], []
        for _ in range(options.rounds):
            start, before = time.perf_counter(), time.process_time()
            plots.png(draw(), dpi=options.dpi)
            wall.append(time.perf_counter() - start)
            used.append(time.process_time() - before)
        wall, used = statistics.median(wall), statistics.median(used)
        print(f"{name:24} {wall:.2f} s, {used:.2f} CPU-s")


if __name__ == "__main__":
    main()
