"""Other tools' search spaces made ours: W&B sweeps, Hydra sweepers, ConfigSpace, Optuna and Katib, and what is lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autotune.errors import SpaceError, raise_all
from autotune.registry import unknown_name
from autotune.spaces.checking import RESERVED, named_wrongly
from autotune.spaces.document import TOP
from autotune.spaces.forbid import Forbid
from autotune.spaces.foreign_configspace import fits_configspace, read_configspace
from autotune.spaces.foreign_hydra import fits_hydra, read_hydra
from autotune.spaces.foreign_katib import fits_katib, read_katib
from autotune.spaces.foreign_optuna import fits_optuna, read_optuna
from autotune.spaces.foreign_reading import Carried, KeyPath, Reading
from autotune.spaces.foreign_wandb import fits_wandb, read_wandb
from autotune.spaces.ranges import shown
from autotune.spaces.space import Space
from autotune.spaces.texts import parse

SUFFIXES = (".json", ".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Converted:
    """Another tool's search space as one of ours.

    Attributes
    ----------
    space : Space
        The space.
    lost : tuple of str
        A sentence for each thing that could not be carried over: what, and what was done instead.
    source : str
        Where it came from: "configspace", "hydra", "katib", "optuna" or "wandb".
    """

    space: Space
    lost: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class _Source:
    title: str
    looks: str
    fits: Callable[[Any], bool]
    read: Callable[[Any, Reading], None]


SOURCES: Mapping[str, _Source] = {  # in the order in which a document without a source is tried
    "configspace": _Source("ConfigSpace JSON", "a list 'hyperparameters'", fits_configspace, read_configspace),
    "katib": _Source("Katib experiment", "a list of parameters with 'parameterType'", fits_katib, read_katib),
    "optuna": _Source("Optuna distributions", "names with distributions", fits_optuna, read_optuna),
    "hydra": _Source("Hydra sweeper", "'params' such as lr: interval(0, 1), or 'search_space'", fits_hydra, read_hydra),
    "wandb": _Source("W&B sweep", "'parameters' with value, values, or min and max", fits_wandb, read_wandb),
}
"""The tools whose documents can be read."""


def convert(
    document: Any, *, source: str | None = None, learner: str | None = "model", name: str = "converted"
) -> Converted:
    """Make a space of another tool's document.

    Parameters
    ----------
    document : mapping or list
        What the tool's file holds, or, for Optuna, distributions by name.
    source : {"configspace", "hydra", "katib", "optuna", "wandb"}, optional
        The tool; found out from the shape of the document when left out.
    learner : str or None
        The learner whose parameters these are. None takes it from the names: ``mlp.dropout`` is a parameter of ``mlp``.
    name : str
        What the space is called.

    Returns
    -------
    Converted
        The space, and what could not be carried over. Names become names of Python arguments: dots, slashes and colons
        turn into ``__``, as scikit-learn spells nested parameters; the list says which.

    Raises
    ------
    SpaceError
        With everything that is wrong with the document, each with its place.

    Examples
    --------
    >>> converted = convert({"method": "bayes", "parameters": {"lr": {"min": 0.0, "max": 0.1}}})
    >>> converted.source, converted.lost
    ('wandb', ('method: not part of a space; give sampler where you tune',))
    """
    return _convert(document, source, learner, name, {})


def read_foreign(path: str | Path, *, source: str | None = None, learner: str | None = "model") -> Converted:
    """Read another tool's file and make a space of it, called after the file's stem.

    Parameters
    ----------
    path : str or Path
        A JSON or YAML file; YAML is read by the rules of version 1.2.
    source, learner
        As for `convert`.

    Raises
    ------
    SpaceError
        When the file cannot be read, or with everything that is wrong, each with its line and column.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        found = path.suffix or "file without a suffix"
        raise SpaceError(f"no tool's space is a {found}", str(path), f"one of: {', '.join(SUFFIXES)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SpaceError("there is no such file", str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError(f"the file cannot be read: {error}", str(path)) from None
    if not text.strip():
        raise SpaceError("the file is empty", str(path))
    document, places = _parse(text, path)
    return _convert(document, source, learner, path.stem, places)


def _convert(
    document: Any, source: str | None, learner: str | None, name: str, places: Mapping[KeyPath, str]
) -> Converted:
    if source is None:
        source = _guessed(document, places)
    elif source not in SOURCES:
        raise named_wrongly(unknown_name("source of spaces", source, SOURCES))
    reading = Reading(SOURCES[source].title, places)
    SOURCES[source].read(document, reading)
    raise_all(list({str(problem): problem for problem in reading.problems}.values()))
    if not reading.parameters:
        lost = "; ".join(reading.lost)
        raise SpaceError(f"no parameter could be carried over{f': {lost}' * bool(lost)}", reading.place(()))
    names = _names(reading, learner)
    space = Space(
        _learners(reading, names),
        forbid=_forbid(reading, names),
        name=name,
        summary=reading.summary,
        places={names[each]: reading.position(path) for each, path in reading.paths.items() if each in names},
        checked=False,
    )
    raise_all(space.unread)
    space = space.replaced(forbid=[clause for clause in space.forbid if _spares_defaults(reading, space, clause)])
    return Converted(space, tuple(reading.lost), source)


def _guessed(document: Any, places: Mapping[KeyPath, str]) -> str:
    for source, kind in SOURCES.items():
        if kind.fits(document):
            return source
    tried = "; ".join(f"{source} ({kind.looks})" for source, kind in SOURCES.items())
    keys = f"the keys {', '.join(map(str, list(document)[:5]))}" if isinstance(document, Mapping) else ""
    found = keys or f"a {type(document).__name__}"
    raise SpaceError(
        f"the document, {found}, is of no known kind; tried: {tried}", places.get((), "document"), 'source="wandb"'
    )


def _names(reading: Reading, learner: str | None) -> dict[str, tuple[str, str]]:
    """Return the learner and the name of ours for each of the document's names, and note those that differ."""
    names: dict[str, tuple[str, str]] = {}
    for name in reading.parameters:
        first, dot, rest = name.partition(".")
        if learner is None and not (first and dot and rest):
            reading.wrong(f"{name} names no learner", reading.paths[name], f'mlp.{name}, or learner="model"')
            continue
        if learner is None and first in TOP:
            reading.wrong(f"{first!r} means something else in a space", reading.paths[name], "another name")
        ours = (learner, _python_name(name)) if learner is not None else (first, _python_name(rest))
        if ours in names.values():
            reading.wrong(f"two names become {ours[1]!r} here", reading.paths[name], "another name for one of them")
        names[name] = ours
    raise_all(reading.problems)
    kept = {name: ours for name, ours in names.items() if ours[1] != (name if learner else name.partition(".")[2])}
    if kept:
        reading.lose(f"names: {', '.join(f'{name} is {ours[1]}' for name, ours in kept.items())} here")
    return names


def _python_name(name: str) -> str:
    """Return the nearest name that an argument in Python can have.

    A name that begins with ``_`` is never given to a learner, so it cannot.
    """
    python = re.sub(r"\W", "_", re.sub(r"[.:/]+", "__", name.lstrip("-+_./ "))) or "unnamed"
    return f"{python}_" if python in RESERVED else python


def _learners(reading: Reading, names: Mapping[str, tuple[str, str]]) -> dict[str, dict[str, Carried]]:
    learners: dict[str, dict[str, Carried]] = {}
    for name, parameter in reading.parameters.items():
        learner, ours = names[name]
        when = {}
        for parent, values in parameter.when.items():
            if names[parent][0] == learner:
                when[names[parent][1]] = values
            else:
                reading.lose(f"{name}: its condition on {parent}, of another learner; this condition is left out")
        learners.setdefault(learner, {})[ours] = replace(parameter, when=when)
    return learners


def _forbid(reading: Reading, names: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    clauses = []
    for clause in reading.forbid:
        learners = {names[name][0] for name in clause}
        if len(learners) == 1:
            clauses.append({"learner": learners.pop()} | {names[name][1]: each for name, each in clause.items()})
        else:
            reading.lose(f"forbidden {clause!r}: its parameters are of several learners; it is allowed")
    return clauses


def _spares_defaults(reading: Reading, space: Space, clause: Forbid) -> bool:
    """Return whether a clause allows the default of its learner, which is tried first; one that does not is lost.

    It may have allowed the document's own: there a condition may stand that has no counterpart here.
    """
    if clause.learner not in space.learners or not clause.matches(space.default(clause.learner).params):
        return True
    said = " and ".join(f"{key} = {shown(condition)}" for key, condition in clause.conditions.items())
    reading.lose(f"forbidden {said}: the default, which is tried first, would be forbidden; it is allowed")
    return False


def _parse(text: str, path: Path) -> tuple[Any, Mapping[KeyPath, str]]:
    try:
        return parse(text, path.suffix.lower(), str(path))
    except SpaceError:
        items = _bare_list(text)
        if items is None:
            raise
        return items, {(): str(path)}


def _bare_list(text: str) -> list[Any] | None:
    """Return what a text holds when that is a list, as Katib's parameters can be; JSON is YAML too."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        loaded = YAML(typ="safe", pure=True).load(text.replace("\t", " "))
    except YAMLError:
        return None
    return loaded if isinstance(loaded, list) else None
