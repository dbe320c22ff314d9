"""What can be said without looking at the features: class shares, the mean, the median or a quantile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autotune.data.task import ALL_TASKS, Rows, TaskKind
from autotune.learners.protocol import Member, Pace, Resources, Step, one_shot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autotune.learners.protocol import Predictions


@dataclass(frozen=True, slots=True)
class BaselineParams:
    """The baseline has no parameters: the task and its loss say what it predicts."""


class Baseline:
    """The learner that every other one has to beat."""

    name: ClassVar[str] = "baseline"
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    Params: ClassVar[type[BaselineParams]] = BaselineParams
    fidelity: ClassVar[None] = None

    def train(
        self, members: Sequence[Member], params: BaselineParams, *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        """Fit one member after the other."""
        return one_shot(_fit, members, params, seed, resources)

    def pace(self, params: BaselineParams) -> Pace | None:
        """Return None: it trains in one go."""
        return None


@dataclass(frozen=True, slots=True)
class ConstantModel:
    """A model that says the same of every row.

    Attributes
    ----------
    constant : ndarray, shape (n_classes,) or ()
        Class shares, or a value.

    Examples
    --------
    >>> rows = Rows(np.zeros((2, 1)), np.zeros((2, 0), dtype=np.int32))
    >>> ConstantModel(np.array([0.25, 0.75])).predict(rows)
    array([[0.25, 0.75],
           [0.25, 0.75]])
    """

    constant: NDArray[np.float64]

    def predict(self, rows: Rows) -> Predictions:
        """Return the constant once for each row."""
        return np.repeat(self.constant[np.newaxis], len(rows), axis=0)


def _fit(member: Member, params: BaselineParams, seed: int, resources: Resources) -> ConstantModel:
    problem = member.problem
    weight = np.ones(len(member.y)) if member.weight is None else member.weight
    if problem.is_classification:
        shares = np.bincount(member.y, weight, minlength=problem.n_classes)
        return ConstantModel(shares / shares.sum())
    match problem.loss:
        case "absolute":
            value = _weighted_quantile(member.y, weight, 0.5)
        case "quantile":
            value = _weighted_quantile(member.y, weight, problem.quantile)
        case _:
            value = np.average(member.y, weights=weight)
    return ConstantModel(np.asarray(value, dtype=np.float64))


def _weighted_quantile(y: NDArray[Any], weight: NDArray[np.float64], quantile: float) -> float:
    """Return the smallest value that has this share of the weight at or below it."""
    order = np.argsort(y, kind="stable")
    total = np.cumsum(weight[order])
    place = np.searchsorted(total, quantile * total[-1])
    return float(y[order[min(place, len(y) - 1)]])
