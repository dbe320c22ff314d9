"""The search: attempts, budgets and deadlines, with an executor that does what the test says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
import pytest

import autotune
from autotune.curve import Evaluation, Progress
from autotune.evaluation import Fitted
from autotune.execution.coordinator import Budget, Search, train
from autotune.execution.events import Completed, Event, Failed, Lost, Order, Reached, Refit, Stopped, Ticket
from autotune.learners.protocol import Resources
from autotune.spaces.params import Float
from autotune.spaces.space import Config, Space
from autotune.study.opening import open_study
from autotune.study.records import TrialRecord
from autotune.study.rows import OWNER
from autotune.study.strategies import PRUNERS, find_sampler
from autotune.study.study import TuningStudy

FOREVER = float("inf")


def make_study(storage: optuna.storages.BaseStorage | None = None) -> TuningStudy:
    study = open_study(
        storage or optuna.storages.InMemoryStorage(),
        "study",
        space=Space({"linear": {"C": Float(0.1, 10.0)}}),
        sampler=find_sampler("random"),
        pruner=PRUNERS["halving"],
        maximize=True,
        identity={},
        seed=0,
        versions={},
    )
    study.set_baseline(0.5)
    return study


def evaluation(score: float = 0.8, seconds: float = 0.0) -> Evaluation:
    return Evaluation(score, (score, score), 1, 1.0, ((1, score),), seconds)


@dataclass
class Scripted:
    """An executor whose trials do what `script` says, event by event."""

    script: Callable[[Any], Sequence[Event]]
    slots: int = 1
    submitted: list[Any] = field(default_factory=list)
    replies: list[tuple[int, bool]] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    waiting: list[Event] = field(default_factory=list)
    busy: set[int] = field(default_factory=set)
    most_at_once: int = 0

    startup: float = 0.0

    def capacity(self) -> int:
        return self.slots - len(self.busy)

    def submit(self, ticket: Order) -> None:
        self.submitted.append(ticket)
        self.busy.add(ticket.number)
        self.most_at_once = max(self.most_at_once, len(self.busy))
        self.waiting.extend(self.script(ticket))

    def events(self, timeout: float | None = None) -> Sequence[Event]:
        if not self.waiting:
            assert timeout is not None, "the search would wait for ever"
            time.sleep(timeout)
            return ()
        event = self.waiting.pop(0)
        if not isinstance(event, Reached):
            self.busy.discard(event.number)
        return (event,)

    def reply(self, number: int, go_on: bool) -> None:
        self.replies.append((number, go_on))

    def kill(self, number: int) -> None:
        self.killed.append(number)
        self.waiting.append(Lost(number, "killed"))

    def close(self) -> None:
        pass


def search(
    study: TuningStudy, executor: Scripted, n_trials: int | None = 3, deadline: float = FOREVER
) -> list[TrialRecord]:
    told: list[TrialRecord] = []
    Search(study, executor, Budget(n_trials, deadline), lambda record, _: told.append(record)).run()
    return told


def test_the_budget_counts_what_the_study_holds() -> None:
    study = make_study()
    executor = Scripted(lambda ticket: [Completed(ticket.number, evaluation())], slots=2)
    assert [record.number for record in search(study, executor, 3)] == [0, 1, 2]
    assert [record.number for record in search(study, executor, 5)] == [3, 4]
    assert search(study, executor, 5) == []
    assert study.n_finished == 5
    assert executor.most_at_once == 2


def test_pruned_and_failed_trials_use_up_the_budget() -> None:
    progress = Progress(1, 1.0, 0.6)
    outcomes: dict[int, list[Event]] = {
        0: [Completed(0, evaluation())],
        1: [Reached(1, progress), Stopped(1, progress)],
        2: [Failed(2, "ValueError: no")],
    }
    study = make_study()
    told = search(study, Scripted(lambda ticket: outcomes[ticket.number]), 3)
    assert [record.state for record in told] == ["complete", "pruned", "failed"]
    assert [record.reason for record in told] == ["", "pruned at rung 1", "ValueError: no"]
    assert [trial.state.name for trial in study.optuna.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]


def test_a_lost_trial_is_tried_once_more_and_is_the_same_trial() -> None:
    progress = Progress(0, 1.0, 0.6)
    attempts: list[Ticket] = []

    def script(ticket: Ticket) -> list[Event]:
        attempts.append(ticket)
        end = Lost(0, "killed") if len(attempts) == 1 else Completed(ticket.number, evaluation())
        return [Reached(ticket.number, progress), end]  # the same rung again at the second attempt, without a warning

    study = make_study()
    (record,) = search(study, Scripted(script), 1)
    assert record.state == "complete"
    assert attempts[0] == attempts[1]
    assert len(study.optuna.trials) == 1


def test_a_trial_that_is_lost_twice_has_failed() -> None:
    executor = Scripted(lambda ticket: [Lost(ticket.number, f"death of {ticket.number}")], slots=2)
    study = make_study()
    told = search(study, executor, 2)
    assert [(record.state, record.reason) for record in told] == [
        ("failed", "death of 0"),
        ("failed", "death of 1"),
    ]
    assert len(executor.submitted) == 4
    assert [trial.value for trial in study.optuna.trials] == [0.5, 0.5]


def test_a_second_death_counts_under_another_coordinator_whose_own_death_does_not() -> None:
    storage = optuna.storages.InMemoryStorage()

    def dies_and_is_interrupted(ticket: Ticket) -> list[Event]:
        if len(executor.submitted) == 2:
            raise KeyboardInterrupt
        return [Lost(ticket.number, "first death")]

    for _ in range(3):  # coordinators that end while the trial runs
        executor = Scripted(lambda ticket: [])
        with pytest.raises(AssertionError, match="wait for ever"):
            search(make_study(storage), executor, 1)
    executor = Scripted(dies_and_is_interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(make_study(storage), executor, 1)
    (record,) = search(make_study(storage), Scripted(lambda ticket: [Lost(0, "second death", "its words")]), 1)
    assert (record.state, record.reason, record.log) == ("failed", "second death", "its words")


def test_a_late_trial_is_killed_given_back_and_taken_up_again() -> None:
    study = make_study()
    executor = Scripted(lambda ticket: [])
    started = time.time()
    assert search(study, executor, 1, deadline=started + 1.0) == []
    assert 1.0 <= time.time() - started < 60
    assert executor.killed == [0]
    (trial,) = study.optuna.trials
    assert trial.state.name == "RUNNING" and trial.user_attrs[OWNER] == ""

    patient = Scripted(lambda ticket: [Completed(ticket.number, evaluation())])
    (record,) = search(study, patient, 1)
    assert (record.number, record.state) == (0, "complete")
    assert patient.submitted[0].config == executor.submitted[0].config
    assert patient.submitted[0].seed == executor.submitted[0].seed


def test_what_a_given_back_trial_says_too_late_is_dropped() -> None:
    study = make_study()
    late = [Completed(99, evaluation(1.0)), Lost(99, "killed")]
    told = search(study, Scripted(lambda ticket: [*late, Completed(ticket.number, evaluation())]), 1)
    assert [record.number for record in told] == [0]


def test_an_error_gives_running_trials_back() -> None:
    study = make_study()

    def script(ticket: Ticket) -> list[Event]:
        if ticket.number == 1:
            raise KeyboardInterrupt
        return []

    with pytest.raises(KeyboardInterrupt):
        search(study, Scripted(script, slots=2), 2)
    assert [trial.state.name for trial in study.optuna.trials] == ["RUNNING", "RUNNING"]
    again = Scripted(lambda ticket: [Completed(ticket.number, evaluation())])
    assert [record.number for record in search(study, again, 2)] == [0, 1]
    assert len(study.optuna.trials) == 2


def test_a_refit_whose_process_dies_is_tried_once_more() -> None:
    refit, fitted = Refit(7, Config("linear", {}), 0, 1, Resources()), Fitted(object(), 1)  # type: ignore[arg-type]
    ends: list[Event] = [Lost(7, "killed"), Completed(7, fitted)]
    executor = Scripted(lambda order: [ends[len(executor.submitted) - 1]])
    assert train(executor, refit) is fitted and executor.submitted == [refit, refit]
    deadly = Scripted(lambda order: [Lost(7, f"death {len(deadly.submitted)}")])
    assert train(deadly, refit) == Failed(7, "death 2") and len(deadly.submitted) == 2


def test_nothing_starts_after_the_deadline() -> None:
    executor = Scripted(lambda ticket: [Completed(ticket.number, evaluation())])
    assert search(make_study(), executor, None, deadline=time.time() - 1) == []
    assert executor.submitted == []


# ---- whole runs against the clock; generous, since machines are shared ----


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_timeout_alone_ends_the_search(n_jobs: int) -> None:
    draws = np.random.default_rng(0)
    X = draws.normal(size=(80, 2))
    started = time.monotonic()
    report = autotune.tune(X, X[:, 0], space="linear", n_trials=None, timeout=15, n_jobs=n_jobs, random_state=0)
    assert 3 < time.monotonic() - started < 37
    assert len(report.records) > 5
    assert report.test_score is not None


def test_a_deadline_that_is_over_leaves_the_baseline_and_says_so() -> None:
    draws = np.random.default_rng(0)
    X = draws.normal(size=(80, 2))
    report = autotune.tune(X, X[:, 0], space="linear", timeout=0.001, random_state=0)
    assert report.best_params == {"learner": "baseline"}
    assert report.warnings == ("the deadline came before any trial was over: the model is the dummy baseline",)
    assert "! the deadline came" in str(report)
    assert len(set(report.predict(X))) == 1


def test_a_curve_is_cut_at_the_deadline_and_counts() -> None:
    draws = np.random.default_rng(0)
    X = draws.normal(size=(300, 5))
    space = Space({"lightgbm": {"learning_rate": 1e-5, "max_rounds": 1_000_000, "num_leaves": 8}})
    report = autotune.tune(X, X[:, 0], space=space, n_trials=1, timeout=20, random_state=0)
    (record,) = report.records
    assert record.state == "complete" and record.cut
    assert report.leaderboard()["reason"].tolist() == ["cut at the deadline"]
    assert record.step is not None and record.step > 1
