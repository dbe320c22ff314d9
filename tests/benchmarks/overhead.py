"""Trials that do nothing, on SQLite: trials a second with 2 and 8 workers, and the cost of a trial beside the sampler.

Ten parameters and five rungs a trial; beside them a plain Optuna loop with as many reports, in the same run.

python tests/benchmarks/overhead.py [--trials 300]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna

from autotune.curve import Evaluation, Progress
from autotune.execution.coordinator import Budget, Search
from autotune.execution.events import Judging, Ticket
from autotune.execution.pool import Processes
from autotune.execution.serial import Serial
from autotune.spaces.params import Float
from autotune.spaces.space import Space
from autotune.study.opening import open_study
from autotune.study.storage import open_storage
from autotune.study.strategies import PRUNERS, find_sampler

SPACE = Space({"nothing": {f"x{index}": Float(0.0, 1.0) for index in range(10)}})
RUNGS = 5


class Nothing:
    """Work that goes through five rungs and does nothing."""

    modules = ()

    def begin(self) -> Any:
        """Return what begins a trial."""
        return _nothing

    def packed(self, folder: Path) -> bytes:
        """Pickle it."""
        import cloudpickle

        return cloudpickle.dumps(self)


def _nothing(ticket: Ticket) -> Judging:
    for rung in range(RUNGS):
        yield Progress(rung, float(rung), ticket.config.params["x0"], first_rung=0.0)
    score = ticket.config.params["x0"]
    return Evaluation(score, (score,), RUNGS, float(RUNGS), ((RUNGS, score),), 0.0)


def ours(n_trials: int, n_workers: int, folder: str) -> tuple[float, float]:
    """Return seconds and CPU seconds of this process a trial; the workers are started before."""
    study = open_study(
        open_storage(Path(folder) / f"ours-{n_workers}.db"),
        "nothing",
        space=SPACE,
        sampler=find_sampler("random"),
        pruner=PRUNERS["none"],
        maximize=True,
        identity={},
        seed=0,
        versions={},
    )
    executor: Any = Serial(Nothing()) if n_workers == 0 else Processes(n_workers, Nothing(), 1)
    warm = max(1, n_workers)
    Search(study, executor, Budget(warm, float("inf")), lambda *_: None).run()
    started, cpu = time.perf_counter(), time.process_time()
    Search(study, executor, Budget(warm + n_trials, float("inf")), lambda *_: None).run()
    took = (time.perf_counter() - started) / n_trials, (time.process_time() - cpu) / n_trials
    executor.close()
    assert len(optuna.load_study(storage=study.optuna._storage, study_name="nothing").trials) == warm + n_trials
    return took


def plain(n_trials: int, folder: str) -> tuple[float, float]:
    """Return the same of a plain Optuna loop on a SQLite file."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{folder}/plain.db",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.SuccessiveHalvingPruner(),
    )

    def objective(trial: optuna.Trial) -> float:
        values = [trial.suggest_float(f"x{index}", 0.0, 1.0) for index in range(10)]
        for rung in range(RUNGS):
            trial.report(values[0], rung)
            trial.should_prune()
        return values[0]

    started, cpu = time.perf_counter(), time.process_time()
    study.optimize(objective, n_trials=n_trials)
    return (time.perf_counter() - started) / n_trials, (time.process_time() - cpu) / n_trials


def main() -> None:
    """Print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    n_trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory(prefix="autotune-overhead-") as folder:
        rows = {
            "plain Optuna loop": plain(min(n_trials, 60), folder),
            "autotune, this process": ours(n_trials, 0, folder),
            "autotune, 2 workers": ours(n_trials, 2, folder),
            "autotune, 8 workers": ours(n_trials, 8, folder),
        }
    print(f"{'':<26}{'trials/s':>10}{'ms CPU a trial':>16}")
    for name, (seconds, cpu) in rows.items():
        print(f"{name:<26}{1 / seconds:>10.1f}{1000 * cpu:>16.2f}")


if __name__ == "__main__":
    main()
