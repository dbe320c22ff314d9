"""The process that workers are forked from: ``python -m autotune.execution.fork_server SOCKET``.

It imports this package and the libraries of its learners, and does nothing else: no trial and nobody's script runs
here. So that a fork is safe, no thread is started either, but for one of jemalloc, the allocator that pyarrow brings:
before a fork it takes its locks, and frees them after. The process ends with the coordinator, whose end of SOCKET it
reads.
"""

from __future__ import annotations

import gc
import importlib
import os
import socket
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress

from autotune.learners.plug_ins import BROKEN_CODE

IMPORT, FORK, REAP = "import", "fork", "reap"
"""What it is asked: ``import MODULE …``; ``fork NUMBER``, with four pipes; ``reap PID``. Of the second it says
``fork NUMBER PID``, with 0 where that failed, and of the third ``reap PID CODE``, or ALIVE for the code."""

ALIVE = "alive"
"""Said of a worker that is yet to die: nothing is waited for here, so that others can be born meanwhile."""

PACKET_BYTES = 1 << 16
"""No less than what a request takes."""


def main() -> None:
    """Fork workers until the coordinator is gone; in a worker, work."""
    control, server = socket.socket(fileno=int(sys.argv[1])), os.getpid()
    control.set_inheritable(False)
    lifeline = _serve(control)
    control.close()
    if lifeline is not None:
        from autotune.execution import worker

        worker.main(lifeline, server)


def _serve(control: socket.socket) -> int | None:
    """Do what is asked; return the lifeline in a worker, and None at the end."""
    gc.disable()
    while True:
        request, pipes, _, _ = socket.recv_fds(control, PACKET_BYTES, 4)
        if not request:
            return None
        verb, *words = request.decode().split()
        if verb == IMPORT:
            prepare(words)
        elif verb == FORK:
            if _fork(control, words[0], pipes):
                return pipes[3]
        else:
            dead, status = os.waitpid(int(words[0]), os.WNOHANG)
            control.send(f"{REAP} {words[0]} {os.waitstatus_to_exitcode(status) if dead else ALIVE}".encode())


def prepare(modules: Sequence[str]) -> None:
    """Import modules, and what they say in ``IMPORTS`` that they import later.

    What starts threads when it is imported belongs in no ``IMPORTS``, as catboost, which brings polars.
    """
    for name in modules:
        with suppress(*BROKEN_CODE):
            prepare(getattr(importlib.import_module(name), "IMPORTS", ()))
    gc.freeze()  # a worker's collections leave these pages to be shared


def _fork(control: socket.socket, number: str, pipes: Sequence[int]) -> bool:
    """Fork; return whether this is the worker. It leads a group of its own before anybody is told its number."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # an allocator of pyarrow has a thread, safe to fork
            pid = os.fork()
    except OSError as error:
        os.write(pipes[2], f"no process can be forked: {error}".encode())
        control.send(f"{FORK} {number} 0".encode())
        pid = -1
    if pid == 0:
        os.setsid()
        control.send(f"{FORK} {number} {os.getpid()}".encode())
        _begin(pipes)
        return True
    for pipe in pipes:
        os.close(pipe)
    return False


def _begin(pipes: Sequence[int]) -> None:
    """Take the place of a fresh interpreter: its pipes, its collector and its random numbers."""
    for number, pipe in enumerate(pipes[:3]):
        os.dup2(pipe, number)
        os.close(pipe)
    gc.enable()
    if "numpy.random" in sys.modules:  # Python's own generator is seeded anew by itself
        sys.modules["numpy.random"].seed()


if __name__ == "__main__":
    main()
