"""What it costs to bring photographs of many shapes to one size, in a table.

    CNNKIT_DATA=... KERAS_HOME=... python tests/benchmarks/input_size.py

CNNKIT_DATA names a folder with flowers.tar (1,423 photographs in 177 sizes, the longer
side at most 256 pixels), KERAS_HOME one whose models/ holds ImageNet weights of
MobileNet 0.25. The network is frozen and ends in a global average, so it takes every
size; a logistic regression learns the five flowers from its 256 numbers.

Each way of fitting pictures is learnt with and tested with, in every pair. Two ways are
controls, so that what a shape is worth can be told from what pixels are worth: "own
shape" at the area of the squares, and a square of the area of the photographs.

In each of five rounds every picture is tested once, by a head that has seen four fifths
of the others. A picture's score is the mean of its rounds; values are means over
pictures, with the 95 % interval of a mean, and differences are taken picture by
picture. Writes notebooks/tables/input_size.csv.
"""

import argparse
import datetime
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# 256 numbers a picture are too little work to share: threads would wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
SIDE, LARGER = 160, 215  # pixels; 215 x 215 is the photographs' mean area
# C of the regression, the best of 0.001, 0.01 and 0.1 for every way, which come in the
# same order with each.
FOLDS, STRENGTH = 5, 0.01
WHITE, GREY = "pad, white", "pad, grey"
WAYS = ("resize", "crop", WHITE, GREY, "own shape", f"resize to {LARGER}", "native")
OUT = Path(__file__).parents[2] / "notebooks" / "tables" / "input_size.csv"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    archive = Path(os.environ.get("CNNKIT_DATA", "")) / "flowers.tar"
    if not archive.is_file():
        print("skipped: CNNKIT_DATA names no folder with flowers.tar")
        return 0

    import numpy as np
    import pandas as pd

    from cnnkit import transfer

    if 0.25 not in transfer.cached_widths("mobilenet"):
        print("skipped: KERAS_HOME holds no ImageNet weights of MobileNet 0.25")
        return 0
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        features, pixels, manifest = look(Path(folder) / "flowers")
    right = np.mean(
        [tested(features, manifest, seed) for seed in range(options.seeds)], axis=0
    )
    rows = []
    for i, j in np.ndindex(right.shape[:2]):
        measures = {"accuracy": right[i, j]}
        if i != j:
            measures["minus tested as trained"] = right[i, j] - right[i, i]
        elif i:
            measures["minus resize"] = right[i, i] - right[0, 0]
        for measure, values in measures.items():
            rows.append((measure, WAYS[i], WAYS[j], *interval(values)))
    columns = ["measure", "trained", "tested", "mean", "low", "high"]
    result = pd.DataFrame(rows, columns=columns).round(4)
    result["pixels_tested"] = [round(pixels[way]) for way in result["tested"]]
    result["pictures"], result["seeds"] = len(manifest), options.seeds
    result["command"] = "python tests/benchmarks/input_size.py"
    result["date"] = datetime.date.today().isoformat()
    result["machine"] = f"{os.cpu_count()} CPU cores, no GPU"
    OUT.parent.mkdir(parents=True, exist_ok=True)
    result.to_csv(OUT, index=False)
    print(result[[*columns, "pixels_tested"]].to_string(index=False))
    print(f"{time.process_time() - start:.0f} CPU-s in all; written to {OUT.name}")
    return 0


def look(folder):
    """Features of every picture in every way, the mean pixels of each, a manifest."""
    import keras
    import numpy as np
    from PIL import Image

    from cnnkit import data, transfer

    base = transfer.backbone("mobilenet", (None, None, 3), width=0.25)
    pooled = keras.layers.GlobalAveragePooling2D()(base.output)
    network = keras.Model(base.input, pooled)
    # Near duplicates are found in squares, and hold for every way.
    manifest = data.from_folder(folder, image_size=SIDE).manifest
    images = [Image.open(folder / path).convert("RGB") for path in manifest["path"]]
    features, pixels = {}, {}
    for way in WAYS:
        fitted = [np.asarray(fit(image, way), "float32") for image in images]
        pixels[way] = np.mean([image.shape[0] * image.shape[1] for image in fitted])
        alike = len({image.shape for image in fitted}) == 1
        step = 32 if alike else 1  # pictures of many sizes go through one by one
        batches = [fitted[i : i + step] for i in range(0, len(fitted), step)]
        features[way] = np.concatenate(
            [network.predict_on_batch(np.stack(batch)) for batch in batches]
        )
    return features, pixels, manifest


def fit(image, way):
    """One picture in one way; squares as `data.from_folder` makes them."""
    from PIL import Image, ImageOps

    square, smooth = (SIDE, SIDE), Image.Resampling.BILINEAR
    if way == "native":
        return image
    if way == "crop":
        return ImageOps.fit(image, square, smooth)
    if way in (WHITE, GREY):
        colour = "white" if way == WHITE else "#7f7f7f"
        return ImageOps.pad(image, square, smooth, color=colour)
    if way == "own shape":
        scale = SIDE / (image.width * image.height) ** 0.5
        shape = [round(scale * side) for side in image.size]
        return image.resize(shape, smooth)
    return image.resize(square if way == "resize" else (LARGER, LARGER), smooth)


def tested(features, manifest, seed):
    """One round: whether each picture is named rightly, (trained, tested, pictures)."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from cnnkit import data

    labels = manifest["label"].to_numpy()
    fold_of = data.folds(manifest, FOLDS, seed=seed)
    right = np.empty((len(WAYS), len(WAYS), len(labels)))
    for fold in range(FOLDS):
        test = fold_of == fold
        for i, trained in enumerate(WAYS):
            regression = LogisticRegression(C=STRENGTH, max_iter=2000)
            head = make_pipeline(StandardScaler(), regression)
            head.fit(features[trained][~test], labels[~test])
            for j, way in enumerate(WAYS):
                right[i, j, test] = head.predict(features[way][test]) == labels[test]
    own = (f"{way} {right[i, i].mean():.3f}" for i, way in enumerate(WAYS))
    print(f"seed {seed}: {', '.join(own)}", flush=True)
    return right


def interval(values):
    """The mean over pictures, with the low and the high end of its 95 % interval."""
    mean, half = values.mean(), 1.96 * values.std(ddof=1) / len(values) ** 0.5
    return mean, mean - half, mean + half


if __name__ == "__main__":
    sys.exit(main())
