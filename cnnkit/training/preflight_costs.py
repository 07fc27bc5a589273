"""What a training would cost: seconds, memory, and the size of the saved file."""

import time
from collections import Counter

import numpy as np
import tensorflow as tf

RUNS = 3
ENOUGH = 4.0  # seconds of timed steps
PASSED_ON = {"Identity", "Reshape", "ReadVariableOp", "Squeeze", "ExpandDims", "NoOp"}
OF_A_FILE = 2e4  # bytes of the archive's own
OF_A_VARIABLE = 2.2e3  # its name, its place in HDF5, a share of its layer's config


def seconds(function, *arguments):
    """Returns how long a traced function takes: the best of a few runs.

    Args:
        function: `tf.function` that was called with these arguments before.
        arguments: its arguments.
    """
    taken, start = [], time.monotonic()
    while len(taken) < RUNS and time.monotonic() - start < ENOUGH:
        begin = time.monotonic()
        np.asarray(function(*arguments)[0])  # waits until it is done
        taken.append(time.monotonic() - begin)
    return min(taken)


def peak_bytes(trial, images, labels):
    """Estimates the memory of a training step: weights, optimizer, activations.

    A step of the traced graph begins with all variables in memory. Its operations are
    gone through in order, and each tensor counts from its operation to the last one
    that reads it. Buffers inside an operation are not known.

    Args:
        trial: `Trial`.
        images: float tensor of shape (b, height, width, channels).
        labels: tensor of labels.

    Returns:
        int, bytes at the worst moment, without Python and TensorFlow themselves.
    """
    operations = trial.step.get_concrete_function(images, labels).graph.get_operations()
    root, last = {}, {}
    for position, operation in enumerate(operations):
        for tensor in operation.inputs:
            last[root.get(tensor.name, tensor.name)] = position
        if operation.type in PASSED_ON and operation.inputs:
            source = operation.inputs[0].name
            for tensor in operation.outputs:
                root[tensor.name] = root.get(source, source)
    live, peak, freed = 0, 0, Counter()
    for position, operation in enumerate(operations):
        for tensor in operation.outputs:
            end = last.get(tensor.name)
            if tensor.name not in root and end is not None:
                size = (tensor.shape.num_elements() or 0) * tensor.dtype.size
                live += size
                freed[end] += size
        peak = max(peak, live)
        live -= freed[position]
    held = [*trial.trained, *trial.others, *trial.optimizer.variables]
    return peak + sum(map(_bytes, held))


def file_bytes(model):
    """Estimates the size of a file that `saving.save` writes, without an optimizer.

    Args:
        model: `keras.Model`.
    """
    return int(OF_A_FILE + sum(_bytes(v) + OF_A_VARIABLE for v in model.weights))


def _bytes(variable):
    return int(np.prod(variable.shape)) * tf.as_dtype(variable.dtype).size
