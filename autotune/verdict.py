"""The one look at the test rows: scores with bootstrap intervals, beside each other on the same resamples.

The interval is the percentile bootstrap of Efron (1979), 95 %: rows are drawn with replacement; with groups whole
groups are drawn, and in time whole blocks of neighbouring rows, since rows that depend on each other would make the
interval too narrow (Künsch 1989).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autotune.data.task import Task
    from autotune.learners.protocol import Predictions
    from autotune.metrics import Metric

CONFIDENCE = 0.95
MOST_RESAMPLES = 1000
FEWEST_RESAMPLES = 50
RESAMPLING_SECONDS = 10.0
"""No more resamples are drawn after this long, or after the deadline, than the fewest."""
OVERTIME_SECONDS = 0.5
"""What the fewest may take where the deadline is over: there is no interval where it is not enough."""
ROWS_IN_ALL = 5_000_000
"""Rows drawn over all resamples: above this, fewer resamples are drawn."""


@dataclass(frozen=True, slots=True)
class Score:
    """A score with its interval.

    Attributes
    ----------
    value : float
        The score.
    low, high : float
        The ends of the 95 % bootstrap interval; NaN when the score is undefined on most resamples.
    """

    value: float
    low: float
    high: float

    def magnitude(self) -> Score:
        """Return a negative score with its sign, and its interval, turned around; any other as it is."""
        return Score(-self.value, -self.high, -self.low) if self.value < 0 else self

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Scores on the test rows, and how much better each is than the first one's.

    Attributes
    ----------
    scores : mapping of str to Score
        By the names of the models.
    gains : mapping of str to Score
        For all models but the first: how much better the first one is, positive when better; paired on the resamples.
    warnings : tuple of str
        Why a score or an interval is undefined, and whether the first model may be no better than the baseline.
    """

    scores: Mapping[str, Score]
    gains: Mapping[str, Score]
    warnings: tuple[str, ...] = ()


def judge_on_test_rows(
    metric: Metric,
    test: Task,
    predictions: Mapping[str, Predictions],
    *,
    seed: int,
    deadline: float = math.inf,
) -> Verdict:
    """Score several models on the test rows.

    Parameters
    ----------
    metric : Metric
        What counts.
    test : Task
        The test rows.
    predictions : mapping of str to ndarray
        Of each model on these rows; the first is the model in question.
    seed : int
        Seed of the resamples.
    deadline : float
        On the clock of `time.time`; after it, only the fewest resamples are drawn, and none for long.

    Returns
    -------
    Verdict
    """

    def score(model: str, index: NDArray[np.intp] | None = None) -> float:
        rows = slice(None) if index is None else index
        weight = None if test.weight is None else test.weight[rows]
        try:
            return metric.score(test.y[rows], predictions[model][rows], weight)
        except (ValueError, TypeError, ArithmeticError, LookupError):  # a metric from outside, undefined on these rows
            return math.nan

    values = {model: score(model) for model in predictions}
    samples = _resample(test, list(predictions), score, np.random.default_rng(seed), deadline)
    first, *others = predictions
    sign = 1.0 if metric.maximize else -1.0
    gains = {
        other: _interval(sign * (values[first] - values[other]), sign * (samples[first] - samples[other]))
        for other in others
    }
    scores = {model: _interval(values[model], samples[model]) for model in predictions}
    warnings = (*_undefined(metric, test, values[first]), *_short(test, len(samples[first])), *_doubts(gains))
    return Verdict(scores, gains, warnings)


def _resample(
    test: Task,
    models: Sequence[str],
    score: Callable[[str, NDArray[np.intp]], float],
    generator: np.random.Generator,
    deadline: float,
) -> dict[str, NDArray[np.float64]]:
    """Return the scores of all models on the same resamples; none where there is nothing to draw from."""
    samples: dict[str, list[float]] = {model: [] for model in models}
    if _n_units(test) < 2:
        return {model: np.empty(0) for model in models}
    draw = _resampler(test)
    started = time.time()
    enough, latest = min(deadline, started + RESAMPLING_SECONDS), max(deadline, started) + OVERTIME_SECONDS
    for number in range(max(FEWEST_RESAMPLES, min(MOST_RESAMPLES, ROWS_IN_ALL // len(test)))):
        now = time.time()
        if now > latest or (number >= FEWEST_RESAMPLES and now > enough):
            break
        index = draw(generator)
        for model in models:
            samples[model].append(score(model, index))
    return {model: np.array(drawn) for model, drawn in samples.items()}


def _n_units(test: Task) -> int:
    return len(test) if test.groups is None else len(np.unique(test.groups))


def _short(test: Task, n_drawn: int) -> Iterator[str]:
    if n_drawn < FEWEST_RESAMPLES and _n_units(test) > 1:
        yield "no time was left to draw resamples: there is no interval"


def _doubts(gains: Mapping[str, Score]) -> Iterator[str]:
    gain = gains.get("baseline")
    is_baseline = gain is not None and gain.value == gain.low == gain.high == 0
    if gain is not None and gain.low <= 0 and not is_baseline:
        yield f"the test rows do not show that the model is better than the dummy baseline: gain {gain}"


def _undefined(metric: Metric, test: Task, value: float) -> Iterator[str]:
    if math.isnan(value):
        present = f", which hold only class {test.y[0]}" if len(np.unique(test.y)) == 1 else ""
        yield f"{metric.name} is undefined on the {len(test)} test rows{present}: there is no test score"
    if _n_units(test) < 2:
        what = "row" if test.groups is None else "group"
        yield f"the test rows are one {what}: there is no interval"


def _interval(value: float, samples: NDArray[np.float64]) -> Score:
    defined = samples[np.isfinite(samples)]
    if len(defined) < max(len(samples), FEWEST_RESAMPLES) / 2:
        return Score(value, math.nan, math.nan)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(defined, [tail, 100 - tail])
    return Score(value, float(low), float(high))


def _resampler(test: Task) -> Callable[[np.random.Generator], NDArray[Any]]:
    """Return what draws the positions of one resample."""
    n_rows = len(test)
    if test.groups is not None:
        order = np.argsort(test.groups, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(test.groups[order])) + 1)
        return lambda generator: np.concatenate(
            [members[group] for group in generator.integers(len(members), size=len(members))]
        )
    if test.time is not None:
        order = np.argsort(test.time, kind="stable")
        length = max(1, round(n_rows ** (1 / 3)))
        offsets = np.arange(length)
        n_blocks = math.ceil(n_rows / length)
        return lambda generator: order[
            (generator.integers(n_rows - length + 1, size=n_blocks)[:, None] + offsets).ravel()[:n_rows]
        ]
    return lambda generator: generator.integers(n_rows, size=n_rows)
