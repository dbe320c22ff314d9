"""Gradient boosted trees (CatBoost), optional: target statistics for categories, all folds in lockstep.

CatBoost has no call for one more round, but a training continues where another ended: the first ``fit`` that is given
the very booster of the training before it (``init_model``) and its very table takes over that training's state, random
draws included, so that the trees are those of one training in one go (a test holds it to that). Such a call costs a few
milliseconds beside its rounds. Members therefore train some rounds ahead, and are shown a round at a time. On tables of
4,000 and 7,000 rows and over 200 to 600 rounds, five folds took 16 to 25 % longer than five trainings in one go; with a
call for each round a training took 50 to 130 % longer.

It trains on the CPU: on a GPU CatBoost cannot continue a training.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from autotune.data.task import ALL_TASKS, Problem, Rows, TaskKind
from autotune.errors import SettingsError
from autotune.learners.binning import binned
from autotune.learners.boosting import pace_of_booster, threads_for
from autotune.learners.checks import Rule, check_parameters
from autotune.learners.margins import centre_of, even_weight, from_margins, to_float32
from autotune.learners.optional import INSTALL_BOOSTERS, need_package
from autotune.learners.protocol import Member, Pace, Resources, Step

if TYPE_CHECKING:
    import catboost
    from numpy.typing import NDArray

    from autotune.learners.protocol import Predictions

ROUNDS_AHEAD = 10
"""A member trains this many rounds ahead, or a tenth of those done where that is more …"""

SECONDS_AHEAD = 0.2
"""… but no longer than this, so that a deadline is seen in time; the rounds are the same either way."""


@dataclass(frozen=True, slots=True)
class CatBoostParams:
    """Parameters under CatBoost's own names; ``max_rounds`` is the horizon, the curve chooses the round.

    ``bootstrap_type="MVS"`` is CatBoost's own default; it gives up where gradients vanish, as on a table that is
    learned without error.
    """

    learning_rate: float = 0.05
    depth: int = 6
    grow_policy: Literal["SymmetricTree", "Depthwise"] = "SymmetricTree"
    l2_leaf_reg: float = 3.0
    random_strength: float = 1.0
    bootstrap_type: Literal["Bernoulli", "MVS"] = "Bernoulli"
    subsample: float = 0.8
    rsm: float = 1.0
    leaf_estimation_iterations: int = 1
    boosting_type: Literal["Plain", "Ordered"] = "Plain"
    one_hot_max_size: int = 2
    max_ctr_complexity: int = 4
    border_count: int = 254
    max_rounds: int = 1000

    def __post_init__(self) -> None:
        check_parameters("catboost", self, _RULES)
        if self.boosting_type == "Ordered" and self.grow_policy != "SymmetricTree":
            raise SettingsError(
                f"boosting_type='Ordered' and grow_policy={self.grow_policy!r} exclude each other",
                "learner 'catboost', boosting_type",
                "grow_policy='SymmetricTree'",
            )


_RULES: dict[str, Rule] = {
    "learning_rate": (1e-6, 1.0),
    "depth": range(1, 17),
    "grow_policy": "SymmetricTree Depthwise",
    "l2_leaf_reg": (0.0, float("inf")),
    "random_strength": (0.0, float("inf")),
    "bootstrap_type": "Bernoulli MVS",
    "subsample": (1e-6, 1.0),
    "rsm": (1e-6, 1.0),
    "leaf_estimation_iterations": range(1, 1001),
    "boosting_type": "Plain Ordered",
    "one_hot_max_size": range(1, 256),
    "max_ctr_complexity": range(1, 17),
    "border_count": range(1, 65_536),
    "max_rounds": range(1, 10**9),
}


class CatBoost:
    """The learner; see `CatBoostParams` for what it takes.

    The table of a fold is kept in the member's cache as CatBoost reads it.
    """

    name: ClassVar[str] = "catboost"
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    Params: ClassVar[type[Any]] = CatBoostParams
    fidelity: ClassVar[str] = "max_rounds"
    requires: ClassVar[str] = "catboost"
    install: ClassVar[str] = INSTALL_BOOSTERS

    def train(
        self, members: Sequence[Member], params: CatBoostParams, *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        """Grow all members a round at a time, up to ``max_rounds``."""
        need_package(CatBoost)
        growing = [_Growing(member, params, seed + index, resources) for index, member in enumerate(members)]
        everyone = tuple(range(len(members)))
        for number in range(1, params.max_rounds + 1):
            grown = [one.grow(number) for one in growing]
            if not any(grown):
                return
            yield Step(
                number,
                everyone,
                lambda: [one.predictions() for one in growing],
                lambda: [one.model() for one in growing],
            )

    def pace(self, params: CatBoostParams) -> Pace:
        """Count rounds × learning rate; see `pace_of_booster`."""
        return pace_of_booster(params.learning_rate, params.max_rounds)


@dataclass(frozen=True, slots=True)
class CatBoostModel:
    """A grown booster, how many of its rounds count, the classes that it has seen, and the task that it answers."""

    booster: catboost.CatBoost
    rounds: int
    classes: NDArray[np.int64]
    problem: Problem
    centre: float

    def predict(self, rows: Rows) -> Predictions:
        """Return probabilities (n_rows, n_classes), or values (n_rows,)."""
        margins = self.booster.predict(_pool(rows), "RawFormulaVal", ntree_end=self.rounds, thread_count=1)
        return _predictions(margins, self.classes, self.problem, self.centre)


class _Growing:
    """A member's booster, trained some rounds ahead of what is shown of it."""

    def __init__(self, member: Member, params: CatBoostParams, seed: int, resources: Resources) -> None:
        cells = member.rows.n_cells
        words = {field.name: getattr(params, field.name) for field in fields(params) if field.name != "max_rounds"}
        self.words = words | {
            "loss_function": _loss(member.problem),
            "thread_count": threads_for(cells, resources),
            "random_seed": seed % 2**31,
            "allow_const_label": True,
            "allow_writing_files": False,
            "logging_level": "Silent",
        }
        if member.problem.kind == "binary":
            self.words["class_names"] = [0, 1]  # a fold of one class would call it 0, whichever it is
        self.problem, self.centre, self.classes = member.problem, centre_of(member), np.unique(member.y)
        self.training, self.validation = _training(member, self.centre, params.border_count), _validation(member)
        self.horizon = params.max_rounds
        self.booster: catboost.CatBoost | None = None
        self.trained, self.exhausted, self.seconds_a_round = 0, False, SECONDS_AHEAD  # a round first, to time it
        self.shown = self.in_margins = 0
        self.margins: Any = 0.0

    def grow(self, number: int) -> bool:
        """Show this many rounds, which are trained if need be; return whether there are so many."""
        if number > self.trained and not self.exhausted:
            self._train_ahead()
        self.shown = min(number, self.trained)
        return number <= self.trained

    def _train_ahead(self) -> None:
        from catboost import CatBoost as Booster

        size = min(max(ROUNDS_AHEAD, self.trained // 10), self.horizon - self.trained)
        if size * self.seconds_a_round > SECONDS_AHEAD:
            size = max(1, int(SECONDS_AHEAD / self.seconds_a_round))
        began = time.perf_counter()
        booster = Booster({**self.words, "iterations": size})
        booster.fit(self.training, init_model=self.booster)  # which has then given its state away
        self.seconds_a_round = (time.perf_counter() - began) / size
        if not booster.tree_count_:
            raise SettingsError("CatBoost's first tree has no finite values", "learner 'catboost'", "l2_leaf_reg=3")
        self.exhausted = booster.tree_count_ < self.trained + size
        self.booster, self.trained = booster, booster.tree_count_

    def predictions(self) -> Predictions:
        """Add the trees that are new since the last call to the margins of the validation rows."""
        if self.shown > self.in_margins:
            assert self.booster is not None
            new = {"ntree_start": self.in_margins, "ntree_end": self.shown}
            self.margins = self.margins + self.booster.predict(self.validation, "RawFormulaVal", **new, thread_count=1)
            self.in_margins = self.shown
        return _predictions(self.margins, self.classes, self.problem, self.centre)

    def model(self) -> CatBoostModel:
        """Copy the trees; the copy knows nothing of the training, and does not use the rounds that are not shown."""
        assert self.booster is not None
        copy = self.booster.copy()
        if self.words["grow_policy"] == "SymmetricTree":  # from no others can CatBoost take rounds away
            copy.shrink(ntree_end=self.shown)
        return CatBoostModel(copy, self.shown, self.classes, self.problem, self.centre)


def _loss(problem: Problem) -> str:
    match problem.kind, problem.loss:
        case "binary", _:
            return "Logloss"
        case "multiclass", _:
            return "MultiClass"
        case _, "absolute":
            return "MAE"
        case _, "quantile":
            return f"Quantile:alpha={problem.quantile}"
    return "RMSE"


def _predictions(margins: NDArray[Any], classes: NDArray[np.int64], problem: Problem, centre: float) -> Predictions:
    """Return predictions for margins; a class that the training rows lack has probability 0."""
    if problem.kind != "multiclass":
        return from_margins(margins, problem, centre)
    probabilities = np.zeros((len(margins), problem.n_classes))
    probabilities[:, classes] = from_margins(margins[:, : len(classes)], problem, centre)  # of one class it makes two
    return probabilities


def _training(member: Member, centre: float, border_count: int) -> catboost.Pool:
    """Return the training rows in bins, made once."""

    def quantized() -> catboost.Pool:
        pool = _pool(member.rows, _answers(member, centre), even_weight(member))
        pool.quantize(border_count=border_count)
        return pool

    return binned(member, "catboost", border_count, quantized)


def _validation(member: Member) -> catboost.Pool | None:
    """Return the validation rows as CatBoost reads them, made once for the same rows."""
    if member.validation is None:
        return None
    key = ("catboost", "validation")
    rows, pool = member.cache.get(key, (None, None))
    if rows is not member.validation:
        pool = _pool(member.validation)
        member.cache[key] = (member.validation, pool)
    return pool


def _answers(member: Member, centre: float) -> NDArray[Any]:
    if member.problem.kind == "multiclass":  # CatBoost warns of classes that a fold lacks
        return np.unique(member.y, return_inverse=True)[1]
    return member.y if member.problem.is_classification else to_float32(member.y - centre)


def _pool(rows: Rows, y: NDArray[Any] | None = None, weight: NDArray[np.float64] | None = None) -> catboost.Pool:
    """Return numbers and level codes as CatBoost reads them; a level that training rows lack has no statistics yet."""
    import pandas as pd
    from catboost import Pool

    codes = range(rows.n_numeric, rows.n_numeric + rows.n_categorical)
    table = pd.concat([pd.DataFrame(to_float32(rows.numeric)), pd.DataFrame(rows.categorical, columns=codes)], axis=1)
    return Pool(table, y, weight=weight, cat_features=list(codes), thread_count=1)
