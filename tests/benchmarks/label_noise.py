"""Wrong labels found in Fashion-MNIST, beside cleanlab on the same probabilities.

    CNNKIT_DATA=... python tests/benchmarks/label_noise.py

Of 10,000 pictures 10 % get another label, drawn uniformly. Each picture gets its
probabilities from a `small_cnn` that has not seen it (3 folds). Both methods then
say which labels they do not believe.
"""

import argparse
import dataclasses
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()

    import numpy as np
    from cleanlab.filter import find_label_issues

    from cnnkit import data

    try:
        photos = data.load("fashion_mnist")
    except FileNotFoundError as error:
        print(f"skipped: {error}")
        return 0
    rows = []
    for seed in range(options.seeds):
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(photos.pixels), 10_000, replace=False)
        manifest = photos.manifest.iloc[chosen].reset_index(drop=True)
        wrong = np.zeros(len(chosen), bool)
        wrong[rng.choice(len(chosen), len(chosen) // 10, replace=False)] = True
        shift = rng.integers(1, photos.num_classes, len(chosen)) * wrong
        labels = (manifest["label"].to_numpy() + shift) % photos.num_classes
        manifest = manifest.assign(label=labels, split="train")
        noisy = dataclasses.replace(
            photos, manifest=manifest, pixels=photos.pixels[chosen]
        )
        cpu = time.process_time()
        probabilities = out_of_fold(noisy, options.epochs, seed)
        cpu = time.process_time() - cpu
        ours = data.label_suspects(labels, probabilities)["position"].to_numpy()
        found_by = {"cnnkit": ours}
        for way in ("low_self_confidence", "prune_by_noise_rate"):
            theirs = find_label_issues(labels, probabilities, filter_by=way, n_jobs=1)
            found_by[f"cleanlab {way}"] = np.flatnonzero(theirs)
        for name, found in found_by.items():
            precision, recall = wrong[found].mean(), wrong[found].sum() / wrong.sum()
            rows.append((name, precision, recall))
            print(
                f"seed {seed}: {name:28} precision {precision:.3f}, "
                f"recall {recall:.3f} ({len(found)} suspects)",
                flush=True,
            )
        print(f"seed {seed}: probabilities took {cpu:.0f} CPU-s", flush=True)
    for name in found_by:
        values = np.array([row[1:] for row in rows if row[0] == name])
        mean, low = values.mean(axis=0), values.min(axis=0)
        print(
            f"{name:28} mean precision {mean[0]:.3f} (lowest {low[0]:.3f}), mean "
            f"recall {mean[1]:.3f} (lowest {low[1]:.3f}), n={len(values)} seeds"
        )
    return 0


def out_of_fold(noisy, epochs, seed):
    """Probabilities of shape (n, k), each from a network that has not seen the row."""
    import keras
    import numpy as np

    from cnnkit import models, training

    probabilities = np.zeros((len(noisy.pixels), noisy.num_classes))
    for number, fold in enumerate(noisy.folds(3, seed=seed)):
        keras.utils.set_random_seed(10 * seed + number)
        model = models.small_cnn(
            num_classes=noisy.num_classes, input_shape=noisy.image_shape
        )
        training.fit(
            model, fold, epochs=epochs, batch_size=64, augment=mirrored, seed=seed,
            verbose=0,
        )  # fmt: skip
        probabilities[fold.rows("valid")] = model.predict(fold.valid, verbose=0)
    return probabilities


def mirrored(images, generator):
    """Half of the pictures, left to right."""
    turned = generator.random(len(images)) < 0.5
    images[turned] = images[turned, :, ::-1]
    return images


if __name__ == "__main__":
    sys.exit(main())
