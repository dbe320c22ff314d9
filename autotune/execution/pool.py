"""Trials in worker processes: one process a slot, which can be killed alone."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from io import FileIO
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from autotune.errors import SettingsError
from autotune.execution.events import Event, Lost, Order, Reached, Started
from autotune.execution.processes import ForkServer, Fresh, Process
from autotune.execution.work import Work
from autotune.execution.worker import Setup
from autotune.study.owner import is_dead, this_owner

FOLDER_PREFIX = "autotune-"
OWNER_FILE = "owner"
"""What a folder for the workers is called, and the file in it that says whose it is."""

LOG_CHARACTERS = 2000
"""How much of what a trial printed is kept: its end."""

LAST_WORDS_CHARACTERS = 500
"""How much of it stands in the reason why its process is gone."""

PIPE_BYTES = 1 << 16
"""No less than what a pipe holds: whatever was printed before is read with so many."""


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
        Bytes that a trial may take, beyond what its process has before it: what all trials import is not counted.
    server : ForkServer, optional
        What they are forked from; it is closed with the pool. Without one, each is a fresh interpreter.

    Raises
    ------
    SettingsError
        When a metric, a model or an objective cannot be pickled, or there is no place for a copy of the table.
    """

    def __init__(
        self,
        n_workers: int,
        work: Work,
        threads: int,
        memory_limit: int | None = None,
        server: ForkServer | None = None,
    ) -> None:
        self._server = server
        with ExitStack() as undoing:
            if server is not None:
                undoing.callback(server.close)
                server.prepare(work.modules)
            self._folder, packed = _folder_with(work)
            undoing.pop_all()
        self._setup = Setup(packed, memory_limit, work.modules, f"\0{uuid.uuid4()}\0".encode())
        self.startup = 0.0
        self._threads = threads
        self._slots: list[_Slot] = []
        self._n_workers = n_workers

    def capacity(self) -> int:
        """Return how many workers are idle or not yet started."""
        return self._n_workers - sum(slot.order is not None for slot in self._slots)

    def submit(self, order: Order) -> None:
        """Hand a trial to an idle worker, starting one if there is none."""
        slot = self._idle() or self._start()
        slot.take(order)

    def events(self, timeout: float | None = None) -> Sequence[Event]:
        """Wait until workers have said something, or died; what their trials print meanwhile is listened to."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            busy = {slot.incoming: slot for slot in self._slots if slot.order is not None}
            printing: dict[Any, _Slot] = {slot.printed: slot for slot in busy.values() if slot.printed is not None}
            ready = self._ready([*busy, *printing], until)
            for each in ready:
                if each in printing:
                    printing[each].listen()
            heard = [self._receive(busy[each]) for each in ready if isinstance(each, Connection)]
            said = [event for event in heard if event is not None]
            if said or (until is not None and time.monotonic() >= until):
                return said

    def reply(self, number: int, go_on: bool) -> None:
        """Say whether a trial may go on."""
        self._slot(number).send(go_on)

    def kill(self, number: int) -> None:
        """Kill the process of a trial, and those that it has started; its `Lost` comes with the next events."""
        for slot in self._slots:
            if slot.order is not None and slot.order.number == number:  # or else it is over
                slot.kill()

    def close(self) -> None:
        """End all workers and remove the table's copy."""
        for slot in self._slots:
            slot.kill()
        if self._server is not None and self._server.is_awaited():
            self._server.close()  # or else what it imports would be waited for
        for slot in self._slots:
            slot.close()
        self._slots = []
        if self._server is not None:
            self._server.close()
        self._folder.cleanup()

    def _ready(self, pipes: Sequence[Any], until: float | None) -> Sequence[Any]:
        """Wait until there is something to read; births are heard of meanwhile, and not waited for without end."""
        server, seconds = self._server, math.inf if until is None else until - time.monotonic()
        if server is not None and server.is_awaited():
            pipes, seconds = [*pipes, server], min(seconds, server.patience())
        ready: Sequence[Any] = wait(pipes, None if seconds == math.inf else max(0.0, seconds))
        if server is not None and server in ready:
            server.hear()
        elif server is not None and server.patience() <= 0:
            server.end()
        return ready

    def _idle(self) -> _Slot | None:
        """Return a worker that waits for a trial, if any; those that have died waiting, or will, are let go."""
        for slot in [slot for slot in self._slots if slot.order is None]:
            if not slot.is_ending():
                return slot
            self._slots.remove(slot)
            slot.close()
        return None

    def _start(self) -> _Slot:
        slot = _Slot(self._process_with, self._setup.mark)
        slot.send(self._setup)
        self._slots.append(slot)
        return slot

    def _process_with(self, pipes: Sequence[int]) -> Process:
        """Start a process: by a fork, or where that cannot be, or no more, as a fresh interpreter."""
        if self._server is not None:
            with suppress(OSError):
                return self._server.start(pipes)
        return Fresh(pipes, self._threads)

    def _slot(self, number: int) -> _Slot:
        return next(slot for slot in self._slots if slot.order is not None and slot.order.number == number)

    def _receive(self, slot: _Slot) -> Event | None:
        """Return what a worker says, or that its trial is lost; None where another worker takes the trial over."""
        try:
            event: Event = slot.incoming.recv()
        except (EOFError, OSError):
            return self._bury(slot)
        if isinstance(event, Started):
            if slot.is_new:
                self.startup = max(self.startup, slot.age())
            slot.is_new, slot.has_begun = False, True
        if isinstance(event, (Started, Reached)):
            return event
        slot.order = None
        slot.listen()
        return replace(event, log=slot.log)

    def _bury(self, slot: _Slot) -> Lost | None:
        """Let go of a worker that has died; what it did not die of, another takes over."""
        assert slot.order is not None, "an idle worker is not waited for"
        self._slots.remove(slot)
        code, log = slot.close()
        if slot.died_of_itself():
            self.submit(slot.order)
            return None
        last_words = " ".join(log[-LAST_WORDS_CHARACTERS:].split())
        reason = f"its worker process ended with exit code {code}{last_words and ': '}{last_words}"
        return Lost(slot.order.number, reason, log)


class _Slot:
    """One worker process, the pipes to it, and the end of what its trial prints.

    What is printed comes through a pipe and is read here, so that it neither fills a disk nor dies with its process.

    Parameters
    ----------
    start : callable
        Starts a process, given what becomes its stdin, stdout and stderr, and the lifeline.
    mark : bytes
        Stands before what each trial prints.
    """

    def __init__(self, start: Callable[[Sequence[int]], Process], mark: bytes) -> None:
        self.order: Order | None = None
        self.is_new, self.has_begun = True, False
        self._is_killed = False
        self._mark = mark
        self._heard = b""
        (stdin, outgoing), (incoming, stdout), (printed, stderr) = os.pipe(), os.pipe(), os.pipe()
        lifeline, self._lifeline = os.pipe()
        try:
            self._process = start((stdin, stdout, stderr, lifeline))
        finally:
            for each in (stdin, stdout, stderr, lifeline):
                os.close(each)
        os.set_blocking(printed, False)
        self.printed: FileIO | None = FileIO(printed)
        self._outgoing = Connection(outgoing, readable=False)
        self.incoming = Connection(incoming, writable=False)

    def take(self, order: Order) -> None:
        """Hand it a trial."""
        self.order, self.has_begun = order, False
        self.forget()
        self.send(order)

    def is_ending(self) -> bool:
        """Return whether an idle worker, which says nothing, has died, or will within moments."""
        return self._process.is_orphan() or bool(wait([self.incoming], 0))

    def died_of_itself(self) -> bool:
        """Return whether a trial had no part in the end of its worker.

        It had not begun, and the worker was idle before, or went with what it was forked from. One that dies before its
        first trial may well die of what trials need, as any other one would.
        """
        return not (self.has_begun or self._is_killed) and (not self.is_new or self._process.is_orphan())

    def age(self) -> float:
        """Return how many seconds ago the process was started; less than none where that is not known yet."""
        return time.perf_counter() - self._process.began

    def send(self, message: Any) -> None:
        with suppress(BrokenPipeError):  # a worker that is dead: the end of its output says so
            self._outgoing.send(message)

    def listen(self) -> None:
        """Read what has been printed, and keep its end."""
        if self.printed is None:
            return
        heard = self.printed.read(PIPE_BYTES)
        if heard == b"":  # nobody can print any more
            self.printed.close()
            self.printed = None
        self._heard = (self._heard + (heard or b""))[-PIPE_BYTES:]

    def forget(self) -> None:
        """Drop what was printed before the next trial."""
        self.listen()
        self._heard = b""

    @property
    def log(self) -> str:
        """The end of what the trial has printed."""
        return self._heard.rpartition(self._mark)[2].decode(errors="replace").strip()[-LOG_CHARACTERS:]

    def kill(self) -> None:
        """Kill the process and all that it has started."""
        self._is_killed = True
        self._process.kill()

    def close(self) -> tuple[int, str]:
        """Reap the process; return its exit code and the end of what its trial printed."""
        self._process.kill()
        code = self._process.wait()
        os.close(self._lifeline)
        self.listen()
        if self.printed is not None:
            self.printed.close()
        self._outgoing.close()
        self.incoming.close()
        return code, self.log


def _folder_with(work: Work) -> tuple[tempfile.TemporaryDirectory[str], bytes]:
    """Return a new folder with what workers read there, and the pickle that leads to it."""
    with ExitStack() as undoing:
        try:
            _remove_leftovers()
            folder = tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX)
            undoing.callback(folder.cleanup)
            (Path(folder.name) / OWNER_FILE).write_text(this_owner())
            packed = work.packed(Path(folder.name))
        except OSError as error:
            problem = f"worker processes share a copy of the table, and there is no place for it: {error}"
            hint = "TMPDIR=FOLDER, on a disk with more space, or n_jobs=1, which needs none"
            raise SettingsError(problem, tempfile.tempdir, hint) from error
        undoing.pop_all()
    return folder, packed


def _remove_leftovers() -> None:
    """Remove the folders of this host's coordinators that were killed before they could do it."""
    for file in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*/{OWNER_FILE}"):
        with suppress(OSError, ValueError):  # somebody else's
            owner = file.read_text()
            if owner and is_dead(owner):
                shutil.rmtree(file.parent, ignore_errors=True)
