import functools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from references import without_random_start

from cnnkit import models, plots
from cnnkit.models import anatomy, kinds, resnet, small_cnn
from cnnkit.models.cosine import CosineLogits
from cnnkit.plots.anatomy import stage_table

applications = keras.applications


@functools.cache
def rows_of(name):
    """The table of a published model at the size of its paper."""
    builders = {
        "resnet50": resnet,
        "MobileNetV3Small": lambda: applications.MobileNetV3Small(weights=None),
        # Its dense layers alone would be half a gigabyte.
        "VGG16": lambda: applications.VGG16(
            weights=None, include_top=False, input_shape=(224, 224, 3)
        ),
    }
    build = builders.get(name, lambda: getattr(applications, name)(weights=None))
    # Keras leaves the size of MobileNetV3 open.
    with without_random_start():
        return anatomy.table(build(), (224, 224, 3) if "V3Small" in name else None)


# Each layer by hand: (name, output, parameters, multiply-adds, field, stride).
BY_HAND = [
    ("grouped", (12, 10, 8), 3 * 3 * 2 * 8 + 8, 144 * 120, 3, 1),
    ("depthwise", (4, 3, 16), 5 * 5 * 8 * 2 + 16, 400 * 12, 7, 2),
    ("dilated", (4, 3, 6), 3 * 3 * 16 * 6 + 6, 864 * 12, 7 + 2 * 4, 2),
    ("separable", (4, 3, 5), 1 * 3 * 6 + 6 * 5 + 5, (18 + 30) * 12, (15, 19), 2),
    ("pool", (2, 1, 5), 0, 0, (17, 21), 4),
    ("padded", (4, 3, 5), 0, 0, (17, 21), 4),
    ("dense", (4, 3, 7), 5 * 7 + 7, 35 * 12, (17, 21), 4),
    ("flat", (84,), 0, 0, math.inf, math.nan),
    ("logits", (3,), 84 * 3 + 3, 84 * 3, math.inf, math.nan),
]


def chain():
    return keras.Sequential(
        [
            keras.Input((12, 10, 4), name="pixels"),
            layers.Conv2D(8, 3, padding="same", groups=2, name="grouped"),
            layers.DepthwiseConv2D(5, 2, depth_multiplier=2, name="depthwise"),
            layers.Conv2D(6, 3, dilation_rate=2, padding="same", name="dilated"),
            layers.SeparableConv2D(5, (1, 3), padding="same", name="separable"),
            layers.AveragePooling2D(2, name="pool"),
            layers.ZeroPadding2D(1, name="padded"),
            layers.Dense(7, name="dense"),
            layers.Flatten(name="flat"),
            layers.Dense(3, name="logits"),
        ]
    )


def test_each_number_of_a_chain_is_what_a_hand_computes():
    rows = anatomy.table(chain())
    assert list(rows.index) == ["pixels", *(row[0] for row in BY_HAND)]
    for name, shape, parameters, multiply_adds, field, stride in BY_HAND:
        row = rows.loc[name]
        assert row["shape"] == shape
        assert row["parameters"] == parameters
        assert row["multiply_adds"] == multiply_adds
        assert row["receptive_field"] == field
        np.testing.assert_equal(row["stride"], stride)
        assert row["activation_bytes"] == 4 * math.prod(shape)
    assert rows.loc["pixels", "receptive_field"] == rows.loc["pixels", "stride"] == 1
    assert list(rows["sources"]) == [(), *((i,) for i in range(len(BY_HAND)))]
    assert anatomy.totals(rows).to_dict() == {
        "parameters": sum(row[2] for row in BY_HAND),
        "multiply_adds": sum(row[3] for row in BY_HAND),
        "activation_bytes": 4 * (480 + sum(math.prod(row[1]) for row in BY_HAND)),
        "not_counted": (),
    }


# Multiply-adds at the size of the paper, in thousand millions, to the last digit that
# is published.
PUBLISHED = {
    # Luo, Wu and Lin, "ThiNet", 2017, table 3: 7.72 thousand million operations, two
    # a multiply-add. He et al., 2016, table 1, round down to 3.8.
    "resnet50": (3.86, 0.005),
    "MobileNet": (0.569, 0.0005),  # Howard et al., 2017, table 4
    "MobileNetV2": (0.301, 0.0005),  # torchvision; the paper says 300 million
    "MobileNetV3Small": (0.056, 0.001),  # Howard et al., 2019, table 3
    "InceptionV3": (5.713, 0.0005),  # torchvision
    "EfficientNetB0": (0.39, 0.005),  # Tan and Le, 2019, table 2
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_multiply_adds_are_the_published_ones(name):
    published, last_digit = PUBLISHED[name]
    totals = anatomy.totals(rows_of(name))
    assert totals["multiply_adds"] / 1e9 == pytest.approx(published, abs=last_digit)
    assert totals["not_counted"] == ()


def test_multiply_adds_of_vgg16_are_those_of_torchvision():
    top = 25_088 * 4096 + 4096 * 4096 + 4096 * 1000
    total = anatomy.totals(rows_of("VGG16"))["multiply_adds"] + top
    assert total / 1e9 == pytest.approx(15.47, abs=0.005)


def attention_block(tokens, width, heads):
    inputs = keras.Input((tokens, width))
    x = layers.LayerNormalization()(inputs)
    x = layers.MultiHeadAttention(heads, width // heads)(x, x)
    x = y = layers.Add()([inputs, x])
    y = layers.Dense(4 * width, activation="gelu")(layers.LayerNormalization()(y))
    return keras.Model(inputs, layers.Add()([x, layers.Dense(width)(y)]))


def test_twelve_attention_blocks_make_the_vit_b_16_of_torchvision():
    block = anatomy.totals(anatomy.table(attention_block(197, 768, 12)))
    patches, head = 196 * (16 * 16 * 3) * 768, 768 * 1000
    total = 12 * block["multiply_adds"] + patches + head
    assert total / 1e9 == pytest.approx(17.564, abs=0.0005)


def test_attention_between_two_sets_of_tokens():
    query, value = keras.Input((5, 8)), keras.Input((7, 6))
    attention = layers.MultiHeadAttention(2, 3, value_dim=4, name="attention")
    x = attention(value=value, query=query)
    rows = anatomy.table(keras.Model([query, value], x))
    projections = 5 * 8 * 6 + 7 * 6 * 6 + 7 * 6 * 8 + 5 * 8 * 8
    assert rows.loc["attention", "multiply_adds"] == projections + 5 * 7 * 2 * (3 + 4)


def test_a_transposed_convolution_writes_a_window_for_each_input_position():
    inputs = keras.Input((4, 5, 3))
    x = layers.Conv2DTranspose(7, 3, 2, padding="same", name="up")(inputs)
    row = anatomy.table(keras.Model(inputs, x)).loc["up"]
    assert row["multiply_adds"] == 4 * 5 * (3 * 3 * 3 * 7)
    assert row["shape"] == (8, 10, 7) and np.isnan(row["receptive_field"])


# Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural
# Networks", Distill, 2019, and the table of their library
# (github.com/google-research/receptive_field), which names the layers of TF-Slim. They
# count up to the last feature map, before global pooling. TF-Slim halves at the end of
# a ResNet's stage, Keras and the paper at the beginning of the next: the fields are
# the same.
FIELDS = {
    "resnet50": {
        "stage1_block3_out": 35,
        "stage2_block4_out": 99,
        "stage3_block6_out": 291,
        "features": 483,
    },
    "VGG16": {
        "block1_conv1": 3,
        "block1_pool": 6,
        "block2_pool": 16,
        "block3_pool": 44,
        "block4_pool": 100,
        "block5_conv1": 132,
        "block5_conv2": 164,
        "block5_pool": 212,
    },
    "MobileNet": {
        "conv1": 3,
        "conv_pw_1": 7,
        "conv_pw_3": 19,
        "conv_pw_5": 43,
        "conv_pw_11": 219,
        "conv_pw_12": 251,
        "conv_pw_13": 315,
    },
    "InceptionV3": {
        "mixed0": 63,
        "mixed2": 127,
        "mixed3": 159,
        "mixed4": 351,
        "mixed7": 927,
        "mixed8": 1055,
        "mixed10": 1311,
    },
}


@pytest.mark.parametrize("name", FIELDS)
def test_receptive_fields_are_those_of_the_distill_article(name):
    rows, published = rows_of(name), FIELDS[name]
    assert rows.loc[list(published), "receptive_field"].to_dict() == published
    assert rows.loc[list(published)[-1], "stride"] == 32


def test_receptive_fields_of_alexnet_are_those_of_the_distill_article():
    x = inputs = keras.Input((224, 224, 3))
    x = layers.Conv2D(4, 11, 4, name="conv1")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    x = layers.Conv2D(4, 5, padding="same", name="conv2")(x)
    x = layers.MaxPooling2D(3, 2)(x)
    for name in ("conv3", "conv4", "conv5"):
        x = layers.Conv2D(4, 3, padding="same", name=name)(x)
    x = layers.MaxPooling2D(3, 2, name="pool5")(x)
    fields = anatomy.table(keras.Model(inputs, x))["receptive_field"]
    names = ["conv1", "pool1", "conv2", "conv3", "conv4", "conv5", "pool5"]
    assert fields[names].tolist() == [11, 19, 51, 99, 131, 163, 195]


def closed_form(steps):
    """The fields 1 + sum of (window - 1) * (product of the strides before)."""
    field, stride, fields = 1, 1, []
    for window, step in steps:
        field += (window - 1) * stride
        stride *= step
        fields.append(field)
    return fields


# (layer, window, stride) on the longest path.
ALEXNET = [("conv1", 11, 4), ("norm1", 1, 1), ("pool1", 3, 2), ("conv2", 5, 1)]
ALEXNET += [("norm2", 1, 1), ("pool2", 3, 2), ("conv3", 3, 1), ("conv4", 3, 1)]
ALEXNET += [("conv5", 3, 1), ("features", 3, 2)]
GOOGLENET = [("conv1", 7, 2), ("conv1_pool", 3, 2), ("conv1_norm_out", 1, 1)]
GOOGLENET += [("conv2", 3, 1), ("conv2_norm_out", 1, 1)]
for stage, rows in (("3", "ab"), ("4", "abcde"), ("5", "ab")):
    GOOGLENET += [(f"stage{stage}_pool", 3, 2)]
    GOOGLENET += [(f"inception_{stage}{row}_out", 5, 1) for row in rows]


@pytest.mark.parametrize(
    "build, path, side",
    [(models.alexnet_pooled, ALEXNET, 227), (models.googlenet, GOOGLENET, 224)],
)
def test_response_normalisation_keeps_the_field(build, path, side):
    rows = anatomy.table(build(input_shape=(side, side, 3)))
    names, *steps = zip(*path, strict=True)
    expected = closed_form(zip(*steps, strict=True))
    assert rows.loc[list(names), "receptive_field"].tolist() == expected
    assert rows["receptive_field"].notna().all()


@pytest.mark.parametrize(
    "pad_width, field",
    [
        (((0, 0), (0, 0), (0, 0), (2, 2)), 3),  # channels alone, as in AlexNet
        (((0, 0), (1, 1), (0, 0), (0, 0)), math.nan),
        (((0, 0), (0, 0), (0, 2), (0, 0)), math.nan),
        (1, math.nan),
    ],
)
def test_a_padding_that_moves_positions_is_not_pointwise(pad_width, field):
    inputs = keras.Input((8, 8, 3))
    x = keras.ops.pad(layers.Conv2D(4, 3)(inputs), pad_width)
    rows = anatomy.table(keras.Model(inputs, x))
    np.testing.assert_equal(rows["receptive_field"].tolist(), [1, 3, field])


def test_a_padding_of_tokens_moves_them_too():
    inputs = keras.Input((8, 8, 3))
    x = layers.Reshape((16, 3))(layers.MaxPooling2D(2)(inputs))
    x = keras.ops.pad(x, ((0, 0), (9, 0), (0, 0)))
    rows = anatomy.table(keras.Model(inputs, layers.Reshape((5, 5, 3))(x)))
    fields = rows["receptive_field"].tolist()
    np.testing.assert_equal(fields, [1, 2, 2, math.nan, math.nan])


def two_paths(x):
    """Keras' "same" pads an even side behind, `ZeroPadding2D` on both sides."""
    left = layers.Conv2D(2, 3, 2, padding="same")(x)
    right = layers.Conv2D(2, 3, 2)(layers.ZeroPadding2D(1)(x))
    return layers.Add()([left, right])


def residual(x):
    x = layers.Conv2D(2, 5, 2, padding="same")(x)
    y = layers.SeparableConv2D(2, 3, padding="same")(x)
    y = layers.Conv2D(2, (3, 1), padding="same")(y)
    x = layers.ReLU()(layers.Add()([x, y]))
    return layers.AveragePooling2D(3, 2, padding="same")(x)


def dilated(x):
    x = layers.Conv2D(2, 3, dilation_rate=(2, 1), padding="same")(x)
    x = layers.Cropping2D(((2, 1), (0, 3)))(x)
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(2, 3)(x))
    return layers.Concatenate()([x, layers.Conv2D(2, 4, padding="same")(x)])


@pytest.mark.parametrize("net", [two_paths, residual, dilated])
def test_the_field_is_where_the_gradient_of_one_output_is_not_zero(net):
    inputs = keras.Input((46, 50, 1))
    model = keras.Model(inputs, net(inputs))
    for weight in model.trainable_weights:
        weight.assign(tf.ones_like(weight))  # so that nothing cancels
    images = tf.ones((1, 46, 50, 1))
    with tf.GradientTape() as tape:
        tape.watch(images)
        output = model(images)
        middle = output[0, output.shape[1] // 2, output.shape[2] // 2]
    touched = np.argwhere(tape.gradient(middle, images)[0, :, :, 0].numpy())
    height, width = touched.max(axis=0) - touched.min(axis=0) + 1
    field = anatomy.table(model)["receptive_field"].iloc[-1]
    assert np.broadcast_to(field, 2).tolist() == [height, width]


def test_squeeze_and_excitation_sees_everything_and_keeps_the_stride():
    rows = rows_of("EfficientNetB0")
    assert rows.loc["block1a_dwconv", "receptive_field"] == 7
    assert rows.loc["block1a_se_excite", "receptive_field"] == math.inf
    assert rows.loc["top_activation", "stride"] == 32


def test_a_token_sees_its_patch_until_attention_sees_everything():
    x = inputs = keras.Input((16, 24, 3))
    x = layers.Reshape((24, 5))(layers.Conv2D(5, 4, 4)(x))
    x = layers.Dense(5, name="alone")(x)
    x = layers.Add(name="together")([x, layers.MultiHeadAttention(1, 5)(x, x)])
    x = layers.GlobalAveragePooling1D(name="pooled")(x)
    rows = anatomy.table(keras.Model(inputs, x))
    fields = rows.loc[["alone", "together", "pooled"], ["receptive_field", "stride"]]
    expected = [[4, 4], [math.inf, 4], [math.inf, math.nan]]
    np.testing.assert_array_equal(fields.to_numpy(float), expected)


class Conv2D(layers.Conv2D):
    """It has the name of Keras' layer, and does twice the work."""

    def call(self, x):
        return super().call(x) + super().call(x)


def test_a_layer_of_unknown_kind_is_named_and_not_taken_for_0():
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="known")(x)
    x = Conv2D(4, 3, name="own")(x)
    x = layers.EinsumDense("bhwc,cd->bhwd", (None, None, 2), name="einsum")(x)
    x = layers.GlobalMaxPooling2D(name="pooled")(x)
    rows = anatomy.table(keras.Model(inputs, x))
    assert rows["multiply_adds"].isna().tolist() == [False, False, True, True, False]
    fields = rows["receptive_field"].tolist()
    np.testing.assert_equal(fields, [1, 3, math.nan, math.nan, math.inf])
    totals = anatomy.totals(rows)
    assert totals["not_counted"] == ("own", "einsum")
    assert totals["multiply_adds"] == 6 * 6 * (3 * 3 * 3 * 4)
    assert totals["parameters"] == 112 + 148 + 8


class Twice(layers.Layer):
    """It says itself what it costs."""

    def call(self, x):
        return 2 * x

    def multiply_adds(self):
        return 48


def test_a_layer_of_yours_may_say_what_it_costs():
    inputs = keras.Input((4, 4, 3))
    rows = anatomy.table(keras.Model(inputs, Twice(name="own")(inputs)))
    assert rows.loc["own", "multiply_adds"] == 48
    assert math.isnan(rows.loc["own", "receptive_field"])  # that it does not say
    assert anatomy.totals(rows)["not_counted"] == ()


def test_every_layer_of_ours_is_counted():
    registered = keras.saving.get_custom_objects().values()
    ours = [x for x in registered if x.__module__.startswith("cnnkit.models.")]
    names = {x.__name__ for x in ours if issubclass(x, layers.Layer)}
    assert {"Capsules", "GraphConvolution", "Positions"} <= names
    counted = {x.__name__ for x in ours if hasattr(x, "multiply_adds")}
    assert counted == {"Capsules", "CosineLogits", "GraphConvolution"}
    assert names - counted <= kinds.FREE


def test_a_cosine_costs_what_a_dense_layer_costs():
    inputs = keras.Input((8,))
    rows = anatomy.table(keras.Model(inputs, CosineLogits(3)(inputs)))
    assert anatomy.totals(rows)["multiply_adds"] == 8 * 3
    assert anatomy.totals(rows)["parameters"] == 8 * 3 + 1  # and the scale


def test_capsules_cost_their_votes_and_the_rounds_of_routing():
    rows = anatomy.table(models.capsnet())
    convolutions = 20 * 20 * (9 * 9 * 256) + 6 * 6 * (9 * 9 * 256 * 256)
    votes = 1152 * 10 * (8 * 16)  # a matrix for each pair of a part and a digit
    sums, comparisons = 3 * (1152 * 10 * 16), 2 * (1152 * 10 * 16)
    totals = anatomy.totals(rows)
    assert totals["multiply_adds"] == convolutions + votes + sums + comparisons
    assert totals["not_counted"] == ()
    assert rows.loc["features", ["receptive_field", "stride"]].tolist() == [17, 2]
    assert rows.loc["class_capsules", "receptive_field"] == math.inf


def test_a_graph_convolution_is_two_products_of_matrices():
    rows = anatomy.table(models.graph_net(input_shape=(28, 28, 1)))
    patches, logits = 49 * (4 * 4 * 64), 64 * 10
    layer = 49 * 64 * 64 + 49 * 49 * 64  # nodes x weights, adjacency x that
    assert rows["multiply_adds"].sum() == patches + 3 * layer + logits
    assert anatomy.totals(rows)["not_counted"] == ()


def test_our_transformer_costs_what_that_of_torchvision_does():
    with without_random_start():
        rows = anatomy.table(models.vit("base"))
    totals = anatomy.totals(rows)
    assert totals["multiply_adds"] / 1e9 == pytest.approx(17.564, abs=0.0005)
    assert totals["not_counted"] == ()
    assert rows.loc[["positions", "features"], "receptive_field"].tolist() == [
        16,
        math.inf,
    ]


def test_models_inside_a_model_are_opened_and_shared_layers_count_once():
    inner = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(3, 3, name="conv"),
            layers.Dropout(0.1, name="drop"),
        ],
        name="inner",
    )
    shared = layers.Conv2D(3, 1, name="shared")
    x = inputs = keras.Input((9, 9, 3), name="pixels")
    x = shared(inner(x)) + shared(inner(x))  # an operation, not a layer
    model = keras.Model(inputs, keras.ops.relu(x))
    rows = anatomy.table(model)
    assert sorted(set(rows.index[:7])) == [
        "inner/conv",
        "inner/drop",
        "pixels",
        "shared",
    ]
    assert rows["kind"].tolist()[-2:] == ["Add", "Relu"]
    assert rows["parameters"].tolist().count(84) == 1
    totals = anatomy.totals(rows)
    assert totals["parameters"] == model.count_params() == 84 + 12
    assert totals["multiply_adds"] == 2 * 49 * (81 + 9)
    assert rows["receptive_field"].iloc[-1] == 3
    assert rows["shape"].iloc[-1] == (7, 7, 3)


def test_an_open_size_is_filled_and_gives_the_table_of_the_fixed_size():
    fixed = anatomy.table(small_cnn(input_shape=(64, 48, 1)))
    opened = small_cnn(input_shape=(None, None, 1))
    before = opened.to_json()
    assert anatomy.table(opened, (64, 48, 1)).equals(fixed)
    assert opened.to_json() == before and opened.input_shape == (None, None, None, 1)


@pytest.mark.parametrize("shape", [None, (64, 64), (64, 64, 3), (None, 64, 1), 64])
def test_a_size_that_does_not_fill_the_model_is_refused(shape):
    model = small_cnn(input_shape=(None, None, 1))
    with pytest.raises(ValueError, match=r"takes \[\(None, None, 1\)\]\.") as error:
        anatomy.table(model, shape)
    assert str(error.value).endswith(f"Received: input_shape={shape!r}")


class NoGraph(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize("model", [NoGraph(), keras.Sequential([layers.Dense(2)])])
def test_a_model_without_a_graph_is_refused(model):
    with pytest.raises(ValueError, match="must have a graph") as error:
        anatomy.table(model)
    assert str(error.value).endswith(f"Received: {type(model).__name__}")


LAYERS = {
    "conv": lambda n: layers.Conv2D(n, 3, padding="same"),
    "valid": lambda n: layers.Conv2D(n, 2),
    "depthwise": lambda n: layers.DepthwiseConv2D(3, 2, padding="same"),
    "separable": lambda n: layers.SeparableConv2D(n, 3, padding="same"),
    "norm": lambda n: layers.BatchNormalization(),
    "pool": lambda n: layers.MaxPooling2D(2, padding="same"),
    "dense": lambda n: layers.Dense(n, use_bias=False),
    "nested": lambda n: keras.Sequential([layers.Conv2D(n, 1), layers.PReLU()]),
    "global": lambda n: layers.GlobalAveragePooling2D(keepdims=True),
}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(LAYERS)), st.integers(1, 5)), max_size=6)
)
def test_parameters_shapes_and_fields_of_any_stack(stack):
    x = inputs = keras.Input((40, 33, 2))
    shapes = [inputs.shape[1:]]
    for kind, filters in stack:
        if kind == "valid" and min(x.shape[1:3]) < 2:
            continue
        x = LAYERS[kind](filters)(x)
        shapes += [x.shape[1:]] * (2 if kind == "nested" else 1)
    model = keras.Model(inputs, x)
    rows = anatomy.table(model)
    assert anatomy.totals(rows)["parameters"] == model.count_params()
    assert rows["shape"].tolist() == shapes
    fields = np.array([np.broadcast_to(f, 2) for f in rows["receptive_field"]])
    assert (fields[1:] >= fields[:-1]).all()


# What the papers' tables say of each resolution: its side and its channels.
STAGES = {
    # He et al., 2016, table 1
    "resnet50": [(112, 64), (56, 256), (28, 512), (14, 1024), (7, 2048)],
    # Sandler et al., 2018, table 2
    "MobileNetV2": [(112, 16), (56, 24), (28, 32), (14, 96), (7, 1280)],
    # Howard et al., 2019, table 2
    "MobileNetV3Small": [(112, 16), (56, 16), (28, 24), (14, 48), (7, 576)],
    # Huang et al., 2017, table 1; the transitions halve the channels first
    "DenseNet121": [(112, 64), (56, 128), (28, 256), (14, 512), (7, 1024)],
    # Tan and Le, 2019, table 1
    "EfficientNetB0": [(112, 16), (56, 24), (28, 40), (14, 112), (7, 1280)],
    # Szegedy et al., 2016, table 1, for pictures of 299 pixels
    "InceptionV3": [(147, 64), (71, 192), (35, 288), (17, 768), (8, 2048)],
}


@pytest.mark.parametrize("name", STAGES)
def test_stages_are_the_rows_of_the_papers_table(name):
    rows = rows_of(name)
    table = stage_table(rows)
    maps = table[table["form"] == "map"]
    assert maps["shape"].tolist() == [(s, s, channels) for s, channels in STAGES[name]]
    assert table["form"].tolist()[:2] == ["input", "map"]
    assert set(table["form"].iloc[6:]) == {"vector"}
    assert table["parameters"].sum() == rows["parameters"].sum()
    assert table["layers"].sum() == (rows["multiply_adds"] > 0).sum()


def test_stages_of_tokens_of_vectors_and_of_a_way_back_up():
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 6))(layers.Conv2D(6, 4, 4)(layers.Rescaling(1 / 255)(x)))
    x = layers.Dense(6)(layers.Dense(24)(x))
    x = layers.Flatten()(x)
    x = layers.Dense(9)(layers.ReLU()(layers.Dense(9)(x)))
    table = stage_table(anatomy.table(keras.Model(inputs, layers.Dense(4)(x))))
    assert table["form"].tolist() == ["input", "map", "tokens", *["vector"] * 3]
    shapes = [(16, 16, 3), (4, 4, 6), (16, 6), (96,), (9,), (4,)]
    assert table["shape"].tolist() == shapes
    assert table["layers"].tolist() == [0, 1, 2, 0, 2, 1]

    x = inputs = keras.Input((32, 32, 1))
    down = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.Conv2D(8, 3, padding="same")(layers.MaxPooling2D()(down))
    x = layers.Concatenate()([layers.UpSampling2D()(x), down])
    x = layers.Conv2D(2, 3, padding="same")(x)
    table = stage_table(anatomy.table(keras.Model(inputs, x)))
    shapes = [(32, 32, 1), (32, 32, 4), (16, 16, 8), (32, 32, 2)]
    assert table["shape"].tolist() == shapes

    x = inputs = keras.Input((8, 8, 1))  # a number for each picture, then a map
    x = layers.Conv2D(2, 3, padding="same")(x)
    y = layers.Dense(36)(keras.ops.max(x, axis=(1, 2, 3))[:, None])
    model = keras.Model(inputs, layers.Reshape((2, 2, 9))(y))
    table = stage_table(anatomy.table(model))
    assert table["shape"].tolist() == [(8, 8, 1), (8, 8, 2), (2, 2, 9)]
    assert table["layers"].sum() == 3  # the maximum is not counted


def drawn(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


@pytest.mark.parametrize("name", ["DenseNet121", "VGG16", "MobileNetV3Small"])
def test_a_deep_model_is_a_few_boxes_whose_texts_do_not_touch(name):
    rows = rows_of(name)
    figure = plots.stages(rows, title="日本の標識 $_{ " + 200 * "w")
    axes, renderer = figure.axes[0], drawn(figure)
    boxes = [p for p in axes.patches if isinstance(p, Rectangle)]
    table = stage_table(rows)
    assert len(boxes) == len(table) <= 9
    for box, form, shape in zip(boxes, table["form"], table["shape"], strict=True):
        if form != "vector":  # width by the root of the resolution
            ratio = math.sqrt(shape[0] / 224)
            assert box.get_width() == pytest.approx(ratio * boxes[0].get_width())
    maps = [b for b, f in zip(boxes, table["form"], strict=True) if f == "map"]
    channels = [s[2] for s in table.loc[table["form"] == "map", "shape"]]
    heights = [box.get_height() / maps[-1].get_height() for box in maps]
    assert heights == pytest.approx(np.sqrt(np.array(channels) / channels[-1]))
    texts = [t for t in axes.texts if t.get_text()]
    frames = [text.get_window_extent(renderer) for text in texts]
    for i, frame in enumerate(frames):
        assert frame.x0 >= 0 and frame.x1 <= figure.bbox.x1, texts[i]
        assert not any(frame.overlaps(other) for other in frames[:i]), texts[i]
    assert min(text.get_fontsize() for text in texts) >= 12


def test_draw_shows_shapes_layers_and_parameters_under_the_models_name():
    figure = anatomy.draw(
        small_cnn(input_shape=(None, None, 3)), input_shape=(32, 48, 3)
    )
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"small_cnn", "32 × 48", "16 × 24", "4 × 6", "672", "84 k"} <= set(texts)
    titled = anatomy.draw(small_cnn(), "mine")
    assert titled.axes[0].texts[-1].get_text() == "mine"


def test_a_table_of_something_else_is_refused():
    rows = anatomy.table(small_cnn())
    for bad in (rows.drop(columns="sources"), rows[:0]):
        with pytest.raises(ValueError, match="models.anatomy.table.*Received: "):
            plots.stages(bad)
