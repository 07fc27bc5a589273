# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 09 · Optimisers, schedules, and a fast recipe
#
# You will write three optimisers in a few lines each, get what Keras gets, find a learning rate
# by measuring, and take a fast recipe apart to see what each piece buys.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 40 min: 28 together, 12 exercise | lessons 04 and 05 | 20 to 40 CPU-seconds, no network | scikit-learn's digits, recorded runs on Fashion-MNIST |
#
# **Afterwards you can**
# 1. say what momentum and Adam do to a gradient, in one line each,
# 2. find a learning rate in a minute instead of guessing it,
# 3. write a schedule, and say why a run should end on a small rate.

# %% tags=["nbval-ignore-output"]
import math
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf

from cnnkit import data, exercises, models, plots, training

# %% [markdown]
# ## A narrow valley
#
# The loss of a network is a landscape over millions of weights. Two weights are enough to see the
# trouble: a valley that is 25 times steeper across than along. `loss = (x² + 25 y²) / 2`, so the
# gradient is `(x, 25 y)`, and the lowest point is at (0, 0).
#
# Gradient descent goes against the gradient: `weights -= rate * gradient`.
#
# > **Before you run the next cell:** across the valley one step turns `y` into `y - rate·25·y`. From which
# > rate on does `y` grow with each step? Write it down.

# %%
STEEP = np.array([1.0, 25.0])


def walk(step, num_steps=30):
    weights, memory, path = np.array([-9.0, 1.0]), {}, []
    for number in range(num_steps):
        path.append(weights)
        weights = weights - step(STEEP * weights, memory, number)
    return np.array(path)


# %% tags=["nbval-check-output"]
def plain(rate):
    return lambda gradient, memory, number: rate * gradient


for rate in (0.02, 0.07, 0.085):
    x, y = walk(plain(rate))[-1]
    print(f"rate {rate}: after 30 steps x = {x:.2f}, y = {abs(y):.2f} from the floor")

# %% [markdown]
# **What you should see:** with 0.085 `y` explodes. The factor is `1 - 25·rate`, and it leaves [-1, 1] at
# rate = 2/25 = 0.08. **The steepest direction sets the largest rate, and the flattest one has to live with
# it:** at 0.02, `x` has hardly come half of its way.
#
# ## Momentum and Adam
#
# Two cures. *Momentum* keeps a running sum of gradients: across the valley they change sign and cancel,
# along it they add up. *Adam* divides each weight's step by the usual size of its own gradient, so
# steep and flat directions move alike.


# %%
def momentum(rate, keep=0.9):
    def step(gradient, memory, number):
        memory["v"] = keep * memory.get("v", 0) - rate * gradient
        return -(keep * memory["v"] - rate * gradient)  # Nesterov: look one step ahead

    return step


# %%
def adam(rate, keep=0.9, keep_squares=0.999):
    def step(gradient, memory, number):
        means = memory.setdefault("means", np.zeros((2, 2)))  # of gradients, of squares
        kept = np.array([[keep], [keep_squares]])
        means[:] = kept * means + (1 - kept) * np.array([gradient, gradient**2])
        mean, square = means / (1 - kept ** (number + 1))  # they began at 0
        return rate * mean / (np.sqrt(square) + 1e-7)

    return step


# %% [markdown]
# Is that what Keras does? We let its optimisers walk down the same valley.


# %%
def walk_in_keras(optimizer, num_steps=30):
    weights, path = keras.Variable([-9.0, 1.0]), []
    for _ in range(num_steps):
        path.append(weights.numpy())
        optimizer.apply([STEEP.astype("float32") * weights.numpy()], [weights])
    return np.array(path)


# %% tags=["nbval-check-output"]
pairs = {
    "momentum": (momentum(0.02), keras.optimizers.SGD(0.02, 0.9, nesterov=True)),
    "Adam": (adam(0.5), keras.optimizers.Adam(0.5)),
}
for name, (mine, theirs) in pairs.items():
    same = np.allclose(walk(mine), walk_in_keras(theirs), atol=1e-3)
    print(f"{name}: same path as Keras: {same}")

# %% [markdown]
# > **Before you run the next cell:** draw with a finger how each of the three will come from the left
# > end of the valley to the middle.

# %%
_, panels = plt.subplots(3, sharex=True, figsize=(8, 5), layout="constrained")
x, y = np.meshgrid(np.linspace(-10, 4, 200), np.linspace(-1.6, 1.6, 100))
walks = {"plain, 0.07": plain(0.07), "momentum, 0.02": momentum(0.02)}
walks["Adam, 0.5"] = adam(0.5)
for axes, name in zip(panels, walks, strict=True):
    axes.contour(x, y, (x**2 + 25 * y**2) / 2, levels=12, colors="0.8")
    axes.plot(*walk(walks[name]).T, marker="o", markersize=3)
    axes.set(title=name, xlabel="x (flat)", ylabel="y (steep)")
    axes.label_outer()
plt.show()

# %% [markdown]
# **What you should see:** plain descent jumps from wall to wall, then creeps along the floor. Momentum
# swings once and rolls through, past the lowest point, and comes back. Adam's first steps are as long along the valley
# as across it: it does not know that one direction is steep.
#
# ## Which rate? Measure it
#
# A real network has no formula for its steepest direction. So measure (Smith, 2017): raise the rate a little
# with every step, and watch the loss.
#
# > **Before you run the next cell:** what will the loss do at very small rates, at good ones, and at
# > rates that are too large?

# %% tags=["nbval-ignore-output"]
digits = data.load("digits")


def network(seed=0):
    keras.utils.set_random_seed(seed)
    return models.small_cnn(num_classes=10, input_shape=(32, 32, 1), widths=(16, 32))


found = training.find_learning_rate(network(), digits)

# %%
plots.learning_rates(found)

# %% [markdown]
# **What you should see:** a flat line on the left (steps too small to matter), a fall, and a wall at the
# right. The suggestion stands where the loss falls fastest; anything within a factor of three is as good.
# The network has its old weights again.
#
# ## Why rates must fall
#
# Each batch shows a sample of the pictures, so each gradient is a little wrong. A large rate crosses the
# landscape quickly, and then dances around the lowest point instead of settling. So start low while
# the weights are random, go high in the middle, and come down: that is *one-cycle* (Smith and Topin,
# 2018).

# %%
share = np.linspace(0, 1, 200)
_, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
for name, kind in training.schedules.SCHEDULES.items():
    axes.plot(100 * share, [kind(peak=1.0).at(part) for part in share], label=name)
axes.axhline(1, color="0.6", linestyle=":", label="constant")
axes.set(xlabel="% of the run", ylabel="rate / peak")
axes.legend()
plt.show()

# %% [markdown]
# > **Before you run the next cell:** the same network learns for the same eight passes, once at a
# > constant rate of 0.02, once with a cycle that peaks there. Which has the better validation loss at the
# > end? And which after two passes?

# %%
RATE, PASSES = 0.02, 8
constant = network()
optimizer = keras.optimizers.AdamW(RATE, weight_decay=0.02)
constant.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
flat = constant.fit(
    digits.train, validation_data=digits.valid, epochs=PASSES, shuffle=False, verbose=0
)
cycle = training.fit(network(), digits, epochs=PASSES, learning_rate=RATE, verbose=0)
table = {"constant": flat.history["val_loss"], "one-cycle": cycle.history["val_loss"]}
pd.DataFrame(table, index=pd.RangeIndex(1, PASSES + 1, name="pass")).round(2)

# %% [markdown]
# **What you should see:** at a constant rate the loss jumps from pass to pass, to the last one.
# The cycle begins slowly (its first passes are the worse ones) and ends calm, between 0.04 and 0.12. **A loss that
# jumps from pass to pass does not need another network. It needs smaller steps at the end.**
#
# A falling rate is one way to calm down. *Averaging the weights* of many steps is another
# (`ema=0.99`), and both go together.
#
# ## A recipe taken apart
#
# The package's fast recipe has many ingredients. Which of them matter? Each was left out once: `small_cnn`,
# 17,000 pictures of Fashion-MNIST, three passes, three seeds, measured on validation pictures.
#
# > **Before you run the next cell:** which one will cost most accuracy if it is missing? Which one only
# > time? And is there one that does harm?

# %%
folder = next(f for f in (Path("tables"), Path("../tables")) if f.is_dir())
runs = pd.read_csv(folder / "recipe.csv").set_index("left_out")
named = runs.rename(lambda name: f"without {name}").rename(
    {"without nothing": "the whole recipe"}
)
columns = {"accuracy": "value", "accuracy_low": "low", "accuracy_high": "high"}
accuracy = named.rename(columns=columns)[["value", "low", "high"]]
plots.intervals(accuracy, label="validation accuracy: mean of 3 seeds, 95 % interval")

# %%
named[["instead", "cpu_seconds"]].round(0).astype({"cpu_seconds": int})

# %% [markdown]
# **What you should see:** the whole recipe gets 0.916 in 24 CPU-seconds.
# - *About a point is lost* without the schedule, the high peak, BatchNorm, the last convolution, or Muon, the optimiser.
#   AdamW and SGD, each with its own rate, are alike.
# - *Time is lost, and no accuracy*, with batches of 32 (35 seconds), with normalising before pooling (31) and
#   in 32 bits (27).
# - *Nothing is seen*, with three seeds, of label smoothing; and mirroring may even harm. Three passes overfit little,
#   and mirrored shoes are one more thing to learn.
#
# Why is Muon (Jordan, 2024) worth so much? Adam looks at each weight alone. But a kernel is a matrix: a row for
# each number that its window shows, a column for each channel. Here is one gradient as a matrix.
#
# > **Before you run the next two cells:** it has 32 directions. How much longer is the longest than the shortest?

# %%
net, (images, labels) = network(), next(iter(digits.train))
with tf.GradientTape() as tape:
    answers = net(images, training=True)
    loss = keras.losses.sparse_categorical_crossentropy(labels, answers)
gradient = tape.gradient(loss, net.get_layer("stage2_conv").kernel.value)
changes = {"the gradient": gradient}
changes["Muon's step"] = training.Muon().zeropower_via_newtonschulz5(gradient, 5)

# %%
_, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
for name, change in changes.items():
    lengths = np.linalg.svd(np.reshape(change, (-1, 32)), compute_uv=False)
    axes.plot(range(1, 33), lengths / lengths[0], marker="o", label=name)
axes.set(xlabel="direction of the matrix, the longest first", ylabel="length / longest")
axes.set(yscale="log")
axes.legend()
plt.show()

# %% [markdown]
# **What you should see:** a few directions of the gradient are long, and the last ones thirty to a hundred times shorter:
# what all pictures share is learnt at once, what few of them show hardly ever. Muon makes all
# directions about equally long. (Keras has it for dense layers; `training.Muon` takes convolutions.)
#
# So a recipe is not a list of good things. **Each ingredient answers a question, and a short run asks
# other questions than a long one.** Measure yours.
#
# ## Exercise: a schedule of your own
#
# Write `cosine_rate(step, steps, warmup, peak)`: the rate of step number `step` (from 0) of a run of `steps`
# steps. In the first `warmup` steps it rises on a straight line from 0 to `peak`, then it falls along half a
# cosine and reaches 0 at `steps`. On paper first: 100 steps, 10 of them warm-up, peak 0.1. What is the rate at
# step 55?


# %%
def cosine_rate(step, steps, warmup, peak):
    ### BEGIN SOLUTION
    if step < warmup:
        return peak * step / warmup
    done = (step - warmup) / (steps - warmup)
    return peak * (1 + math.cos(math.pi * done)) / 2
    ### END SOLUTION


exercises.check("09", cosine_rate)

# %% [markdown]
# ## Common mistakes
# - *The rate of a blog post, with another optimiser.* 0.1 is usual for SGD and destroys a network under Adam, where
#   0.003 is usual.
# - *Stopping a cycle half-way.* Its good weights come at the end. Plan a shorter run instead.
# - *Weight decay on biases and BatchNorm.* They are few numbers and overfit nothing; `fit` leaves them out.
# - *Choosing the recipe on the test set.* Every try counts. Choose on validation pictures.
#
# ## Key points
# - The steepest direction sets the largest rate. Momentum, Adam and Muon help the flat ones along.
# - Measure the rate: raise it step by step, and take what stands where the loss falls fastest.
# - Rise, travel, settle: a run ends on a small rate.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("09-restless")
