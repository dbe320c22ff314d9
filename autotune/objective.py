"""An objective of somebody's own: a function of a configuration that returns a score, or yields one a step."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from autotune.curve import Evaluation, NotFiniteError, Progress, follow
from autotune.errors import SettingsError
from autotune.learners.protocol import Pace
from autotune.spaces.space import Config

FIRST_RUNG = 3.0
"""Steps before the earliest comparison with other trials."""

NO_PATIENCE = 2**62
"""An objective ends when it ends: only the pruner stops it early."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A function to optimize.

    Parameters
    ----------
    function : callable
        ``function(params)``, where params is a dict of the configuration's values. It returns a score, or is a
        generator that yields one after each step; the best step counts. It may take ``seed`` and ``learner`` too.
    maximize : bool
        Whether larger scores are better.

    Examples
    --------
    >>> objective = Objective(lambda params: (params["x"] - 2) ** 2, maximize=False)
    >>> objective.scores(Config("model", {"x": 3}), seed=0)
    1
    """

    function: Callable[..., Any]
    maximize: bool

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise SettingsError(f"objective={self.function!r} cannot be called", "objective", "a function of params")

    def scores(self, config: Config, *, seed: int) -> Any:
        """Call the function."""
        known = _parameters(self.function)
        extras = {"seed": seed, "learner": config.learner}
        return self.function(config.arguments, **{name: value for name, value in extras.items() if name in known})


def judge_objective(
    objective: Objective, config: Config, *, seed: int, deadline: float = float("inf")
) -> Generator[Progress, bool | None, Evaluation]:
    """Evaluate a configuration as a generator, as `autotune.evaluation.judge` does.

    Parameters
    ----------
    objective : Objective
        What is optimized.
    config : Config
        The configuration.
    seed : int
        Given to a function that takes it.
    deadline : float
        On the clock of `time.time`: a function that yields is cut at its best step so far.

    Raises
    ------
    PrunedError
        When a `False` is sent.
    NotFiniteError
        When a score is no finite number.
    """
    started = time.perf_counter()
    result = objective.scores(config, seed=seed)
    if inspect.isgenerator(result):
        points = (
            (number, lambda score=score: ([_finite(score)], None)) for number, score in enumerate(result, start=1)
        )
        pace = Pace(worth=1.0, first_rung=FIRST_RUNG, patience=NO_PATIENCE)
        return (yield from follow(_with_a_step(points), pace, maximize=objective.maximize, deadline=deadline))
    score = _finite(result)
    return Evaluation(score, (score,), 1, 1.0, ((1, score),), time.perf_counter() - started)


def _with_a_step(points: Iterator[Any]) -> Iterator[Any]:
    empty = True
    for point in points:
        empty = False
        yield point
    if empty:
        raise NotFiniteError("the objective ended without yielding a score")


def _finite(score: Any) -> float:
    try:
        value = float(score)
    except (TypeError, ValueError):
        raise NotFiniteError(f"the objective gave {score!r}, no number") from None
    if value - value != 0:
        raise NotFiniteError(f"the objective gave {value}")
    return value


def _parameters(function: Callable[..., Any]) -> set[str]:
    """Return the names of a function's parameters beside the first."""
    try:
        return set(list(inspect.signature(function).parameters)[1:])
    except (TypeError, ValueError):
        return set()
