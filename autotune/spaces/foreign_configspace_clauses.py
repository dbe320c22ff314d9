"""ConfigSpace's conditions as ``when``, and its forbidden clauses as ``forbid``, as far as these can say them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, TypeAlias

from autotune.spaces.forbid import Forbid
from autotune.spaces.foreign_reading import Carried, KeyPath, Reading
from autotune.spaces.params import Choice, Fixed, Int
from autotune.spaces.ranges import frozen_value, is_number, is_one_of

When: TypeAlias = dict[str, tuple[Any, ...]]
"""Values by parent, as `Condition` has them; no value at all is a parameter that never exists."""

_LONGEST = 100
"""Values of an int that a condition may list."""

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {"NEQ": operator.ne, "LT": operator.lt, "GT": operator.gt}
_CONDITIONS = ("EQ", "IN", *_COMPARISONS, "AND", "OR")
_CLAUSES = {"CLAUSE_LT": "below", "CLAUSE_LE": "at_most", "CLAUSE_GT": "above", "CLAUSE_GE": "at_least"}
_ORDERS = {"below": operator.lt, "at_most": operator.le, "above": operator.gt, "at_least": operator.ge}
_SIGNS = {"LT": "<", "LE": "<=", "EQ": "=", "GT": ">", "GE": ">=", "LESS": "<", "EQUALS": "=", "GREATER": ">"}
_FORBIDDENS = ("EQUALS", "IN", "AND", "OR", *_CLAUSES)


class _LostError(Exception):
    """A part of a clause has no counterpart; the text says which."""


def read_conditions(reading: Reading, items: Sequence[Mapping[str, Any]]) -> None:
    """Give the parameters that have conditions their ``when``.

    Comparisons are carried over where the parent has few values, by listing those that pass. What cannot be said is
    lost, and the parameter exists more often; a parameter that never exists is left out.
    """
    whens: dict[str, When] = {}
    for index, item in enumerate(items):
        path = ("conditions", str(index))
        child = item.get("child")
        if not isinstance(child, str) or child not in reading.paths:
            reading.unknown("child of a condition", child, reading.paths, path)
            continue
        found = _when(reading, item, path, f"{child} exists ")
        whens[child] = _both(whens.get(child, {}), found or {})
    for name in _never(whens, reading.parameters):
        reading.lose(f"{name}: never exists under its condition; it is left out")
        del reading.parameters[name]
    for name, when in whens.items():
        if name in reading.parameters:
            reading.parameters[name] = replace(reading.parameters[name], when=when)


def read_forbiddens(reading: Reading, items: Sequence[Mapping[str, Any]]) -> None:
    """Turn forbidden clauses into ours: one for each alternative, with all of its conditions."""
    for index, item in enumerate(items):
        for part in _alternatives(item):
            try:
                clauses = _clauses(reading, part, ("forbiddens", str(index)))
            except _LostError as lost:
                reading.lose(f"forbidden {_said(part)}: {lost}; it is allowed")
                continue
            for clause in clauses:
                if useless := [problem.what for _, problem in Forbid("", clause).problems(reading.parameters)]:
                    reading.lose(f"forbidden {_said(part)}: {useless[0]}; it forbids nothing")
                elif clause not in reading.forbid:
                    reading.forbid.append(clause)


def _when(reading: Reading, item: Mapping[str, Any], path: KeyPath, subject: str = "") -> When | None:
    """Return what a condition asks for, or None where it cannot be said; that is noted once there is a subject."""
    try:
        return _asked(reading, item, path)
    except _LostError as lost:
        if item.get("type") == "AND":  # what can be said of it still holds
            parts = [_when(reading, part, path, subject) for part in _parts(item, "conditions")]
            said: list[When] = [part for part in parts if part is not None]
            return reduce(_both, said) if said else {}
        reading.lose(f"{subject}when {_said(item)}: {lost}; this condition is left out")
        return None


def _asked(reading: Reading, item: Mapping[str, Any], path: KeyPath) -> When:
    kind = item.get("type")
    if kind not in _CONDITIONS:
        reading.unknown("type of condition", kind, _CONDITIONS, path)
        return {}
    if kind in ("AND", "OR"):
        parts = [_asked(reading, part, path) for part in _parts(item, "conditions")]
        return reduce(_both if kind == "AND" else _either, parts) if parts else {}
    parent = item.get("parent")
    if not isinstance(parent, str) or parent not in reading.paths:
        reading.unknown("parent of a condition", parent, reading.paths, path)
        return {}
    if parent not in reading.parameters:
        raise _LostError(f"{parent} could not be carried over")
    if (named := _named(reading, item, path)) is None:
        return {}
    return {parent: _passing(reading.parameters[parent], kind, named, item)}


def _named(reading: Reading, item: Mapping[str, Any], path: KeyPath) -> tuple[Any, ...] | None:
    """Return the value or the values that a condition or a clause names, or None where they are missing."""
    word = "values" if item.get("type") == "IN" else "value"
    if word not in item or (word == "values" and not isinstance(item[word], (list, tuple))):
        reading.wrong(f"{item.get('type')} needs {'a list of values' if word == 'values' else 'a value'}", path)
        return None
    return tuple(map(frozen_value, item[word] if word == "values" else [item[word]]))


def _passing(parent: Carried, kind: str, named: Iterable[Any], item: Mapping[str, Any]) -> tuple[Any, ...]:
    if kind in ("EQ", "IN"):
        return tuple(value for value in named if parent.admits(value))
    values = _values(parent)
    if values is None:
        raise _LostError(f"{item.get('parent')} has too many values to list")
    return tuple(_compared(parent, values, _COMPARISONS[kind], item.get("value")))


def _values(parameter: Carried) -> Sequence[Any] | None:
    """Return all values of a parameter, or None when they are too many to list."""
    match parameter:
        case Choice(options=options):
            return options
        case Fixed(value=value):
            return (value,)
        case Int(low=low, high=high, step=step) if (high - low) // step < _LONGEST:
            return range(low, high + 1, step)
    return None


def _compared(parameter: Carried, values: Iterable[Any], compare: Callable[[Any, Any], bool], bound: Any) -> list[Any]:
    """Return the values that compare so with a bound: in an ordered choice by their places."""
    bound = frozen_value(bound)
    if compare is operator.ne:
        return [value for value in values if not is_one_of(value, (bound,))]
    if isinstance(parameter, Choice) and parameter.ordered:
        if bound not in parameter.options:
            raise _LostError(f"{bound!r} is none of its values")
        at = parameter.options.index(bound)
        return [value for place, value in enumerate(parameter.options) if compare(place, at)]
    return [value for value in values if is_number(value) and is_number(bound) and compare(value, bound)]


def _both(left: When, right: When) -> When:
    joined = dict(left)
    for parent, values in right.items():
        joined[parent] = tuple(v for v in values if is_one_of(v, left[parent])) if parent in left else values
    return joined


def _either(left: When, right: When) -> When:
    """Return what one of two conditions asks for: they may differ in one parent only."""
    differing = [parent for parent in left if left[parent] != right.get(parent)]
    if set(left) != set(right) or len(differing) > 1:
        raise _LostError("alternatives on several parents have no counterpart")
    joined = dict(left)
    for parent in differing:
        joined[parent] = (*left[parent], *(v for v in right[parent] if not is_one_of(v, left[parent])))
    return joined


def _never(whens: Mapping[str, When], parameters: Mapping[str, Carried]) -> list[str]:
    """Return the parameters that never exist, because of their own condition or of a parent that never does."""
    never: list[str] = []
    for _ in whens:
        never += [
            name
            for name, when in whens.items()
            if name in parameters
            and name not in never
            and any(not values or parent in never for parent, values in when.items())
        ]
    return never


def _alternatives(item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _parts(item, "clauses") if item.get("type") == "OR" else [item]


def _clauses(reading: Reading, item: Mapping[str, Any], path: KeyPath) -> list[dict[str, Any]]:
    """Return a forbidden clause as alternatives of conditions; none where it holds for nothing."""
    kind = str(item.get("type"))
    if kind.startswith("RELATION"):
        raise _LostError("a comparison of two parameters has no counterpart")
    if kind not in _FORBIDDENS:
        reading.unknown("type of forbidden clause", kind, (*_FORBIDDENS, "RELATION"), path)
        return []
    parts = _parts(item, "clauses")
    if kind == "OR":
        return [clause for part in parts for clause in _clauses(reading, part, path)]
    if kind == "AND":
        joined: list[dict[str, Any]] = [{}]
        for part in parts:
            clauses = _clauses(reading, part, path)
            joined = [one for left in joined for right in clauses if (one := _joined(left, right)) is not None]
        return [clause for clause in joined if clause]
    return _simple(reading, kind, item, path)


def _simple(reading: Reading, kind: str, item: Mapping[str, Any], path: KeyPath) -> list[dict[str, Any]]:
    name = item.get("name")
    if not isinstance(name, str) or name not in reading.paths:
        reading.unknown("parameter to forbid", name, reading.paths, path)
        return []
    if name not in reading.parameters:
        raise _LostError(f"{name} could not be carried over")
    if (named := _named(reading, item, path)) is None:
        return []
    parameter = reading.parameters[name]
    if kind not in _CLAUSES:
        values = [value for value in named if parameter.admits(value)]
    elif isinstance(parameter, (Choice, Fixed)):
        values = _compared(parameter, _values(parameter) or (), _ORDERS[_CLAUSES[kind]], named[0])
    elif is_number(named[0]):
        return [{name: {_CLAUSES[kind]: named[0]}}]
    else:
        reading.wrong(f"{name} is compared with a number, found {named[0]!r}", path)
        return []
    return [{name: _listed(values)}] if values else []


def _joined(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any] | None:
    """Return the conditions of two clauses together, or None where they exclude each other."""
    joined = dict(left)
    for name, condition in right.items():
        if name not in left:
            joined[name] = condition
        elif isinstance(condition, dict) and isinstance(left[name], dict):
            if set(condition) & set(left[name]):
                raise _LostError(f"{name} is bounded twice on one side")
            joined[name] = left[name] | condition
        elif isinstance(condition, dict) or isinstance(left[name], dict):
            raise _LostError(f"{name} is both compared and listed")
        else:
            listed = [left[name], condition]
            first, second = (each if isinstance(each, list) else [each] for each in listed)
            shared = [value for value in first if is_one_of(value, second)]
            if not shared:
                return None
            joined[name] = _listed(shared)
    return joined


def _listed(values: list[Any]) -> Any:
    """Return one value as it is, unless it is a list itself."""
    return values[0] if len(values) == 1 and not isinstance(values[0], tuple) else values


def _parts(item: Mapping[str, Any], word: str) -> list[Mapping[str, Any]]:
    parts = item.get(word)
    return [part for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []


def _said(item: Mapping[str, Any]) -> str:
    """Return a condition or a clause in words: ``kernel = 'poly' or C > 1.0``."""
    kind, name = str(item.get("type")), item.get("parent", item.get("name"))
    if kind in ("AND", "OR"):
        parts = [_said(part) for part in (*_parts(item, "conditions"), *_parts(item, "clauses"))]
        return f" {kind.lower()} ".join(parts)
    if kind.startswith("RELATION"):
        sign = _SIGNS.get(kind.removeprefix("RELATION").strip("_") or str(item.get("lambda")), "related to")
        return f"{item.get('left')} {sign} {item.get('right')}"
    if kind == "IN":
        return f"{name} in {item.get('values')!r}"
    signs = {"EQ": "=", "EQUALS": "=", "NEQ": "!=", **{f"CLAUSE_{word}": sign for word, sign in _SIGNS.items()}}
    return f"{name} {signs.get(kind) or _SIGNS.get(kind, kind)} {item.get('value')!r}"
