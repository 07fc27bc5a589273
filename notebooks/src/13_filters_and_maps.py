# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 13 · What filters and feature maps learn
#
# You will open a trained network, follow one picture through it, and measure three things that books claim:
# that deep layers know more, that maps move with the picture, and that answers do not.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 40 min: 30 together, 10 exercise | lessons 02 to 04 | 35 to 60 CPU-seconds, no network | drawn road signs |
#
# **Afterwards you can**
# 1. draw filters and feature maps, and say what of the picture is left in each layer,
# 2. count what a small window and shared weights save,
# 3. measure how far a picture may be moved or turned before answers change.

# %% tags=["nbval-ignore-output"]
import keras
import numpy as np
import pandas as pd

from cnnkit import data, evaluation, exercises, explain, models, plots, training

names = data.signs.CLASS_NAMES
world = data.signs.draw(900, size=48, seed=13)
new = data.signs.draw(240, size=48, seed=31)

# %% [markdown]
# ## The filters of the first layer
#
# In lesson 02 you designed an edge filter. Here nobody designs: the filters begin as random numbers. We
# keep a copy of them, train, and look at both.


# %%
def learn(policy=None):
    test = new.images, new.labels
    photos = data.from_arrays(world.images, world.labels, class_names=names, test=test)
    keras.utils.set_random_seed(0)
    shape = {"num_classes": 12, "input_shape": (48, 48, 3)}
    model = models.small_cnn(**shape, widths=(16, 32, 64))
    untrained = keras.models.clone_model(model)
    untrained.set_weights(model.get_weights())
    training.fit(model, photos, epochs=10, augment=policy, verbose=0)
    return model, untrained


# %%
model, untrained = learn()
said = model.predict(new.images, verbose=0).argmax(axis=1)
print(f"accuracy on new signs: {(said == new.labels).mean():.2f}")

# %% [markdown]
# > **Before you run the next cell:** eight filters, untrained above and trained below. Will you see a
# > difference?

# %%
kernels = [explain.filters(net)[..., :8] for net in (untrained, model)]
plots.filters(np.concatenate(kernels, axis=-1))

# %% [markdown]
# **What you should see:** hardly one. Filter 8 is filter 0 after training, and so on: some colours have
# changed, and the lower row looks as random as the upper. Nine places are too few to see a shape. The
# famous edges and colour spots (Krizhevsky and others, 2012) come from windows of 11 × 11 and a million
# photographs. So do not ask how a small filter looks. Ask what it answers.
#
# ## From layer to layer
#
# Here is one sign, and the 16 maps that the first stage makes of it.

# %%
one = slice(2, 3)
plots.image_grid(new.images[one], titles=[names[new.labels[2]]])

# %%
plots.feature_maps(explain.feature_maps(model, new.images[one], layer="stage1_relu"))

# %% [markdown]
# > **Before you run the next cell:** two stages later the map has 6 × 6 places and 64 channels. Will you
# > still know which sign it is?

# %%
plots.feature_maps(explain.feature_maps(model, new.images[one], layer="features"))

# %% [markdown]
# **What you should see:** first, many drawings of the same picture: edges of one direction, one colour,
# bright on dark. At the end no drawing is left. A few channels are bright, most are dark, and the bright
# ones say *what*, with a rough *where*.
#
# Does the network know more there? Measure it. Average each map over its places, and give the numbers to a
# simple linear classifier: can it read off the sign? The background (sky, road, leaves, houses, bricks)?
#
# > **Before you run the next cell:** which of the two will become easier from layer to layer, and which
# > harder?

# %%
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis


def told(net, layer, what):
    first, later = (
        explain.feature_maps(net, drawn.images, layer=layer).mean(axis=(1, 2))
        for drawn in (world, new)
    )
    probe = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return probe.fit(first, world.attributes[what]).score(later, new.attributes[what])


# %%
layers = ["stage1_relu", "stage2_relu", "stage3_relu", "features"]
columns = {
    "sign": [told(model, layer, "sign") for layer in layers],
    "background": [told(model, layer, "background") for layer in layers],
    "sign, untrained": [told(untrained, layer, "sign") for layer in layers],
}
pd.DataFrame(columns, index=layers).round(2)

# %% [markdown]
# **What you should see:** the sign rises from about 0.3 to more than 0.7, and most of it has come by the
# third stage. The background goes the other way: half of them at first (guessing gives one in five), 0.25
# to 0.45 at the end. The network had no use for it. In the untrained network the sign stays at about 0.3 or
# below: **depth alone knows little. Training makes the deep layers know.**
#
# ## What excites a unit
#
# A channel of the last map is hard to look at. So ask it: which of the 900 training pictures excite you
# most? One row for each of four channels.

# %%
pooled = explain.feature_maps(model, world.images).mean(axis=(1, 2))
units = pooled.std(axis=0).argsort()[-4:]
top = pooled[:, units].argsort(axis=0)[:-9:-1].T.ravel()
plots.image_grid(
    world.images[top], titles=[names[k] for k in world.labels[top]], columns=8
)

# %% [markdown]
# **What you should see:** most rows hold one kind of sign, or signs that look alike to a unit: all that is
# blue and square, or a red ring with figures. Nobody labelled these channels, and few mean one class alone.
#
# Or let it paint. From grey noise, climb the gradient of a class: *activation maximisation*.
#
# > **Before you run the next cell:** will you recognise the signs?

# %%
classes = [
    names.index(name) for name in ("give way", "priority road", "stop", "turn left")
]
painted = [explain.maximise_activation(model, "logits", k, steps=64) for k in classes]
sure = model.predict(np.stack(painted), verbose=0)[range(4), classes]
plots.image_grid(
    painted, titles=[f"{names[k]}: {p:.2f}" for k, p in zip(classes, sure, strict=True)]
)

# %% [markdown]
# **What you should see:** stripes and spots in the right colours, blue for "turn left", red and pink for
# "stop", and a probability of nearly 1. No sign. The network has learnt what tells these twelve classes
# apart, and that is less than what a sign is. On large networks such pictures show eyes and wheels (Olah
# and others, 2017). On ours, do not expect them.
#
# ## The same weights everywhere
#
# Why does a convolution have so few weights? It looks through a small window, and it uses the same weights
# at each place. A dense layer that makes the same 48 × 48 × 16 map has a weight for each pair of input and
# output.

# %% tags=["nbval-check-output"]
shared = model.get_layer("stage1_conv").count_params()
dense = (48 * 48 * 3 + 1) * (48 * 48 * 16)
print(f"convolution {shared:,}, dense layer {dense:,}")

# %% [markdown]
# Sharing has a second gift: what is learnt at one place is known at all. Shift the picture, and the map
# shifts with it. That is **equivariance**.
#
# > **Before you run the next cell:** we shift the sign by 8 pixels and subtract the shifted map of the old
# > picture. Where will the difference not be zero?

# %%
moved = np.roll(new.images[one], 8, axis=2)
old = explain.feature_maps(model, new.images[one], layer="stage1_conv")[..., 0]
now = explain.feature_maps(model, moved, layer="stage1_conv")[..., 0]
maps = np.concatenate([old, now, now - np.roll(old, 8, axis=2)])
maps = (127.5 + 127 * maps / abs(maps).max()).round()  # grey is 0
titles = ["map of the sign", "map of the shifted sign", "difference"]
plots.image_grid(maps, titles=titles)

# %% [markdown]
# **What you should see:** grey is zero, so the difference is zero, exactly, but for a thin line or two.
# There the picture had its border, and beyond a border there are no pixels.
#
# And after pooling? The next table gives the difference in the middle of the picture, as a share of the
# map's mean size.
#
# > **Before you run the next cell:** each pooling halves the map. Which shifts will a map follow that has
# > been halved three times?


# %%
def apart(layer, stride, shift):
    pair = (new.images[:32], np.roll(new.images[:32], shift, axis=2))
    old, now = (explain.feature_maps(model, images, layer=layer) for images in pair)
    old = np.roll(old, round(shift / stride), axis=2)
    middle = slice(24 // stride, 32 // stride)
    return abs(now - old)[:, :, middle].mean() / abs(old).mean()


# %%
steps = {"stage1_conv": 1, "stage1_relu": 2, "stage2_relu": 4, "stage3_relu": 8}
table = {s: [apart(*item, s) for item in steps.items()] for s in (1, 2, 4, 8)}
pd.DataFrame(table, index=list(steps)).rename_axis(columns="shift").round(2)

# %% [markdown]
# **What you should see:** zeros for the first layer. After one pooling a shift by one pixel gives 0.3 to
# 0.4, a shift by two gives 0. Each pooling by 2 doubles the step, and between the steps the deep maps
# differ by about half of their size. Equivariance is exact for whole steps alone (Azulay and Weiss, 2019).
#
# ## How far may it be moved?
#
# Equivariant maps, then an average over all places: the answer should not depend on where the sign is. The
# books say *translation invariant*. Measure it. `same` is the share of pictures that keep their answer,
# right or wrong.
#
# > **Before you run the next cell:** a shift by 0.02 of the side is about one pixel. How many of 100
# > answers will change?

# %%
table = evaluation.invariance(model, new.images, new.labels)
print(f"same answer after one pixel: {table.loc[('translation', 0.02), 'same']:.2f}")
plots.invariance(table)

# %% [markdown]
# **What you should see:** translation costs only a few points of accuracy, even by 0.15 of the side. But a
# single pixel changes 7 to 11 answers of 100. Accuracy hides most of it, as some change for the better:
# invariant *on average*, not for your picture. Rotation is another matter: at 45° the accuracy is half of
# what it was. No layer shares weights over angles.
#
# What a network does not have built in, it must see in training. We train once more, on signs turned by up
# to 30°.
#
# > **Before you run the next cell:** what will that gain, and what will it cost?

# %%
from cnnkit import augment

turner, _ = learn(augment.rotation(30))
degrees = {"rotation": (0, 10, 20, 30, 45, 60, 90)}
both = {}
for name, net in {"trained upright": model, "trained turned": turner}.items():
    table = evaluation.invariance(net, new.images, new.labels, amounts=degrees)
    both[name] = table.loc["rotation"]
plots.intervals(pd.concat(both), label="accuracy; rows: degrees")

# %% [markdown]
# **What you should see:** upright it costs 5 to 10 points: the same ten epochs must now teach more. From
# 30° to 60° it gains 4 to 12. The intervals overlap: with 240 pictures, one row proves little. Turn your
# training pictures as far as your camera turns, no further.
#
# ## Exercise: what sharing saves
#
# Write `weights(side, window, channels, filters)` for a map that is as large as the picture, `side` by
# `side`, without biases. Return three numbers: the weights of a convolution; of the same small window with
# weights of its *own* at each place; of a dense layer.


# %%
def weights(side, window, channels, filters):
    ### BEGIN SOLUTION
    shared, places = window**2 * channels * filters, side**2
    return shared, shared * places, places * channels * places * filters
    ### END SOLUTION


exercises.check("13", weights)

# %% [markdown]
# ## Common mistakes
# - *A map that is all dark is a mistake.* ReLU makes it dark where the feature is missing.
# - *A unit that likes parking signs is a parking detector.* It may like every blue square.
# - *Testing on shifted copies with black edges.* The edge is a new clue; mirror the picture.
#
# ## Key points
# - Early maps draw the picture, late maps name what is in it.
# - Small windows and shared weights save weights; sharing makes maps move with the picture.
# - Invariance is a number to measure, not a property to believe.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("13-shift")
