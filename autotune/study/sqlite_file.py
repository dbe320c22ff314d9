"""Studies in SQLite files: what may be opened as one, and how processes share it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.storages import RDBStorage

from autotune.errors import StorageError, StorageLostError
from autotune.study.databases import OPENED, connect
from autotune.study.file_systems import network_file_system

if TYPE_CHECKING:
    import sqlalchemy

BUSY_SECONDS = ContextVar("busy_seconds", default=60.0)
"""How long a transaction that is begun waits for another one's."""


def open_sqlite(storage: str, *, reading: bool) -> RDBStorage:
    """Open a SQLite file with a write-ahead log and immediate transactions, so that processes can share it.

    Parameters
    ----------
    storage : str
        Its URL, or its path.
    reading : bool
        Whether a file that cannot be written will do, and none is to be made.

    Raises
    ------
    StorageError
        When the path is no place for a study, when the file is none, or is another program's.
    """
    path = sqlite_path(storage)
    assert path is not None
    url = storage if "://" in storage else _url_of(path)
    check_place(path, "SQLite file")
    kind = network_file_system(path)
    if kind is not None:
        raise StorageError(
            f"the SQLite file would be on a network file system ({kind}), where its locks do not hold",
            str(path),
            f"storage={str(path.with_suffix('.journal'))!r}, a journal file, or a database server's URL",
        )
    has_tables = _has_tables(path)
    if not _can_be_written(path):
        if reading and has_tables:
            return connect(_uri_url(_to_be_read(path)), {}, has_tables=True)
        locked = path if os.access(path.parent, os.W_OK) else path.parent
        raise StorageError("the SQLite file cannot be written", str(path), f"chmod u+w {locked}, or another file")
    if not has_tables:
        _create_tables(url, path)
    opened = connect(url, {"connect_args": {"timeout": BUSY_SECONDS.get()}}, has_tables=True)
    _use_immediate_transactions(opened.engine)
    OPENED.add(opened)
    return opened


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


def _url_of(path: Path) -> str:
    """Return the URL of a path, where a question mark or a percent sign is one."""
    return _uri_url(path.absolute().as_uri()) if set("?%") & set(str(path)) else f"sqlite:///{path}"


def _uri_url(uri: str) -> str:
    """Return the URL of a file that SQLite is to open by its URI."""
    from sqlalchemy import URL

    database, _, query = uri.partition("?")
    words = dict(word.split("=") for word in query.split("&") if word)
    return URL.create("sqlite", database=database, query={**words, "uri": "true"}).render_as_string()


def check_place(path: Path, kind: str) -> None:
    """Raise a StorageError where no file can be."""
    if path.is_dir():
        raise StorageError(f"the path of the {kind} is a folder", str(path), f"a file in it: {path / 'study.db'}")
    if path.parent.exists() and not path.parent.is_dir():
        raise StorageError(f"the folder of the {kind} is a file", str(path), "another path")
    if not path.parent.exists():
        raise StorageError(f"the folder of the {kind} does not exist", str(path), f"mkdir -p {path.parent}")


def _has_tables(path: Path) -> bool:
    """Return whether a file holds studies; one that holds something else is refused, and left as it is."""
    if not path.exists() or not path.stat().st_size or _lock_of(path).exists():  # the lock is there until all is made
        return False
    try:
        with closing(sqlite3.connect(_to_be_read(path), uri=True, timeout=BUSY_SECONDS.get())) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            tables = [name for (name,) in rows if not name.startswith("sqlite_")]
            columns = [row[1] for row in connection.execute("PRAGMA table_info(studies)")]
            made = "alembic_version" in tables and connection.execute("SELECT * FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        hint = "check that it is a study database and that it can be read, or name another file"
        raise StorageError(f"the storage cannot be opened: {error}", str(path), hint) from None
    if tables and not {"study_id", "study_name"} <= set(columns):
        listed = ", ".join(map(repr, tables[:3])) + (f" and {len(tables) - 3} more" if len(tables) > 3 else "")
        problem = f"the SQLite file belongs to another program: it holds the tables {listed}"
        raise StorageError(problem, str(path), f"a file of its own: {path.with_name('autotune.db')}")
    return bool(made)


def _can_be_written(path: Path) -> bool:
    """Return whether the file, and the log that SQLite keeps beside it, can be written."""
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def _to_be_read(path: Path) -> str:
    """Return how SQLite opens a file only to read; one in a folder that cannot be written stays as it is."""
    log = path.with_name(path.name + "-wal")
    frozen = not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
    return f"{path.absolute().as_uri()}?mode=ro" + ("&immutable=1" if frozen else "")


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".creating")


def _create_tables(url: str, path: Path) -> None:
    """Create the schema in one process at a time: a lock beside the file decides who does it."""
    lock = _lock_of(path)
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
        connect(url, {"connect_args": {"timeout": BUSY_SECONDS.get()}}).engine.dispose()
    lock.unlink(missing_ok=True)


def _use_immediate_transactions(engine: sqlalchemy.Engine) -> None:
    """Take SQLite's write lock when a transaction begins: without it two processes can claim one trial."""
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in (_busy_timeout(), "journal_mode=WAL", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql(f"PRAGMA {_busy_timeout()}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()


def _busy_timeout() -> str:
    return f"busy_timeout={int(1000 * BUSY_SECONDS.get())}"


class FileInPlace:
    """A SQLite file that is to stay where it is: one that is moved or removed takes in what is written, and is lost.

    Parameters
    ----------
    url : sqlalchemy.URL
        The database; of others than SQLite nothing is checked.
    """

    def __init__(self, url: sqlalchemy.URL) -> None:
        self._path = url.database if url.get_backend_name() == "sqlite" else None
        self._found = self._look()

    def check(self) -> None:
        """Raise a StorageLostError when the file is not there any more, or another one is."""
        if self._look() != self._found:
            hint = "put it back, with its -wal file, and run the same command again"
            raise StorageLostError("the SQLite file was moved or removed while it was worked at", self._path, hint)

    def _look(self) -> tuple[int, int] | None:
        if not self._path:
            return None
        try:
            found = Path(self._path).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino
