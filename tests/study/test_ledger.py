"""The ledgers: one row a trial for life, whoever comes, goes or dies; on memory, SQLite and a real PostgreSQL."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from servers import MariaDBServer, PostgresServer, Server, why_no_mariadb, why_no_postgres
from sqlalchemy import create_engine, event, text

import autotune
from autotune import Float
from autotune.errors import StorageError, StudyMismatchError
from autotune.study.databases import database_of
from autotune.study.identity import ask_to_stop, n_stops
from autotune.study.ledger import Ending, Ledger, PlainLedger, Proposal
from autotune.study.mirror import Mirror
from autotune.study.opening import delete_study
from autotune.study.retrying import _reopen
from autotune.study.rows import OWNER
from autotune.study.sql_ledger import SqlLedger
from autotune.study.storage import open_storage, study_names

PARAMS = {"a.x": (0.25, FloatDistribution(0.0, 1.0))}
OVER = Ending(
    TrialState.COMPLETE, 0.5, {0: 0.9, 3: 0.7}, {"autotune:outcome": {"score": 0.5}}, {"constraints:failed": 0.0}
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    if reason := why_no_postgres():
        pytest.skip(reason)
    with PostgresServer() as running:
        yield running


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDBServer]:
    if reason := why_no_mariadb():
        pytest.skip(reason)
    with MariaDBServer() as running:
        yield running


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["sqlite", "journal", "postgres", "mariadb"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where a study lives that processes can share."""
    files = {"sqlite": "s.db", "journal": "s.journal"}
    if request.param in files:
        return str(tmp_path / files[request.param])
    return request.getfixturevalue(request.param).url


@pytest.fixture(params=["memory", "sqlite", "journal", "postgres", "mariadb"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> optuna.Study:
    where: Any = {"memory": None, "sqlite": tmp_path / "s.db", "journal": tmp_path / "s.journal"}.get(request.param)
    if request.param in ("postgres", "mariadb"):
        where = request.getfixturevalue(request.param).url
    return optuna.create_study(storage=open_storage(where), direction="minimize")


def ledger(study: optuna.Study, **words: Any) -> Ledger:
    database = database_of(study._storage)
    if database is None:
        return PlainLedger(study._storage, study._study_id)
    return SqlLedger(database, study._study_id, **words)


def propose(number: int) -> Proposal:
    return Proposal(PARAMS, {"autotune:config": {"learner": "a", "x": 0.25}, "number": number})


def test_what_is_claimed_and_finished_is_what_optuna_reads(study: optuna.Study) -> None:
    here = ledger(study)
    assert here.claim(propose, None) == 0
    (row,) = study.trials
    assert (row.state, row.params, row.distributions) == (TrialState.RUNNING, {"a.x": 0.25}, {"a.x": PARAMS["a.x"][1]})
    assert row.user_attrs["number"] == 0 and row.user_attrs[OWNER]
    here.reach(0, {0: 0.9})
    assert here.finish(0, OVER)
    (row,) = study.trials
    assert (row.state, row.value, row.intermediate_values) == (TrialState.COMPLETE, 0.5, {0: 0.9, 3: 0.7})
    assert row.user_attrs["autotune:outcome"] == {"score": 0.5}
    assert row.constraints == {"failed": 0.0}
    assert row.datetime_start is not None and row.datetime_complete is not None
    assert 0 <= (row.datetime_complete - row.datetime_start).total_seconds() < 60
    assert study.best_trial.number == 0


def test_news_are_rows_of_others_and_come_until_they_are_over(study: optuna.Study) -> None:
    here, there = ledger(study), ledger(study)
    there.claim(propose, None)
    here.news()
    assert here.claim(propose, None) == 1
    assert [row.number for row in here.news()] == [0], "still running, and not mine"
    there.finish(0, OVER)
    assert [(row.number, row.value) for row in here.news()] == [(0, 0.5)]
    assert not here.news()


def test_the_limit_counts_all_rows(study: optuna.Study) -> None:
    here, there = ledger(study), ledger(study)
    assert [each.claim(propose, 2) for each in (here, there, here)] == [0, 1, None]


def test_what_was_given_back_is_adopted_by_one_only(study: optuna.Study) -> None:
    here, there, third = ledger(study), ledger(study), ledger(study)
    here.claim(propose, None)
    assert not there.adopt(0), "its owner lives"
    here.give_back(0, {})
    assert there.adopt(0) and not third.adopt(0)
    assert there.finish(0, OVER)
    assert not third.adopt(0), "it is over"


def dead(owner: str) -> str:
    return owner.rpartition("/")[0] + "/1"  # the same process, started at another time


def test_a_result_of_a_row_that_another_holds_is_not_written(study: optuna.Study) -> None:
    here, there = ledger(study), ledger(study)
    here.claim(propose, None)
    owner = study.trials[0].user_attrs[OWNER]
    study._storage.set_trial_user_attr(study.trials[0]._trial_id, OWNER, dead(owner))
    assert not here.finish(0, OVER)
    assert study.trials[0].state == TrialState.RUNNING and not study.trials[0].intermediate_values
    assert there.adopt(0) and there.finish(0, Ending(TrialState.PRUNED, None))
    assert study.trials[0].state == TrialState.PRUNED


@pytest.mark.parametrize("silent", [False, True], ids=["heard of", "silent for the time of a lease"])
def test_a_row_of_another_host_is_adopted_when_its_lease_is_over(study: optuna.Study, silent: bool) -> None:
    here, there = ledger(study), ledger(study)
    if isinstance(here, PlainLedger):
        pytest.skip("leases need a database")
    here.claim(propose, None)
    row = study.trials[0]
    study._storage.set_trial_user_attr(row._trial_id, OWNER, f"not-{socket.gethostname()}/1/1")
    if silent:
        backend = study._storage._backend  # type: ignore[attr-defined]
        with backend.engine.begin() as connection:
            connection.execute(text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))
    assert there.adopt(0) == silent


def test_an_ending_that_came_through_without_its_answer_is_not_written_twice(study: optuna.Study) -> None:
    here = ledger(study)
    if isinstance(here, PlainLedger):
        pytest.skip("what is written at once needs no answer")
    here.claim(propose, None)
    held = dict(here._held)  # type: ignore[attr-defined]
    assert here.finish(0, OVER)
    here._held = held  # type: ignore[attr-defined]
    assert here.finish(0, OVER)
    assert study.trials[0].value == 0.5


def claim_many(where: Any, name: str, n: int, claims: Any) -> None:
    study = optuna.load_study(storage=open_storage(where), study_name=name)
    here = ledger(study)
    while (number := here.claim(propose, n)) is not None:
        claims.put(number)
        here.finish(number, OVER)


def test_processes_claim_each_number_once(storage: str) -> None:
    study = optuna.create_study(storage=open_storage(storage), study_name=f"race-{os.getpid()}")
    context = multiprocessing.get_context("spawn")
    claims = context.Queue()
    processes = [context.Process(target=claim_many, args=(storage, study.study_name, 60, claims)) for _ in range(3)]
    for process in processes:
        process.start()
    numbers = sorted(claims.get(timeout=120) for _ in range(60))
    for process in processes:
        process.join(120)
    assert numbers == list(range(60)) and claims.empty()
    assert [(row.number, row.value) for row in study.trials] == [(number, 0.5) for number in range(60)]


def test_an_attribute_that_is_too_long_is_an_error_and_is_not_cut(mariadb: MariaDBServer) -> None:
    """MySQL's TEXT holds 64 kB, and a server that is not strict would keep the beginning."""
    study = optuna.create_study(storage=open_storage(mariadb.url))
    here = ledger(study)
    with pytest.raises(StorageError, match="Data too long"):
        here.claim(lambda number: Proposal(PARAMS, {"long": "x" * 70_000}), None)
    assert not study.trials
    assert here.claim(propose, None) == 0


def adopt_many(where: Any, name: str, n: int, adopted: Any, all_are_done: Any) -> None:
    here = ledger(optuna.load_study(storage=open_storage(where), study_name=name))
    for number in range(n):
        if here.adopt(number):
            adopted.put(number)
    all_are_done.wait(120)  # what a dead process holds may be taken over again


def test_processes_adopt_each_trial_once(storage: str) -> None:
    study = optuna.create_study(storage=open_storage(storage), study_name=f"heirs-{os.getpid()}")
    here = ledger(study)
    for number in range(30):
        here.claim(propose, None)
        here.give_back(number, {})
    context = multiprocessing.get_context("spawn")
    adopted = context.Queue()
    words = (storage, study.study_name, 30, adopted, context.Barrier(3))
    processes = [context.Process(target=adopt_many, args=words) for _ in range(3)]
    for process in processes:
        process.start()
    numbers = sorted(adopted.get(timeout=120) for _ in range(30))
    for process in processes:
        process.join(120)
    assert numbers == list(range(30)) and adopted.empty()


def test_the_ledger_waits_for_a_server_that_is_away_and_says_so(server: Server) -> None:
    study, lines = optuna.create_study(storage=open_storage(server.url)), []
    here = ledger(study, say=lines.append)
    here.claim(propose, None)
    server.stop()
    back = threading.Timer(2.0, server.start)
    back.start()
    assert here.finish(0, OVER)
    back.join()
    assert "the storage is away" in lines[0] and lines[-1] == "the storage is back"
    assert "not-shown" not in "".join(lines)
    assert study.trials[0].value == 0.5


def test_a_server_that_never_came_back_is_not_waited_for_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    study, lines = optuna.create_study(storage=open_storage(server.url)), []
    here = ledger(study, say=lines.append)
    here.claim(propose, None), here.claim(propose, None)
    server.stop()
    monkeypatch.setattr("autotune.study.patience.OUTAGE_SECONDS", 1.0)
    with pytest.raises(StorageError, match="cannot be used any more"):
        here.finish(0, OVER)
    monkeypatch.setattr("autotune.study.patience.OUTAGE_SECONDS", 600.0)
    with pytest.raises(StorageError, match="cannot be used any more"):
        here.give_back(1, {})  # would wait ten minutes
    server.start()
    assert len(lines) == 1


def test_a_storage_that_stays_broken_ends_the_run_with_an_error(tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(tmp_path / "s.db"))
    here = ledger(study)
    with study._storage._backend.engine.begin() as connection:  # type: ignore[attr-defined]
        connection.execute(text("DROP TABLE trial_values"))
    here.claim(propose, None)
    with pytest.raises(StorageError, match="the storage cannot be used any more: no such table: trial_values"):
        here.finish(0, OVER)


COORDINATOR = """
import sys, time
import autotune
def objective(params):
    for step in range(3):
        time.sleep(.05)
        yield params["x"] + step
where = {"storage": sys.argv[1], "study_name": "shared"}
words = {"n_trials": 14, "random_state": 0, "sampler": "random", "pruner": "none", "n_jobs": 2}
autotune.optimize(objective, {"x": autotune.Float(0, 1)}, **where, **words)
"""


@pytest.mark.parametrize("name", ["s.db", "s.journal"])
def test_a_budget_is_exact_though_two_coordinators_share_it_and_one_is_killed(name: str, tmp_path: Path) -> None:
    """The law of the budget, on one study and two coordinators; what the dead one ran is taken over by the other."""
    script, storage = tmp_path / "run.py", str(tmp_path / name)
    script.write_text(COORDINATOR)
    first, second = (subprocess.Popen([sys.executable, str(script), storage]) for _ in range(2))
    deadline = time.monotonic() + 90
    while not Path(storage).exists() or len(finished(storage)) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    told = finished(storage)
    first.send_signal(signal.SIGKILL)
    assert second.wait(90) == 0
    first.wait()
    rows = finished(storage)
    assert sorted(rows) == list(range(14))
    assert {number: rows[number] for number in told} == told, "nothing that was told is lost or changed"
    assert study_names(open_storage(storage)) == ["shared"]
    assert {row.state for row in optuna.load_study(study_name="shared", storage=open_storage(storage)).trials} == {
        TrialState.COMPLETE
    }


def finished(storage: str) -> dict[int, Any]:
    opened = open_storage(storage)
    if "shared" not in optuna.study.get_all_study_names(opened):
        return {}
    rows = optuna.load_study(study_name="shared", storage=opened).trials
    return {row.number: (row.params, row.values) for row in rows if row.state.is_finished()}


def test_a_sampler_sees_what_the_others_found(tmp_path: Path) -> None:
    """Coordinators that take turns search like one that had all trials to itself."""

    def objective(params: dict[str, Any]) -> float:
        return (params["x"] - 0.3) ** 2

    words: dict[str, Any] = {"space": {"x": autotune.Float(0, 1)}, "random_state": 0, "study_name": "s"}
    alone = autotune.optimize(objective, n_trials=16, storage=tmp_path / "alone.db", **words)
    for n_trials in range(2, 18, 2):
        turns = autotune.optimize(objective, n_trials=n_trials, storage=tmp_path / "turns.db", **words)
    assert [record.config for record in turns.records] == [record.config for record in alone.records]


def test_ledgers_of_one_process_are_strangers_to_each_other(study: optuna.Study) -> None:
    """Threads that share a study run each trial once."""
    here, there = ledger(study), ledger(study)
    here.claim(propose, None)
    here._held, there._held = {}, dict(here._held)  # type: ignore[attr-defined]
    assert not there.finish(0, OVER)


def test_threads_of_one_process_run_each_trial_once(tmp_path: Path) -> None:
    numbers: list[float] = []

    def objective(params: dict[str, Any]) -> float:
        time.sleep(0.01)
        numbers.append(params["x"])
        return float(params["x"])

    def work() -> None:
        words: dict[str, Any] = {"n_trials": 30, "random_state": 0, "sampler": "random", "study_name": "s"}
        autotune.optimize(objective, {"x": autotune.Float(0, 1)}, storage=tmp_path / "s.db", **words)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(numbers) == len(set(numbers)) == 30


def test_a_study_that_is_deleted_meanwhile_ends_the_work_with_an_error(study: optuna.Study) -> None:
    here = ledger(study)
    here.claim(propose, None)
    optuna.delete_study(study_name=study.study_name, storage=study._storage)
    for step in (lambda: here.finish(0, OVER), here.news, lambda: here.claim(propose, None)):
        with pytest.raises(StorageError, match="the study was deleted while it was worked at"):
            step()


def test_a_stop_is_asked_for_again_where_it_waited_too_long_for_a_lock(mariadb: MariaDBServer) -> None:
    url = f"{mariadb.url}?init_command=SET%20SESSION%20innodb_lock_wait_timeout%3D1"
    study, seen = optuna.create_study(storage=open_storage(url)), []
    engine = create_engine(mariadb.url)

    def wait_too_long(context: Any) -> None:
        seen.append(context.original_exception.args[0])
        holder.rollback()

    with engine.connect() as holder:
        holder.execute(text(f"SELECT * FROM studies WHERE study_id = {study._study_id} FOR UPDATE"))
        event.listen(study._storage._backend.engine, "handle_error", wait_too_long)  # type: ignore[attr-defined]
        ask_to_stop(study)
    engine.dispose()
    assert seen == [1205] and n_stops(study) == 1


def test_a_trial_that_was_opened_again_though_the_answer_was_lost_counts(tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(tmp_path / "s.db"))
    here, database = ledger(study), database_of(study._storage)
    here.claim(propose, None)
    here.finish(0, Ending(TrialState.COMPLETE, 0.0, attrs={"autotune:outcome": {"failed": True, "reason": "x"}}))
    assert database is not None and [_reopen(database, study.trials[0]._trial_id) for _ in range(2)] == [True, True]
    assert ledger(study).adopt(0) and not _reopen(database, study.trials[0]._trial_id)


def claim_until_it_is_deleted(here: Ledger, said: list[str]) -> None:
    try:
        while True:
            here.claim(propose, None)
    except StorageError as error:
        said.append(error.problem)


def test_a_study_is_deleted_although_others_add_trials_to_it_meanwhile(server: Server) -> None:
    study, said = optuna.create_study(storage=open_storage(server.url)), []
    others = ledger(optuna.load_study(storage=open_storage(server.url), study_name=study.study_name))
    for _ in range(50):
        others.claim(propose, None)
    working = threading.Thread(target=claim_until_it_is_deleted, args=(others, said), daemon=True)
    working.start()
    delete_study(study)
    working.join(60)
    assert said == ["the study was deleted while it was worked at"]
    assert study.study_name not in study_names(study._storage)
    with study._storage._backend.engine.connect() as connection:  # type: ignore[attr-defined]
        assert not connection.execute(text(f"SELECT * FROM trials WHERE study_id = {study._study_id}")).all()


def test_a_study_that_is_not_deleted_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study()
    monkeypatch.setattr(study._storage, "delete_study", lambda study_id: None)  # as one that others write to
    monkeypatch.setattr("autotune.study.opening.DELETED_WITHIN_SECONDS", 0.3)
    with pytest.raises(StorageError, match=r"faster than it is deleted\n.*\n.* tune stop, and tune delete"):
        delete_study(study)


def test_a_study_that_is_deleted_while_it_is_read_ends_the_work() -> None:
    row = optuna.trial.create_trial(value=0.5)
    row.number, row.values = 0, None
    with pytest.raises(StorageError, match="the study was deleted while it was worked at"):
        Mirror(optuna.create_study()).put(row)


def test_a_file_that_is_moved_while_it_is_worked_at_takes_nothing_in(tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(tmp_path / "s.db"))
    here = ledger(study)
    here.claim(propose, None)
    (tmp_path / "s.db").rename(tmp_path / "t.db")
    with pytest.raises(StorageError, match="moved or removed"):
        here.finish(0, OVER)
    with pytest.raises(StorageError, match="moved or removed"):
        here.claim(propose, None)


def test_a_row_that_somebody_has_deleted_stops_nobody(tmp_path: Path) -> None:
    found = autotune.optimize(abs_x, {"x": Float(0, 1)}, storage=tmp_path / "s.db", study_name="s", n_trials=4)
    with found.study._storage._backend.engine.begin() as connection:  # type: ignore[union-attr]
        for table in ("trial_user_attributes", "trial_params", "trial_values", "trials"):
            connection.execute(text(f"DELETE FROM {table} WHERE trial_id = 3"))
    again = autotune.optimize(abs_x, {"x": Float(0, 1)}, storage=tmp_path / "s.db", study_name="s", n_trials=6)
    assert [record.number for record in again.records if record.state == "complete"] == [0, 1, 3, 4, 5]


def abs_x(params: Any) -> float:
    return abs(float(params["x"]))


def test_a_name_that_differs_in_case_alone_joins_no_other_study(mariadb: MariaDBServer) -> None:
    words: dict[str, Any] = {"storage": mariadb.url, "n_trials": 1, "random_state": 0}
    autotune.optimize(abs_x, {"x": Float(0, 1)}, study_name="Churn", **words)
    with pytest.raises(StudyMismatchError, match="takes the name 'churn' for that of the study 'Churn'"):
        autotune.optimize(abs_x, {"x": Float(0, 1)}, study_name="churn", **words)
