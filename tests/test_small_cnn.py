import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from cnnkit import models
from cnnkit.models import small_cnn


@pytest.mark.parametrize("channels", [1, 3])
def test_parameter_count_equals_the_sum_done_by_hand(channels):
    model = small_cnn(num_classes=7, input_shape=(32, 32, channels))
    convolutions = 9 * (channels * 24 + 24 * 48 + 48 * 96 + 96 * 96)
    biases = scales = offsets = 24 + 48 + 96 + 96
    expected = convolutions + biases + scales + offsets + 96 * 7 + 7
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trainable == expected


@pytest.mark.parametrize(
    "shape, features",
    [
        ((28, 28, 1), (3, 3, 96)),
        ((29, 41, 3), (3, 5, 96)),
        ((64, 64, 3), (8, 8, 96)),
        ((None, 160, 3), (None, 20, 96)),
    ],
)
def test_the_four_layers_have_the_promised_shapes(shape, features):
    model = small_cnn(num_classes=12, input_shape=shape)
    shapes = [
        model.get_layer(name).output.shape[1:]
        for name in ("features", "pooled", "logits", "probabilities")
    ]
    assert shapes == [features, (96,), (12,), (12,)]


def test_a_position_of_the_last_map_has_seen_38_pixels():
    """Changes one column of the picture at a time and looks where that is felt."""
    keras.utils.set_random_seed(0)
    model = small_cnn(input_shape=(28, 96, 1))
    features = keras.Model(model.input, model.get_layer("features").output)
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (28, 96, 1))
    changed = np.repeat(image[None], 96, axis=0)
    changed[range(96), :, range(96)] = 255 - changed[range(96), :, range(96)]
    maps = features.predict_on_batch(np.concatenate([image[None], changed]))
    middle = maps[:, :, 6]  # the seventh of twelve columns, over pixels 48 to 55
    change = np.abs(middle[1:] - middle[0]).max(axis=(1, 2))
    felt = np.flatnonzero(change > 1e-6)
    assert (felt[0], felt[-1], len(felt)) == (33, 70, 38)


@pytest.mark.parametrize("widths", [(8,), (8, 16), [8, 8, 16, 16]])
def test_widths_set_the_number_of_stages_and_their_channels(widths):
    model = small_cnn(input_shape=(64, 48, 3), widths=widths)
    halved = 2 ** len(widths)
    expected = (None, 64 // halved, 48 // halved, widths[-1])
    assert model.get_layer("features").output.shape == expected


def test_it_learns_real_digits():
    digits = load_digits()
    images = np.kron(digits.images[:1000, ..., None] * 15.9, np.ones((1, 4, 4, 1)))
    keras.utils.set_random_seed(0)
    model = small_cnn(input_shape=(32, 32, 1), dropout=0.1)
    model.compile(
        keras.optimizers.AdamW(5e-3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(images[:700], digits.target[:700], epochs=2, verbose=0)
    _, accuracy = model.evaluate(images[700:], digits.target[700:1000], verbose=0)
    assert accuracy > 0.8  # chance is 0.1


def test_l2_adds_the_squared_weights_of_all_convolutions_to_the_loss():
    model = models.small_cnn(l2=0.01)
    kernels = [v.numpy() for v in model.variables if v.path.endswith("conv/kernel")]
    assert len(kernels) == 4
    squares = sum((kernel**2).sum() for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(0.01 * squares, rel=1e-5)
    assert not models.small_cnn().losses
    with pytest.raises(ValueError, match="l2=-1"):
        models.small_cnn(l2=-1)


@pytest.mark.parametrize(
    "widths", [(), 24, None, "abc", (24, 0), (24, -1), (24.0,), (24, None), (True,)]
)
def test_widths_that_are_no_channels_are_refused(widths):
    with pytest.raises(ValueError, match="for each stage") as error:
        small_cnn(widths=widths)
    assert str(error.value).endswith(f"Received: widths={widths!r}")


@pytest.mark.parametrize(
    "shape, widths, reason",
    [
        ((27, 64, 3), (24, 48, 96), "3 halvings leave 3 of 27 .* at least 28 pixels"),
        ((None, 20, 1), (24, 48, 96), "3 halvings leave 2 of 20 .* at least 28 pixels"),
        ((40, 64, 3), (8, 8, 8, 8), "4 halvings leave 2 of 40 .* at least 48 pixels"),
    ],
)
def test_a_picture_too_small_for_the_stages_is_refused(shape, widths, reason):
    with pytest.raises(ValueError, match=reason) as error:
        small_cnn(input_shape=shape, widths=widths)
    assert str(error.value).endswith(f"Received: input_shape={shape}")


def test_the_builders_are_reached_by_their_names_in_models():
    assert {"resnet", "small_cnn"} < set(models.__all__)
    assert all(callable(getattr(models, name)) for name in models.__all__)
