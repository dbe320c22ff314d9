"""Somebody's function, judged as a generator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from autotune.curve import Evaluation, NotFiniteError, Progress, PrunedError
from autotune.errors import SettingsError
from autotune.objective import Objective, judge_objective
from autotune.spaces.space import Config

CONFIG = Config("objective", {"x": 2.0, "_only_computed_with": 1})


def judged(function: Any, *, stop_at: int | None = None, **options: Any) -> tuple[list[Progress], Evaluation]:
    judging = judge_objective(Objective(function, maximize=False), CONFIG, seed=5, **options)
    seen: list[Progress] = []
    go_on = None
    while True:
        try:
            seen.append(judging.send(go_on))
        except StopIteration as over:
            return seen, over.value
        go_on = seen[-1].rung != stop_at


def test_a_score_is_the_evaluation() -> None:
    seen, evaluation = judged(lambda params: params["x"] ** 2)
    assert seen == [] and (evaluation.score, evaluation.fold_scores, evaluation.step) == (4.0, (4.0,), 1)


def test_only_arguments_are_handed_over_and_seed_and_learner_where_they_are_taken() -> None:
    def function(params: dict[str, float], seed: int, learner: str) -> float:
        assert params == {"x": 2.0} and learner == "objective"
        return seed

    assert judged(function)[1].score == 5.0


def test_the_best_step_of_a_curve_counts() -> None:
    def function(params: dict[str, float]) -> Iterator[float]:
        yield from (abs(step - 7) + params["x"] for step in range(1, 13))

    seen, evaluation = judged(function)
    assert [(each.rung, each.worth) for each in seen] == [(0, 1.0), (1, 2.0), (2, 3.0), (3, 6.0), (4, 12.0)]
    assert (evaluation.score, evaluation.step, len(evaluation.curve)) == (2.0, 7, 12)


def test_a_false_prunes_and_the_function_is_closed() -> None:
    closed = []

    def function(params: dict[str, float]) -> Iterator[float]:
        try:
            while True:
                yield 1.0
        finally:
            closed.append(True)

    with pytest.raises(PrunedError) as pruned:
        judged(function, stop_at=2)
    assert pruned.value.progress.worth == 3.0
    del pruned
    assert closed == [True]


def test_a_deadline_cuts_a_curve_at_its_best_step() -> None:
    def function(params: dict[str, float]) -> Iterator[float]:
        for step in range(1, 10_000):
            time.sleep(0.01)
            yield 1 / step

    _, evaluation = judged(function, deadline=time.time() + 0.2)
    assert evaluation.cut and evaluation.step < 1000


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda params: float("nan"), "gave nan"),
        (lambda params: "good", "gave 'good', no number"),
        (lambda params: None, "gave None, no number"),
        (lambda params: iter(()), "no number"),
        (lambda params: (step for step in ()), "without yielding"),
        (lambda params: (step for step in (1.0, float("inf"))), "gave inf"),
    ],
)
def test_what_is_no_finite_score_fails(function: Any, said: str) -> None:
    with pytest.raises(NotFiniteError, match=said):
        judged(function)


def test_an_objective_is_a_function() -> None:
    with pytest.raises(SettingsError, match="cannot be called"):
        Objective(3, maximize=True)  # type: ignore[arg-type]
