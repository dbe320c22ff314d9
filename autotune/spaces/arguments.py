"""What the constructors of parameters are given, brought into one form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from autotune.errors import SpaceError
from autotune.spaces.ranges import frozen_value

if TYPE_CHECKING:
    from autotune.spaces.params import Parameter

Condition: TypeAlias = Mapping[str, Any]
"""Parents and the value, or the list of values, that they must have: all parents, any of their values."""

_LISTS = ("options", "special", "weights")
_OTHERS = ("value", "default", "low", "high", "step")


def normalize(parameter: Parameter) -> None:
    """Bring what may be written in several ways into one: lists are tuples, and conditions hold tuples.

    Raises
    ------
    SpaceError
        When a list or a table is needed and something else is given, of which no parameter can be made.
    """
    object.__setattr__(parameter, "when", _condition(parameter.when))
    for name in (*_LISTS, *_OTHERS):
        if name in parameter.__slots__:
            given = getattr(parameter, name)
            listed = name in _LISTS and not (name == "weights" and given is None)
            object.__setattr__(parameter, name, _listed(name, given) if listed else frozen_value(given))


def _condition(when: Any) -> dict[str, tuple[Any, ...]]:
    """Make every parent's values a tuple: ``{"optimizer": "sgd"}`` becomes ``{"optimizer": ("sgd",)}``."""
    if not (isinstance(when, Mapping) and all(isinstance(parent, str) for parent in when)):
        raise SpaceError(f"when is a table, found {when!r}", hint='when={"optimizer": "sgd"}')
    return {
        parent: frozen_value(values) if isinstance(values, (list, tuple)) else (values,)
        for parent, values in when.items()
    }


def _listed(name: str, given: Any) -> Any:
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise SpaceError(f"{name} is a list of values, found {given!r}", hint=f"{name}=[{given!r}]")
    return frozen_value(tuple(given))
