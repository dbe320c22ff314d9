"""From Settings to a Plan: every name resolved, every pairing checked, before anything trains."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import packages_distributions, version
from typing import TYPE_CHECKING, Any

import numpy as np

from autotune.data.schema import decide, encode, fingerprint_table
from autotune.data.splits import Folds, make_folds, read_test_size, split_test
from autotune.data.tables import read_test_table
from autotune.data.task import Problem, Schema, Table, Task
from autotune.errors import SettingsError
from autotune.learners.custom import find_learners, find_models
from autotune.learners.declared import space_problems
from autotune.learners.makings import describe_model
from autotune.learners.protocol import Learner, Resources
from autotune.metrics import Metric, resolve_metric
from autotune.settings import DEFAULTS, Settings, trial_budget
from autotune.setup import TEST_TABLE, setup_of
from autotune.spaces.document import MODEL
from autotune.spaces.space import Space
from autotune.study.choosing import choose_sampler, settled_sampler
from autotune.study.identity import batch_identity
from autotune.study.opening import load_study, stored_seed
from autotune.study.seeding import check_origin
from autotune.study.storage import open_storage
from autotune.study.strategies import Pruner, find_pruner, find_sampler

if TYPE_CHECKING:
    import optuna
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage

PACKAGES = ("autotune-toolkit", "optuna", "scikit-learn", "lightgbm", "torch", "pandas", "numpy")

ENSEMBLE_OF_SEVERAL = 5
"""Most trials in an ensemble where a space has several learners; those of one learner are too much alike to gain."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run needs, checked.

    Attributes
    ----------
    settings : Settings
        What was asked for.
    table : Table
        The table as it was read.
    search, test : Task, Task or None
        The rows to search on, and the rows that decide nothing.
    schema : Schema
        What was decided about the columns, from the search rows.
    folds : Folds
        How the search rows are cut.
    metric : Metric
        What counts.
    space : Space
        As it is for this kind of task.
    learners : mapping of str to Learner
        Those of the space, people's own models among them, and the baseline.
    sampler, pruner
        What proposes, and what stops early.
    storage, study_name, identity, seed
        Where the study lives, its name, what it is made for, and its seed.
    n_trials, deadline : int or None, float
        The budget: finished trials, and the end on the clock of `time.time`.
    n_jobs, resources : int, Resources
        Trials at a time, and what each may use.
    batch : int or None
        Trials of a batch, where the search is deterministic.
    ensemble : int
        Most trials that the model may be a mean of.
    versions : dict of str to str
        Versions of the packages.
    setup : dict of str to value
        What others need to join the study, as plain values.
    origin : optuna.Study or None
        An older study, with whose trials the study begins.
    notes : tuple of str
        All that was inferred, dropped or changed, a line each.
    test_name : str
        Tells a test table of one's own from another one, by its fingerprint.
    """

    settings: Settings
    table: Table
    search: Task
    test: Task | None
    schema: Schema
    folds: Folds
    metric: Metric
    space: Space
    learners: Mapping[str, Learner[Any]]
    sampler: Callable[[int], BaseSampler]
    pruner: Pruner
    storage: BaseStorage
    study_name: str
    identity: dict[str, str]
    seed: int
    n_trials: int | None
    deadline: float
    n_jobs: int
    batch: int | None
    resources: Resources
    ensemble: int
    versions: dict[str, str]
    setup: dict[str, Any]
    origin: optuna.Study | None
    notes: tuple[str, ...]
    test_name: str = "split"


def make_plan(settings: Settings, table: Table, *, started: float, is_judged: bool = True) -> Plan:
    """Resolve and check everything.

    Parameters
    ----------
    settings : Settings
        What was asked for.
    table : Table
        The data, read and checked.
    started : float
        When the call began, on the clock of `time.time`; the timeout counts from here.
    is_judged : bool
        Whether the test rows will be looked at; a table of their own is not read where they will not.

    Raises
    ------
    AutotuneError
        The first kind of thing that is wrong, with all problems of that kind.
    """
    settings = _with_listed_folds(settings)
    metric = resolve_metric(settings.metric, table.kind, table.classes)
    space, models = find_models(
        settings.space,
        settings.model,
        DEFAULTS.space,
        lambda found, learners: list(space_problems(found, learners, table.kind)),
    )
    space = space.for_task(table.kind)
    learners = find_learners(space, models)
    pruner = find_pruner(settings.pruner)
    find_sampler(settings.sampler)  # a wrong name is told before anything is opened
    n_jobs, resources = resources_of(settings)
    test_table = _read_own_test_table(settings, table) if is_judged else None
    storage = open_storage(settings.storage)
    batch = batch_of(settings, n_jobs)
    identity = _identity(settings, table, metric, space, models) | batch_identity(batch)
    study_name = settings.study_name or _default_name(table, space, identity)
    choose = partial(choose_sampler, space, pruner, table.X.size)
    sampler, sampler_notes = settled_sampler(settings.sampler, storage, study_name, choose)
    seed, origin = seed_and_origin(settings, storage, study_name, identity)
    parts = _cut(settings, table, test_table, metric, seed)
    notes = [*_model_notes(space, learners, models, parts["search"]), *sampler_notes]
    return Plan(
        settings=settings,
        table=table,
        metric=metric,
        space=space,
        learners=learners,
        sampler=find_sampler(sampler),
        pruner=pruner,
        storage=storage,
        study_name=study_name,
        identity=identity,
        seed=seed,
        n_trials=trial_budget(settings),
        deadline=float("inf") if settings.timeout is None else started + settings.timeout,
        n_jobs=n_jobs,
        batch=batch,
        resources=resources,
        ensemble=settings.ensemble or (ENSEMBLE_OF_SEVERAL if len(space.learners) > 1 else 1),
        test_name="split" if test_table is None else fingerprint_table(test_table),
        versions=_versions(learners),
        setup=setup_of(replace(settings, sampler=sampler), space, target=table.target, data=table.source),
        origin=origin,
        **parts | {"notes": (*parts["notes"], *notes)},
    )


def available_cores() -> int:
    """Return the number of cores that this process may use, containers counted."""
    import joblib

    return int(joblib.cpu_count())


def threads_of_each(n_jobs: int) -> int:
    """Return the threads of each of so many jobs: its share of the cores, or ``OMP_NUM_THREADS`` where that is less."""
    share = max(1, available_cores() // n_jobs)
    said = re.match(r"\s*0*([1-9][0-9]{0,8})\s*(,|$)", os.environ.get("OMP_NUM_THREADS", ""))  # "4,2": 2 inside of 4
    return min(share, int(said[1])) if said else share


def _versions(learners: Mapping[str, Learner[Any]]) -> dict[str, str]:
    """Return the versions of the packages that a run stands on, those of its optional learners among them."""
    optional = sorted({str(learner.requires) for learner in learners.values() if hasattr(learner, "requires")})
    carriers = packages_distributions() if optional else {}  # xgboost may come from one called xgboost-cpu
    distributions = [carriers[package][0] for package in optional if package in carriers]
    return {package: version(package) for package in (*PACKAGES, *distributions)}


def _read_own_test_table(settings: Settings, table: Table) -> Table | None:
    """Read ``test_size`` where it is a table, or a pair of features and target."""
    if read_test_size(settings.test_size) is not None:
        return None
    data, y = settings.test_size if isinstance(settings.test_size, tuple) else (settings.test_size, None)
    sides = {name: getattr(settings, name) for name in ("groups", "time", "sample_weight")}
    return read_test_table(data, table, y, **{name: side for name, side in sides.items() if isinstance(side, str)})


def _cut(settings: Settings, table: Table, test_table: Table | None, metric: Metric, seed: int) -> dict[str, Any]:
    """Set the test rows aside, decide on the columns from the search rows, and draw the folds."""
    has_own_table = read_test_size(settings.test_size) is None
    search_index, test_index = split_test(table, 0 if has_own_table else settings.test_size, seed)
    schema, schema_notes = decide(table.X.iloc[search_index])
    if not schema.columns:
        raise SettingsError("no column is left to learn from: all are empty or constant", "the table")
    classes = () if table.classes is None else tuple(table.classes.tolist())
    problem = Problem(table.kind, len(classes), schema, metric.loss, metric.quantile, classes)
    search, search_notes = _task(table, search_index, problem, strict=True)
    test: Task | None = None
    test_notes: tuple[str, ...] = ()
    if test_table is not None:
        test, test_notes = _task(test_table, np.arange(len(test_table.y)), problem, strict=True)
    elif len(test_index):
        test, test_notes = _task(table, test_index, problem, strict=False)
    folds = make_folds(search.y, table.kind, search.groups, search.time, settings.cv, seed, classes=table.classes)
    notes = (
        table.reason,
        *table.notes,
        *schema_notes,
        *search_notes,
        *folds.notes,
        *_choice_notes(settings, metric),
        *(f"test rows: {n}" for n in test_notes),
    )
    return {"search": search, "test": test, "schema": schema, "folds": folds, "notes": notes}


def _choice_notes(settings: Settings, metric: Metric) -> tuple[str, ...]:
    """Say what was made of settings that can be understood in more than one way."""
    notes = []
    if metric.digest:
        better = "larger" if metric.maximize else "smaller"
        notes.append(f"metric {metric.name!r}: {better} is taken as better; its attribute greater_is_better decides")
    if settings.n_jobs > available_cores():
        notes.append(
            f"n_jobs={settings.n_jobs} is more than the {available_cores()} cores: {available_cores()} are used"
        )
    clock = settings.timeout is not None
    if (clock or settings.n_jobs != 1) and not settings.deterministic:
        why = " and ".join(["the deadline"] * clock + ["which of the jobs is over first"] * (settings.n_jobs != 1))
        notes.append(f"another run may try other configurations: that depends on {why}")
    return tuple(notes)


def _task(table: Table, index: NDArray[np.intp], problem: Problem, *, strict: bool) -> tuple[Task, tuple[str, ...]]:
    rows, notes = encode(problem.schema, table.X.iloc[index], strict=strict)
    task = Task(
        rows,
        table.y[index],
        problem,
        weight=None if table.weight is None else table.weight[index],
        groups=None if table.groups is None else table.groups[index],
        time=None if table.time is None else table.time[index],
    )
    return task, notes


def resources_of(settings: Settings) -> tuple[int, Resources]:
    """Return how many trials run at a time, and what each may use.

    Raises
    ------
    SettingsError
        When worker processes or the device are not to be had here.
    """
    cores = available_cores()
    n_jobs = cores if settings.n_jobs == -1 else min(settings.n_jobs, cores)
    if n_jobs > 1 and os.name == "nt":
        raise SettingsError("worker processes need a POSIX system", "n_jobs", "n_jobs=1")
    device = settings.device
    if device is not None:
        from autotune.learners.mlp import choose_device

        device = choose_device(device)
    return n_jobs, Resources(threads=threads_of_each(n_jobs), device=device)


def batch_of(settings: Settings, n_jobs: int) -> int | None:
    """Return the trials of a batch: the jobs asked for, so that a machine of fewer cores has the same history."""
    return max(n_jobs, settings.n_jobs) if settings.deterministic else None


def seed_and_origin(
    settings: Settings, storage: BaseStorage, study_name: str, identity: Mapping[str, str]
) -> tuple[int, optuna.Study | None]:
    """Return the study's seed, and the older study that it begins with, whose seed it shares.

    The seed is the one that was asked for, or the one that the study has, or a new one.

    Raises
    ------
    SettingsError
        When the seed that was asked for is not that of the older study: its folds would be others.
    StudyMismatchError
        When that is a study of another question.
    """
    asked = None if settings.random_state is None else int(settings.random_state)
    if settings.from_study is None:
        known = asked if asked is not None else stored_seed(storage, study_name)
        return random.SystemRandom().randrange(2**31) if known is None else known, None
    if settings.from_study == study_name:
        raise SettingsError(f"the study {study_name!r} cannot begin with itself", "from_study", "another study_name")
    origin = load_study(storage, settings.from_study)
    seed = check_origin(origin, identity)
    if asked not in (None, seed):
        problem = f"the study {origin.study_name!r} has random_state={seed}, found {asked}: its folds are others"
        raise SettingsError(problem, "random_state, from_study", "leave random_state out")
    return seed, origin


def _model_notes(
    space: Space, learners: Mapping[str, Learner[Any]], models: Mapping[str, Any], search: Task
) -> list[str]:
    """Let people's own models look at the task before anything trains, and say what is made of them."""
    notes: list[str] = []
    for name in models:
        learner: Any = learners[name]
        parameters = space.default(name).arguments
        if hasattr(learner, "check"):
            learner.check(search.problem, parameters)
        if hasattr(learner, "notes"):
            notes += learner.notes(search.problem, parameters, weighted=search.weight is not None)
        if not space.learners[name]:
            notes.append(f"{name}: no space was given, so that it keeps its own parameters")
    return notes


def _identity(
    settings: Settings, table: Table, metric: Metric, space: Space, models: Mapping[str, Any]
) -> dict[str, str]:
    """Return what makes two studies the same question, part by part."""
    test_size = read_test_size(settings.test_size)
    document = space.to_dict()
    for name in models:
        document[name] = {key: entry for key, entry in document[name].items() if key != MODEL}
    own = {"model": "; ".join(f"{name} = {describe_model(models[name])}" for name in models)} if models else {}
    return own | {
        "space": f"{space.name} {digest(json.dumps(document, sort_keys=True, default=str))}",
        "table": fingerprint_table(table),
        "target": f"{table.target} ({table.kind})",
        "metric": f"{metric.name} ({'larger' if metric.maximize else 'smaller'} is better) {metric.digest}".strip(),
        "folds": _describe_cv(settings.cv),
        "test rows": TEST_TABLE if test_size is None else str(test_size),
    }


def _with_listed_folds(settings: Settings) -> Settings:
    """Return the settings with folds that can be read more than once: a generator of pairs is read into a list."""
    once = hasattr(settings.cv, "__next__")
    return replace(settings, cv=list(settings.cv)) if once else settings


def _describe_cv(cv: Any) -> str:
    if cv is None or isinstance(cv, (int, float, str)):
        return "default" if cv is None else str(cv)
    import joblib

    return f"{type(cv).__name__} {joblib.hash(cv)[:8]}"


def _default_name(table: Table, space: Space, identity: dict[str, str]) -> str:
    return f"{table.name}-{table.target}-{space.name}-{digest(json.dumps(identity))}"


def digest(text: str) -> str:
    """Return eight hex digits that tell a text from another one."""
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
