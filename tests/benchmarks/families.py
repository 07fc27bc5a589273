"""The table of architectures, from AlexNet to the Vision Transformer, measured.

    python tests/benchmarks/families.py [--minutes 0.4] [--seeds 3] [--side 32]

Trains the families of `experiments.FAMILIES` on 2,000 drawn signs, each for the same
wall-clock minutes and seeds, and tests them on 1,000 of another seed. Milliseconds and
epochs are those of this machine. Writes notebooks/tables/families.csv.
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
    parser.add_argument("--minutes", type=float, default=0.4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--side", type=int, default=32, help="pixels")
    options = parser.parse_args()
    from cnnkit import data, experiments

    train = data.signs.draw(2000, size=options.side, seed=0)
    test = data.signs.draw(1000, size=options.side, seed=1)
    photos = data.from_arrays(
        train.images, train.labels, class_names=data.signs.CLASS_NAMES,
        test=(test.images, test.labels), together="same",
    )  # fmt: skip
    start = time.process_time()
    table = experiments.compare_families(
        photos, minutes=options.minutes, seeds=range(options.seeds), part="test"
    )
    facts = {
        "minutes": options.minutes,
        "pictures_trained": len(photos.rows("train")),
        "side": options.side,
        "command": "python tests/benchmarks/families.py",
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} CPU cores, no GPU",
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    table.round(4).assign(**facts).to_csv(OUT)
    print(table.drop(columns="idea").round(3).to_string())
    print(f"{time.process_time() - start:.0f} CPU-s in all; written to {OUT.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
