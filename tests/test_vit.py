import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from references import of_kind, part, without_random_start
from scipy.special import erf, softmax

from cnnkit.models.vit import VARIANTS, transformer, vit
from cnnkit.models.vit_cifar import VARIANTS as CIFAR_VARIANTS
from cnnkit.models.vit_cifar import vit_cifar
from cnnkit.models.vit_trained import at_size, attention_maps

# Parameters: DeiT-Ti and DeiT-S of https://github.com/facebookresearch/deit (without
# distillation, as timm counts them), and torchvision's vit_b_16.
PUBLISHED_PARAMS = {"tiny": 5_717_416, "small": 22_050_664, "base": 86_567_656}
# Thousand millions of multiply-adds at 224 pixels: torchvision's vit_b_16, and, in
# table 1 of Wang et al., "Pyramid Vision Transformer", 2021, the two rows of DeiT.
PUBLISHED_OPERATIONS = {"tiny": 1.3, "small": 4.6, "base": 17.6}
# Millions of parameters and thousand millions of multiply-adds (without the products
# of tokens with tokens) for CIFAR-10, from the table of results in the README of
# https://github.com/SHI-Labs/Compact-Transformers in 2021: ViT-Lite-6/4 and 7/4.
LITE_PARAMS = {6: 3.191, 7: 3.717}
LITE_OPERATIONS = {6: 0.205, 7: 0.239}
# The sizes with 2 and 4 blocks stand there only as CCT-2/3x2 and CCT-4/3x2: the same
# blocks behind two convolutions.
CCT_PARAMS = {2: 0.284, 4: 0.482}


@functools.cache
def full_size(size):
    with without_random_start():
        return vit(size)


@functools.cache
def small_random(size=(8, 12), blocks=2):
    """A model with few blocks whose weights have all left 0 and 1."""
    variant = (128, 2, blocks, 128)  # that of `vit_cifar(2)`
    shape = (*size, 3)
    model = transformer(variant, 4, num_classes=5, input_shape=shape, name="small")
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(variable.numpy() + rng.normal(0, 0.1, variable.shape))
    return model


def pictures(height, width, number=2, seed=1):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 255, (number, height, width, 3)).astype("float32")


def attentions(model):
    return of_kind(model, keras.layers.MultiHeadAttention)


def query_key_value_biases(model):
    """The reference for small pictures has none; `MultiHeadAttention` has them."""
    return sum(3 * layer.num_heads * layer.key_dim for layer in attentions(model))


def multiply_adds(model, token_products):
    total = 0
    for layer in model.layers:
        places = np.prod(layer.output.shape[1:-1], dtype=int)  # tokens, or a map
        if isinstance(layer, (keras.layers.Dense, keras.layers.Conv2D)):
            total += places * np.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.MultiHeadAttention):
            width = layer.output.shape[-1]
            total += places * 4 * width**2  # query, key, value, output
            total += 2 * places**2 * width if token_products else 0
    return total / 1e9


def test_every_variant_has_a_published_size():
    assert set(VARIANTS) == set(PUBLISHED_PARAMS) == set(PUBLISHED_OPERATIONS)
    assert set(CIFAR_VARIANTS) == set(LITE_PARAMS) | set(CCT_PARAMS)


@pytest.mark.parametrize("size", VARIANTS)
def test_parameter_count_matches_the_published_model(size):
    assert full_size(size).count_params() == PUBLISHED_PARAMS[size]


@pytest.mark.parametrize("size", VARIANTS)
def test_multiply_adds_match_the_published_ones(size):
    operations = multiply_adds(full_size(size), token_products=True)
    assert round(operations, 1) == PUBLISHED_OPERATIONS[size]


@pytest.mark.parametrize("depth", LITE_PARAMS)
def test_parameters_and_operations_for_small_pictures_match_the_published_ones(depth):
    model = vit_cifar(depth)
    params = model.count_params() - query_key_value_biases(model)
    assert round(params / 1e6, 3) == LITE_PARAMS[depth]
    operations = multiply_adds(model, token_products=False)
    assert round(operations, 3) == LITE_OPERATIONS[depth]


@pytest.mark.parametrize("depth", CCT_PARAMS)
def test_the_blocks_of_the_smallest_sizes_are_those_of_the_compact_transformer(depth):
    model = vit_cifar(depth)
    params = model.count_params() - query_key_value_biases(model)
    for name in ("patches", "class_token", "positions"):
        params -= model.get_layer(name).count_params()
    convolutions = 3 * 3 * 3 * 64 + 3 * 3 * 64 * 128
    positions, attention_pool = 64 * 128, 128 + 1
    params += convolutions + positions + attention_pool
    assert round(params / 1e6, 3) == CCT_PARAMS[depth]


@pytest.mark.parametrize("size, width", [("tiny", 192), ("base", 768)])
def test_the_four_layers_have_the_promised_shapes(size, width):
    names = ("features", "pooled", "logits", "probabilities")
    shapes = [full_size(size).get_layer(name).output.shape[1:] for name in names]
    assert shapes == [(14, 14, width), (width,), (1000,), (1000,)]


def normalised(x, layer):
    scale, shift = layer.get_weights()
    centred = x - x.mean(-1, keepdims=True)
    return (
        centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * scale + shift
    )


def numpy_block(x, model, name):
    """Equations 2 and 3, for the tokens x of one picture, one head after the other."""
    attention = model.get_layer(f"{name}_attention")
    wq, bq, wk, bk, wv, bv, wo, bo = attention.get_weights()
    y = normalised(x, model.get_layer(f"{name}_norm1"))
    total = bo
    for head in range(wq.shape[1]):
        query, key, value = (
            y @ w[:, head] + b[head] for w, b in ((wq, bq), (wk, bk), (wv, bv))
        )
        looks = softmax(query @ key.T / np.sqrt(query.shape[1]), axis=1)
        total = total + looks @ value @ wo[head]
    x = x + total
    y = normalised(x, model.get_layer(f"{name}_norm2"))
    w1, b1 = model.get_layer(f"{name}_mlp1").get_weights()
    w2, b2 = model.get_layer(f"{name}_mlp2").get_weights()
    y = y @ w1 + b1
    y = y * 0.5 * (1 + erf(y / np.sqrt(2)))  # GELU, exact
    return x + y @ w2 + b2


def test_a_block_and_the_whole_network_equal_a_numpy_computation():
    model, images = small_random(), pictures(8, 12)
    names = ("block1_add2", "features", "pooled", "logits")
    ours = [np.asarray(x) for x in part(model, *names)(images)]
    kernel, bias = model.get_layer("patches").get_weights()
    token, positions = (
        model.get_layer(name).get_weights()[0][0]
        for name in ("class_token", "positions")
    )
    for i, image in enumerate(images.astype("float64") / 127.5 - 1):
        patches = [
            np.tensordot(image[r : r + 4, c : c + 4], kernel, 3) + bias
            for r in (0, 4)
            for c in (0, 4, 8)
        ]
        x = numpy_block(np.vstack([token, patches]) + positions, model, "block1")
        np.testing.assert_allclose(ours[0][i], x, atol=1e-4)
        np.testing.assert_allclose(ours[1][i], x[1:].reshape(2, 3, 128), atol=1e-4)
        x = numpy_block(x, model, "block2")
        pooled = normalised(x[0], model.get_layer("last_norm"))
        np.testing.assert_allclose(ours[2][i], pooled, atol=1e-4)
        kernel_out, bias_out = model.get_layer("logits").get_weights()
        logits = pooled @ kernel_out + bias_out
        np.testing.assert_allclose(ours[3][i], logits, atol=1e-4)
        assert logits.std() > 0.1  # not a comparison of constants


def test_the_answer_depends_on_the_features_and_no_more_on_the_last_patches():
    reader = part(small_random(), "features", "block2_add2", "logits")
    with tf.GradientTape() as tape:
        features, last_tokens, logits = reader(pictures(8, 12))
        answer = logits[:, 0]
    slopes = tape.gradient(answer, [features, last_tokens])
    assert (abs(slopes[0].numpy()).max(-1) > 1e-4).all()  # at every place
    assert abs(slopes[1].numpy()[:, 0]).max() > 1e-4
    assert not slopes[1].numpy()[:, 1:].any()


@pytest.mark.parametrize("blocks", [1, 2])
def test_attention_maps_equal_those_that_keras_returns(blocks):
    model, images = small_random(blocks=blocks), pictures(8, 12)
    maps = attention_maps(model, images)
    assert maps.shape == (blocks, 2, 2, 7, 7)  # pictures, heads, tokens, tokens
    for i, layer in enumerate(attentions(model)):
        x = part(model, f"block{i + 1}_norm1")(images)
        _, expected = layer(x, x, return_attention_scores=True)
        np.testing.assert_allclose(maps[i], np.asarray(expected), atol=1e-5)
    np.testing.assert_allclose(maps.sum(-1), 1, atol=1e-5)
    assert maps.std() > 0.01


def cubic(old, new):
    """The (new, old) matrix of Keys' cubic interpolation (1981, a = -1/2).

    Pixels have areas, so the middle of pixel i lies at i + 1/2. What would lie outside
    is left out, and the rest weighted up.
    """
    middles = (np.arange(new) + 0.5) * old / new - 0.5
    d = abs(middles[:, None] - np.arange(old))
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    weights = np.where(d <= 1, near, np.where(d < 2, far, 0))
    return weights / weights.sum(1, keepdims=True)


# Twice the size, half of it, and one and a half times by a half.
@pytest.mark.parametrize("height, width", [(64, 64), (16, 16), (48, 16)])
def test_at_size_interpolates_the_positions_and_keeps_the_rest(height, width):
    model = small_random((32, 32))
    resized = at_size(model, (height, width, 3))
    assert resized.name == model.name
    old = model.get_layer("positions").get_weights()[0]
    new = resized.get_layer("positions").get_weights()[0]
    np.testing.assert_array_equal(new[:, 0], old[:, 0])  # the class token's
    grid = old[0, 1:].reshape(8, 8, 128)
    expected = np.einsum(
        "rh,cw,hwn->rcn", cubic(8, height // 4), cubic(8, width // 4), grid
    )
    # TensorFlow rounds the distances to 1 / 1024, and thirds with them.
    np.testing.assert_allclose(new[0, 1:], expected.reshape(-1, 128), atol=3e-4)
    for layer in resized.layers:
        if layer.name != "positions":
            pairs = zip(layer.weights, model.get_layer(layer.name).weights, strict=True)
            assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)


def test_at_size_with_the_same_size_answers_the_same():
    model, images = small_random(), pictures(8, 12)
    same = at_size(model, (8, 12, 3))
    np.testing.assert_array_equal(np.asarray(same(images)), np.asarray(model(images)))


def test_there_and_back_and_the_model_itself_is_unchanged():
    model = small_random()
    before = model.get_weights()
    back = at_size(at_size(model, (16, 24, 3)), (8, 12, 3))
    assert all(map(np.array_equal, before, model.get_weights()))
    old, new = (m.get_layer("positions").get_weights()[0] for m in (model, back))
    assert 0.9 < np.corrcoef(old.ravel(), new.ravel())[0, 1] < 0.9999


def test_a_saved_file_predicts_the_same(tmp_path):
    model, images = small_random(), pictures(8, 12)
    model.save(tmp_path / "vit.keras")
    loaded = keras.saving.load_model(tmp_path / "vit.keras")
    np.testing.assert_array_equal(np.asarray(loaded(images)), np.asarray(model(images)))
    np.testing.assert_array_equal(  # and it is still one of ours
        np.asarray(at_size(loaded, (16, 12, 3))(pictures(16, 12))),
        np.asarray(at_size(model, (16, 12, 3))(pictures(16, 12))),
    )


@pytest.mark.parametrize("size", ["large", 16, None])
def test_an_unknown_size_is_named_and_the_known_ones_are_listed(size):
    with pytest.raises(ValueError, match=r"\['tiny', 'small', 'base'\]") as error:
        vit(size)
    assert str(error.value).endswith(f"Received: size={size!r}")


def test_an_unknown_depth_is_named_and_the_known_ones_are_listed():
    with pytest.raises(ValueError, match=r"\[2, 4, 6, 7\]") as error:
        vit_cifar(5)
    assert str(error.value).endswith("Received: depth=5")


@pytest.mark.parametrize(
    "build, shape, patch",
    [
        (vit, (224, 230, 3), 16),
        (vit, (28, 28, 1), 16),
        (vit, (16, 64, 3), 16),
        (vit_cifar, (None, 32, 3), 4),
        (vit_cifar, (30, 32, 3), 4),
    ],
)
def test_a_picture_that_is_no_whole_number_of_patches_is_refused(build, shape, patch):
    rule = f"multiples of {patch} pixels, from {2 * patch} up.*`vit_cifar`.*`at_size`"
    with pytest.raises(ValueError, match=rule) as error:
        build(input_shape=shape)
    assert str(error.value).endswith(f"Received: input_shape={shape}")


def test_another_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="built for 3 channels") as error:
        at_size(small_random(), (8, 12, 1))
    assert str(error.value).endswith("Received: input_shape=(8, 12, 1)")


def test_a_model_of_another_family_is_refused():
    inputs = keras.Input((8, 12, 3))
    other = keras.Model(inputs, keras.layers.Flatten()(inputs), name="flat")
    with pytest.raises(ValueError, match="`vit_cifar` or `at_size`") as error:
        at_size(other, (16, 24, 3))
    assert str(error.value).endswith("Received: 'flat'")
    with pytest.raises(ValueError, match="Received: 'flat'"):
        attention_maps(other, pictures(8, 12))
