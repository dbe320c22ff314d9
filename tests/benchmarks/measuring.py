"""CPU seconds and memory of a process with all that it started, and what the machine is."""

from __future__ import annotations

import os
import platform
import resource
import threading
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("autotune-toolkit", "optuna", "optuna-integration", "scikit-learn", "lightgbm", "torch", "numpy", "pandas")


class PeakMemory(threading.Thread):
    """The largest proportional set size of a process and its descendants, looked at again and again.

    Parameters
    ----------
    pid : int
        The process.
    every : float
        Seconds between two looks, at least: large processes take long to look at.
    """

    def __init__(self, pid: int, every: float = 0.5) -> None:
        super().__init__(daemon=True)
        self.gigabytes = 0.0
        self._pid, self._every = pid, every
        self.start()

    def run(self) -> None:
        """Look until the process is gone."""
        while Path(f"/proc/{self._pid}").exists():
            began = time.perf_counter()
            self.gigabytes = max(self.gigabytes, tree_gigabytes(self._pid))
            time.sleep(max(self._every, 20 * (time.perf_counter() - began)))


def tree_gigabytes(pid: int) -> float:
    """Return the proportional set size of a process and its descendants: pages that they share count once."""
    return sum(proportional_kilobytes(each) for each in tree(pid)) / 2**20


def tree_cpu_seconds() -> float:
    """Return the CPU seconds of this process and of all that it started, those that are over among them."""
    own = sum(
        resource.getrusage(who)[index] for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) for index in (0, 1)
    )
    return own + sum(cpu_seconds(pid) for pid in descendants(os.getpid()))


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and of its children that are over, 0 when it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(word) for word in words[11:15]) / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> Iterator[int]:
    """Yield a process and those below it."""
    yield pid
    yield from descendants(pid)


def descendants(pid: int) -> list[int]:
    """Return the processes below a process, whichever of its threads started them."""
    children: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += [int(child) for child in thread.read_text().split()]
        except OSError:
            continue
    return children + [below for child in children for below in descendants(child)]


def proportional_kilobytes(pid: int) -> int:
    """Return a process's proportional set size, 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def machine() -> dict[str, Any]:
    """Return what figures depend on: processor, cores, memory, versions."""
    import joblib

    return {
        "processor": _processor(),
        "cores": int(joblib.cpu_count()),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 1),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
