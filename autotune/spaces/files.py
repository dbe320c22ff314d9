"""Spaces from TOML, YAML and JSON files, with the line and column of everything that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from autotune.errors import AutotuneError, SpaceError, raise_all
from autotune.registry import nearest, unknown_name
from autotune.spaces.checking import named_wrongly
from autotune.spaces.document import MODEL, TOP
from autotune.spaces.joining import extend, join
from autotune.spaces.positions import KeyPath
from autotune.spaces.ranges import is_whole
from autotune.spaces.space import VERSION, Space
from autotune.spaces.texts import SUFFIXES, parse, without_none_tables

Check = Callable[[Space], list[AutotuneError]]
"""Finds what else is wrong with a space, such as what only the learners know."""


def read_space(path: Path, check: Check | None = None) -> Space:
    """Read a space from a file.

    Parameters
    ----------
    path : Path
        A TOML, YAML or JSON file. ``include = ["other"]`` names built-in spaces or files beside this one.
    check : callable, optional
        Finds what else is wrong, so that all problems come at once.

    Returns
    -------
    Space
        Called after the file's stem.

    Raises
    ------
    SpaceError
        When the file cannot be read, or holds anything wrong: all of it, each with its line and column.

    Examples
    --------
    >>> from importlib.resources import files
    >>> read_space(files("autotune.search_spaces") / "lightgbm.toml").name
    'lightgbm'
    """
    return _checked(*_read(Path(path), ()), check)


def read_document(document: Mapping[str, Any], name: str = "space", check: Check | None = None) -> Space:
    """Read a space from a document of plain values, as `json.load` gives it.

    Parameters
    ----------
    document : mapping
        What a file would hold; files that it includes are looked for in the working folder.
    name : str
        What the space is called.
    check : callable, optional
        As for `read_space`.

    Raises
    ------
    SpaceError
        As `read_space`.

    Examples
    --------
    >>> read_document({"version": 1, "knn": {"k": {"int": [1, 50]}}}).default("knn").params
    {'k': 25}
    """
    plain = without_none_tables(dict(document))
    return _checked(*_assemble(plain, {(): f"space {name!r}"}, Path(name), ()), check)


def _checked(space: Space, problems: list[AutotuneError], check: Check | None) -> Space:
    raise_all([*problems, *(check(space) if check else ())])
    return space.replaced()


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


def _read(path: Path, including: tuple[Path, ...], where: str = "") -> tuple[Space, list[AutotuneError]]:
    if path.resolve() in including:
        circle = " includes ".join(each.name for each in (*including[including.index(path.resolve()) :], path))
        raise SpaceError(f"include goes round in a circle: {circle}", where, "take one of the includes out")
    document, places = parse(_text(path, where), path.suffix.lower(), str(path))
    return _assemble(document, places, path, including)


def _assemble(
    document: dict[str, Any], places: dict[KeyPath, str], path: Path, including: tuple[Path, ...]
) -> tuple[Space, list[AutotuneError]]:
    """Make a space of a document and what it includes, unchecked, with all problems of both."""
    problems = list(_top_problems(document, places))
    own = _own_tables(document, places, path)
    problems += _model_problems(own.models, places)
    included: Space | None = None
    for number, name in enumerate(_names(document)):
        where = f"{places.get(('include', str(number)), places[()])} include.{number}"
        try:
            space, found = _read(_included_path(name, path, where), (*including, path.resolve()), where)
        except SpaceError as error:
            problems.append(error)
            continue
        problems += found
        included = space if included is None else join(included, space, checked=False)
    if included is None:
        return own, [*problems, *(own.problems() if own.learners or not problems else ())]
    joined = extend(included, own)
    return joined, [*problems, *own.unread, *(joined.problems() if joined.learners or not problems else ())]


def _own_tables(document: Mapping[str, Any], places: Mapping[KeyPath, str], path: Path) -> Space:
    tables = {name: table for name, table in document.items() if name not in TOP and isinstance(table, dict)}
    return Space(
        {name: {key: entry for key, entry in table.items() if key != MODEL} for name, table in tables.items()},
        starts=_tables(document, "start"),
        forbid=_tables(document, "forbid"),
        models={name: _model_beside(path, table[MODEL]) for name, table in tables.items() if MODEL in table},
        name=path.stem,
        summary=str(document.get("summary", "")),
        places=places,
        checked=False,
    )


def _text(path: Path, where: str) -> str:
    """Read a file; where it is included, that place is named when it cannot be read."""
    name = f"the file {str(path)!r}" if where else "the file"
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        close = _beside(path)
        hint = (close.name if where else str(close)) if close else "tune spaces lists the built-in ones"
        raise SpaceError(f"{name} does not exist", where or str(path), hint) from None
    except UnicodeDecodeError as error:
        problem = f"{name} is no UTF-8: byte {error.start + 1} is 0x{error.object[error.start]:02x}"
        raise SpaceError(problem, where or str(path), "save it as UTF-8") from None
    except OSError as error:
        raise SpaceError(f"{name} cannot be read: {error.strerror}", where or str(path), "name a file") from None


def _beside(path: Path) -> Path | None:
    """Return the file of the same folder that is spelled most like a missing one."""
    if not path.parent.is_dir():
        return None
    close = nearest(path.name, (each.name for each in path.parent.iterdir() if each.suffix.lower() in SUFFIXES))
    return path.with_name(close) if close else None


def _tables(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries = document.get(name, [])
    return [entry if isinstance(entry, dict) else {} for entry in entries] if isinstance(entries, list) else []


def _top_problems(document: Mapping[str, Any], places: Mapping[KeyPath, str]) -> Iterator[AutotuneError]:

    def at(*path: str) -> str:
        return f"{places.get(path, places[()])} {'.'.join(path)}"

    version = document.get("version")
    if version is None:
        yield SpaceError("the version of the format is not given", at("version"), "version = 1")
    elif not is_whole(version) or version != VERSION:
        yield SpaceError(f"version {version!r} of the format is not known", at("version"), "version = 1")
    for key, value in document.items():
        if key not in TOP and not isinstance(value, dict):
            yield _not_a_table(key, value, at(key))
    if not isinstance(document.get("summary", ""), str):
        yield SpaceError(f"summary is a text, found {document['summary']!r}", at("summary"), 'summary = "..."')
    include = document.get("include", [])
    if not (isinstance(include, list) and all(isinstance(name, str) for name in include)):
        yield SpaceError(f"include is a list of names, found {include!r}", at("include"), 'include = ["lightgbm"]')
    for name in ("start", "forbid"):
        entries = document.get(name, [])
        if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
            yield SpaceError(f"{name} is a list of tables, found {entries!r}", at(name), f"[[{name}]]")


def _not_a_table(key: str, value: Any, where: str) -> AutotuneError:
    """Return what is wrong with a key at the top that holds no table, as learners do."""
    close = nearest(key, TOP)
    if close is None and (value is None or isinstance(value, list)):
        hint = f"{key}: {{}}" if value is None else f"[{key}]"
        return SpaceError(f"{key!r} is a learner's table of parameters, found {value!r}", where, hint)
    hint = close or f"one of: {', '.join(TOP)}; parameters stand below [lightgbm], or another learner's name"
    return SpaceError(f"no key named {key!r}", where, hint)


def _model_problems(models: Mapping[str, Any], places: Mapping[KeyPath, str]) -> Iterator[AutotuneError]:
    for learner, model in models.items():
        if not (isinstance(model, str) and ":" in model):
            where = f"{places.get((learner, MODEL), places[()])} {learner}.{MODEL}"
            problem = f"model names a module and a class or function of it, found {model!r}"
            yield SpaceError(problem, where, 'model = "sklearn.svm:SVC"')


def _names(document: Mapping[str, Any]) -> list[str]:
    include = document.get("include", [])
    return [name for name in include if isinstance(name, str)] if isinstance(include, list) else []


def _included_path(name: Any, path: Path, where: str) -> Path:
    if str(name).endswith(SUFFIXES):
        return path.parent / str(name)
    for suffix in SUFFIXES:
        if (path.parent / f"{name}{suffix}").is_file() and name not in built_in_names():
            return path.parent / f"{name}{suffix}"
    if name not in built_in_names():
        raise named_wrongly(unknown_name("search space", name, built_in_names(), where))
    return built_in_path(name)


def _folder() -> Path:
    return Path(str(files("autotune.search_spaces")))


def _model_beside(path: Path, model: Any) -> Any:
    """Return a model of a Python file with the way to it, where the file lies beside the space's."""
    source, _, attribute = str(model).rpartition(":")
    beside = path.parent / source
    if source.endswith(".py") and path.parent != Path() and beside.is_file() and not Path(source).is_absolute():
        return f"{beside}:{attribute}"
    return model
