# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 03 · ReLU, pooling, flatten, softmax
#
# You will compute the four small layers that stand between convolutions and an answer, each by hand, and
# follow one handwritten digit through a network until its ten probabilities are yours.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 30 min: 20 together, 10 exercise | lesson 02 | 10 to 25 CPU-seconds, no network | one road sign, 1,797 digits |
#
# **Afterwards you can**
# 1. apply ReLU and pooling on paper, and say what each throws away,
# 2. follow a value of the last maps to its weight for a class, and add up the logit,
# 3. turn logits into probabilities, and say what a temperature does to them.

# %% tags=["nbval-ignore-output"]
import keras
import numpy as np
from sklearn.datasets import load_digits

from cnnkit import data, exercises, explorer
from cnnkit.explorer import by_hand, widgets

sign = data.signs.draw(1, size=24, seed=9).images[0]
vertical = np.array([[1, 0, -1]] * 3)[:, :, np.newaxis, np.newaxis]
edges = by_hand.convolve(sign.mean(axis=-1, keepdims=True), vertical)[..., 0]

# %% [markdown]
# These are the sign and the kernel of lesson 02. Its map has values above and below zero: bright to dark
# is positive, dark to bright negative.
#
# ## ReLU: nothing below zero
#
# The *rectified linear unit* leaves a positive number as it is and makes a negative one 0.
#
# > **Before you run the next cell:** the left rim of the sign gave about +300, the right rim about −300.
# > What will be left of the two?

# %%
explorer.activation_step(edges, row=8, column=17)

# %% [markdown]
# **What you should see:** red stays, blue is gone. One channel now says *bright to dark, here, so much*.
# The other direction needs a channel of its own, with the opposite kernel.
#
# Why throw it away? Without something between them, two layers are worth no more than one.
#
# > **Before you run the next cell:** `first` and `second` are two dense layers, tables of weights. Can one
# > table do what both do, one after the other? And with a ReLU between them?

# %% tags=["nbval-check-output"]
rng = np.random.default_rng(0)
first, second = rng.normal(size=(5, 4)), rng.normal(size=(4, 3))
pictures = rng.normal(size=(100, 5))
one_table = pictures @ (first @ second)
print(np.allclose((pictures @ first) @ second, one_table))
print(np.allclose(by_hand.relu(pictures @ first) @ second, one_table))

# %% [markdown]
# True, then False. Convolutions are sums too, and a sum of sums is a sum. **The bend at zero is what makes
# a deep network more than a shallow one.** Other functions bend elsewhere: choose `gelu` or `elu` here,
# and look at what happens to small negative values.

# %%
widgets.activation_step(edges, row=8, column=17)

# %% [markdown]
# ## Pooling: the strongest of four
#
# A map of 22 × 22 says exactly where each edge is. To know *that* there is an edge, less will do. Max
# pooling keeps the largest value of each 2 × 2 window.
#
# > **Before you run the next cell:** a window has the values 9, 3, 0 and 2. What does max pooling leave,
# > and what average pooling?

# %% tags=["nbval-check-output"]
window = np.array([[9, 3], [0, 2]])[:, :, np.newaxis]
print(by_hand.max_pool(window).item(), by_hand.average_pool(window).item())

# %%
kept = by_hand.relu(edges)
explorer.pooling_step(kept, 2, row=4, column=1)

# %% [markdown]
# **What you should see:** half the rows and half the columns: a quarter of the numbers, and the rim is still
# there. What is lost is where in its window the largest value was. The gain: three numbers side by side
# now cover six columns of the old map, so the next kernel sees more of the picture. There is nothing to
# learn here, as pooling has no weights.

# %%
widgets.pooling_step(kept, 2)

# %% [markdown]
# Keras agrees on both layers.

# %% tags=["nbval-check-output"]
batch = edges[np.newaxis, :, :, np.newaxis].astype("float32")
theirs = keras.layers.MaxPooling2D(2)(keras.layers.ReLU()(batch))
ours = by_hand.max_pool(kept[..., np.newaxis], 2)
print(theirs.shape, np.allclose(ours, theirs[0], atol=1e-3))

# %% [markdown]
# ## Flatten: all maps in one row
#
# For the end we need a network that has learned something. Digits of 8 × 8 pixels are enough, and it
# trains in seconds.

# %% tags=["nbval-ignore-output"]
keras.utils.set_random_seed(0)
digits = load_digits()
images, names = digits.images[..., np.newaxis], [str(k) for k in range(10)]
conv = keras.layers.Conv2D(4, 3, activation="relu")
body = [keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 16), conv]
head = [keras.layers.Flatten(), keras.layers.Dense(10), keras.layers.Softmax()]
model = keras.Sequential([*body, keras.layers.MaxPooling2D(2), *head])
adam = keras.optimizers.Adam(0.01)
model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
_ = model.fit(images[:1500], digits.target[:1500], epochs=20, verbose=0)

# %%
loss, accuracy = model.evaluate(images[1500:], digits.target[1500:], verbose=0)
print(f"accuracy on new digits: {accuracy:.2f}")
explorer.show(images[1501], values=True, title=f"a {digits.target[1501]}")

# %% [markdown]
# **What you should see:** 0.88 to 0.95, from 4 kernels, and a 7 that a pencil wrote in 16 shades. We take this
# digit through all layers with our own functions.
#
# > **Before you run the next cell:** the convolution makes 4 maps of 6 × 6, the pooling 4 maps of 3 × 3.
# > How many values stand in the row after `Flatten`? How many weights has each of the ten classes?

# %%
maps = images[1501] / 16
maps = by_hand.relu(by_hand.convolve(maps, *conv.get_weights()))
maps = by_hand.max_pool(maps, 2)
weights, bias = model.layers[-2].get_weights()
k = digits.target[1501]
explorer.flatten_map(maps, weights[:, k], bias=bias[k], class_name=names[k])

# %% [markdown]
# **What you should see:** 36 values, row by row, in each place the four channels one after the other. So
# a channel stands at every fourth place. `Dense` has 36 weights for each class. Laid back over the map they
# say what the class wants to see *there*, and what speaks against it: blue. All products and the bias add
# up to one number, the *logit* of the class.
#
# ## Softmax: shares of one
#
# Logits can be anything. Probabilities are positive and add up to 1. Softmax takes the exponential of each
# logit, which is positive, and divides by the sum of all.
#
# > **Before you run the next cell:** three logits are 2, 1 and 0. Is the first probability twice the second?

# %%
explorer.softmax_terms([2.0, 1.0, 0.0], ["a", "b", "c"])

# %% [markdown]
# **What you should see:** it is 2.7 times the second, and that is 2.7 times the third. A logit that is
# larger by 1 makes e times the probability, wherever it starts from: add 100 to all three, and nothing
# changes. That is also how to compute it safely. Subtract the largest first, since exp(1000) is beyond
# all numbers.
#
# Now our digit, all ten sums, beside what the network says.

# %% tags=["nbval-check-output"]
logits = by_hand.dense(by_hand.flatten(maps), weights, bias)
probabilities = by_hand.softmax(logits)
said = model.predict(images[1501:1502], verbose=0)[0]
print(np.allclose(probabilities, said, atol=1e-4))

# %% [markdown]
# You have computed a whole network by hand.
#
# The *temperature* divides all logits before the exponential. Lesson 06 uses it to make a network that is
# too sure of itself honest.
#
# > **Before you run the next cell:** with a temperature of 4, will another class win?

# %%
explorer.softmax_terms(logits, names, temperature=4.0)

# %% [markdown]
# **What you should see:** the same winner, with less of the whole: a division by 4 keeps the order. A high
# temperature makes all alike, a low one gives everything to the first.

# %%
widgets.softmax_terms(logits, names)

# %% [markdown]
# ## Exercise: softmax, at any temperature
#
# Write `softmax(logits, temperature)` for an array of logits, with NumPy. It must also work for logits
# of 1,000. Start on paper: logits 2, 1 and 0 at temperature 2.


# %%
def softmax(logits, temperature=1.0):
    ### BEGIN SOLUTION
    scaled = (logits - np.max(logits)) / temperature
    return np.exp(scaled) / np.exp(scaled).sum()
    ### END SOLUTION


exercises.check("03", softmax)

# %% [markdown]
# ## Common mistakes
# - *ReLU after the last layer.* Then no logit can be negative, and many are equal: 0.
# - *Softmax twice*, in the last layer and in a loss with `from_logits=True`. The second one gets numbers
#   from 0 to 1, so no class can be more than e times as likely as another.
# - *Flatten mixes the picture up.* It keeps the order: each weight belongs to one place. So pictures must
#   always have the same size.
# - *A high probability means that the network knows.* It means that the others have less.
#
# ## Key points
# - ReLU cuts off what is below zero; without a bend, layers add up to one layer.
# - Pooling keeps the strongest value and forgets where in the window it was.
# - A logit is a weighted sum of all values of the last maps; softmax makes shares of logits.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("03-cat")
