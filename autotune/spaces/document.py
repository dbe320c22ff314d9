"""A space as a document of plain values, the same in TOML, YAML, JSON and Python, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from autotune.errors import AutotuneError, SpaceError
from autotune.registry import nearest, unknown_name
from autotune.spaces.checking import named_wrongly
from autotune.spaces.params import Bool, Choice, Derived, Fixed, Float, Int, Parameter
from autotune.spaces.ranges import listed_value

if TYPE_CHECKING:
    from autotune.spaces.space import Space

TOP = ("version", "summary", "include", "forbid", "start")
"""The keys of a document that are no learners."""

MODEL = "model"
"""The key of a learner's table that names a person's own model."""

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "float": ("log", "step", "or", "default", "when"),
    "int": ("log", "step", "scale", "or", "fidelity", "default", "when"),
    "bool": ("default", "when"),
    "choice": ("ordered", "weights", "default", "when"),
    "fixed": ("when",),
    "derived": ("when",),
}
"""The kinds of parameter, and the words that each takes beside its own."""

ALL_WORDS = tuple(dict.fromkeys((*EXTRAS, *(word for words in EXTRAS.values() for word in words))))

FOREIGN = ("distribution", "min", "max", "low", "high", "values", "value", "type", "bounds", "range", "q")
"""What other tools call the parts of a parameter."""

Place = Callable[..., str]


def read_learners(
    tables: Mapping[str, Any], place: Place
) -> tuple[dict[str, dict[str, Parameter]], list[AutotuneError]]:
    """Read the learners' tables.

    Parameters
    ----------
    tables : mapping of str to mapping
        By learner: parameters, mappings such as ``{"float": [0, 1]}``, or plain values for fixed ones.
    place : callable
        ``place("mlp", "dropout")`` says where that stands.

    Returns
    -------
    tuple of dict and list
        What could be read, and what is wrong with the rest.
    """
    problems: list[AutotuneError] = []
    learners: dict[str, dict[str, Parameter]] = {}
    for learner, table in tables.items():
        if not isinstance(learner, str) or not learner or learner in TOP:
            taken = "it means something else in a file" if learner in TOP else "a name is a text of at least one letter"
            problems.append(SpaceError(f"no learner can be called {learner!r}: {taken}", place(), "another name"))
            continue
        if isinstance(table, Parameter):
            problem = f"the parameter {learner!r} stands outside of a learner's table"
            problems.append(SpaceError(problem, place(learner), f'{{"lightgbm": {{"{learner}": ...}}}}'))
            continue
        if not isinstance(table, Mapping):
            problem = f"{learner!r} is a learner's table of parameters, found {table!r}"
            problems.append(SpaceError(problem, place(learner), f'{{"lightgbm": {{"{learner}": ...}}}}'))
            continue
        if any(kind in table for kind in EXTRAS):
            problem = f"the parameter {learner!r} stands outside of a learner's table"
            problems.append(SpaceError(problem, place(learner), "put it below [lightgbm], or another learner's name"))
            continue
        learners[learner] = {}
        nameless = [key for key in table if not isinstance(key, str)]
        problems += [
            SpaceError(f"a parameter's name is a text, found {key!r}", place(learner), f'"{key}"') for key in nameless
        ]
        table = {key: entry for key, entry in table.items() if key not in nameless}
        for key, entry in table.items():
            parameter = read_parameter(key, entry, lambda *words, at=(learner, key): place(*at, *words), problems)
            if parameter is not None:
                learners[learner][key] = parameter
    return learners, problems


def read_parameter(key: str, entry: Any, place: Place, problems: list[AutotuneError]) -> Parameter | None:
    """Read one parameter; what is wrong is added to the problems, and None comes back where nothing can be made of it.

    Examples
    --------
    >>> read_parameter("units", {"int": [16, 512], "log": True}, lambda *words: "here", [])
    Int(low=16, high=512, log=True, step=1, default=91, when={}, scale=None, special=(), fidelity=False)
    """
    if isinstance(entry, Parameter):
        return entry
    if not isinstance(entry, Mapping):
        return Fixed(entry)
    found = list(_entry_problems(key, entry, place))
    problems.extend(found)
    return None if found else _parameter(entry)


def to_document(space: Space) -> dict[str, Any]:
    """Return a space as a document.

    Parameters
    ----------
    space : Space
        Any space.

    Returns
    -------
    dict
        ``version``, one table a learner, ``forbid`` and ``start``; lists, texts, numbers, booleans and None only, but
        for models that are objects.
    """
    only = len(space.learners) == 1
    tables = {
        learner: ({MODEL: space.models[learner]} if learner in space.models else {})
        | {key: parameter_document(parameter) for key, parameter in parameters.items()}
        for learner, parameters in space.learners.items()
    }
    starts = [
        {"learner": start.learner} | {key: listed_value(value) for key, value in start.params.items()}
        for start in space.given_starts
    ]
    document: dict[str, Any] = {"version": 1, **tables}
    for name, entries in (("forbid", [clause.to_dict() for clause in space.forbid]), ("start", starts)):
        if entries:
            document[name] = [{k: v for k, v in entry.items() if not (only and k == "learner")} for entry in entries]
    return document


def parameter_document(parameter: Parameter) -> dict[str, Any]:
    """Return a parameter as a space file writes it.

    Examples
    --------
    >>> parameter_document(Float(0, 1))
    {'float': [0.0, 1.0], 'default': 0.5}
    """
    document: dict[str, Any]
    match parameter:
        case Float(low=low, high=high):
            document = {"float": [low, high], "log": parameter.log, "step": parameter.step}
        case Int(low=low, high=high):
            step = parameter.step if parameter.step != 1 else None
            document = {"int": [low, high], "log": parameter.log, "step": step, "scale": parameter.scale}
            document["fidelity"] = parameter.fidelity
        case Choice(options=options):
            document = {"choice": listed_value(options), "ordered": parameter.ordered}
            document["weights"] = listed_value(parameter.weights)
        case Fixed(value=value):
            return {"fixed": listed_value(value)} | _when(parameter)
        case Derived(formula=formula):
            return {"derived": formula} | _when(parameter)
    document = {word: value for word, value in document.items() if value is not False and value is not None}
    if isinstance(parameter, (Float, Int)) and parameter.special:
        document["or"] = listed_value(parameter.special)
    if not getattr(parameter, "fidelity", False):
        document["default"] = listed_value(parameter.default)
    return document | _when(parameter)


def _when(parameter: Parameter) -> dict[str, Any]:
    plain = {
        parent: values[0] if len(values) == 1 and not isinstance(values[0], tuple) else listed_value(values)
        for parent, values in parameter.when.items()
    }
    return {"when": plain} if plain else {}


def _parameter(entry: Mapping[str, Any]) -> Parameter:
    rest = {name: value for name, value in entry.items() if name not in EXTRAS}
    if "or" in rest:
        rest["special"] = rest.pop("or")
    match next(kind for kind in EXTRAS if kind in entry):
        case "float":
            return Float(*entry["float"], **rest)
        case "int":
            return Int(*entry["int"], **rest)
        case "bool":
            return Bool(**rest)
        case "choice":
            return Choice(entry["choice"], **rest)
        case "derived":
            return Derived(entry["derived"], **rest)
    return Fixed(entry["fixed"], **rest)


def _entry_problems(key: str, entry: Mapping[str, Any], place: Place) -> Iterator[AutotuneError]:
    kinds = [kind for kind in EXTRAS if kind in entry]
    if len(kinds) != 1:
        unknown = [str(word) for word in entry if word not in ALL_WORDS]
        foreign = [word for word in unknown if word in FOREIGN]
        if foreign and not kinds:
            problem = f"no kind of parameter named {foreign[0]!r}"
            yield SpaceError(
                problem, place(foreign[0]), "float = [low, high]; tune space convert reads other tools' files"
            )
        elif unknown and (not kinds or nearest(unknown[0], EXTRAS)):
            yield named_wrongly(unknown_name("kind of parameter", unknown[0], EXTRAS, place(unknown[0])))
        else:
            found = " and ".join(kinds) or "none"
            hint = f"one of: {', '.join(kinds or EXTRAS)}"
            yield SpaceError(f"{key} needs one kind, found {found}", place(*kinds[1:2]), hint)
        return
    kind = kinds[0]
    for word in entry:
        if word not in (kind, *EXTRAS[kind]):
            noun = f"key of {'an' if kind == 'int' else 'a'} {kind} parameter"
            yield named_wrongly(unknown_name(noun, word, EXTRAS[kind], place(str(word))))
    yield from _shape_problems(key, kind, entry, place)


def _shape_problems(key: str, kind: str, entry: Mapping[str, Any], place: Place) -> Iterator[AutotuneError]:
    """Yield where a word holds a value of another shape than it needs, so that a parameter cannot even be made."""
    given = entry[kind]
    if kind in ("float", "int") and not (isinstance(given, (list, tuple)) and len(given) == 2):
        hint = f"choice = {listed_value(given)!r}" if isinstance(given, (list, tuple)) and len(given) > 2 else None
        problem = f"{key}: bounds are a list of two numbers, found {given!r}"
        yield SpaceError(problem, place(kind), hint or f"{kind} = [1, 10]")
    if kind == "choice" and not isinstance(given, (list, tuple)):
        yield SpaceError(f"{key}: options are a list, found {given!r}", place(kind), 'choice = ["a", "b"]')
    if kind == "bool" and given is not True:
        hint = "bool = true, or without a table for a fixed value"
        yield SpaceError(f"{key}: bool says that it varies, found {given!r}", place(kind), hint)
    if kind == "bool" and not isinstance(entry.get("default", False), bool):
        problem = f"{key}: default is true or false, found {entry['default']!r}"
        yield SpaceError(problem, place("default"), "default = true")
    when = entry.get("when", {})
    if not (isinstance(when, Mapping) and all(isinstance(parent, str) for parent in when)):
        yield SpaceError(f"{key}: when is a table, found {when!r}", place("when"), 'when = { optimizer = "sgd" }')
    for word in ("log", "ordered", "fidelity"):
        if not isinstance(entry.get(word, False), bool):
            yield SpaceError(f"{key}: {word} is true or false, found {entry[word]!r}", place(word), f"{word} = true")
    for word, example in (("or", "[0.0]"), ("weights", "[2, 1]")):
        if not isinstance(entry.get(word, []), (list, tuple)):
            problem = f"{key}: {word} is a list, found {entry[word]!r}"
            yield SpaceError(problem, place(word), f"{word} = {example}")
