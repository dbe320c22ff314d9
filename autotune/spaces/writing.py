"""Spaces as text: TOML, YAML and JSON that read back as the same space."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

from autotune.errors import SpaceError
from autotune.spaces.document import TOP
from autotune.spaces.ranges import is_plain
from autotune.spaces.space import Space

LIST_KEYS = ("forbid", "start")


def to_text(space: Space, suffix: str = ".toml") -> str:
    """Write a space as the text of a file.

    Parameters
    ----------
    space : Space
        Any space whose models, if it has some, are named by texts.
    suffix : {".toml", ".yaml", ".yml", ".json"}
        The format.

    Raises
    ------
    SpaceError
        When a model is an object, the format is none of these, or a text is none that UTF-8 can hold.

    Examples
    --------
    >>> print(to_text(Space({"knn": {"k": {"int": [1, 50], "log": True}}})))
    version = 1
    <BLANKLINE>
    [knn]
    k = { int = [1, 50], log = true, default = 7 }
    <BLANKLINE>
    """
    for learner, model in space.models.items():
        if not isinstance(model, str):
            problem = f"the model of {learner!r} is an object, which no file can hold"
            raise SpaceError(problem, space.place(learner, "model"), 'name it: "module:attribute"')
    document = space.to_dict()
    if space.summary:
        document = {"version": document.pop("version"), "summary": space.summary, **document}
    match suffix:
        case ".toml":
            text = _toml(document)
        case ".yaml" | ".yml":
            text = _yaml(document)
        case ".json":
            text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        case _:
            raise SpaceError(f"a space cannot be written as {suffix!r}", None, ".toml, .yaml or .json")
    if not is_plain(text):
        raise SpaceError("a name or the summary holds surrogates", space.place(), "text that UTF-8 can hold")
    return text


def _toml(document: Mapping[str, Any]) -> str:
    lines = [f"{key} = {toml_value(document[key])}" for key in ("version", "summary") if key in document]
    for learner, table in document.items():
        if learner not in TOP:
            width = max((len(toml_key(key)) for key in table), default=0)
            lines += ["", f"[{toml_key(learner)}]"]
            lines += [f"{toml_key(key):<{width}} = {toml_value(value)}" for key, value in table.items()]
    for name in LIST_KEYS:
        for entry in document.get(name, []):
            lines += ["", f"[[{name}]]", *(f"{toml_key(key)} = {toml_value(value)}" for key, value in entry.items())]
    return "\n".join(lines) + "\n"


def toml_key(key: str) -> str:
    """Return a key as TOML writes it: in quotes where it needs them."""
    bare = key.replace("_", "a").replace("-", "a")
    return key if bare.isascii() and bare.isalnum() else json.dumps(key, ensure_ascii=False)


def toml_value(value: Any) -> str:
    """Return a plain value as TOML writes it in a line.

    Examples
    --------
    >>> toml_value({"choice": [8, None]})
    '{ choice = [8, { none = true }] }'
    """
    match value:
        case None:
            return "{ none = true }"
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return "[" + ", ".join(map(toml_value, value)) + "]"
        case Mapping():
            return "{ " + ", ".join(f"{toml_key(key)} = {toml_value(each)}" for key, each in value.items()) + " }"
    return repr(value)


def _yaml(document: Mapping[str, Any]) -> str:
    """Write YAML with a parameter a line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    def quoted(value: Any) -> Any:
        """Put texts in quotes that the writer leaves bare though they read back as something else."""
        match value:
            case str() if value.startswith("?") or "\x85" in value:
                return DoubleQuotedScalarString(value)
            case list():
                return [quoted(item) for item in value]
            case Mapping():
                return {quoted(key): quoted(each) for key, each in value.items()}
        return value

    def flow(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        line = CommentedMap(value)
        line.fa.set_flow_style()
        return line

    writer = YAML()
    writer.width = 10_000
    writer.default_flow_style = None
    text = io.StringIO()
    tables = {
        key: {name: flow(entry) for name, entry in value.items()} if key not in TOP else value
        for key, value in quoted(document).items()
    }
    writer.dump(tables, text)
    return text.getvalue()
