"""Watcher: whoever wants to see a run as it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from autotune.plan import Plan
    from autotune.study.records import TrialRecord


class Watcher(Protocol):
    """What a run tells while it goes; `autotune.console` shows it on a terminal."""

    def planned(self, plan: Plan) -> None:
        """Hear what is about to be done; everything is checked."""

    def joined(self, records: tuple[TrialRecord, ...]) -> None:
        """Hear which trials the study holds."""

    def told(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Hear of a trial that is over, and of the best one so far."""

    def stage(self, name: str) -> None:
        """Hear which stage begins: search, refit, test."""

    def over(self) -> None:
        """Hear that nothing more follows, whether it went well or not."""


class Silent:
    """A watcher that shows nothing."""

    def planned(self, plan: Plan) -> None:
        """Show nothing."""

    def joined(self, records: tuple[TrialRecord, ...]) -> None:
        """Show nothing."""

    def told(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Show nothing."""

    def stage(self, name: str) -> None:
        """Show nothing."""

    def over(self) -> None:
        """Show nothing."""
