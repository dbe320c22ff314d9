"""Studies in databases: drivers, connections, and Optuna's tables in them."""

from __future__ import annotations

import shlex
import time
from importlib.util import find_spec
from typing import Any
from weakref import WeakSet

from optuna.storages import BaseStorage, RDBStorage

from autotune.errors import StorageError
from autotune.study.failures import is_made_meanwhile, kinds_of_failure, reason_of
from autotune.study.passwords import check_password, redact, without_password

DRIVERS = {
    "postgresql": (("psycopg2", "psycopg"), 'pip install "autotune-toolkit[postgresql]"'),
    "mysql": (("pymysql", "MySQLdb"), 'pip install "autotune-toolkit[mysql]"'),
    "mariadb": (("pymysql", "MySQLdb"), 'pip install "autotune-toolkit[mysql]"'),
}
"""What reaches a kind of database: modules, the first that is installed is taken, and what installs the first."""

MYSQL_SESSION = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')"
"""A text that is too long is not cut."""

MAKING_SECONDS, POLL_SECONDS = 60.0, 0.2
"""How long another process is given that makes Optuna's tables at this moment, and how often they are looked at."""

OPENED: WeakSet[RDBStorage] = WeakSet()
"""Databases that were opened here."""


def open_database(url: str) -> RDBStorage:
    """Open a database on a server.

    Raises
    ------
    StorageError
        When no driver is installed, or the database cannot be opened; a password is never shown.
    """
    check_password(url)
    words: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 2}
    is_mysql = url.startswith(("mysql", "mariadb"))
    if is_mysql:  # as PostgreSQL does it: what is read after a lock is what stands there then
        words["isolation_level"] = "READ COMMITTED"
    storage = connect(_with_driver(url), words)
    if is_mysql:
        _set_mysql_sessions(storage)
    OPENED.add(storage)
    return storage


def connect(url: str, engine_words: dict[str, Any], *, has_tables: bool = False) -> RDBStorage:
    """Return Optuna's storage in a database; where it has no tables yet, they are created.

    Several processes may do so at once: who finds a table made since it was looked for looks again.

    Raises
    ------
    StorageError
        When that fails, or the tables are of another version of Optuna; a password is never shown.
    """
    template = url.replace("{", "{{").replace("}", "}}")  # Optuna fills in what stands in braces
    failures: tuple[type[Exception], ...] = (*kinds_of_failure(), ImportError, ValueError)
    latest = time.monotonic() + MAKING_SECONDS
    while True:
        try:
            return RDBStorage(template, engine_kwargs=engine_words, skip_table_creation=has_tables)
        except RuntimeError as error:
            raise _of_another_version(url, str(error)) from None
        except failures as error:
            if not is_made_meanwhile(error) or time.monotonic() > latest:
                raise StorageError(
                    f"the storage cannot be opened: {without_password(reason_of(error), url)}",
                    redact(url),
                    "check that the path or URL is right, that it is a study database and that it can be written",
                ) from None
        time.sleep(POLL_SECONDS)


def database_of(storage: BaseStorage) -> RDBStorage | None:
    """Return the database behind a storage, where each transaction of it is safe among processes.

    SQLite and MySQL are, if they were opened here: as Optuna opens them, two processes can claim one trial.
    """
    backend = getattr(storage, "_backend", storage)  # Optuna wraps databases in a cache
    if not isinstance(backend, RDBStorage):
        return None
    is_safe = backend in OPENED or backend.engine.dialect.name not in ("sqlite", "mysql", "mariadb")
    return backend if is_safe else None


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


def _set_mysql_sessions(storage: RDBStorage) -> None:
    from sqlalchemy import event

    @event.listens_for(storage.engine, "connect")
    def set_session(connection: Any, _: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(MYSQL_SESSION)

    storage.engine.dispose()


def _of_another_version(url: str, said: str) -> StorageError:
    """Return what to do about tables of another version; ``said`` is what Optuna's check of them says."""
    shown = redact(url)
    if "storage upgrade" in said:
        upgrade = shlex.join(["optuna", "storage", "upgrade", "--storage", shown])
        return StorageError("the database was made by an older Optuna, and is to be upgraded first", shown, upgrade)
    if "pip install -U optuna" in said:
        return StorageError("the database was made by a newer Optuna", shown, "pip install -U optuna")
    return StorageError(f"the storage cannot be opened: {redact(said)}", shown)
