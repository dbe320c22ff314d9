"""A JSON schema of space files, which editors complete and check with, in TOML as in YAML and JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from autotune.spaces.forbid import WORDS
from autotune.spaces.space import VERSION

_PLAIN: dict[str, Any] = {
    "description": "a value: text, number, true, false, or a list of these; { none = true } in TOML",
    "anyOf": [
        {"type": ["string", "number", "boolean", "null", "array"]},
        {
            "type": "object",
            "properties": {"none": {"const": True}},
            "required": ["none"],
            "additionalProperties": False,
        },
    ],
}
_WHEN: dict[str, Any] = {
    "description": "exists only when all of these parents have one of these values",
    "type": "object",
    "additionalProperties": {"$ref": "#/$defs/plain"},
}
_BOUNDS: dict[str, Any] = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_WHOLE_BOUNDS: dict[str, Any] = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
_LIST: dict[str, Any] = {"type": "array", "items": {"$ref": "#/$defs/plain"}}
_FLAG: dict[str, Any] = {"type": "boolean"}


def space_schema(learners: Mapping[str, Collection[str] | None]) -> dict[str, Any]:
    """Return the schema.

    Parameters
    ----------
    learners : mapping of str to collection of str or None
        The learners that are known, with the names of their parameters; None for one that takes any.

    Returns
    -------
    dict
        JSON Schema, draft 2020-12.

    Examples
    --------
    >>> sorted(space_schema({"knn": ["k"]})["properties"])
    ['forbid', 'include', 'knn', 'start', 'summary', 'version']
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "autotune search space",
        "type": "object",
        "required": ["version"],
        "properties": {
            "version": {"const": VERSION, "description": "of the format"},
            "summary": {"type": "string", "description": "a sentence about the space"},
            "include": {
                "description": "other spaces: built-in names, or files beside this one",
                "type": "array",
                "items": {"type": "string"},
            },
            "forbid": {
                "description": "what may not be tried together",
                "type": "array",
                "items": {"type": "object", "additionalProperties": {"$ref": "#/$defs/condition"}},
            },
            "start": {
                "description": "configurations tried first, after the defaults",
                "type": "array",
                "items": {"type": "object", "additionalProperties": {"$ref": "#/$defs/plain"}},
            },
            **{name: _table(names) for name, names in learners.items()},
        },
        "additionalProperties": _table(None),
        "$defs": {"plain": _PLAIN, "when": _WHEN, "condition": _condition(), "parameter": _parameter()},
    }


def _table(names: Collection[str] | None) -> dict[str, Any]:
    """Return the schema of a learner's table; names that begin with _ are only computed with."""
    entry = {"$ref": "#/$defs/parameter"}
    model = {"model": {"type": "string", "description": 'a model of your own: "package.module:attribute"'}}
    if names is None:
        return {"type": "object", "properties": model, "additionalProperties": entry}
    return {
        "type": "object",
        "properties": dict.fromkeys(names, entry) | model,
        "patternProperties": {"^_": entry},
        "additionalProperties": False,
    }


def _condition() -> dict[str, Any]:
    words = {word: {"$ref": "#/$defs/plain"} if word == "not" else {"type": "number"} for word in WORDS}
    return {
        "anyOf": [
            {"$ref": "#/$defs/plain"},
            {"type": "object", "properties": words, "additionalProperties": False, "minProperties": 1},
        ]
    }


def _parameter() -> dict[str, Any]:
    kinds: list[dict[str, Any]] = [
        _kind(
            "float", _BOUNDS, log=_FLAG, step={"type": "number", "exclusiveMinimum": 0}, **{"or": _LIST}, default=_PLAIN
        ),
        _kind(
            "int",
            _WHOLE_BOUNDS,
            log=_FLAG,
            step={"type": "integer", "minimum": 1},
            scale={"const": "pow2"},
            fidelity=_FLAG,
            **{"or": _LIST},
            default=_PLAIN,
        ),
        _kind("bool", {"const": True}, default=_FLAG),
        _kind(
            "choice",
            _LIST | {"minItems": 1},
            ordered=_FLAG,
            weights={"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}},
            default=_PLAIN,
        ),
        _kind("fixed", {"$ref": "#/$defs/plain"}),
        _kind("derived", {"type": "string", "description": "arithmetic on parameters of the learner"}),
    ]
    return {"anyOf": [*kinds, {"$ref": "#/$defs/plain"}]}


def _kind(word: str, own: dict[str, Any], **others: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [word],
        "properties": {word: own, **others, "when": {"$ref": "#/$defs/when"}},
        "additionalProperties": False,
    }
