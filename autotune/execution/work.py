"""What a trial does, and how that travels to worker processes: folds to train on, or somebody's objective."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from autotune.errors import SettingsError
from autotune.evaluation import judge, make_cohort
from autotune.execution.events import Judging, Ticket
from autotune.learners.protocol import Resources
from autotune.objective import Objective, judge_objective

if TYPE_CHECKING:
    from autotune.data.splits import Folds
    from autotune.data.task import Task
    from autotune.evaluation import Learners
    from autotune.metrics import Metric

Begin: TypeAlias = Callable[[Ticket], Judging]
"""Begins a trial."""


class Work(Protocol):
    """What trials do."""

    def begin(self) -> Begin:
        """Get ready, once a process, and return what begins a trial."""

    def packed(self, folder: Path) -> bytes:
        """Return a pickle of work for a worker process; large things go to the folder."""


@dataclass(frozen=True, slots=True)
class OnFolds:
    """Training on the folds of a task.

    Attributes
    ----------
    task, folds, metric
        What trials are judged on.
    resources : Resources
        What each trial may use.
    learners : mapping of str to Learner, optional
        What configurations name; the installed ones, if left out.
    """

    task: Task
    folds: Folds
    metric: Metric
    resources: Resources
    learners: Learners | None = None

    def begin(self) -> Begin:
        """Cut the task along its folds."""
        cohort = make_cohort(self.task, self.folds, self.metric, self.learners)
        return lambda ticket: judge(
            ticket.config, cohort, seed=ticket.seed, resources=self.resources, deadline=ticket.deadline
        )

    def packed(self, folder: Path) -> bytes:
        """Write the table once, to be mapped into every worker's memory; nothing of it is pickled for a trial.

        Raises
        ------
        SettingsError
            When a metric or a model cannot be pickled.
        """
        import joblib

        carried = pickled("metric", self.metric), pickled("model", self.learners)
        data = folder / "task.joblib"
        joblib.dump((self.task, self.folds), data)
        return pickle.dumps(_StoredFolds(str(data), *carried, self.resources))


@dataclass(frozen=True, slots=True)
class _StoredFolds:
    """`OnFolds` as it travels: the path of the data, and pickles that hold functions and classes by value."""

    data: str
    metric: bytes
    learners: bytes
    resources: Resources

    def begin(self) -> Begin:
        import cloudpickle
        import joblib

        task, folds = joblib.load(self.data, mmap_mode="r")
        metric, learners = cloudpickle.loads(self.metric), cloudpickle.loads(self.learners)
        return OnFolds(task, folds, metric, self.resources, learners).begin()


@dataclass(frozen=True, slots=True)
class OfObjective:
    """Calling somebody's objective."""

    objective: Objective

    def begin(self) -> Begin:
        """Return what calls the objective."""
        return lambda ticket: judge_objective(self.objective, ticket.config, seed=ticket.seed, deadline=ticket.deadline)

    def packed(self, folder: Path) -> bytes:
        """Pickle the function by value."""
        return pickled("objective", self)


def pickled(setting: str, thing: Any) -> bytes:
    """Pickle what travels to the workers, functions and classes of a script or a notebook by value.

    Raises
    ------
    SettingsError
        Naming the setting, when it cannot be pickled.
    """
    import cloudpickle

    try:
        found: bytes = cloudpickle.dumps(thing)
    except (pickle.PicklingError, TypeError, AttributeError, NotImplementedError, RecursionError) as error:
        raise SettingsError(
            f"the {setting} cannot be sent to worker processes: {error}", setting, "n_jobs=1, which needs none"
        ) from error
    return found
