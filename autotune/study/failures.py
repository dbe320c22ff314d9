"""How storages fail: which errors are theirs, what they say, and which of them pass by themselves."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import optuna

from autotune.errors import StorageLostError

LASTING = ("disk is full", "readonly", "read-only", "no such table", "disk I/O error", "malformed")
"""What errors that do not pass by themselves have in them."""

CONFLICTS = ("40001", "40P01", 1020, 1205, 1213)
"""What PostgreSQL and MySQL call a transaction that lost against another one: it is simply done again."""

MADE_MEANWHILE = ("42P07", "42710", "23505", 1050, 1061, 1062)
"""What they say when another process made a table, or its first row, since it was looked whether it is there."""

_UNSAID: ContextVar[bool] = ContextVar("unsaid", default=False)

DELETED = "the study was deleted while it was worked at"


class OutOfTimeError(StorageLostError):
    """A storage was away or locked when the time to wait for it was over: what could not be written is left."""


def kinds_of_failure() -> tuple[type[Exception], ...]:
    """Return the errors by which databases, files and proxies fail."""
    import sqlalchemy.exc

    grpc: Any = sys.modules.get("grpc")
    proxies = (grpc.RpcError,) if grpc else ()
    return (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError, *proxies)


def kinds_of_deletion() -> tuple[type[Exception], ...]:
    """Return the errors by which it shows that a study is gone."""
    import sqlalchemy.exc

    return (sqlalchemy.exc.NoResultFound, KeyError)


@contextmanager
def unsaid() -> Iterator[None]:
    """Have Optuna's storage not say, in SQL, that a connection is lost while this thread reads from it."""
    logging.getLogger("optuna.storages._rdb.storage").addFilter(_is_said)
    token = _UNSAID.set(True)
    try:
        yield
    finally:
        _UNSAID.reset(token)


def _is_said(record: logging.LogRecord) -> bool:
    return not _UNSAID.get()


@contextmanager
def telling_failures() -> Iterator[None]:
    """Make a StorageLostError of whatever a storage fails with; it may be used as a decorator."""
    try:
        yield
    except kinds_of_failure() as error:
        raise unusable(error) from None


def unusable(error: Exception) -> StorageLostError:
    """Return the error that ends a run."""
    import sqlalchemy.exc

    if isinstance(_database_error(error), sqlalchemy.exc.DataError | sqlalchemy.exc.IntegrityError):
        hint = "another storage, such as PostgreSQL or a SQLite file, or shorter texts and names that differ in more"
        return StorageLostError(f"this database does not take what is to be written: {reason_of(error)}", None, hint)
    hint = "all that was told is kept: run the same command again when this is mended"
    return StorageLostError(f"the storage cannot be used any more: {reason_of(error)}", None, hint)


def reason_of(error: Exception) -> str:
    """Return one line of what a storage says of its failure."""
    import sqlalchemy.exc

    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    if hasattr(error, "details"):  # a proxy's
        return str(error.details()).splitlines()[0]
    if isinstance(_database_error(error), sqlalchemy.exc.PendingRollbackError):
        return "the connection was lost"
    said = str(_driver_error(error) or error).strip() or type(error).__name__
    return said.splitlines()[0]


def may_pass(error: Exception) -> bool:
    """Return whether an error of a database may pass by itself."""
    import sqlalchemy.exc

    cause = _database_error(error)
    # the last one: Optuna asks again in a transaction whose connection is lost
    kinds = (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, sqlalchemy.exc.PendingRollbackError)
    lost = isinstance(cause, sqlalchemy.exc.DBAPIError) and cause.connection_invalidated
    passing = isinstance(cause, kinds) or lost or is_conflict(error)
    return passing and not any(words in str(cause) for words in LASTING)


def is_conflict(error: Exception) -> bool:
    """Return whether a transaction only lost against another one."""
    return not _codes(error).isdisjoint(CONFLICTS)


def is_made_meanwhile(error: Exception) -> bool:
    """Return whether tables could not be made only because another process is making them."""
    return not _codes(error).isdisjoint((*MADE_MEANWHILE, *CONFLICTS))


def _codes(error: Exception) -> set[Any]:
    """Return what the server calls the error: the state of the SQL standard, and a number of MySQL's own."""
    cause = _driver_error(error)
    states = {getattr(cause, "pgcode", None), getattr(cause, "sqlstate", None)}
    return states | {number for number in getattr(cause, "args", ())[:1] if isinstance(number, int)}


def _database_error(error: Exception) -> BaseException | None:
    """Return SQLAlchemy's error, which Optuna may have wrapped."""
    return error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error


def _driver_error(error: Exception) -> BaseException | None:
    """Return the driver's own error, which SQLAlchemy wraps."""
    return getattr(_database_error(error), "orig", None)
