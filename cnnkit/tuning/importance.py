"""Which hyperparameters matter, by a forest that has learnt to guess the score."""

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

LEAST, PARTS, TREES, REPEATS = 10, 5, 200, 10
INACTIVE = -1e3  # far from every value, so that a tree can tell


def importance(table, *, seed=0):
    """Says how much each hyperparameter matters for the score.

    A random forest learns the score from the hyperparameters. Then the values of one
    are dealt out anew among trials that it has not seen: the worse it guesses now, the
    more that one matters (Breiman, 2001, section 10; for hyperparameters Hutter, Hoos
    and Leyton-Brown, ICML 2014, do it with forests, too). This holds for the ranges
    that were searched and no further, and a bandit such as Hyperband has looked at the
    good ones more closely.

    Args:
        table: `pandas.DataFrame` of `tuning.trials`, with 10 scores or more.
        seed: int, of the forest and of the luck.

    Returns:
        A `pandas.DataFrame`, a row for each hyperparameter that varies, the most
        important first; the index "hyperparameter". Columns: importance, by how much
        the forest's R² falls, mean over five parts that were left out in turn;
        deviation, over the parts. Its `attrs["r2"]` is the forest's R² on trials that
        it has not seen: at 0 or below, it knows nothing, and nor does the table.

    Raises:
        ValueError: there are too few scores, or nothing varies.
    """
    done = table[table["score"].notna()]
    names = list(table.columns[: list(table.columns).index("score")])
    names = [name for name in names if done[name].nunique(dropna=False) > 1]
    if len(done) < LEAST or not names:
        raise ValueError(
            f"A forest needs {LEAST} trials with a score, in which something varies. "
            f"Received: {len(done)} trials, {len(names)} hyperparameters that vary"
        )
    inputs = done[names].infer_objects()
    words = [n for n in names if not pd.api.types.is_numeric_dtype(inputs[n])]
    inputs = inputs.astype(dict.fromkeys(words, str))
    numbers = [name for name in names if name not in words]
    inputs[numbers] = inputs[numbers].astype(float).fillna(INACTIVE)
    folds = KFold(PARTS, shuffle=True, random_state=seed)
    falls, fits = [], []
    for known, unseen in folds.split(inputs):
        encode = ColumnTransformer(
            [("words", OneHotEncoder(handle_unknown="ignore"), words)],
            remainder="passthrough",
        )
        forest = RandomForestRegressor(TREES, random_state=seed)
        forest = make_pipeline(encode, forest)
        forest.fit(inputs.iloc[known], done["score"].iloc[known])
        test = inputs.iloc[unseen], done["score"].iloc[unseen]
        fits.append(forest.score(*test))
        found = permutation_importance(
            forest, *test, n_repeats=REPEATS, random_state=seed
        )
        falls.append(found.importances_mean)
    result = pd.DataFrame(
        {"importance": np.mean(falls, axis=0), "deviation": np.std(falls, axis=0)},
        index=pd.Index(names, name="hyperparameter"),
    ).sort_values("importance", ascending=False)
    result.attrs["r2"] = float(np.mean(fits))
    return result
