# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 10 · Hyperparameter search with Keras Tuner
#
# You will let the computer choose the numbers that training does not learn, see why chance beats a
# neat grid, and catch the mistake that makes every search look better than it is.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 50 min: 36 together, 14 exercise | lessons 04, 06 and 09 | 30 to 60 CPU-seconds, no network | scanned digits |
#
# **Afterwards you can**
# 1. write a search space as a function, with scales that fit,
# 2. say when to take random search, Hyperband or Bayesian optimisation,
# 3. report what a search has found without fooling yourself.

# %% tags=["nbval-ignore-output"]
import tempfile
from functools import partial
from pathlib import Path

import keras
import keras_tuner
import numpy as np
from keras import layers

from cnnkit import data, exercises, plots, tuning

# %% tags=["nbval-ignore-output"]
digits = data.load("digits")
runs = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A grid, and chance
#
# A learning rate, a share of dropout: nobody learns them from the data, so somebody has to choose them. By
# hand you would try three rates and three shares, nine trainings. Here is the network.


# %%
def net(rate, dropout):
    x = inputs = keras.Input((32, 32, 1))
    x = layers.Conv2D(8, 5, strides=2, activation="relu")(layers.Rescaling(1 / 255)(x))
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dense(10, activation="softmax")(layers.Dropout(dropout)(x))
    model, optimizer = keras.Model(inputs, x), keras.optimizers.Adam(rate)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


# %% [markdown]
# A **search space** is a function. It takes `hp`, asks it for values by name, and returns a model. The grid asks
# for choices; the other one for any number in a range.


# %%
def grid(hp):
    rate = hp.Choice("rate", [0.0003, 0.003, 0.03])
    return net(rate, hp.Choice("dropout", [0.1, 0.3, 0.5]))


def anywhere(hp):
    rate = hp.Float("rate", 0.0001, 0.1, sampling="log", default=0.003)
    return net(rate, hp.Float("dropout", 0.05, 0.55, default=0.3))


# %%
options = {"epochs": 2, "max_trials": 9, "verbose": 0}
by_grid = tuning.search(grid, digits, method="grid", folder=runs / "grid", **options)
by_chance = tuning.search(
    anywhere, digits, method="random", folder=runs / "random", **options
)

# %% [markdown]
# > **Before you run the next cell:** nine trials each. How many different *rates* has the grid tried, and how
# > many has chance?

# %%
tables = {"grid": tuning.trials(by_grid), "random": tuning.trials(by_chance)}
plots.coverage(tables, "rate", "dropout")

# %% [markdown]
# **What you should see:** the colours change from left to right and hardly from bottom to top: the rate
# matters, dropout does not (in two epochs). The grid has spent nine trainings on three rates, chance has tried nine.
# (Each search begins with the defaults of its space: then the best of it is never worse than they are.)
# **You never know beforehand which one matters, and a grid pays for all of them** (Bergstra and Bengio, 2012).
#
# ## Going on, and looking
#
# Each trial is a file in the folder. The same call with a larger number goes on from there, tomorrow as well.

# %% tags=["nbval-ignore-output"]
options |= {"max_trials": 17, "verbose": 1}
by_chance = tuning.search(
    anywhere, digits, method="random", folder=runs / "random", **options
)

# %%
table = tuning.trials(by_chance)
plots.trials(table)

# %% [markdown]
# **What you should see:** the defaults were good already, and the line of the best climbs a little, in few steps.
# Some dots lie far below it. How much of that is the rate?

# %%
plots.score_against(table, "rate")

# %% [markdown]
# **What you should see:** a slope and a plateau. Below 0.001 two epochs are too short to learn. From about 0.002
# on it does not matter much where you stand, until training breaks, somewhere beyond the right edge.
#
# The axis is logarithmic, and so was the drawing of rates: 0.001 to 0.01 gets as many trials as 0.01 to 0.1.
#
# ## A space that decides
#
# Real spaces have parts that make sense only with others: MixUp has a strength only where there is MixUp.
# `tuning.together` joins a space for the model and spaces for the training. This one has the design of a network, an
# optimiser with its own rate, and augmentation:

# %% tags=["nbval-check-output"]
space = tuning.together(
    partial(tuning.cnn_space, num_classes=10, input_shape=digits.image_shape),
    partial(tuning.recipe_space, optimizers=["adamw", "sgd"]),
    partial(tuning.augmentation_space, policies=["digits"]),
)
hp = keras_tuner.HyperParameters()
space.build(hp)
print("asked for:", len(hp.space))
print("inactive: ", [one.name for one in hp.space if not hp.is_active(one)])

# %% [markdown]
# A grid with three values for each of them has 3²² points, and that is why nobody does it. Each range has its source
# in the docstring: `help(tuning.recipe_space)`.
#
# ## Short trials first
#
# Most of your trials were bad, and after one epoch one could have known it. *Hyperband* uses that: it starts nine
# trials with one epoch, lets the best three go on to three epochs, and the best of those to nine (Li et al., 2018).
# Then it begins anew with fewer and longer trials, in case the good ones are slow starters.
#
# > **Before you run the next cell:** of the nine, how many epochs are spent on the worst six together?

# %%
options |= {"max_trials": 13, "verbose": 0, "epochs": 9}
halving = tuning.search(
    anywhere, digits, method="hyperband", folder=runs / "hyperband", **options
)
columns = ["rate", "dropout", "score", "epochs", "continues"]
tuning.trials(halving)[columns].head(8)

# %%
plots.runs_side_by_side(tuning.curves(halving, best=2, worst=2))

# %% [markdown]
# **What you should see:** in the top rows, trials with three and nine epochs. `continues` names the trial whose
# weights they went on with. The worst had one epoch, and nobody wasted more on them.
#
# *Bayesian* optimisation saves in another way: it fits a curve with a band of doubt through the scores so far, and
# tries where the band reaches highest (Snoek et al., 2012). That pays where trials are few and dear.
#
# | Your case | Take |
# |---|---|
# | you know nothing, or trials are cheap | `method="random"` |
# | bad trials show early, as with most networks | `"hyperband"`, the default |
# | dear trials, a few numbers, and time for twenty trials or more | `"bayesian"` |
# | two or three choices, and you want a table of all | `"grid"` |
#
# Does it matter which? We recorded it on 10,000 Fashion-MNIST pictures: three CPU-minutes for each way,
# three to five seeds. *By hand* is three rates and nothing else; one line is `keras_tuner.Hyperband` as it
# comes. All use Adam at one rate, but for the lines with `training.fit`: its rate falls, as in lesson 09.
#
# > **Before you run the next cell:** how many points lie between the best way and the worst?

# %%
import pandas as pd

folder = next(f for f in (Path("tables"), Path("../tables")) if f.is_dir())
recorded = pd.read_csv(folder / "search_methods.csv").groupby("way")["test"]
recorded = recorded.agg(value="mean", low="min", high="max").sort_values("value")
plots.intervals(recorded, label="test accuracy: mean, lowest and highest of the seeds")

# %% [markdown]
# **What you should see:** by hand 85 to 86.4 %, the grid about half a point more, the others near 87 %. Which of these
# is best nobody can say: the seeds of one way lie further apart than the ways. `bayesian` draws its first five trials
# at random, too, and then the time is up after three to seven more. Only `training.fit` with Muon, the optimiser of
# lesson 09, is ahead by more than its doubt, at 88 %, with the same networks and the same search. **How you train
# matters more than how you search.**
#
# ## The mistake: the best of many
#
# Ten of your trials still have their weights. Ask each about the 269 test pictures, and write down who was
# right where.

# %%
best = by_chance.oracle.get_best_trials(10)
images, truth = data.to_arrays(digits, "test")
hits = np.array([
    by_chance.load_model(trial)(images.astype("float32")).numpy().argmax(1) == truth
    for trial in best
])  # fmt: skip
hits.shape

# %% [markdown]
# Now make the mistake on purpose. Take one half of these pictures, choose the model with the highest score
# *on them*, and report that score. The other half says what it is worth. We do it a thousand times.
#
# > **Before you run the next cell:** how many points will the report be too high?

# %%
rng, reported, honest = np.random.default_rng(0), [], []
for _ in range(1000):
    first, second = np.array_split(rng.permutation(len(truth)), 2)
    chosen = hits[:, first].mean(axis=1).argmax()
    reported.append(hits[chosen, first].mean())
    honest.append(hits[chosen, second].mean())
print(f"reported {np.mean(reported):.3f}, on other pictures {np.mean(honest):.3f}")

# %% [markdown]
# **What you should see:** the report is about 0.5 to 2 points too high. Nobody cheated: of ten scores that all
# contain some luck, the highest contains more than its share. With a hundred trials it gets worse. The same
# happens in validation, where every search chooses. **That is what the test part is kept for, and why it may be used
# once.**
#
# `conclude` does it in order: the finalists train again with new seeds, validation names the winner, and the test
# part says what it is worth.

# %%
model, finalists = tuning.conclude(by_chance, digits, finalists=2, seeds=(0, 1))

# %%
finalists.round(3)

# %% [markdown]
# **What you should see:** the two are less than 3 points apart, and `low` is mostly below 0: on so few pictures nobody
# can say that the first is better. Then take the one you like, the smaller for example.
#
# ## Exercise: even in ratios
#
# Write `log_uniform(low, high, share)`: the number that lies `share` (0 to 1) of the way from `low` to `high` on a
# logarithmic axis. Half-way from 1 to 16 it is 4.


# %%
def log_uniform(low, high, share):
    ### BEGIN SOLUTION
    return low * (high / low) ** share
    ### END SOLUTION


exercises.check("10", log_uniform)

# %% [markdown]
# ## Common mistakes
# - *A linear scale for a rate.* Of 100 numbers from 0.0001 to 0.1, ninety lie above 0.01.
# - *A range whose end wins.* Then the best lies outside. Widen it and go on.
# - *A small space, searched to the last digit.* The plateau is broad; seeds differ by more.
# - *The score of the search in the report.* It was chosen for being high.
#
# ## Key points
# - A search space is a function. Ask for what matters, on the scale on which it matters.
# - Random search needs no luck to beat a grid: it tries more values of what counts.
# - Choose on validation. Train the finalists again. Use the test part once.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("10-best")
