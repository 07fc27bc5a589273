# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 15 · Explorer: one picture through your own network
#
# You will build a network of your own, send one picture through it, open any unit you like, and compute by
# hand, to four digits, what it says: one pixel, one logit, and in the end all of it.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 40 min: 25 together, 15 exercise | lessons 02 to 04 | 20 to 30 CPU-seconds, no network | drawn road signs |
#
# **Afterwards you can**
# 1. look at every layer of any Keras classifier, and say what to look for,
# 2. reproduce a value of a map and a logit with NumPy,
# 3. name the channel that made a wrong answer.

# %% tags=["nbval-ignore-output"]
import keras
import numpy as np
from keras import layers

from cnnkit import data, exercises, explain, explorer, training
from cnnkit.explorer import by_hand, widgets

names = data.signs.CLASS_NAMES
world = data.signs.draw(900, size=48, seed=15)
new = data.signs.draw(240, size=48, seed=51)

# %% [markdown]
# ## A network of your own
#
# Three convolutions, nothing hidden. The last pooling keeps one number of each map: its largest.

# %%
keras.utils.set_random_seed(0)
body = [
    layers.Rescaling(1 / 127.5, offset=-1, name="rescale"),
    *(layers.Conv2D(12, 3, activation="relu", name="conv1"), layers.MaxPooling2D()),
    *(layers.Conv2D(24, 3, activation="relu", name="conv2"), layers.MaxPooling2D()),
    layers.Conv2D(48, 3, activation="relu", name="conv3"),
    layers.GlobalMaxPooling2D(name="pooled"),
]
head = [layers.Dense(12, name="logits"), layers.Softmax(name="probabilities")]
model = keras.Sequential([keras.Input((48, 48, 3)), *body, *head])

# %% tags=["nbval-ignore-output"]
test = new.images, new.labels
photos = data.from_arrays(world.images, world.labels, class_names=names, test=test)
_ = training.fit(model, photos, epochs=12, verbose=0)

# %%
answers = model.predict(new.images, verbose=0)
right = answers.argmax(axis=1) == new.labels
sure = answers.max(axis=1)
print(f"accuracy on new signs: {right.mean():.2f}")

# %% [markdown]
# ## The whole way in one figure
#
# We take a sign that the network knows well. Each row below is a layer, from the picture to the answer.
# Of each layer you see the eight strongest channels. White is 0, red above, blue below.
#
# > **Before you run the next cell:** which is the last row in which you will recognise the sign? From which
# > row on will there be no blue?

# %%
best = int(np.argmax(sure * right))
picture = new.images[best]
explorer.overview(model, picture, class_names=names)

# %% [markdown]
# **What you should see:** `conv1` draws the sign eight times: its rim, its surface, its ground. In `conv2`
# you still find it. `conv3` has 8 × 8 places, and of the sign only bands and blobs are left. Blue ends after
# `rescale`, as each convolution has a ReLU. It returns in the logits: negative numbers speak against a class.
#
# Each row has its own scale of colours, so that you can see the faintest map. That hides something.
#
# > **Before you run the next cell:** now one scale for the whole network. Will the maps become paler from
# > layer to layer, or darker?

# %%
explorer.overview(model, picture, class_names=names, colours="network", channels=4)

# %% [markdown]
# **What you should see:** darker, as the numbers grow on the way. Nobody asked for that: training wants large
# differences between logits, and each layer does its share. The same as a table, for this picture:

# %%
explorer.layer_table(model, picture).round(2)

# %% [markdown]
# ## One pixel by hand
#
# Which value of `conv1` is the largest of all? We open it.

# %%
maps = explain.feature_maps(model, picture[np.newaxis], layer="conv1")[0]
row, column, channel = map(int, np.unravel_index(maps.argmax(), maps.shape))
place = {"row": row, "column": column, "channel": channel}
explorer.unit_step(model, picture, "conv1", **place)

# %% [markdown]
# **What you should see:** look at the window, then at the signs of the kernel. A kernel that is nearly all
# red answers to brightness, and stands on the brightest spot. One with red beside blue answers to a change,
# and stands on an edge. Both have three channels, so there are 27 products. The figure adds those of the
# three channels, to nine.
#
# > **Before you run the next cell:** what else is added to the 27 products, and what is done with the sum?

# %% tags=["nbval-check-output"]
kernels, biases = model.get_layer("conv1").get_weights()
scaled = picture / 127.5 - 1
window = scaled[row : row + 3, column : column + 3]
total = (window * kernels[..., channel]).sum() + biases[channel]
pixel = max(total, 0)
print(window.size, np.isclose(pixel, maps[row, column, channel], atol=1e-4))

# %% [markdown]
# 27 numbers, and the value that Keras has. Padding is "valid", so the window of row r begins in row r.
#
# Now choose a layer, a channel and a place yourself, with your keyboard if you like. Take another picture
# from the menu, or one of your own files: it is brought to the size that the model takes.

# %%
widgets.overview(model, new.images[:8], names)

# %% [markdown]
# ## One logit by hand
#
# At the end stand 48 numbers, the largest value of each map of `conv3`. The logit of a class is a weighted
# sum of them.

# %%
k = int(new.labels[best])
explorer.unit_step(model, picture, "logits", channel=k, class_names=names)

# %% [markdown]
# **What you should see:** the eight largest of 48 terms. A strong channel with a weight near zero would add
# nothing: **what counts is value times weight, not the value.** And look at "all others": 40 small terms
# together can weigh as much as the largest three.
#
# > **Before you run the next cell:** these are all layers, in NumPy. Which of them have no weights, and
# > change the numbers all the same?


# %% tags=["nbval-check-output"]
def weights(name):
    return model.get_layer(name).get_weights()


x = by_hand.relu(by_hand.convolve(scaled, *weights("conv1")))
x = by_hand.relu(by_hand.convolve(by_hand.max_pool(x), *weights("conv2")))
x = by_hand.relu(by_hand.convolve(by_hand.max_pool(x), *weights("conv3")))
logits = by_hand.dense(x.max(axis=(0, 1)), *weights("logits"))
print(np.allclose(by_hand.softmax(logits), answers[best], atol=1e-4))

# %% [markdown]
# True. ReLU, pooling and softmax have nothing to learn, and without them the rest would be one sum. You have
# computed your whole network without Keras.
#
# ## When it is wrong
#
# Here is the mistake of which the network was surest.

# %%
worst = int(np.argmax(sure * ~right))
said, truth = int(answers[worst].argmax()), int(new.labels[worst])
title = f"{names[truth]}, and it said {names[said]} ({sure[worst]:.2f})"
explorer.show(new.images[worst], title=title)

# %% [markdown]
# > **Before you run the next cell:** these are the terms of the wrong class. Is the largest of them the one
# > to blame?

# %%
explorer.unit_step(model, new.images[worst], "logits", channel=said, class_names=names)

# %% [markdown]
# **What you should see:** a few large terms. But you cannot tell from them alone: a channel that adds 3 to
# the wrong class and 3 to the right one has decided nothing. Only differences decide. That is your exercise.
#
# ## Exercise: who tipped the balance?
#
# Write `tipped(values, weights, said, truth)`. `values` has shape (channels,), `weights` (channels, classes).
# Return two numbers: the channel that speaks most for `said` against `truth`, and by how much it
# widens the gap between the two logits. Start on paper: values 2 and 1, weights 1 and 4 for `said`, 0 and 1
# for `truth`.


# %%
def tipped(values, weights, said, truth):
    ### BEGIN SOLUTION
    gaps = values * (weights[:, said] - weights[:, truth])
    return gaps.argmax(), gaps.max()
    ### END SOLUTION


exercises.check("15", tipped)

# %% [markdown]
# Then use it: take `values` from `explain.feature_maps(model, new.images[[worst]], layer="pooled")[0]`, the
# weights from `weights("logits")[0]`, and open the channel with `explorer.unit_step` in layer "pooled".
# The frame shows the place that misled the network.
#
# ## Common mistakes
# - *Forgetting that the model scales pixels.* `conv1` sees numbers from −1 to 1, not 0 to 255.
# - *A pale map means a useless channel.* It may have a large weight, or matter for another picture.
# - *Forgetting the bias*, and then looking for the error in the kernel.
# - *An explanation of one picture is one of the network.* You have followed 1 of 240 signs.
#
# ## Key points
# - Every number in a network is a short sum that you can check.
# - Colour scales decide what you see: by layer for patterns, by network for sizes.
# - A class wins by differences: value times (weight of one class minus weight of the other).
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("15-zero")
