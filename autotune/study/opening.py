"""Creating and joining studies, and reading them without the question that they were made for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import BaseStorage

from autotune.errors import StudyMismatchError
from autotune.registry import unknown_name
from autotune.spaces.space import Config, Space
from autotune.study.identity import IDENTITY, SEED, check_identity, describe, was_left_bare
from autotune.study.mirror import quiet_optuna
from autotune.study.records import TrialRecord
from autotune.study.rows import record_of
from autotune.study.strategies import Pruner
from autotune.study.study import TuningStudy

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


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
    accepts: Callable[[Config], bool] = lambda config: True,
    say: Callable[[str], Any] = lambda line: None,
) -> TuningStudy:
    """Create a study, or join the one of that name if it was made for the same question.

    Parameters
    ----------
    storage : optuna.storages.BaseStorage
        Where it lives.
    name : str
        The study's name.
    space, sampler, pruner, seed, accepts, say
        As for `TuningStudy`.
    maximize : bool
        Whether larger scores are better.
    identity : mapping of str to str
        The parts of the fingerprint: what the study was made for.
    versions : mapping of str to str
        Versions of the packages; recorded at creation.

    Raises
    ------
    StudyMismatchError
        When the study was made for something else; the parts that differ are named.
    """
    with quiet_optuna():
        try:
            study = optuna.create_study(
                storage=storage, study_name=name, direction="maximize" if maximize else "minimize"
            )
            describe(study, identity, seed, versions)
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(storage=storage, study_name=name)
            if len(study.directions) > 1:
                raise StudyMismatchError(
                    "the study has several objectives", f"study {name!r}", "another study_name"
                ) from None
            if was_left_bare(study, maximize):
                describe(study, identity, seed, versions)
    check_identity(study, identity, seed)
    return TuningStudy(study, space, sampler, pruner, seed, accepts, say)


def stored_seed(storage: BaseStorage, name: str) -> int | None:
    """Return the seed of a study, or None when there is no such study."""
    if name not in optuna.study.get_all_study_names(storage):
        return None
    seed = optuna.load_study(storage=storage, study_name=name).user_attrs.get(SEED)
    return None if seed is None else int(seed)


def read_records(storage: BaseStorage, name: str) -> tuple[tuple[TrialRecord, ...], Mapping[str, str], bool]:
    """Return a study's records, the identity that it was made with, and whether larger scores are better.

    Raises
    ------
    UnknownNameError
        When the storage holds no such study.
    """
    names = optuna.study.get_all_study_names(storage)
    if name not in names:
        raise unknown_name("study in this storage", name, names)
    study = optuna.load_study(storage=storage, study_name=name)
    maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
    records = tuple(record_of(trial) for trial in study.get_trials(deepcopy=False))
    return records, study.user_attrs.get(IDENTITY, {}), maximize
