"""THE STORY: from a plan to a report. Read this first.

The study proposes, cross-validation judges, the best configuration is retrained on all search rows, with those that mix
well with it, and the test rows are looked at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from autotune.curve import Evaluation, NotFiniteError
from autotune.data.task import Rows, Task
from autotune.ensemble import Library
from autotune.errors import AutotuneError, DataError, NoSuccessfulTrialError, SeedMismatchError
from autotune.evaluation import cross_validate
from autotune.execution.coordinator import Budget, Search
from autotune.execution.events import Executor
from autotune.execution.places import executor_of, server_of
from autotune.execution.processes import ForkServer
from autotune.execution.serial import Serial
from autotune.execution.work import OWN_MODULES, OnFolds
from autotune.forecast import make_forecast, reserve
from autotune.learners import LEARNERS
from autotune.learners.declared import parameter_defaults, takes
from autotune.plan import Plan, make_plan, resources_of
from autotune.predictor import Predictor
from autotune.report import Report
from autotune.settings import Settings
from autotune.shipping import Shipment, Shipping
from autotune.spaces.catalog import find_space
from autotune.spaces.space import Config
from autotune.study.identity import Goal, set_goal, set_setup
from autotune.study.opening import open_study
from autotune.study.records import TrialRecord, spread
from autotune.study.seeding import begun_with
from autotune.study.study import TuningStudy
from autotune.verdict import Verdict
from autotune.watcher import Opening, Silent, Watcher

BASELINE = Config("baseline", {})


@contextmanager
def preparing(settings: Settings) -> Iterator[ForkServer | None]:
    """Have another process import what the workers of a run will need, while the table is read and the run is planned.

    Parameters
    ----------
    settings : Settings
        Of the run. What is wrong with its space is left to the plan to say.
    """
    n_jobs, resources = resources_of(settings)
    server = server_of(n_jobs, resources.threads, settings, killable=settings.timeout is not None)
    if server is None:
        yield None
        return
    with closing(server):
        names: Iterable[str] = ()
        if settings.model is None:
            with suppress(AutotuneError):
                names = find_space(settings.space).learners
        server.prepare((*OWN_MODULES, *filter(None, map(LEARNERS.module_of, names))))
        yield server


def run(
    plan: Plan,
    *,
    watch: Watcher | None = None,
    reading_seconds: float = 0.0,
    stop: Callable[[], bool] = lambda: False,
    server: ForkServer | None = None,
) -> Report:
    """Search, retrain, judge, report.

    Parameters
    ----------
    plan : Plan
        What to do, checked.
    watch : Watcher, optional
        Told what happens as it happens.
    reading_seconds : float
        How long reading and planning took, for the report.
    stop : callable
        Asked before each trial whether to end the search.
    server : ForkServer, optional
        What `preparing` gave.

    Returns
    -------
    Report

    Raises
    ------
    StudyMismatchError
        When the study was made for another question.
    NoSuccessfulTrialError
        When every trial failed.
    """
    watch = watch or Silent()
    clock = _Clock(watch, {"reading": reading_seconds})
    with ExitStack() as over:
        over.callback(watch.over)
        watch.planned(opening_of(plan))
        with clock.stage("search"):
            plan, baseline, study = begin(plan, watch)
            set_setup(study.optuna, plan.setup)
            set_goal(study.optuna, Goal.of(plan.n_trials, plan.deadline))
            watch.joined(study.records())
            work = _work(plan)
            executor = over.enter_context(closing(place_of(plan, work, server)))
            library = search(plan, study, executor, watch, stop)
        best, warnings = _winner(plan, study, baseline)
        shipping = Shipping(plan, study.records(), baseline, executor, Serial(work), library, watch, stop)
        ensemble = None
        if plan.ensemble > 1:
            with clock.stage("ensemble"):
                ensemble = shipping.ensemble()
        with clock.stage("refit"):
            shipment = shipping.ship(best, ensemble)
        with clock.stage("test"):
            verdict = shipping.judge(shipment)
        if plan.settings.refit == "all" and plan.test is not None:
            with clock.stage("refit on all rows"):
                shipment = shipping.on_all_rows(shipment)
        score = ensemble.score if ensemble and len(shipment.parts) == len(ensemble.weights) else None
        return _report(plan, study, shipment, score, verdict, clock.seconds, (*warnings, *shipping.warnings))


def search(
    plan: Plan, study: TuningStudy, executor: Executor, watch: Watcher, stop: Callable[[], bool] = lambda: False
) -> Library:
    """Run trials until the study holds as many finished ones as asked for, or the deadline is near.

    Returns
    -------
    Library
        What the best of them predicted, where an ensemble is wanted, and what their folds trained, if it was late.
    """
    library, forecast = Library(maximize=plan.metric.maximize), make_forecast(plan)

    def told(record: TrialRecord, evaluation: Evaluation | None) -> None:
        if evaluation is not None:
            library.add(record, evaluation.predictions if plan.ensemble > 1 else None, evaluation.models)
        watch.told(record, study.best())

    budget = Budget(
        plan.n_trials,
        plan.deadline,
        partial(reserve, plan, forecast),
        forecast.share,
        trial_timeout=plan.settings.trial_timeout,
        patience=plan.settings.patience,
        target_score=plan.settings.target_score,
        min_gain=plan.settings.min_gain,
    )
    if plan.n_trials is None or study.n_finished < plan.n_trials:
        Search(study, executor, budget, told, stop).run()
    return library


def opening_of(plan: Plan) -> Opening:
    """Say what is about to be done."""
    test_rows = 0 if plan.test is None else len(plan.test)
    better = "larger" if plan.metric.maximize else "smaller"
    title = f"{plan.table.name}: {plan.table.kind} on {plan.table.target!r}, {plan.metric.name} ({better} is better)"
    rows = f"{len(plan.search):,} search rows, {test_rows:,} test rows, {len(plan.schema.columns)} columns"
    facts = f"{rows}, {plan.folds.scheme}"
    return Opening(title, (facts,), plan.notes, plan.n_trials, plan.deadline, plan.metric.maximize)


def begin(plan: Plan, watch: Watcher) -> tuple[Plan, TrialRecord, TuningStudy]:
    """Create the study of a plan, or join it; where another process made it since a seed was drawn, plan with its seed.

    Returns
    -------
    tuple of Plan, TrialRecord and TuningStudy
        The plan, which may be another one, its baseline and its study.
    """
    baseline = cross_validated_baseline(plan)
    try:
        study = join(plan, baseline, watch)
    except SeedMismatchError:
        if plan.settings.random_state is not None:
            raise
    else:
        return _take_over(plan, study, watch), baseline, study
    again = make_plan(replace(plan.settings, storage=plan.storage), plan.table, started=time.time())
    return begin(replace(again, settings=plan.settings, deadline=plan.deadline), watch)


def join(plan: Plan, baseline: TrialRecord, watch: Watcher) -> TuningStudy:
    """Create the study of a plan, or join it."""
    study = open_study(
        plan.storage,
        plan.study_name,
        space=plan.space,
        sampler=plan.sampler,
        pruner=plan.pruner,
        maximize=plan.metric.maximize,
        identity=plan.identity,
        seed=plan.seed,
        versions=plan.versions,
        setup=plan.setup,
        accepts=lambda config: takes(plan.learners[config.learner], config.arguments),
        say=watch.said,
        batch=plan.batch,
    )
    assert baseline.score is not None
    study.set_baseline(baseline.score)
    return study


def _take_over(plan: Plan, study: TuningStudy, watch: Watcher) -> Plan:
    """Copy the trials of the older study that a plan begins with; return the plan with a note of what was copied."""
    if plan.origin is None:
        return plan
    defaults = {name: parameter_defaults(learner) for name, learner in plan.learners.items()}
    note = begun_with(study, plan.origin, defaults)
    watch.said(note)
    return replace(plan, notes=(*plan.notes, note))


def cross_validated_baseline(plan: Plan) -> TrialRecord:
    """Return the dummy baseline, which needs no columns: what failed trials are told with, and the last resort."""
    n_rows = len(plan.search)
    no_columns = Rows(np.empty((n_rows, 0)), np.empty((n_rows, 0), dtype=np.int32))
    task = replace(plan.search, rows=no_columns)
    try:
        evaluation = cross_validate(
            BASELINE, task, plan.folds, plan.metric, seed=0, resources=plan.resources, learners=plan.learners
        )
    except NotFiniteError as error:
        raise DataError(
            f"{error}: the metric is undefined on these folds", "metric, cv", "another metric, or fewer or other folds"
        ) from None
    return TrialRecord(number=-1, state="complete", config=BASELINE, score=evaluation.score, step=1)


def place_of(plan: Plan, work: OnFolds | None = None, server: ForkServer | None = None) -> Executor:
    """Return where trials run: where there is a deadline, each can be killed."""
    killable, threads = plan.deadline < math.inf, plan.resources.threads
    return executor_of(work or _work(plan), plan.n_jobs, threads, plan.settings, killable=killable, server=server)


def _work(plan: Plan) -> OnFolds:
    everything = None
    if plan.settings.refit == "all" and plan.test is not None:
        everything = _joined(plan.search, plan.test)
    return OnFolds(plan.search, plan.folds, plan.metric, plan.resources, plan.learners, everything)


def _winner(plan: Plan, study: TuningStudy, baseline: TrialRecord) -> tuple[TrialRecord, tuple[str, ...]]:
    """Return the best trial; the baseline where the deadline came before any trial was over."""
    best = study.best()
    if best is not None:
        return best, ()
    failures = [record for record in study.records() if record.state == "failed"]
    if failures:
        raise NoSuccessfulTrialError(
            f"all {len(failures)} finished trials failed, the first with: {failures[0].reason}", f"study {study.name!r}"
        )
    if plan.n_trials == 0:
        raise NoSuccessfulTrialError("the study holds no finished trial", f"study {study.name!r}", "n_trials=1 or more")
    ended = "the search was stopped" if plan.deadline == math.inf else "the deadline came"
    return baseline, (f"{ended} before any trial was over: the model is the dummy baseline",)


def _joined(search: Task, test: Task) -> Task:
    """Return search and test rows as one task."""
    rows = Rows(
        np.concatenate([search.rows.numeric, test.rows.numeric]),
        np.concatenate([search.rows.categorical, test.rows.categorical]),
    )
    weight = None
    if search.weight is not None and test.weight is not None:
        weight = np.concatenate([search.weight, test.weight])
    return Task(rows, np.concatenate([search.y, test.y]), search.problem, weight)


def _report(
    plan: Plan,
    study: TuningStudy,
    shipment: Shipment,
    ensemble_score: float | None,
    verdict: Verdict | None,
    seconds: dict[str, float],
    warnings: tuple[str, ...],
) -> Report:
    best = shipment.parts[0].record
    assert best.config is not None and best.score is not None
    scores = verdict.scores if verdict else {}
    sd = spread(best.fold_scores)
    return Report(
        best_params=best.config.flat(),
        best_score=best.score,
        best_sd=math.nan if sd is None else sd,
        weights={part.record.number: part.weight for part in sorted(shipment.parts, key=lambda part: -part.weight)},
        ensemble_score=ensemble_score,
        test_score=scores.get("tuned"),
        best_alone_score=scores.get("best"),
        baseline_score=scores.get("baseline"),
        default_score=scores.get("default"),
        gains=verdict.gains if verdict else {},
        model=Predictor(shipment.model, plan.schema, plan.table.kind, plan.table.classes, plan.table.target),
        records=study.records(),
        metric=plan.metric.name,
        maximize=plan.metric.maximize,
        data=_describe_data(plan),
        study_name=study.name,
        seed=plan.seed,
        look=study.look(plan.test_name) if verdict else 0,
        seconds=seconds,
        versions=plan.versions,
        notes=(*plan.notes, *study.notes()),
        warnings=(*warnings, *(verdict.warnings if verdict else ())),
        connection=study.optuna,
    )


def _describe_data(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.table.name,
        "target": plan.table.target,
        "kind": plan.table.kind,
        "search_rows": len(plan.search),
        "test_rows": 0 if plan.test is None else len(plan.test),
        "columns": len(plan.schema.columns),
        "folds": plan.folds.scheme,
    }


class _Clock:
    """Seconds by stage."""

    def __init__(self, watch: Watcher, seconds: dict[str, float]) -> None:
        self._watch = watch
        self.seconds = seconds

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._watch.stage(name)
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
