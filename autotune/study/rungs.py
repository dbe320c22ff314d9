"""Who has reached which rung with what score, and whether a running trial may go on."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from copy import copy
from statistics import median
from typing import TYPE_CHECKING

from autotune.study.records import TrialRecord
from autotune.study.strategies import Pruner

if TYPE_CHECKING:
    from autotune.curve import Progress

WARM_UP = 0.05
"""No rung counts before this share of the median best step: early rungs punish low learning rates."""


class Rungs:
    """The scores of all trials at the rungs, learner by learner.

    Parameters
    ----------
    pruner : Pruner
        The rules.
    maximize : bool
        Whether larger scores are better.
    """

    def __init__(self, pruner: Pruner, *, maximize: bool) -> None:
        self._pruner = pruner
        self._sign = 1.0 if maximize else -1.0
        self._at: defaultdict[str, dict[int, _Scores]] = defaultdict(dict)
        self._final: defaultdict[str, _Scores] = defaultdict(_Scores)
        self._worths: defaultdict[str, _Scores] = defaultdict(_Scores)
        self._best: dict[str, TrialRecord] = {}

    def reached(self, learner: str, number: int, rung: int, score: float) -> None:
        """Remember the score of a trial at a rung."""
        self._rung(learner, rung).put(number, self._sign * score)

    def finished(self, record: TrialRecord) -> None:
        """Remember a trial that is over, with all its rungs; failed trials have nothing to compare with."""
        if record.config is None or record.state not in ("complete", "pruned"):
            for rungs in self._at.values():
                for scores in rungs.values():
                    scores.drop(record.number)
            return
        for rung, score in (record.rungs or {}).items():
            self.reached(record.config.learner, record.number, rung, score)
        if record.state == "complete" and record.score is not None:
            self._completed(record.config.learner, record, self._sign * record.score)

    def _completed(self, learner: str, record: TrialRecord, score: float) -> None:
        """Remember how a complete trial ended: that is its score at the rungs which it did not reach."""
        self._final[learner].put(record.number, score)
        for scores in self._at[learner].values():
            if record.number not in scores:
                scores.put(record.number, score)
        if record.worth is not None:
            self._worths[learner].put(record.number, record.worth)
        best = self._best.get(learner)
        if record.fold_scores and (best is None or score > self._sign * (best.score or 0.0)):
            self._best[learner] = record

    def may_go_on(self, learner: str, number: int, progress: Progress, first_rung: float) -> bool:
        """Judge a running trial.

        Parameters
        ----------
        learner : str
            Its learner: only trials of one learner are compared.
        number : int
            Its number. The first configuration of a study is never pruned: the report compares with it.
        progress : Progress
            What it has reached.
        first_rung : float
            Worth of the earliest rung while no trial of the learner is complete.
        """
        if number == 0:
            return True
        if progress.by_fold:
            return self._after_fold(learner, progress)
        if progress.worth < self._warm_up(learner, first_rung):
            return True
        peers = self._rung(learner, progress.rung).others(number)
        return self._pruner.at_rung(self._sign * progress.score, peers)

    def _rung(self, learner: str, rung: int) -> _Scores:
        rungs = self._at[learner]
        if rung not in rungs:
            rungs[rung] = copy(self._final[learner])
        return rungs[rung]

    def _warm_up(self, learner: str, first_rung: float) -> float:
        worths = self._worths[learner].ascending
        return WARM_UP * median(worths) if worths else first_rung

    def _after_fold(self, learner: str, progress: Progress) -> bool:
        best = self._best.get(learner)
        if best is None:
            return True
        return self._pruner.after_fold(self._sign * progress.score, [self._sign * score for score in best.fold_scores])


class _Scores:
    """Scores by trial, kept in order: nothing is sorted at a rung, where 5,000 scores are copied in some 10 µs."""

    def __init__(self) -> None:
        self.ascending: list[float] = []
        self._of: dict[int, float] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._of

    def __copy__(self) -> _Scores:
        new = _Scores()
        new.ascending, new._of = list(self.ascending), dict(self._of)
        return new

    def put(self, number: int, score: float) -> None:
        self.drop(number)
        self._of[number] = score
        insort(self.ascending, score)

    def drop(self, number: int) -> None:
        if number in self._of:
            del self.ascending[bisect_left(self.ascending, self._of.pop(number))]

    def others(self, number: int) -> list[float]:
        """Return the scores of the other trials, in ascending order: a copy, with which a rule may do what it likes."""
        found = list(self.ascending)
        if number in self._of:
            del found[bisect_left(found, self._of[number])]
        return found
