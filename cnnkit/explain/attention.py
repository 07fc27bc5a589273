"""Attention rollout: which patches does the class token of a transformer draw from?"""

from contextlib import ExitStack

import keras
import numpy as np
import tensorflow as tf

from cnnkit.explain.cams import PIXELS, at_picture_size
from cnnkit.explain.tapping import check_images, layers_of, slices, standing_in, tap


def attention_rollout(model, images):
    """Returns how much of each patch has come to the class token, through all blocks.

    In each block a token keeps itself by half and takes the other half from where it
    looks, on average over the heads. The blocks multiplied tell what came from where.
    It is one map for a picture, the same for all classes. Abnar and Zuidema,
    "Quantifying Attention Flow in Transformers", ACL 2020,
    https://arxiv.org/abs/2005.00928 (equation 1).

    Args:
        model: `keras.Model` of our Vision Transformers: `models.vit`,
            `models.vit_cifar` or `models.vit_trained.at_size`.
        images: array of pixels in [0, 255], shape (n, h, w, c).

    Returns:
        float32 heat of shape (n, h, w), the highest of each picture 1.

    Raises:
        ValueError: the model has no attention between a class token and patches, or
            the pictures do not fit it.
    """
    images = check_images(model, images)
    every = [layer for _, layer in layers_of(model)]
    kind = keras.layers.MultiHeadAttention
    attentions = {id(x): x for x in every if isinstance(x, kind)}.values()
    features = [x for x in every if x.name == "features"]
    if not attentions or not features:
        raise ValueError(
            "`model` must be a Vision Transformer from `models.vit` or "
            "`models.vit_cifar`, whose class token looks at patches. For a CNN, take "
            f"`grad_cam`. Received: {model.name!r} with {len(attentions)} attention "
            "layers"
        )
    run, heats, looks = tap(model, features[-1]), [], []

    def look(original, *args, return_attention_scores=False, **kwargs):
        outputs, scores = original(*args, return_attention_scores=True, **kwargs)
        looks.append(tf.reduce_mean(tf.cast(scores, "float32"), axis=1))  # the heads
        return (outputs, scores) if return_attention_scores else outputs

    # Shares are (tokens x tokens) for each block: few pictures at a time.
    for part in slices(len(images), images, PIXELS // 4):
        looks.clear()
        with ExitStack() as stack:
            for attention in attentions:
                stack.enter_context(standing_in(attention, "call", look))
            maps = run(tf.constant(images[part]))[0]
        rows, columns = maps.shape[1:3]
        if any(x.shape[1:] != (1 + rows * columns,) * 2 for x in looks):
            raise ValueError(
                "Rollout needs blocks in which one class token and all patches look at "
                f"each other: {1 + rows * columns} tokens for {rows} x {columns} "
                f"patches. Received: attention of shape {tuple(looks[0].shape)}"
            )
        came = np.eye(1 + rows * columns, dtype="float32")
        for shares in looks:
            came = (came + shares.numpy() @ came) / 2  # (I + shares) / 2 times before
        heats.append(came[:, 0, 1:].reshape(-1, rows, columns))
    return at_picture_size(np.concatenate(heats), images.shape[1:3])
