"""Who runs a trial: host, process and the time the process started, so that a dead owner's trials can be taken over."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path


def this_owner() -> str:
    """Return a text that names this process, and whoever asks in it: no two are equal.

    Examples
    --------
    >>> is_dead(this_owner())
    False
    """
    return f"{socket.gethostname()}/{os.getpid()}/{_started(os.getpid())}.{uuid.uuid4().hex[:8]}"


def is_dead(owner: str | None) -> bool:
    """Return whether the owner is known to be gone: a process of this host that no longer runs.

    An owner on another host is taken to live. An empty owner gave its trial back; a row without one is not ours.
    """
    if owner is None:
        return False
    if not owner:
        return True
    if not is_of_this_host(owner):
        return False
    _, pid, started = owner.rsplit("/", 2)
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return _started(int(pid)) != started.partition(".")[0]


def is_of_this_host(owner: str) -> bool:
    """Return whether the owner is a process of this host, whose life can be looked at."""
    return owner.rsplit("/", 2)[0] == socket.gethostname()


def is_this_process(owner: str) -> bool:
    """Return whether the owner is this process."""
    return owner.rpartition(".")[0] == this_owner().rpartition(".")[0]


def _started(pid: int) -> str:
    """Return when the process started, in clock ticks since boot, where /proc tells it; a zombie is none any more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "-"
    fields = stat.rpartition(")")[2].split()
    return "zombie" if fields[0] in "ZX" else fields[19]
