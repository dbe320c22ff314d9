"""Where studies live: memory, a SQLite file, or any database that Optuna reads."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage

from autotune.errors import SettingsError, StorageError

if TYPE_CHECKING:
    import sqlalchemy

BUSY_SECONDS = 60
"""How long a process waits for another one's transaction on a SQLite file."""


def open_storage(storage: Any) -> BaseStorage:
    """Open a storage.

    Parameters
    ----------
    storage : None, str, Path or optuna.storages.BaseStorage
        None is memory; a text with ``://`` is a database URL; any other text is the path of a SQLite file.

    Returns
    -------
    optuna.storages.BaseStorage
        SQLite is opened with a write-ahead log and immediate transactions, so that processes can share the file.

    Raises
    ------
    StorageError
        When it cannot be opened; a password in the URL is never shown.

    Examples
    --------
    >>> type(open_storage(None)).__name__
    'InMemoryStorage'
    """
    match storage:
        case None:
            return InMemoryStorage()
        case BaseStorage():
            return storage
        case "sqlite://" | "sqlite:///:memory:" | ":memory:":
            raise SettingsError(f"storage={storage!r} would be lost with its connection", "storage", "None for memory")
        case str() if "://" in storage:
            url = storage
        case str() | Path() if str(storage):
            url = f"sqlite:///{storage}"
        case _:
            raise SettingsError(f"storage={storage!r} is no storage", "storage", "a path, a database URL or None")
    return _open_sqlite(url) if url.startswith("sqlite") else _open_database(url)


def redact(url: str) -> str:
    """Return the URL with its password hidden.

    Examples
    --------
    >>> redact("postgresql://ann:secret@db/tuning")
    'postgresql://ann:***@db/tuning'
    """
    hidden = re.sub(r"(://[^:/@]*:).*@", r"\1***@", url)  # up to the last @: a password may hold one
    return re.sub(r"([?&]password=)[^&\s]*", r"\1***", hidden)


def sqlite_path(url: str) -> Path | None:
    """Return the file of a SQLite URL or of a plain path; None for other databases.

    Examples
    --------
    >>> sqlite_path("study.db") == sqlite_path("sqlite:///study.db") == sqlite_path("sqlite+pysqlite:///study.db?timeout=9")
    True
    """
    if "://" not in url:
        return Path(url)
    if not url.startswith("sqlite"):
        return None
    return Path(url.partition(":///")[2].partition("?")[0])


def _open_sqlite(url: str) -> RDBStorage:
    path = sqlite_path(url)
    assert path is not None
    if not path.parent.exists():
        raise StorageError("the folder of the SQLite file does not exist", str(path), f"mkdir -p {path.parent}")
    _create_tables(url, path)
    storage = _connect(url, {"connect_args": {"timeout": BUSY_SECONDS}})
    _use_immediate_transactions(storage.engine)
    _OPENED.add(storage)
    return storage


def _open_database(url: str) -> RDBStorage:
    return _connect(_with_driver(url), {"pool_pre_ping": True, "pool_size": 2})


DRIVERS = {
    "postgresql": (("psycopg2", "psycopg"), 'pip install "autotune-toolkit[postgresql]"'),
    "mysql": (("pymysql", "MySQLdb"), "pip install pymysql"),
    "mariadb": (("pymysql", "MySQLdb"), "pip install pymysql"),
}
"""What reaches a kind of database: modules, the first that is installed is taken, and what installs the first."""


def _with_driver(url: str) -> str:
    """Return the URL with a driver that is installed, where it names none."""
    scheme, separator, rest = url.partition("://")
    if scheme == "postgres":
        scheme = "postgresql"
    if scheme not in DRIVERS:
        return url
    modules, install = DRIVERS[scheme]
    driver = next((module for module in modules if find_spec(module)), None)
    if driver is None:
        raise StorageError(f"no driver for {scheme} is installed", redact(url), install)
    return f"{scheme}+{ {'MySQLdb': 'mysqldb'}.get(driver, driver) }{separator}{rest}"


def _connect(url: str, engine_words: dict[str, Any]) -> RDBStorage:
    import sqlalchemy.exc

    try:
        return RDBStorage(url, engine_kwargs=engine_words)
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, ValueError, RuntimeError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise StorageError(
            f"the storage cannot be opened: {redact(reason)}",
            redact(url),
            "check that the path or URL is right, that it is a study database and that it can be written",
        ) from None


def _create_tables(url: str, path: Path) -> None:
    """Create the schema in one process at a time: a lock beside the file decides who does it."""
    lock = path.with_name(path.name + ".creating")
    if path.exists() and not lock.exists():  # in this order: the lock is there until the file is complete
        return
    try:
        handle = lock.open("a")
    except OSError as error:
        raise StorageError(f"the SQLite file cannot be created: {error.strerror}", str(path)) from None
    with handle:
        try:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        except ImportError:  # Windows has no flock: the first process to come creates the tables
            pass
        _connect(url, {"connect_args": {"timeout": BUSY_SECONDS}}).engine.dispose()
    lock.unlink(missing_ok=True)


def _use_immediate_transactions(engine: sqlalchemy.Engine) -> None:
    """Take SQLite's write lock when a transaction begins: without it two processes can claim one trial."""
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={BUSY_SECONDS * 1000}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()


def study_names(storage: BaseStorage) -> list[str]:
    """Return the names of the studies in a storage, in alphabetical order."""
    return sorted(optuna.study.get_all_study_names(storage))


def database_of(storage: BaseStorage) -> RDBStorage | None:
    """Return the database behind a storage, where each transaction of it is safe among processes.

    A SQLite file is, if it was opened here: as Optuna opens it, two processes can claim one trial.
    """
    backend = getattr(storage, "_backend", storage)  # Optuna wraps databases in a cache
    if not isinstance(backend, RDBStorage):
        return None
    return backend if backend.engine.dialect.name != "sqlite" or backend in _OPENED else None


_OPENED: WeakSet[RDBStorage] = WeakSet()
"""SQLite storages that were opened here."""
