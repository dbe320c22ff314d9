"""Giving failed trials another chance: their rows are open again, for whoever works at the study next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from autotune.errors import SettingsError, StorageError
from autotune.study.databases import database_of
from autotune.study.patience import briefly, waiting_briefly
from autotune.study.rows import CONFIG, OWNER, record_of

if TYPE_CHECKING:
    import optuna

OVER = [state for state in TrialState if state.is_finished()]
"""A trial that autotune did not tell is failed in any of these."""


def retry(study: optuna.Study, numbers: Sequence[int] = ()) -> list[int]:
    """Open the rows of failed trials again: same number, same parameters, no owner, nothing reached.

    Parameters
    ----------
    study : optuna.Study
        In a database: other storages cannot open a row again.
    numbers : sequence of int
        Which trials; all that failed, if empty.

    Returns
    -------
    list of int
        The trials that will run again, each once.

    Raises
    ------
    SettingsError
        When one of them did not fail.
    StorageError
        When the storage is no database.
    """
    database = database_of(study._storage)
    where = f"study {study.study_name!r}"
    if database is None:
        raise StorageError("a finished trial cannot be opened again here", where, "a SQLite file or a database server")
    rows = briefly(partial(study.get_trials, deepcopy=False))
    state_of = {record.number: record.state for record in map(record_of, rows) if record.config is not None}
    failed = [number for number, state in state_of.items() if state == "failed"]
    wrong = [number for number in numbers if number not in failed]
    if wrong:
        said = ", ".join(f"trial {number} is {state_of.get(number, 'not there')}" for number in wrong)
        listed = ", ".join(map(str, failed)) or "none has failed"
        raise SettingsError(f"only failed trials can be tried again: {said}", where, listed)
    return [number for number in sorted(set(numbers or failed)) if _reopen(database, rows[number]._trial_id)]


@waiting_briefly
def _reopen(database: optuna.storages.RDBStorage, trial_id: int) -> bool:
    """Open one row again in one transaction; False where it is not over any more, and somebody runs it."""
    from optuna.storages._rdb import models
    from sqlalchemy import select

    trials, attrs = models.TrialModel.__table__, models.TrialUserAttributeModel.__table__
    with database.engine.begin() as connection:
        opened = {"state": TrialState.RUNNING, "datetime_complete": None}
        of_this = attrs.c.trial_id == trial_id
        is_over = (trials.c.trial_id == trial_id) & trials.c.state.in_(OVER)
        if connection.execute(trials.update().where(is_over).values(opened)).rowcount != 1:
            owner = select(attrs.c.value_json).where(of_this & (attrs.c.key == OWNER))
            return connection.execute(owner).scalar_one_or_none() == json.dumps("")  # it was opened a moment ago
        connection.execute(attrs.delete().where(of_this & attrs.c.key.not_in([CONFIG, OWNER])))
        connection.execute(attrs.update().where(of_this & (attrs.c.key == OWNER)).values(value_json=json.dumps("")))
        for model in (
            models.TrialValueModel,
            models.TrialIntermediateValueModel,
            models.TrialSystemAttributeModel,
            models.TrialHeartbeatModel,
        ):
            table = model.__table__
            connection.execute(table.delete().where(table.c.trial_id == trial_id))
    return True
