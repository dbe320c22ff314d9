"""Names to things, and the one author of "no learner named 'lightgmb'; did you mean 'lightgbm'?"."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from autotune.errors import UnknownNameError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A table of named things, loaded on first use.

    Parameters
    ----------
    noun : str
        What the things are called in messages, such as ``"learner"``.
    entries : mapping of str to T or str
        The things, or ``"module:attribute"`` texts that are imported when first asked for.

    Examples
    --------
    >>> Registry("colour", {"red": 1})["red"]
    1
    """

    def __init__(self, noun: str, entries: Mapping[str, T | str]) -> None:
        self.noun = noun
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            raise unknown_name(self.noun, name, self._entries)
        entry = self._entries[name]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = getattr(importlib.import_module(module), attribute)
            self._entries[name] = entry
        return entry

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def unknown_name(noun: str, name: object, known: Iterable[str], where: str | None = None) -> UnknownNameError:
    """Make the error for a name that nothing carries, with the nearest right one.

    Parameters
    ----------
    noun : str
        What was looked for: ``"learner"``, ``"column"``, ``"parameter of learner 'mlp'"``.
    name : object
        What was asked for.
    known : iterable of str
        The names that exist.
    where : str, optional
        Where the wrong name stands.
    """
    names = sorted(map(str, known))
    close = nearest(str(name), names)
    problem = f"no {noun} named {str(name)!r}"
    if close:
        return UnknownNameError(problem, where, close)
    shown = ", ".join(names[:20]) + (f", … ({len(names)} in all)" if len(names) > 20 else "")
    return UnknownNameError(problem, where, f"one of: {shown}" if names else None)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is spelled most like the given one, or None."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None
