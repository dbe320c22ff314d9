"""The one look at the test rows: intervals that hold what they promise."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autotune.data.task import Problem, Rows, Schema, Task
from autotune.metrics import METRICS, Metric
from autotune.verdict import FEWEST_RESAMPLES, Score, judge_on_test_rows


def make_task(y: Any, **sides: Any) -> Task:
    kind: Any = "binary" if np.asarray(y).dtype.kind == "i" else "regression"
    rows = Rows(np.zeros((len(y), 1)), np.zeros((len(y), 0), dtype=np.int32))
    return Task(rows, np.asarray(y), Problem(kind, 2 if kind == "binary" else 0, Schema(())), **sides)


def width(score: Score) -> float:
    return score.high - score.low


def test_the_score_is_the_plain_one_and_lies_in_its_interval() -> None:
    draws = np.random.default_rng(0)
    y = draws.normal(size=200)
    predictions = y + draws.normal(size=200)
    verdict = judge_on_test_rows(METRICS["rmse"], make_task(y), {"tuned": predictions}, seed=1)
    score = verdict.scores["tuned"]
    assert score.value == pytest.approx(float(np.sqrt(np.mean((y - predictions) ** 2))))
    assert score.low < score.value < score.high
    assert verdict.gains == {}
    assert float(score) == score.value
    assert str(Score(0.51234, 0.4, 0.6)) == "0.5123 [0.4, 0.6]"


@pytest.mark.parametrize(("signal", "n_warnings"), [(0.0, 1), (1.0, 0)])
def test_a_model_that_may_be_no_better_than_the_baseline_is_said_to_be_so(signal: float, n_warnings: int) -> None:
    draws = np.random.default_rng(0)
    y = draws.normal(size=100)
    predictions = {"tuned": signal * y + 0.1 * draws.normal(size=100), "baseline": np.zeros(100)}
    warnings = judge_on_test_rows(METRICS["rmse"], make_task(y), predictions, seed=1).warnings
    assert len(warnings) == n_warnings
    assert all(
        "do not show that the model is better than the dummy baseline: gain -" in each or "gain 0." in each
        for each in warnings
    )


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0)
    covered = 0
    for attempt in range(60):
        y = draws.normal(size=100)
        predictions = y + draws.normal(size=100)  # the mean absolute error is √(2/π) in truth
        score = judge_on_test_rows(METRICS["mae"], make_task(y), {"tuned": predictions}, seed=attempt).scores["tuned"]
        covered += score.low <= math.sqrt(2 / math.pi) <= score.high
    assert 51 <= covered <= 60  # 57 expected


@pytest.mark.parametrize("metric", ["mae", "r2"])
def test_gains_are_paired_and_positive_when_the_first_is_better(metric: str) -> None:
    draws = np.random.default_rng(0)
    y = draws.normal(size=150)
    noise = draws.normal(size=150)
    predictions = {"tuned": y + noise, "default": y + 1.1 * noise, "baseline": np.zeros(150)}
    verdict = judge_on_test_rows(METRICS[metric], make_task(y), predictions, seed=1)
    assert list(verdict.scores) == ["tuned", "default", "baseline"]
    assert list(verdict.gains) == ["default", "baseline"]
    gain = verdict.gains["default"]
    difference = verdict.scores["tuned"].value - verdict.scores["default"].value
    assert gain.value == pytest.approx(abs(difference))
    assert gain.low > 0  # the same rows are drawn for both: that one is always better
    assert verdict.scores["tuned"].high > verdict.scores["default"].low  # though their own intervals overlap
    assert width(gain) < width(verdict.scores["tuned"]) / 3


def test_the_same_seed_draws_the_same_interval() -> None:
    draws = np.random.default_rng(0)
    y = draws.normal(size=80)
    first, second, other = (
        judge_on_test_rows(METRICS["mae"], make_task(y), {"tuned": np.zeros(80)}, seed=seed) for seed in (1, 1, 2)
    )
    assert first == second != other


def test_whole_groups_are_drawn() -> None:
    draws = np.random.default_rng(0)
    errors = np.repeat(draws.normal(size=20), 10)  # each row stands ten times: there are 20 rows in truth
    y = np.zeros(200)
    task = make_task(y)
    shuffled = draws.permutation(200)
    grouped = replace(task, groups=np.repeat(np.arange(20), 10)[shuffled])
    alone = judge_on_test_rows(METRICS["mae"], task, {"tuned": errors}, seed=1).scores["tuned"]
    together = judge_on_test_rows(METRICS["mae"], grouped, {"tuned": errors[shuffled]}, seed=1).scores["tuned"]
    assert together.value == pytest.approx(alone.value)
    assert 2 < width(together) / width(alone) < 4.5  # √10 in expectation


def test_blocks_in_time_are_drawn() -> None:
    draws = np.random.default_rng(0)
    errors = np.repeat(draws.normal(size=100), 10)
    shuffled = draws.permutation(1000)
    task = make_task(np.zeros(1000))
    in_time = replace(task, time=np.arange(1000.0)[shuffled])
    alone = judge_on_test_rows(METRICS["mae"], task, {"tuned": errors}, seed=1).scores["tuned"]
    blocks = judge_on_test_rows(METRICS["mae"], in_time, {"tuned": errors[shuffled]}, seed=1).scores["tuned"]
    assert width(blocks) > 1.6 * width(alone)


def test_weights_count() -> None:
    y, weight = np.array([0.0, 0.0] * 20), np.array([1.0, 3.0] * 20)
    verdict = judge_on_test_rows(
        METRICS["mae"], make_task(y, weight=weight), {"tuned": np.tile([0.0, 1.0], 20)}, seed=1
    )
    assert verdict.scores["tuned"].value == 0.75
    assert verdict.scores["tuned"].low > 0.5


def test_an_interval_that_is_undefined_is_no_number() -> None:
    y = np.array([0, 0, 0, 0, 1])
    shares = np.column_stack([1 - y, y]).astype(float)
    score = judge_on_test_rows(METRICS["roc_auc"], make_task(y), {"tuned": shares}, seed=1).scores["tuned"]
    assert score == Score(1.0, 1.0, 1.0)  # a third of the resamples have one class and are left out
    always = Metric("never", frozenset({"binary"}), "probabilities", True, lambda y, p, w: float("nan"))
    score = judge_on_test_rows(always, make_task(y), {"tuned": shares}, seed=1).scores["tuned"]
    assert math.isnan(score.low) and math.isnan(score.high)


def test_one_group_gives_no_interval_but_a_warning() -> None:
    task = make_task(np.arange(20.0), groups=np.zeros(20, dtype=np.int64))
    verdict = judge_on_test_rows(METRICS["rmse"], task, {"tuned": np.zeros(20), "baseline": np.ones(20)}, seed=0)
    assert math.isfinite(verdict.scores["tuned"].value)
    assert math.isnan(verdict.scores["tuned"].low) and math.isnan(verdict.gains["baseline"].high)
    assert verdict.warnings == ("the test rows are one group: there is no interval",)


def test_an_undefined_score_is_said() -> None:
    task = make_task(np.zeros(10, dtype=np.int64))
    verdict = judge_on_test_rows(METRICS["roc_auc"], task, {"tuned": np.full((10, 2), 0.5)}, seed=0)
    assert math.isnan(verdict.scores["tuned"].value)
    expected = "roc_auc is undefined on the 10 test rows, which hold only class 0: there is no test score"
    assert verdict.warnings == (expected,)


def test_a_metric_that_raises_on_some_resamples_loses_nothing() -> None:
    def touchy(y: Any, predictions: Any, weight: Any) -> float:
        if len(np.unique(y)) < 3:
            raise ValueError("three values are needed")
        return float(np.abs(y - predictions).mean())

    metric = Metric("touchy", frozenset({"regression"}), "values", False, touchy)
    verdict = judge_on_test_rows(metric, make_task([1.0, 2.0, 3.0, 3.0]), {"tuned": np.zeros(4)}, seed=0)
    assert verdict.scores["tuned"].value == 2.25
    assert verdict.warnings == ()


def test_after_the_deadline_only_the_fewest_resamples_are_drawn() -> None:
    calls = []

    def counted(y: Any, predictions: Any, weight: Any) -> float:
        calls.append(1)
        return 0.0

    metric = Metric("counted", frozenset({"regression"}), "values", False, counted)
    judge_on_test_rows(metric, make_task(np.arange(9.0)), {"tuned": np.zeros(9)}, seed=0, deadline=0.0)
    assert len(calls) == FEWEST_RESAMPLES + 1


def test_a_slow_metric_has_no_interval_once_the_deadline_is_over() -> None:
    def slow(y: Any, predictions: Any, weight: Any) -> float:
        time.sleep(0.2)
        return 0.0

    metric = Metric("slow", frozenset({"regression"}), "values", False, slow)
    verdict = judge_on_test_rows(metric, make_task(np.arange(9.0)), {"tuned": np.zeros(9)}, seed=0, deadline=0.0)
    assert verdict.scores["tuned"].value == 0.0 and math.isnan(verdict.scores["tuned"].low)
    assert verdict.warnings == ("no time was left to draw resamples: there is no interval",)
