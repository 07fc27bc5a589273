"""Testing explanations: a picture with warm colours proves nothing by itself.

Two questions have answers that can be measured. Do the hot pixels matter to the model?
Take them away, and see. Does the heat depend on the model at all? Destroy the model,
and see whether the heat stays: then it shows the picture's edges, not the reasons.
"""

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import ndimage, stats

from cnnkit.explain.cams import PIXELS, grad_cam, grad_cam_plus_plus, layer_cam
from cnnkit.explain.pixels import as_heat, integrated_gradients, saliency, smooth_grad
from cnnkit.explain.tapping import check_classes, check_images, layers_of, slices, tap

LEVEL = 0.05  # of the paired test against random orders
ALIKE = 0.5  # the rank correlation from which two maps count as alike


def _integrated(model, images, *, classes=None):
    """Heat of integrated gradients; for an order of pixels, 16 steps are enough."""
    return as_heat(integrated_gradients(model, images, classes=classes, steps=16))


METHODS = {
    "Grad-CAM": grad_cam,
    "Grad-CAM++": grad_cam_plus_plus,
    "Layer-CAM": layer_cam,
    "saliency": saliency,
    "SmoothGrad": smooth_grad,
    "integrated gradients": _integrated,
}


def sanity(model, images, labels, *, methods=None, steps=16, seed=0, control=None):
    """Tests explanation methods on a model, and says which of them pass.

    A method passes if both hold:

    - Its heat finds pixels that matter. Insertion minus deletion (see
      `deletion_insertion`) is higher than that of the same heat in a wrong place, by
      Wilcoxon's signed-rank test over the pictures, one-sided, p < 0.05.
    - Its heat comes from the model: with all weights shuffled, the mean rank
      correlation with the heat before is under 0.5 (see `cascade`); and so it is with
      the heat of `control`, if there is one.

    Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018,
    https://arxiv.org/abs/1810.03292. Passing is necessary, and it is not enough: that a
    person understands the heat is another matter.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape (n, k);
            functional or Sequential, as `keras.models.clone_model` takes. It is not
            changed.
        images: array of pixels in [0, 255], shape (n, h, w, c); 16 or more, for the
            test to see anything.
        labels: int array of shape (n,), the classes to explain.
        methods: dict from a name to a function as `grad_cam` is, of (model, images,
            *, classes) to an array of shape (n, h, w); None takes `METHODS`. A layer is
            bound by name: `functools.partial(grad_cam, layer="stage2_relu")`.
        steps: int, as for `deletion_insertion`, which takes most of the time.
        seed: int, for shifts and shuffles.
        control: None, or a second `keras.Model` of the same shape, trained on random
            labels. What it attends to is no reason for the true ones.

    Returns:
        A `pandas.DataFrame` with a row for each method: the mean areas "deletion" (the
        lower, the better), "insertion" (the higher, the better), "random deletion" and
        "random insertion"; "p", of the paired test; "correlation after randomisation",
        "correlation with control" (NaN without one), and "passes".

    Raises:
        ValueError: pictures or labels do not fit the model, or the model cannot be
            cloned.

    Example:
        >>> sanity(model, images, labels)["passes"]
    """
    methods = METHODS if methods is None else dict(methods)
    heats = _heats(model, images, labels, methods)
    curves = deletion_insertion(model, images, labels, heats, steps=steps, seed=seed)
    areas = _areas(curves)
    after = cascade(model, images, labels, methods=methods, stages=1, seed=seed)
    others = {} if control is None else _heats(control, images, labels, methods)
    rows = []
    for name, heat in heats.items():
        area = areas.loc[name]
        gain = area["insertion", "heat"] - area["deletion", "heat"]
        luck = area["insertion", "random"] - area["deletion", "random"]
        apart = (gain - luck).to_numpy()
        p = stats.wilcoxon(apart, alternative="greater").pvalue if apart.any() else 1.0
        shuffled = after.loc[name].iloc[-1]
        other = _alike(heat, others[name]) if others else np.nan
        rows.append(
            {
                "deletion": area["deletion", "heat"].mean(),
                "insertion": area["insertion", "heat"].mean(),
                "random deletion": area["deletion", "random"].mean(),
                "random insertion": area["insertion", "random"].mean(),
                "p": p,
                "correlation after randomisation": shuffled,
                "correlation with control": other,
                "passes": bool(p < LEVEL and shuffled < ALIKE and not other >= ALIKE),
            }
        )
    return pd.DataFrame(rows, index=pd.Index(heats, name="method"))


def deletion_insertion(model, images, labels, heats, *, steps=16, seed=0):
    """Follows the probability while the hottest pixels are taken away, or given.

    Deletion paints pixels in the mean colour of the picture, the hottest first: good
    heat lets the probability fall at once. Insertion starts from a blurred picture and
    makes pixels sharp, the hottest first: it should rise at once. Petsiuk, Das and
    Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC
    2018, https://arxiv.org/abs/1806.07421 (section 4.2).

    Pixels taken away at random, one here and one there, look like nothing that the
    model has seen, so any picture falls quickly. The fair random order is as smooth as
    the heat: it is the heat itself, shifted round the edges by a quarter of each side
    or more.

    Args:
        model: `keras.Model` as for `sanity`.
        images: array of pixels in [0, 255], shape (n, h, w, c).
        labels: int array of shape (n,), whose probabilities are followed.
        heats: dict from a name to heat of shape (n, h, w).
        steps: int, in how many equal parts the pixels change.
        seed: int, for the shifts and for the order of equal heat.

    Returns:
        A `pandas.DataFrame` of probabilities. Its rows are indexed by "method", "test"
        ("deletion", "insertion"), "order" ("heat", "random") and "picture"; its columns
        are the shares of the pixels that are changed, 0 to 1. The area under a curve
        is its mean.

    Raises:
        ValueError: pictures, labels or heat do not fit the model.
    """
    images = check_images(model, images)
    n, height, width = images.shape[:3]
    run, rng = tap(model), np.random.default_rng(seed)
    labels = check_classes(labels, images, run(tf.constant(images[:1]))[2].shape[1])
    shares = np.linspace(0, 1, steps + 1)
    grey = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape)
    spread = min(height, width) / 16
    blurred = ndimage.gaussian_filter(images, (0, spread, spread, 0))
    tests = {"deletion": (images, grey), "insertion": (blurred, images)}

    def follow(heat, before, after):
        mess = rng.random((n, height * width))  # the order of equal heat
        order = np.lexsort((mess, -heat.reshape(n, -1)), axis=1)
        rank = np.argsort(order, axis=1).reshape(n, height, width, 1)
        found = np.empty(n * len(shares))
        for part in slices(len(found), images, PIXELS):
            i, step = np.divmod(np.arange(part.start, part.stop), len(shares))
            changed = rank[i] < shares[step, None, None, None] * height * width
            pixels = tf.constant(np.where(changed, after[i], before[i]))
            found[part] = run(pixels)[2].numpy()[np.arange(len(i)), labels[i]]
        return found.reshape(n, len(shares))

    tables = {}
    for name, heat in heats.items():
        heat = _check_heat(heat, images.shape[:3])
        down = rng.integers(height // 4, height - height // 4, n)
        right = rng.integers(width // 4, width - width // 4, n)
        moves = zip(heat, down, right, strict=True)
        shifted = np.stack([np.roll(x, (d, r), axis=(0, 1)) for x, d, r in moves])
        for test, (before, after) in tests.items():
            for order, values in (("heat", heat), ("random", shifted)):
                curve = follow(values, before, after)
                tables[name, test, order] = pd.DataFrame(curve, columns=shares)
    return pd.concat(tables, names=["method", "test", "order", "picture"])


def cascade(model, images, labels, *, methods=None, stages=4, seed=0):
    """Shuffles the weights of a copy from the top down, and compares heat.

    The weights of a layer change places among themselves: what the layer has learnt is
    lost, and how large its numbers are is kept. (Adebayo et al., as in `sanity`, draw
    new ones.)

    Args:
        model: `keras.Model` as for `sanity`. It is not changed.
        images: array of pixels in [0, 255], shape (n, h, w, c).
        labels: int array of shape (n,), the classes to explain.
        methods: as for `sanity`.
        stages: int, how often on the way down the heat is compared.
        seed: int, for the shuffles.

    Returns:
        A `pandas.DataFrame` of mean rank correlations (Spearman's; heat that is the
        same everywhere counts as 0): a row for each method, and columns that say how
        many layers with weights have been shuffled, the last one all.

    Raises:
        ValueError: pictures or labels do not fit the model, or it cannot be cloned.
    """
    methods = METHODS if methods is None else dict(methods)
    images, rng = check_images(model, images), np.random.default_rng(seed)
    before = _heats(model, images, labels, methods)
    try:
        copy = keras.models.clone_model(model)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ValueError(
            "`model` must be functional or Sequential, so that a copy can be shuffled. "
            f"Received: {type(model).__name__} {model.name!r}, and cloning it says: "
            f"{str(error).splitlines()[0]}"
        ) from error
    copy(tf.constant(images[:1]), training=False)  # a Sequential may not be built yet
    copy.set_weights(model.get_weights())
    leaves = [x for _, x in layers_of(copy) if not isinstance(x, keras.Model)]
    leaves = list({id(x): x for x in leaves if x.weights}.values())[::-1]
    stops = np.unique(np.linspace(len(leaves), 1, stages).round().astype(int))
    columns, done = {}, 0
    for stop in stops:
        for layer in leaves[done:stop]:
            shuffled = [rng.permutation(w.ravel()) for w in layer.get_weights()]
            shapes = [w.shape for w in layer.weights]
            layer.set_weights(
                [w.reshape(shape) for w, shape in zip(shuffled, shapes, strict=True)]
            )
        done = stop
        after = _heats(copy, images, labels, methods)
        columns[int(stop)] = {
            name: _alike(before[name], after[name]) for name in before
        }
    table = pd.DataFrame(columns)
    return table.rename_axis(index="method", columns="layers shuffled")


def _heats(model, images, labels, methods):
    shape = np.shape(images)[:3]
    return {
        name: _check_heat(method(model, images, classes=labels), shape)
        for name, method in methods.items()
    }


def _check_heat(heat, shape):
    heat = np.asarray(heat)
    if heat.shape != shape or not np.isfinite(heat).all():
        raise ValueError(
            f"Heat must be finite numbers of shape {shape}, one for each pixel; for "
            f"attributions of colours take `as_heat`. Received: shape {heat.shape}"
        )
    return heat


def _areas(curves):
    """Area of each curve: rows (method, picture), columns (test, order)."""
    values = curves.to_numpy()
    area = pd.Series((values[:, 1:] + values[:, :-1]).mean(axis=1) / 2, curves.index)
    return area.unstack(["test", "order"])


def _alike(heats, others):
    """The mean rank correlation of two maps of each picture."""
    found = []
    for pair in zip(heats, others, strict=True):
        ranks = [stats.rankdata(heat) for heat in pair]
        flat = min(np.ptp(rank) for rank in ranks) == 0
        found.append(0.0 if flat else np.corrcoef(*ranks)[0, 1])
    return float(np.mean(found))
