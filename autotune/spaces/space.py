"""Space: learners, their parameters, and the configurations to try first. A value; it knows no sampler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from autotune.errors import AutotuneError, SpaceError, raise_all
from autotune.registry import unknown_name
from autotune.spaces.params import Choice, Fixed, Float, Int, Parameter, same_value

VERSION = 1


@dataclass(frozen=True, slots=True)
class Config:
    """One configuration: a learner and the values of its parameters.

    Attributes
    ----------
    learner : str
        The learner's name.
    params : mapping of str to value
        Only parameters that exist under their conditions.
    """

    learner: str
    params: Mapping[str, Any]

    def flat(self) -> dict[str, Any]:
        """Return ``{"learner": …, parameter: value, …}``, as reports show it."""
        return {"learner": self.learner, **self.params}


class Space:
    """What may vary.

    Parameters
    ----------
    learners : mapping of str to mapping of str to parameter
        For each learner its parameters; a plain value stands for `Fixed`.
    starts : sequence of Config, optional
        Configurations tried after the defaults, in this order; values that are left out take their defaults.
    name : str
        What the space is called in reports and study names.
    summary : str
        A sentence about it.
    places : mapping, optional
        Where things stand in a file: ``("mlp", "dropout")`` to ``"my.toml:7"``, for errors.

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
        starts: Sequence[Config] = (),
        name: str = "space",
        summary: str = "",
        places: Mapping[tuple[str, ...], str] | None = None,
    ) -> None:
        self.name = name
        self.summary = summary
        self.places = dict(places or {})
        self.learners: Mapping[str, Mapping[str, Parameter]] = {
            learner: {key: _as_parameter(value) for key, value in self._table(learner, parameters).items()}
            for learner, parameters in learners.items()
        }
        self.starts = tuple(self._complete(start) for start in starts)
        raise_all([*self._problems(), *self._start_problems()])

    @classmethod
    def from_file(cls, path: str | Path) -> Space:
        """Read a space from a TOML file; see `autotune.spaces.files.read_space`."""
        from autotune.spaces.files import read_space

        return read_space(Path(path))

    def __or__(self, other: Space) -> Space:
        """Join two spaces: the learners of both, the right one's where both have a learner of that name."""
        starts = [start for start in self.starts if start.learner not in other.learners]
        return Space(
            {**self.learners, **other.learners},
            starts=_alternate(starts, other.starts),
            name=f"{self.name}+{other.name}",
            summary=self.summary,
            places={**self.places, **other.places},
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.to_dict() == other.to_dict()

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
        return Space(learners, starts=starts, name=self.name, summary=self.summary, places=self.places)

    def default(self, learner: str) -> Config:
        """Return the configuration of all defaults of a learner."""
        return self._complete(Config(learner, {}))

    def first_configurations(self) -> tuple[Config, ...]:
        """Return what is tried before the sampler: each learner's default, then the starts."""
        return (*(self.default(learner) for learner in self.learners), *self.starts)

    def active(self, learner: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters that exist, parents first, while the caller fills `values` in as they come."""
        parameters = self.learners[learner]
        for key in _parents_first(parameters):
            if holds(parameters[key], values):
                yield key, parameters[key]

    def to_dict(self) -> dict[str, Any]:
        """Return the space as a document of plain values: equal for equal spaces, whatever they are called."""
        learners = {
            learner: {key: parameter.to_dict() for key, parameter in parameters.items()}
            for learner, parameters in self.learners.items()
        }
        return {"version": VERSION, **learners, "start": [start.flat() for start in self.starts]}

    def place(self, *path: str) -> str:
        """Return where something stands: the file's line when known, and the path in brackets."""
        bracket = f"[{'.'.join(path)}]"
        known = self.places.get(path)
        return f"{known}, {bracket}" if known else f"space {self.name!r}, {bracket}"

    def _complete(self, start: Config) -> Config:
        values: dict[str, Any] = {}
        if start.learner in self.learners:
            for key, parameter in self.active(start.learner, values):
                values[key] = start.params.get(key, parameter.default)
        left_over = {key: value for key, value in start.params.items() if key not in values}
        return Config(start.learner, {**values, **left_over})

    def _table(self, learner: str, parameters: Any) -> Mapping[str, Any]:
        if not isinstance(parameters, Mapping):
            hint = f'{{"lightgbm": {{"{learner}": ...}}}}'
            raise SpaceError(f"learner {learner!r} holds {parameters!r}, no parameters", self.place(learner), hint)
        return parameters

    def _problems(self) -> Iterator[AutotuneError]:
        if not self.learners:
            yield SpaceError("a space needs at least one learner", f"space {self.name!r}")
        for learner, parameters in self.learners.items():
            for key, parameter in parameters.items():
                for problem in parameter.problems():
                    yield SpaceError(f"{key}: {problem}", self.place(learner, key))
                yield from self._condition_problems(learner, key, parameter)

    def _condition_problems(self, learner: str, key: str, parameter: Parameter) -> Iterator[AutotuneError]:
        parameters = self.learners[learner]
        for parent, values in parameter.when.items():
            where = self.place(learner, key)
            if parent == "task":
                known = {"binary", "multiclass", "classification", "regression"}
                for value in set(values) - known:
                    yield _as_space_error(unknown_name("kind of task", value, known, where))
            elif parent not in parameters:
                yield _as_space_error(unknown_name("parameter to depend on", parent, parameters, where))
            elif parent in _ancestors(parameters, parent):
                yield SpaceError(f"{key} depends on {parent}, which depends on itself", where)
            elif not values:
                yield SpaceError(f"{key} exists for no value of {parent}", where, f"leave when or {key} out")
            elif not any(parameters[parent].problems()):
                for value in values:
                    if not parameters[parent].admits(value):
                        yield SpaceError(f"{key} exists when {parent} = {value!r}, which {parent} never is", where)

    def _start_problems(self) -> Iterator[AutotuneError]:
        for number, start in enumerate(self.starts):
            where = self.place("start", str(number))
            if not start.learner:
                names = ", ".join(self.learners)
                yield SpaceError("a start names no learner", where, f"learner = one of: {names}")
                continue
            if start.learner not in self.learners:
                yield _as_space_error(unknown_name("learner of this space", start.learner, self.learners, where))
                continue
            parameters = self.learners[start.learner]
            for key, value in start.params.items():
                where = self.place("start", str(number), key)
                if key not in parameters:
                    yield _as_space_error(unknown_name(f"parameter of {start.learner!r}", key, parameters, where))
                elif not holds(parameters[key], start.params):
                    yield SpaceError(f"start: {key} does not exist under its condition", where, f"leave {key} out")
                elif not any(parameters[key].problems()) and not parameters[key].admits(value):
                    yield SpaceError(f"start: {key} = {value!r} is outside its range", where)


def holds(parameter: Parameter, values: Mapping[str, Any]) -> bool:
    """Return whether a parameter exists, given its parents' values."""
    return all(
        parent in values and any(same_value(values[parent], allowed) for allowed in admitted)
        for parent, admitted in parameter.when.items()
        if parent != "task"
    )


def _as_parameter(value: Any) -> Parameter:
    return value if isinstance(value, (Float, Int, Choice, Fixed)) else Fixed(value)


def _as_space_error(error: AutotuneError) -> SpaceError:
    return SpaceError(error.problem, error.where, error.hint)


def _without_task(parameter: Parameter) -> Parameter:
    return replace(parameter, when={parent: values for parent, values in parameter.when.items() if parent != "task"})


def _on_task(parameters: Mapping[str, Parameter], key: str, names: set[str]) -> bool:
    """Return whether a parameter and all that it depends on exist for a task that goes by these names."""
    line = [parameters[each].when.get("task") for each in (key, *_ancestors(parameters, key)) if each in parameters]
    return all(tasks is None or names & set(tasks) for tasks in line)


def _alternate(left: Sequence[Config], right: Sequence[Config]) -> list[Config]:
    return [start for pair in zip_longest(left, right) for start in pair if start is not None]


def _ancestors(parameters: Mapping[str, Parameter], key: str) -> set[str]:
    found: set[str] = set()
    waiting = list(parameters[key].when)
    while waiting:
        parent = waiting.pop()
        if parent not in found:
            found.add(parent)
            waiting.extend(parameters[parent].when if parent in parameters else ())
    return found


def _parents_first(parameters: Mapping[str, Parameter]) -> list[str]:
    return sorted(parameters, key=lambda key: len(_ancestors(parameters, key)))
