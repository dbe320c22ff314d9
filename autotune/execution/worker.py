"""A worker process: ``python -m autotune.execution.worker LIFELINE``, with the pool's pipes on stdin and stdout.

LIFELINE is the number of a further pipe, into which nothing is written: it ends with the coordinator, and so does the
worker. It never imports the user's ``__main__``.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PARENT_POLL_SECONDS = 1.0
"""How often a worker looks whether its coordinator still lives."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker is told at its start.

    Attributes
    ----------
    work : bytes
        A pickle of the `Work` that trials do.
    memory_limit : int or None
        Bytes that a trial may take, beyond what the process has when all `modules` are imported.
    modules : tuple of str
        What trials import.
    mark : bytes
        Written to what the trials print, before each of them.
    """

    work: bytes
    memory_limit: int | None = None
    modules: tuple[str, ...] = ()
    mark: bytes = b""


def main(lifeline: int | None, parent: int) -> None:
    """Serve trials until the coordinator closes the pipe.

    Parameters
    ----------
    lifeline : int or None
        A pipe into which nothing is written, and which ends with the coordinator.
    parent : int
        The process that started this one; they end together.
    """
    incoming, outgoing = _take_pipes()
    if lifeline is not None:
        _end_with_lifeline(lifeline)
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        _serve(incoming, outgoing)
    _end_helpers()


def _serve(incoming: Connection, outgoing: Connection) -> None:
    import cloudpickle

    from autotune.execution.events import Failed, Reached, Started, Unsent, advance, attempt
    from autotune.execution.fork_server import prepare

    setup: Setup = incoming.recv()
    begin = cloudpickle.loads(setup.work).begin()
    if setup.memory_limit is not None:
        prepare(setup.modules)
        _limit_memory(setup.memory_limit)
    while (ticket := incoming.recv()) is not None:
        _flush(setup.mark)
        outgoing.send(Started(ticket.number))
        judging = begin(ticket)
        event: Any = advance(ticket.number, judging, None)
        while isinstance(event, Reached):
            outgoing.send(event)
            event = advance(ticket.number, judging, incoming.recv())
        _flush()
        sent = attempt(partial(cloudpickle.dumps, event))  # its models may be of a function's own classes
        outgoing.send_bytes(cloudpickle.dumps(Unsent(ticket.number, sent.reason)) if isinstance(sent, Failed) else sent)
        del judging, event, sent
        _give_back_memory()


def _limit_memory(n_bytes: int) -> None:
    """Let this process take so much more than it has; the system says how much that is, or else it counts as none."""
    import resource

    with suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        n_bytes += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = n_bytes if most == resource.RLIM_INFINITY else min(n_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _flush(mark: bytes = b"") -> None:
    """Print what is still held back, native libraries' output too, and a mark after it."""
    with suppress(OSError, ValueError, AttributeError):  # a trial may have closed or replaced any of these
        sys.stdout.flush()
        sys.stderr.flush()
        ctypes.CDLL(None).fflush(None)
    with suppress(OSError):
        os.write(2, mark)


def _give_back_memory() -> None:
    """Give the system what the allocator holds back of what a trial has freed: up to a table or two."""
    with suppress(OSError, AttributeError):  # not every system's allocator has this
        ctypes.CDLL(None).malloc_trim(0)


def _take_pipes() -> tuple[Connection, Connection]:
    """Keep stdin and stdout for messages; what the trial prints goes to stderr."""
    incoming = Connection(os.dup(0), writable=False)
    outgoing = Connection(os.dup(1), readable=False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    sys.stdout = sys.stderr
    for pipe in (incoming, outgoing):  # what a trial forks must not keep them open beyond this process
        os.register_at_fork(after_in_child=pipe.close)
    return incoming, outgoing


def _end_with_lifeline(lifeline: int) -> None:
    """Have the kernel kill this process and its helpers when the pipe ends, even where a trial lets no thread run."""
    if sys.platform == "linux" and os.getpgrp() == os.getpid():
        import fcntl

        os.set_inheritable(lifeline, False)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
        if select.select([lifeline], [], [], 0)[0]:  # it ended before
            _end_helpers()


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    _end_helpers()
    os._exit(1)


def _end_helpers() -> None:
    """End this process together with those that its trials have started, if it leads a group of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    # the class of Setup must be the one that the coordinator pickles, not __main__'s
    from autotune.execution import worker

    worker.main(int(sys.argv[1]) if sys.argv[1:] else None, os.getppid())
