# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 00 · Five lines: a folder of pictures to a classifier
#
# You will turn a folder of pictures into a trained classifier and a report, and find out how far you
# may trust its score.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 15 min: 10 together, 5 exercise | a little Python | 35 to 60 CPU-seconds, no network | 600 road signs |
#
# **Afterwards you can**
# 1. train a classifier on a folder of your own pictures,
# 2. say what its accuracy means: on which pictures, against which baseline, within which interval,
# 3. find the pictures that it gets most wrong, and save it for later.

# %% tags=["nbval-ignore-output"]
import keras
import numpy as np

from cnnkit import data, evaluation, exercises, models, plots, report, saving, training

keras.utils.set_random_seed(0)

# %% [markdown]
# ## The whole way, once
#
# There are 600 pictures of road signs in one folder, with one subfolder for each of 12 kinds of sign.
# The next cell reads them, builds a small network, trains it for half a minute and writes a report.
# With the import above that makes five lines.
#
# > **Before you run the next cell:** someone who guesses gets 1 sign in 12 right, about 8 in 100. How
# > many in 100 does a network get right that has seen 34 pictures of each sign? Write a number down.

# %%
photos = data.load("signs")  # your own pictures: data.from_folder("photos")
model = models.small_cnn(num_classes=photos.num_classes, input_shape=photos.image_shape)
history = training.fit(model, photos, minutes=0.5)
report.write(model, photos, history, "runs/lesson_00/report.html")

# %% [markdown]
# **What you should see:** lines with numbers that mostly get better, and at the end the name of a
# file. Open it from the file list on the left: one page that you can read, print or send. The rest of
# this lesson takes the same steps one by one.
#
# ## What went in
#
# > **Before you run the next cell:** the network never learns from all 600 pictures. Why would anyone
# > hold pictures back?

# %% tags=["nbval-check-output"]
photos.counts()

# %% [markdown]
# **What you should see:** three parts, and every kind of sign in each of them. The network learns from
# *train*. While it learns, *valid* says how it does on pictures it has not learned from. *test* is
# looked at once, at the end. A score on pictures that a network has learned from says how well it
# remembers, not how well it sees.
#
# Now one sign of each kind. Look for what makes them hard.

# %%
images, labels = data.to_arrays(photos, "train")
_, first_of_each = np.unique(labels, return_index=True)
plots.image_grid(images[first_of_each], titles=photos.class_names, columns=6)

# %% [markdown]
# Size, light, angle and background all change; the name does not. Some names differ by very little:
# one digit, or left and right.
#
# ## What training did
#
# One pass over all training pictures is an *epoch*. After each one we ask two things: how well does
# the network name the pictures it learns from, and how well the others?
#
# > **Before you run the next cell:** will the two curves for accuracy lie on each other? If not, which
# > one is higher?

# %%
plots.training_curves(history)

# %% [markdown]
# **What you should see:** training accuracy climbs towards 1. Validation accuracy follows later, in
# jumps, since each of its 96 pictures counts for one point. Where it stays below, the gap has a name,
# *overfitting*: part of what was learned belongs to those 408 pictures and not to road signs. `fit`
# keeps the weights of the epoch that did best on the validation pictures. Lesson 05 is about this figure.
#
# ## How good is it?
#
# The report has scored the test pictures. Here is how: first one answer for each picture, then the
# scores.

# %%
table = evaluation.predict(model, photos, "test")
table[["file", "label", "predicted", "confidence"]].head().round(2)

# %%
labels, probabilities = evaluation.arrays(table)
scores = evaluation.scores(labels, probabilities, class_names=photos.class_names)
scores.loc[["all classes"]].round(2)

# %% [markdown]
# **What you should see:** an accuracy between 0.5 and 0.9, higher on a faster computer, which gets
# through more epochs in half a minute. Beside it stands an interval from *low* to *high*, 12 to 20
# points wide. There are only 96 test pictures, and another 96 would give another accuracy. Even 96
# right answers out of 96 would be in keeping with a network that errs 4 times in 100. **An accuracy without
# the number of pictures is half a sentence.**
#
# > **Before you run the next cell:** which signs will be taken for each other? Name one pair.

# %%
matrix = evaluation.confusion_matrix(labels, probabilities)
plots.confusion_matrix(matrix, photos.class_names)

# %% [markdown]
# **What you should see:** a row is what the sign is, a column what the network said. Right answers lie
# on the diagonal, and most are there. Where a number stands beside it, the two signs often have one
# colour and one shape, and differ only in what is drawn inside.
#
# A number says how often. A picture says why. Here are the test pictures whose true name got the least
# probability: mistakes, and answers that were right but unsure.

# %%
worst, losses = evaluation.top_losses(labels, probabilities, k=5)
images, _ = data.to_arrays(photos, "test")
titles = [
    (f"is: {row.label}", f"said: {row.predicted}", f"true name: {np.exp(-loss):.2f}")
    for row, loss in zip(table.iloc[worst].itertuples(), losses, strict=True)
]
plots.image_grid(images[worst], titles=titles, columns=5)

# %% [markdown]
# Always look at these. In your own pictures you will find wrong names in the folders, pictures with
# nothing in them, and twins in two classes, before you find a weakness of the network.
#
# ## Keep it, and use your own pictures
#
# A saved model carries the names of its classes, and how its pictures were read, so it can be used
# where they are not.

# %%
path = saving.save(model, "runs/lesson_00/signs.keras", photos, overwrite=True)
reloaded, class_names = saving.load(path)
class_names[:3]

# %%
new = data.signs.draw(4, size=48, seed=2026)  # signs that nobody has seen
answers = reloaded.predict(new.images, verbose=0)
titles = [(class_names[p.argmax()], f"probability {p.max():.2f}") for p in answers]
plots.image_grid(new.images, titles=titles)

# %% [markdown]
# For your own photographs, two of the five lines change:
#
# ```python
# from cnnkit import data, report, training, transfer
#
# photos = data.from_folder("photos")
# model = transfer.classifier("mobilenet", photos.num_classes, image_shape=photos.image_shape)
# history = training.fine_tune(model, photos, minutes=5)
# report.write(model, photos, history, "report.html")
# ```
#
# `transfer.classifier` starts from a network that has already learned from a million photographs, so
# 100 pictures of each class often go a long way. Its weights must be on your computer, or be downloaded
# once; this lesson needs no network, so it does without. Size alone does not replace them: with random
# weights that MobileNet, over 20 times larger than ours, named 8 in 100 validation pictures after the same
# half minute on these signs. That is guessing. Lesson 12 shows what the weights are worth.

# %% [markdown]
# ## Exercise: the laziest classifier
#
# A classifier that looks at no picture and always says the same class can have a high accuracy. Yours
# has to beat it. Write `baseline(counts)`: the best accuracy that such a classifier can reach. `counts`
# holds the number of pictures of each class. Start on paper with `[90, 10]`.


# %%
def baseline(counts):
    ### BEGIN SOLUTION
    return max(counts) / sum(counts)
    ### END SOLUTION


exercises.check("00", baseline)

# %% [markdown]
# ## Common mistakes
# - *Scoring the training pictures.* They give the highest number and the least information.
# - *The same object in train and test.* Ten photographs of one cat, seven of them in train: the test
#   then asks whether the network knows this cat.
# - *Looking at the test score again and again* and keeping the best run. Each look makes it a little
#   less of a test. Choose with *valid*.
#
# ## Key points
# - Pictures in folders, a model, a training, a report: five lines, and each returns a plain Keras,
#   pandas or matplotlib object that you can take elsewhere.
# - Say an accuracy with its baseline, its number of pictures and its interval.
# - Look at the worst mistakes before you change the network.
#
# ## Question
# The last one is about intervals. Read it, decide, then call it again with your letter.

# %%
exercises.question("00-better")
