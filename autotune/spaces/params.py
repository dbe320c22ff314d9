"""Parameters as values: Float, Int, Choice, Fixed and Derived, each with the condition under which it exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import Any, ClassVar, Final, TypeAlias

from autotune.spaces.arguments import Condition, normalize
from autotune.spaces.formula import FormulaError, parse_formula
from autotune.spaces.ranges import (
    Problem,
    as_one_of,
    default_problem,
    exponent,
    fixed_problem,
    int_range_problems,
    is_number,
    is_one_of,
    is_plain,
    is_power_of_two,
    is_whole,
    middle,
    option_problems,
    range_problems,
    same_value,
    special_problems,
    weight_problems,
    wrong_option,
)


class Unset(Enum):
    """The default of a default: None is a value that a parameter may have."""

    UNSET = "not given"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Float:
    """A real number between two bounds, both included.

    Parameters
    ----------
    low, high : float
        The bounds.
    log : bool
        Search the logarithm; needs ``low > 0`` and no step.
    default : float, optional
        Tried first; the middle of the range (of its logarithm) when left out.
    when : mapping, optional
        Parents and the values that they must have for this parameter to exist.
    step : float, optional
        Distance of neighbouring values, from `low` on.
    special : sequence, optional
        Values beside the range, such as 0 beside a logarithmic one, or a text; ``or`` in a file.

    Examples
    --------
    >>> Float(1e-4, 1e-2, log=True, special=[0.0]).admits(0.5)
    False
    """

    kind: ClassVar[str] = "float"

    low: float
    high: float
    log: bool = False
    default: Any = UNSET
    when: Condition = field(default_factory=dict)
    step: float | None = None
    special: Sequence[Any] = ()

    def __post_init__(self) -> None:
        normalize(self)
        if any(range_problems(self)):
            return
        for name in ("low", "high", "step"):  # 0 and 0.0 make one space, with one fingerprint
            if is_number(getattr(self, name)):
                object.__setattr__(self, name, float(getattr(self, name)))
        given = self._nearest(middle(self.low, self.high, self.log)) if self.default is UNSET else self.default
        object.__setattr__(self, "default", self.canonical(given))

    def admits(self, value: Any) -> bool:
        """Return whether the value is in the range and on its steps, or a special one."""
        if is_one_of(value, self.special):
            return True
        slack = 1e-6 * (self.step or 0)  # 0.1 + 2 * 0.1 is meant as 0.3
        inside = is_number(value) and self.low - slack <= value <= self.high + slack
        return inside and abs(value - self._nearest(value)) <= slack

    def canonical(self, value: Any) -> Any:
        """Return a value of the parameter in the one way that it is said; any other value comes back as it is.

        Examples
        --------
        >>> Float(0, 1, step=0.1).canonical(0.1 + 2 * 0.1)
        0.3
        """
        if not self.admits(value) or is_one_of(value, self.special):
            return as_one_of(value, self.special)
        return self._nearest(float(value))

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameter as it is written."""
        found = list(range_problems(self))
        yield from found
        yield from special_problems(self)
        if not found and not self.admits(self.default):
            yield default_problem(self)

    def extremes(self) -> tuple[Any, ...]:
        """Return values whose being right makes all others right: the bounds and the special ones."""
        return (self.low, self.high, *self.special)

    @property
    def n_steps(self) -> int:
        """How many steps there are from `low` to `high`."""
        assert self.step is not None
        return round((self.high - self.low) / self.step)

    def at_step(self, index: int) -> float:
        """Return the value after so many steps, as a person writes it: 0.3, though 0.1 + 2 * 0.1 is more."""
        low, high = Fraction(repr(self.low)), Fraction(repr(self.high))
        return float(low + (high - low) * index / self.n_steps)

    def step_of(self, value: float) -> int:
        """Return after how many steps the value nearest to another one comes."""
        assert self.step is not None
        return round((value - self.low) / (self.high - self.low) * self.n_steps)

    def _nearest(self, value: float) -> float:
        return value if self.step is None else self.at_step(self.step_of(value))


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
    scale : {"pow2"}, optional
        Only powers of two; the sampler sees their exponents, in order.
    special : sequence, optional
        Values beside the range, such as None; ``or`` in a file.
    fidelity : bool
        The resource of training, such as epochs: every trial may go up to `high`, and its curve chooses where it ends.

    Examples
    --------
    >>> Int(16, 512, scale="pow2").default
    64
    >>> Int(16, 512, scale="pow2").admits(100)
    False
    """

    kind: ClassVar[str] = "int"

    low: int
    high: int
    log: bool = False
    step: int = 1
    default: Any = UNSET
    when: Condition = field(default_factory=dict)
    scale: str | None = None
    special: Sequence[Any] = ()
    fidelity: bool = False

    def __post_init__(self) -> None:
        normalize(self)
        if any(int_range_problems(self)):
            return
        if self.fidelity:
            object.__setattr__(self, "default", self.high if self.default is UNSET else self.default)
        else:
            given = self._middle() if self.default is UNSET else self.default
            object.__setattr__(self, "default", self.canonical(given))

    def admits(self, value: Any) -> bool:
        """Return whether the value is a whole number of the range and its scale, or a special one."""
        if is_one_of(value, self.special):
            return True
        inside = is_whole(value) and self.low <= value <= self.high
        return inside and (is_power_of_two(value) if self.scale else (value - self.low) % self.step == 0)

    def canonical(self, value: Any) -> Any:
        """Return a value of the parameter in the one way that it is said; any other value comes back as it is."""
        return as_one_of(value, self.special)

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameter as it is written."""
        found = list(int_range_problems(self))
        yield from found
        yield from special_problems(self)
        if self.fidelity and not found:
            yield from self._fidelity_problems()
        elif not found and not self.admits(self.default):
            yield default_problem(self)

    def extremes(self) -> tuple[Any, ...]:
        """Return values whose being right makes all others right: the bounds and the special ones."""
        return (self.low, self.high, *self.special)

    def _middle(self) -> int:
        if self.scale:
            return int(2 ** ((exponent(self.low) + exponent(self.high)) // 2))
        return self.low + round((middle(self.low, self.high, self.log) - self.low) / self.step) * self.step

    def _fidelity_problems(self) -> Iterator[Problem]:
        if self.low != 1:
            yield Problem("int", f"a fidelity begins at 1, found {self.low}", f"int = [1, {self.high}]")
        if self.default != self.high:
            yield Problem("default", "a fidelity has no default: the curve chooses", "leave default out")
        for word, given in (("log", self.log), ("step", self.step != 1), ("scale", self.scale), ("or", self.special)):
            if given:
                yield Problem(word, f"a fidelity is not sampled, so {word} means nothing", f"leave {word} out")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values: texts, numbers, booleans, None, or lists of these.

    Parameters
    ----------
    options : sequence
        The values; lists become tuples.
    default : optional
        Tried first; the first option when left out.
    when : mapping, optional
        Parents and the values that they must have for this parameter to exist.
    ordered : bool
        The options stand in an order that the sampler shall see.
    weights : sequence of float, optional
        How often each option is drawn, in relation to the others, while nothing is known yet.

    Examples
    --------
    >>> Choice(["adamw", "sgd"]).default
    'adamw'
    """

    kind: ClassVar[str] = "choice"

    options: Sequence[Any]
    default: Any = UNSET
    when: Condition = field(default_factory=dict)
    ordered: bool = False
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        normalize(self)
        if not any(option_problems(self)):
            given = self.options[0] if self.default is UNSET else self.default
            object.__setattr__(self, "default", self.canonical(given))
        if self.weights is not None and not any(weight_problems(self)):
            object.__setattr__(self, "weights", tuple(map(float, self.weights)))

    def admits(self, value: Any) -> bool:
        """Return whether the value is one of the options; True is not 1."""
        return is_one_of(value, self.options)

    def canonical(self, value: Any) -> Any:
        """Return a value of the parameter in the one way that it is said; any other value comes back as it is."""
        return as_one_of(value, self.options)

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameter as it is written."""
        found = list(option_problems(self))
        yield from found
        if found:
            return
        if not self.admits(self.default):
            yield wrong_option(self)
        yield from weight_problems(self)

    def extremes(self) -> tuple[Any, ...]:
        """Return all options."""
        return tuple(self.options)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that does not vary.

    Parameters
    ----------
    value
        The value; a list becomes a tuple.
    when : mapping, optional
        Parents and the values that they must have for this parameter to exist.

    Examples
    --------
    >>> Fixed(3).admits(4)
    False
    """

    kind: ClassVar[str] = "fixed"

    value: Any
    when: Condition = field(default_factory=dict)

    def __post_init__(self) -> None:
        normalize(self)

    @property
    def default(self) -> Any:
        """The value itself."""
        return self.value

    def admits(self, value: Any) -> bool:
        """Return whether it is the value."""
        return same_value(self.value, value)

    def canonical(self, value: Any) -> Any:
        """Return a value of the parameter in the one way that it is said; any other value comes back as it is."""
        return as_one_of(value, (self.value,))

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong: a value that no file can hold."""
        if not (is_plain(self.value) or is_whole(self.value)):
            yield fixed_problem(self)

    def extremes(self) -> tuple[Any, ...]:
        """Return the value."""
        return (self.value,)


@dataclass(frozen=True, slots=True)
class Derived:
    """A value computed from other parameters of the learner: arithmetic, never code.

    Parameters
    ----------
    formula : str
        Numbers, names of parameters, ``+ - * / // % **``, brackets, and the functions of `autotune.spaces.formula`.
    when : mapping, optional
        Parents and the values that they must have for this parameter to exist.

    Examples
    --------
    >>> Derived("learning_rate * batch_size / 256").value({"learning_rate": 0.1, "batch_size": 512})
    0.2
    """

    kind: ClassVar[str] = "derived"

    formula: str
    when: Condition = field(default_factory=dict)

    def __post_init__(self) -> None:
        normalize(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that it is computed from; none where the formula is wrong."""
        return () if any(self.problems()) else parse_formula(self.formula).names

    def value(self, values: Mapping[str, Any]) -> float | int:
        """Compute it; raises FormulaError where the arithmetic has no finite result."""
        return parse_formula(self.formula).value(values)

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the formula as it is written."""
        try:
            parse_formula(self.formula)
        except FormulaError as error:
            yield Problem("derived", str(error), error.hint)


Parameter: TypeAlias = Float | Int | Choice | Fixed | Derived


def Bool(default: bool = False, when: Condition | None = None) -> Choice:  # noqa: N802  it stands beside Float and Int
    """Return a parameter that is true or false.

    Examples
    --------
    >>> Bool().options
    (False, True)
    """
    return Choice((False, True), default=default, when=when or {})
