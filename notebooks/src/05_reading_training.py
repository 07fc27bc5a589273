# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 05 · Reading training: curves, overfitting, gradients
#
# You will read from two curves what is wrong with a training, know which differences are real and which
# are chance, and look inside where the curves say nothing.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 45 min: 32 together, 13 exercise | lesson 04 | 35 to 60 CPU-seconds, no network | scikit-learn's digits |
#
# **Afterwards you can**
# 1. tell four shapes of curves apart, and say what to do about each,
# 2. say how large a difference must be before you believe it,
# 3. find out whether gradients reach the first layer.

# %% tags=["nbval-ignore-output"]
import dataclasses

import keras
import numpy as np
import pandas as pd
from keras import layers
from sklearn.datasets import load_digits

from cnnkit import augment, data, exercises, plots, training

# %% [markdown]
# Digits alone are too easy to show what can go wrong. So we photograph them in the dark: weak contrast,
# and the noise of a camera that has too little light. Can you read them?

# %%
digits, rng = load_digits(), np.random.default_rng(5)
grey = np.kron(8 * digits.images, np.ones((2, 2)))
dark = np.clip(grey + rng.normal(60, 60, grey.shape), 0, 255)
many = data.from_arrays(dark, digits.target, together="same")
plots.image_grid(many.pixels[:10], titles=digits.target[:10].astype(str), columns=10)

# %% [markdown]
# Twice in this lesson we pretend to have only 300 training pictures. Validation and test stay as they
# are, so that scores can be compared.

# %% tags=["nbval-check-output"]
rows = np.r_[many.rows("train")[:300], many.rows("valid"), many.rows("test")]
table = many.manifest.iloc[rows].reset_index(drop=True)
few = dataclasses.replace(many, manifest=table, pixels=many.pixels[rows])
few.counts().sum().to_dict()

# %% [markdown]
# ## Four shapes
#
# One small network, as in lesson 04, and one function that trains it. `width` makes it larger, `rate` is
# the learning rate: how far each step goes.


# %%
def net(width):
    return keras.Sequential([
        keras.Input((16, 16, 1)), layers.Rescaling(1 / 127.5, offset=-1),
        layers.Conv2D(width, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(2 * width, 3, strides=2, padding="same", activation="relu"),
        layers.Flatten(), layers.Dense(2 * width, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip


# %%
def learn(photos, epochs, width=32, rate=2e-3, seed=0, augment=None, callbacks=()):
    keras.utils.set_random_seed(seed)
    model, loss = net(width), "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    batches = photos.batches("train", batch_size=64, augment=augment, seed=seed)
    valid, test = (photos.batches(part, batch_size=300) for part in ("valid", "test"))
    options = {"epochs": epochs, "verbose": 0, "callbacks": callbacks}
    history = model.fit(batches, validation_data=valid, shuffle=False, **options)
    return history.history, model.evaluate(test, verbose=0)


# %%
runs = {
    "good": learn(many, 12),
    "too small": learn(many, 15, width=2),
    "few pictures": learn(few, 20),
    "rate 0.1": learn(many, 12, rate=0.1),
}
names = np.random.default_rng(2).permutation(list(runs))
shuffled = {
    f"run {letter}": runs[k][0] for letter, k in zip("ABCD", names, strict=True)
}

# %% [markdown]
# The net is either good as it is, or has 2 filters in place of 32, or has 300 pictures in place of over
# 1,200, or makes steps 50 times as long. The order has been shuffled.
#
# > **Before you run the next cell:** draw the four shapes that you expect. Then run it, and write down
# > which run is which, before you read on.

# %%
plots.runs_side_by_side(shuffled)

# %% tags=["nbval-check-output"]
for run, name in zip(shuffled, names, strict=True):
    print(f"{run}: {name}")

# %% [markdown]
# **What you should see**, in pairs of curves, never in one alone:
#
# | Shape | Its name | What to do |
# |---|---|---|
# | both losses fall, and stay near each other | it learns | stop where validation is flat |
# | both fall slowly, together, and stay high | underfitting | a larger net, longer, less regularisation |
# | training goes to 0, validation rests far above it, or rises | overfitting | more pictures, augmentation (07), regularisation (08) |
# | a jump at the start, then flat or wild | rate too high | a tenth of it; lesson 09 finds it |
#
# Flat means 2.30 here: ln 10, the loss of guessing. One giant step has thrown the weights to where no
# ReLU fires, and where nothing fires no gradient comes back.
#
# ## What does the seed change?
#
# Before you compare two trainings, ask how much one of them differs *from itself*. The seed decides the
# first weights and the order of the pictures. Nobody would call that a method.
#
# > **Before you run the next cell:** the run with 300 pictures again, with three other seeds. By how many
# > points will the best and the worst differ on the test?

# %%
plain = [runs["few pictures"]] + [learn(few, 20, seed=seed) for seed in (1, 2, 3)]
accuracy = np.array([test[1] for _, test in plain])
spread = accuracy.std(ddof=1)
print("accuracies:", *accuracy.round(3))
print(f"best - worst {np.ptp(accuracy):.3f}, standard deviation {spread:.3f}")

# %% [markdown]
# **What you should see:** 1 to 6 points between the best and the worst, and a standard deviation of 0.5 to
# 3 points. Nothing but the seed is different. So if you change something and accuracy rises by one point,
# in one run, you have found nothing. **Run both ways with the same few seeds, and compare means.**
#
# (Another 269 test pictures would move all four together, by up to 5 points. That is a second kind
# of chance; lesson 06 gives it an interval.)
#
# ## Overfitting, and what cures it
#
# Three cures for the run with 300 pictures, each with two seeds. *Early stopping* ends when validation
# loss has not improved for 5 epochs, and goes back to the best weights. *Augmentation* turns, shifts and
# stretches the pictures anew in each pass. *More pictures* takes all of them.
#
# > **Before you run the next cells:** which of the three raises accuracy most? Which lowers the loss, and
# > leaves accuracy where it was?

# %%
policy = augment.policy("digits", strength=0.6)
ways = {"nothing": plain, "early stopping": [], "augmentation": []}
for seed in (0, 1):
    stop = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    ways["early stopping"].append(learn(few, 20, seed=seed, callbacks=[stop]))
    ways["augmentation"].append(learn(few, 30, seed=seed, augment=policy))
ways["more pictures"] = [runs["good"], learn(many, 12, seed=1)]

# %%
plots.runs_side_by_side({way: found[0][0] for way, found in ways.items()})

# %%
tests = [(way, *test) for way, found in ways.items() for _, test in found]
tests = pd.DataFrame(tests, columns=["way", "loss", "accuracy"])
scores = tests.groupby("way", sort=False)
scores["loss"].mean().round(2).to_frame("test loss")

# %%
found = scores["accuracy"].agg(value="mean", low="min", high="max")
plots.intervals(found, label="test accuracy: mean, worst and best seed")

# %% [markdown]
# **What you should see:** early stopping changes the loss by less than 0.1, and accuracy stays where it
# was or falls by up to 4 points. It ends an overfitting; it adds no knowledge. Augmentation closes most
# of the gap and lowers the loss; accuracy gains 0 to 5 points, which two seeds cannot tell from
# chance. Four times the pictures gain 8 to 14 points, far outside any spread. So the first question is
# always: can I get more?
#
# ## A loss that does not move
#
# Now a net of 12 layers with the sigmoid, the usual choice until about 2010. We watch it while it trains:
# `live_curves` draws the figure anew, at most twice a second.
#
# > **Before you run the next cell:** after how many epochs would you stop it?


# %%
def deep(activation, start):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((16, 16, 1))
    x = layers.Flatten()(layers.Rescaling(1 / 127.5, offset=-1)(x))
    for _ in range(12):
        x = layers.Dense(32, activation=activation, kernel_initializer=start)(x)
    return keras.Model(inputs, layers.Softmax()(layers.Dense(10)(x)))


# %%
live = keras.callbacks.LambdaCallback(on_epoch_end=plots.live_curves())
history = training.fit(
    deep("sigmoid", "glorot_uniform"), many, epochs=6, callbacks=[live], verbose=0
)

# %% [markdown]
# **What you should see:** 2.30 once more. Accuracy seems to jump, but look at its axis: that is
# guessing. The curve does not tell you why. A rate too high looks like this, and so do labels
# that were shuffled by mistake. So look inside: `gradient_flow` measures on
# one batch how much of the gradient arrives at each layer.
#
# > **Before you run the next cell:** the slope of the sigmoid is at most 1/4. What does it make of a gradient
# > that passes 12 of them? And weights that double whatever passes?

# %%
batch = next(iter(many.train))
wide = keras.initializers.RandomNormal(stddev=0.5, seed=0)
nets = {
    "sigmoid": deep("sigmoid", "glorot_uniform"),
    "ReLU, He's start": deep("relu", "he_normal"),
    "ReLU, weights too large": deep("relu", wide),
}
flows = {name: training.gradient_flow(model, batch) for name, model in nets.items()}
plots.gradient_flow(flows, column="output_gradient")

# %% [markdown]
# **What you should see:** read from right to left, as gradients go. Sigmoid: a factor of 3 to 6 lost at each
# layer, a million and more in all; it *vanishes*. Weights too large: doubled each time; it *explodes*.
# ReLU with He's start: a flat line, since He (2015) chose the size of the weights to keep it flat.
# The flat one should learn. Does it?

# %%
history = training.fit(nets["ReLU, He's start"], many, epochs=6, verbose=0)
print(f"validation accuracy: {history.history['val_accuracy'][-1]:.2f}")

# %% [markdown]
# **What you should see:** 0.6 to 0.9, with the recipe and the number of layers that left the sigmoid at
# 0.1. For a gradient that now and then explodes, `training.fit(clip=1.0)` shortens it to length 1. For one
# that vanishes, change the net: ReLU, He's start, BatchNormalization, shortcuts (lesson 17).

# %% [markdown]
# ## Exercise: which epoch, and which gap?
#
# Write `best_epoch(history)`. It gets a dict of lists, as `learn` returns it, and returns two numbers: the
# epoch of the lowest validation loss, counted from 1; and, in that epoch, the accuracy in training
# less that in validation.


# %%
def best_epoch(history):
    ### BEGIN SOLUTION
    best = int(np.argmin(history["val_loss"]))
    return best + 1, history["accuracy"][best] - history["val_accuracy"][best]
    ### END SOLUTION


exercises.check("05", best_epoch)

# %% [markdown]
# ## Common mistakes
# - *Looking at training accuracy alone.* At 1.00 it says that the net is large, and no more.
# - *Comparing two runs with one seed each.* You compare seeds.
# - *Choosing by the test.* Choose by validation; the test comes once, at the end.
# - *Waiting for a flat curve.* Ten epochs at ln k: stop, and measure gradients.
#
# ## Key points
# - Two curves, four shapes. Read both before you change anything.
# - One point of accuracy in one run is no finding.
# - More pictures cure overfitting. Stopping early only ends it.
# - A flat loss has several causes; gradients layer by layer tell them apart.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("05-loss")
