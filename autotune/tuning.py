"""THE STORY: from a plan to a report. Read this first.

The study proposes, cross-validation judges, the best configuration is retrained on all search rows, with those that mix
well with it, and the test rows are looked at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from autotune.curve import Evaluation, NotFiniteError
from autotune.data.task import Rows, Task
from autotune.ensemble import Ensemble, Library, OutOfFold, choose_ensemble, contenders
from autotune.errors import DataError, NoSuccessfulTrialError, RefitError
from autotune.evaluation import cross_validate, fit, make_cohort, make_member
from autotune.execution.coordinator import REFIT_RESERVE, Budget, Search, evaluate_again
from autotune.execution.events import Executor, Failed, Ticket, attempt
from autotune.execution.places import executor_of
from autotune.execution.work import OnFolds
from autotune.learners.declared import parameter_defaults, takes
from autotune.learners.protocol import Model, Resources
from autotune.plan import Plan, available_cores
from autotune.predictor import MeanOfModels, Predictor
from autotune.report import Report
from autotune.spaces.space import Config
from autotune.study.identity import Goal, set_goal
from autotune.study.opening import open_study
from autotune.study.records import TrialRecord, spread
from autotune.study.seeding import begun_with
from autotune.study.strategies import trial_seed
from autotune.study.study import TuningStudy
from autotune.verdict import Verdict, judge_on_test_rows
from autotune.watcher import Opening, Silent, Watcher

BASELINE = Config("baseline", {})


def run(
    plan: Plan,
    *,
    watch: Watcher | None = None,
    reading_seconds: float = 0.0,
    stop: Callable[[], bool] = lambda: False,
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
    try:
        watch.planned(opening_of(plan))
        with clock.stage("search"):
            study = join(plan, watch, sets_goal=True)
            watch.joined(study.records())
            library = search(plan, study, watch, stop)
        best, warnings = _winner(plan, study)
        ensemble = None
        if plan.ensemble > 1:
            with clock.stage("ensemble"):
                ensemble = _ensemble(plan, study, library, watch, stop)
        mixed = _mixed(study, best, ensemble)
        with clock.stage("refit"):
            mixed, models, dropped = _fitted(plan, plan.search, mixed)
            warnings += dropped
        with clock.stage("test"):
            verdict = _judge(plan, study, mixed, models)
        if plan.settings.refit == "all" and plan.test is not None:
            if time.time() + clock.seconds["refit"] < plan.deadline:
                with clock.stage("refit on all rows"):
                    everything = _joined(plan.search, plan.test)
                    mixed, models, dropped = _fitted(plan, everything, mixed)
                    warnings += dropped
            else:
                warnings += ("no time was left for the fit on all rows: the model has learned from the search rows",)
        score = ensemble.score if ensemble and len(mixed) == len(ensemble.weights) else None
        return _report(plan, study, mixed, score, _as_one(mixed, models), verdict, clock.seconds, warnings)
    finally:
        watch.over()


def search(plan: Plan, study: TuningStudy, watch: Watcher, stop: Callable[[], bool] = lambda: False) -> Library:
    """Run trials until the study holds as many finished ones as asked for, or the deadline is near.

    Returns
    -------
    Library
        What the best of them predicted, where an ensemble is wanted.
    """
    library = Library(maximize=plan.metric.maximize)

    def told(record: TrialRecord, evaluation: Evaluation | None) -> None:
        if evaluation is not None and plan.ensemble > 1:
            library.add(record, evaluation.predictions)
        watch.told(record, study.best())

    budget = Budget(
        plan.n_trials,
        plan.deadline,
        len(plan.folds),
        n_refits=_n_refits(plan),
        trial_timeout=plan.settings.trial_timeout,
        patience=plan.settings.patience,
        target_score=plan.settings.target_score,
        min_gain=plan.settings.min_gain,
    )
    if plan.n_trials is None or study.n_finished < plan.n_trials:
        with closing(_executor(plan)) as executor:
            Search(study, executor, budget, told, stop).run()
    return library


def retrain(plan: Plan, task: Task, record: TrialRecord) -> Model:
    """Train a trial's configuration on all rows of a task, for the number of steps that its mean curve chose."""
    config = record.config
    assert config is not None
    everything = make_member(task, np.arange(len(task), dtype=np.intp), None)
    seed = trial_seed(plan.seed, record.seed_number, "model")
    resources = Resources(threads=available_cores(), device=plan.resources.device)
    outcome = attempt(
        lambda: fit(config, everything, record.step or 1, seed=seed, resources=resources, learners=plan.learners)
    )
    if isinstance(outcome, Failed):
        problem = f"trial {record.number} was cross-validated, but training it on all rows raised {outcome.reason}"
        hint = "the study keeps its trials; at the refit there are no validation rows"
        raise RefitError(problem, f"study {plan.study_name!r}", hint)
    return outcome


def _n_refits(plan: Plan) -> int:
    """Return the fits on all search rows that time is set aside for: the default's, and half of an ensemble's."""
    models = math.ceil(plan.ensemble / 2)
    return 1 + models * (2 if plan.settings.refit == "all" and plan.test is not None else 1)


def _ensemble(
    plan: Plan, study: TuningStudy, library: Library, watch: Watcher, stop: Callable[[], bool]
) -> Ensemble | None:
    """Choose what to mix, of as many trials as can be trained on all rows before the deadline."""
    best_first = contenders(study.records(), maximize=plan.metric.maximize)
    slow = max((record.seconds or 0.0 for record in best_first), default=0.0)
    refit = max(1e-3, REFIT_RESERVE * slow / len(plan.folds))
    affordable = (plan.deadline - time.time()) / refit - 1
    most = int(min(plan.ensemble, affordable))
    if most < 2:
        return None
    until = plan.deadline - (most + 1) * refit
    missing = [each for each in best_first if library.get(each.number) is None and not each.cut]
    again = _predicted_again(plan, missing, watch, lambda: time.time() < until and not stop()) if missing else {}
    predictions = {each.number: library.get(each.number) or again.get(each.number) for each in best_first}
    found = {number: each for number, each in predictions.items() if each is not None}
    if len(found) < 2 or best_first[0].number not in found:
        return None
    cohort = make_cohort(plan.search, plan.folds, plan.metric, plan.learners)
    chosen = attempt(lambda: choose_ensemble(found, cohort, most, deadline=until))
    if isinstance(chosen, Failed):  # a metric from outside, undefined on a mixture
        watch.said(f"no ensemble: {chosen.reason}")
        return None
    return chosen


def _predicted_again(
    plan: Plan, records: Sequence[TrialRecord], watch: Watcher, may_go_on: Callable[[], bool]
) -> dict[int, OutOfFold | None]:
    """Evaluate trials of earlier calls again, for their predictions; those that time allows."""
    watch.said(f"evaluating {len(records)} trials of earlier calls again, for the ensemble; ensemble=1 needs none")
    tickets = [
        Ticket(record.number, record.config, trial_seed(plan.seed, record.seed_number, "model"), math.inf)
        for record in records
        if record.config is not None
    ]
    with closing(_executor(plan)) as executor:
        found = evaluate_again(executor, tickets, may_go_on)
    return {number: evaluation.predictions for number, evaluation in found.items()}


def _mixed(study: TuningStudy, best: TrialRecord, ensemble: Ensemble | None) -> list[tuple[TrialRecord, float]]:
    """Return the trials that make the model, with their weights, the best one first."""
    if ensemble is None:
        return [(best, 1.0)]
    records = {record.number: record for record in study.records()}
    mixed = [(records[number], weight) for number, weight in ensemble.weights.items()]
    return sorted(mixed, key=lambda each: each[0].number != best.number)


def _fitted(
    plan: Plan, task: Task, mixed: Sequence[tuple[TrialRecord, float]]
) -> tuple[list[tuple[TrialRecord, float]], list[Model], tuple[str, ...]]:
    """Retrain the trials of a mixture; one that cannot be, unless it is the best, leaves its part to the others."""
    models, kept, dropped = [retrain(plan, task, mixed[0][0])], [mixed[0]], []
    for record, weight in mixed[1:]:
        try:
            models.append(retrain(plan, task, record))
            kept.append((record, weight))
        except RefitError as error:
            dropped.append(f"left out of the mixture: {error.problem}")
    total = sum(weight for _, weight in kept)
    return [(record, weight / total) for record, weight in kept], models, tuple(dropped)


def _as_one(mixed: Sequence[tuple[TrialRecord, float]], models: Sequence[Model]) -> Model:
    return models[0] if len(models) == 1 else MeanOfModels(tuple(models), tuple(weight for _, weight in mixed))


def opening_of(plan: Plan) -> Opening:
    """Say what is about to be done."""
    test_rows = 0 if plan.test is None else len(plan.test)
    better = "larger" if plan.metric.maximize else "smaller"
    title = f"{plan.table.name}: {plan.table.kind} on {plan.table.target!r}, {plan.metric.name} ({better} is better)"
    rows = f"{len(plan.search):,} search rows, {test_rows:,} test rows, {len(plan.schema.columns)} columns"
    facts = f"{rows}, {plan.folds.scheme}"
    return Opening(title, (facts,), plan.notes, plan.n_trials, plan.deadline, plan.metric.maximize)


def join(plan: Plan, watch: Watcher, *, sets_goal: bool = False) -> TuningStudy:
    """Create the study of a plan, or join it; the plan's budget may become what others who join it work for."""
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
    study.set_baseline(_baseline_score(plan))
    if plan.origin is not None:
        defaults = {name: parameter_defaults(learner) for name, learner in plan.learners.items()}
        watch.said(begun_with(study, plan.origin, defaults))
    if sets_goal:
        set_goal(study.optuna, Goal.of(plan.n_trials, plan.deadline))
    return study


def _baseline_score(plan: Plan) -> float:
    """Cross-validate the dummy baseline, which needs no columns: what failed trials are told with."""
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
    return evaluation.score


def _executor(plan: Plan) -> Executor:
    work = OnFolds(plan.search, plan.folds, plan.metric, plan.resources, plan.learners)
    return executor_of(work, plan.n_jobs, plan.resources.threads, plan.settings)


def _winner(plan: Plan, study: TuningStudy) -> tuple[TrialRecord, tuple[str, ...]]:
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
    score = _baseline_score(plan)
    record = TrialRecord(number=-1, state="complete", config=BASELINE, score=score, step=1)
    ended = "the search was stopped" if plan.deadline == math.inf else "the deadline came"
    return record, (f"{ended} before any trial was over: the model is the dummy baseline",)


def _judge(
    plan: Plan, study: TuningStudy, mixed: Sequence[tuple[TrialRecord, float]], fitted: Sequence[Model]
) -> Verdict | None:
    """Look at the test rows, once: the model beside the best trial alone, the untuned default and the baseline."""
    if plan.test is None:
        return None
    models: dict[str, Model] = {"tuned": _as_one(mixed, fitted)}
    if len(mixed) > 1:
        models["best"] = fitted[0]
    untuned = plan.space.first_configurations()[0]
    default = next((record for record in study.records() if record.config == untuned), None)
    known = {record.number: model for (record, _), model in zip(mixed, fitted, strict=True)}
    if default is not None and default.number in known:
        models["default"] = known[default.number]
    elif default is not None and default.state == "complete" and time.time() < plan.deadline:
        models["default"] = retrain(plan, plan.search, default)
    models["baseline"] = retrain(plan, plan.search, TrialRecord(-1, "complete", BASELINE, None, step=1))
    predictions = {
        name: each.predict(plan.test.rows)
        for name, each in models.items()
        if name == "tuned" or time.time() < plan.deadline
    }
    return judge_on_test_rows(plan.metric, plan.test, predictions, seed=plan.seed, deadline=plan.deadline)


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
    mixed: Sequence[tuple[TrialRecord, float]],
    ensemble_score: float | None,
    model: Model,
    verdict: Verdict | None,
    seconds: dict[str, float],
    warnings: tuple[str, ...],
) -> Report:
    best = mixed[0][0]
    assert best.config is not None and best.score is not None
    scores = verdict.scores if verdict else {}
    sd = spread(best.fold_scores)
    return Report(
        best_params=best.config.flat(),
        best_score=best.score,
        best_sd=math.nan if sd is None else sd,
        weights=dict(sorted(((record.number, weight) for record, weight in mixed), key=lambda each: -each[1])),
        ensemble_score=ensemble_score,
        test_score=scores.get("tuned"),
        best_alone_score=scores.get("best"),
        baseline_score=scores.get("baseline"),
        default_score=scores.get("default"),
        gains=verdict.gains if verdict else {},
        model=Predictor(model, plan.schema, plan.table.kind, plan.table.classes, plan.table.target),
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
