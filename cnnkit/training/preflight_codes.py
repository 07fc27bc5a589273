"""What `preflight` can find: each code with its meaning, an example and a remedy."""

from cnnkit.data.codes import Code

CODES = {
    "wrong_shape": Code(
        "error", "pictures of another shape than the model wants",
        "pictures of 40x40 pixels and a model for 224x224",
        "load the pictures in that size, or build the model for theirs",
    ),
    "not_batched": Code(
        "error", "pictures that come one by one", "a tf.data pipeline without batch",
        "train = train.batch(32)",
    ),
    "nonfinite_pixels": Code(
        "error", "pixels that are NaN or infinite",
        "a division by the deviation of a picture of one colour",
        "find out where they come from; until then images = np.nan_to_num(images)",
    ),
    "nonfinite_weights": Code(
        "error", "weights that are NaN or infinite", "a training that exploded",
        "build the model anew, or load its last good file; then take a lower "
        "learning_rate",
    ),
    "unscaled_pixels": Code(
        "error", "pixels that reach the first kernel as large as they are",
        "pixels up to 255 in a model that was made for -1 to 1",
        "behind the input put layers.Rescaling(1 / 127.5, offset=-1)",
    ),
    "faint_pixels": Code(
        "error", "pictures that are one flat colour where the first kernel sees them",
        "pixels from 0 to 1 in a model that divides by 255 itself",
        "give pixels from 0 to 255: take the division out of your pipeline",
    ),
    "scaled_twice": Code(
        "error", "a model that scales its pixels twice",
        "a Rescaling in front of MobileNetV3, which has its own",
        "take out the Rescaling layer in front",
    ),
    "wrong_width": Code(
        "error", "another number of outputs than of classes",
        "10 outputs, from an older model, and 3 classes",
        "build the model with num_classes=... as the data has them",
    ),
    "one_output": Code(
        "error", "one output with softmax, which is always 1", "Dense(1, 'softmax')",
        "Dense(2, 'softmax') with the same loss, or Dense(1, 'sigmoid') with "
        "binary_crossentropy",
    ),
    "logits_as_probabilities": Code(
        "error", "a loss that takes logits for probabilities",
        "Dense(10) without softmax, and 'sparse_categorical_crossentropy'",
        "end the model with layers.Softmax(), or compile with "
        "SparseCategoricalCrossentropy(from_logits=True)",
    ),
    "probabilities_as_logits": Code(
        "error", "a loss that takes probabilities for logits",
        "softmax in the model, and from_logits=True in the loss",
        "leave out from_logits=True, or the softmax",
    ),
    "not_probabilities": Code(
        "error", "outputs between 0 and 1 that do not sum to 1",
        "sigmoid in the last layer, and one right class for each picture",
        "activation='softmax' in the last layer",
    ),
    "one_hot_labels": Code(
        "error", "one-hot labels and a loss for whole numbers",
        "label_mode='categorical' and 'sparse_categorical_crossentropy'",
        "loss='categorical_crossentropy', or labels.argmax(axis=-1)",
    ),
    "whole_labels": Code(
        "error", "labels that are whole numbers and a loss for one-hot ones",
        "labels 0, 1, 2 and 'categorical_crossentropy'",
        "loss='sparse_categorical_crossentropy'",
    ),
    "label_out_of_range": Code(
        "error", "labels that are none of the classes",
        "label 7 with 3 outputs: an error on a CPU, NaN on a GPU; or labels from 1 on",
        "count labels from 0 to the number of classes - 1",
    ),
    "missing_in_training": Code(
        "error", "classes of which training has no picture", "an empty folder",
        "add pictures, or build the model without the class",
    ),
    "nothing_trains": Code(
        "error", "no layer that is trainable", "model.trainable = False",
        "model.trainable = True, or training.fine_tune on a frozen backbone",
    ),
    "stale_compile": Code(
        "error", "layers that were frozen or unfrozen after the model had trained",
        "base.trainable = True between two calls of fit: nothing new learns",
        "call model.compile(...) again, with a new optimizer",
    ),
    "loss_not_finite": Code(
        "error", "a loss that is NaN or infinite", "the logarithm of 0 in your layer",
        "look at the outputs of model.predict, layer by layer",
    ),
    "constant_output": Code(
        "error", "the same output for every picture", "all ReLUs are dead",
        "look at the outputs layer by layer; build the model anew",
    ),
    "missing_in_validation": Code(
        "warning", "classes of which validation has no picture",
        "a split that is not stratified", "let data.from_folder or from_arrays split",
    ),
    "shuffled_validation": Code(
        "warning", "a validation set that differs from pass to pass",
        "valid.shuffle(1000), or augmentation in it",
        "leave out shuffle and augmentation: predictions cannot be traced to their "
        "pictures else",
    ),
    "batchnorm_moves": Code(
        "warning", "BatchNorm layers in a frozen backbone whose statistics would move",
        "base.trainable = True, then freezing all layers but the top",
        "layer.trainable = False for each of them, then compile; training.unfreeze_top "
        "does it",
    ),
    "augmentation_inside": Code(
        "warning", "random augmentation inside the model",
        "layers.RandomFlip in it: exported, or called as model(x), it may go on",
        "move it to the data: data.batches('train', augment=...) or train.map(...)",
    ),
    "high_loss": Code(
        "warning", "a loss far above that of guessing, before training",
        "weights that are too large, or pictures on another scale than training had",
        "look at plots of the pictures and at training.gradient_flow; Keras' own "
        "initializers start near ln(k) for k classes",
    ),
    "high_rate": Code(
        "warning", "a learning rate whose steps overwrite the weights",
        "Adam with 0.5", "learning_rate=... from training.find_learning_rate",
    ),
    "low_rate": Code(
        "warning", "a learning rate at which nothing would be learnt",
        "SGD with 1e-8", "learning_rate=... from training.find_learning_rate",
    ),
    "low_loss": Code(
        "note", "a loss far below that of guessing, before training",
        "the weights have learnt these pictures already; else labels leak into them",
        "nothing, if the model was trained before",
    ),
}  # fmt: skip
