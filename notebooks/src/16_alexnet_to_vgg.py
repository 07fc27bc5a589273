# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 16 · AlexNet to VGG
#
# You will find out where two famous networks keep their weights and where they spend their time, build
# the second one by hand, and measure what it costs to bring a picture to the size that a network wants.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 45 min: 32 together, 13 exercise | lessons 04 and 05 | 45 to 60 CPU-seconds, no network | drawn road signs, recorded runs on photographs |
#
# **Afterwards you can**
# 1. say what a stack of small convolutions sees, and what it weighs against a large one,
# 2. say which layers of a network hold its weights, and which its work,
# 3. choose between squeezing, cropping, padding and native size by a measured table.

# %% tags=["nbval-ignore-output"]
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers

from cnnkit import data, evaluation, exercises, models, plots, training
from cnnkit.models import anatomy

# %% [markdown]
# ## 2012: AlexNet
#
# Until 2012, people designed features by hand and let a classifier choose among them. Then a network of
# eight layers learned its features from 1.2 million photographs, on two graphics cards, and the error of
# the contest's winner fell from 26 % to 15 %. Its first window has 11×11 pixels and moves 4 at a time,
# without a border.
#
# > **Before you run the next cell:** the paper says that pictures have 224 pixels and the first map 55
# > places. Does that fit? (side − 11) / 4 + 1.

# %% tags=["nbval-check-output"]
for side in (224, 227):
    print(f"{side} pixels: {(side - 11) / 4 + 1} places")

# %% [markdown]
# It does not. The 224 is a slip that has stood in print since; 227 fits.

# %%
alexnet = models.alexnet()
anatomy.draw(alexnet, title="AlexNet")

# %% [markdown]
# (It counts eight convolutions in place of five: three are split in halves, one for each card.)
#
# > **Before you run the next cell:** five convolutions, three dense layers, 61 million weights in all.
# > Which of them hold the weights? And which do the multiplying?

# %%
rows = anatomy.table(alexnet).query("multiply_adds > 0")
rows = rows.groupby(lambda name: name.split("_")[0], sort=False)  # joins the halves
shares = rows[["parameters", "multiply_adds"]].sum().apply(lambda c: c / c.sum())
shares.columns = ["weights", "multiply-adds"]
shares = shares.unstack().to_frame("value")
shares = shares.assign(low=0.0, high=shares["value"])
plots.intervals(shares, label="share of the whole network")

# %% [markdown]
# **What you should see:** the three dense layers ("hidden", "pooled" and "logits") hold 96 % of the
# weights and do 8 % of the work. A convolution uses each weight at every place of its map; a dense layer
# uses each weight once.
#
# | Idea of 2012 | Because, says the paper | What became of it |
# |---|---|---|
# | ReLU | the slope of tanh is near 0 for large sums | everywhere |
# | dropout | 59 million dense weights learn pictures by heart | stayed, in the last layers |
# | pooling windows of 3, stride 2: they overlap | 0.4 points less error | rare |
# | strong neighbour channels damp each other (response normalisation) | 1.4 points less error | VGG measured no gain; batch normalisation replaced it |
#
# ## VGG: only 3×3
#
# Two years later a group in Oxford asked: why 11, why 5? They took the smallest window that has a middle,
# again and again. What does a pixel of the third map depend on? The gradient tells: it is zero for pixels
# that do not count.
#
# > **Before you run the next cell:** for how many pixels is it not zero, after one, two, three convolutions?

# %% tags=["nbval-check-output"]
seen, picture = [], tf.ones((1, 9, 9, 1))
stack = keras.Sequential([keras.Input((9, 9, 1))])
for _ in range(3):
    stack.add(layers.Conv2D(1, 3, padding="same", kernel_initializer="ones"))
    with tf.GradientTape() as tape:
        tape.watch(picture)
        middle = stack(picture)[0, 4, 4, 0]
    seen.append(tape.gradient(middle, picture)[0, ..., 0].numpy())
    print(np.count_nonzero(seen[-1]), anatomy.table(stack)["receptive_field"].iloc[-1])

# %%
titles = ["one 3×3", "two 3×3", "three 3×3"]
plots.image_grid([255 * g / g.max() for g in seen], titles=titles, columns=3)

# %% [markdown]
# **What you should see:** windows of 3×3, 5×5 and 7×7, as `anatomy` says. The middle counts most: 1, 9
# and 49 paths lead from there. With 64 channels in and out, a 5×5 has 25·64·64 = 102,400 weights and two
# 3×3 have 18·64·64 = 73,728. And between the two there is room for one more ReLU.
#
# Now VGG-16 by hand. Five stages, each ends with a halving. An average over all places replaces the dense
# layers, as in `vgg_pooled`.


# %%
def vgg_by_hand():
    inputs = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    for filters, times in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(times):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(12, activation="softmax")(x))


# %% tags=["nbval-check-output"]
mine = vgg_by_hand()
theirs = models.vgg_pooled(16, num_classes=12, input_shape=(None, None, 3))
mine.set_weights(theirs.get_weights())
few = data.signs.draw(2, size=48, seed=16).images.astype("float32")
print(mine.count_params(), theirs.count_params())
print(np.allclose(mine(few), theirs(few), atol=1e-5))

# %% [markdown]
# Same weights, same answers. The VGG of the paper has dense layers. What do they add to 15 million?

# %%
anatomy.draw(models.vgg(16), title="VGG-16")

# %% [markdown]
# **What you should see:** 138 million weights, 103 of them in one layer: 7·7·512 numbers go into 4,096.
# Dense layers hold nine in ten weights again, and do less than 1 % of the work. Uniform, easy to
# remember, and heavy.
#
# ## Is it the ReLU?
#
# Books say: two 3×3 beat one 5×5 because of the ReLU between them. That can be tested. Leave the ReLU
# out, and the two are one 5×5, written as a product.
#
# > **Before you run the next cells:** put the three in order of accuracy.


# %%
def small_net(kernel, endings):
    x = inputs = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    for filters in (12, 24, 48):
        for ending in endings:
            options = {"activation": ending, "kernel_initializer": "he_normal"}
            x = layers.Conv2D(filters, kernel, padding="same", **options)(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(12, activation="softmax")(x))


# %%
names = data.signs.CLASS_NAMES
world, test = (data.signs.draw(n, size=24, seed=n) for n in (2000, 600))
tests = (test.images, test.labels)
photos = data.from_arrays(world.images, world.labels, class_names=names, test=tests)


def accuracy(net, images):
    said = net.predict(images.astype("float32"), verbose=0)
    return evaluation.scores(test.labels[: len(said)], said).iloc[0]


# %%
nets = {"5×5": (5, ["relu"]), "3×3, ReLU, 3×3": (3, ["relu", "relu"])}
nets["3×3, 3×3"], found = (3, [None, "relu"]), {}
for name, way in nets.items():
    keras.utils.set_random_seed(0)
    net = small_net(*way)
    training.fit(net, photos, epochs=8, learning_rate=6e-3, verbose=0)
    found[name] = accuracy(net, test.images)
    print(f"{name}: {net.count_params():,} weights")
plots.intervals(pd.DataFrame(found).T, label="accuracy on 600 new signs")

# %% [markdown]
# **What you should see:** the pair *without* the ReLU in front, at 0.77 to 0.85. With five seeds we saw
# 0.65 to 0.74 for the 5×5, 0.66 to 0.78 for the pair with the ReLU, 0.80 to 0.83 for the pair without.
# So here the ReLU is not what helps. The product itself learns faster, and eight epochs reward that. This
# says little about 16 layers and days of training. It does say: test such a sentence before you repeat
# it.
#
# And the weights are no fewer. 18 against 25 holds where as many channels go in as come out. Where a
# stage doubles them, it is 27 against 25.
#
# ## One network, every size
#
# > **Before you run the next cell:** the picture gets twice as high and twice as wide. What happens to the
# > first dense layer?

# %% tags=["nbval-check-output"]
for side in (32, 64, 96, None):
    try:
        flat = models.alexnet_cifar(num_classes=12, input_shape=(side, side, 3))
        print(f"{side}: {flat.get_layer('hidden').count_params():,} weights")
    except ValueError:
        print(f"{side}: refused")

# %% [markdown]
# `Flatten` ties a network to one size. An average over all places gives one number a channel, whatever
# the size: the small nets above say `None`, and take any picture. But is any size as good?
#
# Recorded runs on 1,423 photographs of flowers, about 256×180, with a frozen MobileNet. *Resize*
# squeezes them to 160×160, *crop* cuts the sides off, *pad* adds a border. Two controls: *own shape* has
# the area of 160×160 and is not squeezed; *resize to 215* is squeezed, with as many pixels as *native*.
#
# > **Before you run the next cell:** what costs more, a wrong shape or fewer pixels?

# %%
folder = next(f for f in (Path("tables"), Path("../tables")) if f.is_dir())
runs = pd.read_csv(folder / "input_size.csv").rename(columns={"mean": "value"})
alike = runs[runs["measure"] == "minus resize"].set_index("tested")
plots.intervals(
    alike, label="accuracy minus that of resize (0.81), with its 95 % interval"
)

# %% [markdown]
# **What you should see:** fewer pixels. *Own shape* gains nothing over squeezing, here where hardly a
# photograph is longer than 3:2. Padding costs 1 to 4 points, in white as in grey: the flower gets
# smaller. More pixels gain 1 to 5 points, squeezed or not, for 1.8 times the work. Native pictures also
# go through one by one, as their sizes differ.
#
# > **Before you run the next cell:** somebody trains on native pictures and tests on padded ones. What
# > happens?

# %%
two = runs[runs["trained"].isin(["resize", "native"]) & (runs["measure"] == "accuracy")]
two = two.replace({"trained": {n: f"trained on {n}" for n in ("resize", "native")}})
plots.intervals(
    two.set_index(["trained", "tested"]), label="accuracy, tested as the row says"
)

# %% [markdown]
# **What you should see:** trained on native and tested on padded, 9 points are gone, and nothing warns
# you. Decide once, and do the same in training and in use.
#
# Now your own net, the last of the three. It has seen signs in 24×24 only. We draw the same scenes in
# 48×48, or put a border around the 24×24.


# %%
def framed(side, grey):
    edge = ((side - 24) // 2,) * 2
    small = test.images[:300]
    return np.pad(small, [(0, 0), edge, edge, (0, 0)], constant_values=grey)


sizes = {"drawn larger": lambda n: data.signs.draw(300, size=n, seed=600).images}
sizes |= {"grey border": lambda n: framed(n, 127)}
sizes |= {"white border": lambda n: framed(n, 255)}

# %%
shown = [test.images[5], *(fit(48)[5] for fit in sizes.values())]
plots.image_grid(shown, titles=["24×24", *(f"48×48, {name}" for name in sizes)])

# %% [markdown]
# > **Before you run the next cell:** the network takes all four. Which does it still know?

# %%
results = {}
for name, fit in sizes.items():
    for side in (24, 36, 48, 96):
        results[name, f"{side}×{side}"] = accuracy(net, fit(side))
plots.intervals(pd.DataFrame(results).T, label="accuracy on 300 new signs")

# %% [markdown]
# **What you should see:** drawn larger, from about 0.8 down to 0.45 to 0.6 at 48 pixels and 0.2 to 0.35
# at 96. A place of the last map sees 36 pixels: all of a sign then, a piece of a large one now.
#
# With a border the signs keep their size, and yet accuracy falls: at 48 pixels three in four places of
# the average lie on the border. White is far worse than grey. Grey is what this net knows from its own
# rims: `padding="same"` adds zeros, and `Rescaling` makes 0 of 127.
#
# ## Exercise: what a stack sees, and what it weighs
#
# Write `stacked(n, kernel, channels)` for `n` convolutions in a row with windows of `kernel`×`kernel`,
# stride 1, and `channels` channels in and out of each. Return two numbers: the side of the window that
# they see together, and how many weights their kernels hold, without biases. Start with the 5 and the
# 73,728 from above.


# %%
def stacked(n, kernel, channels):
    ### BEGIN SOLUTION
    return n * (kernel - 1) + 1, n * kernel**2 * channels**2
    ### END SOLUTION


exercises.check("16", stacked)

# %% [markdown]
# ## Common mistakes
# - *Fewer weights, so faster.* `vgg_pooled` has a ninth of VGG-16's weights and 99 % of its work.
# - *It takes every size, so every size is fine.* A network knows things in the sizes it has seen.
# - *The receptive field is what a place sees.* It is the most that it can see. The middle counts most,
#   and the rim hardly.
#
# ## Key points
# - Dense layers hold the weights, convolutions do the work.
# - n windows of k×k see n·(k − 1) + 1 pixels.
# - An average in place of `Flatten` frees the size. What it costs to fit a picture is pixels, more than
#   shape.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("16-photo")
