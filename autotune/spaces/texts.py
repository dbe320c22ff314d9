"""TOML, YAML and JSON texts as documents of plain values, and where each key of them stands."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from autotune.errors import SpaceError
from autotune.spaces.positions import KeyPath, toml_positions

TWICE = "one table has two keys named"
"""What is said of a repeated key."""

SUFFIXES = (".toml", ".yaml", ".yml", ".json")


def parse(text: str, suffix: str, name: str) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """Read a text as a document, and say where each of its keys stands.

    Parameters
    ----------
    text, suffix : str
        What the file holds, and the end of its name, one of `SUFFIXES`.
    name : str
        What the file is called in errors.

    Returns
    -------
    tuple of dict and dict
        The document, and ``name:line:column`` by path.

    Raises
    ------
    SpaceError
        When the text is not of that format.
    """
    if suffix in SUFFIXES and not text.strip():
        raise SpaceError("the file is empty", f"{name}:1:1", "tune space init lightgbm writes one to begin with")
    match suffix:
        case ".toml":
            document, found = _parse_toml(text, name)
        case ".yaml" | ".yml":
            document, found = _parse_yaml(text, name)
        case ".json":
            document, found = _parse_json(text, name)
        case _:
            raise SpaceError(
                f"a space is no {suffix or 'file without a suffix'}", name, f"one of: {', '.join(SUFFIXES)}"
            )
    places = {path: f"{name}:{line}:{column}" for path, (line, column) in found.items()}
    return without_none_tables(document), {(): f"{name}:1:1", **places}


def _parse_toml(text: str, name: str) -> tuple[dict[str, Any], dict[KeyPath, tuple[int, int]]]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, at = str(error).rpartition(" (at ")
        line, column = map(int, re.findall(r"\d+", at)) if at != "end of document)" else _end(text)
        raise SpaceError(
            f"the file is no TOML: {what}", f"{name}:{line}:{column}", _toml_hint(what, text, line)
        ) from None
    except RecursionError:
        raise SpaceError("the file is nested too deeply", f"{name}:1:1") from None
    return document, toml_positions(text)


def _end(text: str) -> tuple[int, int]:
    return text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1


def _toml_hint(what: str, text: str, line: int) -> str:
    """Return what most often is wrong where TOML cannot be read."""
    written = text.split("\n")[line - 1]
    if "overwrite" in what or "twice" in what:
        return "leave one of the two out"
    if "Unclosed" in what:
        return "close it with ]" if "array" in what else "close it with }"
    if written.count("{") > written.count("}"):
        return "a table in braces stands on one line, without a comma at its end"
    if re.match(r"\s*[\w.-]+\s*:", written):
        return "TOML writes key = value; a file with key: value is called .yaml"
    return "texts stand in quotes, tables in braces or below a [name]"


def _parse_yaml(text: str, name: str) -> tuple[dict[str, Any], dict[KeyPath, tuple[int, int]]]:
    """Read YAML by the rules of version 1.2: ``1e-5`` is a float, ``on`` and ``no`` are texts."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        loaded = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else f"{name}:1:1"
        raise SpaceError(*_yaml_problem(str(error.problem), where)) from None
    except (YAMLError, ValueError, RecursionError) as error:
        problem = f"the file is no YAML: {str(error).splitlines()[0]}"
        raise SpaceError(problem, f"{name}:1:1", "plain text, numbers, lists and tables") from None
    if not isinstance(loaded, dict):
        raise SpaceError("the file holds no tables", f"{name}:1:1", "version: 1")
    found: dict[KeyPath, tuple[int, int]] = {}
    return _plain(loaded, (), found, name), found


def _yaml_problem(problem: str, where: str) -> tuple[str, str, str]:
    """Return the problem, its place and what to do, for the most usual mistakes in YAML."""
    if twice := re.search(r'duplicate key "(.*?)" with', problem):
        return f"{TWICE} {twice[1]!r}", where, "leave one of them out"
    if "another document" in problem:
        return "the file is no YAML of one document", where, "take '---' out"
    hint = "spaces instead of tabs" if "\\t" in problem else "look at the indentation and the quotes before it"
    return f"the file is no YAML: {problem}", where, hint


def _parse_json(text: str, name: str) -> tuple[dict[str, Any], dict[KeyPath, tuple[int, int]]]:
    """Read JSON; the positions come from the YAML reader, since all of JSON is YAML."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{name}:{error.lineno}:{error.colno}"
        raise SpaceError(
            f"the file is no JSON: {error.msg}", where, "look at the quotes and commas before it"
        ) from None
    except RecursionError:
        raise SpaceError("the file is nested too deeply", f"{name}:1:1") from None
    except ValueError as error:  # a number of thousands of digits
        raise SpaceError(f"the file cannot be read: {error}", f"{name}:1:1", "numbers below 2**53") from None
    if not isinstance(document, dict):
        raise SpaceError("the file holds no tables", f"{name}:1:1", '{"version": 1}')
    try:
        _, found = _parse_yaml(text.replace("\t", " "), name)
    except SpaceError as error:
        if error.problem.startswith(TWICE):
            raise
        found = {}
    return document, found


def _plain(value: Any, path: KeyPath, found: dict[KeyPath, tuple[int, int]], name: str) -> Any:
    """Return what the YAML reader made as plain values, and note where each key and item stands."""
    tag = getattr(getattr(value, "tag", None), "value", None)
    if tag is not None:
        line, column = found.get(path, (1, 1))
        problem = f"tags are not read, found {str(tag).replace('tag:yaml.org,2002:', '!!')}"
        raise SpaceError(problem, f"{name}:{line}:{column} {'.'.join(path)}", "leave the tag out")
    if isinstance(value, (dict, list)):
        marks: Any = value
        for key, (line, column, *_) in (marks.lc.data or {}).items():  # a merged key stands elsewhere
            found[(*path, str(key))] = (line + 1, column + 1)
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        items = {key: _plain(value[key], (*path, str(key)), found, name) for key in keys}
        if isinstance(value, list):
            return list(items.values())
        _check_names(keys, path, found, name)
        return {str(key): each for key, each in items.items()}
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _check_names(keys: list[Any], path: KeyPath, found: dict[KeyPath, tuple[int, int]], name: str) -> None:
    """Refuse keys that are one name here, such as the number 1 and the text "1"."""
    names = list(map(str, keys))
    for key in names:
        if names.count(key) > 1:
            line, column = found[(*path, key)]
            raise SpaceError(f"{TWICE} {key!r}", f"{name}:{line}:{column}", "leave one of them out")


def without_none_tables(value: Any) -> Any:
    """Turn ``{ none = true }``, as TOML has to say it, into None."""
    if value == {"none": True}:
        return None
    if isinstance(value, dict):
        return {key: without_none_tables(each) for key, each in value.items()}
    return [without_none_tables(each) for each in value] if isinstance(value, list) else value
