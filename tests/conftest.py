import gc
import os
import sys
import tempfile
import time
from types import SimpleNamespace

import pytest
from hypothesis import settings

# The same examples each time: what is green here is green elsewhere. To look for new
# ones: pytest --hypothesis-profile=default
settings.register_profile("same", derandomize=True, database=None)
settings.load_profile("same")

# Notebooks write to the home of the user, who may have none that can be written.
_home = tempfile.TemporaryDirectory()  # gone when the tests are
os.environ |= dict.fromkeys(("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"), _home.name)


@pytest.fixture(autouse=True, scope="module")
def the_past_at_rest():
    """The garbage collector leaves alone what was there before a file of tests.

    TensorFlow and the tests so far are a million objects. Each walk through all of them
    takes as long as a small test, and Keras asks for many.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def same_weights_each_time():
    """Random weights follow from one seed, so that no test passes by luck."""
    if "keras" in sys.modules:  # some tests look at what a fresh start imports
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture
def clock(monkeypatch):
    """The clock of trainings and searches: each look at it moves it by 20 ms.

    So minutes end after the same steps on a fast and on a busy machine.
    """
    from cnnkit.training import checkpoint, in_time, watch
    from cnnkit.tuning import oracles

    def monotonic():
        clock.now += 0.02
        return clock.now

    clock = SimpleNamespace(now=0.0)
    moved = SimpleNamespace(**vars(time) | {"monotonic": monotonic})
    for module in (checkpoint, in_time, oracles, watch):
        monkeypatch.setattr(module, "time", moved)
    return clock


@pytest.fixture
def mobilenet_in_cache(tmp_path, monkeypatch):
    """A Keras cache with one weights file: (the model they are of, the file)."""
    import keras  # here, as other tests look at what a fresh start prints

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    folder = tmp_path / "keras" / "models"
    folder.mkdir(parents=True)
    model = keras.applications.MobileNet(
        include_top=False, weights=None, alpha=0.25, input_shape=(224, 224, 3)
    )
    model.save(folder / "whole.h5")  # the old format, as Keras publishes its weights
    file = folder / "mobilenet_2_5_224_tf_no_top.h5"
    (folder / "whole.h5").rename(file)
    return model, file
