"""What a network costs on this machine, and what several trainings say together."""

import time

import numpy as np

from cnnkit import evaluation

LATENCY_RUNS, TRAINING_RUNS = 10, 3
BATCH = 32  # pictures


def latency(model, photos):
    """Measures prediction.

    Args:
        model: `keras.Model`.
        photos: `ImageData` of the size that the model takes.

    Returns:
        A dict of ms_1 and ms_32, milliseconds for one picture, alone and among 32: the
        fastest of 10 runs.
    """
    images, _ = _pictures(photos)
    alone = _fastest(lambda: model.predict_on_batch(images[:1]), LATENCY_RUNS)
    together = _fastest(lambda: model.predict_on_batch(images), LATENCY_RUNS)
    return {"ms_1": alone, "ms_32": together / BATCH}


def training_cost(model, photos):
    """Measures training; the weights change.

    Args:
        model: `keras.Model`.
        photos: `ImageData` of the size that the model takes.

    Returns:
        A dict of train_ms, milliseconds for one picture in batches of 32: the fastest
        of 3 steps.
    """
    images, labels = _pictures(photos)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    step = _fastest(lambda: model.train_on_batch(images, labels), TRAINING_RUNS)
    return {"train_ms": step / BATCH}


def _pictures(photos):
    rows = np.resize(photos.rows("train"), BATCH)
    labels = photos.manifest["label"].to_numpy("int32")[rows]
    return photos.pixels[rows].astype("float32"), labels


def _fastest(work, runs):
    """Milliseconds of the fastest run: whatever else the machine does makes it slower.

    The first run, which also builds the graph, does not count.
    """
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds)


def summary(right, pictures):
    """Joins the trainings of several seeds.

    Args:
        right: sequence of int, the right answers of each training.
        pictures: sequence of int, how many pictures each was asked about.

    Returns:
        A dict of accuracy, the mean; low and high, Wilson's interval of 95 % for so
        many pictures; pictures; spread, the standard deviation over the seeds, NaN for
        one; and seeds, how many.
    """
    accuracy = np.array(right) / pictures
    low, high = evaluation.wilson(np.mean(right), pictures[0])
    return {
        "accuracy": accuracy.mean(),
        "low": float(low),
        "high": float(high),
        "pictures": int(pictures[0]),
        "spread": accuracy.std(ddof=1) if len(right) > 1 else np.nan,
        "seeds": len(right),
    }
