"""cnnkit: from a folder of pictures to an explained, honestly measured classifier.

Each room is a module: `from cnnkit import data, models, training`. Importing cnnkit
itself loads nothing else, so it costs nothing.
"""

__version__ = "0.1.0"
