"""A worker process: ``python -m autotune.execution.worker``, started by the pool with pipes on stdin and stdout.

It never imports the user's ``__main__``, and it ends when its coordinator does.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

PARENT_POLL_SECONDS = 1.0
"""How often a worker looks whether its coordinator still lives."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker is told at its start.

    Attributes
    ----------
    data : str
        Path of the file that holds task and folds, opened as memory maps.
    metric : bytes
        The metric, pickled by cloudpickle so that functions of a script or a notebook come along.
    resources : Any
        What a trial may use.
    """

    data: str
    metric: bytes
    resources: Any


def main() -> None:
    """Serve trials until the coordinator closes the pipe."""
    incoming, outgoing = _take_pipes()
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        _serve(incoming, outgoing)


def _serve(incoming: Connection, outgoing: Connection) -> None:
    import cloudpickle
    import joblib

    from autotune.evaluation import judge, make_cohort
    from autotune.execution.events import Reached, advance

    setup: Setup = incoming.recv()
    task, folds = joblib.load(setup.data, mmap_mode="r")
    cohort = make_cohort(task, folds, cloudpickle.loads(setup.metric))
    while (ticket := incoming.recv()) is not None:
        judging = judge(ticket.config, cohort, seed=ticket.seed, resources=setup.resources, deadline=ticket.deadline)
        event: Any = advance(ticket.number, judging, None)
        while isinstance(event, Reached):
            outgoing.send(event)
            event = advance(ticket.number, judging, incoming.recv())
        outgoing.send(event)


def _take_pipes() -> tuple[Connection, Connection]:
    """Keep stdin and stdout for messages; what the trial prints goes to stderr."""
    incoming = Connection(os.dup(0), writable=False)
    outgoing = Connection(os.dup(1), readable=False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    sys.stdout = sys.stderr
    return incoming, outgoing


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    # the class of Setup must be the one that the coordinator pickles, not __main__'s
    from autotune.execution import worker

    worker.main()
