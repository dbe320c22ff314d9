"""Gradient boosted trees (LightGBM): native categories, all folds in lockstep, a round at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import lightgbm as lgb
import numpy as np

from autotune.data.task import ALL_TASKS, Problem, Rows, TaskKind
from autotune.learners.binning import binned
from autotune.learners.boosting import pace_of_booster, threads_for
from autotune.learners.checks import Rule, check_parameters
from autotune.learners.protocol import Member, Model, Pace, Resources, Step

if TYPE_CHECKING:
    from autotune.learners.protocol import Predictions

SHARE_OF_A_FOLD = 0.8
"""Of all rows, what a fold trains on: a model of all rows gets as many threads, and takes as long as was foreseen."""


@dataclass(frozen=True, slots=True)
class LightGBMParams:
    """Parameters under LightGBM's own names; ``max_rounds`` is the horizon, the curve chooses the round."""

    learning_rate: float = 0.05
    num_leaves: int = 31
    min_data_in_leaf: int = 20
    feature_fraction: float = 0.5
    bagging_fraction: float = 1.0
    extra_trees: bool = False
    lambda_l1: float = 0.0
    lambda_l2: float = 0.0
    cat_smooth: float = 10.0
    cat_l2: float = 2.0
    min_data_per_group: int = 100
    max_cat_to_onehot: int = 8
    max_bin: int = 255
    max_rounds: int = 2000

    def __post_init__(self) -> None:
        check_parameters("lightgbm", self, _RULES)


_RULES: dict[str, Rule] = {
    "learning_rate": (1e-6, 10.0),
    "num_leaves": range(2, 131_073),
    "min_data_in_leaf": range(2**31),
    "feature_fraction": (1e-6, 1.0),
    "bagging_fraction": (1e-6, 1.0),
    "extra_trees": bool,
    "lambda_l1": (0.0, float("inf")),
    "lambda_l2": (0.0, float("inf")),
    "cat_smooth": (0.0, float("inf")),
    "cat_l2": (0.0, float("inf")),
    "min_data_per_group": range(1, 2**31),
    "max_cat_to_onehot": range(1, 2**31),
    "max_bin": range(2, 65_536),
    "max_rounds": range(1, 10**9),
}


class LightGBM:
    """The learner; see `LightGBMParams` for what it takes.

    The binned table of a fold is made once and kept in the member's cache: only ``max_bin`` asks for another.
    """

    name: ClassVar[str] = "lightgbm"
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    Params: ClassVar[type[Any]] = LightGBMParams
    fidelity: ClassVar[str] = "max_rounds"

    def train(
        self, members: Sequence[Member], params: LightGBMParams, *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        """Grow all members a round at a time, up to ``max_rounds``."""
        boosters = [_booster(member, params, seed + index, resources) for index, member in enumerate(members)]
        everyone = tuple(range(len(members)))
        problem = members[0].problem
        for number in range(1, params.max_rounds + 1):
            exhausted = [booster.update() for booster in boosters]
            yield Step(
                number,
                everyone,
                lambda: [_validation_predictions(booster, problem) for booster in boosters],
                lambda: [_detached(booster, problem) for booster in boosters],
            )
            if all(exhausted):
                return

    def pace(self, params: LightGBMParams) -> Pace:
        """Count rounds × learning rate; see `pace_of_booster`."""
        return pace_of_booster(params.learning_rate, params.max_rounds)


@dataclass(frozen=True, slots=True)
class LightGBMModel:
    """A grown booster and the task that it answers."""

    booster: lgb.Booster
    problem: Problem

    def predict(self, rows: Rows) -> Predictions:
        """Return probabilities (n_rows, n_classes), or values (n_rows,)."""
        return _shaped(np.asarray(self.booster.predict(_matrix(rows), num_threads=1)), self.problem)


def _booster(member: Member, params: LightGBMParams, seed: int, resources: Resources) -> lgb.Booster:
    training, validation = _binned(member, params.max_bin)
    cells = float(member.rows.n_cells)
    cells *= 1.0 if member.validation is not None else SHARE_OF_A_FOLD
    words = {field.name: getattr(params, field.name) for field in fields(params)}
    del words["max_rounds"]
    words |= (
        _objective(member.problem)
        | _BINNING
        | {
            "metric": "none",
            "bagging_freq": 1 if params.bagging_fraction < 1 else 0,
            "num_threads": threads_for(cells, resources),
            "seed": seed % 2**31,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
    )
    booster = lgb.Booster(words, training)
    if validation is not None:
        booster.add_valid(validation, "validation")
    return booster


_BINNING = {"feature_pre_filter": False}


@dataclass(slots=True)
class _Binned:
    """Training rows in bins, and the validation rows that were last asked for in theirs."""

    training: lgb.Dataset
    rows: Rows | None = None
    validation: lgb.Dataset | None = None


def _binned(member: Member, max_bin: int) -> tuple[lgb.Dataset, lgb.Dataset | None]:
    """Return training and validation rows in bins, made once; the bins come from the training rows."""
    words = {**_BINNING, "max_bin": max_bin, "verbosity": -1}

    def training() -> _Binned:
        n_numeric, n_columns = member.rows.n_numeric, _n_columns(member.rows)
        dataset = lgb.Dataset(
            _matrix(member.rows),
            label=member.y,
            weight=member.weight,
            categorical_feature=list(range(n_numeric, n_columns)),
            params=words,
        )
        return _Binned(dataset.construct())

    kept = binned(member, "lightgbm", max_bin, training)
    if member.validation is None:
        return kept.training, None
    if kept.rows is not member.validation:
        dataset = lgb.Dataset(_matrix(member.validation), reference=kept.training, params=words)
        kept.rows, kept.validation = member.validation, dataset.construct()
    return kept.training, kept.validation


def _objective(problem: Problem) -> dict[str, Any]:
    match problem.kind, problem.loss:
        case "binary", _:
            return {"objective": "binary"}
        case "multiclass", _:
            return {"objective": "multiclass", "num_class": problem.n_classes}
        case _, "absolute":
            return {"objective": "regression_l1"}
        case _, "quantile":
            return {"objective": "quantile", "alpha": problem.quantile}
    return {"objective": "regression"}


def _validation_predictions(booster: lgb.Booster, problem: Problem) -> Predictions:
    """Read the scores that the booster itself keeps up for its validation rows, at no cost but a copy."""
    kept: list[Predictions] = []

    def keep(predictions: Any, _: lgb.Dataset) -> tuple[str, float, bool]:
        kept.append(np.array(predictions, dtype=np.float64))
        return "kept", 0.0, True

    booster.eval_valid(keep)
    return _shaped(kept[0], problem)


def _detached(booster: lgb.Booster, problem: Problem) -> Model:
    """Copy the trees grown so far; the copy holds no training data."""
    return LightGBMModel(lgb.Booster(model_str=booster.model_to_string(num_iteration=-1)), problem)


def _shaped(predictions: Predictions, problem: Problem) -> Predictions:
    return _with_both_classes(predictions) if problem.kind == "binary" else predictions


def _with_both_classes(positive: Predictions) -> Predictions:
    both = np.empty((len(positive), 2))
    both[:, 0], both[:, 1] = 1.0 - positive, positive
    return both


def _n_columns(rows: Rows) -> int:
    return rows.n_numeric + rows.n_categorical


def _matrix(rows: Rows) -> Predictions:
    if not rows.n_categorical:
        return rows.numeric
    return np.hstack([rows.numeric, rows.categorical.astype(np.float64)])
