"""What can be wrong with a range, and when two values are one; the classes of `params` ask here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from autotune.registry import nearest

if TYPE_CHECKING:
    from autotune.spaces.params import Choice, Fixed, Float, Int


LARGEST = 2**53
"""Whole numbers from here on are refused: samplers and databases hold them as floats."""

NOT_PLAIN = "neither text, finite number, true, false nor none"
"""What is said of a value that a file cannot hold."""


class Problem(NamedTuple):
    """Something wrong with a parameter: the word of the file that it stands at, what it is, and what to do."""

    at: str
    what: str
    hint: str | None = None


def shown(value: Any) -> str:
    """Return a value as messages show it: in the words of files, with lists for tuples.

    Examples
    --------
    >>> print(shown((True, None, "sgd")))
    [true, none, 'sgd']
    """
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{', '.join(map(shown, value))}]"
        case str() | int() | float() | Mapping():
            return repr(value)
    return str(value)  # a date, and whatever else a reader of YAML makes


def same_value(left: Any, right: Any) -> bool:
    """Return whether two values are equal and of one kind: 1 equals 1.0, but not True."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def frozen_value(value: Any) -> Any:
    """Return a value with its lists as tuples, all the way down, and NumPy's numbers as Python's."""
    if isinstance(value, (list, tuple)):
        return tuple(frozen_value(item) for item in value)
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0 else value


def listed_value(value: Any) -> Any:
    """Return a value with its tuples as lists, as files hold them."""
    return [listed_value(item) for item in value] if isinstance(value, tuple) else value


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number; True is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def middle(low: float, high: float, log: bool) -> float:
    """Return the middle of a range, or of its logarithm."""
    middle = math.sqrt(low) * math.sqrt(high) if log else low / 2 + high / 2
    return float(min(max(middle, low), high))


def is_one_of(value: Any, values: Sequence[Any]) -> bool:
    """Return whether a value is among others, as `same_value` sees it."""
    return any(same_value(each, frozen_value(value)) for each in values)


def as_one_of(value: Any, values: Sequence[Any]) -> Any:
    """Return the value of others that is the same as one, as `same_value` sees it; the value itself where none is.

    Examples
    --------
    >>> as_one_of(1, (1.0, 2.0)), as_one_of(True, (1.0, 2.0))
    (1.0, True)
    """
    return next((each for each in values if same_value(each, value)), value)


def option_label(option: Any) -> Any:
    """Return an option as databases hold it: lists as their JSON text."""
    return json.dumps(listed_value(option)) if isinstance(option, tuple) else option


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number that a sampler can hold; True is none."""
    if isinstance(value, bool):
        return False
    return math.isfinite(value) if isinstance(value, float) else isinstance(value, int) and abs(value) < LARGEST


def is_plain(value: Any) -> bool:
    """Return whether a file can hold the value: text, finite number, boolean, None, or a tuple of these."""
    match value:
        case tuple():
            return all(is_plain(item) for item in value)
        case str():
            return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
    return value is None or isinstance(value, bool) or is_number(value)


def as_number(value: Any) -> float | int | None:
    """Return a number, or the one that a text spells, or None.

    Examples
    --------
    >>> as_number("1e-5"), as_number("5"), as_number("five")
    (1e-05, 5, None)
    """
    if isinstance(value, str):
        for kind in (int, float):
            with suppress(ValueError):
                return as_number(kind(value))
    return value if is_number(value) else None


def as_found(value: Any) -> Any:
    """Return a value as one that may be of any type, whatever its annotation promises."""
    return value


def exponent(power: int) -> int:
    """Return the exponent of a power of two.

    Examples
    --------
    >>> exponent(256)
    8
    """
    return power.bit_length() - 1


def is_power_of_two(value: int) -> bool:
    """Return whether a whole number is 1, 2, 4, 8 and so on."""
    return value > 0 and value & (value - 1) == 0


def range_problems(parameter: Float | Int) -> Iterator[Problem]:
    """Yield what is wrong with the bounds, the logarithm and the step of a float."""
    low, high, kind, log = parameter.low, parameter.high, parameter.kind, as_found(parameter.log)
    if any(is_whole(bound) and abs(bound) >= LARGEST for bound in (low, high)):
        problem = f"bounds are below 2**53, which is as far as samplers count, found [{low}, {high}]"
        yield Problem(kind, problem, f"{kind} = [1, 1000000]")
    elif not (is_number(low) and is_number(high)):
        numbers = [as_number(bound) for bound in (low, high)]
        hint = f"{kind} = {numbers}" if None not in numbers else f"{kind} = [1, 10]"
        yield Problem(kind, f"bounds are two finite numbers, found [{low!r}, {high!r}]", hint)
    elif not math.isfinite(high - low):
        yield Problem(kind, f"the range from {low} to {high} is too wide to be measured", f"{kind} = [-1e300, 1e300]")
    elif low == high:
        yield Problem(kind, f"both bounds are {low}", f"fixed = {low}")
    elif low > high:
        yield Problem(kind, f"the lower bound {low} is not below the upper bound {high}", f"{kind} = [{high}, {low}]")
    elif not isinstance(log, bool):
        yield Problem("log", f"log is true or false, found {log!r}", "log = true")
    elif log and low <= 0:
        hint = "leave log out" if low < 0 else f"a bound above 0, and or = [{low}] for {low} itself"
        yield Problem("log", f"log needs a lower bound above 0, found {low}", hint)
    elif kind == "float" and parameter.step is not None:
        yield from _step_problems(parameter, parameter.step)


def _step_problems(parameter: Float | Int, step: float) -> Iterator[Problem]:
    width = parameter.high - parameter.low
    if not is_number(step) or not step or step <= 0:
        yield Problem("step", f"step {step!r} is no number above 0", "step = 0.1")
    elif parameter.log:
        yield Problem("step", "log and step exclude each other", "leave one of them out")
    elif not width / step < LARGEST:
        problem = f"step {step} is too small for {parameter.high} - {parameter.low}"
        yield Problem("step", problem, f"step = {width / 10}")
    elif round(width / step) < 1 or not math.isclose(width / step, round(width / step), rel_tol=1e-9):
        reached = float(f"{parameter.low + math.floor(width / step) * step:.12g}")
        hint = f"float = [{parameter.low}, {reached}]" if reached > parameter.low else f"a step of at most {width:.12g}"
        yield Problem("step", f"step {step} does not divide {parameter.high} - {parameter.low}", hint)


def int_range_problems(parameter: Int) -> Iterator[Problem]:
    """Yield what is wrong with the bounds, the step and the scale of an int."""
    low, high, step = parameter.low, parameter.high, parameter.step
    if not (is_whole(low) and is_whole(high)):
        numbers = [number for number in map(as_number, (low, high)) if number is not None]
        hint = "int = [1, 10]"
        if len(numbers) == 2:  # 1e3 is no whole number, though it looks like one
            whole = [int(number) for number in numbers]
            hint = f"int = {whole}" if whole == numbers else f"float = {numbers}"
        yield Problem("int", f"bounds of an int are whole numbers, found [{low!r}, {high!r}]", hint)
        return
    yield from range_problems(parameter)
    if not is_whole(step) or step < 1:
        yield Problem("step", f"step {step!r} is no whole number of at least 1", "leave step out")
    elif parameter.log and step != 1:
        yield Problem("step", "log and step exclude each other", "leave one of them out")
    elif parameter.scale is not None:
        yield from _scale_problems(parameter)
    elif low < high and (high - low) % step:
        reached = low + (high - low) // step * step
        hint = f"int = [{low}, {reached}]" if reached > low else f"a step of at most {high - low}"
        yield Problem("step", f"step {step} does not divide {high} - {low}", hint)


def _scale_problems(parameter: Int) -> Iterator[Problem]:
    if parameter.scale != "pow2":
        yield Problem("scale", f"no scale named {parameter.scale!r}", 'scale = "pow2"')
        return
    if parameter.log or parameter.step != 1:
        yield Problem("scale", "pow2 goes with neither log nor step", "leave them out")
    wrong = [bound for bound in (parameter.low, parameter.high) if not is_power_of_two(bound)]
    if wrong and parameter.low < parameter.high:
        low, high = (max(bound, 1) for bound in (parameter.low, parameter.high))
        hint = f"int = [{2 ** exponent(low)}, {2 ** (exponent(high - 1) + 1) if high > 1 else 2}]"
        yield Problem("int", f"pow2 needs powers of two as bounds, found {' and '.join(map(str, wrong))}", hint)


def special_problems(parameter: Float | Int) -> Iterator[Problem]:
    """Yield what is wrong with the values beside a range."""
    special = parameter.special
    for index, value in enumerate(special):
        if not is_plain(value) or isinstance(value, tuple):
            yield Problem("or", f"value {shown(value)} is {NOT_PLAIN}", "or = [0.0]")
        elif value == "range":
            yield Problem("or", "'range' stands for the range itself", "another text")
        elif any(value == earlier for earlier in special[:index]):
            yield Problem("or", f"value {shown(value)} stands there twice (1, 1.0 and true are equal)", "leave one out")
        elif all(map(is_number, (value, parameter.low, parameter.high))) and parameter.low <= value <= parameter.high:
            yield Problem("or", f"value {value!r} lies within the range already", "leave it out")


def default_problem(parameter: Float | Int) -> Problem:
    """Return what is wrong with a default that is no value of the range, and the value nearest to it."""
    problem = f"default {shown(parameter.default)} is no value of {range_text(parameter)}"
    number = as_number(parameter.default)
    if number is None:
        return Problem("default", problem, "leave default out")
    within = min(max(number, parameter.low), parameter.high)
    if parameter.kind == "int":
        within = 2 ** exponent(int(within)) if parameter.scale else round(within)  # type: ignore[union-attr]
    if parameter.step not in (None, 1):
        n_steps = math.floor((within - parameter.low) / parameter.step)
        within = type(within)(f"{parameter.low + n_steps * parameter.step:.12g}")
    return Problem("default", problem, f"default = {within}" if parameter.admits(within) else "leave default out")


def fixed_problem(parameter: Fixed) -> Problem:
    """Return what is wrong with a value that no file can hold."""
    hints = {float: "a finite number", str: "a text without surrogates, which UTF-8 cannot hold"}
    hint = hints.get(type(parameter.value), f'fixed = "{parameter.value}" for a text')
    return Problem("fixed", f"the value {shown(parameter.value)} is {NOT_PLAIN}", hint)


def option_problems(parameter: Choice) -> Iterator[Problem]:
    """Yield what is wrong with the options of a choice."""
    options = parameter.options
    labels = [option_label(option) for option in options if isinstance(option, tuple) and is_plain(option)]
    if not options:
        yield Problem("choice", "a choice needs at least one option", 'choice = ["a", "b"]')
    for index, option in enumerate(options):
        if not is_plain(option):
            yield Problem("choice", f"option {shown(option)} is {NOT_PLAIN}", "leave it out")
        elif any(option == earlier for earlier in options[:index]):
            twice = f"option {shown(option)} stands there twice (1, 1.0 and true are equal)"
            yield Problem("choice", twice, "leave one out")
        elif option in labels:
            problem = f"option {shown(option)} is how a study holds the list {option}, which is an option too"
            yield Problem("choice", problem, "leave one out, or spell the text otherwise")


def wrong_option(parameter: Choice) -> Problem:
    """Return what is wrong with a default that is no option, and the option that is spelled most like it."""
    problem = f"default {shown(parameter.default)} is none of {shown(parameter.options)}"
    close = nearest(str(parameter.default), map(str, parameter.options))
    like = [option for option in parameter.options if str(option) == close]
    return Problem("default", problem, f"default = {shown(like[0])}" if like else "leave default out")


def weight_problems(parameter: Choice) -> Iterator[Problem]:
    """Yield what is wrong with the weights of a choice's options."""
    weights = parameter.weights
    if weights is None:
        return
    if len(weights) != len(parameter.options):
        ones = [1] * len(parameter.options)
        problem = f"weights are {len(ones)} numbers, one an option, found {list(weights)}"
        yield Problem("weights", problem, f"weights = {ones}")
    elif not all(is_number(weight) and weight > 0 for weight in weights):
        hint = "leave an option out that is never to be drawn"
        yield Problem("weights", f"weights are finite numbers above 0, found {list(weights)}", hint)


def range_text(parameter: Float | Int) -> str:
    """Return a range as messages show it."""
    beside = "".join(f" or {shown(value)}" for value in parameter.special)
    steps = f" in steps of {parameter.step}" if parameter.step not in (None, 1) else ""
    powers = ", powers of two" if getattr(parameter, "scale", None) else ""
    return f"[{parameter.low}, {parameter.high}]{steps}{powers}{beside}"


def values_text(parameter: Float | Int | Choice | Fixed) -> str:
    """Return what a parameter may be, as hints show it."""
    if parameter.kind in ("float", "int"):
        return f"a value of {range_text(parameter)}"  # type: ignore[arg-type]
    return f"one of: {', '.join(map(shown, parameter.extremes()))}"


def instead(parameter: Float | Int | Choice | Fixed, value: Any) -> str:
    """Return what to write for a wrong value: the one that it spells, the nearest text, or all that there are."""
    number = as_number(value)
    if isinstance(value, str) and number is not None and parameter.admits(number):
        return shown(number)
    options = parameter.extremes() if parameter.kind in ("choice", "fixed") else ()
    close = nearest(str(value), [each for each in options if isinstance(each, str)])
    return repr(close) if close else values_text(parameter)
