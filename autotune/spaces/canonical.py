"""Conditions, clauses and configurations in the values of their parameters: what is one value has one spelling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from autotune.spaces.forbid import Forbid
from autotune.spaces.params import Derived, Parameter


def canonical_conditions(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Return the parameters of a learner, their conditions in the values of the parents.

    Examples
    --------
    >>> from autotune.spaces.params import Choice, Float
    >>> canonical_conditions({"p": Choice([1.0, 2.0]), "x": Float(0, 1, when={"p": 2})})["x"].when
    {'p': (2.0,)}
    """
    found: dict[str, Parameter] = {}
    for key, parameter in parameters.items():
        when = {parent: _named(parameters.get(parent), values) for parent, values in parameter.when.items()}
        found[key] = replace(parameter, when=when)
    return found


def canonical_clause(clause: Forbid, parameters: Mapping[str, Parameter]) -> Forbid:
    """Return a clause in the values of its parameters."""
    conditions = {
        key: {word: _named(parameters.get(key), bound) for word, bound in condition.items()}
        if isinstance(condition, Mapping)
        else _named(parameters.get(key), condition)
        for key, condition in clause.conditions.items()
    }
    return Forbid(clause.learner, conditions)


def canonical_values(values: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the values of a configuration as its parameters say them."""
    return {key: canonical_value(parameters.get(key), value) for key, value in values.items()}


def canonical_value(parameter: Parameter | None, value: Any) -> Any:
    """Return a value as its parameter says it; as it is where that is unknown, computed or wrong."""
    if parameter is None or isinstance(parameter, Derived) or any(parameter.problems()):
        return value
    return parameter.canonical(value)


def _named(parameter: Parameter | None, named: Any) -> Any:
    """Return what a condition names, a value or several, as its parameter says it."""
    if isinstance(named, tuple):
        return tuple(canonical_value(parameter, value) for value in named)
    return canonical_value(parameter, named)
