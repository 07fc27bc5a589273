# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 19 · Vision Transformer, capsules, graphs
#
# You will build three networks that see a picture in another way than a CNN, check each against the
# package, and measure what each takes for granted.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 45 min: 32 together, 13 exercise | lessons 04 and 17 | 40 to 60 CPU-seconds, no network | scikit-learn's digits, one drawn sign |
#
# **Afterwards you can**
# 1. compute attention between a few tokens by hand, and say what it costs,
# 2. say what the length and the entries of a capsule mean, and how parts vote for a whole,
# 3. find out, with rearranged pictures, what a network knows about places.

# %% tags=["nbval-ignore-output"]
import keras
import numpy as np
import pandas as pd
from keras import layers

from cnnkit import data, evaluation, exercises, models, plots, training
from cnnkit.models.blocks import decide, pixels
from cnnkit.models.capsnet import Capsules, Lengths, MarginLoss, Squash, route
from cnnkit.models.graph import GraphConvolution, patch_graph
from cnnkit.models.vit import ClassToken, Positions, transformer_block

# %% [markdown]
# ## A picture becomes a row
#
# A convolution sees near neighbours only. It takes many layers until the left edge hears of the right.
# Transformers, made in 2017 for sentences, let each word look at every other at once. In 2020
# Dosovitskiy's group asked: what if the words are pieces of a picture?
#
# We cut a sign of 32×32 pixels into 16 patches. Each becomes a *token*: its 192 numbers times a matrix,
# the same for all.
#
# > **Before you run the next cell:** which layer that you know does exactly this?

# %%
keras.utils.set_random_seed(0)
sign = data.signs.draw(4, size=32, seed=2).images[3].astype("float32")
patches = sign.reshape(4, 8, 4, 8, 3).swapaxes(1, 2).reshape(16, 8, 8, 3)
embed = layers.Conv2D(48, kernel_size=8, strides=8)
tokens = embed(sign[None] / 255).numpy().reshape(16, 48)
matrix, bias = embed.get_weights()
by_hand = patches.reshape(16, 192) / 255 @ matrix.reshape(192, 48) + bias
print("a strided convolution does it:", np.allclose(by_hand, tokens, atol=1e-5))
titles = ["the sign", *(f"patch {i}" for i in range(16))]
plots.image_grid([sign, *patches], titles=titles, columns=9)

# %% [markdown]
# **What you should see:** the sign in pieces, row by row, and `True`. A window that moves by its own
# width is a patch embedding. From here on nothing says that patch 9 lies below patch 5.
#
# ## Each token looks at all others
#
# Each token asks (a *query*), shows what it has (a *key*), and has something to give (a *value*). Where
# query and key point the same way, much is taken. The shares that a token takes sum to 1.
#
# > **Before you run the next cell:** here each patch itself is query, key and value. What will patch 15
# > look at, a piece of wall?


# %%
def attention(queries, keys, values):
    scores = np.exp(queries @ keys.T / np.sqrt(keys.shape[1]))
    shares = scores / scores.sum(axis=1, keepdims=True)
    return shares, shares @ values


flat = (patches.reshape(16, 192) - sign.mean()) / sign.std()
shares, _ = attention(flat, flat, flat)
titles = [f"{i}: {share:.0%}" for i, share in enumerate(shares[15])]
plots.image_grid(patches, titles=titles, columns=8)

# %% [markdown]
# **What you should see:** it takes from the wall everywhere, from patch 3 at the top more than from patch
# 14 beside it, and nothing from the blue. Distance plays no part.
#
# A network does not compare raw pixels. It learns matrices for queries, keys and values, several sets of
# them, called *heads*. With shortcuts (lesson 17) and two dense layers that makes a *block*. A learnt
# *class token* stands before the patches: it asks, and the decision is read from it. To each token a
# learnt *position* is added.


# %%
def patch_net(width=48, heads=3, middle=96, depth=1):
    inputs, x = pixels((32, 32, 1))
    x = layers.Conv2D(width, 4, strides=4)(x)
    x = ClassToken()(layers.Reshape((64, width))(x))
    x = Positions(name="positions")(x)
    for i in range(1, depth + 1):
        x = transformer_block(x, heads, middle, name=f"block{i}")
    x = layers.LayerNormalization(epsilon=1e-6)(x[:, 0])
    return decide(inputs, x, 10, name="patch_net")


# %% [markdown]
# Do Keras and the package compute the same? Copy the weights and compare.

# %% tags=["nbval-check-output"]
layer = patch_net(heads=1).get_layer("block1_attention")
x = np.random.default_rng(0).normal(size=(5, 48)).astype("float32")
wq, bq, wk, bk, wv, bv, wo, bo = (w.squeeze() for w in layer.get_weights())
_, taken = attention(x @ wq + bq, x @ wk + bk, x @ wv + bv)
print("Keras:", np.allclose(taken @ wo + bo, layer(x[None], x[None])[0], atol=1e-5))
theirs = models.vit_cifar(2, input_shape=(32, 32, 1))
ours = patch_net(128, 2, 128, depth=2)
ours.set_weights(theirs.get_weights())
p = 255 * np.random.default_rng(1).random((2, 32, 32, 1), "float32")
print("package:", np.allclose(ours(p), theirs(p), atol=1e-5), ours.count_params())

# %% [markdown]
# ## What must it learn that a CNN knows?
#
# Our net with one block and a small CNN learn digits: 160 steps each, once with 212 pictures, once with
# 1,259.
#
# > **Before you run the next two cells:** who loses more when pictures are few?


# %%
def learn(net, photos, epochs=4, **options):
    history = training.fit(net, photos, epochs=epochs, verbose=0, **options)
    return history.params["seconds"]


def grade(net, pictures):
    said = net(pictures).numpy()
    scores = evaluation.scores(labels, said / said.sum(axis=1, keepdims=True))
    return scores.loc[("all classes", "accuracy"), ["value", "low", "high"]]


# %%
digits, rows, seconds = data.load("digits"), {}, {}
(x, y), (images, labels) = (data.to_arrays(digits, p) for p in ("train", "test"))
few = data.from_arrays(x[:250], y[:250], together="same", test=(images, labels))
for photos, epochs, batch in ((few, 11, 16), (digits, 4, 32)):
    cnn = models.small_cnn(input_shape=(32, 32, 1), widths=(8, 16, 32))
    vit = patch_net()
    for name, net in (("Vision Transformer", vit), ("CNN", cnn)):
        seconds[name] = learn(net, photos, epochs, batch_size=batch)
        rows[name, f"{len(photos.rows('train')):,} pictures"] = grade(net, images)
plots.intervals(pd.DataFrame(rows).T, label="accuracy on 269 test pictures")

# %% [markdown]
# **What you should see:** with all pictures 0.88 to 0.99, the CNN ahead by a few points. With 212 it keeps
# 0.84 to 0.94, and the transformer falls to 0.6 to 0.8. A CNN is born knowing that neighbours belong
# together and that a stroke is a stroke everywhere. The transformer must find that in pictures. From
# millions of them it does. (One run each; the intervals hold only the luck of the test pictures.)
#
# What does it know about places? We swap left with right, or mix, the 16 squares of each
# test picture.
#
# > **Before you run the next two cells:** what will it say to mixed pictures? And if its learnt positions
# > are set to 0?


# %%
def rearranged(pictures, order):
    s = pictures.reshape(-1, 4, 8, 4, 8).swapaxes(2, 3).reshape(-1, 16, 8, 8)[:, order]
    return s.reshape(-1, 4, 4, 8, 8).swapaxes(2, 3).reshape(pictures.shape)


mixed = rearranged(images, np.random.default_rng(0).permutation(16))
swapped = rearranged(images, np.arange(16).reshape(4, 4)[:, ::-1].ravel())
ways = {"intact": images, "swapped": swapped, "mixed": mixed}
some = [p[i] for p in ways.values() for i in range(3)]
plots.image_grid(some, titles=np.repeat(list(ways), 3), columns=9)

# %%
where = vit.get_layer("positions").positions
learnt = where.numpy()
for name, positions in (("set to 0", 0 * learnt), ("learnt", learnt)):
    where.assign(positions)
    first, second = (grade(vit, p)["value"] for p in (images, mixed))
    change = np.abs(vit(images) - vit(mixed)).max()
    print(f"positions {name}: accuracy {first:.2f}, mixed {second:.2f}")
    print(f"largest change of a probability: {change:.6f}")

# %% [markdown]
# **What you should see:** mixing takes it from above 0.88 to between 0.15 and 0.4. Without positions a
# picture and its mixed squares are the same to it, but for rounding: attention is a sum over tokens, and
# a sum has no order. (Trained without positions it got 0.42 to 0.51 in three runs: a bag of strokes says
# something.)
#
# What does the class token look at? Red is where its shares are largest.

# %%
tokens = keras.Model(vit.input, vit.get_layer("block1_norm1").output)(images[:4])
look = vit.get_layer("block1_attention")
_, shares = look(tokens, tokens, return_attention_scores=True)
seen = shares.numpy()[:, :, 0, 1:].reshape(4, 3, 8, 8)
red = np.kron(seen / seen.max(axis=(2, 3), keepdims=True), np.ones((4, 4)))
grey = images[:4].reshape(4, 1, 32, 32) / 2 * (1 - red)
shown = np.stack([grey + 230 * red, grey, grey], axis=-1)
titles = [t for n in labels[:4] for t in (f"a {n}", "head 1", "head 2", "head 3")]
pictures = [p for i in range(4) for p in (images[i], *shown[i])]
plots.image_grid(pictures, titles=titles, columns=8)

# %% [markdown]
# **What you should see:** a few patches, mostly on strokes and their edges. Each head has habits, such as
# the right side.
#
# ## Capsules: parts vote for a whole
#
# Pooling says *that* a stroke is there and forgets how it lies. Hinton's group (2017) put neurons in
# groups: a *capsule* is a vector. Its length, below 1, says how sure it is. Its direction says how the
# thing looks. Each part votes for how each whole would look; where votes agree, the whole is there.
#
# > **Before you run the next cell:** three parts vote. For the first whole they agree, for the second
# > they point apart. Each part begins with half its vote for each. And after three rounds?

# %% tags=["nbval-check-output"]
votes = np.array([[[2, 0.4], [2, 0]], [[2, -0.4], [-2, 0]], [[2, 0], [0, 2]]])
agreement = np.zeros((3, 2))
for _ in range(3):
    shares = np.exp(agreement) / np.exp(agreement).sum(axis=1, keepdims=True)
    total = (shares[:, :, None] * votes).sum(axis=0)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    capsules = total * length / (1 + length**2)  # "squash"
    agreement += (votes * capsules).sum(axis=2)
    print(shares[:, 0].round(2), np.linalg.norm(capsules, axis=1).round(2))
print(np.allclose(capsules, route(votes[None], 3)[0], atol=1e-5))

# %% [markdown]
# **What you should see:** in each line, what the three parts give to the first whole, and how long both
# wholes are. Three rounds bring nearly all to the first, and the second shrinks. The package's `route`
# agrees.
#
# `models.capsnet` is the paper's net, with 6.8 million parameters. Ours is narrow (the figure calls
# capsules tokens). It sees digits pushed sideways, so that there is something to say about how they lie.

# %%
from cnnkit.models import anatomy

inputs, h = pixels((32, 32, 1))
h = layers.Conv2D(24, 7, strides=2, activation="relu")(h)
h = layers.Conv2D(32, 7, strides=2)(h)  # 4×4 places with 4 capsules of 8 numbers
parts = Squash()(layers.Reshape((64, 8))(h))
poses = Capsules(10, 16, iterations=3)(parts)  # a capsule of 16 numbers for each digit
capsnet = keras.Model(inputs, Lengths()(poses))
read = keras.Model(inputs, poses)
anatomy.draw(capsnet, "a narrow capsule network")


# %%
def pushed(pictures, rng):
    steps = rng.integers(-4, 5, len(pictures))
    return np.stack([np.roll(p, s, 1) for p, s in zip(pictures, steps, strict=True)])


seconds["capsules"] = learn(capsnet, digits, loss=MarginLoss(), augment=pushed)
print(f"accuracy {grade(capsnet, images)['value']:.2f}")
print(f"a {labels[0]}; lengths:", capsnet(images[:1]).numpy()[0].round(2))

# %% [markdown]
# Lengths need not sum to 1: each class is asked for itself. In the paper a second net draws the picture
# from the 16 numbers of the right capsule. If it can, they hold how the digit lies.


# %%
def right_capsule(pictures, classes):
    chosen = np.eye(10)[classes][:, :, None]
    return (read(pictures).numpy() * chosen).reshape(-1, 160)


draw = keras.Sequential([layers.Dense(128, "relu"), layers.Dense(1024, "sigmoid")])
draw.compile(keras.optimizers.Adam(3e-3), "mse")
moved = pushed(x, np.random.default_rng(0))
targets = moved.reshape(-1, 1024) / 255
history = draw.fit(right_capsule(moved, y), targets, epochs=6, verbose=0)

# %%
threes = pushed(images[labels == 3], np.random.default_rng(1))[[0, 3, 5, 6]]
numbers = right_capsule(threes, np.full(4, 3))  # entries 48 to 63 belong to "3"
change = draw(numbers[0] + 0.3 * np.eye(160)[48:64]) - draw(numbers[:1])
most = 48 + np.abs(change).mean(axis=1).argmax()
moved = numbers[0] + np.linspace(-0.3, 0.3, 8)[:, None] * np.eye(160)[most]
drawn = 255 * draw(np.concatenate([numbers, moved])).numpy().reshape(12, 32, 32)
titles = [t for n in numbers for t in (f"length {np.linalg.norm(n):.2f}", "drawn")]
pictures = [p for i in range(4) for p in (threes[i], drawn[i])] + list(drawn[4:])
plots.image_grid(pictures, titles=titles + ["one entry"] * 8, columns=8)

# %% [markdown]
# **What you should see:** blurred threes, but each drawn where its three lies. A strange three has a short
# capsule and a faint drawing. Below, the entry that matters most goes from −0.3 to 0.3: the three moves,
# leans or fades a little. The paper, which trains both nets together, finds entries for slant and width.
#
# ## Graphs: who is near?
#
# A molecule or a map of streets is no grid. A graph network needs only nodes and a table of who is near
# whom, the *adjacency*. Each node adds up shares of itself and its neighbours, then all are multiplied
# by one matrix. Here the nodes are patches, each near its eight neighbours.
#
# > **Before you run the next cell:** we number the nodes in another order, and the table with them. What
# > happens to the mean over all nodes?

# %% tags=["nbval-check-output"]
place = np.array([(row, column) for row in range(4) for column in range(4)])
near = np.abs(place[:, None] - place).max(axis=2) <= 1
table = near / np.sqrt(np.outer(near.sum(axis=0), near.sum(axis=1)))
layer, nodes = GraphConvolution(8, table), np.random.default_rng(0).random((16, 5))
theirs, weights = layer(nodes[None])[0].numpy(), layer.get_weights()[0]
print("table:", np.allclose(table, patch_graph(4, 4)), end=", ")
print("layer:", np.allclose(table @ nodes @ weights, theirs, atol=1e-5), end=", ")
new = np.random.default_rng(1).permutation(16)
other = table[new][:, new] @ nodes[new] @ weights
print("mean:", np.allclose(other.mean(axis=0), theirs.mean(axis=0), atol=1e-5))

# %% [markdown]
# Nothing. And the table does not say *on which side* a neighbour lies.
#
# > **Before you run the next cell:** which of the four nets cannot tell swapped pictures from the others?

# %%
graph = models.graph_net(input_shape=(32, 32, 1), patch=8)
seconds["graph"] = learn(graph, digits, epochs=6, learning_rate=0.02)
nets = {"CNN": cnn, "Vision Transformer": vit, "capsules": capsnet, "graph": graph}
scores = pd.DataFrame(
    {(way, n): grade(nets[n], p) for way, p in ways.items() for n in nets}
).T
plots.intervals(scores, label="accuracy on 269 test pictures")

# %% [markdown]
# **What you should see:** the graph network is the weakest on intact pictures, 0.75 to 0.9, and the only
# one that swapping does not touch: to it, both are the same picture. Mixing hurts all, the graph
# least.
#
# (In the table, seconds are by the clock. The capsules saw pushed digits, the graph net made 240 steps.)

# %%
facts = scores.loc["intact"].round(2)
facts["parameters"] = [net.count_params() for net in nets.values()]
facts["seconds"] = [seconds[name] for name in nets]
facts["takes for granted"] = [
    "near pixels belong together, everywhere alike",
    "nothing but the cut: places are learnt",
    "parts whose poses agree make a whole",
    "who is near counts, not on which side",
]
facts

# %% [markdown]
# ## Exercise: what does attention cost?
#
# Write `attention_cost(side, patch, width)`: the multiply-adds with which the tokens of a square picture
# look at each other in one block, in `queries @ keys.T` and `shares @ values`. `width` is that of all
# heads together; the class token counts. On paper first: side 8, patch 4, width 1 gives 50.


# %%
def attention_cost(side, patch, width):
    ### BEGIN SOLUTION
    return 2 * width * ((side // patch) ** 2 + 1) ** 2
    ### END SOLUTION


exercises.check("19", attention_cost)

# %% [markdown]
# ## Common mistakes
# - *Attention is an explanation.* It says what was taken, not what decided. Lesson 14 tests explanations.
# - *A transformer is better because it is newer.* On few pictures it is worse. Take one that has learnt
#   from millions, and fine-tune it.
# - *Another picture size.* Positions are for one size; `at_size` in `cnnkit/models/vit.py` stretches them.
#
# ## Key points
# - A patch embedding is a strided convolution; attention is a weighted sum, and has no order.
# - A capsule: length says whether, direction says how. Agreement decides.
# - What a network takes for granted it need not learn, and cannot unlearn.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("19-order")
