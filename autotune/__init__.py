"""autotune: hyperparameter tuning and AutoML that people trust with their real data.

The map of the house, from the doors down; a room imports only from rooms below it.

====================================  ==================================================================
`autotune.api`, ``estimator``, ``cli``  the doors: arguments in, a Report shown
`autotune.space_commands`, ``study_commands``, ``joining_commands``, ``shell``  commands; what a person types
`autotune.joining`, ``replaying``     working at a study by its name alone; training one of its trials again
`autotune.tuning`                     the story, from a plan to a report: read this first
`autotune.optimizing`, ``objective``    the same for a function without a table
`autotune.shipping`, ``forecast``      what is mixed, retrained and judged before the deadline
`autotune.console`, ``space_tables``    progress and tables on a terminal
`autotune.testing`                    contracts for authors of learners
`autotune.report`                     what happened; text, table, save, load
`autotune.plan`, ``setup``            settings to a plan, all checked; what of them a study carries for others
`autotune.execution`                  the coordinator, and trials in this process or in workers
`autotune.study`                      the study, and the ledger of its rows; the only rooms that know optuna
`autotune.ensemble`                   a weighted mean of the study's own trials
`autotune.evaluation`, ``curve``      cross-validation with the folds side by side; along a learning curve
`autotune.verdict`, ``predictor``     the test rows' judgement; a fitted model for people's tables
`autotune.metrics`, ``learners``      what counts; what can be trained
`autotune.spaces`, ``data``           what may vary; from files to tasks and folds
`autotune.settings`, ``registry``, ``errors``  every setting once; names to things; one tree of errors
====================================  ==================================================================
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autotune.api import optimize, tune
    from autotune.errors import AutotuneError
    from autotune.estimator import AutoTuneClassifier, AutoTuneRegressor
    from autotune.joining import Contribution, work
    from autotune.learners.function import learner
    from autotune.metrics import Metric
    from autotune.optimizing import Optimization
    from autotune.replaying import Replay, replay
    from autotune.report import Report, load
    from autotune.spaces.params import Bool, Choice, Derived, Fixed, Float, Int
    from autotune.spaces.space import Space

__version__ = "0.1.0"

SPINS = {"GOMP_SPINCOUNT": "2000", "KMP_BLOCKTIME": "1"}
"""How long a thread of OpenMP looks whether the others are there before it sleeps: some .1 ms with GNU's, 1 ms with
LLVM's and Intel's. By default it is up to 200 ms, in which it holds the core that the thread it waits for needs, where
others use the machine too; asleep at once, it is woken for each of the thousands of loops of a round. A library reads
it when it is loaded: one that was there before this package waits as it did. Figures: tests/benchmarks/threads.py."""

if not os.environ.get("OMP_WAIT_POLICY"):
    os.environ.update({**SPINS, **os.environ})

_PUBLIC = {
    "tune": "autotune.api",
    "optimize": "autotune.api",
    "work": "autotune.joining",
    "Contribution": "autotune.joining",
    "replay": "autotune.replaying",
    "Replay": "autotune.replaying",
    "Optimization": "autotune.optimizing",
    "load": "autotune.report",
    "Report": "autotune.report",
    "AutoTuneClassifier": "autotune.estimator",
    "AutoTuneRegressor": "autotune.estimator",
    "AutotuneError": "autotune.errors",
    "Metric": "autotune.metrics",
    "learner": "autotune.learners.function",
    "Space": "autotune.spaces.space",
    "Float": "autotune.spaces.params",
    "Int": "autotune.spaces.params",
    "Choice": "autotune.spaces.params",
    "Fixed": "autotune.spaces.params",
    "Bool": "autotune.spaces.params",
    "Derived": "autotune.spaces.params",
}

__all__ = [
    "AutoTuneClassifier",
    "AutoTuneRegressor",
    "AutotuneError",
    "Bool",
    "Choice",
    "Contribution",
    "Derived",
    "Fixed",
    "Float",
    "Int",
    "Metric",
    "Optimization",
    "Replay",
    "Report",
    "Space",
    "learner",
    "load",
    "optimize",
    "replay",
    "tune",
    "work",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that ``import autotune`` loads nothing heavy (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'autotune' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
