"""The way from whatever a person names to a Space."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from autotune.errors import SettingsError
from autotune.spaces.files import built_in_path, read_space
from autotune.spaces.space import Space


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
