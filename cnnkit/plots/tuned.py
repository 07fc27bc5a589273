"""Figures of a hyperparameter search, from the table of its trials."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from cnnkit.plots.canvas import WIDTH, is_wide, new_figure
from cnnkit.plots.names import legible, text_style

DOT, BEST, FAILED = "#56B4E9", "#D55E00", "#999999"
MOST_AXES = 10


def trials(table):
    """Draws the score of each trial when it had ended, and the best so far as a line.

    Args:
        table: `pandas.DataFrame` of `tuning.trials`.

    Returns:
        A matplotlib `Figure`; trials that failed are crosses at the foot.

    Raises:
        ValueError: there is no trial with a score.
    """
    done = _scored(table).sort_values("at")
    best = done["score"].cummin() if _falls(table) else done["score"].cummax()
    failed = table[table["status"] == "FAILED"]
    with new_figure(WIDTH, 4) as figure:
        axes = figure.subplots()
        axes.plot(done["at"], done["score"], "o", color=DOT, label="a trial")
        axes.step(
            done["at"], best, where="post", color=BEST, lw=2, label="the best so far"
        )
        if len(failed):
            foot = axes.get_xaxis_transform()
            axes.plot(
                failed["at"], np.full(len(failed), 0.02), "x", color=FAILED,
                transform=foot, label="failed", clip_on=False,
            )  # fmt: skip
        axes.set(
            xlabel="seconds of the search", ylabel=_objective(table), xlim=(0, None)
        )
        axes.grid(axis="y", color="0.92")
        figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return figure


def score_against(table, name):
    """Draws the score of each trial against one hyperparameter.

    Args:
        table: `pandas.DataFrame` of `tuning.trials`.
        name: str, a hyperparameter. Where its numbers span more than a factor of 20,
            the axis is logarithmic; where they are names, each has a place, and dots
            lie a little apart.

    Returns:
        A matplotlib `Figure`. Trials in which it was not active are left out.

    Raises:
        ValueError: there is no such hyperparameter, or no trial with a score had it.
    """
    done = _scored(table)
    if name not in _hyperparameters(table) or done[name].notna().sum() == 0:
        raise ValueError(
            f"`name` is one of {_hyperparameters(table)} that was active in a trial "
            f"with a score. Received: name={name!r}"
        )
    done = done[done[name].notna()]
    with new_figure(WIDTH, 4) as figure:
        axes = figure.subplots()
        if _is_number(done[name]):
            axes.plot(done[name].astype(float), done["score"], "o", color=DOT)
            if is_wide(done[name].astype(float)):
                axes.set_xscale("log")
        else:
            places = {value: i for i, value in enumerate(_in_order(done[name]))}
            apart = np.random.default_rng(0).uniform(-0.12, 0.12, len(done))
            axes.plot(done[name].map(places) + apart, done["score"], "o", color=DOT)
            labels = legible(map(str, places), kind="value")
            axes.set_xticks(range(len(places)), labels, **text_style(labels))
            axes.set_xlim(-0.5, len(places) - 0.5)
        label = legible([name], kind="name")
        axes.set_xlabel(label[0], **text_style(label))
        axes.set_ylabel(_objective(table))
        axes.grid(axis="y", color="0.92")
    return figure


def parallel_coordinates(table, *, names=None):
    """Draws each trial as a line through its hyperparameters, coloured by its score.

    Args:
        table: `pandas.DataFrame` of `tuning.trials`.
        names: sequence of str, the hyperparameters, at most 10, from left to right;
            None takes the first that vary. Of one that was not active the line
            passes at the foot.

    Returns:
        A matplotlib `Figure`: each upright is a hyperparameter, the last the score.

    Raises:
        ValueError: there is no trial with a score, or no such hyperparameter.
    """
    done = _scored(table).sort_values("score", ascending=not _falls(table))
    known = _hyperparameters(table)
    if names is None:
        names = [n for n in known if done[n].nunique(dropna=False) > 1][:MOST_AXES]
    if not 1 <= len(names) <= MOST_AXES or not set(names) <= set(known):
        raise ValueError(
            f"`names` are 1 to {MOST_AXES} of {known}, of which some vary. "
            f"Received: names={names!r}"
        )
    heights, ticks = zip(*(_upright(done[name]) for name in names), strict=True)
    norm = Normalize(done["score"].min(), done["score"].max() or 1)
    colours = colormaps["cividis_r" if _falls(table) else "cividis"]
    heights = np.column_stack([*heights, norm(done["score"])])
    with new_figure(WIDTH + 1, 4.6) as figure:
        axes = figure.subplots()
        for line, score in zip(heights, done["score"], strict=True):
            axes.plot(line, color=colours(norm(score)), alpha=0.75, lw=1.6)
        for place, marks in enumerate(ticks):
            axes.axvline(place, color="0.75", lw=0.8, zorder=0)
            for text, height in marks:
                [text] = legible([text], width=14, kind="value")
                axes.annotate(
                    text, (place, height), (3, 0), textcoords="offset points",
                    fontsize=8, va="center", **text_style([text]),
                    bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none",
                          "alpha": 0.7},
                )  # fmt: skip
        labels = legible([*names, "score"], width=16, kind="name")
        axes.set_xticks(range(len(labels)), labels, fontsize=9, rotation=20, ha="right",
                        **text_style(labels))  # fmt: skip
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlim(-0.05, len(labels) - 0.95)
        shades = ScalarMappable(norm, colours)
        bar = figure.colorbar(shades, ax=axes, pad=0.01, label=_objective(table))
        bar.outline.set_visible(False)
    return figure


def importance(table):
    """Draws how much each hyperparameter matters, as bars.

    Args:
        table: `pandas.DataFrame` of `tuning.importance`.

    Returns:
        A matplotlib `Figure`, the most important on top; the thin lines are one
        standard deviation over the parts that were left out.
    """
    table = table.iloc[::-1]
    names = legible(map(str, table.index), kind="name")
    with new_figure(WIDTH, 1 + 0.34 * len(table)) as figure:
        axes = figure.subplots()
        axes.barh(range(len(table)), table["importance"], xerr=table["deviation"],
                  color=DOT, ecolor="0.4", height=0.65)  # fmt: skip
        axes.set_yticks(range(len(table)), names, **text_style(names))
        axes.axvline(0, color="0.6", lw=0.8)
        axes.set_xlabel("what a forest loses of its R² without it")
    return figure


def _scored(table):
    done = table[table["score"].notna()] if len(table) else table
    if not len(done):
        raise ValueError(
            "`table` is what tuning.trials returns, with a trial that has a score. "
            f"Received: {len(table)} rows, none with a score"
        )
    return done


def _hyperparameters(table):
    """The columns before the score, as `tuning.trials` orders them."""
    return list(table.columns[: list(table.columns).index("score")])


def _falls(table):
    return table.attrs.get("direction") == "min"


def _objective(table):
    words = {
        "val_accuracy": "validation accuracy",
        "val_loss": "validation loss (nats)",
    }
    name = table.attrs.get("objective", "score")
    return words.get(name, name)


def _is_number(column):
    return pd.api.types.is_numeric_dtype(column.infer_objects()) and not (
        pd.api.types.is_bool_dtype(column.infer_objects())
    )


def _in_order(column):
    return sorted(column.dropna().unique(), key=str)


def _upright(column):
    """(height of each trial in [0, 1], marks as (text, height))."""
    foot = -0.12
    inactive = [("not active", foot)] if column.isna().any() else []
    if not _is_number(column.dropna()):
        values = _in_order(column)
        places = dict(zip(values, np.linspace(0.08, 0.92, len(values)), strict=True))
        marks = [(str(value), height) for value, height in places.items()]
        return column.map(places).astype(float).fillna(foot), marks + inactive
    numbers = column.astype(float)
    scale = np.log if is_wide(numbers) else lambda x: x
    low, high = numbers.min(), numbers.max()
    span = (scale(high) - scale(low)) or 1
    marks = [(f"{low:.3g}", 0.0), (f"{high:.3g}", 1.0)]
    return ((scale(numbers) - scale(low)) / span).fillna(foot), marks + inactive
