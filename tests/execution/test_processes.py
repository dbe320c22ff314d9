"""Workers that are forked from a process which has imported what they need, and those that are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_pool import (
    FOLDS,
    LINEAR,
    PATIENCE,
    alive,
    children,
    finish,
    make_task,
    next_event,
    pool_of,
    processes_of,
    run_one,
    wait_for_the_end_of,
)

import autotune
from autotune.execution.events import Completed, Lost, Ticket
from autotune.execution.processes import ForkServer
from autotune.execution.work import OnFolds
from autotune.learners import LEARNERS, find_learner
from autotune.learners.protocol import Resources
from autotune.metrics import METRICS
from autotune.shipping import Shipping

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each worker is an interpreter of its own")


@contextmanager
def closing_all(pipes: list[tuple[int, int]]) -> Iterator[None]:
    yield
    for each in (end for pipe in pipes for end in pipe):
        os.close(each)


def drawn(y: Any, predictions: Any, weight: Any) -> float:
    return float(np.random.random())


def test_all_workers_are_forked_from_one_process_and_draw_numbers_of_their_own() -> None:
    with pool_of(drawn, n_workers=3) as pool:
        for number in range(3):
            pool.submit(Ticket(number, LINEAR, 0))
        scores = set()
        while len(scores) < 3:
            event = next_event(pool)
            if isinstance(event, Completed):
                scores.add(event.evaluation.score)
            else:
                pool.reply(event.number, True)
        assert len(processes_of(os.getpid())) == 1 and len(children()) == 3


def test_where_the_process_is_gone_its_workers_are_too_and_others_begin_without_it() -> None:
    with pool_of() as pool:
        assert isinstance(run_one(pool, 0), Completed)
        (server,), workers = processes_of(os.getpid()), children()
        os.kill(server, signal.SIGKILL)
        wait_for_the_end_of(workers)
        assert isinstance(run_one(pool, 1), Completed) and len(processes_of(os.getpid(), "worker")) == 1


def test_workers_that_live_on_for_a_moment_without_the_process_are_given_no_trial() -> None:
    with pool_of() as pool:
        assert isinstance(run_one(pool, 0), Completed)
        (server,), workers = processes_of(os.getpid()), children()
        os.kill(workers[0], signal.SIGSTOP)  # a long moment
        os.kill(server, signal.SIGKILL)
        wait_for_the_end_of([server])
        assert isinstance(run_one(pool, 1), Completed)
        wait_for_the_end_of(workers)


def test_a_process_that_dies_while_it_imports_costs_no_attempt() -> None:
    with pool_of(n_workers=2) as pool:
        (server,) = processes_of(os.getpid())
        for number in range(2):
            pool.submit(Ticket(number, LINEAR, 0))
        os.kill(server, signal.SIGKILL)
        assert {type(end) for end in (finish(pool), finish(pool))} == {Completed}


def test_a_process_that_is_stuck_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autotune.execution.processes.BIRTH_SECONDS", 1.0)
    with pool_of() as pool:
        (server,) = processes_of(os.getpid())
        os.kill(server, signal.SIGSTOP)
        assert isinstance(run_one(pool, 0), Completed) and len(processes_of(os.getpid(), "worker")) == 1


def test_a_worker_that_does_not_die_is_not_waited_for_and_others_are_born(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autotune.execution.processes.ANSWER_SECONDS", 0.5)
    with closing(ForkServer(1)) as server, closing_all(pipes := [os.pipe() for _ in range(4)]):
        for _ in range(2):
            worker = server.start([pipes[0][0], pipes[1][1], pipes[2][1], pipes[3][0]])
            assert wait([server], PATIENCE)
            server.hear()
            assert worker.wait() == -signal.SIGKILL and not server.is_gone()
            worker.kill()


# ---- whole runs ----


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the processes that workers are forked from, those of this test."""
    found: list[int] = []
    make = ForkServer.__init__

    def noting(self: ForkServer, threads: int) -> None:
        make(self, threads)
        found.append(self._process.pid)

    monkeypatch.setattr(ForkServer, "__init__", noting)
    return found


def test_no_trial_fails_where_the_process_is_killed_while_one_worker_is_idle(
    servers: list[int], tmp_path: Path
) -> None:
    def kills(params: dict[str, Any]) -> float:
        with suppress(FileExistsError), (tmp_path / str(params["n"])).open("x"):
            if params["n"] == 1:  # of a batch of two, the other being over
                time.sleep(1)
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(60)
        return float(params["n"])

    space = {"n": autotune.Int(0, 3, default=1)}
    found = autotune.optimize(kills, space, n_trials=4, n_jobs=2, deterministic=True, random_state=0, progress=False)
    assert sorted(record.score or 0.0 for record in found.records) == [0.0, 1.0, 2.0, 3.0]
    assert {record.state for record in found.records} == {"complete"} and len(servers) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_model_comes_out_where_the_process_ends_before_the_refit(
    number: signal.Signals, servers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ship = Shipping.ship

    def ending(self: Shipping, *words: Any, **named: Any) -> Any:
        os.kill(servers[0], number)
        return ship(self, *words, **named)

    monkeypatch.setattr(Shipping, "ship", ending)
    draws = np.random.default_rng(0)
    X = draws.normal(size=(80, 2))
    report = autotune.tune(X, X[:, 0], space="linear", n_trials=3, n_jobs=2, timeout=60, random_state=0, progress=False)
    assert report.best_params["learner"] == "linear" and report.warnings == ()


def test_a_run_whose_process_is_stuck_ends_at_its_deadline(servers: list[int]) -> None:
    def stops(params: dict[str, Any]) -> float:
        os.kill(os.getppid(), signal.SIGSTOP)
        time.sleep(0.5)
        return params["x"]

    started = time.monotonic()
    found = autotune.optimize(
        stops, {"x": autotune.Float(0, 1)}, n_trials=1000, n_jobs=2, timeout=10, random_state=0, progress=False
    )
    assert found.records and time.monotonic() - started < 10 + 20
    wait_for_the_end_of(servers)


def test_a_worker_that_is_killed_before_it_is_born_is_lost() -> None:
    with pool_of() as pool:
        pool.submit(Ticket(0, LINEAR, 0))
        pool.kill(0)
        assert isinstance(next_event(pool), Lost)
        assert isinstance(run_one(pool, 1), Completed)


def test_an_end_while_imports_go_on_waits_for_none_of_them() -> None:
    with pool_of(n_workers=2) as pool:
        for number in range(2):
            pool.submit(Ticket(number, LINEAR, 0))
        (server,) = processes_of(os.getpid())
    assert not alive(server) and processes_of(os.getpid()) == []


def test_a_module_that_cannot_be_imported_is_left_to_who_needs_it() -> None:
    with closing(ForkServer(1)) as server, closing_all(pipes := [os.pipe() for _ in range(4)]):
        server.prepare(["autotune.no_such_module"])
        worker = server.start([pipes[0][0], pipes[1][1], pipes[2][1], pipes[3][0]])
        assert server.is_awaited() and wait([server], PATIENCE)
        server.hear()
        assert not server.is_awaited()
        worker.kill()
        assert worker.wait() == -signal.SIGKILL
        server.close()


def test_no_thread_but_an_allocator_s_runs_where_workers_are_forked() -> None:
    work = OnFolds(make_task(), FOLDS, METRICS["rmse"], Resources(), {name: find_learner(name) for name in LEARNERS})
    with closing(ForkServer(1)) as server, closing_all(pipes := [os.pipe() for _ in range(4)]):
        server.prepare(work.modules)
        worker = server.start([pipes[0][0], pipes[1][1], pipes[2][1], pipes[3][0]])
        assert wait([server], PATIENCE)
        server.hear()
        (pid,) = processes_of(os.getpid())
        names = {(task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()}
        maps = Path(f"/proc/{pid}/maps").read_text()
        worker.kill()
        worker.wait()
    assert "torch" in maps and "lightgbm" in maps
    assert {name for name in names if not name.startswith("python")} <= {"jemalloc_bg_thd"}


@pytest.mark.parametrize("name", ["linear", "lightgbm", "mlp"])
def test_what_a_trial_imports_is_known_beforehand(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS, name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


IMPORTS = """
import sys
import numpy as np
from autotune.data.splits import make_folds
from autotune.data.task import Column, Problem, Rows, Schema, Task
from autotune.evaluation import cross_validate
from autotune.execution.fork_server import prepare
from autotune.execution.work import OnFolds
from autotune.learners import find_learner
from autotune.learners.protocol import Resources
from autotune.metrics import METRICS
from autotune.spaces.space import Config

name, draws = sys.argv[1], np.random.default_rng(0)
numeric = draws.normal(size=(60, 2))
problem = Problem("regression", 0, Schema((Column("a", "numeric"), Column("b", "numeric"))), "squared")
task = Task(Rows(numeric, np.empty((60, 0), dtype=np.int32)), numeric[:, 0], problem)
learners = {name: find_learner(name)}
folds = make_folds(task.y, "regression", cv=2)
prepare(OnFolds(task, folds, METRICS["rmse"], Resources(), learners).modules)
packages = {"torch", "sklearn", "lightgbm", "scipy", "pandas", "joblib", "autotune"}
before = set(sys.modules)
limits = {"mlp": {"epochs": 1}, "lightgbm": {"max_rounds": 1}}.get(name, {})
cross_validate(Config(name, limits), task, folds, METRICS["rmse"], seed=0, resources=Resources(), learners=learners)
later = set(sys.modules) - before
print(sorted(each for each in later if each in packages or each.startswith("autotune.")))
"""
