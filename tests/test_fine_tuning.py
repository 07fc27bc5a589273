"""Fine-tuning: what moves, at which rate, and what must not move."""

import keras
import numpy as np
import pytest

from cnnkit import data, models, training, transfer
from cnnkit.training.layer_rates import rate_shares
from cnnkit.training.phases import Recipe, make_optimizer


@pytest.fixture(scope="module")
def digits():
    images, labels = data.to_arrays(data.load("digits"), "train")
    return data.from_arrays(images[:100], labels[:100], together="same")


def frozen():
    """A small classifier on a frozen backbone, the same each time."""
    keras.utils.set_random_seed(0)
    model = models.small_cnn(input_shape=(32, 32, 1), widths=(8, 16))
    for layer in model.layers[: [v.name for v in model.layers].index("features")]:
        layer.trainable = False
    return model


def values(model):
    return {v.path: v.numpy() for v in model.variables}


OPTIONS = {"epochs": 4, "learning_rate": 1e-2, "verbose": 0}


@pytest.fixture(scope="module")
def tuned(digits):
    return tune(digits, (0.3, 1.0))


def tune(digits, unfreeze):
    """Its values before, a model that no test changes, its history."""
    model = frozen()
    before = values(model)
    history = training.fine_tune(model, digits, unfreeze=unfreeze, **OPTIONS)
    return before, model, history


@pytest.mark.slow("its own training, and that of the fixture, in three phases")
@pytest.mark.parametrize("unfreeze", [0, (0.3, 1.0)])
def test_the_head_and_the_top_move_and_no_batch_norm(digits, tuned, unfreeze):
    before, model, history = tuned if unfreeze else tune(digits, unfreeze)
    layers = [layer for layer in model.layers if layer.weights]
    kernels = [x for x in layers if isinstance(x, keras.layers.Conv2D)]
    norms = [x for x in layers if isinstance(x, keras.layers.BatchNormalization)]
    moved = {path for path, v in values(model).items() if (v != before[path]).any()}
    opened = {0: 0, (0.3, 1.0): 3}[unfreeze]
    closed = kernels[: len(kernels) - opened] + norms
    assert not moved & {v.path for layer in closed for v in layer.variables}
    assert len(norms) == 3 and not any(layer.trainable for layer in norms)
    open_ones = [*kernels[len(kernels) - opened :], model.get_layer("logits")]
    assert all(layer.kernel.path in moved for layer in open_ones)
    phases = history.params["phases"]
    stages = {0: [], (0.3, 1.0): [2, 2]}[unfreeze]
    assert [epochs for _, epochs in phases[1:]] == stages
    assert len(history.history["loss"]) == sum(epochs for _, epochs in phases)
    best = history.history["val_loss"][history.params["best_epoch"] - 1]
    assert best == min(history.history["val_loss"])
    images, labels = data.to_arrays(digits, "valid")
    said = np.asarray(model(images.astype("float32")))
    loss = -np.log(said[np.arange(len(labels)), labels]).mean()
    assert loss == pytest.approx(best, rel=1e-4)


def test_each_layer_moves_at_its_share_of_the_rate():
    model = frozen()
    training.unfreeze_top(model, 1)
    shares = rate_shares(model, 0.01)
    first, last = (model.get_layer(f"{n}_conv").kernel for n in ("stage1", "last"))
    places = [layer.name for layer in model.layers]
    depth = places.index("stage1_conv") / (places.index("features") - 1)
    assert shares[first.path] == pytest.approx(0.01 ** (1 - depth))
    assert 0.01 < shares[first.path] < shares[last.path] < 1
    before = values(model)
    optimizer = make_optimizer(Recipe(0.1, 0.0, None, 0, shares=shares))
    variables = model.trainable_variables
    optimizer.build(variables)
    rng = np.random.default_rng(0)
    optimizer.apply([rng.choice([-3.0, 0.2], v.shape) for v in variables], variables)
    for variable in variables:
        moved = np.abs(variable.numpy() - before[variable.path])
        # The first step of Adam is as long as its rate, whatever the gradient is
        # (Kingma and Ba, 2015, section 2.1).
        rate = 0.1 * shares.get(variable.path, 1.0)
        np.testing.assert_allclose(moved, rate, rtol=1e-3)

    before = values(model)
    optimizer = make_optimizer(Recipe(0.1, 0.2, None, 0, shares=shares))
    optimizer.build(variables)
    optimizer.apply([np.zeros(v.shape) for v in variables], variables)
    kernels = [v for v in variables if v.name == "kernel"]
    for kernel in kernels:  # nothing but the decay moves: at the share too
        kept = 1 - 0.1 * 0.2 * shares.get(kernel.path, 1.0)
        wanted = before[kernel.path] * kept
        np.testing.assert_allclose(kernel.numpy(), wanted, rtol=1e-5)
    assert shares[kernels[0].path] < 0.1


def test_a_fine_tuned_model_is_saved_with_nothing_of_ours_in_it(
    digits, tuned, tmp_path
):
    _, model, _ = tuned
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")  # compiled, without cnnkit
    images = digits.pixels[:5].astype("float32")
    np.testing.assert_allclose(again(images), model(images), atol=1e-6)


@pytest.mark.slow("two trainings in three phases, two of them traced each")
def test_going_on_after_an_interrupt_ends_as_if_there_had_been_none(
    digits, tuned, tmp_path, monkeypatch
):
    options = OPTIONS | {"unfreeze": (0.3, 1.0)}
    _, whole, history = tuned
    broken, epochs = frozen(), []
    end = training.watch.KeepBest.on_epoch_end

    def stops(self, epoch, logs=None):
        end(self, epoch, logs)
        epochs.append(epoch)
        if len(epochs) == 33:  # the head has 30: in the second stage
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.watch.KeepBest, "on_epoch_end", stops)
        first = training.fine_tune(broken, digits, resume=tmp_path / "run", **options)
    assert first.params["stopped"] == "you stopped it"
    again = frozen()
    second = training.fine_tune(again, digits, resume=tmp_path / "run", **options)
    assert second.history == history.history
    for path, value in values(whole).items():
        np.testing.assert_array_equal(values(again)[path], value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unfreeze": 1.5}, "unfreeze=1.5"),
        ({"unfreeze": (1.0, 0.5)}, r"unfreeze=\(1.0, 0.5\)"),
        ({"unfreeze": ()}, r"unfreeze=\(\)"),
        ({"lowest_rate": 0}, "lowest_rate=0"),
    ],
)
def test_stages_that_cannot_be_are_refused(digits, options, message):
    with pytest.raises(ValueError, match=message):
        training.fine_tune(frozen(), digits, epochs=1, **options)


def test_unfreezing_counts_from_the_top():
    model = transfer.classifier(
        "mobilenet", 3, image_shape=(32, 32, 3), weights=None, width=0.25
    )
    assert training.unfreeze_top(model, 0) == 0
    some, every = (training.unfreeze_top(model, share) for share in (0.5, 1))
    assert 0 < some < every == 27  # the convolutions of MobileNet (table 1)


def test_a_model_with_nothing_frozen_learns_at_the_rate_that_is_asked_for(digits):
    def rates(**options):
        model = models.small_cnn(input_shape=(32, 32, 1), widths=(4, 8))
        history = training.fine_tune(model, digits, epochs=2, verbose=0, **options)
        return np.array(history.history["learning_rate"])

    np.testing.assert_allclose(rates(), 3 * rates(learning_rate=1e-3), rtol=1e-5)
