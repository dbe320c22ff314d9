"""Who has reached which rung with what score, and whether a running trial may go on."""

from __future__ import annotations

from collections import defaultdict
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
        self._at: defaultdict[tuple[str, int], dict[int, float]] = defaultdict(dict)
        self._finished: defaultdict[str, dict[int, TrialRecord]] = defaultdict(dict)

    def reached(self, learner: str, number: int, rung: int, score: float) -> None:
        """Remember the score of a trial at a rung."""
        self._at[learner, rung][number] = self._sign * score

    def finished(self, record: TrialRecord) -> None:
        """Remember a trial that is over, with all its rungs; failed trials have nothing to compare with."""
        if record.config is None or record.state not in ("complete", "pruned"):
            for scores in self._at.values():
                scores.pop(record.number, None)
            return
        for rung, score in (record.rungs or {}).items():
            self.reached(record.config.learner, record.number, rung, score)
        if record.state == "complete":
            self._finished[record.config.learner][record.number] = record

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
        return self._pruner.at_rung(self._sign * progress.score, self._peers(learner, number, progress.rung))

    def _peers(self, learner: str, number: int, rung: int) -> list[float]:
        scores = dict(self._at[learner, rung])
        for other, record in self._finished[learner].items():
            if other not in scores and record.score is not None:
                scores[other] = self._sign * record.score
        scores.pop(number, None)
        return list(scores.values())

    def _warm_up(self, learner: str, first_rung: float) -> float:
        worths = [record.worth for record in self._finished[learner].values() if record.worth is not None]
        return WARM_UP * median(worths) if worths else first_rung

    def _after_fold(self, learner: str, progress: Progress) -> bool:
        complete = [record for record in self._finished[learner].values() if record.fold_scores]
        if not complete:
            return True
        best = max(complete, key=lambda record: self._sign * (record.score or 0.0))
        return self._pruner.after_fold(self._sign * progress.score, [self._sign * score for score in best.fold_scores])
