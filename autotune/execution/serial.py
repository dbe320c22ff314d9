"""Trials one after the other in this process."""

from __future__ import annotations

from collections.abc import Sequence

from autotune.execution.events import Event, Judging, Order, Reached, advance
from autotune.execution.work import Work


class Serial:
    """An executor that runs one trial at a time, here.

    Parameters
    ----------
    work : Work
        What a trial does.
    """

    startup = 0.0

    def __init__(self, work: Work) -> None:
        self._begin = work.begin()
        self._running: tuple[int, Judging] | None = None
        self._reply: bool | None = None

    def capacity(self) -> int:
        """Return 1 while nothing runs."""
        return 0 if self._running else 1

    def submit(self, order: Order) -> None:
        """Make a trial the next one to run."""
        self._running, self._reply = (order.number, self._begin(order)), None

    def events(self, timeout: float | None = None) -> Sequence[Event]:
        """Run the trial until its next event; it cannot be interrupted between two."""
        if self._running is None:
            return ()
        event = advance(*self._running, self._reply)
        if not isinstance(event, Reached):
            self._running = None
        return (event,)

    def reply(self, number: int, go_on: bool) -> None:
        """Say whether the trial may go on."""
        self._reply = go_on

    def kill(self, number: int) -> None:
        """Forget the trial."""
        self._running = None

    def close(self) -> None:
        """Forget everything."""
        self._running = None
