# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 07 · Augmentation
#
# You will rotate a picture with nothing but multiplication and addition, get what the package gets, and
# then measure which changes help a network, and which teach it something false.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 40 min: 27 together, 13 exercise | lessons 04 and 06 | 30 to 60 CPU-seconds, no network | drawn road signs, scikit-learn's digits |
#
# **Afterwards you can**
# 1. say from where each pixel of a changed picture comes,
# 2. find out which changes keep the class and which do not,
# 3. put augmentation where it belongs, and read the curves that follow.

# %% tags=["nbval-ignore-output"]
import keras
import numpy as np
import pandas as pd
from PIL import Image

from cnnkit import augment, data, evaluation, exercises, models, plots, training

# %%
names = data.signs.CLASS_NAMES
world = data.signs.draw(360, size=32, seed=4)
plots.image_grid(
    world.images[:12], titles=[names[k] for k in world.labels[:12]], columns=6
)

# %% [markdown]
# Lesson 04 ended with pictures learnt by heart, and with more pictures as the cure. Here are 360, and no
# more will come. But a stop sign that hangs a little askew is a stop sign. **Augmentation makes, from each
# picture, others of the same class**, new ones in every epoch.
#
# ## One warp, by hand
#
# To rotate a picture, do not ask where each pixel goes. Two may go to one place, and a hole opens
# elsewhere. Ask of each pixel of the *new* picture where it comes from. We measure from the middle,
# which is at 15.5 if 32 pixels are counted from 0.

# %% tags=["nbval-check-output"]
angle = np.deg2rad(np.random.default_rng(3).uniform(-30, 30))
cos, sin = np.cos(angle), np.sin(angle)


def origin(column, row):
    x, y = column - 15.5, row - 15.5
    return cos * x - sin * y + 15.5, sin * x + cos * y + 15.5


print("column, row:", np.round(origin(20, 9), 2))

# %% [markdown]
# The pixel in column 20 and row 9 comes from a place *between* pixels.
#
# > **Before you run the next cell:** four pixels lie around that place. How would you weigh them?


# %%
def fetch(image, x, y):
    left, top = int(x), int(y)
    a, b = x - left, y - top
    upper = (1 - a) * image[top, left] + a * image[top, left + 1]
    lower = (1 - a) * image[top + 1, left] + a * image[top + 1, left + 1]
    return np.rint((1 - b) * upper + b * lower)


# %% tags=["nbval-check-output"]
sign, inner = world.images[0], range(8, 24)
mine = [[fetch(sign, *origin(column, row)) for column in inner] for row in inner]
theirs = augment.rotation(30)(sign[np.newaxis], np.random.default_rng(3))[0]
difference = np.abs(theirs[8:24, 8:24] - np.array(mine))
print("at most one grey level apart:", difference.max() <= 1)

# %% [markdown]
# The nearer pixel counts more, first along the row, then along the column. This is called *bilinear*.
# The package drew the same angle, as it was given the same generator, and got the same picture. At the
# edges it needs one thing more: what lies outside. `border` says it.
#
# > **Before you run the next cell:** we rotate by 45° eight times. That is a full turn. What comes back?

# %%
from cnnkit.augment.automatic import operate

eight = sign
for _ in range(8):
    eight = operate(eight, "rotate", 45)
plots.image_grid(
    [sign, operate(sign, "rotate", 45), eight], titles=["0°", "45°", "8×45°"]
)

# %% [markdown]
# **What you should see:** the sign stands upright again, and it is blurred: every warp averages
# neighbours once more. So a policy multiplies its matrices first, and warps once. Rotation, zoom and
# shift together then blur, and cost, as much as one of them.
#
# ## A policy, looked at
#
# A ready policy has a name and a strength. It says what is in it.

# %% tags=["nbval-check-output"]
policy = augment.policy("signs", strength=0.5)
policy

# %% [markdown]
# > **Before you run the next cell:** Keras' layers for such changes cost 3 to 4 ms a picture at 160 pixels.
# > These have 32, so a 25th of the pixels. What will ours cost? And do you know every sign again?

# %%
plots.augmented(world.images[7], policy, draws=11)

# %% [markdown]
# **What you should see:** eleven pictures of one sign, each of which could be a photograph of it, and a
# cost of 0.02 to 0.2 ms. Always look before you train. Where *you* no longer know the class, the
# label is a lie. Try `strength=1`, and `augment.trivial_augment()`: it does one of 14
# things to each picture, at any strength.
#
# ## Is it still the same class?
#
# Eyes get tired. A judge does not: somebody who knows the pictures as they are, and says what the
# changed ones look like. For digits the most similar picture will do.
#
# > **Before you run the next cell:** which digits become another one by a half turn?

# %%
digits = data.load("digits")
judge = augment.nearest_neighbour(*data.to_arrays(digits, "train"))
images, labels = data.to_arrays(digits, "test")
changes = {
    "half turn": lambda images, generator: images[:, ::-1, ::-1],
    "rotated by up to 10°": augment.rotation(10),
}
table = augment.label_safety(changes, images, labels, judge)
table[table["verdict"] == "taken for another"].round(2)

# %%
six, nine = np.argmax(labels == 6), np.argmax(labels == 9)
shown = [images[six], images[six, ::-1, ::-1], images[nine], images[nine, ::-1, ::-1]]
plots.image_grid(shown, titles=["a 6", "turned", "a 9", "turned"])

# %% [markdown]
# **What you should see:** 6 becomes 9, and 9 becomes 6, in 5 to 10 of 10 pictures. Other rows are there
# because a judge must name some digit, even for a shape that is none. Such a picture helps nobody either.
# Rotating by 10° is not flagged at all. `low` and `high` bound the share, as in lesson 06.
#
# Now the signs. The network finds them anywhere; the most similar picture needs them cut out.


# %%
def cut_out(drawn):
    parts = []
    boxes = drawn.boxes.astype(int)
    for image, (left, top, right, bottom) in zip(drawn.images, boxes, strict=True):
        part = Image.fromarray(image[top : bottom + 1, left : right + 1])
        parts.append(np.asarray(part.resize((24, 24))))
    return np.stack(parts), drawn.labels


# %% [markdown]
# > **Before you run the next cell:** of twelve signs, which may be mirrored? Write down those that may
# > *not*.

# %%
judge = augment.nearest_neighbour(*cut_out(data.signs.draw(720, seed=0)))
others = cut_out(data.signs.draw(480, seed=1))
table = augment.label_safety(
    {"mirrored": augment.flip()}, *others, judge, class_names=names
)
table.loc["mirrored"].round(2)

# %% [markdown]
# **What you should see:** nearly every "turn left" is taken for "turn right", and the other way round.
# "Give way", "no entry" and "priority road" are their own mirror images, and stay. Speed limits are
# confused as well: a mirrored number is none. "Unclear" asks for more pictures.
#
# ## What is it worth?
#
# Three networks, equal at the start, see 264 pictures 30 times. One sees them as they are. One sees them
# changed by the policy. For the third somebody added mirroring, since "flips are always good".
#
# > **Before you run the next cell:** bring the three in order. And which has the best accuracy on its
# > own training pictures?

# %%
photos = data.from_arrays(world.images, world.labels, class_names=names)
mirroring = augment.compose(policy, augment.flip(), border="nearest")
nets, histories = {}, {}
ways = {"as they are": None, "policy": policy, "policy and mirror": mirroring}
for name, augmentation in ways.items():
    keras.utils.set_random_seed(0)
    nets[name] = models.small_cnn(num_classes=12, input_shape=(32, 32, 3))
    histories[name] = training.fit(
        nets[name], photos, epochs=30, augment=augmentation, verbose=0
    )

# %%
for name, history in histories.items():
    print(f"{history.history['accuracy'][-1]:.2f} in the last epoch: {name}")

# %%
exam, found = data.signs.draw(600, size=32, seed=5), {}
rows = [("all classes", "accuracy"), ("turn left", "recall"), ("turn right", "recall")]
for name, net in nets.items():
    said = net.predict(exam.images, verbose=0)
    scores = evaluation.scores(exam.labels, said, class_names=names)
    found[name] = scores.loc[rows].droplevel("score")
plots.intervals(pd.concat(found), label="share that is right of all, and of the arrows")

# %% [markdown]
# **What you should see:** on 600 new pictures 0.58 to 0.70 without, 0.70 to 0.80 with the policy. With
# mirroring half of that gain or more is lost, and only a third to a half of the arrows are right: the
# network was told that both are the same. On its own training pictures the first network is the best,
# with 1.00. It learnt them by heart. The others never saw the same picture twice.
#
# ## Two pictures in one
#
# MixUp lays two pictures over each other, CutMix puts a box of one into the other. The label says how much
# of each there is, so it is no longer a whole number.

# %%
shown, titles = [], []
for mix in (augment.mixup(1.0), augment.cutmix()):
    batch, shares = next(iter(photos.batches("train", batch_size=4, mix=mix, seed=1)))
    shown += list(batch.numpy())
    for share in shares.numpy():
        first, second = np.argsort(-share)[:2]
        words = [f"{share[k]:.2f} {names[k]}" for k in (first, second) if share[k] > 0]
        titles.append(tuple(words))
plots.image_grid(shown, titles=titles, columns=4)

# %% [markdown]
# **What you should see:** four double exposures and four pictures with a patch, each with two shares that add
# up to 1 (or one, where both pictures are of one class). Such labels need the loss
# `"categorical_crossentropy"`; `training.fit(mix=)` sees to it. Nobody claims that half a stop sign exists.
# The network learns not to be surer than it has reason to.
#
# ## Exercise: where does it come from?
#
# A row of `side` pixels is first enlarged about its middle, so that things become `enlarge` times as large,
# and then shifted by `shift` pixels to the right. Write `source(x, side, enlarge, shift)`: the place in the
# old row from which the new pixel `x` comes. On paper first: 5 pixels, enlarged twice, not shifted, `x` = 4.


# %%
def source(x, side, enlarge, shift):
    ### BEGIN SOLUTION
    middle = (side - 1) / 2
    return (x - shift - middle) / enlarge + middle
    ### END SOLUTION


exercises.check("07", source)

# %% [markdown]
# ## Common mistakes
# - *Augmenting validation or test pictures.* The score is then one of other pictures. `batches` refuses it.
# - *Augmentation layers inside the model.* An exported model goes on augmenting: two calls, two answers.
#   It belongs in the data's way.
# - *Augmenting before the split.* Then changed copies of one picture lie on both sides, and the score is
#   that of a network which knows the answers.
# - *Pixels in [0, 1] for an operation that expects [0, 255].* Many Keras layers then return garbage, without
#   a word. Ours take uint8 alone.
#
# ## Key points
# - Each new pixel is fetched from a place in the old picture. Matrices multiply, so many changes are one warp.
# - A change is allowed if the class survives it. Ask a judge for each class, and look at what is flagged.
# - Augmentation makes training harder and the result better. A wrong one is worse than few pictures.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("07-harder")
