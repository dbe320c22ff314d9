"""TuningStudy: claims trials, remembers what came of them, and says which may go on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from autotune.errors import StudyMismatchError
from autotune.registry import unknown_name
from autotune.spaces.draws import enumerate_learner
from autotune.spaces.ranges import frozen_value
from autotune.spaces.space import Config, Space
from autotune.study.identity import IDENTITY, SEED, check_identity, describe, was_left_bare
from autotune.study.owner import is_dead, this_owner
from autotune.study.propose import config_key, propose
from autotune.study.records import TrialRecord, beaten_learners, ranked
from autotune.study.rungs import Rungs
from autotune.study.strategies import Pruner, fixed_sampler, trial_seed
from autotune.study.suggest import as_suggestions, from_trial, from_values, suggest

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from autotune.curve import Evaluation, Progress

BASELINE = "autotune:baseline"
LOOKS = "autotune:looks"
OWNER = "autotune:owner"
OUTCOME = "autotune:outcome"
FAILED = "failed"

LISTED_AT_MOST = 10_000
"""A finite space of no more configurations is tried without repetition until none is left."""

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


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
    accepts : callable
        Whether a configuration's learner takes its values; one that it refuses is not proposed.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        sampler: Callable[[int], BaseSampler],
        pruner: Pruner,
        seed: int,
        accepts: Callable[[Config], bool] = lambda config: True,
    ) -> None:
        self.optuna = study
        self.space = space
        self.seed = seed
        self.maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
        self._sampler = sampler
        self._accepts = accepts
        self._rungs = Rungs(pruner, maximize=self.maximize)
        self._first = space.first_configurations()
        finite = {learner: enumerate_learner(space, learner, LISTED_AT_MOST) for learner in space.learners}
        self._listed = {
            learner: [config for config in configs if accepts(config)]
            for learner, configs in finite.items()
            if configs is not None
        }
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

    def claim(self) -> Claim | None:
        """Take a trial: one that its dead owner left, or else a new one; None when every configuration was tried."""
        row = self._abandoned()
        row = self._new() if row is None else row
        if row is None:
            return None
        trial = Trial(self.optuna, row)
        trial.set_user_attr(OWNER, this_owner())
        try:
            config = self._configured(trial)
        except BaseException:  # a sampler of somebody's own: the trial is left to whoever comes next
            trial.set_user_attr(OWNER, "")
            raise
        reached = self.optuna.get_trials(deepcopy=False)[trial.number].intermediate_values
        self._running[trial.number] = (trial, config, dict(reached))
        return Claim(trial.number, config, trial_seed(self.seed, trial.number, "model"))

    @property
    def is_exhausted(self) -> bool:
        """Whether the space is finite and each of its configurations has been tried, or is being tried."""
        return len(self._tried_out(self._known())) == len(self.space.learners)

    def _tried_out(self, known: Collection[str]) -> set[str]:
        """Return the learners of which every configuration is known."""
        return {learner for learner, configs in self._listed.items() if all(config_key(c) in known for c in configs)}

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
        outcome = asdict(replace(evaluation, predictions=None))
        del outcome["predictions"]
        return self._tell(number, TrialState.COMPLETE, evaluation.score, outcome)

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
        outcome = {"failed": True, "reason": reason, "seconds": seconds}
        return self._tell(number, TrialState.COMPLETE, self._score_of_failures(), outcome)

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

    def notes(self) -> tuple[str, ...]:
        """Return what there is to say of the search: that there was nothing left to try."""
        if not self.is_exhausted:
            return ()
        count = sum(map(len, self._listed.values()))
        return (f"all {count} configurations of the space have been tried: the search ended with them",)

    def set_baseline(self, score: float) -> None:
        """Store the score that failed trials are told with."""
        if BASELINE not in self.optuna.user_attrs:
            self.optuna.set_user_attr(BASELINE, score)

    def _score_of_failures(self) -> float:
        """Return the baseline's score; without a baseline, the worst score that is known."""
        known = [record.score for record in self.records() if record.state == "complete" and record.score is not None]
        worst = min(known, default=0.0) if self.maximize else max(known, default=0.0)
        return float(self.optuna.user_attrs.get(BASELINE, worst))

    def _new(self) -> int | None:
        """Create a row and return its id."""
        if self.is_exhausted:
            return None
        self.optuna.sampler = fixed_sampler({}, 0)
        return self.optuna.ask()._trial_id

    def _abandoned(self) -> int | None:
        """Find a RUNNING row whose owner is dead: it keeps its number and its parameters."""
        for frozen in self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if frozen.number not in self._running and is_dead(frozen.user_attrs.get(OWNER, "")):
                return frozen._trial_id
        return None

    def _configured(self, trial: Trial) -> Config:
        """Return the configuration that a row holds, or give it one."""
        frozen = self.optuna.get_trials(deepcopy=False)[trial.number]
        written = self._read(frozen)
        if written is not None:
            return written
        if frozen.number < len(self._first):
            config = self._first[frozen.number]
        else:
            known = self._known(but=frozen.number) if self._listed else set()
            several = len(self.space.learners) > 1
            beaten = beaten_learners(self.records(), maximize=self.maximize) if several else set()
            done = self._tried_out(known)
            if not set(self.space.learners) - beaten - done:
                beaten = set()
            config = propose(
                self.optuna,
                self.space,
                self._sampler,
                frozen,
                seed=self.seed,
                accepts=self._accepts,
                known=known,
                listed=[config for configs in self._listed.values() for config in configs],
                avoided=beaten | done,
            )
        self.optuna.sampler = fixed_sampler(as_suggestions(config, self.space), 0)
        return suggest(from_trial(Trial(self.optuna, trial._trial_id)), self.space)

    def _read(self, frozen: FrozenTrial) -> Config | None:
        """Return the configuration that a row's parameters say; None where some are missing."""
        try:
            return suggest(from_values(frozen.params), self.space)
        except KeyError:
            return None

    def _known(self, but: int | None = None) -> set[str]:
        """Return the keys of all configurations that were tried or are being tried."""
        trials = self.optuna.get_trials(deepcopy=False)
        configs = (self._read(trial) for trial in trials if trial.number != but)
        return {config_key(config) for config in configs if config is not None}

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
    accepts: Callable[[Config], bool] = lambda config: True,
) -> TuningStudy:
    """Create a study, or join the one of that name if it was made for the same question.

    Parameters
    ----------
    storage : optuna.storages.BaseStorage
        Where it lives.
    name : str
        The study's name.
    space, sampler, pruner, seed, accepts
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
            describe(study, identity, seed, versions)
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(storage=storage, study_name=name)
            if len(study.directions) > 1:
                raise StudyMismatchError(
                    "the study has several objectives", f"study {name!r}", "another study_name"
                ) from None
            if was_left_bare(study, maximize):
                describe(study, identity, seed, versions)
    check_identity(study, identity, seed)
    return TuningStudy(study, space, sampler, pruner, seed, accepts)


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


def _record(trial: FrozenTrial) -> TrialRecord:
    outcome: Mapping[str, Any] = trial.user_attrs.get(OUTCOME, {})
    flat = {name: frozen_value(value) for name, value in outcome.get("config", {}).items()}
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
