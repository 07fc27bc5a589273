"""Which epoch to keep, and what averaged weights gain in few epochs, in two tables.

    CNNKIT_DATA=... python tests/benchmarks/kept_epoch.py

Each run goes to its end. All rules then choose among its epochs by the same validation
pictures, so they differ in nothing else. Scores are balanced accuracies of test
pictures that nothing else has seen. CIFAR-10: 1,500 pictures of 10 classes, 30 epochs.
Shirts: 1,500 T-shirts and 60 shirts of Fashion-MNIST with class weights, 30 epochs.
Averages: 2,000 pictures of Fashion-MNIST, few epochs.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
EPOCHS, EMA = 30, 0.99


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()

    import numpy as np
    import pandas as pd

    from cnnkit import data

    folder = Path(os.environ.get("CNNKIT_DATA", "."))
    try:
        clothes = data.load("fashion_mnist")
        cifar = np.load(folder / "cifar10_jpeg_subset.npz", allow_pickle=False)
    except FileNotFoundError as error:
        print(f"skipped: {error}")
        return 0
    cifar = [
        (cifar[f"x_{part}"], cifar[f"y_{part}"][:, 0]) for part in ("train", "test")
    ]
    clothes = [data.to_arrays(clothes, part) for part in ("train", "test")]
    rules, averages = [], []
    for seed in range(options.seeds):
        luck = np.random.default_rng(seed)
        few = drawn(cifar, dict.fromkeys(range(10), 150), luck)
        rules.append({"task": "cifar10"} | kept(few, seed, weigh=False))
        shirts = drawn(clothes, {0: 1500, 6: 60}, luck)
        rules.append({"task": "shirts"} | kept(shirts, seed, weigh=True))
        few = drawn(clothes, dict.fromkeys(range(10), 200), luck)
        averages += [averaged(few, seed, epochs) for epochs in (3, 6)]
        print(pd.DataFrame(rules).round(3).to_string(), flush=True)
        print(pd.DataFrame(averages).round(3).to_string(), flush=True)
    rules, averages = pd.DataFrame(rules), pd.DataFrame(averages)
    print(rules.groupby("task").agg(["mean", "std"]).round(3).T.to_string())
    print(averages.groupby("epochs").agg(["mean", "std"]).round(3).T.to_string())
    return 0


def drawn(photos, numbers, luck):
    """Some training pictures of some classes, and at most 2,000 test pictures."""
    import numpy as np

    from cnnkit import data

    (images, labels), (test, truth) = photos
    places = [
        luck.permutation(np.flatnonzero(labels == k))[:n] for k, n in numbers.items()
    ]
    places, classes = np.concatenate(places), list(numbers)
    new = np.searchsorted(classes, labels[places])
    known = luck.permutation(np.flatnonzero(np.isin(truth, classes)))[:2000]
    test = test[known].reshape(len(known), *images.shape[1:3], -1)
    return (
        data.from_arrays(images[places], new),
        test,
        np.searchsorted(classes, truth[known]),
    )


def network(photos, seed):
    import keras

    from cnnkit import models

    keras.utils.set_random_seed(seed)
    shape = photos.image_shape
    return models.small_cnn(num_classes=photos.num_classes, input_shape=shape)


def kept(drawn, seed, *, weigh):
    """The score on the test pictures of the epoch that each rule keeps."""
    import keras
    import numpy as np
    from sklearn import metrics

    from cnnkit import data, training

    photos, test, truth = drawn
    model, scores = network(photos, seed), []

    def score(epoch, logs):
        answers = model.predict(test, batch_size=500, verbose=0).argmax(axis=1)
        scores.append(metrics.balanced_accuracy_score(truth, answers))

    history = training.fit(
        model, photos, epochs=EPOCHS, seed=seed, verbose=0,
        class_weight=data.balance.class_weights(photos) if weigh else None,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=score)],
    ).history  # fmt: skip
    losses = history["val_log_loss"]
    return {
        "stopped early": scores[stopped_early(losses)],
        "log loss": scores[int(np.argmin(losses))],
        "calibrated": scores[int(np.argmin(history["val_calibrated_log_loss"]))],
        "accuracy": scores[int(np.argmax(history["val_accuracy"]))],
        "the last": scores[-1],
    }


def stopped_early(losses):
    """The epoch of the lowest loss before a third of the run brought none."""
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= max(10, EPOCHS / 3):
            break
    return best


def averaged(drawn, seed, epochs):
    """The score on the test pictures with averaged weights and without."""
    from sklearn import metrics

    from cnnkit import training

    photos, test, truth = drawn
    row = {"epochs": epochs}
    for name, ema in (("latest", None), ("averaged", EMA)):
        model = network(photos, seed)
        training.fit(model, photos, epochs=epochs, ema=ema, seed=seed, verbose=0)
        answers = model.predict(test, batch_size=500, verbose=0).argmax(axis=1)
        row[name] = metrics.balanced_accuracy_score(truth, answers)
    return row


if __name__ == "__main__":
    sys.exit(main())
