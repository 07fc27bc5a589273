"""Batches of pictures that lie in memory or on disk, for `ImageData.batches`."""

import functools
import itertools

import numpy as np

from cnnkit.data.memory import as_floats


def make(
    pixels,
    rows,
    labels,
    *,
    batch_size,
    shuffled=False,
    augment=None,
    mix=None,
    num_classes=None,
    seed=0,
    epoch=0,
):
    """Makes batches whose content follows from (seed, epoch, batch) alone.

    Args:
        pixels: uint8 array of shape (n, height, width, channels).
        rows: int array, the positions in `pixels` that are served.
        labels: int32 array of shape (n,).
        batch_size: int, the most pictures in a batch; batches of a pass differ by at
            most one picture.
        shuffled: bool, whether each pass has an order of its own.
        augment: None or a function, as for `ImageData.batches`.
        mix: None or a function, as for `ImageData.batches`; needs `num_classes`.
        num_classes: None for int32 labels of shape (b,), or the k of one-hot float32
            labels of shape (b, k).
        seed: int.
        epoch: int, the number of the first pass.

    Returns:
        A `tf.data.Dataset` of float32 images and labels.
    """
    import tensorflow as tf  # 5 CPU-seconds that scanning a folder can do without

    steps = -(-len(rows) // batch_size)
    edges = np.linspace(0, len(rows), steps + 1).astype(int)
    passes = itertools.count(epoch)
    if num_classes is not None:
        labels = np.eye(num_classes, dtype="float32")[labels]

    @functools.lru_cache(maxsize=2)  # prefetching may reach into the next pass
    def order(epoch):
        if not shuffled:
            return rows
        return np.random.default_rng((seed, epoch)).permutation(rows)

    def load(position):
        epoch, step = divmod(int(position), steps)
        chosen = order(epoch)[edges[step] : edges[step + 1]]
        targets = labels[chosen]
        if augment is None and mix is None:
            return as_floats(pixels, chosen), targets
        images = pixels[chosen]
        if augment is not None:
            images = augment(images, np.random.default_rng((seed, epoch, step)))
        if mix is not None:  # by luck of its own, so that it leaves augmentation alone
            luck = np.random.default_rng((seed, epoch, step, 1))
            images, targets = mix(images, targets, luck)
        return as_floats(images, range(len(images))), targets

    as_it_is = tf.autograph.experimental.do_not_convert  # reading our source costs
    kinds = (tf.float32, tf.int32 if num_classes is None else tf.float32)

    @as_it_is
    def load_in_graph(position):
        images, targets = tf.numpy_function(load, (position,), kinds)
        images.set_shape((None, *pixels.shape[1:]))
        targets.set_shape((None, *labels.shape[1:]))
        return images, targets

    @as_it_is
    def first_position(_):  # of the next pass; positions count through all passes
        return tf.numpy_function(lambda: next(passes) * steps, (), tf.int64)

    positions = tf.data.Dataset.range(1).map(first_position)
    positions = positions.flat_map(
        as_it_is(lambda first: tf.data.Dataset.range(first, first + steps))
    )
    # One thread serves pixels as they are for a third of what two would cost.
    threads = None if augment is None else 2
    batches = positions.map(load_in_graph, threads, deterministic=threads and True)
    batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    options = tf.data.Options()
    options.autotune.enabled = False  # all is set, and each pass would pay for it
    options.threading.private_threadpool_size = threads or 1
    return batches.prefetch(2).with_options(options)
