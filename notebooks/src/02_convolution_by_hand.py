# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 02 · Convolution by hand
#
# You will compute a convolution with nothing but multiplication and addition, get exactly what
# Keras gets, and from then on be able to predict the shape of every feature map you meet.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 40 min: 25 together, 15 exercise | lesson 01 | 10 to 20 CPU-seconds, no network | one road sign |
#
# **Afterwards you can**
# 1. compute one output pixel of a convolution on paper,
# 2. say the size of the output for any kernel, stride and padding,
# 3. design a 3×3 kernel that finds horizontal edges, and explain why it works.

# %% tags=["nbval-ignore-output"]
from cnnkit import data, exercises, explorer

sign = data.signs.draw(1, size=24, seed=9).images[0]
grey = sign.mean(axis=-1).round()
explorer.show(grey, values=True)

# %% [markdown]
# A picture is a table of numbers. Dark is near 0, bright is near 255. The number in row 3, column 5
# knows nothing about its neighbours. **A network that looked at single pixels could not tell an edge
# from a spot.** So we look through a small window instead.
#
# ## One window, one number
#
# Put a 3×3 window over the top left corner. Multiply each of the nine pixels with the weight that lies
# over it, and add the nine products. That sum is one output pixel. The nine weights are the *kernel*.
#
# > **Before you run the next cell:** this kernel has +1 in its left column and −1 in its right column.
# > On a patch where all pixels are equal, what comes out? Write a number down.

# %% tags=["nbval-check-output"]
import numpy as np

vertical = np.array([[1, 0, -1], [1, 0, -1], [1, 0, -1]], dtype="float32")
flat = np.full((3, 3), 120.0)
print((flat * vertical).sum())

# %% [markdown]
# Zero, whatever the brightness. This kernel does not see brightness. It sees *change from left to
# right*, and nothing else. Slide it over the whole picture and watch.

# %%
explorer.convolution_step(grey, vertical, row=8, column=3)

# %% [markdown]
# **What you should see:** the window lies across the sign's left rim. The wall, on the left, is about
# twice as bright as the sign, so the two columns of products do not cancel, and their sum is near 300.
# Do it on paper once: three large numbers minus three small ones. On the wall the sum is nearly nothing.
#
# Here you can slide the window yourself, or press play. Stop at the sign's *right* rim: there the edge
# changes direction, so the sum changes sign.

# %%
from cnnkit.explorer import widgets

widgets.convolution_step(grey, vertical, row=8, column=3)

# %% [markdown]
# Every edge detector of this kind is a difference. Lesson 13 opens a trained network and asks what its
# kernels answer to. Nobody puts them in; training finds them.
#
# ## All windows, one map
#
# > **Before you run the next cell:** the picture has 24 rows. In how many places can a window of three
# > rows stand?

# %% tags=["nbval-check-output"]
by_hand = np.zeros((22, 22))
for row in range(22):
    for column in range(22):
        window = grey[row : row + 3, column : column + 3]
        by_hand[row, column] = (window * vertical).sum()
print(by_hand.shape, by_hand[8, 3])

# %% [markdown]
# From row 0 to row 21: 22 places. That is a convolutional layer, all of it. Keras gets the same picture
# and the same nine weights. It wants two more axes, the pictures of a batch and the channels.

# %% tags=["nbval-check-output"]
import keras

layer = keras.layers.Conv2D(1, 3, use_bias=False)
layer.build((None, 24, 24, 1))
layer.set_weights([vertical[:, :, np.newaxis, np.newaxis]])
by_keras = layer(grey[np.newaxis, :, :, np.newaxis])[0, :, :, 0]
print(np.allclose(by_hand, by_keras, atol=1e-3))

# %% [markdown]
# All 484 numbers are equal. Keras is faster, and it knows no more than you do.
#
# ## Colours go in, channels come out
#
# A colour picture has three numbers for each pixel. So the kernel has a table for each colour, and the
# sum goes over all of them: still one number for one window.
#
# > **Before you run the next cell:** we give all three colours the same table, `vertical`. Grey was the
# > *mean* of the colours, and gave 295 here. What will the sum be now?

# %%
edge = np.stack([vertical] * 3, axis=-1)
explorer.convolution_step(sign, edge, row=8, column=3)

# %% [markdown]
# **What you should see:** about three times as much, since 27 products are added in place of 9. The
# figure adds the colours up in each cell.
#
# A second kernel looks at colour and not at change: +1 on blue, −1 on red, at all nine places. White and
# grey give it about zero. A layer with both kernels puts out two maps, one for each. We call the maps
# *channels*, like the colours, because the next layer treats them alike.
#
# > **Before you run the next cell:** what shape do the weights of both kernels have together?

# %% tags=["nbval-check-output"]
plain = np.ones((3, 3))
blue = np.stack([-plain, 0 * plain, plain], axis=-1)
kernels = np.stack([edge, blue], axis=-1)
maps = explorer.by_hand.convolve(sign, kernels)
print(kernels.shape, maps.shape)

# %%
from cnnkit import plots


def as_grey(maps):
    """Grey is 0, bright is above it, dark below."""
    shades = 127.5 + 127 * maps / abs(maps).max(axis=(0, 1))
    return shades.round().transpose(2, 0, 1)


plots.image_grid(as_grey(maps), titles=["channel 0: edges", "channel 1: blue"])

# %% [markdown]
# **What you should see:** weights of (3, 3, 3, 2): window, colours in, channels out. Channel 1 is bright
# where the sign is blue, and dark on the yellow wall. Channel 0 does not care about the colour: it draws the
# rims, bright on the left and dark on the right.
#
# ## Stride, padding, dilation
#
# The window may move two pixels at a time. That is its *stride*, and it makes the map smaller.
#
# > **Before you run the next cell:** a picture of 6 × 6 pixels, a kernel of 3 × 3, stride 2. How large is
# > the output? Draw it.

# %%
explorer.convolution_geometry(6, 3, stride=2)

# %% [markdown]
# **What you should see:** two windows along each side. A third one would need a seventh pixel, so Keras
# drops the last row and the last column, without a word. (CNN Explainer, the well-known web page, refuses
# such numbers. Keras rounds down.)
#
# *Padding* `"same"` adds a border of zeros, so that no pixel is lost.

# %%
explorer.convolution_geometry(6, 3, stride=2, padding="same")

# %% [markdown]
# **What you should see:** one row and one column of zeros, at the bottom and at the right alone. One is
# enough here, and TensorFlow puts what cannot be halved at the far end.
#
# *Dilation* pulls the weights apart: with dilation 2, three weights reach over five pixels. Play with all
# of them, then predict.

# %%
widgets.convolution_geometry()

# %% [markdown]
# > **Before you run the next cell:** our picture has 24 × 24 pixels. Write down the side of the map for
# > each of the four rows.

# %% tags=["nbval-check-output"]
for how in [
    {"kernel_size": 5},
    {"kernel_size": 5, "strides": 2},
    {"kernel_size": 5, "strides": 2, "padding": "same"},
    {"kernel_size": 3, "dilation_rate": 2},
]:
    print(keras.layers.Conv2D(1, **how).compute_output_shape((None, 24, 24, 1)), how)

# %% [markdown]
# 20, 10, 12 and 20. The second floors: (24 − 5) / 2 is 9.5, which makes 9 steps and 10 windows.
#
# ## Design a kernel
#
# > **Before you run the next cell:** `vertical` finds change from left to right. Write down nine numbers
# > that find change from top to bottom.

# %%
horizontal = vertical.T
kernels = np.stack([vertical, horizontal], axis=-1)[:, :, np.newaxis]
maps = explorer.by_hand.convolve(grey[..., np.newaxis], kernels)
plots.image_grid(as_grey(maps), titles=["left to right", "top to bottom"])

# %% [markdown]
# **What you should see:** the first map has the left and right rims, the second the top and the bottom. Why
# does it work? The rows +1, 0, −1 subtract what is below from what is above. Where nothing changes the
# weights cancel, because their sum is zero. And three columns are added, so a single noisy pixel counts
# less than an edge that is three pixels long.

# %% [markdown]
# ## Exercise: how large is the output?
#
# Write `output_side(side, kernel, stride, padding)` for a square picture with `padding` pixels of
# border added on *each* side. Try it on paper first with side 5, kernel 3, stride 2, no padding.


# %%
def output_side(side, kernel, stride=1, padding=0):
    ### BEGIN SOLUTION
    return (side + 2 * padding - kernel) // stride + 1
    ### END SOLUTION


exercises.check("02", output_side)

# %% [markdown]
# ## Common mistakes
# - *"Convolution" flips the kernel.* In mathematics yes; in Keras no (it is cross-correlation). Learned
#   weights do not mind, a formula copied from a book does.
# - *padding="same" adds one pixel on each side.* Only for a kernel of 3 with stride 1. With stride 2
#   TensorFlow may pad more at the bottom and right than at the top and left.
# - *Three colours, so three maps.* A kernel adds up all channels. Maps are as many as kernels.
#
# ## Key points
# - One output pixel is one weighted sum of one window; the same weights are used everywhere.
# - Output side: floor((side + 2·padding − kernel) / stride) + 1.
# - A kernel whose weights sum to zero sees change, not brightness.
#
# ## Question
# A 7×7 kernel and three stacked 3×3 kernels see the same 7×7 window. For 64 channels in and out, which
# has fewer weights, and how many? Read it, decide, then call it again with your letter.

# %%
exercises.question("02-stack")
