# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 11 · Imbalance and noisy labels
#
# You will see how a network forgets what is rare and learns what is wrong, and you will mend both with
# numbers that say what it cost.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 40 min: 28 together, 12 exercise | lessons 04 and 06 | 35 to 60 CPU-seconds, no network | drawn road signs, scikit-learn's digits |
#
# **Afterwards you can**
# 1. tell when an accuracy hides a class that is never found,
# 2. choose between weights, sampling and focal loss by a measured table,
# 3. find wrong labels with predictions for pictures that the model has not seen.

# %% tags=["nbval-ignore-output"]
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from cnnkit import data, evaluation, exercises, models, plots, training

# %% [markdown]
# ## What is rare is forgotten
#
# In the world, some signs are everywhere and some are rare. We draw 800 with a long tail, the first
# class 40 times as often as the last. In the test all classes are alike, so that we see each one.

# %%
names = data.signs.CLASS_NAMES
world = data.signs.draw(800, size=32, imbalance=40, seed=11)
test = data.signs.draw(600, size=32, seed=12)
photos = data.from_arrays(
    world.images, world.labels, class_names=names, test=(test.images, test.labels)
)
photos.counts()["train"].to_dict()

# %% [markdown]
# > **Before you run the next cell:** a network that knows the six commonest signs and never says one of
# > the other six: how accurate can it be in a world like its training pictures?

# %% tags=["nbval-check-output"]
shares = np.bincount(world.labels) / len(world.labels)
f"{shares[:6].sum():.0%}"

# %% [markdown]
# More than eight in ten, with half of all classes never found. Training minimises the mean loss over
# pictures, and six classes hardly touch that mean. Let us see whether it happens.


# %%
def learn(class_weight=None):
    keras.utils.set_random_seed(0)
    model = models.small_cnn(num_classes=12, widths=(16, 32, 64))
    training.fit(model, photos, epochs=8, class_weight=class_weight, verbose=0)
    answers = evaluation.arrays(evaluation.predict(model, photos, "test"))
    scores = evaluation.scores(*answers, class_names=names)
    return scores.xs("recall", level="score")


# %%
recall = learn()
plots.intervals(recall, label="recall: the share of its pictures that is found")

# %% [markdown]
# **What you should see:** the signs on top, of which there are many, are nearly always found. Those
# at the bottom have a recall near zero. The network has not seen them as difficult. It has learnt that
# saying them is rarely right.

# %%
found = recall.loc[list(names), "value"]
print(f"accuracy in a world like training: {found @ shares:.2f}")
print(f"mean recall (balanced accuracy):   {found.mean():.2f}")

# %% [markdown]
# Both numbers are true. The first is what a car would meet on the road, where rare signs are rare. The
# second asks about each kind of sign alike. **When you report one number on classes that are not equal,
# report the second as well.**
#
# ## A mistake on a rare class counts more
#
# A *class weight* multiplies the loss of each picture of a class. With the right weights all classes
# have the same say.
#
# > **Before you run the next cell:** will the common signs lose anything?

# %%
weights = data.balance.class_weights(photos)
{name: round(weights[k], 2) for k, name in enumerate(names)}

# %%
both = pd.concat({"no weights": recall, "class weights": learn(weights)})
plots.intervals(both, label="recall: the share of its pictures that is found")

# %% [markdown]
# **What you should see:** the bottom rows rise from nearly nothing to somewhere between a quarter and
# a half. Several common signs fall. The mean rises a little. Weights make no new knowledge: a few
# pictures of a class stay a few pictures. They move mistakes from classes you forget to classes you
# can afford.
#
# ## Which way is best? Ask a table
#
# You can also show rare pictures more often (oversampling), common ones less (undersampling), or use
# the focal loss, which looks away from pictures that are already easy. One run proves nothing, so here
# are recorded runs on Fashion-MNIST: three of ten classes have 10 pictures, the others 400.

# %%
folder = next(f for f in (Path("tables"), Path("../tables")) if f.is_dir())
runs = pd.read_csv(folder / "imbalance.csv").rename(columns={"mean": "value"})
measures = ["recall of the small classes", "balanced accuracy"]
runs = runs.set_index(["measure", "way"]).loc[measures]
plots.intervals(runs, label="mean of three seeds, with its 95 % interval")

# %% [markdown]
# **What you should see:** with nothing done, about one in five of the rare pictures is found. Weights
# more than double it, and balanced accuracy rises. Undersampling finds as many and loses elsewhere,
# since it throws most pictures away. Focal loss alone changes little here. The intervals are long, and
# those of the weights and of oversampling overlap: three seeds do not settle which is better.
#
# Use one way at a time. Weights *and* oversampling count the same thing twice; `fit` refuses that.
#
# ## Labels that are wrong
#
# Now the second illness. We take 1,797 handwritten digits and change one label in ten, as tired people
# do. The forest below has never heard of it.

# %%
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import cross_val_predict

digits, rng = load_digits(), np.random.default_rng(0)
wrong = rng.random(len(digits.target)) < 0.1
other = (digits.target + rng.integers(1, 10, len(wrong))) % 10
given = np.where(wrong, other, digits.target)

# %% [markdown]
# A model that finds another class likelier than the label casts doubt on the label.
#
# > **Before you run the next cell:** we train on all digits and ask about the same digits. How many of
# > the 180 or so wrong labels will it doubt?

# %% tags=["nbval-check-output"]
forest = ExtraTreesClassifier(100, random_state=0)
seen = forest.fit(digits.data, given).predict_proba(digits.data)
len(data.label_suspects(given, seen))

# %% [markdown]
# None. It has learnt the wrong labels by heart, with full confidence. So ask only about pictures that
# were left out: train on four fifths, ask about the last fifth, five times.

# %%
unseen = cross_val_predict(forest, digits.data, given, cv=5, method="predict_proba")
suspects = data.label_suspects(given, unseen)
right = wrong[suspects["position"]]
print(f"{len(suspects)} suspects, of which {right.mean():.0%} have a wrong label")
print(f"{right.sum() / wrong.sum():.0%} of all wrong labels were found")

# %%
first = suspects.head(10)
plots.image_grid(
    np.minimum(16 * digits.images[first["position"]], 255),
    titles=[f"label {s.label}, rather {s.suggested}" for s in first.itertuples()],
    columns=5,
)

# %% [markdown]
# **What you should see:** over 100 suspects, nearly all of them truly wrong, and about three quarters of
# the wrong labels found. Look at the pictures: you would suspect them too. On harder pictures more of
# the suspects are innocent, so a person should look before a label is changed. With a network, take
# `photos.folds` for the left-out predictions.
#
# > **Before you run the next cell:** a model that copies the label of the most similar picture: how much
# > does it suffer from one wrong label in ten?

# %%
from sklearn.neighbors import KNeighborsClassifier

mended = given.copy()
mended[suspects["position"]] = suspects["suggested"]
for name, labels in (("as given", given), ("mended", mended)):
    nearest = KNeighborsClassifier(1).fit(digits.data[:1200], labels[:1200])
    score = nearest.score(digits.data[1200:], digits.target[1200:])
    print(f"{name}: {score:.2f} on clean labels")

# %% [markdown]
# It loses about one in ten, and mending gives most of it back. The test labels here are clean. If yours
# are noisy as well, a perfect network seems to fail: mend the test first.

# %% [markdown]
# ## Exercise: how much does each class weigh?
#
# Write `weights(counts)`: a list with a weight for each class. All classes shall have the same sum of
# weights, and the mean over all *pictures* shall be 1. Start on paper with `[90, 10]`.


# %%
def weights(counts):
    ### BEGIN SOLUTION
    return [sum(counts) / (len(counts) * count) for count in counts]
    ### END SOLUTION


exercises.check("11", weights)

# %% [markdown]
# ## Common mistakes
# - *Balancing before the split.* A repeated picture then lies in training and in the test.
# - *Balancing the test.* Its scores then speak of a world that does not exist; say so if you do.
# - *Removing every suspect.* The rare and the difficult go first, and with them what you needed.
#
# ## Key points
# - Look at the recall of each class. The mean hides the smallest.
# - Weights and sampling move mistakes; only more pictures remove them.
# - Doubt a label only with a model that has not seen it.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("11-screening")
