"""What follows the search, foreseen from the trials."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from autotune.data.tables import read_table
from autotune.evaluation import MARGIN
from autotune.forecast import FURTHER_SHARE, REPORT_SECONDS, Forecast, make_forecast, reserve
from autotune.plan import Plan, make_plan
from autotune.settings import make_settings
from autotune.spaces.space import Config
from autotune.study.records import TrialRecord

FORECAST = Forecast(n_folds=4, n_search=1000, n_test=200, n_fold=750, n_validation=250)


def trial(number: int, score: float, training: float, predicting: float = 0.0, learner: str = "linear") -> TrialRecord:
    record = TrialRecord(number, "complete", Config(learner, {}), score, (score,), 1, seconds=99.0)
    return replace(record, training=training, predicting=predicting)


def made_plan(**words: object) -> Plan:
    x = np.random.default_rng(0).normal(size=100)
    frame = pd.DataFrame({"x": x, "price": x})
    settings = make_settings("call", **{"space": "linear,knn", "random_state": 0, "timeout": 100, **words})
    return make_plan(settings, read_table(frame, None, target="price"), started=0.0)


def test_training_grows_with_the_rows_and_predicting_is_what_folds_took() -> None:
    record = trial(0, 1.0, training=3.0, predicting=5.0)
    assert FORECAST.training(record) == 4.0
    assert FORECAST.predicting(record) == 4.0
    assert FORECAST.whole([record, record]) == 16.0


def test_predictions_that_learners_keep_up_are_not_taken_for_free() -> None:
    record = trial(0, 1.0, training=7.5, predicting=0.0)
    assert FORECAST.measured(record) == 0.0
    assert FORECAST.predicting(record) == 2.0


def test_a_trial_of_which_only_the_seconds_are_known() -> None:
    assert FORECAST.training(TrialRecord(0, "complete", None, 1.0, seconds=12.0)) == 4.0


def test_the_forecast_of_a_plan_counts_its_rows() -> None:
    assert make_forecast(made_plan(test_size=20, cv=4)) == Forecast(4, 80, 20, 60.0, 20.0)


def test_time_is_set_aside_for_the_best_and_within_bounds_for_others() -> None:
    plan = made_plan(test_size=0, ensemble=2)
    forecast = make_forecast(plan)
    best, slow = trial(1, 0.1, training=0.8), trial(2, 0.2, training=800.0, learner="knn")
    assert reserve(plan, forecast, []) == REPORT_SECONDS
    alone = reserve(plan, forecast, [best])
    assert alone == REPORT_SECONDS + MARGIN * forecast.whole([best])
    assert reserve(plan, forecast, [slow, best]) == alone + FURTHER_SHARE * 100
    assert reserve(plan, forecast, [best, replace(slow, state="pruned")]) == alone


def test_a_second_refit_takes_its_time_too() -> None:
    record = trial(0, 0.1, training=0.8)
    once, twice = (made_plan(test_size=20, ensemble=1, refit=refit) for refit in ("search", "all"))
    first, second = (reserve(plan, make_forecast(plan), [record]) - REPORT_SECONDS for plan in (once, twice))
    assert second == 2 * first > 0
