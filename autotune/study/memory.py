"""What is known of a study's trials, and what of it sampler and pruner may see: all at once, or batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from optuna.study import StudyDirection

from autotune.study.ledger import Ending, Proposal
from autotune.study.mirror import Mirror
from autotune.study.rows import CONFIG, OWNER, record_of
from autotune.study.rungs import Rungs
from autotune.study.tally import Tally

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from autotune.curve import Progress
    from autotune.study.records import TrialRecord
    from autotune.study.strategies import Pruner


class Memory:
    """What is known of a study's trials.

    Parameters
    ----------
    study : optuna.Study
        The rows in the storage.
    pruner : Pruner
        Says which running trials may go on.
    batch : int or None
        Trials of a batch, where the history must not depend on which of them is over first: what comes of them is
        shown to sampler and pruner when all of a batch are over. None shows everything at once.

    Attributes
    ----------
    batch : int or None
        As given.
    maximize : bool
        Whether larger scores are better.
    rows : Mirror
        As they are in the storage.
    shown : Mirror
        What the sampler sees of them: trials whose batch is not over have parameters, and nothing else.
    tally : Tally
        Counts and ranks of the rows.
    shown_tally : Tally
        What the drafts are made by: those of the rows as they are shown.
    others : set of int
        Running trials that are not held here.
    """

    def __init__(self, study: optuna.Study, pruner: Pruner, batch: int | None) -> None:
        self.batch = batch
        self.maximize = study.direction == StudyDirection.MAXIMIZE
        self.rows = Mirror(study)
        self.shown = self.rows if batch is None else Mirror(study)
        self.tally = Tally(maximize=self.maximize)
        self.shown_tally = self.tally if batch is None else Tally(maximize=self.maximize)
        self.others: set[int] = set()
        self._rungs = Rungs(pruner, maximize=self.maximize)
        self._finished: dict[int, TrialRecord] = {}
        self._n_shown = 0

    @property
    def n_finished(self) -> int:
        """Number of COMPLETE and PRUNED trials."""
        return len(self._finished)

    @property
    def is_between_batches(self) -> bool:
        """Whether sampler and pruner see all that is known; always, where there are no batches."""
        return self.batch is None or len(self.rows) <= self._n_shown

    def limit(self, limit: int | None) -> int | None:
        """Return how many rows the study may have for now: no batch begins before the one before it is over."""
        if self.batch is None:
            return limit
        end = self._n_shown + self.batch
        return end if limit is None else min(limit, end)

    def records(self) -> tuple[TrialRecord, ...]:
        """Return what the study holds, by number."""
        return tuple(self._finished.get(row.number) or record_of(row) for row in self.rows.rows())

    def beaten_learners(self) -> set[str]:
        """Return the learners that are not worth a trial now, as far as may be seen."""
        return self.shown_tally.beaten(len(self.shown))

    def rows_like_the_best(self) -> list[FrozenTrial]:
        """Return the rows of the complete trials of the best one's learner."""
        best = self.tally.best
        learner = best.config.learner if best and best.config else None
        complete = [record for record in self._finished.values() if record.state == "complete" and record.config]
        alike = sorted(record.number for record in complete if record.config and record.config.learner == learner)
        return [self.rows.row(number) for number in alike]

    def describe(self, number: int, proposal: Proposal) -> None:
        """Note what a trial is to try."""
        self.rows.describe(number, proposal)
        if self.shown is not self.rows:
            self.shown.describe(number, proposal)
        self._began(number, proposal.attrs[CONFIG]["learner"])

    def hear(self, row: FrozenTrial) -> TrialRecord:
        """Note what another process has claimed, reached or finished."""
        self.rows.put(row)
        if self.shown is not self.rows:
            self.shown.announce(row)
        record = record_of(self.rows.row(row.number))
        if record.config:
            self._began(record.number, record.config.learner)
        if record.state != "running":
            self.others.discard(row.number)
            self._remember(record)
            return record
        if OWNER in row.user_attrs:
            self.others.add(row.number)
        for rung, score in (record.rungs or {}).items() if record.config else ():
            assert record.config is not None
            self._reached(record.config.learner, record.number, rung, score)
        return record

    def may_go_on(self, learner: str, number: int, progress: Progress, first_rung: float) -> bool:
        """Note what a running trial has reached and judge it."""
        if not progress.by_fold:
            self._reached(learner, number, progress.rung, progress.score)
        return self._rungs.may_go_on(learner, number, progress, first_rung)

    def reach(self, number: int, rungs: Mapping[int, float]) -> None:
        """Note rungs that are written."""
        self.rows.reach(number, rungs)

    def finish(self, number: int, ending: Ending) -> TrialRecord:
        """Note how a trial ended."""
        record = record_of(self.rows.finish(number, ending))
        self._remember(record)
        return record

    def _reached(self, learner: str, number: int, rung: int, score: float) -> None:
        if self.batch is None:
            self._rungs.reached(learner, number, rung, score)

    def _began(self, number: int, learner: str) -> None:
        self.tally.began(number, learner)
        self.shown_tally.began(number, learner)

    def _remember(self, record: TrialRecord) -> None:
        if record.number in self._finished:
            return
        self._finished[record.number] = record
        self.tally.ended(record)
        if self.batch is None:
            self._rungs.finished(record)
        else:
            self._show_batches(self.batch)

    def _show_batches(self, size: int) -> None:
        """Show what came of the batches that are over, by number."""
        while all(number in self._finished for number in range(self._n_shown, self._n_shown + size)):
            for number in range(self._n_shown, self._n_shown + size):
                self.shown.put(self.rows.row(number))
                self._rungs.finished(self._finished[number])
                self.shown_tally.ended(self._finished[number])
            self._n_shown += size
