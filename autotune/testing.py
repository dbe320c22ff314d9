"""Checks that a learner keeps its contract, the protocol: for our tests and for authors of plug-ins."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from autotune.data.task import ALL_TASKS, Column, Excerpt, Problem, Rows, Schema, TaskKind
from autotune.errors import PlugInError
from autotune.learners.plug_ins import BROKEN_CODE
from autotune.learners.protocol import Member, Model, Pace, Resources, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autotune.learners.protocol import Predictions

N_TRAINING, N_VALIDATION, N_STEPS = 120, 40, 3
SCHEMA = Schema(
    (
        Column("size", "numeric"),
        Column("age", "numeric"),
        Column("new", "boolean"),
        Column("colour", "categorical", levels=("blue", "green", "red", "white")),
        Column("town", "categorical", levels=("Bonn", "Kiel", "Ulm")),
    )
)


def check_learner(learner_class: Any, **parameters: Any) -> None:
    """Raise unless the learner keeps every promise of the protocol, on small made tables of each kind of its tasks.

    Parameters
    ----------
    learner_class : type or Learner
        The learner; a class is made without arguments.
    **parameters
        Parameters to train with, such as few trees; the others take their defaults.

    Raises
    ------
    PlugInError
        Naming the broken promise and what was found.

    Examples
    --------
    >>> from autotune.learners.baseline import Baseline
    >>> check_learner(Baseline)
    """
    _check_declaration(learner_class)
    _check_params(learner_class)
    learner = learner_class() if isinstance(learner_class, type) else learner_class
    for kind in sorted(learner_class.tasks):
        members = made_members(kind)
        params = _made_params(learner, parameters)
        _check_signatures(learner, params, members)
        trial = Trial(learner, params, kind, members, _take(learner, params, members))
        for check in (
            _check_steps,
            _check_predictions,
            _check_models,
            _check_seed,
            _check_cache,
            _check_isolation,
            _check_validation,
            _check_weights,
            _check_refit,
        ):
            check(trial)


def made_members(kind: TaskKind, n_members: int = 2, *, seed: int = 0, weighted: bool = False) -> list[Member]:
    """Make a small cohort with missing values, categories, and levels that only the validation rows have.

    Parameters
    ----------
    kind : {"binary", "multiclass", "regression"}
        The kind of task.
    n_members : int
        Folds.
    seed : int
        Another seed makes other rows.
    weighted : bool
        Whether the training rows have weights.

    Examples
    --------
    >>> len(made_members("binary")[0].rows)
    120
    """
    draws = np.random.default_rng(seed)
    n_classes = {"binary": 2, "multiclass": 3, "regression": 0}[kind]
    problem = Problem(kind, n_classes, SCHEMA, "log" if n_classes else "squared")
    members = []
    for _ in range(n_members):
        rows = _made_rows(draws, N_TRAINING, levels=(4, 3))
        validation = _made_rows(draws, N_VALIDATION, levels=(5, 4), lowest=-1)
        weight = draws.uniform(0.5, 2.0, N_TRAINING) if weighted else None
        answers = _made_answers(draws, rows, n_classes)
        members.append(Member(problem, Excerpt(rows, np.arange(len(rows))), answers, weight, validation))
    return members


@dataclass(frozen=True, slots=True)
class Taken:
    """What the first steps of one training gave, by member: the numbers of its steps, predictions and last model."""

    advanced: list[tuple[int, tuple[int, ...]]]
    predictions: list[Predictions]
    models: list[Model]


@dataclass(frozen=True, slots=True)
class Trial:
    """A learner on one kind of task, and what its first training gave."""

    learner: Any
    params: Any
    kind: TaskKind
    members: list[Member]
    first: Taken

    def train(self, members: Sequence[Member], n_steps: int = N_STEPS) -> Taken:
        """Train once more, with the same parameters and seed."""
        return _take(self.learner, self.params, members, n_steps)

    def promise(self, kept: bool, broken: str, hint: str) -> None:
        """Raise unless the promise is kept."""
        _promise(kept, f"{broken} (a {self.kind} task)", self.learner.name, hint)


def _check_declaration(learner_class: Any) -> None:
    where = getattr(learner_class, "__qualname__", repr(learner_class))
    for attribute in ("name", "tasks", "Params", "train", "pace"):
        _promise(hasattr(learner_class, attribute), f"it has no attribute {attribute!r}", where, "see Learner")
    name, tasks = learner_class.name, learner_class.tasks
    _promise(isinstance(name, str) and name.isidentifier(), f"its name is {name!r}", where, "name = 'my_learner'")
    known = isinstance(tasks, frozenset) and bool(tasks) and tasks <= ALL_TASKS
    _promise(known, f"its tasks are {tasks!r}", where, f"a frozenset of some of {sorted(ALL_TASKS)}")


def _check_params(learner_class: Any) -> None:
    params_class, where = learner_class.Params, f"{learner_class.name}.Params"
    if isinstance(params_class, type):
        _check_params_class(params_class, where)
    elif getattr(learner_class, "parameter_names", None) is not None:
        refused = _refuses(params_class, "no_such_parameter", 1)
        _promise(refused, "Params takes a name that parameter_names does not hold", where, "raise SettingsError")
    params = params_class()
    same = params == _pickled(params, "Params", where)
    _promise(same, "Params changes when pickled", where, "hold plain values")


def _check_params_class(params_class: type[Any], where: str) -> None:
    settings = getattr(params_class, "__dataclass_params__", None)
    is_frozen = settings is not None and bool(settings.frozen)
    _promise(is_frozen, "Params is no frozen dataclass", where, "@dataclass(frozen=True, slots=True)")
    for field in dataclasses.fields(params_class):
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        _promise(has_default, f"parameter {field.name!r} has no default", where, "every parameter has a default")
    params = params_class()
    for field in dataclasses.fields(params_class):
        default = getattr(params, field.name)
        if isinstance(default, (int, float, str)) and not isinstance(default, bool):
            nonsense = "no such choice" if isinstance(default, str) else float("nan")
            hint = "raise SettingsError in __post_init__"
            _promise(_refuses(params_class, field.name, nonsense), f"{field.name}={nonsense!r} is taken", where, hint)


def _made_params(learner: Any, parameters: dict[str, Any]) -> Any:
    try:
        return learner.Params(**parameters)
    except TypeError as error:
        raise PlugInError(f"Params does not take {parameters}: {error}", f"learner {learner.name!r}") from error


def _check_signatures(learner: Any, params: Any, members: Sequence[Member]) -> None:
    hint = "see autotune.learners.protocol.Learner"
    for method, arguments, words in (
        ("train", (members, params), {"seed": 7, "resources": Resources()}),
        ("pace", (params,), {}),
    ):
        try:
            inspect.signature(getattr(learner, method)).bind(*arguments, **words)
        except TypeError as error:
            raise PlugInError(f"{method} cannot be called: {error}", f"learner {learner.name!r}", hint) from error
    pace = learner.pace(params)
    _promise(pace is None or isinstance(pace, Pace), f"pace gives {pace!r}", learner.name, "a Pace, or None")


def _check_steps(trial: Trial) -> None:
    advanced, everyone = trial.first.advanced, tuple(range(len(trial.members)))
    in_lockstep = [(number, everyone) for number in range(1, len(advanced) + 1)]
    one_by_one = [(1, (index,)) for index in everyone]
    hint = "all members in steps 1, 2, 3 …, or one member after the other in step 1"
    trial.promise(advanced in (in_lockstep, one_by_one), f"(step, members) are {advanced}", hint)
    one_go = trial.learner.pace(trial.params) is None
    trial.promise(not (one_go and len(advanced) > len(everyone)), "pace is None, but it trains in steps", "a Pace")


def _check_predictions(trial: Trial) -> None:
    n_classes = trial.members[0].problem.n_classes
    shape = (N_VALIDATION, n_classes) if n_classes else (N_VALIDATION,)
    for predictions in trial.first.predictions:
        found = (getattr(predictions, "shape", None), str(getattr(predictions, "dtype", None)))
        trial.promise(found == (shape, "float64"), f"predictions are {found}", f"{shape}, float64")
        trial.promise(bool(np.isfinite(predictions).all()), "predictions are not finite", "check for missing values")
        if n_classes:
            sums_to_one = np.allclose(predictions.sum(axis=1), 1.0, atol=1e-6) and predictions.min() >= 0
            trial.promise(bool(sums_to_one), "probabilities do not sum to 1", "probabilities, one column a class")


def _check_models(trial: Trial) -> None:
    first = trial.first
    for member, model, predictions in zip(trial.members, first.models, first.predictions, strict=True):
        assert member.validation is not None
        again = _pickled(model, "a model", f"learner {trial.learner.name!r}").predict(member.validation)
        trial.promise(_close(again, predictions), "a pickled model predicts otherwise than its step", "the same model")
        one = model.predict(member.validation.take(np.array([3])))
        trial.promise(
            _close(one, predictions[3:4]), "a row alone is predicted otherwise than among others", "row by row"
        )


def _check_seed(trial: Trial) -> None:
    again = trial.train([replace(member, cache={}) for member in trial.members]).predictions
    same = _equal(again, trial.first.predictions)
    trial.promise(same, "the same seed gives other predictions", "draw from the seed only")


def _check_cache(trial: Trial) -> None:
    again = trial.train(trial.members).predictions
    same = _equal(again, trial.first.predictions)
    trial.promise(same, "what the cache holds changes predictions", "keep it as it was fitted")
    half, fewer = _with_half_validation(trial.members)
    kept = trial.train(fewer).predictions
    fits = all(_same_rows(few, whole, half) for few, whole in zip(kept, trial.first.predictions, strict=True))
    hint = "the cache outlives validation rows: keep theirs only for the same Rows object"
    trial.promise(fits, "the cache mixes up validation rows", hint)
    keys = [key for member in trial.members for key in member.cache]
    named = all(isinstance(key, tuple) and key and isinstance(key[0], str) for key in keys)
    trial.promise(named, f"the cache has keys {keys}", "a tuple that begins with the module's name")


def _check_isolation(trial: Trial) -> None:
    other = made_members(trial.kind, seed=1)[1]
    alone, beside = trial.first.predictions[0], trial.train([trial.members[0], other]).predictions[0]
    trial.promise(_close(alone, beside), "another fold's rows change a fold's predictions", "fit within the member")


def _check_validation(trial: Trial) -> None:
    half, fewer = _with_half_validation(trial.members)
    kept = trial.train([replace(member, cache={}) for member in fewer]).predictions
    same = all(_same_rows(few, whole, half) for few, whole in zip(kept, trial.first.predictions, strict=True))
    trial.promise(same, "validation rows change what is learned", "only predict them")


def _check_weights(trial: Trial) -> None:
    predictions = trial.train(made_members(trial.kind, weighted=True)).predictions
    finite = all(np.isfinite(values).all() for values in predictions)
    trial.promise(finite, "predictions are not finite with sample weights", "use or ignore Member.weight")


def _check_refit(trial: Trial) -> None:
    n_steps = max(number for number, _ in trial.first.advanced)
    member = trial.members[0]
    assert member.validation is not None
    taken = trial.train([replace(member, validation=None, cache={})], n_steps=n_steps)
    reached = taken.advanced[-1] == (n_steps, (0,))
    trial.promise(reached, f"a refit to step {n_steps} ended at {taken.advanced[-1]}", "validation may be None")
    predictions = taken.models[0].predict(member.validation)
    right = predictions.shape[0] == N_VALIDATION and bool(np.isfinite(predictions).all())
    trial.promise(right, "the model of a refit does not predict", "models() needs no validation rows")


def _take(learner: Any, params: Any, members: Sequence[Member], n_steps: int = N_STEPS) -> Taken:
    """Train for at most ``n_steps`` steps of each member and keep what came out."""
    predictions: list[Any] = [None] * len(members)
    models: list[Any] = [None] * len(members)
    advanced, given = [], copy.deepcopy([_arrays(member) for member in members])
    steps = learner.train(members, params, seed=7, resources=Resources())
    _promise(isinstance(steps, Iterator), f"train gives {steps!r}, no iterator", learner.name, "yield a Step")
    for step in _first_steps(steps, n_steps, len(members), learner.name):
        advanced.append((step.number, tuple(step.advanced)))
        _place(models, step, "models", learner.name)
        if members[0].validation is not None:
            _place(predictions, step, "predictions", learner.name)
    kept = all(map(_same_arrays, given, map(_arrays, members)))
    _promise(kept, "training changes the rows, answers or weights of its members", learner.name, "work on copies")
    return Taken(advanced, predictions, models)


def _arrays(member: Member) -> list[NDArray[Any]]:
    rows = [member.rows] if member.validation is None else [member.rows, member.validation]
    answers = [member.y] if member.weight is None else [member.y, member.weight]
    return [*answers, *(array for each in rows for array in (each.numeric, each.categorical))]


def _same_arrays(left: Sequence[NDArray[Any]], right: Sequence[NDArray[Any]]) -> bool:
    return all(one.tobytes() == other.tobytes() for one, other in zip(left, right, strict=True))


def _pickled(thing: Any, what: str, where: str) -> Any:
    """Return what comes back from a pickle."""
    try:
        return pickle.loads(pickle.dumps(thing))
    except (*BROKEN_CODE, pickle.PickleError) as error:
        raise PlugInError(f"{what} cannot be pickled: {error}", where, "hold plain values and arrays") from error


def _promise(kept: bool, broken: str, learner: str, hint: str) -> None:
    if not kept:
        raise PlugInError(broken, f"learner {learner!r}", hint)


def _refuses(params_class: Any, name: str, value: object) -> bool:
    try:
        params_class(**{name: value})
    except (ValueError, TypeError):
        return True
    return False


def _first_steps(steps: Iterator[Any], n_steps: int, n_members: int, learner: str) -> Iterator[Step]:
    """Yield steps until every member has done this many."""
    done: dict[int, int] = {}
    for step in steps:
        _promise(isinstance(step, Step), f"train yields {step!r}, no Step", learner, "yield a Step")
        yield step
        done |= dict.fromkeys(step.advanced, step.number)
        if len(done) == n_members and min(done.values()) >= n_steps:
            return


def _place(into: list[Any], step: Step, what: str, learner: str) -> None:
    """Keep what a step gives for the members that advanced."""
    found = list(getattr(step, what)())
    right = len(found) == len(step.advanced)
    _promise(right, f"{len(found)} {what} come for {len(step.advanced)} members", learner, f"{what} of those advanced")
    for place, value in zip(step.advanced, found, strict=True):
        into[place] = value


def _equal(left: Sequence[Predictions], right: Sequence[Predictions]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(left, right, strict=True))


def _with_half_validation(members: Sequence[Member]) -> tuple[NDArray[np.intp], list[Member]]:
    half = np.arange(0, N_VALIDATION, 2)
    return half, [replace(m, validation=m.validation.take(half)) for m in members if m.validation is not None]


def _same_rows(few: Predictions, whole: Predictions, index: NDArray[np.intp]) -> bool:
    return _close(few, whole[index])


def _close(left: Predictions, right: Predictions) -> bool:
    return left.shape == right.shape and np.allclose(left, right, rtol=1e-4, atol=1e-5)


def _made_rows(draws: np.random.Generator, n_rows: int, levels: tuple[int, int], lowest: int = 0) -> Rows:
    """Draw rows whose codes go from ``lowest`` up to below ``levels``; a seventh of the sizes is missing."""
    numeric = draws.normal(size=(n_rows, 3)) * [1.0, 20.0, 1.0] + [0.0, 40.0, 0.0]
    numeric[:, 2] = numeric[:, 2] > 0
    numeric[draws.random(n_rows) < 1 / 7, 0] = np.nan
    codes = [draws.integers(lowest, high, n_rows) for high in levels]
    return Rows(numeric, np.stack(codes, axis=1).astype(np.int32))


def _made_answers(draws: np.random.Generator, rows: Rows, n_classes: int) -> NDArray[Any]:
    """Draw answers that follow from size, newness and colour, with some noise."""
    worth = np.nan_to_num(rows.numeric[:, 0]) + rows.numeric[:, 2] + 0.5 * (rows.categorical[:, 0] == 1)
    worth = worth + draws.normal(scale=0.3, size=len(rows))
    if not n_classes:
        return np.asarray(10.0 * worth + 100.0)
    return np.asarray(np.digitize(worth, np.quantile(worth, np.arange(1, n_classes) / n_classes)), dtype=np.int64)
