"""Creating and joining studies, and reading them without the question that they were made for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import BaseStorage

from autotune.errors import StorageError, StudyError, StudyMismatchError
from autotune.registry import unknown_name
from autotune.spaces.space import Config, Space
from autotune.study.databases import database_of
from autotune.study.identity import (
    IDENTITY,
    IMPORTER,
    SEED,
    VERSIONS,
    check_identity,
    describe,
    was_left_bare,
)
from autotune.study.mirror import quiet_optuna
from autotune.study.owner import is_dead, is_of_this_host, is_this_process
from autotune.study.patience import briefly, waiting_briefly
from autotune.study.records import ranked
from autotune.study.rows import ORIGIN, OWNER, record_of, records_of
from autotune.study.sql_studies import delete_rows
from autotune.study.storage import tell_repairs
from autotune.study.strategies import Pruner
from autotune.study.study import TuningStudy

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

DELETED_WITHIN_SECONDS = 10.0
"""How long it is tried to delete a study to which others write."""


def open_study(
    storage: BaseStorage,
    name: str,
    *,
    space: Space,
    sampler: Callable[[int], BaseSampler],
    pruner: Pruner,
    maximize: bool,
    identity: Mapping[str, str],
    seed: int,
    versions: Mapping[str, str],
    setup: Mapping[str, Any] | None = None,
    accepts: Callable[[Config], bool] = lambda config: True,
    say: Callable[[str], Any] = lambda line: None,
    batch: int | None = None,
) -> TuningStudy:
    """Create a study, or join the one of that name if it was made for the same question.

    Parameters
    ----------
    storage : optuna.storages.BaseStorage
        Where it lives.
    name : str
        The study's name.
    space, sampler, pruner, seed, accepts, say, batch
        As for `TuningStudy`.
    maximize : bool
        Whether larger scores are better.
    identity : mapping of str to str
        The parts of the fingerprint: what the study was made for.
    versions : mapping of str to str
        Versions of the packages; recorded at creation.
    setup : mapping, optional
        What others need to join it, as plain values; recorded at creation.

    Raises
    ------
    StudyMismatchError
        When the study was made for something else; the parts that differ are named.
    """
    tell_repairs(storage, say)
    describing = partial(describe, identity=identity, seed=seed, versions=versions, setup=setup)

    def opened() -> TuningStudy:
        with quiet_optuna():
            study = _created_or_joined(storage, name, maximize, describing)
        check_identity(study, identity, seed)
        return TuningStudy(study, space, sampler, pruner, seed, accepts, say, batch)

    return briefly(opened, say)


def _created_or_joined(
    storage: BaseStorage, name: str, maximize: bool, describing: Callable[[optuna.Study], None]
) -> optuna.Study:
    """Return the study of that name, which is described."""
    try:
        study = optuna.create_study(storage=storage, study_name=name, direction="maximize" if maximize else "minimize")
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=name)
        stored = storage.get_study_name_from_id(study._study_id)
        if stored != name:  # MySQL takes upper and lower case for the same
            problem = f"this database takes the name {name!r} for that of the study {stored!r}"
            raise StudyMismatchError(problem, "study_name", f"{stored!r}, or another one") from None
        if len(study.directions) > 1:
            raise StudyMismatchError(
                "the study has several objectives", f"study {name!r}", "another study_name"
            ) from None
        if not was_left_bare(study, maximize):
            return study
    describing(study)
    return study


@waiting_briefly
def stored_seed(storage: BaseStorage, name: str) -> int | None:
    """Return the seed of a study, or None when there is no such study."""
    if name not in optuna.study.get_all_study_names(storage):
        return None
    seed = optuna.load_study(storage=storage, study_name=name).user_attrs.get(SEED)
    return None if seed is None else int(seed)


@waiting_briefly
def load_study(storage: BaseStorage, name: str) -> optuna.Study:
    """Return a study as it stands, to be read.

    Raises
    ------
    UnknownNameError
        When the storage holds no such study.
    """
    names = optuna.study.get_all_study_names(storage)
    if name not in names:
        raise unknown_name("study in this storage", name, names)
    study = optuna.load_study(storage=storage, study_name=name)
    if len(study.directions) > 1:
        raise StudyError("the study has several objectives", f"study {name!r}", "another study_name")
    return study


@waiting_briefly
def summary(study: optuna.Study) -> dict[str, Any]:
    """Return how a study stands, as plain values: its name, metric, trials by state, and its best score."""
    maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
    records = ranked(records_of(study), maximize=maximize)
    best = records[0] if records and records[0].state == "complete" else None
    identity = study.user_attrs.get(IDENTITY, {})
    return {
        "study_name": study.study_name,
        "metric": identity.get("metric", "score").partition(" ")[0],
        "maximize": maximize,
        "trials": dict(Counter(record.state for record in records)),
        "best_trial": None if best is None else best.number,
        "best_score": None if best is None else best.score,
        "identity": dict(identity),
        "versions": study.user_attrs.get(VERSIONS, {}),
        "is_half_imported": bool(study.user_attrs.get(IMPORTER)),
    }


@waiting_briefly
def summaries(storage: BaseStorage) -> list[dict[str, Any]]:
    """Return how each study of a storage stands, by name; those with several objectives are left out."""
    names = sorted(optuna.study.get_all_study_names(storage))
    found = (optuna.load_study(storage=storage, study_name=name) for name in names)
    return [summary(study) for study in found if len(study.directions) == 1]


@waiting_briefly
def running_trials(study: optuna.Study) -> list[dict[str, Any]]:
    """Return who runs what: number, owner, for how many seconds, and the last rung that was written."""
    running = []
    for row in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        rung, score = max(row.intermediate_values.items(), default=(None, None))
        started = row.datetime_start or datetime.now()
        owner = row.user_attrs.get(OWNER)
        running.append(
            {
                "number": row.number,
                "owner": {None: "another program", "": "nobody: it was given back"}.get(owner, owner),
                "is_alive": bool(owner) and not is_dead(owner),
                "seconds": (datetime.now() - started).total_seconds(),
                "rung": rung,
                "score": score,
            }
        )
    return running


@waiting_briefly
def finished_by_this_process(study: optuna.Study) -> Counter[str]:
    """Count the trials that this process has finished, by state."""
    rows = study.get_trials(deepcopy=False)
    here = [row for row in rows if row.state.is_finished() and is_this_process(row.user_attrs.get(OWNER, ""))]
    return Counter(record_of(row).state for row in here)


@waiting_briefly
def seed_of_study(study: optuna.Study) -> int:
    """Return the seed that a study was made with."""
    return int(study.user_attrs[SEED])


@waiting_briefly
def is_of_this_place(study: optuna.Study, number: int, versions: Mapping[str, str]) -> bool:
    """Return whether a trial was run on this host, and the study was made with these versions of the packages."""
    attrs = study.get_trials(deepcopy=False)[number].user_attrs
    owner = attrs.get(ORIGIN, {}).get("owner", attrs.get(OWNER, ""))
    return is_of_this_host(owner) and study.user_attrs.get(VERSIONS, {}) == dict(versions)


@waiting_briefly
def delete_study(study: optuna.Study) -> None:
    """Delete a study with all its rows.

    Raises
    ------
    StorageError
        When others write to it faster than it can be deleted.
    """
    storage, until = study._storage, time.monotonic() + DELETED_WITHIN_SECONDS
    database = database_of(storage)
    with suppress(KeyError):  # it is gone
        if database is not None:
            delete_rows(database, study._study_id)
            return
        while time.monotonic() < until:
            storage.delete_study(study._study_id)
            storage.get_study_name_from_id(study._study_id)  # Optuna passes over rows that are written meanwhile
            time.sleep(0.1)
        hint = "tune stop, and tune delete when those who work at it have ended"
        raise StorageError("others write to the study faster than it is deleted", f"study {study.study_name!r}", hint)
