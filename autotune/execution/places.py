"""Where trials run: in this process, or in worker processes."""

from __future__ import annotations

import os

from autotune.errors import SettingsError
from autotune.execution.events import Executor
from autotune.execution.pool import Processes
from autotune.execution.serial import Serial
from autotune.execution.work import Work
from autotune.settings import Settings


def executor_of(work: Work, n_jobs: int, threads: int, settings: Settings, *, killable: bool = False) -> Executor:
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
    """
    if n_jobs > 1 or settings.trial_timeout is not None or settings.memory_limit is not None:
        return Processes(n_jobs, work, threads, settings.memory_limit)
    if not killable or os.name != "posix":
        return Serial(work)
    try:
        return Processes(1, work, threads)
    except SettingsError:  # what cannot be pickled can be tuned here
        return Serial(work)
