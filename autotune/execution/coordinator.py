"""The search: one coordinator owns the study, claims trials, answers rungs and finishes rows."""

from __future__ import annotations

import math
import time
from bisect import insort
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from autotune.curve import Evaluation
from autotune.errors import StorageError
from autotune.evaluation import Fitted, Limits
from autotune.execution.events import (
    Completed,
    Event,
    Executor,
    Failed,
    Lost,
    Reached,
    Refit,
    Started,
    Stopped,
    Ticket,
)
from autotune.study.claims import Claim
from autotune.study.failures import OutOfTimeError
from autotune.study.records import TrialRecord
from autotune.study.study import TuningStudy

KILL_GRACE_SECONDS = (0.5, 2.0)
KILL_GRACE_SHARE = 0.05
"""A trial that has not cut itself so long after it should have is killed, where it can be: a share of the time that the
search has, within these bounds."""

ATTEMPTS = 2
"""A trial whose process dies is tried so often, by whatever coordinator, before it counts as failed."""

POLL_SECONDS = 0.5
"""How often other processes are looked at while nothing runs here."""


@dataclass(frozen=True, slots=True)
class Budget:
    """When the search ends.

    Attributes
    ----------
    n_trials : int or None
        Finished trials that the study shall hold; None is unbounded.
    deadline : float
        On the clock of `time.time`: when everything, refit and report included, shall be over.
    reserve : callable
        Given the best trials so far, see `TuningStudy.leaders`, says how many seconds before the deadline the search is
        to be over.
    refit_share : float
        What training a trial's configuration on all rows, and judging it, takes of the trial's own seconds.
    trial_timeout : float or None
        Seconds from its start after which a trial is killed and counts as failed.
    patience : int or None
        Finished trials without a better one after which the search ends.
    target_score : float or None
        Score at which the search ends.
    min_gain : float or None
        The search ends when no more than this is to be gained, by a bound that holds for the best trial's learner.
    """

    n_trials: int | None
    deadline: float
    reserve: Callable[[Sequence[TrialRecord]], float] = lambda records: 0.0
    refit_share: float = 0.0
    trial_timeout: float | None = None
    patience: int | None = None
    target_score: float | None = None
    min_gain: float | None = None


Told = Callable[[TrialRecord, Evaluation | None], Any]


class Search:
    """A running search.

    Parameters
    ----------
    study : TuningStudy
        Where trials come from and go to.
    executor : Executor
        Where they run.
    budget : Budget
        When it ends.
    told : callable
        Called with the record of every trial that is over, and with its evaluation where it is complete.
    stop : callable
        Asked before each trial whether to start no more; those that run are finished.
    """

    def __init__(
        self,
        study: TuningStudy,
        executor: Executor,
        budget: Budget,
        told: Told,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._study = study
        self._executor = executor
        self._budget = budget
        self._told = told
        self._stop = stop
        self._running: dict[int, _Running] = {}
        self._seconds = sorted(
            record.seconds for record in study.records() if record.seconds is not None and record.state == "complete"
        )
        self._reserve = budget.reserve(study.leaders())
        least, most = KILL_GRACE_SECONDS
        self._grace = max(least, min(most, KILL_GRACE_SHARE * (budget.deadline - time.time())))

    def run(self) -> None:
        """Run trials until the budget is used up; what still runs at the deadline is cut or given back.

        Where other processes run the last trials of the budget, their end is waited for: one may die and leave its own.
        """
        try:
            self._run()
            for number in list(self._running):
                self._give_back(number)
        except OutOfTimeError as error:
            self._study.ended = (
                f"{error.problem} at the deadline: what it does not hold yet is left to whoever comes next"
            )
            self._leave()
        except BaseException:
            self._leave()
            raise
        self._study.wait_until(self._budget.deadline)

    def _run(self) -> None:
        self._study.note_begin()
        while True:
            self._study.wait_until(self._end_of_search())
            self._submit()
            if self._running:
                for event in self._executor.events(self._patience()):
                    self._handle(event)
                self._kill_late()
            elif self._waits_for_others():
                time.sleep(POLL_SECONDS)
            else:
                self._study.note_end("the search was stopped by hand" if self._stop() else "")
                return

    def _leave(self) -> None:
        """Give back what can be given back at once."""
        self._study.wait_until(-math.inf)
        for number in list(self._running):
            self._executor.kill(number)
            with suppress(StorageError):
                self._give_back(number)

    def _submit(self) -> None:
        while self._executor.capacity() and self._may_start():
            claim = self._study.claim(self._budget.n_trials)
            if claim is None:
                return
            self._start(claim)

    def _waits_for_others(self) -> bool:
        return self._may_start() and self._study.awaits_others(self._budget.n_trials)

    def _start(self, claim: Claim) -> None:
        end, share = self._budget.deadline - self._budget.reserve(()), self._budget.refit_share
        limits = Limits(self._end_of_search(), end, share, counts=self._study.best() is None)
        self._running[claim.number] = _Running(claim, limits, time.perf_counter())
        self._executor.submit(Ticket(claim.number, claim.config, claim.seed, limits))

    def _end_of_search(self) -> float:
        """Return when running trials are to be over: there is time to kill them, and to start a process anew."""
        return self._budget.deadline - self._reserve - self._lost_by_killing()

    def _lost_by_killing(self) -> float:
        return self._grace + self._executor.startup if self._budget.refit_share else 0.0

    def _may_start(self) -> bool:
        """Return whether there is time for a trial, and nobody wants an end, here or through the study."""
        if self._stop() or self._study.is_stopped() or self._is_enough():
            return False
        return time.time() < self._end_of_search() - self._foreseen()

    def _is_enough(self) -> bool:
        """Return whether the best trial is as good as was asked for, or hardly a better one is to be expected."""
        best = self._study.best()
        if best is None or not self._study.is_between_batches:
            return False
        why = self._why_enough(best)
        self._study.ended = why or self._study.ended
        return bool(why)

    def _why_enough(self, best: TrialRecord) -> str:
        """Return why the search ends with this best trial; an empty text where it goes on."""
        study, budget, sign = self._study, self._budget, 1 if self._study.maximize else -1
        assert best.score is not None and best.config is not None, "a complete trial has both"
        if budget.target_score is not None and sign * best.score >= sign * budget.target_score:
            return f"the search ended with trial {best.number}: target_score={budget.target_score:g} is reached"
        if budget.patience is not None and study.n_finished_after(best.number) >= budget.patience:
            return f"the search ended: {budget.patience} trials after trial {best.number} were no better"
        if budget.min_gain is not None and (gain := study.possible_gain()) < budget.min_gain:
            alone = f" with {best.config.learner}" if len(study.space.learners) > 1 else ""
            bound = f"no more than {gain:.2g} is to be gained over trial {best.number}{alone}"
            return f"the search ended: {bound}, by a bound of 90 % (min_gain={budget.min_gain:g})"
        return ""

    def _foreseen(self) -> float:
        """Return how long a trial must at least be given for starting it to be worth while."""
        return 0.25 * median(self._seconds) if self._seconds else 0.0

    def _patience(self) -> float | None:
        """Return how long to wait for events before late trials are looked for."""
        next_end = min(min(self._latest(each), each.limit) for each in self._running.values())
        return None if next_end == float("inf") else max(0.1, next_end - time.time())

    def _kill_late(self) -> None:
        for number, running in list(self._running.items()):
            if time.time() > self._latest(running):
                self._executor.kill(number)
                self._give_back(number)
            elif time.time() > running.limit and not running.is_killed:
                running.is_killed = True
                self._executor.kill(number)

    def _latest(self, running: _Running) -> float:
        """Return when a trial is killed: near the deadline itself, while no other trial could be the model.

        What was set aside when it began may be less than what is by now: it may still cut itself when it was told to,
        as long as that leaves time for the best one.
        """
        best, budget = self._study.best(), self._budget
        if best is None:
            return running.limits.end + self._grace
        for_the_best = budget.deadline - budget.reserve([best]) - self._lost_by_killing()
        return self._grace + max(self._end_of_search(), min(for_the_best, running.limits.cut_from(running.began)))

    def _give_back(self, number: int) -> None:
        del self._running[number]
        self._study.give_back(number)

    def _handle(self, event: Event) -> None:
        running = self._running.get(event.number)
        if running is None:  # its trial was given back: too late
            return
        seconds = time.perf_counter() - running.started
        match event:
            case Started():
                running.began = time.time()
                running.limit = running.began + (self._budget.trial_timeout or float("inf"))
            case Reached(number, progress):
                self._executor.reply(number, self._study.may_go_on(number, progress, progress.first_rung))
            case Completed(number, evaluation, log):
                insort(self._seconds, evaluation.seconds)
                self._finish(number, self._study.complete(number, evaluation, log), evaluation)
            case Stopped(number, progress, log):
                self._finish(number, self._study.prune(number, progress, seconds, log))
            case Failed(number, reason, log):
                self._finish(number, self._study.fail(number, reason, seconds, log))
            case Lost(number, _, log) if running.is_killed:
                reason = f"it ran longer than trial_timeout={self._budget.trial_timeout:g} s"
                self._finish(number, self._study.fail(number, reason, seconds, log))
            case Lost(number, reason, log) if self._study.deaths(number) + 1 >= ATTEMPTS:
                self._finish(number, self._study.fail(number, reason, seconds, log))
            case Lost(number):
                self._study.note_death(number)
                self._start(running.claim)

    def _finish(self, number: int, record: TrialRecord | None, evaluation: Evaluation | None = None) -> None:
        """Let go of a trial that is over; without a record, another process had taken it over."""
        del self._running[number]
        if record is not None:
            self._reserve = self._budget.reserve(self._study.leaders())
            self._told(record, evaluation)


def evaluate_again(
    executor: Executor, tickets: Sequence[Ticket], may_go_on: Callable[[], bool]
) -> dict[int, Evaluation]:
    """Evaluate trials outside of their study.

    Parameters
    ----------
    executor : Executor
        Where they run.
    tickets : sequence of Ticket
        The trials.
    may_go_on : callable
        Asked about once a second; the trials that have not ended by then are given up.

    Returns
    -------
    dict of int to Evaluation
        Of those that came to an end, by number.
    """
    waiting, running, found = list(tickets), set[int](), {}
    while (waiting or running) and may_go_on():
        while waiting and executor.capacity():
            ticket = waiting.pop(0)
            running.add(ticket.number)
            executor.submit(ticket)
        for event in executor.events(1.0):
            match event:
                case Reached(number, _):
                    executor.reply(number, True)
                case Completed(number, evaluation):
                    found[number] = evaluation
                    running.discard(number)
                case Stopped(number) | Failed(number) | Lost(number):
                    running.discard(number)
    for number in running:
        executor.kill(number)
    return found


def train(executor: Executor, refit: Refit) -> Fitted | Failed | None:
    """Train a configuration on all rows.

    Parameters
    ----------
    executor : Executor
        Where; its trials are over.
    refit : Refit
        What, and until when. Its number is none that a trial has, whose process may have been killed.

    Returns
    -------
    Fitted, Failed or None
        None where it was not over by its deadline and was killed.
    """
    latest = refit.deadline + min(KILL_GRACE_SECONDS)
    outcome = _train_once(executor, refit, latest)
    if isinstance(outcome, Lost):  # as a trial is, it is tried once more
        outcome = _train_once(executor, refit, latest)
    return Failed(outcome.number, outcome.reason) if isinstance(outcome, Lost) else outcome


def _train_once(executor: Executor, refit: Refit, latest: float) -> Fitted | Failed | Lost | None:
    executor.submit(refit)
    while True:
        patience = None if latest == float("inf") else max(0.0, latest - time.time())
        for event in executor.events(patience):
            match event:
                case Completed(number, Fitted() as fitted) if number == refit.number:
                    return fitted
                case Failed(number) | Lost(number) if number == refit.number:
                    return event
        if time.time() > latest:
            executor.kill(refit.number)
            return None


@dataclass(slots=True)
class _Running:
    claim: Claim
    limits: Limits
    started: float
    began: float = field(default_factory=time.time)
    limit: float = float("inf")
    is_killed: bool = False
