"""TuningStudy: claims trials, remembers what came of them, and says which may go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from autotune.errors import StudyMismatchError
from autotune.registry import unknown_name
from autotune.spaces.space import Config, Space
from autotune.study.owner import is_dead, this_owner
from autotune.study.records import TrialRecord, ranked
from autotune.study.rungs import Rungs
from autotune.study.strategies import Pruner, fixed_sampler, trial_seed
from autotune.study.suggest import as_suggestions, suggest

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from autotune.evaluation import Evaluation, Progress

IDENTITY = "autotune:identity"
SEED = "autotune:seed"
BASELINE = "autotune:baseline"
VERSIONS = "autotune:versions"
LOOKS = "autotune:looks"
OWNER = "autotune:owner"
OUTCOME = "autotune:outcome"
FAILED = "failed"

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)

DESCRIBED_WITHIN_SECONDS = 5.0
"""How long to wait for another process to describe a study that it has just created."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that this process is to run."""

    number: int
    config: Config
    seed: int


class TuningStudy:
    """A study of one space on one table.

    Parameters
    ----------
    study : optuna.Study
        The rows.
    space : Space
        As it is for the task at hand.
    sampler : callable
        Makes the sampler of a trial from a seed.
    pruner : Pruner
        Says which running trials may go on.
    seed : int
        The study's seed.
    """

    def __init__(
        self, study: optuna.Study, space: Space, sampler: Callable[[int], BaseSampler], pruner: Pruner, seed: int
    ) -> None:
        self.optuna = study
        self.space = space
        self.seed = seed
        self.maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
        self._sampler = sampler
        self._rungs = Rungs(pruner, maximize=self.maximize)
        self._first = space.first_configurations()
        self._running: dict[int, tuple[Trial, Config, dict[int, float]]] = {}
        self._best: TrialRecord | None = None
        for record in self.records():
            self._remember(record)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.optuna.study_name

    @property
    def n_finished(self) -> int:
        """Number of COMPLETE and PRUNED trials."""
        return len(self.optuna.get_trials(deepcopy=False, states=FINISHED))

    def claim(self) -> Claim:
        """Take a trial: one that its dead owner left, or else a new one."""
        trial = self._abandoned() or self._new()
        trial.set_user_attr(OWNER, this_owner())
        try:
            config = suggest(trial, self.space)
        except BaseException:  # a sampler of somebody's own: the trial is left to whoever comes next
            trial.set_user_attr(OWNER, "")
            raise
        reached = self.optuna.get_trials(deepcopy=False)[trial.number].intermediate_values
        self._running[trial.number] = (trial, config, dict(reached))
        return Claim(trial.number, config, trial_seed(self.seed, trial.number, "model"))

    def may_go_on(self, number: int, progress: Progress, first_rung: float) -> bool:
        """Remember what a running trial has reached and judge it."""
        _, config, _ = self._running[number]
        if not progress.by_fold:
            self._write(number, progress)
            self._rungs.reached(config.learner, number, progress.rung, progress.score)
        return self._rungs.may_go_on(config.learner, number, progress, first_rung)

    def complete(self, number: int, evaluation: Evaluation) -> TrialRecord:
        """Finish a trial with its evaluation."""
        self._mark(number, failed=False)
        return self._tell(number, TrialState.COMPLETE, evaluation.score, asdict(evaluation))

    def prune(self, number: int, progress: Progress, seconds: float) -> TrialRecord:
        """Finish a trial that was not worth going on with."""
        where = f"fold {progress.rung}" if progress.by_fold else f"rung {progress.rung}"
        outcome = {"score": progress.score, "seconds": seconds, "reason": f"pruned at {where}"}
        if progress.by_fold:
            self._write(number, progress)
        return self._tell(number, TrialState.PRUNED, None, outcome)

    def fail(self, number: int, reason: str, seconds: float) -> TrialRecord:
        """Finish a trial that raised: told with the baseline's score and as infeasible, so that samplers keep away."""
        self._mark(number, failed=True)
        baseline = self.optuna.user_attrs[BASELINE]
        outcome = {"failed": True, "reason": reason, "seconds": seconds}
        return self._tell(number, TrialState.COMPLETE, baseline, outcome)

    def give_back(self, number: int) -> None:
        """Leave a trial to whoever comes next: it stays RUNNING, without an owner."""
        trial, _, _ = self._running.pop(number)
        trial.set_user_attr(OWNER, "")

    def records(self) -> tuple[TrialRecord, ...]:
        """Return what the study holds, in the order of the trials' numbers."""
        return tuple(_record(trial) for trial in self.optuna.get_trials(deepcopy=False))

    def best(self) -> TrialRecord | None:
        """Return the complete trial with the best score, the earliest of equals."""
        return self._best

    def look(self, test_name: str) -> int:
        """Count one more look at the test rows of this name and return how many there have been."""
        looks = dict(self.optuna.user_attrs.get(LOOKS, {}))
        looks[test_name] = looks.get(test_name, 0) + 1
        self.optuna.set_user_attr(LOOKS, looks)
        return int(looks[test_name])

    def set_baseline(self, score: float) -> None:
        """Store the score that failed trials are told with."""
        if BASELINE not in self.optuna.user_attrs:
            self.optuna.set_user_attr(BASELINE, score)

    def _new(self) -> Trial:
        self.optuna.sampler = self._sampler_of(len(self.optuna.get_trials(deepcopy=False)))
        return self.optuna.ask()

    def _abandoned(self) -> Trial | None:
        """Find a RUNNING row whose owner is dead: it keeps its number and its parameters."""
        for frozen in self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if frozen.number not in self._running and is_dead(frozen.user_attrs.get(OWNER, "")):
                self.optuna.sampler = self._sampler_of(frozen.number)
                return Trial(self.optuna, frozen._trial_id)
        return None

    def _sampler_of(self, number: int) -> BaseSampler:
        """Return the sampler of one trial: made anew from the trial's number, so that a resumed study goes on alike."""
        seed = trial_seed(self.seed, number, "sampler")
        if number < len(self._first):
            return fixed_sampler(as_suggestions(self._first[number], self.space), seed)
        return self._sampler(seed)

    def _write(self, number: int, progress: Progress) -> None:
        """Write what a trial has reached; a second attempt reaches again what the first one wrote."""
        trial, _, reached = self._running[number]
        if progress.rung not in reached:
            reached[progress.rung] = progress.score
            trial.report(progress.score, progress.rung)

    def _mark(self, number: int, *, failed: bool) -> None:
        """Write the constraint that a failed trial violates; all complete ones need it, or the GP sampler refuses."""
        trial = self._running[number][0]
        if FAILED not in trial.constraints:
            trial.set_constraint(FAILED, float(failed))

    def _tell(self, number: int, state: TrialState, value: float | None, outcome: dict[str, Any]) -> TrialRecord:
        trial, config, _ = self._running.pop(number)
        trial.set_user_attr(OUTCOME, {"config": config.flat(), **outcome})
        self.optuna.tell(trial, value, state)
        record = _record(self.optuna.get_trials(deepcopy=False)[number])
        self._remember(record)
        return record

    def _remember(self, record: TrialRecord) -> None:
        self._rungs.finished(record)
        if record.state == "complete":
            known = [record] if self._best is None else [self._best, record]
            self._best = ranked(known, maximize=self.maximize)[0]


def open_study(
    storage: BaseStorage,
    name: str,
    *,
    space: Space,
    sampler: Callable[[int], BaseSampler],
    pruner: Pruner,
    maximize: bool,
    identity: Mapping[str, str],
    seed: int,
    versions: Mapping[str, str],
) -> TuningStudy:
    """Create a study, or join the one of that name if it was made for the same question.

    Parameters
    ----------
    storage : optuna.storages.BaseStorage
        Where it lives.
    name : str
        The study's name.
    space, sampler, pruner, seed
        As for `TuningStudy`.
    maximize : bool
        Whether larger scores are better.
    identity : mapping of str to str
        The parts of the fingerprint: what the study was made for.
    versions : mapping of str to str
        Versions of the packages; recorded at creation.

    Raises
    ------
    StudyMismatchError
        When the study was made for something else; the parts that differ are named.
    """
    with _quiet_optuna():
        try:
            study = optuna.create_study(
                storage=storage, study_name=name, direction="maximize" if maximize else "minimize"
            )
            _describe(study, identity, seed, versions)
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(storage=storage, study_name=name)
            if len(study.directions) > 1:
                raise StudyMismatchError(
                    "the study has several objectives", f"study {name!r}", "another study_name"
                ) from None
            if _was_left_bare(study, maximize):
                _describe(study, identity, seed, versions)
    _check_identity(study, identity, seed)
    return TuningStudy(study, space, sampler, pruner, seed)


def stored_seed(storage: BaseStorage, name: str) -> int | None:
    """Return the seed of a study, or None when there is no such study."""
    if name not in optuna.study.get_all_study_names(storage):
        return None
    seed = optuna.load_study(storage=storage, study_name=name).user_attrs.get(SEED)
    return None if seed is None else int(seed)


def read_records(storage: BaseStorage, name: str) -> tuple[tuple[TrialRecord, ...], Mapping[str, str], bool]:
    """Return a study's records, the identity that it was made with, and whether larger scores are better.

    Raises
    ------
    UnknownNameError
        When the storage holds no such study.
    """
    names = optuna.study.get_all_study_names(storage)
    if name not in names:
        raise unknown_name("study in this storage", name, names)
    study = optuna.load_study(storage=storage, study_name=name)
    maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
    records = tuple(_record(trial) for trial in study.get_trials(deepcopy=False))
    return records, study.user_attrs.get(IDENTITY, {}), maximize


def _describe(study: optuna.Study, identity: Mapping[str, str], seed: int, versions: Mapping[str, str]) -> None:
    """Write what the study is made for; the identity comes last, since whoever joins waits for it."""
    study.set_user_attr(VERSIONS, dict(versions))
    study.set_user_attr(SEED, seed)
    study.set_user_attr(IDENTITY, dict(identity))


def _was_left_bare(study: optuna.Study, maximize: bool) -> bool:
    """Wait for the process that just created the study to describe it; True when it died before it could."""
    waited_until = time.monotonic() + DESCRIBED_WITHIN_SECONDS
    while IDENTITY not in study.user_attrs and not study.get_trials(deepcopy=False):
        if time.monotonic() > waited_until:
            return (study.direction == optuna.study.StudyDirection.MAXIMIZE) == maximize
        time.sleep(0.05)
    return False


def _check_identity(study: optuna.Study, identity: Mapping[str, str], seed: int) -> None:
    stored = study.user_attrs.get(IDENTITY)
    where = f"study {study.study_name!r}"
    if stored is None:
        raise StudyMismatchError("the study was not made by autotune", where, "another study_name")
    differing = [part for part in identity if stored.get(part) != identity[part]]
    if differing:
        listed = "; ".join(f"{part}: {stored.get(part)!r} then, {identity[part]!r} now" for part in differing)
        raise StudyMismatchError(
            f"the study was made for another {' and '.join(differing)} ({listed})",
            where,
            "another study_name, or leave study_name out",
        )
    if study.user_attrs.get(SEED) != seed:
        raise StudyMismatchError(
            f"the study was made with random_state={study.user_attrs.get(SEED)}, found {seed}",
            where,
            "leave random_state out to continue the study, or give another study_name",
        )


def _record(trial: FrozenTrial) -> TrialRecord:
    outcome: Mapping[str, Any] = trial.user_attrs.get(OUTCOME, {})
    flat = dict(outcome.get("config", {}))
    config = Config(flat.pop("learner"), flat) if flat else None
    rungs = dict(trial.intermediate_values)
    common: dict[str, Any] = {"number": trial.number, "config": config, "seconds": outcome.get("seconds")}
    if trial.state not in FINISHED or not outcome:
        return TrialRecord(state="running", score=None, rungs=rungs, **common)
    if outcome.get("failed"):
        return TrialRecord(state="failed", score=None, reason=outcome["reason"], **common)
    if trial.state == TrialState.PRUNED:
        return TrialRecord(state="pruned", score=outcome["score"], reason=outcome["reason"], rungs=rungs, **common)
    return TrialRecord(
        state="complete",
        score=outcome["score"],
        fold_scores=tuple(outcome["fold_scores"]),
        step=outcome["step"],
        worth=outcome["worth"],
        rungs=rungs,
        cut=outcome["cut"],
        reason="cut at the deadline" if outcome["cut"] else "",
        **common,
    )


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Keep Optuna's own log lines of creating a study off the terminal, for this one call."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
