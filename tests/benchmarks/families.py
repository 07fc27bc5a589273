"""The table of architectures, from AlexNet to the Vision Transformer, measured.

    python tests/benchmarks/families.py [--minutes 1.5] [--seeds 3] [--side 32]

Trains the families of `experiments.FAMILIES` on 2,000 drawn signs, each for the same
wall-clock minutes and seeds, and tests them on 1,000 of another seed. Milliseconds and
epochs are those of this machine, which should do nothing else: with the default it is
three quarters of an hour. Writes notebooks/tables/families.csv; with `--families`, only
the rows of those.
"""

import argparse
import datetime
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
OUT = Path(__file__).parents[2] / "notebooks" / "tables" / "families.csv"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--side", type=int, default=32, help="pixels")
    parser.add_argument("--families", nargs="*", help="such as ResNet; default all")
    options = parser.parse_args()
    import pandas as pd

    from cnnkit import data, experiments

    train = data.signs.draw(2000, size=options.side, seed=0)
    test = data.signs.draw(1000, size=options.side, seed=1)
    photos = data.from_arrays(
        train.images, train.labels, class_names=data.signs.CLASS_NAMES,
        test=(test.images, test.labels), together="same",
    )  # fmt: skip
    chosen = options.families or experiments.FAMILIES
    start = time.process_time()
    table = experiments.compare_families(
        photos, {name: experiments.FAMILIES[name] for name in chosen},
        minutes=options.minutes, seeds=range(options.seeds), part="test",
    )  # fmt: skip
    facts = {
        "minutes": options.minutes,
        "pictures_trained": len(photos.rows("train")),
        "side": options.side,
        "command": "python tests/benchmarks/families.py",
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} CPU cores, no GPU",
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    table = table.round(4).assign(**facts)
    if options.families:
        others = pd.read_csv(OUT, index_col="family").drop(index=table.index)
        table = pd.concat([others, table]).loc[list(experiments.FAMILIES)]
    table.to_csv(OUT)
    print(table.drop(columns="idea").round(3).to_string())
    print(f"{time.process_time() - start:.0f} CPU-s in all; written to {OUT.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
