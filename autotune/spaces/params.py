"""Parameters as values: Float, Int, Choice and Fixed, each with a default and the condition under which it exists."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from autotune.errors import SpaceError

Condition: TypeAlias = Mapping[str, tuple[Any, ...]]
"""Parents and the values that they must have: all parents, any of their values."""


@dataclass(frozen=True, slots=True)
class Float:
    """A real number between two bounds, both included.

    Parameters
    ----------
    low, high : float
        The bounds.
    log : bool
        Search the logarithm; needs ``low > 0``.
    default : float, optional
        Tried first; the middle of the range (of its logarithm) when left out.
    when : mapping, optional
        Parents and the values that they must have for this parameter to exist.

    Examples
    --------
    >>> Float(1e-4, 1e-2, log=True).admits(0.5)
    False
    """

    low: float
    high: float
    log: bool = False
    default: float | None = None
    when: Condition = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", normalize_condition(self.when))
        if any(_range_problems(self.low, self.high, self.log)):
            return
        for bound in ("low", "high"):  # 0 and 0.0 make one space, with one fingerprint
            object.__setattr__(self, bound, float(getattr(self, bound)))
        if self.default is None:
            object.__setattr__(self, "default", _middle(self.low, self.high, self.log))
        elif _is_number(self.default):
            object.__setattr__(self, "default", float(self.default))

    def admits(self, value: Any) -> bool:
        """Return whether the value is in the range."""
        return _is_number(value) and self.low <= value <= self.high

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the parameter as it is written."""
        found = list(_range_problems(self.low, self.high, self.log))
        yield from found
        if not found and self.default is not None and not self.admits(self.default):
            yield f"default {self.default!r} is not in [{self.low}, {self.high}]"

    def to_dict(self) -> dict[str, Any]:
        """Return the parameter as a space file writes it."""
        return _document({"float": [self.low, self.high]}, self, log=self.log)


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number between two bounds, both included.

    Parameters
    ----------
    low, high : int
        The bounds.
    log : bool
        Search the logarithm; needs ``low > 0`` and no step.
    step : int
        Distance of neighbouring values, from `low` on.
    default : int, optional
        Tried first; the middle of the range when left out.
    when : mapping, optional
        Parents and the values that they must have for this parameter to exist.

    Examples
    --------
    >>> Int(16, 512, log=True).default
    91
    """

    low: int
    high: int
    log: bool = False
    step: int = 1
    default: int | None = None
    when: Condition = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", normalize_condition(self.when))
        if self.default is None and not any(self.problems()):
            steps = round((_middle(self.low, self.high, self.log) - self.low) / self.step)
            object.__setattr__(self, "default", self.low + steps * self.step)

    def admits(self, value: Any) -> bool:
        """Return whether the value is a whole number of the range."""
        return _is_whole(value) and self.low <= value <= self.high and (value - self.low) % self.step == 0

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the parameter as it is written."""
        if not (_is_whole(self.low) and _is_whole(self.high)):
            yield f"bounds of an int are whole numbers, found [{self.low!r}, {self.high!r}]"
            return
        found = list(_range_problems(self.low, self.high, self.log))
        yield from found
        if not _is_whole(self.step) or self.step < 1:
            yield f"step {self.step!r} is no whole number of at least 1"
        elif self.log and self.step != 1:
            yield "log and step exclude each other"
        elif (self.high - self.low) % self.step:
            yield f"step {self.step} does not divide {self.high} - {self.low}"
        elif not found and self.default is not None and not self.admits(self.default):
            yield f"default {self.default!r} is not a value of [{self.low}, {self.high}]"

    def to_dict(self) -> dict[str, Any]:
        """Return the parameter as a space file writes it."""
        return _document({"int": [self.low, self.high]}, self, log=self.log, step=self.step if self.step > 1 else None)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values: texts, numbers, booleans or None.

    Parameters
    ----------
    options : sequence
        The values.
    default : optional
        Tried first; the first option when left out.
    when : mapping, optional
        Parents and the values that they must have for this parameter to exist.

    Examples
    --------
    >>> Choice(["adamw", "sgd"]).default
    'adamw'
    """

    options: tuple[Any, ...]
    default: Any = None
    when: Condition = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", normalize_condition(self.when))
        options: Any = self.options
        if isinstance(options, Iterable) and not isinstance(options, str):
            object.__setattr__(self, "options", tuple(options))
        if self.default is None and not any(self.problems()):
            object.__setattr__(self, "default", self.options[0])

    def admits(self, value: Any) -> bool:
        """Return whether the value is one of the options; True is not 1."""
        return any(same_value(option, value) for option in self.options)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the parameter as it is written."""
        options: Any = self.options
        if not isinstance(options, tuple):
            yield f"options are a list, found {options!r}"
            return
        if not self.options:
            yield "a choice needs at least one option"
        for option in self.options:
            if not isinstance(option, (str, int, float, bool, type(None))):
                yield f"option {option!r} is neither text, number, true nor false"
        for index, option in enumerate(self.options):
            if option in self.options[:index]:
                yield f"option {option!r} stands there twice"
        if self.options and self.default is not None and not self.admits(self.default):
            yield f"default {self.default!r} is none of {list(self.options)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the parameter as a space file writes it."""
        return _document({"choice": list(self.options)}, self)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that does not vary.

    Parameters
    ----------
    value
        The value.
    when : mapping, optional
        Parents and the values that they must have for this parameter to exist.

    Examples
    --------
    >>> Fixed(3).admits(4)
    False
    """

    value: Any
    when: Condition = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", normalize_condition(self.when))

    @property
    def default(self) -> Any:
        """The value itself."""
        return self.value

    def admits(self, value: Any) -> bool:
        """Return whether it is the value."""
        return same_value(self.value, value)

    def problems(self) -> Iterator[str]:
        """Yield nothing: any value can be fixed."""
        yield from ()

    def to_dict(self) -> dict[str, Any]:
        """Return the parameter as a space file writes it."""
        document = {"fixed": self.value}
        return document | ({"when": _plain(self.when)} if self.when else {})


Parameter: TypeAlias = Float | Int | Choice | Fixed


def same_value(left: Any, right: Any) -> bool:
    """Return whether two values are equal and of one kind: 1 equals 1.0, but not True."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def normalize_condition(when: Any) -> Condition:
    """Make every parent's values a tuple: ``{"optimizer": "sgd"}`` becomes ``{"optimizer": ("sgd",)}``."""
    if not isinstance(when, Mapping):
        raise SpaceError(f"when is a table, found {when!r}", hint='when={"optimizer": "sgd"}')
    return {
        parent: tuple(values) if isinstance(values, (list, tuple)) else (values,) for parent, values in when.items()
    }


def _document(head: dict[str, Any], parameter: Float | Int | Choice, **extras: Any) -> dict[str, Any]:
    document = head | {name: value for name, value in extras.items() if value}
    document["default"] = parameter.default
    if parameter.when:
        document["when"] = _plain(parameter.when)
    return document


def _plain(when: Condition) -> dict[str, Any]:
    return {parent: values[0] if len(values) == 1 else list(values) for parent, values in when.items()}


def _middle(low: float, high: float, log: bool) -> float:
    middle = math.sqrt(low) * math.sqrt(high) if log else low / 2 + high / 2
    return float(min(max(middle, low), high))


def _range_problems(low: Any, high: Any, log: bool) -> Iterator[str]:
    if not (_is_number(low) and _is_number(high)):
        yield f"bounds are two finite numbers, found [{low!r}, {high!r}]"
    elif low >= high:
        yield f"the lower bound {low} is not below the upper bound {high}"
    elif log and low <= 0:
        yield f"log needs a lower bound above 0, found {low}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
