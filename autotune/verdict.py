"""The one look at the test rows: scores with bootstrap intervals, beside each other on the same resamples.

The interval is the percentile bootstrap of Efron (1979), 95 %: rows are drawn with replacement; with groups whole
groups are drawn, and in time whole blocks of neighbouring rows, since rows that depend on each other would make the
interval too narrow (Künsch 1989).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
FEWEST_RESAMPLES = 200
ROWS_IN_ALL = 10_000_000
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
    """

    scores: Mapping[str, Score]
    gains: Mapping[str, Score]


def judge_on_test_rows(metric: Metric, test: Task, predictions: Mapping[str, Predictions], *, seed: int) -> Verdict:
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

    Returns
    -------
    Verdict
    """

    def score(model: str, index: NDArray[np.intp] | None = None) -> float:
        if index is None:
            return metric.score(test.y, predictions[model], test.weight)
        weight = None if test.weight is None else test.weight[index]
        return metric.score(test.y[index], predictions[model][index], weight)

    draw = _resampler(test)
    generator = np.random.default_rng(seed)
    n_resamples = max(FEWEST_RESAMPLES, min(MOST_RESAMPLES, ROWS_IN_ALL // max(1, len(test))))
    resampled: dict[str, list[float]] = {model: [] for model in predictions}
    for _ in range(n_resamples):
        index = draw(generator)
        for model in predictions:
            resampled[model].append(score(model, index))
    values = {model: score(model) for model in predictions}
    samples = {model: np.array(drawn) for model, drawn in resampled.items()}
    first, *others = predictions
    sign = 1.0 if metric.maximize else -1.0
    return Verdict(
        {model: _interval(values[model], samples[model]) for model in predictions},
        {
            other: _interval(sign * (values[first] - values[other]), sign * (samples[first] - samples[other]))
            for other in others
        },
    )


def _interval(value: float, samples: NDArray[np.float64]) -> Score:
    defined = samples[np.isfinite(samples)]
    if len(defined) < len(samples) / 2:
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
