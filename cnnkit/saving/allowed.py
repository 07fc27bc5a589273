"""What the config of a model may ask Keras for.

Keras resolves every `class_name` of a config to a class or function, and calls it. So
the config is walked here first, and each name must be on a list. A list of what is
forbidden would be out of date with the next release of Keras; a list of what is allowed
is only too short. `save` asks the same list as `load`.
"""

import importlib
import sys

import keras

from cnnkit.saving.archive import shown, unsafe

MAX_DEPTH = 100  # of the config; the models of keras.applications need about 20

# What a config may ask for: layers that compute on arrays. None of them reads a file,
# opens the network or holds code, as Lambda, StringLookup or TFSMLayer do.
LAYERS = set(
    """
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D Add AdditiveAttention AlphaDropout
    Attention AugMix AutoContrast Average AveragePooling1D AveragePooling2D
    BatchNormalization CenterCrop Concatenate
    ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D
    Conv2DTranspose Cropping1D Cropping2D CutMix Dense DepthwiseConv1D DepthwiseConv2D
    Dot Dropout ELU EinsumDense Embedding Equalization Flatten GaussianDropout
    GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D
    GlobalMaxPooling2D GroupNormalization GroupQueryAttention Identity InputLayer
    LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D Maximum Minimum MixUp
    MultiHeadAttention Multiply Normalization PReLU Permute RMSNormalization RandAugment
    RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop
    RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale
    RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation
    RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom ReLU
    RepeatVector Rescaling Reshape Resizing SeparableConv1D SeparableConv2D Softmax
    Solarization SpatialDropout1D SpatialDropout2D SpectralNormalization Subtract
    TimeDistributed UnitNormalization UpSampling1D UpSampling2D ZeroPadding1D
    ZeroPadding2D
    """.split()
)
CLASSES = {
    "keras": {"DTypePolicy", "Sequential"},
    "keras.layers": LAYERS,
    "keras.src.applications.convnext": {"LayerScale"},
    "keras.src.models.functional": {"Functional"},
    "keras.src.ops.core": {"Cast", "Slice", "StopGradient"},
}
# Modules of Keras in which every class of this kind only computes.
KINDS = {
    "keras.constraints": keras.constraints.Constraint,
    "keras.initializers": keras.initializers.Initializer,
    "keras.regularizers": keras.regularizers.Regularizer,
    "keras.src.ops.image": keras.Operation,
    "keras.src.ops.nn": keras.Operation,
    "keras.src.ops.numpy": keras.Operation,
}
ACTIVATIONS = set(dir(keras.activations)) - {"deserialize", "get", "serialize"}
# Plain values, which Keras marks as if they were classes.
VALUES = {"__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__"}
TRUST = "If you know this code, pass its class in `trusted`"


def check_keras(path):
    """Raises UnsafeModelError where Keras' safe mode was switched off globally."""
    try:
        keras.saving.deserialize_keras_object(
            {"class_name": "__lambda__", "config": {"value": None}}, safe_mode=True
        )
    except ValueError:
        return  # refused, unread
    except Exception:  # noqa: BLE001, S110 - it tried to decode the (empty) code
        pass
    raise unsafe(
        path,
        "Keras was told to run code from model files",
        "Restart Python without keras.config.enable_unsafe_deserialization()",
    )


def checked(value, path, is_allowed, remedy=TRUST, layer="", depth=0):
    """Returns a copy of a config without compile options, or refuses what is in it.

    `is_allowed` is a function of a dict with a `class_name`, such as `in_keras`.
    """
    if depth > MAX_DEPTH:
        raise unsafe(path, f"the config is nested over {MAX_DEPTH} deep")
    further = (path, is_allowed, remedy)
    if isinstance(value, list):
        return [checked(item, *further, layer, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if "class_name" in value:
        inner = value.get("config")
        if isinstance(inner, dict) and "name" in inner:
            layer = inner["name"]
        if not is_allowed(value):
            asked = inner if value["class_name"] == "function" else value["class_name"]
            wanted = shown(f"{value.get('module')}.{asked}")
            raise unsafe(
                path,
                f"member config.json: layer {shown(layer)} asks for {wanted}",
                remedy,
            )
    copy = {
        key: checked(item, *further, layer, depth + 1)
        for key, item in value.items()
        if key != "compile_config"
    }
    if value.get("class_name") == "RandomShear" and isinstance(copy["config"], dict):
        for key in ("x_factor", "y_factor"):  # Keras cannot read what it wrote
            if isinstance(ends := copy["config"].get(key), list) and ends[0] <= 0:
                copy["config"][key] = ends[-1]
    return copy


def in_keras(value, trusted=()):
    """Whether Keras may resolve this dict, and to nothing but what it says."""
    name, module, alias = (
        value.get(key) for key in ("class_name", "module", "registered_name")
    )
    if not isinstance(name, str):
        return False
    if not isinstance(module, str | None) or not isinstance(alias, str | None):
        return False
    if name in VALUES:
        return True
    named = {keras.saving.get_registered_name(item): item for item in trusted}
    if alias in named:
        return name == named[alias].__name__
    if alias and alias.startswith("cnnkit>"):
        importlib.import_module("cnnkit.models")  # where layers of ours are registered
        importlib.import_module("cnnkit.models.stochastic_depth")  # in no builder
        importlib.import_module("cnnkit.models.cosine")
    ours = keras.saving.get_registered_object(alias)
    if isinstance(ours, type) and ours.__module__.startswith("cnnkit."):
        return (module, name) == (ours.__module__, ours.__name__)
    if name == "function":
        asked = value.get("config")
        known = isinstance(asked, str) and asked in ACTIVATIONS
        return known and alias == asked and module in ("builtins", "keras.activations")
    if alias not in (None, name):  # Keras would follow the alias, not the module
        return False
    if module in KINDS:
        found = getattr(sys.modules[module], name, None)
        return isinstance(found, type) and issubclass(found, KINDS[module])
    if module == "keras.layers" and getattr(keras.layers, name, None) in trusted:
        return True  # a layer of Keras itself that is not on the list
    return name in CLASSES.get(module, ())


def may_be_saved(value):
    """Whether `load` takes this dict, with the user's own classes in `trusted`."""
    module = str(value.get("module")).split(".")[0]
    own = module not in ("keras", "builtins", "None")
    return own and value.get("class_name") != "function" or in_keras(value)
