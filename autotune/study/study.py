"""TuningStudy: claims trials, remembers what came of them, and says which may go on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from autotune.spaces.space import Config, Space
from autotune.study.claims import Claim, Running
from autotune.study.drafting import Drafter
from autotune.study.failures import OutOfTimeError
from autotune.study.gain import is_due, regret_bound
from autotune.study.identity import n_stops, set_ended
from autotune.study.ledger import Ending, Proposal
from autotune.study.memory import Memory
from autotune.study.noted import baseline_of, count_look, set_baseline
from autotune.study.owner import is_dead, is_of_this_host
from autotune.study.records import TrialRecord
from autotune.study.rows import CONSTRAINT, DEATHS, ORIGIN, OUTCOME, OWNER, record_of
from autotune.study.sql_ledger import ledger_of
from autotune.study.strategies import Pruner, trial_seed
from autotune.study.suggest import suggested

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from autotune.curve import Evaluation, Progress

STALE_SECONDS = 1.0
"""How old what is known of other processes' trials may be, and how long a rung may wait to be written."""

MERGING_PAUSE = 20.0
"""Before an ask, others' trials are merged unless the last merge is less than so many times its own length ago."""

STOPS_SECONDS = 2.0
"""How often it is looked whether somebody has asked for a stop."""

LEASES_SECONDS = 10.0
"""How often the leases of other hosts' trials are looked at."""


class _KnownError(Exception):
    """A configuration is in the study already."""


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
    batch : int, optional
        Trials of a batch, for a history that depends neither on who is faster nor on how many work: a batch begins when
        the one before it is over, and sampler and pruner see only batches that are over.
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
        batch: int | None = None,
    ) -> None:
        self.optuna, self.space, self.seed = study, space, seed
        self.ended = ""
        self._memory = Memory(study, pruner, batch)
        self._drafter = Drafter(space, sampler, accepts, seed)
        self._running: dict[int, Running] = {}
        self._lost: list[int] = []
        self._gain = 0, math.inf
        self._proposal = Proposal({}, {})
        self._ledger = ledger_of(study, say)
        self._sampler_attrs = self._memory.shown.sampler_attrs()
        self._merged = self._leases_seen = self._merging_seconds = 0.0
        self._n_stops, self._stops_seen, self._stopped = n_stops(study), time.monotonic(), False
        self._merge()

    @property
    def name(self) -> str:
        """The study's name."""
        return self.optuna.study_name

    @property
    def maximize(self) -> bool:
        """Whether larger scores are better."""
        return self._memory.maximize

    @property
    def n_finished(self) -> int:
        """Number of COMPLETE and PRUNED trials."""
        self._merge(STALE_SECONDS)
        return self._memory.n_finished

    @property
    def is_between_batches(self) -> bool:
        """Whether it may be decided here whether the search goes on; always, where there are no batches."""
        return self._memory.is_between_batches

    def n_finished_after(self, number: int) -> int:
        """Return how many finished trials have a larger number."""
        return self._memory.tally.n_ended_after(number)

    def claim(self, limit: int | None = None) -> Claim | None:
        """Take a trial: one that its owner left behind, or else a new one.

        Parameters
        ----------
        limit : int, optional
            How many rows the study may have in all.

        Returns
        -------
        Claim or None
            None when the limit is reached, every configuration has been tried, or others have the rest of the batch.
        """
        self._merge(min(STALE_SECONDS, MERGING_PAUSE * self._merging_seconds))
        limit = self._memory.limit(limit)
        number = self._left_behind(limit)
        if number is None and not self.is_exhausted:
            number = self._ledger.claim(self._propose, limit)
            if number is not None:
                self._memory.describe(number, self._proposal)
                self._keep_sampler_attrs()
        if number is None:
            return None
        row = self._memory.rows.row(number)
        config = suggested(row.params, self.space)
        if config is None:  # its owner died before it wrote the parameters
            self._ledger.describe(number, self._drafted(number))
            self._memory.describe(number, self._proposal)
            row = self._memory.rows.row(number)
            config = suggested(row.params, self.space)
        assert config is not None
        self._drafter.note(config)
        self._running[number] = Running(config, set(row.intermediate_values), row.user_attrs.get(DEATHS, 0))
        return Claim(number, config, trial_seed(self.seed, record_of(row).seed_number, "model"))

    def copy(self, config: Config, row: FrozenTrial, origin: Mapping[str, Any]) -> None:
        """Hold a finished trial of another study as one of this one, unless its configuration is known here."""

        def propose(number: int) -> Proposal | None:
            self._merge()
            if self._drafter.knows(config):
                raise _KnownError
            proposal = self._drafter.proposal(config)
            self._proposal = replace(proposal, attrs={**proposal.attrs, ORIGIN: dict(origin)})
            return self._proposal if len(self._memory.rows) <= number else None

        with suppress(_KnownError):
            number = self._ledger.claim(propose, None)
            assert number is not None
            self._memory.describe(number, self._proposal)
            self._drafter.note(config, is_copy=True)
            self._running[number] = Running(config, set(), 0, dict(row.intermediate_values))
            failed = row.system_attrs.get(CONSTRAINT)
            value = row.value if row.state == TrialState.COMPLETE else None
            outcome = dict(row.user_attrs[OUTCOME])
            self._finish(number, row.state, value, outcome, "", None if failed is None else failed > 0)

    def is_stopped(self) -> bool:
        """Return whether somebody has asked all who work at the study to stop, since it was joined here."""
        if time.monotonic() - self._stops_seen > STOPS_SECONDS:
            self._stops_seen = time.monotonic()
            self._stopped = self._ledger.patiently(lambda: n_stops(self.optuna)) > self._n_stops
            if self._stopped:
                self.ended = "the search ended because somebody asked all who work at the study to stop"
        return self._stopped

    def awaits_others(self, limit: int | None) -> bool:
        """Return whether others still run trials of the limit or the batch, or have just ended the batch."""
        self._merge()
        limit = self._memory.limit(limit)
        if limit is None:
            return False
        may_begin = self._memory.batch is not None and len(self._memory.rows) < limit and not self.is_exhausted
        return may_begin or any(number < limit for number in self._memory.others)

    @property
    def is_exhausted(self) -> bool:
        """Whether the space is finite and each of its configurations has been tried, or is being tried."""
        return self._drafter.is_exhausted

    def may_go_on(self, number: int, progress: Progress, first_rung: float) -> bool:
        """Remember what a running trial has reached and judge it."""
        if not progress.by_fold:
            self._reach(number, progress)
        return self._memory.may_go_on(self._running[number].config.learner, number, progress, first_rung)

    def deaths(self, number: int) -> int:
        """Return how many worker processes have died of a trial that is held here, under whatever coordinator."""
        return self._running[number].deaths

    def note_death(self, number: int) -> None:
        """Note in its row that a worker process has died of a trial."""
        running = self._running[number]
        running.deaths += 1
        self._ledger.note(number, {DEATHS: running.deaths})

    def complete(self, number: int, evaluation: Evaluation, log: str = "") -> TrialRecord | None:
        """Finish a trial with its evaluation, and what it printed; None where another process has taken it over."""
        outcome = asdict(replace(evaluation, predictions=None, models=None))
        del outcome["predictions"], outcome["models"]
        return self._finish(number, TrialState.COMPLETE, evaluation.score, outcome, log, failed=False)

    def prune(self, number: int, progress: Progress, seconds: float, log: str = "") -> TrialRecord | None:
        """Finish a trial that was not worth going on with."""
        where = f"fold {progress.rung}" if progress.by_fold else f"rung {progress.rung}"
        outcome = {"score": progress.score, "seconds": seconds, "reason": f"pruned at {where}"}
        if progress.by_fold:
            self._reach(number, progress)
        return self._finish(number, TrialState.PRUNED, None, outcome, log)

    def fail(self, number: int, reason: str, seconds: float, log: str = "") -> TrialRecord | None:
        """Finish a trial that raised: told with the baseline's score and as infeasible, so that samplers keep away."""
        outcome = {"failed": True, "reason": reason, "seconds": seconds}
        return self._finish(number, TrialState.COMPLETE, self._score_of_failures(), outcome, log, failed=True)

    def give_back(self, number: int) -> None:
        """Leave a trial to whoever comes next: it stays RUNNING, without an owner."""
        running = self._running.pop(number)
        self._ledger.give_back(number, running.unwritten)
        self._merge()

    def wait_until(self, end: float) -> None:
        """Wait for a storage that is away or locked until then, on the clock of `time.time`; -inf: never."""
        self._ledger.wait_until(end)

    def records(self) -> tuple[TrialRecord, ...]:
        """Return what the study holds, in the order of the trials' numbers."""
        return self._memory.records()

    def leaders(self) -> Sequence[TrialRecord]:
        """Return the best complete trials, see `autotune.study.tally`, and the best one of each learner."""
        return self._memory.tally.leaders()

    def best(self) -> TrialRecord | None:
        """Return the complete trial with the best score, the earliest of equals."""
        return self._memory.tally.best

    def possible_gain(self) -> float:
        """Return how much better than the best trial its learner may still become; infinity where nothing is known."""
        n_finished = self._memory.n_finished
        if self._gain[0] != n_finished and is_due(n_finished):
            seed = trial_seed(self.seed, n_finished, "gain")
            self._gain = n_finished, regret_bound(self._memory.rows_like_the_best(), self.optuna.direction, seed)
        return self._gain[1]

    def look(self, test_name: str) -> int:
        """Count one more look at the test rows of this name and return how many there have been; 0 where none knows."""
        with suppress(OutOfTimeError):
            return self._ledger.patiently(partial(count_look, self.optuna, test_name))
        return 0

    def note_begin(self) -> None:
        """Write that a search goes on."""
        self._ledger.patiently(partial(set_ended, self.optuna, ""))

    def note_end(self, why: str) -> None:
        """Write why the search has ended: what the study knows, or else this; nothing where both are empty."""
        why = self.ended or (self._drafter.exhaustion if self.is_exhausted else why)
        if why:
            self._ledger.patiently(partial(set_ended, self.optuna, why))

    def notes(self) -> tuple[str, ...]:
        """Return what there is to say of the search: that nothing was left to try, or what was taken over."""
        lines = [self.ended] if self.ended else []
        if self._memory.batch is not None:
            lines.append(
                f"deterministic: batches of {self._memory.batch} trials have the same history each time, except where a"
                " deadline, trial_timeout or memory_limit ends one, or another machine or version computes other digits"
            )
        if self.is_exhausted:
            lines.append(self._drafter.exhaustion)
        if self._lost:
            numbers = ", ".join(map(str, self._lost))
            lines.append(f"taken over by another process while they ran here, their late results dropped: {numbers}")
        return tuple(lines)

    def set_baseline(self, score: float) -> None:
        """Store the score that failed trials are told with."""
        self._ledger.patiently(partial(set_baseline, self.optuna, score))

    def _score_of_failures(self) -> float:
        """Return the baseline's score; without a baseline, the worst score that is known."""
        worst = self._memory.shown_tally.worst
        score = 0.0 if worst is None or worst.score is None else worst.score
        return self._ledger.patiently(partial(baseline_of, self.optuna, score))

    def _merge(self, older_than: float = 0.0) -> None:
        """Take over what other processes have written, if what is known is older than so many seconds."""
        if older_than and time.monotonic() - self._merged < older_than:
            return
        started = time.monotonic()
        for row in self._ledger.news():
            if row.number not in self._running:
                record = self._memory.hear(row)
                self._drafter.note(record.config, is_copy=record.origin is not None)
        self._merged = time.monotonic()
        self._merging_seconds = self._merged - started

    def _left_behind(self, limit: int | None) -> int | None:
        """Take over a RUNNING row whose owner is gone: it keeps its number and its parameters."""
        look_at_leases = time.monotonic() - self._leases_seen > LEASES_SECONDS
        for number in sorted(each for each in self._memory.others if limit is None or each < limit):
            owner = self._memory.rows.row(number).user_attrs[OWNER]
            far = owner != "" and not is_of_this_host(owner)
            if far and look_at_leases:
                self._leases_seen = time.monotonic()
            if (look_at_leases if far else is_dead(owner)) and self._ledger.adopt(number):
                self._memory.others.discard(number)
                return number
        return None

    def _propose(self, number: int) -> Proposal | None:
        """Propose for a new row; None where another process has just taken its number."""
        rows = self._memory.rows
        before = rows.row(number - 1) if number else None
        if before is not None and not before.user_attrs:  # others were faster
            self._merge()
        known = rows.row(number)
        return None if known.user_attrs or known.params else self._drafted(number)

    def _drafted(self, number: int) -> Proposal:
        """Give a row a configuration, which is not written yet."""
        shown = self._memory.shown
        self._proposal = self._drafter.draft(shown.study, shown.row(number), self._memory.beaten_learners)
        return self._proposal

    def _keep_sampler_attrs(self) -> None:
        """Write what the sampler keeps in the study's attributes, such as its place in a sequence."""
        attrs, write = self._memory.shown.sampler_attrs(), self.optuna._storage.set_study_system_attr
        for key in attrs:
            if attrs[key] != self._sampler_attrs.get(key):
                self._ledger.patiently(partial(write, self.optuna._study_id, key, attrs[key]))
        self._sampler_attrs = attrs

    def _reach(self, number: int, progress: Progress) -> None:
        """Note what a trial has reached; a second attempt reaches again what the first one wrote."""
        running = self._running[number]
        if progress.rung in running.reached:
            return
        running.reached.add(progress.rung)
        running.unwritten[progress.rung] = progress.score
        if time.monotonic() - running.written > STALE_SECONDS:
            running.written = time.monotonic()
            if self._ledger.reach(number, running.unwritten):
                self._memory.reach(number, running.unwritten)
                running.unwritten = {}

    def _finish(
        self,
        number: int,
        state: TrialState,
        value: float | None,
        outcome: dict[str, Any],
        log: str,
        failed: bool | None = None,
    ) -> TrialRecord | None:
        """Write how a trial ended; all complete ones need the constraint, or the GP sampler refuses."""
        running = self._running[number]
        outcome |= {"log": log} if log else {}
        constraint = {} if failed is None else {CONSTRAINT: float(failed)}
        ending = Ending(state, value, running.unwritten, {OUTCOME: outcome}, constraint)
        try:
            kept = self._ledger.finish(number, ending)
        except OutOfTimeError:
            self._memory.finish(number, ending)  # it may be the model, though whoever comes next runs it again
            raise
        del self._running[number]
        if not kept:
            self._lost.append(number)
            self._merge()
            return None
        return self._memory.finish(number, ending)
