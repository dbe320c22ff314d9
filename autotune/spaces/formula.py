"""Arithmetic on parameters, for derived values: read by Python's own parser, computed here, never run as code."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autotune.registry import nearest
from autotune.spaces.ranges import shown

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "round": round,
    "floor": math.floor,
    "ceil": math.ceil,
    "int": int,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
}
"""The functions that a formula may call."""

_OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}

LONGEST = 500
"""Characters that a formula may have: more is no formula, and would be slow to parse."""

LARGEST_EXPONENT = 1000
"""A power beyond it is refused: whole numbers would fill the memory."""


class FormulaError(ValueError):
    """A formula cannot be read, or has no finite result; the hint says what can be."""

    def __init__(self, problem: str, hint: str = "arithmetic on parameters, such as learning_rate * batch_size / 256"):
        super().__init__(problem, hint)
        self.hint = hint

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that has been read.

    Attributes
    ----------
    text : str
        As it was written.
    names : tuple of str
        The parameters in it, in the order of the text.
    """

    text: str
    names: tuple[str, ...]
    tree: ast.expr

    def value(self, values: Mapping[str, Any]) -> float | int:
        """Compute it from the parameters' values.

        Raises
        ------
        FormulaError
            When the arithmetic has no finite result: a division by zero, a text where a number is needed.
        """
        try:
            result = _compute(self.tree, values)
            finite = not isinstance(result, bool) and isinstance(result, (int, float)) and math.isfinite(result)
        except (ArithmeticError, ValueError, TypeError, KeyError) as error:
            raise FormulaError(f"{self.text!r} has no value: {error}") from None
        if not finite:
            raise FormulaError(f"{self.text!r} is {result!r}, no finite number")
        return result  # type: ignore[no-any-return]  # isinstance has told


def parse_formula(text: Any) -> Formula:
    """Read a formula.

    Parameters
    ----------
    text : str
        Numbers, names, ``+ - * / // % **``, brackets, and the functions of `FUNCTIONS`.

    Raises
    ------
    FormulaError
        When it is anything else.

    Examples
    --------
    >>> parse_formula("2 * depth + 1").value({"depth": 3})
    7
    """
    if not isinstance(text, str):
        raise FormulaError(f"a formula is a text, found {text!r}", f"fixed = {text!r} for a value")
    if len(text) > LONGEST:
        raise FormulaError(f"a formula has at most {LONGEST} characters, found {len(text)}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise FormulaError(f"{text!r} is no arithmetic") from None
    names: dict[str, None] = {}
    try:
        _check(tree, names)
    except RecursionError:
        raise FormulaError(f"{text!r} is nested too deeply") from None
    return Formula(text, tuple(names), tree)


def _check(node: ast.expr, names: dict[str, None]) -> None:
    match node:
        case ast.Constant(value=value) if isinstance(value, (int, float)) and not isinstance(value, bool):
            return
        case ast.Name(id=name):
            names[name] = None
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            _check(left, names)
            _check(right, names)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            _check(operand, names)
        case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]) if function in FUNCTIONS:
            for argument in arguments:
                _check(argument, names)
        case ast.Call(func=ast.Name(id=function)):
            hint = nearest(function, FUNCTIONS) or f"one of: {', '.join(FUNCTIONS)}"
            raise FormulaError(f"no function named {function!r} in formulas", hint)
        case _:
            raise FormulaError(f"{ast.unparse(node)!r} is no arithmetic")


def _compute(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return _number(name, values[name])
        case ast.BinOp(left=left, op=op, right=right):
            one, other = _compute(left, values), _compute(right, values)
            if isinstance(op, ast.Pow):
                _check_power(one, other)
            return _OPERATORS[type(op)](one, other)
        case ast.UnaryOp(op=op, operand=operand):
            return _OPERATORS[type(op)](_compute(operand, values))
        case ast.Call(func=ast.Name(id=function), args=arguments):
            given = [_compute(argument, values) for argument in arguments]
            if function == "round":
                _check_power(10, *given[1:2] or [0])
            return FUNCTIONS[function](*given)
    raise AssertionError(f"unchecked node {node!r}")


def _number(name: str, value: Any) -> Any:
    """Refuse what is no number before it is computed with: a text times a number is a longer text."""
    if not isinstance(value, (int, float)):
        raise TypeError(f"{name} is {shown(value)}, no number")
    return value


def _check_power(base: Any, exponent: Any) -> None:
    """Refuse a power before its digits fill the memory: whole numbers have no largest one."""
    digits = math.log2(abs(base)) if isinstance(base, int) and base else 1
    if abs(exponent) > LARGEST_EXPONENT or digits * abs(exponent) > LARGEST_EXPONENT * 10:
        raise ValueError("a power in it is too large")
