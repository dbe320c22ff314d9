"""Where studies live: memory, a SQLite or journal file, a database, a proxy, or any storage of Optuna's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage

from autotune.errors import SettingsError
from autotune.study.databases import open_database
from autotune.study.journal import JournalStudies, journal_path, open_journal
from autotune.study.patience import waiting_briefly
from autotune.study.sqlite_file import open_sqlite, sqlite_path


def open_storage(storage: Any, *, reading: bool = False) -> BaseStorage:
    """Open a storage.

    Parameters
    ----------
    storage : None, str, Path or optuna.storages.BaseStorage
        None is memory; a path that ends with ``.journal``, or ``journal://`` and a path, a journal file;
        ``grpc://host:port`` a proxy; any other text with ``://`` a database URL, and any other path a SQLite file.
    reading : bool
        Whether a SQLite file that cannot be written will do.

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
        case str() | Path() if str(storage):
            return _open(str(storage), reading)
        case _:
            raise SettingsError(f"storage={storage!r} is no storage", "storage", "a path, a database URL or None")


def storage_file(storage: str) -> Path | None:
    """Return the file that a path or URL names; None for what is no file.

    Examples
    --------
    >>> storage_file("study.journal")
    PosixPath('study.journal')
    >>> storage_file("postgresql://db/tuning")
    """
    return journal_path(storage) or sqlite_path(storage)


def alone(storage: BaseStorage) -> AbstractContextManager[None]:
    """Return what lets no other process write to a storage, for a with statement, where it has a lock for that."""
    return storage.alone() if isinstance(storage, JournalStudies) else nullcontext()


def tell_repairs(storage: BaseStorage, say: Callable[[str], Any]) -> None:
    """Have a storage that mends itself say so."""
    if isinstance(storage, JournalStudies):
        storage.file.say = say


@waiting_briefly
def study_names(storage: BaseStorage) -> list[str]:
    """Return the names of the studies in a storage, in alphabetical order."""
    return sorted(optuna.study.get_all_study_names(storage))


def _open(storage: str, reading: bool) -> BaseStorage:
    journal = journal_path(storage)
    if journal is not None:
        return open_journal(journal)
    if storage.startswith("grpc://"):
        from autotune.study.proxy import open_proxy

        return open_proxy(storage)
    is_file = "://" not in storage or storage.startswith("sqlite")
    return open_sqlite(storage, reading=reading) if is_file else open_database(storage)
