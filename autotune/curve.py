"""Along a learning curve: rungs where it is judged, its best step, and what came of it.

The curve is the mean over the folds, smoothed over three evaluations; its best step (ties to the earlier; the last one
where more steps are never worse) is the step that is kept, and the score recorded is the plain mean at that step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from autotune.learners.protocol import Model, Pace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

RUNG_FACTOR = 2
"""Neighbouring rungs are this factor apart on the scale of `Pace.worth`."""

Point: TypeAlias = "tuple[Sequence[float], tuple[NDArray[np.float32], ...] | None]"
"""Scores of the folds at a step, and their predictions there."""

FINE_STEPS = 20
"""Steps are scored one by one up to here, then every twentieth part of the way: scoring costs less than training."""


class PrunedError(Exception):
    """The configuration was judged not worth finishing; `rung` and `score` say where."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress)
        self.progress = progress


class NotFiniteError(ArithmeticError):
    """The score of a configuration is not a finite number."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of a running evaluation, at a rung of its curve or after a fold.

    Attributes
    ----------
    rung : int
        Number of the rung, equal for trials of one learner at equal worth; folds done, for a one-shot learner.
    worth : float
        Worth of the steps done, or folds done.
    score : float
        Best smoothed mean score so far; the mean over the folds done, for a one-shot learner.
    by_fold : bool
        True when folds are done one after the other.
    first_rung : float
        Worth of the earliest rung of its learner while none of its trials is complete.
    """

    rung: int
    worth: float
    score: float
    by_fold: bool = False
    first_rung: float = 0.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What cross-validation said about one configuration.

    Attributes
    ----------
    score : float
        Mean over the folds at the best step. Optimistic: the step was chosen on these folds.
    fold_scores : tuple of float
        The score of each fold at the best step.
    step : int
        The best step; 1 for a learner that trains in one go.
    worth : float
        Worth of that step on the scale of the rungs.
    curve : tuple of (int, float)
        Steps and mean scores.
    seconds : float
        How long it took.
    cut : bool
        True when a deadline ended it before its time.
    predictions : tuple of ndarray, or None
        Of each fold on its validation rows at the best step, float32: what an ensemble is chosen with.
    training, predicting : float
        Seconds a fold, of these: for training up to the best step, and for predicting the validation rows once.
    models : tuple of Model, or None
        Of the folds as they were at its end, where no time is left to train one on all rows.
    """

    score: float
    fold_scores: tuple[float, ...]
    step: int
    worth: float
    curve: tuple[tuple[int, float], ...]
    seconds: float
    cut: bool = False
    predictions: tuple[NDArray[np.float32], ...] | None = field(default=None, compare=False, repr=False)
    training: float = 0.0
    predicting: float = 0.0
    models: tuple[Model, ...] | None = field(default=None, compare=False, repr=False)


class Timed(Generic[T]):
    """An iterator that knows how many seconds its items have taken.

    Parameters
    ----------
    items : iterator
        What is timed.
    """

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self.seconds = 0.0

    def __iter__(self) -> Timed[T]:
        return self

    def __next__(self) -> T:
        started = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self.seconds += time.perf_counter() - started


def follow(
    points: Iterator[tuple[int, Callable[[], Point]]], pace: Pace, *, maximize: bool, deadline: float
) -> Generator[Progress, bool | None, Evaluation]:
    """Go along a curve: yield at every rung, end at its best step.

    Parameters
    ----------
    points : iterator of (int, callable)
        Steps, and what gives the scores of the folds there, with their predictions or None; it is called before the
        next step, or never.
    pace : Pace
        Where the rungs stand, and how long to wait for a better step.
    maximize : bool
        Whether larger scores are better.
    deadline : float
        On the clock of `time.time`: when the curve is cut at its best step so far.

    Raises
    ------
    PrunedError
        When a `False` is sent.
    """
    started = time.perf_counter()
    curve = _Curve(maximize=maximize, never_worse=pace.last is not None)
    rung, cut, number, predicting = 0, False, 1, 0.0
    training = Timed(points)
    for number, point in training:
        is_late = time.time() > deadline
        if number % max(1, number // FINE_STEPS) and number != pace.last and not is_late:
            continue
        began = time.perf_counter()
        curve.add(number, *point())
        predicting = time.perf_counter() - began
        worth = number * pace.worth
        while worth >= rung_worth(pace, rung):
            progress = Progress(rung, worth, curve.best_smoothed, first_rung=pace.first_rung)
            if (yield progress) is False:
                raise PrunedError(progress)
            rung += 1
        if number - curve.best_step >= pace.patience:
            break
        if is_late:
            cut = True
            break
    best = curve.best
    n_folds = len(curve.scores[best])
    return Evaluation(
        curve.means[best],
        tuple(curve.scores[best]),
        curve.best_step,
        curve.best_step * pace.worth,
        tuple(zip(curve.numbers, curve.means, strict=True)),
        time.perf_counter() - started,
        cut,
        curve.kept[best],
        training.seconds * curve.best_step / number / n_folds,
        predicting / n_folds,
    )


def rung_worth(pace: Pace, rung: int) -> float:
    """Return the worth at which a rung stands: a fixed grid, two rungs of which lie before the first rung."""
    return pace.first_rung * float(RUNG_FACTOR) ** (rung - 2)


class _Curve:
    """Mean scores at steps, and the best of them after smoothing over three evaluations; or the last of them."""

    def __init__(self, *, maximize: bool, never_worse: bool) -> None:
        self._sign = 1.0 if maximize else -1.0
        self._never_worse = never_worse
        self.numbers: list[int] = []
        self.scores: list[Sequence[float]] = []
        self.means: list[float] = []
        self._smoothed: list[float] = []
        self._before = 0  # the best one before the last; their smoothed scores stay
        self.best = 0
        self.kept: dict[int, Any] = {}

    def add(self, number: int, scores: Sequence[float], predictions: Any) -> None:
        self.numbers.append(number)
        self.scores.append(scores)
        self.means.append(sum(scores) / len(scores))
        for index in range(max(0, len(self.means) - 2), len(self.means)):
            window = self.means[max(0, index - 1) : index + 2]
            self._smoothed[index:] = [sum(window) / len(window)]
        last = len(self.means) - 1
        self._before = self._better(self._before, max(0, last - 1))
        self.best = self._better(self._before, last)
        self.kept = {self._before: self.kept.get(self._before, predictions), last: predictions}

    @property
    def best_step(self) -> int:
        return self.numbers[self.best]

    @property
    def best_smoothed(self) -> float:
        return self._smoothed[self.best]

    def _better(self, earlier: int, later: int) -> int:
        """Return the better of two evaluations, the earlier one of equals."""
        is_better = self._sign * self._smoothed[later] > self._sign * self._smoothed[earlier]
        return later if is_better or self._never_worse else earlier
