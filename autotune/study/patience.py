"""Waiting for a database that is away or locked: as long as there is time, and no longer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from autotune.errors import StorageError
from autotune.study.failures import (
    DELETED,
    OutOfTimeError,
    is_conflict,
    kinds_of_deletion,
    kinds_of_failure,
    may_pass,
    reason_of,
    unusable,
)
from autotune.study.sqlite_file import BUSY_SECONDS

T = TypeVar("T")
P = ParamSpec("P")

OUTAGE_SECONDS = 600.0
"""How long a database may be away before the run ends."""

COMMAND_SECONDS = 10.0
"""How long what is done before a search, or by a command, is tried again: nobody is told that it waits."""

LEAST_SECONDS = 1.0
"""How long a step is tried in any case: what is told at the very deadline may have to wait for others."""

BRIEFLY = 2.0, 0.2
"""How long SQLite itself waits for another one's transaction, at most: while there is time, and when there is none."""


class Patience:
    """Does steps of a database that can be done twice, again and again while it is away.

    Parameters
    ----------
    say : callable
        Told a line when the database is away, and when it is back.
    until : float
        When waiting ends, unless that is set later.

    Attributes
    ----------
    until : float
        On the clock of `time.time`: when waiting ends; minus infinity where each step is tried once.
    """

    def __init__(self, say: Callable[[str], Any], until: float = math.inf) -> None:
        self.until = until
        self._say = say
        self._is_lost = False

    def do(self, step: Callable[[], T]) -> T:
        """Do a step, and again after a while as long as the database is away.

        Raises
        ------
        OutOfTimeError
            When it still is when waiting ends.
        StorageLostError
            When it fails for good.
        """
        started, pause, told = time.time(), 0.1, False
        while True:
            try:
                done = self._try(step)
            except kinds_of_deletion():
                raise StorageError(DELETED) from None
            except kinds_of_failure() as error:
                self._check(error, started)
                if not (told or is_conflict(error)):
                    self._say(f"the storage is away ({reason_of(error)}); trying again for up to {self._longest()}")
                    told = True
                time.sleep(pause)
                pause = min(5.0, 2 * pause, max(0.1, self.until - time.time()))
            else:
                if told:
                    self._say("the storage is back")
                return done

    def once(self, step: Callable[[], Any]) -> bool:
        """Do a step that can be done later; return whether it was done, and not that the database is away.

        Raises
        ------
        StorageLostError
            When it fails for good.
        """
        try:
            self._try(step)
        except kinds_of_deletion():
            raise StorageError(DELETED) from None
        except kinds_of_failure() as error:
            if may_pass(error):
                return False
            self._is_lost = True
            raise unusable(error) from None
        return True

    def _try(self, step: Callable[[], T]) -> T:
        most, least = BRIEFLY
        token = BUSY_SECONDS.set(least if self._is_lost else min(most, max(least, self._left())))
        try:
            return step()
        finally:
            BUSY_SECONDS.reset(token)

    def _check(self, error: Exception, started: float) -> None:
        """Raise what ends the waiting; what is given back on the way out does not wait once more."""
        if self._is_lost or not may_pass(error) or time.time() - started > OUTAGE_SECONDS:
            self._is_lost = True
            raise unusable(error) from None
        if self._left() == -math.inf or time.time() > max(self.until, started + LEAST_SECONDS):
            self.until = -math.inf
            raise OutOfTimeError(f"the storage is still away ({reason_of(error)})") from None

    def _left(self) -> float:
        return self.until - time.time()

    def _longest(self) -> str:
        left = max(LEAST_SECONDS, self._left())
        return f"{OUTAGE_SECONDS / 60:.0f} minutes" if left > OUTAGE_SECONDS else f"{left:.0f} s"


def briefly(step: Callable[[], T], say: Callable[[str], Any] = lambda line: None) -> T:
    """Do a step that can be done twice, and again while its database is away, as long as a command may take."""
    return Patience(say, time.time() + COMMAND_SECONDS).do(step)


def waiting_briefly(step: Callable[P, T]) -> Callable[P, T]:
    """Make of a step that can be done twice one that is done `briefly`, as a decorator."""

    @wraps(step)
    def done(*args: P.args, **words: P.kwargs) -> T:
        return briefly(partial(step, *args, **words))

    return done
