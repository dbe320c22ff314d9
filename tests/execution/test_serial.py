"""Trials one after the other in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from autotune.data.splits import make_folds
from autotune.data.task import Column, Problem, Rows, Schema, Task
from autotune.evaluation import cross_validate
from autotune.execution.events import Completed, Failed, Reached, Stopped, Ticket, describe
from autotune.execution.serial import Serial
from autotune.execution.work import OfObjective, OnFolds
from autotune.learners.protocol import Resources
from autotune.metrics import METRICS
from autotune.objective import Objective
from autotune.spaces.space import Config

LINEAR = Config("linear", {"C": 1.0})
FOREVER = float("inf")


def make_task() -> Task:
    draws = np.random.default_rng(0)
    numeric = draws.normal(size=(60, 2))
    problem = Problem("regression", 0, Schema((Column("a", "numeric"), Column("b", "numeric"))), "squared")
    return Task(Rows(numeric, np.empty((60, 0), dtype=np.int32)), numeric[:, 0] + draws.normal(size=60), problem)


FOLDS = make_folds(make_task().y, "regression", cv=3)


@pytest.fixture
def work() -> OnFolds:
    return OnFolds(make_task(), FOLDS, METRICS["rmse"], Resources())


def test_a_trial_reports_folds_and_ends_with_its_evaluation(work: OnFolds) -> None:
    serial = Serial(work)
    assert serial.capacity() == 1
    assert serial.events() == ()
    serial.submit(Ticket(7, LINEAR, 3))
    assert serial.capacity() == 0
    for fold in (1, 2):
        (event,) = serial.events()
        assert isinstance(event, Reached) and (event.number, event.progress.rung) == (7, fold)
        serial.reply(7, True)
    (event,) = serial.events()
    assert isinstance(event, Completed)
    again = cross_validate(LINEAR, make_task(), FOLDS, METRICS["rmse"], seed=3, resources=Resources())
    assert (event.evaluation.score, event.evaluation.fold_scores) == (again.score, again.fold_scores)
    assert serial.capacity() == 1


def test_a_trial_that_may_not_go_on_is_stopped_where_it_stands(work: OnFolds) -> None:
    serial = Serial(work)
    serial.submit(Ticket(0, LINEAR, 0))
    (reached,) = serial.events()
    serial.reply(0, False)
    (event,) = serial.events()
    assert isinstance(event, Stopped) and isinstance(reached, Reached)
    assert event.progress == reached.progress


def test_the_reply_to_one_trial_is_not_the_reply_to_the_next(work: OnFolds) -> None:
    serial = Serial(work)
    serial.submit(Ticket(0, LINEAR, 0))
    serial.events()
    serial.reply(0, False)
    serial.events()
    serial.submit(Ticket(1, LINEAR, 0))
    (event,) = serial.events()
    assert isinstance(event, Reached)


def test_a_trial_that_raises_has_failed_with_a_reason(work: OnFolds) -> None:
    serial = Serial(work)
    serial.submit(Ticket(0, Config("linear", {"C": -1.0}), 0))
    (event,) = serial.events()
    assert isinstance(event, Failed)
    assert event.reason.startswith("SettingsError: C=-1.0 is not a number from")
    assert serial.capacity() == 1


def leaving(error: BaseException) -> OfObjective:
    def objective(params: dict[str, float]) -> float:
        raise error

    return OfObjective(Objective(objective, maximize=False))


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit(), asyncio.CancelledError()], ids=lambda e: repr(e))
def test_a_trial_that_leaves_has_failed_and_the_search_goes_on(error: BaseException) -> None:
    serial = Serial(leaving(error))
    for number in (0, 1):
        serial.submit(Ticket(number, Config("objective", {"x": 2.0}), 0))
        (event,) = serial.events()
        assert isinstance(event, Failed) and event.reason.startswith(f"{type(error).__name__}: {error}")
        assert serial.capacity() == 1


def test_an_interrupt_goes_on() -> None:
    serial = Serial(leaving(KeyboardInterrupt()))
    serial.submit(Ticket(0, Config("objective", {"x": 2.0}), 0))
    with pytest.raises(KeyboardInterrupt):
        serial.events()


@pytest.mark.parametrize("end", ["kill", "close"])
def test_a_trial_can_be_forgotten(work: OnFolds, end: str) -> None:
    serial = Serial(work)
    serial.submit(Ticket(0, LINEAR, 0))
    serial.events()
    serial.kill(0) if end == "kill" else serial.close()
    assert serial.capacity() == 1
    assert serial.events() == ()


def test_an_error_is_described_in_one_line_with_its_place() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        described = describe(error)
    assert described.startswith("ValueError: two lines (test_serial.py:")
    assert len(describe(ValueError("x" * 1000))) < 350


def test_an_error_without_a_text_is_described_too() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise self

    assert describe(MuteError()) == "MuteError: its text cannot be had: MuteError"


def test_an_objective_runs_as_folds_do() -> None:
    def objective(params: dict[str, float]) -> Iterator[float]:
        yield from (params["x"] + 1 / step for step in range(1, 7))

    serial = Serial(OfObjective(Objective(objective, maximize=False)))
    serial.submit(Ticket(0, Config("objective", {"x": 2.0}), 0))
    seen = []
    while isinstance(event := serial.events()[0], Reached):
        seen.append(event.progress.worth)
        serial.reply(0, True)
    assert isinstance(event, Completed) and seen == [1.0, 2.0, 3.0, 6.0]
    assert event.evaluation.step == 6 and event.evaluation.score == pytest.approx(2 + 1 / 6)
