"""What ships when there is no time for what should: learners that are slow on purpose, against deadlines.

A sleep is many times as long as the timeout where it must not be waited for; no time is asserted tightly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import autotune
from autotune import Choice, Report
from autotune.data.task import Rows
from autotune.learners.function import Fold
from autotune.predictor import FIRST_ROWS, MeanOfModels, predict_until

FOR_EVER = 600.0


def made_table(n_rows: int = 120) -> pd.DataFrame:
    x = np.random.default_rng(0).normal(size=n_rows)
    return pd.DataFrame({"x": x, "price": 2 * x})


def tuned(model: Any, timeout: float, **words: Any) -> Report:
    """Tune within a timeout; what would not be interrupted would take minutes."""
    started = time.monotonic()
    words = {"n_trials": 1, "cv": 3, "random_state": 0, "progress": False, **words}
    report = autotune.tune(made_table(), target="price", model=model, timeout=timeout, **words)
    assert time.monotonic() - started < FOR_EVER / 4
    assert len(report.predict(made_table())) == 120
    return report


def is_refit(fold: Fold) -> bool:
    return fold.X_validation is None


def test_a_trial_that_hangs_leaves_the_baseline() -> None:
    @autotune.learner(tasks=["regression"])
    def hangs(fold: Fold, params: dict[str, Any]) -> Any:
        time.sleep(FOR_EVER)

    report = tuned(hangs, timeout=6)
    assert report.best_params == {"learner": "baseline"}
    assert report.warnings[0] == "the deadline came before any trial was over: the model is the dummy baseline"
    assert report.test_score is not None


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_refit_that_hangs_is_killed_and_the_next_best_trial_is_the_model(n_jobs: int) -> None:
    @autotune.learner(tasks=["regression"], space={"good": Choice([False, True])})
    def hangs(fold: Fold, params: dict[str, Any]) -> Any:
        if params["good"] and is_refit(fold):
            time.sleep(FOR_EVER)
        slope = 2.0 if params["good"] else 1.0
        return lambda X: slope * np.asarray(X)[:, 0]

    report = tuned(hangs, timeout=40, n_trials=2, n_jobs=n_jobs)
    assert report.best_params["good"] is False
    best = min(report.records, key=lambda record: record.score or 0.0)
    (other,) = report.weights
    assert best.number != other
    assert f"trial {best.number}, the best one" in report.warnings[0]
    assert f"the model is that of trial {other}" in report.warnings[0]


def test_a_refit_that_hangs_leaves_the_baseline_where_there_is_nothing_else() -> None:
    @autotune.learner(tasks=["regression"])
    def hangs(fold: Fold, params: dict[str, Any]) -> Any:
        if is_refit(fold):
            time.sleep(FOR_EVER)
        return lambda X: 2 * np.asarray(X)[:, 0]

    report = tuned(hangs, timeout=8)
    assert report.best_params == {"learner": "baseline"}
    assert report.warnings[0] == "no time was left to train a trial on all rows: the model is the dummy baseline"
    assert report.best_score > 0 and report.records[0].state == "complete"


def test_without_time_for_the_refit_the_models_of_the_folds_are_the_model() -> None:
    @autotune.learner(tasks=["regression"])
    def slow(fold: Fold, params: dict[str, Any]) -> Any:
        time.sleep(4 if not is_refit(fold) else FOR_EVER)
        return lambda X: 2 * np.asarray(X)[:, 0]

    report = tuned(slow, timeout=18)
    (record,) = report.records
    assert record.state == "complete"
    assert isinstance(report.model.model, MeanOfModels) and len(report.model.model.models) in (1, 2, 3)
    assert (
        "no time was left to train trial 0 on all rows: the model is what the folds of its cross-validation trained"
        in report.warnings[0]
    )
    np.testing.assert_allclose(report.predict(made_table()), made_table()["price"])


def test_folds_that_are_done_count_where_nothing_else_has_a_score() -> None:
    @autotune.learner(tasks=["regression"])
    def slower_and_slower(fold: Fold, params: dict[str, Any]) -> Any:
        time.sleep(4)
        return lambda X: 2 * np.asarray(X)[:, 0]

    report = tuned(slower_and_slower, timeout=15, cv=10)
    (record,) = report.records
    assert record.state == "complete" and record.cut and 1 <= len(record.fold_scores) < 10
    assert isinstance(report.model.model, MeanOfModels)


def test_a_curve_is_cut_in_time_for_its_own_refit() -> None:
    @autotune.learner(tasks=["regression"])
    def steps(fold: Fold, params: dict[str, Any]) -> Iterator[Any]:
        for step in range(1, 10_000):
            time.sleep(0.1)
            yield lambda X, step=step: (2 - 1 / step) * np.asarray(X)[:, 0]

    report = tuned(steps, timeout=20)
    (record,) = report.records
    assert record.cut and record.step is not None and record.step > 1
    assert not any("steps" in warning or "folds" in warning for warning in report.warnings)
    np.testing.assert_allclose(report.predict(made_table()), made_table()["price"] * (1 - 0.5 / record.step))


def test_a_refit_slower_than_foreseen_ends_between_two_steps() -> None:
    @autotune.learner(tasks=["regression"])
    def steps(fold: Fold, params: dict[str, Any]) -> Iterator[Any]:
        for step in range(1, 101):
            time.sleep(2 if is_refit(fold) else 0.0)
            yield lambda X, step=step: (2 - 1 / step) * np.asarray(X)[:, 0]

    report = tuned(steps, timeout=15)
    assert any("trial 0 was trained on all rows for" in warning for warning in report.warnings)
    assert report.best_params["learner"] == "steps"


def test_what_predicts_slowly_has_no_test_score_rather_than_a_late_one() -> None:
    class Slow:
        def predict(self, X: Any) -> Any:
            time.sleep(4)
            return 2 * np.asarray(X)[:, 0]

    @autotune.learner(tasks=["regression"])
    def slow(fold: Fold, params: dict[str, Any]) -> Any:
        return Slow()

    report = tuned(slow, timeout=16)
    assert report.best_params["learner"] == "slow"
    assert report.test_score is None
    assert "no time was left to predict the test rows: there is no test score" in report.warnings
    assert "test              none: no time was left" in str(report)


def test_a_model_that_cannot_be_sent_to_a_process_is_tuned_here_and_the_report_says_so() -> None:
    lock = threading.Lock()

    @autotune.learner(tasks=["regression"])
    def locked(fold: Fold, params: dict[str, Any]) -> Any:
        with lock:
            return lambda X: 2 * np.asarray(X)[:, 0]

    report = tuned(locked, timeout=60)
    assert report.best_params["learner"] == "locked" and report.test_score is not None
    assert "cannot be interrupted" in report.warnings[0]


def test_a_model_that_cannot_be_sent_from_a_process_is_trained_here() -> None:
    @autotune.learner(tasks=["regression"])
    def locked(fold: Fold, params: dict[str, Any]) -> Any:
        lock = threading.Lock()

        def predict(X: Any) -> Any:
            with lock:
                return 2 * np.asarray(X)[:, 0]

        return predict

    report = tuned(locked, timeout=60)
    assert report.best_params["learner"] == "locked" and report.test_score is not None
    assert "cannot be interrupted" in report.warnings[0]


def test_no_time_for_the_fit_on_all_rows_leaves_the_model_of_the_search_rows() -> None:
    @autotune.learner(tasks=["regression"])
    def hangs(fold: Fold, params: dict[str, Any]) -> Any:
        if is_refit(fold) and len(fold.y) == 120:
            time.sleep(FOR_EVER)
        return lambda X: 2 * np.asarray(X)[:, 0]

    report = tuned(hangs, timeout=12, refit="all")
    assert report.test_score is not None
    assert "no time was left for the fit on all rows: the model has learned from the search rows" in report.warnings


class Counting:
    """A model that counts its calls."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.sizes: list[int] = []
        self.seconds = seconds

    def predict(self, rows: Rows) -> Any:
        self.sizes.append(len(rows))
        time.sleep(self.seconds)
        return rows.numeric[:, 0]


def test_predictions_stop_between_two_parts_of_the_rows() -> None:
    rows = Rows(np.arange(5.0 * FIRST_ROWS)[:, np.newaxis], np.empty((5 * FIRST_ROWS, 0), dtype=np.int32))
    quick, slow, free = Counting(), Counting(1.0), Counting()
    np.testing.assert_array_equal(predict_until(quick, rows, time.time() + 60), rows.numeric[:, 0])
    assert quick.sizes[0] == FIRST_ROWS and sum(quick.sizes) == len(rows)
    assert predict_until(slow, rows, time.time() + 0.5) is None and len(slow.sizes) == 1
    predict_until(free, rows, float("inf"))
    assert free.sizes == [len(rows)]
