"""CapsNet with a decoder: it draws what it has seen, so capsules must hold the pose.

Sabour, Frosst and Hinton, "Dynamic Routing Between Capsules", NeurIPS 2017,
https://arxiv.org/abs/1710.09829 (section 4.1; figure 2 is the decoder).
"""

import keras
from keras import layers

from cnnkit.models.capsnet import capsnet


def capsnet_with_reconstruction(*, num_classes=10, input_shape=(28, 28, 1)):
    """Builds an untrained capsule network that also draws what it has seen.

    Three dense layers draw the picture again from the capsule of one class. So it
    must know how its digit looks, and not only that it is there. The paper counts the
    sum of squared errors with 0.0005; Keras has their mean, over 784 numbers here:

        model.compile(
            "adam",
            {"logits": MarginLoss(), "reconstruction": "mean_squared_error"},
            loss_weights={"logits": 1, "reconstruction": 0.0005 * 784},
            metrics={"probabilities": "accuracy"},
        )
        answers = {"logits": labels, "probabilities": labels}
        answers["reconstruction"] = images / 255
        model.fit({"pixels": images, "label": labels}, answers)

    Afterwards `keras.Model(model.get_layer("pixels").output,
    model.get_layer("probabilities").output)` is the classifier alone.

    Args:
        num_classes: as for `capsnet`.
        input_shape: as for `capsnet`.

    Returns:
        An uncompiled `keras.Model` from {"pixels": as for `capsnet`, "label": int,
        shape (batch,), the class whose capsule draws} to {"logits", "probabilities":
        as in `capsnet`, "reconstruction": shape (batch, height, width, channels), in
        [0, 1]}.

    Raises:
        ValueError: as for `capsnet`.

    Example:
        >>> model = capsnet_with_reconstruction()
        >>> model.count_params()
        8215568
    """
    classifier = capsnet(num_classes=num_classes, input_shape=input_shape)
    label = keras.Input((), dtype="int32", name="label")
    x = layers.CategoryEncoding(num_classes, output_mode="one_hot", name="mask")(label)
    x = layers.Reshape((num_classes, 1), name="mask_column")(x)
    poses = classifier.get_layer("poses").output
    x = layers.Multiply(name="masked_poses")([poses, x])  # all zero but one capsule
    x = layers.Flatten(name="decoder_input")(x)
    x = layers.Dense(512, activation="relu", name="decoder_1")(x)
    x = layers.Dense(1024, activation="relu", name="decoder_2")(x)
    height, width, channels = input_shape
    x = layers.Dense(
        height * width * channels,
        activation="sigmoid",
        dtype="float32",
        name="decoder_3",
    )(x)
    picture = layers.Reshape(tuple(input_shape), dtype="float32", name="reconstruction")
    return keras.Model(
        {"pixels": classifier.input, "label": label},
        {
            "logits": classifier.get_layer("logits").output,
            "probabilities": classifier.output,
            "reconstruction": picture(x),
        },
        name="capsnet_with_reconstruction",
    )
