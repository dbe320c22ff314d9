"""Where studies live: real SQLite files, shared by real processes, and real servers where there are some."""

from __future__ import annotations

import faulthandler
import multiprocessing
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import sqlalchemy.exc
from servers import MariaDBServer, PostgresServer, why_no_mariadb, why_no_postgres
from sqlalchemy import Engine, create_engine, event, make_url, text

import autotune
from autotune.errors import SettingsError, StorageError, StudyMismatchError
from autotune.study.identity import IDENTITY
from autotune.study.ledger import Proposal
from autotune.study.opening import open_study
from autotune.study.passwords import redact
from autotune.study.rows import OWNER
from autotune.study.sql_ledger import ledger_of
from autotune.study.storage import open_storage, study_names
from autotune.study.strategies import PRUNERS, find_sampler
from autotune.study.study import TuningStudy


def test_memory_paths_urls_and_storages(tmp_path: Path) -> None:
    assert isinstance(open_storage(None), optuna.storages.InMemoryStorage)
    own = optuna.storages.InMemoryStorage()
    assert open_storage(own) is own
    for number, storage in enumerate((tmp_path / "0.db", str(tmp_path / "1.db"), f"sqlite:///{tmp_path}/2.db")):
        optuna.create_study(storage=open_storage(storage), study_name="here")
        assert (tmp_path / f"{number}.db").exists()
        assert optuna.study.get_all_study_names(f"sqlite:///{tmp_path}/{number}.db") == ["here"]


def test_a_relative_path_is_a_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_storage("study.db")
    assert {path.name for path in tmp_path.iterdir()} <= {"study.db", "study.db-wal", "study.db-shm"}
    assert (tmp_path / "study.db").exists()


def test_sqlite_writes_ahead_and_takes_the_lock_at_the_beginning(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "study.db")
    assert isinstance(storage, optuna.storages.RDBStorage)
    with storage.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 60_000
        with (
            closing(sqlite3.connect(tmp_path / "study.db", timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("BEGIN IMMEDIATE")
        connection.rollback()


@pytest.mark.parametrize("storage", [3, "", ["a"], True])
def test_what_is_no_storage_is_named(storage: Any) -> None:
    with pytest.raises(SettingsError, match="is no storage\n  where: storage\n  try:   a path, a database URL or None"):
        open_storage(storage)


def test_a_missing_folder_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        open_storage(tmp_path / "no" / "study.db")
    assert str(caught.value) == (
        "the folder of the SQLite file does not exist\n"
        f"  where: {tmp_path}/no/study.db\n"
        f"  try:   mkdir -p {tmp_path}/no"
    )


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("this is no database at all\n" * 100)
    with pytest.raises(StorageError, match="the storage cannot be opened: file is not a database"):
        open_storage(tmp_path / "notes.txt")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no folder that even root cannot write")
def test_a_folder_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(StorageError, match=r"the SQLite file cannot be created: .*\n  where: /proc/study.db"):
        open_storage("/proc/study.db")


def test_a_driver_that_is_not_installed_is_an_error_without_the_password() -> None:
    with pytest.raises(StorageError) as caught:
        open_storage("oracle+nosuchdriver://ann:hush@db/tuning")
    assert "hush" not in str(caught.value) and "ann:***@db/tuning" in str(caught.value)


def test_a_url_without_its_host_is_an_error_without_the_password() -> None:
    with pytest.raises(StorageError) as caught:
        open_storage("oracle://ann:hush")
    assert "hush" not in str(caught.value) and "ann:***" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:secret@db/tuning", "postgresql://ann:***@db/tuning"),
        ("postgresql://ann:sec@ret@db/tuning", "postgresql://ann:***@db/tuning"),
        ("postgresql://ann@server:secret@db/tuning", "postgresql://ann@server:***@db/tuning"),
        ("postgresql://a/nn:secret@db/tuning", "postgresql://a/nn:***@db/tuning"),
        ("postgresql://ann@db:5432/tuning", "postgresql://ann@db:5432/tuning"),
        ("postgresql://ann:s/e:c?r@db:5432/tuning", "postgresql://ann:***@db:5432/tuning"),
        ("postgresql://ann:s3cr3t", "postgresql://ann:***"),
        ("postgresql://ann:s3cr3t/tuning", "postgresql://ann:***/tuning"),
        ("postgresql://db:5432/tuning", "postgresql://db:5432/tuning"),
        ("grpc://db:5432", "grpc://db:5432"),
        ("postgresql://[::1]:5432/tuning", "postgresql://[::1]:5432/tuning"),
        ("mysql://ann@db/tuning", "mysql://ann@db/tuning"),
        ("postgresql://db/t?user=ann&password=secret&a=b", "postgresql://db/t?user=ann&password=***&a=b"),
        ("postgresql://ann@server:s3cr3t/tuning", "postgresql://ann@server:***/tuning"),
        ("postgresql://ann@[::1]:5432/tuning", "postgresql://ann@[::1]:5432/tuning"),
        ("postgresql://db:5432/t?password=s3c@ret", "postgresql://db:5432/t?password=***"),
        ("mysql://db/t?user=ann&passwd=secret", "mysql://db/t?user=ann&passwd=***"),
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("sqlite:///a:b@c.db", "sqlite:///a:b@c.db"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize("password", ["s3c@ret", "%zz@ret", "s3c@re/t", "s3c@re?t", "s3c@re:1/t"])
@pytest.mark.parametrize("scheme", ["mysql", "postgresql", "oracle+nosuchdriver"])
def test_nothing_is_shown_of_a_password_with_an_at_sign(scheme: str, password: str) -> None:
    with pytest.raises(StorageError) as caught:
        open_storage(f"{scheme}://tester:{password}@127.0.0.1:1/x")
    assert str(caught.value) == (
        "an @ stands in the password of this URL, or behind its host\n"
        f"  where: {scheme}://tester:***@127.0.0.1:1/x\n"
        "  try:   write each @ as %40, but for the one before the host"
    )


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_nor_of_one_among_the_options(scheme: str) -> None:
    with pytest.raises(StorageError, match="an @ stands in the password") as caught:
        open_storage(f"{scheme}://127.0.0.1:1/x?user=tester&password=s3c@ret")
    assert "s3c" not in str(caught.value) and "ret" not in str(caught.value)


@pytest.mark.parametrize("user", ["tester:s3c%40ret", "tes%40ter:s3cret", "tes@ter:s3cret"])
@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_other_passwords_reach_the_server_and_are_hidden(scheme: str, user: str) -> None:
    with pytest.raises(StorageError, match=r"the storage cannot be opened: .*127\.0\.0\.1") as caught:
        open_storage(f"{scheme}://{user}@127.0.0.1:1/x")
    assert "s3c" not in str(caught.value) and "ret" not in str(caught.value)


def test_names_of_studies_are_sorted(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "study.db")
    for name in ("b", "a"):
        optuna.create_study(storage=storage, study_name=name)
    assert study_names(storage) == ["a", "b"]


# ---- several processes at once ----


def join(storage: str, barrier: Any, results: Any) -> None:
    """Open a storage and a study at the same moment as others do; send what came of it, or print where it hangs."""
    faulthandler.dump_traceback_later(50, exit=True, file=sys.__stderr__)
    try:
        barrier.wait(120)
        study = opened(storage, "1")
        results.put(f"{study.optuna._study_id} {study.optuna.user_attrs[IDENTITY]}")
    except BaseException as error:
        results.put(f"{type(error).__name__}: {error}")


def joined_by_four(storage: str) -> set[str]:
    """Return what four processes say that open a storage and a study in it at once."""
    context = multiprocessing.get_context("forkserver")  # of a process without the threads of other tests
    context.set_forkserver_preload(["autotune.study.opening"])
    barrier, results = context.Barrier(4), context.Queue()
    processes = [context.Process(target=join, args=(storage, barrier, results)) for _ in range(4)]
    for process in processes:
        process.start()
    found = {results.get(timeout=120) for _ in processes}
    for process in processes:
        process.join()
    return found


def test_processes_create_one_file_and_one_study_at_once(tmp_path: Path) -> None:
    for attempt in range(3):
        assert joined_by_four(str(tmp_path / f"{attempt}.db")) == {"1 {'table': '1'}"}
        assert not (tmp_path / f"{attempt}.db.creating").exists()


def opened(storage: Any, table: str) -> TuningStudy:
    """Create or join a study of a table."""
    return open_study(
        open_storage(storage),
        "study",
        space=autotune.Space({"linear": {"C": autotune.Float(0.1, 1.0)}}),
        sampler=find_sampler("random"),
        pruner=PRUNERS["none"],
        maximize=True,
        identity={"table": table},
        seed=3,
        versions={},
    )


def while_its_creator_stands_still(monkeypatch: pytest.MonkeyPatch, then: Callable[[], Any]) -> None:
    """Have something happen when the next study is created, and not described yet."""
    create = optuna.create_study

    def creating(**words: Any) -> optuna.Study:
        monkeypatch.setattr(optuna, "create_study", create)
        study = create(**words)
        then()
        return study

    monkeypatch.setattr(optuna, "create_study", creating)
    monkeypatch.setattr("autotune.study.identity.DESCRIBED_WITHIN_SECONDS", 0.1)


@pytest.mark.parametrize("name", ["memory", "s.db", "s.journal"])
def test_a_creator_that_stands_still_joins_what_another_has_described(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = optuna.storages.InMemoryStorage() if name == "memory" else tmp_path / name
    while_its_creator_stands_still(monkeypatch, lambda: opened(storage, "2"))
    with pytest.raises(StudyMismatchError, match="another table \\(table: '2' then, '1' now\\)"):
        opened(storage, "1")
    assert opened(storage, "2").optuna.user_attrs[IDENTITY] == {"table": "2"}


def test_a_study_that_was_created_though_the_answer_was_lost_is_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose() -> None:
        raise sqlalchemy.exc.OperationalError("INSERT INTO studies", {}, Exception("the connection was lost"))

    while_its_creator_stands_still(monkeypatch, lose)
    assert opened(tmp_path / "s.db", "1").optuna.user_attrs[IDENTITY] == {"table": "1"}


# ---- servers ----


@pytest.fixture(scope="module", params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Start a server of one's own on a free port of this machine; give its URL."""
    if reason := why_no_postgres() if request.param == "postgres" else why_no_mariadb():
        pytest.skip(reason)
    with PostgresServer() if request.param == "postgres" else MariaDBServer() as running:
        yield running.url


def test_processes_make_the_tables_of_a_database_and_one_study_at_once(server: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    for attempt in range(2):
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE tuning{attempt}"))
        url = engine.url.set(database=f"tuning{attempt}").render_as_string(hide_password=False)
        assert joined_by_four(url) == {"1 {'table': '1'}"}
    engine.dispose()


def test_a_study_on_a_server(server: str) -> None:
    X = np.random.default_rng(0).normal(size=(80, 2))
    words: dict[str, Any] = {"space": "linear", "storage": server, "study_name": "shared", "random_state": 0}
    first = autotune.tune(X, X[:, 0], n_trials=3, **words)
    second = autotune.tune(X, X[:, 0], n_trials=5, n_jobs=2, **words)
    assert len(second.records) == 5
    assert second.records[:3] == first.records
    assert "not-shown" not in str(second) + repr(second)
    here = autotune.tune(X, X[:, 0], n_trials=3, **{**words, "storage": None})
    assert [record.score for record in here.records] == [record.score for record in first.records]


@contextmanager
def losing_the_connection_at(step: str, server: str) -> Iterator[list[int]]:
    """Have the server end a connection that is about to do a step, the first time; give the connections it ended."""
    killer, killed = create_engine(server, isolation_level="AUTOCOMMIT"), []

    def kill(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(step) and not killed:
            raw = connection.connection.dbapi_connection
            is_postgres = server.startswith("postgres")
            killed.append(raw.info.backend_pid if is_postgres else raw.thread_id())
            with killer.connect() as other:
                other.execute(text(f"SELECT pg_terminate_backend({killed[0]})" if is_postgres else f"KILL {killed[0]}"))

    event.listen(Engine, "before_cursor_execute", kill)
    try:
        yield killed
    finally:
        event.remove(Engine, "before_cursor_execute", kill)
        killer.dispose()


def test_a_connection_that_is_lost_while_trials_are_read_is_made_again(
    server: str, capfd: pytest.CaptureFixture[str]
) -> None:
    study = optuna.create_study(storage=open_storage(server))
    there, here = ledger_of(study, print), ledger_of(study, print)
    assert there.claim(lambda number: Proposal({}, {}), None) == 0
    with losing_the_connection_at("SELECT trial_params", server) as killed:
        assert [row.number for row in here.news()] == [0]
    said = capfd.readouterr()
    assert killed and "the connection was lost" in said.out and "Falling back" not in said.err


@pytest.mark.parametrize("hours", [-5, 5])
def test_leases_do_not_depend_on_the_time_zone_of_a_session(server: str, hours: int) -> None:
    if server.startswith("postgresql"):
        words = {"options": f"-c timezone={hours:+d}"}
    else:
        words = {"init_command": f"SET time_zone='{hours:+03d}:00'"}
    away = make_url(server).update_query_dict(words).render_as_string(hide_password=False)
    here = optuna.create_study(storage=open_storage(server))
    there = optuna.load_study(study_name=here.study_name, storage=open_storage(away))
    owner, other = ledger_of(here, print), ledger_of(there, print)
    assert owner.claim(lambda number: Proposal({}, {}), None) == 0
    row = here.trials[0]
    here._storage.set_trial_user_attr(row._trial_id, OWNER, f"not-{socket.gethostname()}/1/1")
    assert not other.adopt(0), "its lease has just begun"


@pytest.mark.parametrize("step", ["INSERT INTO studies", "SELECT studies", "INSERT INTO study_user_attributes"])
def test_a_connection_that_is_lost_before_the_search_is_made_again(step: str, server: str) -> None:
    words: dict[str, Any] = {"storage": server, "study_name": step, "n_trials": 2}
    with losing_the_connection_at(step, server) as killed:
        found = autotune.optimize(lambda params: params["x"], {"x": autotune.Float(0, 1)}, **words)
    assert killed and len(found.records) == 2


def test_a_creator_that_stands_still_on_a_server_joins_what_another_has_described(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    while_its_creator_stands_still(monkeypatch, lambda: opened(server, "2"))
    with pytest.raises(StudyMismatchError, match="another table"):
        opened(server, "1")
    assert opened(server, "2").optuna.user_attrs[IDENTITY] == {"table": "2"}


def test_a_url_that_names_no_driver_gets_one_that_is_installed(server: str) -> None:
    plain = server[: server.index("+")] + server[server.index("://") :]
    assert study_names(open_storage(plain)) == study_names(open_storage(server))


def test_a_database_without_a_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autotune.study.databases.find_spec", lambda name: None)
    with pytest.raises(StorageError, match="no driver for postgresql is installed") as caught:
        open_storage("postgresql://ann:secret@db/tuning")
    assert caught.value.hint == 'pip install "autotune-toolkit[postgresql]"'
    assert "secret" not in str(caught.value)


def test_sqlite_urls_may_name_a_driver_and_options(tmp_path: Path) -> None:
    optuna.create_study(storage=open_storage(tmp_path / "s.db"), study_name="here")
    assert study_names(open_storage(f"sqlite+pysqlite:///{tmp_path}/s.db?timeout=9")) == ["here"]
