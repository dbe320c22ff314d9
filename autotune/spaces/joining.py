"""Joining spaces, and changing parts of one: what is given last wins, and what no longer fits goes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from autotune.errors import SpaceError, raise_all
from autotune.spaces.document import EXTRAS
from autotune.spaces.forbid import Forbid
from autotune.spaces.formula import FormulaError
from autotune.spaces.params import Derived, Fixed, Float, Int, Parameter
from autotune.spaces.positions import KeyPath
from autotune.spaces.ranges import is_number
from autotune.spaces.space import Config, Space, unique
from autotune.spaces.tree import contradiction, depends_on

RATE, ROUNDS = "learning_rate", "max_rounds"
"""What a booster's start learns is its rate times its rounds: with fewer rounds its rate is higher by as much."""

_LISTS = (("start",), ("forbid",))
"""Paths whose places count entries, which joining counts anew."""


def join(base: Space, other: Any, *, checked: bool = True) -> Space:
    """Join two spaces: the learners of both, and where both have a parameter, the second one's.

    Parameters
    ----------
    base : Space
        What is changed.
    other : Space or mapping
        Another space; or changes, by path (``{"mlp.dropout": Float(0, 0.3)}``) or by learner
        (``{"mlp": {"dropout": 0.1}}``); the learner may be left out where the base has only one.
    checked : bool
        Raise where the result is wrong.

    Returns
    -------
    Space
        Parameters of the base that could no longer exist are gone, so are its clauses that could no longer hold; its
        start configurations keep the values that still fit, and those of boosters that are left fewer rounds have
        higher learning rates.

    Raises
    ------
    SpaceError
        When the result is wrong.

    Examples
    --------
    >>> space = Space({"knn": {"k": {"int": [1, 50]}, "p": {"choice": [1, 2]}}})
    >>> join(space, {"knn.k": {"int": [1, 9]}}).learners["knn"]["k"].high
    9
    """
    own = other if isinstance(other, Space) else _changes(base, other)
    learners = _joined_learners(base, own)
    starts, clauses = _inherited(base, own, learners)
    joined = Space(
        learners,
        starts=[start for pair in zip_longest(starts, own.given_starts) for start in pair if start is not None],
        forbid=[*clauses, *own.forbid],
        models={**base.models, **own.models},
        name=f"{base.name}+{own.name}" if isinstance(other, Space) else base.name,
        summary=base.summary,
        places=_joined_places(base, own),
        checked=checked,
    )
    joined.broken |= base.broken | own.broken
    return joined


def extend(included: Space, own: Space) -> Space:
    """Join what a file includes with its own tables, unchecked; its own starts and clauses come first."""
    learners = _joined_learners(included, own)
    starts, clauses = _inherited(included, own, learners)
    joined = Space(
        learners,
        starts=[*own.given_starts, *starts],
        forbid=[*own.forbid, *clauses],
        models={**included.models, **own.models},
        name=own.name,
        summary=own.summary,
        places={**_joined_places(included, own), **own.places},
        checked=False,
    )
    joined.broken |= included.broken | own.broken
    return joined


def _joined_learners(base: Space, own: Space) -> dict[str, dict[str, Parameter]]:
    names = dict.fromkeys((*base.learners, *own.learners))
    return {name: _merged(base.learners.get(name, {}), own.learners.get(name, {})) for name in names}


def _joined_places(base: Space, own: Space) -> dict[KeyPath, str]:
    """Return where things stand in either, without what counts entries; no file answers for what stands in none."""
    given = {(learner, key) for learner, parameters in own.learners.items() for key in parameters}
    kept = {path: place for path, place in base.places.items() if path[:2] not in given}
    unnamed: dict[KeyPath, str] = {path: f"space {own.name!r}" for path in given if path not in own.places}
    places: dict[KeyPath, str] = {**kept, **unnamed, **own.places}
    return {path: place for path, place in places.items() if path and path[:1] not in _LISTS}


def _inherited(
    base: Space, own: Space, learners: Mapping[str, Mapping[str, Parameter]]
) -> tuple[list[Config], list[Forbid]]:
    """Return the base's start configurations and clauses as far as they still mean something."""
    kept = [clause for clause in (_clause_left(each, learners) for each in base.forbid) if _can_hold(clause, learners)]
    clauses = [*kept, *(clause for clause in own.forbid if _can_hold(clause, learners))]
    joined = Space(learners, forbid=clauses, checked=False)
    starts = (_inherited_start(start, base, joined) for start in base.given_starts)
    return list(unique(start for start in starts if start is not None)), kept


def _inherited_start(start: Config, base: Space, joined: Space) -> Config | None:
    """Return what is left of a start, with a rate that learns in fewer rounds what its own did in the base's."""
    kept, rate = fitting(start, joined), _rate_for_fewer_rounds(start, base, joined)
    if rate is None or (kept is None and RATE not in start.params):
        return kept
    faster = fitting(Config(start.learner, {**start.params, RATE: rate}), joined)
    return faster if faster is not None and RATE in faster.params else kept


def _rate_for_fewer_rounds(start: Config, base: Space, joined: Space) -> float | None:
    """Return the rate, or the default's, times the base's rounds by the joined space's; None where it stays."""
    before, after = (space.learners.get(start.learner, {}).get(ROUNDS) for space in (base, joined))
    given, rate = (space.learners.get(start.learner, {}).get(RATE) for space in (base, joined))
    if not (isinstance(before, Int) and before.fidelity and isinstance(after, Int | Fixed)):
        return None
    if given is None or isinstance(given, Derived) or not isinstance(rate, Float):
        return None
    if any(problem for each in (before, after, given, rate) for problem in each.problems()):
        return None
    own, rounds = start.params.get(RATE, given.default), after.high if isinstance(after, Int) else after.value
    if not (is_number(own) and is_number(rounds) and 0 < rounds < before.high and given.admits(own)):
        return None
    if isinstance(given, Float | Int) and not given.low <= own <= given.high:  # a special value
        return None
    learned = min(own * before.high / rounds, rate.high)
    return learned if rate.step is None or learned < rate.low else rate.at_step(rate.step_of(learned))


def fitting(start: Config, space: Space) -> Config | None:
    """Return a start configuration with the values that a space still takes; None where nothing of it is left."""
    if start.learner not in space.learners:
        return None
    kept: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for key, parameter in space.active(start.learner, values):
        values[key] = 0 if isinstance(parameter, Derived) else parameter.default
        if key in start.params and _takes(parameter, start.params[key]):
            kept[key] = values[key] = start.params[key]
    if start.params and not kept:
        return None
    with suppress(FormulaError):
        if space.allows(space.completed(start.learner, kept)):
            return Config(start.learner, {key: kept[key] for key in start.params if key in kept})
    return None


def _takes(parameter: Parameter, value: Any) -> bool:
    if isinstance(parameter, Derived) or (isinstance(parameter, Int) and parameter.fidelity):
        return False
    return not any(parameter.problems()) and parameter.admits(value)


def _changes(base: Space, given: Any) -> Space:
    """Read changes as a space of their own."""
    if not isinstance(given, Mapping):
        raise SpaceError(f"a space is joined with a space or a mapping, found {given!r}", base.place())
    tables: dict[str, dict[str, Any]] = {}
    only = next(iter(base.learners)) if len(base.learners) == 1 else None
    for key, entry in given.items():
        own_name = only is not None and key in base.learners[only] and key not in base.learners
        is_table = isinstance(entry, Mapping) and not own_name and not any(kind in entry for kind in EXTRAS)
        learner, dot, name = str(key).partition(".")
        if is_table and not dot:
            tables.setdefault(learner, {}).update(entry)
        elif dot and learner in base.learners:
            tables.setdefault(learner, {})[name] = entry
        elif only is not None and not dot:
            tables.setdefault(only, {})[key] = entry
        else:
            hint = ", ".join(f"{learner}.{key}" for learner in list(base.learners)[:3])
            raise SpaceError(f"{key!r} names no parameter of {', '.join(base.learners)}", base.place(), hint)
    changes = Space(tables, name=base.name, checked=False)
    raise_all(changes.unread)
    learners = {
        learner: {key: _conditioned(each, base.learners.get(learner, {}).get(key)) for key, each in table.items()}
        for learner, table in changes.learners.items()
    }
    return Space(learners, name=base.name, checked=False)


def _conditioned(parameter: Parameter, before: Parameter | None) -> Parameter:
    """Return a fixed value under the condition that the parameter had: fixing says nothing of when it exists."""
    if isinstance(parameter, Fixed) and not parameter.when and before is not None:
        return Fixed(parameter.value, when=before.when)
    return parameter


def _merged(before: Mapping[str, Parameter], own: Mapping[str, Parameter]) -> dict[str, Parameter]:
    merged = {**before, **own}
    while True:
        gone = [key for key in merged if key not in own and _lost(merged, key)]
        if not gone:
            return {key: each if key in own else _narrowed(merged, each) for key, each in merged.items()}
        merged = {key: parameter for key, parameter in merged.items() if key not in gone}


def _lost(parameters: Mapping[str, Parameter], key: str) -> bool:
    """Return whether a parameter can no longer exist: a parent is gone, or never has the value that it needs."""
    parameter = parameters[key]
    if any(parent not in parameters for parent in depends_on(parameter)) or contradiction(parameters, key):
        return True
    return any(_never(parameters[parent], values) for parent, values in parameter.when.items() if parent != "task")


def _narrowed(parameters: Mapping[str, Parameter], parameter: Parameter) -> Parameter:
    """Return a parameter under what is left of its condition, where its parents have lost some of their values."""
    when = {
        parent: _left(parameters[parent], values) if parent in parameters else values
        for parent, values in parameter.when.items()
    }
    return replace(parameter, when=when) if when != parameter.when else parameter


def _never(parent: Parameter, values: tuple[Any, ...]) -> bool:
    """Return whether a parent has none of the values any more."""
    return bool(values) and not _left(parent, values)


def _left(parent: Parameter, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return which of the values a parent still has; one that is wrong itself is left for its own error."""
    if isinstance(parent, Derived) or any(parent.problems()):
        return values
    return tuple(value for value in values if parent.admits(value))


def _clause_left(clause: Forbid, learners: Mapping[str, Mapping[str, Parameter]]) -> Forbid:
    """Return a clause with what is left of the values that it lists."""
    parameters = learners.get(clause.learner, {})
    conditions = {
        key: _condition_left(parameters[key], condition) if key in parameters else condition
        for key, condition in clause.conditions.items()
    }
    return Forbid(clause.learner, conditions)


def _condition_left(parameter: Parameter, condition: Any) -> Any:
    if isinstance(parameter, Derived):
        return condition
    if not isinstance(condition, Mapping):
        return _left(parameter, condition) if isinstance(condition, tuple) else condition
    if "not" not in condition:
        return condition
    excluded = condition["not"] if isinstance(condition["not"], tuple) else (condition["not"],)
    rest = {word: bound for word, bound in condition.items() if word != "not"}
    if left := _left(parameter, excluded):
        return {**rest, "not": left}
    return rest or _left(parameter, parameter.extremes())  # nothing is excluded any more: it holds for all


def _can_hold(clause: Forbid, learners: Mapping[str, Mapping[str, Parameter]]) -> bool:
    parameters = learners.get(clause.learner, {})
    return set(clause.conditions) <= set(parameters) and not any(clause.problems(parameters))
