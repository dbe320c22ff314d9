"""Training a trial of a study again, to see that it gives what the study says that it gave."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from autotune.errors import SettingsError
from autotune.execution.events import Completed, Executor, Failed, Lost, Reached, Stopped, Ticket
from autotune.execution.places import executor_of
from autotune.execution.pool import Processes
from autotune.execution.work import OfObjective, OnFolds, Work
from autotune.joining import find_study, objective_for, settings_for, table_for
from autotune.optimizing import identity_of, read_objective
from autotune.plan import make_plan, resources_of
from autotune.settings import Settings
from autotune.study.identity import batch_identity, check_identity, read_setup, stored_batch
from autotune.study.opening import is_of_this_place, seed_of_study
from autotune.study.records import TrialRecord
from autotune.study.rows import records_of
from autotune.study.strategies import trial_seed

if TYPE_CHECKING:
    import optuna

TOLERANCE = 1e-3
"""How far scores may be apart, relative to them, on another host or with other versions than the trial's."""


@dataclass(frozen=True)
class Replay:
    """What a trial gave, and what it gives now.

    Attributes
    ----------
    study_name, number : str, int
        The trial.
    state : {"complete", "pruned", "failed"}
        What became of it then; a pruned trial is trained as far as it was trained then.
    params : mapping of str to value
        Its learner and parameters.
    then, now : tuple of float
        The scores of a complete trial's folds, or those at the rungs that another one reached; empty where it failed.
    reason : str
        Why it failed now; empty where it did not.
    tolerance : float
        How far `then` and `now` may be apart, relative to them: 0 on the same host with the same versions.
    agrees : bool
        Whether they are no farther apart, or it failed both times.
    seconds : float
        How long it took now.

    Examples
    --------
    >>> Replay("s", 3, "complete", {"x": 1}, (0.5,), (0.5,), "", 0.0, True, 0.1).agrees
    True
    """

    study_name: str
    number: int
    state: str
    params: Mapping[str, Any]
    then: tuple[float, ...]
    now: tuple[float, ...]
    reason: str
    tolerance: float
    agrees: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        def shown(scores: tuple[float, ...]) -> str:
            return " ".join(f"{score:.10g}" for score in scores) or "failed"

        what = {"complete": ", scores of the folds", "pruned": ", scores at the rungs"}.get(self.state, "")
        same = "the same" if self.agrees else "NOT the same"
        lines = [f"{self.study_name}: trial {self.number}, {self.state}{what}", f"  then  {shown(self.then)}"]
        lines += [f"  now   {shown(self.now)}", *([f"  {self.reason}"] if self.reason else [])]
        return "\n".join([*lines, f"{same}, {f'within {self.tolerance:g}' if self.tolerance else 'exactly'}"])


def replay(
    storage: Any,
    study_name: str | None,
    number: int,
    data: Any = None,
    y: Any = None,
    *,
    objective: Any = None,
    tolerance: float | None = None,
    **given: Any,
) -> Replay:
    """Train a trial again, with its configuration, its seed and its folds, and compare what it gives.

    Parameters
    ----------
    storage, study_name, data, y, objective, **given
        As for `autotune.work`.
    number : int
        The trial.
    tolerance : float, optional
        How far scores may be apart, relative to them; 0 on the host that ran it with the study's versions, and
        `TOLERANCE` elsewhere, if left out.

    Returns
    -------
    Replay

    Raises
    ------
    SettingsError
        When there is no such trial, or it is not over.
    StudyMismatchError
        When the table is another one.

    Examples
    --------
    >>> import optuna, autotune
    >>> storage, space = optuna.storages.InMemoryStorage(), {"x": autotune.Float(1, 9)}
    >>> found = autotune.optimize(lambda params: params["x"] ** 2, space, storage=storage, study_name="s", n_trials=3)
    >>> autotune.replay(storage, "s", 2, objective=lambda params: params["x"] ** 2).agrees
    True
    """
    if tolerance is not None and not tolerance >= 0:
        raise SettingsError(f"tolerance={tolerance!r} is no distance", "tolerance", "0 or more")
    study = find_study(storage, study_name)
    record = _record(study, number)
    number = record.number
    assert record.config is not None
    settings = _settings(study, given)
    work, versions = _work_of(study, settings, data, y, objective)
    ticket = Ticket(number, record.config, trial_seed(seed_of_study(study), record.seed_number, "model"))
    started = time.perf_counter()
    with closing(_executor(work, settings, record)) as executor:
        now, reason = _run(executor, ticket, record, settings.trial_timeout or math.inf)
    if tolerance is None:
        tolerance = 0.0 if is_of_this_place(study, number, versions) else TOLERANCE
    then = _then(record)
    return Replay(
        study_name=study.study_name,
        number=number,
        state=record.state,
        params=record.config.flat(),
        then=then,
        now=now,
        reason=reason,
        tolerance=tolerance,
        agrees=_agree(then, now, tolerance) and (record.state == "failed") == bool(reason),
        seconds=time.perf_counter() - started,
    )


def _record(study: optuna.Study, number: Any) -> TrialRecord:
    """Return the record of a trial that is over and was ours.

    Raises
    ------
    SettingsError
        When there is none.
    """
    records, where = records_of(study), f"study {study.study_name!r}"
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise SettingsError(f"number={number!r} is no number of a trial", where, "a whole number")
    if not 0 <= number < len(records):
        raise SettingsError(f"no trial {number}", where, f"0 to {len(records) - 1}" if records else "tune run")
    record: TrialRecord = records[number]
    if record.state == "running":
        raise SettingsError(f"trial {number} is not over", where, "tune status shows who runs it")
    if record.config is None:
        raise SettingsError(f"trial {number} is another program's", where)
    return record


def _settings(study: optuna.Study, given: Mapping[str, Any]) -> Settings:
    return settings_for(study, given, n_jobs=stored_batch(study) or 1, n_trials=0)


def _work_of(
    study: optuna.Study, settings: Settings, data: Any, y: Any, objective: Any
) -> tuple[Work, Mapping[str, str]]:
    """Return what the study's trials do, checked to be the same, and the versions of what they stand on."""
    setup, seed = read_setup(study), seed_of_study(study)
    if "objective" in setup:
        found, _ = read_objective(objective_for(study, objective), setup["direction"])
        check_identity(study, identity_of(found, settings.space) | batch_identity(stored_batch(study)), seed)
        return OfObjective(found), {}
    plan = make_plan(settings, table_for(study, settings, data, y), started=time.time(), is_judged=False)
    check_identity(study, plan.identity, seed)
    return OnFolds(plan.search, plan.folds, plan.metric, plan.resources, plan.learners), plan.versions


def _executor(work: Work, settings: Settings, record: TrialRecord) -> Executor:
    """Return where to train it: one that failed may take its process with it."""
    threads = resources_of(settings)[1].threads
    if record.state == "failed":
        return Processes(1, work, threads, settings.memory_limit)
    return executor_of(work, 1, threads, settings)


def _run(executor: Executor, ticket: Ticket, record: TrialRecord, limit: float) -> tuple[tuple[float, ...], str]:
    """Train it as far as it was trained then; return its scores, or why it failed."""
    rungs, reached = sorted(record.rungs or {}), dict[int, float]()
    whole = record.state != "pruned" and not record.cut
    ends = time.monotonic() + limit
    executor.submit(ticket)
    while True:
        if time.monotonic() > ends:
            executor.kill(ticket.number)
        for event in executor.events(1.0):
            match event:
                case Reached(number, progress):
                    reached[progress.rung] = progress.score
                    executor.reply(number, whole or not rungs or progress.rung < rungs[-1])
                case Completed(_, evaluation) if whole:
                    return evaluation.fold_scores, ""
                case Completed() | Stopped():
                    return tuple(reached[rung] for rung in rungs if rung in reached), ""
                case Failed(_, reason) | Lost(_, reason):
                    return (), reason


def _then(record: TrialRecord) -> tuple[float, ...]:
    """Return the scores that the study holds, those that `_run` returns."""
    if record.state == "complete" and not record.cut:
        return record.fold_scores
    return tuple(score for _, score in sorted((record.rungs or {}).items())) if record.state != "failed" else ()


def _agree(then: Sequence[float], now: Sequence[float], tolerance: float) -> bool:
    pairs = zip(then, now, strict=False)
    return len(then) == len(now) and all(math.isclose(a, b, rel_tol=tolerance) for a, b in pairs)
