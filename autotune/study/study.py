"""TuningStudy: claims trials, remembers what came of them, and says which may go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from autotune.spaces.space import Config, Space
from autotune.study.drafting import Drafter
from autotune.study.identity import n_stops
from autotune.study.ledger import Ending, Ledger, PlainLedger, Proposal
from autotune.study.mirror import Mirror
from autotune.study.owner import is_dead, is_of_this_host
from autotune.study.records import TrialRecord, ranked
from autotune.study.rows import CONSTRAINT, OUTCOME, OWNER, record_of
from autotune.study.rungs import Rungs
from autotune.study.sql_ledger import TESTED, SqlLedger
from autotune.study.storage import database_of
from autotune.study.strategies import Pruner, trial_seed
from autotune.study.suggest import from_values, suggest

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from autotune.curve import Evaluation, Progress

BASELINE = "autotune:baseline"
LOOKS = "autotune:looks"
STALE_SECONDS = 1.0
"""How old what is known of other processes' trials may be, and how long a rung may wait to be written."""

MERGING_PAUSE = 20.0
"""Before an ask, others' trials are merged unless the last merge is less than so many times its own length ago."""

STOPS_SECONDS = 2.0
"""How often it is looked whether somebody has asked for a stop."""

LEASES_SECONDS = 10.0
"""How often the leases of other hosts' trials are looked at."""


@dataclass(slots=True)
class _Running:
    """A trial that is held here: its configuration, the rungs it has reached, and those still to be written."""

    config: Config
    reached: set[int]
    unwritten: dict[int, float] = field(default_factory=dict)
    written: float = field(default_factory=time.monotonic)


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
    say : callable
        Told a line when the storage is away.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        sampler: Callable[[int], BaseSampler],
        pruner: Pruner,
        seed: int,
        accepts: Callable[[Config], bool] = lambda config: True,
        say: Callable[[str], Any] = lambda line: None,
    ) -> None:
        self.optuna = study
        self.space = space
        self.seed = seed
        self.maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
        self._drafter = Drafter(space, sampler, accepts, seed)
        self._rungs = Rungs(pruner, maximize=self.maximize)
        self._running: dict[int, _Running] = {}
        self._best: TrialRecord | None = None
        self.ended = ""
        self._records: dict[int, TrialRecord] = {}
        self._others: set[int] = set()
        self._lost: list[int] = []
        self._proposal = Proposal({}, {})
        self._ledger = _ledger_of(study, say)
        self._mirror = Mirror(study)
        self._sampler_attrs = self._mirror.sampler_attrs()
        self._merged = self._leases_seen = self._merging_seconds = 0.0
        self._n_stops, self._stops_seen, self._stopped = n_stops(study), time.monotonic(), False
        self._merge()

    @property
    def name(self) -> str:
        """The study's name."""
        return self.optuna.study_name

    @property
    def n_finished(self) -> int:
        """Number of COMPLETE and PRUNED trials."""
        self._merge(STALE_SECONDS)
        return len(self._records)

    def n_finished_after(self, number: int) -> int:
        """Return how many finished trials have a larger number."""
        return sum(each > number for each in self._records)

    def claim(self, limit: int | None = None) -> Claim | None:
        """Take a trial: one that its owner left behind, or else a new one.

        Parameters
        ----------
        limit : int, optional
            How many rows the study may have in all.

        Returns
        -------
        Claim or None
            None when the limit is reached or every configuration has been tried.
        """
        self._merge(min(STALE_SECONDS, MERGING_PAUSE * self._merging_seconds))
        number = self._left_behind(limit)
        if number is None and not self.is_exhausted:
            number = self._ledger.claim(self._propose, limit)
            if number is not None:
                self._mirror.describe(number, self._proposal)
                self._keep_sampler_attrs()
        if number is None:
            return None
        row = self._mirror.row(number)
        config = self._read(row)
        if config is None:  # its owner died before it wrote the parameters
            self._ledger.describe(number, self._drafted(number))
            self._mirror.describe(number, self._proposal)
            config = self._read(row)
        assert config is not None
        self._drafter.note(config)
        self._running[number] = _Running(config, set(row.intermediate_values))
        return Claim(number, config, trial_seed(self.seed, number, "model"))

    def is_stopped(self) -> bool:
        """Return whether somebody has asked all who work at the study to stop, since it was joined here."""
        if time.monotonic() - self._stops_seen > STOPS_SECONDS:
            self._stops_seen = time.monotonic()
            self._stopped = self._ledger.patiently(lambda: n_stops(self.optuna)) > self._n_stops
            if self._stopped:
                self.ended = "the search ended because somebody asked all who work at the study to stop"
        return self._stopped

    def awaits_others(self, limit: int | None) -> bool:
        """Return whether other processes still run trials that count towards the limit."""
        self._merge()
        return any(limit is None or number < limit for number in self._others)

    @property
    def is_exhausted(self) -> bool:
        """Whether the space is finite and each of its configurations has been tried, or is being tried."""
        return self._drafter.is_exhausted

    def may_go_on(self, number: int, progress: Progress, first_rung: float) -> bool:
        """Remember what a running trial has reached and judge it."""
        running = self._running[number]
        if not progress.by_fold:
            self._reach(number, progress)
            self._rungs.reached(running.config.learner, number, progress.rung, progress.score)
        return self._rungs.may_go_on(running.config.learner, number, progress, first_rung)

    def complete(self, number: int, evaluation: Evaluation) -> TrialRecord | None:
        """Finish a trial with its evaluation; None where another process has taken it over."""
        outcome = asdict(replace(evaluation, predictions=None, models=None))
        del outcome["predictions"], outcome["models"]
        return self._finish(number, TrialState.COMPLETE, evaluation.score, outcome, failed=False)

    def prune(self, number: int, progress: Progress, seconds: float) -> TrialRecord | None:
        """Finish a trial that was not worth going on with."""
        where = f"fold {progress.rung}" if progress.by_fold else f"rung {progress.rung}"
        outcome = {"score": progress.score, "seconds": seconds, "reason": f"pruned at {where}"}
        if progress.by_fold:
            self._reach(number, progress)
        return self._finish(number, TrialState.PRUNED, None, outcome)

    def fail(self, number: int, reason: str, seconds: float) -> TrialRecord | None:
        """Finish a trial that raised: told with the baseline's score and as infeasible, so that samplers keep away."""
        outcome = {"failed": True, "reason": reason, "seconds": seconds}
        return self._finish(number, TrialState.COMPLETE, self._score_of_failures(), outcome, failed=True)

    def give_back(self, number: int) -> None:
        """Leave a trial to whoever comes next: it stays RUNNING, without an owner."""
        running = self._running.pop(number)
        self._ledger.reach(number, running.unwritten)
        self._ledger.give_back(number)
        self._merge()

    def records(self) -> tuple[TrialRecord, ...]:
        """Return what the study holds, in the order of the trials' numbers."""
        return tuple(self._records.get(row.number) or record_of(row) for row in self._mirror.rows())

    def best(self) -> TrialRecord | None:
        """Return the complete trial with the best score, the earliest of equals."""
        return self._best

    def look(self, test_name: str) -> int:
        """Count one more look at the test rows of this name and return how many there have been."""

        def count() -> int:
            looks = dict(self.optuna.user_attrs.get(LOOKS, {}))
            looks[test_name] = looks.get(test_name, 0) + 1
            self.optuna.set_user_attr(LOOKS, looks)
            return int(looks[test_name])

        return self._ledger.patiently(count)

    def notes(self) -> tuple[str, ...]:
        """Return what there is to say of the search: that nothing was left to try, or what was taken over."""
        lines = [self.ended] if self.ended else []
        if self.is_exhausted:
            lines.append(self._drafter.exhaustion)
        if self._lost:
            numbers = ", ".join(map(str, self._lost))
            lines.append(f"taken over by another process while they ran here, their late results dropped: {numbers}")
        return tuple(lines)

    def set_baseline(self, score: float) -> None:
        """Store the score that failed trials are told with."""

        def store() -> None:
            if BASELINE not in self.optuna.user_attrs:
                self.optuna.set_user_attr(BASELINE, score)

        self._ledger.patiently(store)

    def _score_of_failures(self) -> float:
        """Return the baseline's score; without a baseline, the worst score that is known."""
        known = [record.score for record in self.records() if record.state == "complete" and record.score is not None]
        worst = min(known, default=0.0) if self.maximize else max(known, default=0.0)
        return self._ledger.patiently(lambda: float(self.optuna.user_attrs.get(BASELINE, worst)))

    def _merge(self, older_than: float = 0.0) -> None:
        """Take over what other processes have written, if what is known is older than so many seconds."""
        if older_than and time.monotonic() - self._merged < older_than:
            return
        started = time.monotonic()
        for row in self._ledger.news():
            if row.number not in self._running:
                self._mirror.put(row)
                self._heard(self._mirror.row(row.number))
        self._merged = time.monotonic()
        self._merging_seconds = self._merged - started

    def _heard(self, row: FrozenTrial) -> None:
        """Note what another process has claimed, reached or finished."""
        record = record_of(row)
        if record.state != "running":
            self._others.discard(row.number)
            self._remember(record)
            return
        if OWNER in row.user_attrs:
            self._others.add(row.number)
        self._drafter.note(record.config)
        for rung, score in (record.rungs or {}).items() if record.config else ():
            assert record.config is not None
            self._rungs.reached(record.config.learner, record.number, rung, score)

    def _left_behind(self, limit: int | None) -> int | None:
        """Take over a RUNNING row whose owner is gone: it keeps its number and its parameters."""
        look_at_leases = time.monotonic() - self._leases_seen > LEASES_SECONDS
        for number in sorted(each for each in self._others if limit is None or each < limit):
            owner = self._mirror.row(number).user_attrs[OWNER]
            far = owner != "" and not is_of_this_host(owner)
            if far and look_at_leases:
                self._leases_seen = time.monotonic()
            if (look_at_leases if far else is_dead(owner)) and self._ledger.adopt(number):
                self._others.discard(number)
                return number
        return None

    def _propose(self, number: int) -> Proposal | None:
        """Propose for a new row; None where another process has just taken its number."""
        if len(self._mirror) < number:
            self._merge()
        known = self._mirror.row(number)
        return None if known.user_attrs or known.params else self._drafted(number)

    def _drafted(self, number: int) -> Proposal:
        """Give a row a configuration, which is not written yet."""
        row, study = self._mirror.row(number), self._mirror.study
        self._proposal = self._drafter.draft(study, row, self.records, maximize=self.maximize)
        return self._proposal

    def _keep_sampler_attrs(self) -> None:
        """Write what the sampler keeps in the study's attributes, such as its place in a sequence."""
        attrs, write = self._mirror.sampler_attrs(), self.optuna._storage.set_study_system_attr
        for key in attrs:
            if attrs[key] != self._sampler_attrs.get(key):
                self._ledger.patiently(partial(write, self.optuna._study_id, key, attrs[key]))
        self._sampler_attrs = attrs

    def _read(self, row: FrozenTrial) -> Config | None:
        """Return the configuration that a row's parameters say; None where some are missing."""
        try:
            return suggest(from_values(row.params), self.space)
        except KeyError:
            return None

    def _reach(self, number: int, progress: Progress) -> None:
        """Note what a trial has reached; a second attempt reaches again what the first one wrote."""
        running = self._running[number]
        if progress.rung in running.reached:
            return
        running.reached.add(progress.rung)
        running.unwritten[progress.rung] = progress.score
        if time.monotonic() - running.written > STALE_SECONDS:
            self._ledger.reach(number, running.unwritten)
            self._mirror.reach(number, running.unwritten)
            running.unwritten, running.written = {}, time.monotonic()

    def _finish(
        self, number: int, state: TrialState, value: float | None, outcome: dict[str, Any], failed: bool | None = None
    ) -> TrialRecord | None:
        """Write how a trial ended; all complete ones need the constraint, or the GP sampler refuses."""
        running = self._running[number]
        constraint = {} if failed is None else {CONSTRAINT: float(failed)}
        ending = Ending(state, value, running.unwritten, {OUTCOME: outcome}, constraint)
        kept = self._ledger.finish(number, ending)
        del self._running[number]
        if not kept:
            self._lost.append(number)
            self._merge()
            return None
        record = record_of(self._mirror.finish(number, ending))
        self._remember(record)
        return record

    def _remember(self, record: TrialRecord) -> None:
        self._records[record.number] = record
        self._drafter.note(record.config)
        self._rungs.finished(record)
        if record.state == "complete":
            known = [record] if self._best is None else [self._best, record]
            self._best = ranked(known, maximize=self.maximize)[0]


def _ledger_of(study: optuna.Study, say: Callable[[str], Any]) -> Ledger:
    """Return the ledger of a study: one of transactions where its storage is a database that was opened here."""
    database = database_of(study._storage)
    if database is not None and optuna.__version__.startswith(TESTED):
        return SqlLedger(database, study._study_id, say)
    return PlainLedger(study._storage, study._study_id)
