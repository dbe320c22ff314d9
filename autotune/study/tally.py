"""What a study's learners have had and reached, kept up trial by trial: nothing here looks through all of them."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter

from autotune.study.records import TrialRecord

LEADING = 10
"""Complete trials that are at hand best first, beside the best one of each learner."""

FEWEST_OF_THE_BEATEN = 2
SHARE_OF_THE_BEATEN = 0.05
"""Of a study's trials, what a learner gets that is beaten so far, so that a poor default does not decide alone."""


class Tally:
    """Counts and ranks of a study's trials.

    Parameters
    ----------
    maximize : bool
        Whether larger scores are better.

    Examples
    --------
    >>> from autotune.spaces.space import Config
    >>> tally = Tally(maximize=True)
    >>> for number, score in enumerate((0.7, 0.9, 0.8)):
    ...     tally.began(number, "knn")
    ...     tally.ended(TrialRecord(number, "complete", Config("knn", {}), score, (score - 0.1, score + 0.1)))
    >>> tally.best.number, tally.worst.number, tally.n_ended_after(0)
    (1, 0, 2)
    """

    def __init__(self, *, maximize: bool) -> None:
        self._sign = -1.0 if maximize else 1.0
        self._began: set[int] = set()
        self._count_of: Counter[str] = Counter()
        self._ended: list[int] = []
        self._ranked: list[tuple[float, int, TrialRecord]] = []
        self._best_of: dict[str, tuple[float, int, TrialRecord]] = {}

    def began(self, number: int, learner: str) -> None:
        """Count a trial of a learner, once."""
        if number not in self._began:
            self._began.add(number)
            self._count_of[learner] += 1

    def ended(self, record: TrialRecord) -> None:
        """Rank a trial that is over."""
        insort(self._ended, record.number)
        if record.state != "complete" or record.score is None or record.config is None:
            return
        place = (self._sign * record.score, record.number, record)
        insort(self._ranked, place)
        learner = record.config.learner
        self._best_of[learner] = min(place, self._best_of.get(learner, place))

    @property
    def best(self) -> TrialRecord | None:
        """The complete trial with the best score, the earliest of equals."""
        return self._ranked[0][-1] if self._ranked else None

    @property
    def worst(self) -> TrialRecord | None:
        """The complete trial with the worst score."""
        return self._ranked[-1][-1] if self._ranked else None

    def leaders(self) -> list[TrialRecord]:
        """Return the best `LEADING` complete trials, best first, and then whoever else is the best of its learner."""
        places = [*self._ranked[:LEADING], *sorted(self._best_of.values())]
        return list({number: record for _, number, record in places}.values())

    def n_ended_after(self, number: int) -> int:
        """Return how many trials with a larger number are over."""
        return len(self._ended) - bisect_right(self._ended, number)

    def beaten(self, n_trials: int) -> set[str]:
        """Return the learners that have had their share and whose best score is worse than the best trial's worst fold.

        Parameters
        ----------
        n_trials : int
            Trials of the study, those that still run among them.
        """
        if self.best is None or len(self.best.fold_scores) < 2:  # one score says nothing of its spread
            return set()
        worst_fold = max(self._sign * score for score in self.best.fold_scores)
        enough = max(FEWEST_OF_THE_BEATEN, SHARE_OF_THE_BEATEN * n_trials)
        had_enough = {learner for learner in self._best_of if self._count_of[learner] >= enough}
        return {learner for learner in had_enough if self._best_of[learner][0] > worst_fold}
