"""The way from whatever a person names to a Space."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from autotune.errors import SettingsError, raise_all
from autotune.spaces.document import MODEL, TOP
from autotune.spaces.files import Check, built_in_path, read_document, read_space
from autotune.spaces.space import VERSION, Space
from autotune.spaces.texts import SUFFIXES


def find_space(space: Any, check: Check | None = None) -> Space:
    """Make a Space of whatever names one.

    Parameters
    ----------
    space : Space, str, Path, mapping or list
        A space; a built-in name; the path of a TOML, YAML or JSON file; names joined by commas; learners with their
        parameters; a document as a file holds it; or a list of any of these, which are joined.
    check : callable, optional
        Finds what else is wrong with a space; all problems of one file come together.

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
            raise_all(check(space) if check else [])
            return space
        case Path():
            return read_space(space, check)
        case str() if "," in space and not Path(space).is_file():
            return find_space([name.strip() for name in space.split(",") if name.strip()], check)
        case str() if space.lower().endswith(SUFFIXES):
            return read_space(Path(space), check)
        case str() if Path(space).is_file():
            raise SettingsError(f"{space} is no space file", "space", f"a file that ends in {', '.join(SUFFIXES)}")
        case str():
            return read_space(built_in_path(space), check)
        case Mapping() if any(key in TOP or _names_a_model(table) for key, table in space.items()):
            return read_document({"version": VERSION, **space}, check=check)
        case Mapping():
            found = Space(space, checked=False)
            raise_all([*found.problems(), *(check(found) if check else ())])
            return found.replaced()
        case list() | tuple() if space:
            return reduce(or_, (find_space(each, check) for each in space))
    raise SettingsError(f"space={space!r} is no search space", "space", "a built-in name, a file or a Space")


def _names_a_model(table: Any) -> bool:
    """Return whether a learner's table says what its model is, as a file does."""
    return isinstance(table, Mapping) and isinstance(table.get(MODEL), str)
