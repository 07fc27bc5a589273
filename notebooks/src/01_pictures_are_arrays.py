# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {name: python3, display_name: Python 3}
# ---

# %% [markdown]
# # 01 · Pictures are arrays: load, look, check, split
#
# You will take a picture apart into numbers, find what is wrong with a folder before a network learns
# from it, and split it so that the test is a test.
#
# | Time | Needs | Computer | Data |
# |---|---|---|---|
# | 30 min: 20 together, 10 exercise | lesson 00 | 10 to 20 CPU-seconds, no network | 600 road signs |
#
# **Afterwards you can**
# 1. say what each number of a picture's array stands for, and change it without an accident,
# 2. find damaged, doubled and misplaced files in a folder in one call,
# 3. tell a split that leaks from one that does not.

# %% tags=["nbval-ignore-output"]
import shutil
from pathlib import Path

import numpy as np

from cnnkit import data, exercises, plots

# %% [markdown]
# ## A picture is a table of numbers
#
# `ImageData` holds all pictures in one size. A notebook shows it like this.

# %% tags=["nbval-ignore-output"]
photos = data.load("signs")
photos

# %% [markdown]
# > **Before you run the next cell:** a sign has 48 rows and 48 columns of pixels. How many numbers does
# > the computer keep for it?

# %% tags=["nbval-check-output"]
images, labels = data.to_arrays(photos, "train")
sign = images[87]
sign.shape, sign.dtype, sign.size

# %% [markdown]
# 6,912: each pixel has three numbers, how much red, green and blue. `uint8` means whole numbers from 0
# to 255, one byte each. The order is row, column, colour: `sign[0, 47]` is the corner at the top *right*.

# %%
planes = sign * np.eye(3, dtype="uint8")[:, np.newaxis, np.newaxis]
plots.image_grid([sign, *planes], titles=["all three", "red", "green", "blue"])

# %% [markdown]
# **What you should see:** the sign and its three layers. Where a layer is bright, that colour is
# strong. White is bright in all three. **A colour picture is three grey pictures that lie on each
# other.**
#
# ## Arithmetic on pixels
#
# If pixels are numbers, then adding 60 makes a picture brighter.
#
# > **Before you run the next cell:** a pixel has the value 230. One byte ends at 255. What is 230 + 60?

# %%
brighter = np.clip(sign.astype(int) + 60, 0, 255).astype("uint8")
mirrored = sign[:, ::-1]
plots.image_grid(
    [sign, sign + np.uint8(60), brighter, mirrored],
    titles=["as it was", "+ 60 in bytes", "+ 60, then cut at 255", "columns reversed"],
)

# %% [markdown]
# **What you should see:** in the second picture, the brightest places have turned dark or taken another
# colour. Bytes count round like a clock: 230 + 60 is 290 − 256 = 34. No error, no warning. The third
# picture shows the way out: count with larger numbers, cut at 255, then go back to bytes. cnnkit's
# models take numbers from 0 to 255 and scale them inside, so you never have to.
#
# ## One size for all
#
# A network wants all pictures of a batch in one size. Your photographs have many. There are three
# ways, and each loses something.
#
# > **Before you run the next cell:** we read the square signs into a size twice as wide as high. What
# > will each way do to a round sign?

# %% tags=["nbval-ignore-output"]
place = Path("runs/lesson_01")
shutil.rmtree(place, ignore_errors=True)  # of an earlier run
folder = photos.write(place / "signs")  # as files, to have something to break
wide = {
    fit: data.from_folder(folder, image_size=(48, 96), fit=fit)
    for fit in ("resize", "crop", "pad")
}

# %%
row = wide["pad"].manifest["path"].tolist().index("train/turn right/575.png")
plots.image_grid([w.pixels[row] for w in wide.values()], titles=list(wide))

# %% [markdown]
# **What you should see:** *resize* squeezes: round becomes oval. *crop* cuts: what lay at the top and
# bottom is gone. *pad* adds white: half of the numbers say nothing. The lines that were printed above
# give the loss in numbers. `resize` is where most people begin; where shape decides, try `pad`.
#
# ## What is wrong with this folder?
#
# Real folders are never clean. Let us spoil ours in five ways, all of which happen.

# %%
train, test = folder / "train", folder / "test"
stop = sorted((train / "stop").iterdir())
stop[0].write_bytes(stop[0].read_bytes()[:900])  # the disk was full
shutil.copy(stop[1], train / "parking" / "copy.png")  # filed twice
shutil.copy(stop[2], test / "stop" / "again.png")  # learnt and tested
(train / "give way" / "page.png").write_text("<html>404 not found")
(train / "stop" / "Thumbs.db").touch()  # Windows was here
# %% [markdown]
# > **Before you run the next cell:** which of the five files will stop training, and which will spoil it
# > without a word?

# %%
findings = data.check(folder)

# %% [markdown]
# **What you should see:** two errors, and among the warnings one picture in two classes and one test
# picture that is also in training. The errors are the lesser evil, since they stop you. A wrong name
# teaches nonsense in silence. A test picture that was learnt from makes the score better than it is.
#
# `check` returns a table, so you can sort, count and save it.

# %% tags=["nbval-check-output"]
findings[["code", "severity"]].value_counts(sort=False).loc[
    ["truncated", "not_a_picture", "copies_across_classes", "copies_across_parts"]
]

# %% [markdown]
# Reading such a folder is refused, and every bad file is named. You can repair them, remove them, or let
# `check` carry them to another folder. It writes a list first, moves when you say so, and
# `data.restore` brings all back.

# %%
data.check(folder, quarantine=place / "set apart", move=True, verbose=False)
sorted(p.name for p in (place / "set apart").rglob("*.*"))

# %% [markdown]
# ## A split that does not leak
#
# Films and bursts give you the same scene many times. Take 100 signs, each one twice, and deal them to
# training and test by chance.
#
# > **Before you run the next cell:** 70 in 100 go to training. For how many in 100 test pictures does
# > the twin lie in training?

# %% tags=["nbval-check-output"]
twice, names = np.repeat(images[:100], 2, axis=0), np.repeat(labels[:100], 2)
in_train = np.random.default_rng(0).random(len(twice)) < 0.7
known = {picture.tobytes() for picture in twice[in_train]}
by_chance = np.mean([picture.tobytes() in known for picture in twice[~in_train]])
f"{by_chance:.0%} of the test pictures are known from training"

# %% [markdown]
# About seven in ten, as you may have guessed: the twin does not care where the other went. On such a
# test a network that learns by heart looks brilliant. Now cnnkit's split of the same pictures.

# %% tags=["nbval-check-output"]
safe = data.from_arrays(twice, names)
split = safe.manifest.groupby("content_hash")["split"]
f"{(split.nunique() > 1).sum()} of {len(split)} pictures have copies on two sides"

# %% [markdown]
# None. The side of a picture follows from its content, so copies go together. Near copies do too, and
# with `groups=` all pictures of one patient or one camera. Each class still has its share of every
# part.

# %% [markdown]
# ## Exercise: how much of the test leaks?
#
# You get two lists of content hashes, one string for each picture: those in training, and those in the
# test. Write `leaked(train, test)`: the share of test pictures that are in training as well, a number
# between 0 and 1. A picture may be in a list more than once. Start on paper with `["a", "b"]` and
# `["a", "a", "c", "d"]`.


# %%
def leaked(train, test):
    ### BEGIN SOLUTION
    known = set(train)
    return sum(picture in known for picture in test) / len(test)
    ### END SOLUTION


exercises.check("01", leaked)

# %% [markdown]
# ## Common mistakes
# - *Adding to bytes.* They count round at 256. Turn them into larger numbers first.
# - *Width before height.* Arrays say row, then column: `(height, width, colour)`.
# - *Two calls with two seeds* for training and validation: some pictures come out in both.
# - *Splitting after enlarging the data.* A mirrored copy in the test is still a leak.
#
# ## Key points
# - A picture is an array of shape (height, width, 3) with whole numbers from 0 to 255.
# - Check a folder before you train. What stops you is not the worst.
# - A split is honest when nothing in the test was learnt from: no copy, no twin, no patient.
#
# ## Question
# Read it, decide, then call it again with your letter.

# %%
exercises.question("01-clinic")
