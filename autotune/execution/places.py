"""Where trials run: in this process, or in worker processes."""

from __future__ import annotations

import os

from autotune.errors import SettingsError
from autotune.execution.events import Executor
from autotune.execution.pool import Processes
from autotune.execution.processes import CAN_FORK, ForkServer
from autotune.execution.serial import Serial
from autotune.execution.work import Work
from autotune.settings import Settings


def server_of(n_jobs: int, threads: int, settings: Settings, *, killable: bool = False) -> ForkServer | None:
    """Return a process for workers to be forked from, which begins to import; None where there will be none.

    Parameters
    ----------
    n_jobs, threads, settings, killable
        As for `executor_of`.
    """
    return ForkServer(threads) if CAN_FORK and (killable or _needs_processes(n_jobs, settings)) else None


def executor_of(
    work: Work,
    n_jobs: int,
    threads: int,
    settings: Settings,
    *,
    killable: bool = False,
    server: ForkServer | None = None,
) -> Executor:
    """Return the executor for so many jobs; limits need a process that can be killed, even for one job.

    Parameters
    ----------
    work : Work
        What trials do.
    n_jobs, threads : int
        Trials at a time, and threads for each.
    settings : Settings
        Their limits.
    killable : bool
        Whether one job without limits should have a process of its own too, where that is possible.
    server : ForkServer, optional
        What `server_of` returned for the same words; it ends with the executor.
    """
    server = server or server_of(n_jobs, threads, settings, killable=killable)
    if _needs_processes(n_jobs, settings):
        return Processes(n_jobs, work, threads, settings.memory_limit, server)
    if not killable or os.name != "posix":
        return Serial(work)
    try:
        return Processes(1, work, threads, server=server)
    except SettingsError:  # what cannot be pickled can be tuned here
        return Serial(work)


def _needs_processes(n_jobs: int, settings: Settings) -> bool:
    return n_jobs > 1 or settings.trial_timeout is not None or settings.memory_limit is not None
