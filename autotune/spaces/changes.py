"""Changes to a space as words of a command line: ``mlp.dropout={float=[0,0.3]}`` and ``mlp.optimizer=adamw``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from autotune.errors import SpaceError
from autotune.spaces.space import Space
from autotune.spaces.texts import without_none_tables

PYTHON_WORDS: Mapping[str, bool | None] = {"True": True, "False": False, "None": None}


def changed(space: Space, sets: Iterable[str] = (), fixes: Iterable[str] = ()) -> Space:
    """Return a space with parameters set anew or fixed.

    Parameters
    ----------
    space : Space
        What is changed.
    sets : iterable of str
        ``path=entry``, where the entry is written as in a TOML file; the learner may be left out of the path where the
        space has only one.
    fixes : iterable of str
        ``path=value``; a value that is neither TOML nor one of Python's True, False and None is a text.

    Raises
    ------
    SpaceError
        When a change cannot be read, or does not fit the space.

    Examples
    --------
    >>> space = Space({"knn": {"k": {"int": [1, 50]}, "weights": {"choice": ["uniform", "distance"]}}})
    >>> changed(space, ["k={int=[1,9]}"], ["weights=distance"]).default("knn").params
    {'k': 5, 'weights': 'distance'}
    """
    changes: dict[str, Any] = {}
    for text in sets:
        path, entry = _pair(text, "--set")
        changes[path] = _toml(entry, f"--set {text}", path)
    for text in fixes:
        path, value = _pair(text, "--fix")
        changes[path] = {"fixed": _value(value)}
    for path in changes:
        _check_path(space, path)
    return space | changes if changes else space


def _pair(text: str, option: str) -> tuple[str, str]:
    path, equals, entry = text.partition("=")
    if not (equals and path.strip() and entry.strip()):
        hint = "mlp.dropout='{float=[0, 0.3]}'" if option == "--set" else "mlp.optimizer=adamw"
        raise SpaceError(f"{option} takes path=value, found {text!r}", option, f"{option} {hint}")
    return path.strip(), entry.strip()


def _toml(entry: str, where: str, path: str) -> Any:
    try:
        found = tomllib.loads(f"entry = {entry}")["entry"]
    except tomllib.TOMLDecodeError as error:
        hint = f"--set {path}='{{float=[0, 1]}}'"
        raise SpaceError(f"{entry!r} is no TOML: {error}", where, hint) from None
    return without_none_tables(found)


def _value(text: str) -> Any:
    try:
        return without_none_tables(tomllib.loads(f"value = {text}")["value"])
    except tomllib.TOMLDecodeError:
        return PYTHON_WORDS.get(text, text)


def _check_path(space: Space, path: str) -> None:
    """Raise for a learner that the space lacks; a new parameter of a learner is the learner's to refuse."""
    from autotune.registry import unknown_name
    from autotune.spaces.checking import named_wrongly

    learner, dot, _ = path.partition(".")
    if dot and learner not in space.learners:
        raise named_wrongly(unknown_name("learner of this space", learner, space.learners, path))
    if not dot and len(space.learners) > 1:
        hint = f"{next(iter(space.learners))}.{path}"
        raise SpaceError("the space has several learners, and none is named", path, hint)
