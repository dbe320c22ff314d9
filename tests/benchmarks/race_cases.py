"""The cases of the race: a table, a space, and how long a trial trains."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tables import folder, generated, manifest

if TYPE_CHECKING:
    import pandas as pd

    from autotune.spaces.space import Space

TARGET = "target"

LIGHTGBM = {
    "learning_rate": {"float": [5e-3, 0.1], "log": True, "default": 0.05},
    "num_leaves": {"int": [2, 200], "log": True, "default": 31},
    "min_data_in_leaf": {"int": [1, 64], "log": True, "default": 20},
    "lambda_l1": {"float": [0.0, 1.0], "default": 0.0},
    "lambda_l2": {"float": [0.0, 2.0], "default": 0.0},
    "feature_fraction": {"fixed": 1.0},
    "bagging_fraction": {"fixed": 1.0},
    "cat_l2": {"fixed": 10.0},
    "max_cat_to_onehot": {"fixed": 4},
}
"""Nothing that draws at random, and LightGBM's own defaults, so that both sides grow the same trees."""

FEW_ROUNDS = LIGHTGBM | {"learning_rate": {"float": [0.05, 0.3], "log": True, "default": 0.1}}
"""For horizons at which lower rates would not have learned anything yet."""

MLP = {
    "learning_rate": {"float": [1e-4, 5e-3], "log": True, "default": 2e-3},
    "weight_decay": {"float": [1e-6, 0.1], "log": True, "default": 0.01},
    "dropout": {"float": [0.0, 0.5], "default": 0.1},
    "batch_size": {"fixed": 256},
    "optimizer": {"fixed": "adamw"},
    "schedule": {"fixed": "constant"},
    "activation": {"fixed": "relu"},
}

LINEAR = {"C": {"float": [1e-3, 100.0], "log": True, "default": 1.0}, "penalty": {"fixed": "l2"}}

FOREST = {
    "max_features": {"float": [0.2, 1.0], "default": 0.5},
    "max_samples": {"float": [0.4, 1.0], "default": 1.0},
    "min_samples_leaf": {"int": [5, 50], "log": True, "default": 10},
}


@dataclass(frozen=True)
class Length:
    """How long one discipline is.

    Attributes
    ----------
    n_trials : int
        Trials of each contender.
    horizon : int or None
        Rounds or epochs of a trial at most.
    by_default : bool
        Whether it runs when no case is named.
    """

    n_trials: int
    horizon: int | None = None
    by_default: bool = True


@dataclass(frozen=True)
class Case:
    """One row of the race.

    Attributes
    ----------
    learner : str
        The learner's name.
    table : callable
        Makes the table.
    n_search : int or float
        Rows that are searched on, or their share; the others are held out.
    space : mapping
        Parameters as a space file has them, but for the horizon.
    lengths : mapping
        By discipline; a discipline that is not there is not run.
    tolerance : float
        How far the mean CV scores of the same configurations may be apart, relative.
    fidelity : str or None
        The parameter that is the horizon.
    opponents : tuple of str
        Whom autotune runs against.
    kind : {"binary", "multiclass", "regression"}
        The kind of task.
    built_in : str or None
        The space of the discipline of the same result, with its starts, where it is one of autotune's own.
    changed : tuple of str
        Parameters that have the case's range in that space too.
    needs_folder : bool
        Whether the table is one of the folder that AUTOTUNE_DATA names.
    """

    learner: str
    table: Callable[[], pd.DataFrame]
    n_search: int | float
    space: Mapping[str, Any]
    lengths: Mapping[str, Length]
    tolerance: float
    fidelity: str | None = None
    opponents: tuple[str, ...] = ("script",)
    kind: str = "binary"
    built_in: str | None = None
    changed: tuple[str, ...] = ()
    needs_folder: bool = False


def space_of(case: Case, discipline: str, seed: int) -> Space:
    """Return what autotune searches in; with the configurations to evaluate as starts, for the same work."""
    from autotune.spaces.catalog import find_space
    from autotune.spaces.draws import draw
    from autotune.spaces.params import Int
    from autotune.spaces.space import Space

    length = case.lengths[discipline]
    if discipline == "result" and case.built_in:
        changes = {name: case.space[name] for name in case.changed}
        return find_space(case.built_in) | {**changes, str(case.fidelity): Int(1, length.horizon, fidelity=True)}
    horizon: dict[str, Any] = {}
    if case.fidelity:
        assert length.horizon is not None
        searched, at_refit = length.horizon, {}
        if case.fidelity == "n_estimators":
            at_refit = {"n_estimators_at_refit": {"fixed": length.horizon}}
            searched = length.horizon // 2 if discipline == "result" else length.horizon  # as in the built-in space
        horizon = {case.fidelity: {"int": [1, searched], "fidelity": True}, **at_refit}
    learners = {case.learner: {**case.space, **horizon}}
    if discipline == "result":
        return Space(learners)
    draws = random.Random(seed)
    return Space(learners, starts=[draw(Space(learners), draws) for _ in range(length.n_trials - 1)])


def ranges_of(case: Case, space: Space, discipline: str) -> dict[str, Any]:
    """Return what the script draws from: the same, and the horizon, which autotune reads off the mean curve."""
    ranges = dict(space.to_dict()[case.learner])
    if case.fidelity:
        horizon = case.lengths[discipline].horizon
        assert horizon is not None
        drawn = {"int": [max(1, horizon // 20), horizon]}
        ranges[case.fidelity] = drawn if discipline == "result" else {"fixed": horizon}
    return ranges


def _breast_cancer() -> pd.DataFrame:
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer(as_frame=True).frame


def _of_folder(name: str) -> pd.DataFrame:
    import pandas as pd

    facts = manifest()[name]
    path = folder() / facts["file"]
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    features = frame.drop(columns=facts["target"])
    names = [f"x{index}" for index in range(features.shape[1])]  # LightGBM refuses some that people have
    return features.set_axis(names, axis="columns").assign(**{TARGET: frame[facts["target"]]})


def _mlp(units: int, work: Length | None, result: Length | None, **words: Any) -> Case:
    lengths = {name: length for name, length in (("work", work), ("result", result)) if length}
    fixed = {"units": units, "layers": 3, "normalization": words.pop("normalization", "none")}
    space = MLP | {name: {"fixed": value} for name, value in fixed.items()}
    return Case(
        "mlp",
        words.pop("table", lambda: generated(20_000, 20, 0, kind="binary")),
        10_000,
        space,
        lengths,
        tolerance=0.1,
        fidelity="epochs",
        **words,
    )


def _lightgbm(
    table: Callable[[], pd.DataFrame], n_search: int | float, lengths: dict[str, Length], **words: Any
) -> Case:
    words = {"space": LIGHTGBM, "tolerance": 1e-4, "fidelity": "max_rounds", "built_in": "lightgbm", **words}
    return Case("lightgbm", table, n_search, lengths=lengths, **words)


def _linear(kind: str) -> Case:
    words: dict[str, Any] = {"tolerance": 0.01, "kind": kind}
    return Case("linear", lambda: generated(30_000, 12, 6, kind=kind), 20_000, LINEAR, {"work": Length(10)}, **words)


def _large() -> pd.DataFrame:
    return generated(120_000, 24, 6, kind="binary")


CASES: dict[str, Case] = {
    "mlp-64": _mlp(64, Length(10, 10), Length(8, 8)),
    "mlp-64-long": _mlp(64, None, Length(12, 20, by_default=False)),
    "mlp-64-batchnorm": _mlp(64, Length(3, 5, by_default=False), None, normalization="batch"),
    "mlp-64-letter": _mlp(
        64,
        Length(3, 5, by_default=False),
        None,
        table=lambda: _of_folder("letter"),
        kind="multiclass",
        needs_folder=True,
    ),
    "mlp-256": _mlp(256, Length(4, 6), Length(8, 8, by_default=False)),
    "mlp-512": _mlp(512, Length(3, 4), Length(8, 6, by_default=False)),
    "lightgbm-569": _lightgbm(_breast_cancer, 0.75, {"work": Length(10, 50), "result": Length(20, 1000)}),
    "lightgbm-5k": _lightgbm(
        lambda: _of_folder("spambase"), 0.75, {"work": Length(5, 50), "result": Length(12, 1000)}, needs_folder=True
    ),
    "lightgbm-100k": _lightgbm(
        _large,
        100_000,
        {"work": Length(20, 30), "result": Length(12, 30, by_default=False)},
        space=FEW_ROUNDS,
        changed=("learning_rate",),
    ),
    "lightgbm-100k-300": _lightgbm(
        _large, 100_000, {"work": Length(1, 300, by_default=False), "result": Length(12, 300, by_default=False)}
    ),
    "logistic": _linear("binary"),
    "ridge": _linear("regression"),
    "forest": Case(
        "random_forest",
        lambda: generated(30_000, 12, 6, kind="binary"),
        20_000,
        FOREST,
        {"work": Length(2, 10), "result": Length(12, 30, by_default=False)},
        tolerance=0.02,
        fidelity="n_estimators",
    ),
    "search-cv": _lightgbm(
        lambda: _of_folder("spambase"),
        0.75,
        {"result": Length(12, 1000)},
        opponents=("optuna-search-cv", "halving-random-search-cv"),
        needs_folder=True,
    ),
}
