"""Countdown: how far a search has come, in trials and in time, and how long it will still take."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from autotune.study.records import TrialRecord, show_states


class Countdown:
    """How far a search has come, in trials and in time.

    Parameters
    ----------
    n_trials : int or None
        Finished trials that end it.
    deadline : float
        When it ends at the latest, on the clock of `time.time`; infinity for never.
    """

    def __init__(self, n_trials: int | None, deadline: float) -> None:
        self._n_trials = n_trials
        self._deadline = deadline
        self._started = time.time()
        self._found = 0
        self.states: Counter[str] = Counter()

    def begin(self, records: Sequence[TrialRecord]) -> None:
        """Start to count, from what the study holds."""
        self._started = time.time()
        self._found = sum(record.state != "running" for record in records)

    def count(self, record: TrialRecord) -> None:
        """Count a trial that is over."""
        self.states[record.state] += 1

    def is_over(self) -> bool:
        """Return whether there are as many finished trials as there shall be."""
        return self._n_trials is not None and self._found + self.states.total() >= self._n_trials

    def counted(self) -> str:
        """Return the finished trials and how many there shall be: ``"12/40"``."""
        finished = self._found + self.states.total()
        return f"{finished}" if self._n_trials is None else f"{finished}/{self._n_trials}"

    def share(self) -> float:
        """Return how much of the search is over, by trials or by the clock, whichever is nearer to its end."""
        in_time = (time.time() - self._started) / max(1e-9, self._deadline - self._started)
        in_trials = (self._found + self.states.total()) / self._n_trials if self._n_trials else 0.0
        return min(1.0, max(in_time, in_trials))

    def time_left(self) -> str:
        """Return the time that the search will still take, or has taken when that cannot be foreseen."""
        elapsed = time.time() - self._started
        by_trials = float("inf")
        if self._n_trials is not None and self.states:
            to_come = self._n_trials - self._found - self.states.total()
            by_trials = elapsed * max(0, to_come) / self.states.total()
        left = min(by_trials, self._deadline - time.time())
        return f"{show_time(elapsed)} so far" if left == float("inf") else f"{show_time(max(0.0, left))} left"

    def summary(self) -> str:
        """Return what came of the trials of this search."""
        in_time = f"in {show_time(time.time() - self._started)}"
        return f"{self.states.total()} trials {in_time}: {show_states(self.states)}"


def show_time(seconds: float) -> str:
    """Return a length of time as clocks show it.

    Examples
    --------
    >>> show_time(75), show_time(3661)
    ('1:15', '1:01:01')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
