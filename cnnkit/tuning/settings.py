"""Search spaces of settings: functions of hyperparameters to arguments of `fit`."""

from cnnkit import augment
from cnnkit.training.recipe import OPTIMIZERS


def recipe_space(hp, *, optimizers=("adamw", "sgd"), epochs=None):
    """Returns settings of `training.fit`: how a model learns.

    - optimizer, with a rate and a weight decay of its own, a factor of 10 around the
      default of `training.fit`: AdamW's (Loshchilov and Hutter, 2019, figure 2, where
      good pairs lie within such a range), SGD's (0.1 and 5e-4 in He et al., 2016, and
      Zagoruyko and Komodakis, 2016). On a log scale, as only ratios of rates matter
      (Bengio, 2012, https://arxiv.org/abs/1206.5533, section 3.3).
    - schedule: "one-cycle" or "cosine".
    - batch_size: 32 to 128 (Masters and Luschi, 2018, https://arxiv.org/abs/1804.07612:
      best at 32 or below; larger ones are faster).
    - label_smoothing: 0, 0.05, 0.1 (0.1 in Szegedy et al., 2016, section 7).
    - epochs, only where choices are given, and not in a Hyperband search.

    Args:
        hp: `keras_tuner.HyperParameters`.
        optimizers: sequence of str, as for `training.fit`.
        epochs: None, or a sequence of int.

    Returns:
        A dict of arguments of `training.fit`.
    """
    optimizer = hp.Choice("optimizer", list(optimizers))
    settings = {"optimizer": optimizer}
    for name in optimizers:
        rate, decay = OPTIMIZERS[name]
        with hp.conditional_scope("optimizer", [name]):
            around = {
                "learning_rate": _around(hp, f"{name}_rate", rate),
                "weight_decay": _around(hp, f"{name}_decay", decay),
            }
            settings |= around if name == optimizer else {}
    settings["schedule"] = hp.Choice("schedule", ["one-cycle", "cosine"])
    settings["batch_size"] = hp.Choice("batch_size", [32, 64, 128])
    settings["label_smoothing"] = hp.Choice("label_smoothing", [0.0, 0.05, 0.1])
    if epochs is not None:
        settings["epochs"] = hp.Choice("epochs", list(epochs))
    return settings


def augmentation_space(hp, *, policies=("photos",), mixes=("mixup", "cutmix")):
    """Returns settings of `training.fit`: how training pictures are changed.

    - policy: "none" or one of `policies`; strength, 0.1 to 1 of `augment.policy`, only
      where there is one.
    - mix: "none", "mixup" or "cutmix"; mixup_alpha, 0.1 to 0.4 (Zhang et al., 2018,
      https://arxiv.org/abs/1710.09412, section 3.1); cutmix_alpha, 0.25 to 2 (Yun et
      al., 2019, https://arxiv.org/abs/1905.04899, figure 3), each only with its own.

    Args:
        hp: `keras_tuner.HyperParameters`.
        policies: sequence of str, names of `augment.policy` that leave the labels
            right: "photos" mirrors, which some signs and no digits allow.
        mixes: sequence of str, of "mixup" and "cutmix".

    Returns:
        A dict of arguments of `training.fit`: augment and mix.
    """
    policy = hp.Choice("policy", ["none", *policies])
    with hp.conditional_scope("policy", list(policies)):
        strength = hp.Float("strength", 0.1, 1.0, step=0.1, default=0.5)
    mix = hp.Choice("mix", ["none", *mixes])
    made = None
    for name, low, high in (("mixup", 0.1, 0.4), ("cutmix", 0.25, 2.0)):
        if name in mixes:
            with hp.conditional_scope("mix", [name]):
                alpha = hp.Float(f"{name}_alpha", low, high, sampling="log")
                if name == mix:
                    made = getattr(augment, name)(alpha)
    return {
        "augment": None
        if policy == "none"
        else augment.policy(policy, strength=strength),
        "mix": made,
    }


def _around(hp, name, value):
    return hp.Float(name, value / 10, value * 10, sampling="log", default=value)
