"""What a trial does, and how that travels to worker processes: folds to train on, or somebody's objective."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from autotune.errors import SettingsError
from autotune.evaluation import fit, judge, make_cohort, make_member
from autotune.execution.events import Judging, Order, Refit, Ticket
from autotune.learners.protocol import Member, Resources
from autotune.objective import Objective, judge_objective

if TYPE_CHECKING:
    from autotune.data.splits import Folds
    from autotune.data.task import Task
    from autotune.evaluation import Learners
    from autotune.metrics import Metric

OWN_MODULES = ("cloudpickle", "joblib", "autotune.execution.work")
"""What every worker imports."""

Begin: TypeAlias = Callable[[Order], Judging]
"""Begins a trial, or a refit."""


class Work(Protocol):
    """What trials do."""

    @property
    def modules(self) -> tuple[str, ...]:
        """What a process is to import before workers are forked from it."""

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
    everything : Task, optional
        The task's rows and the test rows, for a refit that asks for them.
    """

    task: Task
    folds: Folds
    metric: Metric
    resources: Resources
    learners: Learners | None = None
    everything: Task | None = None

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of our own learners."""
        learners = {type(each).__module__ for each in (self.learners or {}).values()}
        return (*OWN_MODULES, *sorted(module for module in learners if module.startswith("autotune.")))

    def begin(self) -> Begin:
        """Return what begins a trial; the task is cut along its folds for the first one."""
        cohort = cache(lambda: make_cohort(self.task, self.folds, self.metric, self.learners))
        all_rows = cache(self._all_rows)

        def begin(order: Order) -> Judging:
            if isinstance(order, Refit):
                return refit(order)
            return judge(order.config, cohort(), seed=order.seed, resources=self.resources, limits=order.limits)

        def refit(order: Refit) -> Judging:
            yield from ()
            member = all_rows(order.everything)
            return fit(
                order.config,
                member,
                order.steps,
                seed=order.seed,
                resources=order.resources,
                learners=self.learners,
                deadline=order.deadline,
            )

        return begin

    def _all_rows(self, everything: bool) -> Member:
        task = self.everything if everything else self.task
        assert task is not None, "nobody gave the test rows"
        return make_member(task, np.arange(len(task), dtype=np.intp), None)

    def packed(self, folder: Path) -> bytes:
        """Write the table once, to be mapped into every worker's memory; nothing of it is pickled for a trial.

        Raises
        ------
        SettingsError
            When a metric or a model cannot be pickled.
        OSError
            When the table cannot be written; it says how many bytes that takes.
        """
        import joblib

        carried = pickled("metric", self.metric), pickled("model", self.learners)
        data, table = folder / "task.joblib", (self.task, self.folds, self.everything)
        try:
            joblib.dump(table, data)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror or error}, and it takes {_n_bytes(table):,} bytes") from error
        return pickle.dumps(_StoredFolds(str(data), *carried, self.resources))


def _n_bytes(thing: Any) -> int:
    """Return how large a pickle would be; arrays are not copied for it."""
    buffers: list[pickle.PickleBuffer] = []
    rest = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    return len(rest) + sum(buffer.raw().nbytes for buffer in buffers)


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

        task, folds, everything = joblib.load(self.data, mmap_mode="r")
        metric, learners = cloudpickle.loads(self.metric), cloudpickle.loads(self.learners)
        return OnFolds(task, folds, metric, self.resources, learners, everything).begin()


@dataclass(frozen=True, slots=True)
class OfObjective:
    """Calling somebody's objective."""

    objective: Objective

    @property
    def modules(self) -> tuple[str, ...]:
        """What somebody's objective imports is not known."""
        return OWN_MODULES

    def begin(self) -> Begin:
        """Return what calls the objective."""

        def begin(order: Order) -> Judging:
            assert isinstance(order, Ticket), "an objective has no refit"
            return judge_objective(self.objective, order.config, seed=order.seed, deadline=order.limits.cut)

        return begin

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
