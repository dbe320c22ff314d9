"""What may not be tried together: a clause holds where all of its conditions do, and what it holds for is forbidden."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from autotune.registry import nearest
from autotune.spaces.params import Choice, Derived, Fixed, Float, Int, Parameter
from autotune.spaces.ranges import (
    Problem,
    as_number,
    frozen_value,
    instead,
    is_number,
    is_one_of,
    listed_value,
    shown,
    values_text,
)

BOUNDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}
"""How a condition names a part of a range."""

WORDS = (*BOUNDS, "not")


@dataclass(frozen=True, slots=True)
class Forbid:
    """Conditions on parameters of one learner that may not all hold at once.

    Parameters
    ----------
    learner : str
        The learner; "" where the space has only one.
    conditions : mapping
        By parameter: a value, a list of values, or ``{"at_least": 256}``, with the words of `WORDS`. A condition on a
        parameter that does not exist in a configuration does not hold.

    Examples
    --------
    >>> clause = Forbid("mlp", {"optimizer": "sgd", "batch_size": {"at_least": 256}})
    >>> clause.matches({"optimizer": "sgd", "batch_size": 512})
    True
    """

    learner: str
    conditions: Mapping[str, Any]

    def __post_init__(self) -> None:
        conditions = {
            name: {word: frozen_value(value) for word, value in condition.items()}
            if isinstance(condition, Mapping)
            else frozen_value(condition)
            for name, condition in self.conditions.items()
        }
        object.__setattr__(self, "conditions", conditions)

    def matches(self, values: Mapping[str, Any]) -> bool:
        """Return whether a configuration's values are forbidden."""
        return all(name in values and holds_for(each, values[name]) for name, each in self.conditions.items())

    def problems(self, parameters: Mapping[str, Parameter]) -> Iterator[tuple[str, Problem]]:
        """Yield, with the parameter's name, what is wrong with the words and values of each condition."""
        for name, condition in self.conditions.items():
            found = list(_word_problems(name, condition)) if isinstance(condition, Mapping) else []
            parameter = parameters.get(name)
            if not (found or parameter is None or isinstance(parameter, Derived) or any(parameter.problems())):
                found = list(_value_problems(name, condition, parameter))
                found = found or list(self._confining(name, condition, parameter))
            yield from ((name, problem) for problem in found)

    def _confining(self, name: str, condition: Any, parameter: Parameter) -> Iterator[Problem]:
        """Yield where the clause leaves of a range nothing but single values, which are never drawn from it."""
        alone = len(self.conditions) == 1 and isinstance(condition, Mapping) and set(condition) == {"not"}
        if alone and isinstance(parameter, Float) and parameter.step is None:
            left = condition["not"] if isinstance(condition["not"], tuple) else (condition["not"],)
            if not any(is_one_of(value, parameter.special) for value in left):
                problem = f"nothing is left of {name} but {' and '.join(map(shown, left))}"
                yield Problem(name, problem, f"{name} = {{ choice = {shown(left)} }} instead of its range")

    def to_dict(self) -> dict[str, Any]:
        """Return the clause as a space file writes it."""
        plain = {
            name: {word: listed_value(value) for word, value in condition.items()}
            if isinstance(condition, Mapping)
            else listed_value(condition)
            for name, condition in self.conditions.items()
        }
        return {"learner": self.learner, **plain}


def holds_for(condition: Any, value: Any) -> bool:
    """Return whether a condition holds for a value.

    Examples
    --------
    >>> holds_for({"at_least": 2, "below": 4}, 4)
    False
    """
    if isinstance(condition, Mapping):
        return all(_word_holds(word, bound, value) for word, bound in condition.items())
    return is_one_of(value, condition if isinstance(condition, tuple) else (condition,))


def _word_holds(word: str, bound: Any, value: Any) -> bool:
    if word == "not":
        return not is_one_of(value, bound if isinstance(bound, tuple) else (bound,))
    return is_number(value) and BOUNDS[word](value, bound)


def _value_problems(name: str, condition: Any, parameter: Float | Int | Choice | Fixed) -> Iterator[Problem]:
    if condition == ():
        yield Problem(name, f"the condition on {name} is empty", values_text(parameter))
    named = condition.get("not", ()) if isinstance(condition, Mapping) else condition
    never = [value for value in (named if isinstance(named, tuple) else (named,)) if not parameter.admits(value)]
    yield from (Problem(name, f"{name} is never {shown(value)}", instead(parameter, value)) for value in never)
    if not isinstance(condition, Mapping) or never:
        return
    if not any(holds_for(condition, value) for value in _typical(parameter, condition)):
        words = " and ".join(f"{str(word).replace('_', ' ')} {shown(bound)}" for word, bound in dict(condition).items())
        yield Problem(name, f"{name} is never {words}", values_text(parameter))


def _word_problems(name: str, condition: Mapping[str, Any]) -> Iterator[Problem]:
    if not condition:
        yield Problem(name, f"the condition on {name} is empty", f"one of: {', '.join(WORDS)}")
    for word, bound in condition.items():
        if word not in WORDS:
            hint = nearest(str(word), WORDS) or f"one of: {', '.join(WORDS)}"
            yield Problem(word, f"no word of a condition named {word!r}", hint)
        elif word != "not" and not is_number(bound):
            number = as_number(bound)
            hint = f"{word} = {1 if number is None else number}"
            yield Problem(word, f"{word} needs a number, found {bound!r}", hint)


def _typical(parameter: Float | Int | Choice | Fixed, condition: Any) -> list[Any]:
    """Return values of a parameter, on all sides of each bound that a condition names."""
    if isinstance(parameter, (Choice, Fixed)) or not isinstance(condition, Mapping):
        return list(parameter.extremes())
    numbers = [value for value in condition.values() if is_number(value)]
    marks = sorted({parameter.low, parameter.high, *numbers})
    step = parameter.step or 0
    if isinstance(parameter, Int) and parameter.scale:
        beside: list[float] = [2**power for power in range(parameter.high.bit_length())]
    elif step:
        on_grid = [parameter.low + (mark - parameter.low) // step * step for mark in marks]
        beside = [each + move * step for each in on_grid for move in (-1, 0, 1, 2)]
    else:
        beside = [*marks, *((low + high) / 2 for low, high in pairwise(marks))]
    if isinstance(parameter, Int):
        beside = [round(value) for value in beside]
    return [*parameter.special, *(parameter.canonical(value) for value in beside if parameter.admits(value))]
