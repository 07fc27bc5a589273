# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 12 · Transfer learning and fine-tuning, offline
#
# You will teach a network four new road signs from five pictures each, by starting from what it has
# learned on eight others, and see what can go wrong on the way.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 45 min: 32 together, 13 exercise | lessons 05 and 09 | 35 to 60 CPU-seconds, no network | drawn road signs, recorded runs on four sets |
#
# **Afterwards you can**
# 1. say what a head start is worth for your number of pictures,
# 2. train a head in a second, on features that were computed once,
# 3. freeze and unfreeze layers so that what should stay does stay, BatchNorm included.

# %% tags=["nbval-ignore-output"]
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from scipy import stats

from cnnkit import data, evaluation, exercises, models, plots, training, transfer

# %% [markdown]
# ## What is a head start worth?
#
# A network that has seen a million photographs has filters for edges, textures and parts. Your flowers
# have edges, textures and parts too. So we keep the network, replace its last layer, and teach that one
# flowers.
#
# We recorded it with 5, 20 and 100 flowers a class: from random weights (*scratch*); with ImageNet's
# weights frozen, where only the new last layer learns (*head*); with the upper layers learning too
# (*fine-tuned*); and from weights that have never seen a photograph (*generated*).
#
# > **Before you run the next cell:** chance is 0.2. What has each of them with 20 pictures a class?

# %%
folder = next(f for f in (Path("tables"), Path("../tables")) if f.is_dir())
runs = pd.read_csv(folder / "few_pictures.csv")
runs = runs.groupby(["set", "start", "per_class"], sort=False)["accuracy"]
curve = runs.agg(value="mean", std="std", n="size")
half = stats.t.ppf(0.975, curve["n"] - 1) * curve["std"] / curve["n"] ** 0.5
curve["low"], curve["high"] = curve["value"] - half, curve["value"] + half
curve[["low", "high"]] = curve[["low", "high"]].clip(0, 1)
plots.learning_curves(curve.loc["flowers"], across="pictures a class")

# %% [markdown]
# **What you should see:** 0.5 to 0.6 from scratch, about 0.7 from ImageNet. Twenty flowers with a head start
# are worth a hundred without. With 5 the gap is larger, with 100 smaller: what pictures teach
# need not be brought along. Fine-tuning adds a point or two, within the intervals.
#
# The fourth line lies between. That network, `small_cnn`, learned to name shapes, textures and colours that a
# program had drawn: a million pictures in an hour, no photograph of anybody. Its weights are in this package, 2 MB.
#
# > **Before you run the next cell:** the same with 20 pictures a class of small photographs (CIFAR-10),
# > of clothes and of digits. Where will ImageNet's photographs help least?

# %%
few = curve.drop("scratch, enlarged", level="start", errors="ignore")
few = few.xs(20, level="per_class").swaplevel()
plots.intervals(few, label="test accuracy: mean over seeds, 95 % interval")

# %% [markdown]
# **What you should see:** it helps small photographs most: over 0.5 in place of 0.31, and drawn pictures bring
# 0.4. With clothes all ways end between 0.7 and 0.75, drawn pictures highest. With digits the head is some 12 points
# *worse* than a network that starts from nothing, and fine-tuning makes good more than half of it: textures and colours of
# photographs say little about strokes of a pen. So a head start is worth what it shares with your pictures. Measure
# both.
#
# ## A head start of your own
#
# The weights of ImageNet are a download, and this lesson needs none. We make our own head start: a
# network learns eight kinds of road signs from 1,600 pictures.

# %%
signs = data.signs.draw(3000, size=32, seed=0)
names = np.array(data.signs.CLASS_NAMES)[signs.labels]
new = ["give way", "priority road", "speed limit 30", "turn left"]
known = np.flatnonzero(~np.isin(names, new))[:1600]
eight = data.from_arrays(signs.images[known], names[known], together="same")
keras.utils.set_random_seed(0)
teacher = models.small_cnn(num_classes=8, input_shape=(32, 32, 3))
training.fit(teacher, eight, epochs=8)

# %% [markdown]
# Four other kinds come now: six pictures of each, of which one is for validation, and 400 for the test.

# %%
rows = np.array([np.flatnonzero(names == name)[:106] for name in new])
six, others = rows[:, :6].ravel(), rows[:, 6:].ravel()
test = signs.images[others], names[others]
four = data.from_arrays(signs.images[six], names[six], together="same", test=test)
four

# %% [markdown]
# > **Before you run the next cell:** a new network learns these 20 pictures by heart. How many of the 400
# > does it name? Chance is 0.25.


# %%
images, truth = data.to_arrays(four, "test")


def right(model):
    return np.sum(np.argmax(model(images), axis=1) == truth)


# %%
keras.utils.set_random_seed(0)
scratch = models.small_cnn(num_classes=4, input_shape=(32, 32, 3))
training.fit(scratch, four, epochs=60, verbose=0)
found = {"scratch": right(scratch)}

# %% [markdown]
# Now the head start. We cut the teacher off where its feature map ends, freeze that part, and put a new
# head on it: an average over the map, and one dense layer.

# %% tags=["nbval-check-output"]
body = keras.Model(teacher.input, teacher.get_layer("features").output)
body.trainable = False
keras.utils.set_random_seed(0)
model = transfer.classifier(body, 4)
print(
    "weights that learn:", sum(w.shape.num_elements() for w in model.trainable_weights)
)
print("weights in all:", model.count_params())

# %% [markdown]
# 96 features times 4 classes, and 4 biases. All the rest is frozen. And what is frozen says the
# same of a picture in every epoch! So we let it look once, and keep what it says.

# %%
features = transfer.cache_features(model, four)
training.fit(
    transfer.head_of(model), features, epochs=60, learning_rate=0.01, verbose=0
)
found["head"] = right(model)
features


# %% [markdown]
# The head is a model of its own that shares its layer with ours: what it has learned, `model` knows.
# Sixty epochs took a second or two, since an epoch is 20 rows of 96 numbers.
# %%
def compared(hits):
    low, high = evaluation.wilson(np.array(list(hits.values())), 400)
    table = pd.DataFrame({"value": hits}) / 400
    label = "accuracy on 400 new signs, 95 % interval"
    return plots.intervals(table.assign(low=low, high=high), label=label)


compared(found)

# %% [markdown]
# **What you should see:** scratch between 0.25 and 0.65, the head between 0.75 and 0.95. The difference
# is what eight other signs have taught about poles, rims and light.
#
# ## The BatchNorm trap
#
# A BatchNormalization layer has two weights that no optimizer touches: the moving average of its input
# and of its variance. They change whenever the layer *sees* pictures in training.
#
# > **Before you run the next cell:** we unfreeze the whole network, set the learning rate to **zero**, and
# > show it the 20 pictures ten times, four at a time. What happens to its accuracy?


# %%
def train_at_rate_zero(model):
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    before = {w.path: w.numpy() for w in model.weights}
    batches = four.batches("train", batch_size=4)
    model.fit(batches, epochs=10, shuffle=False, verbose=0)
    return [w.path for w in model.weights if (w.numpy() != before[w.path]).any()]


# %%
kept = model.get_weights()
for layer in model.layers:
    layer.trainable = True
moved = train_at_rate_zero(model)
trap = {"head": found["head"], "rate 0, all unfrozen": right(model)}

# %% tags=["nbval-check-output"]
print(*moved, sep="\n")

# %%
model.set_weights(kept)
for layer in model.layers:
    layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
print("moved:", train_at_rate_zero(model))
trap["rate 0, BatchNorm frozen"] = right(model)
compared(trap)

# %% [markdown]
# **What you should see:** nothing could learn, and yet 3 to 25 points are gone: every moving average has
# been replaced by one over batches of four pictures. With BatchNorm frozen, nothing moves at all.
#
# Freeze each BatchNormalization layer by its own `trainable = False`. That also makes it use its averages in
# training. `training=False` in a call to the body, as many tutorials have it, does not protect it after unfreezing
# (Keras issue 20285).
#
# ## Unfreezing, in stages
#
# What does `fine_tune` do after the head? It opens the upper half, then everything. Lower layers
# get lower rates: edges serve all pictures, so they should hardly move (Howard and Ruder, 2018).
#
# > **Before you run the next cells:** will 20 pictures improve the filters that eight signs have made?

# %% tags=["nbval-check-output"]
for share in (0, 0.5, 1):
    count = training.unfreeze_top(model, share)
    learning = sum(w.shape.num_elements() for w in model.trainable_weights)
    print(
        f"top {share:.0%} of the body: {count} of its layers learn, {learning} weights"
    )

# %%
model.set_weights(kept)
body.trainable = False
keras.utils.set_random_seed(0)
tuned = transfer.classifier(body, 4)
history = training.fine_tune(tuned, four, epochs=30, verbose=0)
found["fine-tuned"] = right(tuned)
compared(found)

# %%
ends = np.cumsum([1] + [epochs for _, epochs in history.params["phases"]])
stages = [name for name, _ in history.params["phases"]]
plots.training_curves(history, marks=dict(zip(ends.tolist(), stages, strict=False)))

# %% [markdown]
# **What you should see:** fine-tuned about as good as the head, sometimes worse: 20 pictures are too few
# to improve a hundred thousand weights. `fine_tune` keeps what was best in validation, but here validation is four
# pictures. The recorded flowers show from where on it pays.
#
# In the curves, the head learns in some twenty epochs. Where a stage begins, the training loss
# jumps a little (the rate rises from nearly 0 again) and comes down. Validation, four pictures, has hardly
# anything to say.
#
# With photographs and a network at hand it is the same lines:
#
# ```python
# photos = data.from_folder("photos", image_size=160)
# model = transfer.classifier("mobilenet", photos.num_classes, image_shape=photos.image_shape)
# training.fine_tune(model, photos, minutes=3, augment=augment.policy("photos"))
# experiments.compare_backbones(photos, ["mobilenet", "mobilenet_v2"], minutes=1)
# ```
#
# ## Exercise: who learns?
#
# Write `who_learns(kinds, count)`. `kinds` lists the kinds of a body's layers from the picture up, such as
# `["Conv2D", "BatchNormalization", "ReLU"]`. Return a list of `True` and `False`: which layers learn if the
# last `count` are unfrozen, and BatchNormalization never is?


# %%
def who_learns(kinds, count):
    ### BEGIN SOLUTION
    first = len(kinds) - count
    return [i >= first and k != "BatchNormalization" for i, k in enumerate(kinds)]
    ### END SOLUTION


exercises.check("12", who_learns)

# %% [markdown]
# ## Common mistakes
# - *Changing `trainable` and not compiling again.* Keras reads it when it compiles, and says nothing.
# - *The wrong pixels.* MobileNet wants −1 to 1, ResNet-50 blue first. `transfer.backbone` does it inside.
# - *A rate for random weights.* 0.003 destroys in ten steps what ImageNet took days for. Start at 0.001 or below.
# - *Fine-tuning because one can.* Measure the head first. It is a matter of seconds.
#
# ## Key points
# - The fewer pictures, the more a head start is worth; the further they are from what the network has seen, the less.
# - What is frozen is computed once. That makes a head cheap.
# - Unfreeze from the top, at small rates, never BatchNorm, and compile again.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("12-spoilt")
