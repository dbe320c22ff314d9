"""Which parameter depends on which, by conditions and formulas."""

from __future__ import annotations

from collections.abc import Mapping

from autotune.spaces.params import Derived, Parameter
from autotune.spaces.ranges import same_value

CLASSIFICATION = "classification"
"""How a condition names two kinds of task at once."""


def depends_on(parameter: Parameter) -> tuple[str, ...]:
    """Return what a parameter needs to be known before it: parents of its condition, names in its formula."""
    names = parameter.names if isinstance(parameter, Derived) else ()
    return tuple(dict.fromkeys((*(parent for parent in parameter.when if parent != "task"), *names)))


def ancestors(parameters: Mapping[str, Parameter], key: str) -> set[str]:
    """Return all that a parameter depends on, itself included where it goes round in a circle."""
    found: set[str] = set()
    waiting = list(depends_on(parameters[key]))
    while waiting:
        parent = waiting.pop()
        if parent not in found:
            found.add(parent)
            waiting.extend(depends_on(parameters[parent]) if parent in parameters else ())
    return found


def parents_first(parameters: Mapping[str, Parameter]) -> list[str]:
    """Return the parameters' names, each after what it depends on, else in the order of the file."""
    return sorted(parameters, key=lambda key: len(ancestors(parameters, key)))


def contradiction(parameters: Mapping[str, Parameter], key: str) -> str | None:
    """Return an ancestor that would need two values at once for a parameter to exist, or None.

    Examples
    --------
    >>> from autotune.spaces.params import Choice, Float
    >>> tree = {"a": Choice(["x", "y"]), "b": Choice([1, 2], when={"a": "x"})}
    >>> tree["c"] = Float(0, 1, when={"a": "y", "b": 1})
    >>> contradiction(tree, "c")
    'a'
    """
    allowed: dict[str, tuple[object, ...]] = {}
    for each in (key, *sorted(ancestors(parameters, key))):
        if each not in parameters:
            continue
        for parent, values in parameters[each].when.items():
            values = _tasks(values) if parent == "task" else values
            before = allowed.get(parent, values)
            allowed[parent] = tuple(value for value in before if any(same_value(value, other) for other in values))
            if not allowed[parent]:
                return parent
    return None


def _tasks(values: tuple[object, ...]) -> tuple[object, ...]:
    """Return kinds of task with classification as the two kinds that it is."""
    kinds = [("binary", "multiclass") if value == CLASSIFICATION else (value,) for value in values]
    return tuple(kind for each in kinds for kind in each)
