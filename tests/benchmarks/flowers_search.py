"""Does a search of three minutes find a better head than the default one?

    CNNKIT_DATA=... KERAS_HOME=... python tests/benchmarks/flowers_search.py

Flowers (val/ of flowers.tar is the test set) at 160 x 160 pixels, features of MobileNet
0.25. The default is `fine_tune(unfreeze=0)`; the search is Hyperband over head, dropout
and recipe, and its best model by validation is asked about the test pictures. For each
seed both have the same split. The difference is taken picture by picture (each
picture's score is the mean over the seeds), with its interval and the p-value of a
paired t test.
"""

import argparse
import functools
import os
import sys
import tarfile
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--side", type=int, default=160, help="pixels")
    options = parser.parse_args()
    archive = Path(os.environ.get("CNNKIT_DATA", "")) / "flowers.tar"
    if not archive.is_file():
        print("skipped: CNNKIT_DATA names no folder with flowers.tar")
        return 0

    import numpy as np
    from scipy import stats

    from cnnkit import data

    right = {"default": [], "search": []}
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        for seed in range(options.seeds):
            flowers = Path(folder) / "flowers"
            photos = data.from_folder(flowers, image_size=options.side, seed=seed)
            for way, model in learnt(photos, options.minutes, seed, folder):
                images, labels = data.to_arrays(photos, "test")
                said = model.predict(images.astype("float32"), verbose=0)
                right[way].append(said.argmax(axis=1) == labels)
                print(f"seed {seed}, {way}: {right[way][-1].mean():.3f}", flush=True)
    for way, hits in right.items():
        print(f"{way}: {np.mean(hits):.3f}, over {len(hits)} seeds")
    better = np.mean(right["search"], 0) - np.mean(right["default"], 0)
    test = stats.ttest_1samp(better, 0)
    low, high = test.confidence_interval()
    print(
        f"search less default: {better.mean():+.3f} ({low:+.3f} to {high:+.3f}, over "
        f"{len(better)} pictures; p = {test.pvalue:.2g})"
    )
    return 0


def learnt(photos, minutes, seed, folder):
    """Yields (way, trained model)."""
    import keras

    from cnnkit import training, transfer, tuning

    shape, k = photos.image_shape, photos.num_classes
    keras.utils.set_random_seed(seed)
    model = transfer.classifier("mobilenet", k, image_shape=shape)
    training.fine_tune(model, photos, unfreeze=0, minutes=minutes, seed=seed, verbose=0)
    yield "default", model
    space = tuning.together(
        functools.partial(
            tuning.transfer_space, num_classes=k, image_shape=shape,
            backbones=["mobilenet"], unfreeze=(0.0,),
        ),
        functools.partial(tuning.recipe_space, optimizers=["adamw"]),
    )  # fmt: skip
    tuner = tuning.search(
        space, photos, folder=Path(folder) / f"search-{seed}", minutes=minutes,
        epochs=30, seed=seed, verbose=0,
    )  # fmt: skip
    table = tuning.trials(tuner)
    print(f"{len(table)} trials; best: {table.iloc[0].dropna().to_dict()}")
    yield "search", tuner.get_best_models(1)[0]


if __name__ == "__main__":
    sys.exit(main())
