# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 04 · Your first CNN in Keras
#
# You will build a convolutional network layer by layer, know the shape and the size of each layer
# before Keras says it, and find out what holds the finished network back.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 45 min: 30 together, 15 exercise | lessons 02 and 03 | 20 to 60 CPU-seconds, no network | drawn road signs |
#
# **Afterwards you can**
# 1. say the output shape and the number of parameters of every layer of a small CNN,
# 2. choose the last layer, the labels and the loss so that they belong together,
# 3. tell from two curves whether a network needs more pictures.

# %% tags=["nbval-ignore-output"]
import keras
import numpy as np
from keras import layers

from cnnkit import data, evaluation, exercises, models, plots

keras.utils.set_random_seed(0)

# %%
world = data.signs.draw(2400, size=32, seed=4)
names = data.signs.CLASS_NAMES
photos = data.from_arrays(world.images[:600], world.labels[:600], class_names=names)
plots.image_grid(
    world.images[:12], titles=[names[k] for k in world.labels[:12]], columns=6
)

# %% [markdown]
# 600 of these signs are our data for now. The other 1,800 wait.
#
# ## From pixels to layers
#
# Pixels lie between 0 and 255. A layer's weights start near zero, in a scale that fits inputs of about
# −1 to 1. So the first layer of a network brings the pixels there.
#
# > **Before you run the next cell:** what does this layer make of 0, of 127.5 and of 255?

# %% tags=["nbval-check-output"]
rescale = layers.Rescaling(1 / 127.5, offset=-1)
print(rescale(np.array([0, 127.5, 255])).numpy().round(3))

# %% [markdown]
# Black is −1, white is 1. Because the scaling is a *layer*, it is saved with the model, and nobody who
# uses the model can forget it.
#
# > **Before you run the next cell:** 16 filters of 3×3 look at a picture of 32×32 pixels with 3 colours.
# > `padding="same"` adds a border. What is the shape of the output?

# %% tags=["nbval-check-output"]
inputs = keras.Input((32, 32, 3))
x = rescale(inputs)
x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
x.shape

# %% [markdown]
# **What you should see:** 32×32 places as before, and at each of them 16 numbers, one for each filter.
# The colours are gone: a filter adds up all three. `None` stands for the number of pictures in a
# batch, which the network leaves open.
#
# `MaxPooling2D(2)` keeps the largest of each 2×2 numbers. We pool, and go on twice more with twice as
# many filters, since what there is to see grows with the window: edges, then corners, then arrows.
#
# > **Before you run the next cell:** write the three shapes down that it will print.

# %% tags=["nbval-check-output"]
x = layers.MaxPooling2D(2)(x)
for filters in (32, 64):
    x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
    print(x.shape)
x = layers.Flatten()(x)
print(x.shape)

# %% [markdown]
# `Flatten` puts the 4×4×64 numbers in a row. `Dense` gives each of them a weight for each of the 12
# classes, and `softmax` turns 12 sums into 12 probabilities. Then we watch one sign on its way.

# %%
outputs = layers.Dense(12, activation="softmax")(x)
model = keras.Model(inputs, outputs)
pools = [layer.output for layer in model.layers if "pooling" in layer.name]
maps = [
    m[0].numpy().mean(axis=-1) for m in keras.Model(inputs, pools)(world.images[:1])
]
grey = [world.images[0].mean(axis=-1)] + [255 * m / m.max() for m in maps]
plots.image_grid(grey, titles=[f"{len(g)}×{len(g)}" for g in grey])

# %% [markdown]
# **What you should see:** the sign in 32, 16, 8 and 4 rows (each picture is the mean over all filters
# there). The network gives up *where* and, with more filters, gains room for *what*. It has learned
# nothing so far: these filters are random.
#
# ## Counting parameters
#
# A parameter is a number that training may change. A filter of the first layer has a window of 3×3 in
# each of 3 colours, so 27 weights, and one number more that it adds to its sum, the *bias*. That makes
# 28 for a filter and 448 for 16 of them.
#
# > **Before you run the next cell:** how many has the second convolution, from 16 channels to 32
# > filters? And which layer has the most?

# %% tags=["nbval-check-output"]
for layer in model.layers:
    shape = str(layer.output.shape[1:])
    print(f"{type(layer).__name__:14}{shape:14}{layer.count_params():7,}")
print(f"{'together':28}{model.count_params():7,}")

# %% [markdown]
# **What you should see:** 4,640 for the second convolution, because its window is 3×3 in each of 16
# channels. Pooling, rescaling and flattening have none: there is nothing to learn in a maximum. The
# one `Dense` layer holds a third of all parameters, 1,024 weights and a bias for each class. For
# pictures of 64×64 it would hold four times as many, and the convolutions not one more.
#
# ## `compile`: what does "better" mean?
#
# Training makes one number smaller, the *loss*. For classes it is −ln of the probability that the
# network gave to the true class: 0 when it is sure and right, large when it is sure and wrong.
#
# > **Before you run the next cell:** an untrained network gives 12 classes about the same probability.
# > How large is its loss? (ln 2 is 0.7, ln 10 is 2.3.)

# %%
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
loss, accuracy = model.evaluate(photos.valid, verbose=0)
print(f"loss {loss:.2f}, accuracy {accuracy:.2f}; ln 12 is {np.log(12):.2f}")

# %% [markdown]
# **What you should see:** a loss between 2.4 and 2.8. Remember this check. A first loss of 15 says that
# something is wrong with the pixels, the labels or the last layer.
#
# Three things must belong together:
#
# | Last layer | Labels | Loss |
# |---|---|---|
# | `Dense(12, activation="softmax")` | whole numbers 0 to 11 | `"sparse_categorical_crossentropy"` |
# | `Dense(12, activation="softmax")` | one-hot rows | `"categorical_crossentropy"` |
# | `Dense(12)`, called logits | whole numbers 0 to 11 | `SparseCategoricalCrossentropy(from_logits=True)` |
# | `Dense(1, activation="sigmoid")` | 0 or 1 | `"binary_crossentropy"` |
#
# > **Before you run the next cell:** the last layer says 4, 1 and −1, and class 0 is true. These are no
# > probabilities. What does the loss do that expects some: stop, warn, or calculate?

# %%
label, logits = np.array([0]), np.array([[4.0, 1.0, -1.0]])
for from_logits in (True, False):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    print(f"from_logits={from_logits}: {float(loss(label, logits)):.2f}")

# %% [markdown]
# **What you should see:** two different numbers, and no warning. The first is right: the network is
# fairly sure, and right. For the second, 4 and 1 both count as "certain". A network that is trained
# with it learns badly or not at all, and nothing tells you why.
#
# ## `fit`: what do 408 pictures teach?
#
# > **Before you run the next cell:** the network will see its 408 training pictures 20 times. Guess two
# > accuracies: on these pictures, and on pictures that it has never seen.

# %%
history = model.fit(
    photos.train,
    validation_data=photos.valid,
    epochs=20,
    shuffle=False,  # the batches are shuffled already
    verbose=0,
)
plots.training_curves(history)

# %% [markdown]
# **What you should see:** training accuracy above 0.7, and validation accuracy 30 to 60 points
# lower, between 0.2 and 0.5. Training loss goes on towards 0 while validation loss comes to rest far above it:
# the network now learns these pictures by heart. Is it too small, or are the pictures too few? That can
# be tested.
#
# > **Before you run the next cell:** the same network with new random weights gets all 2,400 pictures,
# > 10 times. Which of the curves will change?
#
# `verbose=2` prints one line a pass: 53 batches of 32 pictures, the two training numbers, then the two
# for validation.

# %%
photos = data.from_arrays(world.images, world.labels, class_names=names)
model = keras.models.clone_model(model)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    photos.train, validation_data=photos.valid, epochs=10, shuffle=False, verbose=2
)

# %%
plots.training_curves(history)

# %% [markdown]
# **What you should see:** training accuracy a little lower than before, validation accuracy much higher,
# from 0.5 to 0.75, and 25 points or less between them. The network is the same, so it was not too
# small. (It made twice as many steps. But above, the later steps on 408 pictures gained
# little.) **When training is good and validation is not, more pictures beat a larger network.**
# Lessons 07 and 08 say what to do when there are no more.
#
# ## The test, once

# %%
table = evaluation.predict(model, photos, "test")
labels, probabilities = evaluation.arrays(table)
scores = evaluation.scores(labels, probabilities, class_names=names)
scores.loc[["all classes"]].round(2)

# %%
images, _ = data.to_arrays(photos, "test")
titles = [
    (f"is: {row.label}", f"said: {row.predicted}", f"with {row.confidence:.2f}")
    for row in table[:8].itertuples()
]
plots.image_grid(images[:8], titles=titles)

# %% [markdown]
# **What you should see:** an accuracy near that on validation, in an interval of 5 to 10 points; and
# names, mostly right, with the probability that the network gives them. Find a wrong one. How sure is it?
#
# Your network and `models.small_cnn` of lesson 00 are of one kind. That one has one convolution more,
# BatchNormalization after each of them, and an average over all places instead of `Flatten`.
#
# > **Before you run the next cell:** the average leaves 96 numbers for each picture, and 12 classes
# > follow. How many parameters has its `Dense` layer (it is called "logits"), and how many had yours?

# %% tags=["nbval-check-output"]
small = models.small_cnn(num_classes=12, input_shape=(32, 32, 3))
for layer in small.layers:
    if layer.count_params():
        print(f"{layer.name:12}{layer.count_params():7,}")

# %% [markdown]
# ## Exercise: the size of a convolution
#
# Write `conv_parameters(kernel, channels_in, filters, bias=True)`: how many parameters a convolution
# with a square window has. Try the 672 and the 10,416 above on paper first. Where BatchNormalization
# follows, many networks leave the bias out with `use_bias=False`: it would be subtracted again.


# %%
def conv_parameters(kernel, channels_in, filters, bias=True):
    ### BEGIN SOLUTION
    return (kernel * kernel * channels_in + bias) * filters
    ### END SOLUTION


exercises.check("04", conv_parameters)

# %% [markdown]
# ## Common mistakes
# - *Scaling twice, or never.* Pixels divided by 255 before a model that rescales inside become almost
#   black: all inputs near −1. Nothing warns you.
# - *Logits and a loss that wants probabilities.* You have seen it. The first loss gives it away.
# - *`softmax` on one unit.* A probability that has no rival is always 1. Two classes need
#   `Dense(2, activation="softmax")` or `Dense(1, activation="sigmoid")`.
# - *Changing the model after `compile`.* Freezing a layer takes effect when you compile again.
#
# ## Key points
# - A convolution keeps places and changes channels; pooling halves places and keeps channels.
# - Last layer, labels and loss are one decision. The first loss of k classes is about ln k.
# - Good on training, poor on validation: more pictures before more layers.
#
# ## Question
# What does the size of the picture change? Read, decide, then call it again with your letter.

# %%
exercises.question("04-size")
