"""Mixed precision: 16 bits where they are faster, 32 where digits matter.

Weights stay in 32 bits, layers compute in bfloat16, which has the range of float32 and
a third of its digits (Micikevicius et al., "Mixed Precision Training", 2018,
https://arxiv.org/abs/1710.03740; with bfloat16 no loss has to be scaled).
"""

import contextlib
from pathlib import Path

import keras
import tensorflow as tf

from cnnkit.training.compiled import is_kept

PRECISIONS = ("auto", "float32", "mixed_bfloat16")
# On a CPU the others gain (1.1 to 1.5 times), these lose (0.7).
SLOW_IN_16_BITS = (keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


def choose(model, precision="auto"):
    """Returns the precision that is faster for a model on this machine.

    Args:
        model: `keras.Model`.
        precision: "auto", or the answer.

    Returns:
        "mixed_bfloat16" where the machine computes in bfloat16 and the model has
        plain convolutions and no depthwise ones, else "float32".

    Raises:
        ValueError: there is no such precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"`precision` is one of {PRECISIONS}. Received: precision={precision!r}"
        )
    if precision != "auto":
        return precision
    learning = [layer for layer in _layers(model) if layer.trainable_weights]
    convolutions = any(isinstance(x, keras.layers.Conv2D) for x in learning)
    slow = any(isinstance(layer, SLOW_IN_16_BITS) for layer in _layers(model))
    pays = convolutions and not slow and _machine_has_bfloat16()
    return "mixed_bfloat16" if pays else "float32"


@contextlib.contextmanager
def computing_in(model, precision):
    """Lets the layers of a model compute in a precision while the context lasts.

    Layers that were built with a dtype of their own, such as "logits" and
    "probabilities", keep it. Compile the model inside the context.

    Args:
        model: `keras.Model`.
        precision: "float32" (nothing changes) or "mixed_bfloat16".
    """
    changed = []
    if precision != "float32":
        mixed = keras.DTypePolicy(precision)
        own = ("logits", "probabilities")
        for layer in _layers(model):
            if layer.dtype_policy.name == "float32" and layer.name not in own:
                changed.append((layer, layer.dtype_policy))
                layer.dtype_policy = mixed
    try:
        yield
    finally:
        if is_kept(model):
            changed.clear()
        for layer, policy in changed:
            layer.dtype_policy = policy
        if changed:  # what was traced computes in 16 bits: trace it again when asked
            model.make_train_function(force=True)
            model.make_test_function(force=True)
            model.make_predict_function(force=True)


def _layers(model):
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if not isinstance(layer, keras.layers.InputLayer)
    ]


def _machine_has_bfloat16():
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return details.get("compute_capability", (0, 0)) >= (8, 0)
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux: such a machine is not known to gain
        return False
