"""How near `preflight` comes to the seconds that an epoch then takes (0.9 to 1.1).

python tests/benchmarks/preflight.py
"""

import time

import keras

from cnnkit import data, models, training


class Watch(keras.callbacks.Callback):
    """The seconds of each epoch."""

    def __init__(self):
        super().__init__()
        self.taken = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.taken.append(time.monotonic() - self.start)


digits, watch = data.load("digits"), Watch()
model = models.small_cnn(num_classes=10, input_shape=digits.image_shape)
said = training.preflight(model, digits, verbose=False).attrs["seconds_an_epoch"]
training.fit(model, digits, epochs=3, callbacks=[watch], verbose=0)
took = min(watch.taken)
print(f"said {said:.2f} s, took {took:.2f} s: {said / took:.2f}")
