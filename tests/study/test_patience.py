"""Waiting for a database that is locked or away ends with the search's time, and with an interrupt."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

import autotune
from autotune.study.databases import database_of
from autotune.study.ledger import Proposal
from autotune.study.rows import OWNER
from autotune.study.sql_ledger import SqlLedger
from autotune.study.storage import open_storage


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold SQLite's write lock, as another program may."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


def test_a_timeout_holds_though_another_program_keeps_the_file_locked(tmp_path: Path) -> None:
    path, calls = tmp_path / "s.db", count()
    with ExitStack() as until_it_has_returned:

        def objective(params: dict[str, Any]) -> float:
            if next(calls) == 2:
                until_it_has_returned.enter_context(locked(path))
            return float(params["x"])

        words: dict[str, Any] = {"storage": path, "study_name": "s", "timeout": 6, "n_trials": 10_000}
        found = autotune.optimize(objective, {"x": autotune.Float(0, 1)}, **words)
    assert any("still away" in note for note in found.notes)
    assert [record.state for record in found.records] == ["complete", "complete", "complete"]
    assert [row.state.name for row in optuna.load_study(study_name="s", storage=open_storage(path)).trials] == [
        "COMPLETE",
        "COMPLETE",
        "RUNNING",
    ]


def test_rungs_do_not_wait_for_a_locked_file(tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(tmp_path / "s.db"))
    database = database_of(study._storage)
    assert database is not None
    ledger = SqlLedger(database, study._study_id)
    assert ledger.claim(lambda number: Proposal({}, {}), None) == 0
    with locked(tmp_path / "s.db"):
        assert not ledger.reach(0, {1: 0.5})
    assert ledger.reach(0, {1: 0.5, 2: 0.4})
    assert study.trials[0].intermediate_values == {1: 0.5, 2: 0.4}


RUN = """
import sys, time
import autotune
def objective(params):
    time.sleep(.05)
    return params["x"]
autotune.optimize(objective, {"x": autotune.Float(0, 1)}, storage=sys.argv[1], study_name="s", n_trials=10_000)
"""


def test_an_interrupt_ends_a_run_whose_database_is_locked(tmp_path: Path) -> None:
    path, script = tmp_path / "s.db", tmp_path / "run.py"
    script.write_text(RUN)
    run = subprocess.Popen([sys.executable, str(script), str(path)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not path.exists() or n_complete(path) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    with locked(path):
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=120)
    assert "KeyboardInterrupt" in said


def n_complete(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def test_what_could_not_be_given_back_is_when_the_database_is_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autotune.study.sql_ledger.BEAT_SECONDS", 0.2)
    study = optuna.create_study(storage=open_storage(tmp_path / "s.db"))
    database = database_of(study._storage)
    assert database is not None
    ledger = SqlLedger(database, study._study_id)
    assert ledger.claim(lambda number: Proposal({}, {}), None) == 0
    ledger.wait_until(float("-inf"))
    with locked(tmp_path / "s.db"), pytest.raises(autotune.AutotuneError, match="still away"):
        ledger.give_back(0, {3: 0.5})
    deadline = time.monotonic() + 60
    while study.trials[0].user_attrs[OWNER]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    row = study.trials[0]
    assert row.state == TrialState.RUNNING and row.intermediate_values == {3: 0.5}
