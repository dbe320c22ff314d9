"""Workers that are forked from a process which has imported what they need, and those that are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_pool import (
    FOLDS,
    LINEAR,
    alive,
    children,
    make_task,
    next_event,
    pool_of,
    processes_of,
    run_one,
    wait_for_the_end_of,
)

from autotune.execution.events import Completed, Lost, Ticket
from autotune.execution.processes import ForkServer
from autotune.execution.work import OnFolds
from autotune.learners import LEARNERS, find_learner
from autotune.learners.protocol import Resources
from autotune.metrics import METRICS

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
        lost = run_one(pool, 1)
        assert isinstance(lost, Lost) and "exit code -9" in lost.reason
        assert isinstance(run_one(pool, 2), Completed) and len(processes_of(os.getpid(), "worker")) == 1


def test_a_process_that_dies_while_it_imports_costs_one_attempt() -> None:
    with pool_of() as pool:
        (server,) = processes_of(os.getpid())
        pool.submit(Ticket(0, LINEAR, 0))
        os.kill(server, signal.SIGKILL)
        assert isinstance(next_event(pool), Lost)
        assert isinstance(run_one(pool, 1), Completed)


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
        assert server.is_awaited()
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
