"""A worker process, spoken to over its pipes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from autotune.data.splits import make_folds
from autotune.data.task import Column, Problem, Rows, Schema, Task
from autotune.execution.events import Completed, Reached, Started, Ticket
from autotune.execution.work import OnFolds
from autotune.execution.worker import Setup
from autotune.learners.protocol import Resources
from autotune.metrics import METRICS
from autotune.spaces.space import Config

COMMAND = [sys.executable, "-P", "-m", "autotune.execution.worker"]


def make_setup(folder: Path) -> Setup:
    numeric = np.random.default_rng(0).normal(size=(40, 1))
    problem = Problem("regression", 0, Schema((Column("a", "numeric"),)), "squared")
    task = Task(Rows(numeric, np.empty((40, 0), dtype=np.int32)), numeric[:, 0], problem)
    folds = make_folds(task.y, "regression", cv=2)
    return Setup(OnFolds(task, folds, METRICS["rmse"], Resources()).packed(folder))


def test_a_worker_answers_rung_by_rung_and_ends_with_its_pipe(tmp_path: Path) -> None:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        with Connection(os.dup(process.stdin.fileno()), readable=False) as outgoing:
            incoming = Connection(os.dup(process.stdout.fileno()), writable=False)
            outgoing.send(make_setup(tmp_path))
            outgoing.send(Ticket(5, Config("linear", {}), 0))
            started, reached = incoming.recv(), incoming.recv()
            assert isinstance(started, Started) and started.number == 5
            assert isinstance(reached, Reached) and reached.number == 5
            outgoing.send(True)
            assert isinstance(incoming.recv(), Completed)
        process.stdin.close()
        incoming.close()
        assert process.wait(timeout=120) == 0


def test_a_worker_without_a_coordinator_ends_quietly() -> None:
    done = subprocess.run(COMMAND, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_worker_busy_in_a_trial_notices_that_its_coordinator_is_gone(tmp_path: Path) -> None:
    class Stuck:
        def __reduce__(self) -> tuple[object, tuple[int]]:
            return time.sleep, (100,)

    message = pickle.dumps(Setup(pickle.dumps(Stuck())))
    (tmp_path / "message").write_bytes(message)
    parent = (
        "import os, pickle, subprocess, sys, time\n"
        "from multiprocessing.connection import Connection\n"
        f"worker = subprocess.Popen({COMMAND!r}, stdin=subprocess.PIPE, start_new_session=True)\n"
        "Connection(os.dup(worker.stdin.fileno()), readable=False).send_bytes(open('message', 'rb').read())\n"
        "print(worker.pid, flush=True)\n"
        "time.sleep(3)\n"
        "os._exit(1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    pid = int(done.stdout)
    until = time.monotonic() + 60
    while runs(pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert not runs(pid)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
