"""Trials in worker processes: one process a slot, which can be killed alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from autotune.execution.events import Event, Lost, Order, Reached, Started
from autotune.execution.work import Work
from autotune.execution.worker import Setup

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""What the numeric libraries of a worker read their number of threads from, set in the worker's environment only."""

LOG_TAIL_CHARACTERS = 500


class Processes:
    """An executor of worker processes.

    The table is written once and mapped into every worker's memory; nothing of it is pickled for a trial.

    Parameters
    ----------
    n_workers : int
        How many processes.
    work : Work
        What a trial does.
    threads : int
        Threads for each of them.
    memory_limit : int, optional
        Bytes that each of them may take.

    Raises
    ------
    SettingsError
        When a metric, a model or an objective cannot be pickled.
    """

    def __init__(self, n_workers: int, work: Work, threads: int, memory_limit: int | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="autotune-")
        try:
            self._setup = Setup(work.packed(Path(self._folder.name)), memory_limit)
        except BaseException:
            self._folder.cleanup()
            raise
        self.startup = 0.0
        self._threads = threads
        self._slots: list[_Slot] = []
        self._n_workers = n_workers
        self._n_started = 0

    def capacity(self) -> int:
        """Return how many workers are idle or not yet started."""
        return self._n_workers - sum(slot.number is not None for slot in self._slots)

    def submit(self, order: Order) -> None:
        """Hand a trial to an idle worker, starting one if there is none."""
        idle = [slot for slot in self._slots if slot.number is None]
        slot = idle[0] if idle else self._start()
        slot.number = order.number
        slot.send(order)

    def events(self, timeout: float | None = None) -> Sequence[Event]:
        """Wait until workers have said something, or died."""
        busy = {slot.incoming: slot for slot in self._slots if slot.number is not None}
        ready = wait(list(busy), timeout)
        return [self._receive(busy[connection]) for connection in ready if isinstance(connection, Connection)]

    def reply(self, number: int, go_on: bool) -> None:
        """Say whether a trial may go on."""
        self._slot(number).send(go_on)

    def kill(self, number: int) -> None:
        """Kill the process of a trial; its `Lost` comes with the next events."""
        self._slot(number).process.kill()

    def close(self) -> None:
        """End all workers and remove the table's copy."""
        for slot in self._slots:
            slot.process.kill()
        for slot in self._slots:
            slot.close()
        self._slots = []
        self._folder.cleanup()

    def _start(self) -> _Slot:
        log = Path(self._folder.name) / f"worker-{self._n_started}.log"
        self._n_started += 1
        slot = _Slot(log, self._threads)
        slot.send(self._setup)
        self._slots.append(slot)
        return slot

    def _slot(self, number: int) -> _Slot:
        return next(slot for slot in self._slots if slot.number == number)

    def _receive(self, slot: _Slot) -> Event:
        assert slot.number is not None, "an idle worker is not waited for"
        try:
            event: Event = slot.incoming.recv()
        except (EOFError, OSError):
            self._slots.remove(slot)
            return Lost(slot.number, slot.close())
        if isinstance(event, Started) and slot.is_new:
            slot.is_new = False
            self.startup = max(self.startup, time.perf_counter() - slot.begun)
        if not isinstance(event, (Started, Reached)):
            slot.number = None
        return event


class _Slot:
    """One worker process and the pipes to it."""

    def __init__(self, log: Path, threads: int) -> None:
        self.number: int | None = None
        self.begun, self.is_new = time.perf_counter(), True
        self._log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "autotune.execution.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=_environment(threads),
                start_new_session=True,  # Ctrl-C is the coordinator's to hear
            )
        assert self.process.stdin is not None and self.process.stdout is not None
        self._outgoing = Connection(os.dup(self.process.stdin.fileno()), readable=False)
        self.incoming = Connection(os.dup(self.process.stdout.fileno()), writable=False)
        self.process.stdin.close()
        self.process.stdout.close()

    def send(self, message: Any) -> None:
        with suppress(BrokenPipeError):  # a worker that is dead: the end of its output says so
            self._outgoing.send(message)

    def close(self) -> str:
        """Reap the process and return what is known of its end."""
        self.process.kill()
        code = self.process.wait()
        self._outgoing.close()
        self.incoming.close()
        tail = self._log.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:].strip() if self._log.exists() else ""
        return f"its worker process ended with exit code {code}" + (f": {tail}" if tail else "")


def _environment(threads: int) -> dict[str, str]:
    """Return the worker's environment: this process's import path, and no more threads than it was given."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
