"""What a search found: its trials as a table, and the conclusion."""

import numpy as np
import pandas as pd
from scipy import stats

from cnnkit import evaluation
from cnnkit.data.surroundings import say
from cnnkit.training.watch import Course
from cnnkit.tuning.runs import trained


def trials(tuner):
    """Makes a table of all trials.

    Args:
        tuner: the tuner that `search` returned.

    Returns:
        A `pandas.DataFrame`, a row for each trial, the best first and those without a
        score last; the index "trial" is its number. Its columns: a hyperparameter each
        (missing where it is not active), then

        - score: of the objective, at the epoch whose weights were kept: that of the
          best `monitor` of `training.fit`, and where the space compiles its models, of
          the best objective.
        - epochs: how many it was trained for, in all.
        - seconds: how long it took, and at: seconds of the search when it had ended.
        - status: "COMPLETED", "FAILED" or "RUNNING"; reason: why it failed.

        For Hyperband: continues, the trial whose weights it began with.

    Example:
        >>> tuning.trials(tuner)[["learning_rate", "score"]].head()
    """
    oracle, rows = tuner.oracle, {}
    for number in dict.fromkeys([*oracle.end_order, *oracle.start_order]):
        trial = oracle.trials[number]
        values = trial.hyperparameters.values
        row = {k: v for k, v in values.items() if not k.startswith("tuner/")}
        row |= {
            "score": np.nan if trial.score is None else trial.score,
            "epochs": _epochs(trial),
            "seconds": oracle.seconds.get(number, np.nan),
            "at": oracle.ended_at.get(number, np.nan),
            "status": trial.status,
            "reason": trial.message or "",
        }
        if "tuner/bracket" in values:
            row["continues"] = values.get("tuner/trial_id", "")
        rows[number] = row
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("trial")
    if table.empty:
        return table
    facts = "score epochs seconds at status reason continues".split()
    names = [name for name in table if name not in facts]
    table = table[names + [name for name in facts if name in table]]
    objective = oracle.objective
    table.attrs |= {"objective": objective.name, "direction": objective.direction}
    rises = objective.direction == "min"
    return table.sort_values("score", ascending=rises, kind="stable")


def curves(tuner, *, best=2, worst=1):
    """Returns how the best and the worst trials learnt.

    Args:
        tuner: the tuner that `search` returned.
        best: int, how many of the best.
        worst: int, how many of the worst.

    Returns:
        A dict from a name, such as "best: trial 0007", to a dict of lists, an item for
        each epoch, as `plots.runs_side_by_side` takes it.
    """
    ranked = tuner.oracle.get_best_trials(len(tuner.oracle.trials))
    best = min(best, len(ranked))
    chosen = {"best": ranked[:best], "worst": ranked[max(best, len(ranked) - worst) :]}
    return {
        f"{what}: trial {trial.trial_id}": {
            name: [point.value[0] for point in trial.metrics.get_history(name)]
            for name in trial.metrics.metrics
        }
        for what, some in chosen.items()
        for trial in some
    }


def conclude(tuner, data, *, finalists=3, seeds=(0, 1, 2), minutes=None, verbose=1):
    """Trains the best trials again over several seeds, and tests the one that wins.

    The best score of a search is too good: it was chosen for being high, on the very
    pictures that gave it (Cawley and Talbot, JMLR 2010, section 5). So the finalists
    are trained anew; the best of them by validation is the model; and what it is worth
    on new pictures the test part says, which is used here and nowhere else.

    Args:
        tuner: the tuner that `search` returned.
        data: `ImageData`, the same.
        finalists: int, how many of the best trials are trained again.
        seeds: sequence of int, at least two.
        minutes: float, wall-clock minutes in all, or None for the epochs of the search.
        verbose: 0 or 1, whether to print a line for each training and what came out.

    Returns:
        (model, table): the `keras.Model`, trained, of the winner and its best seed; and
        a `pandas.DataFrame`, a row for each finalist, the winner first. The index
        "trial" is as in `trials`. Its columns, accuracies all but the last:

        - score: of the search.
        - valid: of the validation part, mean over the seeds; spread: standard deviation
          over them.
        - behind: how much less than the winner, mean over seeds and pictures; low and
          high: its 95 % interval over both (pictures paired), wide enough for the best
          having been chosen. Where low is above 0 the winner is better by more than
          the luck of seeds and pictures.
        - test, test_low, test_high: of the model on the test part, with Wilson's
          interval; for the winner alone.
        - seeds: int.

    Raises:
        ValueError: there is no finished trial, or too few seeds.

    Example:
        >>> model, table = tuning.conclude(tuner, photos)
        >>> saving.save(model, "flowers.keras", photos)
    """
    best = _different(tuner.oracle.get_best_trials(len(tuner.oracle.trials)), finalists)
    if not best or len(seeds) < 2:
        raise ValueError(
            "A conclusion needs finished trials and two seeds or more. Received: "
            f"{len(best)} finished trials, seeds={seeds!r}"
        )
    course, right, models = Course(minutes), {}, {}
    runs = [(trial, seed) for trial in best for seed in seeds]
    for done, (trial, seed) in enumerate(runs):
        number = trial.trial_id
        part = course.part(1 / (len(runs) - done)) if minutes else Course()
        model, _ = trained(
            tuner, trial.hyperparameters, seed, _whole(tuner, trial),
            course=part, shared=False,
        )  # fmt: skip
        hits = _hits(model, data, "valid")
        right.setdefault(number, []).append(hits)
        if verbose:
            say(f"trial {number}, seed {seed}: {hits.mean():.1%} in validation")
        if number not in models or hits.mean() > models[number][0]:
            models[number] = hits.mean(), model
    table = _compared(right, {t.trial_id: t.score for t in best})
    model = models[table.index[0]][1]
    tested = _hits(model, data, "test")
    low, high = evaluation.wilson(int(tested.sum()), len(tested))
    columns = ["test", "test_low", "test_high"]
    table.loc[table.index[0], columns] = tested.mean(), float(low), float(high)
    table["seeds"] = len(seeds)
    if verbose:
        say(_in_words(table))
    return model, table


def _epochs(trial):
    """Epochs until the end of the trial, those of the trial it continues included."""
    if not trial.metrics.exists("loss"):
        return 0
    return 1 + max(point.step for point in trial.metrics.get_history("loss"))


def _different(best, most):
    """The best trials, each set of hyperparameters once: Hyperband's go on."""
    chosen, seen = [], set()
    for trial in best:
        values = trial.hyperparameters.values.items()
        known = frozenset((k, v) for k, v in values if not k.startswith("tuner/"))
        if known not in seen and len(chosen) < most:
            chosen.append(trial)
            seen.add(known)
    return chosen


def _whole(tuner, trial):
    return trial.hyperparameters.values.get("tuner/epochs", tuner.epochs)


def _hits(model, data, part):
    """Which pictures a model names right, asked without a graph for each model."""
    rows = data.rows(part)
    said = [
        np.argmax(model(data.pixels[some].astype("float32"), training=False), axis=1)
        for some in np.array_split(rows, -(-len(rows) // 128))
    ]
    return np.concatenate(said) == data.manifest["label"].to_numpy()[rows]


def _compared(right, scores):
    """A row for each finalist, from which pictures each of its models got right."""
    means = {number: np.mean(hits, axis=0) for number, hits in right.items()}
    order = sorted(means, key=lambda number: -means[number].mean())
    runs = {number: np.mean(hits, axis=1) for number, hits in right.items()}
    finalists, seeds = len(runs), len(runs[order[0]])
    luck = np.mean([np.var(of_seeds, ddof=1) for of_seeds in runs.values()])
    rows = {}
    for number in order:
        behind, half = means[order[0]] - means[number], 0.0
        if number != order[0]:
            # Of seeds, whose variance few runs give, and of pictures: together a
            # variance of so many degrees of freedom (Satterthwaite 1946). The winner
            # was chosen for being first, so the limit is that of the largest of all
            # differences (Tukey's, by the studentized range).
            parts = np.array([2 * luck / seeds, behind.var(ddof=1) / len(behind)])
            free = np.array([finalists * (seeds - 1), len(behind) - 1])
            if parts.sum():
                free = parts.sum() ** 2 / (parts**2 / free).sum()
                limit = stats.studentized_range.ppf(0.95, finalists, free) / 2**0.5
                half = limit * parts.sum() ** 0.5
        rows[number] = {
            "score": scores[number],
            "valid": means[number].mean(),
            "spread": np.std(runs[number], ddof=1),
            "behind": behind.mean(),
            "low": behind.mean() - half,
            "high": behind.mean() + half,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("trial")


def _in_words(table):
    first = table.iloc[0]
    text = f"Trial {table.index[0]} wins with {first['valid']:.1%} in validation"
    if len(table) > 1:
        clear = "by more" if table.iloc[1]["low"] > 0 else "by no more"
        text += (
            f", {table.iloc[1]['behind']:.1%} before the second, {clear} than the "
            "luck of seeds and pictures explains"
        )
    return (
        f"{text}. The search had said {first['score']:.1%}. On new pictures expect "
        f"{first['test']:.1%} ({first['test_low']:.1%} to {first['test_high']:.1%})."
    )
