"""Where trials run: in this process, or in worker processes."""

from __future__ import annotations

from autotune.execution.events import Executor
from autotune.execution.pool import Processes
from autotune.execution.serial import Serial
from autotune.execution.work import Work
from autotune.settings import Settings


def executor_of(work: Work, n_jobs: int, threads: int, settings: Settings) -> Executor:
    """Return the executor for so many jobs; limits need a process that can be killed, even for one job.

    Parameters
    ----------
    work : Work
        What trials do.
    n_jobs, threads : int
        Trials at a time, and threads for each.
    settings : Settings
        Their limits.
    """
    if n_jobs == 1 and settings.trial_timeout is None and settings.memory_limit is None:
        return Serial(work)
    return Processes(n_jobs, work, threads, settings.memory_limit)
