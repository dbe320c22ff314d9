"""The checks of parameter values that every learner's ``Params`` makes."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import TypeAlias

from autotune.errors import SettingsError

Rule: TypeAlias = range | tuple[float, float] | str | type[bool]
"""A range of whole numbers, the lowest and highest number, words, or `bool` for true and false."""


def check_parameters(learner: str, params: object, rules: Mapping[str, Rule]) -> None:
    """Raise SettingsError if a parameter has a value that it cannot have.

    Parameters
    ----------
    learner, params
        The learner's name, for the message, and its parameters.
    rules : mapping of str to Rule
        By name of the parameter.
    """
    for name, rule in rules.items():
        value = getattr(params, name)
        number = isinstance(value, Real) and not isinstance(value, bool)
        match rule:
            case type():
                fits, law = isinstance(value, rule), "true or false"
            case range():
                whole = number and isinstance(value, Integral)  # "in" would walk through the range for other numbers
                fits, law = whole and rule.start <= value < rule.stop, f"a whole number of at least {rule.start}"
            case (low, high):
                fits, law = number and low <= value <= high, f"a number from {low:g} to {high:g}"
            case _:
                fits, law = value in rule.split(), "one of " + ", ".join(rule.split())
        if not fits:
            raise SettingsError(f"{name}={value!r} is not {law}", f"learner {learner!r}, {name}")
