"""Cross-validation with the folds side by side: the mean curve over the folds, its best step, and early judgement.

All folds of a configuration advance together, so that after each step there is a mean score over the folds. The curve
is smoothed over three evaluations; its best step (ties to the earlier) is the step that is kept, and the score recorded
is the plain mean at that step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from autotune.data.task import Rows, Task
from autotune.errors import AutotuneError
from autotune.learners import find_learner
from autotune.learners.protocol import Learner, Member, Model, Pace, Resources, Step
from autotune.registry import unknown_name
from autotune.spaces.space import Config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from autotune.data.splits import Folds
    from autotune.metrics import Metric

RUNG_FACTOR = 2
"""Neighbouring rungs are this factor apart on the scale of `Pace.worth`."""

Learners: TypeAlias = Mapping[str, Learner[Any]]
"""Learners by the names that configurations have for them; people's own models among them."""

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
        True when a deadline ended the curve before its time.
    """

    score: float
    fold_scores: tuple[float, ...]
    step: int
    worth: float
    curve: tuple[tuple[int, float], ...]
    seconds: float
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Cohort:
    """The folds of a task as members, with the answers of their validation rows; kept from trial to trial.

    Attributes
    ----------
    members : tuple of Member
        One a fold.
    y, weight : tuple of ndarray
        Answers and weights of the validation rows of each.
    metric : Metric
        What predictions are scored with.
    learners : mapping of str to Learner, or None
        What configurations name; None for the installed ones.
    """

    members: tuple[Member, ...]
    y: tuple[NDArray[Any], ...]
    weight: tuple[NDArray[np.float64] | None, ...]
    metric: Metric
    learners: Learners | None = None


def make_cohort(task: Task, folds: Folds, metric: Metric, learners: Learners | None = None) -> Cohort:
    """Cut a task along its folds.

    Parameters
    ----------
    task : Task
        The search rows.
    folds : Folds
        Pairs of training and validation positions.
    metric : Metric
        What predictions are scored with.
    learners : mapping of str to Learner, optional
        What configurations name; the installed ones, if left out.
    """
    training = [index for index, _ in folds.pairs]
    validation = [index for _, index in folds.pairs]
    return Cohort(
        tuple(make_member(task, fit, task.rows.take(score)) for fit, score in zip(training, validation, strict=True)),
        tuple(task.y[index] for index in validation),
        tuple(None if task.weight is None else task.weight[index] for index in validation),
        metric,
        learners,
    )


def make_member(task: Task, index: NDArray[np.intp], validation: Rows | None) -> Member:
    """Return the member that trains on these rows of the task."""
    weight = None if task.weight is None else task.weight[index]
    return Member(task.problem, task.rows.take(index), task.y[index], weight, validation)


def cross_validate(
    config: Config,
    task: Task,
    folds: Folds,
    metric: Metric,
    *,
    seed: int,
    resources: Resources,
    report: Callable[[Progress], bool] | None = None,
    learners: Learners | None = None,
) -> Evaluation:
    """Evaluate a configuration.

    Parameters
    ----------
    config : Config
        The learner and its parameters.
    task : Task
        The search rows.
    folds : Folds
        Where they are cut.
    metric : Metric
        What counts.
    seed : int
        Seed of the models.
    resources : Resources
        Threads and device.
    report : callable, optional
        Called at every rung and after every fold; returning False prunes.
    learners : mapping of str to Learner, optional
        What configurations name; the installed ones, if left out.

    Returns
    -------
    Evaluation

    Raises
    ------
    PrunedError
        When `report` returned False.
    NotFiniteError
        When the score is not a finite number.
    """
    judging = judge(config, make_cohort(task, folds, metric, learners), seed=seed, resources=resources)
    go_on = None
    while True:
        try:
            progress = judging.send(go_on)
        except StopIteration as finished:
            evaluation: Evaluation = finished.value
            return evaluation
        go_on = report is None or report(progress)


def judge(
    config: Config, cohort: Cohort, *, seed: int, resources: Resources, deadline: float = float("inf")
) -> Generator[Progress, bool | None, Evaluation]:
    """Evaluate a configuration as a generator: yields at every rung, is sent whether to go on, returns an Evaluation.

    Parameters
    ----------
    config, seed, resources
        As for `cross_validate`.
    cohort : Cohort
        The folds, and the learners.
    deadline : float
        On the clock of `time.time`: a curve that is not over by then is cut at its best step so far.

    Raises
    ------
    PrunedError, NotFiniteError
        As for `cross_validate`.
    """
    learner, params = make_learner(config, cohort.learners)
    pace = learner.pace(params)
    steps = learner.train(cohort.members, params, seed=seed, resources=resources)
    if pace is None:
        return (yield from _judge_by_fold(steps, cohort))
    return (yield from _judge_by_curve(steps, cohort, pace, deadline))


def make_learner(config: Config, learners: Learners | None = None) -> tuple[Learner[Any], Any]:
    """Return the learner of a configuration and its parameters, checked; an installed one without `learners`."""
    if learners is None:
        learner = find_learner(config.learner)
    elif config.learner in learners:
        learner = learners[config.learner]
    else:
        raise unknown_name("learner", config.learner, learners)
    return learner, learner.Params(**config.arguments)


def fit(
    config: Config, member: Member, steps: int, *, seed: int, resources: Resources, learners: Learners | None = None
) -> Model:
    """Train one member for a number of steps.

    Parameters
    ----------
    config : Config
        The learner and its parameters; schedules keep the horizon that they name.
    member : Member
        All rows to learn from.
    steps : int
        Steps to take: what the mean curve chose.
    seed, resources, learners
        As for `cross_validate`.
    """
    learner, params = make_learner(config, learners)
    last: Step | None = None
    for step in learner.train([member], params, seed=seed, resources=resources):
        last = step
        if step.number >= steps:
            break
    if last is None:
        raise AutotuneError(f"learner {config.learner!r} made no step")
    return last.models()[0]


def _judge_by_fold(steps: Iterator[Step], cohort: Cohort) -> Generator[Progress, bool | None, Evaluation]:
    started = time.perf_counter()
    scores: list[float] = []
    for step in steps:
        (fold,) = step.advanced
        (predictions,) = step.predictions()
        scores.append(_score(cohort, fold, predictions))
        mean = sum(scores) / len(scores)
        if len(scores) < len(cohort.members):
            progress = Progress(len(scores), float(len(scores)), mean, by_fold=True)
            if (yield progress) is False:
                raise PrunedError(progress)
    return Evaluation(mean, tuple(scores), 1, 1.0, ((1, mean),), time.perf_counter() - started)


def _judge_by_curve(
    steps: Iterator[Step], cohort: Cohort, pace: Pace, deadline: float
) -> Generator[Progress, bool | None, Evaluation]:
    def scores(step: Step) -> list[float]:
        predictions = zip(step.advanced, step.predictions(), strict=True)
        return [_score(cohort, fold, predicted) for fold, predicted in predictions]

    points = ((step.number, partial(scores, step)) for step in steps)
    return follow(points, pace, maximize=cohort.metric.maximize, deadline=deadline)


def follow(
    points: Iterator[tuple[int, Callable[[], Sequence[float]]]], pace: Pace, *, maximize: bool, deadline: float
) -> Generator[Progress, bool | None, Evaluation]:
    """Go along a curve: yield at every rung, end at its best step.

    Parameters
    ----------
    points : iterator of (int, callable)
        Steps, and what gives the scores of the folds there; it is called before the next step, or never.
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
    curve = _Curve(maximize=maximize)
    rung, cut = 0, False
    for number, scores in points:
        if number % max(1, number // FINE_STEPS):
            continue
        curve.add(number, scores())
        worth = number * pace.worth
        while worth >= rung_worth(pace, rung):
            progress = Progress(rung, worth, curve.best_smoothed, first_rung=pace.first_rung)
            if (yield progress) is False:
                raise PrunedError(progress)
            rung += 1
        if number - curve.best_step >= pace.patience:
            break
        if time.time() > deadline:
            cut = True
            break
    best = curve.best
    return Evaluation(
        curve.means[best],
        tuple(curve.scores[best]),
        curve.best_step,
        curve.best_step * pace.worth,
        tuple(zip(curve.numbers, curve.means, strict=True)),
        time.perf_counter() - started,
        cut,
    )


def rung_worth(pace: Pace, rung: int) -> float:
    """Return the worth at which a rung stands: a fixed grid, two rungs of which lie before the first rung."""
    return pace.first_rung * float(RUNG_FACTOR) ** (rung - 2)


class _Curve:
    """Mean scores at steps, and the best of them after smoothing over three evaluations."""

    def __init__(self, *, maximize: bool) -> None:
        self._sign = 1.0 if maximize else -1.0
        self.numbers: list[int] = []
        self.scores: list[Sequence[float]] = []
        self.means: list[float] = []
        self._smoothed: list[float] = []

    def add(self, number: int, scores: Sequence[float]) -> None:
        self.numbers.append(number)
        self.scores.append(scores)
        self.means.append(sum(scores) / len(scores))
        for index in range(max(0, len(self.means) - 2), len(self.means)):
            window = self.means[max(0, index - 1) : index + 2]
            self._smoothed[index:] = [sum(window) / len(window)]

    @property
    def best(self) -> int:
        return max(range(len(self._smoothed)), key=lambda index: self._sign * self._smoothed[index])

    @property
    def best_step(self) -> int:
        return self.numbers[self.best]

    @property
    def best_smoothed(self) -> float:
        return self._smoothed[self.best]


def _score(cohort: Cohort, fold: int, predictions: Any) -> float:
    score = cohort.metric.score(cohort.y[fold], predictions, cohort.weight[fold])
    if not score - score == 0:
        raise NotFiniteError(f"{cohort.metric.name} is {score} on fold {fold}")
    return score
