"""Gradient boosted trees (XGBoost), optional: native categories, all folds in lockstep, a round at a time.

XGBoost keeps up the margins of every table that it was asked about, so that asking again after a round costs the new
trees alone. Its random draws start anew from seed and round (``seed_per_iteration``): all boosters of a process share
one stream of draws otherwise, and a fold would depend on how many others train beside it.

It trains on the CPU, and with ``device="cuda"`` on the GPU.
"""

from __future__ import annotations

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
    import xgboost as xgb
    from numpy.typing import NDArray

    from autotune.learners.protocol import Predictions

IMPORTS = ("xgboost",)
"""What training imports beside this module."""


@dataclass(frozen=True, slots=True)
class XGBoostParams:
    """Parameters under XGBoost's own names; ``max_rounds`` is the horizon, the curve chooses the round.

    ``max_leaves=0`` and ``max_depth=0`` are no limit; trees of up to 10 levels never have more than 1,024 leaves.
    """

    learning_rate: float = 0.05
    max_depth: int = 6
    max_leaves: int = 1024
    grow_policy: Literal["depthwise", "lossguide"] = "depthwise"
    min_child_weight: float = 1.0
    gamma: float = 0.0
    subsample: float = 1.0
    colsample_bytree: float = 1.0
    colsample_bylevel: float = 1.0
    colsample_bynode: float = 1.0
    reg_alpha: float = 0.0
    reg_lambda: float = 1.0
    max_cat_to_onehot: int = 4
    max_cat_threshold: int = 64
    max_bin: int = 256
    max_rounds: int = 1000

    def __post_init__(self) -> None:
        check_parameters("xgboost", self, _RULES)


_RULES: dict[str, Rule] = {
    "learning_rate": (1e-6, 10.0),
    "max_depth": range(31),
    "max_leaves": range(2**31),
    "grow_policy": "depthwise lossguide",
    "min_child_weight": (0.0, float("inf")),
    "gamma": (0.0, float("inf")),
    "subsample": (1e-6, 1.0),
    "colsample_bytree": (1e-6, 1.0),
    "colsample_bylevel": (1e-6, 1.0),
    "colsample_bynode": (1e-6, 1.0),
    "reg_alpha": (0.0, float("inf")),
    "reg_lambda": (0.0, float("inf")),
    "max_cat_to_onehot": range(1, 2**31),
    "max_cat_threshold": range(1, 2**31),
    "max_bin": range(2, 65_536),
    "max_rounds": range(1, 10**9),
}


class XGBoost:
    """The learner; see `XGBoostParams` for what it takes.

    The binned table of a fold is made once and kept in the member's cache: only ``max_bin`` asks for another.
    """

    name: ClassVar[str] = "xgboost"
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    Params: ClassVar[type[Any]] = XGBoostParams
    fidelity: ClassVar[str] = "max_rounds"
    requires: ClassVar[str] = "xgboost"
    install: ClassVar[str] = INSTALL_BOOSTERS

    def train(
        self, members: Sequence[Member], params: XGBoostParams, *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        """Grow all members a round at a time, up to ``max_rounds``."""
        need_package(XGBoost)
        growing = [_Growing(member, params, seed + index, resources) for index, member in enumerate(members)]
        everyone = tuple(range(len(members)))
        for number in range(1, params.max_rounds + 1):
            for one in growing:
                one.booster.update(one.training, number - 1)
            yield Step(
                number,
                everyone,
                lambda: [one.predictions() for one in growing],
                lambda: [one.model() for one in growing],
            )

    def pace(self, params: XGBoostParams) -> Pace:
        """Count rounds × learning rate; see `pace_of_booster`."""
        return pace_of_booster(params.learning_rate, params.max_rounds)


@dataclass(frozen=True, slots=True)
class XGBoostModel:
    """A grown booster, the levels that it has seen, and the task that it answers."""

    booster: xgb.Booster
    levels: tuple[NDArray[np.int32], ...]
    problem: Problem
    centre: float

    def predict(self, rows: Rows) -> Predictions:
        """Return probabilities (n_rows, n_classes), or values (n_rows,)."""
        margins = self.booster.predict(_table(rows, self.levels), output_margin=True)
        return from_margins(margins, self.problem, self.centre)


class _Growing:
    """A member's booster and its tables."""

    def __init__(self, member: Member, params: XGBoostParams, seed: int, resources: Resources) -> None:
        import xgboost as xgb

        cells = member.rows.n_cells
        threads = threads_for(cells, resources)
        words = {field.name: getattr(params, field.name) for field in fields(params) if field.name != "max_rounds"}
        words |= _objective(member.problem) | {
            "tree_method": "hist",
            "device": _device(resources.device),
            "nthread": threads,
            "seed": seed % 2**31,
            "seed_per_iteration": True,
            "verbosity": 0,
        }
        self.problem, self.centre, self.levels = member.problem, centre_of(member), _levels(member)
        self.training = _binned(member, self.levels, self.centre, params.max_bin, threads)
        self.validation = _validation(member, self.levels)
        self.booster = xgb.Booster(words, [self.training])

    def predictions(self) -> Predictions:
        assert self.validation is not None, "predictions were asked for without validation rows"
        return from_margins(self.booster.predict(self.validation, output_margin=True), self.problem, self.centre)

    def model(self) -> XGBoostModel:
        """Copy the trees grown so far; the copy holds no training data, and predicts on the CPU."""
        import xgboost as xgb

        copy = xgb.Booster({"nthread": 1, "device": "cpu"}, model_file=self.booster.save_raw("ubj"))
        return XGBoostModel(copy, self.levels, self.problem, self.centre)


def _objective(problem: Problem) -> dict[str, Any]:
    match problem.kind, problem.loss:
        case "binary", _:
            return {"objective": "binary:logistic"}
        case "multiclass", _:
            return {"objective": "multi:softprob", "num_class": problem.n_classes}
        case _, "absolute":
            return {"objective": "reg:absoluteerror"}
        case _, "quantile":
            return {"objective": "reg:quantileerror", "quantile_alpha": problem.quantile}
    return {"objective": "reg:squarederror"}


def _device(device: str | None) -> str:
    """Return XGBoost's word for a device; Apple's is none of its."""
    if device is None or not device.startswith("cuda"):
        return "cpu"
    import xgboost as xgb

    if not xgb.build_info().get("USE_CUDA"):  # it would train on the CPU without a word
        raise SettingsError("this XGBoost was built without CUDA", "device", 'pip install xgboost, or device="cpu"')
    return device


def _levels(member: Member) -> tuple[NDArray[np.int32], ...]:
    """Return, for each categorical column, the levels in the training rows, sorted; any other level is unknown."""
    key = ("xgboost", "levels")
    if key not in member.cache:
        member.cache[key] = tuple(np.unique(codes[codes > 0]) for codes in member.rows.categorical.T)
    levels: tuple[NDArray[np.int32], ...] = member.cache[key]
    return levels


def _binned(
    member: Member, levels: tuple[NDArray[np.int32], ...], centre: float, max_bin: int, threads: int
) -> xgb.QuantileDMatrix:
    """Return the training rows in bins, made once."""
    import xgboost as xgb

    return binned(
        member,
        "xgboost",
        max_bin,
        lambda: xgb.QuantileDMatrix(
            _matrix(member.rows, levels),
            to_float32(member.y - centre),
            weight=even_weight(member),
            feature_types=_feature_types(member.rows),
            max_bin=max_bin,
            nthread=threads,
        ),
    )


def _validation(member: Member, levels: tuple[NDArray[np.int32], ...]) -> xgb.DMatrix | None:
    """Return the validation rows as XGBoost reads them, made once for the same rows."""
    if member.validation is None:
        return None
    key = ("xgboost", "validation")
    rows, table = member.cache.get(key, (None, None))
    if rows is not member.validation:
        table = _table(member.validation, levels)
        member.cache[key] = (member.validation, table)
    return table


def _table(rows: Rows, levels: tuple[NDArray[np.int32], ...]) -> xgb.DMatrix:
    import xgboost as xgb

    return xgb.DMatrix(_matrix(rows, levels), feature_types=_feature_types(rows), nthread=1)


def _matrix(rows: Rows, levels: tuple[NDArray[np.int32], ...]) -> NDArray[np.float32]:
    """Return numbers and codes of levels, counted from 0 in each column; NaN for what is missing or unknown."""
    columns = [to_float32(rows.numeric)]
    for codes, known in zip(rows.categorical.T, levels, strict=True):
        places = np.where(np.isin(codes, known), np.searchsorted(known, codes), np.nan)
        columns.append(places.astype(np.float32)[:, np.newaxis])
    return np.hstack(columns)


def _feature_types(rows: Rows) -> list[str]:
    return ["q"] * rows.n_numeric + ["c"] * rows.n_categorical
