"""A ledger on a database: each step is one transaction, and many rows of a trial are written at once.

It writes Optuna's own tables, so that any Optuna program reads the study; a claim takes the lock of the study's row, as
Optuna's creation of trials does. Whose trial a row is stands in its owner attribute; that the owner lives, in Optuna's
table of heartbeats, by the clock of the database.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import optuna
from optuna.distributions import distribution_to_json
from optuna.trial import FrozenTrial, TrialState

from autotune.study.databases import database_of
from autotune.study.failures import unsaid
from autotune.study.ledger import BEAT_SECONDS, LEASE_SECONDS, Ending, Ledger, PlainLedger, Proposal, Propose
from autotune.study.owner import is_dead, is_of_this_host, this_owner
from autotune.study.patience import Patience
from autotune.study.rows import OWNER
from autotune.study.sqlite_file import FileInPlace

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import ColumnElement, Connection

T = TypeVar("T")

TESTED = "5."
"""Versions of Optuna whose tables are known; with any other, the plain ledger is used."""


class SqlLedger:
    """The rows of one study in a database.

    Parameters
    ----------
    storage : RDBStorage
        The database.
    study_id : int
        Which study it is.
    say : callable
        Told a line when the database is away, and when it is back.
    """

    def __init__(self, storage: RDBStorage, study_id: int, say: Callable[[str], Any] = lambda line: None) -> None:
        from optuna.storages._rdb import models

        self._storage = storage
        self._study_id = study_id
        self._me = this_owner()
        self._patience = Patience(say)
        self._studies = models.StudyModel.__table__
        self._trials = models.TrialModel.__table__
        self._params = models.TrialParamModel.__table__
        self._attrs = models.TrialUserAttributeModel.__table__
        self._system_attrs = models.TrialSystemAttributeModel.__table__
        self._values = models.TrialValueModel.__table__
        self._rungs = models.TrialIntermediateValueModel.__table__
        self._heartbeats = models.TrialHeartbeatModel.__table__
        self._value_type = models.TrialValueModel.TrialValueType.FINITE
        self._rung_type = models.TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
        self._file = FileInPlace(storage.engine.url)
        self._held: dict[int, int] = {}
        self._open: set[int] = set()
        self._last = -1
        self._heart: threading.Thread | None = None
        self._leaving: dict[int, Mapping[int, float]] = {}

    def news(self) -> Sequence[FrozenTrial]:
        """Return the rows that are new or may have changed since the last call, by number; not those held here."""
        with unsaid():
            rows = self.patiently(lambda: self._storage._get_trials(self._study_id, None, set(self._open), self._last))
        held = set(self._held.values())
        for row in rows:
            self._last = max(self._last, row._trial_id)
            (self._open.discard if row.state.is_finished() else self._open.add)(row._trial_id)
        return sorted((row for row in rows if row._trial_id not in held), key=lambda row: row.number)

    def claim(self, propose: Propose, limit: int | None) -> int | None:
        """Create a RUNNING row in one transaction, with its number, parameters and owner."""
        while True:
            number = self.patiently(self._count)
            if limit is not None and number >= limit:
                return None
            proposal = propose(number)
            if proposal is None:
                self.patiently(self._check_study)
                continue
            self._file.check()
            trial_id = self.patiently(partial(self._insert, number, proposal))
            if trial_id is not None:
                self._hold(number, trial_id)
                self._last = max(self._last, trial_id)
                return number

    def describe(self, number: int, proposal: Proposal) -> None:
        """Write the parameters of a row that its owner left without."""
        trial_id = self._held[number]

        def write() -> None:
            with self._storage.engine.begin() as connection:
                self._add_proposal(connection, trial_id, proposal)

        self.patiently(write)

    def adopt(self, number: int) -> bool:
        """Take over a row whose owner is dead, has given it back, or has not been heard of for the time of a lease."""

        def take() -> int | None:
            with self._storage.engine.begin() as connection:
                trial_id = self._id_of(connection, number)
                state, owner = self._look(connection, trial_id)
                if state != TrialState.RUNNING or owner is None or not self._is_gone(connection, trial_id, owner):
                    return None
                self._set_owner(connection, trial_id, self._me)
                self._beat(connection, [trial_id])
                return trial_id

        trial_id = self.patiently(take)
        if trial_id is None:
            return False
        self._hold(number, trial_id)
        self._open.discard(trial_id)
        return True

    def reach(self, number: int, rungs: Mapping[int, float]) -> bool:
        """Write what is not written yet, as long as the row is held here."""
        trial_id = self._held[number]

        def write() -> None:
            with self._storage.engine.begin() as connection:
                if self._look(connection, trial_id) == (TrialState.RUNNING, self._me):
                    self._add_rungs(connection, trial_id, rungs)

        return self._patience.once(write)

    def note(self, number: int, attrs: Mapping[str, Any]) -> None:
        """Write user attributes of a trial, as long as the row is held here."""
        trial_id = self._held[number]
        known = (self._attrs.c.trial_id == trial_id) & self._attrs.c.key.in_(list(attrs))

        def write() -> None:
            with self._storage.engine.begin() as connection:
                if self._look(connection, trial_id) == (TrialState.RUNNING, self._me):
                    connection.execute(self._attrs.delete().where(known))
                    self._add_attrs(connection, self._attrs, trial_id, attrs)

        self.patiently(write)

    def finish(self, number: int, ending: Ending) -> bool:
        """End a trial in one transaction: still RUNNING, still held here, or nothing is written."""
        trial_id = self._held[number]

        def end() -> bool:
            self._file.check()
            with self._storage.engine.begin() as connection:
                state, owner = self._look(connection, trial_id)
                if owner != self._me:
                    return False
                if state == TrialState.RUNNING:  # or else this very ending came through, and its answer did not
                    self._write_ending(connection, trial_id, ending)
                return True

        kept = self.patiently(end)
        del self._held[number]
        if not kept:
            self._open.add(trial_id)
        return kept

    def give_back(self, number: int, rungs: Mapping[int, float]) -> None:
        """Write what was reached and blank the owner; while the database is away, whatever beats tries again."""
        trial_id = self._held.pop(number)
        self._open.add(trial_id)
        self._leaving[trial_id] = rungs
        self.patiently(self._leave)

    def _leave(self) -> None:
        """Blank the owner of the rows that were given back, as long as it is this process."""
        for trial_id, rungs in list(self._leaving.items()):
            with self._storage.engine.begin() as connection:
                if self._look(connection, trial_id) == (TrialState.RUNNING, self._me):
                    self._add_rungs(connection, trial_id, rungs)
                    self._set_owner(connection, trial_id, "")
            self._leaving.pop(trial_id, None)

    def _count(self, connection: Connection | None = None) -> int:
        """Return the number of the next row."""
        from sqlalchemy import func, select

        if connection is None:
            with self._storage.engine.connect() as connection:
                return self._count(connection)
        last = select(func.max(self._trials.c.number)).where(self._trials.c.study_id == self._study_id)
        number = connection.execute(last).scalar_one()
        return 0 if number is None else int(number) + 1

    def _check_study(self) -> None:
        """See that the study is still there."""
        with self._storage.engine.begin() as connection:
            self._lock_study(connection)

    def _lock_study(self, connection: Connection) -> None:
        """Take the lock of the study's row until the transaction ends; it must be there."""
        from sqlalchemy import select

        study = select(self._studies.c.study_id).where(self._studies.c.study_id == self._study_id)
        connection.execute(study.with_for_update()).one()

    def _insert(self, number: int, proposal: Proposal) -> int | None:

        with self._storage.engine.begin() as connection:
            self._lock_study(connection)
            n_rows = self._count(connection)
            if n_rows != number:
                return self._mine_already(connection, number) if n_rows > number else None
            row = {
                "study_id": self._study_id,
                "number": number,
                "state": TrialState.RUNNING,
                "datetime_start": _now(),
            }
            key = connection.execute(self._trials.insert(), row).inserted_primary_key
            assert key is not None
            trial_id = int(key[0])
            self._add_proposal(connection, trial_id, proposal)
            self._add_attrs(connection, self._attrs, trial_id, {OWNER: self._me})
            self._beat(connection, [trial_id])
            return trial_id

    def _mine_already(self, connection: Connection, number: int) -> int | None:
        """Return the row of a claim that came through although its answer did not."""
        trial_id = self._id_of(connection, number)
        unknown = trial_id not in self._held.values() and trial_id > self._last
        return trial_id if unknown and self._look(connection, trial_id)[1] == self._me else None

    def _add_proposal(self, connection: Connection, trial_id: int, proposal: Proposal) -> None:
        params = [
            {
                "trial_id": trial_id,
                "param_name": path,
                "param_value": distribution.to_internal_repr(value),
                "distribution_json": distribution_to_json(distribution),
            }
            for path, (value, distribution) in proposal.params.items()
        ]
        if params:
            connection.execute(self._params.insert(), params)
        self._add_attrs(connection, self._attrs, trial_id, proposal.attrs)
        self._add_attrs(connection, self._system_attrs, trial_id, proposal.system_attrs)

    def _add_attrs(self, connection: Connection, table: Any, trial_id: int, attrs: Mapping[str, Any]) -> None:
        rows = [{"trial_id": trial_id, "key": key, "value_json": json.dumps(attr)} for key, attr in attrs.items()]
        if rows:
            connection.execute(table.insert(), rows)

    def _add_rungs(self, connection: Connection, trial_id: int, rungs: Mapping[int, float]) -> None:
        from sqlalchemy import select

        if not rungs:
            return
        steps = select(self._rungs.c.step).where(self._rungs.c.trial_id == trial_id)
        written = set(connection.execute(steps).scalars())
        rows = [
            {
                "trial_id": trial_id,
                "step": rung,
                "intermediate_value": score,
                "intermediate_value_type": self._rung_type,
            }
            for rung, score in rungs.items()
            if rung not in written
        ]
        if rows:
            connection.execute(self._rungs.insert(), rows)

    def _write_ending(self, connection: Connection, trial_id: int, ending: Ending) -> None:
        self._add_rungs(connection, trial_id, ending.rungs)
        if ending.value is not None:
            value = {"trial_id": trial_id, "objective": 0, "value": ending.value, "value_type": self._value_type}
            connection.execute(self._values.insert(), value)
        self._add_attrs(connection, self._attrs, trial_id, ending.attrs)
        self._add_attrs(connection, self._system_attrs, trial_id, ending.system_attrs)
        over = {"state": ending.state, "datetime_complete": _now()}
        connection.execute(self._trials.update().where(self._trials.c.trial_id == trial_id).values(over))

    def _id_of(self, connection: Connection, number: int) -> int:
        from sqlalchemy import select

        row = select(self._trials.c.trial_id).where(
            self._trials.c.study_id == self._study_id, self._trials.c.number == number
        )
        return int(connection.execute(row).scalar_one())

    def _look(self, connection: Connection, trial_id: int) -> tuple[TrialState, str | None]:
        """Return state and owner of a row, and hold its lock until the transaction ends."""
        from sqlalchemy import select

        trial = select(self._trials.c.state).where(self._trials.c.trial_id == trial_id).with_for_update()
        state = connection.execute(trial).scalar_one()
        attr = select(self._attrs.c.value_json).where(self._attrs.c.trial_id == trial_id, self._attrs.c.key == OWNER)
        owner = connection.execute(attr).scalar_one_or_none()
        return state, None if owner is None else json.loads(owner)

    def _set_owner(self, connection: Connection, trial_id: int, owner: str) -> None:
        row = (self._attrs.c.trial_id == trial_id) & (self._attrs.c.key == OWNER)
        connection.execute(self._attrs.update().where(row).values(value_json=json.dumps(owner)))

    def _is_gone(self, connection: Connection, trial_id: int, owner: str) -> bool:
        from sqlalchemy import select

        if is_dead(owner):
            return True
        if is_of_this_host(owner):
            return False
        beat = select(self._heartbeats.c.heartbeat, _clock(connection)).where(self._heartbeats.c.trial_id == trial_id)
        found = connection.execute(beat).one_or_none()
        if found is None:
            return False
        heard, now = found
        return bool((now - heard).total_seconds() > LEASE_SECONDS)

    def _beat(self, connection: Connection, trial_ids: Sequence[int]) -> None:
        if not trial_ids:
            return
        now = _clock(connection)
        of_these = self._heartbeats.c.trial_id.in_(trial_ids)
        beaten = connection.execute(self._heartbeats.update().where(of_these).values(heartbeat=now)).rowcount
        if beaten < len(trial_ids):
            rows = [{"trial_id": trial_id} for trial_id in trial_ids]
            connection.execute(self._heartbeats.insert().values(heartbeat=now), rows)

    def _hold(self, number: int, trial_id: int) -> None:
        self._held[number] = trial_id
        if self._heart is None or not self._heart.is_alive():
            self._heart = threading.Thread(target=self._keep_beating, daemon=True)
            self._heart.start()

    def _keep_beating(self) -> None:
        """Say every so often that the owner of the held rows lives; ends when none is held or to be given back."""
        import sqlalchemy.exc

        while True:
            time.sleep(BEAT_SECONDS)
            if not (self._held or self._leaving):
                return
            with suppress(sqlalchemy.exc.SQLAlchemyError):
                self._leave()
                with self._storage.engine.begin() as connection:
                    self._beat(connection, list(self._held.values()))

    def patiently(self, step: Callable[[], T]) -> T:
        """Do a step, and again after a while as long as the database is away: each step can be done twice."""
        return self._patience.do(step)

    def wait_until(self, end: float) -> None:
        """Wait for a database that is away until then, on the clock of `time.time`."""
        self._patience.until = end


def _clock(connection: Connection) -> ColumnElement[datetime]:
    """Return the database's own time in UTC, whatever the time zone of the session: leases are told by it."""
    from sqlalchemy import func

    match connection.dialect.name:
        case "postgresql":
            return func.timezone("UTC", func.now())
        case "mysql" | "mariadb":
            return func.utc_timestamp()
    return func.now()  # SQLite knows no other time


def _now() -> datetime:
    """Return the time as Optuna's tables hold it: UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None)


def ledger_of(study: optuna.Study, say: Callable[[str], Any]) -> Ledger:
    """Return the ledger of a study: one of transactions where its storage is a database that was opened here."""
    database = database_of(study._storage)
    if database is not None and optuna.__version__.startswith(TESTED):
        return SqlLedger(database, study._study_id, say)
    return PlainLedger(study._storage, study._study_id, say)
