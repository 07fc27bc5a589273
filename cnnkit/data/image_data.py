"""`ImageData`: pictures of one size, their classes, and which part each belongs to."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cnnkit.data import batching, display, stored, writing
from cnnkit.data.decoding import resize
from cnnkit.data.reader import Reader, sides
from cnnkit.data.split import PARTS, folds
from cnnkit.data.surroundings import check_keras


@dataclass(frozen=True, eq=False)
class ImageData:
    """Pictures that have been read, resized and split; made by `from_folder` and co.

    Attributes:
        class_names: tuple of str; the label i means `class_names[i]`.
        image_shape: (height, width, channels) in pixels; 1 channel is grey, 3 is RGB.
        manifest: pandas.DataFrame, one row a picture: `path`, `label` (int), `split`
            ("train", "valid" or "test"), `content_hash` (SHA-256 of the content);
            where they are known `group`, `alike` (the number of its group of near
            duplicates), `width` and `height` of the file, and the further columns of
            a table.
        pixels: uint8 array of shape (n, height, width, channels), in memory or on
            disk (then what `take` returns reads its rows when they are asked for;
            `np.asarray` reads all); row i belongs to row i of `manifest`.
        source: str, where the pictures came from, for titles and reports.
        notes: tuple of str, sentences on how the pictures were read and split.
        reader: `Reader`, how files became these pixels, for `saving.save`; None where
            the pixels did not come from files.
    """

    class_names: tuple
    image_shape: tuple
    manifest: pd.DataFrame
    pixels: np.ndarray
    source: str = "arrays"
    notes: tuple = ()
    reader: Reader | None = None

    @property
    def num_classes(self):
        """How many classes there are."""
        return len(self.class_names)

    @property
    def train(self):
        """The training part as a `tf.data.Dataset`; see `batches`."""
        return self.batches("train")

    @property
    def valid(self):
        """The validation part as a `tf.data.Dataset`; see `batches`."""
        return self.batches("valid")

    @property
    def test(self):
        """The test part as a `tf.data.Dataset`; see `batches`."""
        return self.batches("test")

    def __repr__(self):
        """Says in one line what the pictures are."""
        sizes = self.manifest["split"].value_counts()
        parts = ", ".join(f"{sizes.get(part, 0):,} {part}" for part in PARTS)
        shape = " x ".join(map(str, self.image_shape))
        return (
            f"<ImageData {self.source!r}: {self.num_classes} classes, {parts}, {shape}>"
        )

    def _repr_html_(self):
        """Shows counts and examples in a notebook; features have none to show."""
        return display.html(self) if self.pixels.dtype == "uint8" else None

    def write(self, folder):
        """Writes the pictures to a new folder as part/class/number.png, losslessly.

        Args:
            folder: str or path of a folder that is new or empty.

        Returns:
            The `pathlib.Path` of the folder, which `from_folder` reads again.

        Raises:
            FileExistsError: the folder has something in it.
            ValueError: a class has a name that cannot be that of a folder.
        """
        return writing.write(self, folder)

    def counts(self):
        """Returns the number of pictures of each class in each part, as a table."""
        table = pd.crosstab(self.manifest["label"], self.manifest["split"])
        table = table.reindex(index=range(self.num_classes), columns=PARTS)
        table = table.fillna(0).astype(int)
        table.index = pd.Index(self.class_names, name="class")
        return table.rename_axis(columns=None)

    def resized(self, image_size):
        """Returns the same pictures in another size, made from these pixels.

        Args:
            image_size: int or (height, width), pixels from 8 to 1024. For larger
                pictures than these load the files again: here they only get blurred.

        Returns:
            `ImageData` with the same manifest and split.

        Raises:
            ValueError: a bad size.
        """
        height, width = sides(image_size)
        shape = len(self.pixels), height, width, self.image_shape[2]
        on_disk = isinstance(self.pixels, np.memmap | stored.Rows)
        pixels = stored.empty(shape, 0 if on_disk else 2**31)
        for position, image in enumerate(self.pixels):
            pixels[position] = resize(image, width, height).reshape(height, width, -1)
        reader = self.reader and self.reader.sized((height, width))
        return dataclasses.replace(
            self, image_shape=pixels.shape[1:], pixels=pixels, reader=reader
        )

    def take(self, rows):
        """Returns some of the pictures, each in the part that it was in.

        Args:
            rows: int or bool array, the positions in the manifest.

        Returns:
            `ImageData` with a manifest of these rows, in their order.
        """
        manifest = self.manifest.iloc[rows].reset_index(drop=True)
        pixels = stored.some(self.pixels, rows)
        return dataclasses.replace(self, manifest=manifest, pixels=pixels)

    def folds(self, k=5, *, seed=0):
        """Returns `k` versions of the data, each with another validation part.

        All pictures but those of the test are dealt into k folds, by class, and what
        belongs together into one fold; see `data.folds`.

        Args:
            k: int from 2.
            seed: int, another seed gives other folds.

        Returns:
            A list of k `ImageData`, which share their pixels: the i-th has fold i as
            "valid", the others as "train", and the test part as it is.

        Raises:
            ValueError: too few pictures for k folds.
        """
        rows = np.flatnonzero(self.manifest["split"] != "test")
        fold = folds(self.manifest.iloc[rows], k, seed=seed)
        versions = []
        for number in range(k):
            parts = self.manifest["split"].to_numpy(dtype=object).copy()
            parts[rows] = np.where(fold == number, "valid", "train")
            manifest = self.manifest.assign(split=parts)
            versions.append(dataclasses.replace(self, manifest=manifest))
        return versions

    def rows(self, part):
        """Returns the positions of the pictures of one part, in manifest order.

        Args:
            part: "train", "valid" or "test".

        Returns:
            An int array, for `manifest.iloc` and `pixels`.

        Raises:
            ValueError: there is no such part, or no picture is in it.
        """
        if part not in PARTS:
            raise ValueError(f"`part` must be one of {PARTS}. Received: part={part!r}")
        rows = np.flatnonzero(self.manifest["split"] == part)
        if not len(rows):
            raise ValueError(
                f"No picture is in the {part!r} part; a class needs at least three "
                "different pictures to be in every part. Received: "
                f"{self.manifest['split'].value_counts().to_dict()} pictures"
            )
        return rows

    def batches(
        self,
        part,
        *,
        batch_size=32,
        augment=None,
        mix=None,
        one_hot=False,
        seed=0,
        epoch=0,
    ):
        """Returns one part as batches of pixels and labels.

        The training part is shuffled: its first pass has the order of
        (`seed`, `epoch`), its second pass that of (`seed`, `epoch + 1`), and so on,
        whatever the machine or the number of threads. The other parts always come
        in manifest order, so that each prediction can be traced to its file.

        Args:
            part: "train", "valid" or "test".
            batch_size: int, the most pictures in a batch. The batches of a pass
                differ by at most one picture, so that none is too small to learn
                from.
            augment: None, or a function (images, generator) -> images on a uint8
                batch (b, height, width, channels), such as `augment.policy("photos")`;
                `generator` is a `numpy.random.Generator` that depends on
                (seed, epoch, batch) alone. For the training part only.
            mix: None, or a function (images, labels, generator) -> (images, labels)
                on what `augment` made and one-hot labels, such as `augment.mixup()`,
                with a generator of its own. For the training part only.
            one_hot: bool, whether labels are one-hot; with `mix` they always are.
            seed: int, of the order, of `augment` and of `mix`.
            epoch: int from 0, the number of the first pass.

        Returns:
            A `tf.data.Dataset` of float32 images in [0, 255], shape
            (b, height, width, channels), and int32 labels, shape (b,), or one-hot
            float32 labels, shape (b, k). In plain Keras it stands for
            `keras.utils.image_dataset_from_directory(...)`.

        Raises:
            ValueError: the part is unknown or empty, `batch_size` is not positive,
                or `augment` or `mix` is given for another part than "train".
        """
        check_keras(trains=False)
        if batch_size < 1:
            raise ValueError(
                f"`batch_size` counts pictures. Received: batch_size={batch_size!r}"
            )
        if (augment is not None or mix is not None) and part != "train":
            given = "mix" if augment is None else "augment"
            raise ValueError(
                "Only training pictures are augmented; scores on changed pictures "
                f"would mean nothing. Received: {given} with part={part!r}"
            )
        return batching.make(
            self.pixels,
            self.rows(part),
            self.manifest["label"].to_numpy("int32"),
            batch_size=batch_size,
            shuffled=part == "train",
            augment=augment,
            mix=mix,
            num_classes=self.num_classes if one_hot or mix is not None else None,
            seed=seed,
            epoch=epoch,
        )


def to_arrays(data, part):
    """Returns one part of the pictures as NumPy arrays, in manifest order.

    Args:
        data: `ImageData`.
        part: "train", "valid" or "test".

    Returns:
        uint8 images of shape (n, height, width, channels) and int64 labels of
        shape (n,).
    """
    rows = data.rows(part)
    return np.array(data.pixels[rows]), data.manifest["label"].to_numpy("int64")[rows]
