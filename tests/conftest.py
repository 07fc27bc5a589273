import gc
import sys

import pytest


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
