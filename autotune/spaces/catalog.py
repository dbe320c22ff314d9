"""The built-in spaces, and the way from whatever a person names to a Space."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from importlib.resources import files
from operator import or_
from pathlib import Path
from typing import Any

from autotune.errors import SettingsError
from autotune.registry import unknown_name
from autotune.spaces.files import read_space
from autotune.spaces.space import Space


def built_in_names() -> list[str]:
    """Return the names of the built-in spaces, in alphabetical order.

    Examples
    --------
    >>> "lightgbm" in built_in_names()
    True
    """
    return sorted(path.name.removesuffix(".toml") for path in _folder().iterdir() if path.name.endswith(".toml"))


def built_in_path(name: str) -> Path:
    """Return the file of a built-in space.

    Raises
    ------
    UnknownNameError
        With the nearest right name.
    """
    if name not in built_in_names():
        raise unknown_name("search space", name, built_in_names())
    return _folder() / f"{name}.toml"


def find_space(space: Any) -> Space:
    """Make a Space of whatever names one.

    Parameters
    ----------
    space : Space, str, Path, mapping or list
        A space; a built-in name; a TOML file's path; names joined by commas; learners with their parameters; or a
        list of any of these, which are joined.

    Raises
    ------
    UnknownNameError
        When a name is no built-in space.
    SpaceError
        When the space is wrong.
    SettingsError
        When it is none of these.

    Examples
    --------
    >>> sorted(find_space("lightgbm,linear").learners)
    ['lightgbm', 'linear']
    """
    match space:
        case Space():
            return space
        case Path():
            return read_space(space)
        case str() if space.endswith(".toml"):
            return read_space(Path(space))
        case str() if "," in space:
            return find_space([name.strip() for name in space.split(",") if name.strip()])
        case str():
            return read_space(built_in_path(space))
        case Mapping():
            return Space(space)
        case list() | tuple() if space:
            return reduce(or_, map(find_space, space))
    raise SettingsError(f"space={space!r} is no search space", "space", "a built-in name, a TOML file or a Space")


def _folder() -> Path:
    return Path(str(files("autotune.search_spaces")))
