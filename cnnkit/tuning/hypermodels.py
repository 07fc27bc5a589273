"""What a search turns: one space for the model, any number for its training."""

import keras
import keras_tuner

from cnnkit import training


def together(model_space, *settings):
    """Makes one hypermodel of a space of models and spaces of training settings.

    Args:
        model_space: function of `keras_tuner.HyperParameters` to a `keras.Model`.
        settings: functions of `keras_tuner.HyperParameters` to a dict of arguments of
            `training.fit`, such as `recipe_space`; a later one has the last word.

    Returns:
        A `keras_tuner.HyperModel` for `search`, and for any tuner of KerasTuner, whose
        `search` then takes an `ImageData` and arguments of `training.fit`.

    Example:
        >>> model_space = functools.partial(
        ...     tuning.cnn_space, num_classes=10, input_shape=(28, 28, 1)
        ... )
        >>> space = together(model_space, tuning.recipe_space)
        >>> tuner = keras_tuner.RandomSearch(space, objective="val_accuracy")
        >>> tuner.search(photos, epochs=3, verbose=0)
    """
    return Together(model_space, settings)


class Together(keras_tuner.HyperModel):
    """What `together` returns.

    Args:
        model_space: as for `together`.
        spaces: sequence of functions, as `settings` of `together`.
    """

    def __init__(self, model_space, spaces=()):
        super().__init__()
        self.model_space, self.spaces = model_space, tuple(spaces)

    def build(self, hp):  # noqa: D102
        self.settings(hp)  # so that the names of all are known
        return returned(self.model_space(hp), keras.Model, "a model")

    def settings(self, hp):
        """Returns the settings of all spaces.

        Args:
            hp: `keras_tuner.HyperParameters`.

        Returns:
            A dict of arguments of `training.fit`.
        """
        all_of_them = {}
        for space in self.spaces:
            all_of_them |= returned(space(hp), dict, "a dict of settings")
        return all_of_them

    def fit(
        self, hp, model, data, *,
        epochs=None, minutes=None, callbacks=(), seed=0, verbose=0,
    ):  # fmt: skip
        """Trains a model as it came, where it is compiled, else by `training.fit`.

        Args:
            hp: `keras_tuner.HyperParameters`; settings come before what is given here.
            model: `keras.Model`, from `build`.
            data: `ImageData`.
            epochs: int, as for `training.fit`.
            minutes: float, as for `training.fit`; not for a compiled model.
            callbacks: sequence of `keras.callbacks.Callback`.
            seed: int, of the order of the pictures.
            verbose: 0 or 1.

        Returns:
            A `keras.callbacks.History`.
        """
        options = {"epochs": epochs, "callbacks": callbacks, "verbose": verbose}
        if not model.compiled:
            options |= {"minutes": minutes, "seed": seed} | self.settings(hp)
            return training.fit(model, data, **options)
        train, valid = data.batches("train", seed=seed), data.batches("valid")
        return model.fit(train, validation_data=valid, shuffle=False, **options)


def returned(value, kind, wanted):
    """What a space returned, if it is of the kind that it should be."""
    if not isinstance(value, kind):
        raise ValueError(
            f"A space returns {wanted}: is its last line `return ...`? "
            f"Received: a space that returned {value!r}"
        )
    return value
