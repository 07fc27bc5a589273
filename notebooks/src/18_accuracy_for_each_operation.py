# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 18 · MobileNet, EfficientNet: accuracy for each operation
#
# You will take a convolution apart into two cheap steps, count what that saves, measure how much of it
# arrives as time, and find out what an operation buys.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 45 min: 33 together, 12 exercise | lessons 16 and 17 | 40 to 60 CPU-seconds, no network | drawn road signs, recorded runs |
#
# **Afterwards you can**
# 1. say what a depthwise separable convolution leaves of the operations of a full one,
# 2. explain why a network with fewer operations can be slower, and measure it,
# 3. scale a network by the compound rule, and compare networks for each operation, with intervals.

# %% tags=["nbval-ignore-output"]
import timeit
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from keras import layers
from matplotlib.figure import Figure

from cnnkit import data, evaluation, exercises, models, plots, training

# %% [markdown]
# ## One window for each channel
#
# VGG and ResNet ask how accurate a network can be. In 2017 MobileNet asks how accurate it can be on a
# phone. A full 3×3 convolution does two things at once: it looks around, and it mixes channels.
# MobileNet does one after the other. **Depthwise:** each channel gets one window of its own.
# **Pointwise:** a 1×1 convolution mixes the channels, place by place.
#
# > **Before you run the next cell:** red gets a window for edges from left to right, green one for edges
# > from top to bottom, blue the local mean. Which parts of the sign will each show?

# %%
sign = data.signs.draw(9, size=64, seed=3).images[8:].astype("float32")
edge, mean = np.outer([1, 2, 1], [-1, 0, 1]), np.full((3, 3), 1 / 9)
windows = np.stack([edge, edge.T, mean], axis=-1)[..., None].astype("float32")
looked = keras.ops.depthwise_conv(sign, windows, padding="same").numpy()
mixed = abs(looked) @ np.array([[1, 1, 0], [1, -1, 1], [0, 0, -4]], "float32")
maps = np.moveaxis(np.concatenate([sign, looked, mixed], axis=-1)[0], -1, 0)
titles = "red,green,blue,red: left to right,green: top to bottom,blue: mean"
titles = titles.split(",") + ["mix 1", "mix 2", "mix 3"]
plots.image_grid([255 * abs(m) / abs(m).max() for m in maps], titles=titles, columns=3)

# %% [markdown]
# **What you should see:** three channels; three maps, each of its own channel alone; then mixes. The
# first has the whole outline, which no map above it has.
#
# > **Before you run the next cell:** how many weights has a full 3×3 convolution from 64 channels to 64,
# > and how many have the two steps?

# %% tags=["nbval-check-output"]
from cnnkit.models import anatomy

inputs = keras.Input((32, 32, 64))
conv = layers.Conv2D(64, 3, padding="same", use_bias=False, name="full")
full = keras.Model(inputs, conv(inputs))
look = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")
first = keras.Model(inputs, look(inputs))
mix = layers.Conv2D(64, 1, use_bias=False, name="pointwise")
both = keras.Model(inputs, mix(first.output))
pd.concat([anatomy.table(model)[1:] for model in (full, both)]).iloc[:, :4]

# %% [markdown]
# **What you should see:** 36,864 weights against 576 + 4,096, and an eighth of the operations, most of
# them for mixing. What do we lose? The two steps *are* a full convolution, whose kernel is a product:


# %% tags=["nbval-check-output"]
def operations(model):
    return anatomy.totals(anatomy.table(model))["multiply_adds"]


windows, weights = both.get_weights()
full.set_weights([windows * weights])
maps = np.random.default_rng(0).normal(size=(8, 32, 32, 64)).astype("float32")
print(windows.shape, "*", weights.shape, "=", (windows * weights).shape)
print(np.allclose(full(maps), both(maps), atol=1e-3))


# %% [markdown]
# So all 64 filters see a channel through the *same* window and only weigh it differently. A full
# convolution may have 64 windows for it. MobileNet bets that one will do.
#
# Its block puts BatchNormalization and a ReLU that stops at 6 after each step:

# %% tags=["nbval-check-output"]
from cnnkit.models.mobilenet import inverted_residual_block, separable_block

package = keras.Model(inputs, separable_block(inputs, 64, name="block"))
x = inputs
for step in (look, mix):
    x = layers.ReLU(6)(layers.BatchNormalization(epsilon=1e-3)(step(x)))
by_hand = keras.Model(inputs, x)
by_hand.set_weights(package.get_weights())
print(by_hand.count_params(), package.count_params())
print(np.allclose(by_hand(maps), package(maps), atol=1e-5))

# %% [markdown]
# ## Fewer operations: less time?
#
# > **Before you run the next cell:** an eighth of the operations. Which share of the time?


# %%
def milliseconds(model, pictures):
    batch = np.zeros((pictures, *model.input_shape[1:]), "float32")
    runs = timeit.repeat(lambda: model.predict_on_batch(batch), number=1, repeat=8)
    return 1000 * min(runs) / pictures  # the first, slow one builds the graph


for name, model in {"full": full, "two steps": both, "first step": first}.items():
    work = operations(model) / 1e6
    took = milliseconds(model, 8)
    print(f"{name:10}{work:6.1f} million in {took:.2f} ms: {work / took:5.1f} a µs")

# %% [markdown]
# **What you should see:** not an eighth of the time, but a fifth to a half. The last column says why:
# the depthwise step does 4 to 15 times fewer operations in a microsecond. It uses each number that it
# fetches from memory for 9 products, a full convolution for 9·64. **The processor waits for numbers,
# not for multiplications.** Is it so in whole networks?

# %%
shape = {"num_classes": 12, "input_shape": (64, 64, 3)}
nets = {
    "small_cnn": models.small_cnn(**shape),
    "MobileNet 1": models.mobilenet(1, **shape),
    "MobileNet 2": models.mobilenet(2, **shape),
    "EfficientNet B0": models.efficientnet("b0", **shape),
}
million = pd.Series({name: operations(net) / 1e6 for name, net in nets.items()})
took = pd.Series({name: milliseconds(net, 32) for name, net in nets.items()})


# %%
def against_work(million, values, label, interval=None):
    axes = Figure(figsize=(8, 4.2), layout="constrained").subplots()
    axes.errorbar(million, values, interval, fmt="o", markersize=8)
    for name in values.index:
        axes.annotate(f" {name}", (million[name], values[name]), va="top", rotation=-15)
    axes.set(xlabel="million multiply-adds", ylabel=label, ylim=0, xmargin=0.25)
    return axes.figure


against_work(million, took, "milliseconds for one picture, in a batch of 32")

# %% [markdown]
# **What you should see:** the points lie on no line. `small_cnn`, MobileNet 2 and EfficientNet B0 do
# about 30 million operations each, and their times differ by a factor of 2 to 5. MobileNet 1 does twice
# the work of MobileNet 2 in about the same time. For this reason EfficientNetV2 went *back* to full
# convolutions where maps are large. Another chip may give another order. Measure where you will run.
#
# ## Wide inside, narrow outside
#
# MobileNet 2 turns a bottleneck inside out. Look at the last number of each shape:

# %% tags=["nbval-check-output"]
x = inverted_residual_block(inputs, 64, expansion=6, name="block")
anatomy.table(keras.Model(inputs, x))[["shape", "multiply_adds"]]

# %% [markdown]
# A 1×1 makes many channels of few, the depthwise step works on the many for 7 % of the operations, a 1×1
# goes back to few, and the shortcut joins the few. No ReLU follows there. Why? The paper's experiment:
# carry a spiral from 2 channels into more, apply ReLU, and carry it back.
#
# > **Before you run the next cell:** ReLU sets about half of the numbers to 0. Is the spiral better kept
# > in 2 channels or in 30?

# %%
rng, turn = np.random.default_rng(1), np.linspace(0, 5 * np.pi, 300)
spiral = np.stack([turn * np.cos(turn), turn * np.sin(turn)], axis=1)
panels = Figure(figsize=(8, 2), layout="constrained").subplots(1, 5)
for panel, channels in zip(panels, (2, 3, 5, 15, 30), strict=True):
    there = rng.normal(size=(2, channels))
    back = np.maximum(spiral @ there, 0) @ np.linalg.pinv(there)
    panel.scatter(*back.T, c=turn, s=4)
    panel.set(title=f"{channels} channels", xticks=[], yticks=[], aspect="equal")
panels[0].figure

# %% [markdown]
# **What you should see:** in 2 or 3 channels whole turns fall onto one line, and no later layer can part
# them. In 15 or 30 the spiral lives on. ReLU where it is wide, none where it is narrow.
#
# The *width multiplier* makes every layer narrower.
#
# > **Before you run the next cell:** with half the channels, what is left of the operations?

# %% tags=["nbval-check-output"]
for width in (1, 0.5, 0.25):
    net = models.mobilenet(1, width=width)
    sums = anatomy.totals(anatomy.table(net))
    print(
        f"width {width:<5}{sums.parameters:10,} weights{sums.multiply_adds:13,} operations"
    )
anatomy.draw(net, "MobileNet 1, a quarter as wide")

# %% [markdown]
# About a quarter: half as many come in *and* go out. The paper counts the same 569, 149 and 41 million.
#
# MobileNet 3 and EfficientNet add *squeeze-and-excite*: the mean of each channel over the whole picture
# decides, through two small layers, how much each channel counts. By hand:

# %% tags=["nbval-check-output"]
from cnnkit.models.blocks import squeeze_excite
from cnnkit.models.efficientnet import VARIANTS

package = keras.Model(inputs, squeeze_excite(inputs, 16, name="se"))
reduce, bias, excite, last_bias = package.get_weights()
few = maps.mean(axis=(1, 2)) @ reduce[0, 0] + bias
few = few / (1 + np.exp(-few))  # swish
counts = 1 / (1 + np.exp(-(few @ excite[0, 0] + last_bias)))  # sigmoid
print(counts.shape, np.allclose(maps * counts[:, None, None], package(maps), atol=1e-5))

# %% [markdown]
# ## Depth, width and pixels, by one rule
#
# You can afford twice the operations. More layers, more channels or more pixels? EfficientNet says: all
# three. A step multiplies depth by 1.2, width by 1.1 and the picture's side by 1.15.
#
# > **Before you run the next cell:** operations grow with depth, with width² and with side². By how much
# > does a step multiply them?

# %%
scaled = {}
for name, step in {"b0": 0, "b1": 0.5, "b2": 1, "b3": 2}.items():
    width, depth, side, _ = VARIANTS[name]
    net = models.efficientnet(name)
    blocks = sum(layer.name.endswith("project_conv") for layer in net.layers)
    million = operations(net) // 10**6
    scaled[name] = step, depth, width, side / 224, blocks, million
columns = ["step", "depth", "width", "side", "blocks", "million"]
scaled = pd.DataFrame.from_dict(scaled, "index", columns=columns).round(2)
scaled

# %%
left, right = Figure(figsize=(8, 3.4), layout="constrained").subplots(1, 2)
for knob, factor in (("depth", 1.2), ("width", 1.1), ("side", 1.15)):
    (line,) = left.plot(scaled["step"], factor ** scaled["step"], "--")
    left.plot(scaled["step"], scaled[knob], "o", c=line.get_color(), label=knob)
left.legend(title="lines: the rule, dots: B0 to B3", frameon=False)
left.set(xlabel="steps", ylabel="times that of B0")
ways = ["all three", "2 × side", "2 × width", "4 × depth", "B0"]
right.plot([81.1, 79.1, 78.9, 79.0, 77.3], ways, "o", markersize=9)
right.set(xlabel="published accuracy on ImageNet (%)")
left.figure

# %% [markdown]
# **What you should see:** the dots lie near the lines. A step should cost 1.2 · 1.1² · 1.15² = 1.92 times
# the operations; yet half a step, to B1, costs 1.8, because depth is rounded *up*: a stage of one block
# gets two. On the right (table 7 of the paper) each way spends about 1.8 billion operations. All three
# together gain 2 points over any alone.
#
# ## What does an operation buy?
#
# Our own contest: a short network of full convolutions; the same of MobileNet's blocks; and a full one
# so narrow that it works no more than the second.

# %%
from cnnkit.models.blocks import classify, conv_bn, pixels


def short_net(block, stem, *widths):
    pictures, x = pixels((32, 32, 3))
    x = conv_bn(x, stem, 3, strides=2, name="stem")
    for width in widths:
        x = block(layers.MaxPooling2D(2)(x), width, name=f"width{width}")
    return classify(pictures, x, 12, name="short_net")


# %%
signs = data.signs.draw(1600, size=32, seed=19)
test = signs.images[1000:], signs.labels[1000:]
photos = data.from_arrays(signs.images[:1000], signs.labels[:1000], test=test)


def trained(net):
    keras.utils.set_random_seed(0)
    training.fit(net, photos, epochs=8, verbose=0)
    answers = evaluation.arrays(evaluation.predict(net, photos, "test"))
    return evaluation.scores(*answers).loc[("all classes", "accuracy")]


# %% [markdown]
# > **Before you run the next cell:** rank the three. Guess the gaps as well.


# %%
def full_block(x, filters, name):
    return conv_bn(x, filters, 3, name=name)


results = {
    "full: 2.2 million": trained(short_net(full_block, 24, 48, 96, 192)),
    "two steps: 0.4 million": trained(short_net(separable_block, 24, 48, 96, 192)),
    "narrow: 0.4 million": trained(short_net(full_block, 10, 20, 40, 80)),
}
plots.intervals(pd.DataFrame(results).T, label="accuracy on 600 test pictures")

# %% [markdown]
# **What you should see:** the two steps lose 10 to 25 points for a fifth of the operations. The narrow
# network, which works as little, does as well or better. With 852 pictures and 8 epochs MobileNet's
# bet wins nothing. On the 1.3 million photographs of ImageNet the two steps cost 1 point: 71.7 % with
# full convolutions and 4,866 million operations, 70.6 % with 569 million (table 4 of its paper).
#
# Now all families, recorded: 1,700 drawn signs, 32×32, the same minutes of training for each.
#
# > **Before you run the next cell:** which family has the fewest operations? Will it be the fastest?

# %%
from IPython.display import display

folder = next(f for f in (Path("tables"), Path("../tables")) if f.is_dir())
runs = pd.read_csv(folder / "families.csv").set_index("family")
display(runs.loc[:, :"accuracy"].round(2))
million, accuracy = runs["multiply_adds"] / 1e6, runs["accuracy"]
interval = [accuracy - runs["low"], runs["high"] - accuracy]
figure = against_work(million, accuracy, "accuracy after equal minutes", interval)
figure.axes[0].set_xscale("log")
figure

# %% [markdown]
# **What you should see:** EfficientNet has by far the fewest operations and the longest time for one
# picture (`ms_1`): many small layers, and starting each costs. MobileNet has a fifth of VGG's operations
# and trains no faster (`train_ms`). After equal minutes GoogLeNet and ResNet name more than 9 of 10 signs
# right, MobileNet about 4, EfficientNet 2 to 3; a guess is one in 12. The deepest and thinnest start
# slowly, and these are few pictures. After days on ImageNet the order is another, and both orders are true.
# **Accuracy for each operation belongs to its pictures, its training and its machine.**

# %% [markdown]
# ## Exercise: what is left?
#
# Write `share_left(kernel, channels_in, channels_out)`: the operations of depthwise and pointwise
# convolution together, divided by those of the full one. Try 3×3 from 64 channels to 64 on paper: it must be what
# the table above says.


# %%
def share_left(kernel, channels_in, channels_out):
    ### BEGIN SOLUTION
    return 1 / channels_out + 1 / kernel**2
    ### END SOLUTION


exercises.check("18", share_left)

# %% [markdown]
# ## Common mistakes
# - *"Fewer operations" read as "faster".* Count to compare designs, measure to compare times.
# - *A ReLU after the last 1×1 of an inverted block.* It runs, and throws away half of a narrow map.
# - *Comparing networks after the same few epochs.* Deep thin networks start slowly. Say what the budget
#   was, and show intervals.
#
# ## Key points
# - Look first, mix then: that leaves little more than a ninth of the operations of a 3×3 convolution.
# - A depthwise step waits for memory. Time falls less than operations do.
# - Grow depth, width and pixels together.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("18-phone")
