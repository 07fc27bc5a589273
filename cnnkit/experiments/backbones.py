"""Backbones with weights, each under a linear head on your pictures, as a table.

How well a linear head does on the features of a network says, nearly always, how well
that network would do fine-tuned (Kornblith, Shlens and Le, "Do Better ImageNet Models
Transfer Better?", CVPR 2019, https://arxiv.org/abs/1805.08974, figure 2), and takes a
hundredth of the time.
"""

import time

import keras
import numpy as np
import pandas as pd

from cnnkit import training, transfer
from cnnkit.data.surroundings import say
from cnnkit.experiments.measuring import latency, summary
from cnnkit.training.fine_tuning import HEAD_EPOCHS, HEAD_RATE
from cnnkit.training.phases import INTERRUPTED
from cnnkit.training.watch import Course
from cnnkit.transfer.features import seen_in_time

COMPUTED_TOGETHER = 64  # pictures


def compare_backbones(
    photos,
    names=None,
    *,
    minutes=2.0,
    seeds=(0, 1, 2),
    part="valid",
    verbose=1,
):
    """Says which backbone is best for your pictures on this machine.

    Each looks at the pictures once, and the heads of all seeds learn from what it saw.
    The best by the table is the one to fine-tune; that no other is better takes more
    than overlapping intervals.

    Interrupting it (Ctrl-C, or the stop button of a notebook) ends the comparison and
    returns the backbones that were done.

    Args:
        photos: `ImageData`.
        names: sequence of names of `transfer.BACKBONES`, whose ImageNet weights have to
            lie in Keras' cache; or a dict from a name of yours to a frozen backbone,
            such as `transfer.backbone` returns. None takes all that are in the cache.
        minutes: float, wall-clock minutes for each backbone. Where looking at all
            pictures would take more than 70 % of them, heads learn from those that it
            has seen by then.
        seeds: sequence of int, one head each.
        part: "valid" where the table helps to choose, "test" for the last word.
        verbose: 0 is silent, 1 prints a line for each backbone.

    Returns:
        A `pandas.DataFrame`, a row for each backbone in the order of `names`, the index
        "backbone". Its columns:

        - parameters, and megabytes: of the classifier, in float32.
        - ms_1, ms_32: milliseconds for one picture in prediction, alone and among 32:
          the fastest of 10 runs.
        - features_s: seconds for looking at the pictures; head_s: seconds for training
          one head, mean over the seeds.
        - learnt: training pictures that the heads learnt from.
        - accuracy, low, high, pictures, spread, seeds: as for `compare_families`.

    Raises:
        ValueError: an unknown name, no weights for it, or `seeds` is empty.

    Example:
        >>> table = compare_backbones(photos, ["mobilenet", "mobilenet_v2"], minutes=1)
        >>> plots.trade_off(table, "ms_32", cost_label="milliseconds for a picture")
    """
    if not len(seeds):
        raise ValueError(
            f"`seeds` needs a number for each training. Received: {seeds!r}"
        )
    bases = _frozen(names, photos.image_shape)
    done = {}
    try:
        for name, base in bases.items():
            done[name] = row = _looked_at(base, photos, minutes, seeds, part)
            if verbose:
                say(
                    f"{name}: {row['accuracy']:.1%} of the {part} pictures, "
                    f"{row['ms_32']:.1f} ms for a picture, features in "
                    f"{row['features_s']:.0f} s, a head in {row['head_s']:.0f} s"
                )
    except KeyboardInterrupt:
        say(f"You stopped it: the table has {len(done)} of {len(bases)} backbones.")
    return pd.DataFrame.from_dict(done, orient="index").rename_axis("backbone")


def _frozen(names, image_shape):
    """The backbones by name, before any work; each has weights and is frozen."""
    if names is None:
        names = [n for n in transfer.BACKBONES if transfer.cached_widths(n)]
    if isinstance(names, str) or not len(names):
        raise ValueError(
            "`names` is a list of names of transfer.BACKBONES, and None takes those "
            "whose ImageNet weights lie in Keras' cache; "
            "transfer.backbone(name, image_shape, weights='imagenet') brings them "
            f"there. Received: {names!r}"
        )
    bases = names if isinstance(names, dict) else {
        name: transfer.backbone(name, image_shape) for name in names
    }  # fmt: skip
    free = [name for name, base in bases.items() if base.trainable_variables]
    if free:
        raise ValueError(
            "Only backbones with weights, frozen, can be compared by a head. Get the "
            "weights with transfer.backbone(name, image_shape, weights='imagenet'), or "
            f"freeze yours with base.trainable = False. Received: {free} not frozen"
        )
    return dict(bases)


def _looked_at(base, photos, minutes, seeds, part):
    """One row of the table."""
    course, num_classes = Course(minutes), photos.num_classes
    model = transfer.classifier(base, num_classes)
    facts = {
        "parameters": model.count_params(),
        "megabytes": 4 * model.count_params() / 1e6,
        **latency(model, photos),
    }
    begun = time.monotonic()
    features = seen_in_time(
        transfer.body_of(model), photos, COMPUTED_TOGETHER, 0,
        enough=lambda: course.share() > 0.7,
        whole=dict.fromkeys(["valid", part]), verbose=0,
    )  # fmt: skip
    facts["features_s"] = time.monotonic() - begun
    right, rows = [], features.rows(part)
    labels = features.manifest["label"].to_numpy()[rows]
    begun = time.monotonic()
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        head = transfer.head_of(transfer.classifier(base, num_classes))
        left = max(course.left(), 5) / (len(seeds) - len(right))
        history = training.fit(
            head, features, epochs=HEAD_EPOCHS, learning_rate=HEAD_RATE, seed=seed,
            minutes=left / 60, verbose=0,
        )  # fmt: skip
        if history.params["stopped"] == INTERRUPTED:
            raise KeyboardInterrupt
        said = head.predict(features.pixels[rows], verbose=0).argmax(axis=1)
        right.append(int(np.sum(said == labels)))
    facts["head_s"] = (time.monotonic() - begun) / len(seeds)
    facts["learnt"] = len(features.rows("train"))
    return facts | summary(right, [len(rows)] * len(seeds))
