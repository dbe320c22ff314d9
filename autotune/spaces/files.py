"""Spaces from TOML files, with the line of everything that is wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from autotune.errors import AutotuneError, SpaceError, raise_all
from autotune.registry import unknown_name
from autotune.spaces.params import Choice, Fixed, Float, Int, Parameter
from autotune.spaces.space import VERSION, Config, Space

_TOP = ("version", "summary", "include", "start")
_EXTRAS: Mapping[str, tuple[str, ...]] = {
    "float": ("log", "default", "when"),
    "int": ("log", "step", "default", "when"),
    "choice": ("default", "when"),
    "fixed": ("when",),
}


def read_space(path: Path) -> Space:
    """Read a space from a TOML file.

    Parameters
    ----------
    path : Path
        The file. ``include = ["other"]`` names built-in spaces or files beside this one.

    Returns
    -------
    Space
        Called after the file's stem.

    Raises
    ------
    SpaceError
        When the file cannot be read, is no TOML, or holds anything wrong: all of it, each with its line.

    Examples
    --------
    >>> from importlib.resources import files
    >>> read_space(files("autotune.search_spaces") / "lightgbm.toml").name
    'lightgbm'
    """
    return _read(Path(path), ())


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


def _read(path: Path, including: tuple[Path, ...]) -> Space:
    if path.resolve() in including:
        raise SpaceError("include goes round in a circle", str(path), "take one of the includes out")
    text = _text(path)
    places = _places(path.name, text)
    document = _parse(path, text)
    problems = list(_top_problems(document, path.name, places))
    learners: dict[str, dict[str, Parameter]] = {}
    for learner, table in document.items():
        if learner not in _TOP and isinstance(table, dict):
            learners[learner] = dict(_parameters(learner, table, places, problems))
    raise_all(problems)
    where = places.get(("include",), path.name)
    spaces = [_included(name, path, including, where) for name in document.get("include", [])]
    return _assemble(path, document, learners, spaces, places)


def _assemble(
    path: Path,
    document: Mapping[str, Any],
    learners: Mapping[str, Mapping[str, Parameter]],
    included: list[Space],
    places: Mapping[tuple[str, ...], str],
) -> Space:
    joined: Space | None = None
    for space in included:
        joined = space if joined is None else joined | space
    all_learners = {**(joined.learners if joined else {}), **learners}
    only = next(iter(all_learners)) if len(all_learners) == 1 else None
    starts = [_start(entry, only) for entry in document.get("start", [])]
    return Space(
        all_learners,
        starts=[*starts, *(s for s in (joined.starts if joined else ()) if s.learner not in learners)],
        name=path.stem,
        summary=document.get("summary", ""),
        places={**(joined.places if joined else {}), **places},
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpaceError("there is no such file", str(path), "tune spaces lists the built-in ones") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError(f"the file cannot be read: {error}", str(path)) from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpaceError(f"the file is no TOML: {error}", str(path)) from None


def _top_problems(
    document: Mapping[str, Any], file: str, places: Mapping[tuple[str, ...], str]
) -> Iterator[AutotuneError]:
    if document.get("version") != VERSION:
        found = document.get("version", "none")
        yield SpaceError(f"version {found!r} of the format is not known", file, f"version = {VERSION}")
    for key, value in document.items():
        if key not in _TOP and not isinstance(value, dict):
            yield _unknown("key", key, _TOP, places.get((key,), file))
    include = document.get("include", [])
    if not (isinstance(include, list) and all(isinstance(name, str) for name in include)):
        yield SpaceError(f"include is a list of names, found {include!r}", places.get(("include",), file))
    start = document.get("start", [])
    if not (isinstance(start, list) and all(isinstance(entry, dict) for entry in start)):
        yield SpaceError("start is a list of tables", places.get(("start",), file), "[[start]]")


def _included(name: str, path: Path, including: tuple[Path, ...], where: str) -> Space:
    beside = path.parent / name
    if beside.suffix != ".toml" and name not in built_in_names():
        raise _unknown("search space", name, built_in_names(), where)
    source = beside if beside.suffix == ".toml" else built_in_path(name)
    return _read(source, (*including, path.resolve()))


def _start(entry: Mapping[str, Any], only: str | None) -> Config:
    values = dict(entry)
    learner = values.pop("learner", only)
    return Config("" if learner is None else str(learner), values)


def _parameters(
    learner: str,
    table: Mapping[str, Any],
    places: Mapping[tuple[str, ...], str],
    problems: list[AutotuneError],
) -> Iterator[tuple[str, Parameter]]:
    for key, entry in table.items():
        where = f"{places.get((learner, key)) or places[()]}, [{learner}.{key}]"
        if not isinstance(entry, dict):
            yield key, Fixed(entry)
            continue
        found = list(_entry_problems(key, entry, where))
        if not found:
            parameter = _parameter(entry)
            found = [SpaceError(f"{key}: {problem}", where) for problem in parameter.problems()]
            yield key, parameter
        problems.extend(found)


def _entry_problems(key: str, entry: Mapping[str, Any], where: str) -> Iterator[AutotuneError]:
    kinds = [kind for kind in _EXTRAS if kind in entry]
    if len(kinds) != 1:
        unknown = [word for word in entry if word not in {*_EXTRAS, "log", "step", "default", "when"}]
        if unknown:
            yield _unknown("kind of parameter", unknown[0], _EXTRAS, where)
        else:
            yield SpaceError(f"{key} is of {len(kinds)} kinds", where, f"one of: {', '.join(_EXTRAS)}")
        return
    kind = kinds[0]
    for word in entry:
        if word not in (kind, *_EXTRAS[kind]):
            yield _unknown(f"key of {'an' if kind == 'int' else 'a'} {kind} parameter", word, _EXTRAS[kind], where)
    bounds = entry[kind]
    if kind in ("float", "int") and not (isinstance(bounds, list) and len(bounds) == 2):
        yield SpaceError(f"{key}: bounds are a list of two numbers, found {bounds!r}", where, f"{kind} = [0, 1]")
    if kind == "choice" and not isinstance(bounds, list):
        yield SpaceError(f"{key}: options are a list, found {bounds!r}", where, 'choice = ["a", "b"]')
    if not isinstance(entry.get("when", {}), dict):
        yield SpaceError(f"{key}: when is a table, found {entry['when']!r}", where, 'when = { optimizer = "sgd" }')
    if not isinstance(entry.get("log", False), bool):
        yield SpaceError(f"{key}: log is true or false, found {entry['log']!r}", where)


def _parameter(entry: Mapping[str, Any]) -> Parameter:
    rest = {name: value for name, value in entry.items() if name not in _EXTRAS}
    if "float" in entry:
        return Float(*entry["float"], **rest)
    if "int" in entry:
        return Int(*entry["int"], **rest)
    if "choice" in entry:
        return Choice(tuple(entry["choice"]), **rest)
    return Fixed(entry["fixed"], **rest)


def _unknown(noun: str, name: str, known: Any, where: str) -> SpaceError:
    error = unknown_name(noun, name, known, where)
    return SpaceError(error.problem, error.where, error.hint)


_TABLE = re.compile(r"\s*\[\[?\s*([\w.\-\"]+)\s*\]\]?")
_KEY = re.compile(r"\s*([\w\-\"]+)\s*=")


def _places(file: str, text: str) -> dict[tuple[str, ...], str]:
    """Find the line of every table and key; tomllib keeps no positions."""
    places: dict[tuple[str, ...], str] = {(): file}
    table: tuple[str, ...] = ()
    starts = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = tuple(header[1].replace('"', "").split("."))
            if table == ("start",):
                table = ("start", str(starts))
                starts += 1
            places[table] = f"{file}:{number}"
        elif key := _KEY.match(line):
            places[(*table, key[1].strip('"'))] = f"{file}:{number}"
    return places


def _folder() -> Path:
    return Path(str(files("autotune.search_spaces")))
