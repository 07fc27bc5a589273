"""What is said where there is nothing: temperatures and comparisons, simulated.

python -m tests.benchmarks.verdicts
"""

import numpy as np
from scipy import special

from cnnkit import evaluation
from cnnkit.evaluation import calibration
from tests.test_comparison import answers, table


def loss(labels, logits, hot):
    logs = special.log_softmax(logits / hot, axis=1)
    return -logs[np.arange(len(labels)), labels].mean()


def temperatures(rng, spread, repeats=100):
    """Mean log loss on new pictures after a temperature from few."""
    calibration.SPREAD = spread
    for boast in (1.0, 1.5, 2.5):
        logits = 8 * rng.normal(0, 1, (4000, 5))
        drawn = rng.random((4000, 1)) < special.softmax(logits, axis=1).cumsum(axis=1)
        labels, logits = drawn.argmax(axis=1), boast * logits
        line = f"spread {spread}, too sure by {boast}: {loss(labels, logits, 1):.3f} ->"
        for n in (15, 30, 100, 1000):
            some = rng.integers(0, 4000, (repeats if n < 1000 else 10, n))
            hot = [evaluation.temperature(labels[rows], logits[rows]) for rows in some]
            line += f"  {n}: {np.mean([loss(labels, logits, t) for t in hot]):.3f}"
        print(line, flush=True)


def comparisons(rng, n, sizes, repeats=300):
    """How often one of two equally good models is called better, in any row."""
    alarms = 0
    for _ in range(repeats):
        labels = rng.choice(len(sizes), n, p=np.array(sizes) / sum(sizes))
        pair = [table(labels, answers(rng, labels, len(sizes), 0.6)) for _ in "ab"]
        found = evaluation.compare(*pair, replicates=500)
        alarms += (found["verdict"] != "cannot tell").any()
    print(f"compare, {n} pictures, classes as {sizes}: {alarms / repeats:.1%}")


if __name__ == "__main__":
    for spread in (2.0, 1.0, 0.5, 0.25):
        temperatures(np.random.default_rng(0), spread)
    for n, sizes in ((60, (1, 1, 1)), (300, (1, 1, 1)), (60, (18, 2))):
        comparisons(np.random.default_rng(1), n, sizes)
