"""Policies against scipy, Keras and Pillow; mixes against closed forms."""

import copy
import math

import cv2
import keras
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage, stats
from sklearn.datasets import load_digits

from cnnkit import augment, data, plots
from cnnkit.augment import automatic, safety
from cnnkit.augment.automatic import operate
from cnnkit.augment.ready import POLICIES

DRAWS = 10_000
SCIPY = {"reflect": "reflect", "nearest": "nearest", 90: "grid-constant"}


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


def soft(side, channels=1):
    """A picture without borders or jumps in the middle of its grey levels."""
    picture = ndimage.gaussian_filter(noise(side, side, channels), (2, 2, 0)) / 255
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return np.rint(70 + 110 * picture).astype("uint8")


def by_scipy(image, linear, shift, border):
    """Fetches (row, column) of the new picture from linear @ it + shift, centred."""
    middle = (np.array(image.shape[:2]) - 1) / 2
    offset = middle + shift - linear @ middle
    planes = [
        ndimage.affine_transform(
            plane.astype(float), linear, offset, order=1, mode=SCIPY[border], cval=90
        )
        for plane in np.moveaxis(image, 2, 0)
    ]
    return np.stack(planes, axis=-1)


def turned(luck, h, w):
    a = np.deg2rad(luck.uniform(-40, 40))
    return [[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]], (0, 0)


def shifted(luck, h, w):
    x, y = luck.uniform(-0.3, 0.3, 2)
    return np.eye(2), (y * h, x * w)


def padded(luck, h, w):
    x, y = luck.integers(-4, 5, 2)
    return np.eye(2), (y, x)


def zoomed(luck, h, w):
    return np.eye(2) * luck.uniform(0.6, 1.4), (0, 0)


def slanted(luck, h, w):
    x, y = np.tan(np.deg2rad(luck.uniform(-20, 20, 2)))
    return np.array([[1, 0], [x, 1]]) @ [[1, y], [0, 1]], (0, 0)


def mirrored(luck, h, w):
    x, y = 1 - 2 * luck.integers(0, 2, 2)
    return np.diag([y, x]), (0, 0)


def cut_out(luck, h, w):
    area, ratio = luck.uniform(0.2, 1), np.exp(luck.uniform(-1, 1) * np.log(1.5))
    wide, tall = min(1, math.sqrt(area * ratio)), min(1, math.sqrt(area / ratio))
    x, y = luck.uniform(-0.5, 0.5, 2)
    return np.diag([tall, wide]), (y * (1 - tall) * h, x * (1 - wide) * w)


def named(parameter):
    """A test's name is the same in each process, so no address of a function in it."""
    return getattr(parameter, "__name__", None) or repr(parameter)


GEOMETRY = [
    (augment.rotation(40), turned),
    (augment.translation(0.3), shifted),
    (augment.crop(4), padded),
    (augment.zoom(0.4), zoomed),
    (augment.shear(20), slanted),
    (augment.flip("both"), mirrored),
    (augment.resized_crop(0.2, stretch=1.5), cut_out),
]


@pytest.mark.parametrize("policy, by_hand", GEOMETRY, ids=named)
@pytest.mark.parametrize("border", SCIPY)
def test_geometry_equals_scipy_to_one_grey_level(policy, by_hand, border):
    for channels, seed in ((1, 0), (3, 1), (3, 2)):
        images = noise(1, 37, 50, channels)
        policy = augment.compose(policy, border=border)
        ours = policy(images, np.random.default_rng(seed))[0]
        linear, shift = by_hand(np.random.default_rng(seed), 37, 50)
        theirs = by_scipy(images[0], np.array(linear, float), shift, border)
        assert np.abs(ours - theirs).max() <= 0.51


def test_composed_geometry_is_one_warp_in_the_order_of_its_steps(monkeypatch):
    calls = []
    real = cv2.warpAffine
    monkeypatch.setattr(
        cv2, "warpAffine", lambda *a, **k: calls.append(1) or real(*a, **k)
    )
    images = noise(6, 40, 30, 3)
    policies = [augment.rotation(40), augment.translation(0.3), augment.zoom(0.4)]
    ours = augment.compose(*policies)(images, np.random.default_rng(7))
    assert len(calls) == len(images)
    luck = np.random.default_rng(7)
    angles = np.deg2rad(luck.uniform(-40, 40, 6))
    shifts, scales = luck.uniform(-0.3, 0.3, (2, 6)), luck.uniform(0.6, 1.4, 6)
    for i, a in enumerate(angles):  # what was done last is undone first
        turn = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
        shift = turn @ (shifts[1, i] * 40, shifts[0, i] * 30)
        theirs = by_scipy(images[i], scales[i] * turn, shift, "reflect")
        assert np.abs(ours[i] - theirs).max() <= 0.51


def test_quarter_turns_are_exact_and_equally_often():
    image = noise(9, 9, 3)
    turned = augment.quarter_turns()(np.stack([image] * 4000), np.random.default_rng(0))
    kinds = [np.rot90(image, k).tobytes() for k in range(4)]
    counts = np.bincount([kinds.index(t.tobytes()) for t in turned], minlength=4)
    assert stats.chisquare(counts).pvalue > 1e-4
    with pytest.raises(ValueError, match="square.*9 x 8"):
        augment.quarter_turns()(noise(1, 9, 8, 3), np.random.default_rng(0))


KERAS = [
    (augment.flip(), lambda: keras.layers.RandomFlip("horizontal")),
    (augment.rotation(36), lambda: keras.layers.RandomRotation(0.1)),
    (augment.translation(0.2), lambda: keras.layers.RandomTranslation(0.2, 0.2)),
    (augment.zoom(0.3), lambda: keras.layers.RandomZoom(0.3)),
    (
        augment.colour_jitter(contrast=0.4),
        # Given one number, Keras 3.15 raises contrast only, whatever it documents.
        lambda: keras.layers.RandomContrast((0.4, 0.4), value_range=(0, 255)),
    ),
    (
        augment.colour_jitter(brightness=0.2),
        lambda: keras.layers.RandomBrightness(0.2, value_range=(0, 255)),
    ),
]


@pytest.mark.parametrize("policy, layer", KERAS, ids=named)
def test_mean_and_spread_of_many_draws_agree_with_keras(policy, layer):
    images = np.repeat(soft(14)[np.newaxis], DRAWS, axis=0)
    keras.utils.set_random_seed(1)
    ours = policy(images, np.random.default_rng(0)).astype(float)
    theirs = np.asarray(layer()(images.astype("float32"), training=True), float)
    # Where pixels vary, rounding them to whole grey levels leaves the mean alone.
    moving = theirs.std(axis=0) > 2
    assert moving.mean() > 0.4
    for power in (1, 2):  # the mean, and with it the spread
        a, b = ours[:, moving] ** power, theirs[:, moving] ** power
        error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / DRAWS)
        z = (a.mean(axis=0) - b.mean(axis=0)) / error
        assert np.abs(z).max() < 5  # of at most 196 pixels


def enhanced(kind, image, factor):
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    return np.asarray(kind(picture).enhance(factor)).reshape(image.shape).astype(int)


def test_colour_jitter_equals_pillow_where_pillow_has_it():
    image = soft(40, 3)
    for setting, kind in (
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ):
        ours = augment.colour_jitter(**{setting: 0.5})(
            image[np.newaxis], np.random.default_rng(3)
        )[0]
        row = ("brightness", "contrast", "saturation", "hue").index(setting)
        limits = np.zeros((4, 1))
        limits[row] = 0.5
        factor = 1 + np.random.default_rng(3).uniform(-limits, limits)[row, 0]
        # Pillow rounds its grey to a whole level and cuts off what follows the point.
        assert np.abs(ours - enhanced(kind, image, factor)).max() <= 2


def test_a_third_of_a_turn_of_the_hue_exchanges_the_channels():
    from cnnkit.augment.colour import hues

    red_to_green = hues(np.array([1 / 3]))[0, :3, :3]
    np.testing.assert_allclose(red_to_green, np.roll(np.eye(3), 1, axis=0), atol=1e-12)
    grey = np.repeat(soft(8), 3, axis=2)[np.newaxis]
    jitter = augment.colour_jitter(saturation=0.9, hue=0.5)
    np.testing.assert_allclose(jitter(grey, np.random.default_rng(0)), grey, atol=1)


def test_all_colour_is_one_pass_that_cuts_once(monkeypatch):
    calls = []
    real = cv2.transform
    monkeypatch.setattr(
        cv2, "transform", lambda *a, **k: calls.append(1) or real(*a, **k)
    )
    images, whole = noise(3, 8, 8, 3), augment.colour_jitter(0.5, 0.5, 0.5, 0.1)
    augment.compose(whole, whole)(images, np.random.default_rng(0))
    assert len(calls) == 3
    brighter = augment.colour_jitter(brightness=1.0)
    grey = brighter(np.full((500, 2, 2, 1), 128, "uint8"), np.random.default_rng(0))
    both = {int(v) for v in grey.ravel()}
    assert {0, 255} <= both and len(both) > 100


OPERATIONS = [
    ("autocontrast", 0, lambda p, v: ImageOps.autocontrast(p), 0),
    ("equalize", 0, lambda p, v: ImageOps.equalize(p), 0),
    ("solarize", 100, ImageOps.solarize, 0),
    ("solarize", 256, ImageOps.solarize, 0),
    ("posterize", 3.2, lambda p, v: ImageOps.posterize(p, 3), 0),
    ("posterize", 8, ImageOps.posterize, 0),
    # Pillow cuts off what follows the point, where we round; its blur is rounded too.
    ("color", 1.7, lambda p, v: ImageEnhance.Color(p).enhance(v), 2),
    ("contrast", 0.4, lambda p, v: ImageEnhance.Contrast(p).enhance(v), 1),
    ("brightness", 1.6, lambda p, v: ImageEnhance.Brightness(p).enhance(v), 1),
    ("sharpness", 1.9, lambda p, v: ImageEnhance.Sharpness(p).enhance(v), 2),
    ("sharpness", 0.1, lambda p, v: ImageEnhance.Sharpness(p).enhance(v), 1),
]


@pytest.mark.parametrize("name, value, theirs, levels", OPERATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_operations_of_colour_equal_pillow(name, value, theirs, levels, channels):
    for image in (noise(30, 40, channels), soft(33, channels)):
        picture = Image.fromarray(image[..., 0] if channels == 1 else image)
        expected = np.asarray(theirs(picture, value)).reshape(image.shape)
        ours = operate(image, name, value)
        assert np.abs(ours.astype(int) - expected).max() <= levels
    flat = np.full((8, 8, channels), 77, "uint8")  # one grey level only
    picture = Image.fromarray(flat[..., 0] if channels == 1 else flat)
    expected = np.asarray(theirs(picture, value)).reshape(flat.shape)
    assert np.abs(operate(flat, name, value).astype(int) - expected).max() <= levels


@pytest.mark.parametrize(
    "name, value, matrix",
    [
        ("shear_x", 0.31, (1, 0.31, 0, 0, 1, 0)),
        ("shear_y", -0.7, (1, 0, 0, -0.7, 1, 0)),
        ("translate_x", 7, (1, 0, 7, 0, 1, 0)),
        ("translate_y", -5.5, (1, 0, 0, 0, 1, -5.5)),
        ("rotate", 25, None),
    ],
)
def test_operations_of_geometry_equal_pillow(name, value, matrix):
    image = soft(60, 3)
    picture, edge = Image.fromarray(image), Image.fromarray(np.full_like(image, 255))
    how = {"resample": Image.Resampling.BILINEAR, "fillcolor": (0, 0, 0)}
    if matrix is None:
        expected, seen = (np.asarray(p.rotate(value, **how)) for p in (picture, edge))
    else:
        expected, seen = (
            np.asarray(p.transform(p.size, Image.Transform.AFFINE, matrix, **how))
            for p in (picture, edge)
        )
    # Pillow does not mix picture and border: compare where it sees picture alone.
    inside = ndimage.binary_erosion(seen[..., 0] == 255, iterations=2)
    ours = operate(image, name, value, border=0)
    assert inside.mean() > 0.3
    assert np.abs(ours.astype(int) - expected)[inside].max() <= 1


def test_operations_and_levels_are_drawn_for_each_picture(monkeypatch):
    done = []

    def watched(image, name, value, *, border):
        done.append((name, value))
        return image

    monkeypatch.setattr(automatic, "operate", watched)
    augment.trivial_augment()(noise(6000, 4, 4, 1), np.random.default_rng(0))
    counts = [sum(n == name for n, _ in done) for name in automatic.TRIVIAL]
    assert stats.chisquare(counts).pvalue > 1e-4 and sum(counts) == 6000
    angles = np.array([value for name, value in done if name == "rotate"])
    levels = np.bincount(np.rint(np.abs(angles) / 4.5).astype(int), minlength=31)
    assert np.abs(angles).max() == 135 and stats.chisquare(levels).pvalue > 1e-4
    factors = [value for name, value in done if name == "contrast"]
    assert (min(factors), max(factors)) == pytest.approx((0.01, 2))

    done.clear()
    augment.rand_augment(3, 10)(noise(2000, 4, 331, 1), np.random.default_rng(0))
    values = {}
    for name, value in done:
        values.setdefault(name, set()).add(round(value, 6))
    assert len(done) == 6000 and set(values) == set(automatic.RANDOM)
    assert values["rotate"] == {-30, 30} and values["translate_x"] == {-150, 150}
    assert values["posterize"] == {4} and values["color"] == {0.1, 1.9}
    assert len({name for name, _ in done[:2000]}) == 14  # not one for the whole batch


def test_erasing_covers_the_share_that_its_settings_say():
    images = np.full((DRAWS, 60, 60, 1), 300 - 256, "uint8")
    erased = augment.erasing(0.5, largest=0.3)(images, np.random.default_rng(0))
    box = ndimage.binary_closing  # noise may equal the ground: close such holes
    covered = (erased != images)[..., 0].mean(axis=(1, 2)) * 256 / 255
    assert (covered > 0).mean() == pytest.approx(0.5, abs=0.02)
    assert covered[covered > 0].mean() == pytest.approx(0.16, abs=0.005)
    filled = box((erased != images)[np.argmax(covered), ..., 0], np.ones((3, 3)))
    rows, columns = np.nonzero(filled)
    area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert filled.sum() == pytest.approx(area, rel=0.02)  # it is a box


def test_mixup_takes_shares_from_the_beta_distribution():
    n, k = 4000, 4000
    images = noise(n, 2, 3, 3)
    labels = np.eye(k, dtype="float32")
    mixed, shares = augment.mixup(0.4)(images, labels, np.random.default_rng(0))
    assert mixed.dtype == "uint8" and shares.dtype == "float32"
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    expected = np.tensordot(shares, images.astype("float32"), 1)
    assert np.abs(mixed - expected).max() <= 0.51  # rounded to whole grey levels
    own = np.diag(shares)[(shares > 0).sum(axis=1) == 2]
    assert stats.kstest(own, stats.beta(0.4, 0.4).cdf).pvalue > 1e-3


def test_cutmix_counts_the_pixels_of_each_picture():
    n, side = 4000, 32
    images = np.repeat(np.arange(n) % 251, side * side).astype("uint8")
    images, labels = images.reshape(n, side, side, 1), np.eye(n, dtype="float32")
    mixed, shares = augment.cutmix()(images, labels, np.random.default_rng(0))
    other = shares - np.diag(np.diag(shares))
    for i in range(200):
        np.testing.assert_allclose((mixed[i] == images[i]).mean(), shares[i, i])
        inside = mixed[i, ..., 0] == images[other[i].argmax(), 0, 0, 0]
        assert other[i].max() == pytest.approx(inside.mean())
    # A side of r of the picture's, with its middle anywhere, keeps r (1 - r / 4) inside
    # it on average. With r squared from 0 to 1, all alike, the box then covers
    # 1/2 - 1/5 + 1/48 of the picture.
    boxes = 1 - np.diag(shares)
    error = boxes.std() / math.sqrt(n)
    assert boxes.mean() == pytest.approx(1 / 2 - 1 / 5 + 1 / 48, abs=4 * float(error))


EVERY = [
    *(augment.policy(name, strength=s) for name in POLICIES for s in (0.5, 1)),
    augment.compose(
        augment.trivial_augment(), augment.crop(4), augment.erasing(0.5), border=7
    ),
    augment.rand_augment(2, 7),
    augment.resized_crop(),
    augment.compose(),
]


@pytest.mark.parametrize("policy", EVERY, ids=lambda p: repr(p)[:40])
def test_a_policy_is_equal_to_its_copy_and_to_what_its_repr_makes(policy):
    again = eval(repr(policy), vars(augment))  # noqa: S307
    twin = copy.deepcopy(policy)
    assert policy == again == twin and hash(policy) == hash(again)
    assert policy != augment.rotation(1)
    for channels in (1, 3):
        images = noise(8, 24, 24, channels)
        before = images.copy()
        results = [p(images, np.random.default_rng(5)) for p in (policy, again, twin)]
        np.testing.assert_array_equal(images, before)
        np.testing.assert_equal(results[1:], results[:1] * 2)
        assert results[0].dtype == "uint8" and results[0].shape == images.shape


@pytest.mark.parametrize("name", POLICIES)
def test_strength_zero_changes_nothing_and_more_changes_more(name):
    images = np.stack([soft(32, 3)] * 300)
    changes = [
        np.abs(
            augment.policy(name, strength=s)(images, np.random.default_rng(0)) - 1.0
            - images + 1
        ).mean()
        for s in (0, 0.3, 1)
    ]  # fmt: skip
    assert changes[0] == 0 < changes[1] < changes[2]


def test_signs_and_digits_are_never_mirrored():
    assert "flip" not in repr([augment.policy(n) for n in ("signs", "digits")])
    picture = np.zeros((1, 32, 32, 1), "uint8")
    picture[0, 4:28, 8:12] = picture[0, 24:28, 8:24] = 255  # an L
    for name in ("signs", "digits"):
        policy = augment.policy(name, strength=0.5)
        many = policy(np.repeat(picture, 200, axis=0), np.random.default_rng(0))
        left = many[..., :16, 0].sum(axis=(1, 2), dtype=int)
        assert (left > many[..., 16:, 0].sum(axis=(1, 2), dtype=int)).mean() > 0.9


GENERATOR = np.random.default_rng(0)
IMAGES = np.zeros((2, 16, 16, 3), "uint8")
SAFE = ({"flip": augment.flip()}, IMAGES, np.array([0, 1]))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: augment.policy("cats"), r"digits.*photos.*scans.*signs.*'cats'"),
        (lambda: augment.policy(["photos"]), "Received: name="),
        (lambda: augment.policy("photos", strength=1.1), "0 to 1. Received: 1.1"),
        (lambda: augment.policy("photos", strength=None), "Received: None"),
        (lambda: augment.rotation(float("nan")), "0 to 180. Received: nan"),
        (lambda: augment.flip("left"), "horizontal.*'left'"),
        (lambda: augment.rand_augment(2, 11), "0 to 10"),
        (lambda: augment.compose(augment.flip), "Only policies.*function flip"),
        (lambda: augment.compose(border="mirror"), "border='mirror'"),
        (lambda: augment.compose(border=300), "border=300"),
        (lambda: augment.flip()(IMAGES / 255, GENERATOR), "uint8.*float64"),
        (lambda: augment.flip()([1], GENERATOR), "list"),
        (lambda: augment.flip()(IMAGES[0], GENERATOR), r"\(16, 16, 3\)"),
        (lambda: augment.flip()(IMAGES[..., :2], GENERATOR), r"\(2, 16, 16, 2\)"),
        (
            lambda: augment.compose(augment.zoom(0.1), border=(1, 2, 3))(
                IMAGES[..., :1], GENERATOR
            ),
            "three numbers is for RGB",
        ),
        (lambda: augment.mixup(0), "alpha=0"),
        (lambda: augment.cutmix()(IMAGES, np.array([0, 1]), GENERATOR), r"\(2,\)"),
        (lambda: augment.label_safety({}, *SAFE[1:], len), "0 policies"),
        (lambda: augment.label_safety(*SAFE[:2], np.eye(2), len), r"\(2, 2\)"),
        (lambda: plots.augmented(IMAGES, augment.flip()), r"\(2, 16, 16, 3\)"),
        (lambda: plots.augmented(IMAGES[0], augment.flip(), draws=0), "draws=0"),
    ],
)
def test_errors_say_what_is_needed_and_what_arrived(call, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call()


def half_turn(images, generator):
    return images[:, ::-1, ::-1]


def test_a_half_turn_of_digits_is_flagged_for_6_and_9_and_a_shift_is_not():
    digits, labels = load_digits(return_X_y=True)
    images = np.rint(digits * 255 / 16).astype("uint8").reshape(-1, 8, 8, 1)
    judge = augment.nearest_neighbour(images[::2], labels[::2])
    policies = {
        "half turn": half_turn,
        "shift": augment.compose(augment.translation(0.04), border="nearest"),
        "none": augment.compose(),
    }
    table = augment.label_safety(policies, images[1::2], labels[1::2], judge)
    assert table.loc[("half turn", 6), ["becomes", "verdict"]].tolist() == [
        9,
        "taken for another",
    ]
    assert table.loc[("half turn", 9), "becomes"] == 6
    assert table.loc[("half turn", 9), "low"] > 0.4
    assert table.loc[("half turn", 0), "verdict"] == "keeps the class"
    assert "taken for another" not in set(table.loc["shift", "verdict"])
    assert (table.loc["shift", "verdict"] == "keeps the class").sum() >= 8
    # Nothing is said of pictures that stay as they are.
    assert table.loc["none", "pictures"].sum() == 0
    assert set(table.loc["none", "verdict"]) == {"unclear"}
    # A half turn is the same in each draw: the interval is that of counts.
    row = table.loc[("half turn", 6)]
    hits = round(row["share"] * row["pictures"])
    exact = stats.binomtest(hits, row["pictures"]).proportion_ci(method="wilson")
    assert (row["low"], row["high"]) == pytest.approx((exact.low, exact.high))


def test_mirroring_signs_is_flagged_for_the_arrows():
    def cut_out(n, seed):
        drawn = data.signs.draw(n, seed=seed)
        boxes = drawn.boxes.astype(int)
        parts = [
            cv2.resize(image[t : b + 1, le : r + 1], (24, 24))
            for image, (le, t, r, b) in zip(drawn.images, boxes, strict=True)
        ]
        return np.stack(parts), drawn.labels

    judge = augment.nearest_neighbour(*cut_out(720, 0))
    table = augment.label_safety(
        [augment.flip(), augment.translation(0.04)], *cut_out(360, 1), judge,
        class_names=data.signs.CLASS_NAMES,
    )  # fmt: skip
    mirrored = table.loc["flip('horizontal')"]
    assert mirrored.loc["turn left", "becomes"] == "turn right"
    assert mirrored.loc["turn right", "becomes"] == "turn left"
    assert mirrored.loc[["turn left", "turn right"], "low"].min() > 0.7
    even = ["give way", "no entry", "priority road", "crossing"]  # are their own mirror
    assert "taken for another" not in set(mirrored.loc[even, "verdict"])
    shift = table.loc["translation(0.04)"].loc[["turn left", "turn right"], "verdict"]
    assert "taken for another" not in set(shift)


def test_probabilities_and_labels_of_a_judge_count_alike():
    images, labels = noise(60, 8, 8, 1), np.arange(60) % 3
    judge = augment.nearest_neighbour(images, labels)
    one_hot = augment.label_safety(
        [half_turn], images, labels, lambda x: np.eye(3)[judge(x)]
    )
    assert one_hot.equals(augment.label_safety([half_turn], images, labels, judge))
    assert safety.COLUMNS == list(one_hot.columns)


def test_the_figure_shows_the_picture_its_draws_and_the_cost(tmp_path):
    image = soft(32, 3)
    figure = plots.augmented(image, augment.policy("photos"), draws=11)
    shown = [axes.images[0].get_array() for axes in figure.axes]
    np.testing.assert_array_equal(shown[0], image)
    expected = augment.policy("photos")(
        np.stack([image] * 11), np.random.default_rng(0)
    )
    np.testing.assert_array_equal(shown[1:], expected)
    title = figure.texts[0].get_text()
    assert title.startswith("compose(flip('horizontal'), rotation(10)")
    assert 0 < float(title.split("\n")[-1].split(" ms")[0]) < 50
    figure.savefig(tmp_path / "figure.png")
    boxes = [axes.get_position() for axes in figure.axes]
    top = figure.texts[0].get_window_extent().ymin / figure.bbox.height
    assert top > max(box.y1 for box in boxes)  # the title covers no picture
    named = plots.augmented(image[..., :1], half_turn, draws=1)
    assert named.texts[0].get_text().startswith("half_turn\n")
