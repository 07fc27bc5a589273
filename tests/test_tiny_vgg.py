import keras
import numpy as np
import pytest
from scipy.signal import correlate
from scipy.special import softmax

from cnnkit.models.tiny_vgg import tiny_vgg

# Shapes of the weights that CNN Explainer's page loads (the manifest in its file
# model.json), and the maps that the page draws, layer by layer: it calls the first
# ones conv_1_1, relu_1_1, conv_1_2, relu_1_2 and max_pool_1.
PUBLISHED_WEIGHTS = [
    *[(3, 3, 3, 10), (10,)],
    *[(3, 3, 10, 10), (10,)] * 3,
    *[(1690, 10), (10,)],
]
PUBLISHED_MAPS = {
    "stage1_conv1": 62,
    "stage1_relu1": 62,
    "stage1_conv2": 60,
    "stage1_relu2": 60,
    "stage1_pool": 30,
    "stage2_conv1": 28,
    "stage2_relu1": 28,
    "stage2_conv2": 26,
    "stage2_relu2": 26,
    "stage2_pool": 13,
}


def test_weights_and_maps_have_the_shapes_of_cnn_explainer():
    model = tiny_vgg()
    assert [weight.shape for weight in model.get_weights()] == PUBLISHED_WEIGHTS
    maps = [(x.name, x.output.shape[1:]) for x in model.layers if "stage" in x.name]
    assert maps == [(name, (s, s, 10)) for name, s in PUBLISHED_MAPS.items()]
    named = [model.get_layer(n).output.shape[1:] for n in ("features", "pooled")]
    assert named == [(13, 13, 10), (1690,)]


def test_layers_are_of_the_kinds_and_settings_of_cnn_explainer():
    """The kinds in model.json, after our own two layers for the pixels."""
    model = tiny_vgg()
    stage = ["Conv2D", "ReLU", "Conv2D", "ReLU", "MaxPooling2D"]
    kinds = [type(x).__name__ for x in model.layers if x.name.startswith("stage")]
    assert kinds == stage * 2
    starts = {type(x.kernel_initializer).__name__ for x in model.layers if x.weights}
    assert starts == {"GlorotUniform"}


@pytest.mark.parametrize("shape", [(64, 64, 3), (29, 18, 1)])
def test_probabilities_equal_the_whole_network_in_scipy(shape):
    model = tiny_vgg(num_classes=4, input_shape=shape)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.2, weight.shape))
    image = rng.uniform(0, 255, shape).astype("float32")

    *convolutions, (dense, offset) = zip(*[iter(model.get_weights())] * 2, strict=True)
    x = image / 127.5 - 1
    for i, (kernels, biases) in enumerate(convolutions):
        # Both have all channels, so "valid" leaves one: the sum over them.
        maps = [correlate(x, k, "valid")[..., 0] for k in np.moveaxis(kernels, -1, 0)]
        x = np.maximum(np.stack(maps, axis=-1) + biases, 0)
        if i % 2:
            height, width = x.shape[0] // 2, x.shape[1] // 2
            x = x[: 2 * height, : 2 * width]
            x = x.reshape(height, 2, width, 2, 10).max(axis=(1, 3))
    expected = x.reshape(-1) @ dense + offset

    outputs = [model.get_layer(n).output for n in ("features", "logits")]
    both = keras.Model(model.input, [*outputs, model.output])
    features, logits, probabilities = both.predict(image[None], verbose=0)
    np.testing.assert_allclose(features[0], x, atol=1e-4)
    np.testing.assert_allclose(logits[0], expected, atol=1e-4)
    np.testing.assert_allclose(probabilities[0], softmax(expected), atol=1e-5)
    assert expected.std() > 0.1


@pytest.mark.parametrize("shape", [(None, None, 3), (64, None, 1)])
def test_any_size_is_refused_and_a_pooled_network_named(shape):
    with pytest.raises(ValueError, match="take `vgg_pooled`") as error:
        tiny_vgg(input_shape=shape)
    assert str(error.value).endswith(f"Received: input_shape={shape}")


def test_sixteen_pixels_are_the_least_that_leaves_a_position():
    model = tiny_vgg(input_shape=(16, 16, 1))
    assert model.get_layer("features").output.shape == (None, 1, 1, 10)
    with pytest.raises(ValueError, match="at least 16 pixels") as error:
        tiny_vgg(input_shape=(16, 15, 1))
    remedy = "or take `alexnet_cifar`. Received: input_shape=(16, 15, 1)"
    assert str(error.value).endswith(remedy)
