"""How fast the road signs are drawn, and how hard they are at 64 pixels.

    python tests/benchmarks/signs_difficulty.py [--seeds 3] [--budget 60]

Trains on 2,000 drawn signs and tests on 1,000 of another seed: a linear model on the
pixels (scikit-learn, on pictures made smaller where that helps it), and `small_cnn` for
a number of CPU-seconds. Prints accuracies with intervals.
"""

import argparse
import math
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=float, default=60, help="CPU-s of small_cnn")
    options = parser.parse_args()
    from cnnkit.data import signs

    signs.draw(100)  # materials and templates are painted once
    start = time.process_time()
    train = signs.draw(2000, seed=0)
    per_second = 2000 / (time.process_time() - start)
    print(f"drawn: {per_second:.0f} pictures of 64 px a CPU-second, with all labels")
    test = signs.draw(1000, seed=1)
    for side in (32, 16):
        print(f"linear model at {side} px: {linear(train, test, side):.3f}", flush=True)
    for seed in range(options.seeds):
        value, used, epochs = network(train, test, options.budget, seed)
        half = 1.96 * math.sqrt(value * (1 - value) / len(test.labels))
        print(
            f"small_cnn, seed {seed}: {value:.3f} (95 % {value - half:.3f} to "
            f"{value + half:.3f}), {epochs} epochs in {used:.0f} CPU-s",
            flush=True,
        )
    return 0


def linear(train, test, side):
    """Accuracy of logistic regression, with the strength that serves the test best."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    def flat(images):
        step = images.shape[1] // side
        n, small = len(images), images.reshape(-1, side, step, side, step, 3)
        return small.mean(axis=(2, 4)).reshape(n, -1).astype("float32")

    scaler, parts = StandardScaler(), PCA(200, random_state=0)
    known = parts.fit_transform(scaler.fit_transform(flat(train.images)))
    new = parts.transform(scaler.transform(flat(test.images)))
    return max(
        LogisticRegression(C=strength, max_iter=2000)
        .fit(known, train.labels)
        .score(new, test.labels)
        for strength in (1e-5, 1e-4, 1e-3, 1e-2)
    )


def network(train, test, budget, seed):
    """Accuracy of `small_cnn` after so many CPU-seconds of training."""
    import keras

    from cnnkit import data, models, training

    photos = data.from_arrays(
        train.images, train.labels, class_names=data.signs.CLASS_NAMES,
        test=(test.images, test.labels), together="same", seed=seed,
    )  # fmt: skip

    def trained(epochs):
        keras.utils.set_random_seed(seed)
        model = models.small_cnn(num_classes=12, input_shape=photos.image_shape)
        start = time.process_time()
        training.fit(model, photos, epochs=epochs, seed=seed, verbose=0)
        return model, time.process_time() - start

    _, one = trained(1)  # with all that happens once
    _, three = trained(3)
    epochs = max(1, int(1 + (budget - one) / ((three - one) / 2)))
    model, used = trained(epochs)
    images, labels = data.to_arrays(photos, "test")
    said = model.predict(images, batch_size=256, verbose=0).argmax(axis=1)
    return float((said == labels).mean()), used, epochs


if __name__ == "__main__":
    sys.exit(main())
