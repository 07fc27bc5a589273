"""Teaches `small_cnn` on pictures that are generated: no photograph of anybody.

    python tests/benchmarks/embedded_pretraining.py --minutes 60 --out embedded.npz

A picture has a shape on a ground. The shape is one of 256: an attractor of an iterated
function system as in FractalDB (Kataoka et al., "Pre-training without Natural Images",
ACCV 2020), sampled by singular values (Anderson and Farrell, "Improving Fractal
Pre-training", WACV 2022), a closed contour from a few waves, or a bundle of strokes.
Its colours are one of 32 palettes, shape and ground each have one of 24 textures, which
are noise of one band of frequencies and directions. All are drawn independently, with
shifted, turned, stretched and recoloured instances, and the network has to name all of
them: what a picture shows (which counts twice), in which colours, made of what. A third
of the pictures are grey, and their palette is not asked for.

Writes float16 arrays "0000", "0001", ... in the order of the weights of `small_cnn`
with widths 32, 64, 128 and 256 up to its layer "features". The end is set by the clock,
so that a seed gives the same pictures again but not the same weights.

`cnnkit/transfer/small_cnn.npz` is from `--minutes 65`: 73 CPU-minutes on a machine that
had other work, 1,319,000 pictures. In the end it named 0.75 of the shapes, 0.69 of the
textures, 0.94 of the grounds and 0.99 of the palettes. At 20 pictures a class that
beats scratch beyond the interval on three sets of four, and is worse on digits.
Measured by few_pictures.py, 95 % intervals of the difference over 5 draws of the
pictures (CIFAR-10: 10, as 5 left it open: -0.001 to +0.144):

                generated  scratch   difference
    flowers     0.633      0.561     +0.072 (+0.025 to +0.119)
    CIFAR-10    0.406      0.310     +0.095 (+0.056 to +0.134)
    Fashion     0.747      0.705     +0.041 (+0.016 to +0.067)
    digits      0.964      0.975     -0.011 (-0.021 to -0.001)

With 5 a class all four intervals hold 0. How long it learns is what matters most: after
836,000 pictures (44 minutes) Fashion had +0.017 (-0.007 to +0.042). Grounds without
texture and pictures that had been small, which look more like Fashion to the eye, were
no better on it (0.735 over four draws after as many pictures, 0.742 without).

How the weights are used matters as much as how they are learnt. All layers have to
learn, BatchNorm too: with the same weights frozen as `fine_tune` does it, one draw had
0.59, 0.45, 0.73 and 0.97 (half-way through the pretraining). And slowly: at 0.003, the
rate from scratch, two draws of Fashion had 0.68 and 0.70, at 0.001 0.73 and 0.72.

An earlier run with half the pictures and shapes at the weight of the others (0.27 of
them named) was probed with logistic regression on the average features, its strength
chosen in validation, small pictures enlarged twice, beside one random network:

    pictures a class   5               20              100
    flowers    probe   0.383 +- 0.055  0.535 +- 0.024  0.670 +- 0.020
               random  0.390 +- 0.056  0.494 +- 0.047  0.603 +- 0.015
    CIFAR-10   probe   0.287 +- 0.031  0.403 +- 0.023  0.508 +- 0.018
               random  0.216 +- 0.011  0.295 +- 0.014  0.387 +- 0.025
    Fashion    probe   0.591 +- 0.035  0.692 +- 0.018  0.764 +- 0.009
               random  0.570 +- 0.035  0.671 +- 0.029  0.754 +- 0.011
    digits     probe   0.777 +- 0.017  0.904 +- 0.022  0.962 +- 0.007
               random  0.740 +- 0.035  0.904 +- 0.042  0.957 +- 0.005
"""

import argparse
import functools
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import cv2
import numpy as np

SIDE, CHUNK, BATCH, RATE = 64, 8192, 128, 2e-3
SHAPES = {"fractal": 128, "contour": 64, "strokes": 64}
INSTANCES, PALETTES, TEXTURES = 24, 32, 24


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--out", default="embedded.npz")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    import keras

    from cnnkit import models
    from cnnkit.training.schedules import OneCycle
    from cnnkit.transfer.families import SMALL_WIDTHS

    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy("mixed_bfloat16")
    net = models.small_cnn(
        num_classes=2, input_shape=(SIDE, SIDE, 3), widths=SMALL_WIDTHS
    )
    body = net.layers[: [layer.name for layer in net.layers].index("features")]
    x = net.get_layer("pooled").output
    asked = {
        "shape": sum(SHAPES.values()), "palette": PALETTES,
        "texture": TEXTURES, "ground": TEXTURES,
    }  # fmt: skip
    heads = {
        name: keras.layers.Dense(k, activation="softmax", dtype="float32", name=name)(x)
        for name, k in asked.items()
    }
    model = keras.Model(net.input, heads)
    model.compile(
        keras.optimizers.AdamW(RATE, weight_decay=0.02),
        {name: "sparse_categorical_crossentropy" for name in heads},
        loss_weights={name: 2 if name == "shape" else 1 for name in heads},
        weighted_metrics={name: ["accuracy"] for name in heads},
        jit_compile=False,
    )
    shares, seen = OneCycle(RATE, 1000), 0
    # One process draws the next pictures while this one learns from the last.
    with ProcessPoolExecutor(1, get_context("spawn")) as painter:
        chunk = painter.submit(drawn, options.seed, 0)
        chunk.result()  # the world is made, and does not count
        end = time.monotonic() + 60 * options.minutes
        while (left := end - time.monotonic()) > 0:
            images, labels, weights = chunk.result()
            seen += CHUNK
            chunk = painter.submit(drawn, options.seed, seen // CHUNK)
            share = min(0.999, 1 - left / (60 * options.minutes))
            model.optimizer.learning_rate = float(shares(int(1000 * share)))
            history = model.fit(
                images, labels, BATCH, 1, sample_weight=weights, verbose=0
            )
            if seen % (8 * CHUNK) == 0:
                values = {k: round(v[0], 3) for k, v in history.history.items()}
                told = {k.split("_")[0]: values[k] for k in values if "accuracy" in k}
                print(
                    f"{seen:,} pictures, {left / 60:.0f} min left: {told}", flush=True
                )
                save(body, options.out)
    save(body, options.out)
    spent = sum(os.times()[:4])  # with the painter, which has ended
    print(f"{seen:,} pictures, {spent / 60:.0f} CPU-minutes")
    return 0


@functools.cache
def world_of(seed):
    return World(np.random.default_rng(seed))


def drawn(seed, number):
    """A chunk of pictures, the same for the same seed and number."""
    return world_of(seed).draw(CHUNK, np.random.default_rng((seed, number)))


def save(body, path):
    weights = [np.asarray(w) for layer in body for w in layer.weights]
    arrays = {f"{i:04}": w.astype("float16") for i, w in enumerate(weights)}
    np.savez(path + ".part.npz", **arrays)
    os.replace(path + ".part.npz", path)


class World:
    """Shapes, textures and palettes, of which pictures are put together."""

    def __init__(self, rng):
        draw = {"fractal": fractals, "contour": contours, "strokes": strokes}
        shapes = [draw[kind](rng) for kind, k in SHAPES.items() for _ in range(k)]
        self.masks = np.stack(shapes)  # (shapes, instances, SIDE, SIDE) in [0, 255]
        self.textures = np.stack([texture(rng) for _ in range(TEXTURES)])
        self.palettes = rng.uniform(0, 255, (PALETTES, 4, 3))  # two colours each

    def draw(self, n, rng):
        """n pictures, uint8, their labels, and how much each label counts."""
        labels = {
            "shape": rng.integers(len(self.masks), size=n),
            "palette": rng.integers(PALETTES, size=n),
            "texture": rng.integers(TEXTURES, size=n),
            "ground": rng.integers(TEXTURES, size=n),
        }
        images = np.empty((n, SIDE, SIDE, 3), "uint8")
        grey = rng.random(n) < 0.33
        for i in range(n):
            row = {name: values[i] for name, values in labels.items()}
            images[i] = self.picture(row, grey[i], rng)
        weights = {name: np.ones(n, "float32") for name in labels}
        weights["palette"][grey] = 0
        return images, labels, weights

    def picture(self, row, grey, rng):
        masks = self.masks[row["shape"]]
        mask = warped(masks[rng.integers(len(masks))], rng)[..., None]
        light, dark, light2, dark2 = self.palettes[row["palette"]] + rng.normal(
            0, 12, (4, 3)
        )
        front = blend(light, dark, self.cut(row["texture"], rng))
        ground = blend(light2, dark2, self.cut(row["ground"], rng))
        image = ground + mask * (front - ground)
        image = image * rng.uniform(0.6, 1.2) + rng.normal(0, 15)
        if grey:
            image = np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1)
            image = (image - image.mean()) * rng.uniform(0.8, 2) + rng.uniform(40, 200)
        return np.clip(image, 0, 255)

    def cut(self, kind, rng):
        """A part of a large texture, in [0, 1], (SIDE, SIDE, 1)."""
        top, left = rng.integers(self.textures.shape[1] - SIDE, size=2)
        part = self.textures[kind, top : top + SIDE, left : left + SIDE, None]
        return part[:, ::-1] if rng.random() < 0.5 else part


def blend(first, second, share):
    return first.astype("float32") + share * (second - first).astype("float32")


def warped(mask, rng):
    """A mask shifted, turned, stretched and perhaps mirrored, in [0, 1]."""
    angle, scale = rng.normal(0, 0.35), rng.uniform(0.6, 1.25)
    stretch = np.diag(scale * np.exp(rng.normal(0, 0.12, 2)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ stretch @ np.diag([rng.choice([-1, 1]), 1])
    middle = np.full(2, (SIDE - 1) / 2)
    shift = middle - matrix @ middle + rng.uniform(-8, 8, 2)
    warp = np.c_[matrix, shift].astype("float32")
    return cv2.warpAffine(mask, warp, (SIDE, SIDE)).astype("float32") / 255


def fractals(rng):
    """Instances of one attractor: its maps a little changed each time."""
    k = rng.integers(2, 6)
    values = rng.uniform(0.25, 0.9, (k, 2))
    angles = rng.uniform(0, 2 * np.pi, (k, 2))
    shifts = rng.uniform(-1, 1, (k, 2))
    masks = []
    for _ in range(INSTANCES):
        noise = [rng.normal(0, 0.03, v.shape) for v in (values, angles, shifts)]
        first, second = (turns(angles[:, j] + noise[1][:, j]) for j in range(2))
        sizes = np.clip(values + noise[0], 0.1, 0.95)
        maps = first @ (sizes[..., None] * second)
        masks.append(attractor(maps, shifts + noise[2], sizes, rng))
    return np.stack(masks)


def turns(angles):
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)


def attractor(maps, shifts, sizes, rng, particles=300, steps=40):
    """The chaos game: where many points are, after each of many random maps."""
    likely = sizes.prod(axis=1) + 0.02
    points, path = np.zeros((particles, 2)), []
    for step in range(steps):
        chosen = rng.choice(len(maps), particles, p=likely / likely.sum())
        points = np.einsum("nij,nj->ni", maps[chosen], points) + shifts[chosen]
        if step >= 10:
            path.append(points)
    points = np.concatenate(path)
    low, high = np.quantile(points, [0.01, 0.99], axis=0)
    places = (points - (low + high) / 2) / max((high - low).max(), 1e-6) + 0.5
    counts, *_ = np.histogram2d(*places.T, SIDE, [[-0.1, 1.1]] * 2)
    return (255 * np.clip(cv2.GaussianBlur(counts, (3, 3), 0.7), 0, 1)).astype("uint8")


def contours(rng):
    """Instances of one closed shape: a radius of a few waves around a middle."""
    waves = rng.integers(2, 9, 3)
    heights, phases = rng.uniform(0, 0.35, 3), rng.uniform(0, 2 * np.pi, 3)
    hole, around = rng.random() < 0.4, np.linspace(0, 2 * np.pi, 120)
    masks = []
    for _ in range(INSTANCES):
        high = heights * np.exp(rng.normal(0, 0.15, 3))
        phase = phases + rng.normal(0, 0.1, 3)
        radius = 1 + (high * np.sin(np.outer(around, waves) + phase)).sum(axis=1)
        radius = 0.42 * SIDE * radius / radius.max()
        points = SIDE / 2 + radius[:, None] * np.c_[np.cos(around), np.sin(around)]
        mask = np.zeros((SIDE, SIDE), "uint8")
        cv2.fillPoly(mask, [points.round().astype("int32")], 255)
        if hole:
            inside = SIDE / 2 + 0.4 * (points - SIDE / 2)
            cv2.fillPoly(mask, [inside.round().astype("int32")], 90)
        masks.append(cv2.GaussianBlur(mask, (3, 3), 0.8))
    return np.stack(masks)


def strokes(rng):
    """Instances of one sign: two to five bent strokes, as in writing."""
    ends = rng.uniform(0.12, 0.88, (rng.integers(2, 6), 3, 2))
    thick, masks = rng.integers(3, 9), []
    along = np.linspace(0, 1, 16)[:, None]
    for _ in range(INSTANCES):
        mask = np.zeros((SIDE, SIDE), "uint8")
        for a, b, c in SIDE * (ends + rng.normal(0, 0.025, ends.shape)):
            curve = (1 - along) ** 2 * a + 2 * along * (1 - along) * b + along**2 * c
            width = int(max(1, thick + rng.integers(-1, 2)))
            cv2.polylines(mask, [curve.round().astype("int32")], False, 255, width)
        masks.append(cv2.GaussianBlur(mask, (3, 3), 0.8))
    return np.stack(masks)


def texture(rng, side=256):
    """Noise of one band of frequencies and directions, in [0, 1]."""
    y, x = np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side), indexing="ij")
    frequency, direction = np.hypot(x, y), np.arctan2(y, x)
    middle, width = np.exp(rng.uniform(np.log(0.01), np.log(0.25))), rng.uniform(0.3, 1)
    band = np.exp(-((np.log(np.maximum(frequency, 1e-6) / middle) / width) ** 2))
    if rng.random() < 0.6:
        towards = np.cos(2 * (direction - rng.uniform(0, np.pi)))
        band = band * np.exp(3 * (towards - 1))
    noise = np.fft.ifft2(band * np.fft.fft2(rng.normal(size=(side, side)))).real
    noise = noise / noise.std()
    if rng.random() < 0.4:
        noise = np.sign(noise) * np.abs(noise) ** 0.3  # patches with hard edges
    return np.clip(0.5 + 0.3 * noise, 0, 1).astype("float32")


if __name__ == "__main__":
    sys.exit(main())
