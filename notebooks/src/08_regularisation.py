# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 08 · Regularisation
#
# You will take five methods against overfitting apart, each down to one line of mathematics, and see in a
# measured table what each of them buys, and what it does not.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 40 min: 28 together, 12 exercise | lesson 05 | 15 to 40 CPU-seconds, no network | scikit-learn's digits, recorded runs on Fashion-MNIST |
#
# **Afterwards you can**
# 1. compute what dropout, weight decay and label smoothing do, and check it against Keras,
# 2. say why L2 and weight decay are not the same in Adam,
# 3. choose a method by the gap that you see, and know what to expect of it.

# %% tags=["nbval-ignore-output"]
import dataclasses
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from keras import layers
from sklearn.datasets import load_digits

from cnnkit import data, exercises, plots

# %% [markdown]
# A small residual net saw 500 pictures of Fashion-MNIST 20 times. We recorded its accuracy on these
# pictures, and on 10,000 others.
#
# > **Before you run the next cell:** how far apart are the two? And with 2,000 pictures?

# %%
folder = next(f for f in (Path("tables"), Path("../tables")) if f.is_dir())
runs = pd.read_csv(folder / "regularisation.csv").rename(columns={"mean": "value"})
runs = runs.set_index(["measure", "way"])
both = ["training accuracy", "test accuracy"]
gap = runs.loc[[(m, w) for m in both for w in ("nothing", "four times the pictures")]]
plots.intervals(gap, label="mean of three seeds, with its 95 % interval")

# %% [markdown]
# **What you should see:** all 500 pictures right in training, and over 20 points less in the test. Four
# times the pictures close part of that gap.
#
# To regularise is to make learning by heart harder than learning. It costs training accuracy. It pays
# where the gap is.
#
# ## Dropout
#
# In each training step every feature is set to 0 with probability p, and what is left is divided by
# 1 − p:
#
# ```
# y = m · x / (1 − p)        m = 1 with probability 1 − p, else 0
# ```
#
# No feature can rely on another one being there (Srivastava and colleagues, 2014).
#
# > **Before you run the next cell:** all features are 1, and p is 0.2. Which values come out, and what is
# > their mean?


# %%
def dropout(x, rate, draws):
    return np.where(draws < rate, 0, x / (1 - rate))


# %% tags=["nbval-check-output"]
x = np.ones((1000, 100), "float32")
mine = dropout(x, 0.2, np.random.default_rng(0).random(x.shape))
layer = layers.Dropout(0.2, seed=0)
theirs = layer(x, training=True).numpy()
print("values:", np.unique(mine).round(2), np.unique(theirs).round(2))
print(f"share of zeros: {np.mean(mine == 0):.1f} {np.mean(theirs == 0):.1f}")
print(f"mean: {mine.mean():.1f} {theirs.mean():.1f}")
print("in prediction nothing changes:", np.array_equal(layer(x, training=False), x))

# %% [markdown]
# **What you should see:** 0 and 1.25, one fifth of zeros, and a mean of 1. That is what the division is
# for: the next layer sees the same size in training and in prediction, where all features are on.
#
# To see it, we drop pixels of a digit. In a net you would drop features.

# %%
digits, rng = load_digits(), np.random.default_rng(5)
digit = np.kron(7 * digits.images[4], np.ones((4, 4)))
steps = [dropout(digit, 0.5, rng.random(digit.shape)) for _ in range(5)]
titles = ["as it is", *(f"step {i}" for i in range(1, 6))]
plots.image_grid([digit, *steps], titles=titles, columns=6)

# %% [markdown]
# The strokes are brighter, since what is left is doubled. Their *mean* over many steps is the picture on the left.
#
# ## L2 and weight decay
#
# Large weights make sharp corners. L2 adds λ·Σw² to the loss, so 2λw to the gradient. Weight decay
# takes a share of w away in each step, apart from the gradient g (η is the learning rate):
#
# ```
# L2:            w ← w − η · (g + 2λw)
# weight decay:  w ← w − η · g − η · λw
# ```
#
# For SGD the two are the same, but for the 2. Adam divides each gradient by its usual size.
#
# > **Before you run the next cell:** a weight of 1 has no gradient except that of L2. We make 100 steps.
# > What does a λ ten times smaller change with SGD, and what with Adam?


# %%
def weight_after(optimizer, l2=0.0, steps=100):
    weight = keras.Variable([1.0])
    optimizer.build([weight])
    for _ in range(steps):
        optimizer.apply([2 * l2 * weight.value])
    return round(float(weight[0]), 3)


# %% tags=["nbval-check-output"]
rule = keras.optimizers
print("SGD, L2:", [weight_after(rule.SGD(0.1), l2) for l2 in (0.05, 0.005)])
print("by the formula:", [round((1 - 0.1 * 2 * k) ** 100, 3) for k in (0.05, 0.005)])
print("Adam, L2:", [weight_after(rule.Adam(0.001), l2) for l2 in (0.05, 0.005)])
decays = [weight_after(rule.AdamW(0.001, weight_decay=k)) for k in (1, 0.1)]
print(
    "AdamW:", decays, "formula:", [round((1 - 0.001 * k) ** 100, 3) for k in (1, 0.1)]
)

# %% [markdown]
# **What you should see:** with SGD, λ decides. With Adam both weights arrive at 0.9: each step is as long as the
# learning rate, whatever λ is. (In a real net there are other gradients too, and L2 gets lost among them
# by more or less.) Loshchilov and Hutter therefore took the decay out of the gradient: AdamW, the
# optimizer of `training.fit`.
#
# > **Before you run the next cell:** the recorded runs made 400 steps, with a rate that fell from 0.003 to 0
# > along a cosine. Decay was 0.1, a usual value. What share of a weight did it take away in all?

# %% tags=["nbval-check-output"]
rate = 0.003 * (1 + np.cos(np.pi * np.arange(400) / 400)) / 2
for decay in (0.1, 1):
    print(f"decay {decay}: {1 - np.prod(1 - rate * decay):.0%} taken away")

# %% [markdown]
# So little? Keep that in mind for the table. Decay works over long trainings. In a short one it has no time.
#
# ## Softer answers, and an earlier end
#
# A net that must say 1.0 has to push its logits for ever. *Label smoothing* asks for less:
#
# ```
# y′ = (1 − ε) · y + ε / k        for k classes
# ```
#
# > **Before you run the next cell:** 10 classes, ε = 0.1. Which probability of the true class has the
# > lowest loss, and is that loss 0?

# %% tags=["nbval-check-output"]
smooth = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
sure, truth = np.arange(0.80, 1, 0.01), np.eye(10)[[0]]
answers = [np.r_[p, np.full(9, (1 - p) / 9)][None] for p in sure]
losses = np.array([float(smooth(truth, answer)) for answer in answers])
print(
    f"lowest loss {losses.min():.2f}, at a probability of {sure[losses.argmin()]:.2f}"
)
print(f"at 0.99: {losses[-1]:.2f}")

# %% [markdown]
# **What you should see:** 0.91, that is 1 − ε + ε/k, with a loss of 0.50. Being surer costs. A training loss with smoothing
# never reaches 0, so do not compare it with one without.
#
# *Early stopping* needs no formula: train until validation has not improved for a while, and go back to the
# best. Both are one argument, `training.fit(label_smoothing=0.1, patience=5)`, and `fit` always goes
# back to the best epoch. Now live, with 300 digits in the dark of lesson 05.


# %%
def learn(rate, epochs=40):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((16, 16, 1)), layers.Rescaling(1 / 127.5, offset=-1),
        layers.Conv2D(32, 3, 2, "same", activation="relu"), layers.Flatten(),
        layers.Dropout(rate), layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    options = {"epochs": epochs, "verbose": 0, "shuffle": False}
    return model.fit(photos.train, validation_data=photos.valid, **options)


# %%
grey = np.kron(8 * digits.images, np.ones((2, 2)))
dark = np.clip(grey + rng.normal(60, 60, grey.shape), 0, 255)
photos = data.from_arrays(dark, digits.target, together="same")
rows = np.r_[photos.rows("train")[:300], photos.rows("valid")]
table = photos.manifest.iloc[rows].reset_index(drop=True)
photos = dataclasses.replace(photos, manifest=table, pixels=photos.pixels[rows])
pair = {f"dropout {rate}": learn(rate) for rate in (0.0, 0.7)}

# %%
plots.runs_side_by_side(pair)

# %% [markdown]
# **What you should see:** without dropout, training reaches 1.0 after some 10 to 25 passes. With it, later, or not
# quite. (Training is measured with features switched off.) Validation hardly notices: both end within
# 5 points of each other. Dropout has made learning by heart harder, and 300 pictures hold no more
# than that.
#
# ## Stochastic depth
#
# Dropout for whole blocks. In a ResNet the shortcut stays when a block is left out, so a picture
# can go on without it. Block l of L is left out with probability p(l), late ones more often:
#
# ```
# x ← x + b · f(x) / (1 − p(l))        b = 1 with probability 1 − p(l), else 0
# p(l) = p(L) · l / L
# ```
#
# > **Before you run the next cell:** Huang and colleagues (2016) train 54 blocks with p(L) = 0.5. Through how
# > many does a picture go in training, on average?

# %% tags=["nbval-check-output"]
rates = 0.5 * np.arange(1, 55) / 54
passed = np.random.default_rng(0).random((10_000, 54)) >= rates
print(f"by the formula: {(1 - rates).sum():.2f}")
print(f"in 10,000 draws: {passed.sum(axis=1).mean():.1f}")

# %%
thirds = np.split(255 * passed[:18].astype("uint8"), 3, axis=1)
plots.image_grid(thirds, titles=["blocks 1 to 18", "19 to 36", "37 to 54"])

# %% [markdown]
# **What you should see:** 40.25; the paper says about 40. A row is a picture, a column a block, and black is
# left out: rare at first, nearly every other one at the end. So each picture trains a net of its own, and
# training gets shorter by a quarter. The layer is dropout with one draw for a whole branch.

# %% tags=["nbval-check-output"]
from cnnkit.models.stochastic_depth import StochasticDepth, linear_rates

branch = np.ones((1000, 4, 4, 8), "float32")
drop = StochasticDepth(0.5, seed=0)
left = drop(branch, training=True).numpy().reshape(1000, -1)
print("all or nothing:", np.all(left == left[:, :1]), np.unique(left))
print("in prediction nothing changes:", np.array_equal(drop(branch), branch))
print("rates of the paper:", np.allclose(linear_rates(54, last=0.5), rates))

# %% [markdown]
# ## What each of them buys
#
# The 500 pictures again, each method in a usual strength, everything else the same. *All of these* is
# dropout, decay 0.1, smoothing and stochastic depth together.
#
# > **Before you run the next cell:** which method will gain most in the test, and which nothing?

# %%
plots.intervals(runs.loc[both], label="mean of three seeds, with its 95 % interval")

# %%
sure = runs.loc["confidence above accuracy"]
plots.intervals(sure, label="mean confidence less accuracy, in the test: 0 is honest")

# %% [markdown]
# **What you should see:** first the training accuracy. It falls to 0.93 with stochastic depth, and to 0.82
# with all at once: four blocks in a short training now *under*fit. In the test no method
# beats nothing, and three seem to lose up to 5 points. Four times the pictures gain 5.
#
# The second figure shows what they do buy. With nothing, the net is 9 points surer than it is right. Dropout
# and a strong decay take a third off that, stochastic depth all of it. Smoothing overdoes it: now the
# net is less sure than it could be. And decay 0.1 is as good as nothing, as you have calculated.
#
# This is one net, one set, one length of training. In the papers, large nets that train for hundreds
# of epochs gain accuracy as well. Measure yours.

# %% [markdown]
# ## Exercise: when does it stop?
#
# Write `early_stopping(losses, patience)`. It gets the validation losses that a full run would have, and
# returns two numbers, both counted from 1: how many epochs are trained, and which was best. Training
# ends after `patience` epochs in a row without a new lowest loss.


# %%
def early_stopping(losses, patience):
    ### BEGIN SOLUTION
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= patience:
            return epoch + 1, best + 1
    return len(losses), best + 1
    ### END SOLUTION


# %%
exercises.check("08", early_stopping)

# %% [markdown]
# ## Common mistakes
# - *Regularising a net that underfits.* Look at the gap first. Without a gap there is nothing to close.
# - *Dropout left on in prediction*, by `model(x, training=True)`. Answers then change from call to call.
# - *EarlyStopping without `restore_best_weights=True`.* It leaves you the last weights, not the best.
# - *L2 with Adam, copied from a recipe for SGD.* Use AdamW.
#
# ## Key points
# - Dropout and stochastic depth switch off at random, and scale what is left, so that the mean stays.
# - Weight decay takes ηλ of a weight in each step: multiply by the steps before you expect anything.
# - Smoothing and early stopping change how sure the net is, more than how often it is right.
# - Measure with several seeds. Nothing here replaces pictures.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("08-underfits")
