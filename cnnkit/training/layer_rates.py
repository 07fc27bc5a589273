"""Learning rates that are lower in lower layers, and which layers learn at all.

Lower layers of a trained network see edges and textures, which serve for most pictures;
upper ones see parts of what it was trained on (Yosinski et al., 2014). So the lower a
layer, the less it should move: "discriminative fine-tuning" of Howard and Ruder,
"Universal Language Model Fine-tuning for Text Classification", ACL 2018,
https://arxiv.org/abs/1801.06146 (section 3.2).
"""

import keras

from cnnkit.transfer.heads import backbone_layers


def unfreeze_top(model, share):
    """Makes the top of a backbone trainable, except its BatchNorm layers.

    BatchNorm layers stay frozen each by its own `trainable=False`: that keeps their
    statistics as they are, which calling the backbone with `training=False` does not
    (Keras issue 20285). Compile the model afterwards, else nothing changes.

    Args:
        model: `keras.Model` with a layer "features"; what stands before it is the
            backbone.
        share: float in [0, 1], share of the backbone's layers, from the top.

    Returns:
        int, the number of layers with weights that will now learn.
    """
    layers = backbone_layers(model)
    first = round(len(layers) * (1 - share))
    for position, layer in enumerate(layers):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = position >= first and not is_norm
    return sum(bool(layer.trainable_weights) for layer in layers)


def rate_shares(model, lowest):
    """Says which share of the learning rate each layer of a backbone gets.

    Args:
        model: `keras.Model`, as for `unfreeze_top`.
        lowest: float in (0, 1], the share of the first layer. It rises by the same
            factor from layer to layer, up to 1 at the last.

    Returns:
        A dict from the path of each variable of the backbone to its share.
    """
    layers = backbone_layers(model)
    last = max(1, len(layers) - 1)
    return {
        variable.path: lowest ** (1 - position / last)
        for position, layer in enumerate(layers)
        for variable in layer.variables
    }


class LayerRates(keras.optimizers.AdamW):
    """AdamW in which each variable moves at a share of the learning rate.

    Scaling gradients would change nothing, since Adam divides them by their size: what
    is scaled is the step, and the weight decay with it.

    Attributes:
        shares: dict from a variable's path to its share, 1 where it has none; set
            before the optimizer is built.
    """

    shares = {}

    def build(self, variables):  # noqa: D102
        super().build(variables)
        self.in_order = [self.shares.get(v.path, 1.0) for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        """Moves one variable, as `AdamW` does, by its share of the rate.

        Args:
            gradient: tensor of the variable's shape.
            variable: the variable.
            learning_rate: float, of this step.
        """
        share = self.in_order[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * share)

    def _apply_weight_decay(self, variables):
        """Keras' own takes the whole rate: 10 % of a weight in 10,000 steps."""
        for variable in variables if self.weight_decay else ():
            if self._use_weight_decay(variable):
                share = self.in_order[self._get_variable_index(variable)]
                decay = share * self.weight_decay * self.learning_rate
                variable.assign(variable * (1 - keras.ops.cast(decay, variable.dtype)))
