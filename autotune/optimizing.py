"""Optimizing a function without a table: the study, the pruner, the workers and the budget, and nothing else."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from autotune.errors import NoSuccessfulTrialError, SeedMismatchError, SettingsError
from autotune.execution.coordinator import Budget, Search
from autotune.execution.places import executor_of
from autotune.execution.work import OfObjective
from autotune.learners.custom import is_flat
from autotune.learners.loading import load_model
from autotune.learners.makings import describe_model
from autotune.objective import Objective
from autotune.plan import batch_of, digest, resources_of, seed_and_origin
from autotune.settings import Settings, trial_budget
from autotune.setup import code_from_anywhere, setup_of
from autotune.spaces.catalog import find_space
from autotune.spaces.space import Space
from autotune.study.identity import Goal, batch_identity, set_goal, set_setup
from autotune.study.opening import open_study
from autotune.study.records import TrialRecord, leaderboard, show_states
from autotune.study.seeding import begun_with
from autotune.study.storage import open_storage
from autotune.study.strategies import find_pruner, find_sampler
from autotune.study.study import TuningStudy
from autotune.watcher import Opening, Silent, Watcher

if TYPE_CHECKING:
    import optuna
    import pandas as pd

DIRECTIONS = ("minimize", "maximize")
LEARNER = "objective"
"""What a flat space's one table is called."""


@dataclass(frozen=True)
class Optimization:
    """What optimizing a function found.

    Attributes
    ----------
    best_params : dict
        The best configuration.
    best_score : float
        Its score.
    records : tuple of TrialRecord
        Every trial of the study.
    maximize : bool
        Whether larger scores are better.
    study_name, seed : str, int
        The study and its seed.
    seconds : float
        How long it took.
    notes : tuple of str
        What there is to say.

    Examples
    --------
    >>> from autotune import Int, optimize
    >>> print(optimize(lambda params: params["n"] ** 2, {"n": Int(1, 3)}, random_state=0).best_params)
    {'n': 1}
    """

    best_params: dict[str, Any]
    best_score: float
    records: tuple[TrialRecord, ...]
    maximize: bool
    study_name: str
    seed: int
    seconds: float
    notes: tuple[str, ...] = ()
    connection: optuna.Study | None = field(default=None, repr=False, compare=False)

    @property
    def study(self) -> optuna.Study | None:
        """The Optuna study."""
        return self.connection

    def leaderboard(self) -> pd.DataFrame:
        """Return all trials, best first; see `autotune.study.records.leaderboard`."""
        return leaderboard(self.records, maximize=self.maximize)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "best_params": self.best_params,
            "best_score": self.best_score,
            "maximize": self.maximize,
            "study_name": self.study_name,
            "random_state": self.seed,
            "seconds": self.seconds,
            "n_trials": len(self.records),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        width = max((len(name) for name in self.best_params), default=0)
        lines = [f"best score {self.best_score:.6g} ({'larger' if self.maximize else 'smaller'} is better)"]
        lines += [f"  {name:<{width}}  {value}" for name, value in self.best_params.items()]
        states = [record.state for record in self.records]
        counts = show_states(Counter(states))
        lines += ["", f"trials: {counts}, in {self.study_name!r}, {self.seconds:.1f} s, random_state {self.seed}"]
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)])


def run_objective(
    function: Callable[..., Any] | str, settings: Settings, *, direction: str, started: float, **more: Any
) -> Optimization:
    """Search the best configuration of a function; see `search_objective`.

    Raises
    ------
    NoSuccessfulTrialError
        When every trial failed.
    """
    study, seed, notes = search_objective(function, settings, direction=direction, started=started, **more)
    return _result(study, seed, notes, time.time() - started)


def search_objective(
    function: Callable[..., Any] | str,
    settings: Settings,
    *,
    direction: str,
    started: float,
    watch: Watcher | None = None,
    stop: Callable[[], bool] = lambda: False,
    sets_goal: bool = True,
) -> tuple[TuningStudy, int, tuple[str, ...]]:
    """Run trials of a function until the study holds as many as asked for, or the deadline has come.

    Parameters
    ----------
    function : callable or str
        See `autotune.objective.Objective`; or what names one, such as ``"my_work.py:objective"``.
    settings : Settings
        Space, budget, sampler, pruner, jobs, storage, name and seed count.
    direction : {"minimize", "maximize"}
        Which scores are better.
    started : float
        When the call began, on the clock of `time.time`.
    watch : Watcher, optional
        Told what happens as it happens.
    stop : callable
        Asked before each trial whether to end the search.
    sets_goal : bool
        Whether others who join the study shall work for this budget.

    Returns
    -------
    tuple of TuningStudy, int and tuple of str
        The study, its seed, and what there is to say.

    Raises
    ------
    AutotuneError
        When a setting or the space is wrong, before anything runs.
    """
    if direction not in DIRECTIONS:
        raise SettingsError(f"direction={direction!r} is not known", "direction", " or ".join(map(repr, DIRECTIONS)))
    watch = watch or Silent()
    objective, source = read_objective(function, direction)
    space = space_of_objective(settings.space)
    n_jobs, resources = resources_of(settings)
    deadline = float("inf") if settings.timeout is None else started + settings.timeout
    budget = Budget(
        trial_budget(settings),
        deadline,
        trial_timeout=settings.trial_timeout,
        patience=settings.patience,
        target_score=settings.target_score,
        min_gain=settings.min_gain,
    )
    setup = setup_of(settings, space, objective=code_from_anywhere(source), direction=direction)
    study, seed, notes = _open(settings, objective, setup, space, batch_of(settings, n_jobs), watch)
    if sets_goal:
        set_setup(study.optuna, setup)
        set_goal(study.optuna, Goal.of(budget.n_trials, deadline))
    better = "larger" if objective.maximize else "smaller"
    title = f"{study.name}: {better} is better"
    try:
        watch.planned(Opening(title, (), (), budget.n_trials, deadline, objective.maximize))
        watch.stage("search")
        watch.joined(study.records())
        if budget.n_trials is None or study.n_finished < budget.n_trials:
            work = OfObjective(objective)
            executor = executor_of(work, n_jobs, resources.threads, settings)
            with closing(executor):
                Search(study, executor, budget, lambda record, _: watch.told(record, study.best()), stop).run()
    finally:
        watch.over()
    return study, seed, (*notes, *study.notes())


def space_of_objective(given: Any) -> Space:
    """Return the space that is meant; one of parameters alone becomes a space with one table."""
    if isinstance(given, Mapping) and is_flat(given):
        return Space({LEARNER: given})
    return find_space(given)


def read_objective(function: Callable[..., Any] | str, direction: str) -> tuple[Objective, str | None]:
    """Return the objective, and the text that named it."""
    if not isinstance(function, str):
        return Objective(function, direction == "maximize"), None
    return Objective(load_model(function, "objective", "objective"), direction == "maximize"), function


def _open(
    settings: Settings, objective: Objective, setup: dict[str, Any], space: Space, batch: int | None, watch: Watcher
) -> tuple[TuningStudy, int, tuple[str, ...]]:
    sampler, pruner = find_sampler(settings.sampler), find_pruner(settings.pruner)
    storage = open_storage(settings.storage)
    identity = identity_of(objective, space) | batch_identity(batch)
    name = settings.study_name or "-".join(
        (getattr(objective.function, "__name__", "objective").strip("<>"), space.name, digest(json.dumps(identity)))
    )
    seed, origin = seed_and_origin(settings, storage, name, identity)
    opened = partial(
        open_study,
        storage,
        name,
        space=space,
        sampler=sampler,
        pruner=pruner,
        maximize=objective.maximize,
        identity=identity,
        versions={},
        setup=setup,
        say=watch.said,
        batch=batch,
    )
    try:
        study = opened(seed=seed)
    except SeedMismatchError:  # another process has made it, since a seed was drawn here
        if settings.random_state is not None:
            raise
        seed, _ = seed_and_origin(settings, storage, name, identity)
        study = opened(seed=seed)
    notes = () if origin is None else (begun_with(study, origin, {}),)
    for note in notes:
        watch.said(note)
    return study, seed, notes


def identity_of(objective: Objective, space: Space) -> dict[str, str]:
    """Return what makes two studies the same question, part by part."""
    return {
        "objective": describe_model(objective.function),
        "space": f"{space.name} {digest(json.dumps(space.to_dict(), sort_keys=True, default=str))}",
        "direction": "maximize" if objective.maximize else "minimize",
    }


def _result(study: TuningStudy, seed: int, notes: tuple[str, ...], seconds: float) -> Optimization:
    best, records = study.best(), study.records()
    if best is None or best.config is None or best.score is None:
        failures = [record for record in records if record.state == "failed"]
        why = f"all {len(failures)} failed, the first with: {failures[0].reason}" if failures else "none is complete"
        raise NoSuccessfulTrialError(f"no trial has a score: {why}", f"study {study.name!r}")
    params = best.config.flat() if len(study.space.learners) > 1 else dict(best.config.params)
    return Optimization(
        best_params=params,
        best_score=best.score,
        records=records,
        maximize=study.optuna.direction.name == "MAXIMIZE",
        study_name=study.name,
        seed=seed,
        seconds=seconds,
        notes=notes,
        connection=study.optuna,
    )
