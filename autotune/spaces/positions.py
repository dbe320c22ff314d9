"""Where each key of a TOML text stands: tomllib keeps no positions, and an error without one cannot be acted on."""

from __future__ import annotations

import re
import tomllib
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str, ...]
"""The way to a value: table, key, keys of inline tables; items of lists by their index."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_VALUE = re.compile(r"[^,\]}\n#]*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'",
    re.DOTALL,
)


def toml_positions(text: str) -> dict[KeyPath, tuple[int, int]]:
    r"""Find line and column, from 1, of every key, table and list item of a valid TOML text.

    Parameters
    ----------
    text : str
        What tomllib has read without an error.

    Examples
    --------
    >>> toml_positions('[mlp]\nunits = { int = [1, 8] }')[("mlp", "units", "int")]
    (2, 11)
    """
    reader = _Reader(text.replace("\r\n", "\n"))
    reader.document()
    return reader.found


class _Reader:
    """One pass over a text that is known to be valid."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[KeyPath, tuple[int, int]] = {}
        self._arrays: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> KeyPath:
        start, double = self.at, self.text.startswith("[[", self.at)
        self.at += 2 if double else 1
        keys = self._keys()
        path: KeyPath = ()
        for depth, key in enumerate(keys):
            path = (*path, key)
            if double and depth == len(keys) - 1:
                self._arrays[path] = self._arrays.get(path, -1) + 1
            if path in self._arrays:
                path = (*path, str(self._arrays[path]))
        self._skip(_SPACE)
        self.at += 2 if double else 1
        for end in range(1, len(path) + 1):  # [a.b] makes a table a, [[start]] a list start
            self._mark(path[:end], start)
        return path

    def _pair(self, table: KeyPath) -> None:
        start = self.at
        path = (*table, *self._keys())
        for end in range(len(table) + 1, len(path) + 1):
            self._mark(path[:end], start)
        self._skip(_BLANK)
        self.at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path)

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            match = _STRING.match(self.text, self.at) or _BARE_KEY.match(self.text, self.at)
            assert match is not None, "the text is no TOML"
            keys.append(_unquoted(match[0]))
            self.at = match.end()
            self._skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def _value(self, path: KeyPath) -> None:
        if string := _STRING.match(self.text, self.at):
            self.at = string.end()
        elif self.text[self.at] == "[":
            self._items(path, "]")
        elif self.text[self.at] == "{":
            self._items(path, "}")
        else:
            self._skip(_BARE_VALUE)

    def _items(self, path: KeyPath, end: str) -> None:
        self.at += 1
        index = 0
        while True:
            self._skip(_BLANK)
            if self.text[self.at] == end:
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
            elif end == "}":
                self._pair(path)
            else:
                self._mark((*path, str(index)), self.at)
                self._value((*path, str(index)))
                index += 1

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        assert match is not None, "the pattern may be empty"
        self.at = match.end()

    def _mark(self, path: KeyPath, at: int) -> None:
        before = self.text[:at]
        self.found.setdefault(path, (before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1))


def _unquoted(key: str) -> str:
    """Return a key as it is called: quotes are gone, and escapes in them are read."""
    return next(iter(tomllib.loads(f"{key} = 1"))) if key[0] in "\"'" else key
