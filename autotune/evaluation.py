"""Cross-validation with the folds side by side: after each step there is a mean score over them, a point of a curve."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from autotune.curve import Evaluation, NotFiniteError, Point, Progress, PrunedError, Timed, follow
from autotune.data.task import Excerpt, Task
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

MARGIN = 1.5
"""How often the time that training on all rows is foreseen to take is set aside: others use the machine too."""

Learners: TypeAlias = Mapping[str, Learner[Any]]
"""Learners by the names that configurations have for them; people's own models among them."""


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


@dataclass(frozen=True, slots=True)
class Limits:
    """What a deadline means for one evaluation; times are on the clock of `time.time`.

    Attributes
    ----------
    cut : float
        When a curve ends at its best step so far, at the latest.
    end : float
        When its configuration is to be trained on all rows, if it is the best one.
    share : float
        What that takes of the evaluation's own seconds.
    counts : bool
        Whether one that cannot be over by `end` is judged on the folds that are: nothing else has a score yet.
    """

    cut: float = float("inf")
    end: float = float("inf")
    share: float = 0.0
    counts: bool = False

    def cut_from(self, start: float) -> float:
        """Return when a curve that begins now ends, so that it leaves time for what it would need itself."""
        return min(self.cut, start + (self.end - start) / (1 + MARGIN * self.share))

    def late_from(self, start: float) -> float:
        """Return from when on there is no time to train on all rows: the models of the folds are kept."""
        return start + (self.end - start) / (1 + self.share)


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model that has learned from all rows.

    Attributes
    ----------
    model : Model
        The model.
    step : int
        Steps that it was trained for.
    cut : bool
        True when a deadline ended its training before its time.
    """

    model: Model
    step: int
    cut: bool = False


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
    validation = [index for _, index in folds.pairs]
    return Cohort(
        tuple(make_member(task, *pair) for pair in folds.pairs),
        tuple(task.y[index] for index in validation),
        tuple(None if task.weight is None else task.weight[index] for index in validation),
        metric,
        learners,
    )


def make_member(task: Task, training: NDArray[np.intp], validation: NDArray[np.intp] | None) -> Member:
    """Return the member that trains on these rows of the task, and is asked for those."""
    rows, weight = Excerpt(task.rows, training), None if task.weight is None else task.weight[training]
    return Member(
        task.problem, rows, task.y[training], weight, None if validation is None else Excerpt(task.rows, validation)
    )


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
    config: Config, cohort: Cohort, *, seed: int, resources: Resources, limits: Limits = UNLIMITED
) -> Generator[Progress, bool | None, Evaluation]:
    """Evaluate a configuration as a generator: yields at every rung, is sent whether to go on, returns an Evaluation.

    Parameters
    ----------
    config, seed, resources
        As for `cross_validate`.
    cohort : Cohort
        The folds, and the learners.
    limits : Limits
        When it is cut, and when the models of the folds are kept.

    Raises
    ------
    PrunedError, NotFiniteError
        As for `cross_validate`.
    """
    learner, params = make_learner(config, cohort.learners)
    pace = learner.pace(params)
    steps = learner.train(cohort.members, params, seed=seed, resources=resources)
    if pace is None:
        return (yield from _judge_by_fold(steps, cohort, limits))
    return (yield from _judge_by_curve(steps, cohort, pace, limits))


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
    config: Config,
    member: Member,
    steps: int,
    *,
    seed: int,
    resources: Resources,
    learners: Learners | None = None,
    deadline: float = float("inf"),
) -> Fitted:
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
    deadline : float
        On the clock of `time.time`: the step that is not over by then is the last one.
    """
    learner, params = make_learner(config, learners)
    last, cut = None, False
    for step in learner.train([member], params, seed=seed, resources=resources):
        last = step
        cut = step.number < steps and time.time() > deadline
        if step.number >= steps or cut:
            break
    if last is None:
        raise AutotuneError(f"learner {config.learner!r} made no step")
    return Fitted(last.models()[0], last.number, cut)


def _judge_by_fold(
    steps: Iterator[Step], cohort: Cohort, limits: Limits
) -> Generator[Progress, bool | None, Evaluation]:
    started, training, n_folds = time.perf_counter(), Timed(steps), len(cohort.members)
    late = limits.late_from(time.time())
    scores: list[float] = []
    kept: list[NDArray[np.float32]] = []
    models: list[Model] = []
    for step in training:
        (fold,) = step.advanced
        (predictions,) = step.predictions()
        scores.append(_score(cohort, fold, predictions))
        kept.append(predictions.astype("float32"))
        mean = sum(scores) / len(scores)
        a_fold = (time.perf_counter() - started) / len(scores)
        if time.time() + (n_folds - len(scores)) * a_fold > late:
            models.extend(step.models())
        if len(scores) < n_folds:
            if limits.counts and time.time() + a_fold > limits.end:
                break
            progress = Progress(len(scores), float(len(scores)), mean, by_fold=True)
            if (yield progress) is False:
                raise PrunedError(progress)
    seconds, cut, n_done = time.perf_counter() - started, len(scores) < n_folds, len(scores)
    return Evaluation(
        mean,
        tuple(scores),
        1,
        1.0,
        ((1, mean),),
        seconds,
        cut,
        None if cut else tuple(kept),
        training.seconds / n_done,
        (seconds - training.seconds) / n_done,
        tuple(models) or None,
    )


def _judge_by_curve(
    steps: Iterator[Step], cohort: Cohort, pace: Pace, limits: Limits
) -> Generator[Progress, bool | None, Evaluation]:
    last: Step | None = None

    def points() -> Iterator[tuple[int, Callable[[], Point]]]:
        nonlocal last
        for last in steps:
            yield last.number, partial(point, last)

    def point(step: Step) -> Point:
        predictions = step.predictions()
        scores = [_score(cohort, fold, each) for fold, each in zip(step.advanced, predictions, strict=True)]
        return scores, tuple(each.astype("float32") for each in predictions)

    began = time.time()
    evaluation = yield from follow(points(), pace, maximize=cohort.metric.maximize, deadline=limits.cut_from(began))
    if time.time() > limits.late_from(began) and last is not None:
        return replace(evaluation, models=tuple(last.models()))
    return evaluation


def _score(cohort: Cohort, fold: int, predictions: Any) -> float:
    score = cohort.metric.score(cohort.y[fold], predictions, cohort.weight[fold])
    if not score - score == 0:
        raise NotFiniteError(f"{cohort.metric.name} is {score} on fold {fold}")
    return score
