"""A study that begins with the trials of an older one: those that are trials of its own, wider space too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial

from autotune.errors import StudyMismatchError
from autotune.spaces.formula import FormulaError
from autotune.spaces.space import Config, Space
from autotune.study.identity import IDENTITY, SEED
from autotune.study.noted import LOOKS
from autotune.study.rows import ORIGIN, OUTCOME, OWNER, record_of

if TYPE_CHECKING:
    from autotune.study.study import TuningStudy

Defaults = Mapping[str, Mapping[str, Any]]
"""By learner: what its parameters are where nobody says otherwise."""

MAY_DIFFER = frozenset({"space"})
"""Parts of the fingerprint in which a study may differ from the one that it begins with."""


def check_origin(old: optuna.Study, identity: Mapping[str, str]) -> int:
    """Check that an older study was made for the same question but for its space, and return its seed.

    Parameters
    ----------
    old : optuna.Study
        The older study.
    identity : mapping of str to str
        What the new one is made for.

    Raises
    ------
    StudyMismatchError
        When it is another question; the parts that differ are named.
    """
    stored = old.user_attrs.get(IDENTITY)
    where = f"study {old.study_name!r}"
    if stored is None:
        raise StudyMismatchError("the study to begin with was not made by autotune", where)
    parts = ({**stored, **identity}.keys()) - MAY_DIFFER
    differing = sorted(part for part in parts if stored.get(part) != identity.get(part))
    if differing:
        listed = "; ".join(f"{part}: {stored.get(part)!r} there, {identity.get(part)!r} here" for part in differing)
        problem = f"the trials to begin with are of another {' and '.join(differing)} ({listed})"
        raise StudyMismatchError(problem, where, "only the space may be another one")
    return int(old.user_attrs[SEED])


def begun_with(study: TuningStudy, old: optuna.Study, defaults: Defaults) -> str:
    """Copy the finished trials of an older study whose configurations are of this one's space, as they ended.

    What has been copied is not copied again, so that this may be broken off and begun anew.

    Parameters
    ----------
    study : TuningStudy
        The new study.
    old : optuna.Study
        The older one, checked by `check_origin`.
    defaults : mapping
        What parameters were in the older trials that its space did not name.

    Returns
    -------
    str
        What there is to say: how many there are now, of how many.
    """
    n_taken = n_finished = 0
    for row in old.get_trials(deepcopy=False):
        record = record_of(row)
        if record.config is None or OUTCOME not in row.user_attrs:  # running, or told by another program
            continue
        n_finished += 1
        config = translated(record.config, study.space, defaults.get(record.config.learner, {}))
        if config is not None:
            n_taken += 1
            study.copy(config, row, _origin(old, row))
    looks = {**old.user_attrs.get(LOOKS, {}), **study.optuna.user_attrs.get(LOOKS, {})}
    study.optuna.set_user_attr(LOOKS, looks)  # it has the same test rows, which have been looked at so often
    left = "" if n_taken == n_finished else "; the others are none of this space"
    return f"the study begins with {n_taken} of the {n_finished} finished trials of {old.study_name!r}{left}"


def translated(config: Config, space: Space, defaults: Mapping[str, Any]) -> Config | None:
    """Return a configuration as one of another space, or None where it is none of that.

    A parameter that only one of the spaces names is the learner's default in the other.

    Parameters
    ----------
    config : Config
        Of the older space.
    space : Space
        The other one.
    defaults : mapping
        The learner's own.

    Examples
    --------
    >>> from autotune.spaces.params import Int
    >>> wider = Space({"knn": {"k": Int(1, 99), "p": Int(1, 3)}})
    >>> translated(Config("knn", {"k": 5}), wider, {"k": 15, "p": 2}).params
    {'k': 5, 'p': 2}
    >>> translated(Config("knn", {"k": 5}), Space({"knn": {"k": Int(10, 99)}}), {"k": 15}) is None
    True
    """
    if config.learner not in space.learners:
        return None
    nameless = set(space.learners[config.learner]) - set(config.params) - set(defaults)
    try:
        found = space.completed(config.learner, {**defaults, **config.params})
    except FormulaError:
        return None
    here = {key for key, _ in space.active(config.learner, found.params)}
    lost = {key: value for key, value in config.params.items() if key not in here and not key.startswith("_")}
    kept = Config(config.learner, {key: value for key, value in found.params.items() if key in here})
    drawn = {key for key in nameless & here if not key.startswith("_")}
    if drawn or any(key not in defaults or defaults[key] != value for key, value in lost.items()):
        return None
    return kept if space.admits(kept) and space.allows(kept) else None


def _origin(old: optuna.Study, row: FrozenTrial) -> dict[str, Any]:
    """Return where a trial was run: its study, its number there, which its seed is made of, and its owner."""
    known: dict[str, Any] | None = row.user_attrs.get(ORIGIN)
    return known or {"study": old.study_name, "number": row.number, "owner": row.user_attrs.get(OWNER, "")}
