"""One point of a curve of `scaling`: python scaling_point.py JOB, in a process of its own."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from measuring import proportional_kilobytes, tree_cpu_seconds


def main() -> None:
    """Run a job and print what it took as JSON."""
    job = json.loads(sys.argv[1])
    run = {"tune": tune, "nothing": nothing}[job["what"]]
    print(json.dumps(run(job)))


def tune(job: dict[str, Any]) -> dict[str, Any]:
    """Tune a file."""
    import optuna  # noqa: F401  imports are no part of what is compared

    import autotune
    from autotune import plan, tuning  # noqa: F401
    from autotune.learners import find_learner

    (learner,) = job["space"]
    find_learner(learner)
    if learner == "mlp":
        import autotune.learners.mlp_network
    if job["n_jobs"] > 1:  # more workers than cores, for what they add in memory
        plan.available_cores = lambda: max(job["n_jobs"], os.cpu_count() or 1)
    started = Started()
    report = autotune.tune(
        job["data"], target="target", space=job["space"], n_trials=job["n_trials"], cv=job["cv"], n_jobs=job["n_jobs"],
        random_state=0, pruner="none", progress=False,
    )  # fmt: skip
    return started.over() | {"stages": dict(report.seconds)}


def nothing(job: dict[str, Any]) -> dict[str, Any]:
    """Run trials that do nothing."""
    import optuna  # noqa: F401

    import autotune
    from autotune import Float, optimizing  # noqa: F401

    space = {f"x{index}": Float(0.0, 1.0) for index in range(10)}
    started = Started()
    autotune.optimize(
        lambda params: params["x0"], space, n_trials=job["n_trials"], sampler="random", storage=job["storage"],
        random_state=0, progress=False,
    )  # fmt: skip
    return started.over()


class Started:
    """What the process had taken when its imports were done."""

    def __init__(self) -> None:
        self._cpu, self._wall = tree_cpu_seconds(), time.perf_counter()
        self._kilobytes = proportional_kilobytes(os.getpid())

    def over(self) -> dict[str, Any]:
        """Return what came since."""
        return {
            "cpu": tree_cpu_seconds() - self._cpu,
            "wall": time.perf_counter() - self._wall,
            "imports_cpu": self._cpu,
            "imports_gb": self._kilobytes / 2**20,
        }


if __name__ == "__main__":
    main()
