"""The one-line door: ``autotune.tune(data, target=…)``."""

from __future__ import annotations

import sys
import time as clock
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from autotune.data.tables import read_table
from autotune.optimizing import Optimization, run_objective
from autotune.plan import make_plan
from autotune.report import Report
from autotune.settings import DEFAULTS, Settings, make_settings
from autotune.tuning import preparing, run
from autotune.watcher import Watcher


def tune(
    data: Any,
    y: Any = None,
    *,
    target: str | None = None,
    task: Any = DEFAULTS.task,
    metric: Any = DEFAULTS.metric,
    space: Any = DEFAULTS.space,
    model: Any = DEFAULTS.model,
    n_trials: int | None = DEFAULTS.n_trials,
    timeout: Any = DEFAULTS.timeout,
    cv: Any = DEFAULTS.cv,
    test_size: Any = DEFAULTS.test_size,
    sampler: Any = DEFAULTS.sampler,
    pruner: Any = DEFAULTS.pruner,
    trial_timeout: Any = DEFAULTS.trial_timeout,
    memory_limit: Any = DEFAULTS.memory_limit,
    patience: int | None = DEFAULTS.patience,
    target_score: float | None = DEFAULTS.target_score,
    min_gain: float | None = DEFAULTS.min_gain,
    n_jobs: int = DEFAULTS.n_jobs,
    deterministic: bool = DEFAULTS.deterministic,
    storage: Any = DEFAULTS.storage,
    study_name: str | None = DEFAULTS.study_name,
    from_study: str | None = DEFAULTS.from_study,
    random_state: int | None = DEFAULTS.random_state,
    groups: Any = DEFAULTS.groups,
    time: Any = DEFAULTS.time,
    positive: Any = DEFAULTS.positive,
    sample_weight: Any = DEFAULTS.sample_weight,
    ensemble: int | None = DEFAULTS.ensemble,
    refit: str = DEFAULTS.refit,
    device: str | None = DEFAULTS.device,
    progress: bool | None = DEFAULTS.progress,
) -> Report:
    """Find the best model for a table, and say how good it is.

    Parameters
    ----------
    data : path, DataFrame or array-like of shape (n_rows, n_columns)
        A CSV, gzipped CSV, Parquet, Feather, JSON lines or Excel file; a pandas or polars frame; or an array with `y`.
    y : array-like of shape (n_rows,), optional
        The target, when it is no column of `data`.
    target : str, optional
        Name of the target column; needed without `y`.
    task, metric, space, model, n_trials, timeout, cv, test_size, sampler, pruner, \
trial_timeout, memory_limit, patience, target_score, min_gain, n_jobs, deterministic, storage, study_name, \
from_study, random_state, groups, time, positive, sample_weight, ensemble, refit, device, progress
        The settings; `autotune.settings.Settings` says what each means, and so does ``tune run --help``.

    Returns
    -------
    Report
        The best configuration, its honest score on rows that nothing saw before, and the model.

    Raises
    ------
    AutotuneError
        When anything is wrong with the data or the settings: before any training.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> frame = load_iris(as_frame=True).frame
    >>> report = tune(frame, target="target", space="linear", n_trials=2, random_state=0)
    >>> report.test_score.value < report.baseline_score.value
    True
    """
    started = clock.time()
    given = locals()
    settings = make_settings("call", **{name: given[name] for name in Settings.__slots__})
    return tune_with(settings, data, y, target=target, started=started)


def optimize(
    objective: Callable[..., Any] | str,
    space: Any,
    *,
    direction: str = "minimize",
    n_trials: int | None = DEFAULTS.n_trials,
    timeout: Any = DEFAULTS.timeout,
    sampler: Any = DEFAULTS.sampler,
    pruner: Any = DEFAULTS.pruner,
    trial_timeout: Any = DEFAULTS.trial_timeout,
    memory_limit: Any = DEFAULTS.memory_limit,
    patience: int | None = DEFAULTS.patience,
    target_score: float | None = DEFAULTS.target_score,
    min_gain: float | None = DEFAULTS.min_gain,
    n_jobs: int = DEFAULTS.n_jobs,
    deterministic: bool = DEFAULTS.deterministic,
    storage: Any = DEFAULTS.storage,
    study_name: str | None = DEFAULTS.study_name,
    from_study: str | None = DEFAULTS.from_study,
    random_state: int | None = DEFAULTS.random_state,
    progress: bool | None = DEFAULTS.progress,
) -> Optimization:
    """Find the best configuration of a function: no table, no folds, but the same study, pruner, workers and budget.

    Parameters
    ----------
    objective : callable or str
        ``objective(params)``, or what names it, such as ``"my_work.py:objective"``. It returns a score, or is a
        generator that yields one after each step, and then is pruned where its curve is not worth going on with. It may
        also take ``seed`` and ``learner``.
    space : dict, Space, str or path
        Parameters by name, or whatever `tune` takes as a space.
    direction : {"minimize", "maximize"}
        Which scores are better.
    n_trials, timeout, sampler, pruner, trial_timeout, memory_limit, patience, target_score, min_gain, \
n_jobs, deterministic, storage, study_name, from_study, random_state, progress
        As for `tune`.

    Returns
    -------
    Optimization
        The best configuration, its score and all trials.

    Raises
    ------
    AutotuneError
        When a setting or the space is wrong: before anything runs.

    Examples
    --------
    >>> from autotune import Float
    >>> found = optimize(lambda params: (params["x"] - 2) ** 2, {"x": Float(0, 5)}, n_trials=20, random_state=0)
    >>> found.best_score < 0.5
    True
    """
    started, given = clock.time(), locals()
    names = {name for name in Settings.__slots__ if name in given}
    settings = make_settings("call", **{name: given[name] for name in names})
    return optimize_with(settings, objective, direction=direction, started=started)


def optimize_with(
    settings: Settings,
    objective: Any,
    *,
    direction: str,
    started: float,
    stop: Callable[[], bool] = lambda: False,
) -> Optimization:
    """Run an objective: what every door does once it has settings.

    Parameters
    ----------
    settings : Settings
        What was asked for.
    objective, direction
        As for `optimize`.
    started : float
        When the call began, on the clock of `time.time`.
    stop : callable
        Asked before each trial whether to end the search.
    """
    watch = watcher_of(settings)
    return run_objective(objective, settings, direction=direction, started=started, watch=watch, stop=stop)


def tune_with(
    settings: Settings,
    data: Any,
    y: Any = None,
    *,
    target: str | None,
    started: float,
    lone_rows: bool = False,
    is_passing: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Read the table, plan, run: what every door does once it has settings.

    Parameters
    ----------
    settings : Settings
        What was asked for.
    data, y, target
        As for `tune`.
    started : float
        When the call began, on the clock of `time.time`.
    lone_rows : bool
        Whether a class may have a single row.
    is_passing : bool
        Whether the file of the data will be gone after this call, so that nobody is told to look for it.
    stop : callable
        Asked before each trial whether to end the search.
    """
    before = clock.perf_counter()
    with preparing(settings) as server:
        table = read_table(
            data,
            y,
            target=target,
            task=settings.task,
            groups=settings.groups,
            time=settings.time,
            positive=settings.positive,
            sample_weight=settings.sample_weight,
            lone_rows=lone_rows,
        )
        if is_passing:
            table = replace(table, source=None)
        plan = make_plan(settings, table, started=started)
        return run(
            plan, watch=watcher_of(settings), reading_seconds=clock.perf_counter() - before, stop=stop, server=server
        )


def watcher_of(settings: Settings) -> Watcher | None:
    """Return what shows a run on the terminal, where that is wanted."""
    shown = sys.stderr.isatty() if settings.progress is None else settings.progress
    if not shown:
        return None
    from autotune.console import Console

    return Console()
