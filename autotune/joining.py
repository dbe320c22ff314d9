"""Joining a study by its storage and its name, to work at it: the study says all the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.api import watcher_of
from autotune.data.tables import read_table
from autotune.data.task import Table
from autotune.errors import DataError, SettingsError, StudyError
from autotune.optimizing import search_objective
from autotune.plan import make_plan
from autotune.settings import Settings, parse_duration
from autotune.setup import OF_A_CALL, settings_of
from autotune.study.identity import read_goal, read_setup, stored_batch
from autotune.study.opening import finished_by_this_process, load_study, summary
from autotune.study.records import show_states
from autotune.study.rows import records_of
from autotune.study.storage import open_storage, storage_file, study_names
from autotune.tuning import cross_validated_baseline, join, opening_of, place_of, search
from autotune.watcher import Silent, Watcher

if TYPE_CHECKING:
    import optuna

NO_TRIALS = "no trials"


@dataclass(frozen=True)
class Contribution:
    """What came of working at a study.

    Attributes
    ----------
    study_name : str
        The study.
    here : mapping of str to int
        Trials that were finished by this call, by state.
    trials : mapping of str to int
        All trials of the study, by state.
    best_trial, best_score : int or None, float or None
        The best trial of the study.
    seconds : float
        How long it took.
    notes : tuple of str
        What there is to say.

    Examples
    --------
    >>> print(Contribution("s", {"complete": 3}, {"complete": 5}, 2, 0.25, 1.0))
    s: 3 complete here, in 1.0 s
    it holds 5 complete; best: trial 2, 0.25
    """

    study_name: str
    here: Mapping[str, int]
    trials: Mapping[str, int]
    best_trial: int | None
    best_score: float | None
    seconds: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        best = "" if self.best_score is None else f"; best: trial {self.best_trial}, {self.best_score:.5g}"
        lines = [f"{self.study_name}: {show_states(self.here) or NO_TRIALS} here, in {self.seconds:.1f} s"]
        lines.append(f"it holds {show_states(self.trials) or NO_TRIALS}{best}")
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)])


def work(
    storage: Any,
    study_name: str | None = None,
    data: Any = None,
    y: Any = None,
    *,
    n_jobs: int = -1,
    timeout: Any = None,
    stop: Callable[[], bool] = lambda: False,
    objective: Any = None,
    **given: Any,
) -> Contribution:
    """Work at a study that somebody else has begun until it holds what it shall hold; the study says all the rest.

    Parameters
    ----------
    storage : str, Path or optuna.storages.BaseStorage
        Where the study lives.
    study_name : str, optional
        Its name; not needed where the storage holds only one.
    data, y : path, DataFrame or array-like, optional
        The table, as for `tune`; the file that the study was made with, if left out. Another table is refused.
    n_jobs : int
        Trials at a time; -1 for all cores.
    timeout : float or str, optional
        When to end here, if the study does not end before.
    stop : callable
        Asked before each trial whether to end.
    objective : callable or str, optional
        That of a study of `optimize`, where it was given as a function, or its file is another one here.
    **given
        ``device`` and ``progress``, settings of `tune` that a study cannot carry, such as a metric of one's own, and
        ``model``, where its file is another one here.

    Returns
    -------
    Contribution

    Raises
    ------
    StudyError
        When the study does not say how it is set up, or could not carry it.
    StudyMismatchError
        When the table, or what was given by hand, is not that of the study; the parts that differ are named.

    Examples
    --------
    >>> import optuna, autotune
    >>> storage, space = optuna.storages.InMemoryStorage(), {"x": autotune.Int(1, 9)}
    >>> _ = autotune.optimize("builtins:len", space, storage=storage, study_name="s", n_trials=3)
    >>> autotune.work(storage, "s", n_jobs=1).notes
    ('it holds all 3 trials that it shall hold',)
    """
    started = time.time()
    study = find_study(storage, study_name)
    before = finished_by_this_process(study)
    budget, why_not = _budget(study, parse_duration(timeout), started)
    notes: tuple[str, ...] = (why_not,) if why_not else ()
    if not why_not:
        n_jobs = stored_batch(study) or -1 if n_jobs == -1 else n_jobs
        settings = settings_for(study, given, n_jobs=n_jobs, **budget)
        if "objective" in read_setup(study):
            notes = _work_at_objective(study, settings, objective, started, stop)
        else:
            table = table_for(study, settings, data, y)
            notes = _work_at_table(settings, table, started, stop)
        study = load_study(study._storage, study.study_name)
        notes += _failure_notes(study)
    found = summary(study)
    return Contribution(
        study_name=study.study_name,
        here=dict(finished_by_this_process(study) - before),
        trials=found["trials"],
        best_trial=found["best_trial"],
        best_score=found["best_score"],
        seconds=time.time() - started,
        notes=notes,
    )


def find_study(storage: Any, study_name: str | None = None) -> optuna.Study:
    """Return the study of that name, or the only one of a storage.

    Raises
    ------
    SettingsError
        When there is no such file.
    StudyError
        When there is more than one to choose from, or none.
    UnknownNameError
        When there is none of that name.
    """
    path = storage_file(str(storage)) if isinstance(storage, str | Path) and str(storage) else None
    if path is not None and not path.is_file():
        raise SettingsError(f"no storage {str(path)!r}", "storage", "the file of the call that made the study")
    opened = open_storage(storage)
    if study_name is None:
        names = study_names(opened)
        if len(names) != 1:
            hint = f"study_name, one of: {', '.join(names)}" if names else None
            raise StudyError(f"the storage holds {len(names) or 'no'} studies", hint=hint)
        study_name = names[0]
    return load_study(opened, study_name)


def settings_for(study: optuna.Study, given: Mapping[str, Any], **budget: Any) -> Settings:
    """Return the settings that a study was made with, those given by who joins it, and the budget of this call.

    Raises
    ------
    SettingsError
        When something is given that only the study says.
    """
    where = f"study {study.study_name!r}"
    fixed = [name for name in given if name in OF_A_CALL - {"space"}]
    if fixed:
        raise SettingsError(f"who joins a study cannot set its {' and '.join(fixed)}", where, "autotune.tune sets it")
    words = {**given, **budget, "storage": study._storage, "study_name": study.study_name}
    return settings_of(read_setup(study), where, **words)


def table_for(study: optuna.Study, settings: Settings, data: Any, y: Any = None) -> Table:
    """Read the table of a study: the one that is given, or the file that the study was made with.

    Raises
    ------
    DataError
        When none is given, and that file is not here.
    """
    setup = read_setup(study)
    if data is None:
        data = setup["data"]
        where, hint = f"study {study.study_name!r}", "give the table: any file or frame that holds the same rows"
        if data is None:
            raise DataError("the study was made with a table that was no file", where, hint)
        if not Path(data).is_file():
            raise DataError(f"the file that the study was made with is not here: {data}", where, hint)
    sides = {name: getattr(settings, name) for name in ("task", "groups", "time", "positive", "sample_weight")}
    return read_table(data, y, target=None if y is not None else setup["target"], **sides)


def objective_for(study: optuna.Study, objective: Any) -> Any:
    """Return the objective of a study: the one that is given, or what names it.

    Raises
    ------
    StudyError
        When none is given, and it was a function.
    """
    found = objective if objective is not None else read_setup(study)["objective"]
    if found is None:
        where, hint = f"study {study.study_name!r}", "objective=..., from Python"
        raise StudyError("the study was made with a Python object as its objective, which it cannot carry", where, hint)
    return found


def _budget(study: optuna.Study, seconds: float | None, started: float) -> tuple[dict[str, Any], str]:
    """Return how many trials the study shall hold and when to end; or why there is nothing to do."""
    goal, counts = read_goal(study), summary(study)["trials"]
    n_finished = sum(count for state, count in counts.items() if state != "running")
    if goal.n_trials is not None and n_finished >= goal.n_trials:
        return {}, f"it holds all {goal.n_trials} trials that it shall hold"
    ends = [] if seconds is None else [started + seconds]
    if goal.deadline is not None and (goal.deadline > started or not ends):
        ends.append(goal.deadline)
    if not ends and goal.n_trials is None:
        raise StudyError("the study does not say when its search ends", f"study {study.study_name!r}", "timeout: 10m")
    left = min(ends, default=float("inf")) - started
    if left <= 0:
        return {}, "its deadline has passed: a timeout sets another one"
    return {"n_trials": goal.n_trials, "timeout": None if left == float("inf") else left}, ""


def _work_at_table(settings: Settings, table: Table, started: float, stop: Callable[[], bool]) -> tuple[str, ...]:
    plan = make_plan(settings, table, started=started, is_judged=False)
    watch: Watcher = watcher_of(settings) or Silent()
    try:
        watch.planned(opening_of(plan))
        watch.stage("search")
        study = join(plan, cross_validated_baseline(plan), watch)
        watch.joined(study.records())
        with closing(place_of(plan)) as executor:
            search(plan, study, executor, watch, stop)
    finally:
        watch.over()
    return study.notes()


def _work_at_objective(
    study: optuna.Study, settings: Settings, objective: Any, started: float, stop: Callable[[], bool]
) -> tuple[str, ...]:
    direction = read_setup(study)["direction"]
    function, watch = objective_for(study, objective), watcher_of(settings)
    words: dict[str, Any] = {"direction": direction, "started": started, "watch": watch, "stop": stop}
    _, _, notes = search_objective(function, settings, **words, sets_goal=False)
    return notes


def _failure_notes(study: optuna.Study) -> tuple[str, ...]:
    """Say why the first trial failed, where none of those that are over has a score."""
    records = [record for record in records_of(study) if record.state != "running"]
    failures = [record for record in records if record.state == "failed"]
    if not failures or len(failures) < len(records):
        return ()
    return (f"all {len(failures)} finished trials failed, the first with: {failures[0].reason}",)
