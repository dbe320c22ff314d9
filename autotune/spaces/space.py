"""Space: learners, their parameters, what is forbidden, and the configurations to try first. It knows no sampler."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autotune.errors import AutotuneError, SpaceError, raise_all
from autotune.spaces.canonical import canonical_clause, canonical_conditions, canonical_value, canonical_values
from autotune.spaces.checking import space_problems
from autotune.spaces.forbid import Forbid
from autotune.spaces.formula import FormulaError
from autotune.spaces.params import Choice, Derived, Fixed, Float, Int, Parameter
from autotune.spaces.ranges import frozen_value, same_value
from autotune.spaces.tree import ancestors, parents_first

VERSION = 1


@dataclass(frozen=True, slots=True)
class Config:
    """One configuration: a learner and the values of its parameters.

    Attributes
    ----------
    learner : str
        The learner's name.
    params : mapping of str to value
        Only parameters that exist under their conditions; those whose names begin with ``_`` are only computed with.
    """

    learner: str
    params: Mapping[str, Any]

    @property
    def arguments(self) -> dict[str, Any]:
        """What the learner is given.

        Examples
        --------
        >>> Config("mlp", {"_base": 0.1, "learning_rate": 0.2}).arguments
        {'learning_rate': 0.2}
        """
        return {name: value for name, value in self.params.items() if not name.startswith("_")}

    def flat(self) -> dict[str, Any]:
        """Return ``{"learner": …, parameter: value, …}``, as reports show it."""
        return {"learner": self.learner, **self.params}


class Space:
    """What may vary.

    Parameters
    ----------
    learners : mapping of str to mapping of str to parameter
        For each learner its parameters; a plain value stands for `Fixed`, and a mapping such as
        ``{"float": [0, 1]}`` for what a file would say with it.
    starts : sequence of Config or mapping, optional
        Configurations tried after the defaults, in this order; values that are left out take their defaults.
    forbid : sequence of Forbid or mapping, optional
        What may not be tried together.
    models : mapping of str to str or object, optional
        Learners that are a person's own model: ``{"svc": "sklearn.svm:SVC"}``.
    name : str
        What the space is called in reports and study names.
    summary : str
        A sentence about it.
    places : mapping, optional
        Where things stand in a file: ``("mlp", "dropout")`` to ``"my.toml:7:1"``, for errors.
    checked : bool
        Raise where anything is wrong; without, `problems` tells.

    Raises
    ------
    SpaceError
        With everything that is wrong, each with its place.

    Examples
    --------
    >>> space = Space({"lightgbm": {"learning_rate": Float(5e-3, 0.1, log=True), "num_leaves": 31}})
    >>> space.default("lightgbm").params["num_leaves"]
    31
    """

    def __init__(
        self,
        learners: Mapping[str, Mapping[str, Any]],
        *,
        starts: Sequence[Any] = (),
        forbid: Sequence[Any] = (),
        models: Mapping[str, Any] | None = None,
        name: str = "space",
        summary: str = "",
        places: Mapping[tuple[str, ...], str] | None = None,
        checked: bool = True,
    ) -> None:
        from autotune.spaces.document import read_learners

        self.name = name
        self.summary = summary
        self.places = dict(places or {})
        _check_shapes(learners, starts, forbid, models)
        self.models = dict(models or {})
        found, self.unread = read_learners(learners, self.place)
        self.broken = {
            (learner, key)
            for learner, table in learners.items()
            for key in ("", *(table if isinstance(table, Mapping) else ()))
            if key not in ("", *found.get(learner, ())) or learner not in found
        }
        self.learners: Mapping[str, Mapping[str, Parameter]] = {
            learner: canonical_conditions(parameters) for learner, parameters in found.items()
        }
        self.forbid = tuple(self._clause(each) for each in forbid)
        self.given_starts = tuple(self._start(each) for each in starts)
        self.starts: tuple[Config, ...] = ()
        if checked:
            raise_all(self.problems())
            self.starts = tuple(unique(self.completed(start.learner, start.params) for start in self.given_starts))

    @classmethod
    def from_file(cls, path: str | Path) -> Space:
        """Read a space from a TOML, YAML or JSON file; see `autotune.spaces.files.read_space`."""
        from autotune.spaces.files import read_space

        return read_space(Path(path))

    def problems(self) -> list[AutotuneError]:
        """Return everything that is wrong, each a SpaceError with its place."""
        return [*self.unread, *space_problems(self, self.given_starts)]

    def __or__(self, other: Any) -> Space:
        """Join two spaces, or change one; see `autotune.spaces.joining.join`."""
        from autotune.spaces.joining import join

        return join(self, other)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Space) or self.models != other.models:
            return False
        own, others = (json.dumps(each.to_dict(), sort_keys=True, default=id) for each in (self, other))
        return own == others  # as texts, in which 1 is neither 1.0 nor true

    def __hash__(self) -> int:
        return hash(frozenset((learner, frozenset(parameters)) for learner, parameters in self.learners.items()))

    def __repr__(self) -> str:
        counts = ", ".join(f"{learner} ({len(parameters)})" for learner, parameters in self.learners.items())
        return f"Space {self.name!r}: {counts}"

    def for_task(self, kind: str) -> Space:
        """Return the space as it is for one kind of task: conditions on ``task`` are settled and gone."""
        names = {kind} if kind == "regression" else {kind, "classification"}
        learners = {
            learner: {key: _without_task(parameters[key]) for key in parameters if _on_task(parameters, key, names)}
            for learner, parameters in self.learners.items()
        }
        starts = [
            Config(start.learner, {k: v for k, v in start.params.items() if k in learners[start.learner]})
            for start in self.starts
        ]
        forbid = [clause for clause in self.forbid if set(clause.conditions) <= set(learners[clause.learner])]
        return self.replaced(learners=learners, starts=starts, forbid=forbid)

    def replaced(self, **changes: Any) -> Space:
        """Return the space with some of its parts replaced."""
        parts: dict[str, Any] = {
            "learners": self.learners,
            "starts": self.given_starts,
            "forbid": self.forbid,
            "models": self.models,
            "name": self.name,
            "summary": self.summary,
            "places": self.places,
        }
        return Space(**parts | changes)

    def default(self, learner: str) -> Config:
        """Return the configuration of all defaults of a learner."""
        return self.completed(learner, {})

    def completed(self, learner: str, given: Mapping[str, Any]) -> Config:
        """Return the configuration that has these values, and defaults and computed ones for the others."""
        values: dict[str, Any] = {}
        if learner in self.learners:
            for key, parameter in self.active(learner, values):
                if isinstance(parameter, Derived):
                    values[key] = parameter.value(values)
                else:
                    values[key] = given.get(key, parameter.default)
        left_over = {key: value for key, value in given.items() if key not in values}
        return Config(learner, {**values, **left_over})

    def first_configurations(self) -> tuple[Config, ...]:
        """Return what is tried before the sampler: each learner's default, then the starts."""
        return tuple(unique((*(self.default(learner) for learner in self.learners), *self.starts)))

    def active(self, learner: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters that exist, parents first, while the caller fills `values` in as they come."""
        parameters = self.learners[learner]
        for key in parents_first(parameters):
            if holds(parameters[key], values):
                yield key, parameters[key]

    def allows(self, config: Config) -> bool:
        """Return whether no clause forbids a configuration."""
        return not any(clause.learner == config.learner and clause.matches(config.params) for clause in self.forbid)

    def admits(self, config: Config) -> bool:
        """Return whether a configuration is one of the space: it has the parameters that exist, with values of theirs.

        Examples
        --------
        >>> Space({"knn": {"k": Int(1, 9)}}).admits(Config("knn", {"k": 10}))
        False
        """
        if config.learner not in self.learners:
            return False
        values: dict[str, Any] = {}
        for key, parameter in self.active(config.learner, values):
            if key not in config.params or not _takes(parameter, config.params[key], values):
                return False
            values[key] = canonical_value(parameter, config.params[key])
        return set(values) == set(config.params) and self.allows(config)

    def to_dict(self) -> dict[str, Any]:
        """Return the space as a document of plain values: equal for equal spaces, whatever they are called."""
        from autotune.spaces.document import to_document

        return to_document(self)

    def place(self, *path: str) -> str:
        """Return where something stands: the file's line and column when known, and the path."""
        known = next((self.places[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.places), None)
        file = None if path else self.places.get(())
        return f"{known or file or f'space {self.name!r}'} {'.'.join(path)}".strip()

    def _clause(self, clause: Any) -> Forbid:
        if not isinstance(clause, Forbid):
            conditions = dict(clause)
            learner = conditions.pop("learner", self._only)
            clause = Forbid("" if learner is None else str(learner), conditions)
        return canonical_clause(clause, self.learners.get(clause.learner, {}))

    def _start(self, start: Any) -> Config:
        if not isinstance(start, Config):
            values = dict(start)
            learner = values.pop("learner", self._only)
            start = Config("" if learner is None else str(learner), values)
        frozen = {key: frozen_value(value) for key, value in start.params.items()}
        return Config(start.learner, canonical_values(frozen, self.learners.get(start.learner, {})))

    @property
    def _only(self) -> str | None:
        return next(iter(self.learners)) if len(self.learners) == 1 else None


def _check_shapes(learners: Any, starts: Any, forbid: Any, models: Any) -> None:
    """Raise where an argument of a space is not of the shape from which anything could be read."""
    if not isinstance(learners, Mapping):
        hint = 'Space({"lightgbm": {"learning_rate": Float(5e-3, 0.1, log=True)}})'
        raise SpaceError(f"a space is a table of learners, found {learners!r}", hint=hint)
    if not isinstance(models or {}, Mapping):
        raise SpaceError(f"models is a table by learner, found {models!r}", hint='models={"svc": "sklearn.svm:SVC"}')
    for name, entries, kind in (("starts", starts, Config), ("forbid", forbid, Forbid)):
        listed = isinstance(entries, Iterable) and not isinstance(entries, (str, Mapping))
        if not (listed and all(isinstance(entry, kind) or _is_table(entry) for entry in entries)):
            hint = f'{name}=[{{"learning_rate": 0.1}}]'
            raise SpaceError(f"{name} is a list of tables with values by name, found {entries!r}", hint=hint)


def _is_table(entry: Any) -> bool:
    return isinstance(entry, Mapping) and all(isinstance(key, str) for key in entry)


def holds(parameter: Parameter, values: Mapping[str, Any]) -> bool:
    """Return whether a parameter exists, given the values of what it depends on."""
    if isinstance(parameter, Derived) and any(name not in values for name in parameter.names):
        return False
    return all(
        parent in values and any(same_value(values[parent], allowed) for allowed in admitted)
        for parent, admitted in parameter.when.items()
        if parent != "task"
    )


def _takes(parameter: Parameter, value: Any, values: Mapping[str, Any]) -> bool:
    match parameter:
        case Derived():
            try:
                return same_value(parameter.value(values), value)
            except FormulaError:
                return False
        case Int(fidelity=True):
            return same_value(parameter.high, value)
        case Float() | Int() | Choice() | Fixed():
            return parameter.admits(value)


def unique(configs: Iterable[Config]) -> Iterator[Config]:
    """Yield each configuration once, where it comes first."""
    seen: list[tuple[str, str]] = []
    for config in configs:
        key = (config.learner, repr(sorted(config.params.items())))
        if key not in seen:
            seen.append(key)
            yield config


def _without_task(parameter: Parameter) -> Parameter:
    return replace(parameter, when={parent: values for parent, values in parameter.when.items() if parent != "task"})


def _on_task(parameters: Mapping[str, Parameter], key: str, names: set[str]) -> bool:
    """Return whether a parameter and all that it depends on exist for a task that goes by these names."""
    line = [parameters[each].when.get("task") for each in (key, *ancestors(parameters, key)) if each in parameters]
    return all(tasks is None or names & set(tasks) for tasks in line)
