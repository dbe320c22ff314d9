"""What is done with a whole study in a database: each in one transaction, which holds the lock of the study's row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import Connection

AT_ONCE = 500
"""Trials whose rows are deleted by one statement."""


def describe_rows(database: RDBStorage, study_id: int, attrs: Mapping[str, Any], unless: str) -> None:
    """Write user attributes of a study, unless it has the one of that name."""
    from optuna.storages._rdb.models import StudyUserAttributeModel
    from sqlalchemy import select

    table = StudyUserAttributeModel.__table__
    of_study = table.c.study_id == study_id
    with _alone(database, study_id) as connection:
        if unless in connection.execute(select(table.c.key).where(of_study)).scalars().all():
            return
        connection.execute(table.delete().where(of_study & table.c.key.in_(list(attrs))))
        rows = [{"study_id": study_id, "key": key, "value_json": json.dumps(attr)} for key, attr in attrs.items()]
        connection.execute(table.insert(), rows)


def delete_rows(database: RDBStorage, study_id: int) -> None:
    """Delete a study and all that belongs to it, while nobody can add to it."""
    from optuna.storages._rdb.models import BaseModel, TrialModel
    from sqlalchemy import select

    trials = TrialModel.__table__
    with _alone(database, study_id) as connection:
        locked = select(trials.c.trial_id).where(trials.c.study_id == study_id).with_for_update()
        trial_ids = connection.execute(locked).scalars().all()
        for table in reversed(BaseModel.metadata.sorted_tables):
            if "study_id" in table.c:
                connection.execute(table.delete().where(table.c.study_id == study_id))
            elif "trial_id" in table.c:
                for first in range(0, len(trial_ids), AT_ONCE):
                    some = trial_ids[first : first + AT_ONCE]
                    connection.execute(table.delete().where(table.c.trial_id.in_(some)))


@contextmanager
def _alone(database: RDBStorage, study_id: int) -> Iterator[Connection]:
    """Begin a transaction that holds the lock of a study's row; a KeyError where there is none, as Optuna raises it."""
    from optuna.storages._rdb.models import StudyModel
    from sqlalchemy import select

    studies = StudyModel.__table__
    with database.engine.begin() as connection:
        row = select(studies.c.study_id).where(studies.c.study_id == study_id).with_for_update()
        if connection.execute(row).one_or_none() is None:
            raise KeyError(study_id)
        yield connection
