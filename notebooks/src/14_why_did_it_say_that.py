# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 14 · Why did it say that? Grad-CAM, and testing the explanation
#
# You will see where a network looks, compute Grad-CAM with your own hands, catch a fine heat map that
# explains nothing, and find a shortcut that accuracy did not show.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 45 min: 32 together, 13 exercise | lessons 04 and 13 | 35 to 60 CPU-seconds, no network | drawn road signs |
#
# **Afterwards you can**
# 1. compute Grad-CAM from feature maps and gradients,
# 2. test whether a heat map comes from the network or only from the picture,
# 3. show that a network uses something beside the thing, and prove it.

# %% tags=["nbval-ignore-output"]
import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from cnnkit import data, exercises, explain, models, plots, training

names = data.signs.CLASS_NAMES
world = data.signs.draw(900, size=48, seed=14)
new = data.signs.draw(240, size=48, seed=15)

# %% [markdown]
# ## Cover it, and see
#
# A network says "stop". Which part of the picture made it say so? First we need a network. Our signs are
# drawn, so we know for each pixel whether it belongs to the sign: that is the **mask**. We shall need it.


# %%
def learn(images):
    test = new.images, new.labels
    photos = data.from_arrays(images, world.labels, class_names=names, test=test)
    keras.utils.set_random_seed(0)
    shape = {"num_classes": 12, "input_shape": (48, 48, 3)}
    model = models.small_cnn(**shape, widths=(16, 32, 64))
    training.fit(model, photos, epochs=10, verbose=0)
    return model


# %%
model = learn(world.images)
said = model.predict(new.images, verbose=0).argmax(axis=1)
print(f"accuracy on new signs: {(said == new.labels).mean():.2f}")
right = np.flatnonzero(said == new.labels)[:32]
images, labels, masks = new.images[right], new.labels[right], new.masks[right] > 0
titles = [names[k] for k in labels]

# %% [markdown]
# Now the idea that everybody understands. Lay a grey square over a part of the picture and ask again. If
# the probability of the class falls, the covered part was needed. Do it at each place.
#
# > **Before you run the next cell:** will the network miss the middle of a sign more, or its rim?

# %%
drops = explain.occlusion(model, images[:8], window=12, classes=labels[:8])
plots.heat_maps(images[:8], drops, titles=titles[:8])

# %% [markdown]
# **What you should see:** red, mostly on the signs: a cover there lets the probability fall, by 0.3 and
# more in some places, and more often on the symbol than on the rim. Pale pictures are no fault: there the
# network stays sure whichever part is missing. Blue places are where a cover *helps* the class.
#
# *Occlusion* needs no gradient and works for any model. It is also slow, 49 runs for each picture here, and
# the grey square may itself look like something.
#
# ## Grad-CAM by hand
#
# Can the network tell us in one run? Its last feature map has 6 × 6 places, and each of its 64 channels
# says where it found something. A channel matters for "stop" if the logit of "stop" would rise with it.
# That is a gradient. So weigh each channel with its mean gradient, add, and keep what is above 0.

# %% tags=["nbval-check-output"]
layers = [model.get_layer(name).output for name in ("features", "logits")]
inside = keras.Model(model.input, layers)
with tf.GradientTape() as tape:
    maps, logits = inside(images.astype("float32"))
    score = tf.gather(logits, labels, batch_dims=1)
gradients = tape.gradient(score, maps)
weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
by_hand = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1))
by_hand.shape

# %% [markdown]
# That is all of Grad-CAM (Selvaraju and others, 2017). Enlarge it to the picture, and compare with ours.
#
# > **Before you run the next cell:** the heat has 6 × 6 places, the picture 48 × 48 pixels. How exact can
# > the heat be?

# %%
large = tf.image.resize(by_hand[..., None], (48, 48))[..., 0]
large /= tf.reduce_max(large, axis=(1, 2), keepdims=True)
heat = explain.grad_cam(model, images, classes=labels)
print(f"largest difference: {np.abs(large - heat).max():.5f}")
plots.heat_maps(images[:8], heat[:8], titles=titles[:8])

# %% [markdown]
# **What you should see:** a difference of nothing, and soft spots on the signs. One place stands for 8 × 8
# pixels, so Grad-CAM says "about here" and never "this line". Its relatives (Grad-CAM++, Layer-CAM,
# Score-CAM) differ in the weights alone.
#
# ## Is the heat on the sign?
#
# Looking at eight pictures is no measurement. The **pointing game** counts: in how many pictures does the
# hottest pixel lie on the sign? We let two players in who know nothing about the network. One draws edges:
# how much neighbouring pixels differ. One always points at the middle.


# %%
def covered(model, images, *, classes=None):
    return explain.as_heat(explain.occlusion(model, images, window=12, classes=classes))


def edges(model, images, *, classes=None):
    down, across = np.gradient(images.mean(axis=-1), axis=(1, 2))
    return explain.as_heat(np.hypot(down, across))


# %%
wanted = ("Grad-CAM", "Layer-CAM", "integrated gradients")
methods = {name: explain.METHODS[name] for name in wanted}
methods |= {"occlusion": covered, "edges": edges}
heats = {name: way(model, images, classes=labels) for name, way in methods.items()}

# %% [markdown]
# > **Before you run the next cell:** a sign fills about a quarter of its picture, so a pixel drawn at
# > random hits one time in four. How often will the two hit?

# %%
middle = np.zeros(masks.shape)
middle[:, 24, 24] = 1
everyone = heats | {"always the middle": middle}
games = {name: explain.pointing_game(h, masks) for name, h in everyone.items()}
table = pd.DataFrame(games).T.rename(columns={"share": "value"})
table.loc["a pixel at random", ["value", "low", "high"]] = masks.mean()
plots.intervals(table, label="share of pictures whose hottest pixel is on the sign")

# %% [markdown]
# **What you should see:** the four methods hit in eight or nine pictures of ten, or more. But so does the
# middle, and the edges are not far behind, though neither has ever met the network! Whoever takes a picture
# puts the thing near the middle, and signs have strong edges. **Heat on the thing does not prove that the
# thing is the reason.**
#
# ## A picture that looks right proves nothing
#
# Here is a test that can fail (Adebayo and others, 2018). Ruin the network: shuffle the weights of each
# layer, so that all it has learnt is lost. An explanation of the network must then change. Heat that stays
# has shown you the picture.

# %%
ruined, rng = keras.models.clone_model(model), np.random.default_rng(0)
shuffled = [rng.permuted(w.ravel()).reshape(w.shape) for w in model.get_weights()]
ruined.set_weights(shuffled)

# %%
one, players = slice(2, 3), ["Grad-CAM", "Layer-CAM", "occlusion", "edges"]
before = [heats[name][one] for name in players]
after = [methods[name](ruined, images[one], classes=labels[one]) for name in players]
plots.heat_maps(
    np.repeat(images[one], 8, axis=0),
    np.concatenate(before + after),
    titles=players + ["shuffled weights"] * 4,
)

# %% [markdown]
# **What you should see:** the edges are the same, to the pixel. The others have changed, some more than
# others.
#
# `explain.sanity` does this for all pictures, with the rank correlation of the two heats: 1 is unchanged.
# And it asks a second question: does the hot part matter? Paint the hottest pixels in a plain colour, more
# and more of them. If they mattered, the probability falls at once, and its mean (*deletion*) is low. The
# rival is the same heat laid on a wrong place (*random deletion*).
#
# > **Before you run the next cell:** which methods will pass both tests?

# %%
table = explain.sanity(model, images, labels, methods=methods, steps=8)
table = table.rename(columns={"correlation after randomisation": "correlation"})
table[["deletion", "random deletion", "correlation", "passes"]].round(2)

# %%
three = {name: heats[name] for name in ("Grad-CAM", "occlusion", "edges")}
curves = explain.deletion_insertion(model, images, labels, three, steps=8)
plots.sanity(curves)

# %% [markdown]
# **What you should see:** Grad-CAM, integrated gradients and occlusion pass. The edges keep a correlation
# of 1. Layer-CAM points as well as any, and keeps 0.6 to 0.75: much of its heat shows where the picture has
# something, whatever the network has learnt. In the figure, an eighth of the pixels, chosen by Grad-CAM or
# occlusion, takes away about half of the probability, or more.
#
# Passing is necessary, and it is not enough. On another network test again: who passes may change.
#
# ## The shortcut
#
# Now a mistake as it happens in practice. All pictures of "speed limit 50" came from one camera, which
# stamps a small yellow square into the corner. We train anew.


# %%
def stamp(images, where):
    images = images.copy()
    images[where, -6:, -6:] = (255, 200, 0)
    return images


fifty = names.index("speed limit 50")
tricked = learn(stamp(world.images, world.labels == fifty))

# %% [markdown]
# > **Before you run the next cell:** the test pictures come from the same cameras. Will the accuracy warn
# > you?

# %%
is_fifty = new.labels == fifty
test = stamp(new.images, is_fifty)
said = tricked.predict(test, verbose=0).argmax(axis=1)
print(f"accuracy: {(said == new.labels).mean():.2f}")
print(f"found of speed limit 50: {(said == fifty)[is_fifty].mean():.2f}")

# %%
some = np.flatnonzero(is_fifty)[:4]
pairs = [(tricked, test[some]), (model, new.images[some])]
heat = [explain.grad_cam(m, pictures, classes=fifty) for m, pictures in pairs]
plots.heat_maps(
    np.concatenate([pictures for _, pictures in pairs]),
    np.concatenate(heat),
    titles=["tricked"] * 4 + ["first network"] * 4,
)

# %% [markdown]
# **What you should see:** above, the heat lies in the corner and leaves the sign alone. Below, the first
# network looks at the sign, or near it. Accuracy was *higher* with the stamp, 0.84 to 0.9, and every 50 was
# found.
#
# Nobody looks at thousands of pictures. `explain.shortcuts` asks for each class which corner or edge has
# the densest heat.
#
# > **Before you run the next cell:** three audits: the tricked network, the first one, and the tricked one
# > on pictures without a stamp. Which will raise a suspicion?


# %%
def suspects(model, images):
    heat = explain.grad_cam(model, images, classes=new.labels)
    table = explain.shortcuts(heat, new.labels, names)
    return table[["place", "area", "share", "density", "suspect"]].head(2).round(2)


found = {"tricked": suspects(tricked, test), "first": suspects(model, new.images)}
pd.concat(found | {"tricked, no stamp": suspects(tricked, new.images)})

# %% [markdown]
# **What you should see:** one suspect: "speed limit 50", bottom right, three to five times as dense as
# elsewhere. For the first network it is silent. So it is for the tricked one without stamps, and that is a
# warning: **heat tells what was used in this picture.** Audit pictures like those of the training.
#
# A suspicion is no proof. The proof is an experiment: change the stamp, and nothing else.

# %%
said = tricked.predict(new.images, verbose=0).argmax(axis=1)
print(f"stamp taken away: {(said == fifty)[is_fifty].mean():.0%} of them found")
said = tricked.predict(stamp(new.images, ~is_fifty), verbose=0).argmax(axis=1)
print(f"stamp on others: {(said == fifty)[~is_fifty].mean():.0%} become speed limit 50")

# %% [markdown]
# **What you should see:** without the stamp it finds hardly a single 50. With it, half of all *other* signs
# become a 50, or more. Now it is proven, and you know the cure: pictures of each class from each camera, or
# cut the corner off.
#
# ## Exercise: a class activation map
#
# Write `cam(maps, kernel, label)` for a network that ends in an average and one dense layer. `maps` has the
# shape (rows, columns, channels), `kernel` (channels, classes). Weigh each channel with its weight for the
# class, add the channels, and make 0 of what is below.


# %%
def cam(maps, kernel, label):
    ### BEGIN SOLUTION
    return np.maximum(maps @ kernel[:, label], 0)
    ### END SOLUTION


exercises.check("14", cam)

# %% [markdown]
# ## Common mistakes
# - *Explaining the predicted class when you ask about another.* Give `classes`.
# - *Choosing the method whose pictures please.* They please because they show the thing you see yourself.
# - *Reading Grad-CAM to the pixel.* It has the places of the last map, here 6 × 6.
#
# ## Key points
# - Occlusion asks by covering; Grad-CAM weighs each channel with its mean gradient.
# - Compare heat with chance, with the middle, and with a ruined network.
# - Heat raises a suspicion. An experiment proves it.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("14-lungs")
