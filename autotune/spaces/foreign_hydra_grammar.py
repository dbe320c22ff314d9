"""Hydra's override grammar, for sweeps: ``tag(log, interval(1e-5, 1e-1))``, ``choice(a, b)``, ``a, b``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from autotune.registry import nearest


@dataclass(frozen=True, slots=True)
class Sweep:
    """What an override sweeps over.

    Attributes
    ----------
    kind : {"choice", "range", "interval"}
        A list of values, a range with steps, or everything between two numbers.
    values : tuple
        The options, or start, stop and step, or start and end.
    tags : frozenset of str
        What ``tag`` added.
    shuffled : bool
        Whether ``shuffle`` was called.
    """

    kind: Literal["choice", "range", "interval"]
    values: tuple[Any, ...]
    tags: frozenset[str] = frozenset()
    shuffled: bool = False


class GrammarError(ValueError):
    """A text is no override, with a hint where there is one."""

    def __init__(self, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.hint = hint


class BeyondSpaceError(ValueError):
    """A text is an override that Hydra knows and a space has no word for."""


def parse_override(text: str) -> Any:
    """Read the value of an override.

    Parameters
    ----------
    text : str
        What stands behind ``name=``.

    Returns
    -------
    Sweep, or a text, number, boolean, None or list
        A sweep, or the one value that the parameter has.

    Raises
    ------
    GrammarError
        When it is no override.
    BeyondSpaceError
        When it holds a dictionary, an interpolation or a glob.

    Examples
    --------
    >>> parse_override("int(interval(1, 8))")
    Sweep(kind='interval', values=(1, 8), tags=frozenset(), shuffled=False)
    >>> parse_override("a, b").values
    ('a', 'b')
    """
    return _Parser(text).override()


_TOKEN = re.compile(
    r"""\s*(?:
    (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<mark>[()\[\]{},=])
    |(?P<text>(?:\\.|\$\{[^}]*\}|[^()\[\]{},="'\\])+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_INT = re.compile(r"[+-]?(?:0|[1-9](?:_?\d)*)")
_FLOAT = re.compile(
    r"[+-]?(?:(?:(?:0|[1-9](?:_?\d)*)\.|(?:0|[1-9](?:_?\d)*)?\.\d(?:_?\d)*|0|[1-9](?:_?\d)*)(?:e[+-]?\d(?:_?\d)*)?|inf|nan)",
    re.IGNORECASE,
)
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None}


class _Parser:
    """One pass over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.at = 0

    def override(self) -> Any:
        values = [self._element()]
        while self._takes(","):
            values.append(self._element())
        if self.at < len(self.tokens):
            raise GrammarError(f"{self.tokens[self.at][1]!r} is not expected in {self.text!r}")
        return values[0] if len(values) == 1 else _choice(*values)

    def _element(self) -> Any:
        if self.at == len(self.tokens):
            raise GrammarError(f"{self.text!r} ends too early")
        kind, token = self.tokens[self.at]
        self.at += 1
        if kind == "quoted":
            return re.sub(r"\\([\"'])", r"\1", token[1:-1])
        if kind == "text":
            return self._call(token) if self._takes("(") else _primitive(token)
        if token == "[":
            return self._items("]", self._element)
        if token == "{":
            raise BeyondSpaceError("a dictionary")
        raise GrammarError(f"{token!r} is not expected in {self.text!r}")

    def _items(self, end: str, item: Callable[[], Any]) -> list[Any]:
        items: list[Any] = []
        while not self._takes(end):
            if items and not self._takes(","):
                raise GrammarError(f"{end!r} is missing in {self.text!r}")
            items.append(item())
        return items

    def _call(self, name: str) -> Any:
        arguments = self._items(")", self._argument)
        if name in _BEYOND:
            raise BeyondSpaceError(f"{name}(...)")
        if name not in _FUNCTIONS:
            raise GrammarError(f"no function named {name!r} in {self.text!r}", nearest(name, _FUNCTIONS))
        positional = [value for word, value in arguments if word is None]
        named = {word: value for word, value in arguments if word is not None}
        try:
            return _FUNCTIONS[name](*positional, **named)
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, GrammarError):
                raise
            raise GrammarError(f"{name}: {str(error).removeprefix('_')} in {self.text!r}") from None

    def _argument(self) -> tuple[str | None, Any]:
        following = self.tokens[self.at : self.at + 2]
        if [kind for kind, _ in following] == ["text", "mark"] and following[1][1] == "=":
            self.at += 2
            return following[0][1], self._element()
        return None, self._element()

    def _takes(self, mark: str) -> bool:
        taken = self.at < len(self.tokens) and self.tokens[self.at] == ("mark", mark)
        self.at += taken
        return taken


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise GrammarError(f"{text[at:].strip()!r} is not expected in {text!r}", "close the quote")
        kind = str(match.lastgroup)
        token = match[kind]
        found.append((kind, token if kind == "quoted" else token.strip()))
        at = match.end()
    return [token for token in found if token[1]]


def _primitive(token: str) -> Any:
    if "${" in token:
        raise BeyondSpaceError("an interpolation")
    if token.lower() in _WORDS:
        return _WORDS[token.lower()]
    if _INT.fullmatch(token):
        return int(token)
    return float(token) if _FLOAT.fullmatch(token) else re.sub(r"\\([\\()\[\]{}:=, \t])", r"\1", token)


def _choice(*values: Any) -> Sweep:
    if len(values) == 1 and isinstance(values[0], Sweep) and values[0].kind == "choice":
        return values[0]
    if not values or any(isinstance(value, Sweep) for value in values):
        raise GrammarError("a choice is over values: choice(a, b)")
    return Sweep("choice", values)


def _range(start: Any, stop: Any = None, step: Any = 1) -> Sweep:
    start, stop = (0, start) if stop is None else (start, stop)
    _only_numbers("range", start, stop, step)
    if step == 0:
        raise GrammarError("a range has a step other than 0")
    return Sweep("range", (start, stop, step))


def _interval(start: Any, end: Any) -> Sweep:
    _only_numbers("interval", start, end)
    return Sweep("interval", (float(start), float(end)))


def _tag(*words: Any, sweep: Any = None) -> Sweep:
    words, swept = (words, sweep) if sweep is not None else (words[:-1], words[-1] if words else None)
    if not isinstance(swept, Sweep) or not all(isinstance(word, str) for word in words):
        raise GrammarError("tag takes texts and, last, a sweep: tag(log, interval(1e-5, 1e-1))")
    return replace(swept, tags=frozenset(words))


def _shuffle(*values: Any, **named: Any) -> Any:
    swept = _one(values, named)
    if not isinstance(swept, Sweep):
        return swept
    if swept.kind == "interval":
        raise GrammarError("an interval cannot be shuffled")
    return replace(swept, shuffled=True)


def _sort(*values: Any, reverse: Any = False, **named: Any) -> Any:
    swept = _one(values, named)
    if not isinstance(swept, Sweep):
        return sorted(swept, reverse=bool(reverse)) if isinstance(swept, list) else swept
    if swept.kind == "interval":
        raise GrammarError("an interval cannot be sorted")
    if swept.kind == "choice":
        return replace(swept, values=tuple(sorted(swept.values, reverse=bool(reverse))))
    start, stop, step = swept.values
    if (start > stop) != bool(reverse):
        shift = -abs(step) if reverse else abs(step)
        return replace(swept, values=(stop + shift, start + shift, -step))
    return swept


def _one(values: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Return what a function was called on: a sweep, a list, or several values that are a choice together."""
    given = [*values, *(named.pop(word) for word in ("sweep", "list", "value") if word in named)]
    if named:
        raise GrammarError(f"{next(iter(named))} is no word of a function on sweeps")
    return given[0] if len(given) == 1 else _choice(*given)


def _cast(kind: Callable[[Any], Any]) -> Callable[..., Any]:
    def cast(*values: Any, **named: Any) -> Any:
        given = _one(values, named)
        if isinstance(given, list):
            return [cast(each) for each in given]
        if not isinstance(given, Sweep):
            return kind(given)
        if given.kind != "choice" and kind not in (int, float):
            raise GrammarError(f"only options become texts or booleans, not {given.kind}s")
        tags = given.tags if given.kind == "interval" else frozenset()  # as Hydra has it
        return Sweep(given.kind, tuple(cast(each) for each in given.values), tags)

    return cast


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        if value.lower() not in ("true", "false"):
            raise GrammarError(f"{value!r} is neither true nor false")
        return value.lower() == "true"
    return bool(value)


def _only_numbers(name: str, *values: Any) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise GrammarError(f"{name} takes numbers, found {value!r}")


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "choice": _choice,
    "range": _range,
    "interval": _interval,
    "tag": _tag,
    "shuffle": _shuffle,
    "sort": _sort,
    "int": _cast(int),
    "float": _cast(float),
    "str": _cast(_text),
    "bool": _cast(_boolean),
}
_BEYOND = ("glob", "json_str", "extend_list")
