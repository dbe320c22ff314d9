"""Worker processes: forked from one that has imported what trials need, or started as an interpreter of their own.

A fresh interpreter takes seconds to import its libraries, and a hundred megabytes or two that no other process shares;
a fork takes milliseconds, and shares them.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from autotune.execution.fork_server import ALIVE, FORK, IMPORT, PACKET_BYTES, REAP

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""What the numeric libraries of a worker read their number of threads from, set in the worker's environment only."""

ANSWER_SECONDS = 3.0
"""How long an answer is waited for that takes milliseconds: who gives none is stuck, and killed."""

BIRTH_SECONDS = 120.0
"""How long a birth is waited for, which comes after all imports."""

REAP_POLL_SECONDS = 0.01
"""How often a worker that was killed is looked at until it is dead."""

CAN_FORK = sys.platform == "linux"
"""Whether a process may go on after a fork without an exec: frameworks of macOS abort it."""


class Process(Protocol):
    """A worker process, which leads a group of its own with all that its trials start.

    Attributes
    ----------
    began : float
        When it was started, on the clock of `time.perf_counter`; infinite before.
    """

    began: float

    def is_orphan(self) -> bool:
        """Return whether what it was forked from is gone, so that it ends within moments."""

    def kill(self) -> None:
        """Kill the group; the process is not reaped before `wait`, so that its number is its own."""

    def wait(self) -> int:
        """Reap the process that is dead or dying; return its exit code."""


class Fresh:
    """A worker in an interpreter of its own.

    Parameters
    ----------
    pipes : sequence of int
        What becomes its stdin, stdout and stderr, and the lifeline.
    threads : int
        How many it may have.
    """

    def __init__(self, pipes: Sequence[int], threads: int) -> None:
        stdin, stdout, stderr, lifeline = pipes
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "autotune.execution.worker", str(lifeline)],
            pass_fds=[lifeline],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=_environment(threads),
            start_new_session=True,  # Ctrl-C is the coordinator's to hear, and what trials start is of its group
        )

    def is_orphan(self) -> bool:
        """Return False: it was not forked."""
        return False

    def kill(self) -> None:
        """Kill the group."""
        _kill_group(self._process.pid)

    def wait(self) -> int:
        """Reap the process."""
        with suppress(subprocess.TimeoutExpired):  # the system holds it back
            return self._process.wait(ANSWER_SECONDS)
        return -signal.SIGKILL


class ForkServer:
    """The process that workers are forked from, as the coordinator sees it.

    It begins to import at once. Requests wait in its socket meanwhile, so that nobody waits here. Where it is stuck, it
    is killed.

    Parameters
    ----------
    threads : int
        How many threads each worker may have.
    """

    def __init__(self, threads: int) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "autotune.execution.fork_server", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_environment(threads),
            start_new_session=True,
        )
        theirs.close()
        self._socket.settimeout(ANSWER_SECONDS)
        self._unborn: dict[int, Forked] = {}
        self._codes: dict[int, int | None] = {}
        self._n_asked = 0
        self._is_gone = False

    def fileno(self) -> int:
        """Return what becomes readable when there is something to `hear`."""
        return self._socket.fileno()

    def prepare(self, modules: Iterable[str]) -> None:
        """Have it import modules; one that fails is left for the worker that needs it to say so."""
        with suppress(OSError):  # it is gone, and the next worker begins without it
            self._socket.send(f"{IMPORT} {' '.join(modules)}".encode())

    def start(self, pipes: Sequence[int]) -> Forked:
        """Ask for a worker.

        Raises
        ------
        OSError
            When the process is gone.
        """
        if self.is_gone():
            raise ChildProcessError("nothing can be forked from a process that is gone")
        self._n_asked += 1
        socket.send_fds(self._socket, [f"{FORK} {self._n_asked}".encode()], list(pipes))
        worker = self._unborn[self._n_asked] = Forked(self)
        return worker

    def hear(self) -> None:
        """Wait for what it says next: that a worker is born, or what became of one that was to be reaped."""
        try:
            said = self._socket.recv(PACKET_BYTES)
        except OSError:  # a TimeoutError too
            said = b""
        if not said:
            self.end()
            return
        verb, first, second = said.decode().split()
        if verb == REAP:
            self._codes[int(first)] = None if second == ALIVE else int(second)
        else:
            self._unborn.pop(int(first)).begin(int(second))

    def is_awaited(self) -> bool:
        """Return whether a worker is still to be born."""
        return bool(self._unborn) and not self._is_gone

    def patience(self) -> float:
        """Return for how many seconds more a birth may be waited for before this process is to be ended as stuck."""
        if not self.is_awaited():
            return math.inf
        return next(iter(self._unborn.values())).asked + BIRTH_SECONDS - time.perf_counter()

    def is_gone(self) -> bool:
        """Return whether it has ended: so will its workers, each as soon as it sees it."""
        return self._is_gone or self._process.poll() is not None

    def reap(self, pid: int) -> int:
        """Return the exit code of a worker that dies; what is not known, or not in time, is that of one killed."""
        until = time.perf_counter() + ANSWER_SECONDS
        while not self._is_gone and time.perf_counter() < until:
            with suppress(OSError):
                self._socket.send(f"{REAP} {pid}".encode())
            while pid not in self._codes and not self._is_gone:
                self.hear()
            if (code := self._codes.pop(pid, None)) is not None:
                return code
            time.sleep(REAP_POLL_SECONDS)
        return -signal.SIGKILL

    def end(self) -> None:
        """Kill it, where it lives; from here on it counts as gone."""
        self._is_gone = True
        self._kill()

    def close(self) -> None:
        """End it, more than once if need be; a worker that is born meanwhile is killed."""
        for worker in self._unborn.values():
            worker.kill()
        self._kill()
        while not self._is_gone:
            self.hear()
        self._socket.close()

    def _kill(self) -> None:
        if self._process.poll() is None:
            _kill_group(self._process.pid)
            with suppress(subprocess.TimeoutExpired):  # the system holds it back
                self._process.wait(ANSWER_SECONDS)


class Forked:
    """A worker that was forked, or will be.

    Parameters
    ----------
    server : ForkServer
        Where from.
    """

    def __init__(self, server: ForkServer) -> None:
        self.began = math.inf
        self.asked = time.perf_counter()
        self._server = server
        self._is_awaited, self._is_killed = True, False
        self._pid = 0

    def begin(self, pid: int) -> None:
        """Note its number; 0 where it could not be forked."""
        self.began, self._is_awaited, self._pid = time.perf_counter(), False, pid
        if self._is_killed:
            self.kill()

    def is_orphan(self) -> bool:
        """Return whether the server is gone."""
        return self._server.is_gone()

    def kill(self) -> None:
        """Kill the group, as soon as there is one."""
        self._is_killed = True
        if self._pid:
            _kill_group(self._pid)

    def wait(self) -> int:
        """Reap the process."""
        while self._is_awaited and self._server.is_awaited():
            self._server.hear()
        return self._server.reap(self._pid) if self._pid else -signal.SIGKILL


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # a group of the dead is none, or nobody's
        os.killpg(leader, signal.SIGKILL)


def _environment(threads: int) -> dict[str, str]:
    """Return the worker's environment: this process's import path, and no more threads than it was given."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
