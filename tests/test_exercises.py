"""Answers to the exercises: right ones, usual wrong ones and hostile ones."""

import importlib
import math
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from scipy import special
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_curve
from sklearn.utils.class_weight import compute_class_weight

from cnnkit import exercises
from cnnkit.models.densenet import basic_layer

LESSONS = [
    importlib.import_module(f"cnnkit.exercises.{path.stem}")
    for path in sorted(Path(exercises.__file__).parent.glob("lesson_*.py"))
]
QUESTIONS = {name: q for lesson in LESSONS for name, q in lesson.QUESTIONS.items()}
CHECKS = [name for lesson in LESSONS for name in lesson.CHECKS]


def epoch_and_gap(column, last=False, pick="idxmin", sign=1, shift=1):
    """An answer to lesson 05 that reads the epoch off one column."""

    def answer(history):
        table = pd.DataFrame(history)
        best = getattr(table[column], pick)()
        gap = sign * (table["accuracy"] - table["val_accuracy"])
        return best + shift, gap.iloc[-1] if last else gap[best]

    return answer


def stopping(patient=0, equal=False, total=False, previous=False):
    """An answer to lesson 08 that counts the poor epochs in one way or another."""

    def answer(losses, patience):
        best, waited = 0, 0
        for epoch in range(1, len(losses)):
            than = losses[epoch - 1 if previous else best]
            better = losses[epoch] < than or (equal and losses[epoch] == than)
            waited = waited + (not better) if total else (not better) * (waited + 1)
            best = epoch if better and losses[epoch] <= losses[best] else best
            if waited >= patience + patient:
                break
        return epoch + 1, best + 1

    return answer


def most_frequent(counts):
    """What scikit-learn's laziest classifier scores."""
    labels = np.repeat(np.arange(len(counts)), counts)
    pictures = np.zeros((len(labels), 1))
    lazy = DummyClassifier(strategy="most_frequent").fit(pictures, labels)
    return lazy.score(pictures, labels)


def counted_by_keras(kernel, channels_in, filters, bias=True):
    layer = keras.layers.Conv2D(filters, kernel, use_bias=bias)
    layer.build((None, 16, 16, channels_in))
    return layer.count_params()


def known_to_pandas(train, test):
    return float(pd.Series(test).isin(train).mean())


def threshold_by_sklearn(truth, p, wanted):
    _, found, thresholds = roc_curve(truth, p, drop_intermediate=False)
    return thresholds[np.argmax(found >= wanted)]


def judged_by_sklearn(truth, p, test_truth, test_p, wanted, score=recall_score):
    threshold = threshold_by_sklearn(truth, p, wanted)
    return threshold, score(test_truth, test_p >= threshold)


def judging(threshold_of=threshold_by_sklearn, found=np.greater_equal):
    """An answer to lesson 06 with another threshold, of (truth, p, wanted)."""

    def answer(truth, p, test_truth, test_p, wanted):
        threshold = threshold_of(truth, p, wanted)
        return threshold, recall_score(test_truth, found(test_p, threshold))

    return answer


def just_below(truth, p, wanted):
    """The highest threshold *above* which enough of the class lies, or the lowest."""
    of_class = np.sort(p[truth == 1])[::-1]
    needed = of_class[math.ceil(wanted * len(of_class)) - 1]
    return max(p[p < needed], default=p.min())


def read_by_pandas(history):
    table = pd.DataFrame(history)
    best = table.loc[table["val_loss"].idxmin()]
    return best.name + 1, best["accuracy"] - best["val_accuracy"]


def spaced_by_numpy(low, high, share):
    """A point of NumPy's logarithmic axis, a thousand steps long."""
    return np.geomspace(low, high, 1001)[round(1000 * share)]


def stopped_by_keras(losses, patience):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    stop = keras.callbacks.EarlyStopping(patience=patience)
    stop.set_model(model)
    model.stop_training = False  # as `fit` sets it
    stop.on_train_begin()
    for epoch, loss in enumerate(losses):
        stop.on_epoch_end(epoch, {"val_loss": loss})
        if model.stop_training:
            break
    return epoch + 1, stop.best_epoch + 1


def stacked_by_keras(n, kernel, channels):
    model = keras.Sequential([keras.Input((64, 64, channels))])
    for _ in range(n):
        model.add(keras.layers.Conv2D(channels, kernel, use_bias=False))
    return 64 - model.output_shape[1] + 1, model.count_params()


def balanced_by_sklearn(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    return compute_class_weight("balanced", classes=np.unique(labels), y=labels)


def cosine_by_keras(step, steps, warmup, peak):
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=peak, warmup_steps=warmup
    )
    return float(schedule(step))


def dense_by_keras(channels, num_layers, growth):
    x = inputs = keras.Input((8, 8, channels))
    for i in range(num_layers):
        x = basic_layer(x, growth, name=f"layer{i}")
    weights = keras.Model(inputs, x).weights
    return sum(math.prod(w.shape) for w in weights if w.name == "kernel")


def separated_by_keras(kernel, channels_in, channels_out):
    pictures = keras.Input((8, 8, channels_in))
    weights = [
        keras.Model(pictures, layer(pictures)).count_params()
        for layer in (
            keras.layers.SeparableConv2D(channels_out, kernel, use_bias=False),
            keras.layers.Conv2D(channels_out, kernel, use_bias=False),
        )
    ]
    return weights[0] / weights[1]  # each weight works at the same places


def counted_with_ones(side, patch, width):
    tokens = np.ones((len(range(0, side, patch)) ** 2 + 1, width))
    scores = tokens @ tokens.T  # each multiply-add of ones adds 1
    return scores.sum() + (np.ones_like(scores) @ tokens).sum()


NORM, OPTIONS = "BatchNormalization", {"Conv2D": {"filters": 1, "kernel_size": 3}}


def opening(first, norms=False):
    """An answer to lesson 12 that opens the layers from a certain one on."""

    def answer(kinds, count):
        start = first(len(kinds), count)
        closed = () if norms else (NORM,)
        return [i >= start and k not in closed for i, k in enumerate(kinds)]

    return answer


def opening_others(kinds, count):
    """An answer to lesson 12 that counts no BatchNormalization."""
    flags, left = [], count
    for kind in reversed(kinds):
        flags.append(kind != NORM and left > 0)
        left -= kind != NORM
    return flags[::-1]


def warmed(fall):
    return lambda s, n, w, p: p * (s / w if s < w else fall(s, n, w))


def fallen(share):
    return (1 + math.cos(math.pi * share)) / 2


def opened_in_keras(kinds, count):
    layers = [getattr(keras.layers, kind)(**OPTIONS.get(kind, {})) for kind in kinds]
    for place, layer in enumerate(reversed(layers)):
        layer.trainable = place < count
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return [layer.trainable for layer in layers]


def late(s, n, w):
    return fallen((s - w) / (n - w))


def counted_three_ways(side, window, channels, filters):
    """Keras counts what is shared and what is dense; patches, what each place sees."""
    picture = np.ones((1, side, side, channels), "float32")
    conv = keras.layers.Conv2D(filters, window, padding="same", use_bias=False)
    dense = keras.layers.Dense(math.prod(conv(picture).shape), use_bias=False)
    dense.build((None, picture.size))
    seen = keras.ops.image.extract_patches(picture, window, 1, padding="same")
    return conv.count_params(), math.prod(seen.shape) * filters, dense.count_params()


def counting(change):
    """An answer to lesson 13: the right counts, changed, given (counts, s, w, c, f)."""
    return lambda s, w, c, f: change(list(counted_three_ways(s, w, c, f)), s, w, c, f)


def heat_by_convolution(maps, kernel, label):
    """A dense layer at each place is a convolution with a window of 1 x 1."""
    maps, window = maps[None].astype("float32"), kernel[None, None].astype("float32")
    heat = keras.ops.conv(maps, window)
    return keras.ops.convert_to_numpy(keras.ops.relu(heat))[0, :, :, label]


def tipped_by_leaving_out(values, weights, said, truth):
    """Without a channel the gap between two logits is another: by how much?"""
    logits = values @ weights
    changes = []
    for channel in range(len(values)):
        left = np.delete(values, channel) @ np.delete(weights, channel, axis=0)
        changes.append(logits[said] - logits[truth] - left[said] + left[truth])
    return changes.index(max(changes)), max(changes)


def by_largest(what, amount):
    """An answer to lesson 15: the channel with the largest `what`, and its `amount`."""

    def answer(values, weights, said, truth):
        for_said, for_truth = weights[:, said], weights[:, truth]
        channel = np.argmax(what(values, for_said, for_truth))
        return channel, amount(values, for_said, for_truth)[channel]

    return answer


def gap(values, for_said, for_truth):
    return values * for_said - values * for_truth


def undone_by_matrices(x, side, enlarge, shift):
    middle = (side - 1) / 2
    to_middle, back = np.array([[1, -middle], [0, 1]]), np.array([[1, middle], [0, 1]])
    larger, right = np.diag([enlarge, 1]), np.array([[1, shift], [0, 1]])
    return (np.linalg.inv(right @ back @ larger @ to_middle) @ (x, 1))[0]


def side_by_keras(side, kernel, stride=1, padding=0):
    bordered = keras.layers.ZeroPadding2D(padding)
    shape = bordered.compute_output_shape((None, side, side, 1))
    return keras.layers.Conv2D(1, kernel, stride).compute_output_shape(shape)[1]


def softmax_by_scipy(logits, temperature=1.0):
    return special.softmax(np.asarray(logits) / temperature)


RIGHT = {
    "00": most_frequent,
    "01": known_to_pandas,
    "02": side_by_keras,
    "03": softmax_by_scipy,
    "04": counted_by_keras,
    "07": undone_by_matrices,
    "05": read_by_pandas,
    "06": judged_by_sklearn,
    "08": stopped_by_keras,
    "09": cosine_by_keras,
    "10": spaced_by_numpy,
    "11": balanced_by_sklearn,
    "12": opened_in_keras,
    "13": counted_three_ways,
    "14": heat_by_convolution,
    "15": tipped_by_leaving_out,
    "16": stacked_by_keras,
    "17": dense_by_keras,
    "18": separated_by_keras,
    "19": counted_with_ones,
}

# An answer as a learner may write it, and what its hint must speak of.
WRONG = {
    "00": [
        (lambda c: 1 / len(c), "guess"),
        (lambda c: c.max(), "share"),
        (lambda c: c.max() / len(c), "number of pictures"),
        (lambda c: c.min() / c.sum(), "rarest"),
        (lambda c: c[0] / c.sum(), "first class"),
        (lambda c: ((c / c.sum()) ** 2).sum(), "as often as it occurs"),
        (lambda c: c.max() / c.sum() * 100, "percent"),
        (lambda c: round(c.max() / c.sum()), "rounded"),
        (lambda c: c.max() // c.sum(), "decimal point"),
    ],
    "01": [
        (lambda a, b: len(set(a) & set(b)) / len(b), "keeps each picture once"),
        (lambda a, b: len(set(a) & set(b)) / len(set(b)), "second copy"),
        (lambda a, b: sum(x in a for x in b), "how many"),
        (lambda a, b: len(set(b).intersection(a)), "different ones"),
        (lambda a, b: sum(x in a for x in b) / len(a), "training pictures"),
        (lambda a, b: sum(x in b for x in a) / len(a), "other way round"),
        (lambda a, b: sum(x not in a for x in b) / len(b), "clean"),
        (lambda a, b: sum(x in a for x in b) / len(a + b), "all pictures"),
        (lambda a, b: 100 * sum(x in a for x in b) / len(b), "percent"),
    ],
    "02": [
        (lambda n, k, s=1, p=0: (n - k) // s + 1, "on both sides"),
        (lambda n, k, s=1, p=0: (n - k + p) // s + 1, "left *and* right"),
        (lambda n, k, s=1, p=0: 1 + (n - k + 2 * p) / s, "2.5 pixels"),
        (lambda n, k, s=1, p=0: math.ceil((n - k + 2 * p) / s) + 1, "you kept it"),
        (lambda n, k, s=1, p=0: (n - k + 2 * p) // s, "one, not none"),
        (lambda n, k, s=1, p=0: (n - k + 2 * p + 1) // s, "needs no step"),
        (lambda n, k, s=1, p=0: n - k + 2 * p + 1, "Right for stride 1"),
        (lambda n, k, s=1, p=0: math.ceil(n / s), 'padding="same"'),
        (lambda n, k, s=1, p=0: side_by_keras(n, k, s, p) ** 2, "its side"),
    ],
    "03": [
        (lambda z, t=1.0: special.softmax(z), "Right for temperature 1"),
        (lambda z, t=1.0: special.softmax(z * t), "should make them alike"),
        (lambda z, t=1.0: special.softmax(z) / t, "Divide the logits"),
        (lambda z, t=1.0: special.softmax(z) ** (1 / t), "no longer 1"),
        (lambda z, t=1.0: np.exp((z - max(z)) / t), "Divide by their sum"),
        (lambda z, t=1.0: np.exp((z - max(z)) / t) / len(z), "not their number"),
        (lambda z, t=1.0: z / t / (z / t).sum(), "What of the exponential"),
        (lambda z, t=1.0: abs(z) / abs(z).sum(), "sign of a logit"),
        (lambda z, t=1.0: special.expit(z / t), "each class by itself"),
        (lambda z, t=1.0: (z == z.max()).astype(float), "the winner"),
        (lambda z, t=1.0: special.log_softmax(z / t), "logarithms"),
        (lambda z, t=1.0: 100 * special.softmax(z / t), "percent"),
    ],
    "04": [
        (lambda k, c, f, bias=True: f * (k**2 + bias), "all the channels"),
        (lambda k, c, f, bias=True: f * (c * k + bias), "side of the window"),
        (lambda k, c, f, bias=True: k**2 * c * f, "one number of its own"),
        (lambda k, c, f, bias=True: (k**2 * c + 1) * f, "bias=False"),
        (lambda k, c, f, bias=True: k**2 * c * f + bias, "Each filter has its own"),
        (lambda k, c, f, bias=True: k**2 * c * f + c * bias, "channel that comes in"),
        (lambda k, c, f, bias=True: k**2 * c * f + c * f * bias, "over all channels"),
        (lambda k, c, f, bias=True: k**2 * c + bias, "one filter"),
    ],
    "05": [
        (epoch_and_gap("val_loss", shift=0), "begin with 0"),
        (epoch_and_gap("val_accuracy", pick="idxmax"), "steps of one picture"),
        (epoch_and_gap("loss"), "learns by heart"),
        (epoch_and_gap("val_loss", pick="idxmax"), "worst epoch"),
        (lambda h: (len(h["loss"]), h["accuracy"][-1] - h["val_accuracy"][-1]), "last"),
        (epoch_and_gap("val_loss", sign=-1), "Upside down"),
        (epoch_and_gap("val_loss", last=True), "gap is that of the last"),
        (
            lambda h: (
                read_by_pandas(h)[0],
                min(h["val_loss"]) - h["loss"][h["val_loss"].index(min(h["val_loss"]))],
            ),
            "between the losses",
        ),
        (epoch_and_gap("val_loss", sign=100), "percent"),
        (lambda h: read_by_pandas(h)[::-1], "wrong order"),
    ],
    "06": [
        (lambda t, p, u, q, w: judged_by_sklearn(u, q, u, q, w), "on new pictures"),
        (lambda t, p, u, q, w: judged_by_sklearn(t, p, t, p, w), "never under"),
        (judging(found=np.greater), "In the test you count p > threshold"),
        (judging(just_below), "In validation you count p > threshold"),
        (judging(just_below, np.greater), "when you choose and when you measure"),
        (
            lambda t, p, u, q, w: (
                threshold_by_sklearn(t, p, w),
                sum(u[q >= threshold_by_sklearn(t, p, w)]) / len(u),
            ),
            "number of all test pictures",
        ),
        (
            lambda t, p, u, q, w: (
                threshold_by_sklearn(t, p, w),
                sum(q >= threshold_by_sklearn(t, p, w)) / len(u),
            ),
            "among those are false alarms",
        ),
        (lambda *a: judged_by_sklearn(*a, score=accuracy_score), "measured accuracy"),
        (lambda *a: judged_by_sklearn(*a, score=precision_score), "measured precision"),
        (
            lambda *a: judged_by_sklearn(
                *a, score=lambda u, q: recall_score(u, q, pos_label=0)
            ),
            "measured specificity",
        ),
        (
            judging(lambda t, p, w: np.sort(p)[-math.ceil(w * len(p))]),
            "of *all* validation pictures",
        ),
        (
            judging(
                lambda t, p, w: max(
                    [k for k in p if (t[p >= k] == 1).sum() >= w * len(p)] or [min(p)]
                )
            ),
            "hardly ever reached",
        ),
        (
            judging(lambda t, p, w: max(p, key=lambda k: accuracy_score(t, p >= k))),
            "the best accuracy",
        ),
        (judging(lambda t, p, w: min(p)), "take the highest"),
        (judging(lambda t, p, w: 0.5), "a habit"),
        (judging(lambda t, p, w: w), "not a probability"),
        (
            judging(lambda t, p, w: np.sort(p[t == 1])[-max(int(w * t.sum()), 1)]),
            "Round up",
        ),
        (
            judging(
                lambda t, p, w: np.sort(p[t == 1])[max(-int(w * sum(t)) - 1, -sum(t))]
            ),
            "Count from 0",
        ),
        (judging(lambda t, p, w: np.quantile(p[t == 1], 1 - w)), "between two"),
        (lambda *a: judged_by_sklearn(*a)[::-1], "wrong order"),
        (
            lambda *a: (judged_by_sklearn(*a)[0], 100 * judged_by_sklearn(*a)[1]),
            "percent",
        ),
        (lambda *a: judged_by_sklearn(*a)[0], "share that it finds in the test"),
        (lambda *a: judged_by_sklearn(*a)[1], "Return the threshold before it"),
    ],
    "08": [
        (stopping(previous=True), "the one before it"),
        (stopping(patient=1), "too long"),
        (stopping(patient=-1), "too soon"),
        (stopping(equal=True), "stands still"),
        (stopping(total=True), "begins anew"),
        (lambda v, n: np.subtract(stopped_by_keras(v, n), 1), "counted from 0"),
        (lambda v, n: [stopped_by_keras(v, n)[0]] * 2, "where the waiting ended"),
        (lambda v, n: (stopped_by_keras(v, n)[0], 1 + np.argmin(v)), "after the stop"),
        (lambda v, n: (len(v), 1 + np.argmin(v)), "Where is the patience"),
        (lambda v, n: stopped_by_keras(v, n)[::-1], "wrong order"),
    ],
    "09": [
        (lambda s, n, w, p: p / 2 * (1 + math.cos(s / n * math.pi)), "no warm-up yet"),
        (warmed(lambda s, n, w: fallen(s / n)), "jumps down"),
        (warmed(lambda s, n, w: fallen((s - w) / n)), "does not reach 0"),
        (warmed(lambda s, n, w: 2 * fallen((s - w) / (n - w))), "Twice too high"),
        (warmed(lambda s, n, w: 2 * fallen((s - w) / (n - w)) - 1), "below 0"),
        (warmed(lambda s, n, w: fallen((s - w) / (n - w) / 2) * 2 - 1), "quarter"),
        (warmed(lambda s, n, w: fallen(180 / math.pi * (s - w) / (n - w))), "radians"),
        (warmed(lambda s, n, w: 1 - fallen((s - w) / (n - w))), "should fall"),
        (warmed(lambda s, n, w: (n - s) / (n - w)), "straight line down"),
        (lambda s, n, w, p: warmed(late)(s + (s < w), n, w, p), "number 0"),
        (lambda s, n, w, p: warmed(late)(s, n, w, 1.0), "The shape is right"),
    ],
    "07": [
        (lambda x, n, e, s: (x - s) / e, "left edge"),
        (lambda x, n, e, s: n / 2 + (x - s - n / 2) / e, "number 2 is in the middle"),
        (lambda x, n, e, s: (x + s) / e + (n - 1) / 2 * (1 - 1 / e), "further left"),
        (lambda x, n, e, s: (x - s) * e + (n - 1) / 2 * (1 - e), "half a pixel apart"),
        (lambda x, n, e, s: x * e + (n - 1) / 2 * (1 - e) + s, "undo each step"),
        (lambda x, n, e, s: x / e + (n - 1) / 2 * (1 - 1 / e) - s, "wrong order"),
        (
            lambda x, n, e, s: round(float(undone_by_matrices(x, n, e, s))),
            "between pixels",
        ),
        (lambda x, n, e, s: (x - s - (n - 1) / 2) / e, "way from the middle"),
        (
            lambda x, n, e, s: min(max(undone_by_matrices(x, n, e, s), 0), n - 1),
            "border to say",
        ),
    ],
    "10": [
        (lambda a, b, u: np.linspace(a, b, 1001)[round(1000 * u)], "even in diff"),
        (lambda a, b, u: math.log(spaced_by_numpy(a, b, u)), "exponential"),
        (lambda a, b, u: 10 ** math.log(spaced_by_numpy(a, b, u)), "Two bases"),
        (lambda a, b, u: spaced_by_numpy(b, a, u), "from `high` down to `low`"),
        (lambda a, b, u: spaced_by_numpy(a, b, u) / a, "start from `low`"),
        (lambda a, b, u: a * b**u, "Right only where `low` is 1"),
        (lambda a, b, u: (a * b) ** 0.5, "the middle"),
    ],
    "11": [
        (lambda c: [1 / k for k in c], "would be tiny"),
        (lambda c: sum(c) / np.array(c), "Divide by their number"),
        (lambda c: max(c) / np.array(c), "largest has the weight 1"),
        (lambda c: min(c) / np.array(c), "training slows down"),
        (lambda c: np.array(c) / sum(c), "share of each class"),
        (lambda c: len(c) * np.array(c) / sum(c), "Upside down"),
        (lambda c: 1 - np.array(c) / sum(c), "three classes"),
        (lambda c: [1.0] * len(c), "equal weights"),
    ],
    "12": [
        (lambda k, n: [a != NORM and i < n for i, a in enumerate(k)], "at the input"),
        (opening(lambda total, n: total - n, norms=True), "averages move"),
        (opening_others, "further down"),
        (opening(lambda total, n: total - n if n else 0), "kinds[-0:]"),
        (
            lambda k, n: [a == NORM or i < len(k) - n for i, a in enumerate(k)],
            "Upside down",
        ),
        (opening(lambda total, n: total - n + 1), "One layer too few"),
        (opening(lambda total, n: n), "the other way round"),
        (
            lambda k, n: [a == "Conv2D" and i >= len(k) - n for i, a in enumerate(k)],
            "without weights",
        ),
    ],
    "13": [
        (counting(lambda n, s, w, c, f: (n[0], n[0], n[2])), "of a single place"),
        (counting(lambda n, s, w, c, f: (n[0], n[0] * s, n[2])), "How many places"),
        (
            counting(lambda n, s, w, c, f: (n[0], n[0] * (s - w + 1) ** 2, n[2])),
            "padding='same'",
        ),
        (counting(lambda n, s, w, c, f: (*n[:2], s**2 * c * f)), "sees every pixel"),
        (
            counting(lambda n, s, w, c, f: (n[0], n[0] * s, n[2] / s**2)),
            "in the second and in the third",
        ),
        (counting(lambda n, s, w, c, f: np.divide(n, c)), "all the channels"),
        (counting(lambda n, s, w, c, f: np.divide(n, f)), "for one filter"),
        (
            counting(lambda n, s, w, c, f: (n[0] / w, n[1] / w, n[2])),
            "a window of 3 has 9",
        ),
        (
            counting(lambda n, s, w, c, f: np.add(n, [f, f * s**2, f * s**2])),
            "biases",
        ),
        (counting(lambda n, s, w, c, f: (*n[:2], n[2] * w**2)), "has no window"),
        (counting(lambda n, s, w, c, f: n[::-1]), "wrong order"),
        (counting(lambda n, s, w, c, f: n[::2]), "return three numbers"),
    ],
    "14": [
        (lambda m, k, c: np.einsum("rsc,c", m, k[:, c]), "speaks against the class:"),
        (lambda m, k, c: heat_by_convolution(m, k, c) / len(k), "do not average"),
        (lambda m, k, c: heat_by_convolution(m, k.clip(0), c), "Add first"),
        (lambda m, k, c: heat_by_convolution(m, k.T, c), "row of a channel"),
        (
            lambda m, k, c: np.einsum("rsc,ck->rs", m, k).clip(0),
            "weights of all classes",
        ),
        (lambda m, k, c: np.dot(m, k).clip(0), "one heat for each class"),
        (
            lambda m, k, c: (
                heat_by_convolution(m, k, c) / heat_by_convolution(m, k, c).max()
            ),
            "divided by the highest",
        ),
        (lambda m, k, c: np.sum(m, axis=2), "Weigh each channel"),
        (lambda m, k, c: abs(np.dot(m, k[:, c])), "absolute value"),
        (lambda m, k, c: np.dot(m.mean(axis=(0, 1)), k[:, c]), "logit of the class"),
        (lambda m, k, c: m * k[:, c].clip(0), "each by itself"),
        (lambda m, k, c: (m.sum(axis=0) * k[:, c]).clip(0), "rows of the picture"),
    ],
    "15": [
        (
            by_largest(lambda v, s, t: v * s, lambda v, s, t: v * s),
            "has decided nothing",
        ),
        (by_largest(lambda v, s, t: v * s, gap), "channel is another"),
        (by_largest(lambda v, s, t: s - t, lambda v, s, t: s - t), "weights alone"),
        (by_largest(lambda v, s, t: s - t, gap), "channel is another"),
        (lambda v, w, s, t: tipped_by_leaving_out(v, w, t, s), "wrong way round"),
        (by_largest(lambda *x: -gap(*x), gap), "the smallest gap"),
        (by_largest(lambda *x: abs(gap(*x)), lambda *x: abs(gap(*x))), "with its sign"),
        (by_largest(lambda *x: abs(gap(*x)), gap), "channel is another"),
        (by_largest(lambda v, s, t: v, gap), "with the largest value"),
        (lambda v, w, s, t: tipped_by_leaving_out(v, w.T, s, t), "has a column"),
        (
            lambda v, w, s, t: (
                tipped_by_leaving_out(v, w, s, t)[0],
                v @ w[:, s] - v @ w[:, t],
            ),
            "all channels make together",
        ),
        (by_largest(gap, lambda v, s, t: v), "Its value alone"),
        (by_largest(gap, lambda v, s, t: v * s), "to be taken off"),
        (by_largest(gap, lambda v, s, t: s - t), "not yet multiplied"),
        (lambda *x: tipped_by_leaving_out(*x)[::-1], "wrong order"),
        (lambda *x: tipped_by_leaving_out(*x)[0], "Return two numbers: it"),
        (lambda *x: tipped_by_leaving_out(*x)[1], "the channel, and this"),
    ],
    "16": [
        (lambda n, k, c: (k * n, n * (k * c) ** 2), "overlap"),
        (lambda n, k, c: (k**n, n * (k * c) ** 2), "with stride 1"),
        (lambda n, k, c: (n * k - n, n * (k * c) ** 2), "from what does it start"),
        (lambda n, k, c: ((n * k - n + 1) ** 2, n * (k * c) ** 2), "area"),
        (lambda n, k, c: (n * k - n + 1, n * k**2 * c), "they count twice"),
        (lambda n, k, c: (n * k - n + 1, n * k**2), "one channel"),
        (lambda n, k, c: (n * k - n + 1, (k * c) ** 2), "one layer"),
        (lambda n, k, c: (n * k - n + 1, (n * k - n + 1) ** 2 * c**2), "one large"),
        (lambda n, k, c: (n * k - n + 1, n * c * (k**2 * c + 1)), "biases"),
        (lambda n, k, c: (n * (k * c) ** 2, n * k - n + 1), "wrong order"),
    ],
    "17": [
        (lambda c, n, k: n * k * c * 9, "The second reads those"),
        (lambda c, n, k: 9 * k * (c + k * (n - 1)), "plain net"),
        (lambda c, n, k: sum(9 * k * (c + k + i * k) for i in range(n)), "its own"),
        (
            lambda c, n, k: sum(9 * w * (w + k) for w in range(c, c + n * k, k)),
            "only `growth` new",
        ),
        (lambda c, n, k: n * 9 * k * (c + n * k), "leave the block. Only"),
        (lambda c, n, k: sum(k * (c + i * k) for i in range(n)), "each of its places"),
        (lambda c, n, k: sum(3 * k * (c + i * k) for i in range(n)), "9 places"),
        (lambda c, n, k: sum(9 * c + 9 * i * k for i in range(n)), "one filter"),
        (lambda c, n, k: sum(k * (9 * c + 9 * i * k + 1) for i in range(n)), "biases"),
        (lambda c, n, k: c + k * n, "how many channels leave"),
    ],
    "18": [
        (lambda k, c, n: (k * k + c) / (k * k * c), "cancel"),
        (lambda k, c, n: c * n / (k * k * c * n), "1×1 step alone"),
        (lambda k, c, n: k * k * c / (k * k * c * n), "depthwise step alone"),
        (lambda k, c, n: (k + n) / (k * n), "side of the window"),
        (lambda k, c, n: k * k * n / (k * k + n), "Upside down"),
        (lambda k, c, n: 1 - 1 / n - 1 / k**2, "is saved"),
        (lambda k, c, n: 1 / k**2 / n, "operations add"),
        (lambda k, c, n: (1 + n) / n, "one place"),
        (lambda k, c, n: (k * k + c * n) / (k * k * c * n), "a window of its own"),
        (lambda k, c, n: 100 / n + 100 / k**2, "percent"),
    ],
    "19": [
        (lambda s, p, w: 2 * w * (s / p) ** 4, "one token more than patches"),
        (lambda s, p, w: 2 * w * (1 + (s / p) ** 4), "after squaring"),
        (lambda s, p, w: w * (1 + (s / p) ** 2) ** 2, "one of two products"),
        (lambda s, p, w: 2 * (1 + (s / p) ** 2) ** 2, "`width` numbers"),
        (lambda s, p, w: 2 * w * (1 + (s / p) ** 2), "four times as many pairs"),
        (lambda s, p, w: 2 * w * (1 + s / p) ** 2, "How many rows"),
        (lambda s, p, w: 2 * w * (1 + s**2 // p) ** 2, "How many pixels has it"),
        (lambda s, p, w: 2 * w * (1 + s**2) ** 2, "every pixel would be a token"),
        (lambda s, p, w: 2 * w * (s / p) ** 2 * (1 + (s / p) ** 2), "looks at itself"),
        (lambda s, p, w: w * (s / p) ** 2 * (1 + (s / p) ** 2), "each pair once"),
    ],
}


def unready(*arguments):
    raise NotImplementedError("your turn")


@pytest.fixture(autouse=True)
def not_strict(monkeypatch):
    monkeypatch.delenv("CNNKIT_STRICT", raising=False)


def verdict(capsys, lesson, answer):
    exercises.check(lesson, answer)
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("lesson", CHECKS)
def test_the_right_answer_is_right_also_where_wrong_ones_raise(
    lesson, capsys, monkeypatch
):
    monkeypatch.setenv("CNNKIT_STRICT", "1")
    assert verdict(capsys, lesson, RIGHT[lesson]).startswith("Right. ")


@pytest.mark.parametrize("lesson", CHECKS)
def test_every_usual_mistake_gets_a_hint_of_its_own(lesson, capsys):
    hints = []
    for answer, topic in WRONG[lesson]:
        hint = verdict(capsys, lesson, answer)
        assert hint.startswith("Not right yet. ")
        assert topic in hint
        hints.append(hint)
    module = importlib.import_module(f"cnnkit.exercises.lesson_{lesson[:2]}")
    assert len(set(hints)) == len(hints) == len(module.USUAL_MISTAKES)


@pytest.mark.parametrize("lesson", CHECKS)
def test_an_unusual_wrong_answer_gets_a_case_to_try_on_paper(lesson, capsys):
    hint = verdict(capsys, lesson, lambda *arguments: 12345)
    assert "it returned 12345. The right value is " in hint


@pytest.mark.parametrize("lesson", CHECKS)
def test_an_exercise_that_is_not_begun_is_not_done_yet(lesson, capsys):
    assert verdict(capsys, lesson, unready).startswith("Not done yet.")


@pytest.mark.parametrize("lesson", CHECKS)
def test_strict_raises_on_anything_but_right(lesson, monkeypatch):
    monkeypatch.setenv("CNNKIT_STRICT", "1")
    for answer in [WRONG[lesson][0][0], unready, None]:
        with pytest.raises(AssertionError, match=r"^Not (right|done) yet\."):
            exercises.check(lesson, answer)


class Sly:
    """An answer that works against being shown or compared."""

    def __repr__(self):
        raise RuntimeError("no name")

    __str__ = __array__ = __len__ = __eq__ = __float__ = __repr__


def changes_its_input(counts):
    counts[1:] = 0
    return counts.max() / counts.sum()


def raises_a_sly_error(*arguments):
    error = ValueError()
    error.args = (Sly(),)
    raise error


HOSTILE = {
    "None": (None, "without brackets"),
    "a number": (672, "Received: 672"),
    "a string": ("x" * 10_000, "without brackets"),
    "an object": (Sly(), "Received: <Sly instance>"),
    "too few arguments": (lambda: 1, "TypeError"),
    "a division by zero": (lambda *a: 1 / 0, "ZeroDivisionError: division by zero"),
    "the end of Python": (lambda *a: sys.exit(3), "SystemExit"),
    "no end": (lambda *a: [no_end for no_end in iter(lambda: a[9], 1)], "IndexError"),
    "a sly error": (raises_a_sly_error, "ValueError: a value of type ValueError"),
    "no return": (lambda *a: None, "`return`"),
    "a huge number": (lambda *a: 10**6000, "returned a value of type int"),
    "a huge list": (lambda *a: list(range(10**4)), "returned [0, 1, 2, 3, 4, 5, ...]"),
    "text": (lambda *a: "672\n\x1b[31m", "returned '672"),
    "not a number": (lambda *a: float("nan"), "returned nan"),
    "a ragged list": (lambda *a: [[1], [1, 2]], "returned [[1], [1, 2]]"),
    "a sly result": (lambda *a: Sly(), "returned <Sly instance>"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_answers_are_explained_in_a_few_printable_lines(kind, capsys):
    answer, words = HOSTILE[kind]
    for lesson in CHECKS:
        hint = verdict(capsys, lesson, answer)
        assert hint.startswith("Not right yet. ")
        assert words in hint
        assert len(hint) < 400
        assert hint.isprintable()


def test_a_function_that_changes_its_input_does_not_change_the_next_case(capsys):
    assert "counts=[90, 10] it returned 1.0" in verdict(capsys, "00", changes_its_input)
    assert verdict(capsys, "00", most_frequent).startswith("Right. ")


@pytest.mark.parametrize("name", ["4", "99", "04-none", "../x", "04.os", 4, None])
def test_an_unknown_exercise_is_an_error_that_says_how_names_look(name):
    for ask in (exercises.check, exercises.question):
        with pytest.raises(ValueError, match="two digits in quotes.*Received: "):
            ask(name, "a")


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_shows_its_options_and_gives_nothing_away(name, capsys):
    asked = QUESTIONS[name]
    exercises.question(name)
    shown = capsys.readouterr().out
    assert [line[:2] for line in shown.splitlines() if line[1:2] == ")"] == [
        f"{letter})" for letter in asked.options
    ]
    text = " ".join(shown.split())
    for says, why in asked.options.values():
        assert says in text
        assert why not in text


@pytest.mark.parametrize("name", QUESTIONS)
def test_one_option_is_right_and_each_wrong_one_explains_itself(
    name, capsys, monkeypatch
):
    asked, right = QUESTIONS[name], []
    assert len({why for _, why in asked.options.values()}) == len(asked.options)
    for letter, (_, why) in asked.options.items():
        exercises.question(name, f"{letter.upper()})")
        said = " ".join(capsys.readouterr().out.split())
        assert why in said
        if said.startswith(f"{letter}) Right."):
            right.append(letter)
            assert all(reason in said for _, reason in asked.options.values())
        else:
            assert said.startswith(f"{letter}) Not right.")
            assert asked.options[asked.right][1] not in said
    assert right == [asked.right]
    exercises.question(name, "no letter")
    assert "Answer with one of these letters" in capsys.readouterr().out
    monkeypatch.setenv("CNNKIT_STRICT", "1")
    with pytest.raises(AssertionError, match="Not right"):
        exercises.question(name, next(k for k in asked.options if k != asked.right))
