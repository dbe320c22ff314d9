"""Watcher: whoever wants to see a run as it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from autotune.study.records import TrialRecord


@dataclass(frozen=True, slots=True)
class Opening:
    """What is about to be done.

    Attributes
    ----------
    title : str
        What it is, in a line.
    facts, notes : tuple of str
        Lines about the data, and about what was inferred, dropped or changed.
    n_trials, deadline : int or None, float
        The budget.
    maximize : bool
        Whether larger scores are better.
    """

    title: str
    facts: tuple[str, ...]
    notes: tuple[str, ...]
    n_trials: int | None
    deadline: float
    maximize: bool


class Watcher(Protocol):
    """What a run tells while it goes; `autotune.console` shows it on a terminal."""

    def planned(self, opening: Opening) -> None:
        """Hear what is about to be done; everything is checked."""

    def joined(self, records: tuple[TrialRecord, ...]) -> None:
        """Hear which trials the study holds."""

    def told(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Hear of a trial that is over, and of the best one so far."""

    def stage(self, name: str) -> None:
        """Hear which stage begins: search, refit, test."""

    def said(self, line: str) -> None:
        """Hear what one should know at once: that the storage is away, or back."""

    def over(self) -> None:
        """Hear that nothing more follows, whether it went well or not."""


class Silent:
    """A watcher that shows nothing."""

    def planned(self, opening: Opening) -> None:
        """Show nothing."""

    def joined(self, records: tuple[TrialRecord, ...]) -> None:
        """Show nothing."""

    def told(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Show nothing."""

    def stage(self, name: str) -> None:
        """Show nothing."""

    def said(self, line: str) -> None:
        """Show nothing."""

    def over(self) -> None:
        """Show nothing."""
