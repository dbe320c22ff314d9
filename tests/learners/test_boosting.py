"""How boosters go along their curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import autotune
from autotune.learners.boosting import pace_of_booster
from autotune.spaces.params import Fixed, Float, Int
from autotune.spaces.space import Space

RATES = (0.02, 0.03, 0.025, 0.035, 0.04, 0.3)


def test_low_rates_are_compared_after_as_much_learning() -> None:
    slow, fast = (pace_of_booster(rate, 10_000) for rate in (0.01, 0.1))
    assert fast.worth == pytest.approx(10 * slow.worth) and fast.first_rung == slow.first_rung


def test_where_rounds_are_few_a_high_rate_is_not_stopped_for_slow_progress_a_unit_of_learning() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(600, 6)), columns=list("abcdef"))
    frame["y"] = frame["a"] * frame["b"] + frame["c"] + np.sin(3 * frame["d"]) + rng.normal(scale=0.3, size=600)
    parameters = {
        "learning_rate": Float(0.01, 0.5, default=RATES[0]),
        "num_leaves": Int(2, 64, default=24),
        "feature_fraction": Fixed(1.0),
        "max_rounds": Int(1, 40, fidelity=True),
    }
    starts = [{"learning_rate": rate} for rate in RATES[1:-1]] + [{"learning_rate": RATES[-1], "num_leaves": 4}]
    space = Space({"lightgbm": parameters}, starts=starts)
    report = autotune.tune(frame, target="y", space=space, n_trials=len(RATES), random_state=0, n_jobs=1)
    fast = report.records[-1]
    assert fast.state == "complete" and fast.score == report.best_score
