import itertools
import json
import shutil
from functools import partial

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from references import without_random_start
from scipy import stats
from sklearn.datasets import load_digits

from cnnkit import data, plots, saving, training, tuning
from cnnkit.tuning import oracles, records, results, spaces
from cnnkit.tuning.reuse import Models

CNN = {
    "stages", "convolutions", "width", "kernel", "normalisation", "pooling", "l2",
    "head", "dropout",
}  # fmt: skip
FAMILY = {"family"} | {
    f"{name}_size"
    for name in ("small_cnn", "resnet", "densenet", "mobilenet", "googlenet", "vit")
}
TRANSFER = {"backbone", "head", "dropout", "unfreeze"}
RECIPE = {
    "optimizer", "adamw_rate", "adamw_decay", "sgd_rate", "sgd_decay", "schedule",
    "batch_size", "label_smoothing",
}  # fmt: skip
AUGMENTATION = {"policy", "strength", "mix", "mixup_alpha", "cutmix_alpha"}
SHAPE = {"num_classes": 10, "input_shape": (32, 32, 1)}


def photos_of(n, side):
    scans = load_digits()
    block = np.ones((side // 8, side // 8))
    images = np.kron(scans.images[:n] * 15.9, block)[..., None]
    names = [str(digit) for digit in range(10)]
    return data.from_arrays(
        images.astype("uint8"), scans.target[:n], class_names=names, together="same"
    )


@pytest.fixture(scope="module")
def digits():
    return photos_of(300, 8)


@pytest.fixture(scope="module")
def large():
    return photos_of(100, 32)


def dense(hp):
    """The user's own space, as in KerasTuner's documentation: a compiled model.

    Of one shape, so that a search traces it once.
    """
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        layers.Rescaling(1 / 255),
        layers.Flatten(),
        layers.Dropout(hp.Float("dropout", 0.1, 0.5, step=0.2)),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(
        keras.optimizers.Adam(hp.Choice("rate", [1e-3, 1e-2, 1e-1])),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


OPTIONS = {"epochs": 2, "verbose": 0}


def names_of(space):
    hp = keras_tuner.HyperParameters()
    space(hp)
    return {one.name: one for one in hp.space}


def test_each_space_asks_for_exactly_what_its_docstring_says(mobilenet_in_cache):
    assert set(names_of(partial(tuning.cnn_space, **SHAPE))) == CNN
    assert set(names_of(partial(tuning.family_space, **SHAPE))) == FAMILY
    space = partial(
        tuning.transfer_space, num_classes=3, image_shape=(32, 32, 3),
        backbones=["small_cnn"],
    )  # fmt: skip
    assert set(names_of(space)) == TRANSFER
    assert set(names_of(tuning.recipe_space)) == RECIPE
    assert set(names_of(partial(tuning.recipe_space, epochs=(5, 10)))) == RECIPE | {
        "epochs"
    }
    assert set(names_of(tuning.augmentation_space)) == AUGMENTATION
    for space, text in (
        (CNN, tuning.cnn_space), (TRANSFER, tuning.transfer_space),
        (AUGMENTATION, tuning.augmentation_space),
    ):  # fmt: skip
        assert all(name in text.__doc__ for name in space)


def ends(hyperparameter):
    if hasattr(hyperparameter, "max_value"):
        return hyperparameter.min_value, hyperparameter.max_value
    return hyperparameter.values


def each_end(space):
    """Hyperparameters with one at an end of its range, the others as by default."""
    for name, one in names_of(space).items():
        for value in ends(one):
            hp = keras_tuner.HyperParameters()
            hp.Fixed(name, value)
            hp.values[name] = value
            yield name, value, hp


def share_that_learns(model, images, labels):
    """How many of the weights a step would move."""
    with tf.GradientTape() as tape:
        says = model(images, training=True)
        wrong = keras.losses.sparse_categorical_crossentropy(labels, says)
        loss = tf.reduce_mean(wrong) + sum(model.losses)
    assert np.isfinite(loss)
    gradients = tape.gradient(loss, [v.value for v in model.trainable_weights])
    return np.mean([g is not None and np.any(g) for g in gradients])


def test_both_ends_of_every_range_build_and_take_a_step(large):
    images, labels = data.to_arrays(large, "valid")
    images, labels = images[:4].astype("float32"), labels[:4]
    tried = 0
    for name, value, hp in each_end(partial(tuning.cnn_space, **SHAPE)):
        model = tuning.cnn_space(hp, **SHAPE)
        assert model.output_shape == (None, 10), (name, value)
        assert share_that_learns(model, images, labels) > 0.5, (name, value)
        tried += 1
    assert tried == 2 + 2 + 5 + 2 + 3 + 3 + 2 + 3 + 2  # in the order of the docstring
    for name, value, hp in each_end(tuning.recipe_space):
        settings = tuning.recipe_space(hp)
        usual, decay = {"adamw": (3e-3, 0.02), "sgd": (0.1, 5e-4)}[
            settings["optimizer"]
        ]
        assert 0.099 < settings["learning_rate"] / usual < 10.1, (name, value)
        assert 0.099 < settings["weight_decay"] / decay < 10.1, (name, value)
    for name, value, hp in each_end(tuning.augmentation_space):
        settings = tuning.augmentation_space(hp)
        assert (settings["augment"] is None) == (hp.get("policy") == "none")
        assert (settings["mix"] is None) == (hp.get("mix") == "none"), (name, value)


def test_each_size_of_each_family_is_another_network():
    tried = set()
    for family, sizes in spaces.SIZES.items():
        for size in sizes:
            hp = keras_tuner.HyperParameters()
            hp.values |= {"family": family, f"{family}_size": size}
            with without_random_start():
                model = tuning.family_space(hp, **SHAPE)
            assert model.output_shape == (None, 10)
            tried.add((model.name, model.count_params()))
    assert len(tried) == sum(map(len, spaces.SIZES.values()))  # no two are the same


def test_both_ends_of_the_transfer_space_take_a_step(mobilenet_in_cache):
    shape = {"num_classes": 3, "image_shape": (96, 96, 3), "backbones": ["mobilenet"]}
    images = np.random.default_rng(0).uniform(0, 255, (3, 96, 96, 3)).astype("float32")
    learn = {}
    for name, value, hp in each_end(partial(tuning.transfer_space, **shape)):
        model = tuning.transfer_space(hp, **shape)
        assert share_that_learns(model, images, np.arange(3)) > 0, (name, value)
        if name == "unfreeze":
            learn[value] = len(model.trainable_weights)
    assert sorted(learn, key=learn.get) == [0.0, 0.25, 0.5, 1.0]


@pytest.mark.slow("a network of our space, and its file")
def test_the_best_of_our_spaces_is_saved_and_loaded(large, tmp_path):
    space = tuning.together(
        partial(tuning.cnn_space, **SHAPE),
        partial(tuning.recipe_space, optimizers=["adamw"]),
        partial(tuning.augmentation_space, policies=["digits"]),
        lambda hp: {"precision": "float32"},  # a score in 16 bits may be a picture off
    )
    tuner = tuning.search(
        space, large, folder=tmp_path, method="bayesian", max_trials=2, epochs=1,
        verbose=0,
    )  # fmt: skip
    assert list(tuning.trials(tuner)["status"]) == ["COMPLETED"] * 2
    model, rows = tuner.get_best_models(1)[0], large.rows("valid")
    images = large.pixels[rows].astype("float32")
    said = model.predict(images, verbose=0)
    right = said.argmax(axis=1) == large.manifest["label"].to_numpy()[rows]
    assert right.mean() == pytest.approx(tuning.trials(tuner)["score"].iloc[0])
    saving.save(model, tmp_path / "best.keras", large.class_names)
    loaded, _ = saving.load(tmp_path / "best.keras")
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), said)


def test_inactive_parts_are_not_tried():
    hp = keras_tuner.HyperParameters()
    tuning.recipe_space(hp)
    tuning.augmentation_space(hp)
    hp.values["optimizer"] = "sgd"
    active = {one.name for one in hp.space if hp.is_active(one)}
    assert {"sgd_rate", "sgd_decay"} <= active
    assert not {"adamw_rate", "strength", "mixup_alpha", "cutmix_alpha"} & active


def test_a_family_over_the_limit_is_left_out():
    hp = keras_tuner.HyperParameters()
    with without_random_start():
        model = tuning.family_space(hp, **SHAPE, max_parameters=100_000)
    left = {one.name: one.values for one in hp.space}
    assert model.count_params() <= 100_000
    assert left["small_cnn_size"] == ["16"]  # 24 48 96: 137 thousand parameters
    with pytest.raises(ValueError, match="No family has a size within the limits"):
        tuning.family_space(hp, **SHAPE, max_multiply_adds=1000)


def small(rate=0.3, l2=1e-3, units=16):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 1))
    x = layers.Rescaling(1 / 255)(inputs)
    strength = keras.regularizers.L2(l2)
    x = layers.Conv2D(units, 3, activation="relu", kernel_regularizer=strength)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(rate)(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="top")(x))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_model_that_is_used_again_ends_with_the_same_bits(digits, optimizer):
    kept, used = Models(), []
    for rate, l2, learning_rate, decay in [
        (0.3, 1e-3, 1e-3, 0.02), (0.5, 1e-2, 3e-3, 0.1),
    ]:  # fmt: skip
        options = {
            "epochs": 2, "learning_rate": learning_rate, "weight_decay": decay,
            "optimizer": optimizer,
        }  # fmt: skip
        again = kept.like(small(rate, l2))
        shared = training.fit(again, digits, verbose=0, **options)
        used.append(again)
    assert used[0] is used[1]
    plain = small(rate, l2)
    alone = training.fit(plain, digits, verbose=0, **options)
    assert alone.history == shared.history
    for a, b in zip(plain.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert kept.like(small(units=8)) is not used[0]
    assert kept.like(small(rate=0.0)) is not used[0]


@pytest.mark.parametrize("kind", ["SGD", "Nadam"])  # AdamW and Muon: see above
def test_a_compiled_model_that_is_used_again_ends_with_the_same_bits(digits, kind):
    def built(rate, decay):
        model = small()
        optimizer = getattr(keras.optimizers, kind)(rate, weight_decay=decay)
        loss = "sparse_categorical_crossentropy"
        model.compile(optimizer, loss, metrics=["accuracy"])
        return model

    kept = Models()
    first = kept.like(built(0.01, 0.1))
    first.fit(digits.batches("train"), epochs=1, verbose=0)
    plain, again = built(0.003, 0.3), kept.like(built(0.003, 0.3))
    assert again is first
    for model in (plain, again):
        model.fit(digits.batches("train"), epochs=1, verbose=0)
    for a, b in zip(plain.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def values_of(tuner):
    trials = tuner.oracle.trials
    return {
        number: {
            k: v
            for k, v in trials[number].hyperparameters.values.items()
            if not k.startswith("tuner/")
        }
        for number in sorted(trials)
    }


def test_trials_are_the_defaults_and_then_those_of_kerastuner(digits, tmp_path):
    tuner = tuning.search(
        dense, digits, folder=tmp_path, method="random", max_trials=4, **OPTIONS
    )
    theirs = keras_tuner.RandomSearch(
        dense, "val_accuracy", max_trials=4, seed=1, directory=tmp_path
    ).oracle
    drawn = [theirs.create_trial(f"t{i}").hyperparameters.values for i in range(4)]
    defaults = theirs.get_space().values
    tried = [defaults, *(values for values in drawn if values != defaults)]
    assert list(values_of(tuner).values()) == tried[:4]
    assert isinstance(tuner, keras_tuner.Tuner)
    assert tuner.get_best_hyperparameters()[0].values in tried


@pytest.mark.parametrize("method", oracles.METHODS)
def test_every_method_tries_the_defaults_first(method):
    hp = keras_tuner.HyperParameters()
    tuning.augmentation_space(hp, policies=("photos",))
    oracle = oracles.make(method, "val_accuracy", 4, 0)
    oracle.update_space(hp)
    values = oracle.create_trial("one").hyperparameters.values
    active = {k: v for k, v in values.items() if not k.startswith("tuner/")}
    assert active == {"policy": "none", "mix": "none"}  # and nothing that is inactive


def test_the_kept_epoch_is_that_of_kerastuner_or_of_training_fit(digits, tmp_path):
    def uncompiled(hp):
        return keras.Sequential([keras.Input((8, 8, 1)), *dense(hp).layers])

    options = {"method": "grid", "max_trials": 2, "epochs": 6, "verbose": 0}
    steps = []
    for name, space in (("theirs", dense), ("ours", uncompiled)):
        tuner = tuning.search(space, digits, folder=tmp_path / name, **options)
        again = tuning.search(space, digits, folder=tmp_path / name, **options)
        for trial in tuner.oracle.trials.values():
            accuracy, loss = (
                [o.value[0] for o in trial.metrics.get_history(metric)]
                for metric in ("val_accuracy", "val_loss")
            )
            steps.append(trial.best_step)
            if name == "theirs":
                assert trial.score == max(accuracy)
                assert trial.best_step == np.argmax(accuracy)
            else:
                assert trial.score == accuracy[np.argmin(loss)]
            assert again.oracle.trials[trial.trial_id].score == trial.score
        [best] = tuner.oracle.get_best_trials(1)
        model, rows = tuner.get_best_models(1)[0], digits.rows("valid")
        said = model.predict(digits.pixels[rows].astype("float32"), verbose=0)
        right = said.argmax(axis=1) == digits.manifest["label"].to_numpy()[rows]
        assert right.mean() == pytest.approx(best.score)
    assert min(steps) < 5  # not all are the last


def test_grid_search_tries_the_product_once_and_goes_on(digits, tmp_path):
    options = {"folder": tmp_path, "method": "grid", **OPTIONS}
    tuning.search(dense, digits, max_trials=3, **options)
    tuner = tuning.search(dense, digits, **options)  # KerasTuner: KeyError, issue 1055
    tried = sorted((v["dropout"], v["rate"]) for v in values_of(tuner).values())
    grid = itertools.product([0.1, 0.3, 0.5], [1e-3, 1e-2, 1e-1])
    np.testing.assert_allclose(tried, sorted(grid))


def test_bayesian_search_draws_five_trials_at_random_and_then_thinks():
    def tried(method):
        oracle = oracles.make(method, "val_accuracy", 2, 0)
        hp = keras_tuner.HyperParameters()
        hp.Float("rate", 0, 1)
        oracle.update_space(hp)
        for _ in range(6):
            trial = oracle.create_trial("one")
            hill = 1 - (trial.hyperparameters.get("rate") - 0.7) ** 2
            oracle.update_trial(trial.trial_id, {"val_accuracy": hill}, step=0)
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
        return [t.hyperparameters.get("rate") for t in oracle.trials.values()]

    random, bayesian = tried("random"), tried("bayesian")
    assert bayesian[:5] == random[:5] and bayesian[5] != random[5]


@pytest.fixture(scope="module")
def hyperband(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hyperband")
    return tuning.search(
        dense, digits, folder=folder, max_trials=8, epochs=3, verbose=0
    )


@pytest.mark.slow("two searches, and a third")
@pytest.mark.parametrize("method", ["bayesian", "hyperband"])  # what they know counts
def test_a_search_in_two_goes_is_that_in_one(digits, tmp_path, request, method):
    if method == "hyperband":
        options, before, after = {"epochs": 3, "verbose": 0}, 6, 8
        whole = request.getfixturevalue("hyperband")
    else:
        options, before, after = OPTIONS | {"method": method}, 4, 6
        whole = tuning.search(
            dense, digits, folder=tmp_path / "whole", max_trials=after, **options
        )
    options["folder"] = tmp_path / "two"
    one = tuning.search(dense, digits, max_trials=before, **options)
    two = tuning.search(dense, digits, max_trials=after, **options)
    a, b = (
        tuning.trials(tuner).drop(columns=["seconds", "at"]) for tuner in (whole, two)
    )
    assert len(a) == after and a.equals(b)
    times = one.oracle.ended_at  # what was finished is not trained again
    assert {number: two.oracle.ended_at[number] for number in times} == times
    model = two.get_best_models()[0]
    images, labels = data.to_arrays(digits, "valid")
    said = model.predict(images.astype("float32"), verbose=0).argmax(axis=1)
    assert np.mean(said == labels) == pytest.approx(a["score"].iloc[0], abs=1e-6)


def test_hyperband_goes_on_with_the_best(hyperband):
    table = tuning.trials(hyperband)
    curves = tuning.curves(hyperband, best=1)
    assert [name[:5] for name in curves] == ["best:", "worst"]
    score = next(iter(curves.values()))["val_accuracy"]
    assert table["score"].iloc[0] in [pytest.approx(value) for value in score]
    plots.runs_side_by_side(curves).draw_without_rendering()
    first = table[(table["epochs"] == 1) & (table["continues"] == "")]
    later = table[table["continues"] != ""]
    assert len(later) >= 1 and (later["epochs"] == 3).all()
    for number, before in later["continues"].items():
        so_far = first[first.index < number]["score"]
        assert so_far[before] == so_far.max()
    for number, row in later.iterrows():
        history = hyperband.oracle.trials[number].metrics.get_history("loss")
        assert [point.step for point in history] == [1, 2], (number, row)


def test_a_search_keeps_its_minutes(digits, tmp_path, clock):
    def space(hp):
        hp.Float("endless", 0, 1)
        return dense(hp)

    options = {"folder": tmp_path, "method": "random", "minutes": 0.05, "epochs": 3}
    tuner = tuning.search(space, digits, verbose=0, **options)
    # It ends up to half a trial early, and 10 % late.
    times, shortest = tuner.oracle.ended_at, min(tuner.oracle.seconds.values())
    assert 3 - shortest < max(times.values()) < 3 * 1.1
    again = tuning.search(space, digits, verbose=0, **options)  # the time is used
    assert again.oracle.ended_at == times


def test_a_head_learns_on_features_that_are_computed_once(tmp_path, capsys):
    photos = photos_of(200, 32)
    built = keras.applications.MobileNet  # a backbone with weights, here random ones
    base = built(include_top=False, weights=None, alpha=0.25, input_shape=(32, 32, 3))
    base.trainable = False
    x = inputs = keras.Input((32, 32, 1))
    x = base(layers.Concatenate()([x, x, x]), training=False)
    features = keras.Model(inputs, x)
    features.trainable = False

    def space(hp):
        from cnnkit import transfer

        return transfer.classifier(
            features, 10, head=hp.Choice("head", ["average", "hidden"]), dropout=0.2
        )

    tuner = tuning.search(
        space, photos, folder=tmp_path, method="grid", epochs=3, verbose=0
    )
    assert len(list((tmp_path / "features").iterdir())) == 1
    assert len(tuning.trials(tuner)) == 2
    sizes = [path.stat().st_size for path in tmp_path.glob("trial_*.npz")]
    assert max(sizes) < 2e6  # of 220 thousand weights of the backbone none is written


def test_the_conclusion_trains_anew_and_tests_once(digits, tmp_path):
    tuner = tuning.search(
        dense, digits, folder=tmp_path, method="random", max_trials=3, **OPTIONS
    )
    model, table = tuning.conclude(tuner, digits, finalists=2, seeds=(0, 1), verbose=0)
    assert len(table) == 2 and table["behind"].iloc[0] == 0
    assert (table["behind"] >= 0).all() and (table["low"] <= table["behind"]).all()
    images, labels = data.to_arrays(digits, "test")
    said = model.predict(images.astype("float32"), verbose=0).argmax(axis=1)
    assert table["test"].iloc[0] == pytest.approx(np.mean(said == labels))
    assert table["test"].iloc[1:].isna().all()
    assert (
        table["test_low"].iloc[0] < table["test"].iloc[0] < table["test_high"].iloc[0]
    )


def test_another_space_or_other_pictures_are_refused_with_the_difference(
    digits, tmp_path
):
    options = {"folder": tmp_path, "method": "random", "max_trials": 1, **OPTIONS}
    tuning.search(dense, digits, **options)

    def other(hp):
        hp.Boolean("newcomer")
        return dense(hp)

    with pytest.raises(ValueError, match="newcomer"):
        tuning.search(other, digits, **options)
    with pytest.raises(ValueError, match="are missing"):
        tuning.search(dense, photos_of(250, 8), **options)
    with pytest.raises(ValueError, match="epochs was 2 and is 3"):
        tuning.search(dense, digits, **options | {"epochs": 3})
    shutil.rmtree(tmp_path)
    tuning.search(other, digits, **options)


def test_two_searches_in_one_folder_are_kept_apart(digits, tmp_path):
    from cnnkit.training import checkpoint

    with (
        checkpoint.Run(tmp_path, {}, 0),
        pytest.raises(RuntimeError, match="is going on in this folder"),
    ):
        tuning.search(dense, digits, folder=tmp_path, max_trials=1, verbose=0)


def test_a_damaged_trial_is_run_again_and_the_others_are_kept(digits, tmp_path, capsys):
    options = {"method": "random", "max_trials": 4, **OPTIONS}
    tuner = tuning.search(dense, digits, folder=tmp_path / "whole", **options)
    before = tuning.trials(tuner)
    text = (tmp_path / "whole" / "trial_0001.json").read_bytes()
    for end in (0, len(text) - 2):  # `make gauntlet` cuts at twenty places
        folder = tmp_path / f"cut at {end}"
        shutil.copytree(tmp_path / "whole", folder)
        (folder / "trial_0001.json").write_bytes(text[:end])
        again = tuning.search(dense, digits, folder=folder, **options)
        after = tuning.trials(again)
        assert after["score"].sort_index().equals(before["score"].sort_index())
        assert "trial_0001.damaged" in capsys.readouterr().out
        kept = json.loads((folder / "trial_0002.json").read_text().splitlines()[0])
        assert kept["state"]["status"] == "COMPLETED"


def test_a_trial_that_fails_has_a_reason_and_no_rank(digits, tmp_path):
    def space(hp):
        model = dense(keras_tuner.HyperParameters())
        number = hp.Int("number", 0, 3)
        if number == 1:
            model.optimizer.learning_rate = 1e38
        if number == 2:
            raise MemoryError("12 GiB are missing")
        return model

    tuner = tuning.search(space, digits, folder=tmp_path, method="grid", **OPTIONS)
    table = tuning.trials(tuner)
    reasons = table.groupby("number")["reason"].agg("first")
    assert "not finite" in reasons[1] and "12 GiB are missing" in reasons[2]
    failed = table["status"] == "FAILED"
    assert failed.equals(table["score"].isna()) and not failed.iloc[0]
    assert len(table) == 4 and failed.sum() == 2
    assert len(tuner.oracle.get_best_trials(100)) == (~failed).sum()


def test_a_mistake_in_the_space_is_raised_as_it_is(digits, tmp_path):
    builds = []

    def space(hp):
        builds.append(hp.Int("units", 1, 9))
        if len(builds) > 2:  # before the first trial, the space is asked what it has
            return undefined_name  # noqa: F821
        return dense(keras_tuner.HyperParameters())

    with pytest.raises(NameError, match="undefined_name") as caught:
        tuning.search(
            space, digits, folder=tmp_path, method="random", max_trials=9, verbose=0
        )
    assert "In trial 000" in caught.value.__notes__[0]

    def mended(hp):
        hp.Int("units", 1, 9)
        return dense(keras_tuner.HyperParameters())

    options = {"folder": tmp_path, "method": "random", "epochs": 1, "verbose": 0}
    assert (
        len(tuning.trials(tuning.search(mended, digits, max_trials=2, **options))) == 2
    )


def test_ctrl_c_leaves_what_was_finished(digits, tmp_path, monkeypatch, capsys):
    fit, fits = keras.Model.fit, []

    def interrupted(self, *arguments, **options):
        fits.append(self)
        if len(fits) == 2:
            raise KeyboardInterrupt
        return fit(self, *arguments, **options)

    options = {"folder": tmp_path, "method": "random", "max_trials": 3, "epochs": 1}
    monkeypatch.setattr(keras.Model, "fit", interrupted)
    tuner = tuning.search(dense, digits, **options)
    assert "You stopped it after 1 trials: the same call goes on" in (
        capsys.readouterr().out
    )
    assert list(tuning.trials(tuner)["status"]) == ["COMPLETED", "RUNNING"]
    assert len(tuner.get_best_models()) == 1
    again = tuning.trials(tuning.search(dense, digits, **options))
    assert list(again["status"]) == ["COMPLETED"] * 3


def test_a_full_disk_ends_the_search_and_keeps_what_is_there(
    digits, tmp_path, monkeypatch
):
    options = {"method": "random", "folder": tmp_path, **OPTIONS}
    tuning.search(dense, digits, max_trials=2, **options)
    with monkeypatch.context() as patch:

        def full(path):
            raise OSError(28, "No space left on device", str(path))

        patch.setattr(records, "replacing", full)
        with pytest.raises(OSError, match="No space left"):
            tuning.search(dense, digits, max_trials=3, **options)
    tuner = tuning.search(dense, digits, max_trials=3, **options)
    assert list(tuning.trials(tuner)["status"]) == ["COMPLETED"] * 3


def test_a_trial_that_kills_the_process_twice_is_left_out(digits, tmp_path):
    options = {"method": "random", "folder": tmp_path, **OPTIONS}
    tuning.search(dense, digits, max_trials=1, **options)
    for _ in range(2):  # as if the process had died in trial 0001
        tuner = tuning.tuner.Search(
            oracles.make("random", "val_accuracy", 2, 0), tuning.together(dense),
            digits, tmp_path, 2, 0,
        )  # fmt: skip
        tuner.oracle.open(tmp_path, 3, None)
        assert tuner.oracle.create_trial("tuner0").trial_id == "0001"
    table = tuning.trials(tuning.search(dense, digits, max_trials=3, **options))
    assert "died in the middle" in table["reason"]["0001"]
    assert list(table["status"]) == ["COMPLETED", "COMPLETED", "FAILED"]


def test_wrong_arguments_are_refused_at_once(digits, tmp_path, monkeypatch):
    search = partial(tuning.search, dense, digits, folder=tmp_path)
    with pytest.raises(ValueError, match="minutes=3, or max_trials=20"):
        search()
    with pytest.raises(ValueError, match="method='halving'"):
        search(method="halving", max_trials=1)
    with pytest.raises(ValueError, match="`minutes` is above 0"):
        search(minutes=0)
    with pytest.raises(ValueError, match="`data` is an ImageData"):
        tuning.search(dense, np.zeros(3), folder=tmp_path, max_trials=1)
    with pytest.raises(ValueError, match="one of what training reports"):
        search(max_trials=1, objective=keras_tuner.Objective("val_f1", "max"), epochs=1)
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")  # a worker of KerasTuner
    with pytest.raises(ValueError, match="runs in one process"):
        search(max_trials=1)


@pytest.mark.parametrize(("ahead", "is_clear"), [(0.03, False), (0.15, True)])
def test_the_luck_of_seeds_is_in_the_conclusion(ahead, is_clear):
    def hits(*shares):  # the same 600 pictures are the hard ones for all
        return [np.arange(600) < round(600 * share) for share in shares]

    seeds = np.array([-0.02, 0.0, 0.02])
    right = {"1": hits(*(0.8 + seeds)), "2": hits(*(0.8 + ahead + seeds))}
    table = results._compared(right, {"1": 0.8, "2": 0.8})
    row = table.loc["1"]
    assert table.index[0] == "2" and row["behind"] == pytest.approx(ahead, abs=1e-3)
    assert (row["low"] > 0) == is_clear
    # With two finalists Tukey's limit is Student's; pictures add to seeds.
    by_seeds = stats.t.ppf(0.975, 4) * (2 * 0.02**2 / 3) ** 0.5
    assert by_seeds * 0.8 < row["behind"] - row["low"] < by_seeds * 1.5
    words = results._in_words(table.assign(test=0, test_low=0, test_high=0))
    assert ("by more" in words) == is_clear
