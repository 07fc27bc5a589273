# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 17 · GoogLeNet, ResNet, DenseNet
#
# You will build the blocks of three famous networks by hand, check them against the package's, and
# measure what a path around a layer is good for.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 45 min: 32 together, 13 exercise | lessons 05 and 16 | 35 to 60 CPU-seconds, no network | scikit-learn's digits, recorded runs on CIFAR-10 |
#
# **Afterwards you can**
# 1. say what a 1×1 convolution before a large window saves,
# 2. tell degradation from overfitting and from vanishing gradients, by measuring,
# 3. count the channels and the weights of a dense block.

# %% tags=["nbval-ignore-output"]
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from keras import layers

from cnnkit import data, exercises, models, plots, training
from cnnkit.models import anatomy

# %% [markdown]
# ## GoogLeNet: which window? All of them
#
# VGG's windows are all 3×3. But a dog may fill a picture or a corner of it. In 2014 GoogLeNet let
# 1×1, 3×3, 5×5 and pooling look at the same map and laid the results side by side, as channels. Large
# windows are dear, so a 1×1 convolution, a weighted sum over channels at one place, first makes few
# channels of many.
#
# > **Before you run the next cell:** a map has 28×28 places and 192 channels. 32 filters of 5×5 take
# > 28·28 · 25·192·32 = 120 million multiply-adds. What do they take if a 1×1 convolution first leaves
# > 16 channels? Count both convolutions.

# %%
costs = {}
for side, few, filters in ((3, 96, 128), (5, 16, 32)):
    name, places = f"{side}×{side}", 28 * 28 / 1e6
    costs["directly", name] = places * side**2 * 192 * filters
    small = side**2 * few * filters
    costs["after a 1×1 convolution", name] = places * (192 * few + small)
costs = pd.DataFrame({"value": costs, "low": 0.0}).assign(high=lambda t: t["value"])
plots.intervals(costs, label="million multiply-adds for one picture")

# %% [markdown]
# **What you should see:** 12 million in place of 120 for the 5×5, and 101 in place of 173 for the 3×3,
# which keeps 96 channels. The reduction costs a little itself, and it loses something: whatever
# 16 sums cannot tell apart.
#
# Now the whole block, in the widths of the paper's row 3a.


# %%
def conv(x, filters, side):
    return layers.Conv2D(filters, side, padding="same", activation="relu")(x)


x = keras.Input((28, 28, 192))
three, five = conv(conv(x, 96, 1), 128, 3), conv(conv(x, 16, 1), 32, 5)
pooled = layers.MaxPooling2D(3, strides=1, padding="same")(x)
paths = [conv(x, 64, 1), three, five, conv(pooled, 32, 1)]
mine = keras.Model(x, layers.Concatenate()(paths))

# %% [markdown]
# > **Before you run the next cell:** how many channels come out of it?

# %% tags=["nbval-check-output"]
from cnnkit.models.googlenet import ROWS, inception_block

theirs = keras.Model(x, inception_block(x, ROWS["3a"], name="row_3a"))
mine.set_weights(theirs.get_weights())
maps = np.random.default_rng(0).random((1, 28, 28, 192), dtype="float32")
print("out:", mine.output.shape[1:], "parameters:", mine.count_params())
print("same parameters:", mine.count_params() == theirs.count_params())
print("same outputs:", np.allclose(mine(maps), theirs(maps), atol=1e-5))

# %%
anatomy.draw(models.googlenet())

# %% [markdown]
# **What you should see:** 64 + 128 + 32 + 32 = 256 channels, and your block equals the package's.
# Nine such blocks and a few layers more make 7 million parameters; VGG-16 has 138.
#
# ## Deeper, and worse
#
# A net of 56 layers can do all that one of 20 layers can: let 36 layers pass on what they get. So its
# *training* loss should not be higher. In 2015 He and colleagues found that it was.
#
# > **Before you run the next cell:** in a ResNet, two layers compute a change, and a shortcut adds
# > their input to it. Six nets of 20 or 56 layers saw 1,024 photographs of CIFAR-10, at 16×16
# > pixels, six times. Which learnt least? (ln 10 = 2.30 is the loss of guessing.)

# %%
folder = next(f for f in (Path("tables"), Path("../tables")) if f.is_dir())
runs = pd.read_csv(folder / "degradation.csv").rename(columns={"mean": "value"})
losses = runs[runs["measure"] == "training loss"].set_index("net")
plots.intervals(losses, label="training loss: mean of 3 seeds, 95 % interval")

# %% [markdown]
# **What you should see:** with BatchNorm, depth hurts the plain net: a loss near 1.0 with 20 layers, 2.2
# with 56. It fails on the very pictures that it learns from, so this is not overfitting. It is called
# *degradation*. With shortcuts depth helps: 0.2, then 0.05. At 56 layers, shortcuts alone and
# BatchNorm alone stay above 2. Both together learn nearly everything.
#
# Six passes are short. In the paper the plain net of 56 layers has 64,000 steps: it does learn, and
# still stays behind that of 20.
#
# ## Is it the gradient?
#
# The usual answer is "vanishing gradients". We need not believe it: we can measure, in five new nets of
# 56 layers on one batch. BatchNorm yes or no, shortcut yes or no; and a net with neither that starts
# from Keras' default weights, where the others start from He's, which are larger to make up for ReLU.


# %%
from cnnkit.models.blocks import conv_bn
from cnnkit.models.resnet_cifar import conv_without_norm


def by_default(x, filters, side, strides=1, *, relu=True, name):
    relu = "relu" if relu else None
    return layers.Conv2D(filters, side, strides, "same", activation=relu, name=name)(x)


# %%
digits = data.load("digits")
kinds = {
    "neither, default start": (models.plain_cifar, by_default),
    "neither": (models.plain_cifar, conv_without_norm),
    "shortcut only": (models.resnet_cifar, conv_without_norm),
    "BatchNorm only": (models.plain_cifar, conv_bn),
    "both": (models.resnet_cifar, conv_bn),
}

# %% [markdown]
# > **Before you run the next cell:** the gradient comes from the right, from the loss. Which lines will
# > fall on their way to the left, and which will rise?

# %%
flows, batch = {}, next(iter(digits.train))
for name, (build, convolve) in kinds.items():
    keras.utils.set_random_seed(0)
    net = build(56, input_shape=(32, 32, 1), conv=convolve)
    flows[name] = training.gradient_flow(net, batch)
plots.gradient_flow(flows, column="output_gradient")

# %% [markdown]
# **What you should see**, at layer 1 against layer 55:
# - *neither, default start*: falls more than a million times. This gradient vanishes.
# - *neither*: falls 3 to 30 times. He's start is a cure by itself.
# - *shortcut only*: grows over a thousand times. Each block adds to what it got, so sizes
#   multiply.
# - *BatchNorm only*: grows over a thousand times too, about 1.2 times a layer. Yang and colleagues
#   (2019) derive such growth from BatchNorm itself.
# - *both*: grows 10 to 100 times. BatchNorm gives every change the same size, so sums grow in
#   small steps.
#
# > **Before you run the next cell:** that was before training. The recorded nets were measured after
# > it: the gradient at the first convolution, as a multiple of that at the last. Has the plain
# > net's become normal?

# %% tags=["nbval-check-output"]
ratios = runs[runs["measure"] == "gradient ratio after training"].set_index("net")
ratios["value"].map("{:.3g}".format).to_frame("gradient: first / last")

# %% [markdown]
# **What you should see:** 20 to 42 in the nets that learn, over 600 in the plain net of 56 layers. The paper
# reports healthy gradients for 34 layers; ours, so early in training, are not. But size does not
# explain everything: shortcuts without BatchNorm have come down to 19, and still learn badly. With neither,
# the gradient has vanished in training. So where there is BatchNorm nothing vanishes, and the cause of
# degradation is not proved here. Only the cure is measured.
#
# ## ResNet: learn the change
#
# Whatever the cause, He's cure was to make "pass it on" the easiest thing to learn. Here is the block.


# %%
def conv_norm(x):
    x = layers.Conv2D(16, 3, padding="same")(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1.001e-5)(x)


x = keras.Input((8, 8, 16))
change = conv_norm(layers.ReLU()(conv_norm(x)))
mine = keras.Model(x, layers.ReLU()(layers.Add()([x, change])))

# %% [markdown]
# > **Before you run the next cell:** the last BatchNormalization multiplies by `gamma`. We set it to 0.
# > What does the block make of a map without negative numbers?

# %% tags=["nbval-check-output"]
from cnnkit.models.resnet_cifar import residual_block

theirs = keras.Model(x, residual_block(x, 16, 1, name="block"))
mine.set_weights(theirs.get_weights())
maps = np.random.default_rng(0).random((1, 8, 8, 16), dtype="float32")
print("same outputs:", np.allclose(mine(maps), theirs(maps), atol=1e-5))
*_, last_norm, _, _ = mine.layers
last_norm.gamma.assign(np.zeros(16))
print("output is input:", np.array_equal(mine(maps), maps))

# %% [markdown]
# Zeros make it the identity. Without shortcut they make it a wall. Now a small ResNet learns the
# digits at 16 pixels.

# %%
half, labels = digits.pixels[:, ::2, ::2], digits.manifest["label"]
small = data.from_arrays(half, labels, together="same")
keras.utils.set_random_seed(0)
net = models.resnet_cifar(20, input_shape=(16, 16, 1))
history = training.fit(net, small, epochs=6, batch_size=64, verbose=0)
plots.training_curves(history)

# %% [markdown]
# > **Before you run the next cell:** we take one of the nine blocks out of the trained net by zeros as
# > above, then put it back, and take the next. What is left of the accuracy?

# %%
images, truth = data.to_arrays(small, "valid")
found = {"nothing taken out": np.mean(np.argmax(net(images), axis=1) == truth)}
for norm in [layer for layer in net.layers if layer.name.endswith("_2_bn")]:
    kept = norm.get_weights()
    norm.set_weights([0 * kept[0], 0 * kept[1], *kept[2:]])
    block = norm.name.removesuffix("_2_bn")
    found[f"without {block}"] = np.mean(np.argmax(net(images), axis=1) == truth)
    norm.set_weights(kept)
found = pd.DataFrame({"value": found, "low": 0.0}).assign(high=lambda t: t["value"])
plots.intervals(found, label="accuracy on validation pictures")

# %% [markdown]
# **What you should see:** over 0.9 with all blocks. (In the first passes BatchNorm's running averages lag,
# and validation limps.) Without one of the later blocks, 0.75 to 1.0;
# mostly, earlier blocks are missed more, and without the first nearly all may be lost. The later blocks
# correct a little each, and the others go on without them (Veit and colleagues, 2016). A plain net with
# one layer of zeros says the same of every picture.
#
# ## DenseNet: keep everything
#
# ResNet adds, and a sum cannot be taken apart. DenseNet (2017) lays the new channels beside the old
# ones, so that each layer reads all maps before it, as they were. A layer then needs to
# make few new ones, the *growth*: here 12.
#
# > **Before you run the next cell:** 16 channels come in. How many come out after 12 layers?

# %% tags=["nbval-check-output"]
maps = x = keras.Input((32, 32, 16))
for _ in range(12):
    new = layers.ReLU()(layers.BatchNormalization()(maps))
    new = layers.Conv2D(12, 3, padding="same", use_bias=False)(new)
    maps = layers.Concatenate()([maps, new])
mine = keras.Model(x, maps)
rows = anatomy.table(models.densenet_cifar(40))
block = rows[rows.index.str.startswith("block1")]
print("mine:   ", maps.shape[1:], mine.count_params())
print("package:", block["shape"].iloc[-1], block["parameters"].sum())

# %%
anatomy.draw(models.densenet_cifar(40))

# %% [markdown]
# > **Before you run the next cell:** which of three nets for small pictures has most parameters, and
# > which needs most memory for its maps in training?

# %% tags=["nbval-check-output"]
sums = {}
for network in (
    models.googlenet_cifar(input_shape=(32, 32, 3)),
    models.resnet_cifar(56),
    models.densenet_cifar(40),
):
    totals = anatomy.totals(anatomy.table(network))
    sums[network.name] = totals[:3].astype(float) / 1e6
pd.DataFrame(sums).T.round(2).add_suffix(", millions")

# %% [markdown]
# **What you should see:** 16 + 12·12 = 160 channels, and DenseNet's 1.0 million parameters near ResNet's
# 0.9. Its maps take 29 MB for one picture, nearly four times ResNet's. A batch of 32 takes
# 0.9 GB in training: each `Concatenate` copies all that came before. (Cleverer programs share that
# memory.)
#
# ## Exercise: the weights of a dense block
#
# Write `dense_weights(channels, num_layers, growth)`: how many weights all 3×3 kernels of a dense block
# have, if `channels` come in and each of its `num_layers` layers adds `growth` channels. There is no
# bias, and BatchNormalization does not count. On paper first: 16 channels, 2 layers, growth 12.


# %%
def dense_weights(channels, num_layers, growth):
    ### BEGIN SOLUTION
    return sum(9 * (channels + i * growth) * growth for i in range(num_layers))
    ### END SOLUTION


exercises.check("17", dense_weights)

# %% [markdown]
# ## Common mistakes
# - *Adding maps of different shapes.* Where a block halves the map, its shortcut must too: by a 1×1
#   convolution with stride 2 (ResNet-50), or by leaving out every second place (the nets above).
# - *A ReLU on the change, before the sum.* It could then only make values larger.
# - *"Deep nets fail because gradients vanish."* Sometimes. Measure before you say it.
#
# ## Key points
# - A 1×1 convolution makes channels fewer, so that a large window behind it is cheap.
# - Worse on training pictures with more layers: that is degradation, not overfitting.
# - A shortcut makes "change nothing" the easy answer. Concatenation keeps every map, and pays in memory.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("17-deeper")
