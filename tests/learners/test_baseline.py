from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autotune.data.task import Problem, Rows, Schema
from autotune.learners.baseline import Baseline, BaselineParams
from autotune.learners.protocol import Member, Resources

ROWS = Rows(np.zeros((2, 0)), np.zeros((2, 0), dtype=np.int32))


def prediction(problem: Problem, y: list[float], weight: list[float] | None = None) -> Any:
    rows = Rows(np.zeros((len(y), 0)), np.zeros((len(y), 0), dtype=np.int32))
    answers = np.array(y, dtype=np.int64 if problem.is_classification else np.float64)
    member = Member(problem, rows, answers, None if weight is None else np.array(weight), ROWS)
    (step,) = Baseline().train([member], BaselineParams(), seed=0, resources=Resources())
    return step.predictions()[0]


def test_class_shares_with_a_class_that_training_rows_lack() -> None:
    assert prediction(Problem("multiclass", 3, Schema(())), [0, 0, 0, 2]).tolist() == [[0.75, 0.0, 0.25]] * 2


def test_weights_act_on_class_shares() -> None:
    assert prediction(Problem("binary", 2, Schema(())), [0, 1], [1.0, 3.0]).tolist() == [[0.25, 0.75]] * 2


@pytest.mark.parametrize(
    ("loss", "quantile", "weight", "value"),
    [
        ("squared", 0.5, None, 22.0),
        ("squared", 0.5, [1.0, 0.0, 0.0, 0.0, 1.0], 50.5),
        ("absolute", 0.5, None, 3.0),
        ("absolute", 0.5, [9.0, 1.0, 1.0, 1.0, 1.0], 1.0),
        ("quantile", 0.9, None, 100.0),
        ("quantile", 0.2, None, 1.0),
    ],
)
def test_what_is_best_depends_on_the_loss(loss: Any, quantile: float, weight: Any, value: float) -> None:
    problem = Problem("regression", 0, Schema(()), loss, quantile)
    assert prediction(problem, [100.0, 2.0, 3.0, 4.0, 1.0][::-1], weight).tolist() == [value, value]
