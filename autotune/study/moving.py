"""A study as a document of plain values, and back: how it moves between storages."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autotune.errors import DataError, SettingsError
from autotune.study.failures import telling_failures
from autotune.study.identity import IDENTITY, IMPORTER
from autotune.study.mirror import quiet_optuna
from autotune.study.owner import is_dead, this_owner
from autotune.study.rows import OWNER

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

FORMAT = "autotune study"
VERSION = 1


def to_document(study: optuna.Study) -> dict[str, Any]:
    """Return a study with all that its storage holds of it.

    Parameters
    ----------
    study : optuna.Study
        Any study of one objective.

    Returns
    -------
    dict
        Mappings, lists, texts, numbers, booleans and None only.

    Examples
    --------
    >>> study = optuna.create_study(study_name="s")
    >>> study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    >>> [trial["state"] for trial in to_document(study)["trials"]]
    ['COMPLETE', 'COMPLETE']
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "study_name": study.study_name,
        "direction": study.direction.name.lower(),
        "user_attrs": dict(study.user_attrs),
        "system_attrs": dict(study._storage.get_study_system_attrs(study._study_id)),
        "trials": [_trial_document(row) for row in study.get_trials(deepcopy=False)],
    }


def parse(text: str | bytes, where: str) -> Any:
    """Read the JSON of a document.

    Raises
    ------
    DataError
        When it is no JSON.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"this is no exported study: {error}", where, "a file that tune export wrote") from None


@telling_failures()
def from_document(document: Any, storage: BaseStorage, study_name: str | None = None, where: str = "") -> optuna.Study:
    """Create a study from a document.

    Trials that were running are left to whoever works at the study next.

    Parameters
    ----------
    document : object
        What `to_document` returned, as JSON gives it back.
    storage : optuna.storages.BaseStorage
        Where the study is to live.
    study_name : str, optional
        What it is to be called; as it was, if left out.
    where : str
        Where the document came from, for errors.

    Raises
    ------
    DataError
        When it is no such document; nothing is created then.
    SettingsError
        When there is a study of that name.

    Examples
    --------
    >>> study = optuna.create_study(study_name="s")
    >>> study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    >>> moved = from_document(to_document(study), optuna.storages.InMemoryStorage(), "t")
    >>> moved.best_params == study.best_params
    True
    """
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise DataError("this is no exported study", where, "a file that tune export wrote")
    if document.get("version") != VERSION:
        problem = f"the study was exported by another version: {document.get('version')!r}, where {VERSION} is read"
        raise DataError(problem, where, "pip install -U autotune-toolkit")
    with _readable(where):
        rows = [_row(trial) for trial in document["trials"]]
        directions = [StudyDirection[document["direction"].upper()]]
        attrs, system_attrs = dict(document["user_attrs"]), dict(document["system_attrs"])
        name = study_name or str(document["study_name"])
    numbers = [trial["number"] for trial in document["trials"]]
    if numbers != list(range(len(rows))):
        raise DataError("the trials are not numbered from 0 on", where)
    study = _new_study(storage, name, directions)
    study.set_user_attr(IMPORTER, this_owner())
    identity = {IDENTITY: attrs.pop(IDENTITY)} if IDENTITY in attrs else {}
    try:
        for key, value in system_attrs.items():
            study._storage.set_study_system_attr(study._study_id, key, value)
        for row in rows:
            study._storage.create_new_trial(study._study_id, template_trial=row)
        for key, value in {**attrs, IMPORTER: "", **identity}.items():  # without its identity nobody joins it
            study.set_user_attr(key, value)
    except BaseException:
        optuna.delete_study(study_name=name, storage=storage)
        raise
    return study


def _new_study(storage: BaseStorage, name: str, directions: list[StudyDirection]) -> optuna.Study:
    """Create a study, in the place of one whose import was broken off."""
    with quiet_optuna():
        try:
            return optuna.create_study(storage=storage, study_name=name, directions=directions)
        except optuna.exceptions.DuplicatedStudyError:
            importer = optuna.load_study(storage=storage, study_name=name).user_attrs.get(IMPORTER)
            if not importer or not is_dead(importer):
                hint = "another --study-name"
                raise SettingsError(f"there is a study {name!r} already", "the storage", hint) from None
            optuna.delete_study(study_name=name, storage=storage)
            return optuna.create_study(storage=storage, study_name=name, directions=directions)


def _trial_document(row: FrozenTrial) -> dict[str, Any]:
    return {
        "number": row.number,
        "state": row.state.name,
        "values": None if row.values is None else [_as_json(value) for value in row.values],
        "params": dict(row.params),
        "distributions": {path: json.loads(distribution_to_json(each)) for path, each in row.distributions.items()},
        "user_attrs": dict(row.user_attrs),
        "system_attrs": dict(row.system_attrs),
        "intermediate_values": {str(step): _as_json(value) for step, value in row.intermediate_values.items()},
        "datetime_start": row.datetime_start and row.datetime_start.isoformat(),
        "datetime_complete": row.datetime_complete and row.datetime_complete.isoformat(),
    }


def _row(trial: Mapping[str, Any]) -> FrozenTrial:
    state, attrs = TrialState[trial["state"]], dict(trial["user_attrs"])
    if not state.is_finished() and OWNER in attrs:
        attrs[OWNER] = ""
    row = FrozenTrial(
        number=trial["number"],
        trial_id=-1,
        state=state,
        value=None,
        values=None if trial["values"] is None else [float(value) for value in trial["values"]],
        params=dict(trial["params"]),
        distributions={path: json_to_distribution(json.dumps(each)) for path, each in trial["distributions"].items()},
        user_attrs=attrs,
        system_attrs=dict(trial["system_attrs"]),
        intermediate_values={int(step): float(value) for step, value in trial["intermediate_values"].items()},
        datetime_start=_time(trial["datetime_start"]),
        datetime_complete=_time(trial["datetime_complete"]),
    )
    row._validate()
    return row


def _as_json(number: float) -> float | str:
    """Return a number as JSON holds it: one that is not finite as a text."""
    return number if math.isfinite(number) else str(number)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@contextmanager
def _readable(where: str) -> Iterator[None]:
    """Say what is wrong with a document whose parts are not what they should be."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"
        raise DataError(f"the exported study is damaged: {said}", where, "export it again") from None
