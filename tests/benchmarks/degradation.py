"""What depth does to training, with and without shortcuts and BatchNorm, in a table.

    CNNKIT_DATA=... python tests/benchmarks/degradation.py

Six nets of one family: 20 and 56 layers with BatchNorm, each plain and residual, and 56
layers without BatchNorm, plain and residual. They learn 1,024 pictures of CIFAR-10,
averaged down to 16 x 16 pixels, in 6 passes (192 steps) with AdamW and a rate that
rises to 1e-3 and falls again: small enough that the whole takes eleven CPU-minutes.
So it shows which nets begin to learn, not how far they would come. (With a third of the
rate, or three times as much, one run of the plain net of 56 layers did no better.)

Loss and accuracy in training are those of the last pass, as the net saw the pictures;
the test has 2,000 others. The gradient ratio is taken at the end, on 32 training
pictures: the gradient of the output of the first convolution, as a multiple of that of
the last. For one seed every net takes the same pictures. Writes
notebooks/tables/degradation.csv; `--nets` runs some of the six and keeps other rows.
"""

import argparse
import datetime
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
PICTURES, SIDE, BATCH, EPOCHS, RATE = 1024, 16, 32, 6, 1e-3
OUT = Path(__file__).parents[2] / "notebooks" / "tables" / "degradation.csv"
NETS = {  # name: (builder, layers, BatchNorm)
    "plain 20": ("plain_cifar", 20, True),
    "plain 56": ("plain_cifar", 56, True),
    "ResNet 20": ("resnet_cifar", 20, True),
    "ResNet 56": ("resnet_cifar", 56, True),
    "plain 56, no BatchNorm": ("plain_cifar", 56, False),
    "ResNet 56, no BatchNorm": ("resnet_cifar", 56, False),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--nets", nargs="*", default=list(NETS), metavar="NAME")
    options = parser.parse_args()

    import pandas as pd

    from cnnkit import data

    try:
        photos = data.load("cifar10")
    except FileNotFoundError as error:
        print(f"skipped: {error}")
        return 0
    kept = pd.read_csv(OUT) if OUT.exists() else pd.DataFrame({"net": []})
    tables = {net: rows for net, rows in kept.groupby("net") if net in NETS}
    pixels = [shrink(photos, part) for part in ("train", "test")]
    for net in options.nets:
        start = time.process_time()
        tables[net] = summary(net, learn(net, *pixels, options.seeds))
        seconds = time.process_time() - start
        print(tables[net][["measure", "mean", "low", "high"]].to_string(index=False))
        print(f"{net}: {seconds:.0f} CPU-s", flush=True)
        OUT.parent.mkdir(parents=True, exist_ok=True)
        rows = [tables[name] for name in NETS if name in tables]
        pd.concat(rows).to_csv(OUT, index=False)
    print(f"{time.process_time():.0f} CPU-s in all; written to {OUT.name}")
    return 0


def shrink(photos, part):
    """(images, labels) of a part, each picture averaged down to SIDE pixels."""
    rows = photos.rows(part)
    images, labels = photos.pixels[rows], photos.manifest["label"].to_numpy()[rows]
    n, side, _, channels = images.shape
    step = side // SIDE
    blocks = images.reshape(n, SIDE, step, SIDE, step, channels)
    return blocks.mean((2, 4), dtype="float32"), labels


def learn(net, train, test, seeds):
    """Trains one net with each seed: a list of {measure: value}."""
    import keras
    import numpy as np

    from cnnkit import models, training
    from cnnkit.models.blocks import conv_bn
    from cnnkit.models.resnet_cifar import conv_without_norm

    builder, depth, norm = NETS[net]
    steps = EPOCHS * -(-PICTURES // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 5, warmup_target=RATE, warmup_steps=steps // 5
    )
    model, results = None, []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(train[0]), PICTURES, replace=False)
        images, labels = (values[chosen] for values in train)
        others = rng.choice(len(test[0]), 2000, replace=False)
        keras.utils.set_random_seed(seed)
        fresh = getattr(models, builder)(
            depth,
            input_shape=images.shape[1:],
            conv=conv_bn if norm else conv_without_norm,
        )
        if model is None:
            model = fresh
            model.compile(
                keras.optimizers.AdamW(rate, weight_decay=0.02),
                "sparse_categorical_crossentropy",
                metrics=["accuracy"],
                jit_compile=False,
            )
        else:  # compiling again would cost more than training
            model.set_weights(fresh.get_weights())
            for variable in model.optimizer.variables:
                variable.assign(np.zeros(variable.shape, variable.dtype))
        history = model.fit(
            images, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0
        ).history
        said = [
            np.argmax(model(part, training=False), axis=-1)
            for part in np.split(test[0][others], 4)
        ]
        results.append(
            {
                "training loss": history["loss"][-1],
                "training accuracy": history["accuracy"][-1],
                "test accuracy": np.mean(np.concatenate(said) == test[1][others]),
                "gradient ratio after training": ratio(
                    training.gradient_flow(model, (images[:32], labels[:32]))
                ),
            }
        )
        losses = " ".join(f"{value:.2f}" for value in history["loss"])
        print(f"{net}, seed {seed}: training loss {losses}", flush=True)
    return results


def ratio(table):
    """The gradient at the first convolution's output, as a multiple of the last's."""
    gradients = table["output_gradient"]
    return gradients.iloc[0] / gradients.iloc[-2]  # the last row is "logits"


def summary(net, results):
    """Mean and 95 % interval over seeds, a row for each measure.

    Ratios are averaged by their logarithms.
    """
    import numpy as np
    import pandas as pd
    from scipy import stats

    rows = []
    for measure in results[0]:
        values = np.array([result[measure] for result in results])
        values = np.log(values) if "ratio" in measure else values
        mean, n = values.mean(), len(values)
        half = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5 if n > 1 else 0
        ends = np.array([mean, mean - half, mean + half])
        if "ratio" in measure:
            ends = np.exp(ends)
        ends = ends.clip(0, 1 if "accuracy" in measure else None)
        rows.append((net, measure, *(float(f"{end:.4g}") for end in ends)))
    table = pd.DataFrame(rows, columns=["net", "measure", "mean", "low", "high"])
    table["seeds"] = len(results)
    table["command"] = "python tests/benchmarks/degradation.py"
    table["date"] = datetime.date.today().isoformat()
    table["machine"] = f"{os.cpu_count()} CPU cores, no GPU"
    return table


if __name__ == "__main__":
    sys.exit(main())
